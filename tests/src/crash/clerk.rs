//! The clerk: moves money by every command while things are killed, as a careful backend does, and keeps its own books.
//!
//! Whatever has no clear answer is sent again with its key; some of what has one is, too. So the clerk knows to the cent
//! what each of its accounts must have in the end, without asking the ledger.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::repricer::{self, Past};
use crate::api::Answer;
use crate::stack::Stack;
use crate::usage;
use crate::wait::wait_until;

const ACCOUNTS: u64 = 4;
/// Its credit is bought by its own rule.
const AUTOMATIC: &str = "acc_clerk_auto";
const APPROVES: &str = "4242424242424242";
const DECLINES: &str = "4000000000000002";
/// The rhythm of the rounds.
const BETWEEN: Duration = Duration::from_secs(1);
/// For one answer, with an outage of everything in between.
pub(super) const PATIENCE: Duration = Duration::from_secs(200);

/// In cents, as everything here.
const PURCHASE: i64 = 50_00;
const ADJUSTMENT: i64 = 1_01;
/// Of one image on the plan `payg`.
pub(super) const IMAGE: i64 = 24;
const THRESHOLD: i64 = 5_00;
const RECHARGE: i64 = 50_00;
/// So little that the first rounds go below the threshold.
const AUTOMATIC_CREDIT: i64 = 10_00;
/// Of the account whose past is priced anew.
const PAST_CREDIT: i64 = 50_00;
/// Images of one report of the automatic account: several rounds to a recharge, also while nobody carries it out.
const AUTOMATIC_IMAGES: i64 = 15;

/// What was carried out, and how often a command was sent again though it had its answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Moved {
    /// By kind.
    pub done: BTreeMap<&'static str, u64>,
    /// Repeats of carried out commands, all answered as before.
    pub repeated: u64,
    /// Requests of a re-pricing that were not answered for every charge, and gone on with.
    pub interrupted: u64,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.done {
            writeln!(f, "    {kind:<26}{count:>10}")?;
        }
        writeln!(f, "    {:<26}{:>10}", "sent again", self.repeated)?;
        write!(f, "    {:<26}{:>10}", "re-pricing interrupted", self.interrupted)
    }
}

/// A charge that may be given back.
struct Charge {
    account: String,
    operation: String,
}

pub(super) struct Clerk<'s> {
    stack: &'s Stack,
    /// Cents by account.
    books: BTreeMap<String, i64>,
    charges: VecDeque<Charge>,
    past: Past<'s>,
    moved: Moved,
    round: u64,
}

impl<'s> Clerk<'s> {
    /// Opens its accounts.
    pub(super) fn set_up(stack: &'s Stack) -> anyhow::Result<Self> {
        let mut books = BTreeMap::new();
        for number in 0..ACCOUNTS {
            let account = format!("acc_clerk_{number}");
            stack.api.open_account(&account, None)?;
            books.insert(account, 0);
        }
        stack.api.open_account(AUTOMATIC, Some(&amount(AUTOMATIC_CREDIT)))?;
        books.insert(AUTOMATIC.to_owned(), AUTOMATIC_CREDIT);
        // A cap that no run reaches: without one it would be ten recharges a day.
        let (threshold, recharge) = (amount(THRESHOLD), amount(RECHARGE));
        let rule = json!({"enabled": true, "threshold": threshold, "amount": recharge, "daily_cap": "1000000.00"});
        stack.api.put(&format!("/v1/accounts/{AUTOMATIC}/recharge"), "rule", &rule)?.ok()?;
        let past = Past::set_up(stack, PAST_CREDIT)?;
        Ok(Self { stack, books, charges: VecDeque::new(), past, moved: Moved::default(), round: 0 })
    }

    /// Works until `over` says so.
    pub(super) fn work(&mut self, over: impl Fn() -> bool) -> anyhow::Result<()> {
        while !over() {
            let begun = Instant::now();
            self.round += 1;
            self.one_round().with_context(|| format!("the clerk's round {}", self.round))?;
            // Its rhythm, not a wait for something.
            thread::sleep(BETWEEN.saturating_sub(begun.elapsed()));
        }
        Ok(())
    }

