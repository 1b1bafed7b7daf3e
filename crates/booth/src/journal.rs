//! What the fleet was about to do and what it was promised: the other side of a reconciliation.
//!
//! A journal is a directory of files `journal-<6 digits>.jsonl`, in order; each line is one [`Line`] as JSON, told
//! apart by `record`. A line is handed to the operating system before the thing it speaks of is sent, so it survives
//! the end of the process at any moment (not of the machine). Each start of the fleet begins a new file, so only
//! the last line of a file can be torn. Nothing in it was read from the system under test but answers to requests.
//!
//! How to read it, given a ledger at rest:
//! - An id with a [`Line::Acked`] is durable; what its [`Line::Planned`] expects must have come true: one charge an
//!   operation, one 0.00 entry a failed attempt, one dead letter with the reason. An id without one may have come
//!   true or not.
//! - An operation may have several attempts: `failed` ones and at most one `charge`. A later attempt is sent after the
//!   acknowledgement of the one before. A failed attempt that is re-sent after the charge is stale and leaves no entry.
//! - [`Line::Duplicate`] sends the bytes of an earlier id once more: no entry, no dead letter.
//! - Within a run a record was sent once more for each [`Line::Unanswered`] that names it, and may have been received as
//!   often. So one with `expect` = `dead_letter` has one dead letter, and at most one more for each of those lines. A
//!   malformed one has no CloudEvents id; its journal id stands in its bytes.
//! - A line may stand twice with the same content, where a history that was interrupted is played on.
//! - What accounts buy is not in it: a purchase's entry is named after its payment, by whoever takes the money.
//! - [`Line::Parked`] was refused by ingest: it is nowhere in Kafka.
//! - After [`Line::Gap`] older files were removed to keep the size limit: what came before is unknown.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tollbooth_schemas::{
    AccountId, Money, Quantity,
    dead_letter::Reason,
    time::{serde_rfc3339, serde_rfc3339_option},
    usage::Status,
};

/// A file is closed once it is this large.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// No [`Line::Gap`] is longer.
const GAP_BYTES_MAX: u64 = 64;

/// How a record travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Outbox and ingest.
    Http,
    /// Straight into `usage`, structured mode.
    KafkaStructured,
    /// Straight into `usage`, binary mode.
    KafkaBinary,
}

/// What must become of a record once it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The operation's one charge.
    Charge,
    /// A 0.00 entry of this attempt.
    Failed,
    /// A dead letter with `reason`; no entry.
    DeadLetter,
    /// Ingest refuses it: parked, no entry, no dead letter.
    Refused,
}

