//! What a charge costs the core by itself, and what each feature adds to it: no log, no threads, one state in memory.
//!
//! A round is what a worker does with a backlog, without Kafka: parse, decide on an overlay, post, encode, merge. Features
//! take turns within a round, so that all of them meet the machine on the same day.

use std::time::Instant;

use anyhow::{Context as _, bail};
use prost::Message as _;
use tollbooth_ledger::{
    CommandDecision, CommandInput, Limits, Overlay, PriceBooks, State, UsageDecision, UsageInput, apply_command,
    apply_usage,
};
use tollbooth_schemas::{
    price_book::PriceBook,
    usage::parse_structured,
    v1::{
        AlertsSet, BoothSpike, Command, DefineEvent, Entry, GrantBonus, OpenAccount, PlaceHold, PostAdjustment,
        SetAlerts, SetRecharge, command::Body, place_hold, set_recharge,
    },
};

use crate::{feed, report::Report};

const ACCOUNTS: usize = 10_000;
const CHARGES: usize = 200_000;
/// Records of a large transaction.
const BATCH: usize = 10_000;
const EVENTS: u64 = 6;
const DOLLAR: i64 = 1_000_000;
/// 2026-11-21T20:15:03Z: the same charges in every run.
const NOW_MS: i64 = 1_795_292_103_000;
const DAY_MS: i64 = 86_400_000;

/// What an account has beside its balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feature {
    Plain,
    Budget,
    Bonus,
    Recharge,
    BalanceAlerts,
    EmptySoon,
    BoothSpike,
    Tiers,
    Hold,
    Duplicate,
}

const FEATURES: [(Feature, &str, &str); 10] = [
    (Feature::Plain, "core_charge", "a charge that names a booth and a party"),
    (Feature::Budget, "core_budget", "the same, of a party with a budget and an alert on it"),
    (Feature::Bonus, "core_bonus", "the same, paid from a bonus"),
    (Feature::Recharge, "core_recharge", "the same, with a recharge rule"),
    (Feature::BalanceAlerts, "core_balance_alerts", "the same, with two alerts on the balance"),
    (Feature::EmptySoon, "core_empty_soon", "the same, with an alert on how long the balance lasts"),
    (Feature::BoothSpike, "core_booth_spike", "the same, with an alert on each booth's hour"),
    (Feature::Tiers, "core_tiers", "the same, priced by tiers of the month"),
    (Feature::Hold, "core_hold", "the same, capturing a hold"),
    (Feature::Duplicate, "core_duplicate", "a record whose operation was charged"),
];

/// What a round measured.
struct Round {
    nanos_per_charge: f64,
    allocations_per_charge: f64,
}

/// Measures each feature `rounds` times.
pub(crate) fn run(report: &mut Report, rounds: u32) -> anyhow::Result<()> {
    let texts = texts();
    let mut nanos: Vec<Vec<f64>> = FEATURES.iter().map(|_| Vec::new()).collect();
    let mut allocations = vec![0.0; FEATURES.len()];
    let mut parse = Vec::new();
    for _ in 0..rounds {
        parse.push(parsed(&texts)?);
        for (index, (feature, ..)) in FEATURES.iter().enumerate() {
            let round = round(*feature, &texts)?;
            nanos[index].push(round.nanos_per_charge);
            allocations[index] = round.allocations_per_charge;
        }
    }
    let about = format!("one thread, {CHARGES} charges of {ACCOUNTS} accounts, {BATCH} a batch");
    report.add("core_parse", "ns", &parse, format!("the part of core_charge that reads JSON; {about}"));
    for (((_, id, what), nanos), allocations) in FEATURES.iter().zip(&nanos).zip(&allocations) {
        report.add(
            id,
            "ns",
            nanos,
            format!("{what}: parsed, decided, posted, encoded, merged; {about}; {allocations:.1} allocations each"),
        );
    }
    report.add("core_charge_allocations", "", &[allocations[0]], format!("allocations of core_charge; {about}"));
    Ok(())
}

fn account_of(number: usize) -> usize {
    number.wrapping_mul(7919) % ACCOUNTS
}

