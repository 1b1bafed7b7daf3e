//! Every command from the topic to the ledger and its answer, and back through the audit.

use std::collections::BTreeMap;

use tollbooth_schemas::v1::{
    BudgetRule, Charge, Command, DefineEvent, Entry, GrantBonus, PostPlanFee, PostPurchase, PurchaseSource, Refund,
    SetBooth, SetCreditLimit, VoidHold, command::Body,
};

use super::{
    harness::{World, command, image_of, open, price_book, wait_until},
    holds::hold_of,
};

const ACCOUNT: &str = "acc_a";

fn purchase(key: &str, payment_id: &str) -> Command {
    let body = PostPurchase {
        payment_id: payment_id.to_owned(),
        provider: "sandbox".to_owned(),
        amount_micros: 50_000_000,
        source: PurchaseSource::Manual.into(),
    };
    command(ACCOUNT, key, Body::PostPurchase(body))
}

fn bonus(expires_at_ms: i64) -> Command {
    let (reason, note) = ("welcome".to_owned(), String::new());
    let body = GrantBonus { amount_micros: 300_000, expires_at_ms: Some(expires_at_ms), reason, note };
    command(ACCOUNT, "bonus", Body::GrantBonus(body))
}

fn event() -> Command {
    let body = DefineEvent {
        event_id: "evt_gala".to_owned(),
        name: "Gala".to_owned(),
        starts_at_ms: 1,
        ends_at_ms: 2,
        time_zone: "UTC".to_owned(),
        budget_micros: Some(500_000),
        on_exceeded: BudgetRule::RefuseHolds.into(),
    };
    command(ACCOUNT, "event", Body::DefineEvent(body))
}

fn at(mut command: Command, place: impl FnOnce(&mut tollbooth_schemas::v1::PlaceHold)) -> Command {
    let Some(Body::PlaceHold(hold)) = &mut command.body else { panic!("no hold") };
    place(hold);
    command
}

fn refund(key: &str, entry: &Entry, amount_micros: Option<i64>) -> Command {
    let usage = entry.usage().unwrap().clone();
    let original = Charge {
        operation_id: usage.operation_id,
        attempt: usage.attempt,
        amount_micros: -entry.amount_micros,
        occurred_at_ms: entry.occurred_at_ms,
        service: usage.service,
        engine: usage.engine,
        variant: usage.variant,
        country: usage.country,
        unit: usage.unit,
        quantity_micros: usage.quantity_micros,
        event_id: usage.event_id,
        booth_id: usage.booth_id,
        plan: usage.plan,
        price_version: usage.price_version,
        test_mode: usage.test_mode,
    };
    let (reason, note) = ("blurred".to_owned(), String::new());
    let body = Refund { seq: entry.seq, amount_micros, reason, note, original: Some(original), counted: None };
    command(ACCOUNT, key, Body::Refund(body))
}

/// Types, amounts and what is held, in order.
fn told(entries: &[Entry]) -> Vec<(&'static str, i64, i64)> {
    let told = |entry: &Entry| (entry.entry_type().unwrap().code(), entry.amount_micros, entry.held_after_micros);
    entries.iter().map(told).collect()
}

