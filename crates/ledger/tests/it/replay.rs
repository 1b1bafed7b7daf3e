//! Replay and live processing are one code path, and a ledger that contradicts itself is refused.

use proptest::prelude::*;
use tollbooth_ledger::{FoldError, State, UsageDecision, View as _};
use tollbooth_schemas::v1::{
    Command, Entry, HoldOutcome, LedgerRecord, Refund, SourceTopic, command::Body, entry::Kind,
};

use crate::{
    bonus::grant,
    harness::{ACCOUNT, Input, NOW_MS, Partition, accepted, adjustment, command, event, failed, posted, success},
    holds::hold,
    refunds::charge_of,
};

const WEEK_MS: i64 = 7 * 86_400_000;

fn replayed(partition: &Partition) -> State {
    let mut state = State::new(&partition.limits);
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

const ACCOUNTS: [&str; 2] = [ACCOUNT, "acc_other"];

/// One report or command, the same for the same numbers.
fn input((kind, account, operation, attempt): (u8, usize, u8, u32)) -> Input {
    let (name, account_id) = (format!("op_{operation}"), ACCOUNTS[account]);
    let report = |json: String| Input::Usage(json.replace(ACCOUNT, account_id));
    match kind {
        0 => report(success(&name)),
        1 => report(failed(&name, attempt)),
        2 => report(event(&name, |event| event["data"]["quantity"] = "3".into())),
        3 => report(event(&name, |event| event["data"]["engine"] = "unknown".into())),
        _ => Input::Command(Box::new(credit(account_id, operation))),
    }
}

fn credit(account_id: &str, number: u8) -> Command {
    command(account_id, &format!("k{number}"), adjustment("1"))
}

/// The ledger's entries of each account, whatever records they stand in.
fn entries(partition: &Partition) -> [Vec<&Entry>; 2] {
    let of = |account_id: &str| {
        let records = partition.ledger.iter().filter(|record| record.account_id == account_id);
        records.flat_map(|record| &record.entries).collect()
    };
    ACCOUNTS.map(of)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Given reports and commands, several about one account and one operation, when they are decided as one batch on one
    /// overlay, then every decision, the ledger and its fold are those of one record after the other.
    #[test]
    fn a_batch_on_one_overlay_is_its_records_one_by_one(
        steps in prop::collection::vec((0_u8..6, 0_usize..2, 0_u8..4, 1_u32..4), 1..60),
        cut in 0_usize..60,
    ) {
        let given = || {
            let mut partition = Partition::open();
            partition.account_in("acc_other", "USD");
            partition
        };
        let (mut single, mut batched) = (given(), given());
        let inputs: Vec<Input> = steps.iter().copied().map(input).collect();
        let one_by_one: Vec<String> = inputs.iter().map(|input| single.batch(std::slice::from_ref(input)).concat()).collect();
        let (first, second) = inputs.split_at(cut.min(inputs.len()));
        let at_once = [batched.batch(first), batched.batch(second)].concat();
        prop_assert_eq!(at_once, one_by_one);
        prop_assert_eq!(entries(&batched), entries(&single));
        for state in [replayed(&single), replayed(&batched), batched.state] {
            for account in ACCOUNTS {
                prop_assert_eq!(state.account(account), single.state.account(account));
            }
            prop_assert_eq!(state.sizes(), single.state.sizes());
            for topic in [SourceTopic::Usage, SourceTopic::Commands] {
                prop_assert_eq!(state.folded_offset(0, topic), single.state.folded_offset(0, topic));
            }
        }
    }

    /// Given a year of reports and commands, when a worker sweeps as it goes and a replay only at its end (or after every
    /// record, or never), then all of them hold and decide the same.
    #[test]
    fn a_replay_forgets_what_was_forgotten_live(
        steps in prop::collection::vec((0_u8..6, 0_u8..3, 1_u32..4, 0_i64..9), 1..40),
        later in 0_i64..20,
    ) {
        let mut live = Partition::open();
        for (kind, operation, attempt, weeks) in steps {
            live.now_ms += weeks * WEEK_MS;
            let now = tollbooth_schemas::time::rfc3339(live.now_ms);
            if let Input::Usage(json) = input((kind, 0, operation, attempt)) {
                drop(live.usage(&json.replace("2026-11-21T20:15:00Z", &now)));
            } else {
                live.carry_out(&credit(ACCOUNT, operation));
            }
            live.state.drop_expired();
        }
        let mut swept_at_each = State::new(&live.limits);
        for record in &live.ledger {
            swept_at_each.fold(record).unwrap();
            swept_at_each.drop_expired();
        }
        let mut swept_at_end = replayed(&live);
        swept_at_end.drop_expired();
        prop_assert_eq!(swept_at_end.sizes(), live.state.sizes());
        prop_assert_eq!(swept_at_each.sizes(), live.state.sizes());

        let now_ms = live.now_ms + later * WEEK_MS;
        let states = [replayed(&live), swept_at_end, swept_at_each];
        live.now_ms = now_ms;
        let now = tollbooth_schemas::time::rfc3339(now_ms);
        let probe = |partition: &mut Partition| {
            let mut decisions = Vec::new();
            for operation in 0..3 {
                for kind in [1, 1, 1, 0, 2] {
                    let attempt = u32::try_from(decisions.len() % 5 + 1).unwrap();
                    let Input::Usage(json) = input((kind, 0, operation, attempt)) else { unreachable!() };
                    decisions.push(self::kind(&partition.usage(&json.replace("2026-11-21T20:15:00Z", &now))));
                }
                decisions.push(format!("{:?}", partition.carry_out(&credit(ACCOUNT, operation))));
            }
            decisions
        };
        let expected = probe(&mut live);
        for state in states {
            let mut other = Partition { state, now_ms, offset: live.offset, ..Partition::empty() };
            prop_assert_eq!(probe(&mut other), expected.clone());
        }
    }
}

#[test]
fn a_failure_that_was_forgotten_is_listed_again_by_a_replay_too() {
    // given attempt 1 of an operation, forgotten, and swept out by what was posted later
    let mut live = Partition::open();
    live.usage(&failed("op_1", 1));
    live.now_ms += 20 * WEEK_MS;
    live.carry_out(&credit(ACCOUNT, 1));
    live.state.drop_expired();
    // when attempt 2 is listed, then a replay knows of attempt 1 no more than the worker did
    let now = tollbooth_schemas::time::rfc3339(live.now_ms);
    let report = |attempt| failed("op_1", attempt).replace("2026-11-21T20:15:00Z", &now);
    live.usage(&report(2));
    let mut again = Partition { state: replayed(&live), now_ms: live.now_ms, ..Partition::empty() };
    assert!(matches!(again.usage(&report(1)), UsageDecision::Post(_)));
    assert!(matches!(live.usage(&report(1)), UsageDecision::Post(_)));
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
        let mut state = State::new(&partition.limits);
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
    let mut state = State::new(&partition.limits);
    let unopened = state.fold(&partition.ledger[1]);
    assert!(matches!(unopened, Err(FoldError::Opening { .. })));
    state.fold(&partition.ledger[0]).unwrap();
    assert!(matches!(state.fold(&partition.ledger[0]), Err(FoldError::Opening { .. })));
}

/// Holds, bonuses and refunds of one ledger, whose entries can be broken one by one.
fn rich() -> Partition {
    let mut partition = Partition::open();
    accepted(partition.command("hold", hold("hld_1", "4")));
    accepted(partition.command("bonus", grant("0.05", Some(NOW_MS + 5_000))));
    let charge = posted(partition.usage(&event("op_1", |event| event["data"]["hold_id"] = "hld_1".into())));
    let refund = Refund { seq: charge.seq, original: Some(charge_of(&charge)), ..Refund::default() };
    accepted(partition.command("refund", Body::Refund(refund)));
    accepted(partition.command("bonus 2", grant("0.05", Some(NOW_MS + 5_000))));
    partition.now_ms += 5_000;
    assert_eq!(partition.tick(), 1);
    partition
}

/// What a ledger with one changed entry is refused for.
fn broken(ledger: &[LedgerRecord], seq: usize, change: impl FnOnce(&mut Entry)) -> Option<FoldError> {
    let mut ledger = ledger.to_vec();
    change(&mut ledger[seq - 1].entries[0]);
    let mut state = State::new(&Partition::open().limits);
    ledger.iter().map(|record| state.fold(record)).find_map(Result::err)
}

#[test]
fn holds_that_do_not_sum_up_are_refused() {
    let ledger = rich().ledger;
    let held = |seq: usize, change: fn(&mut Entry)| {
        let error = broken(&ledger, seq, change);
        assert!(matches!(error, Some(FoldError::Held { seq: at, .. }) if at == seq as u64), "{error:?}");
    };
    held(3, |entry| entry.held_after_micros += 1);
    held(3, |entry| entry.held_after_micros = 0);
    held(4, |entry| entry.held_after_micros = 0);
    held(5, |entry| entry.held_after_micros = 4_000_000);
    // A capture of a hold that is not open.
    held(5, |entry| {
        let Some(Kind::Usage(usage)) = &mut entry.kind else { panic!() };
        usage.hold_id = "hld_2".to_owned();
    });
    held(5, |entry| {
        let Some(Kind::Usage(usage)) = &mut entry.kind else { panic!() };
        usage.set_hold_outcome(HoldOutcome::EndedBefore);
    });
    assert_eq!(broken(&ledger, 3, |_| {}), None);
}

#[test]
fn parts_that_do_not_sum_up_are_refused() {
    let ledger = rich().ledger;
    let parts = |seq: usize, change: fn(&mut Entry)| {
        let error = broken(&ledger, seq, change);
        assert!(matches!(error, Some(FoldError::Parts { seq: at, .. }) if at == seq as u64), "{error:?}");
    };
    parts(5, |entry| entry.from_bonus_micros = 50_001);
    parts(5, |entry| entry.from_bonus_micros = -1);
    // More than the charge itself.
    parts(5, |entry| {
        (entry.amount_micros, entry.balance_after_micros) = (-10_000, 10_040_000);
        entry.from_bonus_micros = 50_000;
    });
    // An expiry of a lot that has something else left.
    parts(8, |entry| {
        let Some(Kind::BonusExpired(expired)) = &mut entry.kind else { panic!() };
        expired.granted_seq = 4;
    });
    parts(8, |entry| (entry.amount_micros, entry.balance_after_micros) = (-49_999, 10_050_001));
}

#[test]
fn a_refund_beyond_its_charge_is_refused() {
    let ledger = rich().ledger;
    let error = broken(&ledger, 6, |entry| {
        (entry.amount_micros, entry.balance_after_micros) = (200_001, 10_050_001);
    });
    assert!(matches!(error, Some(FoldError::Refund { seq: 6, .. })), "{error:?}");
}

#[test]
fn a_tick_is_no_record_that_was_read() {
    let partition = rich();
    assert_eq!(partition.last().source_topic(), SourceTopic::Tick);
    assert_eq!(partition.state.folded_offset(0, SourceTopic::Tick), None);
    assert_eq!(partition.state.folded_offset(0, SourceTopic::Commands), Some(partition.offset));
}