fn texts() -> Vec<String> {
    let write = |number| {
        let mut text = String::new();
        feed::usage_event(&mut text, &feed::account_id(account_of(number)), 0, number, NOW_MS - 60_000);
        text
    };
    (0..CHARGES).map(write).collect()
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
fn per_charge(value: u128) -> f64 {
    value as f64 / CHARGES as f64
}

fn parsed(texts: &[String]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for text in texts {
        let event = parse_structured(text.as_bytes()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        std::hint::black_box(event);
    }
    Ok(per_charge(begun.elapsed().as_nanos()))
}

fn round(feature: Feature, texts: &[String]) -> anyhow::Result<Round> {
    let mut partition = Partition::new(feature)?;
    for index in 0..ACCOUNTS {
        partition.set_up(feature, index)?;
    }
    let holds = feature == Feature::Hold;
    let captured: Vec<String> = if holds { texts.iter().enumerate().map(with_hold).collect() } else { Vec::new() };
    let texts = if holds { &captured } else { texts };
    for (number, text) in texts.iter().enumerate().filter(|_| holds) {
        partition.place_hold(number, text)?;
    }
    if feature == Feature::Duplicate {
        partition.usage(texts, true)?;
    }
    let (mut outcome, mut elapsed) = (Ok(()), 0);
    let counted = allocation_counter::measure(|| {
        let begun = Instant::now();
        outcome = partition.usage(texts, feature != Feature::Duplicate);
        elapsed = begun.elapsed().as_nanos();
    });
    outcome?;
    Ok(Round { nanos_per_charge: per_charge(elapsed), allocations_per_charge: per_charge(counted.count_total.into()) })
}

fn hold_id(number: usize) -> String {
    format!("hld_{number}")
}

fn with_hold((number, text): (usize, &String)) -> String {
    let open = text.strip_suffix("}}").unwrap_or(text);
    format!(r#"{open},"hold_id":"{}"}}}}"#, hold_id(number))
}

/// A partition without a log.
struct Partition {
    state: State,
    books: PriceBooks,
    limits: Limits,
    offset: i64,
    bytes: Vec<u8>,
}

impl Partition {
    fn new(feature: Feature) -> anyhow::Result<Self> {
        let mut book = serde_json::to_value(feed::price_book()?)?;
        if feature == Feature::Tiers {
            tier(&mut book);
        }
        let book: PriceBook = serde_json::from_value(book)?;
        if let Some(problem) = book.check().first() {
            bail!("the price book: {problem:?}");
        }
        let mut books = PriceBooks::default();
        books.publish(book);
        let limits = Limits::from_days(35, 3_600_000, 90).context("limits")?;
        Ok(Self { state: State::new(&limits), books, limits, offset: 0, bytes: Vec::new() })
    }

    fn set_up(&mut self, feature: Feature, index: usize) -> anyhow::Result<()> {
        let open = OpenAccount {
            name: "Bench".to_owned(),
            plan: "basic".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "America/New_York".to_owned(),
            occurred_at_ms: Some(NOW_MS - DAY_MS),
        };
        let credit = PostAdjustment {
            amount_micros: 1_000_000 * DOLLAR,
            reason: "import".to_owned(),
            ..PostAdjustment::default()
        };
        let bodies = [Body::OpenAccount(open), Body::PostAdjustment(credit)];
        for (step, body) in bodies.into_iter().chain(feature.commands(index)).enumerate() {
            self.command(index, &format!("step-{step}"), body)?;
        }
        Ok(())
    }

    fn place_hold(&mut self, number: usize, text: &str) -> anyhow::Result<()> {
        let event = parse_structured(text.as_bytes()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let body = Body::PlaceHold(PlaceHold {
            hold_id: hold_id(number),
            service: event.service.0.to_string(),
            engine: event.engine.0.to_string(),
            unit: event.unit.0.to_string(),
            timeout_ms: 3_600_000,
            size: Some(place_hold::Size::AmountMicros(DOLLAR)),
            ..PlaceHold::default()
        });
        self.command(account_of(number), &hold_id(number), body)
    }

    fn command(&mut self, index: usize, key: &str, body: Body) -> anyhow::Result<()> {
        self.offset += 1;
        let command = Command {
            account_id: feed::account_id(index),
            idempotency_key: key.to_owned(),
            body_hash: key.as_bytes().to_vec(),
            actor: "key_bench".to_owned(),
            body: Some(body),
            ..Command::default()
        };
        let input = CommandInput { command: &command, offset: self.offset };
        let entries: Vec<Entry> = match apply_command(&self.state, &self.books, &self.limits, input, NOW_MS) {
            CommandDecision::Post(entry, _) => vec![*entry],
            CommandDecision::PostTwo(entries, _) => (*entries).into(),
            CommandDecision::Answer(reply) => bail!("a command is refused: {reply:?}"),
        };
        let mut overlay = Overlay::new(&self.state);
        for entry in &entries {
            overlay.post(0, &command.account_id, NOW_MS, entry, None)?;
        }
        let delta = overlay.into_delta();
        self.state.merge(delta);
        Ok(())
    }

    /// Takes all of it; `posts`: each record is to be a charge, otherwise none.
    fn usage(&mut self, texts: &[String], posts: bool) -> anyhow::Result<()> {
        for batch in texts.chunks(BATCH) {
            let mut overlay = Overlay::new(&self.state);
            self.bytes.clear();
            for text in batch {
                self.offset += 1;
                let event = parse_structured(text.as_bytes()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
                let account_id = event.account_id.clone();
                let input = UsageInput::new(event, self.offset, NOW_MS);
                let operation = input.operation();
                match apply_usage(&overlay, &self.books, &self.limits, input, NOW_MS) {
                    UsageDecision::Post(entry) if posts => {
                        overlay.post(0, &account_id, NOW_MS, &entry, Some(operation))?;
                        entry.encode_length_delimited(&mut self.bytes)?;
                    }
                    UsageDecision::Duplicate if !posts => {}
                    other => bail!("{text}: {other:?}"),
                }
            }
            let delta = overlay.into_delta();
            self.state.merge(delta);
        }
        Ok(())
    }
}

impl Feature {
    /// What sets it up for an account.
    fn commands(self, index: usize) -> Vec<Body> {
        let alerts = |change: fn(&mut AlertsSet)| {
            let mut alerts = AlertsSet::default();
            change(&mut alerts);
            Body::SetAlerts(SetAlerts { alerts: Some(alerts) })
        };
        match self {
            Self::Plain | Self::Tiers | Self::Hold | Self::Duplicate => Vec::new(),
            Self::Budget => {
                let budgets = (0..EVENTS).map(|event| {
                    Body::DefineEvent(DefineEvent {
                        event_id: format!("evt_{index:05}_{event}"),
                        name: "Gala".to_owned(),
                        starts_at_ms: NOW_MS - DAY_MS,
                        ends_at_ms: NOW_MS + DAY_MS,
                        time_zone: "America/New_York".to_owned(),
                        budget_micros: Some(100_000 * DOLLAR),
                        ..DefineEvent::default()
                    })
                });
                budgets.chain([alerts(|alerts| alerts.event_budget_percents = vec![80, 100])]).collect()
            }
            Self::Bonus => vec![Body::GrantBonus(GrantBonus {
                amount_micros: 100_000 * DOLLAR,
                expires_at_ms: Some(NOW_MS + 30 * DAY_MS),
                reason: "welcome".to_owned(),
                ..GrantBonus::default()
            })],
            Self::Recharge => vec![Body::SetRecharge(SetRecharge {
                enabled: true,
                threshold_micros: 10 * DOLLAR,
                size: Some(set_recharge::Size::AmountMicros(100 * DOLLAR)),
                ..SetRecharge::default()
            })],
            Self::BalanceAlerts => {
                vec![alerts(|alerts| alerts.balance_below_micros = vec![10 * DOLLAR, 50 * DOLLAR])]
            }
            Self::EmptySoon => vec![alerts(|alerts| alerts.empty_in_hours = Some(24))],
            Self::BoothSpike => {
                vec![alerts(|alerts| {
                    alerts.booth_spike = Some(BoothSpike { times: 5, at_least_micros: 1_000 * DOLLAR });
                })]
            }
        }
    }
}

/// The same prices, as the first of two tiers of a month's work.
fn tier(book: &mut serde_json::Value) {
    for price in book["prices"].as_array_mut().into_iter().flatten() {
        let plans = std::mem::replace(&mut price["plans"], serde_json::json!({}));
        price["model"] = "graduated".into();
        price["tiers"] =
            serde_json::json!([{"from": "0", "to": "1000000", "plans": plans}, {"from": "1000000", "plans": plans}]);
    }
}