#[test]
fn every_command_leaves_its_entry_and_its_answer() {
    // given a plan with a fee
    let world = World::new("commands", 1);
    let book = price_book(2, &["basic"], &["nano"]).replace(r#""monthly_fee":"0""#, r#""monthly_fee":"39.00""#);
    world.publish("2", &book);
    let running = world.start();
    // when an account buys, is given a bonus, pays its plan, and sets its event, its booths and its limit
    let now_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let paused = SetBooth { booth_id: "bth_2".to_owned(), name: "Bar".to_owned(), paused: true };
    let limit = SetCreditLimit { credit_limit_micros: 5_000_000 };
    let of_gala = |id: &str| at(hold_of(ACCOUNT, id, 400_000, 3_600_000), |hold| hold.event_id = "evt_gala".to_owned());
    world.commands(
        ACCOUNT,
        &[
            open(ACCOUNT, "open", "basic"),
            purchase("payment:pay_1", "pay_1"),
            purchase("payment:pay_1", "pay_1"),
            command(ACCOUNT, "fee:2026-11", Body::PostPlanFee(PostPlanFee { period: "2026-11".to_owned() })),
            command(ACCOUNT, "fee again", Body::PostPlanFee(PostPlanFee { period: "2026-11".to_owned() })),
            bonus(now_ms + 10_000),
            event(),
            command(ACCOUNT, "booth", Body::SetBooth(paused)),
            command(ACCOUNT, "limit", Body::SetCreditLimit(limit)),
            // and holds: within the budget, beyond it, by a paused booth, for what has no price, and one that is void
            of_gala("hld_1"),
            of_gala("hld_2"),
            at(hold_of(ACCOUNT, "hld_3", 1, 1_000), |hold| hold.booth_id = "bth_2".to_owned()),
            at(hold_of(ACCOUNT, "hld_4", 1, 1_000), |hold| {
                hold.engine = "unheard".to_owned();
                hold.size = Some(tollbooth_schemas::v1::place_hold::Size::QuantityMicros(1_000_000));
            }),
            hold_of(ACCOUNT, "hld_5", 15_000_000, 3_600_000),
            command(ACCOUNT, "void", Body::VoidHold(VoidHold { hold_id: "hld_5".to_owned() })),
            command(ACCOUNT, "void again", Body::VoidHold(VoidHold { hold_id: "hld_5".to_owned() })),
        ],
    );
    world.usage(ACCOUNT, &[image_of(ACCOUNT, "op_1", "nano", Some("evt_gala"), Some("hld_1"))]);
    wait_until("the usage is charged", || world.entries(ACCOUNT).iter().any(|entry| entry.usage().is_some()));
    // and the charge is given back: a part, too much, the rest, once more
    let charge = world.entries(ACCOUNT).into_iter().find(|entry| entry.usage().is_some()).unwrap();
    let mut wrong = refund("refund of other facts", &charge, None);
    if let Some(Body::Refund(refund)) = &mut wrong.body {
        refund.original.as_mut().unwrap().event_id = "evt_other".to_owned();
    }
    world.commands(
        ACCOUNT,
        &[
            wrong,
            refund("refund a part", &charge, Some(50_000)),
            refund("refund too much", &charge, Some(150_001)),
            refund("refund the rest", &charge, None),
            refund("refund once more", &charge, None),
        ],
    );
    wait_until("the bonus has expired", || {
        world.entries(ACCOUNT).last().is_some_and(|entry| entry.entry_type().unwrap().code() == "bonus_expiry")
    });
    running.stop();

    // then each is answered
    let refused: BTreeMap<String, String> = world.replies().into_iter().filter(|(_, code)| !code.is_empty()).collect();
    let expected = [
        ("fee again", "fee_posted"),
        ("hld_2", "event_budget_exceeded"),
        ("hld_3", "booth_paused"),
        ("hld_4", "no_price"),
        ("refund of other facts", "charge_mismatch"),
        ("refund once more", "nothing_to_refund"),
        ("refund too much", "refund_exceeds_charge"),
        ("void again", "hold_ended"),
    ];
    assert_eq!(refused, expected.map(|(key, code)| (key.to_owned(), code.to_owned())).into());
    // and stands in the ledger once, in order
    assert_eq!(
        told(&world.entries(ACCOUNT)),
        [
            ("account_opened", 0, 0),
            ("purchase", 50_000_000, 0),
            ("plan_fee", -39_000_000, 0),
            ("bonus", 300_000, 0),
            ("event_defined", 0, 0),
            ("booth_set", 0, 0),
            ("credit_limit_set", 0, 0),
            ("hold_placed", 0, 400_000),
            ("hold_placed", 0, 15_400_000),
            ("hold_released", 0, 400_000),
            ("consume", -200_000, 0),
            ("refund", 50_000, 0),
            ("refund", 150_000, 0),
            ("bonus_expiry", -100_000, 0),
        ]
    );
    // and the audit, which shares no code with the meter, agrees
    let report = world.verify();
    assert!(report.is_clean(), "{report}");
}
