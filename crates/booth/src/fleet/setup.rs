//! Opens the fleet's accounts and keeps them in credit.

use std::{collections::HashMap, sync::Arc, time::Duration};

use clap::ValueEnum;
use futures_util::{StreamExt, TryStreamExt, stream};
use tollbooth_schemas::{AccountId, Money};

use super::{
    control::{Control, ControlError},
    population::{Account, Population},
    tracker::Tracker,
};
use crate::journal::Line;

/// Requests under way at once.
const CONCURRENCY: usize = 16;
const DOLLAR: i64 = 1_000_000;
/// What ingest sells at once, if nobody set it otherwise.
const PURCHASE_MAX: i64 = 10_000 * DOLLAR;

/// Setting up failed.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A request.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The journal.
    #[error("the journal cannot be written: {0}")]
    Journal(#[from] std::io::Error),
}

/// How credit comes to an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum CreditBy {
    /// Given: an adjustment.
    #[default]
    Adjustment,
    /// Bought, with the card that the account has saved: for a sandbox, where no money moves.
    Purchase,
}

/// Credit to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    /// Whose.
    pub account_id: AccountId,
    /// The same for the same top-up.
    pub idempotency_key: String,
    /// How much.
    pub amount: Money,
    /// For what is written into the past; nobody buys there.
    pub occurred_at_ms: Option<i64>,
    /// How.
    pub by: CreditBy,
}

/// Reason code of the fleet's adjustments.
const REASON: &str = "top_up";

