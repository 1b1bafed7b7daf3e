//! Dead letters that were driven again: defects between letter, command, entry and what is said of it.

use tollbooth_schemas::{
    dead_letter::{LetterId, Reason, header},
    redrive,
    time::{DAY_MS, rfc3339},
    v1::{LetterHeader, LetterSource, PriceModel, RedriveLetter, Usage, UsageStatus, command::Body, entry::Kind},
};

use super::{
    super::{Checked, Defect, Report},
    assert_defects,
    world::{NOON, Stored, World},
};

/// Published a minute after the work, in force since the day before.
const LATER_BOOK: &str = r#"{
  "version": 2, "currency": "USD", "effective_from": "2026-11-20T00:00:00.000Z",
  "plans": [{"code": "payg", "name": "Pay", "monthly_fee": "0.00"}, {"code": "pro", "name": "Pro", "monthly_fee": "79.00"}],
  "services": [{"code": "ai_modify", "name": "AI Modify"}],
  "engines": [{"code": "nano", "name": "Nano"}, {"code": "pixie", "name": "Pixie"}],
  "prices": [
    {"service": "ai_modify", "engine": "nano", "unit": "image", "model": "per_unit", "plans": {"payg": "0.24", "pro": "0.16"}},
    {"service": "ai_modify", "engine": "pixie", "unit": "image", "model": "per_unit", "plans": {"payg": "0.50"}}
  ]
}"#;
const LUNA: &str = "acc_luna";

/// A letter `no_price` of acc_luna, and the book that was published afterwards.
fn world() -> (World, Stored) {
    let mut world = World::with_history();
    world.tables = false;
    let record = world.event(LUNA, "op_pixie", 1, "1", "success", "pixie");
    world.usage.push(record.clone());
    world.dead_of(&record, Reason::NoPrice);
    world.books.push((NOON + 60_000, LATER_BOOK.to_owned()));
    world.later_ms = 3_600_000;
    (world, record)
}

fn letter_of(record: &Stored) -> RedriveLetter {
    let header = |(name, value): &(String, Vec<u8>)| LetterHeader { name: name.clone(), value: value.clone() };
    let (partition, offset) = (record.partition, record.offset);
    RedriveLetter {
        source: Some(LetterSource { topic: "usage".to_owned(), partition, offset }),
        received_at_ms: record.timestamp_ms,
        payload: record.payload.clone(),
        headers: record.headers.iter().map(header).collect(),
    }
}

fn usage_of(letter: &RedriveLetter) -> Usage {
    Usage {
        status: UsageStatus::Success.into(),
        operation_id: "op_pixie".into(),
        attempt: 1,
        service: "ai_modify".into(),
        engine: "pixie".into(),
        unit: "image".into(),
        quantity_micros: 1_000_000,
        event_id: "evt_gala".into(),
        booth_id: "bth_1".into(),
        price_version: 2,
        price_model: PriceModel::PerUnit.into(),
        unit_price_micros: 500_000,
        plan: "payg".into(),
        provider_cost_micros: Some(67_000),
        received_at_ms: letter.received_at_ms,
        letter: letter.source.clone().map(Box::new),
        ..Usage::default()
    }
}

impl World {
    /// The command, and its entry where it is posted.
    fn redrive(&mut self, letter: &RedriveLetter, posts: bool) {
        let id = LetterId::from(letter.source.as_ref().unwrap());
        let posted = posts.then(|| (-500_000, Kind::Usage(usage_of(letter))));
        self.command(LUNA, &redrive::idempotency_key(&id), Body::RedriveLetter(letter.clone()), posted);
        if posts {
            self.last_entry().occurred_at_ms = NOON;
        }
    }

