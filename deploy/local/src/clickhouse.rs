//! A real ClickHouse server on loopback, loaded from a shared library by the launcher `tollbooth-clickhouse`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crate::error::{LocalError, Result};
use crate::fetch;
use crate::http;
use crate::ports::free_port;
use crate::process::{self, Process, Stop};

const ENGINE: &str = "ClickHouse";
const LAUNCHER: &str = "tollbooth-clickhouse";
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A hundred million rows take minutes to merge where others work beside it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(600);

/// Opens the listeners, then reads standard input until it closes: the server lives as long as our end of the pipe.
const SERVE: &str = "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; \
                     SELECT count() FROM file('stdin', 'LineAsString', 'line String') FORMAT Null";

/// How a ClickHouse server is started. `ClickHouseOptions::new(dir)` has defaults for a test.
#[derive(Debug, Clone)]
pub struct ClickHouseOptions {
    /// Where the tables, the settings and `clickhouse.log` lie; kept between runs.
    pub data_dir: PathBuf,
    /// The HTTP port on 127.0.0.1; a free one when `None`.
    pub http_port: Option<u16>,
    /// The native protocol's port on 127.0.0.1; a free one when `None`.
    pub tcp_port: Option<u16>,
    /// `max_server_memory_usage` in MiB: beyond it queries fail instead of the machine running out.
    pub memory_mb: u32,
    /// How long to wait until it is ready, loading of the tables included.
    pub ready_timeout: Duration,
}

impl ClickHouseOptions {
    /// Defaults: free ports, 3 GiB of memory at most, ready within two minutes.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            http_port: None,
            tcp_port: None,
            memory_mb: 3_072,
            ready_timeout: Duration::from_secs(120),
        }
    }
}

/// A ClickHouse server that was started here, or one that was given from outside.
///
/// All methods take `&self`: a test can share it between the thread that kills and those that work. Dropping it kills
/// the server with SIGKILL; the data stays.
#[derive(Debug)]
pub struct ClickHouse {
    url: String,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    options: ClickHouseOptions,
    launcher: PathBuf,
    library: PathBuf,
    http_port: u16,
    tcp_port: u16,
    process: Mutex<Option<Process>>,
}

impl ClickHouse {
    /// Fetches ClickHouse if need be, starts the server and waits until it answers.
    pub fn start(options: ClickHouseOptions) -> Result<Self> {
        let launcher = launcher()?;
        let library = fetch::clickhouse_library()?;
        fs::create_dir_all(&options.data_dir).map_err(|e| LocalError::io("create", &options.data_dir, e))?;
        let http_port = options.http_port.map_or_else(free_port, Ok)?;
        let tcp_port = options.tcp_port.map_or_else(free_port, Ok)?;
        let server = Server { options, launcher, library, http_port, tcp_port, process: Mutex::new(None) };
        server.start()?;
        Ok(Self { url: server.url(), server: Some(server) })
    }

    /// A server that runs already; it cannot be stopped or restarted from here.
    pub fn external(url: impl Into<String>) -> Self {
        Self { url: url.into(), server: None }
    }

    /// The HTTP address, `http://127.0.0.1:PORT`; the same over restarts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The native protocol's port; `None` when the server was given from outside.
    pub fn tcp_port(&self) -> Option<u16> {
        self.server.as_ref().map(|server| server.tcp_port)
    }

    /// The process id; `None` while it is down or when it was given from outside.
    pub fn pid(&self) -> Option<u32> {
        process::lock(&self.server.as_ref()?.process).as_ref().map(Process::pid)
    }

    /// Whether the server's process runs at this moment.
    pub fn is_running(&self) -> bool {
        self.server
            .as_ref()
            .is_some_and(|server| process::lock(&server.process).as_mut().is_some_and(Process::is_running))
    }

    /// SIGKILL, as a crash would; returns when the process is gone. Nothing happens when it is down.
    pub fn kill(&self) -> Result<()> {
        process::lock(&self.own()?.process).take().map_or(Ok(()), Process::kill)
    }

    /// Closes its standard input and waits for the orderly end; SIGKILL after 30 s. Nothing happens when it is down.
    pub fn stop(&self) -> Result<()> {
        process::lock(&self.own()?.process)
            .take()
            .map_or(Ok(()), |process| process.stop(Stop::CloseInput, STOP_TIMEOUT))
    }