/// A usage record, before it is sent for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// CloudEvents `id`; unique in the journal.
    pub id: String,
    /// CloudEvents `source`.
    pub source: String,
    /// What is charged once.
    pub operation_id: String,
    /// 1 or more.
    pub attempt: u32,
    /// `subject`. Not an account of the fleet's where `reason` is `unknown_account`.
    pub account_id: AccountId,
    /// The account's plan, by which it is priced.
    pub plan: String,
    /// Service code.
    pub service: String,
    /// Engine code.
    pub engine: String,
    /// Variant code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Unit code.
    pub unit: String,
    /// How much.
    pub quantity: Quantity,
    /// When it occurred, as the booth says.
    #[serde(with = "serde_rfc3339")]
    pub occurred_at: i64,
    /// The party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The device.
    pub booth_id: String,
    /// How the work ended.
    pub status: Status,
    /// How it travels.
    pub via: Via,
    /// What must become of it.
    pub expect: Expect,
    /// Why it must be a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Line {
    /// The fleet starts.
    Run {
        /// Begins every id of this run.
        run_id: String,
        /// Of the random stream.
        seed: u64,
        /// What it plays.
        profile: String,
        /// When.
        #[serde(with = "serde_rfc3339")]
        started_at: i64,
    },
    /// A price book is about to be published.
    PriceBook {
        /// Its version.
        version: u32,
    },
    /// An account is about to be opened.
    AccountPlanned {
        /// Its id.
        account_id: AccountId,
        /// Its name.
        name: String,
        /// Its first plan.
        plan: String,
        /// ISO 4217.
        currency: String,
        /// IANA name.
        time_zone: String,
    },
    /// It is open.
    AccountOpened {
        /// Its id.
        account_id: AccountId,
    },
    /// An adjustment is about to be asked for.
    TopUpPlanned {
        /// Whose balance.
        account_id: AccountId,
        /// The request's `Idempotency-Key`: one entry, however often it is sent.
        idempotency_key: String,
        /// Signed.
        amount: Money,
        /// Its reason code.
        reason: String,
        /// For what is written into the past.
        #[serde(default, with = "serde_rfc3339_option", skip_serializing_if = "Option::is_none")]
        occurred_at: Option<i64>,
    },
    /// It is in the ledger.
    TopUpDone {
        /// Whose balance.
        account_id: AccountId,
        /// The request's `Idempotency-Key`.
        idempotency_key: String,
    },
    /// It was refused for good.
    TopUpRefused {
        /// Whose balance.
        account_id: AccountId,
        /// The request's `Idempotency-Key`.
        idempotency_key: String,
        /// HTTP status.
        status: u16,
    },
    /// A usage record is about to be sent.
    Planned(Planned),
    /// The same bytes are about to be sent once more.
    Duplicate {
        /// Of the earlier record.
        id: String,
    },
    /// These are acknowledged, by ingest or by the brokers.
    Acked {
        /// When the answer came.
        #[serde(with = "serde_rfc3339")]
        at: i64,
        /// Their ids.
        ids: Vec<String>,
    },
    /// Whether these have arrived is unknown: they are about to be sent once more.
    Unanswered {
        /// Their ids.
        ids: Vec<String>,
    },
    /// Ingest refused this one.
    Parked {
        /// Its id.
        id: String,
        /// HTTP status.
        status: u16,
        /// Code of the problem.
        code: String,
    },
    /// Older files were removed.
    Gap {
        /// How many, at this place of the journal.
        files_removed: u64,
    },
    /// The run ended in order.
    End {
        /// Begins every id of the run.
        run_id: String,
        /// When.
        #[serde(with = "serde_rfc3339")]
        ended_at: i64,
    },
}

fn file_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number:06}.jsonl"))
}

/// Numbers of the files, ascending.
fn file_numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".jsonl"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Appends lines.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    file: File,
    number: u64,
    file_bytes: u64,
    file_bytes_max: u64,
    bytes_max: Option<u64>,
    buffer: Vec<u8>,
}

/// Begins the next file, behind those of whoever else writes here.
fn begin_file(dir: &Path) -> io::Result<(File, u64)> {
    let number = file_numbers(dir)?.last().map_or(1, |last| last + 1);
    let file = OpenOptions::new().create_new(true).append(true).open(file_path(dir, number))?;
    Ok((file, number))
}

/// `None` where somebody else has removed the file.
fn unless_removed<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

impl Writer {
    /// Begins a new file in `dir` (made if missing). With `bytes_max` the oldest files are removed, now and later, so
    /// that all of them together stay within it (one call of [`Writer::write`] that is larger by itself stands alone);
    /// this leaves a [`Line::Gap`]. Without it the journal grows.
    ///
    /// # Errors
    /// The file system's own.
    pub fn create(dir: impl AsRef<Path>, bytes_max: Option<u64>) -> io::Result<Self> {
        let dir = dir.as_ref().to_owned();
        fs::create_dir_all(&dir)?;
        let (file, number) = begin_file(&dir)?;
        // At least four files share the limit, so that removing one leaves most of it.
        let file_bytes_max = bytes_max.map_or(FILE_BYTES_MAX, |bytes| (bytes / 4).clamp(1, FILE_BYTES_MAX));
        let mut writer = Self { dir, file, number, file_bytes: 0, file_bytes_max, bytes_max, buffer: Vec::new() };
        // Each start begins a file, and most end before it is full: they count as well.
        writer.prune(0)?;
        Ok(writer)
    }

