use std::ops::RangeInclusive;

use prost::Message;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::v1::{AccountOpened, Adjustment, BonusGranted, Entry, ProfileSet};

use super::*;
use crate::live::Purse;

const ROOMY: RecentLimits = RecentLimits { bytes_max: 1 << 20, entries_per_account_max: 1_000 };

fn entry(seq: u64) -> Entry {
    let kind = if seq == 1 {
        Kind::AccountOpened(AccountOpened {
            currency: "USD".to_owned(),
            time_zone: "America/New_York".to_owned(),
            ..AccountOpened::default()
        })
    } else {
        Kind::Adjustment(Adjustment::default())
    };
    Entry { seq, balance_after_micros: i64::try_from(seq).unwrap() * 10, kind: Some(kind), ..Entry::default() }
}

fn record(account: &str, seqs: RangeInclusive<u64>) -> LedgerRecord {
    LedgerRecord {
        account_id: account.to_owned(),
        posted_at_ms: i64::try_from(*seqs.end()).unwrap() * 1_000,
        input_generation: 0,
        entries: seqs.map(entry).collect(),
    }
}

fn fold(view: &LiveView, account: &str, seqs: RangeInclusive<u64>) -> Result<Folded, FoldError> {
    // Ten records lie between two of the account.
    let offset = i64::try_from(*seqs.end()).unwrap() * 10;
    fold_at(view, account, seqs, offset)
}

fn fold_at(view: &LiveView, account: &str, seqs: RangeInclusive<u64>, offset: i64) -> Result<Folded, FoldError> {
    let record = record(account, seqs);
    view.fold(Place { partition: 0, offset }, &record, &record.encode_to_vec())
}

fn kept(view: &LiveView, account: &str) -> Vec<(u64, u64)> {
    view.recent(account).unwrap().records.iter().map(|record| (record.first_seq, record.last_seq)).collect()
}

#[test]
fn the_busiest_accounts_are_those_with_the_most_entries() {
    let view = LiveView::new(ROOMY);
    for (account, seq) in [("acc_a", 3), ("acc_b", 7), ("acc_c", 1), ("acc_d", 7), ("acc_e", 5)] {
        fold(&view, account, 1..=seq).unwrap();
    }
    let busiest = |limit| view.busiest(limit).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(busiest(3), ["acc_d", "acc_b", "acc_e"]);
    assert_eq!(busiest(9).len(), 5);
    assert!(busiest(0).is_empty());
}

#[test]
fn the_newest_entry_says_the_balance() {
    let view = LiveView::new(ROOMY);
    assert_eq!(view.balance("acc_a"), None);
    assert_eq!(fold(&view, "acc_a", 1..=3), Ok(Folded::Applied));
    assert_eq!(fold(&view, "acc_a", 4..=4), Ok(Folded::Applied));
    let balance = view.balance("acc_a").unwrap();
    assert_eq!((balance.seq, balance.balance_micros, balance.as_of_ms), (4, 40, 4_000));
    assert_eq!(balance.profile.currency, "USD");
    assert_eq!(kept(&view, "acc_a"), [(1, 3), (4, 4)]);
}

#[test]
fn what_clickhouse_had_at_the_start_is_skipped() {
    let view = LiveView::new(ROOMY);
    let profile = Some(Profile { currency: "EUR".to_owned(), time_zone: "Europe/Berlin".to_owned() });
    let known = KnownAccount {
        account_id: "acc_a".to_owned(),
        seq: 5,
        balance_micros: 77,
        held_micros: 7,
        posted_at_ms: 1,
        profile,
        facts: Facts::default(),
        may_have_purse: true,
    };
    view.load([(0, known)]);
    // Nothing has to be waited for that was there at the start.
    assert_eq!(view.place_after("acc_a", 5), Some(Place { partition: 0, offset: 0 }));
    assert_eq!(fold(&view, "acc_a", 2..=5), Ok(Folded::Known));
    // Unless it turns out to lie above the offsets.
    assert_eq!(view.place_after("acc_a", 5), Some(Place { partition: 0, offset: 51 }));
    assert_eq!(view.balance("acc_a").unwrap().balance_micros, 77);
    // A record that only begins below is applied.
    assert_eq!(fold(&view, "acc_a", 5..=6), Ok(Folded::Applied));
    assert_eq!((view.balance("acc_a").unwrap().seq, kept(&view, "acc_a")), (6, vec![(5, 6)]));
}

fn profile_set(seq: u64, name: &str, time_zone: &str) -> LedgerRecord {
    let set = ProfileSet { name: name.to_owned(), time_zone: time_zone.to_owned() };
    let entries = vec![Entry { kind: Some(Kind::ProfileSet(set)), ..entry(seq) }];
    LedgerRecord { entries, ..record("acc_a", seq..=seq) }
}

