//! What an account and an operation take: a clone of the one is in every batch, the other is kept by the million.

use tollbooth_ledger::{Account, OPERATION_ENTRY_BYTES};

#[test]
fn an_operation_takes_48_bytes_of_its_table() {
    // 16 of digest, 8 each of seq, amount and memo, 8 of attempt, week and whether it was charged.
    assert_eq!(OPERATION_ENTRY_BYTES, 48);
}

#[test]
fn an_account_without_rare_state_is_cheap_to_clone() {
    // Three texts and the plans, as ever; everything new is a number or a pointer.
    assert!(size_of::<Account>() <= 200, "{}", size_of::<Account>());
}
