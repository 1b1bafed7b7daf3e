//! Sums that are asked for again: current to the newest entry, and not asked of ClickHouse.

use serde_json::{Value, json};
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{Reversal, ReversalCause, UsageStatus};

use crate::query::{Answer, Query};
use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

const HOUR_MS: i64 = 3_600_000;
const PATHS: [&str; 10] = [
    "usage?from=2026-09-01&to=2026-12-01&bucket=month",
    "usage?from=2026-10-01&to=2026-11-01&bucket=day&group_by=engine&compare=previous",
    "usage?from=2026-10-01&to=2026-11-01&bucket=week&tz=Asia/Kathmandu&group_by=event&top=1",
    "usage?from=2026-10-25&to=2026-10-27&bucket=hour&tz=Europe/Berlin&group_by=status",
    "usage?from=2026-10-01T00:07:13Z&to=2026-10-30T23:52:59.123Z&bucket=day&group_by=booth&measure=count",
    "usage?from=2026-10-01&to=2026-11-01&engine=kling&event_id=evt_1&type=consume,refund",
    "usage?from=2026-10-01&to=2026-11-01&booth_id=bth_17&group_by=event&status=success",
    "events/evt_1/usage",
    "events/evt_2/usage?from=2026-10-15&tz=UTC",
    "summary?from=2026-10-01&to=2026-11-01",
];

pub(crate) fn path(words: &str) -> String {
    format!("/v1/accounts/acc_luna/{words}")
}

pub(crate) fn seq(answer: &Answer) -> Option<u64> {
    answer.headers.get("tollbooth-seq").map(|seq| seq.to_str().unwrap().parse().unwrap())
}

/// What is the same whenever it is asked.
pub(crate) fn sums(mut answer: Value) -> Value {
    if let Some(members) = answer.as_object_mut() {
        members.remove("as_of");
    }
    answer
}

/// Entries in no order of time: charges, failures, and what is given back of the charges before.
pub(crate) fn grow(luna: &mut Ledger, count: u64, seed: &mut u64) {
    for number in 0..count {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = |of: u64, shift: u32| (*seed >> shift) % of;
        // Within 50 days around the 20th of October, so that most buckets have ended.
        let at_ms = BASE_MS - 30 * 24 * HOUR_MS + i64::try_from(pick(50 * 24 * 3_600_000, 20)).unwrap();
        let engine = ["kling", "sora", "grok"][usize::try_from(pick(3, 7)).unwrap()];
        let event = ["", "evt_1", "evt_2"][usize::try_from(pick(3, 11)).unwrap()];
        let amount = i64::try_from(pick(900_000, 13)).unwrap() + 1;
        let entry = match pick(8, 17) {
            0 => (usage("ai_modify", engine, UsageStatus::Failed, number), 0, at_ms),
            1 | 2 => {
                let back = Reversal {
                    cause: ReversalCause::Refund.into(),
                    service: "ai_modify".to_owned(),
                    engine: engine.to_owned(),
                    plan: "basic".to_owned(),
                    event_id: event.to_owned(),
                    quantity_micros: i64::try_from(pick(2, 33)).unwrap() * 1_000_000,
                    ..Reversal::default()
                };
                (Kind::Reversal(back), amount, at_ms)
            }
            _ => (usage("ai_modify", engine, UsageStatus::Success, number), -amount, at_ms),
        };
        let (mut kind, amount, at_ms) = entry;
        if let Kind::Usage(usage) = &mut kind {
            usage.event_id = event.to_owned();
            usage.provider_cost_micros = Some(amount.abs() / 3);
        }
        luna.push(vec![(kind, amount, at_ms)]);
    }
}

/// A service that asks each question for itself.
pub(crate) async fn without_cubes(stand: &Stand) -> Query {
    let mut config = stand.config();
    config.answers.cubes_bytes_max = 0;
    Query::start(config, &stand.admin_key).await
}

