//! A database is believed only where it shows the ledger, and all that was committed of it.

use crate::stand::{Ledger, Query, Stand, until};

/// A stand of which everything is in ClickHouse and committed.
async fn sunk() -> Stand {
    let stand = Stand::new().await;
    let luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    stand
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_of_another_ledger_is_not_believed() {
    // given a database that shows another cluster or another topic
    let stand = sunk().await;
    let ledger = stand.topics.ledger();
    for (cluster_id, topic) in [("another", ledger.as_str()), (stand.cluster_id.as_str(), "another.ledger")] {
        stand.bind(cluster_id, topic).await;

        // when the service starts
        let query = Query::begin(stand.config(), &stand.admin_key).await;

        // then it is not ready, and says why
        let is_named = async |component: &str| {
            let why = query.component(component).await;
            why.contains("is a projection of") && why.contains(cluster_id) && why.contains(topic)
        };
        until("the live view names the other ledger", async || is_named("live-view").await).await;
        until("the store names the other ledger", async || is_named("clickhouse").await).await;
        assert_eq!(query.get("/v1/accounts/acc_luna/balance").await.status, 503);

        // and goes on by itself once the database is the right one
        stand.bind(&stand.cluster_id, &ledger).await;
        let is_ready =
            async || query.component("live-view").await == "ok" && query.component("clickhouse").await == "ok";
        until("both are ready", is_ready).await;
        assert_eq!(query.ok("/v1/accounts/acc_luna/balance").await["seq"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_history_is_answered_from_the_database_of_another_ledger() {
    // given a fresh sink, so that balances need no database, and a database that shows another ledger
    let stand = Stand::new().await;
    stand.bind("another", &stand.topics.ledger()).await;
    stand.post(&Ledger::open("acc_luna").records);

    // when history is asked for
    let query = stand.query().await;
    let usage = query.get("/v1/accounts/acc_luna/usage").await;

    // then balances are answered and history is not
    assert_eq!(query.ok("/v1/accounts/acc_luna/balance").await["seq"], 2);
    assert_eq!((usage.status.as_u16(), &usage.body["code"]), (503, &"unavailable".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lacks_what_was_committed_is_not_believed() {
    // given a database whose newest sunk ranges end before the committed offsets: an older copy
    let stand = Stand::new().await;
    let luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    stand.write_ranges(1).await;
    stand.commit_offsets("ledger-sink");

    // when the service starts
    let query = Query::begin(stand.config(), &stand.admin_key).await;

    // then it is not ready, and says why
    let is_named = async || query.component("live-view").await.contains("before offset 1 that the sink has committed");
    until("the live view names what is missing", is_named).await;

    // and goes on by itself once the rows are there
    stand.sink(&luna.records).await;
    stand.write_ranges(0).await;
    until("the live view is ready", async || query.component("live-view").await == "ok").await;
    assert_eq!(query.ok("/v1/accounts/acc_luna/balance").await["seq"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offsets_are_those_of_the_sink_that_fills_the_database() {
    // given a second database, filled by a sink with a group of its own, beside the offsets of the first
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    stand.commit_offsets("second-sink");
    stand.sink(&luna.records).await;
    stand.write_ranges(0).await;
    luna.charge(3);
    stand.post(&luna.records[1..]);
    stand.commit_offsets("ledger-sink");

    // when the service reads the second
    let mut config = stand.config();
    config.live.offsets_group = "second-sink".to_owned();
    let query = Query::start(config, &stand.admin_key).await;

    // then it begins where that one is
    assert_eq!(query.ok("/v1/accounts/acc_luna/balance").await["seq"], 5);
    assert!(query.metrics().await.contains("tollbooth_query_live_reloads_total 0"));
}
