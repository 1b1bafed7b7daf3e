//! The ledger of a year of many accounts, written straight to its topic: what a sink finds that begins at offset 0.

use std::collections::HashMap;

use anyhow::Context as _;
use prost::Message as _;
use tollbooth_schemas::v1::{AccountOpened, Entry, LedgerRecord, SourceTopic, Usage, UsageStatus, entry::Kind};

use crate::{
    feed::{self, Feed},
    stack::Space,
};

/// Account `n` has a share of the rows as 1 / (n + 1): the first about a tenth.
const ACCOUNTS: usize = 10_000;
/// Of one account.
const EVENTS: u64 = 6;
const BOOTHS: u64 = 12;
const ENTRIES_A_RECORD: usize = 20;
const UNIT_PRICE_MICROS: i64 = 200_000;
const AGE_MS: i64 = 360 * 86_400_000;

fn account(number: usize) -> String {
    format!("acc_query{number:05}")
}

/// What an account has so far.
#[derive(Default)]
struct Account {
    seq: u64,
    balance_micros: i64,
    waiting: Vec<Entry>,
}

/// Which account the row `number` is of: drawn, so that the share of account `n` is as 1 / (n + 1).
fn shares() -> Vec<f64> {
    let mut sum = 0.0;
    #[allow(clippy::cast_precision_loss)] // Ten thousand.
    let sums: Vec<f64> = (0..ACCOUNTS)
        .map(|number| {
            sum += 1.0 / (number + 1) as f64;
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

fn drawn(shares: &[f64], number: usize) -> usize {
    #[allow(clippy::cast_precision_loss)] // A share of one.
    let point = (feed::mixed(number as u64) >> 11) as f64 / (1_u64 << 53) as f64;
    shares.partition_point(|share| *share <= point).min(ACCOUNTS - 1)
}

fn operation_id(account: usize, charge: u64) -> String {
    format!("op_{:016x}{charge:016x}", feed::mixed(((account as u64) << 40) | charge))
}

/// Writes so many charges to the ledger's topic.
pub(crate) fn write_ledger(space: &Space<'_>, rows: usize) -> anyhow::Result<()> {
    let (feed, ledger, shares) = (Feed::new(space)?, space.topics.ledger(), shares());
    let now_ms = chrono::Utc::now().timestamp_millis();
    let send = |number: usize, posted_at_ms: i64, entries: Vec<Entry>| {
        let record = LedgerRecord { account_id: account(number), posted_at_ms, input_generation: 0, entries };
        feed.send(&ledger, &record.account_id, &record.encode_to_vec(), false)
    };
    let mut accounts: HashMap<usize, Account> = HashMap::new();
    for number in 0..ACCOUNTS {
        send(number, now_ms - AGE_MS, vec![opening()])?;
        accounts.insert(number, Account { seq: 1, ..Account::default() });
    }
    for row in 0..rows {
        let at_ms = now_ms - AGE_MS + i64::try_from(row as u128 * u128::try_from(AGE_MS)? / rows as u128)?;
        let number = drawn(&shares, row);
        let account = accounts.get_mut(&number).context("an account")?;
        account.seq += 1;
        let entry = charge(number, account, row, at_ms);
        account.balance_micros += entry.amount_micros;
        account.waiting.push(Entry { balance_after_micros: account.balance_micros, ..entry });
        if account.waiting.len() >= ENTRIES_A_RECORD {
            send(number, at_ms, std::mem::take(&mut account.waiting))?;
        }
    }
    for (number, account) in accounts.iter_mut().filter(|(_, account)| !account.waiting.is_empty()) {
        send(*number, now_ms, std::mem::take(&mut account.waiting))?;
    }
    feed.flush()
}

fn opening() -> Entry {
    let opened = AccountOpened {
        name: "Bench".to_owned(),
        plan: "basic".to_owned(),
        currency: "USD".to_owned(),
        time_zone: "America/New_York".to_owned(),
    };
    let kind = Some(Kind::AccountOpened(opened));
    Entry { seq: 1, source_topic: SourceTopic::Tick.into(), kind, ..Entry::default() }
}

fn charge(number: usize, account: &Account, row: usize, at_ms: i64) -> Entry {
    let draw = |what: u64, of: u64| feed::mixed((row as u64).wrapping_mul(31).wrapping_add(what)) % of;
    let (service, engine, variant, unit) = feed::work(draw(1, 100));
    let quantity: i64 = if feed::quantity(unit, draw(2, 100)) == "2" { 2 } else { 1 };
    let usage = Usage {
        status: UsageStatus::Success.into(),
        attempt: 1,
        operation_id: operation_id(number, account.seq),
        service: service.to_owned(),
        engine: engine.to_owned(),
        variant: variant.unwrap_or_default().to_owned(),
        unit: unit.to_owned(),
        quantity_micros: quantity * 1_000_000,
        event_id: format!("evt_{number}_{}", draw(3, EVENTS)),
        booth_id: format!("bth_{number}_{}", draw(4, BOOTHS)),
        plan: "basic".to_owned(),
        price_version: 1,
        unit_price_micros: UNIT_PRICE_MICROS,
        received_at_ms: at_ms,
        ..Usage::default()
    };
    Entry {
        seq: account.seq,
        amount_micros: -UNIT_PRICE_MICROS * quantity,
        occurred_at_ms: at_ms - i64::try_from(draw(5, 120_000)).unwrap_or_default(),
        source_topic: SourceTopic::Tick.into(),
        kind: Some(Kind::Usage(usage)),
        ..Entry::default()
    }
}
