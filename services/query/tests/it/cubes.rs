//! Whatever is asked of an account's sums, ClickHouse is asked once.

use serde_json::{Value, json};
use tollbooth_schemas::v1::UsageStatus;

use crate::between::Between;
use crate::carried::{asked_of_clickhouse, exact, grow, path, seq, sums, without_cubes};
use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

/// What a screen asks of an account, and what its charts may be switched to.
const OF_ACCOUNT: [&str; 11] = [
    "usage?from=2026-09-01&to=2026-12-01&bucket=month",
    "usage?from=2026-10-01&to=2026-11-01&bucket=day&group_by=engine&compare=previous",
    "usage?from=2026-10-01&to=2026-11-01&bucket=day&tz=Asia/Kathmandu&group_by=service&top=1",
    "usage?from=2026-10-25&to=2026-10-27&bucket=hour&tz=Europe/Berlin&group_by=status",
    "usage?from=2026-10-01&to=2026-11-01&bucket=week&group_by=plan&measure=count",
    "usage?from=2026-10-01&to=2026-11-01&group_by=type",
    "usage?from=2026-10-01&to=2026-11-01&group_by=variant&status=failed",
    "usage?from=2026-10-01&to=2026-11-01&engine=kling,sora&type=consume,refund",
    "usage?from=2026-10-01&to=2026-11-01&group_by=engine&top=1&measure=margin",
    "summary?from=2026-10-01&to=2026-11-01",
    "summary?from=2026-10-01&to=2026-11-01&tz=Australia/Lord_Howe",
];
/// And of an event.
const OF_EVENT: [&str; 4] = [
    "events/evt_1/usage",
    "events/evt_1/usage?tz=Asia/Kathmandu",
    "usage?from=2026-10-01&to=2026-11-01&event_id=evt_1&group_by=engine",
    "usage?from=2026-10-01&to=2026-11-01&event_id=evt_1&group_by=event&bucket=day&status=success",
];
/// What no rollup of an account or event tells alone, or not in whole quarters.
const OF_OTHERS: [&str; 4] = [
    "usage?from=2026-10-01&to=2026-11-01&group_by=event",
    "usage?from=2026-10-01&to=2026-11-01&group_by=booth",
    "usage?from=2026-10-01&to=2026-11-01&event_id=evt_1,evt_2",
    "usage?from=2026-10-01T00:07:13Z&to=2026-10-30T23:52:59.123Z&bucket=day&group_by=engine",
];

