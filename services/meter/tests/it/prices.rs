//! What the core posts, the audit prices alike: two programs that share no line of it.

use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_ledger::{
    CommandDecision, CommandInput, Limits, Overlay, PriceBooks, State, UsageDecision, UsageInput, apply_command,
    apply_usage,
};
use tollbooth_meter::verify::{Audit, AuditOptions, Checked, Defect, LogRecord};
use tollbooth_schemas::{
    price_book::PriceBook,
    time::{DAY_MS, rfc3339},
    usage::parse_structured,
    v1::{
        ChangePlan, Charge, Command, Entry, LedgerRecord, OpenAccount, PlaceHold, Refund, SetProfile, command::Body,
        entry::Kind, place_hold::Size,
    },
};

const ACCOUNT: &str = "acc_luna";
const PARTITIONS: i32 = 4;
/// 2026-11-21T20:00Z.
const NOON: i64 = 1_795_291_200_000;

fn book() -> String {
    let row = |engine: &str, model: &str| json!({"service": "ai", "engine": engine, "unit": "image", "model": model, "plans": {}});
    let with = |mut row: serde_json::Value, members: serde_json::Value| {
        row.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        row
    };
    let plans = || json!({"basic": "0.123457", "pro": "0.1"});
    let tiers = json!([{"from": "0", "to": "3", "plans": {"basic": "0.100001", "pro": "0"}},
                       {"from": "3", "to": "7.5", "plans": {"basic": "0.000003", "pro": "0.3"}},
                       {"from": "7.5", "plans": {"basic": "0.05", "pro": "0.01"}}]);
    let prices = [
        with(row("per_unit", "per_unit"), json!({"plans": plans()})),
        with(row("included", "per_unit"), json!({"plans": plans(), "included": {"basic": "2.5"}})),
        with(row("flat", "flat"), json!({"plans": plans(), "included": {"pro": "1"}, "minimum": {"basic": "0.2"}})),
        with(row("package", "package"), json!({"plans": plans(), "pack_size": "1.5", "included": {"pro": "4"}})),
        with(row("graduated", "graduated"), json!({"tiers": tiers, "minimum": {"pro": "0.02"}})),
        with(row("volume", "volume"), json!({"tiers": tiers, "included": {"basic": "1"}})),
        with(row("volume", "graduated"), json!({"variant": "4k", "tiers": tiers})),
    ];
    let names = ["per_unit", "included", "flat", "package", "graduated", "volume"];
    let engines = names.map(|code| json!({"code": code, "name": code}));
    json!({
        "version": 1, "currency": "USD", "effective_from": "2025-01-01T00:00:00Z", "test_factor": "0.333333",
        "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}, {"code": "pro", "name": "Pro", "monthly_fee": "0"}],
        "services": [{"code": "ai", "name": "AI"}], "engines": engines, "prices": prices
    })
    .to_string()
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Usage { engine: usize, quantity: i64, days_ago: i64, is_test: bool, is_4k: bool },
    Hold { engine: usize, quantity: i64 },
    Refund { pick: usize, whole: bool },
    Plan { is_pro: bool },
    Zone { place: usize },
    Days { days: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let quantity = prop_oneof![1_i64..10_000_000, Just(1_000_000_i64), Just(1_500_000), 1_i64..1_000_000_000_000_000];
    let usage = (0_usize..6, quantity.clone(), 0_i64..34, any::<bool>(), any::<bool>());
    let usage = usage.prop_map(|(engine, quantity, days_ago, is_test, is_4k)| Step::Usage {
        engine,
        quantity,
        days_ago: if days_ago < 20 { 0 } else { days_ago },
        is_test,
        is_4k,
    });
    prop_oneof![
        12 => usage,
        2 => (0_usize..6, quantity).prop_map(|(engine, quantity)| Step::Hold { engine, quantity }),
        3 => (0_usize..8, any::<bool>()).prop_map(|(pick, whole)| Step::Refund { pick, whole }),
        1 => any::<bool>().prop_map(|is_pro| Step::Plan { is_pro }),
        1 => (0_usize..3).prop_map(|place| Step::Zone { place }),
        1 => prop_oneof![Just(1_i64), Just(20), Just(91), Just(99), Just(106), Just(130)].prop_map(|days| Step::Days { days }),
    ]
}

/// At the hour of the steps the month ends a day earlier in Tokyo.
const ZONES: [&str; 3] = ["America/New_York", "Asia/Tokyo", "Pacific/Honolulu"];
const ENGINES: [&str; 6] = ["per_unit", "included", "flat", "package", "graduated", "volume"];

struct Meter {
    state: State,
    books: PriceBooks,
    limits: Limits,
    now_ms: i64,
    offset: i64,
    charges: Vec<Entry>,
    ledger: Vec<LedgerRecord>,
}

impl Meter {
    fn new() -> Self {
        let mut books = PriceBooks::default();
        let book: PriceBook = serde_json::from_str(&book()).unwrap();
        assert_eq!(book.check(), []);
        books.publish(book);
        let limits = Limits::from_days(35, 3_600_000, 90).unwrap();
        let state = State::new(&limits);
        let mut meter = Self { state, books, limits, now_ms: NOON, offset: 0, charges: Vec::new(), ledger: Vec::new() };
        meter.command(Body::OpenAccount(OpenAccount {
            name: "Luna".into(),
            plan: "basic".into(),
            currency: "USD".into(),
            time_zone: "America/New_York".into(),
            occurred_at_ms: None,
        }));
        meter.command(Body::SetCreditLimit(tollbooth_schemas::v1::SetCreditLimit {
            credit_limit_micros: 900_000_000_000_000_000,
        }));
        meter
    }

    fn post(&mut self, entry: Entry) {
        let mut overlay = Overlay::new(&self.state);
        overlay.post(0, ACCOUNT, self.now_ms, &entry, None).unwrap();
        let delta = overlay.into_delta();
        self.state.merge(delta);
        self.state.drop_expired();
        let (account_id, posted_at_ms) = (ACCOUNT.to_owned(), self.now_ms);
        self.ledger.push(LedgerRecord { account_id, posted_at_ms, input_generation: 0, entries: vec![entry] });
    }

    fn command(&mut self, body: Body) {
        self.offset += 1;
        let command = Command {
            account_id: ACCOUNT.into(),
            idempotency_key: format!("k{}", self.offset),
            body_hash: vec![7; 16],
            body: Some(body),
            ..Command::default()
        };
        let input = CommandInput { command: &command, offset: self.offset };
        match apply_command(&self.state, &self.books, &self.limits, input, self.now_ms) {
            CommandDecision::Post(entry, _) => self.post(*entry),
            CommandDecision::PostTwo(entries, _) => entries.into_iter().for_each(|entry| self.post(entry)),
            CommandDecision::Answer(_) => {}
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Usage { engine, quantity, days_ago, is_test, is_4k } => {
                self.offset += 1;
                let quantity = tollbooth_schemas::Quantity::from_micros(quantity).unwrap();
                let event = json!({
                    "specversion": "1.0", "id": "b17-1", "source": "/booths/bth_17", "type": "tollbooth.usage.v1",
                    "subject": ACCOUNT, "time": rfc3339(self.now_ms - days_ago * DAY_MS),
                    "data": {"operation_id": format!("op_{}", self.offset), "service": "ai", "engine": ENGINES[engine],
                             "unit": "image", "quantity": quantity, "status": "success",
                             "mode": if is_test { "test" } else { "live" }, "variant": if is_4k { "4k" } else { "1k" }}
                })
                .to_string();
                let input = UsageInput::new(parse_structured(event.as_bytes()).unwrap(), self.offset, self.now_ms);
                match apply_usage(&self.state, &self.books, &self.limits, input, self.now_ms) {
                    UsageDecision::Post(entry) => {
                        self.charges.push((*entry).clone());
                        self.post(*entry);
                    }
                    UsageDecision::Dead(dead) => {
                        assert_eq!(dead.reason, tollbooth_schemas::dead_letter::Reason::OutOfRange, "{dead:?}");
                    }
                    other => panic!("{other:?}"),
                }
            }
            Step::Hold { engine, quantity } => self.command(Body::PlaceHold(PlaceHold {
                hold_id: format!("hld_{}", self.offset),
                service: "ai".into(),
                engine: ENGINES[engine].into(),
                unit: "image".into(),
                size: Some(Size::QuantityMicros(quantity)),
                timeout_ms: 60_000,
                ..PlaceHold::default()
            })),
            Step::Refund { pick, whole } => {
                let Some(entry) = self.charges.iter().rev().nth(pick).cloned() else { return };
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
                let amount_micros = if whole { None } else { Some((-entry.amount_micros / 3).max(1)) };
                self.command(Body::Refund(Refund {
                    seq: entry.seq,
                    amount_micros,
                    original: Some(original),
                    counted: entry.charge().and_then(|charge| charge.pricing.as_ref()?.counted.clone()),
                    ..Refund::default()
                }));
            }
            Step::Plan { is_pro } => self.command(Body::ChangePlan(ChangePlan {
                plan: if is_pro { "pro" } else { "basic" }.into(),
                effective_at_ms: None,
            })),
            Step::Zone { place } => {
                let time_zone = Some(ZONES[place].into());
                self.command(Body::SetProfile(SetProfile { name: None, time_zone }));
            }
            Step::Days { days } => self.now_ms += days * DAY_MS,
        }
    }

    /// What the audit finds wrong with prices and refunds, and how many charges it priced.
    fn audited(&self) -> (Vec<(Defect, u64)>, u64, String) {
        let mut audit = Audit::new(AuditOptions {
            partitions: PARTITIONS,
            input_generation: 0,
            age_max_ms: 35 * DAY_MS,
            future_max_ms: 3_600_000,
            retention_ms: 90 * DAY_MS,
            price_book_stale_ms: 300_000,
            examples_max: 5,
        });
        let partition = partition_for(ACCOUNT.as_bytes(), PARTITIONS).unwrap();
        let record = |offset: i64, timestamp_ms: i64, payload: &[u8], take: &mut dyn FnMut(&LogRecord<'_>)| {
            let (key, payload) = (Some(ACCOUNT.as_bytes()), Some(payload));
            take(&LogRecord { partition, offset, timestamp_ms: Some(timestamp_ms), key, payload, headers: &[] });
        };
        record(0, NOON - 400 * DAY_MS, book().as_bytes(), &mut |record| audit.price_book(record));
        for (offset, posted) in (0..).zip(&self.ledger) {
            record(offset, posted.posted_at_ms, &posted.encode_to_vec(), &mut |record| audit.ledger_record(record));
        }
        let report = audit.finish();
        // Holds are never ended here, nor fees posted: only prices and refunds are looked at.
        let found = report.defects().filter(|(defect, _)| [Defect::WrongPrice, Defect::RefundOff].contains(defect));
        (found.collect(), report.count_checked(Checked::Repriced), report.to_string())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    /// Given any sequence of work, holds, refunds, changes of plan and zone, and months, then every price is the audit's own, to the
    /// part, and so is every count.
    #[test]
    fn the_audit_prices_alike(steps in prop::collection::vec(step(), 1..40)) {
        let mut meter = Meter::new();
        steps.into_iter().for_each(|step| meter.step(step));
        let (defects, repriced, report) = meter.audited();
        prop_assert_eq!(defects, vec![], "{}", report);
        prop_assert!(repriced >= meter.charges.len() as u64);
    }
}

fn three_charges() -> Meter {
    let mut meter = Meter::new();
    for quantity in [2_000_000, 4_000_000, 3_000_000] {
        meter.step(Step::Usage { engine: 4, quantity, days_ago: 0, is_test: false, is_4k: false });
    }
    meter.step(Step::Refund { pick: 1, whole: true });
    assert_eq!(meter.audited().0, []);
    meter
}

#[test]
fn a_price_that_does_not_follow_from_the_month_is_found() {
    let damage = |change: &dyn Fn(&mut tollbooth_schemas::v1::Pricing)| {
        let mut meter = three_charges();
        let Some(Kind::Usage(usage)) = &mut meter.ledger[3].entries[0].kind else { panic!("no usage") };
        change(usage.pricing.as_mut().unwrap());
        meter.audited().0
    };
    assert_eq!(damage(&|pricing| pricing.parts[0].quantity_micros += 1), [(Defect::WrongPrice, 1)]);
    assert_eq!(damage(&|pricing| pricing.parts.truncate(1)), [(Defect::WrongPrice, 1)]);
    assert_eq!(damage(&|pricing| pricing.test_factor_micros = Some(1)), [(Defect::WrongPrice, 1)]);
    // The next charge and the refund follow the ledger again, from what it says.
    let found = damage(&|pricing| pricing.counted.as_mut().unwrap().before_micros += 1);
    assert_eq!(found, [(Defect::WrongPrice, 2)]);
    let found = damage(&|pricing| pricing.counted = None);
    assert!(found.contains(&(Defect::RefundOff, 1)), "{found:?}");
}

#[test]
fn a_refund_that_gives_its_quantity_to_another_month_is_found() {
    for change in [|period: &mut String| "2026-10".clone_into(period), |period: &mut String| period.clear()] {
        let mut meter = three_charges();
        let Some(Kind::Reversal(reversal)) = &mut meter.ledger.last_mut().unwrap().entries[0].kind else {
            panic!("no refund")
        };
        change(&mut reversal.counted.as_mut().unwrap().period);
        assert_eq!(meter.audited().0, [(Defect::RefundOff, 1)]);
    }
    let mut meter = three_charges();
    let Some(Kind::Reversal(reversal)) = &mut meter.ledger.last_mut().unwrap().entries[0].kind else {
        panic!("no refund")
    };
    reversal.counted = None;
    assert_eq!(meter.audited().0, [(Defect::RefundOff, 1)]);
}
