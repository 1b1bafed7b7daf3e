//! A partition that must not be served stands still and says why; the others go on, and so does the process. A cluster that
//! cannot keep what is configured is refused as a whole.

use prost::Message as _;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::producer::BaseProducer;
use tollbooth_chassis::kafka::{KafkaClients, LogContext, txn};
use tollbooth_meter::run::prepare_topics;
use tollbooth_schemas::v1::{AccountOpened, Entry, LedgerRecord, SourceTopic, entry::Kind};

use super::harness::{PATIENCE, World, image, open, wait_until};

/// The opening of an account, by a command at `offset`.
fn opening(account_id: &str, offset: i64) -> Vec<u8> {
    let opened = AccountOpened {
        name: account_id.to_owned(),
        plan: "basic".to_owned(),
        currency: "USD".to_owned(),
        time_zone: "UTC".to_owned(),
    };
    let entry = Entry {
        seq: 1,
        source_topic: SourceTopic::Commands.into(),
        source_offset: offset,
        kind: Some(Kind::AccountOpened(opened)),
        ..Entry::default()
    };
    let record =
        LedgerRecord { account_id: account_id.to_owned(), posted_at_ms: 1, input_generation: 0, entries: vec![entry] };
    record.encode_to_vec()
}

#[test]
fn partitions_that_must_not_be_served_are_refused_one_by_one() {
    let world = World::new("refused", 6);
    let (ledger, commands, usage) = (world.topics.ledger(), world.topics.commands(), world.topics.usage());
    let account = |partition| world.account_in(partition);
    // given a ledger that is none, one that contradicts itself, one that was made from topics that are longer, an input
    // whose beginning nobody consumed, and a ledger without its beginning
    world.append(&ledger, 0, &account(0), b"\xff\xff\xff");
    world.append_all(&ledger, 1, &account(1), &[opening(&account(1), 0), opening(&account(1), 1)]);
    world.append(&ledger, 2, &account(2), &opening(&account(2), 1_000));
    world.append_all(&usage, 3, &account(3), &[image(&account(3), "op_1", "nano"), image(&account(3), "op_2", "nano")]);
    world.delete_before(&usage, 3, 1);
    world.append_all(&ledger, 4, &account(4), &[opening(&account(4), 0), opening("acc_other", 1)]);
    world.delete_before(&ledger, 4, 1);
    // when a meter gets all of them
    let running = world.start();
    // then each is refused with its reason
    let says = |partition: i32, why: &str| {
        let what = format!("partition {partition} is refused: {why}");
        wait_until(&what, || {
            let said = running.component(&format!("partition-{partition}")).unwrap_or_default();
            said.starts_with("refused: ") && said.contains(why)
        });
        assert!(running.shows(&format!("tollbooth_meter_partition_refused{{partition=\"{partition}\"}} 1")));
    };
    says(0, "is not a ledger record");
    says(1, "cannot be folded");
    says(2, "input_generation");
    says(3, "commit the offset to begin at by hand");
    says(4, "records were deleted unread");
    // and the last one is served
    world.commands(&account(5), &[open(&account(5), "open", "basic")]);
    world.usage(&account(5), &[image(&account(5), "op_1", "nano")]);
    wait_until("the sound partition is served", || world.entries(&account(5)).len() == 2);
    assert!(running.shows("tollbooth_meter_partition_serving{partition=\"5\"} 1"));
    assert!(!running.shutdown.is_triggered());
    assert_eq!(world.end_of(&commands, 0), 0);
    // and a shutdown does not wait for anybody to look
    running.stop();
}

#[test]
fn usage_that_was_deleted_unread_is_not_skipped_in_silence() {
    // given a partition that was consumed up to its offset 1
    let world = World::new("deleted", 1);
    world.commands("acc_a", &[open("acc_a", "open", "basic")]);
    world.usage("acc_a", &[image("acc_a", "op_1", "nano")]);
    world.run_until("the usage is charged", || world.entries("acc_a").len() == 2);
    // when retention takes more than that before a meter comes back
    let events: Vec<Vec<u8>> = (2..9).map(|number| image("acc_a", &format!("op_{number}"), "nano")).collect();
    world.usage("acc_a", &events);
    world.delete_before(&world.topics.usage(), 0, 5);
    let running = world.start();
    // then it is refused, and what is left is not charged as if nothing had been
    wait_until("the partition is refused", || {
        let said = running.component("partition-0").unwrap_or_default();
        said.contains("begins at offset 5, but 1 is the next one to be read")
    });
    assert_eq!(world.entries("acc_a").len(), 2);
    running.stop();
}

#[test]
fn a_partition_whose_ids_need_more_memory_than_there_is_is_refused() {
    // given a meter that may keep no operation ids at all
    let mut world = World::new("memory", 1);
    world.commands("acc_a", &[open("acc_a", "open", "basic")]);
    world.usage("acc_a", &[image("acc_a", "op_1", "nano")]);
    world.run_until("the usage is charged", || world.entries("acc_a").len() == 2);
    world.config.operations_mib_max = 0;
    // when it restores some, then it says what to raise, and stays
    let running = world.start();
    wait_until("the partition is refused", || {
        running.component("partition-0").is_some_and(|said| said.contains("operations_mib_max"))
    });
    assert!(!running.shutdown.is_triggered());
    running.stop();
}

#[test]
fn copies_are_not_promised_while_the_transactions_themselves_have_one() {
    // given a cluster whose topic of transactions has one copy
    let mut world = World::new("copies", 1);
    let transactional = world.clients.transactional_producer(&format!("{}copies", world.topics.prefix));
    let producer: BaseProducer<LogContext> = BaseProducer::from_config_and_context(&transactional, LogContext).unwrap();
    txn::init(&producer, PATIENCE).unwrap();
    // when three of everything else are configured
    world.config.kafka.topic_prefix = format!("{}three.", world.topics.prefix);
    world.config.topics.replication = 3;
    let clients = KafkaClients::new(world.config.kafka.clone());
    let refused = world.runtime.block_on(prepare_topics(&world.config, &clients)).unwrap_err();
    // then it says which setting of the brokers made it so, before it makes anything
    let said = format!("{refused:#}");
    assert!(said.contains("topic __transaction_state: the number of replicas is \"1\""), "{said}");
    assert!(said.contains("transaction.state.log.replication.factor=3"), "{said}");
    // and with one of everything it is a trial
    world.config.topics.replication = 1;
    world.runtime.block_on(prepare_topics(&world.config, &clients)).unwrap();
}
