//! What is answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tollbooth_schemas::repricing::{RepricedAccount, RepricingDocument, RepricingState};
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::v1::Rejected;
use tollbooth_schemas::{Amount, Money};

use super::kept::Cursor;
use super::place::Place;
use super::plan::{Cut, Line, Lines};
use super::read::PostedRow;

/// Sums are bounded by those of an account; beyond that they are cut, never wrong by a sign.
fn money(micros: i128, currency: &str) -> Amount {
    let most = Money::MAX.micros();
    let micros = i64::try_from(micros).unwrap_or(if micros < 0 { most.saturating_neg() } else { most });
    let amount = Money::from_micros(micros.clamp(most.saturating_neg(), most)).unwrap_or_default();
    Amount { amount, currency: currency.to_owned() }
}

/// `difference`: above zero the account pays more.
#[derive(Debug, Serialize)]
struct Sums {
    changes: u64,
    was: Amount,
    would_be: Amount,
    difference: Amount,
}

impl Sums {
    fn new(changes: u64, was: i128, would_be: i128, currency: &str) -> Self {
        let difference = money(would_be.saturating_sub(was), currency);
        Self { changes, was: money(was, currency), would_be: money(would_be, currency), difference }
    }
}

#[derive(Debug, Serialize)]
struct LinePreview {
    /// `null`: work for no event.
    event_id: Option<String>,
    service: String,
    engine: String,
    #[serde(flatten)]
    sums: Sums,
    /// Charges that stay as they are, by why.
    left_out: BTreeMap<&'static str, u64>,
}

impl LinePreview {
    fn of((event_id, service, engine): Cut, line: Line, currency: &str) -> Self {
        let sums = Sums::new(line.changes, line.was_micros, line.would_be_micros, currency);
        let event_id = Some(event_id).filter(|id| !id.is_empty());
        Self { event_id, service, engine, sums, left_out: line.left_out }
    }
}

/// What an account would come to.
#[derive(Debug, Serialize)]
pub(super) struct AccountBody {
    account_id: String,
    as_of_seq: u64,
    #[serde(flatten)]
    sums: Sums,
    lines: Vec<LinePreview>,
}

impl AccountBody {
    pub(super) fn of(account: &RepricedAccount, lines: Lines) -> Self {
        let currency = account.currency.as_str();
        let sums = Sums::new(account.changes, account.was_micros.into(), account.would_be_micros.into(), currency);
        let lines = lines.into_iter().map(|(cut, line)| LinePreview::of(cut, line, currency)).collect();
        Self { account_id: account.account_id.to_string(), as_of_seq: account.as_of_seq, sums, lines }
    }
}

#[derive(Debug, Serialize)]
struct Head {
    repricing_id: String,
    state: &'static str,
    price_version: u32,
    from: String,
    to: String,
    /// What applying it names.
    digest: String,
    changes: u64,
    created_at: String,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_reason: Option<String>,
}

impl Head {
    fn of(document: &RepricingDocument, state: &'static str) -> Self {
        Self {
            repricing_id: document.repricing_id.clone(),
            state,
            price_version: document.price_version,
            from: rfc3339(document.from_ms),
            to: rfc3339(document.to_ms),
            digest: document.digest.clone(),
            changes: document.changes(),
            created_at: rfc3339(document.created_at_ms),
            actor: document.actor.clone(),
            reason: document.reason.clone(),
            undo_reason: document.undo_reason.clone(),
        }
    }
}

/// `POST /v1/repricings`
#[derive(Debug, Serialize)]
pub(super) struct PreviewBody {
    #[serde(flatten)]
    head: Head,
    accounts: Vec<AccountBody>,
}

impl PreviewBody {
    pub(super) fn of(document: &RepricingDocument, accounts: impl Iterator<Item = AccountBody>) -> Self {
        Self { head: Head::of(document, "previewed"), accounts: accounts.collect() }
    }
}

#[derive(Debug, Serialize)]
struct ProgressBody {
    account_id: String,
    as_of_seq: u64,
    #[serde(flatten)]
    sums: Sums,
    applied: u64,
    undone: u64,
    /// What the balance changed by, as far as the projection has it.
    posted: Amount,
}

/// `GET /v1/repricings/{repricing_id}`
#[derive(Debug, Serialize)]
pub(super) struct ShownBody {
    #[serde(flatten)]
    head: Head,
    applied: u64,
    undone: u64,
    /// Where a run that was interrupted goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<String>,
    accounts: Vec<ProgressBody>,
}

