//! Three brokers are lost in turn under load.

use std::io::Write as _;

use tollbooth_tests::crash::cluster::{self, Act};
use tollbooth_tests::crash::{FleetOptions, Form, Options};

/// Of the short form, events a second: three brokers, every service and the fleet share a small machine.
const RATE_SHORT: f64 = 500.0;

#[test]
fn a_cluster_that_loses_brokers_loses_nothing() -> anyhow::Result<()> {
    let _turn = crate::turn();
    // given a fleet at work over three brokers, of which two acknowledge each record
    let options = Options::from_environment()?;
    let form = if options.form == Form::Long { Form::Long } else { Form::Short };
    let rate = if form == Form::Short { RATE_SHORT } else { options.fleet.rate };
    let fleet = FleetOptions { rate, accounts: 50, ..options.fleet };

    // when brokers are killed and come back, and one more is killed as the audit begins
    let outcome = cluster::run(form, &fleet)?;
    // Past the runner's capture: a person wants to see what was survived.
    writeln!(std::io::stderr(), "{outcome}")?;

    // then each was one that led partitions and coordinated transactions
    let summary = &outcome.summary;
    let wanted =
        if form == Form::Short { vec![Act::KillLeader] } else { (0..cluster::BROKERS).map(Act::Kill).collect() };
    for act in wanted {
        let done = outcome.done.iter().find(|done| done.act == act);
        let duties = done.map(|done| done.duties).unwrap_or_default();
        assert!(duties.leads > 0 && duties.coordinates > 0, "{act}: it was idle\n{outcome}");
    }
    assert!(outcome.audited_without.leads > 0, "the audit missed nobody");
    // and there was something to lose
    assert!(summary.rate_acknowledged() >= fleet.rate * crate::RATE_SHARE_MIN, "{summary}");
    let planned = summary.fleet["planned"].as_u64().unwrap_or_default();
    assert!(planned > 5_000, "only {planned} events");
    // and all of it was looked at, and nothing is lost or doubled
    assert_eq!(summary.audited("checked", "planned"), planned, "events in the journal that was audited");
    let refused = summary.expected("refused");
    assert_eq!(summary.audited("checked", "acknowledged") + refused, planned, "acknowledged");
    assert!(summary.is_clean(), "{summary}");
    assert_eq!(summary.defects(), Vec::new());
    Ok(())
}
