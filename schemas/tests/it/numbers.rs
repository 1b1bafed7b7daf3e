//! Money, quantities, ids and instants: text and back.

use proptest::prelude::*;
use rust_decimal::Decimal;
use tollbooth_schemas::{
    AccountId, Money, Quantity,
    decimal::{DecimalError, parse_micros},
    ids::{
        derived_account_id, derived_payment_id, entry_id, is_operation_id, is_purchase_id, parse_entry_id, recharge_id,
    },
    time::{parse_rfc3339_ms, rfc3339},
    usage::parse_structured,
};

use super::examples;

/// The largest `Decimal(18, 6)`: what a column of ClickHouse holds.
const MONEY_MAX: i64 = 999_999_999_999_999_999;
const QUANTITY_MAX: i64 = MONEY_MAX;

fn account_ids() -> impl Strategy<Value = String> {
    "acc_[A-Za-z0-9_-]{1,64}"
}

proptest! {
    #[test]
    fn money_reads_back(micros in -MONEY_MAX..=MONEY_MAX) {
        let money = Money::from_micros(micros).unwrap();
        let text = money.to_string();
        prop_assert_eq!(text.parse::<Money>(), Ok(money));
        prop_assert_eq!(text.parse::<Decimal>().unwrap(), Decimal::new(micros, 6));
        let places = text.split_once('.').unwrap().1;
        prop_assert!((2..=6).contains(&places.len()), "{}", text);
        prop_assert!(places.len() == 2 || !places.ends_with('0'), "{}", text);
        prop_assert_eq!(serde_json::to_value(money).unwrap(), text);
    }

    #[test]
    fn money_beyond_its_bound_is_refused(beyond in 1_i64..=i64::MAX - MONEY_MAX) {
        prop_assert_eq!(Money::from_micros(MONEY_MAX + beyond), None);
        prop_assert_eq!(Money::from_micros(-MONEY_MAX - beyond), None);
        let text = Decimal::new(MONEY_MAX + beyond, 6).to_string();
        prop_assert_eq!(text.parse::<Money>(), Err(DecimalError::Range));
        prop_assert_eq!(format!("-{text}").parse::<Money>(), Err(DecimalError::Range));
    }

    #[test]
    fn money_adds_as_integers_do(a in -MONEY_MAX..=MONEY_MAX, b in -MONEY_MAX..=MONEY_MAX) {
        let [left, right] = [a, b].map(|micros| Money::from_micros(micros).unwrap());
        let bounded = |sum: i128| i64::try_from(sum).ok().and_then(Money::from_micros);
        prop_assert_eq!(left.checked_add(right), bounded(i128::from(a) + i128::from(b)));
        prop_assert_eq!(left.checked_sub(right), bounded(i128::from(a) - i128::from(b)));
        prop_assert_eq!(left.negated().negated(), left);
        prop_assert_eq!(left.is_negative(), a < 0);
    }

    #[test]
    fn a_quantity_reads_back(micros in 0..=QUANTITY_MAX) {
        let quantity = Quantity::from_micros(micros).unwrap();
        let text = quantity.to_string();
        prop_assert_eq!(text.parse::<Quantity>(), Ok(quantity));
        prop_assert!(!text.contains('.') || !text.ends_with('0'), "{}", text);
    }

    #[test]
    fn a_quantity_below_zero_or_beyond_its_bound_is_refused(micros in 1..=i64::MAX - QUANTITY_MAX) {
        prop_assert_eq!(Quantity::from_micros(-micros), None);
        prop_assert_eq!(Quantity::from_micros(QUANTITY_MAX + micros), None);
        let text = Decimal::new(-micros, 6).to_string();
        prop_assert_eq!(text.parse::<Quantity>(), Err(DecimalError::Range));
    }

    #[test]
    fn only_plain_decimals_are_numbers(text in "[-+.0-9eE_ ]{0,12}") {
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_plain = all_digits(whole) && fraction.is_none_or(|fraction| all_digits(fraction) && fraction.len() <= 6);
        prop_assert_eq!(parse_micros(&text).is_ok(), is_plain, "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}") {
        // No panic on whatever comes in.
        let read = (text.parse::<Money>().is_ok(), text.parse::<Quantity>().is_ok(), text.parse::<AccountId>().is_ok());
        prop_assert!(text.is_ascii() || read == (false, false, false));
        let id = parse_entry_id(&text);
        prop_assert!(id.is_none() || text.starts_with("ent_acc_"));
    }

    #[test]
    fn an_entry_id_reads_back(account in account_ids(), seq in 1..=u64::MAX) {
        let text = entry_id(&account, seq);
        let (found, number) = parse_entry_id(&text).unwrap();
        prop_assert_eq!((found.as_str(), number), (account.as_str(), seq));
        // No other text is read as the same entry.
        let padded = format!("ent_{account}_0{seq}");
        prop_assert!(parse_entry_id(&padded).is_none(), "{}", padded);
    }

    #[test]
    fn an_account_id_is_what_the_pattern_says(text in "(acc|evt)?_?[a-z0-9_ -]{0,70}") {
        let schema = schemars::schema_for!(AccountId).to_value();
        let matches = jsonschema::is_valid(&schema, &text.as_str().into());
        prop_assert_eq!(text.parse::<AccountId>().is_ok(), matches, "{}", text);
    }

    #[test]
    fn a_derived_account_id_is_one_and_the_same(actor in ".{0,20}", key in ".{0,20}") {
        let id = derived_account_id(&actor, &key);
        prop_assert_eq!(&id, &derived_account_id(&actor, &key));
        prop_assert!(id.as_str().parse::<AccountId>().is_ok());
        prop_assert_ne!(id, derived_account_id(&actor, &format!("{key}!")));
    }

    #[test]
    fn an_instant_reads_back(ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
        prop_assert_eq!(parse_rfc3339_ms(&rfc3339(ms)), Some(ms));
    }

    #[test]
    fn a_missing_operation_id_is_derived_one_to_one(
        source in "/[a-z#]{1,6}", id in "[a-z#]{1,6}", other_source in "/[a-z#]{1,6}", other_id in "[a-z#]{1,6}",
    ) {
        let operation = |source: &str, id: &str| {
            let event = examples::EVENT_SMALL.replace("b17-000043", id).replace("/booths/bth_17", source);
            parse_structured(event.as_bytes()).unwrap().operation_id.to_string()
        };
        let (first, second) = (operation(&source, &id), operation(&other_source, &other_id));
        prop_assert!(is_operation_id(&first));
        prop_assert_eq!(first == second, (source, id) == (other_source, other_id));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_structured(&bytes).is_err());
    }
}

