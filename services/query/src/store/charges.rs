//! What was charged, entry by entry, for pricing it once more.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};
use crate::calendar::TimeRange;
use crate::simulate::{Charged, Work};

#[derive(Debug, Row, Deserialize)]
struct ChargedRow {
    seq: u64,
    r#type: String,
    service: String,
    engine: String,
    variant: String,
    country: String,
    unit: String,
    plan: String,
    quantity: i64,
    amount: i64,
    occurred_at: i64,
    test_mode: bool,
    original_seq: u64,
    reason: String,
}

/// A reversal with a quantity takes its charge back as a whole, and carries its time.
const SELECT: &str = "SELECT seq, type, service, engine, variant, country, unit, plan, quantity, amount, occurred_at, \
     test_mode, original_seq, reason FROM ledger WHERE account_id = {account:String} AND seq <= {upper:UInt64} \
     AND (status = 'success' OR (type IN ('refund', 'reversal') AND quantity != 0)) \
     AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') \
     AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC') \
     ORDER BY account_id, seq LIMIT {limit:UInt64}";

/// What a re-pricing gave back, to charge it anew.
fn is_given_back_for_another(row: &ChargedRow) -> bool {
    row.r#type == "reversal" && row.reason.starts_with("repricing")
}

/// A charge that was made anew stands in the place of the one that it replaces, as in the months that count it.
fn in_place(rows: Vec<ChargedRow>) -> Vec<Charged> {
    let mut charges: Vec<Charged> = Vec::with_capacity(rows.len());
    let mut places: HashMap<u64, usize> = HashMap::new();
    for row in rows.into_iter().filter(|row| !is_given_back_for_another(row)) {
        let replaced = (row.r#type == "repriced").then_some(row.original_seq);
        let place = replaced.and_then(|seq| places.get(&seq).copied());
        let charged = Charged::from(row);
        let index = place.unwrap_or(charges.len());
        places.insert(charged.seq, index);
        match charges.get_mut(index) {
            Some(before) => *before = charged,
            None => charges.push(charged),
        }
    }
    charges
}

impl From<ChargedRow> for Charged {
    fn from(row: ChargedRow) -> Self {
        let work = Work {
            service: row.service,
            engine: row.engine,
            variant: row.variant,
            country: row.country,
            unit: row.unit,
            plan: row.plan,
            quantity_micros: row.quantity,
            test_mode: row.test_mode,
            occurred_at_ms: row.occurred_at,
        };
        let takes_back = matches!(row.r#type.as_str(), "refund" | "reversal").then_some(row.original_seq);
        Self { seq: row.seq, work, amount_micros: row.amount.saturating_neg(), takes_back }
    }
}

impl Store {
    /// Charges that occurred in a range and what took them back, up to the entry `upper_seq`, in posting order. `None`: there
    /// are more than `most` such entries, of which one that was made anew has three.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn charges(
        &self,
        account_id: &str,
        range: TimeRange,
        upper_seq: u64,
        most: usize,
    ) -> Result<Option<Vec<Charged>>, StoreError> {
        let query = self.bounded_query(SELECT).param("account", account_id).param("upper", upper_seq);
        let query = query.param("from", range.from_ms).param("to", range.to_ms).param("limit", most + 1);
        let rows = self.rows::<ChargedRow>(query).await?;
        Ok((rows.len() <= most).then(|| in_place(rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: u64, r#type: &str, amount: i64, original_seq: u64) -> ChargedRow {
        let text = str::to_owned;
        let reason = text(if r#type == "reversal" { "repricing" } else { "" });
        ChargedRow {
            seq,
            r#type: text(r#type),
            service: text("ai"),
            engine: text("a"),
            variant: text(""),
            country: text(""),
            unit: text("image"),
            plan: text("basic"),
            quantity: 1,
            amount,
            occurred_at: 0,
            test_mode: false,
            original_seq,
            reason,
        }
    }

    #[test]
    fn a_charge_that_was_made_anew_stands_where_the_first_one_stood() {
        let rows = vec![
            row(1, "consume", -20, 0),
            row(2, "consume", -20, 0),
            row(3, "reversal", 20, 1),
            row(4, "repriced", -30, 1),
            row(5, "refund", 30, 4),
            row(6, "reversal", 20, 2),
            row(7, "repriced", -10, 2),
            row(8, "reversal", 10, 7),
            row(9, "repriced", -20, 7),
        ];
        let found = in_place(rows).into_iter().map(|charged| (charged.seq, charged.amount_micros, charged.takes_back));
        assert_eq!(found.collect::<Vec<_>>(), [(4, 30, None), (9, 20, None), (5, -30, Some(4))]);
    }
}
