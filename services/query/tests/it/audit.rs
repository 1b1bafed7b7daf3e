//! The audit trail as it is read.

use std::time::Duration;

use serde_json::{Value, json};
use tollbooth_schemas::keys::KeyKind;

use crate::query::Query;
use crate::stand::{Ledger, Stand, until};

/// Both records of an action as ingest writes them.
fn started(id: &str, actor: &str, action: &str, account: &str) -> Value {
    json!({"phase": "started", "audit_id": id, "actor": {"key_id": actor, "kind": "admin"}, "action": action,
           "account_id": account, "resource": "evt_1", "idempotency_key": "k-1", "request_id": "req-1"})
}

fn ended(id: &str, outcome: &str) -> Value {
    json!({"phase": "ended", "audit_id": id, "outcome": outcome, "status": 200, "entry_id": "ent_acc_luna_7"})
}

fn write(stand: &Stand, record: &Value) {
    stand.publish(&stand.topics.audit(), record["audit_id"].as_str().unwrap(), record.to_string().as_bytes());
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

/// Every id, over all pages.
async fn all(query: &Query, filter: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = query.ok(&format!("/v1/audit?{filter}{cursor}")).await;
        found.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_one_row_with_its_end_wherever_a_page_begins() {
    // given 40 actions that overlap: each ends when the next three have begun, and the last ones have no end yet
    let stand = Stand::new().await;
    for number in 0..40 {
        let actor = if number % 2 == 0 { "key_even" } else { "key_odd" };
        let account = if number % 10 == 0 { "acc_sol" } else { "acc_luna" };
        let action = if number == 5 { "refund" } else { "post_adjustment" };
        write(&stand, &started(&format!("aud_{number}"), actor, action, account));
        if number >= 3 {
            let outcome = if number == 8 { "refused" } else { "succeeded" };
            write(&stand, &ended(&format!("aud_{}", number - 3), outcome));
        }
    }
    let query = stand.query().await;

    // when
    let newest = query.ok("/v1/audit?limit=4").await;

    // then the newest come first, and what is under way says so
    assert_eq!(ids(&newest), ["aud_39", "aud_38", "aud_37", "aud_36"]);
    let outcomes: Vec<&Value> = newest["data"].as_array().unwrap().iter().map(|row| &row["outcome"]).collect();
    assert_eq!(outcomes, ["started", "started", "started", "succeeded"]);
    let row = &newest["data"][3];
    let expected = json!({
        "id": "aud_36", "at": row["at"], "actor": {"key_id": "key_even", "kind": "admin"}, "action": "post_adjustment",
        "account_id": "acc_luna", "resource": "evt_1", "outcome": "succeeded", "status": 200, "code": null,
        "entry_id": "ent_acc_luna_7", "ended_at": row["ended_at"], "idempotency_key": "k-1", "request_id": "req-1",
    });
    assert_eq!(*row, expected);
    assert!(row["ended_at"].as_str().unwrap() >= row["at"].as_str().unwrap());

    // and page by page each is there once with its own end, also where that lies on the page before
    for limit in [1, 3, 7] {
        let mut cursor = String::new();
        let mut expected = (0..40).rev();
        loop {
            let page = query.ok(&format!("/v1/audit?limit={limit}{cursor}")).await;
            for row in page["data"].as_array().unwrap() {
                let number = expected.next().unwrap();
                let outcome = if number >= 37 {
                    "started"
                } else if number == 5 {
                    "refused"
                } else {
                    "succeeded"
                };
                assert_eq!((&row["id"], &row["outcome"]), (&json!(format!("aud_{number}")), &json!(outcome)));
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(expected.next(), None, "limit {limit}");
    }

    // and filters narrow
    let of = |numbers: &[i32]| numbers.iter().map(|number| format!("aud_{number}")).collect::<Vec<_>>();
    assert_eq!(all(&query, "account_id=acc_sol&limit=2").await, of(&[30, 20, 10, 0]));
    assert_eq!(all(&query, "action=refund").await, of(&[5]));
    assert_eq!(all(&query, "actor=key_odd&limit=9").await.len(), 20);
    assert_eq!(all(&query, "actor=key_odd&account_id=acc_sol").await, of(&[]));
    let cursor = newest["next_cursor"].as_str().unwrap();
    for wrong in ["from=x", "from=2026-02-01&to=2026-01-01", "cursor=x", &format!("actor=key_odd&cursor={cursor}")] {
        assert_eq!(query.get(&format!("/v1/audit?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_has_what_was_begun_in_it_with_ends_behind_it() {
    // given actions before and behind an instant, one of which ends behind it
    let stand = Stand::new().await;
    let query = stand.query().await;
    write(&stand, &started("aud_1", "key_1", "refund", "acc_luna"));
    write(&stand, &started("aud_2", "key_1", "refund", "acc_luna"));
    let newest = async || query.ok("/v1/audit").await["data"][0].clone();
    let second_at = newest().await["at"].as_str().unwrap().to_owned();
    // The broker's clock has milliseconds: what comes now must have another one.
    let mut third = 3;
    loop {
        write(&stand, &started(&format!("aud_{third}"), "key_1", "refund", "acc_luna"));
        if newest().await["at"].as_str().unwrap() > second_at.as_str() {
            break;
        }
        third += 1;
        assert!(third < 1_000, "the broker's clock stands still");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let third_at = newest().await["at"].as_str().unwrap().to_owned();
    write(&stand, &ended("aud_2", "succeeded"));

    // when
    let before = query.ok(&format!("/v1/audit?to={third_at}")).await;
    let behind = query.ok(&format!("/v1/audit?from={third_at}")).await;

    // then
    assert_eq!(ids(&behind), [format!("aud_{third}")]);
    assert_eq!(before["data"].as_array().unwrap().len(), usize::try_from(third).unwrap() - 1);
    let second = before["data"].as_array().unwrap().iter().find(|row| row["id"] == "aud_2").unwrap();
    assert_eq!(second["outcome"], "succeeded", "its end lies behind the range");
    assert_eq!(all(&query, "from=2000-01-01&to=2001-01-01").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_token_stands_in_the_trail_before_it_is_given_away() {
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let query = stand.query().await;
    let balance = "/v1/accounts/acc_luna/balance";
    until("the key is known", async || query.get_with(balance, Some(key.reveal())).await.status == 200).await;
    let bearer = format!("Bearer {}", key.reveal());
    let make = async |query: &Query| {
        let headers = [("authorization", bearer.as_str()), ("x-request-id", "req-9")];
        let body = json!({"ttl_s": 600, "event_id": "evt_gala"});
        query.change("POST", "/v1/portal-tokens", &headers, &body).await
    };

    // when a token is made
    let made = make(&query).await;
    assert_eq!(made.status, 201, "{}", made.body);

    // then the trail says so, and not what it is
    let page = query.ok("/v1/audit").await;
    let row = &page["data"][0];
    assert_eq!(
        (ids(&page).len(), &row["action"], &row["outcome"]),
        (1, &json!("create_portal_token"), &json!("succeeded"))
    );
    assert_eq!(row["actor"], json!({"key_id": "key_1", "kind": "account"}));
    assert_eq!((&row["account_id"], &row["resource"]), (&json!("acc_luna"), &json!("evt_gala")));
    assert_eq!((&row["request_id"], &row["status"]), (&json!("req-9"), &json!(201)));
    assert!(!page.to_string().contains(made.body["token"].as_str().unwrap()));

    // when the trail cannot be written, then there is no token
    stand.delete_topic(&stand.topics.audit()).await;
    let refused = make(&query).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (503, &json!("unavailable")));
    assert!(refused.body.get("token").is_none());
}
