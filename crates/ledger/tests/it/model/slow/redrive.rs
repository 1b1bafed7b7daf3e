//! Dead letters that are driven again: the same report, at another time.

use super::{Account, Outcome, refuse};
use crate::model::steps::Report;

const DAY_MS: i64 = 86_400_000;

/// A report that became a dead letter.
#[derive(Debug, Clone)]
pub(super) struct LetterLine {
    pub(super) report: Report,
    pub(super) occurred_at_ms: i64,
    /// The entry that it became, as long as that is known.
    pub(super) posted: Option<u64>,
}

impl Account {
    pub(super) fn redrive(&mut self, letter: usize) -> Outcome {
        let line = self.letters.get(letter).cloned();
        if let Some(seq) = line.as_ref().and_then(|line| line.posted) {
            return Outcome::Replayed { seq };
        }
        if !self.open {
            return refuse(404, "unknown_account");
        }
        let Some(line) = line else { return refuse(422, "malformed") };
        if line.occurred_at_ms < self.now_ms - 80 * DAY_MS {
            return refuse(422, "too_old");
        }
        let outcome = self.take_report(line.report, line.occurred_at_ms);
        match outcome {
            Outcome::Posted(posted) => {
                self.letters[letter].posted = Some(posted.seq);
                Outcome::Posted(posted)
            }
            Outcome::Duplicate => refuse(409, "duplicate"),
            Outcome::Stale => refuse(409, "stale"),
            Outcome::Dead(reason) => refuse(422, reason),
            other => other,
        }
    }
}
