//! Re-pricing over HTTP, while there is nothing to look charges up in. What is looked up, the tests of the whole path see.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollbooth_schemas::repricing::{RepricingDocument, RepricingState};

use crate::stand::{Stand, read};

fn asked() -> Value {
    json!({"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "price_version": 1})
}

async fn post(stand: &Stand, path: &str, key: &str, body: &Value) -> (StatusCode, Value) {
    read(stand.post(&format!("/v1/repricings{path}"), key).json(body).send().await.unwrap()).await
}

async fn shown(stand: &Stand, id: &str) -> (StatusCode, Value) {
    read(stand.request(Method::GET, &format!("/v1/repricings/{id}"), &stand.root).send().await.unwrap()).await
}

/// As a preview leaves it.
async fn previewed(stand: &Stand, id: &str, state: RepricingState) {
    let document = RepricingDocument {
        repricing_id: id.to_owned(),
        price_version: 1,
        from_ms: 0,
        to_ms: 1,
        state,
        reached: None,
        reason: None,
        undo_reason: None,
        actor: "key_1".to_owned(),
        created_at_ms: 0,
        digest: "d1".to_owned(),
        accounts: Vec::new(),
    };
    stand.put(&stand.topics.registry(), &document.registry_key(), &serde_json::to_vec(&document).unwrap());
    let url = format!("/v1/repricings/{id}");
    let deadline = std::time::Instant::now() + crate::stand::DEADLINE;
    while shown(stand, id).await.0 == StatusCode::NOT_FOUND {
        assert!(std::time::Instant::now() < deadline, "{url} is not known");
        tokio::task::yield_now().await;
    }
}

/// What the registry says of it last.
fn state_of(stand: &Stand, id: &str) -> Option<RepricingState> {
    let records = stand.records(&stand.topics.registry());
    let of_it = records.iter().filter(|record| record.key == format!("repricing:{id}"));
    of_it
        .filter_map(|record| serde_json::from_slice::<RepricingDocument>(&record.payload).ok())
        .next_back()
        .map(|it| it.state)
}

#[tokio::test]
async fn what_is_wrong_with_a_preview_is_said_by_pointer() {
    let stand = Stand::start().await;
    let accounts: Vec<String> = (0..201).map(|number| format!("acc_{number}")).collect();
    for (name, value, pointer) in [
        ("to", json!("2026-11-01T00:00:00Z"), "/to"),
        ("to", json!("2027-03-01T00:00:00Z"), "/to"),
        ("accounts", json!([]), "/accounts"),
        ("accounts", json!(accounts), "/accounts"),
    ] {
        let mut body = asked();
        body[name] = value;
        let (status, problem) = post(&stand, "", &stand.root, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(problem["errors"][0]["pointer"], json!(pointer), "{problem}");
    }
    // a book that nobody published, and nobody's right to ask
    assert_eq!(post(&stand, "", &stand.root, &asked()).await.0, StatusCode::NOT_FOUND);
    let (_, account_key) = stand.key("account").await;
    assert_eq!(post(&stand, "", &account_key, &asked()).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_the_state_does_not_allow_is_refused_and_nothing_is_sent() {
    let stand = Stand::start().await;
    for (id, state, verb, digest, code) in [
        ("rpr_1", RepricingState::Previewed, "apply", "d2", "preview_differs"),
        ("rpr_2", RepricingState::Previewed, "undo", "d1", "conflict"),
        ("rpr_3", RepricingState::Undoing, "apply", "d1", "conflict"),
        ("rpr_4", RepricingState::Undone, "apply", "d1", "conflict"),
    ] {
        previewed(&stand, id, state).await;
        let (status, problem) = post(&stand, &format!("/{id}/{verb}"), &stand.root, &json!({"digest": digest})).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!(code)), "{id}");
        assert_eq!(state_of(&stand, id), Some(state));
    }
    for (body, pointer) in [
        (json!({"digest": "d1", "limit": 501}), "/limit"),
        (json!({"digest": "d1", "limit": 0}), "/limit"),
        (json!({"digest": "d1", "after": "48211"}), "/after"),
        (json!({"digest": "d1", "reason": " "}), "/reason"),
        (json!({"digest": "d1", "reason": "x".repeat(501)}), "/reason"),
    ] {
        let (status, problem) = post(&stand, "/rpr_1/apply", &stand.root, &body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)));
    }
    assert_eq!(post(&stand, "/rpr_9/apply", &stand.root, &json!({"digest": "d1"})).await.0, StatusCode::NOT_FOUND);
    assert!(stand.commands().is_empty());
}

#[tokio::test]
async fn one_with_nothing_to_do_comes_to_its_end_and_back() {
    let stand = Stand::start().await;
    previewed(&stand, "rpr_1", RepricingState::Previewed).await;
    for (verb, state) in [("apply", RepricingState::Applied), ("undo", RepricingState::Undone)] {
        // whoever passes over a part does not come to the end
        let passing = json!({"digest": "d1", "after": "acc_z/1"});
        assert_eq!(post(&stand, &format!("/rpr_1/{verb}"), &stand.root, &passing).await.0, StatusCode::OK);
        assert_ne!(state_of(&stand, "rpr_1"), Some(state));
        let (status, answer) = post(&stand, &format!("/rpr_1/{verb}"), &stand.root, &json!({"digest": "d1"})).await;
        assert_eq!((status, &answer["counts"], &answer["next_after"]), (StatusCode::OK, &json!({}), &Value::Null));
        assert_eq!(state_of(&stand, "rpr_1"), Some(state));
    }
}

async fn listed(stand: &Stand, query: &str, key: &str) -> (StatusCode, Value) {
    read(stand.request(Method::GET, &format!("/v1/repricings{query}"), key).send().await.unwrap()).await
}

#[tokio::test]
async fn they_are_listed_newest_first_with_why_each_was_applied_and_taken_back() {
    // given three, the second of which was applied for a reason and taken back for another
    let stand = Stand::start().await;
    for id in ["rpr_1", "rpr_2", "rpr_3"] {
        previewed(&stand, id, RepricingState::Previewed).await;
    }
    for (verb, reason) in [("apply", "the price of May was wrong"), ("undo", "it was not")] {
        for said in [reason, "said once more"] {
            let body = json!({"digest": "d1", "reason": said});
            assert_eq!(post(&stand, &format!("/rpr_2/{verb}"), &stand.root, &body).await.0, StatusCode::OK);
        }
    }

    // when they are listed two at a time
    let (status, first) = listed(&stand, "?limit=2", &stand.root).await;
    let cursor = first["next_cursor"].as_str().unwrap_or_default();
    let (_, second) = listed(&stand, &format!("?limit=2&cursor={cursor}"), &stand.root).await;

    // then each is there once
    assert_eq!(status, StatusCode::OK, "{first}");
    let ids = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap();
        data.iter().map(|it| it["repricing_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!([ids(&first), ids(&second)].concat(), ["rpr_3", "rpr_2", "rpr_1"]);
    assert_eq!((&first["has_more"], &second["has_more"]), (&json!(true), &json!(false)));
    assert_eq!(second["next_cursor"], Value::Null);
    let undone = &first["data"][1];
    assert_eq!(
        (&undone["state"], &undone["account_ids"], &undone["total"]),
        (&json!("undone"), &json!([]), &json!(null))
    );
    let reasons = (&undone["reason"], &undone["undo_reason"]);
    assert_eq!(reasons, (&json!("the price of May was wrong"), &json!("it was not")));
    assert!(first["data"][0].get("reason").is_none(), "nobody gave one: {first}");

    // and what is no page is refused, as is who is no admin
    for wrong in ["?limit=0", "?limit=101", "?cursor=rpr_2"] {
        assert_eq!(listed(&stand, wrong, &stand.root).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert_eq!(listed(&stand, "?offset=3", &stand.root).await.0, StatusCode::BAD_REQUEST);
    let (_, account_key) = stand.key("account").await;
    assert_eq!(listed(&stand, "", &account_key).await.0, StatusCode::FORBIDDEN);
}
