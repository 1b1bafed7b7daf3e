//! Amounts in a currency's smallest unit, as Stripe counts them: <https://docs.stripe.com/currencies>.

use tollbooth_schemas::{Amount, Money};

const MICROS: i64 = 1_000_000;
/// Stripe takes no amount of more than eight digits.
const MINOR_MAX: i64 = 99_999_999;

/// No smaller unit: an amount is whole.
const WHOLE: &[&str] =
    &["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
/// Counted in hundredths, and whole all the same.
const WHOLE_IN_HUNDREDTHS: &[&str] = &["ISK", "UGX"];
/// Counted in thousandths, of which the last digit must be 0.
const IN_THOUSANDTHS: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];

/// How many to the unit, and of how many an amount must be a multiple.
fn units_of(currency: &str) -> (i64, i64) {
    let currency = currency.to_ascii_uppercase();
    let is_of = |list: &[&str]| list.contains(&currency.as_str());
    if is_of(WHOLE) {
        (1, 1)
    } else if is_of(WHOLE_IN_HUNDREDTHS) {
        (100, 100)
    } else if is_of(IN_THOUSANDTHS) {
        (1_000, 10)
    } else {
        (100, 1)
    }
}

/// What Stripe says, as an amount above zero.
pub(crate) fn amount_of(minor: i64, currency: &str) -> Option<Money> {
    let (per_unit, _) = units_of(currency);
    Money::from_micros(minor.checked_mul(MICROS / per_unit)?).filter(|amount| *amount > Money::ZERO)
}

/// An amount as Stripe takes it; `None` where it takes none like it. Exact: nothing is ever rounded.
pub(crate) fn minor_units(amount: &Amount) -> Option<i64> {
    let (per_unit, step) = units_of(&amount.currency);
    let micros = amount.amount.micros();
    let micros_per_minor = MICROS / per_unit;
    let minor = micros / micros_per_minor;
    let is_exact = micros % micros_per_minor == 0 && minor % step == 0;
    (is_exact && amount.amount > Money::ZERO && minor <= MINOR_MAX).then_some(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(amount: &str, currency: &str) -> Option<i64> {
        minor_units(&Amount { amount: amount.parse().unwrap(), currency: currency.to_owned() })
    }

    #[test]
    fn an_amount_is_exact_in_the_currencys_smallest_unit_or_not_taken() {
        for (amount, currency, expected) in [
            ("50.00", "USD", Some(5_000)),
            ("50.01", "EUR", Some(5_001)),
            ("0.01", "usd", Some(1)),
            ("50.001", "USD", None),
            ("0", "USD", None),
            ("-1", "USD", None),
            ("999999.99", "USD", Some(99_999_999)),
            ("1000000", "USD", None),
            ("500", "JPY", Some(500)),
            ("500.50", "JPY", None),
            ("99999999", "KRW", Some(99_999_999)),
            ("5", "ISK", Some(500)),
            ("5.50", "ISK", None),
            ("5", "UGX", Some(500)),
            ("5.12", "KWD", Some(5_120)),
            ("5.124", "KWD", None),
        ] {
            assert_eq!(minor(amount, currency), expected, "{amount} {currency}");
            if let Some(minor) = expected {
                assert_eq!(amount_of(minor, currency), Some(amount.parse().unwrap()), "{amount} {currency}");
            }
        }
        assert_eq!((amount_of(0, "USD"), amount_of(-1, "USD"), amount_of(i64::MAX, "JPY")), (None, None, None));
    }
}
