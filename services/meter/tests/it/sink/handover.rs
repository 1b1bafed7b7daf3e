//! From one active sink to the next.

use tollbooth_chassis::kafka::txn::TxnError;
use tollbooth_meter::sink::block::Range;
use tollbooth_meter::sink::{Remedy, SinkError};

use super::harness::{NOON, World, account, wait_until};

const WATERMARK: &str = "tollbooth_rollup_watermark_timestamp_seconds";
const LAST_COMMIT: &str = "tollbooth_consumer_last_commit_timestamp_seconds";
const LAG: &str = "tollbooth_consumer_lag_records";

/// 5 rows of an account of its own.
fn write(world: &World, number: usize) {
    world.write_between_aborted(&[account(&format!("acc_{number}"), NOON + i64::try_from(number).unwrap(), 4)]);
}

#[test]
fn a_stale_sink_can_commit_nothing() {
    // given a sink that said what it is about to insert
    let world = World::new("stale", 1);
    let stale = world.fence();
    let intent = [Range { partition: 0, begin: 0, end: 5 }];
    world.commit_by(&stale, &intent).unwrap();

    // when the next one has begun, and the stale one says that it is done
    let rightful = world.fence();
    let refused = world.commit_by(&stale, &[Range { partition: 0, begin: 5, end: 9 }]).unwrap_err();

    // then nothing changed, it starts anew, and the rightful one goes on
    assert!(matches!(refused, SinkError::Transaction(TxnError::Fenced(_))), "{refused}");
    assert_eq!(refused.remedy(), Remedy::Restart);
    assert_eq!(world.committed().unwrap(), intent);
    world.commit_by(&rightful, &[Range { partition: 0, begin: 5, end: 5 }]).unwrap();
}

#[test]
fn two_sinks_that_both_believe_to_be_active_lose_and_double_nothing() {
    // given a sink at work
    let world = World::new("both", 3);
    let first = world.start();
    write(&world, 0);
    world.wait_for_rows(5);

    // when another one holds a lease of its own: neither hears of the other but by being fenced
    let mut options = world.options.clone();
    options.sink.lease_group.push_str("-other");
    let second = World::start_with(options);
    wait_until("the other one is active", || second.is_active());
    for number in 1..12 {
        write(&world, number);
        world.wait_for_rows(5 * (number as u64 + 1));
    }
    first.stop().unwrap();
    write(&world, 12);
    world.wait_for_rows(65);
    second.stop().unwrap();

    // then
    world.assert_exact(65);
}

#[test]
fn the_lease_goes_from_sink_to_sink_and_back() {
    // given an active sink
    let world = World::new("handover", 3);
    let named = |name: &str| {
        let mut options = world.options.clone();
        name.clone_into(&mut options.instance_id);
        World::start_with(options)
    };
    let first = named("sink-1");
    write(&world, 0);
    world.wait_for_rows(5);
    wait_until("it tells how it does", || [WATERMARK, LAST_COMMIT, LAG].iter().all(|name| first.tells(name)));

    // when one comes that is named first in the group, while records come
    let second = named("sink-0");
    let mut written = 1;
    wait_until("the lease has gone over", || {
        write(&world, written);
        written += 1;
        second.is_active() && !first.is_active()
    });

    // then the one before is silent about what it no longer knows
    for name in [WATERMARK, LAST_COMMIT, LAG] {
        assert!(!first.tells(name), "{name}");
    }
    assert!(first.metric("tollbooth_consumer_rebalances_total") >= 2.0);

    // and takes over when the other one ends
    write(&world, written);
    second.stop().unwrap();
    wait_until("the lease has come back", || first.is_active());
    write(&world, written + 1);
    let rows = 5 * (written as u64 + 2);
    world.wait_for_rows(rows);
    wait_until("it tells again", || first.tells(WATERMARK));
    first.stop().unwrap();
    world.assert_exact(rows);
}
