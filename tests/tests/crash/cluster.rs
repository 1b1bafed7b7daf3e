//! Three brokers are lost and rolled under load.

use std::io::Write as _;

use tollbooth_tests::crash::cluster::{self, Act};
use tollbooth_tests::crash::{FleetOptions, Form, Options};

/// Of the short form: three brokers, every service and the fleet share a small machine.
const RATE_SHORT: f64 = 500.0;

#[test]
fn a_cluster_that_loses_brokers_loses_nothing() -> anyhow::Result<()> {
    let _turn = crate::turn();
    // given a fleet at work over three brokers, of which two acknowledge each record
    let options = Options::from_environment()?;
    let form = if options.form == Form::Long { Form::Long } else { Form::Short };
    let rate = if form == Form::Short { RATE_SHORT } else { options.fleet.rate };
    let fleet = FleetOptions { rate, accounts: 50, ..options.fleet };

    // when one is killed, the controller is killed, and all are rolled
    let outcome = cluster::run(form, &fleet)?;
    // Past the runner's capture: a person wants to see what was survived.
    writeln!(std::io::stderr(), "{outcome}")?;

    // then every act was felt, all of the work was looked at, and nothing is lost or doubled
    let acts: Vec<Act> = outcome.stalls.keys().copied().collect();
    assert_eq!(acts, [Act::KillBroker, Act::KillController, Act::Roll]);
    let summary = &outcome.summary;
    assert!(summary.rate_acknowledged() >= rate * crate::RATE_SHARE_MIN, "{summary}");
    let planned = summary.fleet["planned"].as_u64().unwrap_or_default();
    assert!(planned > 5_000, "only {planned} events");
    assert_eq!(summary.audited("checked", "planned"), planned, "events in the journal that was audited");
    let refused = summary.expected("refused");
    assert_eq!(summary.audited("checked", "acknowledged") + refused, planned, "acknowledged");
    assert!(summary.is_clean(), "{summary}");
    assert_eq!(summary.defects(), Vec::new());
    Ok(())
}
