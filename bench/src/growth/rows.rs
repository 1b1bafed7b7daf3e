//! What an answer takes by the rows of the ledger that it is found among.

use super::measured;
use crate::{dataset, queries, report::Report, stack::Bench};

/// Questions, as the query group has them, and their curves.
pub(super) const QUESTIONS: [(&str, &str); 5] = [
    ("balance", "growth_rows_balance"),
    ("newest", "growth_rows_newest"),
    ("month", "growth_rows_month"),
    ("id", "growth_rows_id"),
    ("word", "growth_rows_word"),
];
const REQUESTS: usize = 200;

pub(super) async fn run(bench: &Bench, report: &mut Report, sizes: &[usize]) -> anyhow::Result<()> {
    for rows in sizes.iter().copied() {
        let space = bench.space(&format!("growth_rows_{rows}"))?;
        let data = dataset::make(&space, None, rows)?.what;
        let meter = space.meter()?;
        dataset::settled(&space)?;
        let (query, address) = space.query()?;
        for (name, id) in QUESTIONS {
            let asked = queries::first_time(&space, &address, name, REQUESTS).await?;
            #[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
            let [p50, p99] = [0.5, 0.99].map(|quantile| asked.value_at_quantile(quantile) as f64 / 1_000.0);
            let conditions =
                format!("p50 of {REQUESTS} first answers, 20 a second by a schedule, p99 {p99:.1} ms; {data}");
            report.point(measured(id, (rows, "rows"), (p50, "ms"), conditions));
        }
        query.stop();
        meter.stop();
        dataset::remove(space, rows)?;
    }
    Ok(())
}
