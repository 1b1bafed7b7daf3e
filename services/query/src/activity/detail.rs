//! Everything that is known of one entry, wherever it was read.

use serde::Serialize;
use tollbooth_schemas::dead_letter::LetterId;
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::time::serde_rfc3339_option;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{Entry, HoldPlaced, LedgerRecord, Pricing, Reversal, SourceTopic, Usage};
use utoipa::ToSchema;

use super::parts::{PricingBody, formula, model_code};
use super::{ActivityRow, Transaction};
use crate::amount::{AmountBody, QuantityText};
use crate::prices::Names;

/// An entry with what explains it. Empty texts stand for "none", as in the ledger's rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntryDetail {
    /// What a page shows of it, and variant and plan.
    pub row: ActivityRow,
    /// ISO 3166-1, for messages.
    pub country: String,
    /// Code of the model; empty: nothing was priced.
    pub price_model: String,
    /// In micro-units.
    pub unit_price_micros: i64,
    /// `None`: the amount is the price times the quantity, or the price.
    pub pricing: Option<Pricing>,
    /// In micro-units; `None`: not told.
    pub provider_cost_micros: Option<i64>,
    /// Which try of the operation.
    pub attempt: u32,
    /// When the usage record was received; `None` for what is no usage.
    pub received_at_ms: Option<i64>,
    /// When the picture was taken.
    pub captured_at_ms: Option<i64>,
    /// What a person wrote; of usage that was a dead letter, its id.
    pub note: String,
    /// The hold it captured.
    pub hold_id: String,
    /// Whether it was a test.
    pub test_mode: bool,
    /// Id of the key that asked, for what a command made.
    pub actor: String,
    /// `usage`, `commands` or `tick`; empty: none of them.
    pub source_topic: String,
    /// Partition of that topic.
    pub source_partition: u32,
    /// Offset in it.
    pub source_offset: i64,
    /// Which generation of the topics.
    pub input_generation: u32,
    /// The charge that it gives back or replaces; 0: names none.
    pub original_seq: u64,
    /// What the account is called from then on.
    pub account_name: String,
    /// The account's zone from then on.
    pub time_zone: String,
}

impl EntryDetail {
    /// The detail of an entry of a record in `partition`; `None` for a kind this release does not know.
    #[must_use]
    pub fn of_entry(partition: u32, record: &LedgerRecord, entry: &Entry) -> Option<Self> {
        let source_topic = match entry.source_topic() {
            SourceTopic::Usage => "usage",
            SourceTopic::Commands => "commands",
            SourceTopic::Tick => "tick",
            SourceTopic::Unspecified => "",
        };
        let mut detail = Self {
            row: ActivityRow::of_entry(record, entry)?,
            actor: entry.command.as_ref().map(|command| command.actor.clone()).unwrap_or_default(),
            source_topic: source_topic.to_owned(),
            source_partition: partition,
            source_offset: entry.source_offset,
            input_generation: record.input_generation,
            ..Self::default()
        };
        match entry.kind.as_ref()? {
            Kind::Usage(usage) => detail.put_usage(usage),
            Kind::Adjustment(adjustment) => detail.note.clone_from(&adjustment.note),
            Kind::AccountOpened(opened) => detail.put_profile(&opened.name, &opened.time_zone),
            Kind::ProfileSet(set) => detail.put_profile(&set.name, &set.time_zone),
            Kind::HoldPlaced(hold) => detail.put_hold(hold),
            Kind::HoldReleased(released) => detail.hold_id.clone_from(&released.hold_id),
            Kind::Reversal(reversal) => detail.put_reversal(reversal),
            Kind::Repriced(repriced) => {
                if let Some(charge) = &repriced.charge {
                    detail.put_usage(charge);
                }
                detail.received_at_ms = None;
                detail.note.clone_from(&repriced.repricing_id);
                detail.original_seq = repriced.replaced_seq;
            }
            Kind::BonusGranted(granted) => detail.note.clone_from(&granted.note),
            Kind::Purchase(purchase) => detail.note.clone_from(&purchase.payment_id),
            Kind::EventDefined(defined) => detail.note.clone_from(&defined.name),
            Kind::BoothSet(booth) => detail.note.clone_from(&booth.name),
            Kind::RechargeRequested(requested) => detail.note.clone_from(&requested.recharge_id),
            Kind::RechargeFailed(failed) => detail.note.clone_from(&failed.recharge_id),
            Kind::AlertRaised(alert) => detail.note.clone_from(&alert.recharge_id),
            Kind::PlanChanged(_)
            | Kind::PlanFee(_)
            | Kind::CreditLimitSet(_)
            | Kind::BonusExpired(_)
            | Kind::RechargeSet(_)
            | Kind::AlertsSet(_) => {}
        }
        Some(detail)
    }

