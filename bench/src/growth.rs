//! How cost grows: the same figure at more partitions, accounts, rows and operation ids.
//!
//! Each point is measured once, with topics and tables of its own that are deleted behind it. Where the bound ends, the curve is
//! taken on as its last points go, and marked.

mod debits;
mod ids;
mod rows;

use tokio::runtime::Runtime;

use crate::{curve::Point, options::Options, report::Report, stack::Bench};

/// The last one, tenfold what is ever measured, is always reckoned.
const ROWS: [usize; 6] = [1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000, 1_000_000_000];
const IDS: [usize; 6] = ROWS;
const ACCOUNTS: [usize; 6] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
const MEASURED_ACCOUNTS_MAX: usize = 10_000_000;
const MEASURED_ROWS_MAX: usize = 100_000_000;
/// An account takes two commands before it is there: as many as there may be rows take ten times as long.
const ACCOUNTS_SHARE: usize = 10;

/// Measures what is asked for. A curve that fails is named, and the others go on.
pub(crate) fn run(bench: &Bench, runtime: &Runtime, report: &mut Report, options: &Options) -> anyhow::Result<()> {
    for curve in ["partitions", "accounts", "rows", "ids"] {
        if !options.wants_curve(curve) {
            continue;
        }
        let outcome = match curve {
            "partitions" => debits::by_partitions(bench, report, options.backlog),
            "accounts" => {
                let max = (options.growth_max / ACCOUNTS_SHARE).min(MEASURED_ACCOUNTS_MAX);
                debits::by_accounts(bench, report, options.backlog, &up_to(&ACCOUNTS, max))
            }
            "rows" => {
                let sizes = up_to(&ROWS, options.growth_max.min(MEASURED_ROWS_MAX));
                runtime.block_on(rows::run(bench, report, &sizes))
            }
            _ => ids::run(bench, report, &up_to(&IDS, options.growth_max.min(MEASURED_ROWS_MAX))),
        };
        if let Err(error) = outcome {
            report.failed(&format!("growth, {curve}"), &error);
        }
    }
    let floats = |sizes: &[usize]| sizes.iter().map(|size| count(*size)).collect::<Vec<f64>>();
    report.extrapolate(debits::BY_PARTITIONS, &debits::PARTITIONS_BEYOND);
    report.extrapolate(debits::BY_ACCOUNTS, &floats(&ACCOUNTS));
    report.extrapolate(debits::RSS_BY_ACCOUNTS, &floats(&ACCOUNTS));
    for (_, id) in rows::QUESTIONS {
        report.extrapolate(id, &floats(&ROWS));
    }
    for id in ids::CURVES {
        report.extrapolate(id, &floats(&IDS));
    }
    Ok(())
}

/// The sizes within the bound, and at least the first one.
fn up_to(sizes: &[usize], max: usize) -> Vec<usize> {
    let within = sizes.iter().enumerate().filter(|(index, size)| *index == 0 || **size <= max);
    within.map(|(_, size)| *size).collect()
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
fn count(number: usize) -> f64 {
    number as f64
}

/// A point that was measured once.
fn measured(
    id: &'static str,
    (x, x_unit): (usize, &'static str),
    (value, unit): (f64, &'static str),
    conditions: String,
) -> Point {
    Point { id, x: count(x), x_unit, value, unit, extrapolated: false, conditions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_size_is_always_measured_and_none_beyond_the_bound() {
        assert_eq!(up_to(&ROWS, 10_000_000), [1_000_000, 3_000_000, 10_000_000]);
        assert_eq!(up_to(&ACCOUNTS, 10), [1_000]);
        // and the last one of each never is
        assert!(ROWS[5] > MEASURED_ROWS_MAX && ACCOUNTS[5] > MEASURED_ACCOUNTS_MAX);
    }
}
