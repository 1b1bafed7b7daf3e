//! The ledger by itself: order, sums, limits, prices.

use prost::Message as _;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    Money,
    dead_letter::Reason,
    ledger::{RECORD_BYTES_MAX, RECORD_ENTRIES_MAX},
    price_book::Model,
    v1::{AccountOpened, Entry, LedgerRecord, PriceModel, SourceTopic, Usage, UsageStatus, entry::Kind},
};

use super::{
    audit::{Account, Audit, CommandPosted, LogRecord, NONE, Opened, PlanFrom, Posted, ProfileFrom, Reported, Source},
    digest,
    facts::{Extra, Facts},
    ledger_row::LedgerRow,
    price::{self, Charge, Work},
    report::{Checked, Defect},
};

impl Audit {
    /// A record of `ledger`; those of a partition in order.
    pub fn ledger_record(&mut self, record: &LogRecord<'_>) {
        let LogRecord { partition, offset, .. } = *record;
        let payload = record.payload.unwrap_or_default();
        self.report.checked(Checked::LedgerRecords, 1);
        self.ledger_ends.insert(partition, offset + 1);
        let decoded = match LedgerRecord::decode(payload) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.report.defect(Defect::BadRecord, || format!("ledger {partition}/{offset}: {error}"));
                return;
            }
        };
        self.check_record(record, &decoded, payload.len());
        let account = self.account_index(&decoded.account_id);
        for entry in &decoded.entries {
            self.entry(partition, account, &decoded, entry);
        }
    }

    fn check_record(&mut self, record: &LogRecord<'_>, decoded: &LedgerRecord, bytes: usize) {
        let LogRecord { partition, offset, .. } = *record;
        let account_id = &decoded.account_id;
        let entries = decoded.entries.len();
        if entries == 0 || entries > RECORD_ENTRIES_MAX || bytes > RECORD_BYTES_MAX {
            self.report.defect(Defect::RecordLimit, || {
                format!("ledger {partition}/{offset}: {entries} entries, {bytes} bytes")
            });
        }
        let home = partition_for(account_id.as_bytes(), self.options.partitions);
        if record.key != Some(account_id.as_bytes()) || home != Some(partition) {
            self.report.defect(Defect::Misplaced, || {
                let key = String::from_utf8_lossy(record.key.unwrap_or_default());
                format!("ledger {partition}/{offset}: {account_id} under the key {key:?}, at home in {home:?}")
            });
        }
        let latest = self.posted_at_ms.entry(partition).or_insert(decoded.posted_at_ms);
        if decoded.posted_at_ms < *latest {
            let before = *latest;
            self.report.defect(Defect::TimeBack, || {
                format!("ledger {partition}/{offset}: posted at {} after {before}", decoded.posted_at_ms)
            });
        }
        *latest = decoded.posted_at_ms.max(*latest);
    }

    pub(super) fn account_index(&mut self, id: &str) -> u32 {
        if let Some(index) = self.by_id.get(id) {
            return *index;
        }
        let index = self.accounts.len() as u32;
        self.accounts.push(Account { id: id.into(), ..Account::default() });
        self.by_id.insert(id.into(), index);
        index
    }

    fn entry(&mut self, partition: i32, account: u32, record: &LedgerRecord, entry: &Entry) {
        self.report.checked(Checked::Entries, 1);
        let Some(kind) = &entry.kind else {
            let (id, seq) = (&record.account_id, entry.seq);
            self.report.defect(Defect::BadRecord, || format!("{id} seq {seq}: an entry of an unknown kind"));
            return;
        };
        self.check_chain(account, entry);
        self.check_purse(account, record, entry, kind);
        self.open_or_change(account, record, entry, kind);
        let (charge, quantity) = match kind {
            Kind::Usage(_) | Kind::Repriced(_) => entry.charge().map_or((0, 0), |charge| {
                let digest = super::kinds::charge_digest(&mut self.parts, charge, entry.occurred_at_ms);
                (digest, charge.quantity_micros)
            }),
            _ => (0, 0),
        };
        let (facts, extra) = match kind {
            Kind::Usage(usage) => {
                self.check_usage(account, record, entry, usage);
                let facts = Facts::of_entry(entry, usage).digest(&mut self.parts);
                (facts, Extra::of_entry(usage).digest(&mut self.parts))
            }
            _ => (super::commands::command_content(&mut self.parts, entry), 0),
        };
        if let Some(at) = self.accounts.get_mut(account as usize) {
            at.counts.take_in(entry, kind, record.posted_at_ms);
        }
        let row = LedgerRow::of_entry(record, partition, entry);
        self.add_to_rollups(account, &row);
        let row = row.digest(&mut self.parts);
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let index = at.entries.len() as u32;
        if entry.seq != u64::from(index) + 1 {
            at.misplaced.entry(entry.seq).or_insert(index);
        }
        at.entries.push(Posted {
            seq: entry.seq,
            amount: entry.amount_micros,
            balance: entry.balance_after_micros,
            posted_at_ms: record.posted_at_ms,
            source_offset: entry.source_offset,
            row,
            facts,
            extra,
            charge,
            quantity,
        });
        match kind {
            Kind::Usage(usage) => {
                self.note_report(account, index, record, usage);
                self.note_letter((account, index), record, entry, usage);
            }
            _ if entry.source_topic() == SourceTopic::Tick => {}
            // It shares its command with the one behind it.
            _ if entry.is_first_of_two() => return,
            _ => self.note_command(account, index, entry),
        }
        match Source::of(entry.source_topic()) {
            Some(source) => {
                let key = (record.input_generation, source, partition);
                self.sources.entry(key).or_default().push(entry.source_offset, account, index);
            }
            None if entry.source_topic() == SourceTopic::Tick => self.check_tick(account, index, entry),
            None => {
                let name = self.name(account, index);
                self.report.defect(Defect::SourceMissing, || format!("{name} names no source record"));
            }
        }
    }

    /// `seq`, `balance_after`. After a defect the audit goes on from what the entry says, so that one
    /// defect is counted once.
    fn check_chain(&mut self, account: u32, entry: &Entry) {
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let (before, seq, id) = (at.seq, entry.seq, &at.id);
        if seq <= before {
            self.report.defect(Defect::SeqDoubled, || format!("{id}: seq {seq} after {before}"));
        } else if seq != before + 1 {
            self.report.defect(Defect::SeqGap, || format!("{id}: seq {seq} after {before}"));
        }
        let sum = i128::from(at.balance) + i128::from(entry.amount_micros);
        let off = (sum - i128::from(entry.balance_after_micros)).abs();
        if off != 0 || Money::from_micros(entry.balance_after_micros).is_none() {
            self.report.defect(Defect::ChainBroken, || {
                let (was, amount, after) = (at.balance, entry.amount_micros, entry.balance_after_micros);
                format!("{id} seq {seq}: {was} + {amount} is not {after} (millionths)")
            });
        }
        at.drift += off;
        at.seq = seq.max(before);
        at.balance = entry.balance_after_micros;
        at.balance_min = at.balance_min.min(at.balance);
    }

    fn open_or_change(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, kind: &Kind) {
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let seq = entry.seq;
        if matches!(kind, Kind::AccountOpened(_)) != at.entries.is_empty() {
            let id = &at.id;
            self.report.defect(Defect::OpeningOff, || format!("{id} seq {seq}: opened twice or not at all"));
        }
        if let Kind::ProfileSet(set) = kind {
            let (name, time_zone) = (set.name.as_str().into(), set.time_zone.as_str().into());
            at.profiles.push(ProfileFrom { seq, posted_at_ms: record.posted_at_ms, name, time_zone });
        }
        let (plan, effective_at_ms) = match kind {
            Kind::AccountOpened(opened) => {
                at.opened.get_or_insert_with(|| opened_by(record, entry, opened));
                // It has no beginning: a change dated before the opening still applies from its own instant.
                (&opened.plan, i64::MIN)
            }
            Kind::PlanChanged(changed) => (&changed.plan, changed.effective_at_ms),
            _ => return,
        };
        at.plans.push(PlanFrom { seq, effective_at_ms, plan: plan.as_str().into() });
    }

    fn check_usage(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, usage: &Usage) {
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let name = || tollbooth_schemas::ids::entry_id(&record.account_id, entry.seq);
        if usage.status() != UsageStatus::Success {
            let priced = usage.price_version != 0 || usage.price_model != 0 || usage.unit_price_micros != 0;
            let priced = priced || usage.pricing.is_some();
            if entry.amount_micros != 0 || priced || usage.status() != UsageStatus::Failed {
                self.report.defect(Defect::FailedCharged, || {
                    format!("{}: failed work with amount {} (millionths)", name(), entry.amount_micros)
                });
                at.drift += i128::from(entry.amount_micros).abs();
            }
            return;
        }
        self.report.checked(Checked::Repriced, 1);
        let plan = at.plan_at(entry.occurred_at_ms, entry.seq);
        let work = Work {
            service: &usage.service,
            engine: &usage.engine,
            variant: &usage.variant,
            country: &usage.country,
            unit: &usage.unit,
            plan,
            currency: at.currency(),
            quantity_micros: usage.quantity_micros,
            occurred_at_ms: entry.occurred_at_ms,
            is_test: usage.test_mode,
            history: Some(at.history(record.posted_at_ms, self.options.retention_ms)),
        };
        let posted = charge_of(entry, usage);
        let fits = |outcome: &Result<Charge, Reason>| plan == usage.plan && outcome.as_ref().ok() == posted.as_ref();
        if self.books.outcomes(&work, record.posted_at_ms).any(|outcome| fits(&outcome)) {
            return;
        }
        let expected = self.books.outcomes(&work, record.posted_at_ms).next().unwrap_or(Err(Reason::NoPrice));
        self.report.defect(Defect::WrongPrice, || {
            format!("{}: {posted:?} on plan {:?}, expected {expected:?} on plan {plan:?}", name(), usage.plan)
        });
        let expected = expected.map_or(0, |charge| charge.micros);
        at.drift += (i128::from(entry.amount_micros) + i128::from(expected)).abs();
    }

    /// Lists the entry under its operation, and notes what must not happen twice.
    fn note_report(&mut self, account: u32, entry: u32, record: &LedgerRecord, usage: &Usage) {
        let operation = digest::of_pair(&record.account_id, &usage.operation_id);
        let is_charge = usage.status() == UsageStatus::Success;
        let content = Facts::content(&mut self.parts, usage);
        let within = |before: i64| record.posted_at_ms.saturating_sub(before) <= self.options.retention_ms;
        let mut found = None;
        for index in self.reports_of(&operation) {
            let Some(before) = self.reports.get(index) else { continue };
            if !self.posted(before).is_some_and(|posted| within(posted.posted_at_ms)) {
                continue;
            }
            let defect = match (before.is_charge, is_charge) {
                (true, true) => Defect::Doubled,
                (true, false) => Defect::WronglyPosted,
                (false, false) if before.attempt == usage.attempt => Defect::Doubled,
                (false, _) => continue,
            };
            found = Some((defect, self.name(before.account, before.entry)));
            break;
        }
        if let Some((defect, before)) = found {
            let name = self.name(account, entry);
            self.report.defect(defect, || format!("{name}: operation {:?} again after {before}", usage.operation_id));
        }
        let index = self.reports.len() as u32;
        let before = self.operations.insert(operation, index).unwrap_or(NONE);
        self.reports.push(Reported {
            before,
            account,
            entry,
            attempt: usage.attempt,
            input_generation: record.input_generation,
            is_charge,
            is_redriven: usage.letter.is_some(),
            // A person asked for it: no fleet plans that.
            is_planned: usage.letter.is_some(),
            content,
        });
    }

    fn note_command(&mut self, account: u32, index: u32, entry: &Entry) {
        let Some(at) = self.accounts.get(account as usize) else { return };
        let Some(command) = &entry.command else {
            let name = self.name(account, index);
            self.report.defect(Defect::WrongContent, || format!("{name}: names no command"));
            return;
        };
        let key = digest::of_pair(&at.id, &command.idempotency_key);
        let posted_at_ms = |at: &Account, index: u32| at.entries.get(index as usize).map(|entry| entry.posted_at_ms);
        if let Some(before) = self.commands.get(&key) {
            let apart = posted_at_ms(at, index).zip(posted_at_ms(at, before.entry)).map(|(now, then)| now - then);
            if apart.is_some_and(|apart| apart <= self.options.retention_ms) {
                let (name, before) = (self.name(account, index), self.name(account, before.entry));
                let idempotency_key = &command.idempotency_key;
                self.report
                    .defect(Defect::Doubled, || format!("{name}: command {idempotency_key:?} again after {before}"));
            }
        }
        let reason = match &entry.kind {
            Some(Kind::Adjustment(adjustment)) => Some(adjustment.reason.as_str()),
            _ => None,
        };
        let content = self.parts.clear().number(entry.amount_micros).text(reason.unwrap_or_default()).digest();
        let posted = CommandPosted {
            account,
            entry: index,
            occurred_at_ms: entry.occurred_at_ms,
            // Every account has one opening; a journal plans the account, not the command.
            // A re-pricing is a person's doing: no fleet plans it.
            is_planned: matches!(entry.kind, Some(Kind::AccountOpened(_) | Kind::Repriced(_))),
            content,
        };
        self.commands.insert(key, posted);
    }

    /// A ledger record that was appended while the audit ran: what it touches is not compared.
    pub fn tail_record(&mut self, record: &LogRecord<'_>) {
        let Ok(decoded) = LedgerRecord::decode(record.payload.unwrap_or_default()) else { return };
        let account = self.account_index(&decoded.account_id);
        if let Some(at) = self.accounts.get_mut(account as usize) {
            at.moving = true;
        }
        for entry in &decoded.entries {
            self.tail.insert((decoded.account_id.as_str().into(), entry.seq));
            let row = LedgerRow::of_entry(&decoded, record.partition, entry);
            self.touch_rollups(&row);
        }
    }
}

