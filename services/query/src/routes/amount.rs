//! Money in answers.

use std::fmt;

use serde::{Serialize, Serializer};

const SCALE: u128 = 1_000_000;
const PLACES: usize = 6;
const PLACES_MIN: usize = 2;

/// `{"amount": "12.34", "currency": "USD"}`.
///
/// The ledger keeps every single amount within 10^18 micro-units; a sum of many has no such bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AmountBody {
    amount: Micros,
    currency: String,
}

impl AmountBody {
    pub(super) fn new(micros: i128, currency: &str) -> Self {
        Self { amount: Micros(micros), currency: currency.to_owned() }
    }
}

/// Written as [`tollbooth_schemas::Money`] is: 2 to 6 places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Micros(i128);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, mut fraction, mut places) = (magnitude / SCALE, magnitude % SCALE, PLACES);
        while places > PLACES_MIN && fraction.is_multiple_of(10) {
            fraction /= 10;
            places -= 1;
        }
        write!(f, "{sign}{whole}.{fraction:0places$}")
    }
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
        let body = AmountBody::new(-1_999_999_999_999_999_998, "USD");
        let expected = serde_json::json!({"amount": "-1999999999999.999998", "currency": "USD"});
        assert_eq!(serde_json::to_value(body).unwrap(), expected);
        assert_eq!(Micros(1_000_000_000_000_500_000).to_string(), "1000000000000.50");
        assert_eq!(Micros(i128::MIN).to_string(), "-170141183460469231731687303715884.105728");
        assert_eq!(Micros(0).to_string(), "0.00");
    }
}
