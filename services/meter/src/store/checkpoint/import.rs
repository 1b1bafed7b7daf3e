//! Beginning with a checkpoint: the newest one that is what it says, put into an empty store.

use std::path::Path;

use object_store::{ObjectStoreExt as _, path::Path as ObjectPath};
use prost::Message as _;
use tollbooth_ledger::{Limits, State};

use super::{
    CheckpointError, Checkpoints, MANIFEST,
    manifest::{Manifest, checksum},
    runtime,
};
use crate::store::{Bounds, Identity, Store, StoreError, Tag, open_database, options, remove};

/// Where a checkpoint is put, and what it must be of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) cache_bytes: u64,
    pub(crate) identity: &'a Identity,
    pub(crate) limits: &'a Limits,
    pub(crate) ledger: Bounds,
}

impl Checkpoints {
    /// The store and the state of the newest checkpoint that can be used; `None`: there is none. `refused` is told of each
    /// that cannot, `progress` of bytes that were read and of all bytes; where it says `false` it ends.
    ///
    /// # Errors
    /// When it cannot be told which there are.
    pub(crate) fn restore(
        &self,
        target: &Target<'_>,
        mut refused: impl FnMut(&str, &CheckpointError),
        mut progress: impl FnMut(u64, u64) -> bool,
    ) -> Result<Option<(Store, State)>, CheckpointError> {
        let Target { dir, cache_bytes, identity, limits, ledger } = *target;
        let runtime = runtime()?;
        for path in runtime.block_on(self.manifests(identity))? {
            let fetched = runtime.block_on(self.fetch(&path, target, &mut progress));
            let opened = match fetched {
                Ok(false) => return Ok(None),
                Ok(true) => Store::open(dir, cache_bytes, identity, limits, ledger).map_err(CheckpointError::from),
                Err(error) => Err(error),
            };
            match opened {
                Ok(Some(opened)) => return Ok(Some(opened)),
                Ok(None) => refused(path.as_ref(), &CheckpointError::Manifest(path.to_string())),
                Err(error) => refused(path.as_ref(), &error),
            }
            remove(dir)?;
        }
        Ok(None)
    }

    /// Everything of a checkpoint into a store on disk; `false`: not wanted any more.
    async fn fetch(
        &self,
        path: &ObjectPath,
        target: &Target<'_>,
        progress: &mut impl FnMut(u64, u64) -> bool,
    ) -> Result<bool, CheckpointError> {
        let Target { dir, cache_bytes, identity, limits: _, ledger } = *target;
        let bytes = self.objects.get(path).await?.bytes().await?;
        let manifest = Manifest::read(path.as_ref(), &bytes)?;
        let tag = Tag::decode(manifest.tag.as_slice()).map_err(|_| CheckpointError::Manifest(path.to_string()))?;
        tag.check(identity, ledger.low, ledger.end)?;
        let folder = path.as_ref().trim_end_matches(MANIFEST).trim_end_matches('/');
        let folder = ObjectPath::parse(folder).map_err(object_store::Error::from)?;
        remove(dir)?;
        let db = open_database(dir, cache_bytes)?;
        let (mut read, all) = (0, manifest.parts.iter().map(|part| part.bytes).sum());
        for part in &manifest.parts {
            let bytes = self.objects.get(&folder.clone().join(part.name.as_str())).await?.bytes().await?;
            let none = || CheckpointError::Part(format!("{folder}/{}", part.name));
            if checksum(&bytes) != part.checksum {
                return Err(none());
            }
            let keyspace = db.keyspace(&part.table, options).map_err(StoreError::from)?;
            let mut batch = db.batch();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (key, value, after) = next_row(rest).ok_or_else(none)?;
                batch.insert(&keyspace, key, value);
                rest = after;
            }
            batch.commit().map_err(StoreError::from)?;
            read += part.bytes;
            if !progress(read, all) {
                drop(db);
                remove(dir)?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Key, value, and what comes after them.
fn next_row(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (value, rest) = rest.split_first_chunk()?;
    let length = |bytes: &[u8; 4]| usize::try_from(u32::from_be_bytes(*bytes)).ok();
    let (key, rest) = rest.split_at_checked(length(key)?)?;
    let (value, rest) = rest.split_at_checked(length(value)?)?;
    Some((key, value, rest))
}
