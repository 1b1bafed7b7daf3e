//! The examples of `docs/prices.md`: each table is what the core charges.

use serde_json::{Value, json};
use tollbooth_schemas::{
    Money, Quantity,
    v1::{PricePart, PricePartKind},
};

use crate::harness::{Partition, book, event, posted, sample_book, usage_of};

const DOC: &str = include_str!("../../../../docs/prices.md");

fn quantity(micros: i64) -> Quantity {
    Quantity::from_micros(micros).unwrap()
}

fn part(part: &PricePart) -> String {
    let (price, used) = (Money::from_micros(part.unit_price_micros).unwrap(), quantity(part.quantity_micros));
    match part.kind() {
        PricePartKind::Included => format!("{used} included"),
        PricePartKind::PerUnit | PricePartKind::Tier => format!("{used} x {price}"),
        PricePartKind::Flat => format!("{price}"),
        PricePartKind::Package => format!("{} packs x {price}", part.packs),
        PricePartKind::Minimum => format!("at least {price}"),
        PricePartKind::Unspecified => unreachable!(),
    }
}

/// The row as the document shows it, then the charges of one month, one after the other.
#[allow(clippy::needless_pass_by_value)] // Written where it is called.
fn section(row: Value, quantities: &[&str]) -> String {
    let mut lines = vec![
        "```json".to_owned(),
        row.to_string(),
        "```".to_owned(),
        String::new(),
        "| counted before | quantity | parts | charge |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    let mut sample = sample_book();
    sample["version"] = 2.into();
    sample["effective_from"] = "2025-02-01T00:00:00Z".into();
    let mut whole = json!({"service": "ai_modify", "engine": "nano", "unit": "image"});
    whole.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
    sample["prices"] = json!([whole]);
    let mut partition = Partition::open();
    assert!(partition.books.publish(book(&sample)));
    for (number, used) in quantities.iter().enumerate() {
        let report = event(&format!("op_{number}"), |event| event["data"]["quantity"] = (*used).into());
        let entry = posted(partition.usage(&report));
        let pricing = usage_of(&entry).pricing.as_deref();
        let before = pricing.and_then(|pricing| pricing.counted.as_ref());
        let before = before.map_or("-".to_owned(), |counted| quantity(counted.before_micros).to_string());
        let parts = match pricing {
            Some(pricing) => pricing.parts.iter().map(part).collect::<Vec<_>>().join(" + "),
            None => String::new(),
        };
        let charge = Money::from_micros(-entry.amount_micros).unwrap();
        lines.push(format!("| {before} | {used} | {parts} | {charge} |"));
    }
    lines.join("\n")
}

#[test]
fn the_examples_of_the_document_are_what_is_charged() {
    let plan = |price: &str| json!({"basic": price});
    let tier = |from: &str, to: Option<&str>, price: &str| match to {
        Some(to) => json!({"from": from, "to": to, "plans": plan(price)}),
        None => json!({"from": from, "plans": plan(price)}),
    };
    let tiers =
        || json!([tier("0", Some("1000"), "0.00"), tier("1000", Some("2000"), "0.08"), tier("2000", None, "0.05")]);
    let sections = [
        section(json!({"model": "per_unit", "plans": plan("0.20")}), &["1", "2.5", "0.000003"]),
        section(json!({"model": "flat", "plans": plan("0.50")}), &["1", "7"]),
        section(json!({"model": "package", "pack_size": "10", "plans": plan("0.50")}), &["1", "10", "25"]),
        section(json!({"model": "graduated", "plans": {}, "tiers": tiers()}), &["990", "20", "1000"]),
        section(json!({"model": "volume", "plans": {}, "tiers": tiers()}), &["990", "20", "1000"]),
        section(json!({"model": "per_unit", "plans": plan("0.02"), "included": {"basic": "30"}}), &["29", "3", "1"]),
        section(json!({"model": "per_unit", "plans": plan("0.02"), "minimum": plan("0.05")}), &["1", "3"]),
    ];
    let missing: Vec<String> = sections.into_iter().filter(|wanted| !DOC.contains(wanted)).collect();
    assert!(missing.is_empty(), "docs/prices.md must show:\n{}\n(end)", missing.join("\n(next)\n"));
}
