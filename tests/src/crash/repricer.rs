//! The clerk's past: an account whose charges of a past period are priced anew while things are killed, taken back and
//! priced anew once more, a few charges a request.
//!
//! Whoever was not answered goes on behind the last `next_after`, now and then from the beginning. After each run the rows
//! must be there as often as the books say, and come to the cent to what they say, before the next one begins.

use std::fmt;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_schemas::time::{DAY_MS, rfc3339};

use super::clerk::{IMAGE, PATIENCE, amount};
use crate::stack::Stack;
use crate::usage::{self, now_ms};
use crate::wait::wait_until;

pub(super) const ACCOUNT: &str = "acc_clerk_past";
/// Charges of the period, of one image each: some requests to a run.
const CHARGES: u64 = 60;
const LIMIT: u64 = 12;
/// The book that is in force, and what an image costs by it.
const IN_FORCE: Price = Price { version: 1, cents: IMAGE };
/// A book for re-pricing alone.
const OTHER: Price = Price { version: 2, cents: 10 };
/// Every so many interruptions it is begun anew instead of gone on with.
const FORGETS: u64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Price {
    version: u64,
    cents: i64,
}

/// What was carried out to its end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Runs {
    pub(super) applied: u64,
    pub(super) undone: u64,
    /// Requests without an answer, or without one for every charge: gone on with afterwards.
    pub(super) interrupted: u64,
}

impl Runs {
    pub(super) const fn charges_anew(&self) -> u64 {
        (self.applied + self.undone) * CHARGES
    }
}

/// A run under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    repricing_id: String,
    digest: String,
    is_undo: bool,
    /// Where the next request goes on.
    after: Option<String>,
    /// Charges that an answer said were posted by its request.
    posted: u64,
}

impl Run {
    /// Takes an answer.
    ///
    /// # Errors
    /// Where a charge was left out, or posted once more.
    fn take(&mut self, answer: &Value) -> anyhow::Result<Progress> {
        let count = |outcome: &str| answer["counts"][outcome].as_u64().unwrap_or_default();
        ensure!(count("left_out") == 0, "a charge was left out that nobody else touched: {answer}");
        self.posted += count("posted");
        ensure!(self.posted <= CHARGES, "{} of {CHARGES} charges were posted: {answer}", self.posted);
        self.after = answer["next_after"].as_str().map(ToOwned::to_owned);
        Ok(match (count("pending"), &self.after) {
            (0, None) => Progress::Ended,
            (0, Some(_)) => Progress::Further,
            _ => Progress::Pending,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Further,
    Pending,
    Ended,
}

/// What ClickHouse has of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    charges: u64,
    /// Charges that were given back, and made anew.
    given_back: u64,
    anew: u64,
    /// In cents.
    sum: i64,
    /// Millionths beyond whole cents.
    rest: i64,
}

impl Rows {
    const SQL: &str = "SELECT countIf(type = 'consume'), countIf(type = 'reversal'), countIf(type = 'repriced'), \
        toInt64(sum(amount) * 1000000) FROM tollbooth.ledger WHERE account_id = 'acc_clerk_past'";

    fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<i64>> = text.split_whitespace().map(|number| number.parse().ok()).collect();
        let [charges, given_back, anew, micros] = numbers?[..] else { return None };
        let [charges, given_back, anew] = [charges, given_back, anew].map(i64::unsigned_abs);
        Some(Self { charges, given_back, anew, sum: micros / 10_000, rest: micros % 10_000 })
    }

    /// Whether all that the books say is there; `false`: something is on its way.
    ///
    /// # Errors
    /// Where there is more of something, or it is all there and comes to something else.
    fn agree(&self, anew: u64, sum: i64) -> anyhow::Result<bool> {
        let off = || format!("{self:?}; the books have {anew} charges made anew, and {}", amount(sum));
        ensure!(self.charges <= CHARGES && self.given_back <= anew && self.anew <= anew, "too many entries: {}", off());
        if self.charges < CHARGES || self.given_back < anew || self.anew < anew {
            return Ok(false);
        }
        ensure!((self.sum, self.rest) == (sum, 0), "another sum: {}", off());
        Ok(true)
    }
}

/// What is done next, when nothing is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    Apply,
    /// What was applied last.
    Undo(Run),
}

