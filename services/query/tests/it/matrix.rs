//! Every route against every kind of key, from the OpenAPI document: one that is new fails until it has a row here.

use serde_json::{Value, json};
use tollbooth_query::openapi::DOCUMENT;
use tollbooth_schemas::keys::{ApiKey, KeyDocument, KeyKind, Scope};

use crate::documented::filled;
use crate::query::Session;
use crate::stand::{BASE_MS, Ledger, Query, Stand, until};

/// What a route lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Everybody.
    Public,
    /// The account's key and an admin's.
    Account,
    /// The same, and a token of that event.
    Event,
    /// An admin's key.
    Admin,
    /// Who signed in.
    Session,
    /// An account's key and an admin's, each of which sees its own.
    Keys,
}

const DOORS: &[(&str, Door)] = &[
    ("/docs", Door::Public),
    ("/openapi.json", Door::Public),
    ("/v1/accounts", Door::Admin),
    ("/v1/accounts/{account_id}", Door::Account),
    ("/v1/accounts/{account_id}/booths", Door::Account),
    ("/v1/accounts/{account_id}/events", Door::Account),
    ("/v1/accounts/{account_id}/events/{event_id}", Door::Event),
    ("/v1/accounts/{account_id}/events/{event_id}/estimate", Door::Account),
    ("/v1/accounts/{account_id}/forecast", Door::Account),
    ("/v1/dead-letters", Door::Admin),
    ("/v1/dead-letters/{letter_id}", Door::Admin),
    ("/v1/accounts/{account_id}/balance", Door::Account),
    ("/v1/accounts/{account_id}/events/{event_id}/transactions", Door::Account),
    ("/v1/accounts/{account_id}/events/{event_id}/usage", Door::Event),
    ("/v1/accounts/{account_id}/recharge", Door::Account),
    ("/v1/accounts/{account_id}/alerts", Door::Account),
    ("/v1/accounts/{account_id}/stream", Door::Account),
    ("/v1/accounts/{account_id}/summary", Door::Account),
    ("/v1/accounts/{account_id}/transactions", Door::Account),
    ("/v1/accounts/{account_id}/transactions.csv", Door::Account),
    ("/v1/accounts/{account_id}/transactions/{entry_id}", Door::Account),
    ("/v1/accounts/{account_id}/usage", Door::Account),
    ("/v1/fleet/drift", Door::Admin),
    ("/v1/fleet/usage", Door::Admin),
    ("/v1/audit", Door::Admin),
    ("/v1/keys", Door::Keys),
    ("/v1/price-books", Door::Public),
    ("/v1/price-books/current", Door::Public),
    ("/v1/price-books/{version}", Door::Public),
    ("/v1/services", Door::Public),
    ("/v1/session", Door::Session),
];

/// Every kind of key, and what it gets behind each door.
fn expected(key: &str, door: Door) -> u16 {
    match (door, key) {
        (Door::Public, _)
        | (
            Door::Account | Door::Event,
            "own" | "admin" | "root" | "own session" | "admin session" | "own token" | "admin token",
        )
        | (Door::Event, "event token")
        | (Door::Admin, "admin" | "root" | "admin session")
        | (Door::Keys, "own" | "foreign" | "admin" | "root" | "own session" | "foreign session" | "admin session")
        | (Door::Session, "own session" | "foreign session" | "admin session") => 200,
        (
            _,
            "none"
            | "forged token"
            | "revoked token"
            | "forged session"
            | "ended session"
            | "revoked session"
            | "session with another scheme",
        )
        | (Door::Session, _) => 401,
        (_, "malformed" | "unknown" | "revoked" | "expired" | "other scheme" | "other header" | "key as cookie") => 401,
        (_, "narrowed" | "narrowed admin") => 403,
        (Door::Account | Door::Event, "foreign" | "foreign session" | "foreign token") => 404,
        (Door::Account | Door::Event, "booth")
        | (Door::Account, "event token")
        | (Door::Admin, "own" | "foreign" | "booth" | "own session" | "foreign session")
        | (Door::Admin, "own token" | "foreign token" | "admin token" | "event token")
        | (Door::Keys, "booth" | "own token" | "foreign token" | "admin token" | "event token") => 403,
        other => panic!("{other:?}"),
    }
}

