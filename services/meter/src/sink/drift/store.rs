//! The question that the drift watch asks.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;

use super::figures::Figures;
use crate::sink::error::SinkError;
use crate::sink::store::{Store, within_limit};

/// Whose figures are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those behind the first account, up to the second one.
    Between(String, String),
    /// All behind the account.
    After(String),
    /// These.
    Of(Vec<String>),
}

impl Scope {
    const fn condition(&self) -> &'static str {
        match self {
            Self::Between(..) => "account_id > ? AND account_id <= ?",
            Self::After(_) => "account_id > ?",
            Self::Of(_) => "account_id IN ?",
        }
    }
}

#[derive(Debug, Row, Deserialize)]
struct SizeRow {
    account_id: String,
    newest: u64,
}

#[derive(Debug, Row, Deserialize)]
struct FiguresRow {
    account_id: String,
    entries: u64,
    newest: u64,
    seqs: u64,
    amount: i128,
    weighted: i128,
    balances: i128,
    balance: i128,
    of_events: i128,
    of_booths: i128,
    charged: i64,
    failed: i64,
    kept_seq: u64,
    kept_balance: i128,
    rolled: i128,
    rolled_events: i128,
    rolled_booths: i128,
    rolled_charged: i64,
    rolled_failed: i64,
}

/// The figures in the order of [`FiguresRow`], each with its type; a table gives a few of them and zeros for the rest.
const FIGURES: [(&str, &str); 18] = [
    ("entries", "toUInt64"),
    ("newest", "toUInt64"),
    ("seqs", "toUInt64"),
    ("amount", "money"),
    ("weighted", "money"),
    ("balances", "money"),
    ("balance", "money"),
    ("of_events", "money"),
    ("of_booths", "money"),
    ("charged", "toInt64"),
    ("failed", "toInt64"),
    ("kept_seq", "toUInt64"),
    ("kept_balance", "money"),
    ("rolled", "money"),
    ("rolled_events", "money"),
    ("rolled_booths", "money"),
    ("rolled_charged", "toInt64"),
    ("rolled_failed", "toInt64"),
];

/// By table, the figures it gives.
const TABLES: [(&str, &[(&str, &str)]); 5] = [
    (
        "ledger",
        &[
            ("entries", "count()"),
            ("newest", "max(seq)"),
            ("seqs", "sum(seq)"),
            ("amount", "sum(toDecimal128(ledger.amount, 6))"),
            ("weighted", "sum(toDecimal128(ledger.amount, 6) * toInt64(seq))"),
            ("balances", "sum(toDecimal128(balance_after, 6))"),
            ("balance", "argMax(balance_after, seq)"),
            ("of_events", "sumIf(toDecimal128(ledger.amount, 6), event_id != '')"),
            ("of_booths", "sumIf(toDecimal128(ledger.amount, 6), booth_id != '')"),
            ("charged", "countIf(type = 'consume' AND status = 'success')"),
            ("failed", "countIf(status = 'failed')"),
        ],
    ),
    (
        "account_balances",
        &[("kept_seq", "tupleElement(max(latest), 1)"), ("kept_balance", "tupleElement(max(latest), 2)")],
    ),
    (
        "usage_15m_by_account",
        &[
            ("rolled", "sum(usage_15m_by_account.amount)"),
            ("rolled_charged", "sumIf(count, type = 'consume')"),
            ("rolled_failed", "sum(usage_15m_by_account.failed)"),
        ],
    ),
    ("usage_15m_by_event", &[("rolled_events", "sum(usage_15m_by_event.amount)")]),
    ("usage_15m_by_booth", &[("rolled_booths", "sum(usage_15m_by_booth.amount)")]),
];

fn cast(kind: &str, expression: &str) -> String {
    if kind == "money" { format!("toDecimal128({expression}, 6)") } else { format!("{kind}({expression})") }
}

fn question(condition: &str) -> String {
    let part = |(table, given): (&str, &[(&str, &str)])| {
        let columns: Vec<String> = FIGURES
            .iter()
            .map(|(name, kind)| {
                let expression =
                    given.iter().find(|(known, _)| known == name).map_or("0", |(_, expression)| expression);
                format!("{} AS f_{name}", cast(kind, expression))
            })
            .collect();
        format!("SELECT account_id, {} FROM {table} WHERE {condition} GROUP BY account_id", columns.join(", "))
    };
    let parts: Vec<String> = TABLES.into_iter().map(part).collect();
    let sums: Vec<String> = FIGURES.iter().map(|(name, _)| format!("sum(f_{name}) AS {name}")).collect();
    format!("SELECT account_id, {} FROM ({}) GROUP BY account_id", sums.join(", "), parts.join(" UNION ALL "))
}