    fn put_usage(&mut self, usage: &Usage) {
        self.country.clone_from(&usage.country);
        model_code(usage.price_model()).clone_into(&mut self.price_model);
        self.unit_price_micros = usage.unit_price_micros;
        self.pricing = usage.pricing.as_deref().cloned();
        self.provider_cost_micros = usage.provider_cost_micros;
        self.attempt = usage.attempt;
        self.received_at_ms = Some(usage.received_at_ms);
        self.captured_at_ms = usage.captured_at_ms;
        self.hold_id.clone_from(&usage.hold_id);
        self.test_mode = usage.test_mode;
        self.note = usage.letter.as_deref().map(|letter| LetterId::from(letter).to_string()).unwrap_or_default();
    }

    fn put_profile(&mut self, name: &str, time_zone: &str) {
        name.clone_into(&mut self.account_name);
        time_zone.clone_into(&mut self.time_zone);
    }

    fn put_hold(&mut self, hold: &HoldPlaced) {
        self.country.clone_from(&hold.country);
        self.hold_id.clone_from(&hold.hold_id);
    }

    fn put_reversal(&mut self, reversal: &Reversal) {
        self.country.clone_from(&reversal.country);
        self.note.clone_from(&reversal.note);
        self.original_seq = reversal.original_seq;
        self.attempt = reversal.attempt;
        self.test_mode = reversal.test_mode;
    }
}

/// One entry of the account's ledger, and why its amount is what it is. What it does not have is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TransactionDetail)]
pub(crate) struct TransactionDetailBody {
    #[serde(flatten)]
    transaction: Transaction,
    /// How the amount came about, in one line.
    #[schema(examples("1 image x 0.20 USD (Basic, price book 12)"))]
    explanation: Option<String>,
    /// Variant code, such as a resolution.
    variant: Option<String>,
    /// ISO 3166-1 alpha-2, of messages.
    country: Option<String>,
    /// Code of the plan that was paid, or that begins.
    plan: Option<String>,
    /// `per_unit`: price times quantity; `flat`: the price, whatever the quantity; `package`: for each pack that was begun;
    /// `graduated`: each unit at the price of its tier; `volume`: all at the price of the tier that the month reached.
    price_model: Option<String>,
    /// The price in force when the work was done: of a unit, of a pack, or of the whole; of tiers, the highest one reached.
    unit_price: Option<AmountBody>,
    /// What the amount is the sum of, where it is more than a price times a quantity.
    pricing: Option<PricingBody>,
    /// What the provider took. Only with an admin key, and as far as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provider_cost: Option<AmountBody>,
    /// Which try of the operation.
    attempt: Option<u32>,
    /// When the record was received.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    received_at: Option<i64>,
    /// When the picture was taken.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    captured_at: Option<i64>,
    /// What a person wrote; of usage that was a dead letter, its id; of a re-pricing, its id.
    note: Option<String>,
    /// The charge that it gives back, or that it takes the place of.
    original_entry_id: Option<String>,
    /// The hold it named.
    hold_id: Option<String>,
    /// Of an opening and of what changes it: what the account is called from then on.
    account_name: Option<String>,
    /// The same of its zone, an IANA name.
    time_zone: Option<String>,
    /// Whether it was a test.
    test_mode: bool,
    /// Id of the key that asked, for what was asked for.
    actor: Option<String>,
    /// The record that it came from.
    source: Option<SourceBody>,
}

/// Where the record lies that an entry came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Source)]
struct SourceBody {
    /// `usage` or `commands`; `tick` for what came due by itself.
    topic: String,
    partition: u32,
    offset: i64,
    /// Raised when the topics are made anew.
    generation: u32,
}

