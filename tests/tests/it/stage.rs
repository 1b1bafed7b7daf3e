//! One stack for all tests of this binary; each works on accounts of its own.

use std::ops::Deref;
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use rdkafka::producer::FutureProducer;
use serde_json::Value;
use tollbooth_tests::{DeadLetter, Log, Place, Stack, StackOptions, usage};

/// How long a change may take to show; a restart of a service fits in.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

static TURN: RwLock<()> = RwLock::new(());

static STACK: LazyLock<Stack> = LazyLock::new(|| {
    let stack =
        Stack::start(&StackOptions { name: "it", kafka_heap_mb: 512, stores: [false; 2] }).expect("the stack starts");
    let book = usage::price_book().expect("the price book is there");
    stack.api.publish(&book).and_then(tollbooth_tests::Answer::ok).expect("the price book is published");
    stack
});

/// The stack, for a test that leaves its services alone.
pub(crate) struct Shared {
    _turn: RwLockReadGuard<'static, ()>,
}

/// The stack, for a test that stops something. All is running again when it is dropped.
pub(crate) struct Alone {
    _turn: RwLockWriteGuard<'static, ()>,
}

/// Together with other tests.
pub(crate) fn shared() -> Shared {
    Shared { _turn: TURN.read().unwrap_or_else(PoisonError::into_inner) }
}

/// While no other test runs.
pub(crate) fn alone() -> Alone {
    Alone { _turn: TURN.write().unwrap_or_else(PoisonError::into_inner) }
}

impl Deref for Shared {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &STACK
    }
}

impl Deref for Alone {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &STACK
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // A panic here would hide the test's own; the next test then says what is down.
        if let Err(error) = STACK.heal() {
            eprintln!("the stack did not heal: {error:?}");
        }
    }
}

/// Waits until query answers this balance.
pub(crate) fn balance_becomes(stack: &Stack, account: &str, expected: &str) -> anyhow::Result<()> {
    let mut last = None;
    let seen = stack.wait(&format!("{account} to have {expected}"), PATIENCE, || {
        last = stack.api.balance(account);
        (last.as_deref() == Some(expected)).then_some(())
    });
    seen.map_err(|error| error.context(format!("the last balance of {account} was {last:?}")))
}

/// Waits for the dead letter of a record.
pub(crate) fn dead_letter(stack: &Stack, of: &Place) -> anyhow::Result<DeadLetter> {
    stack.wait(&format!("a dead letter of {of:?}"), PATIENCE, || {
        stack.log.dead_letters().ok()?.into_iter().find(|letter| letter.source == *of)
    })
}

/// Writes a record into `usage` with the account as its key.
pub(crate) fn write(
    stack: &Stack,
    producer: &FutureProducer,
    account: &str,
    record: (Vec<(String, String)>, Vec<u8>),
) -> anyhow::Result<Place> {
    stack.block_on(Log::write(producer, &stack.log.topics.usage(), None, Some(account), record))
}

/// Amount and status of each entry of a kind, oldest first.
pub(crate) fn amounts(transactions: &[Value], kind: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_kind = transactions.iter().rev().filter(|entry| entry["type"] == kind);
    of_kind.map(|entry| (text(&entry["amount"]["amount"]), text(&entry["status"]))).collect()
}

/// A consumption as [`amounts`] shows it.
pub(crate) fn pair(amount: &str, status: &str) -> (String, String) {
    (amount.to_owned(), status.to_owned())
}
