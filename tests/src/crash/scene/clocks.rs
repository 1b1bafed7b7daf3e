//! A clock of its own for each service, by a library that is loaded before it (`clock.c`): what the service takes for the time of
//! day can jump while it runs.
//!
//! Only that clock. What measures durations goes on as it does on a machine whose clock is set.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::process::Process;
use crate::stack::Stack;

const SOURCE: &str = include_str!("clock.c");
/// The services look at their clocks all the time.
const PATIENCE: Duration = Duration::from_secs(20);
const NUMBER_BYTES: usize = 8;

/// The files that say by how much each is off.
#[derive(Debug)]
pub(in crate::crash) struct Clocks {
    files: BTreeMap<String, PathBuf>,
    refused: Option<String>,
}

impl Clocks {
    /// Gives every service one for its next start.
    pub(super) fn of(stack: &Stack) -> anyhow::Result<Self> {
        let dir = stack.dir().join("clocks");
        fs::create_dir_all(&dir)?;
        let mut files = BTreeMap::new();
        let library = match compile(&dir) {
            Ok(library) => library.display().to_string(),
            Err(error) => return Ok(Self { files, refused: Some(format!("clock jumps: {error:#}")) }),
        };
        for service in stack.services() {
            let file = dir.join(service.name());
            set(&file, 0)?;
            service.set("LD_PRELOAD", &library);
            service.set("TOLLBOOTH_CLOCK_FILE", file.display().to_string());
            files.insert(service.name().to_owned(), file);
        }
        Ok(Self { files, refused: None })
    }

    /// Why there are none.
    pub(super) fn missing(&self) -> Option<String> {
        self.refused.clone()
    }

    /// Whether there are any.
    pub(in crate::crash) fn are_there(&self) -> bool {
        self.refused.is_none()
    }

    /// Lets a service's clock jump by so many seconds, waits until it has looked at it, does `meanwhile`, and lets the clock
    /// jump back. How often the service looked at it while it was off.
    pub(in crate::crash) fn jump(
        &self,
        stack: &Stack,
        service: &Process,
        by_s: i64,
        meanwhile: impl FnOnce(),
    ) -> anyhow::Result<i64> {
        let file = self.files.get(service.name()).context("no clock")?;
        let before = looks(file)?;
        set(file, by_s)?;
        let looked = |what: &str, looks_now: &dyn Fn() -> Option<i64>| {
            let what = format!("{} to look at a clock that is {what}", service.name());
            stack.wait(&what, PATIENCE, || looks_now().filter(|looks| *looks > 0))
        };
        let jumped = looked("off", &|| Some(looks(file).ok()?.off - before.off));
        if jumped.is_ok() {
            meanwhile();
        }
        // Also where it was in vain.
        set(file, 0)?;
        jumped?;
        let after = looks(file)?;
        looked("right again", &|| Some(looks(file).ok()?.right - after.right))?;
        Ok(after.off - before.off)
    }
}

/// How often a service has looked at its clock.
#[derive(Debug, Clone, Copy)]
struct Looks {
    off: i64,
    right: i64,
}

fn looks(file: &Path) -> anyhow::Result<Looks> {
    let bytes = fs::read(file)?;
    let number = |at: usize| -> anyhow::Result<i64> {
        let bytes = bytes.get(at..at + NUMBER_BYTES).context("half a clock")?;
        Ok(i64::from_ne_bytes(bytes.try_into()?))
    };
    Ok(Looks { off: number(NUMBER_BYTES)?, right: number(2 * NUMBER_BYTES)? })
}

/// With the C compiler that librdkafka is made with.
fn compile(dir: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (dir.join("clock.c"), dir.join("libclock.so"));
    fs::write(&source, SOURCE)?;
    let compiler =
        Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").output();
    let compiled = compiler.context("no C compiler")?;
    ensure!(compiled.status.success(), "cc: {}", String::from_utf8_lossy(&compiled.stderr));
    Ok(library)
}

/// In place: a process has the file mapped, and sees it at once.
fn set(file: &Path, by_s: i64) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(file)?;
    if file.metadata()?.len() == 0 {
        file.set_len(3 * NUMBER_BYTES as u64)?;
    }
    Ok(file.write_all_at(&by_s.to_ne_bytes(), 0)?)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_clock_is_off_by_what_its_file_says_and_counts_who_looks() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (library, file) = (compile(dir.path())?, dir.path().join("clock"));
        let off_by_s = |by_s: i64| -> anyhow::Result<i64> {
            set(&file, by_s)?;
            let mut date = Command::new("date");
            let date = date.arg("+%s").env("LD_PRELOAD", &library).env("TOLLBOOTH_CLOCK_FILE", &file).output()?;
            let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
            Ok(String::from_utf8(date.stdout)?.trim().parse::<i64>()? - now)
        };
        for by_s in [1_200, -700, 0] {
            assert!((off_by_s(by_s)? - by_s).abs() <= 5, "{by_s}");
        }
        let looks = looks(&file)?;
        assert!(looks.off >= 2 && looks.right >= 1, "{looks:?}");
        Ok(())
    }
}
