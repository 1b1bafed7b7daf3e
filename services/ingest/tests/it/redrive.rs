//! Dead letters that are driven again: what is sent, and what is answered. What the ledger makes of it, the tests of the
//! whole path see.

use std::collections::HashSet;
use std::time::Instant;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::v1::{self, command::Body, reply::Outcome};

use crate::meter::{FakeMeter, accepted, refused};
use crate::stand::{DEADLINE, Stand, event, read};

const REDRIVE: &str = "/v1/dead-letters/redrive";
/// 2026-11-21T20:00:00Z
pub(crate) const RECEIVED_MS: i64 = 1_795_291_200_000;

/// A letter of `usage` 0/`offset`, put there `offset` seconds after its receipt.
pub(crate) fn put(stand: &Stand, offset: i64, reason: &str, key: &str, payload: &[u8]) {
    put_with(stand, &stand.topics.usage(), offset, reason, key, payload, &[]);
}

pub(crate) fn put_with(
    stand: &Stand,
    topic: &str,
    offset: i64,
    reason: &str,
    key: &str,
    payload: &[u8],
    more: &[(&str, String)],
) {
    let mut headers = vec![
        ("content-type", "application/cloudevents+json".to_owned()),
        ("x-other", "kept where it is".to_owned()),
        (header::REASON, reason.to_owned()),
        (header::SOURCE_TOPIC, topic.to_owned()),
        (header::SOURCE_PARTITION, "0".to_owned()),
        (header::SOURCE_OFFSET, offset.to_string()),
        (header::RECEIVED_AT, rfc3339(RECEIVED_MS)),
        (header::DEAD_AT, rfc3339(RECEIVED_MS + 1_000 * offset)),
    ];
    headers.extend_from_slice(more);
    stand.put_with(&stand.topics.dead_letter(), key, payload, &headers);
}

pub(crate) fn usage(id: &str) -> Vec<u8> {
    event(id).to_string().into_bytes()
}

pub(crate) fn id_of(stand: &Stand, offset: i64) -> String {
    format!("{}-0-{offset}", stand.topics.usage())
}

/// Asks until the letters that were put are known.
pub(crate) async fn redrive(stand: &Stand, body: &Value, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + DEADLINE;
    loop {
        let answer = stand.post(REDRIVE, &stand.root).json(body).send().await.unwrap();
        let (status, answer) = read(answer).await;
        if status == StatusCode::OK && holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{status} {answer}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

pub(crate) fn is_known(answer: &Value) -> bool {
    answer["counts"].get("unknown").is_none()
}

#[tokio::test]
async fn a_letter_goes_to_its_account_with_its_own_bytes_and_its_first_receipt() {
    // given
    let stand = Stand::start().await;
    let meter = FakeMeter::start(&stand, accepted);
    let payload = usage("b-1");
    put(&stand, 5, "no_price", "acc_luna", &payload);

    // when it is asked for twice in one request
    let id = id_of(&stand, 5);
    let answer = redrive(&stand, &json!({"ids": [&id, &id]}), is_known).await;

    // then one command was sent
    let line = json!({"id": id, "outcome": "posted", "account_id": "acc_luna", "entry_id": "ent_acc_luna_7"});
    assert_eq!(answer, json!({"open": 1, "counts": {"posted": 1}, "results": [line]}));
    let commands = stand.commands();
    let [command] = commands.as_slice() else { panic!("{commands:?}") };
    let Some(Body::RedriveLetter(letter)) = &command.body else { panic!("{command:?}") };
    assert_eq!((letter.payload.as_slice(), letter.received_at_ms), (payload.as_slice(), RECEIVED_MS));
    assert_eq!(letter.source, Some(v1::LetterSource { topic: stand.topics.usage(), partition: 0, offset: 5 }));
    assert_eq!(letter.headers.iter().map(|header| header.name.as_str()).collect::<Vec<_>>(), ["content-type"]);
    // and its key is one that no request can name
    let key = &command.idempotency_key;
    assert!(key.ends_with(&id) && !key.is_ascii(), "{key}");
    drop(meter);
}

#[tokio::test]
async fn all_of_a_reason_are_tried_oldest_first_a_part_at_a_time() {
    // given five letters without a price, one of which was posted, and one that was refused for another reason since
    let stand = Stand::start().await;
    for offset in 1..=5 {
        put(&stand, offset, "no_price", "acc_luna", &usage(&format!("b-{offset}")));
    }
    put(&stand, 6, "unknown_account", "acc_luna", &usage("b-6"));
    let outcome =
        |outcome: &str, reason: &str| vec![(header::OUTCOME, outcome.to_owned()), (header::REASON, reason.to_owned())];
    put_with(&stand, &stand.topics.usage(), 2, "", "acc_luna", b"", &outcome("posted", ""));
    put_with(&stand, &stand.topics.usage(), 3, "", "acc_luna", b"", &outcome("refused", "conflict"));
    put_with(&stand, &stand.topics.usage(), 6, "", "acc_luna", b"", &outcome("refused", "no_price"));
    let meter = FakeMeter::start(&stand, |command| match &command.body {
        Some(Body::RedriveLetter(letter)) if letter.source.as_ref().unwrap().offset == 4 => refused(422, "no_price"),
        Some(Body::RedriveLetter(letter)) if letter.source.as_ref().unwrap().offset == 5 => refused(409, "duplicate"),
        _ => accepted(command),
    });
    let offsets = |answer: &Value| -> Vec<String> {
        answer["results"].as_array().unwrap().iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    };

    // when
    let first = redrive(&stand, &json!({"reason": "no_price", "limit": 2}), |answer| answer["open"] == 4).await;
    let after = &first["next_after"];
    let second = redrive(&stand, &json!({"reason": "no_price", "limit": 2, "after": after}), |_| true).await;

    // then
    assert_eq!(offsets(&first), [id_of(&stand, 1), id_of(&stand, 4)]);
    assert_eq!(first["counts"], json!({"posted": 1, "refused": 1}));
    assert_eq!(
        (&first["results"][1]["reason"], &first["results"][1]["detail"]),
        (&json!("no_price"), &json!("because"))
    );
    assert_eq!(offsets(&second), [id_of(&stand, 5), id_of(&stand, 6)]);
    assert_eq!((&second["counts"], second.get("next_after")), (&json!({"posted": 1, "duplicate": 1}), None));
    // and those before an instant only
    let before = json!({"reason": "no_price", "before": rfc3339(RECEIVED_MS + 4_000)});
    assert_eq!(offsets(&redrive(&stand, &before, |_| true).await), [id_of(&stand, 1)]);
    // and what is closed is not sent again
    let closed = redrive(&stand, &json!({"ids": [id_of(&stand, 2)]}), |_| true).await;
    assert_eq!(closed["counts"], json!({"closed": 1}));
    let sent: HashSet<String> = stand.commands().into_iter().map(|command| command.idempotency_key).collect();
    assert_eq!(sent.len(), 4);
    drop(meter);
}

#[tokio::test]
async fn what_nobody_can_say_whose_it_is_is_not_sent() {
    let stand = Stand::start().await;
    // given a letter whose key is another account, one that is no event, one that was cut, and a command
    put(&stand, 1, "wrong_partition", "acc_other", &usage("b-1"));
    put(&stand, 2, "malformed", "acc_luna", b"hello");
    let cut = [(header::ORIGINAL_BYTES, "5000000".to_owned())];
    put_with(&stand, &stand.topics.usage(), 3, "malformed", "acc_luna", b"{", &cut);
    put_with(&stand, &stand.topics.commands(), 4, "internal", "acc_luna", b"{", &[]);
    // and one under the right key that lay in a wrong partition
    put(&stand, 5, "wrong_partition", "acc_luna", &usage("b-5"));
    let meter = FakeMeter::start(&stand, accepted);

    // when
    let command = format!("{}-0-4", stand.topics.commands());
    let ids = [id_of(&stand, 1), id_of(&stand, 2), id_of(&stand, 3), command, id_of(&stand, 5)];
    let answer = redrive(&stand, &json!({ "ids": ids }), is_known).await;

    // then
    let said: Vec<(&str, Option<&str>)> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["outcome"].as_str().unwrap(), line["reason"].as_str()))
        .collect();
    let not_sent = |reason| ("not_sent", Some(reason));
    assert_eq!(
        said,
        [not_sent("wrong_partition"), not_sent("malformed"), not_sent("cut"), not_sent("not_usage"), ("posted", None)]
    );
    assert_eq!(stand.commands().len(), 1);
    drop(meter);
}

