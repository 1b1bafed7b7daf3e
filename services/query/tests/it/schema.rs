//! A database of an older schema, and one whose schema moves forward while it is asked.

use serde_json::Value;
use tollbooth_schemas::clickhouse::{Migration, READ_SINCE};

use crate::stand::{Ledger, Query, Stand, known, until};

/// What is asked of ClickHouse, one question of each kind.
const ASKED: [&str; 7] = [
    "/v1/accounts/acc_luna/balance",
    "/v1/accounts/acc_luna/transactions?service=ai_modify",
    "/v1/accounts/acc_luna/transactions?q=nano",
    "/v1/accounts/acc_luna/usage?from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z&bucket=day&tz=UTC&group_by=engine",
    "/v1/accounts/acc_luna/events",
    "/v1/accounts/acc_luna/booths",
    "/v1/fleet/drift",
];

/// A migration as the next release may have one: columns, a view that fills one of them, an index, a table.
const NEXT: Migration = Migration {
    version: 9_000,
    name: "9000_next.sql",
    sql: "ALTER TABLE ledger ADD COLUMN IF NOT EXISTS colour LowCardinality(String) AFTER engine;
          ALTER TABLE ledger ADD INDEX IF NOT EXISTS by_colour colour TYPE set(100) GRANULARITY 1;
          ALTER TABLE usage_15m_by_event ADD COLUMN IF NOT EXISTS colours SimpleAggregateFunction(max, UInt64);
          ALTER TABLE account_balances ADD COLUMN IF NOT EXISTS colour SimpleAggregateFunction(max, String);
          CREATE TABLE IF NOT EXISTS colours (colour String) ENGINE = MergeTree ORDER BY colour;",
};

/// A ledger of which all is in ClickHouse and committed.
async fn sink(stand: &Stand) -> Ledger {
    let mut luna = Ledger::open("acc_luna");
    luna.charge(3);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    luna
}

/// What is answered, but for when.
async fn answers(query: &Query) -> Vec<Value> {
    let mut answers = Vec::new();
    for path in ASKED {
        let mut answer = query.ok(path).await;
        if let Some(members) = answer.as_object_mut() {
            members.remove("as_of");
        }
        answers.push(answer);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_too_old_is_named_and_waited_for() {
    // given a database that has not seen the newest migration that is read
    let stand = Stand::with_schema(READ_SINCE - 1).await;
    sink(&stand).await;

    // when the service starts
    let query = Query::begin(stand.config(), &stand.admin_key).await;

    // then it is not ready, and says which migration is missing, and who applies it
    let needed = known(|version| version == READ_SINCE)[0].name;
    let is_named = async |component: &str| {
        let why = query.component(component).await;
        why.contains(&format!("this release reads what {needed} makes: start the sink of this release"))
    };
    until("the live view names the migration", async || is_named("live-view").await).await;
    until("the store names the migration", async || is_named("clickhouse").await).await;
    assert_eq!(query.get(ASKED[0]).await.status, 503);
    assert_eq!(query.get(ASKED[3]).await.status, 503);

    // and goes on by itself once it was applied
    stand.migrate(known(|version| version >= READ_SINCE)).await;
    let is_ready = async || query.component("live-view").await == "ok" && query.component("clickhouse").await == "ok";
    until("both are ready", is_ready).await;
    assert_eq!(query.ok(ASKED[0]).await["seq"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_needs_no_newer_schema_than_it_says() {
    // given a database that ends with the migration that is said to be enough
    let stand = Stand::with_schema(READ_SINCE).await;
    sink(&stand).await;

    // when everything is asked, then it is answered
    let query = stand.query().await;
    answers(&query).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_goes_on_while_a_newer_release_changes_the_schema() {
    // given a service that has answered by the schema that it knows
    let stand = Stand::new().await;
    let mut luna = sink(&stand).await;
    let query = stand.query().await;
    let before = answers(&query).await;

    // when the sink of a newer release applies its migration
    stand.migrate(&[NEXT]).await;

    // then it answers the same, and so does one of this release that starts now
    assert_eq!(answers(&query).await, before);
    let started = stand.query().await;
    assert_eq!(answers(&started).await, before);

    // and what lands afterwards is seen
    let known = luna.records.len();
    luna.charge(2);
    stand.post(&luna.records[known..]);
    stand.sink(&luna.records[known..]).await;
    stand.commit_all().await;
    for service in [&query, &started] {
        until("the new entries are answered", async || service.ok(ASKED[0]).await["seq"] == 7).await;
        until("the sums have them", async || service.ok(ASKED[3]).await["total"]["count"] == 5).await;
    }
}
