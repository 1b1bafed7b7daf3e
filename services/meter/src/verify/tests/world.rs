//! A small world that is in order, to be damaged by a test. It writes what meter and sink would have written, by hand.

use hashbrown::HashMap;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    dead_letter::{Reason, header},
    time::{DAY_MS, rfc3339},
    v1::{
        Adjustment, Command, CommandRef, Entry, LedgerRecord, OpenAccount, PlanChanged, PostAdjustment, PriceModel,
        ProfileSet, SetProfile, SourceTopic, Usage, UsageStatus, command::Body, entry::Kind,
    },
};

use crate::verify::{Audit, AuditOptions, BalanceRow, LedgerRow, LogRecord, Report, Rollup, RollupRow, Source, Told};

pub(super) const PARTITIONS: i32 = 4;
/// When everything happens: 2026-11-21T20:00Z.
pub(super) const NOON: i64 = 1_795_291_200_000;

pub(super) const BOOK: &str = r#"{
  "version": 1, "currency": "USD", "effective_from": "2025-01-01T00:00:00.000Z",
  "plans": [{"code": "payg", "name": "Pay", "monthly_fee": "0.00"}, {"code": "pro", "name": "Pro", "monthly_fee": "79.00"}],
  "services": [{"code": "ai_modify", "name": "AI Modify"}],
  "engines": [{"code": "nano", "name": "Nano"}, {"code": "sora", "name": "Sora"}],
  "prices": [
    {"service": "ai_modify", "engine": "nano", "unit": "image", "model": "per_unit", "plans": {"payg": "0.24", "pro": "0.16"}},
    {"service": "ai_modify", "engine": "sora", "unit": "image", "model": "per_unit", "plans": {"payg": "0.30"},
     "effective_to": "2026-09-24T00:00:00.000Z"}
  ]
}"#;

const OPTIONS: AuditOptions = AuditOptions {
    partitions: PARTITIONS,
    input_generation: 0,
    age_max_ms: 35 * DAY_MS,
    future_max_ms: 3_600_000,
    retention_ms: 90 * DAY_MS,
    price_book_stale_ms: 300_000,
    examples_max: 5,
};

/// A record with everything owned.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
    pub(super) key: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

