//! What cannot be charged is kept with its reason, and harms nobody.

use serde_json::{Value, json};
use tollbooth_chassis::kafka::partition_for;
use tollbooth_tests::{DeadLetter, Log, Place, usage};

use crate::stage::{balance_becomes, dead_letter, shared, write};

type Record = (Vec<(String, String)>, Vec<u8>);

/// Records of an account that cannot be charged, each with the reason it must get.
fn faults(account: &str) -> Vec<(&'static str, &'static str, Record)> {
    let event = |name: &str| usage::event(account, name);
    let data = |name: &str, members: Value| usage::structured(&usage::with_data(event(name), &members));
    let attributes = |name: &str, members: Value| usage::structured(&usage::with(event(name), &members));
    let mut no_subject = event("op_no_subject");
    no_subject.as_object_mut().unwrap().remove("subject");
    vec![
        ("not JSON", "malformed", (Vec::new(), b"hello, world".to_vec())),
        ("no CloudEvent", "malformed", (Vec::new(), br#"{"hello": "world"}"#.to_vec())),
        ("another type", "malformed", attributes("op_type", json!({ "type": "com.example.other" }))),
        ("no subject", "malformed", usage::structured(&no_subject)),
        ("negative", "malformed", data("op_negative", json!({ "quantity": "-1" }))),
        ("zero", "malformed", data("op_zero", json!({ "quantity": "0" }))),
        ("not a number", "malformed", data("op_nan", json!({ "quantity": "many" }))),
        ("unknown engine", "no_price", data("op_engine", json!({ "engine": "prototype_x" }))),
        ("unknown price", "no_price", data("op_price", json!({ "service": "ai_draw_me", "engine": "kling" }))),
        (
            "retired engine",
            "engine_retired",
            data(
                "op_retired",
                json!({ "service": "ai_image_to_video", "engine": "sora", "variant": null, "unit": "second" }),
            ),
        ),
        ("another unit", "unit_mismatch", data("op_unit", json!({ "unit": "job" }))),
        ("1970", "too_old", attributes("op_1970", json!({ "time": "1970-01-01T00:00:00Z" }))),
        ("2090", "in_future", attributes("op_2090", json!({ "time": "2090-01-01T00:00:00Z" }))),
        ("huge", "out_of_range", data("op_huge", json!({ "quantity": "99999999999999999999" }))),
    ]
}

#[test]
fn each_fault_gets_its_reason_and_its_neighbours_are_charged() -> anyhow::Result<()> {
    // given an account and a backend's producer
    let stack = shared();
    let account = "acc_faults";
    stack.api.open_account(account, Some("100.00"))?;
    let producer = stack.log.producer()?;

    // when faulty records come between good ones, all in one partition
    let faults = faults(account);
    let mut places: Vec<(&str, &str, Record, Place)> = Vec::new();
    for (number, (name, reason, record)) in faults.into_iter().enumerate() {
        let good = usage::event(account, &format!("op_neighbour_{number}"));
        write(&stack, &producer, account, usage::structured(&good))?;
        let place = write(&stack, &producer, account, record.clone())?;
        places.push((name, reason, record, place));
    }
    write(&stack, &producer, account, usage::structured(&usage::event(account, "op_last")))?;

    // then each is a dead letter with its reason and its own bytes
    for (name, reason, (_, bytes), place) in &places {
        let letter: DeadLetter = dead_letter(&stack, place)?;
        assert_eq!(letter.reason, *reason, "{name}: {}", letter.detail);
        assert!(!letter.detail.is_empty(), "{name}");
        assert_eq!(letter.payload, *bytes, "{name}");
    }
    // and every neighbour was charged: 15 x 0.24
    assert_eq!(places.len(), 14);
    balance_becomes(&stack, account, "96.40")
}

#[test]
fn a_record_larger_than_a_topic_takes_is_cut_and_holds_up_nobody() -> anyhow::Result<()> {
    // given an account
    let stack = shared();
    let account = "acc_large";
    stack.api.open_account(account, Some("10.00"))?;
    let producer = stack.log.producer()?;

    // when a record comes that is small only while it is compressed, and work behind it
    let large = vec![b'a'; 5_000_000];
    let place = write(&stack, &producer, account, (Vec::new(), large.clone()))?;
    write(&stack, &producer, account, usage::structured(&usage::event(account, "op_behind")))?;

    // then its beginning is a dead letter that names the whole of it, and the work is charged
    let letter = dead_letter(&stack, &place)?;
    assert_eq!(letter.reason, "malformed");
    assert_eq!(letter.payload, large[..tollbooth_schemas::dead_letter::BYTES_MAX]);
    balance_becomes(&stack, account, "9.76")
}

#[test]
fn a_key_that_is_not_the_account_is_refused() -> anyhow::Result<()> {
    // given an account
    let stack = shared();
    let account = "acc_letter_keys";
    stack.api.open_account(account, Some("10.00"))?;
    let producer = stack.log.producer()?;
    let topics = &stack.log.topics;
    let own = partition_for(account.as_bytes(), topics.partitions).unwrap();
    let elsewhere = (own + 1) % topics.partitions;

    // when its records come under another key, under none, and in a partition that its key does not hash to
    let send = |operation: &str, partition, key| {
        let record = usage::structured(&usage::event(account, operation));
        stack.block_on(Log::write(&producer, &topics.usage(), partition, key, record))
    };
    let places = [
        send("op_foreign_key", None, Some("acc_stranger"))?,
        send("op_no_key", Some(own), None)?,
        send("op_misplaced", Some(elsewhere), Some(account))?,
    ];
    stack.api.send(&[usage::event(account, "op_right")])?;

    // then none is charged
    for place in &places {
        let letter = dead_letter(&stack, place)?;
        assert_eq!(letter.reason, "wrong_partition", "{}", letter.detail);
    }
    balance_becomes(&stack, account, "9.76")
}

#[test]
fn what_contradicts_a_charge_is_for_a_person() -> anyhow::Result<()> {
    // given a charged operation
    let stack = shared();
    let account = "acc_contradicted";
    stack.api.open_account(account, Some("10.00"))?;
    let producer = stack.log.producer()?;
    let charged = usage::event(account, "op_charged");
    write(&stack, &producer, account, usage::structured(&charged))?;

    // when it is reported with another quantity, and as failed
    let other = usage::with_data(charged.clone(), &json!({ "quantity": "2" }));
    let conflict = write(&stack, &producer, account, usage::structured(&other))?;
    let failed = write(&stack, &producer, account, usage::structured(&usage::failed(charged, 2)))?;
    // and somebody reports work of an account that nobody opened
    let nobody = usage::structured(&usage::event("acc_nobody_here", "op_nobody"));
    let unknown = write(&stack, &producer, "acc_nobody_here", nobody)?;

    // then the charge stands, and each has its reason
    assert_eq!(dead_letter(&stack, &conflict)?.reason, "conflict");
    assert_eq!(dead_letter(&stack, &failed)?.reason, "failed_after_charge");
    assert_eq!(dead_letter(&stack, &unknown)?.reason, "unknown_account");
    balance_becomes(&stack, account, "9.76")
}
