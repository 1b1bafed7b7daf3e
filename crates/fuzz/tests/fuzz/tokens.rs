//! Cursors and sealed texts, as they come back from whoever was given them.

use axum::http::{HeaderMap, HeaderValue, header};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::forward::Forwarding;
use tollbooth_fuzz::fuzz;
use tollbooth_query::access::portal::{Claims, Portal};
use tollbooth_query::access::session::{COOKIE, Sessions};
use tollbooth_query::activity::Cursor;
use tollbooth_query::config::SessionSection;
use tollbooth_query::cursor::List;
use tollbooth_schemas::keys::KeyKind;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW_MS: i64 = 1_700_000_000_000;

fn principal() -> Principal {
    Principal {
        key_id: "key_1".parse().unwrap(),
        kind: KeyKind::Account,
        account_id: Some("acc_luna".parse().unwrap()),
        booth_id: None,
        scopes: Vec::new(),
        is_test: false,
        line: "key_1".parse().unwrap(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_cursor_that_is_taken_is_one_that_was_given() {
    let fingerprint = *b"a list..";
    let cursor = |before_seq| Cursor { before_seq, posted_at_ms: NOW_MS, fingerprint }.encode();
    let list = List::of(&["events", "acc_luna", ""]);
    let seeds = [cursor(1), cursor(u64::MAX), list.cursor("1700 evt_gala"), list.cursor("")];
    fuzz("cursor", seeds.map(String::into_bytes).to_vec(), &["A", "_", "-", "=", "+", "/", " "], |bytes| {
        let text = text(bytes);
        if let Ok(cursor) = Cursor::decode(&text, fingerprint) {
            assert_eq!(cursor.encode(), text);
        }
        if let Ok(position) = list.position(&text) {
            assert_eq!(list.cursor(&position), text);
        }
    });
}

#[test]
fn nothing_but_what_was_sealed_is_opened() {
    let (portal, forwarding) = (Portal::new(SECRET).unwrap(), Forwarding::new(SECRET).unwrap());
    let claims = Claims {
        key_id: "key_1".parse().unwrap(),
        mark: "mark".to_owned(),
        account_id: "acc_luna".parse().unwrap(),
        event_id: None,
        expires_at_ms: NOW_MS + 1,
    };
    let settings = SessionSection::default();
    let sessions = Sessions::new(SECRET, &settings).unwrap();
    let (_, cookie) = sessions.begin(&principal(), "mark", NOW_MS).unwrap();
    let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let session = cookie.split_once('=').unwrap().1.to_owned();
    let token = portal.make(&claims).unwrap();
    let forward = forwarding.token(&principal(), "mark", NOW_MS).unwrap();
    let seeds = [&cookie, &token, &forward, &session].map(|seed| seed.as_bytes().to_vec());
    let words = ["tbp1.", "tbf1.", ".", "=", "; ", "\"", "A", "tollbooth_session="];
    fuzz("token", seeds.to_vec(), &words, |bytes| {
        let text = text(bytes);
        // One purpose's text is none of another's, whatever stands around it.
        assert_eq!(portal.read(&text, NOW_MS).is_ok(), text == token, "{text}");
        assert_eq!(forwarding.read(&text, NOW_MS).is_ok(), text == forward, "{text}");
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
        let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
        if sessions.read(&headers, NOW_MS).is_some() {
            let has_it = text.split(';').any(|pair| pair.trim() == format!("{COOKIE}={session}"));
            assert!(has_it, "{text}");
        }
    });
}
