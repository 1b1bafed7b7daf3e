//! What an account is.

use serde_json::json;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{PlanChanged, ProfileSet};

use crate::stand::{BASE_MS, Ledger, Query, Stand};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_says_what_it_is_called_and_what_it_pays() {
    // given an account whose plan was changed, and one whose plan will be
    let stand = Stand::new().await;
    let (mut luna, mut sol) = (Ledger::open("acc_luna"), Ledger::open("acc_sol"));
    let change = |effective_at_ms| Kind::PlanChanged(PlanChanged { plan: "pro".to_owned(), effective_at_ms });
    luna.push(vec![(change(1_000), 0, BASE_MS)]);
    sol.push(vec![(change(7_000_000_000_000), 0, BASE_MS)]);
    for ledger in [&luna, &sol] {
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    let from_memory = stand.query().await;

    // when it is asked of a process that has read the ledger, and of one that has it from ClickHouse
    stand.commit_all().await;
    let from_clickhouse = stand.query().await;

    // then both say the same
    for query in [&from_memory, &from_clickhouse] {
        let account = query.ok("/v1/accounts/acc_luna").await;
        assert_eq!(
            account,
            json!({"account_id": "acc_luna", "name": "Luna", "currency": "USD", "time_zone": "America/New_York",
                   "opened_at": "2026-10-20T00:00:01.000Z", "seq": 3,
                   "plan": {"code": "pro", "name": "pro", "effective_from": "2026-10-20T00:00:01.000Z", "in_force": true}})
        );
        assert_eq!(query.ok("/v1/accounts/acc_sol").await["plan"]["in_force"], false);
        assert_eq!(query.get("/v1/accounts/acc_nobody").await.status, 404);
    }
}

fn moved(name: &str, time_zone: &str) -> Vec<(Kind, i64, i64)> {
    vec![(Kind::ProfileSet(ProfileSet { name: name.to_owned(), time_zone: time_zone.to_owned() }), 0, BASE_MS)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_a_zone_count_from_their_entry_on_wherever_they_are_read() {
    // given an account in New York with work an hour before midnight of Berlin, of which a process has told by the day
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(1);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let query = stand.query().await;
    let days = "/v1/accounts/acc_luna/usage?from=2026-10-19&to=2026-10-21&bucket=day";
    let first_day = |answer: &serde_json::Value| (answer["tz"].clone(), answer["buckets"][0]["start"].clone());
    let in_new_york = (json!("America/New_York"), json!("2026-10-19T00:00:00-04:00"));
    assert_eq!(first_day(&query.ok(days).await), in_new_york);
    assert_eq!(first_day(&query.ok(days).await), in_new_york, "as it is kept");

    // when it moves to Berlin, and is called otherwise a moment later
    let known = luna.records.len();
    luna.push(moved("Luna", "Europe/Berlin"));
    luna.push(moved("Luna and Sol", "Europe/Berlin"));
    stand.post(&luna.records[known..]);
    let seq = luna.records.last().unwrap().entries[0].seq;
    query.ok(&format!("/v1/accounts/acc_luna/balance?min_seq={seq}")).await;

    // then the same question is one about days of Berlin, although nothing was sunk since
    assert_eq!(first_day(&query.ok(days).await), (json!("Europe/Berlin"), json!("2026-10-19T00:00:00+02:00")));
    let named = query.ok(&format!("{days}&tz=America/New_York")).await;
    assert_eq!(first_day(&named), in_new_york);
    let summary = query.ok("/v1/accounts/acc_luna/summary?from=2026-10-19&to=2026-10-21").await;
    assert_eq!(summary["tz"], "Europe/Berlin");

    // and another process, which has it from ClickHouse, says the same
    stand.sink(&luna.records[known..]).await;
    stand.commit_all().await;
    let from_clickhouse = stand.query().await;
    for query in [&query, &from_clickhouse] {
        let account = query.ok("/v1/accounts/acc_luna").await;
        let told = (&account["name"], &account["time_zone"], &account["currency"], &account["opened_at"]);
        let opened_at = json!("2026-10-20T00:00:01.000Z");
        assert_eq!(told, (&json!("Luna and Sol"), &json!("Europe/Berlin"), &json!("USD"), &opened_at));
        // Both entries are settings: nobody is shown them without asking, and each explains itself.
        let shown = query.ok("/v1/accounts/acc_luna/transactions").await;
        let types = shown["data"].as_array().unwrap().iter().map(|row| row["type"].clone());
        assert!(types.clone().all(|entry_type| entry_type != "profile_set"), "{shown}");
        let all = query.ok("/v1/accounts/acc_luna/transactions?include=all").await;
        let newest = &all["data"][0];
        assert_eq!((&newest["type"], &newest["amount"]["amount"]), (&json!("profile_set"), &json!("0.00")));
        let entry = newest["entry_id"].as_str().unwrap();
        let entry = query.ok(&format!("/v1/accounts/acc_luna/transactions/{entry}")).await;
        assert_eq!((&entry["account_name"], &entry["time_zone"]), (&json!("Luna and Sol"), &json!("Europe/Berlin")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_again_as_it_is_is_never_of_the_zone_before() {
    // given a process that cannot tell up to which entry its sums go, and gives an answer again for an hour
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(1);
    stand.post(&luna.records);
    let mut config = stand.config();
    config.answers.fresh_ms = 3_600_000;
    let query = Query::start(config, &stand.admin_key).await;
    let days = "/v1/accounts/acc_luna/usage?from=2026-10-19&to=2026-10-21&bucket=day";
    assert_eq!(query.ok(days).await["tz"], "America/New_York");

    // when the account moves, then what was kept is no answer any more
    let known = luna.records.len();
    luna.push(moved("Luna", "Europe/Berlin"));
    stand.post(&luna.records[known..]);
    let seq = luna.records.last().unwrap().entries[0].seq;
    query.ok(&format!("/v1/accounts/acc_luna/balance?min_seq={seq}")).await;
    let answer = query.ok(days).await;
    let first = &answer["buckets"][0]["start"];
    assert_eq!((&answer["tz"], first), (&json!("Europe/Berlin"), &json!("2026-10-19T00:00:00+02:00")));
}
