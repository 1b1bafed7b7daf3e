//! Golden files of every wire format: a change of contract is a visible diff.
//!
//! `INSTA_UPDATE=always cargo test -p tollbooth-schemas` writes them anew.

use std::fmt::Write as _;

use prost::Message;
use tollbooth_schemas::{
    audit::AuditOutcome,
    dead_letter::{LetterOutcome, Reason, header},
    keys::{KeyDocument, KeyKind, KeyState, KeyUse, Scope, registry_key, revocation_key},
    ledger::EntryType,
    topics::{METER_GROUP, SINK_LEASE_GROUP, SINK_OFFSETS_GROUP, TopicSet},
    usage::{Attributes, parse_binary, parse_structured},
};

use super::examples;

/// The message as text, and its bytes in hex.
fn wire<M: Message + std::fmt::Debug + Default + PartialEq>(messages: &[M]) -> String {
    let mut text = String::new();
    for message in messages {
        let bytes = message.encode_to_vec();
        assert_eq!(&M::decode(bytes.as_slice()).unwrap(), message);
        writeln!(text, "{message:#?}").unwrap();
        for line in bytes.chunks(32) {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{}", hex.join(" ")).unwrap();
        }
    }
    text
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn commands() {
    insta::assert_snapshot!(wire(&examples::commands()));
}

#[test]
fn replies() {
    insta::assert_snapshot!(wire(&examples::replies()));
}

#[test]
fn outbox_records() {
    insta::assert_snapshot!(wire(&examples::outbox_records()));
}

#[test]
fn ledger_record() {
    insta::assert_snapshot!(wire(&[examples::ledger_record()]));
}

#[test]
fn a_charge_that_is_more_than_a_price_times_a_quantity() {
    let (usage, reversal) = examples::tiered();
    insta::assert_snapshot!(format!("{}{}", wire(std::slice::from_ref(&usage)), wire(&[reversal])));
    insta::assert_snapshot!(tollbooth_schemas::pricing::text(usage.pricing.as_deref().unwrap()));
}

#[test]
fn usage_event_structured() {
    let large = parse_structured(examples::EVENT.as_bytes()).unwrap();
    let small = parse_structured(examples::EVENT_SMALL.as_bytes()).unwrap();
    insta::assert_snapshot!(format!("{large:#?}\n{small:#?}"));
}

#[test]
fn usage_event_as_it_is_written() {
    let written = |text| json(&serde_json::from_str::<tollbooth_schemas::usage::WireEvent<'_>>(text).unwrap());
    insta::assert_snapshot!(format!("{}\n{}", written(examples::EVENT), written(examples::EVENT_SMALL)));
}

#[test]
fn both_modes_say_the_same() {
    // given the same event in structured and in binary mode
    let event: serde_json::Value = serde_json::from_str(examples::EVENT).unwrap();
    let data = event["data"].to_string();
    let mut attributes = Attributes::default();
    for name in ["specversion", "id", "source", "type", "subject", "time"] {
        attributes.set(name, event[name].as_str().unwrap().into());
    }
    // then they are read alike
    let binary = parse_binary(attributes, data.as_bytes()).unwrap();
    assert_eq!(binary, parse_structured(examples::EVENT.as_bytes()).unwrap());
}

#[test]
fn what_is_wrong_with_a_usage_event() {
    let replaced = [
        ("\"1.0\"", "\"0.3\""),
        ("tollbooth.usage.v1", "com.example.other"),
        ("\"id\": \"b17-000042\"", "\"id\": \"\""),
        ("acc_luna", "luna"),
        ("\"subject\": \"acc_luna\", ", ""),
        ("2026-11-21T20:15:03.120Z", "yesterday"),
        ("\"op_7f3a\"", "\"\""),
        ("\"attempt\": 2", "\"attempt\": 0"),
        ("evt_gala", "gala"),
        ("bth_17\", \"service", "17\", \"service"),
        ("ai_modify", "AI Modify"),
        ("\"1.5\"", "\"-1\""),
        ("\"1.5\"", "\"0\""),
        ("\"1.5\"", "1.5"),
        ("\"1.5\"", "\"1e3\""),
        ("\"1.5\"", "\"1.0000001\""),
        ("\"1.5\"", "\"99999999999999\""),
        ("\"0.067\"", "\"-0.067\""),
        ("\"0.067\"", "\"99999999999999\""),
        ("\"success\"", "\"done\""),
        ("2026-11-21T20:14:00.000Z", "then"),
        ("}\n}", "}"),
    ];
    let mut text = String::new();
    for (from, to) in replaced {
        let event = examples::EVENT.replacen(from, to, 1);
        assert_ne!(event, examples::EVENT, "{from}");
        let error = parse_structured(event.as_bytes()).unwrap_err();
        let range = if error.out_of_range { " (out of range)" } else { "" };
        writeln!(text, "{from} -> {to}\n  {error}{range}").unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn an_array_is_no_event_even_with_the_right_values_in_order() {
    // given the values of an event and of its data, without their names
    let event: serde_json::Value = serde_json::from_str(examples::EVENT_SMALL).unwrap();
    let data = ["op_1", "1", "evt_gala", "bth_17", "sms", "sms_us_ca", "", "", "segment", "0", "failed"];
    let mut data: Vec<serde_json::Value> = data.map(serde_json::Value::from).to_vec();
    data[1] = 1.into();
    let names = ["specversion", "id", "source", "type", "subject", "time"];
    let mut values: Vec<serde_json::Value> = names.map(|name| event[name].clone()).to_vec();
    values.extend(["application/json".into(), event["data"].clone()]);
    let mut with_array = event.clone();
    with_array["data"] = data.clone().into();
    let mut attributes = Attributes::default();
    for name in names {
        attributes.set(name, event[name].as_str().unwrap().into());
    }
    // then none of the three places takes them
    let text = |value: Vec<serde_json::Value>| serde_json::Value::from(value).to_string();
    let (whole, inner, body) = (text(values), with_array.to_string(), text(data));
    for error in [
        parse_structured(whole.as_bytes()).unwrap_err(),
        parse_structured(inner.as_bytes()).unwrap_err(),
        parse_binary(attributes, body.as_bytes()).unwrap_err(),
    ] {
        assert!(error.detail.contains("invalid type: sequence, expected a JSON object"), "{error}");
    }
}

#[test]
fn without_an_operation_id_the_events_own_identity_stands_for_it() {
    // given one event twice, the second time with another quantity
    let first = parse_structured(examples::EVENT_SMALL.as_bytes()).unwrap();
    let other_body = examples::EVENT_SMALL.replacen("\"quantity\": \"0\"", "\"quantity\": \"2\"", 1);
    let second = parse_structured(other_body.as_bytes()).unwrap();
    assert_ne!(first.quantity, second.quantity);
    // then both are one operation, which the ledger charges once
    assert_eq!(first.operation_id, second.operation_id);
    let other_id = examples::EVENT_SMALL.replacen("b17-000043", "b17-000044", 1);
    assert_ne!(parse_structured(other_id.as_bytes()).unwrap().operation_id, first.operation_id);
}

#[test]
fn price_book() {
    let book = examples::book();
    assert_eq!(book.check(), []);
    insta::assert_snapshot!(json(&book));
}

#[test]
fn key_document() {
    let document = examples::key_document();
    insta::assert_snapshot!(format!(
        "{}\n{}\n{:?}\n{}\n{}\n{}",
        examples::api_key().reveal(),
        registry_key(&document.key_id),
        examples::api_key(),
        json(&document),
        revocation_key(&document.key_id),
        json(&examples::key_revocation())
    ));
}

#[test]
fn audit_records_and_the_use_of_a_key() {
    let [started, ended] = examples::audit_records();
    let used = KeyUse { last_used_at: 1_795_292_103_120 };
    insta::assert_snapshot!(format!("{}\n{}\n{}", json(&started), json(&ended), json(&used)));
    for outcome in AuditOutcome::ALL {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.code());
    }
}

/// A document of before has none of the newer members, and means what it meant.
#[test]
fn a_key_document_of_before_is_not_narrowed_and_does_not_expire() {
    let mut value = serde_json::to_value(examples::key_document()).unwrap();
    for name in ["expires_at", "scopes", "replaced_by", "revoked_at", "replaces", "first_key_id"] {
        value.as_object_mut().unwrap().remove(name);
    }
    let document: KeyDocument = serde_json::from_value(value.clone()).unwrap();
    assert_eq!((document.scopes.len(), document.state(i64::MAX)), (0, KeyState::Active));
    assert_eq!((document.line(), document.is_test()), (&document.key_id, false));
    // One that a release does not know is no document: nobody gets more than was meant.
    value["scopes"] = serde_json::json!(["usage", "time_travel"]);
    assert!(serde_json::from_value::<KeyDocument>(value).is_err());
}

#[test]
fn a_key_stands_where_its_document_says() {
    let mut document = examples::key_document();
    document.expires_at = Some(1_000);
    assert_eq!(document.state(0), KeyState::Revoked);
    document.revoked_at = None;
    assert_eq!((document.state(999), document.state(1_000)), (KeyState::Active, KeyState::Expired));
    for scope in Scope::ALL {
        assert_eq!(serde_json::to_value(scope).unwrap(), scope.code());
        assert!(Scope::of_kind(KeyKind::Admin).contains(&scope));
    }
    assert!(!Scope::of_kind(KeyKind::Booth).contains(&Scope::Read));
}

#[test]
fn dead_letter_headers_and_reasons() {
    let headers = [
        header::REASON,
        header::DETAIL,
        header::STEP,
        header::SOURCE_TOPIC,
        header::SOURCE_PARTITION,
        header::SOURCE_OFFSET,
        header::RECEIVED_AT,
        header::DEAD_AT,
        header::OUTCOME,
        header::REDRIVEN_BY,
        header::REDRIVEN_AT,
        header::ENTRY,
        header::COMMAND,
    ];
    let outcomes: Vec<&str> = LetterOutcome::ALL.iter().map(|outcome| outcome.code()).collect();
    for outcome in LetterOutcome::ALL {
        assert_eq!(LetterOutcome::from_code(outcome.code()), Some(outcome));
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.code());
    }
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    for reason in Reason::ALL {
        assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        // The label and the JSON form are one.
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
    }
    insta::assert_snapshot!([headers.join("\n"), reasons.join("\n"), outcomes.join("\n")].join("\n\n"));
}

#[test]
fn entry_types() {
    let line = |kind: &EntryType| {
        assert_eq!(EntryType::from_code(kind.code()), Some(*kind));
        format!("{}{}", kind.code(), if kind.is_listed() { "" } else { " (only with include=all)" })
    };
    let lines: Vec<String> = EntryType::ALL.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn topics_and_groups() {
    let topics = TopicSet { prefix: "tollbooth.".to_owned(), partitions: 8 };
    let mut text = String::new();
    for spec in topics.specs() {
        writeln!(text, "{} x {}", spec.name, spec.partitions).unwrap();
        for (key, value) in spec.config {
            writeln!(text, "  {key}={value}").unwrap();
        }
    }
    writeln!(text, "groups: {METER_GROUP}, {SINK_LEASE_GROUP}, {SINK_OFFSETS_GROUP}").unwrap();
    insta::assert_snapshot!(text);
}
