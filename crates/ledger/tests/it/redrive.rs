//! Dead letters that are driven again: the same judgement at another time, and one charge whatever is repeated.

use tollbooth_ledger::UsageDecision;
use tollbooth_schemas::{
    dead_letter::{LetterId, Reason},
    redrive,
    time::DAY_MS,
    v1::{Command, LetterHeader, LetterSource, RedriveLetter, SourceTopic, command::Body, reply::Outcome},
};

use crate::harness::{
    ACCOUNT, Input, NOW_MS, Partition, book, command, dead, event, failed, money, open, posted, sample_book,
};

/// The command for a letter of `usage` 3/`offset` that was received at `received_at_ms`.
fn redriven_at(json: &str, offset: i64, received_at_ms: i64) -> Command {
    let source = LetterSource { topic: "usage".to_owned(), partition: 3, offset };
    let letter = RedriveLetter {
        source: Some(source.clone()),
        received_at_ms,
        payload: json.as_bytes().to_vec(),
        headers: vec![LetterHeader {
            name: "content-type".to_owned(),
            value: b"application/cloudevents+json".to_vec(),
        }],
    };
    let hash = letter.body_hash();
    let key = redrive::idempotency_key(&LetterId::from(&source));
    Command { body_hash: hash, ..command(ACCOUNT, &key, Body::RedriveLetter(letter)) }
}

fn redriven(json: &str, offset: i64) -> Command {
    redriven_at(json, offset, NOW_MS)
}

#[track_caller]
fn refused(outcome: Outcome) -> (u32, String) {
    match outcome {
        Outcome::Rejected(why) => (why.status, why.code),
        Outcome::Accepted(accepted) => panic!("{accepted:?}"),
    }
}

#[track_caller]
fn accepted(outcome: Outcome) -> (u64, bool) {
    match outcome {
        Outcome::Accepted(accepted) => (accepted.seq, accepted.replayed),
        Outcome::Rejected(why) => panic!("{why:?}"),
    }
}

fn pixie(operation: &str) -> String {
    event(operation, |event| event["data"]["engine"] = "pixie".into())
}

/// A second book from `days_ago` on, with a price for the engine.
fn publish_pixie(partition: &mut Partition, days_ago: i64) {
    let mut sample = sample_book();
    sample["version"] = 2.into();
    sample["effective_from"] = tollbooth_schemas::time::rfc3339(NOW_MS - days_ago * DAY_MS).into();
    sample["engines"].as_array_mut().unwrap().push(serde_json::json!({"code": "pixie", "name": "Pixie"}));
    sample["prices"].as_array_mut().unwrap().push(serde_json::json!({
        "service": "ai_modify", "engine": "pixie", "unit": "image", "model": "per_unit", "plans": {"basic": "0.50"}}));
    assert!(partition.books.publish(book(&sample)));
}

#[test]
fn a_letter_is_charged_once_its_price_is_published_and_says_which_letter_it_was() {
    // given
    let mut partition = Partition::open();
    assert_eq!(dead(partition.usage(&pixie("op_1"))), Reason::NoPrice);
    assert_eq!(refused(partition.carry_out(&redriven(&pixie("op_1"), 7))), (422, "no_price".to_owned()));
    publish_pixie(&mut partition, 1);
    partition.now_ms += 3 * DAY_MS;

    // when
    let outcome = partition.carry_out(&redriven(&pixie("op_1"), 7));

    // then it occurred when the booth says, and was received when it came first
    assert_eq!(accepted(outcome), (3, false));
    let entry = partition.last().clone();
    assert_eq!((entry.amount_micros, entry.source_topic()), (-500_000, SourceTopic::Commands));
    assert_eq!(entry.command.as_ref().unwrap().actor, "key_root");
    let usage = entry.usage().unwrap();
    assert_eq!((entry.occurred_at_ms, usage.received_at_ms, usage.price_version), (NOW_MS - 3_000, NOW_MS, 2));
    assert_eq!(usage.letter.as_deref(), Some(&LetterSource { topic: "usage".to_owned(), partition: 3, offset: 7 }));
}