impl ShownBody {
    pub(super) fn of(document: &RepricingDocument, posted: &[PostedRow]) -> Self {
        let sum = |of: fn(&PostedRow) -> u64| posted.iter().map(of).fold(0_u64, u64::saturating_add);
        let (applied, undone) = (sum(|row| row.applied), sum(|row| row.undone));
        let state = match document.state {
            // It was tried to its end, and ClickHouse has something that is left.
            RepricingState::Undone if undone < applied => "undoing",
            state => name(state),
        };
        let accounts = document.accounts.iter().map(|account| {
            let row = posted.iter().find(|row| row.account_id == account.account_id.as_str());
            let currency = account.currency.as_str();
            ProgressBody {
                account_id: account.account_id.to_string(),
                as_of_seq: account.as_of_seq,
                sums: Sums::new(account.changes, account.was_micros.into(), account.would_be_micros.into(), currency),
                applied: row.map_or(0, |row| row.applied),
                undone: row.map_or(0, |row| row.undone),
                posted: money(row.map_or(0, |row| row.net).into(), currency),
            }
        });
        let next_after = document.reached.clone();
        Self { head: Head::of(document, state), applied, undone, next_after, accounts: accounts.collect() }
    }
}

const fn name(state: RepricingState) -> &'static str {
    match state {
        RepricingState::Previewed => "previewed",
        RepricingState::Applying => "applying",
        RepricingState::Applied => "applied",
        RepricingState::Undoing => "undoing",
        RepricingState::Undone => "undone",
    }
}

#[derive(Debug, Serialize)]
struct ListedBody {
    #[serde(flatten)]
    head: Head,
    account_ids: Vec<String>,
    /// `null`: of no account.
    total: Option<Sums>,
}

impl ListedBody {
    fn of(document: &RepricingDocument) -> Self {
        let sum =
            |of: fn(&RepricedAccount) -> i64| document.accounts.iter().map(|account| i128::from(of(account))).sum();
        // All of them pay in the book's currency.
        let total = document.accounts.first().map(|account| {
            let (was, would_be) = (sum(|account| account.was_micros), sum(|account| account.would_be_micros));
            Sums::new(document.changes(), was, would_be, &account.currency)
        });
        let account_ids = document.accounts.iter().map(|account| account.account_id.to_string()).collect();
        Self { head: Head::of(document, name(document.state)), account_ids, total }
    }
}

/// `GET /v1/repricings`: as far as each was tried. Nothing is looked up for it.
#[derive(Debug, Serialize)]
pub(super) struct ListBody {
    data: Vec<ListedBody>,
    has_more: bool,
    next_cursor: Option<String>,
}

impl ListBody {
    pub(super) fn of(documents: &[Arc<RepricingDocument>], has_more: bool) -> Self {
        let last = documents.last().filter(|_| has_more);
        let next_cursor = last.map(|document| Cursor::of(document).to_string());
        Self { data: documents.iter().map(|document| ListedBody::of(document)).collect(), has_more, next_cursor }
    }
}

/// What became of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Became {
    Posted,
    /// By an earlier request.
    AlreadyPosted,
    /// It changed since it was seen: `reason` says how.
    LeftOut,
    /// Sent; the meter has not answered yet. Ask again.
    Pending,
}

impl Became {
    /// Whether a person wants to know which.
    pub(super) const fn is_told(self) -> bool {
        matches!(self, Self::LeftOut | Self::Pending)
    }
}

/// A charge that was not made anew.
#[derive(Debug, Serialize)]
pub(super) struct LineBody {
    entry_id: String,
    pub(super) outcome: Became,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl LineBody {
    pub(super) const fn new(entry_id: String, outcome: Became) -> Self {
        Self { entry_id, outcome, reason: None, detail: None }
    }

    pub(super) fn because(self, why: &Rejected) -> Self {
        Self { reason: Some(why.code.clone()), detail: Some(why.detail.clone()), ..self }
    }
}

/// `POST /v1/repricings/{repricing_id}/apply` and `.../undo`
#[derive(Debug, Serialize)]
pub(super) struct RunBody {
    repricing_id: String,
    /// By outcome.
    counts: BTreeMap<Became, usize>,
    /// `after` of the next request: everything up to it was answered. Absent: all were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<String>,
    /// Those that were not posted.
    results: Vec<LineBody>,
}

impl RunBody {
    pub(super) fn new(repricing_id: &str) -> Self {
        Self { repricing_id: repricing_id.to_owned(), counts: BTreeMap::new(), next_after: None, results: Vec::new() }
    }

    pub(super) fn add(&mut self, line: LineBody) {
        *self.counts.entry(line.outcome).or_insert(0) += 1;
        if line.outcome.is_told() {
            self.results.push(line);
        }
    }

    pub(super) fn go_on_behind(&mut self, place: Option<&Place>) {
        self.next_after = place.map(ToString::to_string);
    }

    pub(super) fn has_any(&self) -> bool {
        !self.counts.is_empty()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.counts.contains_key(&Became::Pending)
    }
}
