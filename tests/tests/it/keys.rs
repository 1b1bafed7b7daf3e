//! Keys and the trail of who changed what, over both services and the log between them.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_tests::{Answer, Stack, Victim, usage};

use crate::stage::{PATIENCE, alone, shared};

/// A request to ingest about keys.
fn keys(stack: &Stack, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let url = format!("{}/v1/keys{path}", stack.api.ingest_url());
    let headers = [("content-type", "application/json")];
    stack.api.request(method, &url, None, &headers, body.map(|body| body.to_string().into_bytes()))
}

/// A read at query.
fn read(stack: &Stack, path: &str, key: Option<&str>) -> anyhow::Result<Answer> {
    stack.api.request(Method::GET, &format!("{}{path}", stack.api.query_url()), key, &[], None)
}

/// What the trail has of an account, newest first: action and outcome.
fn trail(stack: &Stack, account: &str) -> anyhow::Result<Vec<(String, String)>> {
    let page = read(stack, &format!("/v1/audit?account_id={account}"), None)?.ok()?;
    let text = |row: &Value, member: &str| row[member].as_str().unwrap_or_default().to_owned();
    Ok(page["data"].as_array().into_iter().flatten().map(|row| (text(row, "action"), text(row, "outcome"))).collect())
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

#[test]
fn a_key_is_made_used_rotated_and_ended_in_both_services() -> anyhow::Result<()> {
    // given an account with a key that reads, and one of a booth
    let stack = shared();
    let account = "acc_keys";
    stack.api.open_account(account, Some("10.00"))?;
    let new = json!({"kind": "account", "account_id": account, "scopes": ["read"], "label": "site"});
    let old = keys(&stack, Method::POST, "", Some(&new))?.ok()?;
    let booth = keys(&stack, Method::POST, "", Some(&json!({"kind": "booth", "account_id": account})))?.ok()?;
    let balance = format!("/v1/accounts/{account}/balance");
    let answers = |key: &Value, status: u16| {
        let found = || read(&stack, &balance, Some(text(key, "key"))).ok().filter(|answer| answer.status == status);
        stack.wait(&format!("{status} of query"), PATIENCE, found)
    };
    answers(&old, 200)?;
    let sent = stack.api.send_as(Some(text(&booth, "key")), &[usage::event(account, "keys-1")])?;
    assert_eq!(sent.status, 202, "{sent:?}");

    // when the first is rotated without an overlap, and the second revoked
    let rotation = json!({"overlap_seconds": 0});
    let new = keys(&stack, Method::POST, &format!("/{}/rotate", text(&old, "key_id")), Some(&rotation))?.ok()?;
    let ended = keys(&stack, Method::DELETE, &format!("/{}", text(&booth, "key_id")), None)?;

    // then only its successor reads, and the booth is not taken any more
    assert_eq!(ended.status, 204);
    answers(&old, 401)?;
    answers(&new, 200)?;
    assert_eq!(stack.api.send_as(Some(text(&booth, "key")), &[usage::event(account, "keys-2")])?.status, 401);

    // and the account sees its keys as they stand, the one that it just used included
    let list = || read(&stack, "/v1/keys", Some(text(&new, "key"))).ok()?.ok().ok();
    let page = stack.wait("the revocation at query", PATIENCE, || {
        list()
            .filter(|page| page["data"].as_array().is_some_and(|rows| rows.iter().any(|row| row["state"] == "revoked")))
    })?;
    let state = |key: &Value| {
        let mut rows = page["data"].as_array().into_iter().flatten();
        rows.find(|row| row["id"] == key["key_id"]).cloned().unwrap_or_default()
    };
    assert_eq!((&state(&old)["state"], &state(&old)["replaced_by"]), (&json!("expired"), &new["key_id"]), "{page}");
    assert_eq!((&state(&new)["state"], &state(&new)["label"]), (&json!("active"), &json!("site")));
    assert!(state(&new)["last_used_at"].is_string(), "{page}");
    assert_eq!(state(&booth)["state"], "revoked");

    // and all of it stands in the trail
    let done = |action: &str| (action.to_owned(), "succeeded".to_owned());
    let expected = ["revoke_key", "rotate_key", "create_key", "create_key", "post_adjustment", "open_account"];
    assert_eq!(trail(&stack, account)?, expected.map(done));
    Ok(())
}

#[test]
fn a_crash_in_the_middle_of_an_action_leaves_its_trail() -> anyhow::Result<()> {
    // given an ingest that dies when a purchase is paid and not posted
    let stack = alone();
    let account = "acc_trail";
    stack.api.open_account(account, None)?;
    let path = format!("/v1/accounts/{account}/purchases");
    let purchase = json!({"amount": "50.00", "payment_method": "4242424242424242"});
    fs::write(stack.crash_dir().join("ingest.payment_taken"), "")?;
    assert!(stack.api.command_once(&Method::POST, &path, "p-1", &purchase).is_err(), "it died");
    stack.wait("ingest to be gone", PATIENCE, || (!stack.is_running(Victim::Ingest)).then_some(()))?;

    // then the trail has what was begun, and no end of it
    let row = |action: &str, outcome: &str| (action.to_owned(), outcome.to_owned());
    let before = [row("purchase", "started"), row("open_account", "succeeded")];
    assert_eq!(trail(&stack, account)?, before);

    // when it is repeated, then the repeat stands there beside it
    stack.restart(Victim::Ingest)?;
    stack.wait_ready(&stack.ingest)?;
    stack.api.command(&path, "p-1", &purchase)?.ok()?;
    assert_eq!(trail(&stack, account)?[0], row("purchase", "succeeded"));
    assert_eq!(trail(&stack, account)?[1..], before);
    Ok(())
}