fn fold_set(view: &LiveView, seq: u64, name: &str, time_zone: &str) {
    let record = profile_set(seq, name, time_zone);
    let place = Place { partition: 0, offset: i64::try_from(seq).unwrap() * 10 };
    view.fold(place, &record, &record.encode_to_vec()).unwrap();
}

/// Name, zone and currency.
fn shown(view: &LiveView) -> (String, String, String) {
    let (balance, facts) = view.account("acc_a").unwrap();
    (facts.name, balance.profile.time_zone.clone(), balance.profile.currency.clone())
}

fn texts(name: &str, zone: &str, currency: &str) -> (String, String, String) {
    (name.to_owned(), zone.to_owned(), currency.to_owned())
}

#[test]
fn a_name_and_a_zone_that_are_set_count_at_once() {
    let view = LiveView::new(ROOMY);
    fold(&view, "acc_a", 1..=1).unwrap();
    assert_eq!(shown(&view), texts("", "America/New_York", "USD"));
    fold_set(&view, 2, "Sol", "Asia/Tokyo");
    assert_eq!(shown(&view), texts("Sol", "Asia/Tokyo", "USD"));
    fold(&view, "acc_a", 3..=3).unwrap();
    fold_set(&view, 4, "Nova", "UTC");
    assert_eq!(shown(&view), texts("Nova", "UTC", "USD"));
    // What is read once more changes nothing.
    fold_set(&view, 2, "Sol", "Asia/Tokyo");
    fold(&view, "acc_a", 1..=1).unwrap();
    assert_eq!(shown(&view), texts("Nova", "UTC", "USD"));
}

#[test]
fn the_newest_word_counts_whether_the_database_or_the_tail_has_it() {
    let known = |seq, named_by_seq, zone: &str| KnownAccount {
        account_id: "acc_a".to_owned(),
        seq,
        balance_micros: 77,
        held_micros: 0,
        posted_at_ms: 1,
        profile: Some(Profile { currency: "EUR".to_owned(), time_zone: zone.to_owned() }),
        facts: Facts { name: zone.to_owned(), named_by_seq, opened_at_ms: 1, ..Facts::default() },
        may_have_purse: true,
    };
    // given a database that has the word of entry 3, and a tail that begins before it
    let view = LiveView::new(ROOMY);
    view.load([(0, known(5, 3, "Asia/Tokyo"))]);
    fold_set(&view, 2, "before", "UTC");
    assert_eq!(shown(&view), texts("Asia/Tokyo", "Asia/Tokyo", "EUR"));
    fold_set(&view, 6, "Sol", "UTC");
    assert_eq!(shown(&view), texts("Sol", "UTC", "EUR"));
    // and an account of which the tail has a later entry alone, until the database tells of its opening
    let view = LiveView::new(ROOMY);
    fold_set(&view, 6, "Sol", "UTC");
    assert!(view.is_incomplete("acc_a") && view.account("acc_a").is_none());
    view.load([(0, known(5, 1, "Asia/Tokyo"))]);
    assert_eq!(shown(&view), texts("Sol", "UTC", "EUR"));
}

#[test]
fn a_purse_is_empty_where_nothing_was_ever_put_into_one() {
    // given two accounts that ClickHouse knew at the start, one of which may have had a bonus
    let view = LiveView::new(ROOMY);
    let known = |account_id: &str, may_have_purse| KnownAccount {
        account_id: account_id.to_owned(),
        seq: 5,
        balance_micros: 77,
        held_micros: 7,
        posted_at_ms: 1,
        profile: Some(Profile { currency: "EUR".to_owned(), time_zone: "Europe/Berlin".to_owned() }),
        facts: Facts::default(),
        may_have_purse,
    };
    view.load([(0, known("acc_a", false)), (0, known("acc_b", true))]);
    // then the purse of the other needs no question
    let purse = |account_id: &str| view.balance_and_purse(account_id).unwrap().1;
    assert_eq!((purse("acc_a"), purse("acc_b")), (Some(Purse::default()), None));
    // and follows what comes, also in a record that begins below what was known
    let granted = BonusGranted { expires_at_ms: None, ..BonusGranted::default() };
    let mut record = record("acc_a", 5..=6);
    record.entries[1].amount_micros = 10;
    record.entries[1].kind = Some(Kind::BonusGranted(granted));
    view.fold(Place { partition: 0, offset: 50 }, &record, &record.encode_to_vec()).unwrap();
    assert_eq!(purse("acc_a").map(|purse| purse.bonus_micros()), Some(10));
}