async fn all(query: &Query, paths: &[&str]) -> Vec<Value> {
    let mut told = Vec::new();
    for words in paths {
        told.push(sums(query.ok(&path(words)).await));
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_about_an_account_and_an_event_is_told_by_one_question_each() {
    // given an account, all of it sunk
    let stand = Stand::new().await;
    let (mut luna, mut seed) = (Ledger::open("acc_luna"), 3_u64);
    grow(&mut luna, 150, &mut seed);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let query = stand.query().await;
    let each = without_cubes(&stand).await;
    exact(&query, "usage?from=2020-01-01&to=2020-01-02").await;
    let asked = asked_of_clickhouse(&query).await;

    // when everything is asked of it, then it is what is told by a question each, and nothing more is asked
    assert_eq!(all(&query, &OF_ACCOUNT).await, all(&each, &OF_ACCOUNT).await);
    assert_eq!(asked_of_clickhouse(&query).await, asked);
    assert_eq!(all(&query, &OF_EVENT).await, all(&each, &OF_EVENT).await);
    assert_eq!(asked_of_clickhouse(&query).await, asked + 1);
    assert!(asked_of_clickhouse(&each).await >= (OF_ACCOUNT.len() + OF_EVENT.len()) as u64);
    // and what it cannot tell is asked
    assert_eq!(all(&query, &OF_OTHERS).await, all(&each, &OF_OTHERS).await);
    assert_eq!(asked_of_clickhouse(&query).await, asked + 1 + OF_OTHERS.len() as u64);

    // and when more happens of which ClickHouse knows nothing yet, what was never asked before has it
    let known = luna.records.len();
    grow(&mut luna, 60, &mut seed);
    luna.push(vec![(usage("sms", "twilio", UsageStatus::Success, 999), -700, BASE_MS)]);
    stand.post(&luna.records[known..]);
    let newest = u64::try_from(luna.records.len()).unwrap() + 1;
    query.ok(&path(&format!("balance?min_seq={newest}"))).await;
    let other_zone = |words: &&str| {
        let sign = if words.contains('?') { '&' } else { '?' };
        format!("{}{sign}tz=America/St_Johns", words.split("&tz=").next().unwrap())
    };
    let others: Vec<String> = OF_ACCOUNT.iter().chain(&OF_EVENT[2..]).map(other_zone).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let asked = asked_of_clickhouse(&query).await;
    let carried = all(&query, &others).await;
    assert_eq!(asked_of_clickhouse(&query).await, asked);
    assert_eq!(seq(&query.get(&path(others[0])).await), Some(newest));
    stand.sink(&luna.records[known..]).await;
    stand.commit_all().await;
    let anew = without_cubes(&stand).await;
    for (words, carried) in others.iter().zip(carried) {
        assert_eq!(carried, sums(exact(&anew, words).await.body), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cube_of_the_middle_of_a_block_is_known_to_the_entry() {
    // given services that have looked at the tables, and a block that the sink has inserted and not committed
    let stand = Stand::new().await;
    let (mut luna, mut seed) = (Ledger::open("acc_luna"), 13_u64);
    grow(&mut luna, 60, &mut seed);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let (within, after) = (stand.query().await, without_cubes(&stand).await);
    // Another account's: the one that is asked for has no cube yet.
    let mut sol = Ledger::open("acc_sol");
    sol.charge(1);
    stand.post(&sol.records);
    stand.sink(&sol.records).await;
    stand.commit_all().await;
    within.ok("/v1/accounts/acc_sol/balance?min_seq=3").await;
    until("the tables are known", async || {
        seq(&within.get("/v1/accounts/acc_sol/usage?from=2026-10-01&to=2026-11-01").await).is_some()
    })
    .await;
    grow(&mut luna, 40, &mut seed);
    let newest = u64::try_from(luna.records.len()).unwrap() + 1;
    stand.post(&luna.records[61..]);
    stand.write_ranges(0).await;
    stand.sink(&luna.records[61..]).await;
    within.ok(&path(&format!("balance?min_seq={newest}"))).await;

    // when, then all of it is in the answers, once, and it is known to the entry
    let first = within.get(&path(OF_ACCOUNT[0])).await;
    assert_eq!(seq(&first), Some(newest));
    let told = all(&within, &OF_ACCOUNT).await;
    let told_of_event = all(&within, &OF_EVENT).await;
    stand.commit_all().await;
    after.ok(&path(&format!("balance?min_seq={newest}"))).await;
    for (words, told) in OF_ACCOUNT.iter().chain(&OF_EVENT).zip(told.into_iter().chain(told_of_event)) {
        assert_eq!(told, sums(exact(&after, words).await.body), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_account_with_too_much_for_it_each_is_asked_for() {
    // given a service that reads few rows for a cube
    let stand = Stand::new().await;
    let (mut luna, mut seed) = (Ledger::open("acc_luna"), 17_u64);
    grow(&mut luna, 60, &mut seed);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let mut config = stand.config();
    config.answers.cube_rows_max = 20;
    let between = Between::start_for(&config.clickhouse.url, "AS cells").await;
    config.clickhouse.url.clone_from(&between.url);
    let query = Query::start(config, &stand.admin_key).await;
    exact(&query, "usage?from=2020-01-01&to=2020-01-02").await;
    let asked = asked_of_clickhouse(&query).await;
    let tried = between.asked();

    // when, then the answers are the same, each by a question of its own, and the cube is not tried again
    assert_eq!(all(&query, &OF_ACCOUNT).await, all(&without_cubes(&stand).await, &OF_ACCOUNT).await);
    assert_eq!(asked_of_clickhouse(&query).await, asked + OF_ACCOUNT.len() as u64);
    assert_eq!(between.asked(), tried);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cube_of_a_database_that_was_put_back_is_not_kept() {
    // given a service that has read an account to its end, all of it sunk
    let stand = Stand::new().await;
    let (mut luna, mut seed) = (Ledger::open("acc_luna"), 5_u64);
    grow(&mut luna, 20, &mut seed);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let query = stand.query().await;
    exact(&query, "usage?from=2026-09-01&to=2026-12-01&group_by=booth").await;

    // when the database is one of before, while the sink's offsets stay
    stand.clickhouse.query("TRUNCATE TABLE usage_15m_by_account").execute().await.unwrap();
    stand.write_ranges(1).await;
    // then what it tells is vouched for by nobody
    let answer = query.get(&path(OF_ACCOUNT[0])).await;
    assert_eq!((&answer.body["total"]["count"], seq(&answer)), (&json!(0), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dashboards_ask_first_is_read_ahead() {
    // given accounts whose entries are sunk, and a process that starts and reads ahead for the busier two
    let stand = Stand::new().await;
    let mut seed = 3_u64;
    for (account, charges) in [("acc_luna", 80), ("acc_sol", 60), ("acc_quiet", 5)] {
        let mut ledger = Ledger::open(account);
        grow(&mut ledger, charges, &mut seed);
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    stand.commit_all().await;
    let mut config = stand.config();
    config.answers.ahead_accounts_max = 2;
    let query = Query::start(config, &stand.admin_key).await;
    let read = "tollbooth_query_read_ahead_accounts 2";
    until("both are read", async || query.metrics().await.contains(read)).await;
    let each = without_cubes(&stand).await;

    // when their dashboards ask, then nothing is asked of ClickHouse, and it is what would be told by a question each
    for account in ["acc_luna", "acc_sol"] {
        for words in ["usage?from=2026-10-01&to=2026-11-01&group_by=engine", "summary?from=2026-10-01&to=2026-11-01"] {
            let path = format!("/v1/accounts/{account}/{words}");
            assert_eq!(sums(query.ok(&path).await), sums(each.ok(&path).await));
        }
        let newest = format!("/v1/accounts/{account}/transactions?limit=50");
        assert_eq!(query.ok(&newest).await["data"], each.ok(&newest).await["data"]);
    }
    assert_eq!(asked_of_clickhouse(&query).await, 0);
    let page = "tollbooth_query_pages_total{source=\"memory\"} 2";
    assert!(query.metrics().await.contains(page));
    // and the quiet one asks for itself
    query.ok("/v1/accounts/acc_quiet/summary?from=2026-10-01&to=2026-11-01").await;
    assert_eq!(asked_of_clickhouse(&query).await, 1);
}
