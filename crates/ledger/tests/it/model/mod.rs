//! The core against an independent, slow, obvious model, over random sequences of everything that can happen.
//!
//! `TOLLBOOTH_MODEL_SEQUENCES` sets how many (100,000 where it is not set).

mod archive;
mod core;
mod new_york;
mod slow;
mod steps;
mod zones;

use std::{collections::BTreeMap, sync::LazyLock};

use proptest::{prelude::*, test_runner::TestCaseResult};
use tollbooth_ledger::{Overlay, PriceBooks, State, Ticks, View as _, due};
use tollbooth_schemas::v1::SourceTopic;

use self::{
    archive::Archive,
    core::{Driver, books, event_id, limits},
    slow::{Account, Outcome},
    steps::{ACCOUNTS, Body, Step, step},
};

/// Every code a command can be refused with here.
const CODES: &[&str] = &[
    "account_exists",
    "booth_paused",
    "charge_mismatch",
    "charge_refunded",
    "charge_replaced",
    "conflict",
    "counts_differ",
    "duplicate",
    "event_budget_exceeded",
    "failed_after_charge",
    "fee_posted",
    "hold_ended",
    "hold_exists",
    "idempotency_mismatch",
    "insufficient_balance",
    "invalid_alerts",
    "invalid_expiry",
    "invalid_period",
    "invalid_profile",
    "invalid_recharge",
    "invalid_timeout",
    "malformed",
    "no_fee",
    "no_price",
    "nothing_to_refund",
    "nothing_to_reprice",
    "out_of_range",
    "preview_differs",
    "recharge_not_under_way",
    "refund_exceeds_charge",
    "stale",
    "too_old",
    "unknown_account",
    "unknown_charge",
    "unknown_hold",
];

/// Of these it takes a letter, another way for its report, and the letter again, all within a short sequence.
const RARE: [&str; 2] = ["refused duplicate", "refused stale"];

/// Most steps of a sequence. Short ones: what goes wrong goes wrong between few steps.
const STEPS_MAX: usize = 24;

/// Two open accounts with a little money, so that no step is wasted on getting there; then the drawn steps.
fn sequence(numbers: &[u64]) -> Vec<Step> {
    let credit = Body::Purchase { micros: 2_000_000 };
    let mut steps = Vec::with_capacity(numbers.len() + 3);
    if numbers.first().is_some_and(|number| number % 32 != 0) {
        steps.extend([Body::Open, credit].map(|body| Step::Command { account: 0, body }));
    }
    // So that what comes rarely is looked at with rules.
    if numbers.first().is_some_and(|number| number % 4 == 1) {
        steps.push(Step::Command { account: 0, body: Body::Alerts { rules: steps::RULES[0] } });
    }
    if numbers.first().is_some_and(|number| number % 4 == 3) {
        steps.push(Step::Command { account: 0, body: Body::Alerts { rules: steps::RULES[0] } });
        steps.extend(steps::past_of_a_booth());
    }
    steps.extend(numbers.iter().map(|number| step(*number)));
    steps
}

/// What the model says a step does.
fn expected(model: &mut [Account; 2], step: Step, now_ms: i64) -> Vec<(usize, Outcome)> {
    match step {
        Step::Wait { .. } => Vec::new(),
        Step::Jump => {
            let mut outcomes = Vec::new();
            for (index, account) in model.iter_mut().enumerate() {
                account.forget();
                if account.is_open() {
                    let micros = if account.balance() > 0 { -10_000 } else { 10_000 };
                    outcomes.push((index, account.command(Body::Adjust { micros }, now_ms)));
                }
            }
            outcomes
        }
        Step::Tick => {
            let ticked = model.iter_mut().enumerate().flat_map(|(index, account)| {
                let posted = account.tick(now_ms);
                posted.into_iter().map(move |posted| (index, Outcome::Posted(posted)))
            });
            ticked.collect()
        }
        Step::Usage { account, report } => vec![(account, model[account].usage(report, now_ms))],
        Step::Command { account, body } => vec![(account, model[account].command(body, now_ms))],
        Step::Again { account, other_body } => {
            model[account].again(other_body, now_ms).map(|outcome| (account, outcome)).into_iter().collect()
        }
    }
}