#[test]
fn a_database_that_has_less_than_at_the_start_vouches_for_nothing() {
    // given an account that stood in the database when reading began at 50
    let view = LiveView::new(ROOMY);
    view.begin_at(&[50]);
    let known = KnownAccount {
        account_id: "acc_a".to_owned(),
        seq: 5,
        balance_micros: 77,
        held_micros: 0,
        posted_at_ms: 1,
        profile: None,
        facts: Facts::default(),
        may_have_purse: true,
    };
    view.load([(0, known)]);

    // then it is vouched for as long as the database has that much, whatever was read since
    assert_eq!(view.seq_below("acc_a", &[(0, 50)]), Some(5));
    assert_eq!(view.seq_below("acc_a", &[(0, 51)]), None, "memory has not read that far");

    // and not where it was dropped, or is being filled again
    assert_eq!(view.seq_below("acc_a", &[(0, 49)]), None);
    assert_eq!(view.seq_below("acc_a", &[]), None);
}

#[test]
fn what_was_posted_before_reading_began_is_sure() {
    // given an account that stood in the database when reading began at 50, and one that was opened since
    let known = |seq| KnownAccount {
        account_id: "acc_a".to_owned(),
        seq,
        balance_micros: 77,
        held_micros: 0,
        posted_at_ms: 1,
        profile: None,
        facts: Facts::default(),
        may_have_purse: true,
    };
    let begun = |seq| {
        let view = LiveView::new(ROOMY);
        view.begin_at(&[50]);
        view.load([(0, known(seq))]);
        view
    };
    let view = begun(5);
    fold_at(&view, "acc_a", 6..=7, 60).unwrap();
    fold_at(&view, "acc_b", 1..=2, 61).unwrap();

    // then none of what came since is, and all of what was there, as long as the database has that much
    let sure = |view: &LiveView, account_id, end| view.sure_seq(account_id, |_| end);
    assert_eq!([sure(&view, "acc_a", 50), sure(&view, "acc_b", 50)], [Some(5), Some(0)]);
    assert_eq!([sure(&view, "acc_a", 61), sure(&view, "acc_b", 62)], [Some(7), Some(2)]);
    assert_eq!([sure(&view, "acc_a", 49), sure(&view, "acc_b", 49)], [None, None]);

    // and it is not known where something that was there was posted since
    let view = begun(5);
    fold_at(&view, "acc_a", 4..=5, 55).unwrap();
    fold_at(&view, "acc_a", 6..=7, 60).unwrap();
    assert_eq!(sure(&view, "acc_a", 50), None);
    // nor behind a jump
    let view = begun(3);
    fold_at(&view, "acc_a", 6..=7, 60).unwrap();
    assert_eq!(sure(&view, "acc_a", 50), None);
}

#[test]
fn a_jump_drops_what_does_not_join_on() {
    let view = LiveView::new(ROOMY);
    fold(&view, "acc_a", 1..=2).unwrap();
    assert_eq!(fold(&view, "acc_a", 5..=6), Ok(Folded::Jumped));
    assert_eq!(kept(&view, "acc_a"), [(5, 6)]);
    // An account whose opening was jumped over has no currency to answer with.
    assert_eq!(fold(&view, "acc_b", 5..=6), Ok(Folded::Jumped));
    assert!(view.is_incomplete("acc_b") && view.balance("acc_b").is_none());
}

#[test]
fn a_reload_drops_what_does_not_join_on() {
    let view = LiveView::new(ROOMY);
    let known = |seq: u64| KnownAccount {
        account_id: "acc_a".to_owned(),
        seq,
        balance_micros: 90,
        held_micros: 0,
        posted_at_ms: 9_000,
        profile: None,
        facts: Facts::default(),
        may_have_purse: true,
    };
    fold(&view, "acc_a", 1..=2).unwrap();
    // What is behind memory changes nothing.
    view.load([(0, known(2))]);
    assert_eq!(kept(&view, "acc_a"), [(1, 2)]);
    // What is ahead of it leaves entries out.
    view.load([(0, known(9))]);
    assert_eq!((view.balance("acc_a").unwrap().seq, kept(&view, "acc_a")), (9, vec![]));
    assert_eq!(fold(&view, "acc_a", 10..=10), Ok(Folded::Applied));
    let recent = view.recent("acc_a").unwrap();
    assert_eq!((recent.oldest_seq(), kept(&view, "acc_a")), (10, vec![(10, 10)]));
}

#[test]
fn an_entry_lies_below_the_end_of_the_record_that_holds_it() {
    let view = LiveView::new(RecentLimits { bytes_max: 1 << 20, entries_per_account_max: 4 });
    for seqs in [1..=2, 3..=4, 5..=5, 6..=8] {
        fold(&view, "acc_a", seqs).unwrap();
    }
    let end = |seq| view.place_after("acc_a", seq).map(|place| place.offset);
    assert_eq!(kept(&view, "acc_a"), [(5, 5), (6, 8)]);
    assert_eq!([end(5), end(6), end(8), end(9)], [Some(51), Some(81), Some(81), None]);
    // Of what memory has dropped, it is known to lie before the oldest record there.
    assert_eq!(end(1), Some(51));
}

