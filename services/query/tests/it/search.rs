//! Words of a search, of an account whose every text is looked into and of one that is too large for that.

use serde_json::{Value, json};
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{EventDefined, UsageStatus};

use crate::between::Between;
use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

fn work(service: &str, engine: &str, event_id: &str, booth_id: &str, number: u64) -> (Kind, i64, i64) {
    let Kind::Usage(mut usage) = usage(service, engine, UsageStatus::Success, number) else { unreachable!() };
    (usage.event_id, usage.booth_id) = (event_id.to_owned(), booth_id.to_owned());
    (Kind::Usage(usage), -10_000, BASE_MS + i64::try_from(number).unwrap() * 60_000)
}

fn defined(event_id: &str, name: &str) -> (Kind, i64, i64) {
    let event = EventDefined { event_id: event_id.to_owned(), name: name.to_owned(), ..EventDefined::default() };
    (Kind::EventDefined(event), 0, BASE_MS)
}

async fn found(query: &Query, q: &str) -> Vec<u64> {
    let list = query.ok(&format!("/v1/accounts/acc_luna/transactions?{q}")).await;
    list["data"].as_array().unwrap().iter().map(|row: &Value| row["seq"].as_u64().unwrap()).collect()
}

/// Entries 3 to 5 define events; 6 to 11 are work.
async fn luna(stand: &Stand) -> Ledger {
    let mut luna = Ledger::open("acc_luna");
    luna.push(vec![defined("evt_a", "Summer"), defined("evt_b", "Winter Gala"), defined("evt_a", "Autumn Ball")]);
    luna.push(vec![
        work("ai_modify", "kling", "evt_a", "bth_door", 1),
        work("sms", "sms_intl", "evt_a", "bth_door", 2),
        work("sms", "sms_us_ca", "evt_b", "bth_hall", 3),
        work("ai_modify", "kling", "evt_b", "bth_hall", 4),
        work("face_switch", "face_switch", "evt_c", "bth_hall", 5),
        work("ai_modify", "kling", "", "", 25),
    ]);
    let mut sol = Ledger::open("acc_sol");
    sol.push(vec![work("ai_modify", "seedance", "evt_a", "bth_roof", 7)]);
    for ledger in [&luna, &sol] {
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    stand.commit_all().await;
    luna
}

#[tokio::test(flavor = "multi_thread")]
async fn words_find_the_same_in_a_large_account_but_operations_by_their_whole_ids() {
    // given the same entries in an account that is small, and in one that counts as large
    let stand = Stand::new().await;
    let mut luna = luna(&stand).await;
    let small = stand.query().await;
    let mut config = stand.config();
    config.store.searched_entries_max = 0;
    let large = Query::start(config, &stand.admin_key).await;
    let book = json!({
        "version": 1, "currency": "USD", "effective_from": "2020-01-01T00:00:00.000Z",
        "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "39.00"}],
        "services": [{"code": "face_switch", "name": "Swap Heads"}, {"code": "sms", "name": "Text Message"},
            {"code": "unused", "name": "Never Bought"}],
        "engines": [{"code": "sms_intl", "name": "Abroad"}, {"code": "sms_us_ca", "name": "At Home"}],
        "prices": [{"service": "sms", "engine": "sms_intl", "unit": "message", "model": "per_unit", "plans": {"basic": "0.20"}}]
    });
    stand.publish(&stand.topics.price_book(), "1", &serde_json::to_vec(&book).unwrap());
    for query in [&small, &large] {
        until("the book is known", async || {
            let books = query.get("/v1/price-books").await;
            books.status == 200 && books.body["data"] != json!([])
        })
        .await;
    }

    for (q, seqs) in [
        ("q=kling", vec![11, 9, 6]),
        ("q=KLI", vec![11, 9, 6]),
        ("q=sms", vec![8, 7]),
        ("q=sms+kling", vec![]),
        ("q=sms_intl+door", vec![7]),
        ("q=bth_", vec![10, 9, 8, 7, 6]),
        ("q=evt_b", vec![9, 8]),
        ("q=seedance", vec![]),
        ("q=roof", vec![]),
        // by what an event is called, as it was called last
        ("q=gala", vec![9, 8]),
        ("q=winter+GALA+kling", vec![9]),
        ("q=autumn", vec![7, 6]),
        ("q=summer", vec![]),
        // by the id of an operation, alone and with what else is known of it
        ("q=OP_25", vec![11]),
        ("q=op_3+gala", vec![8]),
        ("q=op_3+kling", vec![]),
        ("q=op_3+op_4", vec![]),
        ("q=nothing", vec![]),
        // by what work is called, as it is copied from the page
        ("q=heads", vec![10]),
        ("q=Text+Message+(Abroad)", vec![7]),
        ("q=text+gala", vec![8]),
        ("q=message+sms", vec![8, 7]),
        ("q=bought", vec![]),
        // with filters beside the words, and a page that does not hold all
        ("q=kling&event_id=evt_b", vec![9]),
        ("q=kling&limit=2", vec![11, 9]),
        ("q=gala&include=all", vec![9, 8, 4]),
    ] {
        // when, then
        assert_eq!(found(&small, q).await, seqs, "small: {q}");
        assert_eq!(found(&large, q).await, seqs, "large: {q}");
    }
    // and a part of an operation's id is enough in the small one alone
    assert_eq!(found(&small, "q=op_2").await, [11, 7]);
    assert_eq!(found(&large, "q=op_2").await, [7]);

    // and when work of other names comes, then it is found by them
    let known = luna.records.len();
    luna.push(vec![defined("evt_d", "Spring Fair"), work("ai_draw_me", "draw_me", "evt_d", "bth_tent", 30)]);
    stand.post(&luna.records[known..]);
    stand.sink(&luna.records[known..]).await;
    stand.commit_all().await;
    for query in [&small, &large] {
        for q in ["draw", "evt_d", "tent", "fair", "spring+draw_me+tent", "op_30"] {
            assert_eq!(found(query, &format!("q={q}&min_seq=13")).await, [13], "{q}");
        }
        assert_eq!(found(query, "q=kling").await, [11, 9, 6]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_can_be_named_are_looked_for_in_every_row() {
    // given an account with more events than are named one by one
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    for first in (0..1_200_u64).step_by(100) {
        let event = |number: u64| format!("evt_{number:04}");
        luna.push(
            (first..first + 100).map(|number| work("sms", "sms_intl", &event(number), "bth_1", number)).collect(),
        );
    }
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let mut config = stand.config();
    config.store.searched_entries_max = 0;
    let query = Query::start(config, &stand.admin_key).await;

    // when they are searched for by what all have and by what some have, then the newest and the right ones are found
    assert_eq!(found(&query, "q=evt_&limit=3").await, [1_202, 1_201, 1_200]);
    assert_eq!(found(&query, "q=evt_+0007&limit=3").await, [10]);
    assert_eq!(found(&query, "q=evt_1199").await, [1_202]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_searches_again_is_answered_from_memory_until_something_new_comes() {
    // given an account that is small, and one that counts as large
    let stand = Stand::new().await;
    let mut luna = luna(&stand).await;
    for searched_entries_max in [100_000, 0] {
        let mut config = stand.config();
        config.store.searched_entries_max = searched_entries_max;
        let between = Between::start_for(&config.clickhouse.url, "account_id = {account:String}").await;
        config.clickhouse.url.clone_from(&between.url);
        let query = Query::start(config, &stand.admin_key).await;
        let seq = luna.records.iter().map(|record| record.entries.len() as u64).sum::<u64>();
        let words = ["q=gala", "q=kling", "q=nothing", "q=kling&event_id=evt_b"];

        // when words are searched for once more
        let mut first = Vec::new();
        for q in words {
            first.push(found(&query, &format!("{q}&min_seq={seq}")).await);
        }
        let asked = between.asked();
        // then the same is found, and nothing is asked
        for (q, first) in words.iter().zip(&first) {
            assert_eq!(found(&query, q).await, *first, "{q}");
        }
        assert_eq!(between.asked(), asked, "with {searched_entries_max}");

        // and when an event is called otherwise, then it is found by that name alone
        let (known, name) = (luna.records.len(), format!("Fair {searched_entries_max}"));
        assert_eq!(first[0], if searched_entries_max > 0 { vec![9, 8] } else { vec![] });
        luna.push(vec![defined("evt_b", &name)]);
        stand.post(&luna.records[known..]);
        stand.sink(&luna.records[known..]).await;
        stand.commit_all().await;
        let seq = seq + 1;
        assert_eq!(found(&query, &format!("q=gala&min_seq={seq}")).await, Vec::<u64>::new());
        assert_eq!(found(&query, &format!("q=fair+{searched_entries_max}&min_seq={seq}")).await, [9, 8]);
    }
}
