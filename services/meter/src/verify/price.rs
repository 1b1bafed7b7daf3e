//! What work costs, from the price books alone. Written apart from the meter's own pricing, on decimal numbers instead of
//! scaled integers, so that the two can only be wrong together by chance.

use hashbrown::HashMap;
use rust_decimal::{Decimal, RoundingStrategy};
use tollbooth_schemas::{
    Money,
    dead_letter::Reason,
    price_book::{Model, Price, PriceBook},
    v1::Pricing,
};

use super::{counts::History, digest::Parts, models};

/// How far the clocks of ingest, broker and meter may be apart.
const CLOCK_SLACK_MS: i64 = 60_000;

/// What is priced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) service: &'a str,
    pub(super) engine: &'a str,
    pub(super) variant: &'a str,
    pub(super) country: &'a str,
    pub(super) unit: &'a str,
    pub(super) plan: &'a str,
    pub(super) currency: &'a str,
    pub(super) quantity_micros: i64,
    pub(super) occurred_at_ms: i64,
    pub(super) is_test: bool,
    /// What the account's months counted before; `None`: that is not known any more, and counts as nothing.
    pub(super) history: Option<History<'a>>,
}

/// What it costs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Charge {
    pub(super) version: u32,
    pub(super) model: Model,
    pub(super) unit_price_micros: i64,
    /// What the account pays: 0 or more.
    pub(super) micros: i64,
    /// Where it is more than a price times a quantity.
    pub(super) pricing: Option<Pricing>,
}

struct Published {
    at_ms: i64,
    book: PriceBook,
    rows: HashMap<u64, Vec<usize>>,
}

/// Every price book, in the order of publication.
#[derive(Default)]
pub(super) struct Books {
    published: Vec<Published>,
    known_within_ms: i64,
}

impl Books {
    /// None yet. `known_within_ms`: how long a book may be out before a meter that still posts must know it.
    pub(super) fn new(known_within_ms: i64) -> Self {
        Self { published: Vec::new(), known_within_ms }
    }

    /// Takes the next record of the topic. Neither a document that is not valid nor a version published before counts;
    /// `false` then.
    pub(super) fn publish(&mut self, at_ms: i64, bytes: &[u8]) -> bool {
        let Ok(book) = serde_json::from_slice::<PriceBook>(bytes) else { return false };
        if !book.check().is_empty() || self.published.iter().any(|known| known.book.version == book.version) {
            return false;
        }
        let mut rows: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, price) in book.prices.iter().enumerate() {
            rows.entry(row_key(&price.service, &price.engine)).or_default().push(index);
        }
        self.published.push(Published { at_ms, book, rows });
        true
    }

    /// Whether any book published up to then names the plan.
    pub(super) fn names_plan(&self, plan: &str, at_ms: i64) -> bool {
        self.published
            .iter()
            .any(|known| known.at_ms <= at_ms && known.book.plans.iter().any(|named| named.code == plan))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    /// How many books the meter may have known when it posted at that time: most first. More than one answer only where
    /// a book was published in the minutes before.
    fn known_at(&self, posted_at_ms: i64) -> impl Iterator<Item = usize> {
        let within =
            |limit: i64| self.published.iter().rposition(|known| known.at_ms <= limit).map_or(0, |index| index + 1);
        let most = within(posted_at_ms.saturating_add(CLOCK_SLACK_MS));
        let known_by = posted_at_ms.saturating_sub(self.known_within_ms).saturating_sub(CLOCK_SLACK_MS);
        let least = within(known_by).min(most);
        (least..=most).rev()
    }

    /// By one version, whether it was in force or not.
    pub(super) fn charge_by(&self, version: u32, work: &Work<'_>) -> Result<Charge, Reason> {
        let published = self.published.iter().find(|published| published.book.version == version);
        let published = published.filter(|published| published.book.currency == work.currency);
        published.ok_or(Reason::NoPrice)?.charge(work)
    }

    /// Every outcome that was possible at that posting time.
    pub(super) fn outcomes<'a>(
        &'a self,
        work: &'a Work<'a>,
        posted_at_ms: i64,
    ) -> impl Iterator<Item = Result<Charge, Reason>> + 'a {
        self.known_at(posted_at_ms).map(|known| self.charge(work, known))
    }

    /// Whether a price that was possible at that posting time asks for more than the work: what its month counted, or
    /// whether it was a test.
    pub(super) fn ask_for_more(&self, work: &Work<'_>, posted_at_ms: i64) -> bool {
        self.known_at(posted_at_ms).any(|known| {
            self.in_force(known, work.currency, work.occurred_at_ms).is_some_and(|published| {
                let counts = |price: &Price| !price.tiers.is_empty() || !price.included.is_empty();
                published.book.test_factor.is_some() || published.row(work).is_ok_and(counts)
            })
        })
    }

    /// Every monthly fee of a plan at an instant that was possible at that posting time: with its version, in millionths.
    /// `(0, 0)`: no book in force named the plan.
    pub(super) fn fees<'a>(
        &'a self,
        plan: &'a str,
        currency: &'a str,
        at_ms: i64,
        posted_at_ms: i64,
    ) -> impl Iterator<Item = (u32, i64)> + 'a {
        self.known_at(posted_at_ms).map(move |known| {
            let book = self.in_force(known, currency, at_ms).map(|published| &published.book);
            let named = book.and_then(|book| Some((book.version, book.plans.iter().find(|named| named.code == plan)?)));
            named.map_or((0, 0), |(version, named)| (version, named.monthly_fee.micros()))
        })
    }

    /// Of the books known by then, the one that counts at an instant.
    fn in_force(&self, known: usize, currency: &str, at_ms: i64) -> Option<&Published> {
        let in_force = self
            .published
            .iter()
            .take(known)
            .filter(|published| published.book.currency == currency && published.book.effective_from <= at_ms);
        in_force.max_by_key(|published| (published.book.effective_from, published.book.version))
    }

    fn charge(&self, work: &Work<'_>, known: usize) -> Result<Charge, Reason> {
        self.in_force(known, work.currency, work.occurred_at_ms).ok_or(Reason::NoPrice)?.charge(work)
    }
}

