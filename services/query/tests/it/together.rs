//! Sums and pages of many accounts that are asked for at once.

use serde_json::Value;
use tollbooth_schemas::v1::UsageStatus;
use tollbooth_schemas::v1::entry::Kind;

use crate::between::Between;
use crate::carried::without_cubes;
use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

const ACCOUNTS: usize = 24;
const HOUR_MS: i64 = 3_600_000;

/// One of an account's events is called alike in all of them.
fn paths(number: usize) -> [String; 4] {
    [
        format!("/v1/accounts/acc_{number}/usage?from=2026-10-01&to=2026-11-01&bucket=day&group_by=engine"),
        format!("/v1/accounts/acc_{number}/usage?from=2026-10-01&to=2026-11-01&bucket=week&service=sms"),
        format!("/v1/accounts/acc_{number}/events/evt_{number}/usage?tz=UTC"),
        format!("/v1/accounts/acc_{number}/events/evt_gala/usage?tz=UTC"),
    ]
}

/// An account whose sums are like no other's.
fn account(number: usize) -> Ledger {
    let mut ledger = Ledger::open(&format!("acc_{number}"));
    for count in 0..=number {
        let (engine, service) = [("kling", "ai_modify"), ("sora", "sms")][count % 2];
        let operation = u64::try_from(number * 100 + count).unwrap();
        let mut kind = usage(service, engine, UsageStatus::Success, operation);
        if let Kind::Usage(usage) = &mut kind {
            usage.event_id = [format!("evt_{number}"), "evt_gala".to_owned(), String::new()][count % 3].clone();
        }
        let amount = -i64::try_from(1_000 * number + count + 1).unwrap();
        ledger.push(vec![(kind, amount, BASE_MS + i64::try_from(count).unwrap() * 7 * HOUR_MS)]);
    }
    ledger
}

