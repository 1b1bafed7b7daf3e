//! Nothing is refused that could not be looked up first; and what cannot be looked up holds up nobody else.

use rdkafka::producer::BaseRecord;
use tollbooth_chassis::kafka::txn;

use super::harness::{World, credit, image, open, price_book, wait_until};

#[test]
fn a_price_book_that_cannot_be_read_to_its_end_stops_usage_without_a_price_and_no_command() {
    // given a price book and a plan that are written, and whose transaction is open
    let world = World::new("open_book", 1);
    world.commands("acc_a", &[open("acc_a", "open", "basic")]);
    let running = world.start();
    wait_until("the account is open", || world.entries("acc_a").len() == 1);
    let (writer, topic) = (world.transactional(), world.topics.price_book());
    let document = price_book(2, &["basic", "pro"], &["nano", "new"]);
    txn::begin(&writer).unwrap();
    writer.send(BaseRecord::to(&topic).partition(0).key("2").payload(&document)).map_err(|(error, _)| error).unwrap();
    txn::drain(&writer);
    // when usage needs that price, then it waits
    world.usage("acc_a", &[image("acc_a", "op_new", "new"), image("acc_a", "op_old", "nano")]);
    let paused = || running.component("partition-0").is_some_and(|said| said.contains("usage is paused"));
    wait_until("readiness says so", paused);
    // and commands are carried out meanwhile; the plan is neither accepted nor denied
    world.commands("acc_a", &[credit("acc_a", "purchase")]);
    world.commands("acc_b", &[open("acc_b", "too early", "pro")]);
    wait_until("commands are answered", || world.replies().len() == 3);
    let replies = world.replies();
    assert_eq!((replies["purchase"].as_str(), replies["too early"].as_str()), ("", "price_book_unavailable"));
    assert!(paused());
    assert_eq!(world.dead_letters(), Vec::<String>::new());
    // until the book is there
    txn::commit(&writer).unwrap();
    wait_until("the usage is charged", || world.entries("acc_a").len() == 4);
    world.commands("acc_b", &[open("acc_b", "again", "pro")]);
    wait_until("the command is answered", || world.replies().contains_key("again"));
    assert_eq!(world.replies()["again"], "");
    wait_until("it is ready again", || running.component("partition-0").as_deref() == Some("ok"));
    assert_eq!(world.dead_letters(), Vec::<String>::new());
    assert!(running.shows("tollbooth_rating_failures_total{engine=\"other\",reason=\"no_price\"} 0"));
    running.stop();
}

#[test]
fn an_unknown_account_waits_for_commands_that_are_not_readable_yet() {
    // given the opening of an account behind a transaction that is open
    let world = World::new("open_commands", 1);
    let running = world.start();
    let (writer, topic) = (world.transactional(), world.topics.commands());
    txn::begin(&writer).unwrap();
    writer.send(BaseRecord::to(&topic).partition(0).key("acc_z").payload("late")).map_err(|(error, _)| error).unwrap();
    txn::drain(&writer);
    world.commands("acc_a", &[open("acc_a", "open", "basic")]);
    // when usage of the account comes, then it is not refused: the opening was acknowledged before it
    world.usage("acc_a", &[image("acc_a", "op_1", "nano")]);
    let paused = || running.component("partition-0").is_some_and(|said| said.contains("usage is paused"));
    wait_until("readiness says so", paused);
    txn::abort(&writer).unwrap();
    // but charged once the opening can be read
    wait_until("the usage is charged", || world.entries("acc_a").len() == 2);
    assert_eq!(world.dead_letters(), Vec::<String>::new());
    // and the marker at the end of the commands is no lag
    let lag = format!("{{group=\"{}\",partition=\"0\",topic=\"{topic}\"}} 0", world.config.group);
    for metric in ["tollbooth_consumer_lag_records", "tollbooth_consumer_lag_seconds"] {
        wait_until(metric, || running.shows(&format!("{metric}{lag}")));
    }
    running.stop();
}

#[test]
fn a_price_book_that_this_release_cannot_read_pauses_usage_until_it_is_made_good() {
    let world = World::new("unreadable", 1);
    world.commands("acc_a", &[open("acc_a", "open", "basic")]);
    let running = world.start();
    wait_until("the account is open", || world.entries("acc_a").len() == 1);
    // given a book of a later release
    let mut later: serde_json::Value = serde_json::from_str(&price_book(2, &["basic"], &["nano"])).unwrap();
    later["tiers"] = serde_json::json!([]);
    world.publish("2", &later.to_string());
    let unreadable = |said: Option<String>| said.is_some_and(|said| said.contains("is no price book"));
    wait_until("it is told", || unreadable(running.component("price-book-records")));
    wait_until("usage is paused", || unreadable(running.component("partition-0")));
    // when usage and a command come, then the command alone is carried out
    world.usage("acc_a", &[image("acc_a", "op_1", "nano")]);
    world.commands("acc_a", &[credit("acc_a", "purchase")]);
    wait_until("the command is answered", || world.replies().contains_key("purchase"));
    assert_eq!(world.entries("acc_a").len(), 2);
    // until a valid book stands under its key
    world.publish("2", &price_book(2, &["basic"], &["nano"]));
    wait_until("the usage is charged", || world.entries("acc_a").len() == 3);
    assert_eq!(running.component("price-book-records").as_deref(), Some("ok"));
    running.stop();
}
