//! What a re-pricing of an account comes to: a pure function of the entries that were looked at and of the price book.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};
use tollbooth_ledger::{NoPrice, PriceBooks, Quote, charge};
use tollbooth_schemas::Quantity;
use tollbooth_schemas::v1::{Charge, Counted, Reprice};

use super::read::EntryRow;

/// A charge whose price changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) seq: u64,
    pub(super) charge: Charge,
    counted: Option<Counted>,
    pub(super) would_be_micros: i64,
    pub(super) price_version: u32,
}

impl Change {
    pub(super) fn command(&self, repricing_id: &str, undo: bool) -> Reprice {
        Reprice {
            repricing_id: repricing_id.to_owned(),
            seq: self.seq,
            original: Some(self.charge.clone()),
            counted: self.counted.clone(),
            price_version: self.price_version,
            amount_micros: self.would_be_micros,
            undo,
        }
    }
}

/// Sums of the charges of an event and an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) changes: u64,
    pub(super) was_micros: i128,
    pub(super) would_be_micros: i128,
    /// How many charges stay as they are, by why.
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

/// Event, service, engine.
pub(super) type Cut = (String, String, String);

pub(super) type Lines = BTreeMap<Cut, Line>;

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// In posting order.
    pub(super) changes: Vec<Change>,
    pub(super) lines: Lines,
}

/// The book that charges are priced by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Book<'a> {
    pub(super) books: &'a PriceBooks,
    pub(super) version: u32,
    pub(super) currency: &'a str,
}

impl Plan {
    /// `entries` are in posting order; of a charge that was made anew, the newest one counts.
    pub(super) fn of(entries: &[EntryRow], book: Book<'_>) -> Self {
        let mut charges: BTreeMap<u64, &EntryRow> = BTreeMap::new();
        let mut refunded: HashSet<u64> = HashSet::new();
        // One whose second entry is behind the last that is looked at.
        let mut half: Option<&EntryRow> = None;
        for entry in entries {
            match entry.r#type.as_str() {
                "consume" | "repriced" => {
                    charges.insert(entry.seq, entry);
                    half = half.filter(|_| entry.r#type != "repriced");
                }
                "refund" => {
                    refunded.insert(entry.original_seq);
                }
                _ => {
                    let removed = charges.remove(&entry.original_seq);
                    half = removed.filter(|_| entry.reason.starts_with("repricing"));
                }
            }
        }
        let mut plan = Self::default();
        if let Some(entry) = half {
            let cut = (entry.event_id.clone(), entry.service.clone(), entry.engine.clone());
            *plan.lines.entry(cut).or_default().left_out.entry("charge_replaced").or_default() += 1;
        }
        for (seq, entry) in charges {
            let cut = (entry.event_id.clone(), entry.service.clone(), entry.engine.clone());
            let line = plan.lines.entry(cut).or_default();
            let judged = if refunded.contains(&seq) { Err("refunded") } else { judge(entry, book) };
            match judged {
                Ok(change) => {
                    line.changes += 1;
                    line.was_micros += i128::from(change.charge.amount_micros);
                    line.would_be_micros += i128::from(change.would_be_micros);
                    plan.changes.push(change);
                }
                Err(why) => *line.left_out.entry(why).or_default() += 1,
            }
        }
        plan
    }

    /// Was, and would be.
    pub(super) fn sums(&self) -> (i128, i128) {
        let sum = |of: fn(&Line) -> i128| self.lines.values().map(of).sum();
        (sum(|line| line.was_micros), sum(|line| line.would_be_micros))
    }

    /// Of the charges, their prices and what they come to.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for change in &self.changes {
            digest.update(change.seq.to_be_bytes());
            digest.update(change.charge.amount_micros.to_be_bytes());
            digest.update(change.price_version.to_be_bytes());
            digest.update(change.would_be_micros.to_be_bytes());
        }
        hex(&digest.finalize())
    }
}

