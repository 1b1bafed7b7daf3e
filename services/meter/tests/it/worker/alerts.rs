//! What an account wants to be told of, from the charge to the outbox, over a restart, and through the audit.

use tollbooth_schemas::{
    time::{parse_rfc3339_ms, rfc3339},
    v1::{
        AlertKind, AlertRaised, AlertsSet, BoothSpike, Command, SetAlerts, command::Body, entry::Kind,
        outbox_record::Effect,
    },
};

use super::harness::{World, command, credit, image, open, price_book, wait_until};

const ACCOUNT: &str = "acc_a";

fn rules(alerts: AlertsSet) -> Command {
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
    let below = rules(AlertsSet { balance_below_micros: vec![900_000], ..AlertsSet::default() });
    world.commands(ACCOUNT, &[open(ACCOUNT, "open", "basic"), credit(ACCOUNT, "credit"), below]);
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

/// An image that was made so many hours ago.
fn of_hours_ago(operation: &str, hours: i64) -> Vec<u8> {
    let mut event: serde_json::Value = serde_json::from_slice(&image(ACCOUNT, operation, "nano")).unwrap();
    let now_ms = parse_rfc3339_ms(event["time"].as_str().unwrap()).unwrap();
    event["time"] = rfc3339(now_ms - hours * 3_600_000).into();
    event.to_string().into_bytes()
}

#[test]
fn what_a_booth_used_to_spend_outlives_a_restart() {
    // given a rule about booths, and one that made an image in each of six hours
    let world = World::new("spikes", 1);
    world.publish("2", &price_book(2, &["basic"], &["nano"]));
    let running = world.start();
    let booth_spike = Some(BoothSpike { times: 2, at_least_micros: 300_000 });
    let spike = rules(AlertsSet { booth_spike, ..AlertsSet::default() });
    world.commands(ACCOUNT, &[open(ACCOUNT, "open", "basic"), credit(ACCOUNT, "credit"), spike]);
    let past: Vec<Vec<u8>> = (0..6).map(|number| of_hours_ago(&format!("op_{number}"), 30 - number)).collect();
    world.usage(ACCOUNT, &past);
    let charges = || world.entries(ACCOUNT).iter().filter(|entry| entry.usage().is_some()).count();
    wait_until("its past is posted", || charges() == 6);
    running.stop();

    // when it makes five in about an hour after a restart
    let running = world.start();
    let now: Vec<Vec<u8>> = (6..11).map(|number| of_hours_ago(&format!("op_{number}"), 20)).collect();
    world.usage(ACCOUNT, &now);
    wait_until("they are posted", || charges() == 11);
    wait_until("it is told", || !told(&world).is_empty());
    running.stop();

    // then it is told once, whole hours or not
    let told = told(&world);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind(), &*told[0].booth_id, told[0].times), (AlertKind::BoothSpike, "bth_17", 2));
    let report = world.verify();
    assert!(report.is_clean(), "{report}");
}
