//! Sums that are carried forward from any entry on are those of all entries asked anew.

use std::time::Instant;

use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;
use proptest::sample::select;
use tollbooth_schemas::v1::{
    Adjustment, HoldPlaced, LedgerRecord, PlanFee, Purchase, Repriced, Reversal, ReversalCause, Usage, UsageStatus,
};

use super::super::carried::Carried;
use super::super::cube::Cells;
use super::super::packed::Columns;
use super::*;
use crate::calendar::{Bucket, QUARTER_MS, spans};
use crate::store::CubeOf;

const BEGIN_MS: i64 = 1_760_000_000_000;
const LENGTH_MS: i64 = 40 * 86_400_000;

/// What an entry says, told apart from how the product reads it.
#[derive(Debug, Clone)]
struct Said {
    kind: &'static str,
    at_ms: i64,
    service: &'static str,
    engine: &'static str,
    variant: &'static str,
    plan: &'static str,
    event: &'static str,
    booth: &'static str,
    quantity: i64,
    amount: i64,
    cost: Option<i64>,
}

fn said() -> impl Strategy<Value = Said> {
    let kinds = [
        "consume",
        "consume",
        "consume",
        "failed",
        "refund",
        "part",
        "reversal",
        "repriced",
        "purchase",
        "adjustment",
        "plan_fee",
        "no_plan_fee",
        "hold_placed",
    ];
    let names = (select(vec!["sms", "ai"]), select(vec!["kling", "sora", "grok"]), select(vec!["", "1k"]));
    let places = (select(vec!["basic", "pro"]), select(vec!["", "evt_1", "evt_2"]), select(vec!["", "bth_1", "bth_2"]));
    // Late ones too: the order of entries is not that of their instants.
    let numbers = (BEGIN_MS..BEGIN_MS + LENGTH_MS, 0_i64..3, 1_i64..1_000_000, proptest::option::of(0_i64..500));
    (select(kinds.to_vec()), names, places, numbers).prop_map(
        |(kind, (service, engine, variant), (plan, event, booth), (at_ms, quantity, amount, cost))| Said {
            kind,
            at_ms,
            service,
            engine,
            variant,
            plan,
            event,
            booth,
            quantity,
            amount,
            cost,
        },
    )
}

impl Said {
    fn entry(&self, seq: u64) -> Entry {
        let text = str::to_owned;
        let work = |status: UsageStatus| Usage {
            status: status.into(),
            service: text(self.service),
            engine: text(self.engine),
            variant: text(self.variant),
            plan: text(self.plan),
            event_id: text(self.event),
            booth_id: text(self.booth),
            quantity_micros: self.quantity,
            provider_cost_micros: self.cost,
            ..Usage::default()
        };
        let anew = || Repriced { charge: Some(Box::new(work(UsageStatus::Success))), ..Repriced::default() };
        let back = |cause: ReversalCause, quantity_micros| {
            Kind::Reversal(Reversal {
                cause: cause.into(),
                service: text(self.service),
                engine: text(self.engine),
                variant: text(self.variant),
                plan: text(self.plan),
                event_id: text(self.event),
                booth_id: text(self.booth),
                quantity_micros,
                ..Reversal::default()
            })
        };
        let (kind, amount_micros) = match self.kind {
            "consume" => (Kind::Usage(work(UsageStatus::Success)), -self.amount),
            "failed" => (Kind::Usage(work(UsageStatus::Failed)), 0),
            "refund" => (back(ReversalCause::Refund, self.quantity), self.amount),
            "part" => (back(ReversalCause::Refund, 0), self.amount),
            "reversal" => (back(ReversalCause::Unspecified, self.quantity), self.amount),
            "repriced" => (Kind::Repriced(anew()), -self.amount),
            "purchase" => (Kind::Purchase(Purchase::default()), self.amount),
            "adjustment" => (Kind::Adjustment(Adjustment::default()), self.amount),
            "plan_fee" => (Kind::PlanFee(PlanFee { plan: text(self.plan), ..PlanFee::default() }), -self.amount),
            "no_plan_fee" => (Kind::PlanFee(PlanFee::default()), 0),
            _ => (Kind::HoldPlaced(HoldPlaced { service: text(self.service), ..HoldPlaced::default() }), 0),
        };
        Entry { seq, amount_micros, occurred_at_ms: self.at_ms, kind: Some(kind), ..Entry::default() }
    }
}