    fn one_round(&mut self) -> anyhow::Result<()> {
        let round = self.round;
        let account = format!("acc_clerk_{}", round % ACCOUNTS);
        let of = |path: &str| format!("/v1/accounts/{account}/{path}");
        if round.is_multiple_of(5) {
            let body = json!({"amount": amount(PURCHASE), "payment_method": DECLINES});
            let answer = self.send(&of("purchases"), &format!("declined-{round}"), &body)?;
            ensure!(answer.status == 402 && answer.body["code"] == "payment_failed", "a declined card: {answer:?}");
            self.count("purchase declined");
        }
        let body = json!({"amount": amount(PURCHASE), "payment_method": APPROVES});
        self.carry_out(&of("purchases"), &format!("buy-{round}"), &body)?;
        self.post(&account, PURCHASE, "purchase");

        let body = json!({"amount": amount(ADJUSTMENT), "reason": "crash"});
        self.carry_out(&of("adjustments"), &format!("adjust-{round}"), &body)?;
        self.post(&account, ADJUSTMENT, "adjustment");

        let images = json!({"service": "ai_modify", "engine": "nano_banana_2", "variant": "1k", "unit": "image",
                            "quantity": "3", "timeout_s": 3_600, "event_id": "evt_clerk", "booth_id": "bth_17"});
        let placed = self.carry_out(&of("holds"), &format!("hold-{round}"), &images)?;
        self.count("hold placed");
        let hold = placed["hold"]["hold_id"].as_str().context("a hold without its id")?.to_owned();
        if round.is_multiple_of(3) {
            self.carry_out(&of(&format!("holds/{hold}/void")), &format!("void-{round}"), &json!({}))?;
            self.count("hold voided");
        } else {
            let operation = format!("clerk-{round}");
            let data = json!({"hold_id": hold, "quantity": "2"});
            self.report(&usage::with_data(usage::event(&account, &operation), &data))?;
            self.post(&account, -2 * IMAGE, "hold captured");
            self.charges.push_back(Charge { account: account.clone(), operation });
        }
        self.report(&usage::with_data(
            usage::event(AUTOMATIC, &format!("automatic-{round}")),
            &json!({"quantity": AUTOMATIC_IMAGES.to_string()}),
        ))?;
        self.post(AUTOMATIC, -AUTOMATIC_IMAGES * IMAGE, "usage of the rule's account");
        // What cannot be found yet is given back later.
        if let Some(charge) = self.charges.pop_front_if(|charge| charge.operation != format!("clerk-{round}")) {
            match self.entry_of(&charge) {
                Some(entry) => self.give_back(&charge, &entry)?,
                None => self.charges.push_front(charge),
            }
        }
        self.past.step()
    }

    /// When all is up again: gives the rest back, and compares the books with what the query service says.
    pub(super) fn settle(&mut self) -> anyhow::Result<Moved> {
        while let Some(charge) = self.charges.pop_front() {
            let what = format!("the charge of {} to be shown", charge.operation);
            let entry = wait_until(&what, PATIENCE, || self.entry_of(&charge))?;
            self.give_back(&charge, &entry)?;
        }
        self.past.settle()?;
        self.books.insert(repricer::ACCOUNT.to_owned(), self.past.balance());
        let runs = self.past.runs();
        self.moved.done.extend([("re-pricing applied", runs.applied), ("re-pricing taken back", runs.undone)]);
        self.moved.done.insert("charge made anew", runs.charges_anew());
        self.moved.interrupted = runs.interrupted;
        let books = self.books.clone();
        for (account, expected) in books.iter().filter(|(account, _)| *account != AUTOMATIC) {
            self.compare(account, |balance| balance == *expected)
                .with_context(|| format!("{account} must have {}", amount(*expected)))?;
        }
        // Its last recharge was asked for below the threshold, so it is less than one recharge above.
        let balance = self.compare(AUTOMATIC, |balance| (THRESHOLD..THRESHOLD + RECHARGE).contains(&balance))?;
        let bought = balance - books.get(AUTOMATIC).copied().unwrap_or_default();
        ensure!(bought % RECHARGE == 0, "{AUTOMATIC} has {}: that is no number of recharges", amount(balance));
        let sql =
            format!("SELECT count() FROM tollbooth.ledger WHERE account_id = '{AUTOMATIC}' AND type = 'auto_recharge'");
        let count = (bought / RECHARGE).to_string();
        // The balance comes from the ledger, a row a moment later.
        wait_until(&format!("{count} recharges among the rows"), PATIENCE, || {
            self.stack.clickhouse.query(&sql).ok().filter(|posted| posted.trim() == count)
        })?;
        self.moved.done.insert("recharge", u64::try_from(bought / RECHARGE)?);
        Ok(self.moved.clone())
    }

