//! The dead letters held against the faults that the fleet put in, id by id.
//!
//! A fault is one record, or more where the fleet did not hear whether it had arrived: then the journal says so before the
//! record is sent again. Each record that lies in `usage` is a dead letter of its own. So an id has one letter, and at most
//! one more for each line of the journal that says that it is sent again. That no record is without its letter, and no
//! letter without its record, says the audit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::kafka::DeadLetter;

/// A fault, as the journal has it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Fault {
    reason: String,
    /// How often it was sent again because no answer had come.
    again: u64,
}

/// Every fault that must be a dead letter, by id.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<String, Fault>);

/// Letters of one reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Letters {
    /// Faults that the fleet put in.
    pub injected: u64,
    /// Of these, those with a letter.
    pub found: u64,
    /// Further letters of theirs: records that were sent again, and had arrived.
    pub again: u64,
}

impl Faults {
    /// Reads a journal.
    pub(super) fn read(journal: &Path) -> anyhow::Result<Self> {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(journal).with_context(|| journal.display().to_string())? {
            files.push(entry?.path());
        }
        // Their numbers have as many digits.
        files.sort();
        let mut faults = Self::default();
        for file in files {
            for line in BufReader::new(File::open(&file)?).lines() {
                let line = line?;
                faults.line(&line).with_context(|| format!("{}: {line}", file.display()))?;
            }
        }
        Ok(faults)
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        // Most lines are about neither, and are not taken apart.
        let is_fault = line.contains(r#""expect":"dead_letter""#);
        if !is_fault && !line.starts_with(r#"{"record":"unanswered""#) {
            return Ok(());
        }
        let line: Value = serde_json::from_str(line)?;
        if is_fault {
            let text = |name: &str| line[name].as_str().map(ToOwned::to_owned).with_context(|| name.to_owned());
            self.0.entry(text("id")?).or_insert(Fault { reason: text("reason")?, again: 0 });
        }
        for id in line["ids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Some(fault) = self.0.get_mut(id) {
                fault.again += 1;
            }
        }
        Ok(())
    }

    /// Letters by reason, and what is wrong with them.
    pub(super) fn compare(&self, letters: &[DeadLetter]) -> (BTreeMap<String, Letters>, Vec<String>) {
        let mut findings = Vec::new();
        let mut places = BTreeSet::new();
        let mut found: BTreeMap<&str, u64> = BTreeMap::new();
        for letter in letters {
            let source = &letter.source;
            let name = format!("the dead letter of {} {}/{}", source.topic, source.partition, source.offset);
            if !places.insert((&source.topic, source.partition, source.offset)) {
                findings.push(format!("{name} is there twice"));
            }
            match self.id_of(letter).and_then(|id| Some((id, self.0.get(id)?))) {
                None => findings.push(format!("{name} ({}) is of no fault: {:?}", letter.reason, letter.id)),
                Some((id, fault)) if fault.reason != letter.reason => {
                    findings.push(format!("{name} ({id}) is {}, not {}", letter.reason, fault.reason));
                }
                Some((id, _)) => *found.entry(id).or_default() += 1,
            }
        }
        let mut sums: BTreeMap<String, Letters> = BTreeMap::new();
        for (id, fault) in &self.0 {
            let count = found.get(id.as_str()).copied().unwrap_or_default();
            let sum = sums.entry(fault.reason.clone()).or_default();
            sum.injected += 1;
            sum.found += count.min(1);
            sum.again += count.saturating_sub(1);
            if count == 0 || count > 1 + fault.again {
                let Fault { reason, again } = fault;
                findings.push(format!("{id} ({reason}) was sent once and {again} times again: {count} dead letters"));
            }
        }
        (sums, findings)
    }

    /// The letter's own id, or the word of its bytes that is one of a fault.
    fn id_of<'a>(&'a self, letter: &'a DeadLetter) -> Option<&'a str> {
        let known = |id: &str| self.0.get_key_value(id).map(|(id, _)| id.as_str());
        if let Some(id) = &letter.id {
            return known(id);
        }
        let text = String::from_utf8_lossy(&letter.payload);
        text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_-.:".contains(letter))).find_map(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Place;

    const JOURNAL: [&str; 5] = [
        r#"{"record":"planned","id":"r-1","expect":"dead_letter","reason":"no_price"}"#,
        r#"{"record":"planned","id":"r-2","expect":"dead_letter","reason":"malformed"}"#,
        r#"{"record":"planned","id":"r-3","expect":"charge"}"#,
        r#"{"record":"unanswered","ids":["r-1","r-3"]}"#,
        r#"{"record":"acked","at":"2026-11-26T16:00:00.000Z","ids":["r-1","r-2","r-3"]}"#,
    ];

    fn letter(id: Option<&str>, reason: &str, offset: i64) -> DeadLetter {
        let source = Place { topic: "tollbooth.usage".to_owned(), partition: 3, offset };
        let (reason, detail, id) = (reason.to_owned(), String::new(), id.map(ToOwned::to_owned));
        DeadLetter { reason, detail, source, id, traceparent: None, payload: b"this is no event: r-2".to_vec() }
    }

    fn compare(letters: &[DeadLetter]) -> anyhow::Result<(BTreeMap<String, Letters>, Vec<String>)> {
        let mut faults = Faults::default();
        JOURNAL.iter().try_for_each(|line| faults.line(line))?;
        Ok(faults.compare(letters))
    }

    #[test]
    fn a_fault_has_a_letter_and_one_more_where_it_was_sent_again() -> anyhow::Result<()> {
        let (once, twice) = (letter(Some("r-1"), "no_price", 1), letter(Some("r-1"), "no_price", 9));
        let malformed = letter(None, "malformed", 2);
        for (letters, again) in [(vec![once.clone(), malformed.clone()], 0), (vec![once, malformed, twice], 1)] {
            let (sums, findings) = compare(&letters)?;
            assert_eq!(findings, Vec::<String>::new());
            assert_eq!(sums["no_price"], Letters { injected: 1, found: 1, again });
            assert_eq!(sums["malformed"], Letters { injected: 1, found: 1, again: 0 });
        }
        Ok(())
    }

    #[test]
    fn a_letter_too_many_does_not_stand_for_one_that_is_missing() -> anyhow::Result<()> {
        let first = letter(Some("r-1"), "no_price", 1);
        let second = letter(None, "malformed", 2);
        let wrong: [&[DeadLetter]; 6] = [
            // one is missing, and as many letters are there as faults
            &[first.clone(), letter(Some("r-1"), "no_price", 3)],
            // twice, and nothing was sent again
            &[first.clone(), second.clone(), letter(None, "malformed", 3)],
            // sent again once, and there three times
            &[first.clone(), second.clone(), letter(Some("r-1"), "no_price", 3), letter(Some("r-1"), "no_price", 4)],
            // of one record
            &[first.clone(), second.clone(), letter(Some("r-1"), "no_price", 1)],
            // of good work, of nothing at all
            &[first.clone(), second.clone(), letter(Some("r-3"), "no_price", 3)],
            &[first.clone(), second, letter(Some("r-4"), "no_price", 3)],
        ];
        for letters in wrong {
            assert_eq!(compare(letters)?.1.len(), 1, "{letters:?}: {:?}", compare(letters)?.1);
        }
        // of another reason: a wrong letter, and none of the right one
        assert_eq!(compare(&[first, letter(None, "no_price", 2)])?.1.len(), 2);
        Ok(())
    }
}
