//! Who waits for which acknowledgements.
//!
//! A request that sends records opens one receipt. Every record carries the receipt's slot and its own index within the
//! request through librdkafka as one integer, so that a record costs no allocation. The receipt is settled when each of
//! its records was acknowledged, failed, or was never queued.

use std::time::Instant;

use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::oneshot;

use super::Topic;
use crate::metrics::IngestMetrics;

const INDEX_BITS: u32 = 16;

/// What became of a request's records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Records that are not acknowledged, by their index in the request.
    pub(crate) failed: Vec<(u16, RDKafkaErrorCode)>,
    /// Offset of the record acknowledged last.
    pub(crate) offset: i64,
}

/// The opaque value of a record: slot and index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) index: u16,
}

impl Ticket {
    pub(crate) fn encode(self) -> usize {
        (self.slot as usize) << INDEX_BITS | usize::from(self.index)
    }

    #[allow(clippy::cast_possible_truncation)] // Both halves were put in by `encode`.
    pub(crate) fn decode(opaque: usize) -> Self {
        Self { slot: (opaque >> INDEX_BITS) as u32, index: (opaque & usize::from(u16::MAX)) as u16 }
    }
}

#[derive(Debug)]
struct Receipt {
    left: usize,
    delivered: Delivered,
    waiter: oneshot::Sender<Delivered>,
    topic: Topic,
    opened: Instant,
}

#[derive(Debug, Default)]
struct Slots {
    receipts: Vec<Option<Receipt>>,
    free: Vec<u32>,
}

/// All open receipts. Their number is bounded by the requests and records under way.
#[derive(Debug)]
pub(crate) struct Receipts {
    slots: Mutex<Slots>,
    metrics: IngestMetrics,
}

impl Receipts {
    pub(crate) fn new(metrics: IngestMetrics) -> Self {
        Self { slots: Mutex::default(), metrics }
    }

    /// Opens a receipt for `records` records (1 or more).
    pub(crate) fn open(&self, topic: Topic, records: usize) -> (u32, oneshot::Receiver<Delivered>) {
        let (waiter, receiver) = oneshot::channel();
        let delivered = Delivered { failed: Vec::new(), offset: -1 };
        let receipt = Receipt { left: records, delivered, waiter, topic, opened: Instant::now() };
        let mut slots = self.slots.lock();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => {
                slots.receipts.push(None);
                u32::try_from(slots.receipts.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = slots.receipts.get_mut(slot as usize) {
            *place = Some(receipt);
        }
        (slot, receiver)
    }

    /// One record was acknowledged or failed.
    pub(crate) fn settle(&self, ticket: Ticket, outcome: Result<i64, RDKafkaErrorCode>) {
        self.close(ticket.slot, 1, |delivered| match outcome {
            Ok(offset) => delivered.offset = delivered.offset.max(offset),
            Err(code) => delivered.failed.push((ticket.index, code)),
        });
    }

    /// `records` of the receipt were never queued; the sender knows why.
    pub(crate) fn withdraw(&self, slot: u32, records: usize) {
        self.close(slot, records, |_| {});
    }

    fn close(&self, slot: u32, records: usize, note: impl FnOnce(&mut Delivered)) {
        let mut slots = self.slots.lock();
        let Some(place) = slots.receipts.get_mut(slot as usize) else { return };
        let Some(receipt) = place else { return };
        note(&mut receipt.delivered);
        receipt.left = receipt.left.saturating_sub(records);
        if receipt.left > 0 {
            return;
        }
        let settled = place.take();
        slots.free.push(slot);
        drop(slots);
        if let Some(Receipt { delivered, waiter, topic, opened, .. }) = settled {
            self.metrics.produced(topic, opened.elapsed(), delivered.failed.len());
            if waiter.send(delivered).is_err() {
                tracing::debug!("the client left before its acknowledgement");
            }
        }
    }

    #[cfg(test)]
    fn open_count(&self) -> usize {
        self.slots.lock().receipts.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts() -> Receipts {
        let metrics = IngestMetrics::register(&prometheus::Registry::new(), |topic| format!("{topic:?}")).unwrap();
        Receipts::new(metrics)
    }

    #[test]
    fn a_ticket_survives_the_way_through_librdkafka() {
        for ticket in [Ticket { slot: 0, index: 0 }, Ticket { slot: 70_000, index: u16::MAX }] {
            assert_eq!(Ticket::decode(ticket.encode()), ticket);
        }
    }

    #[test]
    fn a_receipt_is_settled_by_its_last_record_and_names_the_failed_ones() {
        let receipts = receipts();
        let (slot, mut delivered) = receipts.open(Topic::Usage, 4);
        receipts.settle(Ticket { slot, index: 0 }, Ok(41));
        receipts.settle(Ticket { slot, index: 2 }, Err(RDKafkaErrorCode::MessageTimedOut));
        receipts.settle(Ticket { slot, index: 1 }, Ok(40));
        assert!(delivered.try_recv().is_err());
        receipts.withdraw(slot, 1);
        let expected = Delivered { failed: vec![(2, RDKafkaErrorCode::MessageTimedOut)], offset: 41 };
        assert_eq!(delivered.try_recv(), Ok(expected));
        assert_eq!(receipts.open_count(), 0);
    }

    #[test]
    fn a_slot_is_used_again_and_nobody_needs_to_wait() {
        let receipts = receipts();
        let (first, delivered) = receipts.open(Topic::Usage, 1);
        drop(delivered);
        receipts.settle(Ticket { slot: first, index: 0 }, Ok(1));
        let (second, _delivered) = receipts.open(Topic::Commands, 1);
        assert_eq!(first, second);
        assert_eq!(receipts.open_count(), 1);
    }
}
