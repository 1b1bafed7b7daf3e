//! The price book: a versioned, effective-dated document, published whole.
//!
//! A record is priced by the version in force when it occurred: of those in the account's currency, the one with the
//! latest `effective_from` not after that instant (of two with the same one, the higher version), and in it by the most
//! specific row.

mod terms;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    json,
    money::Money,
    quantity::Quantity,
    time::{serde_rfc3339, serde_rfc3339_option},
    usage::CODE_CHARS_MAX,
};

pub use terms::{TIERS_MAX, Tier};

/// Units a price may name.
pub const UNITS: &[&str] = &["image", "second", "segment", "message", "job"];
/// Most rows in one document.
pub const PRICES_MAX: usize = 10_000;
/// Most bytes in one document.
pub const DOCUMENT_BYTES_MAX: usize = 900 * 1024;
/// How long before it takes effect a book is published, where nothing else is configured: every meter has read
/// it by then.
pub const LEAD_MS_DEFAULT: i64 = 600_000;

/// How a price becomes a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Price times quantity.
    PerUnit,
    /// The price, whatever the quantity.
    Flat,
    /// The price of a pack for every pack of `pack_size` that the work begins.
    Package,
    /// Each unit at the price of the tier that it lies in, counted over the month.
    Graduated,
    /// The whole quantity at the price of the tier that the month reaches with it.
    Volume,
}

/// A plan an account can be on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `basic`.
    pub code: String,
    /// As people read it.
    pub name: String,
    /// What it costs a month.
    pub monthly_fee: Money,
}

/// A code with the name people read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// `nano_banana_2`.
    pub code: String,
    /// `Nano Banana 2`.
    pub name: String,
}

/// One row: what a unit of an engine's work costs on each plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Service code.
    pub service: String,
    /// Engine code.
    pub engine: String,
    /// Only this variant; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Only this country; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What the quantity counts.
    pub unit: String,
    /// How it becomes a charge.
    pub model: Model,
    /// Price by plan code, of a unit, a pack or the whole; a plan that is not named has no price. Empty where `tiers`
    /// name the prices.
    pub plans: BTreeMap<String, Money>,
    /// `package`: how much a pack holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack_size: Option<Quantity>,
    /// `graduated` and `volume`: from 0 on, without a gap, the last one open.
    #[serde(default, deserialize_with = "json::objects", skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// By plan code: so much is free in a month of the account's zone. Tiers count what is beyond it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub included: BTreeMap<String, Quantity>,
    /// By plan code: what a charge comes to at least, where it is not wholly included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub minimum: BTreeMap<String, Money>,
    /// Within the book, from this instant on; absent: from the book's start.
    #[serde(default, with = "serde_rfc3339_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub effective_from: Option<i64>,
    /// Until this instant, exclusive: the engine retires; absent: open.
    #[serde(default, with = "serde_rfc3339_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub effective_to: Option<i64>,
}

/// A whole price book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceBook {
    /// 1 or more; the first document of a version wins.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// ISO 4217.
    pub currency: String,
    /// From this instant on, judged by when work occurred.
    #[serde(with = "serde_rfc3339")]
    #[schemars(with = "String")]
    pub effective_from: i64,
    /// Test work costs this part of the price, from 0 to 1; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_factor: Option<Quantity>,
    /// Plans, in the order they are shown.
    #[serde(deserialize_with = "json::objects")]
    pub plans: Vec<Plan>,
    /// Services, in the order they are shown.
    #[serde(deserialize_with = "json::objects")]
    pub services: Vec<Named>,
    /// Engines.
    #[serde(deserialize_with = "json::objects")]
    pub engines: Vec<Named>,
    /// The rows.
    #[serde(deserialize_with = "json::objects")]
    pub prices: Vec<Price>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct PriceBookError {
    /// JSON pointer of the member.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub detail: String,
}

fn wrong(pointer: impl Into<String>, detail: impl Into<String>) -> PriceBookError {
    PriceBookError { pointer: pointer.into(), detail: detail.into() }
}

