//! The engines and the services under measurement.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rdkafka::{
    admin::{AdminClient, AdminOptions},
    config::FromClientConfigAndContext as _,
};
use tollbooth_chassis::{
    config::KafkaSection,
    kafka::{KafkaClients, LogContext, TopicSpec, ensure_topics},
};
use tollbooth_local::{Engines, free_port};
use tollbooth_schemas::{keys::ApiKey, keys::KeyKind, topics::TopicSet};

/// Partitions of the keyed topics, as on one machine.
pub(crate) const PARTITIONS: i32 = 8;
/// What query signs commands with that it passes on to ingest.
const FORWARD_SECRET: &str = "of a stack that is measured and thrown away";
const READY_WAIT: Duration = Duration::from_secs(60);
/// Of a query that reads the balances of ten million accounts before.
const LOADED_WAIT: Duration = Duration::from_secs(600);
/// Of a meter that folds a long ledger before.
const RESTORED_WAIT: Duration = Duration::from_secs(3_600);

/// Engines that live as long as the run.
pub(crate) struct Bench {
    engines: Engines,
    dir: PathBuf,
    /// Whether meters keep their state in a store.
    store: bool,
    pub(crate) admin_key: String,
}

impl Bench {
    pub(crate) fn start(dir: &Path, store: bool) -> anyhow::Result<Self> {
        let chance: [u8; 64] = std::array::from_fn(|index| u8::try_from(index * 3 % 200).unwrap_or_default());
        let key = ApiKey::generate(KeyKind::Admin, false, &chance).context("admin key")?;
        let engines = Engines::start(dir)?;
        Ok(Self { engines, dir: dir.to_owned(), store, admin_key: key.reveal().to_owned() })
    }

    pub(crate) fn stop(self) {
        drop(self.engines);
    }

    /// A set of topics and a database of its own on the running engines.
    pub(crate) fn space(&self, name: &str) -> anyhow::Result<Space<'_>> {
        self.space_of(name, PARTITIONS)
    }

    /// With so many partitions.
    pub(crate) fn space_of(&self, name: &str, partitions: i32) -> anyhow::Result<Space<'_>> {
        self.engines.clickhouse.create_database(name)?;
        let section = KafkaSection {
            bootstrap: self.engines.kafka.bootstrap().to_owned(),
            topic_prefix: format!("{name}."),
            ..KafkaSection::default()
        };
        let topics = TopicSet { prefix: section.topic_prefix.clone(), partitions };
        let clients = KafkaClients::new(section);
        let space = Space { bench: self, name: name.to_owned(), clients, topics };
        space.create_topics(&TopicSpec::all(&space.topics, 1))?;
        Ok(space)
    }

    /// Resident memory of Kafka and of ClickHouse in MiB; 0 for one that was not started here.
    pub(crate) fn engines_rss_mib(&self) -> [f64; 2] {
        [self.engines.kafka.pid(), self.engines.clickhouse.pid()].map(|pid| pid.map_or(0.0, rss_mib))
    }

    pub(crate) fn clickhouse(&self, sql: &str) -> anyhow::Result<String> {
        Ok(self.engines.clickhouse.query(sql)?.trim().to_owned())
    }
}

/// One isolated instance: topics by prefix, tables by database.
pub(crate) struct Space<'b> {
    pub(crate) bench: &'b Bench,
    pub(crate) name: String,
    pub(crate) clients: KafkaClients,
    pub(crate) topics: TopicSet,
}

