//! API keys: made, read, and never read with a mistyped character.

use proptest::prelude::*;
use tollbooth_schemas::keys::{ApiKey, KeyError, KeyKind, PATTERN, RANDOM_BYTES};

fn kinds() -> impl Strategy<Value = KeyKind> {
    prop_oneof![Just(KeyKind::Booth), Just(KeyKind::Account), Just(KeyKind::Admin)]
}

fn chance() -> impl Strategy<Value = [u8; RANDOM_BYTES]> {
    proptest::collection::vec(any::<u8>(), RANDOM_BYTES).prop_map(|bytes| bytes.try_into().unwrap())
}

fn keys() -> impl Strategy<Value = ApiKey> {
    (kinds(), any::<bool>(), chance())
        .prop_filter_map("too many bytes skipped", |(kind, test, chance)| ApiKey::generate(kind, test, &chance))
}

proptest! {
    #[test]
    fn a_key_reads_back(key in keys()) {
        let read = ApiKey::parse(key.reveal()).unwrap();
        prop_assert_eq!(read.kind(), key.kind());
        prop_assert_eq!(read.is_test(), key.is_test());
        prop_assert_eq!(read.hash(), key.hash());
        prop_assert_eq!(key.reveal().len(), "tb_bk_live_".len() + 36);
        let schema = serde_json::json!({"type": "string", "pattern": format!("^{PATTERN}$")});
        prop_assert!(jsonschema::is_valid(&schema, &key.reveal().into()));
    }

    #[test]
    fn one_wrong_character_is_always_caught(key in keys(), at in 0_usize..47, wrong in proptest::char::range('!', '~')) {
        let mut text: Vec<char> = key.reveal().chars().collect();
        prop_assume!(text[at] != wrong);
        text[at] = wrong;
        let text: String = text.into_iter().collect();
        prop_assert!(ApiKey::parse(&text).is_err(), "{}", text);
    }

    #[test]
    fn two_characters_exchanged_are_caught(key in keys(), at in 11_usize..46) {
        let mut text: Vec<char> = key.reveal().chars().collect();
        prop_assume!(text[at] != text[at + 1]);
        text.swap(at, at + 1);
        let text: String = text.into_iter().collect();
        prop_assert_eq!(ApiKey::parse(&text), Err(KeyError::Checksum));
    }

    #[test]
    fn a_key_that_was_cut_is_no_key(key in keys(), length in 0_usize..47) {
        prop_assert_eq!(ApiKey::parse(&key.reveal()[..length]), Err(KeyError::Form));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,64}") {
        // No panic, and what is read is what was given.
        if let Ok(key) = ApiKey::parse(&text) {
            prop_assert_eq!(key.reveal(), text);
        }
    }

    #[test]
    fn debug_shows_no_secret(key in keys()) {
        let shown = format!("{key:?}");
        prop_assert!(!shown.contains(&key.reveal()["tb_bk_live_".len()..43]), "{}", shown);
    }
}

#[test]
fn bytes_that_would_be_unfair_are_skipped() {
    // given chance that has too few usable bytes
    assert!(ApiKey::generate(KeyKind::Admin, true, &[255; RANDOM_BYTES]).is_none());
    // and chance that has just enough
    let mut chance = [255; RANDOM_BYTES];
    chance[RANDOM_BYTES - 30..].fill(61);
    let key = ApiKey::generate(KeyKind::Admin, true, &chance).unwrap();
    assert!(key.reveal().starts_with(&format!("tb_ak_test_{}", "z".repeat(30))));
}