    /// What is said of the newest command.
    fn said(&mut self, letter: &RedriveLetter, outcome: &str, reason: &str) {
        let source = letter.source.clone().unwrap();
        let command = self.commands.last().unwrap();
        let place = format!("{}/{}", command.partition, command.offset);
        let entry = if outcome == "posted" { format!("ent_acc_luna_{}", self.last_entry().seq) } else { String::new() };
        let own = [
            (header::OUTCOME, outcome.to_owned()),
            (header::REASON, reason.to_owned()),
            (header::SOURCE_TOPIC, source.topic),
            (header::SOURCE_PARTITION, source.partition.to_string()),
            (header::SOURCE_OFFSET, source.offset.to_string()),
            (header::REDRIVEN_AT, rfc3339(NOON + 3_700_000)),
            (header::ENTRY, entry),
            (header::COMMAND, place),
        ];
        let headers = own.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec();
        let offset = self.next_offset("dead", 0);
        self.dead.push(Stored { offset, key: LUNA.into(), headers, ..Stored::default() });
    }

    /// What a person said of a letter, with these headers beside its source.
    fn dismissed(&mut self, letter: &RedriveLetter, headers: &[(&str, &str)]) {
        let source = letter.source.clone().unwrap();
        let own = [
            (header::OUTCOME, "dismissed"),
            (header::SOURCE_TOPIC, &source.topic),
            (header::SOURCE_PARTITION, &source.partition.to_string()),
            (header::SOURCE_OFFSET, &source.offset.to_string()),
        ];
        let headers = own.iter().chain(headers).map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let (headers, offset) = (headers.collect(), self.next_offset("dead", 0));
        self.dead.push(Stored { offset, key: "letter".into(), headers, ..Stored::default() });
    }
}

const DISMISSED: [(&str, &str); 3] = [
    (header::DETAIL, "a test of the booth"),
    (header::REDRIVEN_BY, "key_root"),
    (header::REDRIVEN_AT, "2026-11-21T14:00:00.000Z"),
];

#[test]
fn a_dismissed_letter_is_in_order_said_twice_too_and_its_charge_beside_it() {
    // given a letter that was dismissed by two people at once
    let (mut world, record) = world();
    let letter = letter_of(&record);
    world.dismissed(&letter, &DISMISSED);
    world.dismissed(&letter, &DISMISSED);
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!((report.count_checked(Checked::Dismissed), report.count_checked(Checked::Redriven)), (2, 0));
    // and one of before the restore, of which the topic has forgotten the letter
    world.dead.remove(0);
    let mut lost = letter.clone();
    lost.source.as_mut().unwrap().topic = "usage-of-before".to_owned();
    world.dismissed(&lost, &DISMISSED);
    assert_eq!(world.report().count(Defect::RedriveOff), 0);
    // and one whose command was on its way
    let (mut world, letter) = redriven();
    world.dismissed(&letter, &DISMISSED);
    assert_defects(&world.report(), &[]);
}

#[test]
fn a_dismissal_says_why_when_and_by_whom_and_nothing_else() {
    let (mut world, record) = world();
    let letter = letter_of(&record);
    for missing in 0..DISMISSED.len() {
        let mut headers = DISMISSED.to_vec();
        headers.remove(missing);
        world.dismissed(&letter, &headers);
    }
    for more in [(header::ENTRY, "ent_acc_luna_1"), (header::COMMAND, "0/1")] {
        world.dismissed(&letter, &[&DISMISSED[..], &[more]].concat());
    }
    assert_defects(&world.report(), &[(Defect::RedriveOff, 5)]);
}

/// The letter was driven again and posted, once.
fn redriven() -> (World, RedriveLetter) {
    let (mut world, record) = world();
    let letter = letter_of(&record);
    world.redrive(&letter, true);
    world.said(&letter, "posted", "");
    (world, letter)
}

#[test]
fn a_letter_that_was_posted_once_is_in_order_and_so_is_its_repetition() {
    let (mut world, letter) = redriven();
    world.redrive(&letter, false);
    let report: Report = world.report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Redriven), 2);
}

#[test]
fn the_booth_that_sends_it_once_more_is_a_duplicate() {
    let (mut world, _) = redriven();
    world.repeat(world.usage.len() - 1);
    assert_defects(&world.report(), &[]);
}