fn opened_by(record: &LedgerRecord, entry: &Entry, opened: &AccountOpened) -> Opened {
    Opened {
        name: opened.name.as_str().into(),
        currency: opened.currency.as_str().into(),
        time_zone: opened.time_zone.as_str().into(),
        posted_at_ms: record.posted_at_ms,
        seq: entry.seq,
        source_offset: if entry.source_topic() == SourceTopic::Commands { entry.source_offset } else { i64::MAX },
        input_generation: record.input_generation,
    }
}

/// What an entry says that it charged; `None` where it does not say how.
pub(super) fn charge_of(entry: &Entry, usage: &Usage) -> Option<Charge> {
    let model = match usage.price_model() {
        PriceModel::PerUnit => Model::PerUnit,
        PriceModel::Flat => Model::Flat,
        PriceModel::Package => Model::Package,
        PriceModel::Graduated => Model::Graduated,
        PriceModel::Volume => Model::Volume,
        PriceModel::Unspecified => return None,
    };
    let micros = entry.amount_micros.checked_neg()?;
    let pricing = usage.pricing.as_deref().cloned();
    Some(Charge { version: usage.price_version, model, unit_price_micros: usage.unit_price_micros, micros, pricing })
}

/// What an account has to pay by the source record, as against what it paid.
pub(super) fn expected_charge(
    books: &price::Books,
    work: &Work<'_>,
    posted_at_ms: i64,
    posted_micros: i64,
) -> Result<(), Box<Result<Charge, Reason>>> {
    let paid = posted_micros.checked_neg();
    let fits = |outcome: &Result<Charge, Reason>| outcome.as_ref().is_ok_and(|charge| Some(charge.micros) == paid);
    if books.outcomes(work, posted_at_ms).any(|outcome| fits(&outcome)) {
        return Ok(());
    }
    Err(Box::new(books.outcomes(work, posted_at_ms).next().unwrap_or(Err(Reason::NoPrice))))
}
