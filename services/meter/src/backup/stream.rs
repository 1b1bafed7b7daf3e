//! All records of a backup, one after the other, the same every time: how many were dealt with says where to go on.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
};

use anyhow::Context as _;
use prost::Message as _;
use tollbooth_schemas::{
    dead_letter::{LetterOutcome, header},
    v1::{Command, command::Body},
};

use super::{
    KEPT, Kept,
    export::LedgerHead,
    manifest::{Manifest, Part},
    place::Place,
    segment::{Reader, Stored},
};

/// The records of a partition.
struct Partition<'a> {
    place: &'a Place,
    part: &'a Part,
    next_segment: usize,
    reader: Option<Reader>,
}

impl Partition<'_> {
    fn next(&mut self) -> anyhow::Result<Option<Stored>> {
        loop {
            if let Some(reader) = &mut self.reader
                && let Some(stored) = reader.next()?
            {
                return Ok(Some(stored));
            }
            let Some(segment) = self.part.segments.get(self.next_segment) else { return Ok(None) };
            self.next_segment += 1;
            self.reader = Some(Reader::new(self.place.segment(segment)?, segment.records));
        }
    }
}

/// Hands out every record of a topic with the partition that it lay in: those of a partition in their order, all
/// together by time. Of the ledger that is the posting time, which never goes back in a partition: where accounts of
/// several partitions come to lie in one, it must not go back there either.
fn each_of(
    kept: &Kept,
    place: &Place,
    manifest: &Manifest,
    mut take: impl FnMut(i32, Stored) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let parts = manifest.of(kept.name);
    let mut partitions: Vec<Partition<'_>> =
        parts.iter().map(|part| Partition { place, part, next_segment: 0, reader: None }).collect();
    let mut heads: Vec<Option<Stored>> = partitions.iter().map(|_| None).collect();
    let mut order = BinaryHeap::new();
    let mut refill = |heads: &mut Vec<Option<Stored>>, order: &mut BinaryHeap<_>, index: usize| -> anyhow::Result<()> {
        let (Some(partition), Some(head)) = (partitions.get_mut(index), heads.get_mut(index)) else { return Ok(()) };
        *head = partition.next()?;
        if let Some(stored) = head {
            order.push(Reverse((time_of(kept, stored)?, index)));
        }
        Ok(())
    };
    for index in 0..parts.len() {
        refill(&mut heads, &mut order, index)?;
    }
    while let Some(Reverse((_, index))) = order.pop() {
        if let Some(stored) = heads.get_mut(index).and_then(Option::take) {
            take(parts.get(index).map_or(0, |part| part.partition), stored)?;
        }
        refill(&mut heads, &mut order, index)?;
    }
    Ok(())
}

fn time_of(kept: &Kept, stored: &Stored) -> anyhow::Result<i64> {
    if kept.name != "ledger" {
        return Ok(stored.timestamp_ms.unwrap_or_default());
    }
    let head = LedgerHead::decode(stored.payload.as_deref().unwrap_or_default());
    Ok(head.with_context(|| format!("offset {} is no ledger record", stored.offset))?.posted_at_ms)
}

/// Hands out everything that is to be written, in the order of [`KEPT`].
///
/// Left out are dead letters that were dealt with, what became of letters, and orders to drive one again: letters get
/// other ids, and whoever asked for one is told to ask again.
pub(super) fn each(
    place: &Place,
    manifest: &Manifest,
    mut take: impl FnMut(&Kept, i32, Stored) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut letters = Letters::read(place, manifest)?;
    for kept in &KEPT {
        each_of(kept, place, manifest, |partition, stored| {
            let is_wanted = match kept.name {
                "dead-letter" => letters.is_open(&stored),
                "commands" => !is_redrive(&stored),
                _ => true,
            };
            if is_wanted { take(kept, partition, stored) } else { Ok(()) }
        })?;
    }
    Ok(())
}

fn is_redrive(stored: &Stored) -> bool {
    let command = Command::decode(stored.payload.as_deref().unwrap_or_default());
    matches!(command, Ok(Command { body: Some(Body::RedriveLetter(_)), .. }))
}

/// Which letters are open.
#[derive(Default)]
struct Letters {
    /// By the source that they name.
    closed: HashSet<[String; 3]>,
    seen: HashSet<[String; 3]>,
}

impl Letters {
    fn read(place: &Place, manifest: &Manifest) -> anyhow::Result<Self> {
        let mut letters = Self::default();
        for kept in KEPT.iter().filter(|kept| kept.name == "dead-letter") {
            each_of(kept, place, manifest, |_, stored| {
                letters.note(&stored);
                Ok(())
            })?;
        }
        Ok(letters)
    }

    fn source(stored: &Stored) -> [String; 3] {
        [header::SOURCE_TOPIC, header::SOURCE_PARTITION, header::SOURCE_OFFSET]
            .map(|name| stored.header(name).unwrap_or_default().to_owned())
    }

    fn note(&mut self, stored: &Stored) {
        let outcome = stored.header(header::OUTCOME).and_then(LetterOutcome::from_code);
        if outcome.is_some_and(LetterOutcome::is_final) {
            self.closed.insert(Self::source(stored));
        }
    }

    /// Of a letter that stands there twice the first one counts.
    fn is_open(&mut self, stored: &Stored) -> bool {
        let source = Self::source(stored);
        let is_letter = stored.header(header::OUTCOME).is_none();
        is_letter && !self.closed.contains(&source) && self.seen.insert(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::segment::StoredHeader;

    fn letter(offset: i64, outcome: Option<&str>) -> Stored {
        let source = [(header::SOURCE_TOPIC, "t.usage"), (header::SOURCE_PARTITION, "3")];
        let offset = offset.to_string();
        let headers = source.into_iter().chain([(header::SOURCE_OFFSET, offset.as_str())]);
        let headers = headers.chain(outcome.map(|outcome| (header::OUTCOME, outcome)));
        let header = |(name, value): (&str, &str)| StoredHeader {
            name: name.to_owned(),
            value: Some(value.as_bytes().to_vec()),
        };
        Stored { headers: headers.map(header).collect(), ..Stored::default() }
    }

    #[test]
    fn only_open_letters_are_handed_out_once() {
        // given one posted, one refused again, one that stands there twice, one dismissed
        let all = [
            letter(1, None),
            letter(2, None),
            letter(3, None),
            letter(3, None),
            letter(1, Some("posted")),
            letter(2, Some("refused")),
            letter(4, None),
            letter(4, Some("dismissed")),
        ];
        let mut letters = Letters::default();
        all.iter().for_each(|stored| letters.note(stored));
        let open: Vec<bool> = all.iter().map(|stored| letters.is_open(stored)).collect();
        assert_eq!(open, [false, true, true, false, false, false, false, false]);
    }
}
