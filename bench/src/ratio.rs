//! Tollbooth's figures beside those of others from the same run.

use serde::Serialize;

/// What is compared: ours, the other's, the ratio that is the goal, and what the other one does not do.
const BESIDE: [(&str, &str, Option<f64>, &str); 11] = [
    (
        "debits_many",
        "copy_bare_many",
        Some(0.75),
        "no JSON, no prices, no dedupe, no balances; the same 8 partitions, 100 bytes out",
    ),
    ("debits_many", "copy_bare", None, COPY_ONE),
    ("debits_hot", "copy_bare", Some(0.9), COPY_ONE),
    ("debits_many", "pg_row_many", None, PG),
    ("debits_hot", "pg_row_hot", None, PG),
    ("debits_many", "pg_batched_many", None, PG),
    ("debits_hot", "pg_batched_hot", None, PG),
    ("debits_many", "pg_fed_many", Some(1.5), PG_FED),
    ("debits_hot", "pg_fed_hot", Some(1.5), PG_FED),
    ("debits_many", "streams_eos_warm", Some(1.3), STREAMS),
    ("debits_many", "streams_eos", None, STREAMS_COLD),
];
const COPY_ONE: &str = "no JSON, no prices, no dedupe, no balances; one partition, 100 bytes out";
const STREAMS: &str =
    "no fsync (nor have we); no dedupe of operations; a flat price; no history but the topic; no columnar copy";
const STREAMS_COLD: &str = "the same, from its start on: its code is being compiled meanwhile";
const PG: &str =
    "no fsync (nor have we); no log in front: events parsed and priced before, a flat price; no columnar copy";
const PG_FED: &str =
    "no fsync (nor have we); offsets not kept: dedupe alone makes it exactly once; a flat price; no columnar copy";

/// A figure of ours over another's.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) ours: &'static str,
    pub(crate) other: &'static str,
    /// Of the medians.
    pub(crate) ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
    /// What the other one does not do.
    pub(crate) without: &'static str,
}

/// All that can be compared, given the median of each figure that was measured.
pub(crate) fn all(median: impl Fn(&str) -> Option<f64>) -> Vec<Ratio> {
    let ratio = |(ours, other, goal, without): (&'static str, &'static str, Option<f64>, &'static str)| {
        let ratio = median(ours)? / median(other).filter(|median| *median > 0.0)?;
        Some(Ratio { ours, other, ratio, goal, without })
    };
    BESIDE.into_iter().filter_map(ratio).collect()
}

/// The first line of the table.
pub(crate) const HEADER: &str =
    "ratio                                      ours/other  goal          the other one has";

/// A line of the table.
pub(crate) fn line(ratio: &Ratio) -> String {
    let Ratio { ours, other, ratio, goal, without } = ratio;
    let goal = match goal {
        Some(goal) if ratio >= goal => format!("{goal}: met"),
        Some(goal) => format!("{goal}: MISSED"),
        None => String::new(),
    };
    format!("{:<42} {ratio:>10.2}  {goal:<13} {without}", format!("{ours} / {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_in_this_run_is_compared() {
        // given a run without one hot account and without Kafka Streams
        let medians = |id: &str| match id {
            "debits_many" => Some(150_000.0),
            "pg_fed_many" => Some(120_000.0),
            "pg_row_many" => Some(15_000.0),
            "pg_row_hot" => Some(2_000.0),
            "copy_bare" => Some(0.0),
            _ => None,
        };
        // when ratios are made
        let ratios = all(medians);
        // then there are two, and a missed goal is said
        assert_eq!(
            ratios.iter().map(|one| (one.other, one.ratio)).collect::<Vec<_>>(),
            [("pg_row_many", 10.0), ("pg_fed_many", 1.25)]
        );
        assert!(line(&ratios[1]).contains("1.5: MISSED"), "{}", line(&ratios[1]));
        assert!(!line(&ratios[0]).contains("MISSED"));
    }

    #[test]
    fn a_goal_that_is_reached_is_met() {
        let ratios = all(|id| {
            let warm = "streams_eos_warm";
            ["debits_many", warm].contains(&id).then_some(if id == warm { 100.0 } else { 130.0 })
        });
        assert!(line(&ratios[0]).contains("1.3: met"), "{}", line(&ratios[0]));
    }
}