/// See the module.
pub(super) struct Past<'s> {
    stack: &'s Stack,
    from: String,
    to: String,
    /// Of each charge, as it stands.
    stands: Price,
    run: Option<Run>,
    next: Next,
    runs: Runs,
    credit: i64,
}

impl fmt::Debug for Past<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("run", &self.run).field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl<'s> Past<'s> {
    /// Publishes the other book, opens the account and reports its work. `credit` is in cents.
    pub(super) fn set_up(stack: &'s Stack, credit: i64) -> anyhow::Result<Self> {
        stack.api.publish(&other_book()?)?.ok().context("publish a book for re-pricing")?;
        stack.api.open_account(ACCOUNT, Some(&amount(credit)))?;
        let work: Vec<Value> = (0..CHARGES).map(|number| usage::event(ACCOUNT, &format!("past-{number}"))).collect();
        let now_ms = now_ms();
        stack.api.send(&work)?;
        let (from, to) = (rfc3339(now_ms - DAY_MS), rfc3339(now_ms + 1));
        let (run, next, runs) = (None, Next::Apply, Runs::default());
        Ok(Self { stack, from, to, stands: IN_FORCE, run, next, runs, credit })
    }

    pub(super) const fn runs(&self) -> Runs {
        self.runs
    }

    /// What the account must have, in cents, while no run is under way.
    pub(super) fn balance(&self) -> i64 {
        self.credit - i64::try_from(CHARGES).unwrap_or_default() * self.stands.cents
    }

    /// One request, or a look whether what was done is there.
    pub(super) fn step(&mut self) -> anyhow::Result<()> {
        if let Some(run) = self.run.take() {
            return self.go_on(run);
        }
        if !self.is_there()? {
            return Ok(());
        }
        match std::mem::replace(&mut self.next, Next::Apply) {
            Next::Apply => self.preview(),
            Next::Undo(run) => self.go_on(run),
        }
    }

    /// Ends what is under way, and does at least one of each.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        let mut failed = None;
        let what = "the charges of the past period to be priced anew, and taken back";
        wait_until(what, PATIENCE, || {
            let done = |past: &mut Self| -> anyhow::Result<bool> {
                let is_enough = past.runs.applied > 1 && past.runs.undone > 0;
                if is_enough && past.run.is_none() && matches!(past.next, Next::Apply) {
                    return past.is_there();
                }
                past.step()?;
                Ok(false)
            };
            match done(self) {
                Ok(done) => done.then_some(()),
                Err(error) => {
                    failed = Some(error);
                    Some(())
                }
            }
        })
        .with_context(|| format!("{self:?}"))?;
        failed.map_or(Ok(()), Err)
    }

    /// Whether ClickHouse has everything, as often as it was done.
    fn is_there(&self) -> anyhow::Result<bool> {
        let Some(rows) = self.stack.clickhouse.query(Rows::SQL).ok().as_deref().and_then(Rows::parse) else {
            return Ok(false);
        };
        rows.agree(self.runs.charges_anew(), self.balance()).with_context(|| format!("{self:?}"))
    }

    /// The book that each charge is not priced by.
    const fn target(&self) -> Price {
        if self.stands.version == IN_FORCE.version { OTHER } else { IN_FORCE }
    }

    fn preview(&mut self) -> anyhow::Result<()> {
        let (from, to, target) = (&self.from, &self.to, self.target());
        let asked = json!({"accounts": [ACCOUNT], "from": from, "to": to, "price_version": target.version});
        // One that was made and not answered stays behind: nothing is posted by it.
        let Some(seen) = self.ask("", &asked)? else { return Ok(()) };
        let sum = amount(i64::try_from(CHARGES)? * (target.cents - self.stands.cents));
        let account = &seen["accounts"][0];
        let is_right = account["changes"] == CHARGES && account["difference"]["amount"] == sum.as_str();
        ensure!(is_right, "a preview of {CHARGES} charges and {sum}: {seen}");
        let text =
            |name: &str| seen[name].as_str().map(ToOwned::to_owned).with_context(|| format!("no {name}: {seen}"));
        let (repricing_id, digest) = (text("repricing_id")?, text("digest")?);
        self.run = Some(Run { repricing_id, digest, is_undo: false, after: None, posted: 0 });
        Ok(())
    }

    fn go_on(&mut self, mut run: Run) -> anyhow::Result<()> {
        let verb = if run.is_undo { "undo" } else { "apply" };
        let asked = json!({"digest": run.digest, "limit": LIMIT, "after": run.after});
        let progress = match self.ask(&format!("/{}/{verb}", run.repricing_id), &asked)? {
            Some(answer) => run.take(&answer).with_context(|| format!("{verb} {}", run.repricing_id))?,
            None => Progress::Pending,
        };
        match progress {
            Progress::Ended => self.end(run),
            Progress::Further => self.run = Some(run),
            Progress::Pending => {
                self.runs.interrupted += 1;
                if self.runs.interrupted.is_multiple_of(FORGETS) {
                    run.after = None;
                }
                self.run = Some(run);
            }
        }
        Ok(())
    }

    /// Every other one that was applied is taken back, and then done once more.
    fn end(&mut self, run: Run) {
        self.stands = self.target();
        if run.is_undo {
            self.runs.undone += 1;
            return;
        }
        self.runs.applied += 1;
        if !self.runs.applied.is_multiple_of(2) {
            self.next = Next::Undo(Run { is_undo: true, after: None, posted: 0, ..run });
        }
    }

    /// Asked once; `None`: no clear answer.
    fn ask(&self, path: &str, body: &Value) -> anyhow::Result<Option<Value>> {
        let url = format!("{}/v1/repricings{path}", self.stack.api.ingest_url());
        let headers = [("content-type", "application/json")];
        let body = Some(body.to_string().into_bytes());
        let Ok(answer) = self.stack.api.request(Method::POST, &url, None, &headers, body) else { return Ok(None) };
        if matches!(answer.status, 429 | 503 | 504) {
            return Ok(None);
        }
        answer.ok().map(Some).with_context(|| format!("/v1/repricings{path}"))
    }
}