#[tokio::test]
async fn a_late_meter_makes_it_pending_and_asking_again_is_safe() {
    // given a meter that answers nothing at first
    let stand = Stand::start_with(|config| config.commands.reply_timeout_ms = 100).await;
    put(&stand, 1, "no_price", "acc_luna", &usage("b-1"));
    let body = json!({"ids": [id_of(&stand, 1), "usage-0-77"]});
    let answer = redrive(&stand, &body, |answer| answer["counts"]["pending"] == 1).await;
    assert_eq!(answer["counts"], json!({"pending": 1, "unknown": 1}));
    // when it answers again, as to a repetition
    let meter = FakeMeter::start(&stand, |command| match accepted(command) {
        Outcome::Accepted(accepted) => Outcome::Accepted(v1::Accepted { replayed: true, ..accepted }),
        refused => refused,
    });
    let answer = redrive(&stand, &body, |answer| answer["counts"].get("closed").is_some()).await;
    assert_eq!(answer["results"][1]["entry_id"], "ent_acc_luna_7");
    drop(meter);
}

#[tokio::test]
async fn only_an_admin_drives_again_and_only_what_is_said_clearly() {
    let stand = Stand::start().await;
    for kind in ["account", "booth"] {
        let (_, key) = stand.key(kind).await;
        let answer = stand.post(REDRIVE, &key).json(&json!({"reason": "no_price"})).send();
        let end = Instant::now() + DEADLINE;
        let mut status = read(answer.await.unwrap()).await.0;
        while status == StatusCode::UNAUTHORIZED {
            assert!(Instant::now() < end, "the key is known");
            status = read(stand.post(REDRIVE, &key).json(&json!({"reason": "no_price"})).send().await.unwrap()).await.0;
        }
        assert_eq!(status, StatusCode::FORBIDDEN, "{kind}");
    }
    let many: Vec<String> = (0..201).map(|offset| format!("usage-0-{offset}")).collect();
    for (body, pointer) in [
        (json!({}), "/reason"),
        (json!({"ids": []}), "/ids"),
        (json!({"ids": many}), "/ids"),
        (json!({"ids": ["usage"]}), "/ids/0"),
        (json!({"ids": ["usage-0-1"], "reason": "no_price"}), "/ids"),
        (json!({"ids": ["usage-0-1"], "limit": 1}), "/ids"),
        (json!({"reason": "no_price", "limit": 0}), "/limit"),
        (json!({"reason": "no_price", "limit": 201}), "/limit"),
    ] {
        let (status, problem) = read(stand.post(REDRIVE, &stand.root).json(&body).send().await.unwrap()).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)),
            "{body}"
        );
    }
    for body in [json!({"reason": "bad"}), json!({"reason": "no_price", "all": true})] {
        let (status, _) = read(stand.post(REDRIVE, &stand.root).json(&body).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}
