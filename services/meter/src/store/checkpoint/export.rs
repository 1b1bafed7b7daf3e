//! Making a checkpoint, beside the worker: it reads a snapshot of the store, and debits go on.

use std::sync::Arc;

use fjall::{Keyspace, Readable as _};
use object_store::{ObjectStoreExt as _, PutPayload, path::Path as ObjectPath};
use prost::Message as _;
use tollbooth_schemas::time::rfc3339;

use super::{
    CheckpointError, Checkpoints, MANIFEST,
    manifest::{Manifest, Part, checksum},
    runtime,
};
use crate::store::{Identity, STATE, Store, Tag, week_name};

/// Memory that one part takes, about; a row more than that is a part of its own.
const PART_BYTES: usize = 16 << 20;

/// A store as it was after one of its writes, whatever is written since.
pub(crate) struct Snapshot {
    snapshot: fjall::Snapshot,
    tables: Vec<(String, Keyspace)>,
    tag: Tag,
}

impl Store {
    /// As it is now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let weeks = self.weeks.iter().map(|(week, table)| (week_name(*week), table.keyspace.clone()));
        let tables = std::iter::once((STATE.to_owned(), self.state.clone())).chain(weeks).collect();
        Snapshot { snapshot: self.db.snapshot(), tables, tag: self.tag.clone() }
    }
}

/// One row of a part: both lengths, then both.
fn put_row(part: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for bytes in [key, value] {
        part.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    part.extend_from_slice(key);
    part.extend_from_slice(value);
}

impl Checkpoints {
    /// Makes one on a thread of its own, and tells `done` what came of it; `false`: another one is being made.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn begin(
        self: &Arc<Self>,
        identity: Identity,
        store: &Store,
        done: impl FnOnce(Result<i64, CheckpointError>) + Send + 'static,
    ) -> Result<bool, CheckpointError> {
        let Some(busy) = self.busy() else { return Ok(false) };
        let (checkpoints, snapshot) = (Arc::clone(self), store.snapshot());
        std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || {
            let outcome = checkpoints.make(&identity, &snapshot);
            drop(busy);
            done(outcome);
        })?;
        Ok(true)
    }

    /// Makes one; gives back the ledger's offset it goes up to.
    ///
    /// # Errors
    /// When the store cannot be read, or the checkpoints' store written. What was written is no checkpoint then.
    pub(crate) fn make(&self, identity: &Identity, snapshot: &Snapshot) -> Result<i64, CheckpointError> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        let next_offset = snapshot.tag.next_offset;
        let folder = self.folder(identity).join(format!("{next_offset:020}-{now_ms:013}"));
        runtime()?.block_on(async {
            let mut parts = Vec::new();
            for (table, keyspace) in &snapshot.tables {
                let mut part = Vec::new();
                for row in snapshot.snapshot.iter(keyspace) {
                    let (key, value) = row.into_inner().map_err(crate::store::StoreError::from)?;
                    if part.len() + key.len() + value.len() > PART_BYTES && !part.is_empty() {
                        self.put_part(&folder, table, std::mem::take(&mut part), &mut parts).await?;
                    }
                    put_row(&mut part, &key, &value);
                }
                if !part.is_empty() {
                    self.put_part(&folder, table, part, &mut parts).await?;
                }
            }
            let manifest = Manifest {
                tag: snapshot.tag.encode_to_vec(),
                cluster_id: identity.cluster_id.clone(),
                ledger: identity.ledger.clone(),
                partition: identity.partition,
                next_offset,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                made_at: rfc3339(now_ms),
                parts,
            };
            let bytes = manifest.to_bytes().map_err(std::io::Error::from)?;
            self.objects.put(&folder.clone().join(MANIFEST), PutPayload::from(bytes)).await?;
            self.prune(identity).await?;
            Ok(next_offset)
        })
    }

    async fn put_part(
        &self,
        folder: &ObjectPath,
        table: &str,
        bytes: Vec<u8>,
        parts: &mut Vec<Part>,
    ) -> Result<(), CheckpointError> {
        let name = format!("{:05}.rows", parts.len());
        parts.push(Part {
            name: name.clone(),
            table: table.to_owned(),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            checksum: checksum(&bytes),
        });
        self.objects.put(&folder.clone().join(name), PutPayload::from(bytes)).await?;
        Ok(())
    }
}