/// The images at another price, in a book that is never in force.
fn other_book() -> anyhow::Result<Value> {
    let mut book = usage::price_book()?;
    book["version"] = json!(OTHER.version);
    book["effective_from"] = json!("2199-01-01T00:00:00Z");
    for row in book["prices"].as_array_mut().into_iter().flatten() {
        if row["service"] == "ai_modify" && row["engine"] == "nano_banana_2" {
            row["plans"] = json!({"payg": amount(OTHER.cents)});
        }
    }
    Ok(book)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run { repricing_id: "rpr_1".to_owned(), digest: "d".to_owned(), is_undo: false, after: None, posted: 0 }
    }

    #[test]
    fn a_run_goes_on_behind_what_was_answered_until_all_of_it_is() -> anyhow::Result<()> {
        let mut run = run();
        let answers = [
            (json!({"counts": {"posted": 12}, "next_after": "acc_clerk_past/14"}), Progress::Further),
            (json!({"counts": {"posted": 3, "pending": 9}, "next_after": "acc_clerk_past/17"}), Progress::Pending),
            (json!({"counts": {"already_posted": 9, "posted": 36}}), Progress::Ended),
        ];
        for (answer, progress) in answers {
            assert_eq!(run.take(&answer)?, progress, "{answer}");
            assert_eq!(run.after.as_deref(), answer["next_after"].as_str());
        }
        Ok(())
    }

    #[test]
    fn a_charge_that_is_posted_once_more_or_left_out_is_told() {
        assert!(run().take(&json!({"counts": {"posted": CHARGES, "left_out": 1}})).is_err());
        let mut run = run();
        assert!(run.take(&json!({"counts": {"posted": CHARGES}, "next_after": "acc_clerk_past/1"})).is_ok());
        assert!(run.take(&json!({"counts": {"posted": 1}})).is_err());
    }

    #[test]
    fn what_was_posted_twice_by_half_or_at_another_price_is_not_what_the_books_have() {
        let rows = |given_back: u64, anew: u64, micros: i64| {
            Rows::parse(&format!("60\t{given_back}\t{anew}\t{micros}\n")).map(|rows| rows.agree(60, 44_00))
        };
        // 50.00 less 60 times 0.10
        assert!(matches!(rows(60, 60, 44_000_000), Some(Ok(true))));
        // on its way
        assert!(matches!(rows(60, 59, 44_100_000), Some(Ok(false))));
        // given back once more, as if the second entry were missing; or made anew twice
        assert!(matches!(rows(61, 60, 44_100_000), Some(Err(_))));
        assert!(matches!(rows(61, 61, 44_000_000), Some(Err(_))));
        // all of it, and off by less than a cent
        assert!(matches!(rows(60, 60, 44_000_001), Some(Err(_))));
    }
}
