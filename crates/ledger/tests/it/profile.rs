//! What an account is called and where its days and months begin, from an entry on.

use serde_json::json;
use tollbooth_ledger::{Overlay, State, Ticks, due, tick};
use tollbooth_schemas::{
    ledger::EntryType,
    time::{parse_rfc3339_ms, rfc3339},
    v1::{
        Entry, ProfileSet, RechargeRequested, Refund, Reprice, SetProfile, SetRecharge, command::Body, entry::Kind,
        set_recharge::Size,
    },
};

use crate::{
    harness::{
        ACCOUNT, Input, Partition, accepted, adjustment, book, command, event, kind_of, money, posted, refused,
        sample_book,
    },
    money::fee,
    refunds::{charge_of, counted_of, refund},
};

fn at(text: &str) -> i64 {
    parse_rfc3339_ms(text).unwrap()
}

fn profile(name: Option<&str>, time_zone: Option<&str>) -> Body {
    let [name, time_zone] = [name, time_zone].map(|text| text.map(str::to_owned));
    Body::SetProfile(SetProfile { name, time_zone })
}

fn to_zone(zone: &str) -> Body {
    profile(None, Some(zone))
}

/// What the newest entry says.
fn told(partition: &Partition) -> (&str, &str) {
    match kind_of(partition.last()) {
        Kind::ProfileSet(ProfileSet { name, time_zone }) => (name, time_zone),
        other => panic!("no profile: {other:?}"),
    }
}

fn fees(partition: &Partition) -> Vec<(String, String)> {
    let entries = partition.ledger.iter().flat_map(|record| &record.entries);
    let fees = entries.filter_map(|entry| match kind_of(entry) {
        Kind::PlanFee(fee) => Some((fee.period.clone(), rfc3339(entry.occurred_at_ms))),
        _ => None,
    });
    fees.collect()
}

fn line(period: &str, at: &str) -> (String, String) {
    (period.to_owned(), format!("{at}.000Z"))
}

fn next_due(partition: &Partition) -> Option<String> {
    due(&partition.state, Ticks::All).map(rfc3339)
}

/// The ledger, folded from its begin, is the state.
fn assert_replays(partition: &Partition) {
    let mut state = State::new(&partition.limits);
    partition.ledger.iter().for_each(|record| state.fold(record).unwrap());
    assert_eq!(state, partition.state);
}

#[test]
fn the_entry_says_both_whichever_was_given() {
    let mut partition = Partition::open();
    for (key, body, expected) in [
        ("k1", profile(Some("Luna and Sol"), None), ("Luna and Sol", "America/New_York")),
        ("k2", to_zone("Asia/Tokyo"), ("Luna and Sol", "Asia/Tokyo")),
        ("k3", profile(Some("Sol"), Some("UTC")), ("Sol", "UTC")),
        // The same again is no mistake.
        ("k4", profile(Some("Sol"), Some("UTC")), ("Sol", "UTC")),
    ] {
        let answer = accepted(partition.command(key, body));
        assert_eq!((answer.amount_micros, answer.balance_micros), (0, 10_000_000));
        assert_eq!(told(&partition), expected);
        assert_eq!((partition.account().name(), partition.account().time_zone()), expected);
    }
    assert_eq!(partition.last().entry_type(), Some(EntryType::ProfileSet));
    // Carried out once, however often it is asked for.
    let entries = partition.ledger.len();
    assert!(accepted(partition.command("k2", to_zone("Asia/Tokyo"))).replayed);
    assert_eq!((partition.ledger.len(), told(&partition)), (entries, ("Sol", "UTC")));
    assert_replays(&partition);
}

#[test]
fn what_is_no_profile_is_refused() {
    let mut partition = Partition::open();
    for body in [
        profile(None, None),
        profile(Some(" "), None),
        to_zone("Mars/Olympus"),
        to_zone("EST"),
        to_zone("+02:00"),
        profile(Some("Sol"), Some("")),
    ] {
        assert_eq!(refused(partition.command("k", body)), (422, "invalid_profile".to_owned()));
    }
    assert_eq!((partition.account().name(), partition.account().seq), ("Luna", 2));
    let mut nobody = Partition::empty();
    assert_eq!(refused(nobody.command("k", to_zone("UTC"))), (404, "unknown_account".to_owned()));
}

