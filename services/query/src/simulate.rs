//! What work would cost by another price book. Nothing is posted: the production core prices copies of what was charged.

use std::collections::{BTreeMap, HashMap, HashSet};

use tollbooth_ledger::{Charge, PriceBooks, Quote, Rate, charge};
use tollbooth_schemas::Quantity;
use tollbooth_schemas::zone::{Tz, month_of};

use crate::calendar::TimeRange;

/// Work to be priced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Service code.
    pub service: String,
    /// Engine code.
    pub engine: String,
    /// Empty: none.
    pub variant: String,
    /// Empty: none.
    pub country: String,
    /// Unit code.
    pub unit: String,
    /// Plan code.
    pub plan: String,
    /// In millionths.
    pub quantity_micros: i64,
    /// Whether it was a test.
    pub test_mode: bool,
    /// When it was done.
    pub occurred_at_ms: i64,
}

/// A charge of the ledger, or what took one back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// Of the entry.
    pub seq: u64,
    /// What was done.
    pub work: Work,
    /// What was paid, in micro-units.
    pub amount_micros: i64,
    /// The charge that it takes back as a whole; `None`: it is a charge.
    pub takes_back: Option<u64>,
}

/// The charges of one engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// How many.
    pub count: i64,
    /// In millionths.
    pub quantity_micros: i128,
    /// In micro-units.
    pub charged_micros: i128,
    /// In micro-units; of what has a price.
    pub would_be_micros: i128,
    /// How many have none.
    pub unpriced: i64,
}

/// Why work has no charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpriced {
    /// As the meter says.
    NoPrice(tollbooth_ledger::NoPrice),
    /// The charge is beyond the bound.
    OutOfRange,
}

impl Unpriced {
    /// The reason of the dead letter that it would be.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoPrice(tollbooth_ledger::NoPrice::NoPrice) => "no_price",
            Self::NoPrice(tollbooth_ledger::NoPrice::EngineRetired) => "engine_retired",
            Self::NoPrice(tollbooth_ledger::NoPrice::UnitMismatch) => "unit_mismatch",
            Self::OutOfRange => "out_of_range",
        }
    }
}

/// One version of a price book, whether it is in force or not.
#[derive(Debug)]
pub struct Book<'a> {
    /// All that the version is looked up in.
    pub books: &'a PriceBooks,
    /// Which.
    pub version: u32,
    /// Its currency.
    pub currency: &'a str,
}

/// Month, and what the price row says the work is.
type Place = (i32, u32, [String; 5]);