    /// Writes lines. When this returns, the operating system has them.
    ///
    /// # Errors
    /// The file system's own: nothing that the lines speak of may be sent.
    pub fn write<'a>(&mut self, lines: impl IntoIterator<Item = &'a Line>) -> io::Result<()> {
        self.buffer.clear();
        for line in lines {
            serde_json::to_writer(&mut self.buffer, line)?;
            self.buffer.push(b'\n');
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = self.buffer.len() as u64;
        if self.file_bytes + bytes > self.file_bytes_max {
            if self.file_bytes > 0 {
                (self.file, self.number) = begin_file(&self.dir)?;
                self.file_bytes = 0;
            }
            self.prune(bytes)?;
        }
        self.file.write_all(&self.buffer)?;
        self.file_bytes += bytes;
        Ok(())
    }

    /// Removes the oldest files, so that a full one, or one with a write of so many bytes, has room beside the rest.
    fn prune(&mut self, bytes: u64) -> io::Result<()> {
        let Some(bytes_max) = self.bytes_max else { return Ok(()) };
        let mut files = Vec::new();
        for number in file_numbers(&self.dir)? {
            let found = unless_removed(fs::metadata(file_path(&self.dir, number)))?;
            files.extend(found.map(|found| (number, found.len())));
        }
        let mut all_bytes =
            files.iter().map(|(_, bytes)| bytes).sum::<u64>() + self.file_bytes_max.max(bytes + GAP_BYTES_MAX);
        let mut removed = Vec::new();
        for (number, bytes) in files.into_iter().filter(|(number, _)| *number < self.number) {
            if all_bytes <= bytes_max {
                break;
            }
            all_bytes -= bytes;
            removed.push(number);
        }
        if removed.is_empty() {
            return Ok(());
        }
        // Before they go: a reader that finds no gap takes the journal for whole.
        let mut line = serde_json::to_vec(&Line::Gap { files_removed: removed.len() as u64 })?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file_bytes += line.len() as u64;
        for number in removed {
            unless_removed(fs::remove_file(file_path(&self.dir, number)))?;
        }
        Ok(())
    }
}

/// A journal that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system's own error.
    #[error("the journal {} cannot be read: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is not the last of its file is no line of a journal.
    #[error("{}:{line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// 1 for the first.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Reads a journal from its first line to its last, in order, one line in memory at a time.
#[derive(Debug)]
pub struct Reader {
    files: VecDeque<PathBuf>,
    open: Option<(PathBuf, BufReader<File>, u64)>,
    /// How many torn last lines were skipped.
    pub torn_lines: u64,
}

impl Reader {
    /// Opens the journal in `dir`.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, JournalError> {
        let dir = dir.as_ref();
        let numbers = file_numbers(dir).map_err(|source| JournalError::Io { path: dir.to_owned(), source })?;
        let files = numbers.into_iter().map(|number| file_path(dir, number)).collect();
        Ok(Self { files, open: None, torn_lines: 0 })
    }

    fn next_line(&mut self) -> Result<Option<Line>, JournalError> {
        let mut text = Vec::new();
        loop {
            if self.open.is_none() {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                let file = File::open(&path).map_err(|source| JournalError::Io { path: path.clone(), source })?;
                self.open = Some((path, BufReader::with_capacity(256 * 1024, file), 0));
            }
            let Some((path, file, line)) = &mut self.open else { continue };
            text.clear();
            let io_error = |source| JournalError::Io { path: path.clone(), source };
            let read = file.read_until(b'\n', &mut text).map_err(io_error)?;
            *line += 1;
            let whole = text.last() == Some(&b'\n');
            if read == 0 || !whole {
                self.torn_lines += u64::from(read > 0);
                self.open = None;
                continue;
            }
            return match serde_json::from_slice(&text) {
                Ok(parsed) => Ok(Some(parsed)),
                Err(source) => Err(JournalError::Line { path: path.clone(), line: *line, source }),
            };
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Line, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}