#[test]
fn the_month_that_comes_next_begins_where_the_account_is_now() {
    let mut partition = Partition::open();
    for (key, zone, begin) in [
        ("k1", "Asia/Tokyo", "2026-11-30T15:00:00.000Z"),
        ("k2", "Pacific/Honolulu", "2026-12-01T10:00:00.000Z"),
        ("k3", "Europe/Berlin", "2026-11-30T23:00:00.000Z"),
    ] {
        accepted(partition.command(key, to_zone(zone)));
        assert_eq!(next_due(&partition).as_deref(), Some(begin), "{zone}");
    }
    partition.now_ms = at("2026-12-31T23:00:00Z");
    assert_eq!(partition.tick(), 2);
    assert_eq!(fees(&partition), [line("2026-12", "2026-11-30T23:00:00"), line("2027-01", "2026-12-31T23:00:00")]);
    assert_replays(&partition);
}

#[test]
fn a_month_that_has_its_fee_has_it_in_every_zone() {
    // given the fee of December, in New York
    let mut partition = Partition::open();
    partition.now_ms = at("2026-12-01T06:00:00Z");
    assert_eq!(partition.tick(), 1);
    // when the account moves to where it is November still
    accepted(partition.command("k1", to_zone("Pacific/Honolulu")));
    partition.now_ms = at("2026-12-02T00:00:00Z");
    // then December, which begins there, is not charged again, and January is next
    assert_eq!((partition.tick(), next_due(&partition).as_deref()), (0, Some("2027-01-01T10:00:00.000Z")));
    assert_eq!(refused(partition.command("k2", fee("2026-12"))), (409, "fee_posted".to_owned()));
}

#[test]
fn a_month_that_has_begun_where_the_account_moves_to_is_not_left_out() {
    // given the last afternoon of November in New York, which is the first of December in Tokyo
    let mut partition = Partition::open();
    partition.now_ms = at("2026-11-30T20:00:00Z");
    assert_eq!(partition.tick(), 0);
    accepted(partition.command("k", to_zone("Asia/Tokyo")));
    assert_eq!(partition.tick(), 1);
    assert_eq!(fees(&partition), [line("2026-12", "2026-11-30T15:00:00")]);
    assert_eq!(next_due(&partition).as_deref(), Some("2026-12-31T15:00:00.000Z"));
}

#[test]
fn a_fee_that_is_about_to_be_posted_waits_for_the_new_zone() {
    // given a batch in which the account moves away, before December's fee of the zone before is decided
    let mut partition = Partition::open();
    partition.now_ms = at("2026-12-01T05:00:00Z");
    let old = partition.state.due_until(partition.now_ms, 10, Ticks::All);
    let state = &partition.state;
    let mut overlay = Overlay::new(state);
    let moved = Kind::ProfileSet(ProfileSet { name: "Luna".to_owned(), time_zone: "Pacific/Honolulu".to_owned() });
    let entry = Entry { seq: 3, balance_after_micros: 10_000_000, kind: Some(moved), ..Entry::default() };
    overlay.post(0, ACCOUNT, partition.now_ms, &entry, None).unwrap();
    // then it is not decided
    assert_eq!(old.len(), 1);
    assert_eq!(tick(&overlay, &partition.books, &old[0], partition.now_ms), None);
}

/// Images in tiers by month, and a book 6 at other prices.
fn tiered() -> Partition {
    let mut partition = Partition::open();
    let rows = |first: &str, second: &str| {
        json!([{"service": "ai_modify", "engine": "nano", "unit": "image", "model": "graduated", "plans": {}, "tiers": [
            {"from": "0", "to": "10", "plans": {"basic": first}}, {"from": "10", "plans": {"basic": second}}]}])
    };
    for (version, from, prices) in
        [(5, "2026-01-01T00:00:00Z", rows("0.10", "0.05")), (6, "2199-01-01T00:00:00Z", rows("0.20", "0.01"))]
    {
        let mut tiers = sample_book();
        (tiers["version"], tiers["effective_from"], tiers["prices"]) = (version.into(), from.into(), prices);
        assert!(partition.books.publish(book(&tiers)));
    }
    partition.now_ms = at("2026-12-01T12:00:00Z");
    partition.tick();
    partition
}

