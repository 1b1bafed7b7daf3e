//! Fetches the engines once, from the package registries that Maven and npm are configured for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::cache::{cache_dir, ensure};
use crate::error::{LocalError, Result};
use crate::sys;

const KAFKA: &str = "Apache Kafka 4.2.2";
const KAFKA_FOLDER: &str = "kafka-4.2.2";
const KAFKA_POM: &str = include_str!("../kafka/pom.xml");
const KAFKA_JARS: &str = include_str!("../kafka/jars.sha256");

const CLICKHOUSE: &str = "ClickHouse 26.7 (@chdb/lib-linux-x64-gnu 26.7.3-stable.1)";
const CLICKHOUSE_FOLDER: &str = "clickhouse-26.7.3-stable.1";
const CLICKHOUSE_LIBRARY: &str = "libchdb.so";
const CLICKHOUSE_PACKAGE: &str = include_str!("../clickhouse/package.json");
const CLICKHOUSE_LOCK: &str = include_str!("../clickhouse/package-lock.json");
const CLICKHOUSE_NPMRC: &str = include_str!("../clickhouse/.npmrc");

/// Lines of a tool's output that an error quotes.
const TAIL_LINES: usize = 20;
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// The folder of Kafka's jars, fetched with Maven on first use and checked against the committed SHA-256 list.
pub fn kafka_jars() -> Result<PathBuf> {
    maven_jars(KAFKA, 54, KAFKA_FOLDER, KAFKA_POM, KAFKA_JARS)
}

/// The folder of the jars that a pom names, fetched with Maven on first use into `folder` of the cache and checked against
/// `pinned`, a list in the format of `sha256sum` that names every one of them.
pub fn maven_jars(what: &'static str, about_mb: u32, folder: &str, pom: &str, pinned: &str) -> Result<PathBuf> {
    ensure(&cache_dir(), folder, |staging| {
        eprintln!("Fetching {what} (about {about_mb} MB) with Maven, once, into {}", cache_dir().display());
        write(&staging.join("pom.xml"), pom)?;
        let mut maven = Command::new("mvn");
        maven
            .args(["--batch-mode", "--file", "pom.xml", "dependency:copy-dependencies", "-DoutputDirectory=libs"])
            .current_dir(staging);
        run(what, "Maven (mvn)", maven, staging)?;
        check_jars(what, &staging.join("libs"), pinned)
    })
    .map(|folder| folder.join("libs"))
}

/// The ClickHouse server library, fetched with npm on first use; npm checks the lock file's SHA-512.
pub fn clickhouse_library() -> Result<PathBuf> {
    ensure(&cache_dir(), CLICKHOUSE_FOLDER, |staging| {
        eprintln!("Fetching {CLICKHOUSE} (566 MB unpacked) with npm, once, into {}", cache_dir().display());
        write(&staging.join("package.json"), CLICKHOUSE_PACKAGE)?;
        write(&staging.join("package-lock.json"), CLICKHOUSE_LOCK)?;
        write(&staging.join(".npmrc"), CLICKHOUSE_NPMRC)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(staging);
        run(CLICKHOUSE, "npm", npm, staging)?;
        let unpacked = staging.join("node_modules/@chdb/lib-linux-x64-gnu").join(CLICKHOUSE_LIBRARY);
        let library = staging.join(CLICKHOUSE_LIBRARY);
        fs::rename(&unpacked, &library).map_err(|e| LocalError::io("move", &unpacked, e))?;
        let modules = staging.join("node_modules");
        fs::remove_dir_all(&modules).map_err(|e| LocalError::io("remove", &modules, e))
    })
    .map(|folder| folder.join(CLICKHOUSE_LIBRARY))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| LocalError::io("write", path, e))
}