#[test]
fn a_letter_that_is_posted_twice_is_doubled() {
    // given a second command that posted it, too
    let (mut world, letter) = redriven();
    world.redrive(&letter, true);
    world.said(&letter, "posted", "");
    // then the operation, the command's key and the letter are each there twice; the first entry is no longer its own
    let report = world.report();
    assert_eq!(report.count(Defect::Doubled), 2, "{report}");
}

#[test]
fn a_letter_that_is_lost_is_counted() {
    // given a command that left no trace, and one whose entry is said to be there
    let (mut quiet, record) = world();
    let letter = letter_of(&record);
    quiet.redrive(&letter, false);
    assert_defects(&quiet.report(), &[(Defect::Lost, 1)]);
    quiet.said(&letter, "posted", "");
    assert_defects(&quiet.report(), &[(Defect::Lost, 1)]);
    // and one that is called a duplicate of nothing
    for outcome in ["duplicate", "stale"] {
        let (mut world, record) = world();
        let letter = letter_of(&record);
        world.redrive(&letter, false);
        world.said(&letter, outcome, "");
        assert_defects(&world.report(), &[(Defect::Lost, 1)]);
    }
}

#[test]
fn a_refusal_must_hold() {
    let (mut world, record) = world();
    let letter = letter_of(&record);
    world.redrive(&letter, false);
    world.said(&letter, "refused", "no_price");
    // By then the price was published.
    assert_defects(&world.report(), &[(Defect::DeadUnfounded, 1)]);
    // Before it was, and where it was not known, it holds.
    let [.., said] = world.dead.as_mut_slice() else { panic!() };
    let at = |said: &mut Stored, name: &str, value: String| {
        said.headers.iter_mut().find(|(found, _)| found == name).unwrap().1 = value.into_bytes();
    };
    at(said, header::REDRIVEN_AT, rfc3339(NOON + 30_000));
    assert_defects(&world.report(), &[]);
    let [.., said] = world.dead.as_mut_slice() else { panic!() };
    at(said, header::REDRIVEN_AT, rfc3339(NOON + 3_700_000));
    at(said, header::REASON, "price_book_unavailable".to_owned());
    assert_defects(&world.report(), &[]);
    at(world.dead.last_mut().unwrap(), header::REASON, "too_old".to_owned());
    assert_defects(&world.report(), &[(Defect::DeadUnfounded, 1)]);
}

#[test]
fn what_is_posted_is_the_letter_and_nothing_else() {
    type Damage = fn(&mut World);
    let damages: [(Damage, Defect); 7] = [
        (|world| usage_mut(world).received_at_ms += 1, Defect::WrongContent),
        (|world| usage_mut(world).booth_id = "bth_2".into(), Defect::WrongContent),
        (|world| usage_mut(world).letter.as_mut().unwrap().topic = "other".into(), Defect::WrongContent),
        (|world| world.last_entry().command.as_mut().unwrap().actor = "key_x".into(), Defect::WrongContent),
        (|world| drop(world.dead.pop()), Defect::RedriveOff),
        (|world| world.dead[0].payload.push(b' '), Defect::DeadAltered),
        (|world| drop(world.dead.remove(0)), Defect::SourceMissing),
    ];
    for (number, (damage, defect)) in damages.into_iter().enumerate() {
        let (mut world, _) = redriven();
        damage(&mut world);
        let report = world.report();
        assert!(report.count(defect) >= 1, "{number}: {report}");
    }
}

fn usage_mut(world: &mut World) -> &mut Usage {
    match &mut world.last_entry().kind {
        Some(Kind::Usage(usage)) => usage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_may_be_forgotten_must_not_be_posted() {
    let (mut world, letter) = redriven();
    assert_defects(&world.report(), &[]);
    // given 81 days between the work and the posting
    let late = 81 * DAY_MS;
    world.ledger.last_mut().unwrap().record.posted_at_ms += late;
    drop(letter);
    let report = world.report();
    assert_eq!(report.count(Defect::WronglyPosted), 1, "{report}");
}