/// The first 16 bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The change, or why the charge stays as it is. The ledger judges anew.
fn judge(entry: &EntryRow, book: Book<'_>) -> Result<Change, &'static str> {
    let (work, counted) = (entry.charge(), entry.counted());
    if work.price_version == book.version {
        return Err("priced_by_it");
    }
    let quote = Quote {
        service: &work.service,
        engine: &work.engine,
        variant: &work.variant,
        country: &work.country,
        unit: &work.unit,
        plan: &work.plan,
        currency: book.currency,
        at_ms: work.occurred_at_ms,
        test_mode: work.test_mode,
    };
    let rate = book.books.rate_by(book.version, &quote).map_err(|why| match why {
        NoPrice::NoPrice => "no_price",
        NoPrice::EngineRetired => "engine_retired",
        NoPrice::UnitMismatch => "unit_mismatch",
    })?;
    let row = rate.terms.map(|terms| terms.price).filter(|price| price.is_counted());
    let place = row.map(|price| (price.variant.as_deref().unwrap_or(""), price.country.as_deref().unwrap_or("")));
    let was = counted.as_ref().map(|counted| (counted.variant.as_str(), counted.country.as_str()));
    if place != was {
        return Err("counts_differ");
    }
    let before = counted.as_ref().map_or(0, |counted| counted.before_micros);
    let quantities = [work.quantity_micros, before].map(Quantity::from_micros);
    let [Some(quantity), Some(before)] = quantities else { return Err("out_of_range") };
    let anew = charge(&rate, quantity, before).ok_or("out_of_range")?;
    let would_be_micros = anew.amount.micros();
    if would_be_micros == work.amount_micros {
        return Err("unchanged");
    }
    Ok(Change { seq: entry.seq, charge: work, counted, would_be_micros, price_version: book.version })
}

/// Type, and why, of the entries that undoing looks at.
const REPRICED: &str = "repriced";
const UNDONE: &str = "repricing_undone";

/// What takes a re-pricing back: each charge that it made goes back to the price before. A charge that was priced anew once
/// more and taken back to this one stands for this one. Those that were charged anew or given back since are told apart by
/// the ledger. `entries` are in posting order and have all that were made anew, and what the re-pricing replaced.
pub(super) fn undoing(entries: &[EntryRow], repricing_id: &str) -> Vec<Change> {
    let by_seq: HashMap<u64, &EntryRow> = entries.iter().map(|entry| (entry.seq, entry)).collect();
    let mut stands_for: HashMap<u64, u64> = HashMap::new();
    let mut stands: HashMap<u64, u64> = HashMap::new();
    let mut undone: HashSet<u64> = HashSet::new();
    for entry in entries.iter().filter(|entry| entry.r#type == REPRICED && entry.reason == UNDONE) {
        let root = |seq: u64, known: &HashMap<u64, u64>| known.get(&seq).copied().unwrap_or(seq);
        let taken_back = root(entry.original_seq, &stands_for);
        undone.insert(taken_back);
        if let Some(before) = by_seq.get(&taken_back) {
            let brought_back = root(before.original_seq, &stands_for);
            stands_for.insert(entry.seq, brought_back);
            stands.insert(brought_back, entry.seq);
        }
    }
    let is_left = |entry: &&EntryRow| {
        entry.r#type == REPRICED && entry.note == repricing_id && entry.reason != UNDONE && !undone.contains(&entry.seq)
    };
    let back = |entry: &EntryRow| {
        let before = by_seq.get(&entry.original_seq)?;
        let newest = stands.get(&entry.seq).and_then(|seq| by_seq.get(seq)).copied().unwrap_or(entry);
        Some(Change {
            seq: newest.seq,
            charge: newest.charge(),
            counted: newest.counted(),
            would_be_micros: before.amount.saturating_neg(),
            price_version: before.price_version,
        })
    };
    let mut changes: Vec<Change> = entries.iter().filter(is_left).filter_map(back).collect();
    changes.sort_unstable_by_key(|change| change.seq);
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read::tests::row;
    use super::*;

    /// Version 7: an image costs 0.10; `tiered` counts its month, `old` has ended.
    fn books() -> PriceBooks {
        let book = json!({
            "version": 7, "currency": "USD", "effective_from": "2199-01-01T00:00:00Z",
            "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
            "services": [{"code": "ai", "name": "AI"}],
            "engines": [{"code": "nano", "name": "N"}, {"code": "tiered", "name": "T"}, {"code": "old", "name": "O"}],
            "prices": [
                {"service": "ai", "engine": "nano", "unit": "image", "model": "per_unit", "plans": {"basic": "0.10"}},
                {"service": "ai", "engine": "old", "unit": "image", "model": "per_unit", "plans": {"basic": "0.10"},
                 "effective_to": "1970-01-01T00:00:00.001Z"},
                {"service": "ai", "engine": "tiered", "unit": "image", "model": "graduated", "plans": {}, "tiers": [
                    {"from": "0", "to": "10", "plans": {"basic": "0.10"}}, {"from": "10", "plans": {"basic": "0.01"}}]}
            ]
        });
        let book: tollbooth_schemas::price_book::PriceBook = serde_json::from_value(book).unwrap();
        assert_eq!(book.check(), []);
        let mut books = PriceBooks::default();
        books.publish(book);
        books
    }

    fn plan(entries: &[EntryRow]) -> Plan {
        Plan::of(entries, Book { books: &books(), version: 7, currency: "USD" })
    }

    fn with(mut entry: EntryRow, change: impl FnOnce(&mut EntryRow)) -> EntryRow {
        change(&mut entry);
        entry
    }

    #[test]
    fn what_changes_is_summed_by_event_and_engine_and_the_rest_says_why_not() {
        let counted = |before: i64| {
            format!(
                r#"{{"counted":{{"before_micros":{before},"country":"","period":"1970-01","variant":""}},"parts":[]}}"#
            )
        };
        let entries = [
            row(1, "consume", "nano", -200_000),
            with(row(2, "consume", "nano", -200_000), |entry| entry.event_id = "evt_other".to_owned()),
            row(3, "consume", "nano", -200_000),
            with(row(4, "refund", "nano", 10_000), |entry| entry.original_seq = 3),
            row(5, "consume", "nano", -100_000),
            with(row(6, "consume", "nano", -200_000), |entry| entry.price_version = 7),
            row(7, "consume", "old", -200_000),
            row(8, "consume", "new", -200_000),
            row(9, "consume", "tiered", -200_000),
            with(row(10, "consume", "tiered", -200_000), |entry| entry.detail = counted(9_500_000)),
        ];
        let plan = plan(&entries);
        let seqs: Vec<u64> = plan.changes.iter().map(|change| change.seq).collect();
        assert_eq!(seqs, [1, 2, 10]);
        // half of it in the first tier
        assert_eq!(plan.changes[2].would_be_micros, 55_000);
        assert_eq!(plan.sums(), (600_000, 255_000));
        let left_out = |engine: &str| {
            let cut = ("evt_gala".to_owned(), "ai".to_owned(), engine.to_owned());
            plan.lines[&cut].left_out.iter().map(|(why, count)| (*why, *count)).collect::<Vec<_>>()
        };
        assert_eq!(left_out("nano"), [("priced_by_it", 1), ("refunded", 1), ("unchanged", 1)]);
        assert_eq!([left_out("old"), left_out("new")], [[("engine_retired", 1)], [("no_price", 1)]]);
        assert_eq!(left_out("tiered"), [("counts_differ", 1)]);
    }

    #[test]
    fn a_charge_of_which_only_the_first_entry_is_there_yet_is_left_out_and_not_lost() {
        let given_back = |reason: &str| {
            with(row(2, "reversal", "nano", 200_000), |entry| {
                (entry.original_seq, entry.reason) = (1, reason.to_owned());
            })
        };
        let left_out = |entries: &[EntryRow]| {
            let plan = plan(entries);
            assert_eq!(plan.changes, []);
            plan.lines.into_values().flat_map(|line| line.left_out).collect::<Vec<_>>()
        };
        let charge = row(1, "consume", "nano", -200_000);
        assert_eq!(left_out(&[charge.clone(), given_back("repricing")]), [("charge_replaced", 1)]);
        // What is taken back for good is no charge.
        assert_eq!(left_out(&[charge, given_back("conflict")]), []);
    }

    #[test]
    fn of_a_charge_that_was_made_anew_the_newest_entry_is_priced_and_the_digest_tells_plans_apart() {
        let repriced = with(row(3, "repriced", "nano", -300_000), |entry| {
            (entry.original_seq, entry.note, entry.reason) = (1, "rpr_1".to_owned(), "repricing".to_owned());
            entry.price_version = 6;
        });
        let reversal = with(row(2, "reversal", "nano", 200_000), |entry| entry.original_seq = 1);
        let first = [row(1, "consume", "nano", -200_000)];
        let all = [first[0].clone(), reversal, repriced];
        let (one, other) = (plan(&first), plan(&all));
        assert_eq!((other.changes.len(), other.changes[0].seq, other.changes[0].charge.amount_micros), (1, 3, 300_000));
        assert_ne!(one.digest(), other.digest());
        assert_eq!(other.digest(), plan(&all).digest());
        // taken back it costs what it cost, by the book that it was priced by
        let undo = undoing(&all, "rpr_1");
        assert_eq!((undo.len(), undo[0].seq, undo[0].would_be_micros, undo[0].price_version), (1, 3, 200_000, 1));
        assert_eq!(undoing(&all, "rpr_2"), []);
        let undone = with(row(5, "repriced", "nano", -200_000), |entry| {
            (entry.original_seq, entry.note, entry.reason) = (3, "rpr_1".to_owned(), "repricing_undone".to_owned());
        });
        assert_eq!(undoing(&[&all[..], &[undone]].concat(), "rpr_1"), []);
    }

    #[test]
    fn a_charge_that_a_later_repricing_was_taken_back_to_is_taken_back_in_its_turn() {
        let anew = |seq: u64, replaced: u64, amount: i64, version: u32, (id, reason): (&str, &str)| {
            with(row(seq, "repriced", "nano", amount), |entry| {
                (entry.original_seq, entry.price_version) = (replaced, version);
                (entry.note, entry.reason) = (id.to_owned(), reason.to_owned());
            })
        };
        let mut all = vec![
            row(1, "consume", "nano", -200_000),
            anew(3, 1, -300_000, 2, ("rpr_1", "repricing")),
            anew(5, 3, -400_000, 3, ("rpr_2", "repricing")),
        ];
        let undo = |all: &[EntryRow], id| {
            let changes = undoing(all, id).into_iter();
            changes.map(|change| (change.seq, change.would_be_micros, change.price_version)).collect::<Vec<_>>()
        };
        // the later one first: the ledger refuses the other
        assert_eq!(undo(&all, "rpr_2"), [(5, 300_000, 2)]);
        all.push(anew(7, 5, -300_000, 2, ("rpr_2", "repricing_undone")));
        assert_eq!(undo(&all, "rpr_2"), []);
        // then the first one, by the charge that stands there now
        assert_eq!(undo(&all, "rpr_1"), [(7, 200_000, 1)]);
        assert_eq!(undoing(&all, "rpr_1")[0].charge.amount_micros, 300_000);
        all.push(anew(9, 7, -200_000, 1, ("rpr_1", "repricing_undone")));
        assert_eq!([undo(&all, "rpr_1"), undo(&all, "rpr_2")], [[], []]);
        // and a third one on top of it is another one
        all.push(anew(11, 9, -500_000, 4, ("rpr_3", "repricing")));
        assert_eq!(undo(&all, "rpr_3"), [(11, 200_000, 1)]);
        assert_eq!(undo(&all, "rpr_1"), []);
    }

    #[test]
    fn the_same_charge_has_one_key_for_each_repricing_and_way() {
        let plan = plan(&[row(1, "consume", "nano", -200_000)]);
        let key = |id, undo| plan.changes[0].command(id, undo).idempotency_key();
        assert_eq!(key("rpr_1", false), key("rpr_1", false));
        assert_eq!(HashSet::from([key("rpr_1", false), key("rpr_1", true), key("rpr_2", false)]).len(), 3);
        assert!(!key("rpr_1", false).is_ascii(), "no request can name it");
    }
}