/// Opens all accounts and gives each its first credit.
pub(crate) async fn open_accounts(
    control: &Control,
    tracker: &Arc<Tracker>,
    population: &Population,
    credit: Option<(Money, CreditBy)>,
    opened_at_ms: Option<i64>,
) -> Result<(), SetUpError> {
    // Owned items and handles: a stream of borrowing futures is not `Send` in every caller's eyes.
    stream::iter(population.accounts().to_vec())
        .map(|account| {
            let (control, tracker) = (control.clone(), Arc::clone(tracker));
            async move { open_account(&control, &tracker, &account, credit, opened_at_ms).await }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await
}

async fn open_account(
    control: &Control,
    tracker: &Arc<Tracker>,
    account: &Account,
    credit: Option<(Money, CreditBy)>,
    opened_at_ms: Option<i64>,
) -> Result<(), SetUpError> {
    tracker.write(&[Line::AccountPlanned {
        account_id: account.account_id.clone(),
        name: account.name.clone(),
        plan: account.plan.to_owned(),
        currency: "USD".to_owned(),
        time_zone: account.time_zone.to_owned(),
    }])?;
    control.open_account(account, opened_at_ms).await?;
    tracker.write(&[Line::AccountOpened { account_id: account.account_id.clone() }])?;
    let Some((amount, by)) = credit else { return Ok(()) };
    let top_up = TopUp {
        account_id: account.account_id.clone(),
        idempotency_key: format!("credit:{}:{amount}", account.account_id),
        amount,
        occurred_at_ms: None,
        by,
    };
    carry_out(control, tracker, &top_up).await
}

/// Asks for credit until the answer is definite. Before and after an adjustment stand in the journal; a purchase does not:
/// its entry is named after the payment.
pub(crate) async fn carry_out(control: &Control, tracker: &Arc<Tracker>, top_up: &TopUp) -> Result<(), SetUpError> {
    let TopUp { account_id, idempotency_key, amount, occurred_at_ms, by } = top_up.clone();
    if by == CreditBy::Purchase {
        return Ok(control.buy(&account_id, &idempotency_key, amount).await?);
    }
    tracker.write(&[Line::TopUpPlanned {
        account_id: account_id.clone(),
        idempotency_key: idempotency_key.clone(),
        amount,
        reason: REASON.to_owned(),
        occurred_at: occurred_at_ms,
    }])?;
    let done = control.adjust(&account_id, &idempotency_key, amount, REASON, occurred_at_ms).await;
    match &done {
        Ok(()) => tracker.write(&[Line::TopUpDone { account_id, idempotency_key }])?,
        Err(ControlError::Refused { problem, .. }) => {
            tracker.write(&[Line::TopUpRefused { account_id, idempotency_key, status: problem.status }])?;
        }
        Err(_) => {}
    }
    Ok(done?)
}

/// Carries out several, a few at a time.
pub(crate) async fn carry_out_all(
    control: &Control,
    tracker: &Arc<Tracker>,
    top_ups: &[TopUp],
) -> Result<(), SetUpError> {
    stream::iter(top_ups.to_vec())
        .map(|top_up| {
            let (control, tracker) = (control.clone(), Arc::clone(tracker));
            async move { carry_out(&control, &tracker, &top_up).await }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await
}

/// How accounts are kept in credit.
#[derive(Debug, Clone)]
pub struct TopUpConfig {
    /// Below this an account gets more.
    pub threshold: Money,
    /// How much at least.
    pub amount: Money,
    /// How.
    pub by: CreditBy,
    /// Time between two looks at an account.
    pub interval: Duration,
}

impl Default for TopUpConfig {
    fn default() -> Self {
        Self {
            threshold: Money::from_micros(20 * DOLLAR).unwrap_or_default(),
            amount: Money::from_micros(100 * DOLLAR).unwrap_or_default(),
            by: CreditBy::default(),
            interval: Duration::from_secs(3),
        }
    }
}

/// How much an account with this much left, that burned so much since the last look, gets now; of a purchase
/// at most what is sold at once.
///
/// The account is to stay above the threshold until the look after the next one, so what it burns raises both.
#[must_use]
pub fn top_up_amount(config: &TopUpConfig, available_micros: i64, burned_micros: i64) -> Option<Money> {
    let burned = burned_micros.max(0);
    let lowest = config.threshold.micros().saturating_add(burned.saturating_mul(2));
    if available_micros >= lowest {
        return None;
    }
    let missing = config.threshold.micros().saturating_sub(available_micros).max(0);
    let wanted = missing.saturating_add(burned.saturating_mul(5)).max(config.amount.micros());
    // Whole fifties, as people buy.
    let fifty = 50 * DOLLAR;
    let fifties = wanted.div_euclid(fifty).saturating_add(i64::from(wanted % fifty > 0)).saturating_mul(fifty);
    let most = if config.by == CreditBy::Purchase { PURCHASE_MAX } else { i64::MAX };
    Money::from_micros(fifties.min(most))
}

/// Looks at all accounts again and again, until the future is dropped.
pub(crate) async fn keep_in_credit(
    control: Control,
    tracker: Arc<Tracker>,
    population: Arc<Population>,
    config: TopUpConfig,
    run_id: String,
) {
    let mut ticker = tokio::time::interval(config.interval);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: HashMap<AccountId, i64> = HashMap::new();
    let mut number: u64 = 0;
    loop {
        ticker.tick().await;
        let looks = stream::iter(population.accounts().to_vec())
            .map(|account| {
                let control = control.clone();
                async move { (control.balance(&account.account_id).await, account) }
            })
            .buffer_unordered(CONCURRENCY);
        let balances: Vec<_> = looks.collect().await;
        let mut top_ups = Vec::new();
        for (balance, account) in balances {
            let available = match balance {
                Ok(balance) => balance.available.amount.micros(),
                Err(error) => {
                    tracing::warn!(%error, account_id = %account.account_id, "balance unknown, looked at again");
                    continue;
                }
            };
            let before = last.insert(account.account_id.clone(), available).unwrap_or(available);
            let Some(amount) = top_up_amount(&config, available, before.saturating_sub(available)) else { continue };
            number += 1;
            let idempotency_key = format!("topup:{run_id}:{number}");
            // The next look compares with what it will have been.
            last.insert(account.account_id.clone(), available.saturating_add(amount.micros()));
            let account_id = account.account_id.clone();
            top_ups.push(TopUp { account_id, idempotency_key, amount, occurred_at_ms: None, by: config.by });
        }
        if let Err(error) = carry_out_all(&control, &tracker, &top_ups).await {
            tracing::warn!(%error, "top-up failed, decided anew at the next look");
        }
    }
}
