//! Credit that is bought by itself: the rule over HTTP, and the effects that carry it out.

use std::time::Duration;

use prometheus::Registry;
use prost::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollbooth_chassis::config::Secret;
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_ingest::config::{IngestConfig, Provider};
use tollbooth_ingest::{Effects, StartError};
use tollbooth_schemas::v1::{self, command::Body, outbox_record::Effect, set_recharge::Size};

use crate::meter::{FakeMeter, accepted, refused};
use crate::stand::{DEADLINE, PARTITIONS, Stand};

const RECHARGE: &str = "/v1/accounts/acc_luna/recharge";

fn sandbox(config: &mut IngestConfig) {
    config.purchases.provider = Provider::Sandbox;
    config.purchases.provider_timeout_ms = 100;
    config.effects.retry_min_ms = 5;
    config.effects.retry_max_ms = 10;
}

/// A process of effects beside a stand.
pub(crate) struct Running {
    registry: Registry,
    health: Health,
    shutdown: Shutdown,
    ended: tokio::task::JoinHandle<bool>,
}

impl Running {
    pub(crate) fn start(stand: &Stand, adjust: impl FnOnce(&mut IngestConfig)) -> Self {
        let mut config = IngestConfig::default();
        sandbox(&mut config);
        adjust(&mut config);
        config.topics.partitions = PARTITIONS;
        config.kafka.bootstrap = stand.mock.bootstrap_servers();
        let (registry, health, shutdown) = (Registry::new(), Health::new(), Shutdown::new());
        let effects = Effects::start(&config, &registry, health.clone(), shutdown.clone()).unwrap();
        Self { registry, health, shutdown, ended: tokio::spawn(effects.run()) }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger("the test");
        assert!(self.ended.await.unwrap());
    }

    pub(crate) fn attempts(&self, result: &str) -> u64 {
        self.metric(&format!("tollbooth_recharge_attempts_total{{result=\"{result}\"}} "))
    }

    /// The value of a line that begins so.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        text.lines().find_map(|found| found.strip_prefix(line)).unwrap().parse().unwrap()
    }
}

pub(crate) fn requested(recharge_id: &str) -> v1::OutboxRecord {
    v1::OutboxRecord {
        account_id: "acc_luna".to_owned(),
        seq: 7,
        posted_at_ms: chrono::Utc::now().timestamp_millis(),
        currency: "USD".to_owned(),
        effect: Some(Effect::RechargeRequested(v1::RechargeRequested {
            recharge_id: recharge_id.to_owned(),
            amount_micros: 50_000_000,
            ..v1::RechargeRequested::default()
        })),
    }
}

