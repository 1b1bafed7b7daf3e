//! One transaction, explained.

use serde_json::{Value, json};
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{CommandRef, PriceModel, SourceTopic, UsageStatus};

use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

fn ledger() -> Ledger {
    let mut luna = Ledger::open("acc_luna");
    let mut kind = usage("ai_modify", "nano_banana_2", UsageStatus::Success, 1);
    if let Kind::Usage(usage) = &mut kind {
        usage.quantity_micros = 2_000_000;
        usage.unit_price_micros = 200_000;
        usage.price_model = PriceModel::PerUnit.into();
        usage.price_version = 12;
        usage.received_at_ms = BASE_MS + 300;
        usage.captured_at_ms = Some(BASE_MS - 5_000);
    }
    luna.push(vec![(kind, -400_000, BASE_MS)]);
    luna.push(vec![(usage("sms", "sms_intl", UsageStatus::Failed, 2), 0, BASE_MS)]);
    let charge = &mut luna.records[1].entries[0];
    (charge.source_topic, charge.source_offset) = (SourceTopic::Usage.into(), 77);
    let credit = &mut luna.records[0].entries[1];
    credit.source_topic = SourceTopic::Commands.into();
    credit.command = Some(CommandRef { actor: "key_17".to_owned(), ..CommandRef::default() });
    luna
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_says_why_it_cost_what_it_did_wherever_it_is_read() {
    // given entries that one process has in memory and another has to ask for
    let stand = Stand::new().await;
    let luna = ledger();
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let from_memory = stand.query().await;
    stand.commit_all().await;
    let from_clickhouse = stand.query().await;

    for seq in 1..=4 {
        // when
        let path = format!("/v1/accounts/acc_luna/transactions/ent_acc_luna_{seq}");
        let (memory, stored) = (from_memory.ok(&path).await, from_clickhouse.ok(&path).await);

        // then both say the same, and it is the row of the list and more
        assert_eq!(memory, stored, "{seq}");
        let list = from_memory.ok("/v1/accounts/acc_luna/transactions?include=all").await;
        let row = &list["data"][4 - seq];
        for (member, value) in row.as_object().unwrap() {
            assert_eq!(&memory[member], value, "{member}");
        }
    }
    let charge = from_clickhouse.ok("/v1/accounts/acc_luna/transactions/ent_acc_luna_3").await;
    for (member, value) in [
        ("explanation", json!("2 image x 0.20 USD (basic, price book 12)")),
        ("unit_price", json!({"amount": "0.20", "currency": "USD"})),
        ("received_at", json!("2026-10-20T00:00:00.300Z")),
        ("captured_at", json!("2026-10-19T23:59:55.000Z")),
    ] {
        assert_eq!(charge[member], value, "{member}");
    }
    assert_eq!((&charge["source"]["topic"], &charge["source"]["offset"]), (&json!("usage"), &json!(77)));
    let credit = from_clickhouse.ok("/v1/accounts/acc_luna/transactions/ent_acc_luna_2").await;
    assert_eq!((&credit["actor"], &credit["explanation"]), (&json!("key_17"), &Value::Null));
    let failed = from_clickhouse.ok("/v1/accounts/acc_luna/transactions/ent_acc_luna_4").await;
    assert_eq!(failed["explanation"], "failed work is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_not_of_the_account_leads_nowhere() {
    // given two accounts
    let stand = Stand::new().await;
    for account in ["acc_luna", "acc_sol"] {
        stand.post(&Ledger::open(account).records);
    }
    let query = stand.query().await;
    until("both are known", async || query.get("/v1/accounts/acc_sol/balance").await.status == 200).await;

    for id in ["ent_acc_sol_1", "ent_acc_luna_0", "ent_acc_luna_01", "ent_acc_luna_3", "ent_acc_luna", "1", "nonsense"]
    {
        // when and then
        let answer = query.get(&format!("/v1/accounts/acc_luna/transactions/{id}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["detail"]), (404, &json!("no such transaction")), "{id}");
    }
}
