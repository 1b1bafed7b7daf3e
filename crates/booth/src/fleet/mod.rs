//! The fleet simulator: booths with seeded, repeatable habits, sent over the same client that a booth uses.
pub mod cli;
mod control;
mod direct;
mod draft;
mod fault;
mod gateway;
mod generator;
mod history;
mod links;
mod mix;
mod parties;
mod population;
mod profile;
mod random;
mod runner;
mod setup;
mod status;
mod tracker;

pub use control::{Balance, Control, ControlError, NewKey};
pub use draft::Draft;
pub use fault::Fault;
pub use generator::{Generator, GeneratorConfig};
pub use history::{Chunk, HistoryError, Marker, plan as plan_history};
pub use links::{LinksConfig, LinksError};
pub use mix::{SERVICES, Work};
pub use population::{Account, Booth, Population};
pub use profile::Profile;
pub use runner::{Pace, Summary};
pub use setup::{CreditBy, SetUpError, TopUp, TopUpConfig, top_up_amount};

use std::{future::Future, io, path::Path, sync::Arc};

use tollbooth_schemas::{Money, price_book::PriceBook};

use crate::journal;

/// A fleet: its accounts, its journal, and the admin's requests about them.
pub struct Fleet {
    population: Arc<Population>,
    control: Control,
    tracker: Arc<tracker::Tracker>,
    ready: links::Ready,
}

impl Fleet {
    /// Begins a new file of the journal in `journal_dir`.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn new(
        population: Population,
        control: Control,
        journal_dir: impl AsRef<Path>,
        journal_bytes_max: Option<u64>,
    ) -> io::Result<Self> {
        let (tracker, ready) = tracker::Tracker::new(journal::Writer::create(journal_dir, journal_bytes_max)?);
        Ok(Self { population: Arc::new(population), control, tracker, ready })
    }

    /// Its accounts.
    #[must_use]
    pub fn population(&self) -> &Population {
        &self.population
    }

    /// Publishes the price book, opens all accounts and gives each a first credit. Repeating it changes nothing.
    ///
    /// # Errors
    /// If a request is refused.
    pub async fn set_up(
        &self,
        book: &PriceBook,
        credit: Option<(Money, CreditBy)>,
        opened_at_ms: Option<i64>,
    ) -> Result<(), SetUpError> {
        self.tracker.write(&[journal::Line::PriceBook { version: book.version }])?;
        self.control.publish(book).await?;
        setup::open_accounts(&self.control, &self.tracker, &self.population, credit, opened_at_ms).await
    }

    /// Names the parties that a run with this id plays, as if they began now.
    ///
    /// # Errors
    /// If a request is refused.
    pub async fn name_parties(&self, run_id: &str) -> Result<(), ControlError> {
        let starts_at_ms = chrono::Utc::now().timestamp_millis();
        parties::name_all(&self.control, &self.population, run_id, starts_at_ms).await
    }

    /// Plays a profile until its time or count is over or `stop` is ready, then waits for answers.
    ///
    /// # Errors
    /// If an outbox, Kafka or the journal fails; ingest's failures are waited out.
    pub async fn run(
        self,
        links: &LinksConfig,
        generator: GeneratorConfig,
        pace: Pace,
        top_up: Option<TopUpConfig>,
        stop: impl Future<Output = ()>,
    ) -> Result<Summary, LinksError> {
        if generator.kafka_share > 0.0 && links.kafka.is_none() {
            return Err(LinksError::NoKafka);
        }
        let opened = links::Links::open(links, Arc::clone(&self.tracker), Arc::clone(&self.population)).await?;
        let run_id = generator.run_id.clone();
        let runner = runner::Runner::new(opened, self.ready, generator, Arc::clone(&self.population), pace);
        let keeping = top_up.map(|config| {
            let keep = setup::keep_in_credit(self.control, self.tracker, self.population, config, run_id);
            tokio::spawn(keep)
        });
        let summary = runner.run(stop).await;
        if let Some(keeping) = keeping {
            keeping.abort();
        }
        summary
    }

    /// Plays a year of history up to the marker's anchor, or what is left of it; `by` is how the newest month's credit
    /// comes. Returns how many records it has; 0 if it was played before.
    ///
    /// # Errors
    /// If sending or crediting fails for good.
    pub async fn history(
        mut self,
        links: &LinksConfig,
        seed: u64,
        book: &PriceBook,
        marker_dir: &Path,
        (count, by): (u64, CreditBy),
        progress: impl Fn(u64, u64),
    ) -> Result<u64, HistoryError> {
        let marker = Marker::open(marker_dir, chrono::Utc::now().timestamp_millis(), count)?;
        if marker.done {
            return Ok(0);
        }
        if marker.count != count {
            return Err(HistoryError::OtherHistory(marker.count));
        }
        let opened_at_ms = marker.anchor_ms - 366 * tollbooth_schemas::time::DAY_MS;
        self.set_up(book, None, Some(opened_at_ms)).await?;
        let opened = links::Links::open(links, Arc::clone(&self.tracker), Arc::clone(&self.population)).await?;
        let chunks = history::plan(seed, &self.population, book, (count, by), marker.anchor_ms);
        history::play(&opened, &mut self.ready, &self.control, chunks, marker_dir, marker, progress).await
    }
}
