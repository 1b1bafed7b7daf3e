//! The example account of `docs/ledger.md`, entry by entry.

use tollbooth_schemas::{
    Money,
    v1::{
        BudgetRule, DefineEvent, HoldOutcome, PostPlanFee, PostPurchase, PurchaseSource, Refund, SetBooth,
        SetCreditLimit, VoidHold, command::Body, place_hold::Size,
    },
};

use crate::{
    bonus::grant,
    harness::{NOW_MS, Partition, accepted, adjustment, event, money, open, posted, rejected, usage_of},
    holds::hold_with,
    refunds::charge_of,
};

const DOC: &str = include_str!("../../../../docs/ledger.md");

/// The account and the lines that the document shows of it.
struct Example {
    partition: Partition,
    lines: Vec<String>,
}

impl Example {
    fn note(&mut self, what: &str) {
        let entry = self.partition.last().clone();
        let text = |micros: i64| Money::from_micros(micros).unwrap().to_string();
        let some = |micros: i64| if micros == 0 { String::new() } else { text(micros) };
        let parts = self.partition.account().parts();
        self.lines.push(format!(
            "| {} | `{}` | {what} | {} | {} | {} | {} | {} + {} |",
            entry.seq,
            entry.entry_type().unwrap().code(),
            text(entry.amount_micros),
            some(entry.from_bonus_micros),
            text(entry.balance_after_micros),
            some(entry.held_after_micros),
            parts.purchased,
            parts.bonus,
        ));
    }

    fn command(&mut self, body: Body, what: &str) {
        accepted(self.partition.command(what, body));
        self.note(what);
    }

    fn hold(&mut self, hold_id: &str, images: i64, what: &str) {
        self.command(hold_with(hold_id, Size::QuantityMicros(images * 1_000_000), |_| {}), what);
    }

    fn report(&mut self, operation: &str, status: &str, attempt: u32, images: &str, hold_id: &str) -> HoldOutcome {
        let report = event(operation, |event| {
            event["data"]["status"] = status.into();
            event["data"]["attempt"] = attempt.into();
            event["data"]["quantity"] = images.into();
            event["data"]["hold_id"] = hold_id.into();
        });
        usage_of(&posted(self.partition.usage(&report))).hold_outcome()
    }

    fn refund(&mut self, seq: usize, amount: Option<&str>, what: &str) {
        let original = Some(charge_of(&self.partition.ledger[seq - 1].entries[0]));
        let amount_micros = amount.map(|amount| money(amount).micros());
        let seq = seq as u64;
        self.command(Body::Refund(Refund { seq, amount_micros, original, ..Refund::default() }), what);
    }
}

fn gala() -> Body {
    Body::DefineEvent(DefineEvent {
        event_id: "evt_gala".to_owned(),
        name: "Gala".to_owned(),
        starts_at_ms: NOW_MS,
        ends_at_ms: NOW_MS + 36_000_000,
        time_zone: "America/New_York".to_owned(),
        budget_micros: Some(1_000_000),
        on_exceeded: BudgetRule::RefuseHolds.into(),
    })
}

fn bought() -> Body {
    Body::PostPurchase(PostPurchase {
        payment_id: "pay_1".to_owned(),
        provider: "sandbox".to_owned(),
        amount_micros: 50_000_000,
        source: PurchaseSource::Manual.into(),
    })
}

#[test]
fn the_example_of_the_document_is_what_happens() {
    let mut example = Example { partition: Partition::empty(), lines: Vec::new() };
    example.command(open("basic"), "opened on the plan `basic`");
    example.command(bought(), "payment `pay_1`");
    example.command(Body::PostPlanFee(PostPlanFee { period: "2026-11".to_owned() }), "plan fee of 2026-11");
    example.command(grant("0.90", Some(NOW_MS + 3_600_000)), "a bonus that expires in an hour");
    example.command(gala(), "`evt_gala`, budget 1.00, holds beyond it are refused");
    example.hold("hld_1", 2, "hold `hld_1`: 2 images at 0.20");
    assert_eq!(example.report("op_1", "failed", 1, "2", "hld_1"), HoldOutcome::ReleasedByFailure);
    example.note("`op_1`, attempt 1, failed: free, `hld_1` is released");
    example.hold("hld_2", 4, "hold `hld_2`: 4 images");
    // 0.80 held and 0.40 asked for: beyond the budget.
    let beyond = hold_with("hld_3", Size::QuantityMicros(2_000_000), |_| {});
    let refusal = rejected(example.partition.command("hld_3", beyond));
    assert_eq!((refusal.code.as_str(), refusal.missing_micros), ("event_budget_exceeded", 200_000));
    assert_eq!(example.report("op_1", "success", 2, "3", "hld_2"), HoldOutcome::Captured);
    example.note("`op_1`, attempt 2, 3 images: `hld_2` is captured, the rest of it is free");
    example.hold("hld_4", 1, "hold `hld_4`: 1 image");
    example.partition.now_ms += 600_000;
    assert_eq!(example.partition.tick(), 1);
    example.note("`hld_4` expired");
    assert_eq!(example.report("op_2", "success", 1, "1", "hld_4"), HoldOutcome::EndedBefore);
    example.note("`op_2` comes after all: charged in full, flagged");
    example.refund(9, Some("0.20"), "one of the three images of seq 9");
    example.refund(9, None, "the rest of seq 9; gives its quantity back");
    example.partition.now_ms = NOW_MS + 3_600_000;
    assert_eq!(example.partition.tick(), 1);
    example.note("what was left of the bonus of seq 4");
    example.command(
        Body::SetBooth(SetBooth { booth_id: "bth_17".to_owned(), paused: true, ..SetBooth::default() }),
        "`bth_17` is paused",
    );
    example.command(
        Body::SetCreditLimit(SetCreditLimit { credit_limit_micros: 5_000_000 }),
        "holds may reach 5.00 below zero",
    );
    let elsewhere = |place: &mut tollbooth_schemas::v1::PlaceHold| {
        (place.booth_id, place.event_id) = ("bth_18".to_owned(), String::new());
    };
    example.command(
        hold_with("hld_5", Size::AmountMicros(16_000_000), elsewhere),
        "hold `hld_5` of 16.00, at another booth",
    );
    example.command(Body::VoidHold(VoidHold { hold_id: "hld_5".to_owned() }), "`hld_5` is void");
    example.command(adjustment("1.00"), "adjustment, with its reason");
    assert_eq!(example.partition.event("evt_gala").spent_micros, 200_000);
    let wanted = example.lines.join("\n");
    assert!(DOC.contains(&wanted), "docs/ledger.md must show:\n{wanted}");
}
