//! The production core, driven by the same steps.

use tollbooth_ledger::{
    CommandDecision, CommandInput, Key, Limits, Overlay, PriceBooks, Quote, State, Ticks, UsageDecision, UsageInput,
    View as _, apply_command, apply_usage, charge, tick,
};
use tollbooth_schemas::{
    Quantity,
    time::rfc3339,
    usage::{Mode, Status, Text, UsageEvent},
    v1::{self, Command, Entry, LedgerRecord, command, entry::Kind, place_hold, reply},
};

use super::{
    archive::Archive,
    slow::{Outcome, Posted},
    steps::{ACCOUNTS, Body, Place, RENAMED, RechargeSize, Report, Size, Step, Work, alert_note},
};
use crate::{
    harness::{NOW_MS, book, sample_book},
    refunds::{charge_of, counted_of},
};

/// 2026-12-15T00:00:00Z.
pub(crate) const FREE_FROM_MS: i64 = 1_797_292_800_000;

/// 120 days.
pub(crate) const JUMP_MS: i64 = 120 * 86_400_000;

/// Prices of the sequences: 0.20 and 1.60 a piece, fees of 0.39 and 0.79; from the middle of December on the cheaper plan
/// is free.
pub(crate) fn books() -> PriceBooks {
    let mut sample = sample_book();
    sample["plans"][0]["monthly_fee"] = "0.39".into();
    sample["plans"][1]["monthly_fee"] = "0.79".into();
    sample["prices"][0]["plans"]["pro"] = "1.60".into();
    sample["test_factor"] = "0.333333".into();
    for engine in ["graduated", "volume", "packs"] {
        sample["engines"].as_array_mut().unwrap().push(serde_json::json!({"code": engine, "name": engine}));
    }
    let rows = serde_json::json!([
        {"service": "ai_modify", "engine": "graduated", "unit": "image", "model": "graduated", "plans": {},
         "tiers": [{"from": "0", "to": "3", "plans": {"basic": "0.10", "pro": "0.05"}},
                   {"from": "3", "plans": {"basic": "0.040001", "pro": "0.02"}}],
         "included": {"basic": "1.5"}, "minimum": {"pro": "0.06"}},
        {"service": "ai_modify", "engine": "volume", "unit": "image", "model": "volume", "plans": {},
         "tiers": [{"from": "0", "to": "2.5", "plans": {"basic": "0.30", "pro": "0.30"}},
                   {"from": "2.5", "plans": {"basic": "0.10", "pro": "0.09"}}]},
        {"service": "ai_modify", "engine": "packs", "unit": "image", "model": "package", "pack_size": "2",
         "plans": {"basic": "0.25", "pro": "0.20"}}
    ]);
    sample["prices"].as_array_mut().unwrap().extend(rows.as_array().unwrap().clone());
    let mut books = PriceBooks::default();
    assert!(books.publish(book(&sample)));
    publish_dearer(&mut books, &sample);
    sample["version"] = 2.into();
    sample["effective_from"] = rfc3339(FREE_FROM_MS).into();
    sample["plans"][0]["monthly_fee"] = "0".into();
    assert!(books.publish(book(&sample)));
    books
}

/// A book that is never in force: most prices differ, one row is not there, and one counts otherwise.
fn publish_dearer(books: &mut PriceBooks, sample: &serde_json::Value) {
    let mut dearer = sample.clone();
    dearer["version"] = 3.into();
    dearer["effective_from"] = "2099-01-01T00:00:00Z".into();
    dearer.as_object_mut().unwrap().remove("test_factor");
    let rows = dearer["prices"].as_array_mut().unwrap();
    rows.retain(|row| row["engine"] != "packs");
    for row in rows {
        match row["engine"].as_str().unwrap() {
            "nano" => row["plans"] = serde_json::json!({"basic": "0.25", "pro": "1.00"}),
            "graduated" => {
                row.as_object_mut().unwrap().remove("minimum");
                row["tiers"][0]["plans"] = serde_json::json!({"basic": "0.20", "pro": "0.10"});
                row["tiers"][1]["plans"] = serde_json::json!({"basic": "0.080003", "pro": "0.01"});
            }
            "volume" => {
                row.as_object_mut().unwrap().remove("tiers");
                row["model"] = "per_unit".into();
                row["plans"] = serde_json::json!({"basic": "0.30", "pro": "0.30"});
            }
            _ => {}
        }
    }
    assert!(books.publish(book(&dearer)));
}