impl From<FiguresRow> for Figures {
    fn from(row: FiguresRow) -> Self {
        Self {
            entries: row.entries,
            newest: row.newest,
            seqs: row.seqs,
            amount: row.amount,
            weighted: row.weighted,
            balances: row.balances,
            balance: row.balance,
            of_events: row.of_events,
            of_booths: row.of_booths,
            charged: row.charged,
            failed: row.failed,
            kept: (row.kept_seq, row.kept_balance),
            rolled: [row.rolled, row.rolled_events, row.rolled_booths],
            rolled_operations: (row.rolled_charged, row.rolled_failed),
        }
    }
}

/// The accounts whose entries fit into `rows_max` together; at least one, or a large one would never be looked at. `None`:
/// all of them, and there are no more.
fn last_that_fits(accounts: &[SizeRow], accounts_max: u64, rows_max: u64) -> Option<&str> {
    let mut rows = 0_u64;
    let fits = |account: &&SizeRow| {
        rows = rows.saturating_add(account.newest);
        rows <= rows_max
    };
    let fitting = accounts.iter().take_while(fits).count().max(1);
    let is_all = fitting >= accounts.len() && (accounts.len() as u64) < accounts_max;
    if is_all { None } else { accounts.get(fitting.min(accounts.len()) - 1).map(|account| account.account_id.as_str()) }
}

impl Store {
    /// The next accounts behind `after`, and the last of them; `None`: after these it begins anew.
    pub(super) async fn next_accounts(
        &self,
        after: &str,
        accounts_max: u64,
        rows_max: u64,
    ) -> Result<(Scope, Option<String>), SinkError> {
        let query = self
            .client()
            .query(
                "SELECT account_id, tupleElement(max(latest), 1) AS newest FROM account_balances WHERE account_id > ? \
                 GROUP BY account_id ORDER BY account_id LIMIT ?",
            )
            .bind(after)
            .bind(accounts_max)
            // In the table's order, so that it need not be read to its end.
            .with_setting("optimize_aggregation_in_order", "1");
        let accounts = within_limit(query.fetch_all::<SizeRow>()).await.map_err(failed)?;
        let last = last_that_fits(&accounts, accounts_max, rows_max).map(str::to_owned);
        let scope = match &last {
            Some(last) => Scope::Between(after.to_owned(), last.clone()),
            None => Scope::After(after.to_owned()),
        };
        Ok((scope, last))
    }

    /// The figures of every account in `scope` that stands in any table.
    pub(super) async fn figures(&self, scope: &Scope) -> Result<BTreeMap<String, Figures>, SinkError> {
        let mut query = self
            .client()
            .query(&question(scope.condition()))
            // It has time: debits and answers go first.
            .with_setting("max_threads", "1")
            .with_setting("priority", "10");
        for _ in TABLES {
            query = match scope {
                Scope::Between(after, last) => query.bind(after).bind(last),
                Scope::After(after) => query.bind(after),
                Scope::Of(ids) => query.bind(ids),
            };
        }
        let rows = within_limit(query.fetch_all::<FiguresRow>()).await.map_err(failed)?;
        Ok(rows.into_iter().map(|row| (row.account_id.clone(), row.into())).collect())
    }
}

fn failed(source: clickhouse::error::Error) -> SinkError {
    SinkError::ClickHouse { doing: "watch for drift", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(newest: &[u64]) -> Vec<SizeRow> {
        let row = |(index, newest): (usize, &u64)| SizeRow { account_id: format!("acc_{index}"), newest: *newest };
        newest.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_turn_is_bounded_and_never_stands_still() {
        let last = |newest: &[u64]| last_that_fits(&sizes(newest), 4, 100).map(str::to_owned);
        assert_eq!(last(&[]), None);
        assert_eq!(last(&[40, 40]), None);
        // A whole page: there may be more behind it.
        assert_eq!(last(&[1, 1, 1, 1]).as_deref(), Some("acc_3"));
        assert_eq!(last(&[40, 40, 40]).as_deref(), Some("acc_1"));
        assert_eq!(last(&[5_000, 1]).as_deref(), Some("acc_0"));
        // The large one is the last one.
        assert_eq!(last(&[5_000]), None);
    }

    #[test]
    fn each_figure_comes_from_one_table() {
        for (name, _) in FIGURES {
            let given = TABLES.iter().filter(|(_, given)| given.iter().any(|(known, _)| *known == name)).count();
            assert_eq!(given, 1, "{name}");
        }
        assert_eq!(question("account_id > ?").matches('?').count(), TABLES.len());
    }
}
