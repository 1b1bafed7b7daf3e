//! Whether a block stands in every table, once: asked before and after a repeat.
//!
//! The token makes a repeat harmless as long as the server remembers it. A server without replication writes the token
//! down beside the part, not with it, and does not sync that line: a loss of power, or a kill between the two, can leave
//! a block without its token (the repeat would double it) or a token without its block (the repeat would lose it). See
//! `docs/clickhouse.md`.
//!
//! A block is one part in each table, so it is there whole or not at all, and one entry of it tells for all of them.

use clickhouse::Row;
use serde::Deserialize;

use super::store::{Store, identifier};
use super::wire::{Entry, Kind};

/// Rollups in the order of [`Witnesses::rollups`]; the view that fills one has its name and `_mv`.
const ROLLUPS: [&str; 3] = ["usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth"];

/// An entry of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Witness {
    account_id: String,
    seq: u64,
    occurred_at_ms: i64,
}

/// Of each table an entry of the block that it must have; `None` where the block has nothing for it.
///
/// The one with the lowest `seq`: its account has the shortest history to be added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    entry: Option<Witness>,
    rollups: [Option<Witness>; 3],
}

/// Where a block stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// In every table, once.
    Whole,
    /// Not in all of them, or not for sure.
    Lacking(Vec<String>),
    /// More than once in `ledger`.
    Doubled,
}

#[derive(Debug, Row, Deserialize)]
struct EntryRow {
    entries: u64,
    newest: u64,
    balance_at: u64,
}

/// Which rollups have a row for an entry, as their views decide it.
fn rolled_up(entry: &Entry<'_>) -> [bool; 3] {
    match &entry.kind {
        Kind::PlanFee { .. } if entry.amount_micros == 0 => [false; 3],
        Kind::Usage(usage) => [true, !usage.event_id.is_empty(), !usage.booth_id.is_empty()],
        Kind::Reversal(reversal) => [true, !reversal.event_id.is_empty(), !reversal.booth_id.is_empty()],
        Kind::Repriced(repriced) => {
            let charge = &repriced.charge;
            [true, !charge.event_id.is_empty(), !charge.booth_id.is_empty()]
        }
        Kind::Adjustment { .. }
        | Kind::BonusGranted { .. }
        | Kind::BonusExpired { .. }
        | Kind::Purchase { .. }
        | Kind::PlanFee { .. } => [true, false, false],
        Kind::Unknown
        | Kind::AccountOpened { .. }
        | Kind::PlanChanged { .. }
        | Kind::HoldPlaced(_)
        | Kind::HoldReleased { .. }
        | Kind::CreditLimitSet { .. }
        | Kind::EventDefined(_)
        | Kind::BoothSet { .. }
        | Kind::RechargeSet(_)
        | Kind::RechargeRequested { .. }
        | Kind::RechargeFailed { .. }
        | Kind::AlertsSet { .. }
        | Kind::AlertRaised(_)
        | Kind::ProfileSet { .. } => [false; 3],
    }
}

impl Witnesses {
    /// Takes an entry of the block for a witness where it is a better one.
    pub(super) fn look_at(&mut self, account_id: &str, entry: &Entry<'_>) {
        let by_rollup = self.rollups.iter_mut().zip(rolled_up(entry));
        for (witness, is_there) in std::iter::once((&mut self.entry, true)).chain(by_rollup) {
            if is_there && witness.as_ref().is_none_or(|known| entry.seq < known.seq) {
                let account_id = account_id.to_owned();
                *witness = Some(Witness { account_id, seq: entry.seq, occurred_at_ms: entry.occurred_at_ms });
            }
        }
    }
}

impl Store {
    /// Whether the block of these witnesses stands in every table. Right only while nothing behind it was inserted.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn standing(&self, witnesses: &Witnesses) -> Result<Standing, clickhouse::error::Error> {
        let Some(entry) = &witnesses.entry else { return Ok(Standing::Lacking(Vec::new())) };
        let found = self.entry_row(entry).await?;
        match found.entries {
            0 => return Ok(Standing::Lacking(vec!["ledger".to_owned()])),
            1 => {}
            _ => return Ok(Standing::Doubled),
        }
        let mut lacking = Vec::new();
        // Keeps the newest state of an account, which a repeat cannot harm: only its absence shows.
        if found.balance_at != found.newest {
            lacking.push("account_balances".to_owned());
        }
        for (table, witness) in ROLLUPS.iter().zip(&witnesses.rollups) {
            if let Some(witness) = witness
                && !self.agrees(table, witness).await?
            {
                lacking.push((*table).to_owned());
            }
        }
        Ok(if lacking.is_empty() { Standing::Whole } else { Standing::Lacking(lacking) })
    }

    async fn entry_row(&self, entry: &Witness) -> Result<EntryRow, clickhouse::error::Error> {
        let query = self
            .client()
            .query(
                "SELECT countIf(seq = ?) AS entries, max(seq) AS newest, \
                 ifNull((SELECT max(latest).1 FROM account_balances WHERE account_id = ?), 0) AS balance_at \
                 FROM ledger WHERE account_id = ? AND seq >= ?",
            )
            .bind(entry.seq)
            .bind(&entry.account_id)
            .bind(&entry.account_id)
            .bind(entry.seq);
        self.within_insert_timeout(query.fetch_one::<EntryRow>()).await
    }

    /// Whether a rollup's sums in the witness's bucket are those of the ledger, by the very view that makes them.
    async fn agrees(&self, table: &str, witness: &Witness) -> Result<bool, clickhouse::error::Error> {
        let view = self
            .client()
            .query("SELECT as_select FROM system.tables WHERE database = ? AND name = ?")
            .bind(self.database())
            .bind(format!("{table}_mv"));
        let select = self.within_insert_timeout(view.fetch_one::<String>()).await?;
        let sums = |from: &str| {
            // The view's text is the server's own; a question mark in it would be taken for a parameter.
            let from = from.replace('?', "??");
            format!(
                "(SELECT (sum(count), sum(failed), sum(quantity), sum(amount), sum(provider_cost)) FROM {from} \
                 WHERE account_id = ? AND bucket = toStartOfFifteenMinutes(fromUnixTimestamp64Milli(?, 'UTC')))"
            )
        };
        let (rollup, entries) = (sums(&identifier(table)), sums(&format!("({select})")));
        let mut query = self.client().query(&format!("SELECT ifNull({rollup} = {entries}, 0)"));
        for _ in 0..2 {
            query = query.bind(&witness.account_id).bind(witness.occurred_at_ms);
        }
        Ok(self.within_insert_timeout(query.fetch_one::<u8>()).await? == 1)
    }
}