impl Published {
    fn charge(&self, work: &Work<'_>) -> Result<Charge, Reason> {
        let price = self.row(work)?;
        if price.unit != work.unit {
            return Err(Reason::UnitMismatch);
        }
        let (version, model) = (self.book.version, price.model);
        let test_factor = self.book.test_factor.filter(|_| work.is_test);
        if models::says_more(price) || test_factor.is_some() {
            let priced = models::priced(price, work, test_factor)?;
            let (unit_price_micros, micros, pricing) = (priced.unit_price_micros, priced.micros, Some(priced.pricing));
            return Ok(Charge { version, model, unit_price_micros, micros, pricing });
        }
        let unit_price_micros = price.plans.get(work.plan).ok_or(Reason::NoPrice)?.micros();
        let micros = amount(price.model, unit_price_micros, work.quantity_micros).ok_or(Reason::OutOfRange)?;
        Ok(Charge { version, model, unit_price_micros, micros, pricing: None })
    }

    /// The most specific row in force; of two that name one of the two each, the one with the variant.
    fn row(&self, work: &Work<'_>) -> Result<&Price, Reason> {
        let candidates = self.rows.get(&row_key(work.service, work.engine)).ok_or(Reason::NoPrice)?;
        let about = candidates.iter().filter_map(|index| self.book.prices.get(*index)).filter(|price| {
            price.service == work.service
                && price.engine == work.engine
                && price.variant.as_ref().is_none_or(|variant| variant == work.variant)
                && price.country.as_ref().is_none_or(|country| country == work.country)
        });
        let mut best: Option<&Price> = None;
        let mut ended = false;
        for price in about {
            let starts = price.effective_from.is_none_or(|from| from <= work.occurred_at_ms);
            let ends = price.effective_to.is_some_and(|to| to <= work.occurred_at_ms);
            ended |= ends;
            let weight = |price: &Price| 2 * u8::from(price.variant.is_some()) + u8::from(price.country.is_some());
            if starts && !ends && best.is_none_or(|best| weight(price) > weight(best)) {
                best = Some(price);
            }
        }
        best.ok_or(if ended { Reason::EngineRetired } else { Reason::NoPrice })
    }
}

fn row_key(service: &str, engine: &str) -> u64 {
    Parts::default().text(service).text(engine).digest()
}

