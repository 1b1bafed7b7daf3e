//! What a piece of work costs: the price in force when it occurred.

use std::sync::Arc;

use hashbrown::HashMap;
use tollbooth_schemas::{
    Money, Quantity,
    price_book::{Model, Price, PriceBook},
    v1::PriceModel,
};

mod charge;

pub use charge::{Charge, charge};

/// Why there is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPrice {
    /// None for this work, this plan, at that time.
    NoPrice,
    /// There was one; it ended.
    EngineRetired,
    /// There is one, per another unit.
    UnitMismatch,
}

/// What is asked: the work's dimensions.
#[derive(Debug, Clone, Copy)]
pub struct Quote<'a> {
    /// Service code.
    pub service: &'a str,
    /// Engine code.
    pub engine: &'a str,
    /// Empty: none.
    pub variant: &'a str,
    /// Empty: none.
    pub country: &'a str,
    /// Unit code.
    pub unit: &'a str,
    /// The account's plan at that time.
    pub plan: &'a str,
    /// ISO 4217, the account's.
    pub currency: &'a str,
    /// Occurrence.
    pub at_ms: i64,
    /// Whether it was a test.
    pub test_mode: bool,
}

/// A price that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate<'a> {
    /// Of the book.
    pub version: u32,
    /// How it becomes a charge.
    pub model: PriceModel,
    /// Of a unit, of a pack, or of the whole; 0 where tiers name it.
    pub unit_price: Money,
    /// `None`: the price times the quantity, or the price alone. Most prices are that, and cost no look-up.
    pub terms: Option<Terms<'a>>,
}

/// What a price says beyond its amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The row.
    pub price: &'a Price,
    /// As the row spells it.
    pub plan: &'a str,
    /// For test work, where it costs less.
    pub test_factor: Option<Quantity>,
}

#[derive(Debug)]
struct Indexed {
    book: PriceBook,
    /// Rows by service, then engine; the most specific first.
    rows: HashMap<String, HashMap<String, Vec<usize>>>,
}

/// Every published version. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PriceBooks {
    /// By `(effective_from, version)`.
    books: Vec<Arc<Indexed>>,
}

impl PriceBooks {
    /// Adds a version. The first document of a version wins: a later one is ignored, and `false` comes back.
    pub fn publish(&mut self, book: PriceBook) -> bool {
        if self.books.iter().any(|known| known.book.version == book.version) {
            return false;
        }
        let key = (book.effective_from, book.version);
        let at = self.books.partition_point(|known| (known.book.effective_from, known.book.version) < key);
        self.books.insert(at, Arc::new(Indexed::new(book)));
        true
    }

    /// How many versions are published.
    #[must_use]
    pub fn len(&self) -> usize {
        self.books.len()
    }

