//! What a backup says of itself: written last, with the checksum of everything that it names.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Of the files' layout.
const FORMAT: u32 = 1;

/// One object with records of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Below the backup's address.
    pub name: String,
    /// How many records.
    pub records: u64,
    /// Length of the object.
    pub bytes: u64,
    /// XXH3 of the object: found are accidents, not forgeries.
    pub checksum: String,
}

/// What there is of a partition: everything in `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The topic without its prefix.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// Exclusive; behind the last record there may be markers.
    pub to: i64,
    /// In order.
    pub segments: Vec<Segment>,
}

/// A whole backup. Objects of the one before are named again, never written again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the layout.
    pub format: u32,
    /// Sorts by time.
    pub id: String,
    /// The Kafka cluster's own id.
    pub cluster_id: String,
    /// In front of the topics' names.
    pub prefix: String,
    /// Of the keyed topics.
    pub partitions: i32,
    /// The highest input generation in the ledger.
    pub input_generation: u32,
    /// Release that made it.
    pub version: String,
    /// RFC 3339.
    pub made_at: String,
    /// By topic and partition.
    pub parts: Vec<Part>,
}

/// Of an object's bytes.
pub(super) fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

impl Manifest {
    /// An empty one.
    pub(super) fn new(id: &str, made_at: String, cluster_id: String, prefix: String, partitions: i32) -> Self {
        let (id, version, parts) = (id.to_owned(), env!("CARGO_PKG_VERSION").to_owned(), Vec::new());
        Self { format: FORMAT, id, cluster_id, prefix, partitions, input_generation: 0, version, made_at, parts }
    }

    /// A line of JSON, and a line with its checksum.
    pub(super) fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        let checksum = checksum(&bytes);
        bytes.push(b'\n');
        bytes.extend_from_slice(checksum.as_bytes());
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub(super) fn read(name: &str, bytes: &[u8]) -> anyhow::Result<Self> {
        let what = || format!("{name} is no manifest of this release");
        let text = std::str::from_utf8(bytes).with_context(what)?;
        let (json, rest) = text.split_once('\n').with_context(what)?;
        ensure!(rest.trim_end() == checksum(json.as_bytes()), "{name} is not what was written");
        let manifest: Self = serde_json::from_str(json).with_context(what)?;
        ensure!(manifest.format == FORMAT, "{}: made by release {}", what(), manifest.version);
        Ok(manifest)
    }

    /// What there is of a topic, by partition.
    pub(super) fn of(&self, topic: &str) -> Vec<&Part> {
        let mut parts: Vec<&Part> = self.parts.iter().filter(|part| part.topic == topic).collect();
        parts.sort_by_key(|part| part.partition);
        parts
    }

    /// Records of a topic.
    #[must_use]
    pub fn records(&self, topic: &str) -> u64 {
        self.of(topic).iter().flat_map(|part| &part.segments).map(|segment| segment.records).sum()
    }

    /// Bytes of all objects.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().flat_map(|part| &part.segments).map(|segment| segment.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_was_changed_or_cut_is_refused() {
        let manifest = Manifest::new("1", "now".to_owned(), "c".to_owned(), "tollbooth.".to_owned(), 8);
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(Manifest::read("m", &bytes).unwrap(), manifest);
        assert!(Manifest::read("m", &bytes[..bytes.len() - 4]).is_err());
        let text = String::from_utf8(bytes).unwrap().replace("\"partitions\":8", "\"partitions\":9");
        assert!(Manifest::read("m", text.as_bytes()).is_err());
        let later = Manifest { format: FORMAT + 1, ..manifest };
        assert!(Manifest::read("m", &later.to_bytes().unwrap()).is_err());
    }
}
