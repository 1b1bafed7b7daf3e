//! Asking ClickHouse for sums so that it is known up to which entry they go.

use std::sync::Arc;

use tollbooth_chassis::problem::Problem;

use super::{Asked, Outcome, Question, Told, Whose};
use crate::live::{LiveView, SunkOffsets};
use crate::store::{Keep, Store, StoreError, UsageQuery};

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
}

impl Asker {
    /// The sums of questions about one account.
    ///
    /// A rollup does not say which entries are in it. So the sink is asked before how much of the ledger is in every table
    /// for certain, and the database after what the sink had begun to insert by then, which it writes down first. If the
    /// account has no entry between the two, the sums are exactly those of its entries up to there; else it is not known
    /// which of them were seen.
    pub async fn ask(self, account_id: String, questions: Vec<Question>) -> Outcome {
        let newest_seq = self.view.balance(&account_id).map_or(0, |balance| balance.seq);
        let sure_seq = self.sunk.sunk_seq(&account_id, newest_seq).await;
        let mut told = Vec::with_capacity(questions.len());
        for question in &questions {
            told.push(self.tell(question).await?);
        }
        let begun_seq = match sure_seq {
            None => None,
            Some(_) => self.view.seq_below(&account_id, &self.store.sunk_ends().await?),
        };
        Ok(Asked { told, seq: sure_seq.filter(|seq| begun_seq == Some(*seq)) })
    }

    /// The sums of a question about all accounts.
    ///
    /// # Errors
    /// As the store's.
    pub async fn tell(&self, question: &Question) -> Result<Told, Problem> {
        let Some(top) = question.top else { return self.tell_all(question, self.rows_max).await };
        if matches!(question.whose, Whose::Account(_)) {
            let told = self.tell_all(question, WHOLE_ROWS_MAX.min(self.rows_max)).await?;
            if told != Told::TooMany {
                return Ok(told);
            }
        }
        let largest = UsageQuery { starts_ms: &[], keep: Keep::Largest(top.measure), ..question.whole(top.groups) };
        let largest: Vec<String> = self.usage(&largest).await?.into_iter().map(|row| row.group_key).collect();
        let question = UsageQuery { keep: Keep::These(&largest), ..question.whole(self.rows_max + 1) };
        let rows = self.usage(&question).await?;
        Ok(if rows.len() > self.rows_max { Told::TooMany } else { Told::Shaped(rows) })
    }

    async fn tell_all(&self, question: &Question, rows_max: usize) -> Result<Told, Problem> {
        let rows = self.usage(&question.whole(rows_max + 1)).await?;
        Ok(if rows.len() > rows_max { Told::TooMany } else { Told::Whole(rows) })
    }

    async fn usage(&self, question: &UsageQuery<'_>) -> Result<Vec<crate::store::UsageRow>, StoreError> {
        self.store.usage(question).await
    }
}
