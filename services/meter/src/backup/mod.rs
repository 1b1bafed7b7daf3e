//! A whole installation as objects elsewhere, and back: `tollbooth-meter backup`, `restore`.
//!
//! What is true stands in topics, so a backup is their committed records; ClickHouse and the meters' stores are made anew
//! from the ledger. `<url>/segments/<topic>/<partition>/...` are objects that never change, `<url>/manifests/<id>.json`,
//! written last, names all that belong to a backup with their checksums. The next backup reads on where the one before
//! ended ([`Extent::Grows`]).
//!
//! A restore writes into empty topics, of the same number of partitions or another one. Offsets begin anew there, so it
//! raises the input generation; what else names offsets is told apart as [`restore`] says.

mod export;
mod manifest;
mod place;
mod restore;
mod segment;
mod stream;
mod target;
mod write;

use std::fmt;

pub use manifest::{Manifest, Part, Segment};
use tollbooth_schemas::topics::TopicSet;

use crate::config::MeterConfig;
use place::Place;

/// What `tollbooth-meter backup` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct BackupArgs {
    /// Where it goes: `file:///...`, or `s3://bucket/prefix`. What lies there of an earlier one is
    /// not written again.
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Consumer group of the effects: what it has not carried out is kept.
    #[arg(long, value_name = "GROUP", default_value = "tollbooth-effects")]
    pub effects_group: String,
}

/// What `tollbooth-meter restore` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct RestoreArgs {
    /// Where backups lie.
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Which one. Default: the newest.
    #[arg(long)]
    pub id: Option<String>,
    /// Spread the accounts over another number of partitions than the backup has.
    #[arg(long)]
    pub rekey: bool,
    /// Only read everything and compare it with its checksums.
    #[arg(long, conflicts_with = "rekey")]
    pub check: bool,
}

/// How much of a topic a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Everything; what an earlier backup has of it stays as it is.
    Grows,
    /// Everything, each time anew: of a compacted topic a tombstone may come and go between two backups, and of one that is
    /// kept for a while the oldest records.
    Anew,
    /// What its reader has not dealt with.
    Tail(Reader),
}

/// Who deals with the records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Meter,
    Effects,
}

/// A topic of a backup, without its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    name: &'static str,
    extent: Extent,
    is_keyed: bool,
}

const fn kept(name: &'static str, extent: Extent, is_keyed: bool) -> Kept {
    Kept { name, extent, is_keyed }
}

/// In the order in which they are read. Where readers stand is asked before all of it.
///
/// What was consumed by then left its letters and entries below the ends that are taken afterwards; so nothing that was
/// acknowledged is missing in all of them. Letters come before the ledger: one whose entry is not there yet is open, and
/// to drive an open letter again charges nothing twice. What the ledger's entries refer to (prices, effects) comes after it.
const KEPT: [Kept; 11] = [
    kept("dead-letter", Extent::Grows, false),
    kept("ledger", Extent::Grows, true),
    kept("outbox", Extent::Tail(Reader::Effects), true),
    kept("price-book", Extent::Grows, false),
    kept("registry", Extent::Anew, false),
    kept("deliveries", Extent::Anew, false),
    kept("key-usage", Extent::Anew, false),
    kept("ended-sessions", Extent::Anew, false),
    kept("audit", Extent::Grows, false),
    kept("commands", Extent::Tail(Reader::Meter), true),
    kept("usage", Extent::Tail(Reader::Meter), true),
];

/// What was done, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome(String);

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Copies everything that is committed, and not yet there, to the place. Blocks; call it outside a runtime.
///
/// # Errors
/// When something cannot be read or written, or the place has backups of another installation. What was written is no
/// backup then.
pub fn backup(config: &MeterConfig, args: &BackupArgs) -> anyhow::Result<Outcome> {
    export::run(config, args)
}

/// Writes a backup into empty topics, or goes on with it. Blocks; call it outside a runtime.
///
/// # Errors
/// When an object is not what the manifest says, or the topics are not empty. Run it again where it was interrupted.
pub fn restore(config: &MeterConfig, args: &RestoreArgs) -> anyhow::Result<Outcome> {
    let place = Place::open(&args.from)?;
    let manifest = place.manifest(args.id.as_deref())?;
    if args.check { restore::check(&place, &manifest) } else { restore::run(config, args, &place, &manifest) }
}

fn topic(topics: &TopicSet, name: &str) -> String {
    format!("{}{name}", topics.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_kept_or_holds_nothing_that_is_missed() {
        let topics = TopicSet { prefix: String::new(), partitions: 8 };
        let names: Vec<String> = topics.specs().into_iter().map(|spec| spec.name).collect();
        let (mut left, mut keyed) = (Vec::new(), Vec::new());
        for spec in topics.specs() {
            match KEPT.iter().find(|kept| kept.name == spec.name) {
                Some(kept) => {
                    assert_eq!(kept.is_keyed, spec.partitions == 8, "{}", spec.name);
                    keyed.extend(kept.is_keyed.then_some(spec.name));
                }
                None => left.push(spec.name),
            }
        }
        // Answers that nobody waits for any more, and an empty topic.
        assert_eq!(left, ["replies", "sink-lease"], "{names:?}");
        assert_eq!(keyed, ["usage", "commands", "ledger", "outbox"]);
    }
}