/// Work of an hour that is of November in New York and of December in Berlin.
fn between(partition: &mut Partition, operation: &str, images: &str) -> Entry {
    posted(partition.usage(&event(operation, |event| {
        event["time"] = "2026-12-01T03:00:00Z".into();
        event["data"]["quantity"] = images.into();
    })))
}

/// The month that counted it, and how many whole images before it.
fn counted(entry: &Entry) -> (String, i64) {
    let counted = counted_of(entry).unwrap();
    (counted.period, counted.before_micros / 1_000_000)
}

fn month(period: &str, before: i64) -> (String, i64) {
    (period.to_owned(), before)
}

#[test]
fn a_month_counts_by_the_zone_at_the_posting_and_what_it_counted_stays() {
    let mut partition = tiered();
    assert_eq!(counted(&between(&mut partition, "op_1", "4")), month("2026-11", 0));
    accepted(partition.command("k1", to_zone("Europe/Berlin")));
    assert_eq!(counted(&between(&mut partition, "op_2", "3")), month("2026-12", 0));
    assert_eq!(counted(&between(&mut partition, "op_3", "1")), month("2026-12", 3));
    accepted(partition.command("k2", to_zone("America/New_York")));
    assert_eq!(counted(&between(&mut partition, "op_4", "1")), month("2026-11", 4));
    assert_replays(&partition);
}

#[test]
fn what_is_given_back_goes_to_the_month_that_counted_it() {
    let mut partition = tiered();
    let in_november = between(&mut partition, "op_1", "4");
    accepted(partition.command("k1", to_zone("Europe/Berlin")));
    let in_december = between(&mut partition, "op_2", "3");
    accepted(partition.command("k2", to_zone("Asia/Tokyo")));
    for (key, charge, period) in [("r1", &in_november, "2026-11"), ("r2", &in_december, "2026-12")] {
        accepted(partition.command(key, refund(charge, None)));
        let Kind::Reversal(reversal) = kind_of(partition.last()) else { panic!("no reversal") };
        assert_eq!(reversal.counted.as_ref().unwrap().period, period);
    }
    assert_eq!(counted(&between(&mut partition, "op_3", "1")), month("2026-12", 0));
    accepted(partition.command("k3", to_zone("America/New_York")));
    assert_eq!(counted(&between(&mut partition, "op_4", "1")), month("2026-11", 0));
    assert_replays(&partition);
}

#[test]
fn another_month_than_the_charges_own_is_believed_of_nobody() {
    let mut partition = tiered();
    accepted(partition.command("k1", to_zone("Europe/Berlin")));
    let charge = between(&mut partition, "op_1", "4");
    accepted(partition.command("k2", to_zone("America/New_York")));
    let Body::Refund(honest) = refund(&charge, None) else { unreachable!() };
    let mut elsewhere = honest.counted.clone();
    elsewhere.as_mut().unwrap().period = "2026-11".to_owned();
    for (key, counted) in [("r1", elsewhere.clone()), ("r2", None)] {
        let body = Body::Refund(Refund { counted, ..honest.clone() });
        assert_eq!(refused(partition.command(key, body)), (409, "charge_mismatch".to_owned()));
    }
    let reprice = |counted| {
        Body::Reprice(Reprice {
            repricing_id: "rpr_1".to_owned(),
            seq: charge.seq,
            original: Some(charge_of(&charge)),
            counted,
            price_version: 6,
            amount_micros: money("0.80").micros(),
            undo: false,
        })
    };
    assert_eq!(refused(partition.command("p1", reprice(elsewhere))), (409, "charge_mismatch".to_owned()));
    // Its own it is, also of what takes its place.
    accepted(partition.command("p2", reprice(counted_of(&charge))));
    let again = partition.last().clone();
    assert_eq!(counted(&again), month("2026-12", 0));
    accepted(partition.command("r3", refund(&again, None)));
    accepted(partition.command("k3", to_zone("Europe/Berlin")));
    assert_eq!(counted(&between(&mut partition, "op_2", "1")), month("2026-12", 0));
    assert_replays(&partition);
}