async fn all_at_once(query: &Query) -> Vec<Value> {
    let paths: Vec<String> = (0..ACCOUNTS).flat_map(paths).collect();
    let answers = futures_util::future::join_all(paths.iter().map(|path| query.ok(path))).await;
    answers.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_gets_what_it_would_get_alone() {
    // given accounts that have as many entries as nobody else
    let stand = Stand::new().await;
    let ledgers: Vec<Ledger> = (0..ACCOUNTS).map(account).collect();
    for ledger in &ledgers {
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    stand.commit_all().await;
    let start = async |together_max| {
        let mut config = stand.config();
        // Each question is put, and few at once, so that others come meanwhile.
        config.answers.bytes_max = 0;
        config.store.concurrent_max = 2;
        config.store.queue_wait_ms = 60_000;
        config.store.together_max = together_max;
        let between = Between::start(&config.clickhouse.url).await;
        config.clickhouse.url.clone_from(&between.url);
        (Query::start(config, &stand.admin_key).await, between)
    };
    let ((alone, apart), (together, joint)) = (start(1).await, start(16).await);

    // when all of them ask at once
    let expected = all_at_once(&alone).await;
    let answers = all_at_once(&together).await;

    // then each is told its own, in fewer questions
    for (index, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
        assert_eq!(answer, expected, "{}", paths(index / 4)[index % 4]);
    }
    assert!(expected.iter().any(|answer| answer["total"]["count"] == 24), "{}", expected[0]);
    assert_eq!(apart.asked(), 2 * ACCOUNTS, "each account's two questions about its own rollup");
    assert!(joint.asked() < apart.asked(), "{} questions instead of {}", joint.asked(), apart.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn cubes_of_many_are_told_together() {
    // given accounts that have as many entries as nobody else, and few questions at once
    let stand = Stand::new().await;
    let ledgers: Vec<Ledger> = (0..ACCOUNTS).map(account).collect();
    for ledger in &ledgers {
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    stand.commit_all().await;
    let mut config = stand.config();
    config.store.concurrent_max = 2;
    config.store.queue_wait_ms = 60_000;
    // More than any of them has, less than those that go together have.
    config.answers.cube_rows_max = 30;
    let between = Between::start_for(&config.clickhouse.url, "AS cells").await;
    config.clickhouse.url.clone_from(&between.url);
    let cubes = Query::start(config, &stand.admin_key).await;
    let alone = without_cubes(&stand).await;
    // What no cube tells: until it is known how far the sink is none is kept.
    let warm = "/v1/accounts/acc_0/usage?from=2026-10-01&to=2026-11-01&group_by=booth";
    until("the tables are known", async || cubes.get(warm).await.headers.contains_key("tollbooth-seq")).await;

    // when all of them ask at once
    let answers = all_at_once(&cubes).await;
    let asked = between.asked();
    let expected = all_at_once(&alone).await;

    // then each is told its own, in fewer questions than there are accounts and events
    for (index, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
        assert_eq!(answer, expected, "{}", paths(index / 4)[index % 4]);
    }
    assert!(asked > 0 && asked < 3 * ACCOUNTS, "{asked} questions");
    // and they are kept: asked again nothing is
    assert_eq!(all_at_once(&cubes).await, answers);
    assert_eq!(between.asked(), asked);
}

/// Entries in no order of services, the oldest of a service that only it has. Of some accounts it lies deeper than is looked at
/// together.
fn long_account(number: usize) -> Ledger {
    let mut ledger = Ledger::open(&format!("acc_{number}"));
    let entries = number + if number.is_multiple_of(8) { 700 } else { 150 };
    for count in 0..=entries {
        let service = if count == 0 { "rare" } else { ["ai_modify", "sms", "sms", "print"][(count * 7 + number) % 4] };
        let mut kind = usage(service, "kling", UsageStatus::Success, u64::try_from(number * 1_000 + count).unwrap());
        if let Kind::Usage(usage) = &mut kind
            && count % 3 == 1
        {
            usage.variant = "4k".to_owned();
        }
        let amount = -i64::try_from(1_000 * number + count + 1).unwrap();
        ledger.push(vec![(kind, amount, BASE_MS + i64::try_from(count).unwrap() * HOUR_MS)]);
    }
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_pages_is_what_it_would_be_alone() {
    // given accounts of which memory has the newest entries alone
    let stand = Stand::new().await;
    let ledgers: Vec<Ledger> = (0..ACCOUNTS).map(long_account).collect();
    for ledger in &ledgers {
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    stand.commit_all().await;
    let start = async |together_max| {
        let mut config = stand.config();
        config.live.recent_entries_per_account_max = 10;
        config.store.pages_bytes_max = 0;
        config.store.concurrent_max = 2;
        config.store.queue_wait_ms = 60_000;
        config.store.together_max = together_max;
        let between = Between::start_for(&config.clickhouse.url, "balance_after, quantity").await;
        config.clickhouse.url.clone_from(&between.url);
        (Query::start(config, &stand.admin_key).await, between)
    };
    let ((alone, apart), (together, joint)) = (start(1).await, start(16).await);
    let of = |number: usize, query: &str| format!("/v1/accounts/acc_{number}/transactions?{query}");

    // when all of them ask at once: for the newest, for those of a service, for the oldest of all, for those of a variant, and
    // for two pages
    let mut paths = Vec::new();
    for number in 0..ACCOUNTS {
        let filtered =
            ["limit=50", "limit=20&service=ai_modify", "limit=20&service=rare", "limit=20&variant=4k&plan=basic"];
        paths.extend(filtered.map(|query| of(number, query)));
        let first = alone.ok(&of(number, "limit=30")).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        paths.extend(["limit=30".to_owned(), format!("limit=30&cursor={cursor}")].map(|query| of(number, &query)));
    }
    let before = apart.asked();
    let all_at_once = async |query: &Query| {
        let answers = paths.iter().map(|path| query.ok(path));
        futures_util::future::join_all(answers).await
    };
    let expected = all_at_once(&alone).await;
    let answers = all_at_once(&together).await;

    // then each is told its own, in fewer questions
    for ((answer, expected), path) in answers.iter().zip(&expected).zip(&paths) {
        assert_eq!(answer, expected, "{path}");
    }
    assert_eq!(expected[2]["data"][0]["seq"], 3, "{}", expected[2]);
    assert_eq!(expected[3]["data"].as_array().unwrap().len(), 20, "{}", expected[3]);
    let (asked_apart, asked_jointly) = (apart.asked() - before, joint.asked());
    assert!(asked_jointly < asked_apart, "{asked_jointly} questions instead of {asked_apart}");
}
