//! The whole of it over a real Kafka, a real ClickHouse and the real meter.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use prometheus::Registry;
use prost::Message as _;
use rdkafka::{
    config::FromClientConfigAndContext as _,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use tollbooth_chassis::{
    kafka::{KafkaClients, LogContext},
    ops::Health,
    shutdown::Shutdown,
};
use tollbooth_local::{ClickHouseOptions, Engines, KafkaOptions};
use tollbooth_schemas::{
    time::rfc3339,
    v1::{
        Charge, Command, GrantBonus, OpenAccount, PlaceHold, PostAdjustment, PostPurchase, PurchaseSource, Refund,
        command::Body, place_hold::Size,
    },
};

use super::{
    super::{Checked, Defect, Report, Unchecked, VerifyArgs},
    assert_defects,
    world::{BOOK, PARTITIONS},
};
use crate::{
    config::MeterConfig,
    run::{Ended, Meter},
    sink::{self, SinkOptions},
};

const ACCOUNTS: [&str; 3] = ["acc_luna", "acc_sol", "acc_mar"];
const CHARGES: usize = 200;

struct Stack {
    engines: Engines,
    config: MeterConfig,
    producer: BaseProducer<LogContext>,
    journal: std::path::PathBuf,
    shutdown: Shutdown,
    meter: Option<(Meter, Ended)>,
    sink: Option<std::thread::JoinHandle<()>>,
    _runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Drop for Stack {
    /// Ends meter and sink while the engines are still there.
    fn drop(&mut self) {
        self.shutdown.trigger("the test is over");
        if let Some((meter, ended)) = self.meter.take() {
            drop(ended.wait());
            meter.close();
        }
        drop(self.sink.take().map(std::thread::JoinHandle::join));
    }
}

fn start_sink(config: &MeterConfig, shutdown: &Shutdown) -> std::thread::JoinHandle<()> {
    let options = SinkOptions {
        sink: config.sink.clone(),
        kafka: config.kafka.clone(),
        clickhouse: config.clickhouse.clone(),
        instance_id: "verify-sink".to_owned(),
    };
    let shutdown = shutdown.clone();
    std::thread::spawn(move || sink::run(&options, &Registry::new(), &Health::new(), &shutdown).unwrap())
}

impl Stack {
    /// Engines, topics, and a meter with its sink at work.
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kafka = KafkaOptions { heap_mb: 384, ..KafkaOptions::new(dir.path().join("kafka")) };
        let engines = Engines::start_with(kafka, ClickHouseOptions::new(dir.path().join("clickhouse"))).unwrap();
        let mut config = MeterConfig::default();
        config.kafka.bootstrap = engines.kafka.bootstrap().to_owned();
        config.kafka.topic_prefix = format!("verify-{}.", std::process::id());
        config.group = format!("verify-{}", std::process::id());
        config.sink.lease_group = format!("{}-lease", config.group);
        config.sink.offsets_group = format!("{}-sink", config.group);
        config.clickhouse.url = engines.clickhouse.url().to_owned();
        config.clickhouse.database = format!("verify_{}", std::process::id());
        (config.topics.partitions, config.topics.replication) = (PARTITIONS, 1);
        let (runtime, shutdown) = (tokio::runtime::Runtime::new().unwrap(), Shutdown::new());
        // It makes the topics: whoever writes finds them.
        let meter = runtime.block_on(Meter::prepare(&config, &Registry::new(), &Health::new())).unwrap();
        let ended = meter.start(&shutdown).unwrap();
        let sink = start_sink(&config, &shutdown);
        let clients = KafkaClients::new(config.kafka.clone());
        let producer = clients.edge_producer(64 * 1024, Duration::from_secs(60));
        let producer = BaseProducer::from_config_and_context(&producer, LogContext).unwrap();
        let journal = dir.path().join("journal-000001.jsonl");
        let (meter, sink) = (Some((meter, ended)), Some(sink));
        Self { engines, config, producer, journal, shutdown, meter, sink, _runtime: runtime, _dir: dir }
    }

    fn send(&self, topic: &str, key: &str, payload: &[u8], headers: &[(&str, &str)]) {
        let mut all = OwnedHeaders::new();
        for (key, value) in headers {
            all = all.insert(Header { key, value: Some(*value) });
        }
        let record = BaseRecord::to(topic).key(key).payload(payload).headers(all);
        self.producer.send(record).unwrap();
    }

    fn command(&self, account: &str, key: &str, body: Body) {
        let command = Command {
            account_id: account.into(),
            idempotency_key: key.into(),
            body_hash: vec![1; 16],
            actor: "key_admin".into(),
            body: Some(body),
            ..Command::default()
        };
        self.send(&self.config.topic_set().commands(), account, &command.encode_to_vec(), &[]);
    }

    fn usage(&self, account: &str, operation: &str, attempt: u32, status: &str, engine: &str, is_binary: bool) {
        let time = rfc3339(chrono::Utc::now().timestamp_millis());
        let data = format!(
            r#"{{"operation_id":"{operation}","attempt":{attempt},"event_id":"evt_gala","booth_id":"bth_1","service":"ai_modify",
            "engine":"{engine}","unit":"image","quantity":"1.5","status":"{status}","provider_cost":"0.067"}}"#
        );
        let topic = self.config.topic_set().usage();
        let id = format!("{operation}-{attempt}");
        if is_binary {
            let headers = [
                ("content-type", "application/json"),
                ("ce_specversion", "1.0"),
                ("ce_id", &id),
                ("ce_source", "/booths/bth_1"),
                ("ce_type", "tollbooth.usage.v1"),
                ("ce_subject", account),
                ("ce_time", &time),
            ];
            self.send(&topic, account, data.as_bytes(), &headers);
        } else {
            let event = format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"/booths/bth_1","type":"tollbooth.usage.v1",
                "subject":"{account}","time":"{time}","data":{data}}}"#
            );
            let headers = [("content-type", "application/cloudevents+json; charset=UTF-8")];
            self.send(&topic, account, event.as_bytes(), &headers);
        }
    }

    fn write_history(&self) {
        self.send(&self.config.topic_set().price_book(), "1", BOOK.as_bytes(), &[]);
        self.flush();
        for account in ACCOUNTS {
            let open = OpenAccount {
                name: account.into(),
                plan: "payg".into(),
                currency: "USD".into(),
                time_zone: "UTC".into(),
                occurred_at_ms: None,
            };
            self.command(account, "open", Body::OpenAccount(open));
            let adjustment =
                PostAdjustment { amount_micros: 100_000_000, reason: "top_up".into(), ..PostAdjustment::default() };
            self.command(account, "top-1", Body::PostAdjustment(adjustment));
        }
        self.flush();
        for number in 0..CHARGES {
            let account = ACCOUNTS[number % ACCOUNTS.len()];
            let operation = format!("op_{number}");
            let is_binary = number % 2 == 1;
            if number % 10 == 0 {
                self.usage(account, &operation, 1, "failed", "nano", is_binary);
            }
            for _ in 0..1 + usize::from(number % 7 == 0) {
                self.usage(account, &operation, 2, "success", "nano", is_binary);
            }
            if number % 10 == 0 {
                self.usage(account, &operation, 1, "failed", "nano", is_binary);
            }
        }
        self.usage(ACCOUNTS[0], "op_dead", 1, "success", "prototype", false);
        self.usage("acc_nobody", "op_dead", 1, "success", "nano", true);
        self.flush();
    }

    /// An account that buys, holds, and uses what it holds; the charge is its entry 5.
    fn write_money(&self) {
        let account = "acc_vega";
        let open = OpenAccount {
            plan: "pro".into(),
            currency: "USD".into(),
            time_zone: "UTC".into(),
            ..OpenAccount::default()
        };
        self.command(account, "open", Body::OpenAccount(open));
        let purchase = PostPurchase {
            payment_id: "pay_1".into(),
            provider: "sandbox".into(),
            amount_micros: 50_000_000,
            source: PurchaseSource::Manual.into(),
        };
        self.command(account, "payment:pay_1", Body::PostPurchase(purchase));
        let bonus = GrantBonus { amount_micros: 100_000, reason: "welcome".into(), ..GrantBonus::default() };
        self.command(account, "bonus", Body::GrantBonus(bonus));
        let hold = PlaceHold {
            hold_id: "hld_1".into(),
            service: "ai_modify".into(),
            engine: "nano".into(),
            unit: "image".into(),
            size: Some(Size::QuantityMicros(2_000_000)),
            timeout_ms: 3_600_000,
            event_id: "evt_gala".into(),
            ..PlaceHold::default()
        };
        self.command(account, "hold", Body::PlaceHold(hold));
        self.flush();
        let time = rfc3339(chrono::Utc::now().timestamp_millis());
        let event = format!(
            r#"{{"specversion":"1.0","id":"op_held","source":"/booths/bth_1","type":"tollbooth.usage.v1",
            "subject":"{account}","time":"{time}","data":{{"operation_id":"op_held","attempt":1,"event_id":"evt_gala",
            "booth_id":"bth_1","service":"ai_modify","engine":"nano","unit":"image","quantity":"1.5",
            "status":"success","hold_id":"hld_1"}}}}"#
        );
        let headers = [("content-type", "application/cloudevents+json")];
        self.send(&self.config.topic_set().usage(), account, event.as_bytes(), &headers);
        self.flush();
    }

    /// Gives the charge back, all of it.
    fn refund_money(&self, occurred_at_ms: i64) {
        let original = Charge {
            operation_id: "op_held".into(),
            attempt: 1,
            amount_micros: 240_000,
            occurred_at_ms,
            service: "ai_modify".into(),
            engine: "nano".into(),
            unit: "image".into(),
            quantity_micros: 1_500_000,
            event_id: "evt_gala".into(),
            booth_id: "bth_1".into(),
            plan: "pro".into(),
            price_version: 1,
            ..Charge::default()
        };
        let refund = Refund { seq: 5, reason: "blurred".into(), original: Some(original), ..Refund::default() };
        self.command("acc_vega", "refund", Body::Refund(refund));
        self.flush();
    }

    fn number(&self, sql: &str) -> i64 {
        let answer = self.engines.clickhouse.query(&sql.replace("{db}", &self.config.clickhouse.database)).unwrap();
        answer.trim().parse().unwrap()
    }

    fn flush(&self) {
        self.producer.flush(Duration::from_secs(30)).unwrap();
    }

    fn clickhouse(&self, sql: &str) {
        self.engines.clickhouse.query(&sql.replace("{db}", &self.config.clickhouse.database)).unwrap();
    }

    fn verify(&self) -> Report {
        let journal = if self.journal.exists() { vec![self.journal.clone()] } else { Vec::new() };
        super::super::run(&self.config, VerifyArgs { journal, wait: 60, ..VerifyArgs::default() }).unwrap()
    }

    /// While somebody plans, sends and is acknowledged; also how many records that were.
    fn verify_beside_a_fleet(&self) -> (Report, u64) {
        let (journal, done) = (std::fs::File::create(&self.journal).unwrap(), AtomicBool::new(false));
        writeln!(&journal, r#"{{"record":"run"}}"#).unwrap();
        std::thread::scope(|scope| {
            let fleet = scope.spawn(|| {
                let mut sent = 0;
                while !done.load(Ordering::SeqCst) {
                    self.planned_usage(&journal, &format!("op_live_{sent}"));
                    sent += 1;
                }
                sent
            });
            let report = self.verify();
            done.store(true, Ordering::SeqCst);
            (report, fleet.join().unwrap())
        })
    }

    /// A charge, with what a fleet writes down before and after it is sent.
    fn planned_usage(&self, mut journal: &std::fs::File, operation: &str) {
        let (account, time) = (ACCOUNTS[0], rfc3339(chrono::Utc::now().timestamp_millis()));
        let work = format!(
            r#""operation_id":"{operation}","attempt":1,"event_id":"evt_gala","booth_id":"bth_1","service":"ai_modify",
            "engine":"nano","unit":"image","quantity":"1.5","status":"success""#
        )
        .replace('\n', " ");
        writeln!(
            journal,
            r#"{{"record":"planned","id":"{operation}","account_id":"{account}","plan":"payg","occurred_at":"{time}",{work},"expect":"charge"}}"#
        )
        .unwrap();
        let event = format!(
            r#"{{"specversion":"1.0","id":"{operation}","source":"/booths/bth_1","type":"tollbooth.usage.v1",
            "subject":"{account}","time":"{time}","data":{{{work}}}}}"#
        );
        let headers = [("content-type", "application/cloudevents+json")];
        self.send(&self.config.topic_set().usage(), account, event.as_bytes(), &headers);
        self.flush();
        writeln!(journal, r#"{{"record":"acked","ids":["{operation}"]}}"#).unwrap();
    }
}

