//! Events, booths, accounts, and what a balance is made of.

use serde_json::{Value, json};
use tollbooth_schemas::keys::KeyKind;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{
    BonusExpired, BonusGranted, BoothSet, BudgetRule, CreditLimitSet, Entry, EventDefined, UsageStatus,
};

use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

const HOUR_MS: i64 = 3_600_000;

fn defined(event_id: &str, name: &str, budget_micros: Option<i64>) -> Kind {
    Kind::EventDefined(EventDefined {
        event_id: event_id.to_owned(),
        name: name.to_owned(),
        starts_at_ms: BASE_MS + HOUR_MS,
        ends_at_ms: BASE_MS + 5 * HOUR_MS,
        time_zone: "Europe/Berlin".to_owned(),
        budget_micros,
        on_exceeded: BudgetRule::RefuseHolds.into(),
    })
}

fn work(event_id: &str, booth_id: &str, number: u64, status: UsageStatus) -> Kind {
    let Kind::Usage(mut usage) = usage("ai_modify", "nano_banana_2", status, number) else { unreachable!() };
    (usage.event_id, usage.booth_id) = (event_id.to_owned(), booth_id.to_owned());
    Kind::Usage(usage)
}

fn ids<'a>(page: &'a Value, name: &str) -> Vec<&'a str> {
    page["data"].as_array().unwrap().iter().map(|row| row[name].as_str().unwrap()).collect()
}

