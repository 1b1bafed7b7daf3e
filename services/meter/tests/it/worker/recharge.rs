//! Credit that is bought by itself, from the charge to the outbox, over a restart, and back through the audit.

use tollbooth_schemas::v1::{
    Command, FailRecharge, PostPurchase, PurchaseSource, RechargeRequested, SetRecharge, command::Body, entry::Kind,
    outbox_record::Effect, set_recharge::Size,
};

use super::harness::{World, command, credit, image, open, price_book, wait_until};

const ACCOUNT: &str = "acc_a";

fn rule() -> Command {
    let body = SetRecharge {
        enabled: true,
        threshold_micros: 1_000_000,
        size: Some(Size::AmountMicros(50_000_000)),
        daily_cap_micros: Some(60_000_000),
        monthly_cap_micros: None,
        amount_max_micros: None,
    };
    command(ACCOUNT, "rule", Body::SetRecharge(body))
}

/// What the outbox asks for.
fn requests(world: &World) -> Vec<RechargeRequested> {
    let effect = |effect| match effect {
        Some(Effect::RechargeRequested(requested)) => Some(requested),
        _ => None,
    };
    world.outbox(ACCOUNT).into_iter().filter_map(|record| effect(record.effect)).collect()
}

fn codes(world: &World) -> Vec<&'static str> {
    world.entries(ACCOUNT).iter().map(|entry| entry.entry_type().unwrap().code()).collect()
}

#[test]
fn a_request_leaves_with_its_entry_once_and_ends_once() {
    // given an account with a rule, and nothing left
    let world = World::new("recharge", 1);
    world.publish("2", &price_book(2, &["basic"], &["nano"]));
    let running = world.start();
    world.commands(ACCOUNT, &[open(ACCOUNT, "open", "basic"), rule()]);

    // then the outbox has the request of the ledger, and no second one over a restart
    wait_until("it is asked for", || !requests(&world).is_empty());
    running.stop();
    let running = world.start();
    world.usage(ACCOUNT, &[image(ACCOUNT, "op_1", "nano"), image(ACCOUNT, "op_2", "nano")]);
    wait_until("usage goes on", || codes(&world).iter().filter(|code| **code == "consume").count() == 2);
    let asked = requests(&world);
    let in_ledger: Vec<RechargeRequested> = world
        .entries(ACCOUNT)
        .into_iter()
        .filter_map(|entry| match entry.kind {
            Some(Kind::RechargeRequested(requested)) => Some(requested),
            _ => None,
        })
        .collect();
    assert_eq!((asked.len(), &asked), (1, &in_ledger));
    let record = world.outbox(ACCOUNT).remove(0);
    assert_eq!((record.seq, record.currency.as_str()), (3, "USD"));

    // when it is paid, told twice, and failed after all
    let paid = PostPurchase {
        payment_id: asked[0].recharge_id.clone(),
        provider: "sandbox".to_owned(),
        amount_micros: asked[0].amount_micros,
        source: PurchaseSource::AutoRecharge.into(),
    };
    let paid = command(ACCOUNT, "payment", Body::PostPurchase(paid));
    let failed = FailRecharge { recharge_id: asked[0].recharge_id.clone(), reason: "card_declined".to_owned() };
    world.commands(
        ACCOUNT,
        &[paid.clone(), paid, command(ACCOUNT, "failed", Body::FailRecharge(failed)), credit(ACCOUNT, "credit")],
    );
    wait_until("it is posted", || codes(&world).contains(&"adjustment"));
    running.stop();

    // then the money is there once, and the audit, which shares no code with the meter, agrees
    assert_eq!(world.replies().get("failed").map(String::as_str), Some("recharge_not_under_way"));
    let expected =
        ["account_opened", "recharge_set", "recharge_requested", "consume", "consume", "auto_recharge", "adjustment"];
    assert_eq!(codes(&world), expected);
    let report = world.verify();
    assert!(report.is_clean(), "{report}");
}
