//! Dead letters that are dismissed: what is said of them, and what everybody makes of it.

use std::time::Instant;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::time::{parse_rfc3339_ms, rfc3339};

use crate::meter::{FakeMeter, accepted};
use crate::redrive::{RECEIVED_MS, id_of, is_known, put, put_with, redrive, usage};
use crate::stand::{DEADLINE, Record, Stand, read};

const DISMISS: &str = "/v1/dead-letters/dismiss";
const NOTE: &str = "a test of the booth's: nobody pays for it";

/// Waits until `stand` has read everything that was put: the last of it is a letter that nobody can drive.
async fn all_read(stand: &Stand, marker: i64) {
    put_with(stand, &stand.topics.commands(), marker, "internal", "acc_luna", b"{", &[]);
    let id = format!("{}-0-{marker}", stand.topics.commands());
    redrive(stand, &json!({"ids": [id]}), is_known).await;
}

async fn dismiss(stand: &Stand, body: &Value) -> Value {
    let (status, answer) = read(stand.post(DISMISS, &stand.root).json(body).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// What was said of letters.
fn words(stand: &Stand) -> Vec<Record> {
    let records = stand.records(&stand.topics.dead_letter()).into_iter();
    records.filter(|record| record.header(header::OUTCOME) == Some("dismissed")).collect()
}

fn offsets(answer: &Value) -> Vec<&str> {
    let ids = answer["results"].as_array().unwrap().iter().map(|line| line["id"].as_str().unwrap());
    ids.map(|id| id.rsplit_once('-').unwrap().1).collect()
}

#[tokio::test]
async fn a_dismissed_letter_is_closed_for_everybody_and_not_driven_again() {
    // given an open letter, one that was posted, and one that is left alone
    let stand = Stand::start().await;
    let meter = FakeMeter::start(&stand, accepted);
    for offset in 1..=3 {
        put(&stand, offset, "no_price", "acc_luna", &usage(&format!("b-{offset}")));
    }
    put_with(&stand, &stand.topics.usage(), 2, "", "acc_luna", b"", &[(header::OUTCOME, "posted".to_owned())]);
    all_read(&stand, 1).await;

    // when
    let [open, posted, unknown] = [id_of(&stand, 1), id_of(&stand, 2), id_of(&stand, 77)];
    let asked = json!({"ids": [open, posted, unknown, open], "note": NOTE});
    let answer = dismiss(&stand, &asked).await;

    // then
    assert_eq!((&answer["open"], &answer["counts"]), (&json!(1), &json!({"dismissed": 1, "closed": 1, "unknown": 1})));
    let said = words(&stand);
    let [word] = said.as_slice() else { panic!("{said:?}") };
    let text = |name| word.header(name).unwrap();
    assert_eq!((text(header::DETAIL), text(header::REDRIVEN_BY)), (NOTE, "key_root"));
    assert!(parse_rfc3339_ms(text(header::REDRIVEN_AT)).is_some());
    assert_eq!(text(header::SOURCE_TOPIC), stand.topics.usage());
    assert_eq!((text(header::SOURCE_PARTITION), text(header::SOURCE_OFFSET)), ("0", "1"));
    // and asked once more, or of another process, it is closed, and nothing is said again
    let once_more = json!({"ids": [open], "note": "another"});
    assert_eq!(dismiss(&stand, &once_more).await["counts"], json!({"closed": 1}));
    let beside = stand.beside().await;
    assert_eq!(redrive(&beside, &json!({"ids": [open]}), is_known).await["counts"], json!({"closed": 1}));
    assert_eq!(dismiss(&beside, &once_more).await["counts"], json!({"closed": 1}));
    assert_eq!(words(&stand).len(), 1);
    // and the next who drives all of the reason again drives the other one alone
    let answer = redrive(&stand, &json!({"reason": "no_price"}), |_| true).await;
    assert_eq!((offsets(&answer), &answer["open"]), (vec!["3"], &json!(1)));
    assert_eq!(redrive(&stand, &json!({"ids": [open]}), |_| true).await["counts"], json!({"closed": 1}));
    assert_eq!(stand.commands().len(), 1);
    // and who did it stands in the trail
    let trail = stand.records(&stand.topics.audit());
    let started = trail.iter().map(Record::json).filter(|record| record["action"] == "dismiss_dead_letters");
    assert_eq!(started.count(), 3);
    drop(meter);
}

#[tokio::test]
async fn all_of_a_reason_are_dismissed_oldest_first_a_part_at_a_time() {
    // given
    let stand = Stand::start().await;
    for offset in 1..=5 {
        put(&stand, offset, "no_price", "acc_luna", &usage(&format!("b-{offset}")));
    }
    put(&stand, 6, "conflict", "acc_luna", &usage("b-6"));
    all_read(&stand, 1).await;

    // when
    let before = json!({"reason": "no_price", "before": rfc3339(RECEIVED_MS + 2_000), "note": NOTE});
    let oldest = dismiss(&stand, &before).await;
    let first = dismiss(&stand, &json!({"reason": "no_price", "limit": 2, "note": NOTE})).await;
    let after = &first["next_after"];
    let rest = dismiss(&stand, &json!({"reason": "no_price", "after": after, "note": NOTE})).await;
    let none = dismiss(&stand, &json!({"reason": "no_price", "note": NOTE})).await;

    // then
    assert_eq!((offsets(&oldest), &oldest["open"]), (vec!["1"], &json!(1)));
    assert_eq!((offsets(&first), &first["open"]), (vec!["2", "3"], &json!(4)));
    assert_eq!((offsets(&rest), rest.get("next_after")), (vec!["4", "5"], None));
    assert_eq!(none, json!({"open": 0, "counts": {}, "results": []}));
    assert_eq!(words(&stand).len(), 5);
}

#[tokio::test]
async fn what_the_brokers_do_not_acknowledge_is_pending_and_said_when_it_is_asked_again() {
    // given brokers that take the trail's record, and refuse the word
    let stand = Stand::start().await;
    put(&stand, 1, "no_price", "acc_luna", &usage("b-1"));
    all_read(&stand, 1).await;
    let asked = json!({"ids": [id_of(&stand, 1)], "note": NOTE});
    let [taken, refused] =
        [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS];
    stand.mock.request_errors(RDKafkaApiKey::Produce, &[taken, refused]);
    // when
    let answer = dismiss(&stand, &asked).await;
    // then
    assert_eq!(answer["counts"], json!({"pending": 1}));
    assert!(words(&stand).is_empty());
    // and asked again it is dismissed
    assert_eq!(dismiss(&stand, &asked).await["counts"], json!({"dismissed": 1}));
    assert_eq!(words(&stand).len(), 1);
}

#[tokio::test]
async fn only_an_admin_dismisses_and_says_why() {
    let stand = Stand::start().await;
    let asked = json!({"reason": "no_price", "note": NOTE});
    for kind in ["account", "booth"] {
        let (_, key) = stand.key(kind).await;
        let end = Instant::now() + DEADLINE;
        let mut status = StatusCode::UNAUTHORIZED;
        while status == StatusCode::UNAUTHORIZED {
            assert!(Instant::now() < end, "the key is known");
            status = read(stand.post(DISMISS, &key).json(&asked).send().await.unwrap()).await.0;
        }
        assert_eq!(status, StatusCode::FORBIDDEN, "{kind}");
    }
    let long = "x".repeat(501);
    for (body, pointer) in [
        (json!({"reason": "no_price"}), "/note"),
        (json!({"reason": "no_price", "note": ""}), "/note"),
        (json!({"reason": "no_price", "note": "  "}), "/note"),
        (json!({"reason": "no_price", "note": "two\nlines"}), "/note"),
        (json!({"reason": "no_price", "note": long}), "/note"),
        (json!({"note": NOTE}), "/reason"),
        (json!({"note": NOTE, "ids": []}), "/ids"),
        (json!({"note": NOTE, "ids": ["usage-0-1"], "reason": "no_price"}), "/ids"),
        (json!({"note": NOTE, "reason": "no_price", "limit": 201}), "/limit"),
    ] {
        let (status, problem) = read(stand.post(DISMISS, &stand.root).json(&body).send().await.unwrap()).await;
        let pointed = &problem["errors"][0]["pointer"];
        assert_eq!((status, pointed), (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)), "{body}");
    }
    // and 500 characters are counted, not bytes
    let longest = json!({"ids": ["usage-0-1"], "note": "\u{e9}".repeat(500)});
    all_read(&stand, 1).await;
    assert_eq!(dismiss(&stand, &longest).await["counts"], json!({"unknown": 1}));
    assert!(words(&stand).is_empty());
}