fn is_code(text: &str) -> bool {
    (1..=CODE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

/// What a row applies to, its interval aside.
type RowKey<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>);

impl Price {
    fn key(&self) -> RowKey<'_> {
        (&self.service, &self.engine, self.variant.as_deref(), self.country.as_deref())
    }

    /// The half-open interval within the book.
    #[must_use]
    pub fn interval(&self) -> (i64, i64) {
        (self.effective_from.unwrap_or(i64::MIN), self.effective_to.unwrap_or(i64::MAX))
    }
}

impl PriceBook {
    /// Everything that is wrong with the document by itself; empty: it can be published.
    #[must_use]
    pub fn check(&self) -> Vec<PriceBookError> {
        let mut errors = Vec::new();
        if self.version == 0 {
            errors.push(wrong("/version", "must be 1 or more"));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            errors.push(wrong("/currency", "must be an ISO 4217 code, like USD"));
        }
        if self.prices.len() > PRICES_MAX {
            errors.push(wrong("/prices", format!("has more than {PRICES_MAX} rows")));
        }
        let plans = distinct(self.plans.iter().map(|plan| plan.code.as_str()), "/plans", &mut errors);
        let services = distinct(self.services.iter().map(|named| named.code.as_str()), "/services", &mut errors);
        let engines = distinct(self.engines.iter().map(|named| named.code.as_str()), "/engines", &mut errors);
        for (index, plan) in self.plans.iter().enumerate() {
            if plan.monthly_fee.is_negative() {
                errors.push(wrong(format!("/plans/{index}/monthly_fee"), "must not be negative"));
            }
        }
        for (index, price) in self.prices.iter().enumerate() {
            check_row(index, price, &plans, &services, &engines, &mut errors);
        }
        if self.test_factor.is_some_and(|factor| factor > terms::ONE) {
            errors.push(wrong("/test_factor", "must be a decimal from 0 to 1"));
        }
        self.check_intervals(&mut errors);
        errors
    }

    fn check_intervals(&self, errors: &mut Vec<PriceBookError>) {
        let mut rows: BTreeMap<RowKey<'_>, Vec<(i64, i64, usize)>> = BTreeMap::new();
        for (index, price) in self.prices.iter().enumerate() {
            let (from, to) = price.interval();
            if from >= to {
                errors.push(wrong(format!("/prices/{index}/effective_to"), "must be after effective_from"));
            }
            rows.entry(price.key()).or_default().push((from, to, index));
        }
        for intervals in rows.values_mut() {
            intervals.sort_unstable();
            for pair in intervals.windows(2) {
                let [(_, ends, before), (starts, _, index)] = pair else { continue };
                let at = format!("/prices/{index}");
                if starts < ends {
                    errors.push(wrong(at, format!("overlaps /prices/{before}: the same work would have two prices")));
                } else if starts > ends {
                    errors
                        .push(wrong(at, format!("leaves a gap after /prices/{before}: end one where the next begins")));
                }
            }
        }
    }

    /// Whether the book can take effect at its instant when it is published at `now_ms`: `lead_ms` ahead, or else from
    /// `newest` on where it changes nothing that has a price there.
    ///
    /// `newest` is the published book that takes effect last: from its instant on, nothing but it is replaced, so that
    /// comparing with it alone is enough. Before it, older books' prices would change without being looked at.
    ///
    /// # Errors
    /// An instant before `newest`, or the first row of `newest` that would change without notice.
    pub fn check_lead(&self, newest: Option<&Self>, now_ms: i64, lead_ms: i64) -> Result<(), PriceBookError> {
        let Some(newest) = newest else { return Ok(()) };
        let earliest = now_ms.saturating_add(lead_ms);
        if self.effective_from >= earliest {
            return Ok(());
        }
        if self.effective_from < newest.effective_from {
            return Err(too_early(newest, earliest));
        }
        if self.test_factor != newest.test_factor {
            let detail = format!("changes too soon: the earliest instant is {}", crate::time::rfc3339(earliest));
            return Err(wrong("/test_factor", detail));
        }
        let kept: BTreeSet<String> = self.prices.iter().map(|price| format!("{price:?}")).collect();
        let Some(changed) = newest.prices.iter().find(|price| !kept.contains(&format!("{price:?}"))) else {
            return self.check_narrower(newest, earliest);
        };
        Err(too_soon(&changed.service, &changed.engine, earliest))
    }

