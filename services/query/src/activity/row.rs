//! One line of the activity page, wherever it was read.

use serde::Serialize;
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::time::serde_rfc3339;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{Entry, HoldPlaced, HoldReleaseCause, LedgerRecord, Repriced, Reversal, Usage};
use utoipa::ToSchema;

use super::alert::{Alert, kind_code};
use crate::amount::{AmountBody, QuantityText};
use crate::prices::Names;

/// An entry as the activity page shows it. Empty texts stand for "none", as in the ledger's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityRow {
    /// Place in the account's ledger.
    pub seq: u64,
    /// Code of the type.
    pub entry_type: String,
    /// Whether it lists failed work.
    pub failed: bool,
    /// Service code.
    pub service: String,
    /// Engine code.
    pub engine: String,
    /// Variant code. Not shown in a page: rows from ClickHouse have it where a filter asks for it.
    pub variant: String,
    /// Code of the plan that was paid, or that begins. As `variant`, not shown.
    pub plan: String,
    /// Signed, in micro-units.
    pub amount_micros: i64,
    /// In micro-units.
    pub balance_after_micros: i64,
    /// In millionths of the unit.
    pub quantity_micros: i64,
    /// Unit code.
    pub unit: String,
    /// When the work was done.
    pub occurred_at_ms: i64,
    /// When it was posted.
    pub posted_at_ms: i64,
    /// The party.
    pub event_id: String,
    /// The device.
    pub booth_id: String,
    /// The operation.
    pub operation_id: String,
    /// 0: nothing was priced.
    pub price_version: u32,
    /// Error code of failed work, reason of a correction.
    pub reason: String,
    /// What an alert says beyond it; absent where a page was read, which does not show it.
    pub alert: Option<Box<Alert>>,
}

impl ActivityRow {
    /// The row of an entry; `None` for a kind this release does not know.
    #[must_use]
    pub fn of_entry(record: &LedgerRecord, entry: &Entry) -> Option<Self> {
        let mut row = Self {
            seq: entry.seq,
            entry_type: entry.entry_type()?.code().to_owned(),
            failed: entry.is_failed(),
            amount_micros: entry.amount_micros,
            balance_after_micros: entry.balance_after_micros,
            occurred_at_ms: entry.occurred_at_ms,
            posted_at_ms: record.posted_at_ms,
            ..Self::default()
        };
        match entry.kind.as_ref()? {
            Kind::Usage(usage) => row.set_usage(usage),
            Kind::Adjustment(adjustment) => row.reason.clone_from(&adjustment.reason),
            Kind::HoldPlaced(hold) => row.set_hold(hold),
            Kind::HoldReleased(released) => row.reason = release_cause(released.cause()).to_owned(),
            Kind::Reversal(reversal) => row.set_reversal(reversal),
            Kind::BonusGranted(granted) => row.reason.clone_from(&granted.reason),
            Kind::Purchase(purchase) => row.reason.clone_from(&purchase.provider),
            Kind::PlanFee(fee) => {
                row.reason.clone_from(&fee.period);
                row.plan.clone_from(&fee.plan);
                row.price_version = fee.price_version;
            }
            Kind::EventDefined(defined) => row.event_id.clone_from(&defined.event_id),
            Kind::BoothSet(set) => {
                row.booth_id.clone_from(&set.booth_id);
                row.reason = if set.paused { "paused".to_owned() } else { String::new() };
            }
            Kind::RechargeSet(set) => row.reason = if set.enabled { String::new() } else { "off".to_owned() },
            Kind::RechargeFailed(failed) => row.reason.clone_from(&failed.reason),
            Kind::AlertRaised(alert) => {
                row.reason = kind_code(alert.kind()).to_owned();
                row.event_id.clone_from(&alert.event_id);
                row.booth_id.clone_from(&alert.booth_id);
                row.alert = Some(Box::new(Alert::of_entry(alert)));
            }
            Kind::Repriced(repriced) => row.set_repriced(repriced),
            Kind::AccountOpened(opened) => row.plan.clone_from(&opened.plan),
            Kind::PlanChanged(changed) => row.plan.clone_from(&changed.plan),
            Kind::ProfileSet(_)
            | Kind::CreditLimitSet(_)
            | Kind::BonusExpired(_)
            | Kind::RechargeRequested(_)
            | Kind::AlertsSet(_) => {}
        }
        Some(row)
    }
}

