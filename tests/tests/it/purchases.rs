//! Credit that is bought, and what an accident between the provider's yes and the ledger must not do.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_tests::Victim;

use crate::stage::{PATIENCE, alone, amounts, balance_becomes, shared};

const APPROVES: &str = "4242424242424242";
const DECLINES: &str = "4000000000000002";

fn of(card: &str) -> Value {
    json!({"amount": "50.00", "payment_method": card})
}

#[test]
fn a_purchase_posts_only_what_was_paid() -> anyhow::Result<()> {
    // given an account
    let stack = shared();
    let account = "acc_buyer";
    stack.api.open_account(account, None)?;
    let path = format!("/v1/accounts/{account}/purchases");
    // when a card is declined and another is not, twice
    assert_eq!(stack.api.command(&path, "p-1", &of(DECLINES))?.body["code"], "payment_failed");
    for replayed in [false, true] {
        let answer = stack.api.command(&path, "p-2", &of(APPROVES))?.ok()?;
        assert_eq!((&answer["status"], &answer["replayed"]), (&json!("succeeded"), &json!(replayed)), "{answer}");
        assert_eq!((&answer["balance"]["amount"], &answer["sandbox"]), (&json!("50.00"), &json!(true)));
    }
    // then one purchase is in the ledger
    balance_becomes(&stack, account, "50.00")?;
    assert_eq!(amounts(&stack.api.transactions(account)?, "purchase").len(), 1);
    // and nobody can buy for an account that was never opened
    let nobody = stack.api.command("/v1/accounts/acc_nobody/purchases", "p-1", &of(APPROVES))?;
    assert_eq!((nobody.status, &nobody.body["code"]), (404, &json!("unknown_account")));
    Ok(())
}

#[test]
fn a_crash_between_the_providers_yes_and_the_ledger_is_finished_by_the_repeat() -> anyhow::Result<()> {
    // given an ingest that dies when the money is taken
    let stack = alone();
    let account = "acc_crash_buyer";
    stack.api.open_account(account, None)?;
    let path = format!("/v1/accounts/{account}/purchases");
    fs::write(stack.crash_dir().join("ingest.payment_taken"), "")?;
    assert!(stack.api.command_once(&Method::POST, &path, "p-1", &of(APPROVES)).is_err(), "it died");
    stack.wait("ingest to be gone", PATIENCE, || (!stack.is_running(Victim::Ingest)).then_some(()))?;
    assert_eq!(amounts(&stack.api.transactions(account)?, "purchase").len(), 0);
    // when it is back and the request is repeated, twice
    stack.restart(Victim::Ingest)?;
    stack.wait_ready(&stack.ingest)?;
    for replayed in [false, true] {
        let answer = stack.api.command(&path, "p-1", &of(APPROVES))?.ok()?;
        assert_eq!((&answer["status"], &answer["replayed"]), (&json!("succeeded"), &json!(replayed)), "{answer}");
    }
    // then the purchase is in the ledger, once
    balance_becomes(&stack, account, "50.00")?;
    assert_eq!(amounts(&stack.api.transactions(account)?, "purchase").len(), 1);
    Ok(())
}
