//! All ways out of the fleet, behind one call that writes the journal first.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::mpsc;

use super::{direct::Direct, draft::Draft, gateway::Gateways, population::Population, tracker::Tracker};
use crate::{BoothConfig, Stats, journal::Via};

/// Where records go and what is written about it.
#[derive(Debug, Clone)]
pub struct LinksConfig {
    /// Outboxes of the gateways stand below it.
    pub outbox_dir: PathBuf,
    /// How many gateways share the booths.
    pub gateways: usize,
    /// Settings of each gateway's client; its key must be an admin's, as it carries booths of all accounts.
    pub booth: BoothConfig,
    /// `bootstrap.servers` and the topic, for records that go straight into Kafka.
    pub kafka: Option<(String, String)>,
}

/// The fleet cannot send.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// A gateway's outbox.
    #[error(transparent)]
    Booth(#[from] crate::BoothError),
    /// Kafka.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The journal: nothing may be sent that is not written down.
    #[error("the journal cannot be written: {0}")]
    Journal(#[from] std::io::Error),
    /// An event cannot be written as JSON.
    #[error("an event cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// A gateway or the journal failed while the fleet ran.
    #[error("{0}")]
    Ended(String),
    /// A record for Kafka in a run without it.
    #[error("records go straight into Kafka, but no bootstrap servers are named")]
    NoKafka,
}

pub(crate) struct Links {
    gateways: Gateways,
    direct: Option<Arc<Direct>>,
    population: Arc<Population>,
    pub(crate) tracker: Arc<Tracker>,
}

impl Links {
    pub(crate) async fn open(
        config: &LinksConfig,
        tracker: Arc<Tracker>,
        population: Arc<Population>,
    ) -> Result<Self, LinksError> {
        let gateways = Gateways::open(&config.outbox_dir, config.gateways, &config.booth, &tracker).await?;
        let direct = match &config.kafka {
            Some((bootstrap, topic)) => Some(Direct::connect(bootstrap, topic, &tracker)?),
            None => None,
        };
        Ok(Self { gateways, direct, population, tracker })
    }

    /// Writes drafts down, then sends them. `drafts` lose what follows them to the tracker.
    pub(crate) async fn send(&self, drafts: &mut [Draft]) -> Result<(), LinksError> {
        self.check()?;
        self.tracker.plan(drafts)?;
        for draft in drafts.iter() {
            self.send_one(draft).await?;
        }
        Ok(())
    }

    /// Sends the bytes of drafts once more.
    pub(crate) async fn repeat(&self, drafts: &[Draft]) -> Result<(), LinksError> {
        self.check()?;
        self.tracker.repeat(drafts.iter().map(|draft| draft.report.id.clone()))?;
        for draft in drafts {
            self.send_one(draft).await?;
        }
        Ok(())
    }

    async fn send_one(&self, draft: &Draft) -> Result<(), LinksError> {
        if draft.via == Via::Http {
            let event = (draft.report.id.clone(), draft.encode()?);
            if !self.gateways.send(draft.booth_number, event).await {
                return Err(LinksError::Ended("a gateway stopped writing".to_owned()));
            }
            return Ok(());
        }
        let direct = self.direct.as_ref().ok_or(LinksError::NoKafka)?;
        direct.send(draft.message(self.stranger(draft))?).await;
        self.tracker.counts.kafka_sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Another account than the draft's.
    fn stranger(&self, draft: &Draft) -> &str {
        let accounts = self.population.accounts();
        let other = accounts.iter().find(|account| account.account_id != draft.report.account_id);
        other.map_or("acc_stranger", |account| account.account_id.as_str())
    }

    fn check(&self) -> Result<(), LinksError> {
        if let Some(failure) = self.tracker.failure() {
            return Err(LinksError::Ended(format!("the journal cannot be written: {failure}")));
        }
        if self.gateways.has_ended() {
            return Err(LinksError::Ended("a gateway stopped: its outbox cannot be read or written".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> Stats {
        self.gateways.stats()
    }

    /// Whether everything sent has an answer, and nothing waits for one.
    pub(crate) fn is_idle(&self) -> bool {
        self.gateways.is_idle()
            && self.direct.as_ref().is_none_or(|direct| direct.in_flight() == 0)
            && self.tracker.waiting() == 0
    }
}

/// Drafts that were let go by an acknowledgement.
pub(crate) type Ready = mpsc::UnboundedReceiver<(std::time::Duration, Box<Draft>)>;
