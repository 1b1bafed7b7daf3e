use serde_json::json;

use super::*;

fn asked(group_by: Option<GroupBy>, measure: Measure) -> Asked<'static> {
    Asked {
        currency: "USD",
        zone: Tz::UTC,
        bucket: Bucket::Hour,
        group_by,
        measure,
        top: None,
        is_admin: false,
        now_ms: 0,
    }
}

fn row(start_ms: i64, group_key: &str, succeeded: i64, spent_micros: i128) -> UsageRow {
    UsageRow {
        start_ms,
        group_key: group_key.to_owned(),
        succeeded,
        failures: 3,
        quantity_micros: i128::from(succeeded) * 1_500_000,
        spent_micros,
        cost_micros: spent_micros / 2,
        newest_seq: 0,
    }
}

fn fill(asked: Asked<'_>, starts: &[i64], rows: Vec<UsageRow>) -> Result<serde_json::Value, Problem> {
    let spans: Vec<Span> =
        starts.windows(2).map(|pair| Span { start_ms: pair[0], end_ms: pair[1], partial: false }).collect();
    let range = TimeRange { from_ms: starts[0], to_ms: starts[starts.len() - 1] };
    asked.fill(range, &spans, rows, &Names::default()).map(|body| serde_json::to_value(body).unwrap())
}

fn keys(timeline: &serde_json::Value) -> Vec<&serde_json::Value> {
    timeline["buckets"][0]["groups"].as_array().unwrap().iter().map(|group| &group["key"]).collect()
}

#[test]
fn empty_buckets_are_zeros_and_groups_follow_the_measure() {
    let rows = vec![row(0, "kling", 1, 5_000_000), row(0, "sms", 9, 90_000), row(2_000, "sms", -1, -10_000)];
    let filled =
        |measure| fill(asked(Some(GroupBy::Engine), measure), &[0, 1_000, 2_000, 3_000], rows.clone()).unwrap();
    let by_amount = filled(Measure::Amount);
    insta::assert_json_snapshot!(by_amount);
    assert_eq!(keys(&by_amount), ["kling", "sms"]);
    for measure in [Measure::Count, Measure::Quantity] {
        assert_eq!(keys(&filled(measure)), ["sms", "kling"]);
    }
}

#[test]
fn the_rest_stands_last_however_large_it_is() {
    let rows = vec![row(0, REST_KEY, 99, 9_000_000), row(0, "kling", 1, 1), row(0, "", 2, 2)];
    let timeline =
        fill(Asked { top: Some(2), ..asked(Some(GroupBy::Engine), Measure::Amount) }, &[0, 1], rows).unwrap();
    assert_eq!(keys(&timeline), [&json!(""), &json!("kling"), &json!(null)]);
    assert_eq!(timeline["buckets"][0]["groups"][2]["name"], "Other");
    assert_eq!(timeline["total"]["count"], 102);
}

#[test]
fn failed_operations_are_counted_apart() {
    let rows = vec![row(0, "success", 2, 1), row(0, "failed", 0, 0)];
    let timeline = fill(asked(Some(GroupBy::Status), Measure::Count), &[0, 1_000], rows).unwrap();
    let bucket = &timeline["buckets"][0];
    assert_eq!([&bucket["groups"][1]["count"], &bucket["count"], &timeline["total"]["failures"]], [3, 2, 6]);
}

#[test]
fn what_it_cost_is_an_admins_business() {
    let rows = || vec![row(0, "", 1, 1_000_000)];
    let own = fill(asked(None, Measure::Amount), &[0, 1_000], rows()).unwrap();
    assert!(own["total"].get("provider_cost").is_none() && own["total"].get("margin").is_none());
    let admins = fill(Asked { is_admin: true, ..asked(None, Measure::Amount) }, &[0, 1_000], rows()).unwrap();
    assert_eq!([&admins["total"]["provider_cost"]["amount"], &admins["total"]["margin"]["amount"]], ["0.50", "0.50"]);
}

#[test]
fn a_sum_outside_every_bucket_is_an_error_not_a_loss() {
    let outcome = fill(asked(None, Measure::Count), &[0, 1_000], vec![row(5, "", 1, 1)]);
    assert_eq!(outcome.unwrap_err().code(), "internal");
}
