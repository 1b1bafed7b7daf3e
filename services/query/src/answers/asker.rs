//! Asking ClickHouse for sums so that it is known up to which entry they go.

use std::sync::Arc;
use std::time::Instant;

use tollbooth_chassis::problem::Problem;

use super::{Asked, Outcome, Question, Told, Whose};
use crate::live::{LiveView, SunkOffsets};
use crate::metrics::AnswerSource;
use crate::store::{Keep, Store, StoreError, UsageQuery, UsageRow};

/// Most sums of a question that are read to find its largest groups here. Where there are more, ClickHouse finds them, and
/// the answer cannot be carried forward.
pub(super) const WHOLE_ROWS_MAX: usize = 10_000;

/// What is asked and who knows how far it goes.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The tables.
    pub store: Arc<Store>,
    /// Which entries lie at which offsets.
    pub view: Arc<LiveView>,
    /// What the tables have.
    pub sunk: SunkOffsets,
    /// Most sums of one question, see [`crate::config::LimitsSection::groups_max`].
    pub rows_max: usize,
    /// Whether it is found out which entries the sums are of. Not where nothing is carried, as with several servers behind
    /// one address: one of them may answer for the ledger's end and another for the sums.
    pub is_exact: bool,
}

impl Asker {
    /// The sums of questions about one account.
    ///
    /// The sink's offsets say up to which entry every table has all of them for certain. What it inserts beyond is in the sums
    /// or not yet; each row says up to which entry it goes. Blocks come in the order of the ledger, each as a whole, so that
    /// sums of one state of one table are exactly those of the entries up to the newest that any of their rows has.
    pub async fn ask(self, account_id: String, questions: Vec<Question>) -> Outcome {
        let asked_at = Instant::now();
        let sure_seq = self.sure_seq(&account_id).await;
        let (mut told, mut seqs) = (Vec::with_capacity(questions.len()), Vec::with_capacity(questions.len()));
        for question in &questions {
            let (sums, seq) = self.tell_after(question, sure_seq).await?;
            told.push(sums);
            seqs.push(seq);
        }
        let is_whole = match sure_seq {
            Some(sure_seq) => self.is_whole(&account_id, sure_seq).await?,
            None => false,
        };
        if !is_whole {
            seqs.fill(None);
        }
        Ok(Asked { told, seqs, asked_at, source: AnswerSource::ClickHouse })
    }

    /// An entry up to which every table has all of the account's, and behind which rows say themselves how far they go; `None`:
    /// it is not known. It holds where [`Asker::is_whole`] is true afterwards.
    pub(super) async fn sure_seq(&self, account_id: &str) -> Option<u64> {
        let newest_seq = self.view.balance(account_id).map_or(0, |balance| balance.seq);
        if self.is_told_by_rows().await { self.sunk.sure_seq(account_id, newest_seq).await } else { None }
    }

    /// Whether the tables have the account's entries up to the sure one now. Of a database that was put back to an older state,
    /// or is being filled again, the offsets of before say nothing.
    ///
    /// # Errors
    /// As the store's.
    pub(super) async fn is_whole(&self, account_id: &str, sure_seq: u64) -> Result<bool, Problem> {
        let ends = self.store.ends_after(Instant::now()).await?;
        Ok(self.view.seq_below(account_id, &ends).is_some_and(|seq| seq >= sure_seq))
    }

    /// Whether every block that may be on its way makes rows that say up to which entry they go. Those that were on their
    /// way when the tables were first looked at may have been begun before the tables knew how.
    pub(super) async fn is_told_by_rows(&self) -> bool {
        if !self.is_exact {
            return false;
        }
        let Ok(first_ends) = self.store.first_ends().await else { return false };
        if !self.sunk.has_passed(first_ends) {
            self.sunk.look().await;
        }
        self.sunk.has_passed(first_ends)
    }

    /// The sums of questions about all accounts: of no entry, for every account has its own.
    pub async fn ask_of_all(self, questions: Vec<Question>) -> Outcome {
        let asked_at = Instant::now();
        let mut told = Vec::with_capacity(questions.len());
        for question in &questions {
            told.push(self.tell_after(question, None).await?.0);
        }
        Ok(Asked { seqs: vec![None; told.len()], told, asked_at, source: AnswerSource::ClickHouse })
    }

    /// The sums, and the entry up to which they go: `sure_seq`, up to which all are in the tables, or one behind it.
    async fn tell_after(&self, question: &Question, sure_seq: Option<u64>) -> Result<(Told, Option<u64>), Problem> {
        let Some(top) = question.top else { return self.tell_all(question, self.rows_max, sure_seq).await };
        if matches!(question.whose, Whose::Account(_)) {
            let (told, seq) = self.tell_all(question, WHOLE_ROWS_MAX.min(self.rows_max), sure_seq).await?;
            if told != Told::TooMany {
                return Ok((told, seq));
            }
        }
        let largest = UsageQuery { starts_ms: &[], keep: Keep::Largest(top.measure), ..question.whole(top.groups) };
        let largest: Vec<String> = self.usage(&largest).await?.into_iter().map(|row| row.group_key).collect();
        let question = UsageQuery { keep: Keep::These(&largest), ..question.whole(self.rows_max + 1) };
        let rows = self.usage(&question).await?;
        Ok((if rows.len() > self.rows_max { Told::TooMany } else { Told::Shaped(rows) }, None))
    }

    async fn tell_all(
        &self,
        question: &Question,
        rows_max: usize,
        sure_seq: Option<u64>,
    ) -> Result<(Told, Option<u64>), Problem> {
        let query = UsageQuery { after_seq: sure_seq, ..question.whole(rows_max + 1) };
        let rows = self.usage(&query).await?;
        if rows.len() > rows_max {
            return Ok((Told::TooMany, None));
        }
        let seq = sure_seq.and_then(|sure_seq| reached(&rows, sure_seq, query.is_of_one_state()));
        Ok((Told::Whole(rows), seq))
    }

    async fn usage(&self, question: &UsageQuery<'_>) -> Result<Vec<UsageRow>, StoreError> {
        self.store.usage(question).await
    }
}

/// The entry up to which sums are exactly those of an account's entries; `None`: it is not known.
pub(super) fn reached(rows: &[UsageRow], sure_seq: u64, is_of_one_state: bool) -> Option<u64> {
    let newest_seq = rows.iter().map(|row| row.newest_seq).max().unwrap_or(0);
    match newest_seq > sure_seq {
        // What came behind it is in other groups, if it is in the tables at all.
        false => Some(sure_seq),
        true => is_of_one_state.then_some(newest_seq),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Line;

    #[test]
    fn sums_go_to_the_newest_entry_of_their_rows_where_they_are_of_one_state() {
        let row = |newest_seq| UsageRow { newest_seq, ..Line::default().row(0, "") };
        for (newest, is_of_one_state, expected) in [
            (vec![], true, Some(7)),
            (vec![], false, Some(7)),
            (vec![0, 3, 7], false, Some(7)),
            (vec![5, 9, 8], true, Some(9)),
            (vec![5, 9, 8], false, None),
        ] {
            let rows: Vec<UsageRow> = newest.iter().copied().map(row).collect();
            assert_eq!(reached(&rows, 7, is_of_one_state), expected, "{newest:?}");
        }
    }
}