impl ActivityRow {
    fn set_hold(&mut self, hold: &HoldPlaced) {
        self.service.clone_from(&hold.service);
        self.engine.clone_from(&hold.engine);
        self.variant.clone_from(&hold.variant);
        self.plan.clone_from(&hold.plan);
        self.quantity_micros = hold.quantity_micros;
        self.unit.clone_from(&hold.unit);
        self.event_id.clone_from(&hold.event_id);
        self.booth_id.clone_from(&hold.booth_id);
        self.price_version = hold.price_version;
    }

    fn set_usage(&mut self, usage: &Usage) {
        self.service.clone_from(&usage.service);
        self.engine.clone_from(&usage.engine);
        self.variant.clone_from(&usage.variant);
        self.plan.clone_from(&usage.plan);
        self.quantity_micros = usage.quantity_micros;
        self.unit.clone_from(&usage.unit);
        self.event_id.clone_from(&usage.event_id);
        self.booth_id.clone_from(&usage.booth_id);
        self.operation_id.clone_from(&usage.operation_id);
        self.price_version = usage.price_version;
        self.reason.clone_from(&usage.error_code);
    }

    fn set_repriced(&mut self, repriced: &Repriced) {
        if let Some(charge) = &repriced.charge {
            self.set_usage(charge);
        }
        self.reason = if repriced.undo { "repricing_undone" } else { "repricing" }.to_owned();
    }

    fn set_reversal(&mut self, reversal: &Reversal) {
        self.service.clone_from(&reversal.service);
        self.engine.clone_from(&reversal.engine);
        self.variant.clone_from(&reversal.variant);
        self.plan.clone_from(&reversal.plan);
        self.quantity_micros = reversal.quantity_micros;
        self.unit.clone_from(&reversal.unit);
        self.event_id.clone_from(&reversal.event_id);
        self.booth_id.clone_from(&reversal.booth_id);
        self.operation_id.clone_from(&reversal.operation_id);
        self.price_version = reversal.price_version;
        self.reason.clone_from(&reversal.reason);
    }
}

const fn release_cause(cause: HoldReleaseCause) -> &'static str {
    match cause {
        HoldReleaseCause::Voided => "voided",
        HoldReleaseCause::Expired => "expired",
        HoldReleaseCause::Unspecified => "",
    }
}

/// One entry of the account's ledger. What an entry does not have is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Transaction {
    /// Its id.
    entry_id: String,
    /// Its place in the account's ledger: 1, 2, 3 ...
    seq: u64,
    /// `consume` for charges and failed work, `reversal` and `repriced` for a charge that was made anew at another price,
    /// else what was added or taken.
    r#type: String,
    /// `success` or `failed`; failed work costs nothing.
    status: &'static str,
    /// Service code.
    service: Option<String>,
    /// Engine code.
    engine: Option<String>,
    /// Service and engine as people read them.
    #[schema(examples("AI Modify (Nano Banana 2)"))]
    service_name: Option<String>,
    /// What the balance changed by: charges are below zero.
    amount: AmountBody,
    /// The balance right after it.
    balance_after: AmountBody,
    /// Decimal string, in units of `unit`.
    #[schema(value_type = Option<String>, pattern = r"^-?\d+(\.\d{1,6})?$")]
    quantity: Option<QuantityText>,
    /// What `quantity` counts.
    unit: Option<String>,
    /// When the work was done.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    occurred_at: i64,
    /// When it was posted.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    posted_at: i64,
    /// The event it was done for.
    event_id: Option<String>,
    /// The booth that did it.
    booth_id: Option<String>,
    /// The operation that was charged, once.
    operation_id: Option<String>,
    /// The price book that priced it.
    price_version: Option<u32>,
    /// Error code of failed work, reason of a correction.
    reason: Option<String>,
}

