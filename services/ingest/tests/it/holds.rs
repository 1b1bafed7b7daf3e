//! Holds over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollbooth_schemas::ids::derived_hold_id;
use tollbooth_schemas::v1::{self, command::Body, place_hold::Size, reply::Outcome};

use crate::meter::{FakeMeter, accepted};
use crate::stand::{Stand, read};

const HOLDS: &str = "/v1/accounts/acc_luna/holds";

fn body() -> Value {
    json!({"hold_id": "hld_1", "service": "ai_modify", "engine": "nano_banana_2", "variant": "1k", "unit": "image",
           "quantity": "3", "timeout_s": 60, "event_id": "evt_gala", "booth_id": "bth_17"})
}

fn usd(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

#[tokio::test]
async fn a_hold_says_what_it_set_aside_and_until_when() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let (status, answer) = stand.command(Method::POST, HOLDS, &stand.root, "h-1", &body()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let hold = json!({"hold_id": "hld_1", "amount": usd("1.50"), "expires_at": "2025-11-21T20:16:03.120Z"});
    assert_eq!((&answer["hold"], &answer["available"]), (&hold, &usd("98.50")));
    // The command is what was asked for.
    let placed = v1::PlaceHold {
        hold_id: "hld_1".to_owned(),
        service: "ai_modify".to_owned(),
        engine: "nano_banana_2".to_owned(),
        variant: "1k".to_owned(),
        country: String::new(),
        unit: "image".to_owned(),
        size: Some(Size::QuantityMicros(3_000_000)),
        timeout_ms: 60_000,
        event_id: "evt_gala".to_owned(),
        booth_id: "bth_17".to_owned(),
    };
    assert_eq!(stand.commands()[0].body, Some(Body::PlaceHold(placed)));
}

#[tokio::test]
async fn a_hold_without_an_id_has_the_same_one_at_every_repeat() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let body = json!({"service": "ai_modify", "engine": "nano_banana_2", "amount": "1.50"});
    let expected = derived_hold_id(&"acc_luna".parse().unwrap(), "h-1");
    for _ in 0..2 {
        let (status, answer) = stand.command(Method::POST, HOLDS, &stand.root, "h-1", &body).await;
        assert_eq!((status, &answer["hold"]["hold_id"]), (StatusCode::OK, &json!(expected.as_str())), "{answer}");
    }
    let (_, other) = stand.command(Method::POST, HOLDS, &stand.root, "h-2", &body).await;
    assert_ne!(other["hold"]["hold_id"], json!(expected.as_str()));
}

#[tokio::test]
async fn a_hold_that_is_short_of_money_says_how_much() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, |command| {
        let code = if command.idempotency_key == "budget" { "event_budget_exceeded" } else { "insufficient_balance" };
        Outcome::Rejected(v1::Rejected {
            status: 402,
            code: code.to_owned(),
            detail: "because".to_owned(),
            missing_micros: 40_000,
            currency: "USD".to_owned(),
        })
    });
    for (key, code) in [("balance", "insufficient_balance"), ("budget", "event_budget_exceeded")] {
        let (status, problem) = stand.command(Method::POST, HOLDS, &stand.root, key, &body()).await;
        assert_eq!((status, &problem["code"]), (StatusCode::PAYMENT_REQUIRED, &json!(code)));
        assert_eq!(problem["missing"], usd("0.04"), "{problem}");
    }
}

#[tokio::test]
async fn a_void_names_its_hold_in_the_path_and_needs_no_body() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let path = format!("{HOLDS}/hld_1/void");
    let bare = stand.post(&path, &stand.root).header("idempotency-key", "v-1").send().await.unwrap();
    let (status, answer) = read(bare).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["hold"], json!({"hold_id": "hld_1", "amount": usd("1.50")}));
    stand.command(Method::POST, &format!("{HOLDS}/hld_2/void"), &stand.root, "v-1", &json!({})).await;
    let commands = stand.commands();
    assert_eq!(commands[0].body, Some(Body::VoidHold(v1::VoidHold { hold_id: "hld_1".to_owned() })));
    // The same key for another hold is another request.
    assert_ne!(commands[0].body_hash, commands[1].body_hash);
    let (status, _) = stand.command(Method::POST, &format!("{HOLDS}/1/void"), &stand.root, "v", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_of_a_booth_holds_for_that_booth() {
    // given a key that is bound to a booth
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let bound = json!({"kind": "booth", "account_id": "acc_luna", "booth_id": "bth_17"});
    let (_, made) = read(stand.post("/v1/keys", &stand.root).json(&bound).send().await.unwrap()).await;
    let key = made["key"].as_str().unwrap();
    // when it names another one
    let mut foreign = body();
    foreign["booth_id"] = json!("bth_18");
    let (status, problem) = stand.command(Method::POST, HOLDS, key, "h-1", &foreign).await;
    // then it is refused
    assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::FORBIDDEN, &json!("/booth_id")));
    // and when it names none, the hold is for its own: a paused booth cannot leave its name out
    foreign.as_object_mut().unwrap().remove("booth_id");
    let (status, _) = stand.command(Method::POST, HOLDS, key, "h-1", &foreign).await;
    assert_eq!(status, StatusCode::OK);
    let Some(Body::PlaceHold(placed)) = &stand.commands()[0].body else { panic!("no hold") };
    assert_eq!(placed.booth_id, "bth_17");
}

#[tokio::test]
async fn what_is_wrong_with_a_hold_is_said_before_anything_is_sent() {
    let stand = Stand::start().await;
    let cases = [
        (json!({"quantity": null}), vec!["/quantity"]),
        (json!({"amount": "1"}), vec!["/quantity"]),
        (json!({"quantity": "0", "unit": null}), vec!["/quantity", "/unit"]),
        (json!({"quantity": null, "amount": "0"}), vec!["/amount"]),
        (json!({"timeout_s": 0}), vec!["/timeout_s"]),
        (json!({"timeout_s": 86_401}), vec!["/timeout_s"]),
        (json!({"service": "", "engine": "a b"}), vec!["/service", "/engine"]),
    ];
    for (members, pointers) in cases {
        let mut body = body();
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let (status, problem) = stand.command(Method::POST, HOLDS, &stand.root, "k", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{members}");
        let named: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(named, pointers, "{members}");
    }
    assert!(stand.commands().is_empty());
}
