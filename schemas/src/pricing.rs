//! How a charge came about, as it stands in the column `detail` of `ledger`.
//!
//! JSON, written by the sink as a pure function of the entry and read by query. Members stand in alphabetical order.

use serde::{Deserialize, Serialize};

use crate::v1::{Counted, PricePart, PricePartKind, Pricing};

#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted: Option<CountedText>,
    parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test_factor_micros: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct CountedText {
    before_micros: i64,
    country: String,
    period: String,
    variant: String,
}

#[derive(Serialize, Deserialize)]
struct Part {
    from_micros: i64,
    kind: String,
    pack_micros: i64,
    packs: i64,
    quantity_micros: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to_micros: Option<i64>,
    unit_price_micros: i64,
}

/// Every kind of part with its code.
const KINDS: [(PricePartKind, &str); 6] = [
    (PricePartKind::Included, "included"),
    (PricePartKind::PerUnit, "per_unit"),
    (PricePartKind::Flat, "flat"),
    (PricePartKind::Package, "package"),
    (PricePartKind::Tier, "tier"),
    (PricePartKind::Minimum, "minimum"),
];

/// The code of a kind of part; empty for one that this release does not know.
#[must_use]
pub fn part_code(kind: PricePartKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, code)| code)
}

/// As it stands in the column.
#[must_use]
pub fn text(pricing: &Pricing) -> String {
    let parts = pricing.parts.iter().map(|part| Part {
        from_micros: part.from_micros,
        kind: part_code(part.kind()).to_owned(),
        pack_micros: part.pack_micros,
        packs: part.packs,
        quantity_micros: part.quantity_micros,
        to_micros: part.to_micros,
        unit_price_micros: part.unit_price_micros,
    });
    let counted = pricing.counted.as_ref().map(|counted| CountedText {
        before_micros: counted.before_micros,
        country: counted.country.clone(),
        period: counted.period.clone(),
        variant: counted.variant.clone(),
    });
    let whole = Whole { counted, parts: parts.collect(), test_factor_micros: pricing.test_factor_micros };
    // Texts and numbers: it serializes.
    serde_json::to_string(&whole).unwrap_or_default()
}

/// What a column says; `None`: it says something else.
#[must_use]
pub fn of_text(text: &str) -> Option<Pricing> {
    let whole: Whole = serde_json::from_str(text).ok()?;
    let parts = whole.parts.into_iter().map(|part| {
        let kind =
            KINDS.iter().find(|(_, code)| *code == part.kind).map_or(PricePartKind::Unspecified, |(kind, _)| *kind);
        PricePart {
            kind: kind.into(),
            quantity_micros: part.quantity_micros,
            unit_price_micros: part.unit_price_micros,
            packs: part.packs,
            pack_micros: part.pack_micros,
            from_micros: part.from_micros,
            to_micros: part.to_micros,
        }
    });
    let counted = whole.counted.map(|counted| Counted {
        period: counted.period,
        variant: counted.variant,
        country: counted.country,
        before_micros: counted.before_micros,
    });
    Some(Pricing { parts: parts.collect(), counted, test_factor_micros: whole.test_factor_micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let part = |kind: PricePartKind, to_micros| PricePart {
            kind: kind.into(),
            quantity_micros: 1,
            unit_price_micros: 2,
            packs: 3,
            pack_micros: 4,
            from_micros: 5,
            to_micros,
        };
        let parts = KINDS.iter().flat_map(|(kind, _)| [part(*kind, None), part(*kind, Some(6))]).collect();
        let counted =
            Counted { period: "2026-11".into(), variant: "4k".into(), country: "DE".into(), before_micros: 7 };
        let whole = Pricing { parts, counted: Some(counted), test_factor_micros: Some(500_000) };
        let bare = Pricing { parts: vec![part(PricePartKind::Tier, Some(9))], counted: None, test_factor_micros: None };
        for pricing in [whole, bare.clone()] {
            assert_eq!(of_text(&text(&pricing)), Some(pricing));
        }
        let json = r#"{"parts":[{"from_micros":5,"kind":"tier","pack_micros":4,"packs":3,"quantity_micros":1,"to_micros":9,"unit_price_micros":2}]}"#;
        assert_eq!(text(&bare), json);
        assert_eq!(of_text(r#"{"amount_micros":1}"#), None);
    }
}