#[test]
fn the_real_path_is_clean_and_damage_behind_its_back_is_seen() {
    // given a meter and its sink, and a history with repeats, retries and faults in both modes
    let stack = Stack::start();
    stack.write_history();

    // when everything has arrived
    let report = stack.verify();

    // then all of it agrees
    assert_defects(&report, &[]);
    let failures = CHARGES as u64 / 10;
    let entries = CHARGES as u64 + failures + 2 * ACCOUNTS.len() as u64;
    assert_eq!(report.count_checked(Checked::Entries), entries);
    assert_eq!(report.count_checked(Checked::Rows), entries);
    assert_eq!(report.count_checked(Checked::SourcesCompared), entries);
    assert_eq!(report.count_checked(Checked::Stale), failures);
    assert_eq!(report.count_checked(Checked::DeadLetters), 2);
    assert_eq!(report.totals["USD"].balance.to_string(), "228.000000");

    // and so it is with holds, bonuses and refunds, whose charge the rollups count no more
    stack.write_money();
    assert_defects(&stack.verify(), &[]);
    let sums = "SELECT sum(count) * 1000 + sum(quantity) FROM {db}.usage_15m_by_event WHERE account_id = 'acc_vega'";
    assert_eq!(stack.number(&format!("SELECT toInt64(({sums}) * 10)")), 10_015);
    let occurred = "SELECT toUnixTimestamp64Milli(occurred_at) FROM {db}.ledger WHERE operation_id = 'op_held'";
    stack.refund_money(stack.number(occurred));
    let report = stack.verify();
    assert_defects(&report, &[]);
    let entries = entries + 6;
    assert_eq!(report.count_checked(Checked::Rows), entries);
    assert_eq!(report.totals["USD"].balance.to_string(), "278.100000");
    assert_eq!(stack.number(&format!("SELECT toInt64(({sums}) * 10)")), 0);

    // and it agrees beside a fleet that goes on
    let more = [(Defect::DeadUnexpected, 2)]; // This journal planned no fault.
    let (report, sent) = stack.verify_beside_a_fleet();
    assert_defects(&report, &more);
    assert!(report.count_unchecked(Unchecked::AckedMeanwhile) > 0, "{report}");
    std::fs::remove_file(&stack.journal).unwrap();
    let report = stack.verify();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Entries), entries + sent);

    // when a row is inserted once more, past the token, and a table forgets its window
    stack.clickhouse("INSERT INTO {db}.ledger SELECT * FROM {db}.ledger WHERE type = 'consume' LIMIT 1");
    stack.clickhouse("ALTER TABLE {db}.usage_15m_by_booth MODIFY SETTING non_replicated_deduplication_window = 7");
    let expected = [(Defect::RowDoubled, 1), (Defect::RollupOff, 3), (Defect::SettingOff, 1)];
    assert_defects(&stack.verify(), &expected);

    // when a journal says that something was promised which is not there
    let mut journal = std::fs::File::create(&stack.journal).unwrap();
    journal.write_all(br#"{"record":"account_opened","account_id":"acc_promised"}"#).unwrap();
    journal.write_all(b"\n{\"record\":\"torn").unwrap();
    drop(journal);
    // The journal knows of no fault, so both dead letters are too many.
    let more = [(Defect::Lost, 1), (Defect::DeadUnexpected, 2)];
    assert_defects(&stack.verify(), &[expected.as_slice(), &more].concat());
}
