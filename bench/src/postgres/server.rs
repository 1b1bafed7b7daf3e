//! A PostgreSQL of its own: on a socket in a folder that is removed at the end.

use std::{
    fs::File,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::stack::signal;

/// Names the socket's file; nothing listens on a port.
const PORT: u16 = 5432;
const USER: &str = "tollbooth";
const READY_WAIT: Duration = Duration::from_secs(60);
const STOP_WAIT: Duration = Duration::from_secs(30);
/// On disk, and reachable for every user.
const FOLDER: &str = "/var/tmp";

/// As durable as a broker, which does not wait for the disk either: what is committed is with the system, and survives
/// a killed server. All else so that it holds nothing up: no checkpoint and no vacuum within a run.
const SETTINGS: [&str; 20] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=on",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "wal_buffers=64MB",
    "max_wal_size=12GB",
    "min_wal_size=2GB",
    "checkpoint_timeout=1h",
    "shared_buffers=1GB",
    "work_mem=256MB",
    "maintenance_work_mem=256MB",
    "effective_cache_size=8GB",
    "random_page_cost=1.1",
    "autovacuum=off",
    "jit=off",
    "max_connections=40",
    // What only watching takes.
    "track_activities=off",
    "track_counts=off",
];

/// A running server; stopped when dropped.
pub(crate) struct Server {
    child: Child,
    // Behind the process, which is stopped first.
    dir: TempDir,
}

impl Server {
    /// Makes a cluster and starts it.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let programs = programs().context(
            "no PostgreSQL server is here (looked for `initdb` and `postgres` in PATH and in /usr/lib/postgresql/*/bin). \
             Debian, Ubuntu: apt-get install postgresql; `deploy/local/setup.sh --bench` does it",
        )?;
        let dir = tempfile::Builder::new().prefix("tollbooth-postgres-").tempdir_in(FOLDER)?;
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(dir.path(), Some(user), Some(group))?;
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command.current_dir(dir.path()).env("LC_ALL", "C").stdin(Stdio::null());
            command.arg("-D").arg(dir.path().join("data"));
            command
        };
        let arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username", USER];
        let made = command("initdb").args(arguments).output().context("start initdb")?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        let log = dir.path().join("postgres.log");
        let mut postgres = command("postgres");
        postgres.arg("-k").arg(dir.path()).args(["-p", &PORT.to_string()]);
        postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", *setting]));
        postgres.stdout(Stdio::null()).stderr(File::create(&log)?);
        tollbooth_local::die_with_parent(&mut postgres);
        let mut server = Self { child: postgres.spawn().context("start postgres")?, dir };
        server.wait_ready(&log).await?;
        Ok(server)
    }

    async fn wait_ready(&mut self, log: &Path) -> anyhow::Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.connect().await {
            let ended = self.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > READY_WAIT {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                bail!("PostgreSQL does not answer ({error:#}); its log:\n{}", log.trim());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// A connection, which ends with the client.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.dir.path()).port(PORT).user(USER).dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("a connection to PostgreSQL broke: {error}");
            }
        });
        Ok(client)
    }

    /// One for sets: what is planned knows how many events there are.
    pub(crate) async fn connect_for_batches(&self) -> anyhow::Result<Client> {
        let client = self.connect().await?;
        client.batch_execute("SET plan_cache_mode = force_custom_plan").await?;
        Ok(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without waiting for its clients, and without a last checkpoint; it takes its shared memory away.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(&self.child, "QUIT");
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_WAIT {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The folder with the server's programs: what PATH has, else Debian's newest.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where PATH has a link, the other programs stand where it points.
    let in_path = std::env::split_paths(&path)
        .filter_map(|dir| Some(dir.join("postgres").canonicalize().ok()?.parent()?.to_owned()));
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    installed.sort_by_key(|dir| std::cmp::Reverse(version(dir)));
    in_path.chain(installed).find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
}

/// Of `/usr/lib/postgresql/15/bin`: 15.
fn version(bin: &Path) -> u32 {
    let name = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// Whose the server is, where this process is root's: PostgreSQL refuses to be.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let owner = ["postgres", "nobody"].into_iter().find_map(|name| ids(&users, name));
    owner.map(Some).context("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
}

/// A user's and its group's number, see passwd(5).
fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/var/lib:/bin/sh\n";
        assert_eq!(ids(users, "postgres"), Some((101, 104)));
        assert_eq!(ids(users, "nobody"), None);
    }

    #[test]
    fn version_ten_is_newer_than_nine() {
        let mut dirs = ["9", "10", "x"].map(|name| Path::new("/usr/lib/postgresql").join(name).join("bin"));
        dirs.sort_by_key(|dir| std::cmp::Reverse(version(dir)));
        assert_eq!(dirs.map(|dir| version(&dir)), [10, 9, 0]);
    }
}
