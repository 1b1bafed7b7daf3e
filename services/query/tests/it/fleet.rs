//! All accounts together.

use serde_json::json;
use tollbooth_schemas::v1::UsageStatus;

use crate::stand::{BASE_MS, Ledger, Stand, usage};

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
