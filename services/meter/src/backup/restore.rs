//! Writing a backup into empty topics.
//!
//! What names an offset, and how it stays right where offsets begin anew:
//! - *Sources of entries* (`source_topic`, `source_offset`): the ledger's records keep their input generation, and the
//!   meter goes on in the next one; offsets are compared within a generation only.
//! - *Dead letters* are named after the record that they are of. From generation 1 on the meter writes it behind the topic's
//!   name (`tollbooth.usage@1`), so that no new letter has an old one's id, nor that of one that was posted.
//! - *Committed offsets* of the meter: 0, with the generation beside them. What had not been consumed is in the new topics,
//!   from their beginning. What was consumed all the same (the backup is not of one instant) is a repeat: operations and
//!   idempotency keys are in the ledger.
//! - *Committed offsets* of effects and sink: none. Both begin at the beginning.
//! - *Stores and checkpoints* of meters say which ledger record was their last, and are discarded.
//! - *Rows in ClickHouse* are of another ledger: the sink refuses the database and fills a new one.

use std::time::Instant;

use anyhow::{bail, ensure};
use tollbooth_chassis::kafka::{KafkaClients, partition_for};
use tollbooth_schemas::{dead_letter::header, topics::TopicSet};

use super::{
    Kept, Outcome, RestoreArgs,
    manifest::Manifest,
    place::Place,
    segment::Stored,
    stream::each,
    target::Target,
    topic,
    write::{Progress, Writer},
};
use crate::{config::MeterConfig, verify::log::Log};

/// Reads all of it.
pub(super) fn check(place: &Place, manifest: &Manifest) -> anyhow::Result<Outcome> {
    let (began, mut records) = (Instant::now(), 0_u64);
    each(place, manifest, |_, _, _| {
        records += 1;
        Ok(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(Outcome(format!("backup {} is whole: {records} records to restore, read in {seconds:.1} s\n", manifest.id)))
}

pub(super) fn run(
    config: &MeterConfig,
    args: &RestoreArgs,
    place: &Place,
    manifest: &Manifest,
) -> anyhow::Result<Outcome> {
    let (began, topics) = (Instant::now(), config.topic_set());
    let (from, to) = (manifest.partitions, topics.partitions);
    if from != to && !args.rekey {
        bail!("the backup has {from} partitions and topics.partitions is {to}: --rekey spreads the accounts anew");
    }
    let clients = KafkaClients::new(config.kafka.clone());
    let target = Target::new(config, &clients)?;
    let mut writer = Writer::new(&clients, &config.group, &topics, &manifest.id)?;
    let generation = manifest.input_generation + 1;
    let progress = writer.progress()?;
    if progress == Progress::Done {
        target.close()?;
        return Ok(Outcome(format!("backup {} was restored before; input_generation is {generation}\n", manifest.id)));
    }
    target.make_missing()?;
    if progress == Progress::New {
        // Before anything is changed: they may be those of an installation that runs.
        target.ensure_empty(&Log::new(clients)?)?;
        writer.begin()?;
    }
    target.open()?;
    let written_before = if let Progress::Written(records) = progress { records } else { 0 };
    let mut position = 0_u64;
    each(place, manifest, |kept, partition, mut stored| {
        position += 1;
        if position <= written_before {
            return Ok(());
        }
        if kept.name == "dead-letter" {
            rename_source(&mut stored, manifest, &topics);
        }
        let partition = if kept.is_keyed { placed(kept, partition, &stored, from, to)? } else { 0 };
        writer.write(&topic(&topics, kept.name), partition, &stored)
    })?;
    ensure!(position >= written_before, "{written_before} records were written, and the backup has {position}");
    // Last of all: until then neither the meter nor ingest starts.
    let records = writer.finish(generation)?;
    target.close()?;
    Ok(Outcome(format!(
        "backup {} restored to {}: {records} records in {:.1} s, {written_before} of them before. Set for every meter and \
         for verify: input_generation = {generation} (TOLLBOOTH_METER__INPUT_GENERATION). Give the sink an empty \
         database.\n",
        manifest.id,
        topics.prefix,
        began.elapsed().as_secs_f64()
    )))
}

/// A letter is of this installation's topics, whatever their prefix was.
fn rename_source(stored: &mut Stored, manifest: &Manifest, topics: &TopicSet) {
    let sources = stored.headers.iter_mut().filter(|header| header.name == header::SOURCE_TOPIC);
    for value in sources.filter_map(|header| header.value.as_mut()) {
        let name = std::str::from_utf8(value).ok().and_then(|name| name.strip_prefix(&manifest.prefix));
        if let Some(name) = name {
            *value = topic(topics, name).into_bytes();
        }
    }
}

/// Where a record goes. What lay where its key does not belong is a dead letter `wrong_partition` or will be one: it must
/// not come to lie where it belongs by accident.
fn placed(kept: &Kept, partition: i32, stored: &Stored, from: i32, to: i32) -> anyhow::Result<i32> {
    if from == to {
        return Ok(partition);
    }
    let key = stored.key.as_deref().unwrap_or_default();
    let (was, home) = (partition_for(key, from), partition_for(key, to).unwrap_or_default());
    if was == Some(partition) {
        return Ok(home);
    }
    ensure!(kept.name != "ledger", "ledger/{partition} offset {}: does not belong into its partition", stored.offset);
    Ok((home + 1) % to.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{KEPT, segment::StoredHeader};

    fn kept(name: &str) -> Kept {
        *KEPT.iter().find(|kept| kept.name == name).unwrap()
    }

    #[test]
    fn a_record_goes_where_its_key_belongs_and_a_stray_one_stays_astray() {
        for number in 0..500 {
            let key = format!("acc_{number}");
            let stored = Stored { key: Some(key.clone().into_bytes()), ..Stored::default() };
            let (was, home) = (partition_for(key.as_bytes(), 8).unwrap(), partition_for(key.as_bytes(), 12).unwrap());
            assert_eq!(placed(&kept("ledger"), was, &stored, 8, 12).unwrap(), home);
            let astray = (was + 1) % 8;
            assert_ne!(placed(&kept("usage"), astray, &stored, 8, 12).unwrap(), home);
            assert_eq!(placed(&kept("usage"), astray, &stored, 8, 8).unwrap(), astray);
            assert!(placed(&kept("ledger"), astray, &stored, 8, 12).is_err());
        }
    }

    #[test]
    fn a_letter_keeps_its_generation_and_takes_the_new_prefix() {
        let manifest = Manifest::new("1", String::new(), String::new(), "old.".to_owned(), 8);
        let topics = TopicSet { prefix: "new.".to_owned(), partitions: 8 };
        let renamed = |name: &str| {
            let value = Some(name.as_bytes().to_vec());
            let headers = vec![StoredHeader { name: header::SOURCE_TOPIC.to_owned(), value }];
            let mut stored = Stored { headers, ..Stored::default() };
            rename_source(&mut stored, &manifest, &topics);
            stored.header(header::SOURCE_TOPIC).unwrap().to_owned()
        };
        assert_eq!((renamed("old.usage"), renamed("old.usage@2")), ("new.usage".to_owned(), "new.usage@2".to_owned()));
    }
}
