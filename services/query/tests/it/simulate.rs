//! What work would cost by another price book.

use serde_json::{Value, json};
use tollbooth_schemas::keys::KeyKind;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{
    Counted, PriceModel, PricePart, PricePartKind, Pricing, Reversal, ReversalCause, UsageStatus,
};

use crate::query::{Answer, Query};
use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

const DAY_MS: i64 = 86_400_000;

/// "First 2 free, then 0.50" for one engine, and half of what another costs.
fn book(version: u32) -> Value {
    json!({
        "version": version, "currency": "USD", "effective_from": "2199-01-01T00:00:00.000Z", "test_factor": "0.5",
        "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "39.00"}],
        "services": [{"code": "ai_modify", "name": "AI Modify"}],
        "engines": [{"code": "nano_banana_2", "name": "Nano Banana 2"}, {"code": "grok", "name": "Grok"}],
        "prices": [
            {"service": "ai_modify", "engine": "nano_banana_2", "unit": "image", "model": "graduated", "plans": {},
             "tiers": [{"from": "0", "to": "2", "plans": {"basic": "0"}}, {"from": "2", "plans": {"basic": "0.50"}}]},
            {"service": "ai_modify", "engine": "grok", "unit": "image", "model": "per_unit", "plans": {"basic": "0.10"}}
        ]
    })
}

fn charge(ledger: &mut Ledger, engine: &str, number: u64, at_ms: i64) {
    ledger.push(vec![(usage("ai_modify", engine, UsageStatus::Success, number), -200_000, at_ms)]);
}

async fn simulate(query: &Query, version: u32, body: &Value) -> Answer {
    let key = format!("Bearer {}", query.key);
    query.change("POST", &format!("/v1/price-books/{version}/simulate"), &[("authorization", &key)], body).await
}

