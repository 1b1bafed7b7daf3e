//! Bonuses, credit limits, fees, events and booths over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollbooth_schemas::v1::{self, command::Body};

use crate::meter::{FakeMeter, accepted};
use crate::stand::Stand;

const PROFILE: &str = "/v1/accounts/acc_luna/profile";

fn gala() -> Value {
    json!({"name": "Gala", "starts_at": "2026-11-21T18:00:00Z", "ends_at": "2026-11-22T01:00:00Z",
           "time_zone": "Europe/Berlin", "budget": {"amount": "100.00", "on_exceeded": "refuse_holds"}})
}

#[tokio::test]
async fn a_name_and_a_zone_are_set_by_the_account_and_by_an_admin() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let own = stand.key("account").await.1;
    let both = json!({"name": "Luna & Sol", "time_zone": "Asia/Tokyo"});
    let (name, zone) = (json!({"name": "Luna"}), json!({"name": null, "time_zone": "UTC"}));
    for (key, idempotency_key, body) in [(&own, "k1", &both), (&stand.root, "k2", &name), (&own, "k3", &zone)] {
        let (status, answer) = stand.command(Method::PUT, PROFILE, key, idempotency_key, body).await;
        assert_eq!((status, &answer["amount"]["amount"]), (StatusCode::OK, &json!("0.00")), "{answer}");
    }
    let set = |name: Option<&str>, time_zone: Option<&str>| {
        let [name, time_zone] = [name, time_zone].map(|text| text.map(str::to_owned));
        Some(Body::SetProfile(v1::SetProfile { name, time_zone }))
    };
    let bodies: Vec<_> = stand.commands().into_iter().map(|command| command.body).collect();
    let expected = [set(Some("Luna & Sol"), Some("Asia/Tokyo")), set(Some("Luna"), None), set(None, Some("UTC"))];
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn what_is_no_profile_is_refused_member_by_member_and_nothing_is_sent() {
    let stand = Stand::start().await;
    let long = "n".repeat(201);
    let cases = [
        (json!({}), json!(["/name"])),
        (json!({"name": null}), json!(["/name"])),
        (json!({"name": " "}), json!(["/name"])),
        (json!({"name": long, "time_zone": "Europe/Berlin"}), json!(["/name"])),
        (json!({"name": "a\nb"}), json!(["/name"])),
        (json!({"time_zone": "EST"}), json!(["/time_zone"])),
        (json!({"name": "", "time_zone": "Mars/Olympus"}), json!(["/name", "/time_zone"])),
        // Whatever else an account has is not set here.
        (json!({"name": "Luna", "currency": "EUR"}), json!([])),
        (json!({"time_zone": 1}), json!([])),
    ];
    for (body, pointers) in cases {
        let (status, problem) = stand.command(Method::PUT, PROFILE, &stand.root, "k", &body).await;
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = errors.iter().map(|error| error["pointer"].clone()).collect();
        assert_eq!((status, json!(found)), (StatusCode::UNPROCESSABLE_ENTITY, pointers), "{body}");
    }
    let (booth, luna) = (stand.booth_key().await, stand.key("account").await.1);
    for (key, path) in [(&booth, PROFILE), (&luna, "/v1/accounts/acc_sol/profile")] {
        let (status, _) = stand.command(Method::PUT, path, key, "k", &json!({"name": "Luna"})).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    assert_eq!(stand.commands(), vec![]);
}

#[tokio::test]
async fn each_document_becomes_its_command() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let event = v1::DefineEvent {
        event_id: "evt_gala".to_owned(),
        name: "Gala".to_owned(),
        starts_at_ms: 1_795_284_000_000,
        ends_at_ms: 1_795_309_200_000,
        time_zone: "Europe/Berlin".to_owned(),
        budget_micros: Some(100_000_000),
        on_exceeded: v1::BudgetRule::RefuseHolds.into(),
    };
    let without_budget =
        v1::DefineEvent { budget_micros: None, on_exceeded: v1::BudgetRule::Warn.into(), ..event.clone() };
    let mut no_budget = gala();
    no_budget["budget"] = Value::Null;
    let bonus = v1::GrantBonus {
        amount_micros: 2_000_000,
        expires_at_ms: Some(1_795_284_000_000),
        reason: "welcome".to_owned(),
        note: "spring".to_owned(),
    };
    let cases = [
        (Method::PUT, "events/evt_gala", gala(), Body::DefineEvent(event)),
        (Method::PUT, "events/evt_gala", no_budget, Body::DefineEvent(without_budget)),
        (
            Method::PUT,
            "booths/bth_17",
            json!({"name": "Left", "paused": true}),
            Body::SetBooth(v1::SetBooth { booth_id: "bth_17".to_owned(), name: "Left".to_owned(), paused: true }),
        ),
        (
            Method::PUT,
            "credit-limit",
            json!({"credit_limit": "5.00"}),
            Body::SetCreditLimit(v1::SetCreditLimit { credit_limit_micros: 5_000_000 }),
        ),
        (
            Method::POST,
            "bonuses",
            json!({"amount": "2", "expires_at": "2026-11-21T18:00:00Z", "reason": "welcome", "note": "spring"}),
            Body::GrantBonus(bonus),
        ),
        (
            Method::POST,
            "plan-fees",
            json!({"period": "2026-11"}),
            Body::PostPlanFee(v1::PostPlanFee { period: "2026-11".to_owned() }),
        ),
    ];
    for (number, (method, path, document, body)) in cases.into_iter().enumerate() {
        let path = format!("/v1/accounts/acc_luna/{path}");
        let (status, answer) = stand.command(method, &path, &stand.root, &format!("k-{number}"), &document).await;
        assert_eq!((status, &answer["seq"]), (StatusCode::OK, &json!(7)), "{path} {answer}");
        assert_eq!(stand.commands().last().unwrap().body, Some(body), "{path}");
    }
}