/// The sums, from what was said alone, by the words of docs/api-query.md.
fn anew(question: &Question, all: &[Said]) -> Vec<UsageRow> {
    let mut rows: BTreeMap<(i64, String), UsageRow> = BTreeMap::new();
    for said in all {
        let is_usage = ["consume", "failed", "refund", "part", "reversal", "repriced"].contains(&said.kind);
        let moves = is_usage || ["purchase", "adjustment", "plan_fee"].contains(&said.kind);
        let wanted = if question.kinds == Kinds::Spend { is_usage } else { moves };
        let range = question.range.unwrap();
        let (of_work, plan) = (
            |text: &'static str| if is_usage { text } else { "" },
            match said.kind {
                "plan_fee" => said.plan,
                _ if is_usage => said.plan,
                _ => "",
            },
        );
        let entry_type = match said.kind {
            "failed" => "consume",
            "part" => "refund",
            other => other,
        };
        let filter = &question.filter;
        let passes = |list: &[String], text: &str| list.is_empty() || list.contains(&text.to_owned());
        if !wanted
            || said.at_ms < range.from_ms
            || said.at_ms >= range.to_ms
            || !passes(&filter.services, of_work(said.service))
            || !passes(&filter.engines, of_work(said.engine))
            || !passes(&filter.event_ids, of_work(said.event))
            || !passes(&filter.booth_ids, of_work(said.booth))
            || !passes(&filter.types, entry_type)
            || filter.failed.is_some_and(|failed| failed != (said.kind == "failed"))
        {
            continue;
        }
        let key = match question.group_by {
            Some(GroupBy::Engine) => of_work(said.engine).to_owned(),
            Some(GroupBy::Event) => of_work(said.event).to_owned(),
            Some(GroupBy::Booth) => of_work(said.booth).to_owned(),
            Some(GroupBy::Plan) => plan.to_owned(),
            Some(GroupBy::Status) => if said.kind == "failed" { "failed" } else { "success" }.to_owned(),
            Some(GroupBy::Type) => entry_type.to_owned(),
            Some(GroupBy::ServiceAndEngine) => format!("{}\0{}", of_work(said.service), of_work(said.engine)),
            _ => String::new(),
        };
        let start_ms = question.starts_ms.iter().copied().filter(|start_ms| *start_ms <= said.at_ms).max().unwrap_or(0);
        let row = rows.entry((start_ms, key.clone())).or_insert_with(|| Line::default().row(start_ms, &key));
        let sign = match said.kind {
            "failed" => 0,
            "refund" | "reversal" | "part" => -1,
            _ => 1,
        };
        let quantity = if is_usage && said.kind != "part" { said.quantity } else { 0 };
        row.succeeded += match said.kind {
            "refund" | "reversal" | "part" if quantity == 0 => 0,
            _ => sign,
        };
        row.failures += i64::from(said.kind == "failed");
        row.quantity_micros += i128::from(sign * quantity);
        row.spent_micros += match said.kind {
            "failed" => 0,
            "consume" | "repriced" | "plan_fee" => i128::from(said.amount),
            _ => -i128::from(said.amount),
        };
        if ["consume", "failed", "repriced"].contains(&said.kind) {
            row.cost_micros += i128::from(said.cost.unwrap_or(0));
        }
    }
    question.shape(rows.into_values().collect())
}

fn sorted(mut rows: Vec<UsageRow>) -> Vec<UsageRow> {
    rows.sort_by(|a, b| (a.start_ms, &a.group_key).cmp(&(b.start_ms, &b.group_key)));
    rows
}

