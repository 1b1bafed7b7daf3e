//! What is kept of answers, small: columns of varints and texts, compressed. Beside the tree that it is while it is carried
//! forward, or the text as it is sent, it takes about a tenth.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use prost::Message;

use super::carried::{Carried, Line};

/// What tells a question from others.
pub(super) type Fingerprint = (u64, u64);

/// The lines of sums, column by column, each as many as there are lines.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Columns {
    /// The keys that occur.
    #[prost(string, repeated, tag = "1")]
    pub(super) keys: Vec<String>,
    /// How much later than the one before a line's bucket starts.
    #[prost(sint64, repeated, tag = "2")]
    later_ms: Vec<i64>,
    /// Which of `keys`.
    #[prost(uint32, repeated, tag = "3")]
    key_numbers: Vec<u32>,
    #[prost(sint64, repeated, tag = "4")]
    succeeded: Vec<i64>,
    #[prost(sint64, repeated, tag = "5")]
    failures: Vec<i64>,
    #[prost(sint64, repeated, tag = "6")]
    quantity_micros: Vec<i64>,
    #[prost(sint64, repeated, tag = "7")]
    spent_micros: Vec<i64>,
    #[prost(sint64, repeated, tag = "8")]
    cost_micros: Vec<i64>,
}

impl Columns {
    pub(super) fn of(carried: &Carried) -> Option<Self> {
        let mut columns = Self::default();
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let mut before_ms = 0;
        for (start_ms, groups) in &carried.lines {
            for (key, line) in groups {
                let next = u32::try_from(numbers.len()).ok()?;
                let number = *numbers.entry(key).or_insert_with(|| {
                    columns.keys.push(key.to_string());
                    next
                });
                columns.push(start_ms.wrapping_sub(before_ms), number, line)?;
                before_ms = *start_ms;
            }
        }
        Some(columns)
    }

    /// A line whose bucket starts so much later than that of the one before; `None` where a sum is beyond what is kept of one.
    pub(super) fn push(&mut self, later_ms: i64, key_number: u32, line: &Line) -> Option<()> {
        let [quantity_micros, spent_micros, cost_micros] =
            [line.quantity_micros, line.spent_micros, line.cost_micros].map(|sum| i64::try_from(sum).ok());
        self.later_ms.push(later_ms);
        self.key_numbers.push(key_number);
        self.succeeded.push(line.succeeded);
        self.failures.push(line.failures);
        self.quantity_micros.push(quantity_micros?);
        self.spent_micros.push(spent_micros?);
        self.cost_micros.push(cost_micros?);
        Some(())
    }

    /// Start, number of the key and sums of each line; none behind one that is not whole, which does not happen.
    pub(super) fn lines(&self) -> impl Iterator<Item = (i64, usize, Line)> {
        let mut start_ms = 0_i64;
        self.later_ms.iter().enumerate().map_while(move |(index, later_ms)| {
            start_ms = start_ms.wrapping_add(*later_ms);
            let line = Line {
                succeeded: *self.succeeded.get(index)?,
                failures: *self.failures.get(index)?,
                quantity_micros: (*self.quantity_micros.get(index)?).into(),
                spent_micros: (*self.spent_micros.get(index)?).into(),
                cost_micros: (*self.cost_micros.get(index)?).into(),
            };
            Some((start_ms, usize::try_from(*self.key_numbers.get(index)?).ok()?, line))
        })
    }

    pub(super) fn pack(&self) -> Box<[u8]> {
        compress_prepend_size(&self.encode_to_vec()).into()
    }

    /// `None` does not happen: it was packed here.
    pub(super) fn open(packed: &[u8]) -> Option<Self> {
        Self::decode(&*decompress_size_prepended(packed).ok()?).ok()
    }
}

/// The sums of a question, as of an entry.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) fingerprint: Fingerprint,
    pub(super) asked_at: Instant,
    pub(super) seq: u64,
    columns: Box<[u8]>,
}

impl Packed {
    pub(super) fn of(carried: &Carried, fingerprint: Fingerprint) -> Option<Self> {
        let columns = Columns::of(carried)?.pack();
        Some(Self { fingerprint, asked_at: carried.asked_at, seq: carried.seq, columns })
    }

    /// `None` does not happen: it was packed here.
    pub(super) fn open(&self) -> Option<Carried> {
        let columns = Columns::open(&self.columns)?;
        let mut carried = Carried { asked_at: self.asked_at, seq: self.seq, lines: BTreeMap::new() };
        for (start_ms, number, line) in columns.lines() {
            carried.add(start_ms, columns.keys.get(number)?, &line);
        }
        Some(carried)
    }

    /// What it costs in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.columns.len()
    }
}

/// A text as it is sent.
#[derive(Debug)]
pub(super) struct PackedText(Box<[u8]>);

impl PackedText {
    pub(super) fn of(text: &[u8]) -> Self {
        Self(compress_prepend_size(text).into())
    }

    /// `None` does not happen: it was packed here.
    pub(super) fn open(&self) -> Option<Bytes> {
        decompress_size_prepended(&self.0).ok().map(Bytes::from)
    }

    /// What it costs in memory.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line() -> impl Strategy<Value = Line> {
        (any::<(i64, i64)>(), any::<(i64, i64, i64)>()).prop_map(|((succeeded, failures), (quantity, spent, cost))| {
            Line {
                succeeded,
                failures,
                quantity_micros: quantity.into(),
                spent_micros: spent.into(),
                cost_micros: cost.into(),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_it_was(
            lines in prop::collection::vec((any::<i64>(), "[a-c\u{0}]{0,3}", line()), 0..50),
            text in ".*",
        ) {
            let mut carried = Carried { asked_at: Instant::now(), seq: 7, lines: BTreeMap::new() };
            for (start_ms, key, line) in &lines {
                carried.lines.entry(*start_ms).or_default().insert(key.as_str().into(), *line);
            }
            prop_assert_eq!(Packed::of(&carried, (1, 2)).unwrap().open(), Some(carried));
            prop_assert_eq!(PackedText::of(text.as_bytes()).open(), Some(Bytes::from(text)));
        }
    }

    #[test]
    fn a_month_of_sums_takes_a_tenth_of_its_tree() {
        // given a month by day of eight engines, as a busy account has it
        let mut carried = Carried { asked_at: Instant::now(), seq: 7, lines: BTreeMap::new() };
        for (day, engine) in (0..30).flat_map(|day| (0..8).map(move |engine| (day, engine))) {
            let count = 20 + (day * 7 + engine * 3) % 11;
            let line = Line { succeeded: count, spent_micros: i128::from(count) * 240_000, ..Line::default() };
            carried.add(day * 86_400_000, &format!("engine_{engine}"), &line);
        }
        // then it is kept in a tenth of the 160 bytes that a line takes in a tree
        let bytes = Packed::of(&carried, (1, 2)).unwrap().bytes();
        assert!(bytes < 240 * 16, "{bytes}");
    }

    #[test]
    fn a_sum_beyond_what_is_kept_is_not_kept() {
        let mut carried = Carried { asked_at: Instant::now(), seq: 7, lines: BTreeMap::new() };
        carried.add(0, "", &Line { spent_micros: i128::from(i64::MAX) + 1, ..Line::default() });
        assert!(Packed::of(&carried, (1, 2)).is_none());
    }
}
