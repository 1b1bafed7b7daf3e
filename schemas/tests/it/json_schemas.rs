//! JSON Schemas are made from the types; the files beside them must not drift.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p tollbooth-schemas` writes them anew.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tollbooth_schemas::{
    Amount,
    audit::AuditRecord,
    dead_letter::Reason,
    keys::{KeyDocument, KeyRevocation, KeyUse},
    price_book::PriceBook,
    sessions::EndedSession,
    usage::{UsageData, WireEvent},
};

use super::examples;

fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("usage-event", schemars::schema_for!(WireEvent<'static>).to_value()),
        ("usage-data", schemars::schema_for!(UsageData<'static>).to_value()),
        ("price-book", schemars::schema_for!(PriceBook).to_value()),
        ("key-document", schemars::schema_for!(KeyDocument).to_value()),
        ("key-revocation", schemars::schema_for!(KeyRevocation).to_value()),
        ("audit-record", schemars::schema_for!(AuditRecord).to_value()),
        ("key-use", schemars::schema_for!(KeyUse).to_value()),
        ("ended-session", schemars::schema_for!(EndedSession).to_value()),
        ("amount", schemars::schema_for!(Amount).to_value()),
        ("dead-letter-reason", schemars::schema_for!(Reason).to_value()),
    ]
}

fn schema(name: &str) -> jsonschema::Validator {
    let (_, schema) = schemas().into_iter().find(|(known, _)| *known == name).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn the_files_are_those_of_the_types() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("json");
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    let mut expected = Vec::new();
    for (name, schema) in schemas() {
        let path = folder.join(format!("{name}.schema.json"));
        let text = format!("{schema:#}\n");
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, text, "{} drifted: set UPDATE_SCHEMAS=1", path.display());
        expected.push(path);
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(expected.contains(&path), "{} belongs to no type", path.display());
    }
}

#[test]
fn examples_are_valid() {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let event = parse(examples::EVENT);
    let cases = [
        ("usage-event", event.clone()),
        ("usage-event", parse(examples::EVENT_SMALL)),
        ("usage-data", event["data"].clone()),
        ("price-book", parse(examples::BOOK)),
        ("price-book", serde_json::to_value(examples::local_book()).unwrap()),
        ("key-document", serde_json::to_value(examples::key_document()).unwrap()),
        ("key-revocation", serde_json::to_value(examples::key_revocation()).unwrap()),
        ("audit-record", serde_json::to_value(&examples::audit_records()[0]).unwrap()),
        ("audit-record", serde_json::to_value(&examples::audit_records()[1]).unwrap()),
        ("key-use", json!({"last_used_at": "2026-11-21T20:15:03.120Z"})),
        ("ended-session", json!({"key_id": "key_1", "expires_at": "2026-11-21T20:15:03.120Z"})),
        ("amount", json!({"amount": "-0.0125", "currency": "USD"})),
        ("dead-letter-reason", json!("no_price")),
    ];
    for (name, value) in cases {
        let errors: Vec<String> = schema(name).iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn null_stands_for_absent_and_other_members_are_kept() {
    let mut event: Value = serde_json::from_str(examples::EVENT).unwrap();
    for name in ["variant", "country", "hold_id", "provider_cost", "error_code", "captured_at"] {
        event["data"][name] = Value::Null;
    }
    event["data"]["guest_count"] = json!(4);
    event["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert!(schema("usage-event").is_valid(&event));
    tollbooth_schemas::usage::parse_structured(event.to_string().as_bytes()).unwrap();
}

#[test]
fn what_the_types_refuse_the_schemas_refuse() {
    let event: Value = serde_json::from_str(examples::EVENT).unwrap();
    let damaged = |pointer: &str, value: Value| {
        let mut event = event.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    let cases = [
        damaged("/data/quantity", json!(1.5)),
        damaged("/data/quantity", json!("-1")),
        damaged("/data/quantity", json!("1.0000001")),
        damaged("/data/status", json!("done")),
        damaged("/data/provider_cost", json!(0.067)),
        damaged("/data/attempt", json!("1")),
        damaged("/time", json!(1_795_292_103)),
    ];
    for value in cases {
        assert!(!schema("usage-event").is_valid(&value), "{value}");
        assert!(tollbooth_schemas::usage::parse_structured(value.to_string().as_bytes()).is_err(), "{value}");
    }
    let mut book: Value = serde_json::from_str(examples::BOOK).unwrap();
    book["prices"][0]["discount"] = json!("0.1");
    assert!(!schema("price-book").is_valid(&book));
    assert!(serde_json::from_value::<PriceBook>(book).is_err());
}
