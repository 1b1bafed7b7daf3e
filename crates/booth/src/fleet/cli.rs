//! The command line: flags, their environment variables, and what each command prints.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use serde_json::json;
use tollbooth_schemas::{Money, price_book::PriceBook};

use super::{
    Control, CreditBy, Fault, Fleet, GeneratorConfig, LinksConfig, Pace, Population, Profile, TopUpConfig,
    population::HOT_ACCOUNT_BOOTHS,
};
use crate::{BoothConfig, journal, transport::http_address};

/// Simulates a fleet of photo booths.
#[derive(Debug, Parser)]
#[command(name = "tollbooth-fleet", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publishes the price book, opens accounts with credit, makes keys for the first account; prints them as JSON.
    Setup(SetUpArgs),
    /// Plays a profile; prints a summary as JSON at its end.
    Run(Box<RunArgs>),
    /// Plays a year of history, once.
    History(HistoryArgs),
    /// Counts what stands in a journal, as JSON.
    Journal {
        /// Its directory.
        dir: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
struct ServerArgs {
    /// Where ingest listens.
    #[arg(long, env = "TOLLBOOTH_INGEST_URL", default_value = "http://127.0.0.1:8080", value_parser = http_address)]
    ingest_url: String,
    /// Where query listens.
    #[arg(long, env = "TOLLBOOTH_QUERY_URL", default_value = "http://127.0.0.1:8081", value_parser = http_address)]
    query_url: String,
    /// Carries booths of all accounts, so a booth key is not enough.
    #[arg(long, env = "TOLLBOOTH_ADMIN_KEY", hide_env_values = true)]
    admin_key: String,
    /// Outboxes, journal and markers stand below it.
    #[arg(long, env = "TOLLBOOTH_FLEET_DIR", default_value = ".local/fleet")]
    dir: PathBuf,
    /// Where the journal stands; absent: `journal` in the directory.
    #[arg(long)]
    journal_dir: Option<PathBuf>,
    /// The oldest files of the journal are removed beyond this, also those of earlier runs; absent: it grows.
    #[arg(long)]
    journal_bytes_max: Option<u64>,
}

#[derive(Debug, Clone, Args)]
struct PopulationArgs {
    /// How many accounts.
    #[arg(long, default_value_t = 30)]
    accounts: usize,
    /// Ids are acc_<prefix>_001 and so on.
    #[arg(long, default_value = "demo")]
    account_prefix: String,
    /// Who has how many booths, in which zone, on which plan.
    #[arg(long, default_value_t = 1)]
    population_seed: u64,
}

#[derive(Debug, Clone, Args)]
struct CreditArgs {
    /// How credit comes to accounts: `purchase` charges the saved card, so it is for the sandbox. What a history spends
    /// before its newest month is adjusted in any case: nobody buys in the past.
    #[arg(long, value_enum, default_value = "adjustment")]
    credit_by: CreditBy,
}

#[derive(Debug, Clone, Args)]
struct ClientArgs {
    /// Outboxes that share the booths.
    #[arg(long, default_value_t = 4)]
    gateways: usize,
    /// Most events in a request.
    #[arg(long)]
    batch: Option<usize>,
    /// Compress requests.
    #[arg(long)]
    gzip: bool,
    /// Do not wait for the disk: an outbox survives the process but not the machine.
    #[arg(long)]
    no_sync: bool,
    /// Bytes that may wait in each outbox.
    #[arg(long, default_value_t = 256 * 1024 * 1024)]
    outbox_bytes_max: u64,
    /// Longest wait after a failed request, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    backoff_max_ms: u64,
}

#[derive(Debug, Args)]
struct SetUpArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    population: PopulationArgs,
    #[command(flatten)]
    credit_by: CreditArgs,
    /// The price book document.
    #[arg(long, default_value = "deploy/local/price-book.json")]
    price_book: PathBuf,
    /// First credit of each account in dollars; 0 for none.
    #[arg(long, default_value = "100")]
    credit: Money,
    /// The first account has 500 booths.
    #[arg(long)]
    hot_account: bool,
    /// Do not make a booth key and an account key.
    #[arg(long)]
    no_keys: bool,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    population: PopulationArgs,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    credit_by: CreditArgs,
    /// What kind of day it is.
    #[arg(long, value_enum, default_value = "saturday")]
    profile: Profile,
    /// Records per second; absent: the profile's for 10,000 booths.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds.
    #[arg(long)]
    duration: Option<f64>,
    /// Records.
    #[arg(long)]
    count: Option<u64>,
    /// Of the random stream.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begins every id: one run id, one set of operations. Absent: from the time of start.
    #[arg(long)]
    run_id: Option<String>,
    /// For records straight into Kafka.
    #[arg(long, env = "KAFKA_BOOTSTRAP")]
    kafka_bootstrap: Option<String>,
    /// Topic of such records.
    #[arg(long, env = "TOLLBOOTH_USAGE_TOPIC", default_value = "tollbooth.usage")]
    usage_topic: String,
    /// Share of booths that write straight into Kafka, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    kafka_share: f64,
    /// Share of records whose bytes are sent once more; absent: the profile's.
    #[arg(long)]
    duplicates: Option<f64>,
    /// Share of work that fails.
    #[arg(long, default_value_t = 0.015)]
    failures: f64,
    /// Share of failed work that is tried again.
    #[arg(long, default_value_t = 0.6)]
    retries: f64,
    /// Share of booths whose clock is years off; absent: the profile's.
    #[arg(long)]
    wrong_years: Option<f64>,
    /// Share of records that are faults, beside those of wrong clocks.
    #[arg(long, default_value_t = 0.0)]
    fault_rate: f64,
    /// Kinds of faults, in equal parts; absent: all that can be sent.
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Keep accounts above $20.
    #[arg(long)]
    top_up: bool,
    /// Give the parties names and dates, as operators do.
    #[arg(long)]
    name_parties: bool,
    /// Seconds to wait for answers at the end.
    #[arg(long, default_value_t = 60.0)]
    drain: f64,
    /// Print a line every two seconds.
    #[arg(long)]
    status: bool,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    population: PopulationArgs,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    credit_by: CreditArgs,
    /// The price book document.
    #[arg(long, default_value = "deploy/local/price-book.json")]
    price_book: PathBuf,
    /// Records.
    #[arg(long, default_value_t = 200_000)]
    count: u64,
    /// Of the random stream.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print progress.
    #[arg(long)]
    status: bool,
}

