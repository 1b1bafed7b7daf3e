//! One question under way for all who ask it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tollbooth_chassis::problem::Problem;

use super::{Outcome, Question};
use crate::budget::inherited;

/// A question under way. Who waits for its answer holds it; with the last one who goes away the task is ended, and with it
/// the queries that it waits for.
#[derive(Debug)]
pub(super) struct Flight {
    questions: Vec<Question>,
    answered: watch::Receiver<Option<Outcome>>,
    task: AbortHandle,
}

impl Flight {
    /// Begins; `ask` runs whether or not it is polled by anybody, and `settle` takes what came of it.
    pub(super) fn begin(
        questions: Vec<Question>,
        ask: impl Future<Output = Outcome> + Send + 'static,
        settle: impl FnOnce(&Outcome) + Send + 'static,
    ) -> Arc<Self> {
        let (sender, answered) = watch::channel(None);
        let ask = inherited(ask);
        let task = tokio::spawn(async move {
            let outcome = ask.await;
            settle(&outcome);
            sender.send_replace(Some(outcome));
        });
        Arc::new(Self { questions, answered, task: task.abort_handle() })
    }

    /// Whether it is about the same.
    pub(super) fn is_about(&self, questions: &[Question]) -> bool {
        self.questions == questions
    }

    /// Waits for the answer.
    pub(super) async fn outcome(&self) -> Outcome {
        let mut answered = self.answered.clone();
        let outcome = answered.wait_for(Option::is_some).await;
        let outcome = outcome.ok().and_then(|outcome| Option::clone(&outcome));
        outcome.unwrap_or_else(|| Err(Problem::internal("a question ended without an answer")))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}