/// Runs a package tool with a line of progress every other second; its own output is only shown when it fails.
fn run(engine: &'static str, tool: &str, mut command: Command, staging: &Path) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // One that outlived us would go on writing into the folder that the next start empties and fills.
    sys::die_with_parent(&mut command);
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LocalError::ToolMissing {
            tool: tool.to_owned(),
            hint: format!("it is needed once to fetch {engine}; `make setup` installs it or says how"),
        },
        _ => LocalError::Io { what: format!("start {tool}"), source },
    })?;
    let output = Arc::new(Output::default());
    let readers = [
        child.stdout.take().map(|pipe| output.clone().collect(pipe)),
        child.stderr.take().map(|pipe| output.clone().collect(pipe)),
    ];
    let started = Instant::now();
    let mut reported = started;
    let status = loop {
        let waited = child.try_wait().map_err(|source| LocalError::Io { what: format!("wait for {tool}"), source })?;
        if let Some(status) = waited {
            break status;
        }
        if reported.elapsed() > PROGRESS_INTERVAL {
            reported = Instant::now();
            eprintln!(
                "  {tool}: {} s, {} downloads, {} MB unpacked",
                started.elapsed().as_secs(),
                output.downloads.load(Ordering::Relaxed),
                folder_bytes(staging) / 1_000_000
            );
        }
        thread::sleep(Duration::from_millis(50));
    };
    for reader in readers.into_iter().flatten() {
        reader.join().ok();
    }
    if status.success() {
        eprintln!("  done in {} s", started.elapsed().as_secs());
        return Ok(());
    }
    Err(LocalError::FetchFailed { engine, status: status.to_string(), tail: output.tail() })
}

/// The last lines a tool printed, and how many files it said it downloaded.
#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    downloads: AtomicUsize,
}

impl Output {
    fn collect(self: Arc<Self>, pipe: impl Read + Send + 'static) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(|line| line.ok()) {
                if line.contains("Downloaded from") {
                    self.downloads.fetch_add(1, Ordering::Relaxed);
                } else if let Ok(mut lines) = self.lines.lock() {
                    lines.push(line);
                    if lines.len() > TAIL_LINES {
                        lines.remove(0);
                    }
                }
            }
        })
    }

    fn tail(&self) -> String {
        self.lines.lock().map(|lines| lines.join("\n")).unwrap_or_default()
    }
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Compares the jars of a folder with a list in the format of `sha256sum`: each one there, no other one, all unchanged.
fn check_jars(what: &'static str, folder: &Path, pinned: &str) -> Result<()> {
    let wrong = |file: &str, problem: &str| LocalError::Integrity {
        engine: what,
        file: file.to_owned(),
        problem: problem.to_owned(),
    };
    let mut expected: BTreeMap<&str, &str> =
        pinned.lines().filter_map(|line| line.split_once("  ")).map(|(hash, name)| (name, hash)).collect();
    for entry in fs::read_dir(folder).map_err(|e| LocalError::io("read", folder, e))? {
        let entry = entry.map_err(|e| LocalError::io("read", folder, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let hash = expected.remove(name.as_str()).ok_or_else(|| wrong(&name, "not in the list"))?;
        let found = sha256_hex(&entry.path())?;
        if found != hash {
            return Err(wrong(&name, &format!("SHA-256 is {found}, pinned is {hash}")));
        }
    }
    match expected.keys().next() {
        Some(missing) => Err(wrong(missing, "missing")),
        None => Ok(()),
    }
}

fn sha256_hex(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path).map_err(|e| LocalError::io("open", path, e))?;
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(|e| LocalError::io("read", path, e))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn jars_that_match_the_list_pass() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.jar"), "").unwrap();
        check_jars(KAFKA, dir.path(), &format!("{EMPTY}  a.jar\n")).unwrap();
    }

    #[test]
    fn a_changed_a_missing_and_an_unexpected_jar_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.jar"), "x").unwrap();
        let pinned = format!("{EMPTY}  a.jar\n");
        let changed = check_jars(KAFKA, dir.path(), &pinned).unwrap_err();
        assert!(changed.to_string().contains("a.jar"), "{changed}");

        fs::write(dir.path().join("a.jar"), "").unwrap();
        fs::write(dir.path().join("b.jar"), "").unwrap();
        let unexpected = check_jars(KAFKA, dir.path(), &pinned).unwrap_err();
        assert!(unexpected.to_string().contains("b.jar"), "{unexpected}");

        fs::remove_file(dir.path().join("b.jar")).unwrap();
        let missing = check_jars(KAFKA, dir.path(), &format!("{pinned}{EMPTY}  c.jar\n")).unwrap_err();
        assert!(missing.to_string().contains("c.jar"), "{missing}");
    }
}
