//! What a block may hold.

use prost::Message;
use tollbooth_meter::sink::SinkError;
use tollbooth_meter::sink::block::{Block, BlockLimits, Queue};
use tollbooth_schemas::v1;

use super::harness::{NOON, World, account, opened, usage};

const LIMITS: BlockLimits = BlockLimits { rows: 50_000, bytes: 32 << 20 };

/// An account whose entries are as wide as texts make them.
fn wide(index: usize) -> v1::LedgerRecord {
    let mut record = account(&format!("acc_{index:060}"), NOON, 0);
    let mut balance = 0;
    for seq in 2..=100 {
        let mut entry = usage(seq, &mut balance, NOON);
        if let Some(v1::entry::Kind::Usage(usage)) = &mut entry.kind {
            usage.operation_id = format!("op_{index}_{seq}_{}", "o".repeat(100));
            usage.error_code = "e".repeat(2_000);
        }
        record.entries.push(entry);
    }
    record
}

/// An account whose entries have nothing but numbers.
fn narrow(index: usize) -> v1::LedgerRecord {
    let mut record = account(&format!("acc_{index:060}"), NOON, 0);
    record.entries = vec![opened("")];
    let mut balance = 0;
    record.entries.extend((2..=1_000).map(|seq| {
        let mut entry = usage(seq, &mut balance, NOON);
        entry.kind = Some(v1::entry::Kind::Adjustment(v1::Adjustment::default()));
        entry
    }));
    record
}

fn blocks_of(records: impl Iterator<Item = v1::LedgerRecord>, limits: BlockLimits) -> Vec<Block> {
    let mut queue = Queue::new("cluster", "ledger", &[0]);
    for (offset, record) in (0..).zip(records) {
        queue.push(0, offset, &record.encode_to_vec()).unwrap();
    }
    std::iter::from_fn(|| queue.cut(limits).unwrap()).collect()
}

#[test]
fn a_block_ends_before_it_is_too_large() {
    // given more than 64 MiB of wide entries, in far fewer rows than a block may have
    let world = World::new("wide", 1);
    world.migrate();
    world.query("SYSTEM STOP MERGES {db}.ledger");
    let records = 310;
    let blocks = blocks_of((0..records).map(wide), LIMITS);

    // then there are several, each nearly full and none beyond the limit
    assert!(blocks.len() >= 3, "{} blocks", blocks.len());
    for (index, block) in blocks.iter().enumerate() {
        let bytes = block.body.len();
        assert!(bytes <= LIMITS.bytes, "block {index} has {bytes} bytes");
        assert!(bytes > LIMITS.bytes / 2 || index + 1 == blocks.len(), "block {index} has only {bytes} bytes");
        assert!(block.rows < 50_000);
    }

    // and each is one part of the table, with nothing lost between them
    let store = world.store();
    for block in &blocks {
        world.runtime.block_on(store.insert_block(&block.token, block.body.clone())).unwrap();
    }
    let parts = "SELECT uniqExact(_part) FROM {db}.ledger";
    assert_eq!(world.count(parts), blocks.len() as u64);
    world.assert_exact(100 * records as u64);
}

#[test]
fn what_a_body_will_take_is_never_guessed_too_low() {
    // given limits that only the guess can hit, for entries of either kind
    for bytes in [200_000, 1_000_000, 5_000_000] {
        let limits = BlockLimits { rows: usize::MAX, bytes };
        let small: Vec<_> = (0..2_000).map(|index| account(&format!("acc_{index}"), NOON, 5)).collect();
        let blocks = blocks_of(small.into_iter(), limits).into_iter().chain(blocks_of((0..60).map(narrow), limits));
        for (index, block) in blocks.enumerate() {
            // One record that is larger than a block goes alone.
            let is_one = block.ranges[0].end - block.ranges[0].begin == 1;
            assert!(is_one || block.body.len() <= bytes, "block {index} of {} bytes, limit {bytes}", block.body.len());
        }
    }
}

#[test]
fn a_record_that_comes_again_is_no_part_of_a_block() {
    // given a queue that begins at 5, with records 5 and 7
    let mut queue = Queue::new("cluster", "ledger", &[5]);
    let bytes = account("acc_a", NOON, 1).encode_to_vec();
    queue.push(0, 5, &bytes).unwrap();
    queue.push(0, 7, &bytes).unwrap();

    // when one comes that was there, lies between, or lies before
    for offset in [7, 6, 5, 4] {
        let refused = queue.push(0, offset, &bytes);
        assert!(matches!(refused, Err(SinkError::Contradiction(_))), "{offset}: {refused:?}");
    }

    // then the block has each once, and what is in a block does not come again either
    assert_eq!(queue.rows(), 4);
    let block = queue.cut(LIMITS).unwrap().unwrap();
    assert_eq!((block.rows, block.ranges[0].begin, block.ranges[0].end), (4, 5, 8));
    assert!(matches!(queue.push(0, 7, &bytes), Err(SinkError::Contradiction(_))));
    queue.push(0, 8, &bytes).unwrap();
}

