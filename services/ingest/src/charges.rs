//! Charges, looked up in ClickHouse: a refund carries the facts of its charge.

use std::time::Duration;

use axum::http::StatusCode;
use clickhouse::{Client, Row};
use serde::Deserialize;
use tollbooth_chassis::config::ClickHouseSection;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::v1;
use tollbooth_schemas::{AccountId, pricing};

/// Seconds a client is asked to wait when the projection is away or behind.
const RETRY_AFTER_S: u32 = 2;

/// The entry, or the next one there is: an account's entries have no gap, so that nothing at or behind a `seq` means that
/// the projection does not reach it yet.
const SELECT: &str = "SELECT seq, type, status, operation_id, attempt, amount, occurred_at, service, engine, variant, \
     country, unit, quantity, event_id, booth_id, plan, price_version, test_mode, detail FROM ledger \
     WHERE account_id = {account:String} AND seq >= {seq:UInt64} ORDER BY account_id, seq LIMIT 1";

/// Why the facts of a charge are not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChargeError {
    /// There is no `[clickhouse]`.
    #[error("no projection is configured")]
    Unconfigured,
    /// ClickHouse is away, not migrated yet, or too slow.
    #[error("clickhouse: {0}")]
    Unavailable(#[from] clickhouse::error::Error),
    /// The sink has not landed the entry, or there is none.
    #[error("the projection has no entry at or behind seq {0} yet")]
    Behind(u64),
    /// It is an entry of another kind, or failed work.
    #[error("seq {0} is no charge")]
    NoCharge(u64),
}

impl From<ChargeError> for Problem {
    fn from(error: ChargeError) -> Self {
        let unavailable = || Self::unavailable(RETRY_AFTER_S);
        match &error {
            ChargeError::Unconfigured | ChargeError::Behind(_) => unavailable().with_detail(error.to_string()),
            ChargeError::Unavailable(source) => {
                tracing::warn!(error = %source, "ClickHouse gives no answer");
                unavailable().with_detail("charges cannot be looked up at the moment")
            }
            ChargeError::NoCharge(_) => Self::new("unknown_charge", StatusCode::NOT_FOUND, "There is no such charge")
                .with_detail(error.to_string()),
        }
    }
}

#[derive(Debug, Row, Deserialize)]
struct ChargeRow {
    seq: u64,
    r#type: String,
    status: String,
    operation_id: String,
    attempt: u32,
    amount: i64,
    occurred_at: i64,
    service: String,
    engine: String,
    variant: String,
    country: String,
    unit: String,
    quantity: i64,
    event_id: String,
    booth_id: String,
    plan: String,
    price_version: u32,
    test_mode: bool,
    detail: String,
}

impl ChargeRow {
    /// The charge it is, and where its month counted it; `None`: something else.
    fn into_charge(self) -> Option<(v1::Charge, Option<v1::Counted>)> {
        let is_charge = matches!(self.r#type.as_str(), "consume" | "repriced") && self.status == "success";
        let counted = pricing::of_text(&self.detail).and_then(|pricing| pricing.counted);
        let charge = v1::Charge {
            operation_id: self.operation_id,
            attempt: self.attempt,
            amount_micros: self.amount.saturating_neg(),
            occurred_at_ms: self.occurred_at,
            service: self.service,
            engine: self.engine,
            variant: self.variant,
            country: self.country,
            unit: self.unit,
            quantity_micros: self.quantity,
            event_id: self.event_id,
            booth_id: self.booth_id,
            plan: self.plan,
            price_version: self.price_version,
            test_mode: self.test_mode,
        };
        is_charge.then_some((charge, counted))
    }
}

/// The charges of the projection, if there is one.
pub(crate) struct Charges {
    pub(crate) client: Option<Client>,
    pub(crate) patience: Duration,
}

impl std::fmt::Debug for Charges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Charges").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Charges {
    /// Connects when asked something; each question has `patience`.
    pub(crate) fn new(section: Option<&ClickHouseSection>, patience: Duration) -> Self {
        let client = section.map(|section| {
            tollbooth_chassis::clickhouse::client(section)
                .with_product_info("tollbooth-ingest", env!("CARGO_PKG_VERSION"))
                // The server gives up as well, rather than finish what nobody waits for.
                .with_setting("max_execution_time", patience.as_secs().max(1).to_string())
        });
        Self { client, patience }
    }

    /// The facts of the charge that was posted as `seq`, and where its month counted it.
    ///
    /// # Errors
    /// [`ChargeError`]
    pub(crate) async fn find(
        &self,
        account_id: &AccountId,
        seq: u64,
    ) -> Result<(v1::Charge, Option<v1::Counted>), ChargeError> {
        let client = self.client.as_ref().ok_or(ChargeError::Unconfigured)?;
        let query = client.query(SELECT).param("account", account_id.as_str()).param("seq", seq);
        let answered = tokio::time::timeout(self.patience, query.fetch_optional::<ChargeRow>()).await;
        let row = answered.unwrap_or(Err(clickhouse::error::Error::TimedOut))?.ok_or(ChargeError::Behind(seq))?;
        let row = Some(row).filter(|row| row.seq == seq);
        row.and_then(ChargeRow::into_charge).ok_or(ChargeError::NoCharge(seq))
    }
}
