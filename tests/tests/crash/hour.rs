//! All kinds of faults over three brokers, for an hour.

use std::io::Write as _;

use tollbooth_tests::crash::hour::{self, Length, Round};
use tollbooth_tests::crash::{Act, Copies, Disk, FleetOptions, Form, Link, Options, Plan};

/// Events a second, unless `TOLLBOOTH_CRASH_RATE` says otherwise: three brokers, every service, proxies between them and the
/// fleet share a small machine.
const RATE: f64 = 500.0;

/// The crash test's longest form.
pub(crate) fn loses_nothing_and_doubles_nothing(options: &Options) -> anyhow::Result<()> {
    // given fleets at work over three brokers, one after the other
    let rate = if std::env::var_os("TOLLBOOTH_CRASH_RATE").is_some() { options.fleet.rate } else { RATE };
    let options = Options { fleet: FleetOptions { rate, accounts: 50, ..options.fleet.clone() }, ..*options };
    let length = Length::from_environment()?;

    // when everything that can go wrong does, in each round
    let rounds = hour::run(&options, &length, |round| {
        // Past the runner's capture: a person wants to see what was survived.
        writeln!(std::io::stderr(), "{}", round.summary)?;
        judge(round, length.only.is_empty());
        Ok(())
    })?;
    assert!(rounds > 0);
    writeln!(std::io::stderr(), "{rounds} rounds, all clean; the first seed was {}", options.seed)?;
    Ok(())
}

fn judge(Round { plan, summary }: &Round, is_whole: bool) {
    // then what was found first
    assert!(summary.is_clean(), "{summary}");
    assert_eq!(summary.defects(), Vec::new());
    // and every act was done and hit something, but those that this machine does not allow
    for step in &plan.acts {
        let reason = match step.act {
            Act::Full(_) => Some("full disks"),
            Act::Clock(..) => Some("clock jumps"),
            _ => None,
        };
        let is_excused = reason.is_some_and(|reason| summary.not_done.iter().any(|what| what.starts_with(reason)));
        assert!(is_excused || summary.count(step.act) > 0, "{:?} was not done\n{summary}", step.act);
    }
    assert!(summary.hits.values().all(|count| *count > 0), "an act hit nothing\n{summary}");
    // and the audit looked at everything that was sent
    let planned = summary.fleet["planned"].as_u64().unwrap_or_default();
    assert_eq!(summary.audited("checked", "planned"), planned, "events in the journal that was audited");
    let refused = summary.expected("refused");
    assert_eq!(summary.audited("checked", "acknowledged") + refused, planned, "acknowledged");
    for (reason, letters) in &summary.dead_letters {
        assert_eq!(letters.found, letters.injected, "{reason}");
    }
    if !is_whole {
        return;
    }
    // and there was enough of it
    assert!(summary.rate_made() >= summary.rate_wanted * crate::RATE_SHARE_MIN, "{summary}");
    assert!(planned > 10_000, "only {planned} events");
    let moved = summary.moved.done.iter().filter(|(_, count)| **count > 0);
    let kinds: Vec<&str> = moved.map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, crate::MOVED, "{}", summary.moved);
    assert!(summary.stores.is_complete(), "{summary}");
}

#[test]
fn a_round_has_every_kind_of_fault_and_is_a_function_of_its_seed() {
    let acts = |seed| -> Vec<Act> { Plan::new(Form::Round, seed).acts.iter().map(|step| step.act).collect() };
    assert_eq!(acts(7), acts(7));
    assert_ne!(acts(7), acts(8));
    for seed in 0..50 {
        let acts = acts(seed);
        let has = |wanted: &dyn Fn(&Act) -> bool| assert!(acts.iter().any(wanted), "seed {seed}: {acts:?}");
        for link in Link::ALL {
            has(&|act| matches!(act, Act::Net(of, _) if *of == link));
        }
        for disk in Disk::ALL {
            has(&|act| *act == Act::Full(disk));
        }
        for service in 0..6 {
            has(&|act| matches!(act, Act::Clock(of, by_s) if *of == service && (300..1_500).contains(&by_s.abs())));
        }
        for copies in [Copies::Stores, Copies::Checkpoints] {
            has(&|act| *act == Act::Rot(copies));
        }
        for is_whole in [false, true] {
            has(&|act| *act == Act::MidInsert { is_whole });
        }
        (0..3).for_each(|broker| has(&|act| *act == Act::KillBroker(broker)));
        has(&|act| *act == Act::Zombie);
    }
}
