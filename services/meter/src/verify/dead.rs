//! Dead letters: one a source record, whole, for a reason.

use tollbooth_schemas::{
    dead_letter::{self, Reason, header},
    time::parse_rfc3339_ms,
};

use super::{
    audit::{Audit, LogRecord, Source},
    digest,
    report::{Checked, Defect, Unchecked},
};

/// Most bytes of a dead letter that are kept to find a journal's id in them.
pub(super) const RAW_BYTES_MAX: usize = 4 * 1024;

/// A source record: topic, partition, offset.
pub(super) type Place = (Source, i32, i64);

/// A dead letter.
#[derive(Debug)]
pub(super) struct DeadLetter {
    pub(super) offset: i64,
    pub(super) source: Option<Place>,
    pub(super) reason: Option<Reason>,
    pub(super) dead_at_ms: Option<i64>,
    bytes: u64,
    /// CloudEvents id, where one can be read.
    pub(super) id: Option<Box<str>>,
    /// Otherwise the beginning of its bytes.
    pub(super) raw: Box<[u8]>,
    pub(super) is_seen: bool,
}

impl DeadLetter {
    fn of(record: &LogRecord<'_>, source: Option<Place>) -> Self {
        let payload = record.payload.unwrap_or_default();
        let id = event_id(record, payload);
        let raw = if id.is_some() { &[] } else { payload.get(..payload.len().min(RAW_BYTES_MAX)).unwrap_or_default() };
        Self {
            offset: record.offset,
            source,
            reason: record.header_text(header::REASON).and_then(Reason::from_code),
            dead_at_ms: record.header_text(header::DEAD_AT).and_then(parse_rfc3339_ms),
            bytes: digest::of_bytes(payload),
            id,
            raw: raw.into(),
            is_seen: false,
        }
    }

    /// Whether these are the bytes of its record, as far as they are kept.
    pub(super) fn has_bytes(&self, payload: &[u8]) -> bool {
        self.bytes == digest::of_bytes(kept(payload))
    }

    fn says_the_same(&self, other: &Self) -> bool {
        (self.reason, self.bytes, &self.id, &self.raw) == (other.reason, other.bytes, &other.id, &other.raw)
    }
}

impl Audit {
    /// A record of `dead-letter`; `source` is the topic it names, if it is one of the two. After the ledger.
    pub fn dead_letter(&mut self, record: &LogRecord<'_>, source: Option<Source>) {
        if record.header(header::OUTCOME).is_some() {
            self.redrive_outcome(record);
            return;
        }
        let number = |name| record.header_text(name).and_then(|text| text.parse::<i64>().ok());
        let partition = number(header::SOURCE_PARTITION).and_then(|partition| i32::try_from(partition).ok());
        let source = source.zip(partition).zip(number(header::SOURCE_OFFSET)).map(|((a, b), c)| (a, b, c));
        let letter = DeadLetter::of(record, source);
        let at = record.offset;
        if source.is_none() || letter.reason.is_none() {
            self.report.defect(Defect::DeadUnfounded, || format!("dead letter {at} names no reason or no source"));
        }
        if let Some(place) = source
            && let Some(index) = self.dead_by_source.insert(place, self.dead.len())
        {
            if self.may_repeat(index, &letter, place) {
                self.report.checked(Checked::DeadRepeats, 1);
                self.dead_by_source.insert(place, index);
                return;
            }
            let before = self.dead.get(index).map_or(0, |before| before.offset);
            self.report.defect(Defect::DeadDoubled, || format!("dead letters {before} and {at} are of {place:?}"));
            if let Some(before) = self.dead.get_mut(index) {
                // Of this record as well; it is the later one that is held against it.
                before.is_seen = true;
            }
        }
        self.note_dead(record, self.dead.len());
        self.dead.push(letter);
    }

    /// A record of `dead-letter` that names a topic of an earlier input generation: what it is of lies there no more.
    pub fn earlier_dead_letter(&mut self, record: &LogRecord<'_>) {
        if record.header(header::OUTCOME).is_some() {
            self.redrive_outcome(record);
            return;
        }
        self.note_dead(record, self.dead.len());
        self.dead.push(DeadLetter::of(record, None));
        self.count_unchecked(Unchecked::SourceGeneration, 1);
    }

    /// Whether a dead letter that is there may have been written once more.
    ///
    /// A meter whose group answers with an older offset (it was set back, or forgotten, or a commit of its is left hanging)
    /// reads on behind the last record that made an entry, which the ledger tells. What made none is judged again, and
    /// what is dead again is the same letter once more. So nothing of that partition may have been posted from behind
    /// the record before the repeat was written: a meter's clock never runs behind its partition's postings.
    fn may_repeat(&mut self, index: usize, letter: &DeadLetter, (source, partition, offset): Place) -> bool {
        if !self.dead.get(index).is_some_and(|before| before.says_the_same(letter)) {
            return false;
        }
        let key = (self.options.input_generation, source, partition);
        let Some(behind) = self.sources.get_mut(&key).and_then(|entries| entries.behind(offset)) else { return true };
        let account = self.accounts.get(behind.0 as usize);
        let posted = account.and_then(|account| account.entries.get(behind.1 as usize));
        // Within one millisecond nobody can tell.
        posted.zip(letter.dead_at_ms).is_some_and(|(posted, dead_at_ms)| posted.posted_at_ms >= dead_at_ms)
    }

    /// The dead letter of a record, its bytes compared.
    pub(super) fn take_dead(&mut self, at: Place, record: &LogRecord<'_>) -> Option<usize> {
        let index = *self.dead_by_source.get(&at)?;
        let letter = self.dead.get_mut(index)?;
        letter.is_seen = true;
        if letter.bytes != digest::of_bytes(kept(record.payload.unwrap_or_default())) {
            let offset = letter.offset;
            self.report.defect(Defect::DeadAltered, || format!("dead letter {offset} is not the record {at:?}"));
        }
        Some(index)
    }
}

/// The CloudEvents id of a record or a dead letter, wherever it can be read.
pub(super) fn event_id(record: &LogRecord<'_>, payload: &[u8]) -> Option<Box<str>> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    let header = record.header_text("ce_id").map(Box::from);
    header.or_else(|| serde_json::from_slice::<Id>(payload).ok().map(|found| found.id.into()))
}

/// What a dead letter keeps of a record's bytes.
fn kept(payload: &[u8]) -> &[u8] {
    payload.get(..dead_letter::BYTES_MAX).unwrap_or(payload)
}
