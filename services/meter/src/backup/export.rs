//! Making a backup.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use prost::Message;
use rdkafka::{
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, Consumer as _},
};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning};
use tollbooth_schemas::time::rfc3339;

use super::{
    BackupArgs, Extent, KEPT, Kept, Outcome, Reader,
    manifest::{Manifest, Part, Segment},
    place::Place,
    segment::{Stored, Writer},
    topic,
};
use crate::{
    config::MeterConfig,
    generation,
    verify::log::{Log, Span},
};

const BROKER_WAIT: Duration = Duration::from_secs(30);

/// As much of a ledger record as a copy must know.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LedgerHead {
    #[prost(int64, tag = "2")]
    pub(super) posted_at_ms: i64,
    #[prost(uint32, tag = "3")]
    pub(super) input_generation: u32,
}

pub(super) fn run(config: &MeterConfig, args: &BackupArgs) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let place = Place::open(&args.to)?;
    let clients = KafkaClients::new(config.kafka.clone());
    let now_ms = chrono::Utc::now().timestamp_millis();
    let topics = config.topic_set();
    let cluster_id = cluster_id(&clients)?;
    let mut manifest =
        Manifest::new(&format!("{now_ms:013}"), rfc3339(now_ms), cluster_id, topics.prefix.clone(), topics.partitions);
    // As the meters are set: what was restored and has posted nothing since has no record that says so.
    let marks = generation::marks(&clients, &config.group, &topics).context("cannot ask for the group's offsets")?;
    generation::check(config.input_generation, &marks)?;
    manifest.input_generation = config.input_generation;
    let before = place.latest()?;
    if let Some(before) = &before {
        ensure!(before.id < manifest.id, "the newest backup there, {}, is from the future", before.id);
        let is_same = (&before.cluster_id, &before.prefix, before.partitions)
            == (&manifest.cluster_id, &manifest.prefix, manifest.partitions);
        ensure!(is_same, "there lie backups of another cluster, prefix or number of partitions: use an empty place");
        // Topics of the same name that were made anew: what an earlier backup has of them is not what came before these.
        ensure!(
            before.input_generation == manifest.input_generation,
            "there lie backups of input generation {}, and the topics are of generation {}: use an empty place",
            before.input_generation,
            manifest.input_generation
        );
    }
    let mut export = Export { config, args, place: &place, log: Log::new(clients)?, manifest, written: 0 };
    // Before anything is read, see `KEPT`.
    let mut positions = export.positions(Reader::Meter)?;
    positions.extend(export.positions(Reader::Effects)?);
    for kept in &KEPT {
        export.topic(kept, before.as_ref(), &positions).with_context(|| topic(&topics, kept.name))?;
    }
    place.put_manifest(&export.manifest)?;
    let manifest = &export.manifest;
    let counts: Vec<String> =
        KEPT.iter().map(|kept| format!("{} {}", kept.name, manifest.records(kept.name))).collect();
    Ok(Outcome(format!(
        "backup {} of {} at {}: records of {}; {} bytes, {} of them new, in {:.1} s\n",
        manifest.id,
        manifest.prefix,
        args.to,
        counts.join(", "),
        manifest.bytes(),
        export.written,
        began.elapsed().as_secs_f64()
    )))
}

fn cluster_id(clients: &KafkaClients) -> anyhow::Result<String> {
    let config = clients.reader("tollbooth-backup", ReaderTuning::default());
    let consumer = BaseConsumer::from_config_and_context(&config, LogContext)?;
    consumer.client().fetch_cluster_id(BROKER_WAIT).context("the brokers did not tell the cluster's id")
}

/// Next offsets by topic name and partition.
type Positions = Vec<(&'static str, Vec<Option<i64>>)>;

struct Export<'a> {
    config: &'a MeterConfig,
    args: &'a BackupArgs,
    place: &'a Place,
    log: Log,
    manifest: Manifest,
    /// Bytes that were not there before.
    written: u64,
}

