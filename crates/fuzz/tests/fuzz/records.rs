//! Records of `commands` and `ledger`: protobuf.

use std::hint::black_box;

use prost::Message as _;
use tollbooth_fuzz::fuzz;
use tollbooth_ledger::{Overlay, State};
use tollbooth_meter::sink::rows::Rows;
use tollbooth_meter::sink::wire::{self, Record};
use tollbooth_schemas::v1::{Command, LedgerRecord};

use crate::examples::{commands, ledger_record, outbox_records, replies};
use crate::world::{World, record};

/// Field tags and lengths that lead somewhere else.
const WORDS: &[&str] = &["\u{0}", "\u{1}", "\u{a}\u{8}acc_luna", "\u{7f}", "\u{8}\u{1}", "\"\u{0}", "z\u{0}", "*\u{0}"];

#[test]
fn a_command_is_carried_out_once_whatever_it_says() {
    let world = World::new();
    let seeds = commands().iter().map(prost::Message::encode_to_vec).collect();
    fuzz("command", seeds, WORDS, |bytes| {
        let Ok(command) = Command::decode(bytes) else { return };
        // The worker takes no command that names no account or has no key.
        if command.account_id.is_empty() || command.idempotency_key.is_empty() {
            return;
        }
        let mut overlay = Overlay::new(&world.state);
        let posted = world.carry_out(&mut overlay, &command);
        if posted.is_empty() {
            return;
        }
        // then its repeat posts nothing, and the sink reads what it posted
        assert_eq!(world.carry_out(&mut overlay, &command), []);
        let mut rows = Rows::default();
        let count = posted.len();
        rows.push_record(0, &record(&command.account_id, posted).encode_to_vec()).expect("the meter wrote it");
        assert_eq!(rows.len(), count);
        // and the state that it leaves contradicts itself in nothing
        let delta = overlay.into_delta();
        let mut after = World::new().state;
        after.merge(delta);
        assert_eq!(after.audit(), Ok(()));
    });
}

/// Every entry of the examples in a record of its own: one that is broken hides no other.
fn ledger_seeds() -> Vec<Vec<u8>> {
    let whole = ledger_record();
    let single = |entry| LedgerRecord { entries: vec![entry], ..whole.clone() }.encode_to_vec();
    let mut seeds: Vec<Vec<u8>> = whole.entries.iter().cloned().map(single).collect();
    seeds.push(whole.encode_to_vec());
    seeds
}

#[test]
fn the_sink_reads_a_ledger_record_as_the_meter_does() {
    fuzz("ledger", ledger_seeds(), WORDS, |bytes| {
        // Nothing of it may panic, whatever the bytes are.
        let mut rows = Rows::default();
        let outlined = wire::outline(bytes);
        let pushed = rows.push_record(0, bytes);
        let Ok(record) = LedgerRecord::decode(bytes) else { return };
        // A message whose parts stand once each, in order: of doubled ones protobuf lets a reader take the last.
        if record.encode_to_vec() != bytes {
            return;
        }
        // then both find the same entries
        let outline = outlined.expect("both take it for a message");
        assert_eq!((outline.rows, outline.posted_at_ms), (record.entries.len(), record.posted_at_ms));
        assert_eq!(outline.account_id_bytes, record.account_id.len());
        let are_known = record.entries.iter().all(|entry| entry.entry_type().is_some());
        assert!(are_known || pushed.is_err(), "a kind that is not known stops the reader");
        if pushed.is_ok() {
            let mut found = Vec::new();
            let read = Record::parse(bytes).unwrap();
            read.entries(|entry| found.push((entry.seq, entry.amount_micros, entry.balance_after_micros))).unwrap();
            let expected =
                record.entries.iter().map(|entry| (entry.seq, entry.amount_micros, entry.balance_after_micros));
            assert_eq!((read.account_id, found), (record.account_id.as_str(), expected.collect::<Vec<_>>()));
            assert_eq!(rows.len(), record.entries.len());
        }
    });
}

#[test]
fn a_ledger_record_is_folded_or_refused() {
    let limits = World::new().limits;
    let example = ledger_record();
    fuzz("ledger", ledger_seeds(), WORDS, |bytes| {
        let Ok(record) = LedgerRecord::decode(bytes) else { return };
        let first = record.entries.first().map_or(0, |entry| entry.seq);
        let before = example.entries.iter().filter(|entry| entry.seq < first).cloned().collect();
        let before = LedgerRecord { account_id: record.account_id.clone(), entries: before, ..example.clone() };
        let mut state = State::new(&limits);
        state.keep_changes();
        black_box([state.fold(&before).is_ok(), state.fold(&record).is_ok()]);
        // What it comes to can be written out.
        black_box(state.changes());
    });
}

#[test]
fn every_message_comes_back_as_it_went() {
    fn round<M: prost::Message + Default + PartialEq>(bytes: &[u8]) {
        let Ok(message) = M::decode(bytes) else { return };
        let printed = message.encode_to_vec();
        assert_eq!(printed.len(), message.encoded_len());
        assert!(M::decode(printed.as_slice()).is_ok_and(|again| again == message));
    }
    let mut seeds = ledger_seeds();
    seeds.extend(commands().iter().map(prost::Message::encode_to_vec));
    seeds.extend(replies().iter().map(prost::Message::encode_to_vec));
    seeds.extend(outbox_records().iter().map(prost::Message::encode_to_vec));
    fuzz("message", seeds, WORDS, |bytes| {
        round::<LedgerRecord>(bytes);
        round::<Command>(bytes);
        round::<tollbooth_schemas::v1::Reply>(bytes);
        round::<tollbooth_schemas::v1::OutboxRecord>(bytes);
    });
}
