//! Input that the meter had not consumed: what was acknowledged there may still come.

use hashbrown::HashSet;

use super::{
    audit::LogRecord,
    dead::{RAW_BYTES_MAX, event_id},
    digest,
};

/// Records of `usage`, by what a journal knows of them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    ids: HashSet<u64>,
    /// The beginnings of those whose id cannot be read.
    raw: Vec<Box<[u8]>>,
}

impl Waiting {
    /// One more.
    pub(super) fn push(&mut self, record: &LogRecord<'_>) {
        let payload = record.payload.unwrap_or_default();
        match event_id(record, payload) {
            Some(id) => self.push_id(&id),
            None => self.raw.push(payload.get(..RAW_BYTES_MAX).unwrap_or(payload).into()),
        }
    }

    fn push_id(&mut self, id: &str) {
        self.ids.insert(digest::of_bytes(id.as_bytes()));
    }

    /// Looks for an id in those that have none to be read.
    pub(super) fn resolve(&mut self, find: impl Fn(&[u8]) -> Option<String>) {
        for id in std::mem::take(&mut self.raw).iter().filter_map(|raw| find(raw)) {
            self.push_id(&id);
        }
    }

    /// Whether the record of this id is among them.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.ids.contains(&digest::of_bytes(id.as_bytes()))
    }
}
