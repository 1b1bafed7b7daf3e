//! Accounts as the meter writes them.

use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{AccountOpened, Adjustment, Entry, LedgerRecord, Usage, UsageStatus};

use crate::stand::BASE_MS;

/// An account under construction: a gapless ledger with a running balance.
pub(crate) struct Ledger {
    pub(crate) account: String,
    pub(crate) records: Vec<LedgerRecord>,
    balance_micros: i64,
    seq: u64,
}

impl Ledger {
    /// Opened in New York with 1,000 dollars: entries 1 and 2.
    pub(crate) fn open(account: &str) -> Self {
        Self::open_in(account, "America/New_York")
    }

    /// The same elsewhere.
    pub(crate) fn open_in(account: &str, time_zone: &str) -> Self {
        Self::open_as(account, time_zone, "USD")
    }

    /// The same in another currency.
    pub(crate) fn open_as(account: &str, time_zone: &str, currency: &str) -> Self {
        let mut ledger = Self { account: account.to_owned(), records: Vec::new(), balance_micros: 0, seq: 0 };
        let opened = AccountOpened {
            name: "Luna".to_owned(),
            plan: "basic".to_owned(),
            currency: currency.to_owned(),
            time_zone: time_zone.to_owned(),
        };
        let credit = Adjustment { reason: "import".to_owned(), note: String::new() };
        ledger
            .push(vec![(Kind::AccountOpened(opened), 0, BASE_MS), (Kind::Adjustment(credit), 1_000_000_000, BASE_MS)]);
        ledger
    }

    /// One record with these entries.
    pub(crate) fn push(&mut self, entries: Vec<(Kind, i64, i64)>) -> &LedgerRecord {
        let entries = entries.into_iter().map(|(kind, amount_micros, occurred_at_ms)| {
            self.seq += 1;
            self.balance_micros += amount_micros;
            Entry {
                seq: self.seq,
                amount_micros,
                balance_after_micros: self.balance_micros,
                held_after_micros: 0,
                occurred_at_ms,
                kind: Some(kind),
                ..Entry::default()
            }
        });
        let entries: Vec<Entry> = entries.collect();
        // Never before what was posted, however late the work is told.
        let posted_ms = self.records.last().map_or(i64::MIN, |record| record.posted_at_ms);
        let posted_at_ms = posted_ms.max(entries.iter().map(|entry| entry.occurred_at_ms).max().unwrap() + 1_000);
        self.records.push(LedgerRecord {
            account_id: self.account.clone(),
            posted_at_ms,
            input_generation: 0,
            entries,
        });
        self.records.last().unwrap()
    }

    /// One charge a record, of 1 cent each.
    pub(crate) fn charge(&mut self, count: usize) {
        for _ in 0..count {
            let at_ms = BASE_MS + i64::try_from(self.seq).unwrap() * 60_000;
            let kind = usage("ai_modify", "nano_banana_2", UsageStatus::Success, self.seq);
            self.push(vec![(kind, -10_000, at_ms)]);
        }
    }
}

/// Work that was done.
pub(crate) fn usage(service: &str, engine: &str, status: UsageStatus, number: u64) -> Kind {
    Kind::Usage(Usage {
        status: status.into(),
        operation_id: format!("op_{number}"),
        attempt: 1,
        service: service.to_owned(),
        engine: engine.to_owned(),
        variant: "1k".to_owned(),
        unit: "image".to_owned(),
        quantity_micros: 1_000_000,
        event_id: "evt_gala".to_owned(),
        booth_id: "bth_17".to_owned(),
        plan: "basic".to_owned(),
        price_version: 1,
        error_code: if status == UsageStatus::Failed { "timeout".to_owned() } else { String::new() },
        ..Usage::default()
    })
}