pub(crate) fn limits() -> Limits {
    Limits::from_days(35, 3_600_000, 90).unwrap()
}

/// What an account's last command was.
#[derive(Debug, Clone)]
struct Last {
    key: String,
    body: Body,
    is_posted: bool,
}

/// Everything but the state.
pub(crate) struct Driver<'a> {
    books: &'a PriceBooks,
    limits: Limits,
    pub(crate) now_ms: i64,
    keys: usize,
    charges: [Vec<Entry>; 2],
    /// What became a dead letter.
    letters: [Vec<v1::RedriveLetter>; 2],
    /// What every recharge was asked for with: id and amount.
    asked: [Vec<(String, i64)>; 2],
    last: [Option<Last>; 2],
    pub(crate) ledger: Vec<LedgerRecord>,
    /// Has what the state's memory let go of.
    pub(crate) archive: Option<Archive>,
}

pub(crate) fn event_id(event: u64) -> String {
    if event == 0 { String::new() } else { format!("evt_{event}") }
}

fn hold_id(hold: u64) -> String {
    if hold == 0 { String::new() } else { format!("hld_{hold}") }
}

fn engine(work: Work) -> &'static str {
    match work {
        Work::PerUnit | Work::Test => "nano",
        Work::Graduated => "graduated",
        Work::Volume => "volume",
        Work::Packs => "packs",
    }
}

fn booth_id(booth: u64) -> String {
    if booth == 0 { String::new() } else { format!("bth_{booth}") }
}

