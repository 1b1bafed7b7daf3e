//! Knowing how current the view is.
//!
//! A thread of its own asks the broker for the end of every partition; when the tail has read that far, everything
//! committed before the question is in the view. The tail itself never waits for such an answer.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tollbooth_chassis::kafka::LogContext;
use tollbooth_chassis::shutdown::Shutdown;

use crate::clock::now_ms;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of the end of one partition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct End {
    /// Offset after the last committed record, as last told.
    pub(super) high: i64,
    /// The oldest question not confirmed yet: its answer and when it was asked.
    pub(super) goal: Option<(i64, i64)>,
}

/// The ends of all partitions, shared between the thread that asks and the one that reads.
#[derive(Debug, Clone)]
pub(super) struct Ends(Arc<Mutex<Vec<End>>>);

impl Ends {
    pub(super) fn new(partitions: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![End::default(); partitions])))
    }

    pub(super) fn get(&self) -> Vec<End> {
        self.0.lock().clone()
    }

    /// The goal of a partition was reached.
    pub(super) fn reached(&self, partition: usize) {
        if let Some(end) = self.0.lock().get_mut(partition) {
            end.goal = None;
        }
    }

    fn told(&self, partition: usize, high: i64, asked_at_ms: i64) {
        if let Some(end) = self.0.lock().get_mut(partition) {
            end.high = high;
            end.goal.get_or_insert((high, asked_at_ms));
        }
    }
}

/// Asks for all ends, again and again, until `shutdown`.
pub(super) fn spawn(
    consumer: BaseConsumer<LogContext>,
    topic: String,
    ends: Ends,
    interval: Duration,
    shutdown: Shutdown,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("live-confirm".to_owned()).spawn(move || {
        let partitions = ends.get().len();
        while !shutdown.is_triggered() {
            for (partition, number) in (0..partitions).zip(0_i32..) {
                // Taken before asking: what is confirmed must hold for the moment of the question.
                let asked_at_ms = now_ms();
                match consumer.fetch_watermarks(&topic, number, ANSWER_TIMEOUT) {
                    Ok((_, high)) => ends.told(partition, high, asked_at_ms),
                    Err(error) => {
                        tracing::debug!(partition, %error, "the end of the partition is not known");
                        break;
                    }
                }
            }
            if shutdown.wait_blocking(interval) {
                break;
            }
        }
    })
}
