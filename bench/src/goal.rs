//! What the figures have to be, on two cores that the broker, ClickHouse and the load share.

use serde::Serialize;

/// What is asked of a figure. It is judged by its median.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// As much, or more.
    AtLeast(f64),
    /// As much, or less.
    AtMost(f64),
    /// Such a rate, or a higher one, was offered and held. The figure itself counts the time until the last event has
    /// arrived, too, and so stays a little below.
    Held(f64),
}

/// A goal, and whether it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Judged {
    #[serde(flatten)]
    pub(crate) goal: Goal,
    pub(crate) met: bool,
}

/// The rate at which something was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Offered {
    /// A second.
    pub(crate) rate: f64,
    /// Whether it was held in every run.
    pub(crate) held: bool,
}

const RATES: [(&str, Goal); 8] = [
    ("debits_many", Goal::AtLeast(200_000.0)),
    ("debits_hot", Goal::AtLeast(200_000.0)),
    ("ingest_batch", Goal::AtLeast(100_000.0)),
    ("ingest_single", Goal::AtLeast(15_000.0)),
    ("path_sustained", Goal::Held(35_000.0)),
    ("dataset_rows_per_s", Goal::AtLeast(300_000.0)),
    ("mixed_rate", Goal::Held(500.0)),
    ("rebuild_rate", Goal::AtLeast(200_000.0)),
];

const AT_MOST: [(&str, f64); 21] = [
    ("balance_visible_half_p50", 40.0),
    ("balance_visible_half_p99", 150.0),
    ("balance_visible_p99", 250.0),
    ("query_fresh_p99", 2_000.0),
    ("hold_p50", 30.0),
    ("hold_p99", 100.0),
    ("ledger_row_bytes", 60.0),
    ("dataset_row_bytes", 30.0),
    ("mixed_errors", 0.0),
    ("restart_store", 10.0),
    ("restart_checkpoint", 60.0),
    ("web_first_load", 250.0),
    ("web_route", 120.0),
    ("web_lcp", 1_000.0),
    ("web_live_task", 100.0),
    ("web_draw_year", 100.0),
    ("scrape_ingest_p99", 50.0),
    ("scrape_meter_p99", 50.0),
    ("scrape_query_p99", 50.0),
    ("scrape_cpu", 1.0),
    ("statistics_cpu", 1.0),
];

/// Milliseconds that an answer may take over 100 million rows, p50 and p99. The goal is the half of it.
const QUERY_BOUNDS: [(&str, [f64; 2]); 15] = [
    ("query_balance", [1.0, 5.0]),
    ("query_balance_again", [1.0, 5.0]),
    ("query_newest", [15.0, 60.0]),
    ("query_newest_again", [1.0, 10.0]),
    ("query_deep", [25.0, 100.0]),
    ("query_word", [150.0, 600.0]),
    ("query_id", [150.0, 600.0]),
    ("query_none", [150.0, 600.0]),
    ("query_never_meet", [150.0, 600.0]),
    ("query_month", [20.0, 80.0]),
    ("query_month_again", [1.0, 10.0]),
    ("query_year", [25.0, 100.0]),
    ("query_year_again", [1.0, 10.0]),
    ("query_event", [20.0, 80.0]),
    ("query_event_again", [1.0, 10.0]),
];

/// What is asked of the figure with this id.
fn of(id: &str) -> Option<Goal> {
    if let Some((_, goal)) = RATES.iter().find(|(known, _)| *known == id) {
        return Some(*goal);
    }
    if let Some((_, most)) = AT_MOST.iter().find(|(known, _)| *known == id) {
        return Some(Goal::AtMost(*most));
    }
    let (question, quantile) = id.rsplit_once('_')?;
    let (_, bounds) = QUERY_BOUNDS.iter().find(|(known, _)| *known == question)?;
    match quantile {
        "p50" => Some(Goal::AtMost(bounds[0] / 2.0)),
        "p99" => Some(Goal::AtMost(bounds[1] / 2.0)),
        _ => None,
    }
}

/// The goal of a figure with this median, and whether it was met.
pub(crate) fn judged(id: &str, median: f64, offered: Option<Offered>) -> Option<Judged> {
    let goal = of(id)?;
    // At a rate that was not held a latency says nothing about it.
    let was_held = offered.is_none_or(|offered| offered.held);
    let met = match goal {
        Goal::AtLeast(least) => median >= least,
        Goal::AtMost(most) => median <= most && was_held,
        Goal::Held(rate) => offered.is_some_and(|offered| offered.held && offered.rate >= rate),
    };
    Some(Judged { goal, met })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(id: &str, median: f64, offered: Option<Offered>) -> bool {
        judged(id, median, offered).unwrap().met
    }

    #[test]
    fn a_figure_is_judged_by_its_own_kind_of_goal() {
        assert!(met("debits_many", 200_000.0, None));
        assert!(!met("debits_many", 199_999.0, None));
        assert!(met("hold_p50", 30.0, None));
        assert!(!met("hold_p50", 30.1, None));
        assert!(judged("copy_bare", 1.0, None).is_none());
    }

    #[test]
    fn a_rate_is_met_by_what_was_offered_and_held() {
        // given a minute of which the last row came two seconds late
        let figure = 35_000.0 * 60.0 / 62.0;
        let offered = |rate, held| Some(Offered { rate, held });
        // then it is judged by the rate, not by the figure, and never without a rate
        assert!(met("path_sustained", figure, offered(35_000.0, true)));
        assert!(!met("path_sustained", figure, offered(35_000.0, false)));
        assert!(!met("path_sustained", figure, offered(25_000.0, true)));
        assert!(!met("path_sustained", 40_000.0, None));
        // and a latency at a rate that was not held is none
        assert!(!met("balance_visible_half_p50", 5.0, offered(17_500.0, false)));
    }

    #[test]
    fn a_query_has_half_of_its_bound() {
        let goal = |id| judged(id, 0.0, None).map(|judged| judged.goal);
        assert_eq!(goal("query_newest_p50"), Some(Goal::AtMost(7.5)));
        assert_eq!(goal("query_newest_again_p99"), Some(Goal::AtMost(5.0)));
        assert_eq!(goal("query_newest_small_p50"), None);
        assert_eq!(goal("query_fresh_p99"), Some(Goal::AtMost(2_000.0)));
    }

    #[test]
    fn a_goal_is_written_beside_the_word_whether_it_was_met() {
        let json = serde_json::to_value(judged("debits_hot", 1.0, None)).unwrap();
        assert_eq!(json, serde_json::json!({"at_least": 200_000.0, "met": false}));
    }
}
