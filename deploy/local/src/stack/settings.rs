//! What can be set, and the layout of the folder.

use std::collections::BTreeMap;
use std::env;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::ports::claim_port;

/// Partitions of the keyed topics on one machine.
pub(crate) const PARTITIONS: &str = "8";
/// Kafka keeps at most this much of a partition that is not kept for ever. The meter reads within moments of a write.
pub(crate) const RETENTION_BYTES: u64 = 64 * 1024 * 1024;
/// Events may be this old, so that a year of history can be played; operation ids are kept as long.
const AGE_DAYS_MAX: &str = "400";

/// Settings of `tollbooth-local up`; flags and their `TOLLBOOTH_LOCAL_...` variables.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Folder of data, logs and keys.
    #[arg(long, env = "TOLLBOOTH_LOCAL_DIR", default_value = ".local")]
    pub dir: PathBuf,
    /// Events a second that the simulated fleet reports; 0 runs none.
    #[arg(long, env = "TOLLBOOTH_LOCAL_RATE", default_value_t = 20)]
    pub rate: u32,
    /// Events of the history that is played once; 0 plays none.
    #[arg(long, env = "TOLLBOOTH_LOCAL_HISTORY_EVENTS", default_value_t = 200_000)]
    pub history_events: u64,
    /// Demo accounts.
    #[arg(long, env = "TOLLBOOTH_LOCAL_ACCOUNTS", default_value_t = 20)]
    pub accounts: u32,
    /// Seed of the fleet: the same seed makes the same accounts, booths and history.
    #[arg(long, env = "TOLLBOOTH_LOCAL_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Data in the folder, in MiB, from which on the fleet is stopped.
    #[arg(long, env = "TOLLBOOTH_LOCAL_DATA_MIB_MAX", default_value_t = 8_192)]
    pub data_mib_max: u64,
    /// Also start the system's Prometheus, with the alert rules loaded.
    #[arg(long)]
    pub observe: bool,
    /// Where it listens.
    #[arg(long, env = "TOLLBOOTH_LOCAL_PROMETHEUS_LISTEN", default_value = "127.0.0.1:9090")]
    pub prometheus_listen: String,
    /// Folder of the rules it loads instead of those built in, such as faster ones.
    #[arg(long, env = "TOLLBOOTH_LOCAL_PROMETHEUS_RULES")]
    pub prometheus_rules: Option<PathBuf>,
}

/// Addresses that the services listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Who, for messages.
    pub(crate) name: &'static str,
    /// What sets it; the service reads the same variable.
    pub(crate) variable: &'static str,
    /// `host:port`.
    pub(crate) address: String,
}

/// Name, variable and default of every listener.
const LISTENERS: &[(&str, &str, &str)] = &[
    ("ingest", "TOLLBOOTH_INGEST__LISTEN", "127.0.0.1:8080"),
    ("query", "TOLLBOOTH_QUERY__LISTEN", "127.0.0.1:8081"),
    ("ingest operations", "TOLLBOOTH_INGEST__OPS_LISTEN", "127.0.0.1:9110"),
    ("meter operations", "TOLLBOOTH_METER__OPS_LISTEN", "127.0.0.1:9111"),
    ("query operations", "TOLLBOOTH_QUERY__OPS_LISTEN", "127.0.0.1:9112"),
    ("sink operations", "TOLLBOOTH_METER__SINK_OPS_LISTEN", "127.0.0.1:9113"),
    ("effects operations", "TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN", "127.0.0.1:9114"),
];

/// What the services are told beside the engines' addresses, unless the environment says otherwise.
const SERVICE_DEFAULTS: &[(&str, &str)] = &[
    ("TOLLBOOTH_INGEST__TOPICS__PARTITIONS", PARTITIONS),
    ("TOLLBOOTH_INGEST__TOPICS__REPLICATION", "1"),
    ("TOLLBOOTH_INGEST__EVENTS__AGE_DAYS_MAX", AGE_DAYS_MAX),
    ("TOLLBOOTH_INGEST__EVENTS__OPERATION_RETENTION_DAYS", AGE_DAYS_MAX),
    // One meter reads a new book within a second: nobody who tries prices should wait ten minutes.
    ("TOLLBOOTH_INGEST__PRICE_BOOK_LEAD_MS", "10000"),
    // Nobody is to pay for a trial.
    ("TOLLBOOTH_INGEST__PURCHASES__PROVIDER", "sandbox"),
    // An endpoint of one's own on this machine can be tried.
    ("TOLLBOOTH_INGEST__WEBHOOKS__ALLOW_HTTP", "true"),
    ("TOLLBOOTH_INGEST__WEBHOOKS__ALLOW_PRIVATE_ADDRESSES", "true"),
    // Plain http on one machine.
    ("TOLLBOOTH_QUERY__SESSION__SECURE", "false"),
    ("TOLLBOOTH_METER__TOPICS__PARTITIONS", PARTITIONS),
    ("TOLLBOOTH_METER__TOPICS__REPLICATION", "1"),
    ("TOLLBOOTH_METER__AGE_LIMIT_DAYS", AGE_DAYS_MAX),
    ("TOLLBOOTH_METER__OPERATION_RETENTION_DAYS", AGE_DAYS_MAX),
];

/// A port that something else listens on.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} ({name}) is taken by another program, or cannot be listened on: {reason}. \
     Stop it, or choose another port: {variable}=127.0.0.1:PORT make up"
)]
pub struct PortTaken {
    name: &'static str,
    address: String,
    variable: &'static str,
    reason: std::io::Error,
}