pub(crate) async fn asked_of_clickhouse(query: &Query) -> u64 {
    let metrics = query.metrics().await;
    let line = metrics.lines().find(|line| line.starts_with("tollbooth_query_answers_total{source=\"clickhouse\"}"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// Asks until the answer is known to the entry.
pub(crate) async fn exact(query: &Query, words: &str) -> Answer {
    let found = std::cell::RefCell::new(None);
    until("the sums are known to the entry", async || {
        let answer = query.get(&path(words)).await;
        assert_eq!(answer.status, 200, "{words}: {}", answer.body);
        let is_exact = seq(&answer).is_some();
        *found.borrow_mut() = Some(answer);
        is_exact
    })
    .await;
    found.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_forward_is_what_would_be_asked_anew() {
    // given sums that were asked for while everything was sunk
    let stand = Stand::new().await;
    let (mut luna, mut seed) = (Ledger::open("acc_luna"), 7_u64);
    grow(&mut luna, 150, &mut seed);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let query = without_cubes(&stand).await;
    for words in PATHS {
        assert_eq!(seq(&exact(&query, words).await), Some(152), "{words}");
    }
    let asked = asked_of_clickhouse(&query).await;

    // when more happens, late and given back too, of which ClickHouse knows nothing
    let mut carried = Vec::new();
    for _ in 0..3 {
        let before = luna.records.len();
        grow(&mut luna, 40, &mut seed);
        stand.post(&luna.records[before..]);
        let newest = u64::try_from(luna.records.len()).unwrap() + 1;
        let balance = query.ok(&path(&format!("balance?min_seq={newest}"))).await;
        let list = query.ok(&path("transactions?limit=1")).await;
        // then one screen agrees at one entry
        assert_eq!([&balance["seq"], &list["data"][0]["seq"]], [newest, newest]);
        carried.clear();
        for words in PATHS {
            let answer = query.get(&path(words)).await;
            assert_eq!(seq(&answer), Some(newest), "{words}");
            carried.push(sums(answer.body));
        }
        let summary = carried.last().unwrap();
        assert_eq!((&summary["seq"], &summary["balance"]), (&balance["seq"], &balance["balance"]));
        // Who must see an entry does not wait for the sink.
        let awaited = query.get(&path(&format!("{}&min_seq={newest}", PATHS[0]))).await;
        assert_eq!((awaited.status.as_u16(), seq(&awaited)), (200, Some(newest)));
    }
    assert_eq!(asked_of_clickhouse(&query).await, asked, "nothing was asked of ClickHouse");

    // and it is what a service that keeps nothing asks of ClickHouse once all is there
    stand.sink(&luna.records[151..]).await;
    stand.commit_all().await;
    let mut config = stand.config();
    config.answers.bytes_max = 0;
    let anew = Query::start(config, &stand.admin_key).await;
    for (words, carried) in PATHS.iter().zip(carried) {
        assert_eq!(carried, sums(anew.ok(&path(words)).await), "{words}");
    }
    assert_eq!(asked_of_clickhouse(&anew).await, PATHS.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_carried_from_a_block_that_was_begun_before_the_tables_were_looked_at() {
    // given an entry that the sink has begun to insert, and has not said to be through with
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(4);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    luna.charge(1);
    stand.post(&luna.records[5..]);
    stand.write_ranges(0).await;
    stand.sink(&luna.records[5..]).await;
    let query = without_cubes(&stand).await;
    let words = PATHS[0];

    // when it is asked for, however often
    for _ in 0..5 {
        let answer = query.get(&path(words)).await;

        // then it is as ClickHouse has it, once, and nobody takes it for more
        assert_eq!((&answer.body["total"]["count"], seq(&answer)), (&json!(5), None));
    }
    // and once the sink is through it is known, and carried
    stand.commit_all().await;
    assert_eq!(exact(&query, words).await.body["total"]["count"], 5);
    luna.charge(1);
    stand.post(&luna.records[6..]);
    query.ok(&path("balance?min_seq=8")).await;
    let carried = query.get(&path(words)).await;
    assert_eq!((&carried.body["total"]["count"], seq(&carried)), (&json!(6), Some(8)));
}

/// Of those of one table: which of its blocks are in the answer is told by its rows.
const OF_ONE_STATE: [&str; 7] = [PATHS[0], PATHS[1], PATHS[3], PATHS[5], PATHS[7], PATHS[8], PATHS[9]];

#[tokio::test(flavor = "multi_thread")]
async fn the_middle_of_a_block_is_known_to_the_entry() {
    // given services that have looked at the tables, and then a block that the sink has begun to insert
    let stand = Stand::new().await;
    let (mut luna, mut seed) = (Ledger::open("acc_luna"), 11_u64);
    grow(&mut luna, 60, &mut seed);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let services = [without_cubes(&stand).await, without_cubes(&stand).await, without_cubes(&stand).await];
    luna.push(vec![(usage("sms", "twilio", UsageStatus::Success, 999), -700, BASE_MS)]);
    stand.post(&luna.records[61..]);
    stand.sink(&luna.records[61..]).await;
    stand.commit_all().await;
    for query in &services {
        exact(query, "usage?from=2020-01-01&to=2020-01-02").await;
    }
    grow(&mut luna, 40, &mut seed);
    // The newest of them takes back work of before: its group comes to nothing, and is in no sum twice.
    let back = Reversal {
        cause: ReversalCause::Refund.into(),
        service: "sms".to_owned(),
        engine: "twilio".to_owned(),
        plan: "basic".to_owned(),
        quantity_micros: 1_000_000,
        ..Reversal::default()
    };
    luna.push(vec![(Kind::Reversal(back), 700, BASE_MS)]);
    let newest = u64::try_from(luna.records.len()).unwrap() + 1;
    stand.post(&luna.records[62..]);
    stand.write_ranges(0).await;
    let [before, within, after] = &services;
    for query in &services {
        query.ok(&path(&format!("balance?min_seq={newest}"))).await;
    }

    // when they are asked before it is in the tables, and after it is, but not committed
    let mut told = Vec::new();
    for words in PATHS {
        let answer = before.get(&path(words)).await;
        assert_eq!(seq(&answer), Some(newest), "{words}");
        told.push(sums(answer.body));
    }
    stand.sink(&luna.records[62..]).await;
    for words in OF_ONE_STATE {
        // then all of it is in the answer, once, and it is known to the entry
        let answer = within.get(&path(words)).await;
        assert_eq!(seq(&answer), Some(newest), "{words}");
        let index = PATHS.iter().position(|path| *path == words).unwrap();
        assert_eq!(sums(answer.body), told[index], "{words}");
    }

    // and so it is carried on from there, as it is asked anew of all
    grow(&mut luna, 20, &mut seed);
    let newest = newest + 20;
    stand.post(&luna.records[103..]);
    within.ok(&path(&format!("balance?min_seq={newest}"))).await;
    let mut carried = Vec::new();
    for words in OF_ONE_STATE {
        let answer = within.get(&path(words)).await;
        assert_eq!(seq(&answer), Some(newest), "{words}");
        carried.push(sums(answer.body));
    }
    stand.sink(&luna.records[103..]).await;
    stand.commit_all().await;
    after.ok(&path(&format!("balance?min_seq={newest}"))).await;
    for (words, carried) in OF_ONE_STATE.iter().zip(carried) {
        assert_eq!(sums(exact(after, words).await.body), carried, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_which_nothing_is_sunk_yet_is_answered_to_its_newest_entry() {
    // given a service that runs, and an account that is opened then, of which ClickHouse has nothing
    let stand = Stand::new().await;
    let query = stand.query().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(3);
    stand.post(&luna.records);
    query.ok(&path("balance?min_seq=5")).await;

    // when it is asked for, while the sink does nothing, and when it has half of it
    for (sunk, words) in [(0, PATHS[0]), (2, PATHS[1])] {
        stand.sink(&luna.records[..sunk]).await;
        let answer = query.get(&path(words)).await;

        // then all of it is there, once
        assert_eq!((seq(&answer), &answer.body["total"]["count"]), (Some(5), &json!(3)), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_memory_does_not_reach_back_it_is_asked_anew() {
    // given a service that keeps few entries, and sums of before
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(3);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 10;
    config.answers.cubes_bytes_max = 0;
    let query = Query::start(config, &stand.admin_key).await;
    let words = PATHS[0];
    exact(&query, words).await;
    let asked = asked_of_clickhouse(&query).await;

    // when more comes than it keeps
    luna.charge(30);
    stand.post(&luna.records[4..]);
    query.ok(&path("balance?min_seq=35")).await;
    let behind = query.get(&path(words)).await;

    // then nothing is made up: it is as of ClickHouse, which is behind and says so
    assert_eq!((&behind.body["total"]["count"], seq(&behind)), (&json!(3), None));
    stand.sink(&luna.records[4..]).await;
    stand.commit_all().await;
    let answer = exact(&query, words).await;
    assert_eq!((&answer.body["total"]["count"], seq(&answer)), (&json!(33), Some(35)));
    assert!(asked_of_clickhouse(&query).await > asked);

    // and who has it already is told so, with the entry that it is good for by now
    let etag = answer.headers["etag"].to_str().unwrap();
    let bearer = format!("Bearer {}", query.key);
    let again = query.read(&path(words), &[("authorization", &bearer), ("if-none-match", etag)]).await;
    assert_eq!((again.status.as_u16(), seq(&again)), (304, Some(35)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_a_database_that_was_put_back_are_not_taken_for_those_of_the_offsets() {
    // given a service that has read an account to its end, all of it sunk
    let stand = Stand::new().await;
    let (mut luna, mut seed) = (Ledger::open("acc_luna"), 5_u64);
    grow(&mut luna, 20, &mut seed);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let query = without_cubes(&stand).await;
    let known = luna.records.len();
    grow(&mut luna, 20, &mut seed);
    stand.post(&luna.records[known..]);
    stand.sink(&luna.records[known..]).await;
    stand.commit_all().await;
    exact(&query, "usage?from=2020-01-01&to=2020-01-02").await;
    exact(&query, "usage?from=2020-01-01&to=2020-01-03").await;

    // when the database is one of before, while the sink's offsets stay
    stand.clickhouse.query("TRUNCATE TABLE usage_15m_by_account").execute().await.unwrap();
    stand.write_ranges(1).await;
    // then what it tells is vouched for by nobody
    let answer = query.get(&path("usage?from=2020-01-01&to=2020-01-04")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(seq(&answer), None);
}
