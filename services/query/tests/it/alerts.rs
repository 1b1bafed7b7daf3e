//! What an account is told of, as the ledger's rows tell it.

use serde_json::json;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{Adjustment, AlertKind, AlertRaised, AlertsSet, BoothSpike};

use crate::stand::{BASE_MS, Ledger, Stand, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_are_shown_with_how_they_stand_and_what_was_told() {
    // given an account that fell below one of two amounts, and one without rules
    let stand = Stand::new().await;
    let (mut luna, sol) = (Ledger::open("acc_luna"), Ledger::open("acc_sol"));
    let rules = AlertsSet {
        balance_below_micros: vec![5_000_000, 20_000_000],
        event_budget_percents: vec![80],
        empty_in_hours: Some(48),
        ..AlertsSet::default()
    };
    let adjust = |micros: i64| (Kind::Adjustment(Adjustment::default()), micros, BASE_MS);
    luna.push(vec![(Kind::AlertsSet(rules), 0, BASE_MS)]);
    let crossed_seq = luna.push(vec![adjust(12_000_000 - 1_000_000_000)]).entries[0].seq;
    let alert = AlertRaised {
        number: 1,
        kind: AlertKind::BalanceBelow.into(),
        crossed_seq,
        crossed_at_ms: BASE_MS,
        balance_micros: 12_000_000,
        threshold_micros: 20_000_000,
        ..AlertRaised::default()
    };
    luna.push(vec![(Kind::AlertRaised(alert), 0, BASE_MS)]);
    stand.post(&luna.records);
    stand.post(&sol.records);
    stand.sink(&luna.records).await;
    stand.sink(&sol.records).await;
    stand.commit_all().await;
    let query = stand.query().await;

    // then
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let shown = query.ok("/v1/accounts/acc_luna/alerts").await;
    assert_eq!(shown["rules"]["balance_below"], json!([usd("5.00"), usd("20.00")]));
    assert_eq!(shown["rules"]["empty_in_hours"], 48);
    let states: Vec<_> = shown["states"].as_array().unwrap().iter().map(|rule| &rule["state"]).collect();
    assert_eq!(states, [&json!("armed"), &json!("fired"), &json!(null)]);
    assert_eq!(shown["states"][1]["fired_at"], "2026-10-20T00:00:01.000Z");
    let recent = &shown["recent"][0];
    assert_eq!((&recent["kind"], &recent["number"]), (&json!("balance_below"), &json!(1)));
    assert_eq!((&recent["balance"], &recent["threshold"]), (&usd("12.00"), &usd("20.00")));
    assert_eq!(recent["crossed_by"], format!("ent_acc_luna_{crossed_seq}"));

    // when the balance is back, short of the margin and then beyond it
    for (micros, state) in [(8_999_999, "fired"), (1, "armed")] {
        let record = luna.push(vec![adjust(micros)]).clone();
        let seq = record.entries[0].seq;
        stand.post(std::slice::from_ref(&record));
        stand.sink(std::slice::from_ref(&record)).await;
        stand.commit_all().await;
        // then only that arms it
        let path = format!("/v1/accounts/acc_luna/alerts?min_seq={seq}");
        until("it stands so", async || query.ok(&path).await["states"][1]["state"] == state).await;
    }
    assert_eq!(query.ok("/v1/accounts/acc_sol/alerts").await["rules"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_is_shown_with_its_booth_and_what_it_is_held_against() {
    // given an account with a rule about booths alone, and a spike of one
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let booth_spike = Some(BoothSpike { times: 5, at_least_micros: 20_000_000 });
    luna.push(vec![(Kind::AlertsSet(AlertsSet { booth_spike, ..AlertsSet::default() }), 0, BASE_MS)]);
    let alert = AlertRaised {
        number: 1,
        kind: AlertKind::BoothSpike.into(),
        crossed_seq: 2,
        crossed_at_ms: BASE_MS,
        balance_micros: 12_000_000,
        threshold_micros: 20_000_000,
        spent_micros: 20_160_000,
        hours: 24,
        booth_id: "bth_17".to_owned(),
        hour_at_ms: BASE_MS,
        usual_micros: 1_234_567,
        times: 5,
        ..AlertRaised::default()
    };
    luna.push(vec![(Kind::AlertRaised(alert), 0, BASE_MS)]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;

    // then no rule stands for the account as a whole, and the alert says which booth
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let shown = stand.query().await.ok("/v1/accounts/acc_luna/alerts").await;
    assert_eq!(shown["rules"]["booth_spike"], json!({"times": 5, "at_least": usd("20.00")}));
    assert_eq!(shown["states"], json!([]));
    let recent = &shown["recent"][0];
    assert_eq!((&recent["kind"], &recent["booth_id"]), (&json!("booth_spike"), &json!("bth_17")));
    assert_eq!((&recent["spent"], &recent["threshold"]), (&usd("20.16"), &usd("20.00")));
    assert_eq!((&recent["usual"], &recent["hours"], &recent["times"]), (&usd("1.234567"), &json!(24), &json!(5)));
    assert_eq!(recent["hour"], tollbooth_schemas::time::rfc3339(BASE_MS));
}