impl Space<'_> {
    pub(crate) fn create_topics(&self, specs: &[TopicSpec]) -> anyhow::Result<()> {
        let admin: AdminClient<LogContext> = AdminClient::from_config_and_context(&self.clients.base(), LogContext)?;
        apart(async { Ok(ensure_topics(&admin, specs).await?) })
    }

    /// Gives the disk back: topics and tables are deleted.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        let admin: AdminClient<LogContext> = AdminClient::from_config_and_context(&self.clients.base(), LogContext)?;
        let specs = TopicSpec::all(&self.topics, 1);
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        apart(async {
            for deleted in admin.delete_topics(&names, &AdminOptions::new()).await? {
                deleted.map_err(|(topic, code)| anyhow::anyhow!("{topic} cannot be deleted: {code}"))?;
            }
            anyhow::Ok(())
        })?;
        self.bench.clickhouse(&format!("DROP DATABASE {} SYNC", self.name))?;
        Ok(())
    }

    fn command(&self, service: &str, args: &[&str]) -> anyhow::Result<Command> {
        let own = std::env::current_exe()?;
        let folder = own.parent().context("the folder of this program")?;
        let program = folder.join(format!("tollbooth-{service}"));
        if !program.exists() {
            bail!("{} is missing: build it with `cargo build --release --workspace`", program.display());
        }
        let mut command = Command::new(program);
        command.args(args);
        command.env("KAFKA_BOOTSTRAP", &self.clients.section().bootstrap);
        command.env("CLICKHOUSE_URL", self.bench.engines.clickhouse.url());
        command.env("CLICKHOUSE_DATABASE", &self.name);
        command.env("TOLLBOOTH_ADMIN_KEY", &self.bench.admin_key);
        command.env("TOLLBOOTH_FORWARD_SECRET", FORWARD_SECRET);
        for service in ["METER", "INGEST"] {
            command.env(format!("TOLLBOOTH_{service}__TOPICS__PARTITIONS"), self.topics.partitions.to_string());
            command.env(format!("TOLLBOOTH_{service}__TOPICS__REPLICATION"), "1");
        }
        for service in ["METER", "INGEST", "QUERY"] {
            command.env(format!("TOLLBOOTH_{service}__KAFKA__TOPIC_PREFIX"), &self.topics.prefix);
        }
        Ok(command)
    }

    fn spawn(&self, name: &str, mut command: Command, ops: &str, wait: Duration) -> anyhow::Result<Service> {
        let log_path = self.bench.dir.join(format!("{}-{name}.log", self.name));
        let log = File::create(&log_path)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.process_group(0);
        // Also where this program is killed: what is left behind would run on and spoil whatever is measured next.
        tollbooth_local::die_with_parent(&mut command);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        let service = Service { child, ops: ops.to_owned(), sink_ops: None, log_path };
        service.wait_ready(wait)?;
        Ok(service)
    }

    /// Below the run's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.dir.join(name)
    }

    pub(crate) fn meter(&self) -> anyhow::Result<Service> {
        if !self.bench.store {
            return self.meter_with(&[]);
        }
        let store = self.path(&format!("{}-store", self.name)).display().to_string();
        self.meter_with(&[("TOLLBOOTH_METER__STORE__DIR", store)])
    }

    /// With further settings.
    pub(crate) fn meter_with(&self, variables: &[(&str, String)]) -> anyhow::Result<Service> {
        let (ops, sink_ops) = (address()?, address()?);
        let mut command = self.command("meter", &["run"])?;
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("TOLLBOOTH_METER__OPS_LISTEN", &ops).env("TOLLBOOTH_METER__SINK_OPS_LISTEN", &sink_ops);
        command.env("TOLLBOOTH_METER__MEMBER_ID", format!("{}-meter", self.name));
        command.env("TOLLBOOTH_METER__GROUP", format!("{}-meter", self.name));
        let mut meter = self.spawn("meter", command, &ops, RESTORED_WAIT)?;
        meter.sink_ops = Some(sink_ops);
        Ok(meter)
    }

    /// Runs a command of the meter's program to its end, and gives back what it printed.
    pub(crate) fn meter_tool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command("meter", arguments)?;
        let output = command.stderr(Stdio::inherit()).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("{arguments:?} ended with {}: {told}", output.status);
        }
        Ok(told)
    }

    /// Runs the reconciliation.
    ///
    /// # Errors
    /// When something is off; the output was printed. Then there is no figure.
    pub(crate) fn verified(&self) -> anyhow::Result<()> {
        let mut command = self.command("meter", &["verify", "--wait", "180"])?;
        command.env("TOLLBOOTH_METER__GROUP", format!("{}-meter", self.name));
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            println!("{}", String::from_utf8_lossy(&output.stdout));
            bail!("{}: the run does not verify, so there is no figure", self.name);
        }
        Ok(())
    }

    /// Brings about at once what the server does by itself after six quiet hours: a month that is over is one part.
    pub(crate) fn merge_closed_months(&self) -> anyhow::Result<()> {
        let database = &self.name;
        let months = self.bench.clickhouse(&format!(
            "SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = '{database}' AND table = 'ledger' \
             AND partition_id < toString(toYYYYMM(now('UTC')))"
        ))?;
        for month in months.lines() {
            self.bench.clickhouse(&format!("OPTIMIZE TABLE {database}.ledger PARTITION ID '{month}' FINAL"))?;
        }
        Ok(())
    }

    /// The same for rollups, which have no months: what was filled in minutes is merged in the next hours.
    pub(crate) fn merge_rollups(&self) -> anyhow::Result<()> {
        for rollup in ["usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth"] {
            let table = format!("{}.{rollup}", self.name);
            self.bench
                .clickhouse(&format!("OPTIMIZE TABLE {table} FINAL SETTINGS optimize_skip_merged_partitions = 1"))?;
        }
        Ok(())
    }

    /// Charges that are rows in ClickHouse by now; none while the sink is still making its tables.
    pub(crate) fn charges_landed(&self) -> anyhow::Result<u64> {
        if self.bench.clickhouse(&format!("EXISTS TABLE {}.ledger", self.name))? != "1" {
            return Ok(0);
        }
        let sql = format!("SELECT count() FROM {}.ledger WHERE type = 'consume'", self.name);
        Ok(self.bench.clickhouse(&sql)?.parse()?)
    }

    pub(crate) fn ingest(&self) -> anyhow::Result<(Service, String)> {
        let (ops, listen) = (address()?, address()?);
        let mut command = self.command("ingest", &["serve"])?;
        command.env("TOLLBOOTH_INGEST__OPS_LISTEN", &ops).env("TOLLBOOTH_INGEST__LISTEN", &listen);
        Ok((self.spawn("ingest", command, &ops, READY_WAIT)?, listen))
    }

    pub(crate) fn query(&self) -> anyhow::Result<(Service, String)> {
        self.query_with(&[])
    }

    /// With further settings.
    pub(crate) fn query_with(&self, variables: &[(&str, &str)]) -> anyhow::Result<(Service, String)> {
        let (ops, listen) = (address()?, address()?);
        let mut command = self.command("query", &["serve"])?;
        // All that is asked here is asked with one key.
        command.env("TOLLBOOTH_QUERY__RATE__REQUESTS_PER_SECOND", "0");
        // What is asked for the first time is measured as that.
        command.env("TOLLBOOTH_QUERY__ANSWERS__AHEAD_ACCOUNTS_MAX", "0");
        command.envs(variables.iter().copied());
        command.env("TOLLBOOTH_QUERY__OPS_LISTEN", &ops).env("TOLLBOOTH_QUERY__LISTEN", &listen);
        Ok((self.spawn("query", command, &ops, LOADED_WAIT)?, listen))
    }
}