fn varint(bytes: &mut &[u8]) -> usize {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let (number, rest) = bytes.split_at(end + 1);
    *bytes = rest;
    number.iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f))
}

fn text(bytes: &mut &[u8]) -> String {
    let length = varint(bytes);
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).unwrap()
}

/// The first two columns of a body in the format `Native`: accounts, and the numbers of their entries.
fn entries_of(mut body: &[u8]) -> Vec<(String, u64)> {
    let bytes = &mut body;
    let (_columns, rows) = (varint(bytes), varint(bytes));
    assert_eq!((text(bytes), text(bytes)), ("account_id".to_owned(), "String".to_owned()));
    let accounts: Vec<String> = (0..rows).map(|_| text(bytes)).collect();
    assert_eq!((text(bytes), text(bytes)), ("seq".to_owned(), "UInt64".to_owned()));
    let numbers = bytes.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().unwrap()));
    accounts.into_iter().zip(numbers).collect()
}

#[test]
fn a_block_lies_in_the_order_of_the_table_whatever_order_its_records_came_in() {
    // given accounts of two partitions, each with two records, in no order
    let mut queue = Queue::new("cluster", "ledger", &[0, 0]);
    for (offset, ids) in (0..).zip([["acc_c", "acc_d"], ["acc_a", "acc_b"], ["acc_c", "acc_b"], ["acc_a", "acc_d"]]) {
        for (partition, id) in (0..).zip(ids) {
            let mut record = account(id, NOON + offset, 2);
            let is_later = offset > 1;
            for entry in &mut record.entries {
                entry.seq += if is_later { 3 } else { 0 };
            }
            queue.push(partition, offset, &record.encode_to_vec()).unwrap();
        }
    }

    // when a block is made of them
    let block = queue.cut(LIMITS).unwrap().unwrap();

    // then the server has nothing to sort
    let expected: Vec<(String, u64)> =
        ["acc_a", "acc_b", "acc_c", "acc_d"].iter().flat_map(|id| (1..=6).map(|seq| ((*id).to_owned(), seq))).collect();
    assert_eq!(entries_of(&block.body), expected);
}

#[test]
fn the_fullest_block_is_of_the_month_of_which_most_waits_and_leaves_nothing_out() {
    // given a partition that is a month behind the others, with one record so far
    let (july, august) = (NOON - 4 * 31 * 86_400_000, NOON - 3 * 31 * 86_400_000);
    let mut queue = Queue::new("cluster", "ledger", &[0, 0, 0]);
    let push = |queue: &mut Queue, partition, offset, posted_at_ms: i64| {
        let record = account(&format!("acc_{partition}_{offset}"), posted_at_ms + offset, 1);
        queue.push(partition, offset, &record.encode_to_vec()).unwrap();
    };
    push(&mut queue, 0, 0, july);
    for offset in 0..3 {
        push(&mut queue, 1, offset, august);
        push(&mut queue, 2, offset, if offset < 2 { august } else { NOON });
    }
    let ends = |block: &Block| block.ranges.iter().map(|range| (range.begin, range.end)).collect::<Vec<_>>();

    // when blocks are made as for a database that nobody reads yet, then the first is of the others' month
    let first = queue.cut_fullest(LIMITS).unwrap().unwrap();
    assert_eq!((ends(&first), first.rows), (vec![(0, 0), (0, 3), (0, 2)], 10));
    // and it goes on where the others are until the partition has caught up, the oldest month first where there is as much
    let second = queue.cut_fullest(LIMITS).unwrap().unwrap();
    assert_eq!((ends(&second), second.rows), (vec![(0, 1), (3, 3), (2, 2)], 2));
    let third = queue.cut_fullest(LIMITS).unwrap().unwrap();
    assert_eq!((ends(&third), third.rows), (vec![(1, 1), (3, 3), (2, 3)], 2));
    assert!(queue.cut_fullest(LIMITS).unwrap().is_none());
    assert!(queue.is_empty() && queue.rows() == 0);
}