impl Settings {
    /// Below [`Settings::dir`].
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The folder of the services' logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// Every log that grows while the stack runs.
    pub(crate) fn growing_logs(&self) -> Vec<PathBuf> {
        let mut logs = vec![self.path("kafka/kafka.log"), self.path("clickhouse/clickhouse.log")];
        logs.extend(
            ["ingest", "effects", "meter", "query", "fleet", "prometheus", "up"]
                .map(|name| log_file(&self.logs(), name)),
        );
        logs
    }

    /// The services' listeners as the environment sets them.
    pub(crate) fn listeners(&self) -> Listeners {
        Listeners::from(|variable| env::var(variable).ok())
    }

    /// How the fleet comes to credit: as customers do, unless the environment has real cards charged.
    pub(crate) fn credit_by(&self) -> &'static str {
        let provider = env::var("TOLLBOOTH_INGEST__PURCHASES__PROVIDER").unwrap_or_else(|_| "sandbox".to_owned());
        if provider == "sandbox" { "purchase" } else { "adjustment" }
    }

    /// Variables for the services; none that the environment has already.
    pub(crate) fn service_variables(&self) -> BTreeMap<String, String> {
        let fixed = SERVICE_DEFAULTS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        // A restart does not fold the whole ledger, and memory does not grow with every operation.
        let store = ("TOLLBOOTH_METER__STORE__DIR".to_owned(), self.path("meter").display().to_string());
        fixed.chain([store]).filter(|(name, _)| env::var_os(name).is_none()).collect()
    }
}

/// The log of a service.
pub(crate) fn log_file(logs: &Path, name: &str) -> PathBuf {
    logs.join(format!("{name}.log"))
}

/// All listeners.
#[derive(Debug, Clone)]
pub(crate) struct Listeners(Vec<Listener>);

impl Listeners {
    pub(crate) fn from(variable: impl Fn(&str) -> Option<String>) -> Self {
        let listener = |&(name, key, default): &(&'static str, &'static str, &str)| {
            let address = variable(key).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned());
            Listener { name, variable: key, address }
        };
        Self(LISTENERS.iter().map(listener).collect())
    }

    /// Checks that each can be listened on right now, and keeps the engines from the ports meanwhile.
    pub(crate) fn check(&self) -> Result<(), PortTaken> {
        for listener in &self.0 {
            if let Some(port) = listener.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()) {
                // Whoever started this may have claimed it already: then the engines do not get it either.
                claim_port(port);
            }
            let bound = listener.address.to_socket_addrs().and_then(|all| TcpListener::bind(all.as_slice()));
            if let Err(reason) = bound {
                let (name, variable) = (listener.name, listener.variable);
                return Err(PortTaken { name, address: listener.address.clone(), variable, reason });
            }
        }
        Ok(())
    }

    /// Where clients on this machine reach a listener: `http://127.0.0.1:8080`.
    pub(crate) fn url(&self, name: &str) -> String {
        let address = self.0.iter().find(|listener| listener.name == name).map_or("", |found| found.address.as_str());
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "80"));
        let host = if matches!(host, "0.0.0.0" | "[::]" | "") { "127.0.0.1" } else { host };
        format!("http://{host}:{port}")
    }
}

/// `NAME='value'` lines that a POSIX shell reads back unchanged.
pub fn shell_assignments<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    pairs.into_iter().map(|(name, value)| format!("{name}={}\n", shell_quoted(value))).collect()
}

/// Plain where nothing in it is special, else in single quotes.
fn shell_quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:,@%+".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};
    use tollbooth_chassis::config::reference;

    use super::*;

    #[test]
    fn the_reference_is_what_the_code_says() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let rows = reference::flags(&Settings::augment_args(Command::new("tollbooth-local up")));
        reference::keep(&document, "local", &rows).unwrap();
    }

    #[test]
    fn a_taken_port_is_reported_with_what_to_set() {
        // given a program on ingest's port
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let set = |variable: &str| {
            Some(if variable == "TOLLBOOTH_INGEST__LISTEN" { address.clone() } else { "127.0.0.1:0".to_owned() })
        };

        // when
        let error = Listeners::from(set).check().unwrap_err().to_string();

        // then
        assert!(error.contains(&address), "{error}");
        assert!(error.contains("TOLLBOOTH_INGEST__LISTEN=127.0.0.1:PORT"), "{error}");
    }

    #[test]
    fn clients_reach_a_listener_on_all_interfaces_over_loopback() {
        let listeners =
            Listeners::from(|variable| (variable == "TOLLBOOTH_QUERY__LISTEN").then(|| "0.0.0.0:81".into()));
        assert_eq!(listeners.url("query"), "http://127.0.0.1:81");
        assert_eq!(listeners.url("ingest"), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_shell_reads_every_value_back_unchanged() {
        // given values that a shell would take apart
        let values =
            ["http://127.0.0.1:8080", "", "two words", "$HOME `id` \\ \"x\"", "it's", "a\nb", "#not;a&comment"];
        let pairs: Vec<(String, &str)> =
            values.iter().enumerate().map(|(index, value)| (format!("V{index}"), *value)).collect();
        let text = shell_assignments(pairs.iter().map(|(name, value)| (name.as_str(), *value)));

        // when a shell reads them
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let mut script = format!(". {}\n", file.path().display());
        for (name, _) in &pairs {
            script.push_str(&format!("printf '%s\\0' \"${name}\"\n"));
        }
        let output = std::process::Command::new("sh").args(["-eu", "-c", &script]).output().unwrap();

        // then
        let read: Vec<String> =
            String::from_utf8(output.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect();
        assert_eq!(read, values, "{text}");
    }
}
