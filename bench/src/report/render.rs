//! The same report for two readers: a terminal's table, and markdown.

use super::{Figure, Report};
use crate::{
    curve::{self, number},
    goal::{Goal, Judged},
    ratio::{self, Ratio},
};

/// One figure as a line of the terminal's table.
pub(super) fn line(figure: &Figure) -> String {
    let Figure { id, unit, min, median, max, held, goal, conditions } = figure;
    let held = held_word(*held);
    let goal = goal.as_ref().map(goal_words).unwrap_or_default();
    format!(
        "{id:<26} {:>12} {:>12} {:>12}  {unit:<11} {goal:<20} {held}{conditions}",
        number(*min),
        number(*median),
        number(*max)
    )
}

fn held_word(held: Option<bool>) -> &'static str {
    match held {
        Some(true) => "held: ",
        Some(false) => "NOT HELD: ",
        None => "",
    }
}

fn goal_words(judged: &Judged) -> String {
    let asked = match judged.goal {
        Goal::AtLeast(least) => format!(">= {}", number(least)),
        Goal::AtMost(most) => format!("<= {}", number(most)),
        Goal::Held(rate) => format!("{} held", number(rate)),
    };
    format!("{asked} {}", if judged.met { "met" } else { "MISSED" })
}

/// Everything, as it stands on the terminal at the end of a run.
pub(super) fn terminal(report: &Report) -> String {
    let mut text = format!(
        "{} · commit {} · {} · warm-up: {}\n",
        report.machine, report.commit, report.started_at, report.warm_up
    );
    text += &format!(
        "{:<26} {:>12} {:>12} {:>12}  {:<11} {:<20} conditions\n",
        "id", "min", "median", "max", "unit", "goal"
    );
    for figure in &report.figures {
        text += &line(figure);
        text.push('\n');
    }
    if !report.ratios.is_empty() {
        text += &format!("\n{}\n", ratio::HEADER);
    }
    for ratio in &report.ratios {
        text += &ratio::line(ratio);
        text.push('\n');
    }
    if !report.growth.is_empty() {
        text += &format!("\n{}", curve::text(&report.growth));
    }
    if let Some(soak) = &report.soak {
        text += &format!("\n{}", soak.text());
    }
    for failed in &report.failed {
        text += &format!("FAILED {failed}\n");
    }
    text
}

/// The same as markdown.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = format!(
        "# Results\n\n{}, commit `{}`, begun {}. Warm-up: {}. A goal is judged by the median.\n",
        report.machine, report.commit, report.started_at, report.warm_up
    );
    if !report.figures.is_empty() {
        text += "\n| id | min | median | max | unit | goal | | conditions |\n|---|--:|--:|--:|---|--:|---|---|\n";
        text.extend(report.figures.iter().map(row));
    }
    if !report.ratios.is_empty() {
        text += "\n## Beside others\n\nOf the medians of this run.\n\n";
        text += "| ours | other | ratio | goal | | the other one has |\n|---|---|--:|--:|---|---|\n";
        text.extend(report.ratios.iter().map(ratio_row));
    }
    if !report.growth.is_empty() {
        text += &format!("\n## Growth\n\n```\n{}```\n", curve::text(&report.growth));
        text += "\n| id | x | value | unit | conditions |\n|---|--:|--:|---|---|\n";
        for point in &report.growth {
            let (id, x, value) = (point.id, number(point.x), number(point.value));
            let (x_unit, unit, conditions) = (point.x_unit, point.unit, cell(&point.conditions));
            text += &format!("| `{id}` | {x} {x_unit} | {value} | {unit} | {conditions} |\n");
        }
    }
    if let Some(soak) = &report.soak {
        text += &format!("\n## Soak\n\n```\n{}```\n", soak.text());
    }
    if !report.failed.is_empty() {
        text += "\n## Failed\n\n";
        text.extend(report.failed.iter().map(|failed| format!("- {failed}\n")));
    }
    text
}

