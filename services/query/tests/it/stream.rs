//! Server-sent events: nothing missing, nothing twice, whatever happens in between.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tollbooth_chassis::config::ClickHouseSection;
use tollbooth_query::openapi::DOCUMENT;
use tollbooth_schemas::keys::KeyKind;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{AlertKind, AlertRaised, UsageStatus};

use crate::events::Event;
use crate::stand::{BASE_MS, Ledger, Query, Stand, until, usage};

const PATH: &str = "/v1/accounts/acc_luna/stream";

fn named<'a>(events: &'a [Event], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event.name == name).map(|event| &event.data).collect()
}

fn seqs(events: &[Event]) -> Vec<u64> {
    named(events, "transaction").into_iter().map(|data| data["seq"].as_u64().unwrap()).collect()
}

fn is_seq(event: &Event, seq: u64) -> bool {
    event.name == "transaction" && event.data["seq"] == seq
}

/// What the document says of the events of a stream.
fn check(events: &[Event]) {
    for event in events {
        let schema = match event.name.as_str() {
            "ready" => "StreamReady",
            "balance" => "StreamBalance",
            "transaction" => "Transaction",
            "usage" => "StreamUsage",
            "alert" => "Alert",
            "resync" => "StreamResync",
            other => panic!("{other}"),
        };
        let schema = json!({
            "$ref": format!("#/components/schemas/{schema}"), "components": DOCUMENT.value["components"]
        });
        let errors: Vec<String> =
            jsonschema::validator_for(&schema).unwrap().iter_errors(&event.data).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{event:?} {errors:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_where_it_was_also_with_another_process() {
    // given a client that has seen a part of what happened
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    // So long that nothing but the entries themselves can wake a stream.
    let start = async || {
        let mut config = stand.config();
        config.stream.heartbeat_ms = 600_000;
        Query::start(config, &stand.admin_key).await
    };
    let query = start().await;
    let mut stream = query.stream(PATH, None).await;
    luna.charge(20);
    stand.post(&luna.records[1..]);
    let mut events = stream.until(|event| is_seq(event, 12)).await;
    drop(stream);

    // when more happens while it is away, the process is replaced, and the new one has begun behind it
    luna.charge(20);
    stand.post(&luna.records[21..]);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    query.stop().await;
    luna.charge(5);
    stand.post(&luna.records[41..]);
    let query = start().await;
    let mut stream = query.stream(PATH, Some(&events.last().unwrap().id)).await;
    events.extend(stream.until(|event| is_seq(event, 47)).await);
    luna.charge(1);
    stand.post(&luna.records[46..]);
    let is_last_sum = |event: &Event| event.name == "usage" && event.data["to_seq"] == 48;
    events.extend(stream.until(is_last_sum).await);

    // then it has seen every entry once, in order, and the sums of each once
    check(&events);
    assert_eq!(seqs(&events), (3..=48).collect::<Vec<u64>>());
    assert!(named(&events, "resync").is_empty());
    let sums = named(&events, "usage");
    let counted: i64 =
        sums.iter().flat_map(|sum| sum["data"].as_array().unwrap()).map(|l| l["count"].as_i64().unwrap()).sum();
    assert_eq!(counted, 46);
    for pair in sums.windows(2) {
        assert_eq!(pair[0]["to_seq"], pair[1]["after_seq"]);
    }
    // A transaction is what the list shows.
    let list = query.ok("/v1/accounts/acc_luna/transactions?limit=1").await;
    assert_eq!(named(&events, "transaction").last(), Some(&&list["data"][0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_gathered_and_the_last_one_always_comes() {
    // given a stream that begins at the newest entry
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    let query = stand.query().await;
    let mut stream = query.stream(&format!("{PATH}?topics=balance"), None).await;
    let mut events = stream.until(|event| event.name == "balance").await;
    assert_eq!(events[0].data, json!({"account_id": "acc_luna", "seq": 2}));

    // when much happens at once
    luna.charge(300);
    stand.post(&luna.records[1..]);
    events.extend(stream.until(|event| event.name == "balance" && event.data["seq"] == 302).await);

    // then there are few balances, the last of which is the newest
    check(&events);
    assert_eq!(events.last().unwrap().data["balance"]["amount"], "997.00");
    let balances = named(&events, "balance");
    assert!(balances.len() < 100, "{}", balances.len());
    assert!(balances.windows(2).all(|pair| pair[0]["seq"].as_u64() < pair[1]["seq"].as_u64()));
    assert!(events.iter().all(|event| event.name != "transaction"));
    let metrics = query.metrics().await;
    assert!(metrics.contains("tollbooth_sse_connections 1"));
    drop(stream);
    until("the place is free", async || query.metrics().await.contains("tollbooth_sse_connections 0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_events_stream_is_of_that_event_alone() {
    // given entries of two events
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    for number in 0..10 {
        let mut kind = usage("ai_modify", "kling", UsageStatus::Success, number);
        if let Kind::Usage(usage) = &mut kind {
            usage.event_id = format!("evt_{}", number % 2);
        }
        luna.push(vec![(kind, -10_000, BASE_MS)]);
    }
    stand.post(&luna.records);
    let query = stand.query().await;

    // when one is asked for, from the first entry on
    let mut stream = query.stream(&format!("{PATH}?topics=transactions,usage&event_id=evt_1&after=0"), None).await;
    let events = stream.until(|event| event.name == "usage").await;

    // then
    assert_eq!(seqs(&events), [4, 6, 8, 10, 12]);
    let sum = &events.last().unwrap().data;
    assert_eq!(sum["data"].as_array().unwrap().len(), 1);
    assert_eq!((&sum["data"][0]["count"], &sum["data"][0]["amount"]["amount"]), (&json!(5), &json!("0.05")));
    assert_eq!(sum["data"][0]["start"], "2026-10-20T00:00:00.000Z");
}

/// An alert that the entry before it crossed.
fn raise(luna: &mut Ledger, number: u64, event_id: &str) {
    let is_event = !event_id.is_empty();
    let alert = AlertRaised {
        number,
        kind: if is_event { AlertKind::EventBudget } else { AlertKind::BalanceBelow }.into(),
        crossed_seq: 2 + number,
        crossed_at_ms: BASE_MS,
        balance_micros: 990_000_000,
        threshold_micros: 995_000_000,
        percent: if is_event { 80 } else { 0 },
        event_id: event_id.to_owned(),
        spent_micros: if is_event { 7_000_000 } else { 0 },
        ..AlertRaised::default()
    };
    luna.push(vec![(Kind::AlertRaised(alert), 0, BASE_MS)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_told_once_also_over_a_restart() {
    // given a client that hears of alerts alone, and has heard of the first
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    let query = stand.query().await;
    let path = format!("{PATH}?topics=alerts");
    let mut stream = query.stream(&path, None).await;
    luna.charge(1);
    raise(&mut luna, 1, "");
    stand.post(&luna.records[1..]);
    let is_alert = |event: &Event, number: u64| event.name == "alert" && event.data["number"] == number;
    let mut events = stream.until(|event| is_alert(event, 1)).await;
    drop(stream);

    // when a second one is raised while it is away, which ClickHouse alone has after a restart, and a third after that
    raise(&mut luna, 2, "evt_gala");
    luna.charge(1);
    stand.post(&luna.records[3..]);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    query.stop().await;
    let query = stand.query().await;
    let mut stream = query.stream(&path, Some(&events.last().unwrap().id)).await;
    events.extend(stream.until(|event| is_alert(event, 2)).await);
    raise(&mut luna, 3, "");
    stand.post(&luna.records[5..]);
    events.extend(stream.until(|event| is_alert(event, 3)).await);

    // then it has heard of each once, as the account's alerts show them
    check(&events);
    let told = named(&events, "alert");
    let numbers: Vec<u64> = told.iter().map(|alert| alert["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(seqs(&events).is_empty() && named(&events, "resync").is_empty());
    stand.sink(&luna.records[5..]).await;
    stand.commit_all().await;
    let shown = query.ok("/v1/accounts/acc_luna/alerts?min_seq=7").await;
    let shown: Vec<&Value> = shown["recent"].as_array().unwrap().iter().rev().collect();
    assert_eq!(told, shown);
    // An event's stream tells of its own, and says which money was spent.
    let mut of_event = query.stream(&format!("{path}&event_id=evt_gala&after=0"), None).await;
    let heard = of_event.until(|event| event.name == "alert").await;
    let last = heard.last().unwrap();
    assert_eq!((&last.data["number"], &last.data["spent"]["amount"]), (&json!(2), &json!("7.00")));
    assert!(query.metrics().await.contains("tollbooth_sse_events_total{event=\"alert\"} 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_brought_up_to_date_is_told_to_load_anew() {
    // given an account whose older entries are neither in memory nor in ClickHouse, or are too many
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(60);
    stand.post(&luna.records);
    let away = ClickHouseSection { url: "http://127.0.0.1:9".to_owned(), ..ClickHouseSection::default() };
    for (clickhouse, resume_entries_max, reason) in
        [(None, 5_000, "gap"), (Some(away), 5_000, "history_unavailable"), (None, 50, "too_far_behind")]
    {
        let mut config = stand.config();
        config.live.recent_entries_per_account_max = 10;
        config.stream.resume_entries_max = resume_entries_max;
        config.clickhouse = clickhouse.unwrap_or(config.clickhouse);
        let query = Query::start(config, &stand.admin_key).await;

        // when a client comes back with an old id
        let mut stream = query.stream(&format!("{PATH}?topics=transactions"), Some("3.2")).await;
        let events = stream.until(|event| event.name == "resync").await;

        // then it is told, and goes on with what comes
        check(&events);
        assert_eq!(events.last().unwrap().data, json!({"seq": 62, "reason": reason}));
        assert!(seqs(&events).is_empty());
        assert!(query.metrics().await.contains(&format!("tollbooth_sse_resyncs_total{{reason=\"{reason}\"}} 1")));
        // Memory reaches this far.
        let mut near = query.stream(&format!("{PATH}?topics=transactions"), Some("60")).await;
        assert_eq!(seqs(&near.until(|event| is_seq(event, 62)).await), [61, 62]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_from_a_ledger_that_went_further_is_told_to_load_anew() {
    // given a client that saw more than there is, as before a ledger was restored from a backup
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(8);
    stand.post(&luna.records);
    let query = Query::start(stand.config(), &stand.admin_key).await;

    // when it comes back, then it is told so, and goes on with what comes
    for topics in ["transactions", "balance"] {
        let mut stream = query.stream(&format!("{PATH}?topics={topics}"), Some("99")).await;
        let events = stream.until(|event| event.name == "resync").await;
        assert_eq!(events.last().unwrap().data, json!({"seq": 10, "reason": "ahead"}));
    }
    let mut stream = query.stream(&format!("{PATH}?topics=transactions"), Some("99")).await;
    stream.until(|event| event.name == "resync").await;
    let before = luna.records.len();
    luna.charge(1);
    stand.post(&luna.records[before..]);
    assert_eq!(seqs(&stream.until(|event| is_seq(event, 11)).await), [11]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_shows_that_it_lives_and_ends_with_its_key() {
    // given a stream with an account's key
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let mut config = stand.config();
    config.stream.heartbeat_ms = 50;
    let mut query = Query::start(config, &stand.admin_key).await;
    query.key = key.reveal().to_owned();
    until("the key is known", async || query.get("/v1/accounts/acc_luna/balance").await.status == 200).await;
    let mut stream = query.stream(PATH, None).await;
    stream.until(|event| event.name == "balance").await;

    // when nothing happens for a while, and then the key is revoked
    assert!(stream.read().await);
    stand.revoke(KeyKind::Account, "acc_luna", 1);

    // then there were comments, and the stream has ended
    assert_eq!(stream.next().await, None);
    assert!(stream.comments > 0);
    assert_eq!(query.get("/v1/accounts/acc_luna/balance").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_process() {
    // given
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let mut query = stand.query().await;
    let mut stream = query.stream(PATH, None).await;
    stream.until(|event| event.name == "balance").await;

    // when the process is asked to end
    query.trigger_end();

    // then the stream does, and holds nothing up
    assert_eq!(stream.next().await, None);
    query.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut_off_and_counted_and_one_that_leaves_is_not() {
    // given more entries than the buffers of a connection hold, and a client that was told the balance and left
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(20_000);
    stand.post(&luna.records);
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 30_000;
    config.http.write_timeout_ms = 200;
    let query = Query::start(config, &stand.admin_key).await;
    let mut leaving = query.stream(&format!("{PATH}?topics=balance"), None).await;
    leaving.until(|event| event.name == "balance").await;
    drop(leaving);
    until("the place is free", async || query.metrics().await.contains("tollbooth_sse_connections 0")).await;
    assert!(query.metrics().await.contains("tollbooth_sse_dropped_total 0"));

    // when another one asks for all entries and reads nothing
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut deaf = socket.connect(query.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    let line = format!("GET {PATH}?topics=transactions&after=0 HTTP/1.1");
    let head = format!("{line}\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", query.key);
    deaf.write_all(head.as_bytes()).await.unwrap();

    // then it is cut off, and that is counted
    until("it is cut off", async || query.metrics().await.contains("tollbooth_sse_dropped_total 1")).await;
    assert!(query.metrics().await.contains("tollbooth_sse_connections 0"));
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_streams_and_no_more() {
    // given a process with places for two streams, one an account
    let stand = Stand::new().await;
    for account in ["acc_luna", "acc_sol", "acc_terra"] {
        stand.post(&Ledger::open(account).records);
    }
    let mut config = stand.config();
    (config.stream.connections_max, config.stream.per_account_max) = (2, 1);
    let query = Query::start(config, &stand.admin_key).await;
    let luna = query.stream("/v1/accounts/acc_luna/stream", None).await;
    let _sol = query.stream("/v1/accounts/acc_sol/stream", None).await;

    // when more are asked for
    let second = query.get("/v1/accounts/acc_luna/stream").await;
    let third = query.get("/v1/accounts/acc_terra/stream").await;

    // then they are told when to come back, and a place that is left is free
    assert_eq!((second.status.as_u16(), &second.body["code"]), (429, &json!("too_many_streams")));
    assert_eq!((third.status.as_u16(), &third.body["code"]), (503, &json!("too_many_streams")));
    assert!(second.headers.contains_key("retry-after") && third.headers.contains_key("retry-after"));
    drop(luna);
    let free = async || query.fetch("/v1/accounts/acc_terra/stream", Some(&query.key)).await.status() == 200;
    until("a place is free", free).await;
    // Nobody begins at what is no id.
    for wrong in ["after=x", "after=1.2.3", "topics=alarms", "event_id=gala"] {
        assert_eq!(query.get(&format!("{PATH}?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_a_customers_page_leaves_the_operator_a_place() {
    // given an account that may have four streams, and a portal token
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let mut config = stand.config();
    config.stream.per_account_max = 4;
    let query = Query::start(config, &stand.admin_key).await;
    until("the key is known", async || {
        query.get_with("/v1/accounts/acc_luna/balance", Some(key.reveal())).await.status == 200
    })
    .await;
    let bearer = format!("Bearer {}", key.reveal());
    let made = query.change("POST", "/v1/portal-tokens", &[("authorization", &bearer)], &json!({"ttl_s": 600})).await;
    let token = made.body["token"].as_str().unwrap();

    // when as many are opened with the token as there may be
    let mut open = Vec::new();
    let refused = loop {
        let stream = query.fetch(PATH, Some(token)).await;
        if stream.status() != 200 || open.len() == 4 {
            break stream.status().as_u16();
        }
        open.push(stream);
    };

    // then those are half of them, and the other half is left to the key
    assert_eq!((open.len(), refused), (2, 429));
    for _ in 0..2 {
        let own = query.fetch(PATH, Some(key.reveal())).await;
        assert_eq!(own.status(), 200);
        open.push(own);
    }
    assert_eq!(query.fetch(PATH, Some(key.reveal())).await.status(), 429);
}