    /// The balance once it is right, with nothing held.
    fn compare(&self, account: &str, right: impl Fn(i64) -> bool) -> anyhow::Result<i64> {
        let mut last = Value::Null;
        let outcome = wait_until(&format!("the balance of {account}"), PATIENCE, || {
            last = self.stack.api.read(&format!("{account}/balance")).ok()?.ok().ok()?;
            let balance = cents(last["balance"]["amount"].as_str()?)?;
            (right(balance) && last["held"]["amount"] == "0.00").then_some(balance)
        });
        outcome.with_context(|| format!("{account} has {last}"))
    }

    /// The entry that charged for it, when query knows it.
    fn entry_of(&self, charge: &Charge) -> Option<String> {
        let entries = self.stack.api.transactions(&charge.account).ok()?;
        let entry = entries.iter().find(|entry| entry["operation_id"] == charge.operation.as_str())?;
        Some(format!("ent_{}_{}", charge.account, entry["seq"]))
    }

    fn give_back(&mut self, charge: &Charge, entry: &str) -> anyhow::Result<()> {
        let body = json!({"entry_id": entry, "amount": amount(IMAGE), "reason": "crash"});
        let path = format!("/v1/accounts/{}/refunds", charge.account);
        self.carry_out(&path, &format!("refund-{}", charge.operation), &body)?;
        self.post(&charge.account, IMAGE, "refund");
        Ok(())
    }

    fn count(&mut self, kind: &'static str) {
        *self.moved.done.entry(kind).or_default() += 1;
    }

    fn post(&mut self, account: &str, cents: i64, kind: &'static str) {
        if let Some(balance) = self.books.get_mut(account) {
            *balance += cents;
        }
        self.count(kind);
    }

    /// A command that must be carried out; every other one is sent again, and must have been.
    fn carry_out(&mut self, path: &str, key: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.send(path, key, body)?.ok().with_context(|| format!("{path} with {key}"))?;
        if self.round.is_multiple_of(2) {
            let again = self.send(path, key, body)?.ok().with_context(|| format!("{path} with {key}, again"))?;
            ensure!(again["replayed"] == true, "{path} with {key} was carried out again: {again}");
            self.moved.repeated += 1;
        }
        Ok(answer)
    }

    /// Sends a command until its answer is clear.
    fn send(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        wait_until(&format!("an answer to {path} with {key}"), PATIENCE, || {
            let answer = self.stack.api.command_once(&Method::POST, path, key, body).ok()?;
            (!matches!(answer.status, 202 | 429 | 503)).then_some(answer)
        })
    }

    /// Reports work until that is acknowledged.
    fn report(&mut self, event: &Value) -> anyhow::Result<()> {
        let acknowledged = || {
            wait_until("work to be acknowledged", PATIENCE, || {
                let answer = self.stack.api.send_as(None, std::slice::from_ref(event)).ok()?;
                (!matches!(answer.status, 429 | 503)).then_some(answer)
            })
        };
        for _ in 0..=self.round % 2 {
            let answer = acknowledged()?;
            if answer.status != 202 || answer.body["accepted"] != 1 {
                bail!("work was not accepted: {answer:?}");
            }
        }
        self.moved.repeated += self.round % 2;
        Ok(())
    }
}

pub(super) fn amount(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", (cents / 100).abs(), (cents % 100).abs())
}

/// Exact; none where it is no amount in whole cents.
fn cents(amount: &str) -> Option<i64> {
    let (whole, fraction) = amount.split_once('.')?;
    if fraction.len() != 2 {
        return None;
    }
    let cents: i64 = format!("{}{fraction}", whole.trim_start_matches('-')).parse().ok()?;
    Some(if whole.starts_with('-') { -cents } else { cents })
}
