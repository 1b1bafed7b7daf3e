//! How soon a charge changes the balance that query tells, asked by a schedule.
//!
//! Each probe has an instant at which its charge is sent, whatever became of the ones before it: a moment at which all of them
//! are slow is met by as many as any other moment, and none is left out because the one before is still being waited for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet};

use crate::{feed, load::Connection};

/// Before it is due a probe opens its connections and asks for the balance as it is.
const PREPARED_BEFORE: Duration = Duration::from_millis(200);
/// Between two looks at a balance.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const VISIBLE_WAIT: Duration = Duration::from_secs(30);
/// Of accounts that were opened just now.
const KNOWN_WAIT: Duration = Duration::from_secs(300);

/// Where and how often.
#[derive(Debug, Clone)]
pub(crate) struct Probing {
    /// `host:port` of ingest and of query.
    pub(crate) ingest: String,
    pub(crate) query: String,
    pub(crate) key: String,
    /// Probes a second.
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    /// Accounts of their own, from this one on; so many that an account's probe is over before its next one.
    pub(crate) first_account: usize,
    pub(crate) accounts: usize,
    /// Keeps operation ids apart.
    pub(crate) run: u32,
}

/// What a probe saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From the 202 to the changed balance, microseconds.
    pub(crate) visible_us: u64,
    /// From when it was due to the changed balance, microseconds.
    pub(crate) since_due_us: u64,
}

/// What all of them saw, microseconds.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) visible: Histogram<u64>,
    pub(crate) since_due: Histogram<u64>,
}

/// Waits until query knows the accounts of the probes.
pub(crate) async fn known(probing: &Probing) -> anyhow::Result<()> {
    let mut connection = Connection::open(&probing.query, &probing.key).await?;
    let begun = Instant::now();
    for index in 0..probing.accounts {
        let path = balance_path(&feed::account_id(probing.first_account + index));
        loop {
            let answer = connection.get(&path).await?;
            if seq(&answer).is_some() {
                break;
            }
            if begun.elapsed() > KNOWN_WAIT {
                bail!("{path} is not known within {KNOWN_WAIT:?}: {answer}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Probes for as long as it is to last, and tells what each saw as soon as it is over.
pub(crate) async fn probe(probing: Probing, tell: UnboundedSender<Seen>) -> anyhow::Result<()> {
    let probing = Arc::new(probing);
    let started = Instant::now() + PREPARED_BEFORE;
    let mut under_way = JoinSet::new();
    for number in 0_usize.. {
        #[allow(clippy::cast_precision_loss)] // Some ten thousand.
        let after = Duration::from_secs_f64(number as f64 / probing.rate);
        if after >= probing.duration {
            break;
        }
        let due = started + after;
        tokio::time::sleep_until((due - PREPARED_BEFORE).into()).await;
        let (probing, tell) = (Arc::clone(&probing), tell.clone());
        under_way.spawn(async move {
            let seen = one(&probing, number, due).await?;
            // Who listens may have seen enough.
            drop(tell.send(seen));
            anyhow::Ok(())
        });
        // A probe that failed ends them all.
        while let Some(over) = under_way.try_join_next() {
            over??;
        }
    }
    while let Some(over) = under_way.join_next().await {
        over??;
    }
    Ok(())
}

/// Probes, and gives back all that was seen.
pub(crate) async fn sight(probing: Probing) -> anyhow::Result<Sight> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    probe(probing, tell).await?;
    let mut sight = Sight { visible: Histogram::new(3)?, since_due: Histogram::new(3)? };
    while let Ok(seen) = told.try_recv() {
        sight.visible.record(seen.visible_us)?;
        sight.since_due.record(seen.since_due_us)?;
    }
    Ok(sight)
}

async fn one(probing: &Probing, number: usize, due: Instant) -> anyhow::Result<Seen> {
    let account_id = feed::account_id(probing.first_account + number % probing.accounts);
    let path = balance_path(&account_id);
    let mut query = Connection::open(&probing.query, &probing.key).await?;
    let mut ingest = Connection::open(&probing.ingest, &probing.key).await?;
    let before = seq(&query.get(&path).await?).with_context(|| format!("{path} has no balance"))?;
    let mut body = String::new();
    tokio::time::sleep_until(due.into()).await;
    feed::usage_event(&mut body, &account_id, probing.run, number, chrono::Utc::now().timestamp_millis());
    let answer = ingest.post("/v1/events", "application/cloudevents+json", body.as_bytes()).await?;
    if !answer.starts_with("http/1.1 202") {
        bail!("a probe was not accepted: {}", answer.chars().take(300).collect::<String>());
    }
    let acknowledged = Instant::now();
    loop {
        let answer = query.get(&path).await?;
        if seq(&answer) > Some(before) {
            let visible_us = u64::try_from(acknowledged.elapsed().as_micros())?;
            return Ok(Seen { visible_us, since_due_us: u64::try_from(due.elapsed().as_micros())? });
        }
        if acknowledged.elapsed() > VISIBLE_WAIT {
            bail!("{path} does not change within {VISIBLE_WAIT:?}: {answer}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn balance_path(account_id: &str) -> String {
    format!("/v1/accounts/{account_id}/balance")
}

/// The account's own: the parts of a balance name entries, too.
pub(crate) fn seq(answer: &str) -> Option<u64> {
    let body: serde_json::Value = serde_json::from_str(answer.get(answer.find('{')?..)?).ok()?;
    body["seq"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_has_the_seq_of_its_account() {
        let answer = "http/1.1 200 ok\n{\"balance\":\"1.00\",\"seq\":42,\"lots\":[{\"seq\":7}]}";
        assert_eq!(seq(answer), Some(42));
        assert_eq!(seq("http/1.1 404 not found\n{\"code\":\"unknown_account\"}"), None);
        assert_eq!(seq("http/1.1 200 ok\n"), None);
    }
}