impl<'a> Driver<'a> {
    pub(crate) fn new(books: &'a PriceBooks) -> Self {
        let (charges, asked, last) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], [None, None]);
        Self {
            books,
            limits: limits(),
            now_ms: NOW_MS,
            keys: 0,
            charges,
            letters: [Vec::new(), Vec::new()],
            asked,
            last,
            ledger: Vec::new(),
            archive: None,
        }
    }

    /// Whether a batch must not hold this step together with those before it: a tick ends what the committed state
    /// knows, and a sweep is of the committed state.
    pub(crate) fn starts_a_batch(step: &Step) -> bool {
        matches!(step, Step::Tick | Step::Jump)
    }

    pub(crate) fn step(&mut self, base: &State, overlay: &mut Overlay<'_>, step: Step) -> Vec<(usize, Outcome)> {
        match step {
            Step::Wait { ms } => {
                self.now_ms += ms;
                Vec::new()
            }
            Step::Jump => {
                self.now_ms += JUMP_MS;
                self.last = [None, None];
                let open = (0..2).filter(|account| overlay.account(ACCOUNTS[*account]).is_some()).collect::<Vec<_>>();
                let change = |account: usize, driver: &mut Self, overlay: &mut Overlay<'_>| {
                    let balance = overlay.account(ACCOUNTS[account]).unwrap().balance.micros();
                    let body = Body::Adjust { micros: if balance > 0 { -10_000 } else { 10_000 } };
                    (account, driver.fresh_command(overlay, account, body))
                };
                open.into_iter().map(|account| change(account, self, overlay)).collect()
            }
            Step::Tick => self.tick(base, overlay),
            Step::Usage { account, report } => vec![(account, self.usage(overlay, account, report))],
            Step::Command { account, body } => vec![(account, self.fresh_command(overlay, account, body))],
            Step::Again { account, other_body } => {
                let Some(last) = self.last[account].clone() else { return Vec::new() };
                let hash = if other_body && last.is_posted { "other" } else { "same" };
                vec![(account, self.command(overlay, account, last.key, last.body, hash))]
            }
        }
    }

    fn recall(&self, overlay: &mut Overlay<'_>, keys: impl IntoIterator<Item = Key>) {
        let Some(archive) = &self.archive else { return };
        for key in keys {
            if !overlay.knows(&key)
                && let Some(row) = archive.remembered(&key)
            {
                overlay.recall(key.digest(), row);
            }
        }
    }

    fn post(&mut self, overlay: &mut Overlay<'_>, account_id: &str, entry: Entry) -> Outcome {
        overlay.post(0, account_id, self.now_ms, &entry, None).unwrap();
        let posted = Posted {
            seq: entry.seq,
            kind: entry.entry_type().unwrap().code(),
            amount: entry.amount_micros,
            from_bonus: entry.from_bonus_micros,
            balance: entry.balance_after_micros,
            held: entry.held_after_micros,
            occurred_at_ms: entry.occurred_at_ms,
            note: match entry.kind.as_ref().unwrap() {
                Kind::Usage(usage) => i64::from(usage.hold_outcome),
                Kind::Reversal(reversal) => reversal.quantity_micros,
                Kind::RechargeRequested(requested) => requested.amount_micros,
                Kind::RechargeFailed(failed) => failed.retry_at_ms,
                Kind::AlertRaised(alert) => note_of(alert),
                _ => 0,
            },
        };
        if let Some(Kind::RechargeRequested(requested)) = &entry.kind {
            let account = ACCOUNTS.iter().position(|id| *id == account_id).unwrap();
            self.asked[account].push((requested.recharge_id.clone(), requested.amount_micros));
        }
        let (account_id, posted_at_ms) = (account_id.to_owned(), self.now_ms);
        self.ledger.push(LedgerRecord { account_id, posted_at_ms, input_generation: 0, entries: vec![entry] });
        Outcome::Posted(posted)
    }

    fn tick(&mut self, base: &State, overlay: &mut Overlay<'_>) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::new();
        for due in base.due_until(self.now_ms, usize::MAX, Ticks::All) {
            if let Some(entry) = tick(overlay, self.books, &due, self.now_ms) {
                let account = ACCOUNTS.iter().position(|id| *id == due.account_id()).unwrap();
                outcomes.push((account, self.post(overlay, due.account_id(), entry)));
            }
        }
        outcomes
    }

    fn usage(&mut self, overlay: &mut Overlay<'_>, account: usize, report: Report) -> Outcome {
        let named = |text: String| (!text.is_empty()).then(|| Text::from(text));
        let letter = letter(account, report, self.now_ms);
        let event = UsageEvent {
            id: "id".into(),
            source: "/booths".into(),
            account_id: ACCOUNTS[account].into(),
            occurred_at_ms: self.now_ms - report.late_ms,
            operation_id: format!("op_{}", report.operation).into(),
            attempt: report.attempt,
            event_id: named(event_id(report.event)),
            booth_id: named(booth_id(report.booth)),
            service: "ai_modify".into(),
            engine: engine(report.work).into(),
            variant: "".into(),
            country: "".into(),
            unit: "image".into(),
            quantity: Quantity::from_micros(report.quantity).unwrap(),
            status: if report.success { Status::Success } else { Status::Failed },
            mode: if report.work == Work::Test { Mode::Test } else { Mode::Live },
            hold_id: named(hold_id(report.hold)),
            provider_cost: None,
            error_code: "".into(),
            captured_at_ms: None,
        };
        let input = UsageInput::new(event, 1, self.now_ms);
        self.recall(overlay, input.looks_up());
        match apply_usage(overlay, self.books, &self.limits, input, self.now_ms) {
            UsageDecision::Post(entry) => {
                if !entry.is_failed() {
                    self.charges[account].push((*entry).clone());
                }
                self.post(overlay, ACCOUNTS[account], *entry)
            }
            UsageDecision::Duplicate => Outcome::Duplicate,
            UsageDecision::Stale => Outcome::Stale,
            UsageDecision::Dead(dead) => {
                self.letters[account].push(letter);
                Outcome::Dead(dead.reason.code())
            }
        }
    }

    fn fresh_command(&mut self, overlay: &mut Overlay<'_>, account: usize, body: Body) -> Outcome {
        self.keys += 1;
        let key = match body {
            // A letter is driven again under one key, however often.
            Body::Redrive { letter } => format!("redrive {letter}"),
            _ => format!("k{}", self.keys),
        };
        self.command(overlay, account, key, body, "same")
    }

    fn command(&mut self, overlay: &mut Overlay<'_>, account: usize, key: String, body: Body, hash: &str) -> Outcome {
        let command = Command {
            account_id: ACCOUNTS[account].to_owned(),
            idempotency_key: key.clone(),
            body_hash: hash.as_bytes().to_vec(),
            body: Some(self.body(account, body)),
            ..Command::default()
        };
        let input = CommandInput { command: &command, offset: 1 };
        self.recall(overlay, input.looks_up());
        let was_posted = self.last[account].as_ref().is_some_and(|last| last.key == key && last.is_posted);
        let decision = apply_command(overlay, self.books, &self.limits, input, self.now_ms);
        let is_accepted = match &decision {
            CommandDecision::Post(..) | CommandDecision::PostTwo(..) => true,
            CommandDecision::Answer(answer) => matches!(answer.outcome, Some(reply::Outcome::Accepted(_))),
        };
        let is_posted = was_posted || is_accepted;
        self.last[account] = Some(Last { key, body, is_posted });
        match decision {
            CommandDecision::Post(entry, answer) => {
                let Some(reply::Outcome::Accepted(accepted)) = answer.outcome else { panic!("posted, not accepted") };
                assert_eq!(
                    (accepted.seq, accepted.amount_micros, accepted.balance_micros, accepted.held_micros),
                    (entry.seq, entry.amount_micros, entry.balance_after_micros, entry.held_after_micros)
                );
                if entry.usage().is_some() && !entry.is_failed() {
                    self.charges[account].push((*entry).clone());
                }
                self.post(overlay, ACCOUNTS[account], *entry)
            }
            CommandDecision::PostTwo(entries, answer) => {
                let Some(reply::Outcome::Accepted(accepted)) = answer.outcome else { panic!("posted, not accepted") };
                let [back, again] = *entries;
                assert_eq!(
                    (accepted.seq, accepted.amount_micros, accepted.balance_micros),
                    (again.seq, again.amount_micros, again.balance_after_micros)
                );
                let note = back.amount_micros;
                self.charges[account].push(again.clone());
                let Outcome::Posted(first) = self.post(overlay, ACCOUNTS[account], back) else { unreachable!() };
                assert_eq!((first.kind, first.from_bonus), ("reversal", 0));
                let Outcome::Posted(second) = self.post(overlay, ACCOUNTS[account], again) else { unreachable!() };
                Outcome::Posted(Posted { note, ..second })
            }
            CommandDecision::Answer(answer) => match answer.outcome.unwrap() {
                reply::Outcome::Accepted(accepted) => {
                    assert!(accepted.replayed);
                    Outcome::Replayed { seq: accepted.seq }
                }
                reply::Outcome::Rejected(why) => {
                    Outcome::Refused(why.status, known_code(&why.code), why.missing_micros)
                }
            },
        }
    }

    fn body(&self, account: usize, body: Body) -> command::Body {
        let empty = String::new;
        match body {
            Body::Open => crate::harness::open("basic"),
            Body::Adjust { micros } => command::Body::PostAdjustment(v1::PostAdjustment {
                amount_micros: micros,
                ..v1::PostAdjustment::default()
            }),
            Body::ChangePlan { pro } => command::Body::ChangePlan(v1::ChangePlan {
                plan: if pro { "pro" } else { "basic" }.to_owned(),
                effective_at_ms: None,
            }),
            Body::Profile { named, place } => command::Body::SetProfile(v1::SetProfile {
                name: named.then(|| RENAMED.to_owned()),
                time_zone: place.map(|place| match place {
                    Place::In(zone) => zone.name().to_owned(),
                    Place::Nowhere => "EST".to_owned(),
                }),
            }),
            Body::Hold { hold, size, timeout_ms, event, booth, work } => command::Body::PlaceHold(v1::PlaceHold {
                hold_id: hold_id(hold),
                service: "ai_modify".to_owned(),
                engine: engine(work).to_owned(),
                variant: empty(),
                country: empty(),
                unit: "image".to_owned(),
                size: Some(match size {
                    Size::Quantity(quantity) => place_hold::Size::QuantityMicros(quantity),
                    Size::Amount(micros) => place_hold::Size::AmountMicros(micros),
                }),
                timeout_ms,
                event_id: event_id(event),
                booth_id: booth_id(booth),
            }),
            Body::Void { hold } => command::Body::VoidHold(v1::VoidHold { hold_id: hold_id(hold) }),
            Body::Limit { micros } => command::Body::SetCreditLimit(v1::SetCreditLimit { credit_limit_micros: micros }),
            Body::Refund { pick, micros, wrong } => command::Body::Refund(self.refund(account, pick, micros, wrong)),
            Body::Bonus { micros, expires_in_ms } => command::Body::GrantBonus(v1::GrantBonus {
                amount_micros: micros,
                expires_at_ms: expires_in_ms.map(|ms| self.now_ms + ms),
                ..v1::GrantBonus::default()
            }),
            Body::Purchase { micros } => command::Body::PostPurchase(v1::PostPurchase {
                payment_id: "pay_1".to_owned(),
                provider: "sandbox".to_owned(),
                amount_micros: micros,
                source: v1::PurchaseSource::Manual.into(),
            }),
            Body::Fee { month } => command::Body::PostPlanFee(v1::PostPlanFee { period: format!("2026-{month:02}") }),
            Body::Recharge { threshold, size, most, daily_cap, monthly_cap } => {
                command::Body::SetRecharge(v1::SetRecharge {
                    enabled: size.is_some(),
                    threshold_micros: threshold,
                    size: size.map(|size| match size {
                        RechargeSize::Fixed(micros) => v1::set_recharge::Size::AmountMicros(micros),
                        RechargeSize::UpTo(micros) => v1::set_recharge::Size::TargetMicros(micros),
                    }),
                    daily_cap_micros: daily_cap,
                    monthly_cap_micros: monthly_cap,
                    amount_max_micros: most,
                })
            }
            Body::Recharged { back, paid } => {
                let asked = self.asked[account].iter().rev().nth(back).cloned();
                let (recharge_id, amount_micros) = asked.unwrap_or(("rch_none".to_owned(), 1_000_000));
                if paid {
                    command::Body::PostPurchase(v1::PostPurchase {
                        payment_id: recharge_id,
                        provider: "sandbox".to_owned(),
                        amount_micros,
                        source: v1::PurchaseSource::AutoRecharge.into(),
                    })
                } else {
                    command::Body::FailRecharge(v1::FailRecharge { recharge_id, reason: "card_declined".to_owned() })
                }
            }
            Body::Event { event, budget, refuses } => command::Body::DefineEvent(v1::DefineEvent {
                event_id: event_id(event),
                ends_at_ms: 1,
                budget_micros: budget,
                on_exceeded: if refuses { v1::BudgetRule::RefuseHolds } else { v1::BudgetRule::Warn }.into(),
                ..v1::DefineEvent::default()
            }),
            Body::Alerts { rules } => command::Body::SetAlerts(v1::SetAlerts {
                alerts: Some(v1::AlertsSet {
                    balance_below_micros: rules.below.to_vec(),
                    below_top_up_percents: rules.top_up.to_vec(),
                    event_budget_percents: rules.budget.to_vec(),
                    recharge_failed: rules.recharge,
                    empty_in_hours: rules.hours,
                    booth_spike: rules.spike.map(|(times, at_least_micros)| v1::BoothSpike { times, at_least_micros }),
                }),
            }),
            // One that is not there is no event.
            Body::Redrive { letter } => {
                command::Body::RedriveLetter(self.letters[account].get(letter).cloned().unwrap_or_default())
            }
            Body::Reprice { pick, book, wrong } => command::Body::Reprice(self.reprice(account, pick, book, wrong)),
            Body::Booth { booth, paused } => {
                command::Body::SetBooth(v1::SetBooth { booth_id: booth_id(booth), name: empty(), paused })
            }
        }
    }

    /// As whoever previewed it would ask: with what the charge comes to by the book.
    fn reprice(&self, account: usize, pick: usize, book: u32, wrong: bool) -> v1::Reprice {
        let Some(entry) = self.charges[account].get(pick) else { return v1::Reprice::default() };
        let usage = entry.charge().unwrap();
        let counted = counted_of(entry);
        let before = counted.as_ref().map_or(0, |counted| counted.before_micros);
        let quote = Quote {
            service: &usage.service,
            engine: &usage.engine,
            variant: "",
            country: "",
            unit: "image",
            plan: &usage.plan,
            currency: "USD",
            at_ms: entry.occurred_at_ms,
            test_mode: usage.test_mode,
        };
        let [quantity, before] = [usage.quantity_micros, before].map(|micros| Quantity::from_micros(micros).unwrap());
        let rate = self.books.rate_by(book, &quote).ok();
        let amount = rate.and_then(|rate| charge(&rate, quantity, before)).map_or(0, |anew| anew.amount.micros());
        v1::Reprice {
            repricing_id: "rpr_1".to_owned(),
            seq: entry.seq,
            original: Some(charge_of(entry)),
            counted,
            price_version: book,
            amount_micros: amount + i64::from(wrong),
            undo: book != 3,
        }
    }

    fn refund(&self, account: usize, pick: usize, micros: Option<i64>, wrong: bool) -> v1::Refund {
        let charge = self.charges[account].get(pick);
        let original = charge.map(|entry| {
            let mut original = charge_of(entry);
            original.quantity_micros += i64::from(wrong);
            original
        });
        let seq = charge.map_or(1, |entry| entry.seq);
        let counted = charge.and_then(counted_of);
        v1::Refund { seq, amount_micros: micros, original, counted, ..v1::Refund::default() }
    }
}

