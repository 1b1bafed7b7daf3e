//! Ledger records put together while a batch is decided: entries are encoded once, as they are posted, and not kept.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry as Place};
use prost::Message as _;
use tollbooth_schemas::{
    ledger::{RECORD_BYTES_MAX, RECORD_ENTRIES_MAX},
    v1::{Entry, LedgerRecord},
};

/// Room for a record's own fields beside its entries.
const OVERHEAD_BYTES: usize = 256;

/// Encoded entries of one account that fit one record.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    entries: usize,
}

/// Of one account: nearly always one chunk.
struct AccountRecords {
    account_id: Box<str>,
    /// Those that are full.
    full: Vec<Chunk>,
    open: Chunk,
}

/// Records of one batch, one or more an account, in the order of each account's first entry.
#[derive(Default)]
pub(super) struct Records {
    accounts: Vec<AccountRecords>,
    /// Where in `accounts` an account is, by its id.
    index: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// Encodes one entry at a time, without an allocation each.
    scratch: LedgerRecord,
    encoded: Vec<u8>,
}

impl Records {
    /// Adds an entry to its account's record, or begins the next one where the bounds are reached.
    pub(super) fn push(&mut self, account_id: &str, entry: Entry) {
        // A record with nothing but this entry: by the wire format's rules, encodings of one message that are put one
        // after the other are the merged message.
        self.scratch.entries.push(entry);
        self.encoded.clear();
        if self.scratch.encode(&mut self.encoded).is_err() {
            // A vector has room; the only error there is does not occur.
            tracing::error!("an entry could not be encoded");
        }
        self.scratch.entries.clear();
        let index = self.account(account_id);
        let AccountRecords { full, open, .. } = &mut self.accounts[index];
        let length = open.bytes.len();
        let beyond = length + self.encoded.len() + OVERHEAD_BYTES > RECORD_BYTES_MAX;
        if open.entries > 0 && (open.entries == RECORD_ENTRIES_MAX || beyond) {
            // The next record of an account is about as long as the one before.
            full.push(std::mem::replace(open, Chunk { bytes: Vec::with_capacity(length), entries: 0 }));
        }
        open.bytes.extend_from_slice(&self.encoded);
        open.entries += 1;
    }

    fn account(&mut self, account_id: &str) -> usize {
        let Self { accounts, index, hasher, .. } = self;
        let is_it = |known: &usize| &*accounts[*known].account_id == account_id;
        let hash_of = |known: &usize| hasher.hash_one(&*accounts[*known].account_id);
        match index.entry(hasher.hash_one(account_id), is_it, hash_of) {
            Place::Occupied(known) => *known.get(),
            Place::Vacant(new) => {
                let at = accounts.len();
                new.insert(at);
                accounts.push(AccountRecords {
                    account_id: account_id.into(),
                    full: Vec::new(),
                    open: Chunk::default(),
                });
                at
            }
        }
    }

    /// Calls `send` with the account and the encoded record, for each record.
    pub(super) fn each<E>(
        &self,
        input_generation: u32,
        posted_at_ms: i64,
        mut send: impl FnMut(&str, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = Vec::new();
        let mut head = LedgerRecord { posted_at_ms, input_generation, ..LedgerRecord::default() };
        for AccountRecords { account_id, full, open } in &self.accounts {
            head.account_id.clear();
            head.account_id.push_str(account_id);
            for chunk in full.iter().chain([open]) {
                bytes.clear();
                if head.encode(&mut bytes).is_err() {
                    // As above.
                    tracing::error!("a record could not be encoded");
                }
                bytes.extend_from_slice(&chunk.bytes);
                send(account_id, &bytes)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::v1::{Usage, entry::Kind};

    use super::*;

    fn entry(seq: u64, operation_bytes: usize) -> Entry {
        let usage = Usage { operation_id: "o".repeat(operation_bytes), ..Usage::default() };
        Entry { seq, amount_micros: -1, kind: Some(Kind::Usage(usage)), ..Entry::default() }
    }

    fn decoded(records: &Records) -> Vec<LedgerRecord> {
        let mut all = Vec::new();
        let sent: Result<(), prost::DecodeError> = records.each(3, 77, |account_id, bytes| {
            assert!(bytes.len() <= RECORD_BYTES_MAX);
            let record = LedgerRecord::decode(bytes)?;
            assert_eq!(record.account_id, account_id);
            all.push(record);
            Ok(())
        });
        sent.unwrap();
        all
    }

    #[test]
    fn a_record_put_together_is_the_record_encoded_whole() {
        let mut records = Records::default();
        for seq in 1..=3 {
            records.push("acc_a", entry(seq, 10));
            records.push("acc_b", entry(seq, 20));
        }
        let whole = |account_id: &str, operation_bytes| LedgerRecord {
            account_id: account_id.to_owned(),
            posted_at_ms: 77,
            input_generation: 3,
            entries: (1..=3).map(|seq| entry(seq, operation_bytes)).collect(),
        };
        assert_eq!(decoded(&records), vec![whole("acc_a", 10), whole("acc_b", 20)]);
    }

    #[test]
    fn records_are_cut_at_their_bounds_and_lose_nothing() {
        for (count, operation_bytes) in [(2_500, 10), (500, 2_000)] {
            let mut records = Records::default();
            (1..=count).for_each(|seq| records.push("acc_a", entry(seq, operation_bytes)));
            let decoded = decoded(&records);
            assert!(decoded.len() > 1 && decoded.iter().all(|record| record.entries.len() <= RECORD_ENTRIES_MAX));
            let seqs: Vec<u64> = decoded.iter().flat_map(|record| &record.entries).map(|entry| entry.seq).collect();
            assert_eq!(seqs, (1..=count).collect::<Vec<_>>());
        }
    }
}