#[test]
fn a_charge_of_before_the_first_change_needs_nobodys_word() {
    // given a refund that was sent by a release that said nothing of months
    let mut partition = tiered();
    let charge = between(&mut partition, "op_1", "4");
    accepted(partition.command("k", to_zone("Europe/Berlin")));
    let Body::Refund(honest) = refund(&charge, None) else { unreachable!() };
    accepted(partition.command("r", Body::Refund(Refund { counted: None, ..honest })));
    let Kind::Reversal(reversal) = kind_of(partition.last()) else { panic!("no reversal") };
    assert_eq!(reversal.counted.as_ref().unwrap().period, "2026-11");
}

fn request(partition: &Partition) -> RechargeRequested {
    match kind_of(partition.last()) {
        Kind::RechargeRequested(requested) => requested.clone(),
        other => panic!("no request: {other:?}"),
    }
}

#[test]
fn a_cap_of_a_day_under_way_ends_when_it_was_going_to() {
    // given a day in New York of which the cap is half used
    let mut partition = Partition::open();
    let rule = SetRecharge {
        enabled: true,
        threshold_micros: money("9.90").micros(),
        size: Some(Size::AmountMicros(money("50").micros())),
        daily_cap_micros: Some(money("80").micros()),
        monthly_cap_micros: Some(money("1000").micros()),
        ..SetRecharge::default()
    };
    accepted(partition.command("rule", Body::SetRecharge(rule)));
    let spend = |partition: &mut Partition, key: &str, amount: &str| {
        accepted(partition.command(key, adjustment(amount)));
        let asked = partition.tick();
        if asked > 0 {
            let requested = request(partition);
            let paid = tollbooth_schemas::v1::PostPurchase {
                payment_id: requested.recharge_id,
                provider: "sandbox".to_owned(),
                amount_micros: requested.amount_micros,
                source: tollbooth_schemas::v1::PurchaseSource::AutoRecharge.into(),
            };
            accepted(partition.command(&format!("paid {key}"), Body::PostPurchase(paid)));
        }
        asked
    };
    assert_eq!(spend(&mut partition, "s1", "-1"), 1);
    let (day, new_year) = (at("2026-11-22T05:00:00Z"), at("2026-12-01T05:00:00Z"));
    let ends = |partition: &Partition| {
        let mut asked =
            partition.ledger.iter().flat_map(|record| &record.entries).filter_map(|entry| match kind_of(entry) {
                Kind::RechargeRequested(asked) => {
                    Some((asked.amount_micros, asked.day_ends_at_ms, asked.month_ends_at_ms))
                }
                _ => None,
            });
        asked.next_back().unwrap()
    };
    assert_eq!(ends(&partition), (50_000_000, day, new_year));
    // when the account moves to Tokyo, where that day has ended
    accepted(partition.command("k", to_zone("Asia/Tokyo")));
    partition.now_ms += 7_200_000;
    // then what is bought before its end counts for it
    assert_eq!(spend(&mut partition, "s2", "-55"), 1);
    assert_eq!(ends(&partition), (30_000_000, day, new_year));
    partition.now_ms += 60_000;
    assert_eq!(spend(&mut partition, "s3", "-30"), 0, "nothing is left of the day");
    assert_eq!(due(&partition.state, Ticks::WithoutFees), Some(day));
    // and the day that comes next is one of Tokyo
    partition.now_ms = day;
    assert_eq!(partition.tick(), 1);
    assert_eq!(ends(&partition), (50_000_000, at("2026-11-22T15:00:00Z"), new_year));
    assert_replays(&partition);
}

#[test]
fn a_batch_goes_by_the_zone_that_was_set_in_it() {
    let mut partition = tiered();
    let usage = |operation: &str| Input::Usage(event(operation, |event| event["time"] = "2026-12-01T03:00:00Z".into()));
    partition.batch(&[
        usage("op_1"),
        Input::Command(Box::new(command(ACCOUNT, "k", to_zone("Europe/Berlin")))),
        usage("op_2"),
    ]);
    let charges: Vec<(String, i64)> = partition
        .ledger
        .iter()
        .flat_map(|record| &record.entries)
        .filter_map(counted_of)
        .map(|of| (of.period, of.before_micros))
        .collect();
    assert_eq!(charges, [month("2026-11", 0), month("2026-12", 0)]);
    assert_replays(&partition);
}