/// The report as a record of `usage`, received now.
fn letter(account: usize, report: Report, now_ms: i64) -> v1::RedriveLetter {
    let event = serde_json::json!({
        "specversion": "1.0", "id": "id", "source": "/booths", "type": "tollbooth.usage.v1",
        "subject": ACCOUNTS[account], "time": rfc3339(now_ms - report.late_ms),
        "data": {
            "operation_id": format!("op_{}", report.operation), "attempt": report.attempt,
            "event_id": (report.event > 0).then(|| event_id(report.event)), "service": "ai_modify",
            "booth_id": (report.booth > 0).then(|| booth_id(report.booth)),
            "engine": engine(report.work), "unit": "image",
            "quantity": Quantity::from_micros(report.quantity).unwrap().to_string(),
            "status": if report.success { "success" } else { "failed" },
            "mode": if report.work == Work::Test { "test" } else { "live" },
            "hold_id": (report.hold > 0).then(|| hold_id(report.hold)),
        }
    });
    let headers =
        vec![v1::LetterHeader { name: "content-type".to_owned(), value: b"application/cloudevents+json".into() }];
    v1::RedriveLetter { source: None, received_at_ms: now_ms, payload: event.to_string().into_bytes(), headers }
}

fn note_of(alert: &v1::AlertRaised) -> i64 {
    let event = (1..3).find(|event| event_id(*event) == alert.event_id).unwrap_or_default();
    let booth = (1..3).find(|booth| booth_id(*booth) == alert.booth_id).unwrap_or_default();
    let counts = [alert.number, alert.crossed_seq, event, booth].map(|count| i64::try_from(count).unwrap());
    let amounts = [alert.threshold_micros, alert.spent_micros, alert.usual_micros];
    let said = [
        alert.crossed_at_ms,
        alert.balance_micros,
        alert.percent.into(),
        alert.hours.into(),
        alert.hour_at_ms,
        alert.times.into(),
    ];
    alert_note(alert.kind.into(), counts.into_iter().chain(amounts).chain(said))
}

/// The code as a constant, so that outcomes compare and are counted; an unexpected one is none of them.
fn known_code(code: &str) -> &'static str {
    super::CODES.iter().find(|known| **known == code).copied().unwrap_or("unexpected")
}