impl Stored {
    pub(super) fn with<T>(&self, each: impl FnOnce(&LogRecord<'_>) -> T) -> T {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))).collect();
        each(&LogRecord {
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: Some(self.timestamp_ms),
            key: Some(&self.key),
            payload: Some(&self.payload),
            headers: &headers,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct LedgerStored {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: String,
    pub(super) record: LedgerRecord,
}

/// A row of a rollup, owned.
#[derive(Debug, Clone)]
pub(super) struct RollupStored {
    pub(super) rollup: Rollup,
    pub(super) texts: [String; 8],
    pub(super) bucket: u32,
    pub(super) sums: (i64, i64, i128, i128, i128),
}

type Latest = (u64, i64, i64, i64);
/// A line of `account_balances`, owned: account, latest, profile, plan, profile set.
pub(super) type BalanceStored =
    (String, Latest, (u64, String, String, String, i64), (u64, String, i64), (u64, String, String));

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) books: Vec<(i64, String)>,
    pub(super) usage: Vec<Stored>,
    pub(super) commands: Vec<Stored>,
    pub(super) ledger: Vec<LedgerStored>,
    pub(super) dead: Vec<Stored>,
    pub(super) journal: Vec<String>,
    /// What it got while the audit ran.
    pub(super) journal_meanwhile: Vec<String>,
    /// First offset that `usage` still has.
    pub(super) usage_low: i64,
    /// Records of `usage` at the end that are not consumed.
    pub(super) behind: i64,
    /// As ClickHouse has it; made by [`World::sink`].
    pub(super) rows: Vec<(i32, LedgerRecord)>,
    pub(super) rollups: Vec<RollupStored>,
    pub(super) balances: Vec<BalanceStored>,
    pub(super) tables: bool,
    pub(super) tail: Vec<LedgerStored>,
    /// How much later than the entries before it the next one is posted.
    pub(super) later_ms: i64,
    /// What is held.
    pub(super) held: i64,
    accounts: HashMap<String, (u64, i64, String)>,
    offsets: HashMap<(&'static str, i32), i64>,
}

pub(super) fn home(account: &str) -> i32 {
    partition_for(account.as_bytes(), PARTITIONS).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        Self { books: vec![(NOON - 400 * DAY_MS, BOOK.to_owned())], ..Self::default() }
    }

    /// Two accounts, a top-up, charges in both modes, a failure with its retry, a duplicate, a stale failure.
    pub(super) fn with_history() -> Self {
        let mut world = Self::new();
        world.open("acc_luna", "payg");
        world.open("acc_sol", "pro");
        world.top_up("acc_luna", "top-1", 50_000_000);
        world.charge("acc_luna", "op_1", "1", 240_000);
        world.charge("acc_luna", "op_2", "2.5", 600_000);
        world.charge_binary("acc_sol", "op_3", "1", 160_000);
        world.fail("acc_luna", "op_4", 1);
        world.charge_attempt("acc_luna", "op_4", 2, "1", 240_000);
        world.repeat(0);
        world.repeat(3);
        world.sink();
        world
    }

    pub(super) fn next_offset(&mut self, topic: &'static str, partition: i32) -> i64 {
        let next = self.offsets.entry((topic, partition)).or_default();
        *next += 1;
        *next - 1
    }

    /// A structured usage record at the next offset; not yet in the log.
    pub(super) fn structured(&mut self, account: &str, operation: &str, quantity: &str, status: &str) -> Stored {
        self.event(account, operation, 1, quantity, status, "nano")
    }

    pub(super) fn event(
        &mut self,
        account: &str,
        operation: &str,
        attempt: u32,
        quantity: &str,
        status: &str,
        engine: &str,
    ) -> Stored {
        let partition = home(account);
        let time = rfc3339(NOON);
        let text = format!(
            r#"{{"specversion":"1.0","id":"{operation}-{attempt}-{status}-{quantity}","source":"/booths/bth_1","type":"tollbooth.usage.v1",
            "subject":"{account}","time":"{time}","data":{{"operation_id":"{operation}","attempt":{attempt},"event_id":"evt_gala",
            "booth_id":"bth_1","service":"ai_modify","engine":"{engine}","unit":"image","quantity":"{quantity}",
            "status":"{status}","provider_cost":"0.067"}}}}"#
        );
        Stored {
            partition,
            offset: self.next_offset("usage", partition),
            timestamp_ms: NOON + 500,
            key: account.into(),
            payload: text.into_bytes(),
            headers: vec![("content-type".into(), b"application/cloudevents+json; charset=UTF-8".to_vec())],
        }
    }

    pub(super) fn charge(&mut self, account: &str, operation: &str, quantity: &str, micros: i64) {
        let record = self.structured(account, operation, quantity, "success");
        self.posted_from(&record, account, operation, 1, quantity, micros);
        self.usage.push(record);
    }

    pub(super) fn charge_attempt(&mut self, account: &str, operation: &str, attempt: u32, quantity: &str, micros: i64) {
        let record = self.event(account, operation, attempt, quantity, "success", "nano");
        self.posted_from(&record, account, operation, attempt, quantity, micros);
        self.usage.push(record);
    }

    pub(super) fn charge_binary(&mut self, account: &str, operation: &str, quantity: &str, micros: i64) {
        let mut record = self.structured(account, operation, quantity, "success");
        let event: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
        record.headers = vec![("content-type".into(), b"application/json".to_vec())];
        for name in ["specversion", "id", "source", "type", "subject", "time"] {
            let value = event[name].as_str().unwrap().as_bytes().to_vec();
            record.headers.push((format!("ce_{name}"), value));
        }
        record.payload = event["data"].to_string().into_bytes();
        self.posted_from(&record, account, operation, 1, quantity, micros);
        self.usage.push(record);
    }

    pub(super) fn fail(&mut self, account: &str, operation: &str, attempt: u32) {
        let record = self.event(account, operation, attempt, "1", "failed", "nano");
        self.posted_from(&record, account, operation, attempt, "1", 0);
        let entry = self.last_entry();
        if let Some(Kind::Usage(usage)) = &mut entry.kind {
            usage.status = UsageStatus::Failed.into();
            (usage.price_version, usage.price_model, usage.unit_price_micros) = (0, 0, 0);
        }
        self.usage.push(record);
    }

    /// The bytes of an earlier record once more.
    pub(super) fn repeat(&mut self, index: usize) {
        let mut record = self.usage[index].clone();
        record.offset = self.next_offset("usage", record.partition);
        self.usage.push(record);
    }

    /// An entry for a record, whose charge is `micros`.
    pub(super) fn posted_from(
        &mut self,
        record: &Stored,
        account: &str,
        operation: &str,
        attempt: u32,
        quantity: &str,
        micros: i64,
    ) {
        let plan = self.accounts[account].2.clone();
        let usage = Usage {
            status: UsageStatus::Success.into(),
            operation_id: operation.into(),
            attempt,
            service: "ai_modify".into(),
            engine: "nano".into(),
            unit: "image".into(),
            quantity_micros: quantity.parse::<tollbooth_schemas::Quantity>().unwrap().micros(),
            event_id: "evt_gala".into(),
            booth_id: "bth_1".into(),
            price_version: 1,
            price_model: PriceModel::PerUnit.into(),
            unit_price_micros: if plan == "pro" { 160_000 } else { 240_000 },
            plan,
            provider_cost_micros: Some(67_000),
            received_at_ms: record.timestamp_ms,
            ..Usage::default()
        };
        self.post(account, -micros, NOON, Kind::Usage(usage), (SourceTopic::Usage, record.offset), None);
    }

    pub(super) fn open(&mut self, account: &str, plan: &str) {
        self.open_at(account, plan, None);
    }

    pub(super) fn open_at(&mut self, account: &str, plan: &str, occurred_at_ms: Option<i64>) {
        self.accounts.insert(account.into(), (0, 0, plan.into()));
        let open = OpenAccount {
            name: "Luna".into(),
            plan: plan.into(),
            currency: "USD".into(),
            time_zone: "Europe/Berlin".into(),
            occurred_at_ms,
        };
        let opened = tollbooth_schemas::v1::AccountOpened {
            name: open.name.clone(),
            plan: open.plan.clone(),
            currency: open.currency.clone(),
            time_zone: open.time_zone.clone(),
        };
        let key = format!("open-{account}");
        self.command(account, &key, Body::OpenAccount(open), Some((0, Kind::AccountOpened(opened))));
        if let Some(occurred_at_ms) = occurred_at_ms {
            self.last_entry().occurred_at_ms = occurred_at_ms;
        }
    }

    pub(super) fn top_up(&mut self, account: &str, key: &str, micros: i64) {
        let body = PostAdjustment {
            amount_micros: micros,
            reason: "top_up".into(),
            note: String::new(),
            occurred_at_ms: None,
        };
        let kind = Kind::Adjustment(Adjustment { reason: "top_up".into(), note: String::new() });
        self.command(account, key, Body::PostAdjustment(body), Some((micros, kind)));
    }

    pub(super) fn profile_command((name, time_zone): (Option<&str>, Option<&str>)) -> Body {
        let [name, time_zone] = [name, time_zone].map(|text| text.map(str::to_owned));
        Body::SetProfile(SetProfile { name, time_zone })
    }

    /// By what is given, and as the entry says it.
    pub(super) fn set_profile(
        &mut self,
        account: &str,
        key: &str,
        given: (Option<&str>, Option<&str>),
        (name, time_zone): (&str, &str),
    ) {
        let kind = Kind::ProfileSet(ProfileSet { name: name.into(), time_zone: time_zone.into() });
        self.command(account, key, Self::profile_command(given), Some((0, kind)));
    }

    pub(super) fn change_plan(&mut self, account: &str, plan: &str, effective_at_ms: i64) {
        let body = tollbooth_schemas::v1::ChangePlan { plan: plan.into(), effective_at_ms: Some(effective_at_ms) };
        let kind = Kind::PlanChanged(PlanChanged { plan: plan.into(), effective_at_ms });
        self.command(account, "plan", Body::ChangePlan(body), Some((0, kind)));
        if effective_at_ms <= NOON {
            self.accounts.get_mut(account).unwrap().2 = plan.into();
        }
    }

    /// A command, and its entry unless it is to be lost.
    pub(super) fn command(&mut self, account: &str, key: &str, body: Body, posted: Option<(i64, Kind)>) {
        use prost::Message as _;
        let partition = home(account);
        let offset = self.next_offset("commands", partition);
        let command = Command {
            account_id: account.into(),
            idempotency_key: key.into(),
            body_hash: vec![7; 16],
            actor: "key_admin".into(),
            received_at_ms: NOON,
            reply_to: "ingest-1".into(),
            correlation_id: "c".into(),
            body: Some(body),
        };
        let payload = command.encode_to_vec();
        let record =
            Stored { partition, offset, timestamp_ms: NOON, key: account.into(), payload, ..Stored::default() };
        self.commands.push(record);
        if let Some((amount, kind)) = posted {
            let (idempotency_key, body_hash, actor) = (key.to_owned(), vec![7; 16], "key_admin".to_owned());
            let command = Some(CommandRef { idempotency_key, body_hash, actor });
            // What names no instant occurs when it is posted.
            self.post(account, amount, i64::MIN, kind, (SourceTopic::Commands, offset), command);
        }
    }

    pub(super) fn post(
        &mut self,
        account: &str,
        amount: i64,
        occurred_at_ms: i64,
        kind: Kind,
        (topic, source_offset): (SourceTopic, i64),
        command: Option<CommandRef>,
    ) {
        let partition = home(account);
        let offset = self.next_offset("ledger", partition);
        let posted_at_ms = NOON + 1_000 + offset + self.later_ms;
        let (seq, balance, _) = self.accounts.get_mut(account).unwrap();
        *seq += 1;
        *balance += amount;
        let entry = Entry {
            seq: *seq,
            amount_micros: amount,
            balance_after_micros: *balance,
            held_after_micros: self.held,
            occurred_at_ms: if occurred_at_ms == i64::MIN { posted_at_ms } else { occurred_at_ms },
            source_topic: topic.into(),
            source_offset,
            command,
            from_bonus_micros: 0,
            kind: Some(kind),
        };
        let record =
            LedgerRecord { account_id: account.into(), posted_at_ms, input_generation: 0, entries: vec![entry] };
        self.ledger.push(LedgerStored { partition, offset, key: account.into(), record });
    }

    pub(super) fn last_entry(&mut self) -> &mut Entry {
        &mut self.ledger.last_mut().unwrap().record.entries[0]
    }

    /// The entry of an account at a `seq`.
    pub(super) fn entry(&mut self, account: &str, seq: u64) -> &mut Entry {
        let entries = self.ledger.iter_mut().filter(|stored| stored.record.account_id == account);
        entries.flat_map(|stored| &mut stored.record.entries).find(|entry| entry.seq == seq).unwrap()
    }

    pub(super) fn usage_of(&mut self, account: &str, seq: u64) -> &mut Usage {
        match &mut self.entry(account, seq).kind {
            Some(Kind::Usage(usage)) => usage,
            other => panic!("{other:?} is no usage"),
        }
    }

    /// A dead letter of a usage record.
    pub(super) fn dead_of(&mut self, record: &Stored, reason: Reason) {
        self.dead_at(record, reason, NOON + 2_000);
    }

    /// The same, written at another time.
    pub(super) fn dead_at(&mut self, record: &Stored, reason: Reason, dead_at_ms: i64) {
        let mut letter = record.clone();
        let own = [
            (header::REASON, reason.code().to_owned()),
            (header::SOURCE_TOPIC, "usage".to_owned()),
            (header::SOURCE_PARTITION, record.partition.to_string()),
            (header::SOURCE_OFFSET, record.offset.to_string()),
            (header::DEAD_AT, rfc3339(dead_at_ms)),
        ];
        letter.headers.extend(own.map(|(name, value)| (name.to_owned(), value.into_bytes())));
        (letter.partition, letter.offset) = (0, self.next_offset("dead", 0));
        self.dead.push(letter);
    }

    /// Brings the tables up to the ledger.
    pub(super) fn sink(&mut self) {
        self.tables = true;
        self.rows = self.ledger.iter().map(|stored| (stored.partition, stored.record.clone())).collect();
        self.rollups.clear();
        let mut latest: Vec<BalanceStored> = Vec::new();
        for (partition, record) in &self.rows {
            for entry in &record.entries {
                let row = LedgerRow::of_entry(record, *partition, entry);
                for rollup in Rollup::ALL {
                    self.rollups.extend(row.rolled_up(rollup).map(|row| stored_rollup(rollup, &row)));
                }
                fold_balance(&mut latest, &row);
            }
        }
        self.balances = latest;
    }

    pub(super) fn report(&self) -> Report {
        self.report_with(OPTIONS)
    }

    pub(super) fn report_with(&self, options: AuditOptions) -> Report {
        self.audit(options, |_| {})
    }

    /// With one more journal.
    pub(super) fn report_with_journal(&self, journal: impl FnOnce(&mut Audit)) -> Report {
        self.audit(OPTIONS, journal)
    }

    fn audit(&self, options: AuditOptions, journal: impl FnOnce(&mut Audit)) -> Report {
        use prost::Message as _;
        let mut audit = Audit::new(options);
        for (at_ms, book) in &self.books {
            let payload = book.clone().into_bytes();
            Stored { timestamp_ms: *at_ms, payload, ..Stored::default() }.with(|record| audit.price_book(record));
        }
        let stored = |ledger: &LedgerStored| Stored {
            partition: ledger.partition,
            offset: ledger.offset,
            key: ledger.key.clone().into_bytes(),
            payload: ledger.record.encode_to_vec(),
            ..Stored::default()
        };
        for record in &self.ledger {
            stored(record).with(|record| audit.ledger_record(record));
        }
        for letter in &self.dead {
            letter.with(|record| audit.dead_letter(record, Some(Source::Usage)));
        }
        for partition in 0..PARTITIONS {
            let end = |topic| self.offsets.get(&(topic, partition)).copied().unwrap_or_default();
            audit.input(Source::Usage, partition, self.usage_low, end("usage") - self.behind);
            audit.input(Source::Commands, partition, 0, end("commands"));
        }
        for record in self.usage.iter().filter(|record| record.offset >= self.usage_low) {
            record.with(|record| audit.usage_record(record));
        }
        for record in &self.commands {
            record.with(|record| audit.command_record(record));
        }
        if self.tables {
            self.give_tables(&mut audit);
        }
        for line in &self.journal {
            audit.journal_line(line.as_bytes(), Told::Before).unwrap();
        }
        for line in &self.journal_meanwhile {
            audit.journal_line(line.as_bytes(), Told::Meanwhile).unwrap();
        }
        journal(&mut audit);
        for record in &self.tail {
            stored(record).with(|record| audit.tail_record(record));
        }
        audit.finish()
    }

    fn give_tables(&self, audit: &mut Audit) {
        audit.tables_follow();
        for (partition, record) in &self.rows {
            for entry in &record.entries {
                audit.row(&LedgerRow::of_entry(record, *partition, entry));
            }
        }
        for stored in &self.rollups {
            let [account_id, party, entry_type, service, engine, variant, plan, status] =
                stored.texts.each_ref().map(String::as_str);
            let (count, failed, quantity, amount, provider_cost) = stored.sums;
            let bucket = stored.bucket;
            #[rustfmt::skip]
            audit.rollup(stored.rollup, &RollupRow {
                account_id, party, bucket, entry_type, service, engine, variant, plan, status,
                count, failed, quantity, amount, provider_cost,
            });
        }
        for (id, latest, profile, plan, set) in &self.balances {
            audit.balance(&BalanceRow {
                account_id: id,
                latest: *latest,
                profile: (profile.0, &profile.1, &profile.2, &profile.3, profile.4),
                plan: (plan.0, &plan.1, plan.2),
                profile_set: (set.0, &set.1, &set.2),
            });
        }
    }
}

fn stored_rollup(rollup: Rollup, row: &RollupRow<'_>) -> RollupStored {
    let texts = [row.account_id, row.party, row.entry_type, row.service, row.engine, row.variant, row.plan, row.status];
    RollupStored {
        rollup,
        texts: texts.map(str::to_owned),
        bucket: row.bucket,
        sums: (row.count, row.failed, row.quantity, row.amount, row.provider_cost),
    }
}

fn fold_balance(lines: &mut Vec<BalanceStored>, row: &LedgerRow<'_>) {
    let latest = (row.seq, row.balance_after, row.held_after, row.posted_at);
    let index = lines.iter().position(|line| line.0 == row.account_id).unwrap_or_else(|| {
        lines.push((row.account_id.to_owned(), latest, Default::default(), Default::default(), Default::default()));
        lines.len() - 1
    });
    let line = &mut lines[index];
    line.1 = latest;
    if row.entry_type == "account_opened" {
        let texts = [row.account_name, row.currency, row.time_zone].map(str::to_owned);
        let [name, currency, zone] = texts;
        line.2 = (row.seq, name, currency, zone, row.posted_at);
    }
    if row.entry_type == "profile_set" {
        line.4 = (row.seq, row.account_name.to_owned(), row.time_zone.to_owned());
    }
    if matches!(row.entry_type, "account_opened" | "plan_changed") {
        line.3 = (row.seq, row.plan.to_owned(), row.plan_effective_at_ms);
    }
}