impl TransactionDetailBody {
    /// The shape of a detail; `is_admin` says whether the reader may see what it cost.
    pub(crate) fn new(account_id: &str, currency: &str, names: &Names, detail: EntryDetail, is_admin: bool) -> Self {
        let text = |text: &str| if text.is_empty() { None } else { Some(text.to_owned()) };
        let money = |micros: i64| AmountBody::new(micros, currency);
        let is_priced = !detail.price_model.is_empty();
        let source = text(&detail.source_topic).map(|topic| SourceBody {
            topic,
            partition: detail.source_partition,
            offset: detail.source_offset,
            generation: detail.input_generation,
        });
        Self {
            explanation: explain(currency, names, &detail),
            variant: text(&detail.row.variant),
            country: text(&detail.country),
            plan: text(&detail.row.plan),
            price_model: text(&detail.price_model),
            unit_price: is_priced.then(|| money(detail.unit_price_micros)),
            pricing: detail.pricing.as_ref().map(|pricing| PricingBody::new(currency, pricing)),
            provider_cost: detail.provider_cost_micros.filter(|_| is_admin).map(money),
            attempt: detail.received_at_ms.map(|_| detail.attempt),
            received_at: detail.received_at_ms,
            captured_at: detail.captured_at_ms,
            note: text(&detail.note),
            original_entry_id: (detail.original_seq > 0).then(|| entry_id(account_id, detail.original_seq)),
            hold_id: text(&detail.hold_id),
            account_name: text(&detail.account_name),
            time_zone: text(&detail.time_zone),
            test_mode: detail.test_mode,
            actor: text(&detail.actor),
            source,
            transaction: Transaction::of_row(account_id, currency, names, detail.row),
        }
    }
}

/// `1 image x 0.20 USD (Basic, price book 12)`.
fn explain(currency: &str, names: &Names, detail: &EntryDetail) -> Option<String> {
    let row = &detail.row;
    if row.failed {
        return Some("failed work is free".to_owned());
    }
    let price = crate::amount::Micros(detail.unit_price_micros.into());
    let quantity = QuantityText(row.quantity_micros.into());
    let (unit, plan) = (&row.unit, names.plan(&row.plan));
    let what = match detail.price_model.as_str() {
        "" => return None,
        _ if detail.pricing.is_some() => {
            let charged = crate::amount::Micros(-i128::from(row.amount_micros));
            let formula = detail.pricing.as_ref().map(|pricing| formula(currency, unit, pricing)).unwrap_or_default();
            format!("{formula} = {charged} {currency}")
        }
        "per_unit" => format!("{quantity} {unit} x {price} {currency}"),
        "flat" => format!("{quantity} {unit}, {price} {currency} whatever the quantity"),
        _ => return None,
    };
    Some(format!("{what} ({plan}, price book {})", row.price_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(price_model: &str, failed: bool) -> EntryDetail {
        let row = ActivityRow {
            quantity_micros: 5_000_000,
            unit: "second".to_owned(),
            price_version: 12,
            plan: "basic".to_owned(),
            failed,
            ..ActivityRow::default()
        };
        EntryDetail {
            row,
            price_model: price_model.to_owned(),
            unit_price_micros: 200_000,
            provider_cost_micros: Some(70_000),
            ..EntryDetail::default()
        }
    }

    #[test]
    fn an_amount_is_explained() {
        let explained = |detail: &EntryDetail| explain("USD", &Names::default(), detail);
        let per_unit = explained(&charge("per_unit", false));
        assert_eq!(per_unit.as_deref(), Some("5 second x 0.20 USD (basic, price book 12)"));
        let flat = explained(&charge("flat", false));
        assert_eq!(flat.as_deref(), Some("5 second, 0.20 USD whatever the quantity (basic, price book 12)"));
        assert_eq!(explained(&charge("", true)).as_deref(), Some("failed work is free"));
        assert_eq!(explained(&EntryDetail::default()), None);
    }

    #[test]
    fn what_it_cost_is_an_admins_business() {
        let shown = |is_admin| {
            let detail = charge("per_unit", false);
            let body = TransactionDetailBody::new("acc_a", "USD", &Names::default(), detail, is_admin);
            serde_json::to_value(body).unwrap()["provider_cost"]["amount"].clone()
        };
        assert_eq!((shown(true), shown(false)), ("0.07".into(), serde_json::Value::Null));
    }
}
