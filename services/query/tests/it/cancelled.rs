//! Who goes away takes the query along, and what a request asks it pays for together.

use std::sync::Arc;

use clickhouse::Client;
use tokio::task::JoinHandle;

use crate::between::Between;
use crate::query::Query;
use crate::stand::{Ledger, Stand, until};

/// Queries of sums that run on the stand's database, and rows that they have read.
async fn running(clickhouse: &Client, database: &str) -> (u64, u64) {
    let sql = "SELECT toUInt64(count()), toUInt64(sum(read_rows)) FROM system.processes \
               WHERE current_database = {database:String} AND query LIKE '%usage_15m' || '_by_account%'";
    clickhouse.query(sql).param("database", database).fetch_one().await.unwrap()
}

/// Has the rollup of accounts read from elsewhere: a row a number, of this month and of the one before by turns.
async fn rows_come_from(stand: &Stand, numbers: &str) {
    let view = format!(
        "CREATE VIEW usage_15m_by_account AS SELECT 'acc_luna' AS account_id, \
         toDateTime('2026-10-20', 'UTC') - toIntervalDay(number % 2 * 30) AS bucket, \
         'consume' AS type, 'sms' AS service, 'sms' AS engine, '' AS variant, 'basic' AS plan, 'success' AS status, \
         toInt64(1) AS count, toInt64(0) AS failed, toDecimal128(1, 6) AS quantity, toDecimal128(-1, 6) AS amount, \
         toDecimal128(0, 6) AS provider_cost, toUInt64(0) AS newest_seq FROM {numbers}"
    );
    for sql in ["DROP TABLE usage_15m_by_account", view.as_str()] {
        stand.clickhouse.query(sql).execute().await.unwrap();
    }
}

