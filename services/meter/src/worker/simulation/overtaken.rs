//! A process that does not know yet that its partition was given away: what it asks is answered between two steps of the
//! new owner.

use std::{
    pin::pin,
    rc::Rc,
    task::{Context as TaskContext, Waker},
};

use super::{
    log::{Place, Stored},
    metrics,
    run::context,
    world::{Settings, Shared, World},
};
use crate::worker::Worker;

/// The new owner takes another record of each input, and commits that.
fn consume(world: &Shared, owner: &str) {
    let world = &mut *world.borrow_mut();
    let inputs: [Place; 2] = [world.topics.usage(), world.topics.commands()].map(|topic| world.place(&topic, 0));
    let epoch = world.log.init(owner, world.now_ms);
    for place in inputs {
        let offset = world.log.append(&place, Stored::new(b"acc", b"{", Vec::new()), world.now_ms);
        world.log.add_offsets(owner, epoch, vec![(place, offset + 1)], world.now_ms).expect("its own epoch");
    }
    world.log.end_transaction(owner, epoch, true, world.now_ms).expect("its own epoch");
}

#[test]
fn an_owner_that_was_overtaken_between_two_questions_gives_up_and_takes_no_topic_for_a_replaced_one() {
    // given a process that owns a partition as far as it knows, and is no member of the group any more
    let world: Shared = Rc::new(World::new(Settings::of(1)).into());
    world.borrow_mut().is_quiet = true;
    world.borrow().processes[0].slots[0].assign(1);
    let mut worker = Worker::new(context(&world, 0, 0, &metrics()), 0);
    // when the new owner goes on at each of its steps
    let mut serving = pin!(worker.serve_assignment(1));
    for step in 0.. {
        assert!(step < 1_000, "it finds out");
        consume(&world, "the new owner");
        if serving.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready() {
            break;
        }
        let mut world = world.borrow_mut();
        world.now_ms = world.wake_ms;
        if let Some(outrage) = &world.outrage {
            panic!("{outrage}");
        }
    }
    // then its first transaction tells it
    let world = world.borrow();
    assert_eq!(world.outrage, None);
    assert!(world.processes[0].asks_group);
}
