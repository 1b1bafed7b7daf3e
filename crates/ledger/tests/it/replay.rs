//! Replay and live processing are one code path, and a ledger that contradicts itself is refused.

use proptest::prelude::*;
use tollbooth_ledger::{FoldError, State, UsageDecision, View as _};
use tollbooth_schemas::v1::{Entry, SourceTopic};

use crate::harness::{ACCOUNT, Partition, adjustment, event, failed, success};

fn replayed(partition: &Partition) -> State {
    let mut state = State::new();
    for record in &partition.ledger {
        state.fold(record).unwrap();
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Given any order of reports, when the ledger is folded anew, then every later report is decided the same.
    #[test]
    fn a_fold_of_the_ledger_is_the_state(
        steps in prop::collection::vec((0_u8..4, 0_u8..6, 1_u32..4), 1..60),
        probe in (0_u8..6, 1_u32..4),
    ) {
        let mut partition = Partition::open();
        for (number, (kind, operation, attempt)) in steps.iter().enumerate() {
            let name = format!("op_{operation}");
            match kind {
                0 => drop(partition.usage(&success(&name))),
                1 => drop(partition.usage(&failed(&name, *attempt))),
                2 => drop(partition.usage(&event(&name, |event| event["data"]["quantity"] = "3".into()))),
                _ => drop(partition.command(&format!("k{}", number % 5), adjustment("1"))),
            }
        }
        let folded = replayed(&partition);
        prop_assert_eq!(folded.account(ACCOUNT), partition.state.account(ACCOUNT));
        prop_assert_eq!(folded.sizes(), partition.state.sizes());
        for topic in [SourceTopic::Usage, SourceTopic::Commands] {
            prop_assert_eq!(folded.folded_offset(0, topic), partition.state.folded_offset(0, topic));
        }
        // Gapless, and each balance follows from the one before.
        let entries: Vec<&Entry> = partition.ledger.iter().flat_map(|record| &record.entries).collect();
        let mut balance = 0;
        for (index, entry) in entries.iter().enumerate() {
            prop_assert_eq!(entry.seq, index as u64 + 1);
            balance += entry.amount_micros;
            prop_assert_eq!(entry.balance_after_micros, balance);
        }
        let mut again = Partition { state: folded, ..Partition::empty() };
        let name = format!("op_{}", probe.0);
        for report in [failed(&name, probe.1), success(&name)] {
            prop_assert_eq!(kind(&again.usage(&report)), kind(&partition.usage(&report)));
        }
    }
}

fn kind(decision: &UsageDecision) -> String {
    match decision {
        UsageDecision::Post(entry) => format!("post {} {}", entry.seq, entry.amount_micros),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_ledger_that_contradicts_itself_is_refused() {
    let mut partition = Partition::open();
    partition.usage(&success("op_1"));
    let broken = |change: &dyn Fn(&mut Entry)| {
        let mut state = State::new();
        let mut ledger = partition.ledger.clone();
        change(&mut ledger[2].entries[0]);
        ledger.iter().map(|record| state.fold(record)).find_map(Result::err)
    };
    assert!(matches!(broken(&|entry| entry.seq = 4), Some(FoldError::Gap { before: 2, found: 4, .. })));
    assert!(matches!(broken(&|entry| entry.seq = 2), Some(FoldError::Gap { .. })));
    assert!(matches!(broken(&|entry| entry.amount_micros -= 1), Some(FoldError::Chain { seq: 3, .. })));
    assert!(matches!(broken(&|entry| entry.kind = None), Some(FoldError::UnknownKind { seq: 3, .. })));
    assert_eq!(broken(&|_| {}), None);
}

#[test]
fn a_second_opening_and_an_unopened_account_are_refused() {
    let partition = Partition::open();
    let mut state = State::new();
    let unopened = state.fold(&partition.ledger[1]);
    assert!(matches!(unopened, Err(FoldError::Opening { .. })));
    state.fold(&partition.ledger[0]).unwrap();
    assert!(matches!(state.fold(&partition.ledger[0]), Err(FoldError::Opening { .. })));
}
