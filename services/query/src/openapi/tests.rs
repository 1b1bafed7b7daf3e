use std::collections::BTreeSet;

use super::*;

/// What an operation answers where all goes well.
fn success(operation: &Value) -> Option<&Map<String, Value>> {
    let responses = ["200", "201"].into_iter().map(|status| &operation["responses"][status]["content"]);
    responses.filter_map(Value::as_object).next()
}

/// Its schema, with everything it refers to.
fn answer_schema(operation: &Value) -> Option<Value> {
    let mut schema = success(operation)?.get("application/json")?.get("schema")?.clone();
    schema["components"] = DOCUMENT.value["components"].clone();
    Some(schema)
}

/// With `UPDATE_OPENAPI=1` the file is written instead.
#[test]
fn the_committed_document_is_the_served_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &DOCUMENT.text).unwrap();
    }
    let committed = std::fs::read(path).unwrap_or_default();
    assert!(
        committed == DOCUMENT.text,
        "services/query/openapi.json has drifted: run the tests of tollbooth-query once with UPDATE_OPENAPI=1"
    );
}

#[test]
fn every_answer_has_an_example_that_fits_its_schema() {
    let mut ids = BTreeSet::new();
    for (_, path, operation) in DOCUMENT.operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{path}: {id} is taken");
        let Some(contents) = success(operation) else {
            // Nothing is answered.
            assert!(operation["responses"]["204"].is_object(), "{path}");
            continue;
        };
        assert!(contents.values().all(|content| content.get("example").is_some()), "{path} has no example");
        let Some(schema) = answer_schema(operation) else { continue };
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&contents["application/json"]["example"])
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{path}: {errors:#?}");
    }
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap();
    let unused: Vec<&String> = examples.keys().filter(|id| !ids.contains(id.as_str())).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_operation_and_parameter_is_described() {
    assert_eq!(DOCUMENT.value["openapi"], "3.1.0");
    for (_, path, operation) in DOCUMENT.operations() {
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let is_described = parameter["description"].as_str().is_some_and(|about| !about.is_empty());
            let has_schema = parameter["schema"].as_object().is_some_and(|schema| schema.contains_key("type"));
            assert!(is_described && has_schema, "{path} {parameter}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&DOCUMENT.value, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let target = reference.strip_prefix('#').and_then(|pointer| DOCUMENT.value.pointer(pointer));
        assert!(target.is_some(), "{reference}");
    }
}
