//! Records straight into Kafka, on librdkafka's own mock cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Headers, OwnedMessage},
    mocking::MockCluster,
};
use tollbooth_booth::{
    BoothConfig,
    fleet::{Control, Fleet, GeneratorConfig, LinksConfig, Pace, Population, Profile},
    journal::{Line, Planned, Reader, Via},
};
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    dead_letter::Reason,
    usage::{Attributes, STRUCTURED_CONTENT_TYPE, UsageError, UsageEvent, parse_binary, parse_structured},
};

const TOPIC: &str = "tollbooth.usage";
const PARTITIONS: i32 = 4;

fn consume(bootstrap: &str, count: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut records = Vec::new();
    while records.len() < count && Instant::now() < deadline {
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            records.push(record.unwrap().detach());
        }
    }
    records
}

fn header<'a>(record: &'a OwnedMessage, name: &str) -> Option<&'a str> {
    let header = record.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()
}

fn parse(record: &OwnedMessage) -> Result<UsageEvent<'_>, UsageError> {
    let value = record.payload().unwrap();
    if header(record, "content-type") == Some(STRUCTURED_CONTENT_TYPE) {
        return parse_structured(value);
    }
    let mut attributes = Attributes::default();
    for header in record.headers().unwrap().iter() {
        if let Some(name) = header.key.strip_prefix("ce_") {
            attributes.set(name, std::str::from_utf8(header.value.unwrap()).unwrap().into());
        }
    }
    parse_binary(attributes, value)
}

/// Whether the record lies where its subject belongs, under its subject.
fn is_in_place(record: &OwnedMessage, subject: &str) -> bool {
    record.key() == Some(subject.as_bytes())
        && partition_for(subject.as_bytes(), PARTITIONS) == Some(record.partition())
}

fn plan(dir: &std::path::Path) -> (BTreeMap<String, Planned>, BTreeSet<String>, usize) {
    let (mut planned, mut acked, mut duplicates) = (BTreeMap::new(), BTreeSet::new(), 0);
    for line in Reader::open(dir).unwrap() {
        match line.unwrap() {
            Line::Planned(record) => drop(planned.insert(record.id.clone(), record)),
            Line::Acked { ids, .. } => acked.extend(ids),
            Line::Duplicate { .. } => duplicates += 1,
            _ => {}
        }
    }
    (planned, acked, duplicates)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_modes_and_every_fault_lie_in_the_topic_as_the_journal_says() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, 1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let dir = tempfile::tempdir().unwrap();
    let journal_dir = dir.path().join("journal");
    // given a fleet that sends everything straight into Kafka, a third of it faulty
    let control = Control::new(reqwest::Client::new(), "http://127.0.0.1:1", "http://127.0.0.1:1", "key");
    let fleet = Fleet::new(Population::new(1, "demo", 10).unwrap(), control, &journal_dir, None).unwrap();
    let links = LinksConfig {
        outbox_dir: dir.path().join("outbox"),
        gateways: 1,
        booth: BoothConfig::new("http://127.0.0.1:1", "key"),
        kafka: Some((bootstrap.clone(), TOPIC.to_owned())),
    };
    let mut generator = GeneratorConfig::new(1, "k", Profile::Stress);
    generator.kafka_share = 1.0;
    generator.duplicate_share = Some(0.05);
    generator.fault_share = 0.3;
    generator.faults = {
        use clap::ValueEnum;
        use tollbooth_booth::fleet::Fault;
        Fault::value_variants().iter().copied().filter(|fault| *fault != Fault::ClockYears).collect()
    };
    let pace =
        Pace { rate: 2_000.0, duration: None, count: Some(2_000), drain: Duration::from_secs(30), status: false };
    let summary = fleet.run(&links, generator, pace, None, std::future::pending()).await.unwrap();
    assert!(summary.drained, "{summary:?}");
    // then what was planned is acknowledged and lies there, repeats included
    let (planned, acked, duplicates) = plan(&journal_dir);
    assert_eq!(acked, planned.keys().cloned().collect());
    let expected = planned.len() + duplicates;
    let records = tokio::task::spawn_blocking(move || consume(&bootstrap, expected)).await.unwrap();
    assert_eq!(records.len(), expected);
    let (mut malformed, mut seen) = (0, BTreeSet::new());
    for record in &records {
        let Ok(event) = parse(record) else {
            malformed += 1;
            continue;
        };
        let Some(plan) = planned.get(&*event.id) else { panic!("{event:?}") };
        seen.insert(event.id.to_string());
        let structured = header(record, "content-type") == Some(STRUCTURED_CONTENT_TYPE);
        assert_eq!(structured, plan.via == Via::KafkaStructured);
        assert_eq!(is_in_place(record, &event.account_id), plan.reason != Some(Reason::WrongPartition), "{plan:?}");
        assert_eq!((event.quantity, event.occurred_at_ms), (plan.quantity, plan.occurred_at));
    }
    // What cannot be read is what was meant to be so: malformed, and a quantity beyond the bound.
    let of = |reason| planned.values().filter(|record| record.reason == Some(reason)).count();
    assert_eq!(malformed, of(Reason::Malformed) + of(Reason::OutOfRange));
    assert!(of(Reason::WrongPartition) > 20 && of(Reason::Malformed) > 20);
    assert_eq!(seen.len() + malformed, planned.len());
}
