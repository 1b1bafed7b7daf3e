//! One serde struct a service, filled from defaults < TOML file < environment < flags.
//!
//! The rule, in one place:
//! - `--config FILE` names a TOML file; none is needed.
//! - `TOLLBOOTH_<SERVICE>__<KEY>` sets one key of that service, sections joined by `__`, letters lowered:
//!   `TOLLBOOTH_INGEST__HTTP__BODY_BYTES_MAX=65536` is `http.body_bytes_max`. A variable with the service's own prefix
//!   (note the double underscore) that names no key is an error; all other `TOLLBOOTH_` variables belong to someone else
//!   and are left alone.
//! - Shared names, weaker than the service's own: `KAFKA_BOOTSTRAP`, `CLICKHOUSE_URL`, `CLICKHOUSE_DATABASE`,
//!   `CLICKHOUSE_USER`, `CLICKHOUSE_PASSWORD`, `TOLLBOOTH_ADMIN_KEY`, `TOLLBOOTH_FORWARD_SECRET`; each is read only by a
//!   service that declares it in [`ServiceConfig::SHARED`].
//! - Any of these variables with `_FILE` behind its name holds the path of a file instead, whose content is the value: a
//!   secret that is mounted, never in the environment. One line end behind it is taken off. Both at once is an error. So no
//!   key's name ends in `_file`.
//! - `--set key=value`, repeatable, is the strongest.
//!
//! Text from the environment and from flags becomes what the field asks for: numbers and booleans are parsed, lists are
//! separated by commas. Every error names the key and where its value came from.

#[cfg(test)]
mod files_tests;
pub mod reference;
mod sections;
mod value;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use sections::{ClickHouseSection, KafkaSection, Secret, TopicsSection, TracesSection};
use value::{Node, Origin};

/// Behind the name of a variable: the value stands in the file that it names.
const FILE_SUFFIX: &str = "_FILE";
/// Longest value that is read from a file.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// A service's configuration struct.
///
/// Give the struct `#[derive(Serialize, Deserialize)]` and `#[serde(default, deny_unknown_fields)]`; required keys are
/// fields without a default.
pub trait ServiceConfig: DeserializeOwned + Serialize {
    /// Name of the service as it appears in variables: `"ingest"` reads `TOLLBOOTH_INGEST__...`.
    const SERVICE: &'static str;
    /// Which shared variables fill which keys of this struct.
    const SHARED: &'static [Shared];
}

/// A variable that several services read, and the key it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// `KAFKA_BOOTSTRAP` fills `kafka.bootstrap`.
    Kafka,
    /// `CLICKHOUSE_URL`, `_DATABASE`, `_USER`, `_PASSWORD` fill the section `clickhouse`.
    ClickHouse,
    /// `TOLLBOOTH_ADMIN_KEY` fills the top-level key `admin_key`.
    AdminKey,
    /// `TOLLBOOTH_FORWARD_SECRET` fills `forward.secret`.
    ForwardSecret,
}

impl Shared {
    fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Kafka => &[("KAFKA_BOOTSTRAP", "kafka.bootstrap")],
            Self::ClickHouse => &[
                ("CLICKHOUSE_URL", "clickhouse.url"),
                ("CLICKHOUSE_DATABASE", "clickhouse.database"),
                ("CLICKHOUSE_USER", "clickhouse.user"),
                ("CLICKHOUSE_PASSWORD", "clickhouse.password"),
            ],
            Self::AdminKey => &[("TOLLBOOTH_ADMIN_KEY", "admin_key")],
            Self::ForwardSecret => &[("TOLLBOOTH_FORWARD_SECRET", "forward.secret")],
        }
    }
}