fn ask(query: &Arc<Query>, path: &'static str) -> JoinHandle<()> {
    let query = Arc::clone(query);
    tokio::spawn(async move {
        query.get(path).await;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_with_the_last_who_waits_for_it() {
    // given a rollup that takes hours to read
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    rows_come_from(&stand, "numbers(1000000) WHERE sleepEachRow(0.05) = 0 SETTINGS max_block_size = 1").await;
    let mut config = stand.config();
    config.store.execution_time_s_max = 600;
    let query = Arc::new(Query::start(config, &stand.admin_key).await);
    let path = "/v1/accounts/acc_luna/usage?from=2026-10-01&to=2026-11-01&bucket=day";

    // when two ask the same
    let first = ask(&query, path);
    let runs = async || running(&stand.clickhouse, &stand.database).await.0 == 1;
    until("the query runs", runs).await;
    let second = ask(&query, path);
    let joined = "tollbooth_query_answers_total{source=\"joined\"} 1";
    until("the other one waits for it", async || query.metrics().await.contains(joined)).await;

    // then it goes on when the one who began goes away
    first.abort();
    let read = running(&stand.clickhouse, &stand.database).await.1;
    until("it has read on", async || running(&stand.clickhouse, &stand.database).await.1 > read + 20).await;
    assert_eq!(running(&stand.clickhouse, &stand.database).await.0, 1);

    // and ends with the other one
    second.abort();
    until("the query is gone", async || running(&stand.clickhouse, &stand.database).await.0 == 0).await;
    let idle = "tollbooth_clickhouse_inflight_queries 0";
    until("nothing is under way", async || query.metrics().await.contains(idle)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_questions_of_a_request_share_what_it_may_read() {
    // given a rollup of a thousand rows, and requests that may read less than twice as many
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    rows_come_from(&stand, "numbers(1000)").await;
    let mut config = stand.config();
    config.store.rows_to_read_max = 1_500;
    // One question would tell both.
    config.answers.cubes_bytes_max = 0;
    let query = Query::start(config, &stand.admin_key).await;
    let range = "from=2026-10-01&to=2026-11-01";

    // when one asks once, and one for the period before as well
    let once = query.get(&format!("/v1/accounts/acc_luna/usage?{range}&bucket=day")).await;
    let twice = query.get(&format!("/v1/accounts/acc_luna/summary?{range}")).await;

    // then the other one asks for too much
    assert_eq!(once.status, 200, "{}", once.body);
    assert_eq!((twice.status.as_u16(), twice.body["code"].as_str()), (400, Some("query_too_large")), "{}", twice.body);
    // and the next request may ask again
    assert_eq!(query.get(&format!("/v1/accounts/acc_luna/usage?{range}&bucket=week")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_questions_of_a_request_share_the_time_that_they_may_take() {
    // given a rollup that takes two and a half seconds to read, and requests that may take less than twice as long
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    rows_come_from(&stand, "numbers(50) WHERE sleepEachRow(0.05) = 0 SETTINGS max_block_size = 1").await;
    let mut config = stand.config();
    config.store.execution_time_s_max = 4;
    config.answers.cubes_bytes_max = 0;
    let query = Query::start(config, &stand.admin_key).await;
    let range = "from=2026-10-01&to=2026-11-01";

    // when one asks once, and one for the period before as well
    let once = query.get(&format!("/v1/accounts/acc_luna/usage?{range}&bucket=day")).await;
    let twice = query.get(&format!("/v1/accounts/acc_luna/summary?{range}")).await;

    // then the other one asked for too much
    assert_eq!(once.status, 200, "{}", once.body);
    assert_eq!((twice.status.as_u16(), twice.body["code"].as_str()), (400, Some("query_too_large")), "{}", twice.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_place_among_the_questions_is_told_when_to_come_back() {
    // given one place, which a question holds that is not answered
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let mut config = stand.config();
    let between = Between::start(&config.clickhouse.url).await;
    config.clickhouse.url.clone_from(&between.url);
    config.store.concurrent_max = 1;
    config.store.queue_wait_ms = 100;
    config.store.execution_time_s_max = 600;
    let query = Arc::new(Query::start(config, &stand.admin_key).await);
    until("history is answered", async || query.component("clickhouse").await == "ok").await;
    between.answer(0);
    let holding = ask(&query, "/v1/accounts/acc_luna/usage?from=2026-10-01&to=2026-11-01&bucket=day");
    let held = "tollbooth_clickhouse_inflight_queries 1";
    until("the place is taken", async || query.metrics().await.contains(held)).await;

    // when another one is put
    let answer = query.get("/v1/accounts/acc_luna/transactions?q=sms").await;

    // then it is told to come back, and balances are answered
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (503, Some("unavailable")), "{}", answer.body);
    assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
    assert_eq!(query.get("/v1/accounts/acc_luna/balance").await.status, 200);
    // and what it waited is counted: as long as it may, or a little more
    let waits = query.metrics().await;
    let within = |bucket: &str| -> u64 {
        let start = format!("tollbooth_clickhouse_wait_seconds_bucket{{stage=\"place\",le=\"{bucket}\"}} ");
        waits.lines().find_map(|line| line.strip_prefix(start.as_str())).unwrap().parse().unwrap()
    };
    assert!(within("0.1") < within("+Inf"), "{waits}");
    holding.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_behind_others_is_told_to_come_back() {
    // given one place, and a rollup that takes longer to read than a request may
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    rows_come_from(&stand, "numbers(400) WHERE sleepEachRow(0.05) = 0 SETTINGS max_block_size = 1").await;
    let mut config = stand.config();
    config.store.execution_time_s_max = 3;
    config.store.concurrent_max = 1;
    config.store.queue_wait_ms = 30_000;
    config.answers.cubes_bytes_max = 0;
    let query = Arc::new(Query::start(config, &stand.admin_key).await);
    let by_day = "/v1/accounts/acc_luna/usage?from=2026-10-01&to=2026-11-01&bucket=day";

    // when one asks, and another one while that is under way
    let first = ask(&query, by_day);
    until("the query runs", async || running(&stand.clickhouse, &stand.database).await.0 == 1).await;
    let second = query.get(&by_day.replace("bucket=day", "bucket=week")).await;

    // then it is not said to ask for too much
    assert_eq!((second.status.as_u16(), second.body["code"].as_str()), (503, Some("unavailable")), "{}", second.body);
    assert!(second.headers.contains_key("retry-after"), "{:?}", second.headers);
    first.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clickhouse_that_says_nothing_is_no_fault_of_who_asks() {
    // given a ClickHouse of whose answers some never come, and requests that may take a second
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let mut config = stand.config();
    let between = Between::start(&config.clickhouse.url).await;
    config.clickhouse.url.clone_from(&between.url);
    config.store.execution_time_s_max = 1;
    config.answers.cubes_bytes_max = 0;
    let query = Query::start(config, &stand.admin_key).await;
    until("history is answered", async || query.component("clickhouse").await == "ok").await;
    let range = "from=2026-10-01&to=2026-11-01";
    let summary = format!("/v1/accounts/acc_luna/summary?{range}");

    // when none of what a request asks is answered, or the second thing is not
    for answered in [0, 1] {
        between.answer(answered);
        let answer = query.get(&summary).await;
        // then there is no history at the moment
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (503, Some("unavailable")),
            "{}",
            answer.body
        );
        assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
    }
    // and the next request has time of its own
    between.answer(2);
    assert_eq!(query.get(&summary).await.status, 200);
}
