//! A real Apache Kafka (KRaft) on loopback: one node, or a cluster of them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crate::error::{LocalError, Result};
use crate::fetch;
use crate::ports::free_port;
use crate::process::{self, Process, Stop};
use crate::sys;

const ENGINE: &str = "Kafka";
const READY_LINE: &str = "Kafka Server started";
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const INTERNAL_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// How a Kafka node is started. `KafkaOptions::new(dir)` has defaults for a test.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Where the log segments, the settings and `kafka.log` lie; kept between runs.
    pub data_dir: PathBuf,
    /// The client port on 127.0.0.1; a free one when `None`.
    pub port: Option<u16>,
    /// The Java heap's upper bound in MiB. The page cache does most of the work.
    pub heap_mb: u32,
    /// `log.retention.bytes` of every partition whose topic does not say otherwise; unlimited when `None`.
    pub retention_bytes: Option<u64>,
    /// `broker.session.timeout.ms`. After a SIGKILL the new process can only register once the old one's session has
    /// ended, so this is the greater part of a restart; too short, and a busy machine fences a live broker.
    pub session_timeout_ms: u32,
    /// Further lines of `server.properties`; they win over the ones from here.
    pub properties: Vec<(String, String)>,
    /// How long to wait until it is ready, recovery of the log after a SIGKILL included.
    pub ready_timeout: Duration,
}

impl KafkaOptions {
    /// Defaults: a free port, 768 MiB of heap, no retention limit, ready within two minutes.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            heap_mb: 768,
            retention_bytes: None,
            session_timeout_ms: 3_000,
            properties: Vec::new(),
            ready_timeout: Duration::from_secs(120),
        }
    }
}

/// A Kafka node that was started here, or one that was given from outside.
///
/// All methods take `&self`: a test can share it between the thread that kills and those that work. Dropping it kills
/// the node with SIGKILL; the data stays.
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    node: Option<Node>,
}

#[derive(Debug)]
struct Node {
    options: KafkaOptions,
    jars: PathBuf,
    port: u16,
    controller_port: u16,
    /// Its place among the cluster's nodes, from 1.
    id: usize,
    /// Every node's controller, as each of them must know it.
    voters: String,
    /// How many nodes there are.
    nodes: usize,
    cluster_id: String,
    process: Mutex<Option<Process>>,
}

impl Kafka {
    /// Fetches Kafka if need be, formats the data folder on first use, starts the node and waits until it is ready.
    #[allow(clippy::needless_pass_by_value)] // As a cluster takes them.
    pub fn start(options: KafkaOptions) -> Result<Self> {
        let dir = options.data_dir.clone();
        let node = Self::nodes(&options, 1, |_| dir.clone())?.pop();
        node.ok_or(LocalError::External { engine: ENGINE })
    }

    /// A cluster of so many nodes, each a broker and a controller, with its data in a folder of its own below the given
    /// one. Internal topics have three copies where there are three nodes, of which two acknowledge.
    pub fn start_cluster(options: KafkaOptions, nodes: usize) -> Result<Vec<Self>> {
        if nodes == 1 {
            return Self::start(options).map(|node| vec![node]);
        }
        let dir = options.data_dir.clone();
        Self::nodes(&KafkaOptions { port: None, ..options }, nodes, |id| dir.join(format!("node-{id}")))
    }

