//! Holds over a real broker: what is held is never promised twice, and ends without anybody asking.

use tollbooth_schemas::v1::{
    Command, Entry, HoldOutcome, HoldReleaseCause, PlaceHold, SourceTopic, command::Body, entry::Kind, place_hold::Size,
};

use super::harness::{World, command, credit, image_of, open, wait_until};

pub(super) fn hold_of(account_id: &str, hold_id: &str, micros: i64, timeout_ms: i64) -> Command {
    let place = PlaceHold {
        hold_id: hold_id.to_owned(),
        service: "ai_modify".to_owned(),
        engine: "nano".to_owned(),
        unit: "image".to_owned(),
        size: Some(Size::AmountMicros(micros)),
        timeout_ms,
        ..PlaceHold::default()
    };
    command(account_id, hold_id, Body::PlaceHold(place))
}

const HOUR_MS: i64 = 3_600_000;

fn released(entries: &[Entry]) -> Option<&Entry> {
    entries.iter().find(|entry| matches!(entry.kind, Some(Kind::HoldReleased(_))))
}

#[test]
fn of_many_that_ask_for_the_last_dollar_as_many_get_it_as_it_pays_for() {
    // given an account with 1.00, and 40 who want to hold 0.20 of it at once
    let world = World::new("last_dollar", 1);
    world.commands("acc_a", &[open("acc_a", "open", "basic"), credit("acc_a", "credit")]);
    let holds: Vec<Command> =
        (0..40).map(|number| hold_of("acc_a", &format!("hld_{number}"), 200_000, HOUR_MS)).collect();
    world.commands("acc_a", &holds);
    // when
    world.run_until("all are answered", || world.replies().len() == 42);
    // then five hold it, and the others are told what is missing
    let replies = world.replies();
    let refused = replies.values().filter(|code| *code == "insufficient_balance").count();
    assert_eq!((refused, replies.values().filter(|code| code.is_empty()).count()), (35, 7));
    assert_eq!(world.missing(), vec![200_000; 35]);
    assert_eq!(world.entries("acc_a").last().unwrap().held_after_micros, 1_000_000);
    assert!(world.verify().is_clean(), "{}", world.verify());
}

#[test]
fn a_hold_ends_by_itself_and_what_is_held_outlives_the_meter() {
    // given 1.00 of which 0.40 are held for a second and 0.50 for an hour
    let world = World::new("expiry", 1);
    world.commands("acc_a", &[open("acc_a", "open", "basic"), credit("acc_a", "credit")]);
    world.commands("acc_a", &[hold_of("acc_a", "hld_1", 400_000, 1_000), hold_of("acc_a", "hld_2", 500_000, HOUR_MS)]);
    // when nothing more comes
    world.run_until("the first one expires", || released(&world.entries("acc_a")).is_some());
    // then it was ended by its time, which is what its entry is dated to
    let entries = world.entries("acc_a");
    let expired = released(&entries).unwrap();
    let Some(Kind::HoldPlaced(placed)) = &entries[2].kind else { panic!("{:?}", entries[2]) };
    let Some(Kind::HoldReleased(end)) = &expired.kind else { panic!() };
    assert_eq!((end.hold_id.as_str(), end.cause()), ("hld_1", HoldReleaseCause::Expired));
    assert_eq!(expired.source_topic(), SourceTopic::Tick);
    assert_eq!((expired.occurred_at_ms, expired.held_after_micros), (placed.expires_at_ms, 500_000));

    // when another meter takes over
    let more =
        [("hld_3", 600_000), ("hld_2", 1), ("hld_4", 500_000)].map(|(id, micros)| hold_of("acc_a", id, micros, 1_000));
    let mut more = more.to_vec();
    more[1].idempotency_key = "again".to_owned();
    more[1].correlation_id = "again".to_owned();
    world.commands("acc_a", &more);
    world.run_until("the last one is answered", || world.replies().contains_key("hld_4"));
    // then it knows what is held, and by whom
    let replies = world.replies();
    assert_eq!(["hld_3", "again", "hld_4"].map(|id| replies[id].as_str()), ["insufficient_balance", "hold_exists", ""]);

    // when the one hold is captured, and its own one is left alone
    world.usage("acc_a", &[image_of("acc_a", "op_1", "nano", None, Some("hld_2"))]);
    world.run_until("nothing is held any more", || {
        world.entries("acc_a").last().is_some_and(|entry| entry.seq == 8 && entry.held_after_micros == 0)
    });
    // then both ended, in whichever order
    let entries = world.entries("acc_a");
    let usage = entries.iter().find_map(|entry| entry.usage()).unwrap();
    assert_eq!(usage.hold_outcome(), HoldOutcome::Captured);
    assert!(world.verify().is_clean(), "{}", world.verify());
}

#[test]
fn usage_does_not_miss_a_hold_that_a_backlog_of_commands_places() {
    // given more commands than one transaction takes, of which the last one holds
    let mut world = World::new("hold_behind", 1);
    world.config.batch.command_records_max = 500;
    world.commands("acc_a", &[open("acc_a", "open", "basic")]);
    let credits: Vec<Command> = (0..1_300).map(|number| credit("acc_a", &format!("k{number}"))).collect();
    world.commands("acc_a", &credits);
    world.commands("acc_a", &[hold_of("acc_a", "hld_1", 200_000, HOUR_MS)]);
    // and usage that names it, and one that names none that there is
    let events = [("op_1", "hld_1"), ("op_2", "hld_none")];
    world.usage("acc_a", &events.map(|(operation, hold)| image_of("acc_a", operation, "nano", None, Some(hold))));
    // when all of it is there at once
    let running = world.start();
    wait_until("the usage is charged", || {
        world.entries("acc_a").iter().filter(|entry| entry.usage().is_some()).count() == 2
    });
    running.stop();
    // then the one captures its hold, and the other is flagged
    let entries = world.entries("acc_a");
    let outcomes: Vec<HoldOutcome> =
        entries.iter().filter_map(|entry| entry.usage().map(|usage| usage.hold_outcome())).collect();
    assert_eq!(outcomes, [HoldOutcome::Captured, HoldOutcome::Unknown]);
    assert_eq!(entries.last().unwrap().held_after_micros, 0);
}
