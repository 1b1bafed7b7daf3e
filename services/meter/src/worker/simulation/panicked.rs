//! A worker that panics: what it had folded may be half changed.

use std::{
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Waker},
};

use super::{
    metrics,
    run::context,
    world::{Settings, Shared, World},
};
use crate::worker::Worker;

/// Lets the worker serve until it gives the partition up. Gives back how far the ledger is folded in what it parks, where it
/// parks anything, and why it is to leave.
fn served(panics_at: Option<String>) -> (Option<Option<i64>>, Option<String>) {
    let world: Shared = Rc::new(World::new(Settings::of(1)).into());
    world.borrow_mut().is_quiet = true;
    world.borrow_mut().panics_at = panics_at;
    world.borrow().processes[0].slots[0].assign(1);
    let context = context(&world, 0, 0, &metrics());
    let mut worker = Worker::new(Arc::clone(&context), 0);
    let mut serving = pin!(worker.serve_assignment(1));
    for step in 0.. {
        assert!(step < 1_000, "it ends");
        if step == 200 {
            world.borrow().processes[0].slots[0].withdraw();
        }
        if serving.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready() {
            break;
        }
        let mut world = world.borrow_mut();
        world.now_ms = world.wake_ms;
    }
    let outrage = world.borrow().outrage.clone();
    (context.memory.take(0).map(|warm| warm.ledger_position), outrage)
}

#[test]
fn a_state_outlives_its_assignment_unless_its_worker_panicked() {
    // given a partition that is withdrawn, then its state waits for the day it comes back
    assert_eq!(served(None), (Some(Some(0)), None));
    // given a worker that panics when the ledger is folded, then nobody goes on with what it leaves
    let usage = World::new(Settings::of(1)).topics.usage();
    let (parked, outrage) = served(Some(usage));
    assert_eq!(parked, None);
    assert!(outrage.is_some_and(|why| why.contains("the worker panicked")));
}
