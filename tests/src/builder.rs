//! How the processes of a stack are set, and where their files lie.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tollbooth_local::{ClickHouse, free_port};
use tollbooth_schemas::keys::{ApiKey, KeyKind, RANDOM_BYTES};

use crate::binaries::{Binary, locate};
use crate::os;
use crate::process::Process;
use crate::stack::{DATABASE, PARTITIONS, Victim};

/// What every process of a stack is told.
pub(crate) struct Builder<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) logs: &'a Path,
    pub(crate) bootstrap: &'a str,
    /// Copies of every record.
    pub(crate) replication: usize,
    pub(crate) clickhouse: &'a ClickHouse,
    pub(crate) key: &'a str,
    /// Where spans are sent.
    pub(crate) spans_to: &'a str,
}

impl Builder<'_> {
    pub(crate) fn process(&self, name: &str, binary: Binary, arguments: &[&str]) -> anyhow::Result<Process> {
        Ok(Process::new(name, locate(binary)?, arguments, self.logs)
            .with("KAFKA_BOOTSTRAP", self.bootstrap)
            .with("CLICKHOUSE_URL", self.clickhouse.url())
            .with("CLICKHOUSE_DATABASE", DATABASE)
            .with("TOLLBOOTH_ADMIN_KEY", self.key)
            .with("TOLLBOOTH_LOG_FORMAT", "text"))
    }

    /// Follows requests that come with a trace, and begins none.
    fn traced(&self, process: Process, service: &str) -> Process {
        process
            .with(&format!("TOLLBOOTH_{service}__TRACES__ENDPOINT"), self.spans_to)
            .with(&format!("TOLLBOOTH_{service}__TRACES__SAMPLE_ONE_IN"), "0")
    }

    /// The write side, or what carries out effects: the same program with the same settings.
    pub(crate) fn ingest(&self, name: &str, role: &str, ops: &str) -> anyhow::Result<Process> {
        Ok(self
            .traced(self.process(name, Binary::Ingest, &[role])?, "INGEST")
            .with_ops(ops, address()?)
            .with("TOLLBOOTH_INGEST__TOPICS__PARTITIONS", PARTITIONS.to_string())
            .with("TOLLBOOTH_INGEST__TOPICS__REPLICATION", self.replication.to_string())
            .with("TOLLBOOTH_INGEST__PURCHASES__PROVIDER", "sandbox")
            .with("TOLLBOOTH_CRASH_DIR", self.dir.join("crash-points").display().to_string()))
    }

    /// A member of the meter's group, or the sink: the same program.
    pub(crate) fn meter(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        let ops = if name == "sink" { "TOLLBOOTH_METER__SINK_OPS_LISTEN" } else { "TOLLBOOTH_METER__OPS_LISTEN" };
        Ok(self
            .traced(self.process(name, Binary::Meter, arguments)?, "METER")
            .with_ops(ops, address()?)
            .with("TOLLBOOTH_METER__MEMBER_ID", name)
            .with("TOLLBOOTH_METER__SINK_ENABLED", "false")
            .with("TOLLBOOTH_METER__TOPICS__PARTITIONS", PARTITIONS.to_string())
            .with("TOLLBOOTH_METER__TOPICS__REPLICATION", self.replication.to_string())
            .with("TOLLBOOTH_CRASH_DIR", self.dir.join("crash-points").display().to_string()))
    }

    pub(crate) fn query(&self, listen: &str) -> anyhow::Result<Process> {
        Ok(self
            .traced(self.process("query", Binary::Query, &["serve"])?, "QUERY")
            .with_ops("TOLLBOOTH_QUERY__OPS_LISTEN", address()?)
            .with("TOLLBOOTH_QUERY__LISTEN", listen))
    }
}

pub(crate) fn store_dir(dir: &Path, meter: usize) -> PathBuf {
    dir.join("store").join(Victim::Meter(meter).name())
}

/// Written often, and nothing of it kept in memory: what is asked for comes from the disk.
pub(crate) fn with_store(meter: &Process, dir: &Path) {
    meter.set("TOLLBOOTH_METER__STORE__DIR", dir.display().to_string());
    meter.set("TOLLBOOTH_METER__STORE__WRITE_ROWS", "500");
    meter.set("TOLLBOOTH_METER__STORE__WRITE_SECONDS", "1");
    meter.set("TOLLBOOTH_METER__STORE__RECENT_MIB_MAX", "0");
}

pub(crate) fn address() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}

pub(crate) fn admin_key() -> anyhow::Result<String> {
    let chance: [u8; RANDOM_BYTES] = rand::random();
    let key = ApiKey::generate(KeyKind::Admin, false, &chance).context("no admin key from these bytes")?;
    Ok(key.reveal().to_owned())
}

/// `target/tmp/tollbooth-<name>-<pid>`; those of ended runs are removed, so that a failed one can be looked at until
/// the next.
pub(crate) fn fresh_dir(name: &str) -> anyhow::Result<PathBuf> {
    let test = env::current_exe()?;
    let target = test.ancestors().nth(3).context("the target folder")?;
    let parent = target.join("tmp");
    fs::create_dir_all(&parent)?;
    for entry in fs::read_dir(&parent)?.filter_map(Result::ok) {
        let file_name = entry.file_name();
        let stale = file_name
            .to_str()
            .and_then(|text| text.strip_prefix("tollbooth-")?.rsplit_once('-'))
            .is_some_and(|(of, pid)| of == name && !Path::new("/proc").join(pid).exists());
        if stale {
            unmount_below(&entry.path());
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    let dir = parent.join(format!("tollbooth-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Of a run that was killed, or left its small disks for somebody to look at.
fn unmount_below(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new) {
        if place.starts_with(dir) {
            os::unmount(place).ok();
        }
    }
}