/// Writes what a meter would have decided.
pub(crate) fn decide(stand: &Stand, payloads: &[Vec<u8>]) {
    let mut config = ClientConfig::new();
    let producer: BaseProducer = config.set("bootstrap.servers", stand.mock.bootstrap_servers()).create().unwrap();
    for payload in payloads {
        let record = BaseRecord::to("tollbooth.outbox").key("acc_luna").partition(1).payload(payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// How far the group has committed the partition of [`decide`].
fn committed(stand: &Stand) -> Option<i64> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stand.mock.bootstrap_servers()).set("group.id", "tollbooth-effects");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition("tollbooth.outbox", 1);
    let committed = consumer.committed_offsets(list, Duration::from_secs(5)).unwrap();
    match committed.elements()[0].offset() {
        Offset::Offset(next) => Some(next),
        _ => None,
    }
}

#[tokio::test]
async fn the_rule_becomes_its_command_for_the_account_and_for_an_admin() {
    let stand = Stand::start_with(sandbox).await;
    let _meter = FakeMeter::start(&stand, accepted);
    let own = stand.key("account").await.1;
    let fixed = json!({"enabled": true, "threshold": "20", "amount": "50.00", "daily_cap": "200", "monthly_cap": null});
    let target = json!({"enabled": true, "threshold": "20", "target": "100"});
    let no_cap = json!({"enabled": true, "threshold": "20", "amount": "75", "daily_cap": null});
    let off = json!({"enabled": false});
    for (key, name, body) in
        [(&own, "k1", &fixed), (&stand.root, "k2", &target), (&own, "k3", &no_cap), (&own, "k4", &off)]
    {
        let (status, answer) = stand.command(Method::PUT, RECHARGE, key, name, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let bodies: Vec<Body> = stand.commands().into_iter().filter_map(|command| command.body).collect();
    let on = |size, daily_cap_micros| {
        let threshold_micros = 20_000_000;
        Body::SetRecharge(v1::SetRecharge {
            enabled: true,
            threshold_micros,
            size: Some(size),
            daily_cap_micros: Some(daily_cap_micros),
            monthly_cap_micros: None,
            amount_max_micros: Some(10_000_000_000),
        })
    };
    // Without a cap it is ten times what is bought at once.
    let expected = [
        on(Size::AmountMicros(50_000_000), 200_000_000),
        on(Size::TargetMicros(100_000_000), 800_000_000),
        on(Size::AmountMicros(75_000_000), 750_000_000),
        Body::SetRecharge(v1::SetRecharge::default()),
    ];
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn a_silent_provider_keeps_nobody_behind_from_being_asked_for() {
    // given a provider that is asked one thing at a time, does not answer the first time, and is asked again in an hour
    let stand = Stand::start_with(sandbox).await;
    decide(&stand, &["rch_1", "rch_2", "rch_3"].map(|id| requested(id).encode_to_vec()));
    let running = Running::start(&stand, |config| {
        config.effects.concurrency_max = 1;
        config.effects.sandbox_card = Secret::new("4000000000000119");
        (config.effects.retry_min_ms, config.effects.retry_max_ms) = (3_600_000, 3_600_000);
    });
    // then each of them is asked for
    stand.until("three payments asked for", || running.attempts("no_answer") == 3).await;
}

#[tokio::test]
async fn what_is_no_rule_is_refused_member_by_member_and_nothing_is_sent() {
    let stand = Stand::start_with(sandbox).await;
    let cases: [(Value, &[&str]); 9] = [
        (json!({"enabled": true}), &["/threshold", "/amount"]),
        (json!({"enabled": true, "threshold": "-1", "amount": "50"}), &["/threshold"]),
        (json!({"enabled": true, "threshold": "1", "amount": "49.99"}), &["/amount"]),
        (json!({"enabled": true, "threshold": "1", "amount": "10001"}), &["/amount"]),
        (json!({"enabled": true, "threshold": "1", "amount": "50.001"}), &["/amount"]),
        (json!({"enabled": true, "threshold": "1", "amount": "50", "target": "60"}), &["/target"]),
        (json!({"enabled": true, "threshold": "20", "target": "69"}), &["/target"]),
        (
            json!({"enabled": true, "threshold": "1", "amount": "50", "daily_cap": "49", "monthly_cap": "1"}),
            &["/daily_cap", "/monthly_cap"],
        ),
        (json!({"enabled": false, "monthly_cap": "-1"}), &["/monthly_cap"]),
    ];
    for (body, pointers) in cases {
        let (status, answer) = stand.command(Method::PUT, RECHARGE, &stand.root, "k", &body).await;
        let found: Vec<&str> =
            answer["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!((status, found.as_slice()), (StatusCode::UNPROCESSABLE_ENTITY, pointers), "{body}");
    }
    // A booth's key sets nothing, nor does one of another account; without a provider nothing can be bought.
    let rule = json!({"enabled": true, "threshold": "20", "amount": "50"});
    let (booth, luna) = (stand.booth_key().await, stand.key("account").await.1);
    for (key, path) in [(&booth, RECHARGE), (&luna, "/v1/accounts/acc_sol/recharge")] {
        assert_eq!(stand.command(Method::PUT, path, key, "k", &rule).await.0, StatusCode::FORBIDDEN);
    }
    let without = stand.beside().await;
    let (status, answer) = without.command(Method::PUT, RECHARGE, &without.root, "k", &rule).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("no_payment_provider")));
    assert_eq!(stand.commands(), vec![]);
}

#[tokio::test]
async fn a_recharge_is_paid_and_posted_and_read_again_it_is_the_same_command() {
    // given two requests, and a record that is none between them
    let stand = Stand::start().await;
    let running = Running::start(&stand, |_| {});
    decide(&stand, &[requested("rch_1").encode_to_vec(), vec![0xff; 3], requested("rch_2").encode_to_vec()]);

    // then each becomes a purchase, whose key is a function of the recharge
    stand.until("both are posted", || stand.commands().len() == 2).await;
    stand.until("all of it is committed", || committed(&stand) == Some(3)).await;
    assert_eq!(running.attempts("succeeded"), 2);
    running.stop().await;
    let mut first = stand.commands();
    first.sort_by(|one, other| one.idempotency_key.cmp(&other.idempotency_key));
    assert_eq!(first[0].idempotency_key, "payment:rch_1");
    assert_eq!((first[0].account_id.as_str(), first[0].actor.as_str()), ("acc_luna", "effects"));
    let Some(Body::PostPurchase(posted)) = &first[0].body else { panic!("no purchase") };
    let expected = v1::PostPurchase {
        payment_id: "rch_1".to_owned(),
        provider: "sandbox".to_owned(),
        amount_micros: 50_000_000,
        source: v1::PurchaseSource::AutoRecharge.into(),
    };
    assert_eq!(*posted, expected);

    // when another process reads one of them once more, then it says the same
    let again = Running::start(&stand, |_| {});
    decide(&stand, &[requested("rch_1").encode_to_vec()]);
    stand.until("it is posted again", || stand.commands().len() == 3).await;
    let last = stand.commands().into_iter().filter(|command| command.idempotency_key == "payment:rch_1");
    let last: Vec<(Vec<u8>, Option<Body>)> = last.map(|command| (command.body_hash, command.body)).collect();
    assert_eq!((last.len(), &last[0]), (2, &last[1]));
    again.stop().await;
}

#[tokio::test]
async fn a_card_that_is_declined_or_wants_somebody_fails_the_recharge() {
    for (card, reason) in [
        ("4000000000000002", "card_declined"),
        ("4000002500003155", "authentication_required"),
        ("4111111111111111", "unknown_payment_method"),
    ] {
        let stand = Stand::start().await;
        let running = Running::start(&stand, |config| config.effects.sandbox_card = Secret::new(card));
        decide(&stand, &[requested("rch_1").encode_to_vec()]);
        stand.until("it is answered", || stand.commands().len() == 1).await;
        let command = stand.commands().pop().unwrap();
        assert_eq!(command.idempotency_key, "recharge-failed:rch_1");
        let failed = v1::FailRecharge { recharge_id: "rch_1".to_owned(), reason: reason.to_owned() };
        assert_eq!(command.body, Some(Body::FailRecharge(failed)));
        assert_eq!(running.attempts("failed"), 1);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_asked_again_with_the_same_id() {
    // given a card whose payment is made and not answered, the first time
    let stand = Stand::start().await;
    let running = Running::start(&stand, |config| config.effects.sandbox_card = Secret::new("4000000000000119"));
    decide(&stand, &[requested("rch_1").encode_to_vec()]);
    // then it is asked once more, and the money posts once
    stand.until("it is posted", || stand.commands().len() == 1).await;
    assert_eq!((running.attempts("no_answer"), running.attempts("succeeded")), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn without_a_provider_there_are_no_effects() {
    let config = IngestConfig::default();
    let outcome = Effects::start(&config, &Registry::new(), Health::new(), Shutdown::new());
    assert!(matches!(outcome, Err(StartError::Setting(error)) if error.key == "purchases.provider"));
}

#[tokio::test]
async fn a_paid_recharge_that_the_ledger_refuses_is_counted_and_read_no_second_time() {
    // given a ledger that has another answer under the recharge's key
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, |_| refused(422, "idempotency_mismatch"));
    let running = Running::start(&stand, |_| {});
    stand.until("replies are followed", || running.health.readiness().is_ok()).await;
    // when one is paid
    decide(&stand, &[requested("rch_1").encode_to_vec()]);
    // then it is counted for a person, and the effect has ended all the same
    let refused = || running.metric("tollbooth_payments_reconciled_total{result=\"refused\"} ");
    stand.until("the refusal is counted", || refused() == 1).await;
    stand.until("it is committed", || committed(&stand) == Some(1)).await;
    assert_eq!(stand.commands().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn the_key_of_a_recharge_to_come_is_nobodys() {
    // given a booth that knows how far the account's ledger is
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let booth = stand.booth_key().await;
    let recharge = tollbooth_schemas::ids::recharge_id("acc_luna", 9);
    let hold = json!({"service": "ai_modify", "engine": "nano_banana_2", "amount": "0.01"});
    // when it names the key under which that recharge would post, or fail
    for key in [format!("payment:{recharge}"), format!("recharge-failed:{recharge}")] {
        let (status, problem) = stand.command(Method::POST, "/v1/accounts/acc_luna/holds", &booth, &key, &hold).await;
        // then it is refused, and nothing reaches the ledger
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("idempotency_key_reserved")));
    }
    assert_eq!(stand.commands(), vec![]);
}

#[tokio::test]
async fn a_recharge_beyond_the_most_of_a_payment_is_not_paid() {
    // given requests of more than 10,000.00 and of as much
    let stand = Stand::start().await;
    let running = Running::start(&stand, |_| {});
    let of = |id: &str, amount_micros| {
        let mut record = requested(id);
        if let Some(Effect::RechargeRequested(requested)) = &mut record.effect {
            requested.amount_micros = amount_micros;
        }
        record.encode_to_vec()
    };
    decide(&stand, &[of("rch_1", 10_000_010_000), of("rch_2", 10_000_000_000)]);
    // then only the one within the bound is paid
    stand.until("both are answered", || stand.commands().len() == 2).await;
    let mut commands = stand.commands();
    commands.sort_by(|one, other| one.idempotency_key.cmp(&other.idempotency_key));
    assert_eq!(commands[0].idempotency_key, "payment:rch_2");
    let failed = v1::FailRecharge { recharge_id: "rch_1".to_owned(), reason: "amount_too_high".to_owned() };
    assert_eq!(commands[1].body, Some(Body::FailRecharge(failed)));
    running.stop().await;
}
