//! What is measured on: accounts, a price book, usage records of a booth's size.

use std::fmt::Write as _;

use anyhow::Context as _;
use prost::Message as _;
use rdkafka::{
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use tollbooth_chassis::kafka::LogContext;
use tollbooth_schemas::{
    time::rfc3339,
    usage::STRUCTURED_CONTENT_TYPE,
    v1::{Command, OpenAccount, PostAdjustment, command::Body},
};

use crate::stack::Space;

/// The sample price book that the local set-up publishes.
const PRICE_BOOK: &str = include_str!("../../deploy/local/price-book.json");

/// A kind of work: percent of all, service, engine, variant, unit.
pub(crate) type Work = (u64, &'static str, &'static str, Option<&'static str>, &'static str);

/// Work as guests ask for it.
pub(crate) const WORK: [Work; 14] = [
    (23, "ai_modify", "nano_banana_2", None, "image"),
    (13, "ai_modify", "gpt_image_2", None, "image"),
    (9, "ai_modify", "grok_imagine", None, "image"),
    (22, "sms", "sms_us_ca", None, "segment"),
    (3, "sms", "sms_intl", Some("zone_a"), "segment"),
    (12, "background_removal", "bg_removal", None, "image"),
    (6, "face_switch", "face_switch", None, "image"),
    (3, "ai_combine", "grok_imagine", None, "image"),
    (2, "ai_combine", "nano_banana_2", None, "image"),
    (3, "ai_draw_me", "draw_me", None, "job"),
    (1, "ai_image_to_video", "kling", None, "second"),
    (1, "ai_image_to_video", "seedance", None, "second"),
    (1, "editorial_ai", "editorial", None, "job"),
    (1, "sms", "sms_intl", Some("zone_b"), "segment"),
];
/// What each account has: its booths at several parties at a time.
const BOOTHS: u64 = 12;
const EVENTS: u64 = 6;
/// A backlog is of the last hours.
const BACKLOG_MS: i64 = 6 * 3_600_000;
/// Up to so late a booth reports.
const LATE_MS_MAX: u64 = 120_000;

/// A bulk producer.
pub(crate) struct Feed {
    producer: BaseProducer<LogContext>,
}

impl Feed {
    pub(crate) fn new(space: &Space<'_>) -> anyhow::Result<Self> {
        let mut config = space.clients.edge_producer(512 * 1024, std::time::Duration::from_secs(120));
        config.set("linger.ms", "20").set("compression.type", "lz4");
        Ok(Self { producer: BaseProducer::from_config_and_context(&config, LogContext)? })
    }

    pub(crate) fn send(&self, topic: &str, key: &str, payload: &[u8], structured: bool) -> anyhow::Result<()> {
        let mut record = BaseRecord::<str, [u8]>::to(topic).key(key).payload(payload);
        if structured {
            let content_type = Header { key: "content-type", value: Some(STRUCTURED_CONTENT_TYPE) };
            record = record.headers(OwnedHeaders::new_with_capacity(1).insert(content_type));
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(std::time::Duration::from_millis(5));
                    record = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        self.producer.poll(std::time::Duration::ZERO);
        Ok(())
    }

    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        self.producer.flush(std::time::Duration::from_secs(120)).context("flush")
    }
}

/// What every account begins with.
pub(crate) const CREDIT_MICROS: i64 = 1_000_000_000_000;
const ACCOUNT_PREFIX: &str = "acc_bench";

/// The id of an account of the set.
pub(crate) fn account_id(index: usize) -> String {
    let mut id = String::new();
    write_account_id(&mut id, index);
    id
}

/// The same, behind what is in `out`.
pub(crate) fn write_account_id(out: &mut String, index: usize) {
    let written = write!(out, "{ACCOUNT_PREFIX}{index:05}");
    debug_assert!(written.is_ok());
}

/// The number of an account of the set.
pub(crate) fn account_index(account_id: &str) -> Option<usize> {
    account_id.strip_prefix(ACCOUNT_PREFIX)?.parse().ok()
}

/// The prices that everything is measured with.
pub(crate) fn price_book() -> anyhow::Result<tollbooth_schemas::price_book::PriceBook> {
    Ok(serde_json::from_str(PRICE_BOOK)?)
}

/// Publishes the price book and opens `accounts` accounts with credit, straight on the log.
pub(crate) fn prepare(space: &Space<'_>, accounts: usize) -> anyhow::Result<()> {
    open(space, accounts, true)
}

/// The same without credit, half as many commands: charges post below zero, too.
pub(crate) fn prepare_without_credit(space: &Space<'_>, accounts: usize) -> anyhow::Result<()> {
    open(space, accounts, false)
}

fn open(space: &Space<'_>, accounts: usize, with_credit: bool) -> anyhow::Result<()> {
    let feed = Feed::new(space)?;
    let book = price_book()?;
    feed.send(&space.topics.price_book(), "1", &serde_json::to_vec(&book)?, false)?;
    feed.flush()?;
    let commands = space.topics.commands();
    for index in 0..accounts {
        let account_id = account_id(index);
        let open = OpenAccount {
            name: format!("Bench {index}"),
            plan: "basic".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "America/New_York".to_owned(),
            occurred_at_ms: None,
        };
        let credit = PostAdjustment {
            amount_micros: CREDIT_MICROS,
            reason: "import".to_owned(),
            note: String::new(),
            occurred_at_ms: None,
        };
        let steps = [("open", Body::OpenAccount(open)), ("credit", Body::PostAdjustment(credit))];
        for (step, body) in steps.into_iter().take(if with_credit { 2 } else { 1 }) {
            let command = Command {
                account_id: account_id.clone(),
                idempotency_key: format!("bench-{step}"),
                actor: "key_bench".to_owned(),
                received_at_ms: chrono::Utc::now().timestamp_millis(),
                body: Some(body),
                ..Command::default()
            };
            feed.send(&commands, &account_id, &command.encode_to_vec(), false)?;
        }
    }
    feed.flush()
}

/// Writes the event of operation `number` into `out`: about 380 bytes. Work, party, booth and time are drawn, so that they
/// hang neither on the account nor on each other; the same arguments give the same bytes. Ids are of 128 bits, as the
/// client library's are.
pub(crate) fn usage_event(out: &mut String, account_id: &str, run: u32, number: usize, around_ms: i64) {
    let seed = mixed((number as u64) ^ (u64::from(run) << 40));
    let draw = |what: u64, of: u64| mixed(seed.wrapping_add(what.wrapping_mul(GOLDEN))) % of;
    let (service, engine, variant, unit) = work(draw(1, 100));
    let quantity = quantity(unit, draw(2, 100));
    let (booth, event) = (draw(3, BOOTHS), draw(4, EVENTS));
    let late = i64::try_from(draw(5, LATE_MS_MAX)).unwrap_or_default();
    let time = rfc3339(around_ms - late);
    // Booths and parties are an account's own.
    let owner = account_id.strip_prefix(ACCOUNT_PREFIX).unwrap_or(account_id);
    let low = mixed(seed ^ GOLDEN);
    let written = write!(
        out,
        r#"{{"specversion":"1.0","id":"b{booth}-{number:07}","source":"/booths/bth_{owner}_{booth}","type":"tollbooth.usage.v1","subject":"{account_id}","time":"{time}","data":{{"operation_id":"op_{seed:016x}{low:016x}","attempt":1,"event_id":"evt_{owner}_{event}","booth_id":"bth_{owner}_{booth}","service":"{service}","engine":"{engine}","unit":"{unit}","quantity":"{quantity}","status":"success""#,
    );
    debug_assert!(written.is_ok());
    if let Some(variant) = variant {
        out.push_str(r#","variant":""#);
        out.push_str(variant);
        out.push('"');
    }
    out.push_str("}}");
}

/// The work at a percentile.
pub(crate) fn work(percentile: u64) -> (&'static str, &'static str, Option<&'static str>, &'static str) {
    let mut end = 0;
    for (percent, service, engine, variant, unit) in WORK {
        end += percent;
        if percentile < end {
            return (service, engine, variant, unit);
        }
    }
    ("ai_modify", "nano_banana_2", None, "image")
}

/// How much of it, at a percentile.
pub(crate) fn quantity(unit: &str, percentile: u64) -> &'static str {
    match (unit, percentile) {
        ("second", 0..70) => "5",
        ("second", 70..95) => "8",
        ("second", _) => "6.5",
        ("segment", 85..) | ("image", 85..95) => "2",
        ("image", 95..) => "4",
        _ => "1",
    }
}

/// 2^64 over the golden ratio: steps of it are far apart.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finalizer: ids that look like chance, so that they compress like it.
pub(crate) fn mixed(number: u64) -> u64 {
    let first = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let second = (first ^ (first >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    second ^ (second >> 31)
}

/// Puts a backlog on `usage`; gives back the bytes of its records.
pub(crate) fn backlog(space: &Space<'_>, accounts: usize, records: usize, run: u32) -> anyhow::Result<usize> {
    let feed = Feed::new(space)?;
    let topic = space.topics.usage();
    let mut bytes = 0;
    each_event(accounts, records, run, |account_id, text| {
        bytes += text.len();
        feed.send(&topic, account_id, text.as_bytes(), true)
    })?;
    feed.flush()?;
    Ok(bytes)
}

/// What a backlog consists of, in order: the account and the event's text.
pub(crate) fn each_event(
    accounts: usize,
    records: usize,
    run: u32,
    mut take: impl FnMut(&str, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ids: Vec<String> = (0..accounts).map(account_id).collect();
    let now_ms = chrono::Utc::now().timestamp_millis();
    let mut text = String::with_capacity(512);
    for number in 0..records {
        let account_id = &ids[number.wrapping_mul(7919) % accounts];
        text.clear();
        usage_event(&mut text, account_id, run, number, happened_ms(now_ms, number, records));
        take(account_id, &text)?;
    }
    Ok(())
}

/// A backlog lies there in the order in which it happened, more or less.
fn happened_ms(now_ms: i64, number: usize, records: usize) -> i64 {
    let parts = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    now_ms - BACKLOG_MS + BACKLOG_MS.saturating_mul(parts(number)) / parts(records).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tollbooth_schemas::{price_book::PriceBook, usage::parse_structured};

    use super::*;

    const NOW_MS: i64 = 1_795_000_000_000;

    fn text(accounts: usize, run: u32, number: usize) -> String {
        let mut text = String::new();
        let account_id = account_id(number.wrapping_mul(7919) % accounts);
        usage_event(&mut text, &account_id, run, number, happened_ms(NOW_MS, number, 100_000));
        text
    }

    #[test]
    fn the_same_operation_gives_the_same_bytes_and_another_run_other_ids() {
        // given two runs, when operations are written
        let ids: BTreeSet<String> = [1, 2]
            .into_iter()
            .flat_map(|run| (0..20_000).map(move |number| text(10_000, run, number)))
            .map(|event| parse_structured(event.as_bytes()).unwrap().operation_id.0.into_owned())
            .collect();
        // then no two have the same id, all are of 128 bits, and a repeat is the same to the byte
        assert_eq!(ids.len(), 40_000);
        assert!(ids.iter().all(|id| id.len() == "op_".len() + 32), "{:?}", ids.first());
        assert_eq!(text(10_000, 1, 4_711), text(10_000, 1, 4_711));
    }

    #[test]
    fn an_account_has_many_kinds_of_work_booths_parties_and_times() {
        // given what 1,000 accounts report, when each account's records are looked at
        let mut seen: BTreeMap<String, [BTreeSet<String>; 4]> = BTreeMap::new();
        let mut bytes = 0;
        for number in 0..100_000 {
            let event = text(1_000, 1, number);
            bytes += event.len();
            let event = parse_structured(event.as_bytes()).unwrap();
            let sets = seen.entry(event.account_id.to_string()).or_default();
            let values = [
                format!("{:?} {:?} {:?} {}", event.service, event.engine, event.variant, event.quantity),
                format!("{:?}", event.booth_id),
                format!("{:?}", event.event_id),
                event.occurred_at_ms.to_string(),
            ];
            for (set, value) in sets.iter_mut().zip(values) {
                set.insert(value);
            }
        }
        // then 100 records are of several of each, never of one engine or one booth for ever
        assert_eq!(seen.len(), 1_000);
        for (account_id, [work, booths, parties, times]) in &seen {
            let counts = [work.len(), booths.len(), parties.len(), times.len()];
            assert!(
                work.len() >= 6 && booths.len() >= 6 && parties.len() >= 4 && times.len() >= 90,
                "{account_id}: {counts:?}"
            );
        }
        assert!((350..=400).contains(&(bytes / 100_000)), "{} bytes a record", bytes / 100_000);
    }

    #[test]
    fn a_backlog_is_of_the_last_hours() {
        // given a backlog, when its times are looked at
        let at = |number| parse_structured(text(10, 1, number).as_bytes()).unwrap().occurred_at_ms;
        // then it begins hours ago, none of it is from the future, and it goes on in order but for what booths report late
        assert!(at(0) <= NOW_MS - BACKLOG_MS);
        for number in 1..100_000 {
            let (before, time) = (at(number - 1), at(number));
            assert!(time < NOW_MS && time + i64::try_from(LATE_MS_MAX).unwrap() >= before, "{number}");
        }
        assert!(at(99_999) > NOW_MS - 2 * i64::try_from(LATE_MS_MAX).unwrap());
    }

    #[test]
    fn all_work_is_priced_and_its_shares_are_whole() {
        // given the price book that is published
        let book: PriceBook = serde_json::from_str(PRICE_BOOK).unwrap();
        let book = serde_json::to_value(&book).unwrap();
        let prices = book["prices"].as_array().unwrap();
        // then every kind of work has a price there that does not end
        for (_, service, engine, variant, unit) in WORK {
            let price = prices.iter().find(|price| {
                price["service"] == service
                    && price["engine"] == engine
                    && price["unit"] == unit
                    && price["variant"].as_str() == variant
                    && price["effective_to"].is_null()
            });
            assert!(price.is_some(), "{service} {engine} {variant:?}");
        }
        assert_eq!(WORK.iter().map(|(percent, ..)| percent).sum::<u64>(), 100);
    }
}
