//! How much room a row takes.

use std::time::Instant;

use prost::Message;
use tollbooth_meter::sink::block::{BlockLimits, Queue};
use tollbooth_schemas::v1;

use super::harness::{NOON, World};

const ROWS: u64 = 400_000;
const ACCOUNTS: u64 = 2_000;
const PARTITIONS: u64 = 8;
/// Entries of one transaction, and the time between two of them.
const TRANSACTION: u64 = 50;
const TRANSACTION_MS: i64 = 500;

/// A small seeded generator (splitmix64, Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn text(&mut self, prefix: &str, letters: usize) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let letter = |_| char::from(ALPHABET[usize::try_from(self.below(62)).unwrap()]);
        format!("{prefix}{}", (0..letters).map(letter).collect::<String>())
    }
}

struct Account {
    id: String,
    seq: u64,
    balance: i64,
    event: String,
    booths: Vec<String>,
    plan: &'static str,
}

/// Service, engine, variant, country, unit and price of the sample price book's mix.
const WORK: [(&str, &str, &str, &str, &str, i64); 6] = [
    ("ai_modify", "nano_banana_2", "1k", "", "image", 240_000),
    ("ai_modify", "gpt_image_2", "", "", "image", 270_000),
    ("sms", "sms_us_ca", "", "US", "segment", 30_000),
    ("ai_combine", "grok_imagine", "", "", "image", 180_000),
    ("ai_image_to_video", "kling", "", "", "second", 240_000),
    ("background_removal", "bg_removal", "", "", "image", 60_000),
];

fn entry(account: &mut Account, chance: &mut Chance, posted_at_ms: i64, source_offset: i64) -> v1::Entry {
    let (service, engine, variant, country, unit, price) = WORK[usize::try_from(chance.below(6)).unwrap()];
    let quantity = if unit == "second" { i64::try_from(5 + chance.below(4)).unwrap() } else { 1 };
    let failed = chance.below(33) == 0;
    let amount_micros = if failed { 0 } else { -price * quantity };
    account.seq += 1;
    account.balance += amount_micros;
    let received_at_ms = posted_at_ms - 10 - i64::try_from(chance.below(60)).unwrap();
    let booth = usize::try_from(chance.below(account.booths.len() as u64)).unwrap();
    if chance.below(400) == 0 {
        account.event = chance.text("evt_", 12);
    }
    let status = if failed { v1::UsageStatus::Failed } else { v1::UsageStatus::Success };
    v1::Entry {
        seq: account.seq,
        amount_micros,
        balance_after_micros: account.balance,
        held_after_micros: 0,
        from_bonus_micros: 0,
        occurred_at_ms: received_at_ms - i64::try_from(20 + chance.below(2_000)).unwrap(),
        source_topic: v1::SourceTopic::Usage.into(),
        source_offset,
        command: None,
        kind: Some(v1::entry::Kind::Usage(v1::Usage {
            status: status.into(),
            operation_id: chance.text("op_", 16),
            attempt: 1,
            service: service.to_owned(),
            engine: engine.to_owned(),
            variant: variant.to_owned(),
            country: country.to_owned(),
            unit: unit.to_owned(),
            quantity_micros: quantity * 1_000_000,
            event_id: account.event.clone(),
            booth_id: account.booths[booth].clone(),
            plan: account.plan.to_owned(),
            price_version: if failed { 0 } else { 3 },
            price_model: v1::PriceModel::PerUnit.into(),
            unit_price_micros: price,
            provider_cost_micros: Some(price * quantity / 3),
            error_code: if failed { "provider_timeout".to_owned() } else { String::new() },
            received_at_ms,
            ..v1::Usage::default()
        })),
    }
}

fn accounts(chance: &mut Chance) -> Vec<Account> {
    let plans = ["payg", "basic", "pro"];
    let account = |index| Account {
        id: chance.text("acc_", 16),
        seq: 1,
        balance: 500_000_000,
        event: chance.text("evt_", 12),
        booths: (0..1 + index % 5).map(|_| chance.text("bth_", 10)).collect(),
        plan: plans[usize::try_from(index % 3).unwrap()],
    };
    (0..ACCOUNTS).map(account).collect()
}

#[test]
fn a_row_takes_at_most_60_bytes() {
    // given a few hours of a busy fleet, with random ids
    let world = World::new("size", 8);
    world.migrate();
    let store = world.store();
    let mut chance = Chance(7);
    let mut accounts = accounts(&mut chance);
    let mut queue = Queue::new("cluster", "ledger", &[0; PARTITIONS as usize]);
    let mut written = 0;
    let (mut encoding, mut inserting) = (0.0, 0.0);
    while written < ROWS {
        let posted_at_ms = NOON + i64::try_from(written / TRANSACTION / PARTITIONS).unwrap() * TRANSACTION_MS;
        let posted_at_ms = posted_at_ms + i64::try_from(chance.below(30)).unwrap();
        // The square makes some accounts much busier than others.
        let draw = chance.below(ACCOUNTS) * chance.below(ACCOUNTS) / ACCOUNTS;
        let account = &mut accounts[usize::try_from(draw).unwrap()];
        let partition = i32::try_from(draw % PARTITIONS).unwrap();
        let entry = entry(account, &mut chance, posted_at_ms, i64::try_from(written / PARTITIONS).unwrap());
        let account_id = account.id.clone();
        let record = v1::LedgerRecord { account_id, posted_at_ms, input_generation: 1, entries: vec![entry] };
        queue.push(partition, i64::try_from(written).unwrap(), &record.encode_to_vec()).unwrap();
        written += 1;
        if queue.rows() == 50_000 || written == ROWS {
            let started = Instant::now();
            let block = queue.cut(BlockLimits { rows: 50_000, bytes: 32 << 20 }).unwrap().unwrap();
            encoding += started.elapsed().as_secs_f64();
            assert_eq!(block.rows, 50_000);
            let started = Instant::now();
            world.runtime.block_on(store.insert_block(&block.token, block.body)).unwrap();
            inserting += started.elapsed().as_secs_f64();
        }
    }

    // when the parts are merged
    world.query("OPTIMIZE TABLE {db}.ledger FINAL");

    // then
    let parts = "FROM system.parts WHERE database = '{db}' AND table = 'ledger' AND active";
    let columns = "SELECT rightPad(column, 22, ' '), round(sum(column_data_compressed_bytes) / sum(rows), 2) AS bytes
        FROM system.parts_columns WHERE database = '{db}' AND table = 'ledger' AND active
        GROUP BY column HAVING bytes > 0 ORDER BY bytes DESC";
    println!("{}", world.query(columns));
    let summary = format!(
        "SELECT round(sum(bytes_on_disk) / sum(rows), 2), round(sum(secondary_indices_compressed_bytes) / sum(rows), 2) {parts}"
    );
    println!("bytes a row, of which indexes: {}", world.query(&summary));
    #[allow(clippy::cast_precision_loss)]
    let rate = |seconds: f64| (ROWS as f64 / seconds).round();
    println!("rows a second: encoded {}, inserted {}", rate(encoding), rate(inserting));
    let bytes: f64 = world.query(&format!("SELECT sum(bytes_on_disk) / sum(rows) {parts}")).parse().unwrap();
    assert!(bytes <= 60.0, "{bytes} bytes a row");
}
