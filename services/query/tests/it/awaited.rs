//! Reads that name an entry: they see it, or say that they do not.

use serde_json::{Value, json};

use crate::stand::{Ledger, Query, Stand, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_names_an_entry_waits_for_it_within_a_bound() {
    // given
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    let mut config = stand.config();
    config.live.min_seq_wait_ms = 300;
    let query = Query::start(config, &stand.admin_key).await;

    // when the entry does not come
    let late = query.get("/v1/accounts/acc_luna/balance?min_seq=3").await;

    // then it says so, and sees it once it is there
    assert_eq!((late.status.as_u16(), &late.body["code"]), (503, &json!("seq_not_reached")));
    assert!(late.headers.contains_key("retry-after"));
    luna.charge(1);
    stand.post(&luna.records[1..]);
    let seen = async || query.get("/v1/accounts/acc_luna/balance?min_seq=3").await.status == 200;
    until("the entry is seen", seen).await;
    assert_eq!(query.get("/v1/accounts/acc_luna/balance?min_seq=0").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_clickhouse_shows_the_entry_that_it_was_asked_for() {
    // given an entry that memory has and ClickHouse has not
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(1);
    stand.post(&luna.records);
    stand.sink(&luna.records[..1]).await;
    let mut config = stand.config();
    config.live.min_seq_wait_ms = 300;
    let query = Query::start(config, &stand.admin_key).await;
    let range = "from=2026-01-01&to=2027-01-01";
    let paths = [
        format!("usage?{range}"),
        format!("events/evt_gala/usage?{range}"),
        format!("transactions?{range}&q=nano_banana"),
    ]
    .map(|path| format!("/v1/accounts/acc_luna/{path}&min_seq="));
    assert_eq!(query.ok("/v1/accounts/acc_luna/balance?min_seq=3").await["seq"], 3);
    let count = |body: &Value| match body["total"]["count"].as_u64() {
        Some(count) => count,
        None => body["data"].as_array().unwrap().len() as u64,
    };

    // when answers of ClickHouse are to show it, then they say that they do not
    let refused = async |why: &str| {
        for path in &paths {
            let late = query.get(&format!("{path}3")).await;
            assert_eq!((late.status.as_u16(), &late.body["code"]), (503, &json!("seq_not_reached")), "{path} {why}");
            assert!(late.headers.contains_key("retry-after"));
        }
    };
    refused("nothing was committed").await;
    // Who names no entry is answered by a search as of what is there.
    let search = query.get(paths[2].trim_end_matches("&min_seq=")).await;
    assert_eq!((search.status.as_u16(), count(&search.body)), (200, 0));
    // Rows that are there without the sink's word may lack their sums.
    stand.sink(&luna.records[1..]).await;
    for path in &paths[..2] {
        assert_eq!(query.get(&format!("{path}3")).await.status, 503, "{path}");
    }

    // and once the sink says so, they show it
    stand.commit_all().await;
    for path in &paths {
        let answer = query.get(&format!("{path}3")).await;
        assert_eq!((answer.status.as_u16(), count(&answer.body)), (200, 1), "{path} {}", answer.body);
    }

    // and an entry that is not even in memory is nowhere
    for path in &paths {
        assert_eq!(query.get(&format!("{path}4")).await.body["code"], "seq_not_reached");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_until_the_sink_is_through() {
    // given a service with patience, and an entry that only memory has
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(1);
    stand.post(&luna.records);
    let mut config = stand.config();
    config.live.min_seq_wait_ms = 20_000;
    config.live.offsets_group = "another-sink".to_owned();
    let query = Query::start(config, &stand.admin_key).await;
    query.ok("/v1/accounts/acc_luna/balance?min_seq=3").await;

    // when a sum that shall show it is asked for before the sink has it
    let asked = query.ok("/v1/accounts/acc_luna/usage?from=2026-01-01&to=2027-01-01&min_seq=3");
    let sunk = async {
        let waits = async || query.metrics().await.contains("tollbooth_query_waiting_reads 1");
        until("the read waits", waits).await;
        stand.sink(&luna.records).await;
        stand.write_ranges(0).await;
        stand.commit_offsets("another-sink");
    };
    let (answer, ()) = tokio::join!(asked, sunk);

    // then it is answered with the entry in it
    assert_eq!(answer["total"]["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_show_the_entry_says_so() {
    // given an account whose newest entries memory does not join to those of ClickHouse
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(38);
    stand.post(&luna.records);
    stand.sink(&luna.records[..19]).await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 10;
    config.live.min_seq_wait_ms = 300;
    let query = Query::start(config, &stand.admin_key).await;

    // when a page is asked for that would be as of entry 20
    let get =
        async |min_seq: u64| query.get(&format!("/v1/accounts/acc_luna/transactions?limit=15&min_seq={min_seq}")).await;

    // then one that must show a later entry is refused
    let past = get(20).await;
    assert_eq!((past.status.as_u16(), &past.body["as_of_seq"]), (200, &json!(20)));
    assert_eq!(get(21).await.body["code"], "seq_not_reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_under_way_at_the_end_still_sees_what_it_waits_for() {
    // given a read that waits for an entry
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    let mut config = stand.config();
    config.live.min_seq_wait_ms = 8_000;
    let mut query = Query::start(config, &stand.admin_key).await;
    let asked = query.get("/v1/accounts/acc_luna/balance?min_seq=3");
    let posted = async {
        let waits = async || query.metrics().await.contains("tollbooth_query_waiting_reads 1");
        until("the read waits", waits).await;

        // when the process is asked to end before the entry comes
        query.trigger_end();
        until("it is ending", async || query.component("process").await == "shutting down").await;
        luna.charge(1);
        stand.post(&luna.records[1..]);
    };
    let (answer, ()) = tokio::join!(asked, posted);

    // then it is answered, and everything ends in order
    assert_eq!((answer.status.as_u16(), &answer.body["seq"]), (200, &json!(3)));
    query.ended().await.unwrap();
}