    fn nodes(options: &KafkaOptions, count: usize, dir: impl Fn(usize) -> PathBuf) -> Result<Vec<Self>> {
        let jars = fetch::kafka_jars()?;
        let controllers = (0..count).map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
        let voters = (1..).zip(&controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}"));
        let voters = voters.collect::<Vec<String>>().join(",");
        let cluster_id = new_cluster_id();
        let mut nodes = Vec::new();
        for (id, controller_port) in (1..).zip(controllers) {
            let options = KafkaOptions { data_dir: dir(id), ..options.clone() };
            fs::create_dir_all(&options.data_dir).map_err(|e| LocalError::io("create", &options.data_dir, e))?;
            let port = options.port.map_or_else(free_port, Ok)?;
            let (jars, voters, cluster_id) = (jars.clone(), voters.clone(), cluster_id.clone());
            let process = Mutex::new(None);
            let node = Node { options, jars, port, controller_port, id, voters, nodes: count, cluster_id, process };
            node.write_properties()?;
            node.format()?;
            nodes.push(node);
        }
        // Side by side: none is ready before most of them are.
        std::thread::scope(|scope| {
            let starting: Vec<_> = nodes.iter().map(|node| scope.spawn(|| node.start())).collect();
            starting.into_iter().try_for_each(|started| match started.join() {
                Ok(started) => started,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        let node = |node: Node| Self { bootstrap: format!("127.0.0.1:{}", node.port), node: Some(node) };
        Ok(nodes.into_iter().map(node).collect())
    }

    /// A cluster that runs already; it cannot be stopped or restarted from here.
    pub fn external(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), node: None }
    }

    /// The value for `bootstrap.servers`; the same over restarts.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The process id; `None` while it is down or when it was given from outside.
    pub fn pid(&self) -> Option<u32> {
        process::lock(&self.node.as_ref()?.process).as_ref().map(Process::pid)
    }

    /// Whether the node's process runs at this moment.
    pub fn is_running(&self) -> bool {
        self.node.as_ref().is_some_and(|node| process::lock(&node.process).as_mut().is_some_and(Process::is_running))
    }

    /// SIGKILL, as a crash would; returns when the process is gone. Nothing happens when it is down.
    pub fn kill(&self) -> Result<()> {
        process::lock(&self.own()?.process).take().map_or(Ok(()), Process::kill)
    }

    /// SIGTERM and wait for the orderly end; SIGKILL after 30 s. Nothing happens when it is down.
    pub fn stop(&self) -> Result<()> {
        process::lock(&self.own()?.process).take().map_or(Ok(()), |process| process.stop(Stop::Terminate, STOP_TIMEOUT))
    }

    /// Starts the node again with the same ports and data, and waits until it is ready; kills it first if it runs.
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        self.own()?.start()
    }

    /// Open transactions as the coordinator and the partitions tell them, by Kafka's own tool; for a person who looks into
    /// one that does not end. Empty for a node from outside.
    pub fn transactions(&self) -> Result<String> {
        let Some(node) = &self.node else { return Ok(String::new()) };
        let listed = node.transactions_tool(&["list"])?;
        let mut report = listed.clone();
        for line in listed.lines() {
            let mut columns = line.split_whitespace();
            let (id, state) = (columns.next(), columns.next_back());
            if let (Some(id), Some("Ongoing" | "PrepareCommit" | "PrepareAbort" | "PrepareEpochFence")) = (id, state) {
                report.push_str(&node.transactions_tool(&["describe", "--transactional-id", id])?);
            }
        }
        // In minutes: all that are open for longer than their own time-out can explain.
        report.push_str(&node.transactions_tool(&[
            "find-hanging",
            "--broker-id",
            "1",
            "--max-transaction-timeout",
            "0",
        ])?);
        Ok(report)
    }

    /// Which node of the cluster is the active controller, counted from 1, as Kafka's own tool tells it by this node; `None`
    /// while there is none.
    pub fn controller(&self) -> Result<Option<usize>> {
        let Some(node) = &self.node else { return Ok(None) };
        let told = node.tool("MetadataQuorumCommand", &["describe", "--status"])?;
        let leader = told.lines().find_map(|line| line.strip_prefix("LeaderId:"));
        Ok(leader.and_then(|id| id.trim().parse().ok()))
    }

    fn own(&self) -> Result<&Node> {
        self.node.as_ref().ok_or(LocalError::External { engine: ENGINE })
    }
}

impl Node {
    fn start(&self) -> Result<()> {
        let dir = &self.options.data_dir;
        let mut java = self.java();
        java.args([
            format!("-Xmx{}m", self.options.heap_mb),
            // The other collectors' helper threads compete with the services for the same few cores.
            "-XX:+UseSerialGC".to_owned(),
            "-XX:-UsePerfData".to_owned(),
            "-XX:+ExitOnOutOfMemoryError".to_owned(),
            "-Djava.awt.headless=true".to_owned(),
            "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ".to_owned(),
            // At `info` every transaction and every client leaves a line for ever.
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info".to_owned(),
            "-Dorg.slf4j.simpleLogger.log.kafka.server.BrokerServer=info".to_owned(),
            "kafka.Kafka".to_owned(),
        ]);
        java.arg(self.properties_file());
        let mut process = Process::spawn(ENGINE, java, &dir.join("kafka.log"))?;
        let address = (Ipv4Addr::LOCALHOST, self.port);
        process.wait_ready(self.options.ready_timeout, |process| {
            process.log_since_start().contains(READY_LINE) && TcpStream::connect(address).is_ok()
        })?;
        *process::lock(&self.process) = Some(process);
        Ok(())
    }

    fn transactions_tool(&self, arguments: &[&str]) -> Result<String> {
        self.tool("TransactionsCommand", arguments)
    }