#[test]
fn the_bounds_themselves() {
    for (text, expected) in [
        ("999999999999.999999", Ok(MONEY_MAX)),
        ("-999999999999.999999", Ok(-MONEY_MAX)),
        ("1000000000000", Err(DecimalError::Range)),
        ("99999999999999999999", Err(DecimalError::Range)),
        ("0", Ok(0)),
        ("-0", Ok(0)),
        ("007.10", Ok(7_100_000)),
        ("1.", Err(DecimalError::Syntax)),
        (".5", Err(DecimalError::Syntax)),
        ("", Err(DecimalError::Syntax)),
        ("-", Err(DecimalError::Syntax)),
        ("1.0000000", Err(DecimalError::Syntax)),
        ("١", Err(DecimalError::Syntax)),
    ] {
        assert_eq!(text.parse::<Money>().map(Money::micros), expected, "{text:?}");
    }
    assert_eq!("999999999999.999999".parse::<Quantity>().map(Quantity::micros), Ok(QUANTITY_MAX));
    assert_eq!("1000000000000".parse::<Quantity>(), Err(DecimalError::Range));
    assert_eq!(Money::MAX.micros(), MONEY_MAX);
    assert_eq!(Quantity::MAX.micros(), QUANTITY_MAX);
}

#[test]
fn a_number_in_json_is_no_money() {
    assert!(serde_json::from_str::<Money>("12.34").is_err());
    assert!(serde_json::from_str::<Money>("\"12.34\"").is_ok());
}

#[test]
fn an_operation_id_is_1_to_128_printable_characters() {
    for (text, expected) in [
        (String::new(), false),
        ("a".repeat(128), true),
        ("a".repeat(129), false),
        ("ä".repeat(128), true),
        ("ä".repeat(129), false),
        ("a\nb".to_owned(), false),
        ("a\u{85}b".to_owned(), false),
        ("op 7#/".to_owned(), true),
    ] {
        assert_eq!(is_operation_id(&text), expected, "{text:?}");
    }
}

#[test]
fn a_purchases_id_is_told_from_what_is_none() {
    let id = derived_payment_id(&"acc_luna".parse().unwrap(), "k");
    assert!(is_purchase_id(&id), "{id}");
    let longer = format!("{id}0");
    for text in
        ["", "pay_", "pay_1", &recharge_id("acc_luna", 7), &longer, &id.to_uppercase(), "pay_' OR status:'succeeded'"]
    {
        assert!(!is_purchase_id(text), "{text}");
    }
}

#[test]
fn an_instant_that_could_not_be_written_is_none() {
    assert_eq!(parse_rfc3339_ms("9999-12-31T23:59:59.999Z"), Some(253_402_300_799_999));
    assert_eq!(parse_rfc3339_ms("0000-01-01T00:00:00Z"), Some(-62_167_219_200_000));
    for text in ["9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00+00:01"] {
        assert_eq!(parse_rfc3339_ms(text), None, "{text}");
    }
}
