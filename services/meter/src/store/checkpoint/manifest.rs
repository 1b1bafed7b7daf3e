//! What a checkpoint says of itself.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::CheckpointError;

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) table: String,
    pub(super) bytes: u64,
    pub(super) checksum: String,
}

/// Written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The tag of the store as it was written with its last rows: whose it is, and the next offset.
    pub(super) tag: Vec<u8>,
    /// For people; the tag counts.
    pub(super) cluster_id: String,
    pub(super) ledger: String,
    pub(super) partition: i32,
    pub(super) next_offset: i64,
    pub(super) version: String,
    pub(super) made_at: String,
    pub(super) parts: Vec<Part>,
}

/// Of bytes, XXH3 as the reference writes it: found are accidents, not forgeries.
pub(super) fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

impl Manifest {
    /// A line of JSON, and a line with its checksum.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        let checksum = checksum(&bytes);
        bytes.push(b'\n');
        bytes.extend_from_slice(checksum.as_bytes());
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let none = || CheckpointError::Manifest(name.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| none())?;
        let (json, rest) = text.split_once('\n').ok_or_else(none)?;
        if rest.trim_end() != checksum(json.as_bytes()) {
            return Err(none());
        }
        serde_json::from_str(json).map_err(|_| none())
    }
}
