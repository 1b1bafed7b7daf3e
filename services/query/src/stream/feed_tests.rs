use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::live::Profile;

const ALL: Topics = Topics { balance: true, transactions: true, usage: true, alerts: true };
const EVENT: &str = "evt_gala";

/// Every fifth entry is not listed, every third is of another event.
fn row(seq: u64) -> ActivityRow {
    ActivityRow {
        seq,
        entry_type: if seq.is_multiple_of(5) { "plan_changed" } else { "consume" }.to_owned(),
        event_id: if seq.is_multiple_of(3) { "evt_other" } else { EVENT }.to_owned(),
        amount_micros: if seq.is_multiple_of(5) { 0 } else { -1 },
        ..ActivityRow::default()
    }
}

fn balance(seq: u64) -> Balance {
    let profile = Arc::new(Profile { currency: "USD".to_owned(), time_zone: "UTC".to_owned() });
    Balance { seq, balance_micros: 0, held_micros: 0, as_of_ms: 0, profile }
}

fn feed(topics: Topics, filter: ActivityFilter, position: Position) -> Feed {
    let intervals = Intervals { balance: Duration::from_millis(250), usage: Duration::from_secs(1) };
    Feed::new(topics, filter, intervals, position)
}

/// What a client has seen, over any number of connections.
#[derive(Debug, Default)]
struct Client {
    id: Option<String>,
    seqs: Vec<u64>,
    spent_micros: i128,
    usage_seqs: Vec<(u64, u64)>,
}

impl Client {
    fn connect(&self, filter: &ActivityFilter) -> Feed {
        let position = self.id.as_deref().map_or(Position::at(0), |id| id.parse().unwrap());
        feed(ALL, filter.clone(), position)
    }

    fn see(&mut self, out: Out, position: Position) {
        self.id = Some(position.to_string());
        match out {
            Out::Transaction(row) | Out::Alert(row) => self.seqs.push(row.seq),
            Out::Usage(usage) => {
                self.spent_micros += usage.lines.values().map(|line| line.spent_micros).sum::<i128>();
                self.usage_seqs.push((usage.after_seq, usage.to_seq));
            }
            Out::Ready | Out::Balance(_) | Out::Stale(_) => {}
            Out::Resync(why) => panic!("{why}"),
        }
    }
}

proptest! {
    #[test]
    fn over_any_number_of_broken_connections_everything_arrives_once(
        cuts in proptest::collection::vec((1_usize..12, 1_u64..9, 0_u64..1_500), 1..25),
        of_event: bool,
    ) {
        let filter = ActivityFilter {
            event_ids: if of_event { vec![EVENT.to_owned()] } else { Vec::new() },
            ..ActivityFilter::default()
        };
        let (mut client, mut now) = (Client::default(), Instant::now());
        let mut newest = 0;
        // Each connection sees some events and breaks, whatever is under way.
        for (events, step, later_ms) in cuts {
            let mut feed = client.connect(&filter);
            for _ in 0..events {
                newest += step;
                let from = feed.next_seq();
                feed.take((from..=newest).map(row).collect(), newest);
                feed.take_balance(balance(newest));
                now += Duration::from_millis(later_ms);
                if let Some(out) = feed.pop(now) {
                    client.see(out, feed.position());
                }
            }
        }
        let mut feed = client.connect(&filter);
        feed.take((feed.next_seq()..=newest).map(row).collect(), newest);
        while let Some(out) = feed.pop(now) {
            client.see(out, feed.position());
        }
        let expected: Vec<ActivityRow> = (1..=newest).map(row).filter(|row| filter.allows(row)).collect();
        prop_assert_eq!(&client.seqs, &expected.iter().map(|row| row.seq).collect::<Vec<_>>());
        prop_assert_eq!(client.spent_micros, expected.len() as i128);
        for pair in client.usage_seqs.windows(2) {
            prop_assert!(pair[0].1 <= pair[1].0, "{:?}", client.usage_seqs);
        }
    }
}

#[test]
fn what_is_stale_is_told_once_and_so_is_its_end() {
    let now = Instant::now();
    let mut feed = feed(ALL, ActivityFilter::default(), Position::at(4));
    feed.set_stale(Some(1_790_000_000_000));
    assert_eq!(feed.pop(now), Some(Out::Ready));
    assert_eq!(feed.pop(now), Some(Out::Stale(Some(1_790_000_000_000))));
    feed.set_stale(Some(1_790_000_000_000));
    assert_eq!(feed.pop(now), None);
    feed.set_stale(None);
    assert_eq!((feed.pop(now), feed.pop(now)), (Some(Out::Stale(None)), None));
    // and the position is where it was
    assert_eq!(feed.position(), Position::at(4));
}