/// Everything the two can be compared in.
fn compare(state: &State, model: &[Account; 2]) -> TestCaseResult {
    prop_assert_eq!(state.audit(), Ok(()));
    let mut dues: Vec<i64> = Vec::new();
    for (id, slow) in ACCOUNTS.iter().zip(model) {
        let Some(account) = state.account(id) else {
            prop_assert!(!slow.is_open());
            continue;
        };
        prop_assert_eq!(account.seq, slow.seq());
        prop_assert_eq!((account.name(), account.time_zone()), slow.profile());
        prop_assert_eq!(account.balance.micros(), slow.balance());
        prop_assert_eq!(account.held.micros(), slow.held());
        let parts = account.parts();
        prop_assert_eq!(parts.bonus.micros(), slow.bonus());
        prop_assert_eq!(parts.purchased.checked_add(parts.bonus), Some(account.balance));
        let lots: Vec<(u64, i64)> =
            account.lots().iter().map(|lot| (lot.granted_seq, lot.remaining.micros())).collect();
        prop_assert_eq!(lots, slow.lots());
        for event in 1..3 {
            let known = state.event(id, &event_id(event)).copied().unwrap_or_default();
            prop_assert_eq!((known.spent_micros, known.held_micros), (slow.spent(event), slow.event_held(event)));
        }
        dues.extend(slow.due());
    }
    prop_assert_eq!(due(state, Ticks::All), dues.into_iter().min());
    Ok(())
}

/// One record at a time, against the model after each.
fn against_the_model(books: &PriceBooks, steps: &[Step], mut seen: impl FnMut(&Outcome)) -> TestCaseResult {
    let (mut state, mut driver, mut model) =
        (State::new(&limits()), Driver::new(books), [Account::default(), Account::default()]);
    for step in steps {
        let mut overlay = Overlay::new(&state);
        let mut found = driver.step(&state, &mut overlay, *step);
        let delta = overlay.into_delta();
        state.merge(delta);
        state.drop_expired();
        let expected = expected(&mut model, *step, driver.now_ms);
        // A tick goes through the accounts by instant, the model one after the other.
        found.sort_by_key(|(account, _)| *account);
        prop_assert_eq!(&found, &expected, "{:?}", step);
        compare(&state, &model)?;
        expected.iter().for_each(|(_, outcome)| seen(outcome));
    }
    let mut replayed = State::new(&limits());
    for record in &driver.ledger {
        prop_assert_eq!(replayed.fold(record), Ok(()));
        replayed.drop_expired();
    }
    prop_assert!(replayed == state, "a fold of the ledger is another state");
    Ok(())
}

/// In batches, each decided on an overlay and merged as a whole.
fn in_batches(books: &PriceBooks, steps: &[Step], batch: usize) -> (State, Vec<Outcome>) {
    let (mut state, mut driver, mut all) = (State::new(&limits()), Driver::new(books), Vec::new());
    let mut rest = steps;
    while let [first, others @ ..] = rest {
        let together = others.iter().take(batch - 1).take_while(|step| !Driver::starts_a_batch(step)).count();
        let others = if *first == Step::Jump { 0 } else { together };
        let (now, later) = rest.split_at(1 + others);
        let mut overlay = Overlay::new(&state);
        for step in now {
            all.extend(driver.step(&state, &mut overlay, *step).into_iter().map(|(_, outcome)| outcome));
        }
        let delta = overlay.into_delta();
        state.merge(delta);
        state.drop_expired();
        rest = later;
    }
    (state, all)
}

fn sequences() -> u32 {
    std::env::var("TOLLBOOTH_MODEL_SEQUENCES").map_or(100_000, |text| text.parse().unwrap())
}

static BOOKS: LazyLock<PriceBooks> = LazyLock::new(books);

proptest! {
    #![proptest_config(ProptestConfig { cases: sequences(), ..ProptestConfig::default() })]
    /// Given any sequence, then after every step the core and the model agree in what it did and in what is left, and
    /// folding the ledger anew comes to the same state.
    #[test]
    fn the_core_is_the_model(numbers in prop::collection::vec(any::<u64>(), 1..STEPS_MAX)) {
        against_the_model(&BOOKS, &sequence(&numbers), |_| {})?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sequences() / 4, ..ProptestConfig::default() })]
    /// Given any sequence, then batches decide as one record after the other does, and come to the same state.
    #[test]
    fn batches_change_nothing(numbers in prop::collection::vec(any::<u64>(), 1..STEPS_MAX), batch in 2_usize..9) {
        let steps = sequence(&numbers);
        let (state, outcomes) = in_batches(&BOOKS, &steps, 1);
        let (batched, in_batches) = in_batches(&BOOKS, &steps, batch);
        prop_assert_eq!(outcomes, in_batches);
        prop_assert!(state == batched, "batches of {} come to another state", batch);
    }
}

