//! What ingest refused: kept beside the queue, with the reason, for a person.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Item;
use crate::transport::Problem;

/// A report that ingest refused with a 4xx. It is never sent again by itself and never deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parked {
    /// Its place in the queue.
    pub seq: u64,
    /// CloudEvents `id`.
    pub id: String,
    /// When it was parked, milliseconds since the epoch.
    pub parked_at_ms: i64,
    /// Why.
    pub problem: Problem,
    /// The event as it was sent, line breaks between its tokens as spaces; the text of what is no JSON as a string.
    pub event: Box<RawValue>,
}

/// Place in the queue and id: what makes a parked report the same one.
type Name = (u64, String);

/// One JSON line each. A torn last line belongs to an item that is still in the queue.
#[derive(Debug)]
pub(crate) struct ParkedFile {
    file: File,
    count: u64,
    /// The parked ones at or above the cursor: only these can come a second time. A set and not the highest of them,
    /// because an item before them may have been busy when they were refused, and is refused only now.
    recent: BTreeSet<Name>,
    /// The file may end inside a line.
    torn: bool,
}

impl ParkedFile {
    pub(crate) fn open(path: &Path, cursor: u64) -> io::Result<Self> {
        let parked = list(path)?;
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let torn = ends_inside_a_line(&file)?;
        let count = parked.len() as u64;
        let recent = parked.into_iter().map(|item| (item.seq, item.id)).filter(|(seq, _)| *seq >= cursor).collect();
        Ok(Self { file, count, recent, torn })
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Writes refused items and waits until they are on disk. One that a crash let through a second time is skipped.
    pub(crate) fn append(&mut self, refused: &[(Item, Problem)], now_ms: i64) -> io::Result<()> {
        let mut lines = Vec::new();
        let mut added = Vec::new();
        // What is torn ends here, so that the next one begins at its own line.
        if self.torn {
            lines.push(b'\n');
        }
        for (item, problem) in refused {
            let name = (item.seq, item.id.clone());
            if self.recent.contains(&name) {
                continue;
            }
            let (id, event) = (item.id.clone(), raw(&item.event));
            let line = Parked { seq: item.seq, id, parked_at_ms: now_ms, problem: problem.clone(), event };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
            added.push(name);
        }
        self.torn = true;
        self.file.write_all(&lines)?;
        // Also where nothing was added: an earlier run may have ended before its sync.
        self.file.sync_data()?;
        self.torn = false;
        self.count += added.len() as u64;
        self.recent.extend(added);
        Ok(())
    }

    /// The cursor has passed these: none of them comes again.
    pub(crate) fn forget_below(&mut self, cursor: u64) {
        self.recent = self.recent.split_off(&(cursor, String::new()));
    }
}

/// The event as a part of one line. JSON has line breaks between its tokens only, where a space means the same.
fn raw(event: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(event);
    RawValue::from_string(text.replace('\n', " "))
        .or_else(|_| serde_json::value::to_raw_value(&text))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn ends_inside_a_line(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

/// Everything that is parked, each once: a write whose sync failed is repeated.
pub(crate) fn list(path: &Path) -> io::Result<Vec<Parked>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut items: Vec<Parked> = Vec::new();
    let mut names: BTreeSet<Name> = BTreeSet::new();
    for line in BufReader::new(file).split(b'\n') {
        let Ok(item) = serde_json::from_slice::<Parked>(&line?) else { continue };
        if names.insert((item.seq, item.id.clone())) {
            items.push(item);
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(seq: u64, event: &[u8]) -> (Item, Problem) {
        let item = Item { seq, id: format!("r-{seq}"), event: event.to_vec().into() };
        (item, Problem { status: 422, code: "invalid".to_owned(), detail: "as told".to_owned() })
    }

    fn listed(path: &Path) -> Vec<u64> {
        list(path).unwrap().into_iter().map(|item| item.seq).collect()
    }

    #[test]
    fn a_file_torn_at_any_byte_takes_the_rest_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("parked.jsonl");
        let items = [refused(5, b"{}"), refused(7, b"{}")];
        ParkedFile::open(&path, 0).unwrap().append(&items, 1).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            // given a file that reached the disk up to this byte
            std::fs::write(&path, &whole[..cut]).unwrap();
            // when both are refused again, and another one
            let mut file = ParkedFile::open(&path, 5).unwrap();
            file.append(&items, 2).unwrap();
            file.append(&[refused(6, b"{}")], 3).unwrap();
            // then each is listed once
            let mut seqs = listed(&path);
            seqs.sort_unstable();
            assert_eq!((seqs, file.count()), (vec![5, 6, 7], 3), "cut at {cut}");
        }
    }

    #[test]
    fn whatever_the_bytes_are_they_are_kept_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("parked.jsonl");
        let events: [&[u8]; 6] = [b"{\n  \"id\": \"a\"\r\n}\n", b"no json", b"", b"{\"cut\": ", b"\xff\xfe", b"{}{}"];
        let items: Vec<_> = (0..).zip(events).map(|(seq, event)| refused(seq, event)).collect();
        ParkedFile::open(&path, 0).unwrap().append(&items, 1).unwrap();
        assert_eq!(listed(&path), [0, 1, 2, 3, 4, 5]);
        let events: Vec<String> = list(&path).unwrap().iter().map(|item| item.event.get().to_owned()).collect();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&events[0]).unwrap()["id"], "a");
        assert_eq!(events[1..4], [r#""no json""#, r#""""#, r#""{\"cut\": ""#]);
    }

    #[test]
    fn a_place_that_is_used_anew_is_another_report() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("parked.jsonl");
        ParkedFile::open(&path, 0).unwrap().append(&[refused(0, b"{}")], 1).unwrap();
        // given a queue that was removed while its parked file was kept
        let (mut item, problem) = refused(0, b"{}");
        item.id = "other".to_owned();
        ParkedFile::open(&path, 0).unwrap().append(&[(item, problem)], 2).unwrap();
        let ids: Vec<String> = list(&path).unwrap().into_iter().map(|item| item.id).collect();
        assert_eq!(ids, ["r-0", "other"]);
    }

    #[test]
    fn only_what_can_come_again_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("parked.jsonl");
        let mut file = ParkedFile::open(&path, 0).unwrap();
        file.append(&[refused(3, b"{}"), refused(4, b"{}")], 1).unwrap();
        file.forget_below(4);
        assert_eq!(file.recent, BTreeSet::from([(4, "r-4".to_owned())]));
        assert_eq!(ParkedFile::open(&path, 4).unwrap().recent, file.recent);
        assert_eq!(file.count(), 2);
    }
}
