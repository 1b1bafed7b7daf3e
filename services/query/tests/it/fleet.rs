//! All accounts together.

use serde_json::json;
use tollbooth_schemas::v1::UsageStatus;

use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, usage};

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_what_the_watch_last_wrote() {
    // given an account in euros, and no word of a watch yet
    let stand = Stand::new().await;
    let ledger = Ledger::open_as("acc_euro", "Europe/Berlin", "EUR");
    stand.post(&ledger.records);
    let query = stand.query().await;
    let nothing = json!({"began_at": null, "looked_at": null, "passed_at": null, "data": []});
    assert_eq!(query.ok("/v1/fleet/drift").await, nothing);

    // when it has looked, but not at every account, and then again at all of them
    let write = async |looked: i64, passed: i64, off: &str| {
        let row = |kind: &str, accounts: u32, examples: &str| {
            format!(
                "('{kind}', fromUnixTimestamp64Milli({BASE_MS}), fromUnixTimestamp64Milli({looked}), \
                 fromUnixTimestamp64Milli({passed}), {accounts}, [{examples}])"
            )
        };
        let rows = [row("ledger_chain", 0, ""), row("rollup_vs_ledger", 2, off)].join(", ");
        let sql = format!("INSERT INTO drift (kind, began_at, looked_at, passed_at, accounts, examples) VALUES {rows}");
        stand.clickhouse.query_raw(&sql).execute().await.unwrap();
    };
    write(BASE_MS + 1_000, 0, "").await;
    let early = query.ok("/v1/fleet/drift").await;
    write(BASE_MS + 9_000, BASE_MS + 8_000, "('acc_euro', 1250000), ('acc_nobody', 0)").await;
    let late = query.ok("/v1/fleet/drift").await;

    // then the newest word counts, and who was never opened has no currency
    assert_eq!((&early["looked_at"], &early["passed_at"]), (&json!("2026-10-20T00:00:01.000Z"), &json!(null)));
    let examples = json!([
        {"account_id": "acc_euro", "name": "Luna", "off": {"amount": "1.25", "currency": "EUR"}},
        {"account_id": "acc_nobody", "name": null, "off": null},
    ]);
    let expected = json!({
        "began_at": "2026-10-20T00:00:00.000Z", "looked_at": "2026-10-20T00:00:09.000Z",
        "passed_at": "2026-10-20T00:00:08.000Z",
        "data": [{"kind": "ledger_chain", "accounts": 0, "examples": []},
                 {"kind": "rollup_vs_ledger", "accounts": 2, "examples": examples}],
    });
    assert_eq!(late, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_accounts_stay_apart_and_currencies_are_not_added() {
    // given 15 accounts in dollars that spent more and more, and one in euros
    let stand = Stand::new().await;
    let mut ledgers: Vec<Ledger> = (0..15).map(|number| Ledger::open(&format!("acc_{number:02}"))).collect();
    ledgers.push(Ledger::open_as("acc_euro", "Europe/Berlin", "EUR"));
    for (number, ledger) in (1..).zip(&mut ledgers) {
        ledger.push(vec![(usage("sms", "sms_intl", UsageStatus::Success, 1), -1_000_000 * number, BASE_MS)]);
        stand.sink(&ledger.records).await;
    }
    stand.post(&ledgers[0].records);
    let query = stand.query().await;

    // when
    let path = "/v1/fleet/usage?from=2026-10-01&to=2026-11-01&bucket=month";
    let usd = query.ok(&format!("{path}&group_by=account")).await;
    let eur = query.ok(&format!("{path}&group_by=account&currency=EUR&top=3")).await;
    let by_service = query.ok(&format!("{path}&group_by=service&service=sms&compare=previous")).await;

    // then
    let groups = usd["buckets"][0]["groups"].as_array().unwrap();
    assert_eq!((groups.len(), &groups[0]["key"], &groups[10]["key"]), (11, &json!("acc_14"), &json!(null)));
    assert_eq!(groups[10]["amount"]["amount"], "15.00");
    assert_eq!(usd["total"]["amount"], json!({"amount": "120.00", "currency": "USD"}));
    assert_eq!(
        (&eur["currency"], &eur["total"]["amount"]),
        (&json!("EUR"), &json!({"amount": "16.00", "currency": "EUR"}))
    );
    assert_eq!((&by_service["total"]["count"], &by_service["previous"]["total"]["count"]), (&json!(15), &json!(0)));
    for wrong in ["group_by=event", "currency=usd", "top=101&group_by=account"] {
        assert_eq!(query.get(&format!("{path}&{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_of_all_is_given_again_with_its_tag() {
    // given an account that spent something, and answers about all that last for an hour
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(1);
    stand.sink(&luna.records).await;
    let mut config = stand.config();
    config.answers.fleet_fresh_ms = 3_600_000;
    let query = Query::start(config, &stand.admin_key).await;
    let path = "/v1/fleet/usage?from=2026-10-01&to=2026-11-01&bucket=month";
    let first = query.get(path).await;
    assert_eq!((first.status.as_u16(), &first.body["total"]["count"]), (200, &json!(1)), "{}", first.body);

    // when it spends more, and the same is asked again
    luna.charge(1);
    stand.sink(&luna.records[2..]).await;
    let again = query.get(path).await;

    // then the answer is the same one, who has it is told so, and ClickHouse was asked once
    assert_eq!((&again.body, &again.headers["etag"]), (&first.body, &first.headers["etag"]));
    let (key, tag) = (format!("Bearer {}", query.key), first.headers["etag"].to_str().unwrap());
    let known = query.read(path, &[("authorization", &key), ("if-none-match", tag)]).await;
    assert_eq!(known.status, 304);
    let metrics = query.metrics().await;
    for line in ["{source=\"memory\"} 2", "{source=\"clickhouse\"} 1"] {
        assert!(metrics.contains(&format!("tollbooth_query_answers_total{line}")), "{line} {metrics}");
    }
    // and another question is asked
    assert_eq!(query.get(&format!("{path}&group_by=service")).await.body["total"]["count"], json!(2));
}