fn address() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}

/// A service process; killed when dropped.
pub(crate) struct Service {
    child: Child,
    ops: String,
    /// Of the sink beside a meter.
    sink_ops: Option<String>,
    log_path: PathBuf,
}

impl Service {
    fn wait_ready(&self, wait: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + wait;
        while Instant::now() < deadline {
            if let Ok(answer) = get(&self.ops, "/readyz")
                && answer.starts_with("HTTP/1.1 200")
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(&self.log_path).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(15).collect();
        bail!("not ready within {wait:?}:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }

    /// The sum of a metric over the label sets that contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        samples(&get(&self.ops, "/metrics").unwrap_or_default(), name, label).into_iter().sum()
    }

    /// The samples of a metric over the label sets that contain `label`; none while it is not shown.
    pub(crate) fn metrics(&self, name: &str, label: &str) -> Vec<f64> {
        samples(&get(&self.ops, "/metrics").unwrap_or_default(), name, label)
    }

    /// The same of the sink beside a meter.
    pub(crate) fn sink_metrics(&self, name: &str, label: &str) -> Vec<f64> {
        let text = self.sink_ops.as_ref().and_then(|ops| get(ops, "/metrics").ok()).unwrap_or_default();
        samples(&text, name, label)
    }

    /// What a scrape gets, headers included.
    pub(crate) fn exposition(&self) -> std::io::Result<String> {
        get(&self.ops, "/metrics")
    }

    /// Resident memory in MiB.
    pub(crate) fn rss_mib(&self) -> f64 {
        rss_mib(self.child.id())
    }

    /// CPU seconds used so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) / 100.0
    }

    /// SIGTERM, and the wait for the end.
    pub(crate) fn stop(mut self) {
        signal(&self.child, "TERM");
        drop(self.child.wait());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn samples(text: &str, name: &str, label: &str) -> Vec<f64> {
    let matching = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    matching.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).collect()
}

fn rss_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// On a thread and a runtime of its own: the caller may be inside a runtime.
fn apart(work: impl Future<Output = anyhow::Result<()>> + Send) -> anyhow::Result<()> {
    let done = std::thread::scope(|scope| {
        let run = || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(work)
        };
        scope.spawn(run).join()
    });
    done.map_err(|_| anyhow::anyhow!("work on the topics panicked"))?
}

/// Sends a signal through the system's own `kill`, so that this program has no unsafe code. Only to a child that was not
/// waited for: its id cannot have been given to another process.
pub(crate) fn signal(child: &Child, name: &str) {
    drop(Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status());
}

/// One GET with its whole answer.
pub(crate) fn get(address: &str, path: &str) -> std::io::Result<String> {
    get_with(address, path, "")
}

/// One GET with a bearer key.
pub(crate) fn get_with(address: &str, path: &str, key: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    let authorization = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Connection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