/// An account with an event that was defined, worked at and defined anew, one only worked at, and one only defined.
async fn luna(stand: &Stand) -> Query {
    let mut luna = Ledger::open("acc_luna");
    luna.push(vec![(defined("evt_gala", "Gala", None), 0, BASE_MS)]);
    luna.push(vec![
        (work("evt_gala", "bth_1", 1, UsageStatus::Success), -2_000_000, BASE_MS + HOUR_MS),
        (work("evt_gala", "bth_2", 2, UsageStatus::Failed), 0, BASE_MS + 2 * HOUR_MS),
        (work("evt_wild", "bth_1", 3, UsageStatus::Success), -500_000, BASE_MS + 3 * HOUR_MS),
    ]);
    luna.push(vec![(defined("evt_gala", "Winter Gala", Some(1_500_000)), 0, BASE_MS + 3 * HOUR_MS)]);
    let set = BoothSet { booth_id: "bth_2".to_owned(), name: "Door".to_owned(), paused: true };
    luna.push(vec![(Kind::BoothSet(set), 0, BASE_MS + 4 * HOUR_MS)]);
    luna.push(vec![(defined("evt_next", "Next", None), 0, BASE_MS + 5 * HOUR_MS)]);
    let mut sol = Ledger::open("acc_sol");
    sol.push(vec![(work("evt_gala", "bth_9", 1, UsageStatus::Success), -9_000_000, BASE_MS)]);
    for ledger in [&luna, &sol] {
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    stand.query().await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_with_what_was_said_and_spent() {
    // given
    let stand = Stand::new().await;
    let query = luna(&stand).await;

    // when
    let all = query.ok("/v1/accounts/acc_luna/events").await;

    // then the newest activity comes first, also that of a definition, and nothing of another account
    assert_eq!(ids(&all, "event_id"), ["evt_next", "evt_gala", "evt_wild"]);
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let gala = json!({
        "event_id": "evt_gala", "name": "Winter Gala", "starts_at": "2026-10-20T01:00:00.000Z",
        "ends_at": "2026-10-20T05:00:00.000Z", "time_zone": "Europe/Berlin",
        "budget": {"amount": usd("1.50"), "policy": "refuse_holds", "spent": usd("2.00"), "remaining": usd("-0.50")},
        "amount": usd("2.00"), "count": 1, "failed": 1, "first_activity_at": "2026-10-20T01:00:00.000Z",
        "last_activity_at": "2026-10-20T02:00:00.000Z"
    });
    assert_eq!(all["data"][1], gala);
    assert_eq!(query.ok("/v1/accounts/acc_luna/events/evt_gala").await, gala);
    let wild = &all["data"][2];
    assert_eq!(
        (&wild["name"], &wild["budget"], &wild["time_zone"]),
        (&Value::Null, &Value::Null, &json!("America/New_York"))
    );
    let next = &all["data"][0];
    assert_eq!((&next["count"], &next["first_activity_at"]), (&json!(0), &Value::Null));
    assert_eq!(query.get("/v1/accounts/acc_luna/events/evt_none").await.status, 404);

    // and a page joins on to the one before
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let page = query.ok(&format!("/v1/accounts/acc_luna/events?limit=1{cursor}")).await;
        seen.extend(ids(&page, "event_id").into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["evt_next", "evt_gala", "evt_wild"]);
    assert_eq!(ids(&query.ok("/v1/accounts/acc_luna/events?q=wInTeR").await, "event_id"), ["evt_gala"]);
    for wrong in [&cursor.replace("&cursor=", "cursor=x"), "limit=0", &format!("q=x{cursor}")] {
        assert_eq!(query.get(&format!("/v1/accounts/acc_luna/events?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn booths_are_listed_with_their_state() {
    let stand = Stand::new().await;
    let query = luna(&stand).await;
    let booths = query.ok("/v1/accounts/acc_luna/booths").await;
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    assert_eq!(
        booths["data"],
        json!([
            {"booth_id": "bth_2", "name": "Door", "paused": true, "count": 0, "failed": 1, "amount": usd("0.00"),
             "last_activity_at": "2026-10-20T02:00:00.000Z"},
            {"booth_id": "bth_1", "name": null, "paused": false, "count": 2, "failed": 0, "amount": usd("2.50"),
             "last_activity_at": "2026-10-20T03:00:00.000Z"}
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_finds_accounts_by_id_and_name() {
    // given
    let stand = Stand::new().await;
    for account in ["acc_c", "acc_a", "acc_b"] {
        stand.post(&Ledger::open(account).records);
    }
    let query = stand.query().await;

    // when and then
    let first = query.ok("/v1/accounts?limit=2").await;
    assert_eq!(ids(&first, "account_id"), ["acc_a", "acc_b"]);
    assert_eq!(
        first["data"][0],
        json!({"account_id": "acc_a", "name": "Luna", "plan": "basic", "currency": "USD", "time_zone": "America/New_York",
               "balance": {"amount": "1000.00", "currency": "USD"}, "available": {"amount": "1000.00", "currency": "USD"}})
    );
    let rest = query.ok(&format!("/v1/accounts?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!((ids(&rest, "account_id"), &rest["has_more"]), (vec!["acc_c"], &json!(false)));
    assert_eq!(ids(&query.ok("/v1/accounts?q=ACC_B").await, "account_id"), ["acc_b"]);
    assert_eq!(ids(&query.ok("/v1/accounts?q=luna").await, "account_id").len(), 3);
    assert!(ids(&query.ok("/v1/accounts?q=nobody").await, "account_id").is_empty());
}

fn bonus(expires_at_ms: Option<i64>) -> Kind {
    Kind::BonusGranted(BonusGranted { expires_at_ms, reason: "welcome".to_owned(), note: String::new() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_says_what_it_is_made_of_wherever_its_entries_lie() {
    // given lots, a charge out of them, an expiry and a credit limit
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.push(vec![(bonus(None), 10_000_000, BASE_MS), (bonus(Some(BASE_MS + 90 * HOUR_MS)), 5_000_000, BASE_MS)]);
    luna.push(vec![(bonus(Some(BASE_MS + 50 * HOUR_MS)), 2_000_000, BASE_MS)]);
    luna.push(vec![(work("evt_gala", "bth_1", 1, UsageStatus::Success), -6_000_000, BASE_MS)]);
    let draw = |luna: &mut Ledger, micros| {
        let drawn: &mut Entry = luna.records.last_mut().unwrap().entries.last_mut().unwrap();
        drawn.from_bonus_micros = micros;
    };
    draw(&mut luna, 6_000_000);
    luna.push(vec![(Kind::CreditLimitSet(CreditLimitSet { credit_limit_micros: 25_000_000 }), 0, BASE_MS)]);
    let early = luna.records.len();
    luna.push(vec![(Kind::BonusExpired(BonusExpired { granted_seq: 4 }), -1_000_000, BASE_MS)]);
    luna.push(vec![(work("evt_gala", "bth_1", 2, UsageStatus::Success), -3_000_000, BASE_MS)]);
    draw(&mut luna, 3_000_000);
    stand.post(&luna.records[..early]);
    stand.sink(&luna.records[..early]).await;

    // when a process has read them all, and one begins behind them
    let from_ledger = stand.query().await;
    stand.commit_all().await;
    let from_clickhouse = stand.query().await;

    // then both say the same, and follow what comes
    let path = "/v1/accounts/acc_luna/balance";
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let purchased = |amount: &str| json!({"kind": "purchased", "amount": usd(amount), "expires_at": null, "seq": null});
    let never = |amount: &str| json!({"kind": "bonus", "amount": usd(amount), "expires_at": null, "seq": 3});
    for query in [&from_ledger, &from_clickhouse] {
        let body = query.ok(path).await;
        let soon = json!({"kind": "bonus", "amount": usd("1.00"), "expires_at": "2026-10-23T18:00:00.000Z", "seq": 4});
        assert_eq!(body["parts"], json!([purchased("1000.00"), soon, never("10.00")]));
        assert_eq!(body["credit_limit"], usd("25.00"));
    }
    stand.post(&luna.records[early..]);
    let seq = luna.records.last().unwrap().entries.last().unwrap().seq;
    for query in [&from_ledger, &from_clickhouse] {
        let body = query.ok(&format!("{path}?min_seq={seq}")).await;
        assert_eq!(body["parts"], json!([purchased("1000.00"), never("7.00")]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_answer_is_told_so_until_something_happens() {
    // given
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let query = stand.query().await;
    let path = "/v1/accounts/acc_luna/balance";
    until("the key is known", async || query.get_with(path, Some(key.reveal())).await.status == 200).await;
    let bearer = format!("Bearer {}", key.reveal());
    let bearer = ("authorization", bearer.as_str());

    // when it is asked again, then it is 304, while its instant moves on
    let first = query.read(path, &[bearer]).await;
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let moved = async || query.read(path, &[bearer]).await.body["as_of"] != first.body["as_of"];
    until("the instant has moved on", moved).await;
    let known = [bearer, ("if-none-match", etag.as_str())];
    let again = query.read(path, &known).await;
    assert_eq!((again.status.as_u16(), again.body), (304, Value::Null));
    assert_eq!(again.headers["cache-control"], "private, no-cache");
    // Nobody learns by a tag what a key would not show.
    assert_eq!(query.read(path, &known[1..]).await.status, 401);

    // and not any more once something happened
    luna.charge(1);
    stand.post(&luna.records[1..]);
    assert_eq!(query.read(&format!("{path}?min_seq=3"), &known).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_kept_are_those_of_the_newest_entry() {
    // given lists of events and booths that were asked for once
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.push(vec![(defined("evt_gala", "Gala", None), 0, BASE_MS)]);
    luna.push(vec![
        (work("evt_gala", "bth_1", 1, UsageStatus::Success), -2_000_000, BASE_MS + HOUR_MS),
        (work("evt_wild", "bth_2", 2, UsageStatus::Failed), 0, BASE_MS + 2 * HOUR_MS),
    ]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let kept = stand.query().await;
    let paths = ["events", "events?q=ga", "events?limit=2", "booths", "events/evt_gala", "events/evt_next"];
    for path in paths {
        kept.get(&format!("/v1/accounts/acc_luna/{path}")).await;
    }

    // when work, a correction, names and a booth's pause come, and ClickHouse has none of them
    let known = luna.records.len();
    luna.push(vec![
        (work("evt_gala", "bth_2", 3, UsageStatus::Success), -500_000, BASE_MS - HOUR_MS),
        (work("evt_next", "bth_3", 4, UsageStatus::Success), -700_000, BASE_MS + 6 * HOUR_MS),
        (defined("evt_gala", "Winter Gala", Some(5_000_000)), 0, BASE_MS),
        (defined("evt_next", "Next", None), 0, BASE_MS),
    ]);
    let set = BoothSet { booth_id: "bth_2".to_owned(), name: "Door".to_owned(), paused: true };
    luna.push(vec![(Kind::BoothSet(set), 0, BASE_MS + 4 * HOUR_MS)]);
    stand.post(&luna.records[known..]);
    let seq = luna.records.iter().map(|record| record.entries.len()).sum::<usize>();
    let mut answers = Vec::new();
    for path in paths {
        let sign = if path.contains('?') { '&' } else { '?' };
        answers.push(kept.ok(&format!("/v1/accounts/acc_luna/{path}{sign}min_seq={seq}")).await);
    }
    assert_eq!(ids(&answers[0], "event_id"), ["evt_next", "evt_gala", "evt_wild"]);
    assert_eq!(answers[0]["data"][1]["name"], "Winter Gala");

    // then they are what ClickHouse tells once it has them
    stand.sink(&luna.records[known..]).await;
    stand.commit_all().await;
    for parties_bytes_max in [0, 1 << 20] {
        let mut config = stand.config();
        config.answers.parties_bytes_max = parties_bytes_max;
        let fresh = Query::start(config, &stand.admin_key).await;
        for (path, answer) in paths.iter().zip(&answers) {
            let told = fresh.ok(&format!("/v1/accounts/acc_luna/{path}")).await;
            assert_eq!(told, *answer, "{path} with {parties_bytes_max}");
        }
    }
}
