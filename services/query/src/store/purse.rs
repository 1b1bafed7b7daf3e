//! What a balance is made of, as the rows tell it.

use clickhouse::Row;
use serde::Deserialize;
use tollbooth_schemas::account_state::AccountState;

use super::{Store, StoreError};
use crate::live::{Lot, Purse};

/// More entries about bonuses and limits than an account has.
const MARKS_MAX: usize = 50_000;

/// An entry about a purse.
#[derive(Debug, Row, Deserialize)]
struct MarkRow {
    seq: u64,
    r#type: String,
    amount: i64,
    original_seq: u64,
    account_state: String,
}

/// What was drawn from lots between one mark and the next.
#[derive(Debug, Row, Deserialize)]
struct DrawnRow {
    after_seq: u64,
    micros: i128,
}

impl Store {
    /// The purse of an account as of the newest entry in ClickHouse, and that entry; none was posted after `posted_by_ms`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn purse(&self, account_id: &str, posted_by_ms: i64) -> Result<(u64, Purse), StoreError> {
        let seq = self.newest_seq(account_id, posted_by_ms).await?;
        let marks = self
            .query(
                "SELECT seq, type, amount, original_seq, account_state FROM ledger WHERE account_id = {account:String} \
                 AND seq <= {upper:UInt64} AND type IN ('bonus', 'bonus_expiry', 'credit_limit_set') ORDER BY seq \
                 LIMIT {limit:UInt64}",
            )
            .param("account", account_id)
            .param("upper", seq)
            .param("limit", MARKS_MAX);
        let marks: Vec<MarkRow> = self.rows(marks).await?;
        if marks.is_empty() {
            return Ok((seq, Purse::default()));
        }
        let seqs: Vec<u64> = marks.iter().map(|mark| mark.seq).collect();
        let drawn = self
            .query(
                "SELECT roundDown(seq, {marks:Array(UInt64)}) AS after_seq, sum(from_bonus) AS micros \
                 FROM ledger WHERE account_id = {account:String} AND seq <= {upper:UInt64} AND from_bonus != 0 \
                 GROUP BY after_seq ORDER BY after_seq",
            )
            .param("marks", seqs)
            .param("account", account_id)
            .param("upper", seq);
        let drawn: Vec<DrawnRow> = self.rows(drawn).await?;
        Ok((seq, fold(marks, &drawn)))
    }
}

/// Between two marks the order of the draws does not matter: the lots are the same.
fn fold(marks: Vec<MarkRow>, drawn: &[DrawnRow]) -> Purse {
    let mut purse = Purse::default();
    let mut drawn = drawn.iter().peekable();
    for mark in marks {
        let state = AccountState::parse(&mark.account_state);
        match mark.r#type.as_str() {
            "bonus" => {
                let expires_at_ms = match state {
                    Some(AccountState::BonusGranted { expires_at_ms }) => expires_at_ms,
                    _ => None,
                };
                purse.grant(Lot { granted_seq: mark.seq, expires_at_ms, remaining_micros: mark.amount });
            }
            "bonus_expiry" => purse.end(mark.original_seq),
            _ => {
                if let Some(AccountState::CreditLimitSet { credit_limit_micros }) = state {
                    purse.credit_limit_micros = credit_limit_micros;
                }
            }
        }
        while let Some(draw) = drawn.next_if(|draw| draw.after_seq <= mark.seq) {
            purse.draw(i64::try_from(draw.micros).unwrap_or(i64::MAX));
        }
    }
    purse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_come_out_of_the_lots_that_were_there() {
        let mark = |seq, entry_type: &str, amount, original_seq, state: Option<AccountState<'_>>| MarkRow {
            seq,
            r#type: entry_type.to_owned(),
            amount,
            original_seq,
            account_state: state.map(|state| state.text()).unwrap_or_default(),
        };
        let bonus = |expires_at_ms| Some(AccountState::BonusGranted { expires_at_ms });
        let marks = vec![
            mark(2, "bonus", 10, 0, bonus(None)),
            mark(5, "bonus", 5, 0, bonus(Some(900))),
            mark(7, "credit_limit_set", 0, 0, Some(AccountState::CreditLimitSet { credit_limit_micros: 30 })),
            mark(9, "bonus_expiry", -1, 5, None),
        ];
        let drawn = [(2, 3), (5, 4), (9, 2)].map(|(after_seq, micros)| DrawnRow { after_seq, micros });
        let purse = fold(marks, &drawn);
        assert_eq!((purse.bonus_micros(), purse.lots.len(), purse.credit_limit_micros), (5, 1, 30));
    }
}