/// Headers that say who asks.
type Credential = Vec<(&'static str, String)>;

async fn status(query: &Query, path: &str, credential: &[(&'static str, String)]) -> u16 {
    let headers: Vec<(&str, &str)> = credential.iter().map(|(name, value)| (*name, value.as_str())).collect();
    query.raw(path, &headers).await.status().as_u16()
}

fn bearer(text: &str) -> Credential {
    vec![("authorization", format!("Bearer {text}"))]
}

/// Keys of every kind, and a service that knows them.
async fn keys(stand: &Stand) -> (Vec<(&'static str, Credential)>, Query) {
    let revoked = stand.issue(KeyKind::Account, "acc_luna", 5);
    let unknown = ApiKey::generate(KeyKind::Account, false, &[77; 64]).unwrap();
    let with = |kind, seed, adjust: fn(&mut KeyDocument)| stand.issue_with(kind, "acc_luna", seed, adjust);
    let expired = with(KeyKind::Account, 7, |document| document.expires_at = Some(BASE_MS));
    let narrowed = with(KeyKind::Account, 8, |document| document.scopes = vec![Scope::PortalTokens]);
    let cashier = with(KeyKind::Admin, 10, |document| document.scopes = vec![Scope::Money]);
    let mut keys = vec![
        ("none", Vec::new()),
        ("malformed", bearer("tb_sk_live_nonsense")),
        ("unknown", bearer(unknown.reveal())),
        ("other scheme", vec![("authorization", format!("Basic {}", stand.admin_key.reveal()))]),
        ("booth", bearer(stand.issue(KeyKind::Booth, "acc_luna", 1).reveal())),
        ("foreign", bearer(stand.issue(KeyKind::Account, "acc_sol", 2).reveal())),
        ("own", bearer(stand.issue(KeyKind::Account, "acc_luna", 3).reveal())),
        ("admin", bearer(stand.issue(KeyKind::Admin, "acc_luna", 4).reveal())),
        ("root", bearer(stand.admin_key.reveal())),
        ("revoked", bearer(revoked.reveal())),
        ("expired", bearer(expired.reveal())),
        ("narrowed", bearer(narrowed.reveal())),
        ("narrowed admin", bearer(cashier.reveal())),
        ("other header", vec![("x-api-key", stand.admin_key.reveal().to_owned())]),
        ("key as cookie", vec![("cookie", format!("tollbooth_session={}", stand.admin_key.reveal()))]),
    ];
    let signing_in = stand.issue(KeyKind::Account, "acc_luna", 6);
    let mut config = stand.config();
    // All of them try to sign in.
    config.session.failures_per_minute_max = 1_000;
    let query = Query::start(config, &stand.admin_key).await;
    let known = async || status(&query, "/v1/accounts/acc_luna/balance", &bearer(signing_in.reveal())).await == 200;
    until("the keys are known", known).await;
    keys.extend(sessions(stand, &query, &keys, &signing_in).await);
    keys.extend(tokens(stand, &query, &keys, &signing_in).await);
    stand.revoke(KeyKind::Account, "acc_luna", 5);
    stand.revoke(KeyKind::Account, "acc_luna", 6);
    let balance = "/v1/accounts/acc_luna/balance";
    let gone = async || status(&query, balance, &bearer(signing_in.reveal())).await == 401;
    until("the revocations are known", gone).await;
    (keys, query)
}

/// Portal tokens of every kind; that of `signing_in` is to be revoked.
async fn tokens(
    stand: &Stand,
    query: &Query,
    keys: &[(&'static str, Credential)],
    signing_in: &ApiKey,
) -> Vec<(&'static str, Credential)> {
    let make = async |authorization: &str, body: Value| {
        let headers = [("authorization", authorization)];
        let answer = query.change("POST", "/v1/portal-tokens", &headers, &body).await;
        answer.body["token"].as_str().unwrap().to_owned()
    };
    let key_of = |name: &str| keys.iter().find(|(known, _)| *known == name).unwrap().1[0].1.clone();
    let any = json!({"ttl_s": 600});
    let own = make(&key_of("own"), any.clone()).await;
    let event = make(&key_of("own"), json!({"ttl_s": 600, "event_id": "evt_gala"})).await;
    let root = format!("Bearer {}", stand.admin_key.reveal());
    let admin = make(&root, json!({"ttl_s": 600, "account_id": "acc_luna"})).await;
    vec![
        ("forged token", bearer(&own.replace("tbp1.", "tbp1.x"))),
        ("own token", bearer(&own)),
        ("event token", bearer(&event)),
        ("admin token", bearer(&admin)),
        ("foreign token", bearer(&make(&key_of("foreign"), any.clone()).await)),
        ("revoked token", bearer(&make(&format!("Bearer {}", signing_in.reveal()), any).await)),
    ]
}

/// Sessions of every kind; that of `signing_in` is to be revoked.
async fn sessions(
    stand: &Stand,
    query: &Query,
    keys: &[(&'static str, Credential)],
    signing_in: &ApiKey,
) -> Vec<(&'static str, Credential)> {
    let key_of = |name: &str| {
        let (_, credential) = keys.iter().find(|(known, _)| *known == name).unwrap();
        credential[0].1.strip_prefix("Bearer ").unwrap().to_owned()
    };
    let signed_in = |session: &Session| vec![("cookie", session.cookie.clone()), (CSRF, session.csrf.clone())];
    let own = query.sign_in(&key_of("own")).await;
    let ended = query.sign_in(&key_of("own")).await;
    let headers = [("cookie", ended.cookie.as_str()), (CSRF, ended.csrf.as_str())];
    let answer = query.change("DELETE", "/v1/session", &headers, &Value::Null).await;
    assert_eq!(answer.status, 204);
    let forged = own.cookie.replace("tollbooth_session=", "tollbooth_session=x");
    let other_scheme = ("authorization", format!("Basic {}", stand.admin_key.reveal()));
    vec![
        ("own session", signed_in(&own)),
        ("foreign session", signed_in(&query.sign_in(&key_of("foreign")).await)),
        ("admin session", signed_in(&query.sign_in(&key_of("admin")).await)),
        ("revoked session", signed_in(&query.sign_in(signing_in.reveal()).await)),
        ("ended session", signed_in(&ended)),
        ("forged session", vec![("cookie", forged), (CSRF, own.csrf.clone())]),
        ("session with another scheme", vec![("cookie", own.cookie.clone()), other_scheme]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    // given an account, a price book, and a credential of every kind
    let stand = Stand::new().await;
    stand.furnish().await;
    let (keys, query) = keys(&stand).await;
    until("the prices are known", async || status(&query, "/v1/services", &[]).await == 200).await;

    let reads: Vec<&str> =
        DOCUMENT.operations().filter(|(method, ..)| *method == "get").map(|(_, path, _)| path).collect();
    for path in &reads {
        let (_, door) = DOORS.iter().find(|(known, _)| known == path).unwrap_or_else(|| panic!("{path} has no row"));
        for (name, credential) in &keys {
            // when
            let query_string = if path.ends_with("/estimate") { "?guests=1" } else { "" };
            let found = status(&query, &format!("{}{query_string}", filled(path)), credential).await;

            // then
            assert_eq!(found, expected(name, *door), "{path} with {name}");
        }
        // A key in the address would stand in every log on the way: it is no parameter, and lets nobody in.
        let as_parameter = format!("{}?access_token={}", filled(path), stand.admin_key.reveal());
        let found = status(&query, &as_parameter, &[]).await;
        assert!([400, 401].contains(&found), "{found}: {path} with a key in the query");
    }
    assert_eq!(DOORS.len(), reads.len(), "a row has no route");
}

/// What a change does for whom it lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// A token of `acc_luna`, for who reads it; never for another token.
    MintToken,
    /// For an admin.
    Simulate,
    /// For whoever has the key of the body.
    SignIn,
    /// For everybody, of the session that comes with it.
    SignOut,
}

/// Sessions end with the last one.
const CHANGES: [(&str, &str, Change); 4] = [
    ("post", "/v1/portal-tokens", Change::MintToken),
    ("post", "/v1/price-books/{version}/simulate", Change::Simulate),
    ("post", "/v1/session", Change::SignIn),
    ("delete", "/v1/session", Change::SignOut),
];

const CSRF: &str = "x-csrf-token";

/// What a change answers; sessions come with their token, `has_csrf_token`, or without it.
fn expected_of_change(key: &str, change: Change, has_csrf_token: bool) -> u16 {
    let is_session = matches!(key, "own session" | "foreign session" | "admin session");
    match (change, key) {
        // A narrowed key's session does what the key may.
        (Change::SignIn, "own" | "foreign" | "admin" | "root" | "narrowed" | "narrowed admin") => 200,
        (Change::SignIn, "booth") => 403,
        (Change::SignIn, _) => 401,
        _ if is_session && !has_csrf_token => 403,
        (Change::SignOut, _) => 204,
        // What nobody may do is asked for by nobody who is somebody.
        _ if expected(key, Door::Account) == 401 => 401,
        (Change::MintToken, "own" | "admin" | "root" | "own session" | "admin session") => 201,
        (Change::MintToken, "foreign" | "foreign session") => 404,
        (Change::Simulate, "admin" | "root" | "admin session") => 200,
        (Change::MintToken | Change::Simulate, _) => 403,
    }
}

fn body_of(change: Change, credential: &[(&'static str, String)]) -> Value {
    match change {
        Change::MintToken => json!({"account_id": "acc_luna", "ttl_s": 600}),
        Change::Simulate => json!({"work": {
            "service": "ai_image_to_video", "engine": "kling", "unit": "second", "quantity": "5", "plan": "basic"
        }}),
        Change::SignIn => {
            let bearer = credential.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.as_str());
            json!({"key": bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("tb_sk_live_nothing")})
        }
        Change::SignOut => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_lets_in_whom_it_should_and_nobody_else() {
    // given two accounts, a price book, and a credential of every kind
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    stand.post(&Ledger::open("acc_sol").records);
    stand.publish(&stand.topics.price_book(), "1", include_bytes!("../../../../deploy/local/price-book.json"));
    let (keys, query) = keys(&stand).await;
    until("the prices are known", async || status(&query, "/v1/services", &[]).await == 200).await;

    for (method, template, change) in CHANGES {
        for (name, credential) in &keys {
            // A session comes without its token first: who signs out has none afterwards.
            let without: Credential = credential.iter().filter(|(header, _)| *header != CSRF).cloned().collect();
            let tried = [(without.len() < credential.len()).then_some(&without), Some(credential)];
            for credential in tried.into_iter().flatten() {
                let has_csrf_token = credential.iter().any(|(header, _)| *header == CSRF);
                let headers: Vec<(&str, &str)> =
                    credential.iter().map(|(name, value)| (*name, value.as_str())).collect();

                // when
                let (path, body) = (filled(template), body_of(change, credential));
                let answer = query.change(&method.to_uppercase(), &path, &headers, &body).await;

                // then
                let wanted = expected_of_change(name, change, has_csrf_token);
                assert_eq!(
                    answer.status.as_u16(),
                    wanted,
                    "{method} {path} with {name}, {has_csrf_token}: {}",
                    answer.body
                );
            }
        }
    }
    // and who signed out is nobody
    for (name, credential) in keys.iter().filter(|(name, _)| name.ends_with(" session")) {
        assert_eq!(status(&query, "/v1/session", credential).await, 401, "{name}");
    }
}

#[test]
fn every_change_has_a_row() {
    let mut known = CHANGES.map(|(method, path, _)| (method, path));
    known.sort_unstable();
    let mut changes: Vec<(&str, &str)> =
        DOCUMENT.operations().filter(|(method, ..)| *method != "get").map(|(method, path, _)| (method, path)).collect();
    changes.sort_unstable();
    assert_eq!(changes, known);
}