    /// A new row that is more specific than, or stands beside, one of `newest` re-prices what had a price.
    fn check_narrower(&self, newest: &Self, earliest: i64) -> Result<(), PriceBookError> {
        let known: BTreeSet<(&str, &str)> =
            newest.prices.iter().map(|price| (price.service.as_str(), price.engine.as_str())).collect();
        let count = |book: &Self, service: &str, engine: &str| {
            book.prices.iter().filter(|price| price.service == service && price.engine == engine).count()
        };
        match known.into_iter().find(|(service, engine)| count(self, service, engine) != count(newest, service, engine))
        {
            Some((service, engine)) => Err(too_soon(service, engine, earliest)),
            None => Ok(()),
        }
    }
}

fn too_early(newest: &PriceBook, earliest: i64) -> PriceBookError {
    wrong(
        "/effective_from",
        format!(
            "lies before version {}, which takes effect at {}: begin no earlier than that, or from {} on",
            newest.version,
            crate::time::rfc3339(newest.effective_from),
            crate::time::rfc3339(earliest)
        ),
    )
}

fn too_soon(service: &str, engine: &str, earliest: i64) -> PriceBookError {
    wrong(
        "/effective_from",
        format!(
            "changes {service} ({engine}) too soon: the earliest instant is {}; what has no price yet may start at once",
            crate::time::rfc3339(earliest)
        ),
    )
}

fn distinct<'a>(
    codes: impl Iterator<Item = &'a str>,
    pointer: &str,
    errors: &mut Vec<PriceBookError>,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, code) in codes.enumerate() {
        if !is_code(code) {
            errors.push(wrong(format!("{pointer}/{index}/code"), "must be 1 to 64 of letters, digits, _ - . :"));
        }
        if !seen.insert(code) {
            errors.push(wrong(format!("{pointer}/{index}/code"), format!("{code:?} stands twice")));
        }
    }
    if seen.is_empty() {
        errors.push(wrong(pointer, "must not be empty"));
    }
    seen
}

fn check_row(
    index: usize,
    price: &Price,
    plans: &BTreeSet<&str>,
    services: &BTreeSet<&str>,
    engines: &BTreeSet<&str>,
    errors: &mut Vec<PriceBookError>,
) {
    let at = |member: &str| format!("/prices/{index}/{member}");
    if !services.contains(price.service.as_str()) {
        errors.push(wrong(at("service"), format!("{:?} is not among /services", price.service)));
    }
    if !engines.contains(price.engine.as_str()) {
        errors.push(wrong(at("engine"), format!("{:?} is not among /engines", price.engine)));
    }
    if !UNITS.contains(&price.unit.as_str()) {
        errors.push(wrong(at("unit"), format!("{:?} is not one of {}", price.unit, UNITS.join(", "))));
    }
    for (name, code) in [("variant", &price.variant), ("country", &price.country)] {
        if code.as_deref().is_some_and(|code| !is_code(code)) {
            errors.push(wrong(at(name), "must be 1 to 64 of letters, digits, _ - . :, or absent"));
        }
    }
    check_plans(&price.plans, &at("plans"), plans, errors);
    terms::check(index, price, plans, errors);
}

/// Prices by plan code.
fn check_plans(prices: &BTreeMap<String, Money>, at: &str, plans: &BTreeSet<&str>, errors: &mut Vec<PriceBookError>) {
    for (plan, money) in prices {
        if !plans.contains(plan.as_str()) {
            errors.push(wrong(format!("{at}/{plan}"), format!("{plan:?} is not among /plans")));
        }
        if money.is_negative() {
            errors.push(wrong(format!("{at}/{plan}"), "must not be negative"));
        }
    }
}
