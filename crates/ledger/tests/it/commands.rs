//! Commands: at most once per idempotency key, a rejection judged anew.

use tollbooth_schemas::v1::Accepted;

use crate::harness::{Partition, accepted, adjustment, money, open, rejected};

#[test]
fn a_repeated_command_is_answered_again_and_posts_nothing() {
    let mut partition = Partition::open();
    let first = accepted(partition.command("k", adjustment("5")));
    accepted(partition.command("other", adjustment("1")));
    let entries = partition.ledger.len();
    let again = accepted(partition.command("k", adjustment("5")));
    assert_eq!(again, Accepted { replayed: true, ..first });
    assert_eq!(partition.ledger.len(), entries);
    assert_eq!(partition.balance(), money("16"));
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    let mut partition = Partition::open();
    accepted(partition.command_with_hash("k", adjustment("5"), "one body"));
    let refused = rejected(partition.command_with_hash("k", adjustment("6"), "another body"));
    assert_eq!((refused.status, refused.code.as_str()), (422, "idempotency_mismatch"));
    assert_eq!(partition.balance(), money("15"));
}

#[test]
fn a_rejected_command_is_judged_anew() {
    let mut partition = Partition::empty();
    assert_eq!(rejected(partition.command("k", adjustment("5"))).status, 404);
    accepted(partition.command("open", open("basic")));
    accepted(partition.command("k", adjustment("5")));
    assert_eq!(partition.balance(), money("5"));
}

#[test]
fn an_account_is_opened_once_and_on_a_known_plan() {
    let mut partition = Partition::empty();
    assert_eq!(rejected(partition.command("k1", open("platinum"))).code, "unknown_plan");
    accepted(partition.command("k1", open("basic")));
    assert_eq!(rejected(partition.command("k2", open("basic"))).status, 409);
}

#[test]
fn a_balance_never_leaves_its_bound() {
    let mut partition = Partition::open();
    let most = tollbooth_schemas::Money::MAX.to_string();
    assert_eq!(rejected(partition.command("k", adjustment(&most))).code, "out_of_range");
    assert_eq!(rejected(partition.command("zero", adjustment("0"))).code, "out_of_range");
    assert_eq!(partition.balance(), money("10"));
}
