//! What is read once more before a refusal: a command or a price book that was appended before the refused record.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tollbooth_chassis::kafka::batch::BatchLimit;

use super::{
    Worker, WorkerError,
    outside::{Batch as _, BatchOf, Outside, Reader as _, SourceRecord as _},
    restore::Ready,
    serve::{Taken, last_of},
};

/// How long a look-up may take; beyond it the usage that needs it waits.
const LOOK_UP_WAIT: Duration = Duration::from_secs(5);
/// As long as the last one came to nothing: commands wait meanwhile.
const LOOK_UP_AGAIN_WAIT: Duration = Duration::from_millis(500);
/// Wait for records between two looks at the position.
const READ_WAIT: Duration = Duration::from_millis(50);

/// How far the commands were read.
pub(super) enum Reach {
    /// To the end as it was when asked for.
    End,
    /// A transaction's worth of them; the end lies further on.
    Bound,
    /// The broker did not say where the end is, or did not give what lies before it.
    Short(WorkerError),
}

fn wait_of<O: Outside>(ready: &Ready<O>) -> Duration {
    if ready.hold.is_some() { LOOK_UP_AGAIN_WAIT } else { LOOK_UP_WAIT }
}

impl<O: Outside> Worker<O> {
    /// Commands up to the topic's end as of now: whatever could have opened an account before a record of this batch
    /// was appended lies below it. What was read comes back however far that was: it has left the reader.
    ///
    /// # Errors
    /// When the reader fails: the partition is taken anew.
    pub(super) async fn commands_to_end(
        &self,
        ready: &mut Ready<O>,
        taken: &Taken<BatchOf<O>>,
    ) -> Result<(Vec<BatchOf<O>>, Reach), WorkerError> {
        let outside = &self.context.outside;
        let topic = self.context.topics.commands();
        let mut next = taken.next_offsets(ready.next)[1];
        let wait = wait_of(ready);
        let deadline = outside.instant() + wait;
        let end = match outside.ends(&topic, self.partition, wait).await {
            Ok((_, end)) => end,
            Err(source) => {
                let why = WorkerError::Kafka { what: "cannot ask for the commands' end", source };
                return Ok((Vec::new(), Reach::Short(why)));
            }
        };
        let (records_max, bytes) = (self.context.batch.command_records_max, self.context.batch.usage_bytes_max);
        let (mut late, mut records) = (Vec::new(), 0);
        while next < end {
            if records >= records_max {
                return Ok((late, Reach::Bound));
            }
            if outside.instant() > deadline {
                let source = KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
                let why = WorkerError::Kafka { what: "the commands were not read to their end", source };
                return Ok((late, Reach::Short(why)));
            }
            let limit = BatchLimit { records: records_max - records, bytes };
            let read = ready.commands.read(limit, READ_WAIT).await;
            let batch = read.map_err(WorkerError::kafka("cannot read commands"))?;
            if let Some(record) = last_of(&batch) {
                next = record.offset() + 1;
                records += batch.len();
                late.push(batch);
            } else if let Ok(Some(position)) = ready.commands.position(&topic, self.partition) {
                // The tail may be markers of a transactional writer.
                next = next.max(position);
            }
        }
        Ok((late, Reach::End))
    }

    /// The price books as published before now; the text says why they are not known.
    pub(super) async fn price_books_to_end(&self, ready: &Ready<O>) -> Result<(), String> {
        let outside = &self.context.outside;
        let deadline = outside.instant() + wait_of(ready);
        outside.books_to_end(deadline).await.map_err(|why| why.to_string())
    }
}
