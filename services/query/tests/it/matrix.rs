//! Every route against every kind of key, from the OpenAPI document: one that is new fails until it has a row here.

use tollbooth_query::openapi::DOCUMENT;
use tollbooth_schemas::keys::{ApiKey, KeyKind};

use crate::documented::filled;
use crate::stand::{Ledger, Query, Stand, until};

/// What a route lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Everybody.
    Public,
    /// The account's key and an admin's.
    Account,
    /// An admin's key.
    Admin,
}

const DOORS: &[(&str, Door)] = &[
    ("/docs", Door::Public),
    ("/openapi.json", Door::Public),
    ("/v1/accounts/{account_id}", Door::Account),
    ("/v1/accounts/{account_id}/balance", Door::Account),
    ("/v1/accounts/{account_id}/events/{event_id}/transactions", Door::Account),
    ("/v1/accounts/{account_id}/events/{event_id}/usage", Door::Account),
    ("/v1/accounts/{account_id}/recharge", Door::Account),
    ("/v1/accounts/{account_id}/stream", Door::Account),
    ("/v1/accounts/{account_id}/summary", Door::Account),
    ("/v1/accounts/{account_id}/transactions", Door::Account),
    ("/v1/accounts/{account_id}/transactions.csv", Door::Account),
    ("/v1/accounts/{account_id}/transactions/{entry_id}", Door::Account),
    ("/v1/accounts/{account_id}/usage", Door::Account),
    ("/v1/fleet/usage", Door::Admin),
    ("/v1/price-books", Door::Public),
    ("/v1/price-books/current", Door::Public),
    ("/v1/price-books/{version}", Door::Public),
    ("/v1/services", Door::Public),
];

/// Every kind of key, and what it gets behind each door.
fn expected(key: &str, door: Door) -> u16 {
    match (door, key) {
        (Door::Public, _) | (Door::Account, "own" | "admin" | "root") | (Door::Admin, "admin" | "root") => 200,
        (_, "none" | "malformed" | "unknown" | "revoked" | "other scheme") => 401,
        (Door::Account, "foreign") => 404,
        (Door::Account, "booth") | (Door::Admin, "own" | "foreign" | "booth") => 403,
        other => panic!("{other:?}"),
    }
}

async fn status(query: &Query, path: &str, authorization: Option<&str>) -> u16 {
    let mut request = reqwest::Client::new().get(format!("{}{path}", query.url));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    // given an account, a price book, and a key of every kind
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    stand.post(&Ledger::open("acc_sol").records);
    stand.publish(&stand.topics.price_book(), "1", include_bytes!("../../../../deploy/local/price-book.json"));
    let bearer = |key: &ApiKey| Some(format!("Bearer {}", key.reveal()));
    let revoked = stand.issue(KeyKind::Account, "acc_luna", 5);
    let keys = [
        ("none", None),
        ("malformed", Some("Bearer tb_sk_live_nonsense".to_owned())),
        ("unknown", bearer(&ApiKey::generate(KeyKind::Account, false, &[77; 64]).unwrap())),
        ("other scheme", Some(format!("Basic {}", stand.admin_key.reveal()))),
        ("booth", bearer(&stand.issue(KeyKind::Booth, "acc_luna", 1))),
        ("foreign", bearer(&stand.issue(KeyKind::Account, "acc_sol", 2))),
        ("own", bearer(&stand.issue(KeyKind::Account, "acc_luna", 3))),
        ("admin", bearer(&stand.issue(KeyKind::Admin, "acc_luna", 4))),
        ("root", bearer(&stand.admin_key)),
        ("revoked", bearer(&revoked)),
    ];
    stand.revoke(KeyKind::Account, "acc_luna", 5);
    let query = stand.query().await;
    let balance = "/v1/accounts/acc_luna/balance";
    let known = async || status(&query, balance, bearer(&revoked).as_deref()).await == 401;
    until("the keys are known", known).await;
    until("the prices are known", async || status(&query, "/v1/services", None).await == 200).await;

    for (path, _) in DOCUMENT.operations() {
        let (_, door) = DOORS.iter().find(|(known, _)| *known == path).unwrap_or_else(|| panic!("{path} has no row"));
        for (name, authorization) in &keys {
            // when
            let found = status(&query, &filled(path), authorization.as_deref()).await;

            // then
            assert_eq!(found, expected(name, *door), "{path} with {name}");
        }
    }
    assert_eq!(DOORS.len(), DOCUMENT.operations().count(), "a row has no route");
}
