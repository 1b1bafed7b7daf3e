//! What an account wants to be told of, from the charge to the outbox, over a restart, and through the audit.

use tollbooth_schemas::v1::{
    AlertRaised, AlertsSet, Command, SetAlerts, command::Body, entry::Kind, outbox_record::Effect,
};

use super::harness::{World, command, credit, image, open, price_book, wait_until};

const ACCOUNT: &str = "acc_a";

fn rules() -> Command {
    let alerts = AlertsSet { balance_below_micros: vec![900_000], ..AlertsSet::default() };
    command(ACCOUNT, "rules", Body::SetAlerts(SetAlerts { alerts: Some(alerts) }))
}

/// What the outbox tells.
fn told(world: &World) -> Vec<AlertRaised> {
    let alert = |effect| match effect {
        Some(Effect::AlertRaised(alert)) => Some(alert),
        _ => None,
    };
    world.outbox(ACCOUNT).into_iter().filter_map(|record| alert(record.effect)).collect()
}

#[test]
fn an_alert_leaves_with_its_entry_once_over_a_restart() {
    // given an account with rules, and a charge that crosses one
    let world = World::new("alerts", 1);
    world.publish("2", &price_book(2, &["basic"], &["nano"]));
    let running = world.start();
    world.commands(ACCOUNT, &[open(ACCOUNT, "open", "basic"), credit(ACCOUNT, "credit"), rules()]);
    world.usage(ACCOUNT, &[image(ACCOUNT, "op_1", "nano")]);
    wait_until("it is told", || !told(&world).is_empty());
    running.stop();

    // when it starts anew and goes on
    let running = world.start();
    world.usage(ACCOUNT, &[image(ACCOUNT, "op_2", "nano")]);
    let charges = || world.entries(ACCOUNT).iter().filter(|entry| entry.usage().is_some()).count();
    wait_until("usage goes on", || charges() == 2);
    running.stop();

    // then the outbox has what the ledger has, once
    let in_ledger: Vec<AlertRaised> = world
        .entries(ACCOUNT)
        .into_iter()
        .filter_map(|entry| match entry.kind {
            Some(Kind::AlertRaised(alert)) => Some(alert),
            _ => None,
        })
        .collect();
    assert_eq!((told(&world), in_ledger.len()), (in_ledger, 1));
    let report = world.verify();
    assert!(report.is_clean(), "{report}");
}
