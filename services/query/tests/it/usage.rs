//! Sums per bucket: exact, zero-filled, whatever the zone and wherever the edges lie.

use std::collections::BTreeMap;

use chrono_tz::TZ_VARIANTS;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{Adjustment, LedgerRecord, UsageStatus};
use tollbooth_schemas::{Money, Quantity};

use tollbooth_schemas::keys::KeyKind;

use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

const HOUR_MS: i64 = 3_600_000;

fn micros(amount: &Value) -> i64 {
    assert_eq!(amount["currency"], "USD");
    amount["amount"].as_str().unwrap().parse::<Money>().unwrap().micros()
}

fn ms(text: &Value) -> i64 {
    tollbooth_schemas::time::parse_rfc3339_ms(text.as_str().unwrap()).unwrap()
}

/// Instants within a quarter of an hour.
const EDGES: [&str; 6] = [
    "2026-03-03T01:07:13.123Z",
    "2026-03-05T23:52:59.001Z",
    "2026-02-03T01:07:13Z",
    "2026-09-05T23:52:59Z",
    "2026-07-05T23:52:59Z",
    "2026-03-20T01:16:00Z",
];

/// A year of entries at uneven instants: successes, failures, an adjustment that is no usage, some without an event.
fn year(account: &str) -> Ledger {
    let mut ledger = Ledger::open(account);
    let mut state = 42_u64;
    for number in 0..3_000_u64 {
        // A fixed linear generator: the same year each time.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Every second one lies close to an edge that the tests cut at.
        let at_ms = if number.is_multiple_of(2) {
            let edge_ms =
                tollbooth_schemas::time::parse_rfc3339_ms(EDGES[(state >> 40) as usize % EDGES.len()]).unwrap();
            edge_ms - 20 * 60_000 + i64::try_from((state >> 20) % (40 * 60_000)).unwrap()
        } else {
            BASE_MS - 300 * 24 * HOUR_MS + i64::try_from((state >> 20) % (360 * 24 * 3_600_000)).unwrap()
        };
        let (service, engine) =
            [("ai_modify", "kling"), ("sms", "sms_intl"), ("ai_combine", "grok")][(state >> 7) as usize % 3];
        let failed = (state >> 11).is_multiple_of(20);
        let status = if failed { UsageStatus::Failed } else { UsageStatus::Success };
        let amount = if failed { 0 } else { -i64::try_from((state >> 13) % 3_000_000).unwrap() - 1 };
        let mut kind = usage(service, engine, status, number);
        if let Kind::Usage(usage) = &mut kind {
            usage.event_id = match (state >> 17) % 3 {
                0 => String::new(),
                other => format!("evt_{other}"),
            };
        }
        ledger.push(vec![(kind, amount, at_ms)]);
    }
    ledger
}