impl Export<'_> {
    /// How far a reader is in the topics that it deals with.
    fn positions(&self, reader: Reader) -> anyhow::Result<Positions> {
        let group = match reader {
            Reader::Meter => &self.config.group,
            Reader::Effects => &self.args.effects_group,
        };
        let topics = self.config.topic_set();
        let of_reader = KEPT.iter().filter(|kept| kept.extent == Extent::Tail(reader));
        let asked = of_reader.map(|kept| {
            let committed = self.log.committed(group, &topic(&topics, kept.name), topics.partitions)?;
            Ok((kept.name, committed))
        });
        asked.collect()
    }

    fn topic(&mut self, kept: &Kept, before: Option<&Manifest>, positions: &Positions) -> anyhow::Result<()> {
        let topics = self.config.topic_set();
        let name = topic(&topics, kept.name);
        let partitions = if kept.is_keyed { topics.partitions } else { 1 };
        for span in self.log.spans(&name, partitions)? {
            let index = usize::try_from(span.partition)?;
            let earlier = before.into_iter().flat_map(|before| before.of(kept.name));
            let earlier = earlier.into_iter().find(|part| part.partition == span.partition);
            let mut part = match (kept.extent, earlier) {
                (Extent::Grows, Some(earlier)) => earlier.clone(),
                _ => Part {
                    topic: kept.name.to_owned(),
                    partition: span.partition,
                    from: span.from,
                    to: span.from,
                    segments: Vec::new(),
                },
            };
            if let Extent::Tail(_) = kept.extent {
                let committed = positions.iter().find(|(name, _)| *name == kept.name);
                let next = committed.and_then(|(_, next)| next.get(index).copied().flatten());
                let next = next.unwrap_or(span.from);
                ensure!(next >= span.from, "partition {}: records were deleted unread", span.partition);
                (part.from, part.to) = (next, next);
            }
            continues(kept, &part, span)?;
            let to = span.to.max(part.to);
            self.copy(kept, &name, Span { from: part.to.max(span.from), to, ..span }, &mut part)?;
            part.to = to;
            self.manifest.parts.push(part);
        }
        Ok(())
    }

    /// Writes the committed records of a span as objects.
    fn copy(&mut self, kept: &Kept, topic: &str, span: Span, part: &mut Part) -> anyhow::Result<()> {
        let (place, id) = (self.place, self.manifest.id.clone());
        let is_ledger = kept.name == "ledger";
        let (mut writer, mut failure, mut generation) = (Writer::new(), None, self.manifest.input_generation);
        let put = |writer: Writer, segments: &mut Vec<Segment>| -> anyhow::Result<u64> {
            let name = format!("segments/{}/{}/{id}-{:05}.gz", kept.name, span.partition, segments.len());
            let (object, records) = writer.finish()?;
            let segment = place.put_segment(name, records, object)?;
            let bytes = segment.bytes;
            segments.push(segment);
            Ok(bytes)
        };
        let (segments, written) = (&mut part.segments, &mut self.written);
        self.log.read(topic, &[span], |record| {
            if failure.is_some() {
                return;
            }
            let mut take = || -> anyhow::Result<()> {
                if is_ledger {
                    let head = LedgerHead::decode(record.payload.unwrap_or_default());
                    let head = head.with_context(|| format!("offset {} is no ledger record", record.offset))?;
                    generation = generation.max(head.input_generation);
                }
                writer.push(&Stored::of(record))?;
                if writer.is_full() {
                    *written += put(std::mem::replace(&mut writer, Writer::new()), segments)?;
                }
                Ok(())
            };
            failure = take().err();
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        if writer.records > 0 {
            *written += put(writer, segments)?;
        }
        ensure!(
            generation == self.manifest.input_generation,
            "the ledger has entries of input generation {generation}, and input_generation is {}: set it as it is for the meters",
            self.manifest.input_generation
        );
        Ok(())
    }
}

/// What was copied before must be followed by what is there now.
fn continues(kept: &Kept, part: &Part, span: Span) -> anyhow::Result<()> {
    let (name, partition) = (kept.name, span.partition);
    if span.to < part.to {
        bail!(
            "{name}/{partition} ends at {}, and an earlier backup has it up to {}: it was made anew",
            span.to,
            part.to
        );
    }
    // Dead letters are kept for 90 days; those that are gone are too old to be driven again.
    if span.from > part.to && name != "dead-letter" {
        bail!("{name}/{partition} begins at {}, and an earlier backup has it up to {}", span.from, part.to);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_not_the_one_of_the_backup_before_is_refused() {
        let [letters, ledger, ..] = KEPT;
        let part = |to| Part { topic: String::new(), partition: 0, from: 0, to, segments: Vec::new() };
        let span = Span { partition: 0, from: 10, to: 20 };
        assert!(continues(&ledger, &part(10), span).is_ok());
        assert!(continues(&ledger, &part(20), span).is_ok());
        assert!(continues(&ledger, &part(21), span).is_err());
        assert!(continues(&ledger, &part(9), span).is_err());
        assert!(continues(&letters, &part(9), span).is_ok());
    }

    #[test]
    fn a_ledger_record_is_read_as_far_as_a_copy_must() {
        use tollbooth_schemas::v1::LedgerRecord;
        let record = LedgerRecord {
            account_id: "acc_a".to_owned(),
            posted_at_ms: 1_795_000_000_000,
            input_generation: 3,
            entries: vec![Default::default()],
        };
        let head = LedgerHead::decode(record.encode_to_vec().as_slice()).unwrap();
        assert_eq!((head.posted_at_ms, head.input_generation), (1_795_000_000_000, 3));
    }
}
