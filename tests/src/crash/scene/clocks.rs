//! A clock of its own for each service, by libfaketime: what the service takes for the time of day can jump while it runs.
//!
//! Only that clock. What measures durations goes on as it does on a machine whose clock is set.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::process::Process;
use crate::stack::Stack;
use crate::usage::now_ms;

/// Where Debian, Ubuntu and Fedora put it; the one for programs of several threads.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
/// The file is looked at once a second.
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// By which a clock may miss what it was set to.
const TOLERANCE_S: i64 = 3;
const DAY_S: i64 = 86_400;

/// The files that say by how much each is off.
#[derive(Debug)]
pub(in crate::crash) struct Clocks {
    files: BTreeMap<String, PathBuf>,
}

impl Clocks {
    /// Gives every service one for its next start.
    pub(super) fn of(stack: &Stack) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        let Some(library) = LIBRARIES.into_iter().find(|library| Path::new(library).exists()) else {
            return Ok(Self { files });
        };
        let dir = stack.dir().join("clocks");
        fs::create_dir_all(&dir)?;
        for service in stack.services() {
            let file = dir.join(service.name());
            set(&file, 0)?;
            service.set("LD_PRELOAD", library);
            service.set("FAKETIME_TIMESTAMP_FILE", file.display().to_string());
            service.set("FAKETIME_CACHE_DURATION", "1");
            service.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            service.set("NO_FAKE_STAT", "1");
            // Nobody would remove it after a SIGKILL.
            service.set("FAKETIME_DISABLE_SHM", "1");
            files.insert(service.name().to_owned(), file);
        }
        Ok(Self { files })
    }

    /// Why there are none.
    pub(super) fn missing(&self) -> Option<String> {
        self.files.is_empty().then(|| "clock jumps: libfaketime is not installed".to_owned())
    }

    /// Whether there are any.
    pub(in crate::crash) fn are_there(&self) -> bool {
        !self.files.is_empty()
    }

    /// Lets a service's clock jump by so many seconds, waits until its answers say so, does `meanwhile`, and lets the clock
    /// jump back.
    pub(in crate::crash) fn jump(
        &self,
        stack: &Stack,
        service: &Process,
        by_s: i64,
        meanwhile: impl FnOnce(),
    ) -> anyhow::Result<()> {
        let file = self.files.get(service.name()).context("no clock")?;
        let is_off = |by_s: i64| {
            stack.wait(&format!("the clock of {} to be off by {by_s} s", service.name()), PATIENCE, || {
                let off = off_by_s(service).ok()?;
                // Answers tell the time of day, not the day.
                let miss = (off - by_s).rem_euclid(DAY_S);
                (miss <= TOLERANCE_S || miss >= DAY_S - TOLERANCE_S).then_some(())
            })
        };
        set(file, by_s)?;
        let jumped = is_off(by_s);
        if jumped.is_ok() {
            meanwhile();
        }
        // Also where it was in vain.
        set(file, 0)?;
        jumped.and_then(|()| is_off(0))
    }
}

/// Whole at once: it is read at any time.
fn set(file: &Path, by_s: i64) -> anyhow::Result<()> {
    let draft = file.with_extension("draft");
    fs::write(&draft, format!("{by_s:+}\n"))?;
    Ok(fs::rename(draft, file)?)
}

/// By how much a service's clock is off, in seconds of the day, as the `date` of its answers tells it.
fn off_by_s(service: &Process) -> anyhow::Result<i64> {
    let mut stream = TcpStream::connect(service.ops_address().context("no operations listener")?)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: clock\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let theirs = answer.lines().find_map(second_of_day).context("an answer without a date")?;
    let ours = now_ms() / 1_000 % DAY_S;
    ensure!((0..DAY_S).contains(&theirs), "no second of a day: {theirs}");
    Ok(theirs - ours)
}

/// Of a line `date: Fri, 27 Nov 2026 20:15:03 GMT`.
fn second_of_day(line: &str) -> Option<i64> {
    let (name, date) = line.split_once(": ")?;
    let time = date.split(' ').nth(4).filter(|_| name.eq_ignore_ascii_case("date"))?;
    let parts: Vec<i64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [hour, minute, second] => Some((hour * 60 + minute) * 60 + second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_the_day_is_read_from_a_date() {
        assert_eq!(second_of_day("date: Fri, 27 Nov 2026 20:15:03 GMT"), Some(72_903));
        assert_eq!(second_of_day("Date: Fri, 27 Nov 2026 00:00:00 GMT"), Some(0));
        assert_eq!(second_of_day("expires: Fri, 27 Nov 2026 20:15:03 GMT"), None);
        assert_eq!(second_of_day("date: soon"), None);
    }
}