#[test]
fn an_account_waits_for_its_own_partition_alone() {
    let view = LiveView::new(ROOMY);
    assert!(!view.is_confirmed_for("acc_a"));
    view.set_partitions(4);
    let of = |account: &str| u32::try_from(partition_for(account.as_bytes(), 4).unwrap()).unwrap();
    assert_ne!(of("acc_a"), of("acc_b"));
    view.confirm(of("acc_a"), 9_000);
    assert!(view.is_confirmed_for("acc_a") && !view.is_confirmed_for("acc_b") && !view.is_confirmed());
}

#[test]
fn memory_is_bounded_per_account_and_over_all() {
    let view = LiveView::new(RecentLimits { bytes_max: 1 << 20, entries_per_account_max: 5 });
    for first in [1, 4, 7, 10] {
        fold(&view, "acc_a", first..=first + 2).unwrap();
    }
    assert_eq!(kept(&view, "acc_a"), [(7, 9), (10, 12)]);

    let view = LiveView::new(RecentLimits { bytes_max: 3_000, entries_per_account_max: 3 });
    fold(&view, "acc_quiet", 1..=1).unwrap();
    for seq in 1..=1_000 {
        fold(&view, "acc_hot", seq..=seq).unwrap();
        assert!(view.size().1 <= 3_000);
    }
    assert_eq!(kept(&view, "acc_hot"), [(998, 998), (999, 999), (1_000, 1_000)]);
    assert_eq!(view.balance("acc_quiet").unwrap().seq, 1);
    for number in 0..100 {
        fold(&view, &format!("acc_{number}"), 1..=1).unwrap();
        assert!(view.size().1 <= 3_000);
    }
    assert!(kept(&view, "acc_quiet").is_empty() && kept(&view, "acc_hot").is_empty());
    assert_eq!(kept(&view, "acc_99"), [(1, 1)]);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let view = LiveView::new(ROOMY);
    let mut record =
        LedgerRecord { account_id: "acc_a".to_owned(), entries: vec![entry(1), entry(3)], ..LedgerRecord::default() };
    let place = Place { partition: 0, offset: 0 };
    assert_eq!(view.fold(place, &record, &[]), Err(FoldError::NotConsecutive));
    record.entries = vec![Entry { kind: None, ..entry(1) }];
    assert_eq!(view.fold(place, &record, &[]), Err(FoldError::UnknownKind(1)));
    assert_eq!(view.size().0, 0);
}

#[tokio::test]
async fn a_read_waits_for_what_was_written() {
    let view = Arc::new(LiveView::new(ROOMY));
    let waiting = tokio::spawn({
        let view = Arc::clone(&view);
        async move { view.wait_for_seq("acc_a", 2, Duration::from_secs(10)).await }
    });
    for seq in 1..=2 {
        fold(&view, "acc_a", seq..=seq).unwrap();
        view.announce();
        tokio::task::yield_now().await;
    }
    assert!(waiting.await.unwrap());
    assert!(!view.wait_for_seq("acc_a", 3, Duration::from_millis(1)).await);
}

#[test]
fn a_balance_is_true_for_the_moment_that_was_confirmed() {
    let view = LiveView::new(ROOMY);
    view.set_partitions(2);
    fold(&view, "acc_a", 1..=1).unwrap();
    view.confirm(0, 9_000);
    assert!(!view.is_confirmed());
    view.confirm(1, 9_000);
    assert!(view.is_confirmed());
    view.confirm(0, 8_000);
    assert_eq!(view.balance("acc_a").unwrap().as_of_ms, 9_000);
}

#[test]
fn what_the_sink_has_of_an_account_is_told_by_its_offsets() {
    // given records that end at the offsets 31, 41 and 51, of which memory keeps the last two
    let view = LiveView::new(RecentLimits { bytes_max: 1 << 20, entries_per_account_max: 2 });
    for seqs in [1..=3, 4..=4, 5..=5] {
        fold(&view, "acc_a", seqs).unwrap();
    }
    assert_eq!(kept(&view, "acc_a"), [(4, 4), (5, 5)]);
    // when the sink is at an offset, then everything up to this entry is sunk, or memory cannot tell
    let sunk = |end| view.sunk_seq("acc_a", |_| end);
    assert_eq!([0, 31, 40, 41, 50, 51].map(sunk), [None, None, None, Some(4), Some(4), Some(5)]);
    assert_eq!(view.sunk_seq("acc_none", |_| 51), None);
}
