//! Entries counted and amounts summed, by partition of the ledger. Pure.

use prost::Message as _;

/// Of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Entries.
    pub(super) entries: u64,
    /// Sum of their amounts, in millionths.
    pub(super) micros: i128,
}

impl Totals {
    /// How far two are apart: entries, and millionths.
    pub(super) const fn apart(self, other: Self) -> (u64, u128) {
        (self.entries.abs_diff(other.entries), self.micros.abs_diff(other.micros))
    }
}

/// As much of a ledger record as is summed: the watch reads it by a decoder that is not the one which makes the rows.
#[derive(Clone, PartialEq, prost::Message)]
struct Amounts {
    #[prost(message, repeated, tag = "4")]
    entries: Vec<Amount>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Amount {
    #[prost(sint64, tag = "2")]
    micros: i64,
}

/// What has been read of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// Every record before it.
    pub(super) next: i64,
    pub(super) totals: Totals,
}

impl Read {
    /// Takes a record in, unless it was before or lies at or beyond `end`; its entries.
    pub(super) fn take(&mut self, offset: i64, end: i64, record: &[u8]) -> Result<u64, prost::DecodeError> {
        if offset < self.next || offset >= end {
            return Ok(0);
        }
        let entries = Amounts::decode(record)?.entries;
        let count = entries.len() as u64;
        self.totals.entries = self.totals.entries.saturating_add(count);
        self.totals.micros = entries.iter().fold(self.totals.micros, |sum, entry| sum + i128::from(entry.micros));
        self.next = offset + 1;
        Ok(count)
    }

    /// As far as it may be believed beside tables that end at `end`: one that goes beyond is of other tables.
    pub(super) fn within(self, end: i64) -> Self {
        if self.next > end { Self::default() } else { self }
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::v1;

    use super::*;

    fn record(amounts: &[i64]) -> Vec<u8> {
        let entry = |(index, amount): (usize, &i64)| v1::Entry {
            seq: index as u64 + 1,
            amount_micros: *amount,
            balance_after_micros: 7,
            occurred_at_ms: 5,
            ..v1::Entry::default()
        };
        let entries = amounts.iter().enumerate().map(entry).collect();
        let record = v1::LedgerRecord { account_id: "acc_a".to_owned(), posted_at_ms: 9, input_generation: 1, entries };
        record.encode_to_vec()
    }

    #[test]
    fn each_record_before_the_end_counts_once() {
        // given nothing read
        let mut read = Read::default();

        // when records come, with gaps as of markers, one again, and one beyond the end
        assert_eq!(read.take(2, 9, &record(&[10_000_000, -240_000])), Ok(2));
        assert_eq!(read.take(2, 9, &record(&[10_000_000, -240_000])), Ok(0));
        assert_eq!(read.take(8, 9, &record(&[0, -1, -2])), Ok(3));
        assert_eq!(read.take(9, 9, &record(&[1])), Ok(0));

        // then
        assert_eq!(read, Read { next: 9, totals: Totals { entries: 5, micros: 9_759_997 } });
        assert_eq!(read.totals.apart(Totals { entries: 7, micros: -3 }), (2, 9_760_000));
        assert!(read.take(10, 11, &[0x22, 0x05]).is_err());
    }

    #[test]
    fn what_was_read_of_other_tables_is_read_again() {
        let read = Read { next: 9, totals: Totals { entries: 5, micros: 1 } };
        assert_eq!((read.within(9), read.within(8)), (read, Read::default()));
    }
}
