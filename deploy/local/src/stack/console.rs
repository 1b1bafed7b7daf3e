//! What the person at the terminal sees: lines, and below them one line that changes.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where there is no terminal, a changing line is written this often.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Standard output. A reader that is gone is no reason to end.
#[derive(Debug)]
pub(crate) struct Console {
    terminal: bool,
    line: Option<String>,
    logged: Option<Instant>,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), line: None, logged: None }
    }

    /// One line, or several.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) {
        self.clear();
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()).ok();
    }

    /// Replaces the changing line; without a terminal, writes it at most twice a minute.
    pub(crate) fn show(&mut self, text: impl AsRef<str>) {
        if self.terminal || self.logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            self.show_now(text);
        }
    }

    /// Replaces the changing line; without a terminal, writes it in any case.
    pub(crate) fn show_now(&mut self, text: impl AsRef<str>) {
        self.logged = Some(Instant::now());
        if self.line.as_deref() == Some(text.as_ref()) {
            return;
        }
        let mut out = io::stdout().lock();
        if self.terminal {
            // Without wrapping: a line longer than the terminal is cut, or the next one could not replace it.
            write!(out, "\r\x1b[K\x1b[?7l{}\x1b[?7h", text.as_ref()).and_then(|()| out.flush()).ok();
            self.line = Some(text.as_ref().to_owned());
        } else {
            writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()).ok();
        }
    }

    /// The next changing line is another one: it is written at once.
    pub(crate) fn begin_line(&mut self) {
        self.clear();
        self.logged = None;
    }

    /// How often it is worth looking for a new changing line.
    pub(crate) fn interval(&self) -> Duration {
        if self.terminal { Duration::from_secs(1) } else { LOG_INTERVAL }
    }

    fn clear(&mut self) {
        if self.line.take().is_some() {
            let mut out = io::stdout().lock();
            write!(out, "\r\x1b[K").and_then(|()| out.flush()).ok();
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.clear();
    }
}