    /// One of Kafka's own tools, and all that it says.
    fn tool(&self, class: &str, arguments: &[&str]) -> Result<String> {
        let mut java = self.java();
        java.args([
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        ])
        .arg(format!("org.apache.kafka.tools.{class}"))
        .arg("--bootstrap-server")
        .arg(format!("127.0.0.1:{}", self.port))
        .args(arguments);
        sys::die_with_parent(&mut java);
        let output = java.output().map_err(process::start_error(ENGINE, "java"))?;
        Ok([output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    }

    /// Writes the cluster id and the initial metadata, unless that was done in an earlier run.
    fn format(&self) -> Result<()> {
        if self.log_dir().join("meta.properties").exists() {
            return Ok(());
        }
        let mut java = self.java();
        java.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool"])
            .args(["format", "--ignore-formatted", "--cluster-id", &self.cluster_id, "--config"])
            .arg(self.properties_file());
        sys::die_with_parent(&mut java);
        let output = java.output().map_err(process::start_error(ENGINE, "java"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(LocalError::Exited {
            engine: "Kafka's storage format",
            status: output.status.to_string(),
            log: self.log_dir(),
            tail: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn write_properties(&self) -> Result<()> {
        let path = self.properties_file();
        let mut lines = String::new();
        for (key, value) in self.base_properties().into_iter().chain(self.options.properties.iter().cloned()) {
            lines.push_str(&format!("{key}={value}\n"));
        }
        fs::write(&path, lines).map_err(|e| LocalError::io("write", &path, e))
    }

    fn base_properties(&self) -> Vec<(String, String)> {
        let (port, controller) = (self.port, self.controller_port);
        let session_ms = self.options.session_timeout_ms;
        let (copies, acknowledging) = if self.nodes >= 3 { ("3", "2") } else { ("1", "1") };
        let mut properties = vec![
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", self.id.to_string()),
            ("controller.quorum.voters", self.voters.clone()),
            ("listeners", format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}")),
            ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("log.dirs", self.log_dir().display().to_string()),
            ("broker.session.timeout.ms", session_ms.to_string()),
            ("broker.heartbeat.interval.ms", (session_ms / 6).to_string()),
            // Few partitions, each of which costs open files. On one node every internal topic has one copy.
            ("offsets.topic.replication.factor", copies.to_owned()),
            ("offsets.topic.num.partitions", "4".to_owned()),
            ("transaction.state.log.replication.factor", copies.to_owned()),
            ("transaction.state.log.min.isr", acknowledging.to_owned()),
            ("transaction.state.log.num.partitions", "8".to_owned()),
            // Compaction leaves the newest segment alone, so each of these partitions would come to its default of 100 MiB.
            ("offsets.topic.segment.bytes", INTERNAL_SEGMENT_BYTES.to_string()),
            ("transaction.state.log.segment.bytes", INTERNAL_SEGMENT_BYTES.to_string()),
            ("share.coordinator.state.topic.replication.factor", copies.to_owned()),
            ("share.coordinator.state.topic.min.isr", acknowledging.to_owned()),
            // A topic that was not created on purpose would have the wrong partition count.
            ("auto.create.topics.enable", "false".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            // 90 days, as long as operation ids live: the sink's offsets must outlast a long pause.
            ("offsets.retention.minutes", (90 * 24 * 60).to_string()),
            // Ten times the default of an hour: clocks of the clients may be off, and records that carry their own
            // time may be of any age.
            ("log.message.timestamp.after.max.ms", "36000000".to_owned()),
            ("log.message.timestamp.before.max.ms", i64::MAX.to_string()),
            ("num.network.threads", "2".to_owned()),
            ("num.io.threads", "4".to_owned()),
            ("background.threads", "2".to_owned()),
            ("num.recovery.threads.per.data.dir", "2".to_owned()),
            // The default takes 128 MiB of heap at start.
            ("log.cleaner.dedupe.buffer.size", (16 * 1024 * 1024).to_string()),
        ];
        if let Some(bytes) = self.options.retention_bytes {
            properties.push(("log.retention.bytes", bytes.to_string()));
            // Retention drops whole closed segments, so a segment must be smaller than the limit.
            properties.push(("log.segment.bytes", (bytes / 4).clamp(1 << 20, 1 << 30).to_string()));
        }
        properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn java(&self) -> Command {
        let mut java = Command::new(java_program());
        java.arg("-cp").arg(self.jars.join("*"));
        java
    }

    fn log_dir(&self) -> PathBuf {
        self.options.data_dir.join("log")
    }

    fn properties_file(&self) -> PathBuf {
        self.options.data_dir.join("server.properties")
    }
}

/// `$JAVA_HOME/bin/java` when that is there, else `java` from the PATH.
pub fn java_program() -> OsString {
    env::var_os("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin").join("java"))
        .filter(|java| java.exists())
        .map_or_else(|| "java".into(), PathBuf::into_os_string)
}

/// A random cluster id in Kafka's form: 16 bytes, URL-safe base64 without padding, not beginning with a dash (the
/// command line would take it for an option).
fn new_cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let word = || u128::from(RandomState::new().build_hasher().finish());
    let id = word() << 64 | word();
    (0..22)
        .map(|index| {
            // 21 digits of 6 bits and a last one whose low 4 bits are padding; the top bit stays clear.
            let digit = if index == 21 { (id << 4) & 0x3f } else { (id >> (122 - 6 * index)) & 0x3f };
            let digit = usize::try_from(digit).unwrap_or(0);
            char::from(ALPHABET[if index == 0 { digit & 0x1f } else { digit }])
        })
        .collect()
}
