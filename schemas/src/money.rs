//! Money as an integer number of micro-units of a currency.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};

use crate::decimal::{self, DecimalError};

/// An amount in millionths of the account's currency, between `-(10^18 - 1)` and `10^18 - 1`, so that it
/// always fits ClickHouse's `Decimal(18, 6)`.
///
/// In JSON it is a decimal string with 2 to 6 places (`"12.34"`, `"-0.0125"`), never a number.
///
/// ```
/// use tollbooth_schemas::Money;
/// let charge: Money = "0.0125".parse()?;
/// let ten: Money = "10".parse()?;
/// assert_eq!(ten.checked_sub(charge).map(|left| left.to_string()).as_deref(), Some("9.9875"));
/// # Ok::<(), tollbooth_schemas::decimal::DecimalError>(())
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount, `999999999999.999999`.
    pub const MAX: Self = Self(999_999_999_999_999_999);

    /// From millionths; `None` beyond the bound.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros > Self::MAX.0 || micros < Self::MAX.0.wrapping_neg() { None } else { Some(Self(micros)) }
    }

    /// In millionths.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The sum; `None` beyond the bound.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::from_micros(sum),
            None => None,
        }
    }

    /// The difference; `None` beyond the bound.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.negated())
    }

    /// The same amount with the other sign. The bound is symmetric, so this never overflows.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(self.0.wrapping_neg())
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::write_micros(self.0, 2, f)
    }
}

impl FromStr for Money {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_micros(decimal::parse_micros(text)?).ok_or(DecimalError::Range)
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("{text:?} {error}")))
    }
}

impl JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^-?\d+(\.\d{1,6})?$",
            "description": "Decimal string in units of the currency, at most 6 places; never a JSON number."
        })
    }
}

/// Money with its currency, as it stands in every answer: `{"amount": "12.34", "currency": "USD"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// Decimal string.
    pub amount: Money,
    /// ISO 4217 code.
    pub currency: String,
}