/// Range, bucket, zone and group of a question.
type Asked = (String, &'static str, &'static str, &'static str);

/// Questions that are drawn besides those that are written down; `TOLLBOOTH_ZONES_SEED` repeats them.
const DRAWN: usize = 60;
const GROUPS: [&str; 8] = ["engine", "service", "event", "booth", "plan", "variant", "type", "status"];
/// With the least milliseconds of each; whatever the range, there are never too many of the last ones.
const BUCKETS: [(&str, i64); 7] = [
    ("15m", HOUR_MS / 4),
    ("hour", HOUR_MS),
    ("day", 23 * HOUR_MS),
    ("week", 167 * HOUR_MS),
    ("month", 671 * HOUR_MS),
    ("year", 8_759 * HOUR_MS),
    ("auto", 8_759 * HOUR_MS),
];
const BUCKETS_MAX: i64 = 1_000;

/// Any place's zone, a range of seconds to years, to the millisecond, and any bucket that it is not too long for.
fn drawn(seed: u64) -> Vec<Asked> {
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let places: Vec<&str> =
        TZ_VARIANTS.iter().map(|zone| zone.name()).filter(|name| name.contains('/') && !name.contains('+')).collect();
    (0..DRAWN)
        .map(|_| {
            let from_ms = BASE_MS - chance.random_range(0..400 * 24 * HOUR_MS);
            let length_ms =
                10_i64.pow(chance.random_range(4..11)) * chance.random_range(1..10) + chance.random_range(0..1_000);
            let few = BUCKETS.iter().filter(|(_, each_ms)| length_ms / each_ms < BUCKETS_MAX);
            let buckets: Vec<&str> = few.map(|(name, _)| *name).collect();
            let edge = tollbooth_schemas::time::rfc3339;
            let range = format!("from={}&to={}", edge(from_ms), edge(from_ms + length_ms));
            let mut any = |names: &[&'static str]| names[chance.random_range(0..names.len())];
            (range, any(&buckets), any(&places), any(&GROUPS))
        })
        .collect()
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sum {
    count: i64,
    failures: i64,
    quantity_micros: i64,
    micros: i64,
}

/// What the raw entries say about `[from_ms, to_ms)`, split by a function of the entry.
fn raw(
    records: &[LedgerRecord],
    from_ms: i64,
    to_ms: i64,
    key: impl Fn(&tollbooth_schemas::v1::Usage) -> String,
) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for entry in records.iter().flat_map(|record| &record.entries) {
        let Some(usage) = entry.usage().filter(|_| (from_ms..to_ms).contains(&entry.occurred_at_ms)) else { continue };
        let sum = sums.entry(key(usage)).or_default();
        sum.count += i64::from(!entry.is_failed());
        sum.failures += i64::from(entry.is_failed());
        sum.quantity_micros += if entry.is_failed() { 0 } else { usage.quantity_micros };
        sum.micros -= entry.amount_micros;
    }
    sums.retain(|_, sum| *sum != Sum::default());
    sums
}

fn total(sums: &BTreeMap<String, Sum>) -> Sum {
    sums.values().fold(Sum::default(), |all, sum| Sum {
        count: all.count + sum.count,
        failures: all.failures + sum.failures,
        quantity_micros: all.quantity_micros + sum.quantity_micros,
        micros: all.micros + sum.micros,
    })
}

fn sum_of(value: &Value) -> Sum {
    let quantity = value["quantity"].as_str().unwrap().parse::<Quantity>().unwrap();
    Sum {
        count: value["count"].as_i64().unwrap(),
        failures: value["failures"].as_i64().unwrap(),
        quantity_micros: quantity.micros(),
        micros: micros(&value["amount"]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bucket_is_the_sum_of_the_entries_in_it() {
    // given a year of entries, all in ClickHouse
    let stand = Stand::new().await;
    let ledger = year("acc_luna");
    stand.post(&ledger.records[..1]);
    stand.sink(&ledger.records).await;
    let query = stand.query().await;

    // given questions whose edges are known to be hard, and any others
    let seed = std::env::var("TOLLBOOTH_ZONES_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("TOLLBOOTH_ZONES_SEED={seed}");
    let written = [
        ("from=2026-01-01&to=2027-01-01", "month", "America/New_York", "engine"),
        ("from=2026-01-01&to=2027-01-01", "week", "Australia/Lord_Howe", "service"),
        ("from=2026-03-01&to=2026-04-15", "day", "America/New_York", "event"),
        ("from=2026-03-20&to=2026-04-15", "hour", "Asia/Kathmandu", "booth"),
        ("from=2026-04-04&to=2026-04-07", "15m", "Australia/Lord_Howe", "status"),
        ("from=2025-06-01&to=2027-06-01", "year", "Pacific/Apia", "plan"),
        ("from=2026-01-01&to=2027-01-01", "auto", "Asia/Kolkata", "variant"),
        // Edges within a quarter of an hour.
        ("from=2026-03-03T01:07:13.123Z&to=2026-03-05T23:52:59.001Z", "hour", "UTC", "type"),
        ("from=2026-02-03T01:07:13Z&to=2026-09-05T23:52:59Z", "day", "Europe/Berlin", "engine"),
        ("from=2026-03-03T01:01:00Z&to=2026-03-03T01:14:00Z", "15m", "UTC", "engine"),
        ("from=2026-03-03T01:01:00Z&to=2026-03-20T01:16:00Z", "year", "UTC", "event"),
    ];
    let written = written.map(|(range, bucket, tz, group)| (range.to_owned(), bucket, tz, group));
    for (range, bucket, tz, group) in written.into_iter().chain(drawn(seed)) {
        // when
        let path = format!("/v1/accounts/acc_luna/usage?{range}&bucket={bucket}&tz={tz}&group_by={group}");
        let answer = query.ok(&path).await;

        // then the buckets cover the range without gap or overlap
        let buckets = answer["buckets"].as_array().unwrap();
        let (from_ms, to_ms) = (ms(&answer["from"]), ms(&answer["to"]));
        assert_eq!((ms(&buckets[0]["start"]), ms(&buckets[buckets.len() - 1]["end"])), (from_ms, to_ms), "{path}");
        for pair in buckets.windows(2) {
            assert_eq!(pair[0]["end"], pair[1]["start"], "{path}");
        }
        // and each holds the entries in it, by group and in all
        let key = |usage: &tollbooth_schemas::v1::Usage| match group {
            "engine" => usage.engine.clone(),
            "service" => usage.service.clone(),
            "event" => usage.event_id.clone(),
            "booth" => usage.booth_id.clone(),
            "plan" => usage.plan.clone(),
            "variant" => usage.variant.clone(),
            "type" => "consume".to_owned(),
            _ => "success".to_owned(),
        };
        for bucket in buckets {
            let expected = raw(&ledger.records, ms(&bucket["start"]), ms(&bucket["end"]), key);
            assert_eq!(sum_of(bucket), total(&expected), "{path} {bucket}");
            let mut groups: BTreeMap<String, Sum> = BTreeMap::new();
            for one in bucket["groups"].as_array().unwrap() {
                groups.insert(one["key"].as_str().unwrap().to_owned(), sum_of(one));
            }
            if group == "status" {
                // The failed are counted there, and nowhere else.
                let failed = groups.remove("failed").unwrap_or_default();
                assert_eq!((failed.count, failed.micros), (failed.failures, 0), "{path}");
                groups.entry("success".to_owned()).or_default().failures += failed.failures;
            }
            groups.retain(|_, sum| *sum != Sum::default());
            assert_eq!(groups, expected, "{path} {bucket}");
        }
        // and the total is that of the range
        assert_eq!(sum_of(&answer["total"]), total(&raw(&ledger.records, from_ms, to_ms, key)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_has_its_documented_shape_and_zeros_where_nothing_was() {
    // given two charges in one hour, one of them just before the clocks went back
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let at = |text: &str| tollbooth_schemas::time::parse_rfc3339_ms(text).unwrap();
    luna.push(vec![
        (usage("ai_modify", "kling", UsageStatus::Success, 1), -200_000, at("2025-11-02T05:59:59.999Z")),
        (usage("sms", "sms_intl", UsageStatus::Success, 2), -30_000, at("2025-11-02T06:00:00Z")),
        (usage("sms", "sms_intl", UsageStatus::Failed, 3), 0, at("2025-11-02T06:00:00Z")),
    ]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let query = stand.query().await;

    // when New York's hours around it are asked for, in the account's own zone
    let path =
        "/v1/accounts/acc_luna/usage?from=2025-11-02T04:00:00Z&to=2025-11-02T08:00:00Z&bucket=hour&group_by=engine";
    let answer = query.ok(path).await;

    // then the hour that comes twice is two buckets
    insta::assert_json_snapshot!(answer);
    let by_count = query.ok(&format!("{path}&measure=count")).await;
    assert_eq!(by_count["measure"], "count");
    let filtered = query.ok("/v1/accounts/acc_luna/usage?from=2025-11-02&to=2025-11-03&engine=sms_intl").await;
    assert_eq!((&filtered["total"]["count"], &filtered["total"]["amount"]["amount"]), (&json!(1), &json!("0.03")));
    let status = query
        .ok("/v1/accounts/acc_luna/usage?from=2025-11-02&to=2025-11-03&bucket=day&group_by=status&measure=count")
        .await;
    assert_eq!(status["buckets"][0]["groups"][1]["count"], 1);
    let both = query.ok("/v1/accounts/acc_luna/usage?from=2025-11-02&to=2025-11-03&event_id=evt_gala&booth_id=bth_17&group_by=booth").await;
    assert_eq!(both["total"]["count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_is_bounded_and_its_parameters_are_checked() {
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let query = stand.query().await;
    for (parameters, code) in [
        ("top=3", "bad_parameter"),
        ("group_by=engine&top=0", "bad_parameter"),
        ("compare=next", "bad_parameter"),
        ("type=purchase", "bad_parameter"),
        ("status=late", "bad_parameter"),
        ("group_by=account", "bad_parameter"),
        ("from=2020-01-01&to=2026-01-01&bucket=hour", "too_many_buckets"),
        ("from=1970-01-01&to=2199-01-01&bucket=15m", "too_many_buckets"),
        ("bucket=minute", "bad_parameter"),
        ("tz=EST", "bad_parameter"),
        ("tz=Mars%2FOlympus", "bad_parameter"),
        ("from=2026-01-02&to=2026-01-02", "bad_parameter"),
        ("group_by=colour", "bad_parameter"),
        ("measure=weight", "bad_parameter"),
        ("event_id=gala", "bad_parameter"),
        ("zone=UTC", "unknown_parameter"),
    ] {
        let refused = query.get(&format!("/v1/accounts/acc_luna/usage?{parameters}")).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (400, &Value::from(code)), "{parameters}");
    }
    // An account without usage has a month of zeros.
    let empty = query.ok("/v1/accounts/acc_luna/usage?from=2026-02-01&to=2026-03-01&bucket=day").await;
    assert_eq!(empty["buckets"].as_array().unwrap().len(), 28);
    assert_eq!(sum_of(&empty["total"]), Sum::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_read_in_the_zone_that_it_was_opened_in() {
    // given an account of a zone that nobody could ask for
    let stand = Stand::new().await;
    let luna = Ledger::open_in("acc_luna", "CET");
    stand.post(&luna.records);
    let query = stand.query().await;

    // when no zone is named, dates are those of the account
    let usage = query.ok("/v1/accounts/acc_luna/usage?from=2026-07-01&to=2026-07-02&bucket=day").await;
    let event = query.ok("/v1/accounts/acc_luna/events/evt_gala/usage?from=2026-07-01").await;
    let list = query.ok("/v1/accounts/acc_luna/transactions?from=2026-10-20&to=2026-10-21").await;

    // then
    assert_eq!((&usage["from"], &usage["tz"]), (&json!("2026-07-01T00:00:00+02:00"), &json!("CET")));
    assert_eq!(event["from"], "2026-07-01T00:00:00+02:00");
    assert_eq!(list["data"].as_array().unwrap().len(), 1);

    // and naming it is refused as ever
    for path in ["usage", "events/evt_gala/usage", "transactions"] {
        let refused = query.get(&format!("/v1/accounts/acc_luna/{path}?tz=CET")).await;
        assert_eq!((refused.status.as_u16(), &refused.body["errors"][0]["pointer"]), (400, &json!("tz")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_may_be_larger_than_any_amount() {
    // given two charges of the most that one entry can be, and a credit in between
    const MOST: i64 = 999_999_999_999_999_999;
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let credit = || {
        let reason = "correction".to_owned();
        Kind::Adjustment(Adjustment { reason, note: String::new() })
    };
    let charge = |number| usage("ai_modify", "kling", UsageStatus::Success, number);
    luna.push(vec![
        (credit(), -1_000_000_000, BASE_MS),
        (charge(1), -MOST, BASE_MS + HOUR_MS),
        (credit(), MOST, BASE_MS),
        (charge(2), -MOST, BASE_MS + 2 * HOUR_MS),
    ]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let query = stand.query().await;

    // when they are summed
    let path =
        "/v1/accounts/acc_luna/usage?from=2026-10-20T00:30:00Z&to=2026-10-21T00:00:00Z&bucket=year&group_by=engine";
    let timeline = query.ok(path).await;
    let event = query.ok("/v1/accounts/acc_luna/events/evt_gala/usage").await;

    // then every sum is exact
    let both = json!({"amount": "1999999999999.999998", "currency": "USD"});
    for sum in [
        &timeline["total"],
        &timeline["buckets"][0],
        &timeline["buckets"][0]["groups"][0],
        &event["total"],
        &event["data"][0],
    ] {
        assert_eq!(sum["amount"], both, "{timeline} {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_events_engines_are_summed_over_all_time_or_a_range() {
    // given
    let stand = Stand::new().await;
    let ledger = year("acc_luna");
    stand.post(&ledger.records[..1]);
    stand.sink(&ledger.records).await;
    let query = stand.query().await;

    for range in ["", "?from=2026-03-03T01:07:13Z&to=2026-07-05T23:52:59Z", "?from=2026-05-01", "?to=2026-05-01&tz=UTC"]
    {
        // when
        let answer = query.ok(&format!("/v1/accounts/acc_luna/events/evt_1/usage{range}")).await;

        // then
        let from_ms = answer["from"].as_str().map_or(0, |_| ms(&answer["from"]));
        let to_ms = answer["to"].as_str().map_or(i64::MAX, |_| ms(&answer["to"]));
        let expected = raw(&ledger.records, from_ms, to_ms, |usage| {
            if usage.event_id == "evt_1" { format!("{} {}", usage.service, usage.engine) } else { "other".to_owned() }
        });
        let mut found = BTreeMap::from([("other".to_owned(), expected["other"].clone())]);
        for line in answer["data"].as_array().unwrap() {
            let key = format!("{} {}", line["service"].as_str().unwrap(), line["engine"].as_str().unwrap());
            let mut sum = expected[&key].clone();
            (sum.count, sum.micros) = (line["count"].as_i64().unwrap(), micros(&line["amount"]));
            sum.failures = line["failed"].as_i64().unwrap();
            found.insert(key, sum);
        }
        assert_eq!(found, expected, "{range}");
        let failed = ledger.records.iter().flat_map(|record| &record.entries).filter(|entry| {
            entry.is_failed()
                && entry.usage().is_some_and(|usage| usage.event_id == "evt_1")
                && (from_ms..to_ms).contains(&entry.occurred_at_ms)
        });
        assert_eq!(answer["total"]["failed"].as_u64().unwrap() as usize, failed.count(), "{range}");
    }
    let nothing = query.ok("/v1/accounts/acc_luna/events/evt_none/usage").await;
    assert_eq!((&nothing["data"], &nothing["total"]["count"]), (&json!([]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_narrows_the_sums_to_the_entries_that_pass() {
    // given
    let stand = Stand::new().await;
    let ledger = year("acc_luna");
    stand.post(&ledger.records[..1]);
    stand.sink(&ledger.records).await;
    let query = stand.query().await;

    type Passes = fn(&tollbooth_schemas::v1::Usage) -> bool;
    let cases: [(&str, Passes); 8] = [
        ("service=sms", |usage| usage.service == "sms"),
        ("engine=kling,grok", |usage| usage.engine != "sms_intl"),
        ("variant=1k&plan=basic", |_| true),
        ("variant=2k", |_| false),
        ("event_id=evt_1", |usage| usage.event_id == "evt_1"),
        ("booth_id=bth_17&event_id=evt_2", |usage| usage.event_id == "evt_2"),
        ("status=success&type=consume", |usage| usage.status != UsageStatus::Failed as i32),
        ("status=failed", |usage| usage.status == UsageStatus::Failed as i32),
    ];
    for (filter, passes) in cases {
        // when, with edges that cut quarters of an hour
        let range = "from=2026-03-03T01:07:13.123Z&to=2026-09-05T23:52:59Z";
        let answer = query.ok(&format!("/v1/accounts/acc_luna/usage?{range}&bucket=month&{filter}")).await;

        // then
        let key = |usage: &tollbooth_schemas::v1::Usage| if passes(usage) { "in" } else { "out" }.to_owned();
        let expected = raw(&ledger.records, ms(&answer["from"]), ms(&answer["to"]), key);
        assert_eq!(sum_of(&answer["total"]), expected.get("in").cloned().unwrap_or_default(), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_groups_of_the_range_stay_apart_and_the_others_are_one() {
    // given 30 events of which the later ones spent more, in two months
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    for number in 0..60_i64 {
        let mut kind = usage("ai_modify", "kling", UsageStatus::Success, number.unsigned_abs());
        if let Kind::Usage(usage) = &mut kind {
            usage.event_id = format!("evt_{:02}", number % 30);
        }
        luna.push(vec![(kind, -1_000 * (number % 30 + 1), BASE_MS + number * 12 * HOUR_MS)]);
    }
    stand.post(&luna.records[..1]);
    stand.sink(&luna.records).await;
    let query = stand.query().await;

    // when the five largest are asked for
    let path = "/v1/accounts/acc_luna/usage?from=2026-10-01&to=2026-12-01&bucket=month&group_by=event&tz=UTC";
    let top = query.ok(&format!("{path}&top=5")).await;
    let all = query.ok(path).await;

    // then every bucket has those of the whole range, and one for the others, and sums up to the same
    let mut kept: Vec<String> = Vec::new();
    for (bucket, whole) in top["buckets"].as_array().unwrap().iter().zip(all["buckets"].as_array().unwrap()) {
        let groups = bucket["groups"].as_array().unwrap();
        assert_eq!(
            (&groups[groups.len() - 1]["key"], &groups[groups.len() - 1]["name"]),
            (&json!(null), &json!("Other"))
        );
        kept.extend(groups.iter().filter_map(|group| group["key"].as_str().map(str::to_owned)));
        assert_eq!(sum_of(bucket), sum_of(whole));
        let sum: i64 = groups.iter().map(|group| micros(&group["amount"])).sum();
        assert_eq!(sum, micros(&bucket["amount"]));
    }
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept, ["evt_25", "evt_26", "evt_27", "evt_28", "evt_29"]);
    assert_eq!(top["total"], all["total"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_is_compared_with_the_one_before_it() {
    // given
    let stand = Stand::new().await;
    let ledger = year("acc_luna");
    stand.post(&ledger.records[..1]);
    stand.sink(&ledger.records).await;
    let query = stand.query().await;

    // when a month that has ended is compared
    let path = "/v1/accounts/acc_luna/usage?from=2026-03-01&to=2026-04-01&bucket=day&group_by=engine";
    let answer = query.ok(&format!("{path}&compare=previous")).await;

    // then the month before stands beside it, as it would be answered by itself
    let before = query.ok("/v1/accounts/acc_luna/usage?from=2026-02-01&to=2026-03-01&bucket=day&group_by=engine").await;
    for member in ["from", "to", "buckets", "total"] {
        assert_eq!(answer["previous"][member], before[member], "{member}");
    }
    assert!(sum_of(&before["total"]).count > 0);
    assert!(query.ok(path).await.get("previous").is_none());

    // and a range under way is compared with as much as has gone by
    let under_way =
        query.ok("/v1/accounts/acc_luna/usage?from=2025-01-01&to=2199-01-01&bucket=year&compare=previous").await;
    let seen_ms = chrono::Utc::now().timestamp_millis() - ms(&under_way["from"]);
    let compared_ms = ms(&under_way["previous"]["to"]) - ms(&under_way["previous"]["from"]);
    // Leap days and offsets aside.
    assert!((seen_ms - compared_ms).abs() < 3 * 24 * HOUR_MS, "{seen_ms} {compared_ms}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cost_is_shown_to_an_admin_alone() {
    // given a charge whose provider cost was told, and an account's key
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let mut kind = usage("ai_modify", "kling", UsageStatus::Success, 1);
    if let Kind::Usage(usage) = &mut kind {
        usage.provider_cost_micros = Some(70_000);
    }
    luna.push(vec![(kind, -200_000, BASE_MS)]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let own = stand.issue(KeyKind::Account, "acc_luna", 1);
    let query = stand.query().await;
    let path = "/v1/accounts/acc_luna/usage?from=2026-10-01&to=2026-11-01&group_by=engine";
    until("the key is known", async || query.get_with(path, Some(own.reveal())).await.status == 200).await;

    // when both ask
    let admins = query.ok(&format!("{path}&measure=margin")).await;
    let owners = query.get_with(path, Some(own.reveal())).await.body;
    let refused = query.get_with(&format!("{path}&measure=margin"), Some(own.reveal())).await;

    // then
    assert_eq!(
        (&admins["total"]["provider_cost"]["amount"], &admins["total"]["margin"]["amount"]),
        (&json!("0.07"), &json!("0.13"))
    );
    assert!(!owners.to_string().contains("cost") && !owners.to_string().contains("margin"), "{owners}");
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (403, &json!("forbidden")));
    let detail = "/v1/accounts/acc_luna/transactions/ent_acc_luna_3";
    assert_eq!(query.ok(detail).await["provider_cost"]["amount"], "0.07");
    assert!(query.get_with(detail, Some(own.reveal())).await.body.get("provider_cost").is_none());
}