    /// Whether nothing was published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
    }

    /// Whether any version names the plan.
    #[must_use]
    pub fn has_plan(&self, code: &str) -> bool {
        self.books.iter().any(|indexed| indexed.book.plans.iter().any(|plan| plan.code == code))
    }

    /// Whether any version names the engine.
    #[must_use]
    pub fn has_engine(&self, code: &str) -> bool {
        self.books.iter().any(|indexed| indexed.book.engines.iter().any(|engine| engine.code == code))
    }

    /// The latest version of a currency that is in force at an instant.
    pub(crate) fn in_force(&self, currency: &str, at_ms: i64) -> Option<&PriceBook> {
        self.indexed_in_force(currency, at_ms).map(|indexed| &indexed.book)
    }

    fn indexed_in_force(&self, currency: &str, at_ms: i64) -> Option<&Indexed> {
        let after = self.books.partition_point(|known| known.book.effective_from <= at_ms);
        let in_force = self.books.get(..after).unwrap_or_default();
        // Each currency has books of its own: one of another currency takes nobody's price away.
        in_force.iter().rev().find(|known| known.book.currency == currency).map(|indexed| &**indexed)
    }

    /// The price of a piece of work: by the latest version of the account's currency that was in force when it occurred.
    ///
    /// # Errors
    /// [`NoPrice`], with why.
    pub fn rate(&self, quote: &Quote<'_>) -> Result<Rate<'_>, NoPrice> {
        self.indexed_in_force(quote.currency, quote.at_ms).ok_or(NoPrice::NoPrice)?.rate(quote)
    }

    /// The price of a piece of work by one version, whether it is in force or not.
    ///
    /// # Errors
    /// [`NoPrice`], with why; also where the version is not known.
    pub fn rate_by(&self, version: u32, quote: &Quote<'_>) -> Result<Rate<'_>, NoPrice> {
        self.books.iter().find(|known| known.book.version == version).ok_or(NoPrice::NoPrice)?.rate(quote)
    }

    /// Whether a version is known.
    #[must_use]
    pub fn has_version(&self, version: u32) -> bool {
        self.version(version).is_some()
    }

    /// The document of a version.
    #[must_use]
    pub fn version(&self, version: u32) -> Option<&PriceBook> {
        self.books.iter().map(|known| &known.book).find(|book| book.version == version)
    }
}

impl Indexed {
    fn new(book: PriceBook) -> Self {
        let mut rows: HashMap<String, HashMap<String, Vec<usize>>> = HashMap::new();
        for (index, price) in book.prices.iter().enumerate() {
            rows.entry(price.service.clone()).or_default().entry(price.engine.clone()).or_default().push(index);
        }
        let specificity = |index: &usize| {
            let price = book.prices.get(*index);
            // A named variant is more specific than a named country: it is what was made.
            std::cmp::Reverse(price.map(|price| (price.variant.is_some(), price.country.is_some())))
        };
        for indexes in rows.values_mut().flat_map(HashMap::values_mut) {
            indexes.sort_by_key(specificity);
        }
        Self { book, rows }
    }

    fn rate(&self, quote: &Quote<'_>) -> Result<Rate<'_>, NoPrice> {
        let indexes =
            self.rows.get(quote.service).and_then(|engines| engines.get(quote.engine)).ok_or(NoPrice::NoPrice)?;
        let matching =
            indexes.iter().filter_map(|index| self.book.prices.get(*index)).filter(|price| price.fits(quote));
        let mut why = NoPrice::NoPrice;
        for price in matching {
            let (from, to) = price.interval();
            if quote.at_ms >= to {
                why = NoPrice::EngineRetired;
            } else if quote.at_ms >= from {
                if price.unit != quote.unit {
                    return Err(NoPrice::UnitMismatch);
                }
                return self.rate_of(price, quote);
            }
        }
        Err(why)
    }

    fn rate_of<'a>(&'a self, price: &'a Price, quote: &Quote<'_>) -> Result<Rate<'a>, NoPrice> {
        let (plan, first_price) = price.priced_plans().get_key_value(quote.plan).ok_or(NoPrice::NoPrice)?;
        let test_factor = self.book.test_factor.filter(|_| quote.test_mode);
        let is_simple = price.is_simple() && test_factor.is_none();
        Ok(Rate {
            version: self.book.version,
            model: match price.model {
                Model::PerUnit => PriceModel::PerUnit,
                Model::Flat => PriceModel::Flat,
                Model::Package => PriceModel::Package,
                Model::Graduated => PriceModel::Graduated,
                Model::Volume => PriceModel::Volume,
            },
            unit_price: if price.tiers.is_empty() { *first_price } else { Money::ZERO },
            terms: (!is_simple).then_some(Terms { price, plan, test_factor }),
        })
    }
}

/// Whether a row is about this work, its interval and unit aside.
trait Fits {
    fn fits(&self, quote: &Quote<'_>) -> bool;
}

impl Fits for Price {
    fn fits(&self, quote: &Quote<'_>) -> bool {
        self.variant.as_deref().is_none_or(|variant| variant == quote.variant)
            && self.country.as_deref().is_none_or(|country| country == quote.country)
    }
}
