//! What guests ask for: services, engines, quantities.

use super::random::Chance;

/// Work of one engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Service code.
    pub service: &'static str,
    /// Engine code.
    pub engine: &'static str,
    /// Variant code.
    pub variant: Option<&'static str>,
    /// Country, SMS.
    pub country: Option<&'static str>,
    /// Unit code.
    pub unit: &'static str,
    /// In millionths.
    pub quantity_micros: i64,
    /// What the provider takes for one unit, in millionths of a dollar.
    pub unit_cost_micros: i64,
}

/// Percent of all work.
pub const SERVICES: &[(f64, &str)] = &[
    (45.0, "ai_modify"),
    (25.0, "sms"),
    (12.0, "background_removal"),
    (6.0, "face_switch"),
    (5.0, "ai_combine"),
    (3.0, "ai_draw_me"),
    (3.0, "ai_image_to_video"),
    (1.0, "editorial_ai"),
];
/// The instant from which `sora` is no longer sold, 2026-09-24.
pub(crate) const SORA_RETIRED_MS: i64 = 1_790_208_000_000;

const ONE: i64 = 1_000_000;
const IMAGES: &[(f64, i64)] = &[(85.0, ONE), (10.0, 2 * ONE), (5.0, 4 * ONE)];
const SECONDS: &[(f64, i64)] = &[(70.0, 5 * ONE), (15.0, 8 * ONE), (10.0, 10 * ONE), (5.0, 6_500_000)];
const SEGMENTS: &[(f64, i64)] = &[(85.0, ONE), (15.0, 2 * ONE)];
const JOBS: &[(f64, i64)] = &[(1.0, ONE)];
const MODIFY: &[(f64, (&str, i64))] =
    &[(50.0, ("nano_banana_2", 67_000)), (30.0, ("gpt_image_2", 70_000)), (20.0, ("grok_imagine", 22_000))];
const COMBINE: &[(f64, (&str, i64))] = &[(50.0, ("grok_imagine", 30_000)), (50.0, ("nano_banana_2", 78_000))];
const VIDEO: &[(f64, (&str, i64))] =
    &[(50.0, ("kling", 84_000)), (30.0, ("seedance", 240_000)), (20.0, ("sora", 100_000))];
/// Engine, variant, country, cost.
type Route = (&'static str, Option<&'static str>, &'static str, i64);
const SMS: &[(f64, Route)] = &[
    (75.0, ("sms_us_ca", None, "US", 11_000)),
    (15.0, ("sms_us_ca", None, "CA", 13_000)),
    (4.0, ("sms_intl", Some("zone_a"), "GB", 52_000)),
    (3.0, ("sms_intl", Some("zone_a"), "DE", 61_000)),
    (2.0, ("sms_intl", Some("zone_b"), "BR", 180_000)),
    (1.0, ("sms_intl", Some("zone_b"), "IN", 240_000)),
];

impl Work {
    /// One piece of work at an instant: what was retired by then is not asked for.
    pub(crate) fn draw(chance: &mut Chance, occurred_at_ms: i64) -> Self {
        let service = chance.pick(SERVICES).copied().unwrap_or("ai_modify");
        let (unit, quantities) = match service {
            "ai_image_to_video" => ("second", SECONDS),
            "sms" => ("segment", SEGMENTS),
            "ai_draw_me" | "editorial_ai" => ("job", JOBS),
            _ => ("image", IMAGES),
        };
        let (mut variant, mut country) = (None, None);
        let (mut engine, unit_cost_micros) = match service {
            "ai_modify" => chance.pick(MODIFY).copied().unwrap_or(("nano_banana_2", 67_000)),
            "ai_combine" => chance.pick(COMBINE).copied().unwrap_or(("nano_banana_2", 78_000)),
            "ai_image_to_video" => chance.pick(VIDEO).copied().unwrap_or(("kling", 84_000)),
            "sms" => {
                let (engine, zone, to, cost) = chance.pick(SMS).copied().unwrap_or(("sms_us_ca", None, "US", 11_000));
                (variant, country) = (zone, Some(to));
                (engine, cost)
            }
            "ai_draw_me" => ("draw_me", 40_000),
            "editorial_ai" => ("editorial", 210_000),
            "background_removal" => ("bg_removal", 18_000),
            _ => ("face_switch", 30_000),
        };
        if engine == "sora" && occurred_at_ms >= SORA_RETIRED_MS {
            engine = "kling";
        }
        let quantity_micros = chance.pick(quantities).copied().unwrap_or(ONE);
        Self { service, engine, variant, country, unit, quantity_micros, unit_cost_micros }
    }

    /// What the provider takes for all of it, exact to six places for the quantities above.
    #[must_use]
    pub fn cost_micros(&self) -> i64 {
        self.unit_cost_micros * (self.quantity_micros / 1_000) / 1_000
    }
}
