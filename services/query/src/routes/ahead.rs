//! What is read before anybody asks for it: after the start, sums and newest page of the accounts with the most entries.
//!
//! A process that starts keeps no answers, and every dashboard comes back to it at once. A question about one account costs
//! ClickHouse its planning and the opening of parts; one about sixteen costs little more. So what is asked first of many is
//! asked for together, account by account from the busiest on, until what may be kept is nearly full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tollbooth_chassis::problem::Problem;

use super::Api;
use super::transactions::{Asked, page};
use crate::activity::{ActivityFilter, LIMIT_DEFAULT};

/// Accounts that are asked for at once; as many go together as [`crate::config::StoreSection::together_max`] says.
const PIECE: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reads ahead, once, as soon as the ledger was read to its end and it is known how far the tables are; ends with the
/// process.
pub(crate) async fn read_ahead(api: Arc<Api>) {
    let accounts_max = api.config.answers.ahead_accounts_max;
    if accounts_max == 0 || !api.cubes.has_room() {
        return;
    }
    let running = api.metrics.kept.ahead_running.clone();
    running.set(1);
    tokio::select! {
        () = api.ending.triggered() => {}
        () = read(&api, accounts_max) => {}
    }
    running.set(0);
}

async fn read(api: &Api, accounts_max: usize) {
    while !api.view.is_confirmed() || !api.cubes.can_keep().await {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let begun = Instant::now();
    let accounts = api.view.busiest(accounts_max);
    let mut kept = 0_usize;
    for piece in accounts.chunks(PIECE) {
        if !api.cubes.has_room() {
            break;
        }
        let read = join_all(piece.iter().map(|account_id| read_one(api, account_id))).await;
        if let Some(Err(problem)) = read.iter().find(|read| read.is_err()) {
            if read.iter().all(Result::is_err) {
                tracing::warn!(%problem, kept, "nothing more is read ahead");
                return;
            }
            tracing::debug!(%problem, "not all was read ahead");
        }
        kept += read.iter().filter(|read| read.is_ok()).count();
        api.metrics.kept.ahead_accounts.set(i64::try_from(kept).unwrap_or(i64::MAX));
    }
    tracing::info!(accounts = kept, seconds = begun.elapsed().as_secs(), "read ahead");
}

async fn read_one(api: &Api, account_id: &str) -> Result<(), Problem> {
    api.cubes.keep(account_id).await?;
    if let Some(recent) = api.view.recent(account_id) {
        let filter = &ActivityFilter::default();
        page(api, &recent, Asked { account_id, filter, before: None, limit: LIMIT_DEFAULT, awaited: None }).await?;
    }
    Ok(())
}
