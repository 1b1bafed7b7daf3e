//! Commands go before usage, up to a bound; and what they open is known to the usage behind them.

use super::harness::{World, credit, image, open, wait_until};

#[test]
fn a_purchase_does_not_queue_behind_a_backlog_of_usage() {
    // given an account, and a backlog of usage that takes hundreds of transactions
    let mut world = World::new("priority", 1);
    world.config.batch.usage_records_max = 25;
    world.commands("acc_a", &[open("acc_a", "open", "basic")]);
    world.run_until("the account is open", || world.entries("acc_a").len() == 1);
    const BACKLOG: usize = 10_000;
    let events: Vec<Vec<u8>> = (0..BACKLOG).map(|number| image("acc_a", &format!("op_{number}"), "nano")).collect();
    world.usage("acc_a", &events);
    // when a purchase is the last thing that comes
    world.commands("acc_a", &[credit("acc_a", "purchase")]);
    let running = world.start();
    wait_until("the purchase is answered", || world.replies().contains_key("purchase"));
    // then it stands in the ledger before most of what was there first
    let purchase = |entries: &[tollbooth_schemas::v1::Entry]| {
        entries.iter().position(|entry| entry.command.is_some() && entry.seq > 1)
    };
    let position = purchase(&world.entries("acc_a")).unwrap();
    assert!(position < BACKLOG / 2, "it waited behind {position} records");
    // and the backlog is not held up by it
    wait_until("everything is charged", || {
        running.shows(&format!("tollbooth_meter_operations_total{{outcome=\"charged\"}} {BACKLOG}"))
    });
    running.stop();
    assert_eq!(world.entries("acc_a").len(), BACKLOG + 2);
}

#[test]
fn an_account_that_a_backlog_of_commands_opens_is_known_to_its_usage() {
    // given more commands than one transaction takes, of which the last opens an account
    let mut world = World::new("commands_first", 1);
    world.config.batch.command_records_max = 500;
    world.commands("acc_a", &[open("acc_a", "open a", "basic")]);
    let credits: Vec<_> = (0..1_300).map(|number| credit("acc_a", &format!("k{number}"))).collect();
    world.commands("acc_a", &credits);
    world.commands("acc_b", &[open("acc_b", "open b", "basic")]);
    // and usage of that account, and of one that nobody opens
    world.usage("acc_b", &[image("acc_b", "op_1", "nano"), image("acc_b", "op_2", "nano")]);
    world.usage("acc_nobody", &[image("acc_nobody", "op_1", "nano")]);
    // when all of it is there at once
    world.run_until("the usage is decided", || world.dead_letters().len() + world.entries("acc_b").len() >= 4);
    // then only the second one is refused
    assert_eq!(world.dead_letters(), ["unknown_account"]);
    let entries = world.entries("acc_b");
    assert_eq!(entries.iter().map(|entry| entry.amount_micros).collect::<Vec<_>>(), [0, -200_000, -200_000]);
    assert_eq!(world.entries("acc_a").len(), 1_301);
}
