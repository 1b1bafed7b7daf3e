//! A partition that is withdrawn while it is restored: what is left to fold there is no longer ours to show.

use std::{
    pin::pin,
    task::{Context as TaskContext, Waker},
};

use prometheus::{Registry, TextEncoder};

use super::{replaced::world, run::context};
use crate::{metrics::Metrics, worker::Worker};

/// What stands in the gauge of records that are left to fold.
fn remaining(registry: &Registry) -> u64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
    let name = "tollbooth_meter_restore_remaining_records{partition=\"0\"}";
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found.map_or(0, |value| value.trim().parse().expect("a number"))
}

#[test]
fn what_is_left_to_fold_is_shown_from_the_first_wait_on_and_no_longer_than_the_partition_is_ours() {
    let mut shown = 0;
    for withdrawn_after in 1..40 {
        // given a ledger of two records
        let world = world(&["acc_a", "acc_b"]);
        let registry = Registry::new();
        let metrics = Metrics::new(&registry, "g", &world.borrow().topics).expect("metrics");
        let mut worker = Worker::new(context(&world, 0, 0, &metrics), 0);
        world.borrow().processes[0].slots[0].assign(1);
        let mut serving = pin!(worker.serve_assignment(1));
        // when the partition is withdrawn somewhere on the way
        for step in 0.. {
            assert!(step < 1_000, "it ends");
            if step == withdrawn_after {
                world.borrow().processes[0].slots[0].withdraw();
            }
            if serving.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready() {
                break;
            }
            shown = remaining(&registry).max(shown);
            let mut world = world.borrow_mut();
            world.now_ms = world.wake_ms;
        }
        // then nothing is left here
        assert_eq!(remaining(&registry), 0, "withdrawn after {withdrawn_after}");
    }
    assert_eq!(shown, 2);
}
