//! What can go wrong when an engine is fetched, started or stopped.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every failure of this crate's library. The messages are for the person at the terminal: they say what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file, folder or process operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// A program that is needed to fetch or run an engine is not on the machine.
    #[error("{tool} is not installed or not in PATH; {hint}")]
    ToolMissing {
        /// The program's name.
        tool: String,
        /// How to get it.
        hint: String,
    },
    /// Maven or npm ended with an error.
    #[error("fetching {engine} failed ({status}); the end of its output:\n{tail}")]
    FetchFailed {
        /// Kafka or ClickHouse, with the version.
        engine: &'static str,
        /// The exit status.
        status: String,
        /// The last lines it printed.
        tail: String,
    },
    /// A fetched file is not the one that was pinned.
    #[error("{file} of {engine} is not the pinned one: {problem}")]
    Integrity {
        /// Kafka or ClickHouse, with the version.
        engine: &'static str,
        /// The file's name.
        file: String,
        /// Missing, unexpected or another checksum.
        problem: String,
    },
    /// The ClickHouse launcher binary was not found.
    #[error(
        "the launcher tollbooth-clickhouse was not found beside {}; run `cargo build -p tollbooth-local` or set TOLLBOOTH_CLICKHOUSE_BIN",
        beside.display()
    )]
    LauncherMissing {
        /// Where it was looked for.
        beside: PathBuf,
    },
    /// The engine's process ended before it was ready.
    #[error("{engine} ended before it was ready ({status}); the end of {}:\n{tail}", log.display())]
    Exited {
        /// Kafka or ClickHouse.
        engine: &'static str,
        /// The exit status.
        status: String,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The engine did not become ready in time.
    #[error("{engine} was not ready after {after:?}; the end of {}:\n{tail}", log.display())]
    NotReady {
        /// Kafka or ClickHouse.
        engine: &'static str,
        /// The deadline.
        after: Duration,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// No free port was found.
    #[error("no free port on 127.0.0.1 between {from} and {to}")]
    NoFreePort {
        /// Lowest port tried.
        from: u16,
        /// Highest port tried.
        to: u16,
    },
    /// The engine was given from outside, so it is not ours to kill, stop or restart.
    #[error("{engine} was given from outside; only an engine started here can be stopped or restarted")]
    External {
        /// Kafka or ClickHouse.
        engine: &'static str,
    },
    /// ClickHouse refused a statement or did not answer.
    #[error("ClickHouse at {url}: {problem}")]
    ClickHouse {
        /// The server's address.
        url: String,
        /// Its answer or the connection's error.
        problem: String,
    },
}

impl LocalError {
    /// Wraps an I/O error with what was being done to which path.
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Self {
        Self::Io { what: format!("{what} {}", path.display()), source }
    }
}

/// The result of this crate's library.
pub type Result<T, E = LocalError> = std::result::Result<T, E>;

/// An error with its causes on one line, for the person at the terminal. A cause that the text before it quotes is
/// left out.
pub fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let io = || io::Error::other("disk full");
        let twice = anyhow::Error::new(LocalError::io("write", Path::new("a"), io()));
        assert_eq!(explain(&twice), "write a: disk full");
        let chain = Err::<(), _>(io()).context("write b").unwrap_err();
        assert_eq!(explain(&chain), "write b: disk full");
    }
}
