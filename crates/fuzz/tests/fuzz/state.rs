//! The state as it stands on disk and in checkpoints: rows that came back other than they went.

use std::hint::black_box;

use tollbooth_fuzz::fuzz;
use tollbooth_ledger::{Changes, Overlay, Remembered, State, Table};
use tollbooth_schemas::v1::Command;

use crate::examples::commands;
use crate::world::{ACCOUNT, World};

/// The rows of a state in which something of every kind happened.
fn changes() -> Changes {
    let mut world = World::new();
    for (number, command) in commands().into_iter().enumerate() {
        let command = Command { idempotency_key: format!("key-{number}"), ..command };
        let mut overlay = Overlay::new(&world.state);
        world.carry_out(&mut overlay, &command);
        let delta = overlay.into_delta();
        world.state.merge(delta);
    }
    world.state.changes()
}

#[test]
fn a_row_comes_back_or_is_refused() {
    let limits = World::new().limits;
    let changes = changes();
    let mut seeds = vec![changes.head.clone()];
    seeds.extend(changes.accounts.iter().map(|(_, bytes)| bytes.clone()));
    seeds.extend(changes.events.iter().map(|(_, _, bytes)| bytes.clone()));
    seeds.extend(changes.holds.iter().filter_map(|(_, bytes)| bytes.clone()));
    seeds.extend(changes.rows.iter().map(|row| row.bytes.clone()));
    assert!(seeds.len() > 5, "{changes:?}");
    let (hold_key, _) = changes.holds.first().expect("a hold was placed");
    fuzz("state", seeds, &["\u{0}", "\u{1}", "\u{7f}", "\u{8}\u{1}"], |bytes| {
        let mut state = State::restore(&limits, &changes.head).unwrap();
        let taken = [
            Remembered::row(Table::Answers, 1, bytes).is_ok(),
            Remembered::row(Table::Refunds, 1, bytes).is_ok(),
            Remembered::operation(1, bytes).is_ok(),
            State::restore(&limits, bytes).is_ok(),
            state.restore_event(ACCOUNT, "evt_gala", bytes).is_ok(),
            state.restore_hold(*hold_key, bytes).is_ok(),
            state.restore_counter(*hold_key, bytes).is_ok(),
            state.restore_account(ACCOUNT, bytes).is_ok(),
            // What came back is looked at as a whole before it is served.
            state.audit().is_ok(),
        ];
        black_box(taken);
    });
}