fn problem(answer: &Answer) -> (u16, &str, &str) {
    let pointer = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
    (answer.status.as_u16(), answer.body["code"].as_str().unwrap(), pointer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_period_is_priced_by_another_book_and_nothing_is_posted() {
    // given charges of a month, one before the range, one taken back, one of an engine that the book does not name
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    charge(&mut luna, "nano_banana_2", 1, BASE_MS - DAY_MS);
    for number in 2..5 {
        charge(&mut luna, "nano_banana_2", number, BASE_MS + i64::try_from(number).unwrap());
    }
    charge(&mut luna, "grok", 5, BASE_MS + 10);
    charge(&mut luna, "vintage", 6, BASE_MS + 11);
    let taken_back = Reversal {
        original_seq: 5,
        cause: ReversalCause::Refund.into(),
        operation_id: "op_3".to_owned(),
        service: "ai_modify".to_owned(),
        engine: "nano_banana_2".to_owned(),
        unit: "image".to_owned(),
        plan: "basic".to_owned(),
        quantity_micros: 1_000_000,
        ..Reversal::default()
    };
    luna.push(vec![(Kind::Reversal(taken_back), 200_000, BASE_MS + 3)]);
    charge(&mut luna, "nano_banana_2", 7, BASE_MS + 12);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.publish(&stand.topics.price_book(), "7", &serde_json::to_vec(&book(7)).unwrap());
    let query = stand.query().await;
    until("the book is known", async || query.get_with("/v1/price-books/7", None).await.status == 200).await;

    // when
    let time = tollbooth_schemas::time::rfc3339;
    let period = json!({"account_id": "acc_luna", "from": time(BASE_MS), "to": time(BASE_MS + DAY_MS)});
    let answer = simulate(&query, 7, &json!({"period": period})).await;

    // then of the month's images the 2 first are free; the one that was taken back is in no sum, and its place is free again
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = &answer.body;
    assert_eq!((&body["draft"], &body["period"]["time_zone"]), (&json!(false), &json!("America/New_York")));
    let line = |engine: &str| {
        let lines = body["period"]["engines"].as_array().unwrap();
        let line = lines.iter().find(|line| line["engine"] == engine).unwrap();
        let amount = |name: &str| line[name]["amount"].as_str().unwrap().to_owned();
        (line["count"].as_i64().unwrap(), amount("charged"), amount("would_be"), amount("difference"))
    };
    let told = |count, charged: &str, would_be: &str, difference: &str| {
        (count, charged.to_owned(), would_be.to_owned(), difference.to_owned())
    };
    // seq 4 is the second of the month, 6 the fourth, and 10 the fourth again.
    assert_eq!(line("nano_banana_2"), told(3, "0.60", "1.00", "0.40"));
    assert_eq!(line("grok"), told(1, "0.20", "0.10", "-0.10"));
    assert_eq!(line("vintage"), told(1, "0.20", "0.00", "-0.20"));
    let total = &body["period"]["total"];
    assert_eq!(
        (&total["count"], &total["unpriced"], &total["difference"]["amount"]),
        (&json!(5), &json!(1), &json!("0.10"))
    );
    let after = query.ok("/v1/accounts/acc_luna/balance").await;
    assert_eq!(after["seq"], luna.records.last().unwrap().entries[0].seq);

    // and what cannot be asked for is refused by its place
    for (member, value, pointer) in [
        ("to", json!(time(BASE_MS)), "/period/to"),
        ("to", json!(time(BASE_MS + 93 * DAY_MS)), "/period/to"),
        ("from", json!("yesterday"), "/period/from"),
    ] {
        let mut wrong = period.clone();
        wrong[member] = value;
        assert_eq!(problem(&simulate(&query, 7, &json!({"period": wrong})).await), (422, "invalid", pointer));
    }
    let mut unknown = period;
    unknown["account_id"] = "acc_nobody".into();
    assert_eq!(problem(&simulate(&query, 7, &json!({"period": unknown})).await), (404, "not_found", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_of_work_is_priced_by_a_draft() {
    // given a draft that nobody published
    let stand = Stand::new().await;
    let query = stand.query().await;
    until("keys are read", async || query.get("/v1/accounts").await.status == 200).await;
    until("prices are read", async || query.component("price-book").await == "ok").await;
    let work = json!({"service": "ai_modify", "engine": "nano_banana_2", "unit": "image", "quantity": "3",
                      "plan": "basic", "counted_before": "1"});

    // when
    let answer = simulate(&query, 9, &json!({"book": book(9), "work": work})).await;

    // then
    assert_eq!(answer.status, 200, "{}", answer.body);
    let priced = &answer.body["work"];
    assert_eq!((&answer.body["draft"], &priced["amount"]["amount"]), (&json!(true), &json!("1.00")));
    assert_eq!(priced["explanation"], "1 image x 0.00 USD + 2 image x 0.50 USD");
    assert_eq!(priced["pricing"]["parts"][1]["exact_amount"], "1.00");
    let mut test = work.clone();
    (test["engine"], test["test_mode"]) = ("grok".into(), true.into());
    let answer = simulate(&query, 9, &json!({"book": book(9), "work": test})).await;
    assert_eq!(answer.body["work"]["explanation"], "(3 image x 0.10 USD) x 0.5 as a test");
    assert_eq!(answer.body["work"]["amount"]["amount"], "0.15");

    // and what has no price, and what is no book, say why
    let mut second = work.clone();
    second["unit"] = "second".into();
    assert_eq!(
        problem(&simulate(&query, 9, &json!({"book": book(9), "work": second})).await),
        (422, "unit_mismatch", "")
    );
    let mut gap = book(9);
    gap["prices"][0]["tiers"][1]["from"] = "3".into();
    let answer = simulate(&query, 9, &json!({"book": gap, "work": work})).await;
    assert_eq!(problem(&answer), (422, "invalid", "/book/prices/0/tiers/1/from"));
    assert_eq!(
        problem(&simulate(&query, 8, &json!({"book": book(9), "work": work})).await),
        (422, "invalid", "/book/version")
    );
    assert_eq!(problem(&simulate(&query, 9, &json!({"work": work})).await), (404, "not_found", ""));
    assert_eq!(problem(&simulate(&query, 9, &json!({"book": book(9)})).await), (422, "invalid", ""));
    let nobody = query.change("POST", "/v1/price-books/9/simulate", &[], &json!({"book": book(9), "work": work})).await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_asks_what_a_book_would_make_of_an_account() {
    // given keys of every kind, a portal token, and somebody who signed in
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    stand.publish(&stand.topics.price_book(), "7", &serde_json::to_vec(&book(7)).unwrap());
    let [account, booth] =
        [(KeyKind::Account, 1), (KeyKind::Booth, 2)].map(|(kind, number)| stand.issue(kind, "acc_luna", number));
    let query = stand.query().await;
    until("the book is known", async || query.get_with("/v1/price-books/7", None).await.status == 200).await;
    let session = query.sign_in(account.reveal()).await;
    let bearer = |key: &str| format!("Bearer {key}");
    let (own, of_booth) = (bearer(account.reveal()), bearer(booth.reveal()));
    let balance = "/v1/accounts/acc_luna/balance";
    let known = async || query.get_with(balance, Some(booth.reveal())).await.status == 403;
    until("the booth's key is known", known).await;
    let made =
        query.change("POST", "/v1/portal-tokens", &[("authorization", own.as_str())], &json!({"ttl_s": 600})).await;
    let token = bearer(made.body["token"].as_str().unwrap());
    let time = tollbooth_schemas::time::rfc3339;
    let body = json!({"period": {"account_id": "acc_luna", "from": time(BASE_MS), "to": time(BASE_MS + 86_400_000)}});

    // when and then
    assert_eq!(simulate(&query, 7, &body).await.status, 200);
    for headers in [
        vec![("authorization", own.as_str())],
        vec![("authorization", of_booth.as_str())],
        vec![("authorization", token.as_str())],
        vec![("cookie", session.cookie.as_str()), ("x-csrf-token", session.csrf.as_str())],
    ] {
        let answer = query.change("POST", "/v1/price-books/7/simulate", &headers, &body).await;
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.body);
    }
}

/// 990 of the month before, 10 in the free tier and 1,000 at 0.08, as it lies in the ledger.
fn tiered() -> Kind {
    let mut kind = usage("ai_modify", "nano_banana_2", UsageStatus::Success, 1);
    let tier = |quantity: i64, price: i64, from: i64, to: Option<i64>| PricePart {
        kind: PricePartKind::Tier.into(),
        quantity_micros: quantity * 1_000_000,
        unit_price_micros: price,
        from_micros: from * 1_000_000,
        to_micros: to.map(|to| to * 1_000_000),
        ..PricePart::default()
    };
    if let Kind::Usage(usage) = &mut kind {
        (usage.quantity_micros, usage.unit_price_micros) = (1_010_000_000, 80_000);
        (usage.price_model, usage.price_version) = (PriceModel::Graduated.into(), 12);
        let counted = Some(Counted { period: "2026-10".to_owned(), before_micros: 990_000_000, ..Counted::default() });
        let parts = vec![tier(10, 0, 0, Some(1_000)), tier(1_000, 80_000, 1_000, None)];
        usage.pricing = Some(Box::new(Pricing { parts, counted, test_factor_micros: None }));
    }
    kind
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_over_tiers_shows_its_parts_wherever_it_is_read() {
    // given one that a process has in memory and another has to ask for
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.push(vec![(tiered(), -80_000_000, BASE_MS)]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let from_memory = stand.query().await;
    stand.commit_all().await;
    let from_clickhouse = stand.query().await;

    // when
    let path = "/v1/accounts/acc_luna/transactions/ent_acc_luna_3";
    let (memory, stored) = (from_memory.ok(path).await, from_clickhouse.ok(path).await);

    // then
    assert_eq!(memory, stored);
    assert_eq!(memory["explanation"], "10 image x 0.00 USD + 1000 image x 0.08 USD = 80.00 USD (basic, price book 12)");
    assert_eq!(memory["price_model"], "graduated");
    assert_eq!(memory["pricing"]["month"], json!({"period": "2026-10", "counted_before": "990"}));
    let part = &memory["pricing"]["parts"][1];
    assert_eq!(
        [&part["kind"], &part["quantity"], &part["from"], &part["to"]],
        [&json!("tier"), &json!("1000"), &json!("1000"), &Value::Null]
    );
    assert_eq!([&part["unit_price"]["amount"], &part["exact_amount"]], ["0.08", "80.00"]);
}