#[test]
fn it_is_charged_once_whoever_asks_and_however_often() {
    // given
    let mut partition = Partition::open();
    dead(partition.usage(&pixie("op_1")));
    publish_pixie(&mut partition, 1);

    // when two ask at once, in one batch, and somebody asks again later
    let ask = || Input::Command(Box::new(redriven(&pixie("op_1"), 7)));
    let decisions = partition.batch(&[ask(), ask()]);
    assert!(decisions[0].starts_with("Post"), "{decisions:?}");
    assert!(decisions[1].contains("replayed: true"), "{decisions:?}");
    assert_eq!(accepted(partition.carry_out(&redriven(&pixie("op_1"), 7))), (3, true));

    // then, also where the key were another: a copy of the letter, or the booth that sends it once more
    assert_eq!(refused(partition.carry_out(&redriven(&pixie("op_1"), 8))), (409, "duplicate".to_owned()));
    assert_eq!(partition.usage(&pixie("op_1")), UsageDecision::Duplicate);
    assert_eq!((partition.ledger.len(), partition.balance()), (3, money("9.50")));
}

#[test]
fn what_was_charged_by_another_way_meanwhile_is_a_duplicate() {
    let mut partition = Partition::open();
    dead(partition.usage(&pixie("op_1")));
    publish_pixie(&mut partition, 1);
    posted(partition.usage(&pixie("op_1")));
    assert_eq!(refused(partition.carry_out(&redriven(&pixie("op_1"), 7))), (409, "duplicate".to_owned()));
    assert_eq!(partition.balance(), money("9.50"));
}

#[test]
fn a_letter_is_refused_anew_for_what_holds_now() {
    let mut partition = Partition::empty();
    assert_eq!(dead(partition.usage(&pixie("op_1"))), Reason::UnknownAccount);
    assert_eq!(refused(partition.carry_out(&redriven(&pixie("op_1"), 7))), (404, "unknown_account".to_owned()));
    partition.command("open", open("basic"));
    assert_eq!(refused(partition.carry_out(&redriven(&pixie("op_1"), 7))), (422, "no_price".to_owned()));
    let other = event("op_1", |event| event["subject"] = "acc_other".into());
    assert_eq!(refused(partition.carry_out(&redriven(&other, 8))), (422, "wrong_partition".to_owned()));
    assert_eq!(refused(partition.carry_out(&redriven("{}", 9))), (422, "malformed".to_owned()));
    assert_eq!(partition.ledger.len(), 1);
}

#[test]
fn failures_are_listed_and_what_contradicts_a_charge_stays_refused() {
    let mut partition = Partition::open();
    assert_eq!(accepted(partition.carry_out(&redriven(&failed("op_1", 1), 1))), (3, false));
    assert!(partition.last().is_failed());
    let retry = event("op_1", |event| event["data"]["attempt"] = 3.into());
    posted(partition.usage(&retry));
    assert_eq!(refused(partition.carry_out(&redriven(&failed("op_1", 2), 2))), (409, "stale".to_owned()));
    assert_eq!(refused(partition.carry_out(&redriven(&failed("op_1", 3), 3))), (422, "failed_after_charge".to_owned()));
    let other = event("op_1", |event| event["data"]["quantity"] = "2".into());
    assert_eq!(refused(partition.carry_out(&redriven(&other, 4))), (422, "conflict".to_owned()));
}

#[test]
fn age_is_judged_by_the_first_receipt_and_the_rest_by_what_is_remembered() {
    // given work that came in time, 30 days after it was done
    let mut partition = Partition::open();
    let old = |days: i64| {
        let occurred_at = tollbooth_schemas::time::rfc3339(NOW_MS - days * DAY_MS);
        event(&format!("op_{days}"), |event| event["time"] = occurred_at.into())
    };
    // when it is driven again 49 days later
    partition.now_ms = NOW_MS + 49 * DAY_MS;
    // then it is charged
    assert!(!accepted(partition.carry_out(&redriven(&old(30), 1))).1);
    // and what came too late stays too late, as does what the operation table may have forgotten
    let too_old = (422, "too_old".to_owned());
    assert_eq!(refused(partition.carry_out(&redriven(&old(36), 2))), too_old);
    assert_eq!(refused(partition.carry_out(&redriven(&old(32), 3))), too_old);
    assert!(!accepted(partition.carry_out(&redriven(&old(31), 4))).1);
}
