//! Every few seconds a look at the worker itself: memory, sizes and lag.

use std::time::Duration;

use tollbooth_schemas::Money;

use super::{
    Worker, WorkerError,
    outside::{Outside, Reader as _},
    restore::Ready,
};
use crate::metrics::{Input, StateSizes};

/// How long the question for an input's end may hold up the inputs.
const LAG_WAIT: Duration = Duration::from_millis(500);
/// Balance below which an account counts as low in the gauge.
const LOW_BALANCE: Option<Money> = Money::from_micros(10_000_000);

/// Whether records have left the readers that are not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InHand {
    Nothing,
    Batch,
}

impl<O: Outside> Worker<O> {
    /// Every few seconds: memory, sizes and lag.
    pub(super) async fn housekeeping(&self, ready: &mut Ready<O>, in_hand: InHand) -> Result<(), WorkerError> {
        if !ready.lag.is_due(self.now()) {
            return Ok(());
        }
        self.check_memory()?;
        let (accounts, in_memory, _) = self.state.sizes();
        let stored = self.kept.as_ref().map(|kept| kept.store.sizes());
        let low = LOW_BALANCE.unwrap_or_default();
        let mut sizes = StateSizes {
            accounts,
            operations: stored.map_or(in_memory, |stored| stored.operations + self.state.pending_operations()),
            operation_bytes: self.operation_bytes(),
            store_bytes: stored.map_or(0, |stored| stored.disk_bytes),
            store_reads: self.kept.as_ref().map_or(0, |kept| kept.store.take_reads()),
            ..StateSizes::default()
        };
        for (_, account) in self.state.accounts() {
            sizes.negative += usize::from(account.balance.is_negative());
            sizes.below_threshold += usize::from(account.balance < low);
        }
        self.context.metrics.sizes(&self.label, &sizes);
        let topics = &self.context.topics;
        for (input, topic) in [(Input::Usage, topics.usage()), (Input::Commands, topics.commands())] {
            let asked_ms = self.context.outside.now_ms();
            // A broker that is away makes the lag unknown, not the worker fail.
            let Ok((_, end)) = self.context.outside.ends(&topic, self.partition, LAG_WAIT).await else { continue };
            let records = (end - self.consumed(ready, input, &topic, in_hand)).max(0);
            let seconds = ready.lag.seconds(input, records, asked_ms);
            self.context.metrics.lag(input, &self.label, records, seconds);
        }
        Ok(())
    }

    /// How far an input is done. Where nothing of it is in hand, markers behind the last record count: they may be all
    /// that lies before the end.
    fn consumed(&self, ready: &Ready<O>, input: Input, topic: &str, in_hand: InHand) -> i64 {
        let next = ready.next[input as usize];
        let (reader, is_held) = match input {
            Input::Usage => (&ready.usage, ready.held.is_some()),
            Input::Commands => (&ready.commands, false),
        };
        if in_hand == InHand::Batch || is_held {
            return next;
        }
        reader.position(topic, self.partition).ok().flatten().map_or(next, |position| position.max(next))
    }
}