#[test]
fn alerts_go_out_in_their_place_and_once_over_broken_connections() {
    let filter = || ActivityFilter::default();
    let told = |seq: u64, event_id: &str| ActivityRow {
        entry_type: "alert_raised".to_owned(),
        event_id: event_id.to_owned(),
        alert: Some(Box::default()),
        ..ActivityRow { seq, ..ActivityRow::default() }
    };
    let rows = || vec![row(1), told(2, ""), row(3), told(4, EVENT), told(6, "evt_other")];
    let only = Topics { balance: false, transactions: false, usage: false, alerts: true };
    let now = Instant::now();
    let seen = |mut feed: Feed| {
        feed.take(rows(), 6);
        let mut seen = Vec::new();
        while let Some(out) = feed.pop(now) {
            match out {
                Out::Transaction(row) => seen.push((row.seq, false)),
                Out::Alert(row) => seen.push((row.seq, true)),
                _ => {}
            }
        }
        (seen, feed.position())
    };
    let all = vec![(1, false), (2, true), (3, false), (4, true), (6, true)];
    assert_eq!(seen(feed(ALL, filter(), Position::at(0))), (all, Position::at(6)));
    // Who has seen the second gets those behind it.
    let (behind, position) = seen(feed(only, filter(), Position::at(2)));
    assert_eq!((behind, position.transactions), (vec![(4, true), (6, true)], 6));
    let of_event = ActivityFilter { event_ids: vec![EVENT.to_owned()], ..filter() };
    assert_eq!(seen(feed(only, of_event, Position::at(0))).0, [(4, true)]);
    // Who does not ask for them is not told.
    let others = Topics { alerts: false, ..ALL };
    assert_eq!(seen(feed(others, filter(), Position::at(0))).0, [(1, false), (3, false)]);
}

#[test]
fn a_stream_says_first_where_it_begins() {
    let mut feed = feed(ALL, ActivityFilter::default(), Position::at(7));
    feed.take_balance(balance(7));
    let now = Instant::now();
    assert_eq!((feed.pop(now), feed.position()), (Some(Out::Ready), Position::at(7)));
    assert_eq!((feed.pop(now), feed.pop(now)), (Some(Out::Balance(balance(7))), None));
}

#[test]
fn balances_and_sums_are_held_back_and_transactions_are_not() {
    let mut feed = feed(ALL, ActivityFilter::default(), Position::at(0));
    let start = Instant::now();
    feed.take_balance(balance(0));
    let drain = |feed: &mut Feed, now: Instant| std::iter::from_fn(|| feed.pop(now)).collect::<Vec<_>>();
    assert_eq!(drain(&mut feed, start).len(), 2);
    let mut counts = [0, 0, 0];
    for number in 1..=40 {
        // An entry every 50 ms, two seconds long.
        let now = start + Duration::from_millis(50 * number);
        feed.take(
            vec![ActivityRow { entry_type: "consume".to_owned(), seq: number, ..ActivityRow::default() }],
            number,
        );
        feed.take_balance(balance(number));
        for out in drain(&mut feed, now) {
            match out {
                Out::Transaction(_) => counts[0] += 1,
                Out::Balance(_) => counts[1] += 1,
                Out::Usage(_) => counts[2] += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(counts, [40, 8, 2]);
    // What is held back goes out when it is due, whatever comes after it.
    let end = start + Duration::from_secs(2);
    let due_at = feed.due_at(end).unwrap();
    assert!(due_at > end && due_at <= end + Duration::from_secs(1));
    assert!(feed.pop(end).is_none() && feed.pop(end + Duration::from_secs(1)).is_some());
}

#[test]
fn who_wants_the_balance_alone_comes_back_with_its_seq() {
    let only = Topics { balance: true, transactions: false, usage: false, alerts: false };
    let mut feed = feed(only, ActivityFilter::default(), Position::at(3));
    feed.take_balance(balance(9));
    let now = Instant::now();
    assert_eq!(feed.pop(now), Some(Out::Ready));
    assert_eq!((feed.pop(now), feed.position()), (Some(Out::Balance(balance(9))), Position::at(9)));
    // The same balance once more is no news, and neither is an older one, of a process that is behind.
    feed.take_balance(balance(9));
    feed.take_balance(balance(8));
    assert_eq!((feed.pop(now + Duration::from_secs(9)), feed.due_at(now)), (None, None));
}

#[test]
fn a_position_whose_topics_lie_apart_is_kept_for_each() {
    let now = Instant::now();
    for (position, seqs, spent_micros) in [("2.4", vec![3, 4, 6], 1), ("4.2", vec![6], 3)] {
        let mut feed = feed(ALL, ActivityFilter::default(), position.parse().unwrap());
        feed.take((feed.next_seq()..=6).map(row).collect(), 6);
        let (mut found, mut spent) = (Vec::new(), 0);
        while let Some(out) = feed.pop(now) {
            match out {
                Out::Transaction(row) => found.push(row.seq),
                Out::Usage(usage) => spent += usage.lines.values().map(|line| line.spent_micros).sum::<i128>(),
                _ => {}
            }
        }
        assert_eq!((found, spent, feed.position()), (seqs, spent_micros, Position::at(6)), "{position}");
    }
}

#[test]
fn what_cannot_be_had_is_said() {
    let mut feed = feed(ALL, ActivityFilter::default(), Position::at(3));
    let now = Instant::now();
    assert_eq!(feed.pop(now), Some(Out::Ready));
    feed.skip_to(90, "too_far_behind");
    assert_eq!((feed.pop(now), feed.position()), (Some(Out::Resync("too_far_behind")), Position::at(90)));
    assert_eq!(feed.next_seq(), 91);
}
