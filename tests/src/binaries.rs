//! Where the programs under test are.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// A program of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `tollbooth-ingest`
    Ingest,
    /// `tollbooth-meter`, also the sink.
    Meter,
    /// `tollbooth-meter` for the audit: never the one with a defect planted.
    Audit,
    /// `tollbooth-query`
    Query,
    /// `tollbooth-fleet`
    Fleet,
}

impl Binary {
    /// The file's name, and the variable that names another file to use.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ingest => ("tollbooth-ingest", "TOLLBOOTH_INGEST_BIN"),
            Self::Meter => ("tollbooth-meter", "TOLLBOOTH_METER_BIN"),
            Self::Audit => ("tollbooth-meter", "TOLLBOOTH_AUDIT_BIN"),
            Self::Query => ("tollbooth-query", "TOLLBOOTH_QUERY_BIN"),
            Self::Fleet => ("tollbooth-fleet", "TOLLBOOTH_FLEET_BIN"),
        }
    }
}

/// Finds a program: the one that its variable names, else the one in the folder of this profile.
///
/// # Errors
/// Where it was not built; the message says how.
pub fn locate(binary: Binary) -> anyhow::Result<PathBuf> {
    let (name, variable) = binary.names();
    if let Some(named) = env::var_os(variable).map(PathBuf::from) {
        if named.is_file() {
            return Ok(named);
        }
        bail!("{variable} names {}, which is not there", named.display());
    }
    // target/<profile>/deps/<test>: the programs are one folder up.
    let test = env::current_exe().context("where this test is")?;
    let folders = test.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} was not found near {}: run `cargo build --workspace` first", test.display()))
}