/// Carries a command out. Standard output gets one JSON document, standard error everything else.
///
/// # Errors
/// For a person to read.
pub async fn execute(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Setup(args) => set_up(args).await,
        Command::Run(args) => run(*args).await,
        Command::History(args) => history(args).await,
        Command::Journal { dir } => count_journal(&dir),
    }
}

impl ServerArgs {
    fn control(&self) -> Control {
        Control::new(reqwest::Client::new(), &self.ingest_url, &self.query_url, &self.admin_key)
    }

    fn fleet(&self, population: Population) -> anyhow::Result<Fleet> {
        let journal_dir = self.journal_dir.clone().unwrap_or_else(|| self.dir.join("journal"));
        Fleet::new(population, self.control(), &journal_dir, self.journal_bytes_max)
            .with_context(|| format!("journal {}", journal_dir.display()))
    }

    fn links(&self, client: &ClientArgs, outbox: &str, batch: usize, kafka: Option<(String, String)>) -> LinksConfig {
        let mut booth = BoothConfig::new(&self.ingest_url, &self.admin_key);
        booth.batch_events_max = client.batch.unwrap_or(batch);
        booth.gzip = client.gzip;
        booth.outbox.sync = !client.no_sync;
        booth.outbox.pending_bytes_max = client.outbox_bytes_max;
        booth.backoff.max = Duration::from_millis(client.backoff_max_ms);
        booth.client = Some(reqwest::Client::new());
        LinksConfig { outbox_dir: self.dir.join(outbox), gateways: client.gateways, booth, kafka }
    }
}

impl PopulationArgs {
    fn population(&self, hot: bool) -> anyhow::Result<Population> {
        let (seed, prefix, accounts) = (self.population_seed, self.account_prefix.as_str(), self.accounts);
        let made = if hot {
            Population::with_hot_account(seed, prefix, accounts)
        } else {
            Population::new(seed, prefix, accounts)
        };
        made.with_context(|| format!("account prefix {prefix:?}"))
    }
}

fn read_price_book(path: &PathBuf) -> anyhow::Result<PriceBook> {
    let bytes = std::fs::read(path).with_context(|| format!("price book {}", path.display()))?;
    let book: PriceBook = serde_json::from_slice(&bytes).with_context(|| format!("price book {}", path.display()))?;
    match book.check().first() {
        Some(error) => bail!("price book {}: {error}", path.display()),
        None => Ok(book),
    }
}

// Standard output is this tool's product.
#[allow(clippy::print_stdout)]
fn print(document: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(document)?);
    Ok(())
}