impl Book<'_> {
    fn rate(&self, work: &Work) -> Result<Rate<'_>, Unpriced> {
        let quote = Quote {
            service: &work.service,
            engine: &work.engine,
            variant: &work.variant,
            country: &work.country,
            unit: &work.unit,
            plan: &work.plan,
            currency: self.currency,
            at_ms: work.occurred_at_ms,
            test_mode: work.test_mode,
        };
        self.books.rate_by(self.version, &quote).map_err(Unpriced::NoPrice)
    }

    /// What a piece of work costs where its month counted `before` so far.
    ///
    /// # Errors
    /// Why it has no charge.
    pub fn price(
        &self,
        work: &Work,
        before: Quantity,
    ) -> Result<(tollbooth_schemas::v1::PriceModel, Charge), Unpriced> {
        let rate = self.rate(work)?;
        let quantity = Quantity::from_micros(work.quantity_micros).ok_or(Unpriced::OutOfRange)?;
        let charge = charge(&rate, quantity, before).ok_or(Unpriced::OutOfRange)?;
        Ok((rate.model, charge))
    }

    /// What the charges of a range would have cost, by service and engine.
    ///
    /// `charges` are in posting order and reach back to the begin of the month in which the range begins, so that what
    /// its months counted is known. A charge that was taken back is in no sum, and counts until it was.
    #[must_use]
    pub fn simulate(&self, charges: &[Charged], range: TimeRange, zone: Tz) -> BTreeMap<(String, String), Line> {
        let taken_back: HashSet<u64> = charges.iter().filter_map(|charged| charged.takes_back).collect();
        let mut counts: HashMap<Place, i64> = HashMap::new();
        let mut counted: HashMap<u64, (Place, i64)> = HashMap::new();
        let mut lines: BTreeMap<(String, String), Line> = BTreeMap::new();
        for charged in charges {
            let work = &charged.work;
            if let Some(seq) = charged.takes_back {
                if let Some((place, quantity)) = counted.get(&seq)
                    && let Some(count) = counts.get_mut(place)
                {
                    *count = (*count - quantity).max(0);
                }
                continue;
            }
            let place = self.place(work, zone);
            let before = place.as_ref().and_then(|place| counts.get(place)).copied().unwrap_or(0);
            let would_be = self.price(work, Quantity::from_micros(before).unwrap_or(Quantity::MAX));
            if let Some(place) = place.filter(|_| would_be.is_ok()) {
                let after = before.saturating_add(work.quantity_micros).min(Quantity::MAX.micros());
                counts.insert(place.clone(), after);
                counted.insert(charged.seq, (place, work.quantity_micros));
            }
            let is_in_range = (range.from_ms..range.to_ms).contains(&work.occurred_at_ms);
            if !is_in_range || taken_back.contains(&charged.seq) {
                continue;
            }
            let line = lines.entry((work.service.clone(), work.engine.clone())).or_default();
            line.count += 1;
            line.quantity_micros += i128::from(work.quantity_micros);
            line.charged_micros += i128::from(charged.amount_micros);
            match would_be {
                Ok((_, charge)) => line.would_be_micros += i128::from(charge.amount.micros()),
                Err(_) => line.unpriced += 1,
            }
        }
        lines
    }

    /// Where the work is counted; `None`: it is not, or has no price.
    fn place(&self, work: &Work, zone: Tz) -> Option<Place> {
        let price = self.rate(work).ok()?.terms?.price;
        if !price.is_counted() {
            return None;
        }
        let (year, month) = month_of(zone, work.occurred_at_ms)?;
        let owned = |text: &Option<String>| text.clone().unwrap_or_default();
        let row = [
            price.service.clone(),
            price.engine.clone(),
            price.unit.clone(),
            owned(&price.variant),
            owned(&price.country),
        ];
        Some((year, month, row))
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::time::parse_rfc3339_ms;

    use super::*;

    fn books() -> PriceBooks {
        let mut books = PriceBooks::default();
        let book = serde_json::json!({
            "version": 7, "currency": "USD", "effective_from": "2199-01-01T00:00:00Z",
            "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
            "services": [{"code": "ai", "name": "AI"}], "engines": [{"code": "a", "name": "A"}, {"code": "b", "name": "B"}],
            "prices": [
                {"service": "ai", "engine": "a", "unit": "image", "model": "graduated", "plans": {}, "tiers": [
                    {"from": "0", "to": "10", "plans": {"basic": "0"}}, {"from": "10", "plans": {"basic": "0.50"}}]},
                {"service": "ai", "engine": "b", "unit": "image", "model": "per_unit", "plans": {"basic": "0.10"}}
            ]
        });
        let book: tollbooth_schemas::price_book::PriceBook = serde_json::from_value(book).unwrap();
        assert_eq!(book.check(), []);
        books.publish(book);
        books
    }

    fn at(time: &str) -> i64 {
        parse_rfc3339_ms(time).unwrap()
    }

    fn charged(seq: u64, engine: &str, images: i64, time: &str) -> Charged {
        let work = Work {
            service: "ai".to_owned(),
            engine: engine.to_owned(),
            unit: "image".to_owned(),
            plan: "basic".to_owned(),
            quantity_micros: images * 1_000_000,
            occurred_at_ms: at(time),
            ..Work::default()
        };
        Charged { seq, work, amount_micros: images * 200_000, takes_back: None }
    }

    fn november() -> TimeRange {
        TimeRange { from_ms: at("2026-11-15T00:00:00Z"), to_ms: at("2026-12-15T00:00:00Z") }
    }

    fn lines(charges: &[Charged]) -> Vec<(String, i64, i128, i128, i64)> {
        let books = books();
        let book = Book { books: &books, version: 7, currency: "USD" };
        let lines = book.simulate(charges, november(), Tz::America__New_York);
        let told = |((_, engine), line): ((String, String), Line)| {
            (engine, line.count, line.charged_micros, line.would_be_micros, line.unpriced)
        };
        lines.into_iter().map(told).collect()
    }

    #[test]
    fn the_months_are_counted_from_their_begin_and_the_range_is_summed() {
        let charges = [
            // before the range, of its month: counted, not summed
            charged(1, "a", 8, "2026-11-02T12:00:00Z"),
            charged(2, "a", 4, "2026-11-20T12:00:00Z"),
            charged(3, "b", 3, "2026-11-20T12:00:00Z"),
            // December begins anew where the account is
            charged(4, "a", 10, "2026-12-01T05:00:00Z"),
            charged(5, "a", 1, "2026-12-01T04:59:59Z"),
            charged(6, "a", 1, "2026-12-15T00:00:00Z"),
        ];
        // a: 2 free and 2 at 0.50; 10 free; 1 at 0.50.
        let expected = [("a".to_owned(), 3, 3_000_000, 1_500_000, 0), ("b".to_owned(), 1, 600_000, 300_000, 0)];
        assert_eq!(lines(&charges), expected);
    }

    #[test]
    fn what_was_taken_back_counts_until_then_and_is_in_no_sum() {
        let back = Charged { seq: 3, takes_back: Some(1), ..charged(3, "a", 10, "2026-11-20T12:00:00Z") };
        let charges = [
            charged(1, "a", 10, "2026-11-20T12:00:00Z"),
            charged(2, "a", 2, "2026-11-20T12:00:00Z"),
            back,
            charged(4, "a", 2, "2026-11-20T12:00:00Z"),
        ];
        assert_eq!(lines(&charges), [("a".to_owned(), 2, 800_000, 1_000_000, 0)]);
    }

    #[test]
    fn what_has_no_price_is_said() {
        let mut other = charged(2, "b", 1, "2026-11-20T12:00:00Z");
        other.work.plan = "pro".to_owned();
        let charges = [charged(1, "b", 1, "2026-11-20T12:00:00Z"), other, charged(3, "c", 5, "2026-11-20T12:00:00Z")];
        let expected = [("b".to_owned(), 2, 400_000, 100_000, 1), ("c".to_owned(), 1, 1_000_000, 0, 1)];
        assert_eq!(lines(&charges), expected);
    }
}
