//! Money set aside before the work, over the whole path.

use serde_json::{Value, json};
use tollbooth_tests::usage;

use crate::stage::{amounts, balance_becomes, pair, shared};

/// Images of the engine that costs 0.24 on the plan `payg`.
fn images(quantity: &str, event_id: &str) -> Value {
    json!({"service": "ai_modify", "engine": "nano_banana_2", "variant": "1k", "unit": "image", "quantity": quantity,
           "timeout_s": 600, "event_id": event_id, "booth_id": "bth_17"})
}

fn usd(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

#[test]
fn a_hold_is_captured_by_the_usage_that_names_it_and_the_rest_is_free() -> anyhow::Result<()> {
    // given a dollar, and a hold for three images
    let stack = shared();
    let account = "acc_holds";
    stack.api.open_account(account, Some("1.00"))?;
    let holds = format!("/v1/accounts/{account}/holds");
    let placed = stack.api.command(&holds, "hold-1", &images("3", "evt_gala"))?.ok()?;
    assert_eq!((&placed["hold"]["amount"], &placed["available"]), (&usd("0.72"), &usd("0.28")), "{placed}");

    // when another booth wants two more
    let refused = stack.api.command(&holds, "hold-2", &images("2", "evt_gala"))?;
    // then it hears what is missing
    assert_eq!((refused.status, &refused.body["code"]), (402, &json!("insufficient_balance")));
    assert_eq!(refused.body["missing"], usd("0.20"));

    // and when the work took two of the three
    let event = usage::event(account, "op_held");
    let captured = json!({"hold_id": placed["hold"]["hold_id"], "quantity": "2"});
    stack.api.send(&[usage::with_data(event, &captured)])?;
    balance_becomes(&stack, account, "0.52")?;

    // then the rest of the hold is free, and what was refused is judged anew
    let placed = stack.api.command(&holds, "hold-2", &images("2", "evt_gala"))?.ok()?;
    assert_eq!((&placed["held"], &placed["available"]), (&usd("0.48"), &usd("0.04")), "{placed}");
    // until it is void, whose repeat says the same
    let hold_id = placed["hold"]["hold_id"].as_str().unwrap_or_default();
    for replayed in [false, true] {
        let void = stack.api.command(&format!("{holds}/{hold_id}/void"), "void-2", &json!({}))?.ok()?;
        assert_eq!((&void["replayed"], &void["held"]), (&json!(replayed), &usd("0.00")), "{void}");
        assert_eq!(void["hold"]["amount"], usd("0.48"));
    }
    assert_eq!(stack.api.command(&format!("{holds}/{hold_id}/void"), "void-3", &json!({}))?.body["code"], "hold_ended");
    assert_eq!(amounts(&stack.api.transactions(account)?, "consume"), vec![pair("-0.48", "success")]);
    Ok(())
}

#[test]
fn budgets_pauses_and_credit_limits_decide_about_holds() -> anyhow::Result<()> {
    // given an account without money, with credit for one image
    let stack = shared();
    let account = "acc_limits";
    stack.api.open_account(account, None)?;
    let of = |path: &str| format!("/v1/accounts/{account}/{path}");
    let hold = |key: &str, event: &str| stack.api.command(&of("holds"), key, &images("1", event));
    let code = |answer: tollbooth_tests::Answer| (answer.status, answer.body["code"].clone());
    assert_eq!(code(hold("h-1", "evt_a")?), (402, json!("insufficient_balance")));
    stack.api.put(&of("credit-limit"), "l-1", &json!({"credit_limit": "0.24"}))?.ok()?;
    hold("h-1", "evt_a")?.ok()?;
    assert_eq!(code(hold("h-2", "evt_a")?), (402, json!("insufficient_balance")));

    // when there is a bonus, and an event with a budget of less than an image
    stack.api.command(&of("bonuses"), "b-1", &json!({"amount": "5.00", "reason": "welcome"}))?.ok()?;
    let event = json!({"name": "Ball", "starts_at": "2026-11-21T18:00:00Z", "ends_at": "2026-11-22T01:00:00Z",
                       "time_zone": "Europe/Berlin", "budget": {"amount": "0.20", "on_exceeded": "refuse_holds"}});
    stack.api.put(&of("events/evt_b"), "e-1", &event)?.ok()?;
    // then the event is short of money, and another is not
    let refused = hold("h-3", "evt_b")?;
    assert_eq!((refused.status, &refused.body["missing"]), (402, &usd("0.04")), "{}", refused.body);
    assert_eq!(refused.body["code"], "event_budget_exceeded");
    hold("h-3", "evt_a")?.ok()?;

    // and when the booth is paused, it gets none until it is not
    let booth = |key: &str, paused: bool| {
        stack.api.put(&of("booths/bth_17"), key, &json!({"name": "Left", "paused": paused}))?.ok()
    };
    booth("pause", true)?;
    assert_eq!(code(hold("h-4", "evt_a")?), (409, json!("booth_paused")));
    booth("go on", false)?;
    hold("h-4", "evt_a")?.ok()?;
    // Plan fees: the plan `payg` has none.
    assert_eq!(
        code(stack.api.command(&of("plan-fees"), "f-1", &json!({"period": "2026-11"}))?),
        (409, json!("no_fee"))
    );
    Ok(())
}