async fn set_up(args: SetUpArgs) -> anyhow::Result<()> {
    let book = read_price_book(&args.price_book)?;
    let fleet = args.server.fleet(args.population.population(args.hot_account)?)?;
    let credit = Some((args.credit, args.credit_by.credit_by)).filter(|(credit, _)| *credit > Money::ZERO);
    fleet.set_up(&book, credit, None).await?;
    let first = fleet.population().accounts().first().context("no accounts")?;
    let mut document = json!({
        "accounts": fleet.population().accounts().len(),
        "booths": fleet.population().booths(),
        "account_id": first.account_id,
    });
    if !args.no_keys {
        let control = args.server.control();
        let booth = control.create_key("booth", &first.account_id, None, "demo booths").await?;
        let account = control.create_key("account", &first.account_id, None, "demo dashboard").await?;
        document["booth_key"] = json!(booth.key);
        document["account_key"] = json!(account.key);
    }
    print(&document)
}

async fn run(args: RunArgs) -> anyhow::Result<()> {
    let started = chrono::Utc::now();
    let run_id = args.run_id.clone().unwrap_or_else(|| format!("r{:x}", started.timestamp_millis()));
    let fleet = args.server.fleet(args.population.population(args.profile == Profile::HotAccount)?)?;
    tracing::info!(accounts = args.population.accounts, hot_account_booths = HOT_ACCOUNT_BOOTHS, "fleet ready");
    let kafka = args.kafka_bootstrap.clone().filter(|_| args.kafka_share > 0.0);
    let links =
        args.server.links(&args.client, "outbox", 100, kafka.map(|bootstrap| (bootstrap, args.usage_topic.clone())));
    let mut generator = GeneratorConfig::new(args.seed, &run_id, args.profile);
    generator.kafka_share = args.kafka_share;
    generator.duplicate_share = args.duplicates;
    generator.failure_share = args.failures;
    generator.retry_share = args.retries;
    generator.wrong_year_share = args.wrong_years;
    generator.fault_share = args.fault_rate;
    generator.faults = args.faults;
    let pace = Pace {
        rate: args.rate.unwrap_or_else(|| args.profile.rate_default()),
        duration: args.duration.map(Duration::from_secs_f64),
        count: args.count,
        drain: Duration::from_secs_f64(args.drain),
        status: args.status,
    };
    let top_up = args.top_up.then(|| TopUpConfig { by: args.credit_by.credit_by, ..TopUpConfig::default() });
    // A name is for people; the booths report without one.
    if args.name_parties
        && let Err(error) = fleet.name_parties(&run_id).await
    {
        tracing::warn!(%error, "parties without a name");
    }
    let summary = fleet.run(&links, generator, pace, top_up, stop_signal()).await?;
    print(&summary)
}

/// Ready at the first Ctrl-C or SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

// Progress is for people, so it goes to standard error.
#[allow(clippy::print_stderr)]
async fn history(args: HistoryArgs) -> anyhow::Result<()> {
    let book = Arc::new(read_price_book(&args.price_book)?);
    let fleet = args.server.fleet(args.population.population(false)?)?;
    let links = args.server.links(&args.client, "history-outbox", 1_000, None);
    let how_much = (args.count, args.credit_by.credit_by);
    let started = std::time::Instant::now();
    let progress = |played: u64, total: u64| {
        if args.status {
            eprintln!("history: {played} of {total} records, {:.0} s", started.elapsed().as_secs_f64());
        }
    };
    let played = fleet.history(&links, args.seed, &book, &args.server.dir, how_much, progress).await?;
    print(&json!({ "played": played, "elapsed_s": started.elapsed().as_secs_f64() }))
}

fn count_journal(dir: &PathBuf) -> anyhow::Result<()> {
    let (mut planned, mut duplicates, mut acked, mut parked, mut top_ups, mut accounts) =
        (0_u64, 0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    let mut expected = std::collections::BTreeMap::<String, u64>::new();
    let mut reader = journal::Reader::open(dir)?;
    for line in &mut reader {
        match line? {
            journal::Line::Planned(record) => {
                planned += 1;
                let name = record
                    .reason
                    .map_or_else(|| format!("{:?}", record.expect).to_lowercase(), |reason| reason.code().to_owned());
                *expected.entry(name).or_default() += 1;
            }
            journal::Line::Duplicate { .. } => duplicates += 1,
            journal::Line::Acked { ids, .. } => acked += ids.len() as u64,
            journal::Line::Parked { .. } => parked += 1,
            journal::Line::TopUpDone { .. } => top_ups += 1,
            journal::Line::AccountOpened { .. } => accounts += 1,
            _ => {}
        }
    }
    print(&json!({
        "planned": planned, "expected": expected, "duplicates": duplicates, "acked": acked, "parked": parked,
        "top_ups": top_ups, "accounts": accounts, "torn_lines": reader.torn_lines,
    }))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use tollbooth_chassis::config::reference;

    use super::*;

    #[test]
    fn the_reference_is_what_the_code_says() {
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        reference::keep(&document, "fleet", &reference::flags(&Cli::command())).unwrap();
    }
}
