//! Money and quantities in answers.

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

const SCALE: u128 = 1_000_000;
const PLACES: usize = 6;
const PLACES_MIN: usize = 2;

/// `{"amount": "12.34", "currency": "USD"}`.
///
/// The ledger keeps every single amount within 10^18 micro-units; a sum of many has no such bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Amount)]
pub(crate) struct AmountBody {
    /// Decimal string with 2 to 6 places, never a number.
    #[schema(value_type = String, pattern = r"^-?\d+\.\d{2,6}$", examples("12.34"))]
    amount: Micros,
    /// ISO 4217.
    #[schema(examples("USD"))]
    currency: String,
}

impl AmountBody {
    pub(crate) fn new(micros: impl Into<i128>, currency: &str) -> Self {
        Self { amount: Micros(micros.into()), currency: currency.to_owned() }
    }
}

/// Written as [`tollbooth_schemas::Money`] is: 2 to 6 places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Micros(pub(crate) i128);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_micros(self.0, PLACES_MIN, f)
    }
}

/// A quantity, as [`tollbooth_schemas::Quantity`] is written: up to 6 places, none where it is whole. A sum net of
/// reversals may be below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuantityText(pub(crate) i128);

impl fmt::Display for QuantityText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_micros(self.0, 0, f)
    }
}

impl Serialize for QuantityText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes millionths with at least `places_min` places, trailing zeros beyond that trimmed.
fn write_micros(micros: i128, places_min: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let magnitude = micros.unsigned_abs();
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, mut fraction, mut places) = (magnitude / SCALE, magnitude % SCALE, PLACES);
    while places > places_min && fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    if places == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction:0places$}") }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollbooth_schemas::Money;

    use super::*;

    proptest! {
        #[test]
        fn a_sum_is_written_as_a_single_amount_is(micros in -999_999_999_999_999_999_i64..=999_999_999_999_999_999) {
            let money = Money::from_micros(micros).unwrap();
            prop_assert_eq!(Micros(micros.into()).to_string(), money.to_string());
        }
    }

    #[test]
    fn a_sum_has_no_bound() {
        let body = AmountBody::new(-1_999_999_999_999_999_998_i128, "USD");
        let expected = serde_json::json!({"amount": "-1999999999999.999998", "currency": "USD"});
        assert_eq!(serde_json::to_value(body).unwrap(), expected);
        assert_eq!(Micros(1_000_000_000_000_500_000).to_string(), "1000000000000.50");
        assert_eq!(Micros(i128::MIN).to_string(), "-170141183460469231731687303715884.105728");
        assert_eq!(Micros(0).to_string(), "0.00");
        for (micros, text) in [(5_000_000, "5"), (2_500_000, "2.5"), (-1, "-0.000001"), (0, "0")] {
            assert_eq!(QuantityText(micros).to_string(), text);
        }
    }
}
