//! Where backups lie.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};

use super::manifest::{Manifest, Segment, checksum};
use crate::objects::{self, Objects};

const MANIFESTS: &str = "manifests";

/// A directory or an object store, asked from a thread that may block.
pub(super) struct Place {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    runtime: tokio::runtime::Runtime,
}

impl Place {
    pub(super) fn open(address: &str) -> anyhow::Result<Self> {
        let Objects { store: objects, prefix } = objects::open(address, std::env::vars())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { objects, prefix, runtime })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// The newest of all that are whole, or the one of this id.
    pub(super) fn manifest(&self, id: Option<&str>) -> anyhow::Result<Manifest> {
        let newest = match id {
            Some(id) => self.path(&format!("{MANIFESTS}/{id}.json")),
            None => self.newest()?.context("there is no backup")?,
        };
        self.read(&newest)
    }

    /// The newest; `None`: nothing lies there.
    pub(super) fn latest(&self) -> anyhow::Result<Option<Manifest>> {
        self.newest()?.map(|path| self.read(&path)).transpose()
    }

    fn newest(&self) -> anyhow::Result<Option<Path>> {
        let listed = self.objects.list(Some(&self.path(MANIFESTS))).map_ok(|object| object.location);
        let paths: Vec<Path> = self.runtime.block_on(listed.try_collect())?;
        Ok(paths.into_iter().filter(|path| path.as_ref().ends_with(".json")).max())
    }

    fn read(&self, path: &Path) -> anyhow::Result<Manifest> {
        let bytes = self.fetch(path).with_context(|| format!("cannot read {path}"))?;
        Manifest::read(path.as_ref(), &bytes)
    }

    fn fetch(&self, path: &Path) -> object_store::Result<Bytes> {
        self.runtime.block_on(async { self.objects.get(path).await?.bytes().await })
    }

    pub(super) fn put_manifest(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let path = self.path(&format!("{MANIFESTS}/{}.json", manifest.id));
        let payload = PutPayload::from(manifest.to_bytes()?);
        self.runtime.block_on(self.objects.put(&path, payload)).with_context(|| format!("cannot write {path}"))?;
        Ok(())
    }

    pub(super) fn put_segment(&self, name: String, records: u64, object: Vec<u8>) -> anyhow::Result<Segment> {
        let (bytes, checksum) = (u64::try_from(object.len())?, checksum(&object));
        let path = self.path(&name);
        let written = self.runtime.block_on(self.objects.put(&path, PutPayload::from(object)));
        written.with_context(|| format!("cannot write {path}"))?;
        Ok(Segment { name, records, bytes, checksum })
    }

    /// The object of a segment, whole and unchanged.
    pub(super) fn segment(&self, segment: &Segment) -> anyhow::Result<Bytes> {
        let name = &segment.name;
        let object = self.fetch(&self.path(name)).with_context(|| format!("cannot read {name}"))?;
        let is_whole = u64::try_from(object.len())? == segment.bytes && checksum(&object) == segment.checksum;
        ensure!(is_whole, "{name} is not what was written");
        Ok(object)
    }
}