impl Transaction {
    /// The shape of a row.
    #[must_use]
    pub fn of_row(account_id: &str, currency: &str, names: &Names, row: ActivityRow) -> Self {
        let text = |text: String| if text.is_empty() { None } else { Some(text) };
        let unit = text(row.unit);
        Self {
            entry_id: entry_id(account_id, row.seq),
            seq: row.seq,
            r#type: row.entry_type,
            status: if row.failed { "failed" } else { "success" },
            service_name: names.work(&row.service, &row.engine),
            service: text(row.service),
            engine: text(row.engine),
            amount: AmountBody::new(row.amount_micros, currency),
            balance_after: AmountBody::new(row.balance_after_micros, currency),
            quantity: unit.is_some().then(|| QuantityText(row.quantity_micros.into())),
            unit,
            occurred_at: row.occurred_at_ms,
            posted_at: row.posted_at_ms,
            event_id: text(row.event_id),
            booth_id: text(row.booth_id),
            operation_id: text(row.operation_id),
            price_version: Some(row.price_version).filter(|version| *version > 0),
            reason: text(row.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::v1::{AccountOpened, Adjustment, PlanChanged, PlanFee, UsageStatus};

    use super::*;

    fn record(kind: Kind, amount_micros: i64) -> LedgerRecord {
        let entry = Entry {
            seq: 7,
            amount_micros,
            balance_after_micros: 12_340_000,
            occurred_at_ms: 1_700_000_000_123,
            kind: Some(kind),
            ..Entry::default()
        };
        LedgerRecord {
            account_id: "acc_luna".to_owned(),
            posted_at_ms: 1_700_000_001_000,
            input_generation: 0,
            entries: vec![entry],
        }
    }

    fn shown(record: &LedgerRecord) -> serde_json::Value {
        let row = ActivityRow::of_entry(record, &record.entries[0]).unwrap();
        serde_json::to_value(Transaction::of_row("acc_luna", "USD", &Names::default(), row)).unwrap()
    }

    fn usage(status: UsageStatus) -> Kind {
        Kind::Usage(Usage {
            status: status.into(),
            operation_id: "op_1".to_owned(),
            service: "ai_modify".to_owned(),
            engine: "nano_banana_2".to_owned(),
            variant: "1k".to_owned(),
            plan: "basic".to_owned(),
            unit: "image".to_owned(),
            quantity_micros: 1_000_000,
            event_id: "evt_gala".to_owned(),
            price_version: 12,
            ..Usage::default()
        })
    }

    #[test]
    fn a_charge_is_negative_and_a_failure_is_nothing() {
        insta::assert_json_snapshot!(shown(&record(usage(UsageStatus::Success), -200_000)));
        let failed = shown(&record(usage(UsageStatus::Failed), 0));
        assert_eq!((&failed["status"], &failed["amount"]["amount"]), (&"failed".into(), &"0.00".into()));
    }

    #[test]
    fn what_an_entry_does_not_have_is_null() {
        let reason = "goodwill".to_owned();
        insta::assert_json_snapshot!(shown(&record(
            Kind::Adjustment(Adjustment { reason, note: String::new() }),
            5_000_000
        )));
    }

    #[test]
    fn plan_and_variant_are_those_that_the_ledgers_row_has() {
        let (service, plan, variant) = ("ai_modify".to_owned(), "pro".to_owned(), "4k".to_owned());
        let charge = Usage { service, plan: plan.clone(), variant: variant.clone(), ..Usage::default() };
        let hold = HoldPlaced { plan: plan.clone(), variant: variant.clone(), ..HoldPlaced::default() };
        let reversal = Reversal { plan: plan.clone(), variant, ..Reversal::default() };
        for (kind, expected) in [
            (Kind::Usage(charge.clone()), ("pro", "4k")),
            (Kind::HoldPlaced(hold), ("pro", "4k")),
            (Kind::Reversal(reversal), ("pro", "4k")),
            (Kind::Repriced(Repriced { charge: Some(Box::new(charge)), ..Repriced::default() }), ("pro", "4k")),
            (Kind::Repriced(Repriced::default()), ("", "")),
            (Kind::PlanFee(PlanFee { plan: plan.clone(), ..PlanFee::default() }), ("pro", "")),
            (Kind::AccountOpened(AccountOpened { plan: plan.clone(), ..AccountOpened::default() }), ("pro", "")),
            (Kind::PlanChanged(PlanChanged { plan, ..PlanChanged::default() }), ("pro", "")),
            (Kind::Adjustment(Adjustment::default()), ("", "")),
        ] {
            let record = record(kind, 0);
            let row = ActivityRow::of_entry(&record, &record.entries[0]).unwrap();
            assert_eq!((row.plan.as_str(), row.variant.as_str()), expected, "{}", row.entry_type);
        }
    }

    #[test]
    fn an_unknown_kind_has_no_row() {
        let mut record = record(usage(UsageStatus::Success), 0);
        record.entries[0].kind = None;
        assert_eq!(ActivityRow::of_entry(&record, &record.entries[0]), None);
    }
}