/// One record at a time. After each, as the numbers say, nothing, or what changed is written out and memory lets go of it
/// or of some of it, or the process dies and begins with what was written last and the ledger's tail.
fn with_an_archive(books: &PriceBooks, steps: &[Step], acts: u64) -> (State, Vec<Outcome>, Archive) {
    let (mut state, mut driver, mut all) = (State::new(&limits()), Driver::new(books), Vec::new());
    state.keep_changes();
    driver.archive = Some(Archive::default());
    let mut written = 0;
    for (number, step) in steps.iter().enumerate() {
        let mut overlay = Overlay::new(&state);
        all.extend(driver.step(&state, &mut overlay, *step).into_iter().map(|(_, outcome)| outcome));
        let delta = overlay.into_delta();
        state.merge(delta);
        state.drop_expired();
        let archive = driver.archive.as_mut().unwrap();
        match (acts >> (2 * (number % 32))) & 3 {
            0 => {}
            1 | 2 => {
                archive.write(state.changes());
                state.settle(if acts.is_multiple_of(3) { 2 } else { 0 });
                assert!(!state.has_changes());
                written = driver.ledger.len();
            }
            _ => {
                state = archive.restore(&limits());
                archive.fold(&mut state, &driver.ledger[written..]);
            }
        }
    }
    let mut archive = driver.archive.unwrap();
    archive.write(state.changes());
    (state, all, archive)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sequences() / 4, ..ProptestConfig::default() })]
    /// Given any sequence, when memory lets go of what was written out, and processes die in between, then every step is
    /// decided as if neither had happened, and what was written is the state.
    #[test]
    fn what_is_written_out_comes_back(numbers in prop::collection::vec(any::<u64>(), 1..STEPS_MAX), acts in any::<u64>()) {
        let steps = sequence(&numbers);
        let (state, outcomes) = in_batches(&BOOKS, &steps, 1);
        let (kept, with_an_archive, archive) = with_an_archive(&BOOKS, &steps, acts);
        prop_assert_eq!(with_an_archive, outcomes);
        for same in [kept, archive.restore(&limits())] {
            prop_assert_eq!(same.audit(), Ok(()));
            for id in ACCOUNTS {
                prop_assert_eq!(same.account(id), state.account(id));
                for event in 1..3 {
                    prop_assert_eq!(same.event(id, &event_id(event)), state.event(id, &event_id(event)));
                }
            }
            prop_assert_eq!(same.posted_at_ms(), state.posted_at_ms());
            for topic in [SourceTopic::Usage, SourceTopic::Commands] {
                prop_assert_eq!(same.folded_offset(0, topic), state.folded_offset(0, topic));
            }
            let due = |state: &State| state.due_until(i64::MAX, usize::MAX, Ticks::All);
            prop_assert_eq!(due(&same), due(&state));
        }
    }
}

/// A model that never gets anywhere agrees with everything: every outcome is reached, and often.
#[test]
fn the_sequences_reach_every_outcome() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut number = 7_u64;
    for _ in 0..24_000 {
        let mut numbers = Vec::new();
        for _ in 0..STEPS_MAX {
            // SplitMix64.
            number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            numbers.push(mixed ^ (mixed >> 31));
        }
        let count = |outcome: &Outcome| *counts.entry(name(outcome)).or_default() += 1;
        against_the_model(&BOOKS, &sequence(&numbers), count).unwrap();
    }
    let mut expected: Vec<String> = CODES.iter().map(|code| format!("refused {code}")).collect();
    let kinds = [
        "account_opened",
        "adjustment",
        "plan_changed",
        "hold_placed",
        "hold_released",
        "credit_limit_set",
        "refund",
        "bonus",
        "bonus_expiry",
        "purchase",
        "plan_fee",
        "no_plan_fee",
        "event_defined",
        "booth_set",
        "recharge_set",
        "recharge_requested",
        "recharge_failed",
        "auto_recharge",
        "alerts_set",
        "repriced",
        "profile_set",
    ];
    expected.extend(kinds.map(|kind| format!("posted {kind}")));
    expected.extend(
        [slow::NO_HOLD, slow::CAPTURED, slow::RELEASED, slow::ENDED, slow::UNKNOWN]
            .map(|hold| format!("usage, hold {hold}")),
    );
    expected.extend((1..=6).map(|kind| format!("alert {kind}")));
    expected.extend(["replayed", "duplicate", "stale", "drawn from a bonus"].map(str::to_owned));
    expected.extend(
        ["conflict", "failed_after_charge", "out_of_range", "unknown_account"].map(|reason| format!("dead {reason}")),
    );
    for name in expected {
        let least = if RARE.contains(&name.as_str()) { 1 } else { 10 };
        assert!(counts.get(&name).is_some_and(|count| *count >= least), "{name} of {counts:#?}");
    }
}

fn name(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Posted(posted) if posted.kind == "consume" && posted.from_bonus > 0 => "drawn from a bonus".to_owned(),
        Outcome::Posted(posted) if posted.kind == "consume" => format!("usage, hold {}", posted.note),
        Outcome::Posted(posted) if posted.kind == "alert_raised" => format!("alert {}", posted.note % 10),
        Outcome::Posted(posted) => format!("posted {}", posted.kind),
        Outcome::Replayed { .. } => "replayed".to_owned(),
        Outcome::Refused(_, code, _) => format!("refused {code}"),
        Outcome::Duplicate => "duplicate".to_owned(),
        Outcome::Stale => "stale".to_owned(),
        Outcome::Dead(reason) => format!("dead {reason}"),
    }
}