    /// Starts the server again with the same ports and data, and waits until it answers; kills it first if it runs.
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        self.own()?.start()
    }

    /// Runs one statement over HTTP and returns the answer's text (TabSeparated unless the statement says otherwise).
    ///
    /// For set-up and checks. Only literals belong into `sql`; services bind their parameters.
    pub fn query(&self, sql: &str) -> Result<String> {
        let refused = |problem: String| LocalError::ClickHouse { url: self.url.clone(), problem };
        // One that was given from outside may ask who we are; the names are those that the services read.
        let set = |variable| env::var(variable).ok().filter(|value| self.server.is_none() && !value.is_empty());
        let (user, password) = (set("CLICKHOUSE_USER"), set("CLICKHOUSE_PASSWORD"));
        let named = [("X-ClickHouse-User", &user), ("X-ClickHouse-Key", &password)];
        let headers: Vec<(&str, &str)> =
            named.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        let answer =
            http::request("POST", &format!("{}/", self.url.trim_end_matches('/')), &headers, sql, STATEMENT_TIMEOUT)
                .map_err(|e| refused(e.to_string()))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refused(answer.body.trim().to_owned())) }
    }

    /// Creates a database unless it exists. The `default` one of this build is an overlay without tables of its own.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.query(&format!("CREATE DATABASE IF NOT EXISTS {} ENGINE = Atomic", identifier(name))).map(drop)
    }

    /// Drops a database and waits until its data is gone.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.query(&format!("DROP DATABASE IF EXISTS {} SYNC", identifier(name))).map(drop)
    }

    fn own(&self) -> Result<&Server> {
        self.server.as_ref().ok_or(LocalError::External { engine: ENGINE })
    }
}

impl Server {
    fn start(&self) -> Result<()> {
        let dir = &self.options.data_dir;
        let config = dir.join("config.xml");
        fs::write(&config, config_xml(self.options.memory_mb)).map_err(|e| LocalError::io("write", &config, e))?;
        let mut launcher = Command::new(&self.launcher);
        launcher
            .arg(&self.library)
            .args(["clickhouse", "--multiquery", "--listen_host=127.0.0.1"])
            // Without these two nothing is logged; at `warning` every pause of a background task is a line.
            .args(["--logger.console=1", "--log-level=error"])
            .arg(format!("--config-file={}", config.display()))
            .arg(format!("--path={}", dir.join("data").display()))
            .arg(format!("--http_port={}", self.http_port))
            .arg(format!("--tcp_port={}", self.tcp_port))
            .arg(format!("--query={SERVE}"));
        let mut process = Process::spawn(ENGINE, launcher, &dir.join("clickhouse.log"))?;
        let ping = format!("{}/ping", self.url());
        process.wait_ready(self.options.ready_timeout, |_| {
            http::request("GET", &ping, &[], "", PING_TIMEOUT).is_ok_and(|answer| answer.status == 200)
        })?;
        *process::lock(&self.process) = Some(process);
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }
}

/// The server's settings: the caches' defaults (5 GiB each) are those of a machine of its own, the background pools'
/// follow the number of cores and are widened so that merges do not pause behind other housekeeping.
fn config_xml(memory_mb: u32) -> String {
    let memory_bytes = u64::from(memory_mb) * 1024 * 1024;
    let cache_bytes = memory_bytes / 24;
    format!(
        "<clickhouse>
    <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>
    <mark_cache_size>{cache_bytes}</mark_cache_size>
    <index_mark_cache_size>{cache_bytes}</index_mark_cache_size>
    <primary_index_cache_size>{cache_bytes}</primary_index_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_schedule_pool_size>4</background_schedule_pool_size>
</clickhouse>
"
    )
}

/// Quotes an identifier.
fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// `TOLLBOOTH_CLICKHOUSE_BIN`, else the launcher beside this executable or, for a test in `target/*/deps`, one above.
fn launcher() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TOLLBOOTH_CLICKHOUSE_BIN") {
        return Ok(path.into());
    }
    let executable =
        env::current_exe().map_err(|source| LocalError::Io { what: "find this executable".to_owned(), source })?;
    executable
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(LAUNCHER))
        .find(|path| path.is_file())
        .ok_or_else(|| LocalError::LauncherMissing { beside: executable.parent().unwrap_or(Path::new(".")).to_owned() })
}
