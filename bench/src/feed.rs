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
    usage::STRUCTURED_CONTENT_TYPE,
    v1::{Command, OpenAccount, PostAdjustment, command::Body},
};

use crate::stack::Space;

/// The sample price book that the local set-up publishes.
const PRICE_BOOK: &str = include_str!("../../deploy/local/price-book.json");

/// Work as booths report it: service, engine, unit, quantity.
const WORK: [(&str, &str, &str, &str); 5] = [
    ("ai_modify", "nano_banana_2", "image", "1"),
    ("sms", "sms_us_ca", "segment", "2"),
    ("background_removal", "bg_removal", "image", "1"),
    ("face_switch", "face_switch", "image", "1"),
    ("ai_image_to_video", "kling", "second", "5"),
];

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

/// The id of an account of the set.
pub(crate) fn account_id(index: usize) -> String {
    format!("acc_bench{index:05}")
}

/// Publishes the price book and opens `accounts` accounts with credit, straight on the log.
pub(crate) fn prepare(space: &Space<'_>, accounts: usize) -> anyhow::Result<()> {
    let feed = Feed::new(space)?;
    let book: tollbooth_schemas::price_book::PriceBook = serde_json::from_str(PRICE_BOOK)?;
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
            amount_micros: 1_000_000_000_000,
            reason: "import".to_owned(),
            note: String::new(),
            occurred_at_ms: None,
        };
        for (step, body) in [("open", Body::OpenAccount(open)), ("credit", Body::PostAdjustment(credit))] {
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

/// Writes the event of operation `number` into `out`: about 350 bytes, a distinct operation id of 24 characters.
pub(crate) fn usage_event(out: &mut String, account_id: &str, run: u32, number: usize, time: &str) {
    let (service, engine, unit, quantity) = WORK[number % WORK.len()];
    let spread = mixed((number as u64) ^ (u64::from(run) << 40));
    let booth = number % 97;
    let written = write!(
        out,
        r#"{{"specversion":"1.0","id":"b{booth}-{number:09}","source":"/booths/bth_{booth}","type":"tollbooth.usage.v1","subject":"{account_id}","time":"{time}","data":{{"operation_id":"op{run}_{spread:016x}{:04x}","attempt":1,"event_id":"evt_{:03}","booth_id":"bth_{booth}","service":"{service}","engine":"{engine}","unit":"{unit}","quantity":"{quantity}","status":"success"}}}}"#,
        mixed(spread) & 0xFFFF,
        number % 40,
    );
    debug_assert!(written.is_ok());
}

/// SplitMix64's finalizer: ids that look like chance, so that they compress like it.
fn mixed(number: u64) -> u64 {
    let first = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let second = (first ^ (first >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    second ^ (second >> 31)
}

/// Puts a backlog on `usage`; gives back the bytes of its records.
pub(crate) fn backlog(space: &Space<'_>, accounts: usize, records: usize, run: u32) -> anyhow::Result<usize> {
    let feed = Feed::new(space)?;
    let topic = space.topics.usage();
    let ids: Vec<String> = (0..accounts).map(account_id).collect();
    let time = tollbooth_schemas::time::rfc3339(chrono::Utc::now().timestamp_millis());
    let mut text = String::with_capacity(512);
    let mut bytes = 0;
    for number in 0..records {
        let account_id = &ids[number.wrapping_mul(7919) % accounts];
        text.clear();
        usage_event(&mut text, account_id, run, number, &time);
        bytes += text.len();
        feed.send(&topic, account_id, text.as_bytes(), true)?;
    }
    feed.flush()?;
    Ok(bytes)
}