#[tokio::test]
async fn the_same_document_about_another_event_is_another_request() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    for event in ["evt_gala", "evt_ball", "evt_gala"] {
        let path = format!("/v1/accounts/acc_luna/events/{event}");
        assert_eq!(stand.command(Method::PUT, &path, &stand.root, "k", &gala()).await.0, StatusCode::OK);
    }
    let hashes: Vec<_> = stand.commands().into_iter().map(|command| command.body_hash).collect();
    assert_ne!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_is_sent() {
    let stand = Stand::start().await;
    let with = |member: &str, value: Value| {
        let mut document = gala();
        document[member] = value;
        document
    };
    let event = "events/evt_gala";
    let cases = [
        (Method::PUT, event, with("ends_at", json!("2026-11-21T18:00:00Z")), 422, Some("/ends_at")),
        (Method::PUT, event, with("time_zone", json!("EST")), 422, Some("/time_zone")),
        (Method::PUT, event, with("name", json!("")), 422, Some("/name")),
        (
            Method::PUT,
            event,
            with("budget", json!({"amount": "-1", "on_exceeded": "warn"})),
            422,
            Some("/budget/amount"),
        ),
        (Method::PUT, event, with("budget", json!({"amount": "1"})), 422, None),
        (Method::PUT, event, with("budget", json!({"amount": "1", "on_exceeded": "panic"})), 422, None),
        (Method::PUT, "events/gala", gala(), 404, None),
        (Method::PUT, "booths/bth_17", json!({"name": "Left"}), 422, None),
        (Method::PUT, "booths/17", json!({"name": "Left", "paused": true}), 404, None),
        (Method::PUT, "credit-limit", json!({"credit_limit": "-0.01"}), 422, Some("/credit_limit")),
        (Method::POST, "bonuses", json!({"amount": "0", "reason": "welcome"}), 422, Some("/amount")),
        (Method::POST, "plan-fees", json!({}), 422, None),
    ];
    for (method, path, document, status, pointer) in cases {
        let path = format!("/v1/accounts/acc_luna/{path}");
        let (answered, problem) = stand.command(method, &path, &stand.root, "k", &document).await;
        assert_eq!(answered.as_u16(), status, "{path} {document} {problem}");
        assert_eq!(problem["errors"][0]["pointer"].as_str(), pointer, "{document}");
    }
    assert!(stand.commands().is_empty());
}
