//! What ingest refuses, so that it never reaches the meter; and what it takes all the same, because only the meter can
//! tell.

use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_tests::usage;

use crate::stage::{PATIENCE, balance_becomes, shared};

#[test]
fn refused_requests_say_why_and_their_neighbours_are_charged() -> anyhow::Result<()> {
    // given an account with a booth key
    let stack = shared();
    let account = "acc_refused";
    stack.api.open_account(account, Some("10.00"))?;
    let key = json!({ "kind": "booth", "account_id": account, "label": "test" });
    let url = format!("{}/v1/keys", stack.api.ingest_url());
    let headers = [("content-type", "application/json")];
    let made = stack.api.request(Method::POST, &url, None, &headers, Some(key.to_string().into_bytes()))?.ok()?;
    let booth_key = made["key"].as_str().unwrap().to_owned();
    let event = usage::event(account, "op_refused");
    let status = |event: &Value| -> anyhow::Result<u16> {
        Ok(stack.api.send_one(Some(&booth_key), event.to_string().as_bytes())?.status)
    };

    // when requests are wrong in one way each, then the status says which
    assert_eq!(stack.api.send_one(Some(&booth_key), b"{\"specversion\": ")?.status, 400, "malformed JSON");
    let mut no_subject = event.clone();
    no_subject.as_object_mut().unwrap().remove("subject");
    assert_eq!(status(&no_subject)?, 422, "missing subject");
    assert_eq!(status(&usage::with(event.clone(), &json!({ "subject": "acc_other" })))?, 403, "foreign subject");
    assert_eq!(status(&usage::with_data(event.clone(), &json!({ "quantity": "-1" })))?, 422, "negative");
    assert_eq!(status(&usage::with_data(event.clone(), &json!({ "quantity": "0" })))?, 422, "zero");
    assert_eq!(status(&usage::with_data(event.clone(), &json!({ "quantity": "many" })))?, 422, "no number");
    assert_eq!(status(&usage::with_data(event.clone(), &json!({ "quantity": "9".repeat(20) })))?, 422, "huge");
    assert_eq!(status(&usage::with(event.clone(), &json!({ "time": "1970-01-01T00:00:00Z" })))?, 422, "1970");
    assert_eq!(status(&usage::with(event.clone(), &json!({ "time": "2090-01-01T00:00:00Z" })))?, 422, "2090");
    let many: Vec<Value> = vec![json!({}); 100_000];
    assert_eq!(stack.api.send_as(Some(&booth_key), &many)?.status, 413, "a batch of 100,000");
    assert_eq!(stack.api.send_one(Some("tb_bk_live_nonsense"), b"{}")?.status, 401, "no key of ours");

    // and in a batch the good one is taken
    let bad = usage::with_data(usage::event(account, "op_bad"), &json!({ "quantity": "-1" }));
    let good = usage::event(account, "op_good");
    let answer = stack.api.send_as(Some(&booth_key), &[bad, good])?;
    assert_eq!((answer.status, &answer.body["accepted"]), (202, &json!(1)), "{answer:?}");
    assert_eq!(answer.body["rejected"][0]["index"], 0);
    balance_becomes(&stack, account, "9.76")?;

    // when the key is revoked, then nothing is taken with it
    let id = made["key_id"].as_str().unwrap();
    stack.api.request(Method::DELETE, &format!("{url}/{id}"), None, &[], None)?.ok()?;
    assert_eq!(status(&event)?, 401, "a revoked key");
    Ok(())
}

#[test]
fn what_only_the_meter_can_refuse_is_taken_and_becomes_a_dead_letter() -> anyhow::Result<()> {
    // given an account with a charge
    let stack = shared();
    let account = "acc_taken";
    stack.api.open_account(account, Some("10.00"))?;
    let charged = usage::event(account, "op_taken_charged");
    stack.api.send(std::slice::from_ref(&charged))?;
    balance_becomes(&stack, account, "9.76")?;

    // when work of an unknown engine comes, work without a price, and the same id with another body, with a good one
    let data = |operation: &str, members: Value| usage::with_data(usage::event(account, operation), &members);
    let bodies = [
        (data("op_taken_engine", json!({ "engine": "prototype_x" })), "no_price"),
        (data("op_taken_price", json!({ "service": "ai_draw_me", "engine": "kling" })), "no_price"),
        (usage::with_data(charged, &json!({ "quantity": "3" })), "conflict"),
    ];
    let mut events: Vec<Value> = bodies.iter().map(|(event, _)| event.clone()).collect();
    events.push(usage::event(account, "op_taken_good"));
    stack.api.send(&events)?;

    // then each is accepted, and a dead letter with its reason and the booth's own words
    for (event, reason) in &bodies {
        let letter = stack.wait(&format!("a dead letter of {event}"), PATIENCE, || {
            let letters = stack.log.dead_letters().ok()?.into_iter();
            letters
                .into_iter()
                .find(|letter| serde_json::from_slice::<Value>(&letter.payload).ok().as_ref() == Some(event))
        })?;
        assert_eq!(letter.reason, *reason, "{}", letter.detail);
    }
    // and only the good one is charged
    balance_becomes(&stack, account, "9.52")
}

#[test]
fn a_body_of_10_mb_is_refused() -> anyhow::Result<()> {
    // given
    let stack = shared();
    // when a body far beyond the limit is sent, then it is refused by its size, or the connection is closed on it
    let body = format!("{{\"padding\": \"{}\"}}", "x".repeat(10 * 1024 * 1024));
    match stack.api.send_one(None, body.as_bytes()) {
        Ok(answer) => assert_eq!(answer.status, 413),
        // A server that answers before it has read all may reset the connection while we still write.
        Err(error) => assert!(format!("{error:?}").to_lowercase().contains("connection"), "{error:?}"),
    }
    // and the next request is answered
    assert_eq!(stack.api.send_one(None, b"{}")?.status, 422);
    Ok(())
}
