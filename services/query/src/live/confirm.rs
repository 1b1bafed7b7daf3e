//! Knowing how current the view is.
//!
//! A thread of its own asks the broker for the end of every partition; when the tail has read that far, everything
//! committed before the question is in the view. The tail itself never waits for such an answer.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::BaseConsumer;
use tollbooth_chassis::kafka::{self, LogContext};
use tollbooth_chassis::shutdown::Shutdown;

use crate::clock::now_ms;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a partition that gave no answer is left alone.
const SILENCE: Duration = Duration::from_secs(2);
/// Events looked at before a round: librdkafka's log lines wait in a queue that nobody else empties.
const EVENTS_MAX: usize = 8;

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
        let mut round = Round::new(ends);
        while !shutdown.is_triggered() {
            for _ in 0..EVENTS_MAX {
                drop(consumer.poll(Duration::ZERO));
            }
            round.ask(
                Instant::now(),
                |number| match kafka::ends(&consumer, &topic, number, ANSWER_TIMEOUT) {
                    Ok((_, high)) => Some(high),
                    Err(error) => {
                        tracing::debug!(partition = number, %error, "the end of the partition is not known");
                        None
                    }
                },
                || shutdown.is_triggered(),
            );
            if shutdown.wait_blocking(interval) {
                break;
            }
        }
    })
}

/// One question a partition.
#[derive(Debug)]
struct Round {
    ends: Ends,
    /// Partitions that gave no answer, and when they are asked again.
    silent_until: Vec<Option<Instant>>,
}

impl Round {
    fn new(ends: Ends) -> Self {
        let partitions = ends.get().len();
        Self { ends, silent_until: vec![None; partitions] }
    }

    /// Asks every partition; one without an answer, which costs [`ANSWER_TIMEOUT`], keeps no other from being confirmed.
    fn ask(&mut self, now: Instant, end_of: impl Fn(i32) -> Option<i64>, is_over: impl Fn() -> bool) {
        for ((partition, number), silent_until) in (0..).zip(0_i32..).zip(&mut self.silent_until) {
            if silent_until.is_some_and(|until| now < until) {
                continue;
            }
            if is_over() {
                return;
            }
            // Taken before asking: what is confirmed must hold for the moment of the question.
            let asked_at_ms = now_ms();
            let high = end_of(number);
            *silent_until = if high.is_none() { Some(now + SILENCE) } else { None };
            if let Some(high) = high {
                self.ends.told(partition, high, asked_at_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_partition_without_an_answer_keeps_no_other_from_being_confirmed() {
        let ends = Ends::new(3);
        let mut round = Round::new(ends.clone());
        let asked = RefCell::new(Vec::new());
        let ask = |number: i32| {
            asked.borrow_mut().push(number);
            (number != 1).then_some(7)
        };
        let start = Instant::now();

        round.ask(start, ask, || false);
        let goals: Vec<bool> = ends.get().iter().map(|end| end.goal.is_some()).collect();
        assert_eq!((goals, asked.take()), (vec![true, false, true], vec![0, 1, 2]));

        // It is left alone for a while, so that the others are asked at their pace.
        round.ask(start + SILENCE / 2, ask, || false);
        assert_eq!(asked.take(), [0, 2]);
        round.ask(start + SILENCE, ask, || false);
        assert_eq!(asked.take(), [0, 1, 2]);
    }

    #[test]
    fn a_round_ends_with_the_process() {
        let mut round = Round::new(Ends::new(3));
        round.ask(Instant::now(), |_| unreachable!("nothing is asked any more"), || true);
    }
}