/// The configuration flags of every service; use with `#[command(flatten)]`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// TOML file with the service's settings.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Sets one key, e.g. `--set http.listen=127.0.0.1:8080`; stronger than file and environment. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub set: Vec<String>,
    /// Prints the effective configuration as TOML, secrets hidden, and exits.
    #[arg(long, global = true)]
    pub check_config: bool,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {source}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Position and reason.
        source: Box<toml::de::Error>,
    },
    /// The file that a variable names cannot be read, is not text, or is too long.
    #[error("cannot read {path}, which the environment variable {variable} names: {source}")]
    ValueFile {
        /// The variable, `_FILE` included.
        variable: String,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A variable is given as such and as a file.
    #[error("{variable} and {variable}_FILE are both set: leave one of them out")]
    Twice {
        /// The variable.
        variable: String,
    },
    /// A `--set` argument is not `key=value`.
    #[error("--set {0}: expected KEY=VALUE")]
    Flag(String),
    /// A key is unknown, missing, or holds what its field cannot take.
    #[error("{key}: {reason}{origin}")]
    Key {
        /// Dotted path, e.g. `http.listen`.
        key: String,
        /// What is wrong.
        reason: String,
        /// `" (from ...)"`, empty where the value has no single source.
        origin: String,
    },
    /// The effective configuration cannot be written as TOML.
    #[error("cannot print the configuration: {0}")]
    Print(#[from] toml::ser::Error),
    /// Standard output is gone.
    #[error("cannot print the configuration: {0}")]
    Output(#[source] std::io::Error),
}

/// Loads the configuration of one service from `args` and the process environment.
///
/// # Errors
/// [`ConfigError`]; the message names key and origin.
pub fn load<C: ServiceConfig>(args: &ConfigArgs) -> Result<C, ConfigError> {
    load_from(args, std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))))
}

/// As [`load`], with the environment given.
///
/// # Errors
/// [`ConfigError`]; the message names key and origin.
pub fn load_from<C: ServiceConfig>(
    args: &ConfigArgs,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<C, ConfigError> {
    let mut root = match &args.config {
        None => Node::empty(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
            let table = text
                .parse::<toml::Table>()
                .map_err(|source| ConfigError::Syntax { path: path.clone(), source: Box::new(source) })?;
            Node::from_toml(toml::Value::Table(table), &Origin::File(path.clone()))
        }
    };

    let environment: BTreeMap<String, String> = environment.into_iter().collect();
    for (variable, key) in C::SHARED.iter().flat_map(|shared| shared.variables()) {
        for name in [(*variable).to_owned(), format!("{variable}{FILE_SUFFIX}")] {
            if let Some(given) = environment.get(&name) {
                let text = value_of(&environment, &name, given)?;
                root.set(key, text, Origin::Variable(name))?;
            }
        }
    }
    let prefix = format!("TOLLBOOTH_{}__", C::SERVICE.to_uppercase().replace('-', "_"));
    for (variable, given) in &environment {
        if let Some(rest) = variable.strip_prefix(&prefix) {
            let text = value_of(&environment, variable, given)?;
            let key = rest.strip_suffix(FILE_SUFFIX).unwrap_or(rest).to_lowercase().replace("__", ".");
            root.set(&key, text, Origin::Variable(variable.clone()))?;
        }
    }
    for flag in &args.set {
        let (key, text) = flag.split_once('=').ok_or_else(|| ConfigError::Flag(flag.clone()))?;
        root.set(key.trim(), text.to_owned(), Origin::Flag)?;
    }
    root.deserialize()
}

/// The value of a variable: what is `given`, or what the file of that name holds.
fn value_of(environment: &BTreeMap<String, String>, variable: &str, given: &str) -> Result<String, ConfigError> {
    let Some(plain) = variable.strip_suffix(FILE_SUFFIX) else { return Ok(given.to_owned()) };
    if environment.contains_key(plain) {
        return Err(ConfigError::Twice { variable: plain.to_owned() });
    }
    read_value(Path::new(given)).map_err(|source| ConfigError::ValueFile {
        variable: variable.to_owned(),
        path: PathBuf::from(given),
        source,
    })
}

fn read_value(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than is allowed, so that a longer one is seen.
    File::open(path)?.take(VALUE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > VALUE_BYTES_MAX {
        let reason = format!("it is longer than {VALUE_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason));
    }
    // Editors and `echo` end a line; no secret does.
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// What `main` calls: loads the configuration, or, for `--check-config`, prints it and returns `None`: nothing else is to
/// be done.
///
/// # Errors
/// [`ConfigError`]; the message names key and origin.
pub fn prepare<C: ServiceConfig>(args: &ConfigArgs) -> Result<Option<C>, ConfigError> {
    let config = load::<C>(args)?;
    if !args.check_config {
        return Ok(Some(config));
    }
    let text = render(&config)?;
    std::io::stdout().write_all(text.as_bytes()).map_err(ConfigError::Output)?;
    Ok(None)
}

/// The effective configuration as TOML. Secrets print as `"[hidden]"`.
///
/// # Errors
/// When a field has no TOML form.
pub fn render<C: ServiceConfig>(config: &C) -> Result<String, ConfigError> {
    Ok(toml::to_string_pretty(config)?)
}