fn row(figure: &Figure) -> String {
    let Figure { id, unit, min, median, max, held, goal, conditions } = figure;
    let (asked, met) = goal.as_ref().map(goal_cells).unwrap_or_default();
    format!(
        "| `{id}` | {} | {} | {} | {unit} | {asked} | {met} | {}{} |\n",
        number(*min),
        number(*median),
        number(*max),
        held_word(*held),
        cell(conditions)
    )
}

fn goal_cells(judged: &Judged) -> (String, &'static str) {
    let asked = match judged.goal {
        Goal::AtLeast(least) => format!("≥ {}", number(least)),
        Goal::AtMost(most) => format!("≤ {}", number(most)),
        Goal::Held(rate) => format!("{} held", number(rate)),
    };
    (asked, met_word(judged.met))
}

fn met_word(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

fn ratio_row(ratio: &Ratio) -> String {
    let Ratio { ours, other, ratio, goal, without } = ratio;
    let (asked, met) = goal.map(|goal| (format!("≥ {goal}"), met_word(*ratio >= goal))).unwrap_or_default();
    format!("| `{ours}` | `{other}` | {ratio:.2} | {asked} | {met} | {} |\n", cell(without))
}

/// What would end a cell or a row.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{curve::Point, goal::Offered};

    fn report() -> Report {
        let mut report = Report::new(Path::new("/"));
        report.add("debits_many", "debits/s", &[120_000.0, 210_000.0, 230_000.0], "sink on");
        report.add("hold_p99", "ms", &[41.5], "50/s");
        let offered = Offered { rate: 25_000.0, held: true };
        report.add_offered("path_sustained", "events/s", &[24_000.0], offered, "a | b");
        report.add("copy_bare_many", "records/s", &[400_000.0], "nothing else");
        report
    }

    #[test]
    fn both_tables_have_the_same_figures_and_goals() {
        // given figures with goals met and missed, when both are made
        let report = report();
        let (terminal, markdown) = (terminal(&report), markdown(&report));
        // then the table has them
        assert!(terminal.contains(">= 200,000 met"), "{terminal}");
        assert!(terminal.contains("35,000 held MISSED"), "{terminal}");
        assert!(terminal.contains("debits_many / copy_bare_many"), "{terminal}");
        // and so has the markdown, in rows that a sign in the text does not end
        let row = "| `debits_many` | 120,000 | 210,000 | 230,000 | debits/s | ≥ 200,000 | met | sink on; 3 runs |";
        assert!(markdown.contains(row), "{markdown}");
        assert!(markdown.contains("| `hold_p99` | 41.50 | 41.50 | 41.50 | ms | ≤ 100 | met |"), "{markdown}");
        assert!(markdown.contains("| 35,000 held | **missed** | held: a \\| b; 1 run |"), "{markdown}");
        assert!(markdown.contains("| `debits_many` | `copy_bare_many` | 0.53 | ≥ 0.75 | **missed** |"), "{markdown}");
    }

    #[test]
    fn growth_is_a_curve_and_a_table() {
        // given a curve of two points that is taken on
        let mut report = report();
        for (x, value) in [(1.0, 100.0), (2.0, 200.0)] {
            let (id, x_unit, unit) = ("growth_debits_partitions", "partitions", "debits/s");
            report.point(Point { id, x, x_unit, value, unit, extrapolated: false, conditions: "once".to_owned() });
        }
        report.extrapolate("growth_debits_partitions", &[4.0]);
        // when it is written
        let (terminal, markdown) = (terminal(&report), markdown(&report));
        // then both have it
        for text in [&terminal, &markdown] {
            assert!(text.contains("growth_debits_partitions: debits/s by partitions"), "{text}");
            assert!(text.contains("400 (extrapolated)"), "{text}");
        }
        assert!(
            markdown.contains("| `growth_debits_partitions` | 2 partitions | 200 | debits/s | once |"),
            "{markdown}"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["growth"].as_array().unwrap().len(), 3);
        assert_eq!([&json["growth"][1]["extrapolated"], &json["growth"][2]["extrapolated"]], [false, true]);
    }
}