/// Price times quantity, exact, then rounded once, half to even, to six places. `None` beyond the bound of money.
pub(super) fn amount(model: Model, unit_price_micros: i64, quantity_micros: i64) -> Option<i64> {
    let price = Decimal::new(unit_price_micros, 6);
    rounded(if model == Model::Flat { price } else { price.checked_mul(Decimal::new(quantity_micros, 6))? })
}

/// Once, half to even, to six places.
pub(super) fn rounded(exact: Decimal) -> Option<i64> {
    let mut rounded = exact.round_dp_with_strategy(6, RoundingStrategy::MidpointNearestEven);
    rounded.rescale(6);
    // A product beyond 28 digits keeps fewer places and is far beyond the bound; it must not pass as a smaller number.
    if rounded.scale() != 6 {
        return None;
    }
    i64::try_from(rounded.mantissa()).ok().and_then(Money::from_micros).map(Money::micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_rounded_once_half_to_even() {
        for (price, quantity, expected) in [
            (240_000, 5_000_000, Some(1_200_000)),
            (1, 500_000, Some(0)),
            (3, 500_000, Some(2)),
            (1, 500_001, Some(1)),
            (0, 7_000_000, Some(0)),
            (999_999_999_999_999_999, 1_000_000, Some(999_999_999_999_999_999)),
            (999_999_999_999_999_999, 1_000_001, None),
            (999_999_999_999_999_999, 1_000_000_000_000_000_000, None),
        ] {
            assert_eq!(amount(Model::PerUnit, price, quantity), expected, "{price} x {quantity}");
        }
        assert_eq!(amount(Model::Flat, 240_000, 5_000_000), Some(240_000));
    }
    #[test]
    fn a_book_of_another_currency_takes_nobodys_price_away() {
        let book = |version: u32, currency: &str, effective_from: &str, price: &str| {
            serde_json::json!({
                "version": version, "currency": currency, "effective_from": effective_from,
                "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
                "services": [{"code": "ai_modify", "name": "AI Modify"}], "engines": [{"code": "nano", "name": "Nano"}],
                "prices": [{"service": "ai_modify", "engine": "nano", "unit": "image", "model": "per_unit",
                            "plans": {"basic": price}}]
            })
        };
        let mut books = Books::default();
        for document in [book(1, "USD", "2026-01-01T00:00:00Z", "0.20"), book(2, "EUR", "2026-02-01T00:00:00Z", "0.18")]
        {
            assert!(books.publish(0, document.to_string().as_bytes()));
        }
        // 2026-11-21T20:15:00Z: both are in force, the one in euros since later.
        let charged = |currency| {
            let work = Work {
                service: "ai_modify",
                engine: "nano",
                variant: "",
                country: "",
                unit: "image",
                plan: "basic",
                currency,
                quantity_micros: 1_000_000,
                occurred_at_ms: 1_795_292_100_000,
                is_test: false,
                history: None,
            };
            books.charge(&work, 2).map(|charge| (charge.version, charge.micros))
        };
        assert_eq!(charged("USD"), Ok((1, 200_000)));
        assert_eq!(charged("EUR"), Ok((2, 180_000)));
        assert_eq!(charged("GBP"), Err(Reason::NoPrice));
    }

    #[test]
    fn a_book_must_be_known_after_the_time_that_is_set_and_not_before() {
        // given a book that was published at minute 100
        let minute = 60_000;
        let document = serde_json::json!({
            "version": 1, "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
            "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
            "services": [{"code": "ai_modify", "name": "AI Modify"}], "engines": [{"code": "nano", "name": "Nano"}],
            "prices": []
        });
        for stale_minutes in [0, 5, 20] {
            let mut books = Books::new(stale_minutes * minute);
            assert!(books.publish(100 * minute, document.to_string().as_bytes()));
            let known = |posted_minute: i64| books.known_at(posted_minute * minute).collect::<Vec<_>>();

            // then a posting may or may not have known it until it must have, clocks being a minute apart
            assert_eq!(known(98), [0]);
            assert_eq!(known(99), [1, 0]);
            assert_eq!(known(100 + stale_minutes), [1, 0]);
            assert_eq!(known(101 + stale_minutes), [1]);
        }
    }
}
