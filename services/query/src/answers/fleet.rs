//! Sums of all accounts, given again as they are for a short time.
//!
//! Any entry of any account may change them and no memory has all of those, so that nothing carries them forward.

use std::sync::Arc;
use std::time::Duration;

use tollbooth_chassis::problem::Problem;

use super::{Answers, Kept, Outcome, PackedText, Question, Text, shaped, source_of};
use crate::prices::Names;
use crate::store::UsageRow;

/// A request for sums of all accounts.
#[derive(Debug, Clone)]
pub struct OfAll {
    /// What tells it from others.
    pub key: String,
    /// What it needs.
    pub questions: Vec<Question>,
    /// The quarter of an hour that it is answered in.
    pub quarter: i64,
    /// What services are called.
    pub names: Arc<Names>,
}

impl OfAll {
    fn is_answered_by(&self, text: &Text, life: Duration) -> bool {
        text.made_at.elapsed() < life && text.quarter == self.quarter && Arc::ptr_eq(&text.names, &self.names)
    }
}

impl Answers {
    /// The answer to a request about all accounts: as it is kept, or made of what `ask` tells; `render` makes its text of the
    /// rows of each question, `None` where there are more than may be answered.
    ///
    /// # Errors
    /// What `ask` and `render` answer. Only who waited for that try hears of it; the next one tries again.
    pub async fn get_of_all(
        &self,
        request: OfAll,
        ask: impl Future<Output = Outcome> + Send + 'static,
        render: impl FnOnce(Vec<Option<Vec<UsageRow>>>) -> Result<Kept, Problem>,
    ) -> Result<Kept, Problem> {
        let life = Duration::from_millis(self.settings.fleet_fresh_ms);
        if self.settings.bytes_max == 0 || life.is_zero() {
            let outcome = ask.await;
            self.metrics.count(source_of(&outcome));
            return render(shaped(outcome?.told, &request.questions));
        }
        let place = self.place(&request.key);
        let flight = {
            let mut state = place.lock();
            let text = state.text.as_ref().filter(|text| request.is_answered_by(text, life));
            if let Some(kept) = text.and_then(|text| self.open(text)) {
                return Ok(kept);
            }
            self.join(&place, &mut state, &request.questions, ask)
        };
        let asked = flight.outcome().await?;
        drop(flight);
        let kept = render(shaped(asked.told, &request.questions))?;
        let text = Text {
            body: PackedText::of(&kept.body),
            etag: kept.etag.clone(),
            rows: kept.rows,
            seq: None,
            account_seq: 0,
            quarter: request.quarter,
            names: request.names,
            // As old as what it says.
            made_at: asked.asked_at,
        };
        self.keep(&mut place.lock(), &request.key, text);
        Ok(kept)
    }
}