proptest! {
    #[test]
    fn what_is_carried_forward_is_what_would_be_asked_anew(
        all in proptest::collection::vec(said(), 1..60),
        asked_after in 0.0_f64..1.0,
        stops in proptest::collection::vec(0.0_f64..1.0, 0..3),
        (zone, bucket) in (0..TZ_VARIANTS.len(), select(vec![None, Some(Bucket::Day), Some(Bucket::Week), Some(Bucket::Hour)])),
        (from_ms, length_ms) in (BEGIN_MS..BEGIN_MS + LENGTH_MS, 1_i64..LENGTH_MS),
        group_by in select(vec![None, Some(GroupBy::Engine), Some(GroupBy::Event), Some(GroupBy::Booth),
            Some(GroupBy::Plan), Some(GroupBy::Status), Some(GroupBy::Type), Some(GroupBy::ServiceAndEngine)]),
        kinds in select(vec![Kinds::Spend, Kinds::All]),
        (event, engine) in (select(vec!["", "evt_1"]), select(vec!["", "kling"])),
        failed in select(vec![None, Some(true), Some(false)]),
        top in select(vec![None, Some((Measure::Amount, 1)), Some((Measure::Count, 2)), Some((Measure::Margin, 1))]),
    ) {
        // given a question of any shape, and entries of which some were there when ClickHouse was asked
        let range = TimeRange { from_ms, to_ms: from_ms + length_ms };
        let cut = |bucket| spans(range, bucket, TZ_VARIANTS[zone], 0, 2_000).unwrap();
        let list = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        let question = Question {
            whose: Whose::Account("acc_luna".to_owned()),
            kinds,
            range: Some(range),
            starts_ms: bucket.map(cut).unwrap_or_default().iter().map(|span| span.start_ms).collect(),
            group_by,
            filter: UsageFilter {
                event_ids: list(event), engines: list(engine), failed, ..UsageFilter::default()
            },
            top: top.filter(|_| group_by.is_some()).map(|(measure, groups)| Top { measure, groups }),
        };
        let place = |share: f64| (share * all.len() as f64) as usize;
        let known = place(asked_after);
        let whole = Question { top: None, ..question.clone() };
        let mut carried = Carried::new(&anew(&whole, &all[..known]), known as u64);

        // when what came later is added, in any number of steps, each from records that begin before it
        let mut stops: Vec<usize> = stops.into_iter().map(place).filter(|stop| *stop >= known).collect();
        stops.push(all.len());
        stops.sort_unstable();
        let record = LedgerRecord {
            entries: all.iter().zip(1..).map(|(said, seq)| said.entry(seq)).collect(),
            ..LedgerRecord::default()
        };
        for stop in stops {
            prop_assert!(carried.carry(&question, std::slice::from_ref(&record), stop as u64));
            // then the sums are those of all entries
            prop_assert_eq!(sorted(carried.shaped(&question)), sorted(anew(&question, &all[..stop])));
            // and they stay what they are while they are kept
            let opened = carried.pack(&question).and_then(|packed| packed.open());
            prop_assert_eq!(opened, Some(carried.clone()));
        }
    }

    #[test]
    fn a_cube_tells_what_would_be_asked_anew(
        all in proptest::collection::vec(said(), 1..60),
        (read, known) in (0.0_f64..1.0, 0.0_f64..1.0),
        (zone, bucket) in (0..TZ_VARIANTS.len(), select(vec![None, Some(Bucket::Day), Some(Bucket::Week), Some(Bucket::Hour)])),
        (from, length) in (0..LENGTH_MS / QUARTER_MS, 1..LENGTH_MS / QUARTER_MS),
        group_by in select(vec![None, Some(GroupBy::Engine), Some(GroupBy::Event), Some(GroupBy::Plan),
            Some(GroupBy::Status), Some(GroupBy::Type), Some(GroupBy::ServiceAndEngine)]),
        kinds in select(vec![Kinds::Spend, Kinds::All]),
        (event, engine, entry_type) in (select(vec!["", "evt_1"]), select(vec!["", "kling"]), select(vec!["", "consume", "refund"])),
        failed in select(vec![None, Some(true), Some(false)]),
    ) {
        // given a question about whole quarters of an account or an event
        let from_ms = (BEGIN_MS / QUARTER_MS + from) * QUARTER_MS;
        let range = TimeRange { from_ms, to_ms: from_ms + length * QUARTER_MS };
        let cut = |bucket| spans(range, bucket, TZ_VARIANTS[zone], 0, 2_000).unwrap();
        let list = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        let question = Question {
            whose: Whose::Account("acc_luna".to_owned()),
            kinds,
            range: Some(range),
            starts_ms: bucket.map(cut).unwrap_or_default().iter().map(|span| span.start_ms).collect(),
            group_by,
            filter: UsageFilter {
                event_ids: list(event), engines: list(engine), types: list(entry_type), failed, ..UsageFilter::default()
            },
            top: None,
        };
        prop_assume!(question.whole(1).is_of_cells());
        let of = CubeOf { account_id: "acc_luna".to_owned(), event_id: event.to_owned() };
        let entries: Vec<Entry> = all.iter().zip(1..).map(|(said, seq)| said.entry(seq)).collect();

        // when some entries are read as rows, several perhaps of one cell, and the others come later, in two steps
        let place = |share: f64| (share * all.len() as f64) as usize;
        let rows: Vec<UsageRow> = entries[..place(read)].iter().filter_map(|entry| {
            let facts = Facts::of(entry).filter(|facts| Kinds::All.has(facts.entry_type))?;
            let start_ms = entry.occurred_at_ms / QUARTER_MS * QUARTER_MS;
            let is_of_it = event.is_empty() || facts.event_id == event;
            is_of_it.then(|| facts.line(entry).row(start_ms, &facts.cell()))
        }).collect();
        let mut cells = Cells::of(&rows, place(read) as u64, Instant::now()).unwrap();
        let record = LedgerRecord { entries, ..LedgerRecord::default() };
        for stop in [place(known).max(place(read)), all.len()] {
            prop_assert!(cells.carry(&of, std::slice::from_ref(&record), stop as u64));
            let columns = Columns::open(&cells.columns.pack()).unwrap();
            cells = Cells { columns, ..cells };
            // then the sums are those of all entries
            let told = question.shape(cells.tell(&of, &question).unwrap());
            prop_assert_eq!(sorted(told), sorted(anew(&question, &all[..stop])));
        }
        // and over a gap nothing is carried
        let gap = Entry { seq: all.len() as u64 + 2, ..record.entries[0].clone() };
        let gap = LedgerRecord { entries: vec![gap], ..LedgerRecord::default() };
        prop_assert!(!cells.carry(&of, &[gap], all.len() as u64 + 2));
    }

    #[test]
    fn nothing_is_carried_over_a_gap(count in 3_u64..20, gap in 0.0_f64..1.0, known in 0_u64..3) {
        let question = Question {
            whose: Whose::Account("acc_luna".to_owned()),
            kinds: Kinds::All,
            range: None,
            starts_ms: Vec::new(),
            group_by: None,
            filter: UsageFilter::default(),
            top: None,
        };
        let missing = known + 1 + (gap * (count - known) as f64) as u64;
        let entry = |seq| Entry { seq, kind: Some(Kind::Adjustment(Adjustment::default())), ..Entry::default() };
        let entries: Vec<Entry> = (1..=count).filter(|seq| *seq != missing).map(entry).collect();
        let mut carried = Carried::new(&[], known);
        prop_assert!(carried.asked_at <= Instant::now());
        let record = LedgerRecord { entries, ..LedgerRecord::default() };
        prop_assert_eq!(carried.carry(&question, &[record], count), missing > count);
    }
}
