//! A run from end to end against the stand-in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use tollbooth_booth::{
    BoothConfig,
    fleet::{
        Control, CreditBy, Fault, Fleet, GeneratorConfig, LinksConfig, Pace, Population, Profile, Summary, TopUpConfig,
    },
    journal::{Expect, Line, Planned, Reader},
};
use tollbooth_schemas::price_book::PriceBook;

use crate::fake::{Answer, Ingest, id};

fn links(dir: &Path, url: &str) -> LinksConfig {
    let mut booth = BoothConfig::new(url, "tb_ak_live_test");
    booth.backoff.base = Duration::from_millis(1);
    booth.backoff.max = Duration::from_millis(20);
    LinksConfig { outbox_dir: dir.join("outbox"), gateways: 3, booth, kafka: None }
}

fn pace(count: u64) -> Pace {
    Pace { rate: 3_000.0, duration: None, count: Some(count), drain: Duration::from_secs(30), status: false }
}

fn fleet(dir: &Path, url: &str) -> Fleet {
    let control = Control::new(reqwest::Client::new(), url, url, "tb_ak_live_test");
    Fleet::new(Population::new(1, "demo", 8).unwrap(), control, dir.join("journal"), None).unwrap()
}

fn lines(dir: &Path) -> Vec<Line> {
    Reader::open(dir.join("journal")).unwrap().map(Result::unwrap).collect()
}

async fn run(dir: &Path, ingest: &Ingest, generator: GeneratorConfig, count: u64) -> Summary {
    let links = links(dir, &ingest.url);
    fleet(dir, &ingest.url).run(&links, generator, pace(count), None, std::future::pending()).await.unwrap()
}

fn busy_config() -> GeneratorConfig {
    let mut config = GeneratorConfig::new(1, "t", Profile::Stress);
    config.duplicate_share = Some(0.05);
    config.failure_share = 0.1;
    config.wrong_year_share = Some(0.1);
    config.fault_share = 0.05;
    config.faults = vec![Fault::Conflict, Fault::FailedAfterCharge, Fault::ClockYears, Fault::NoPrice];
    config
}

#[tokio::test]
async fn nothing_is_sent_that_is_not_in_the_journal_and_all_that_is_acknowledged_comes_to_stand_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given an ingest that looks into the journal when a request arrives, is busy now and then, and refuses events that
    // are more than a year off
    let journal_dir = dir.path().join("journal");
    let unplanned = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let seen_unplanned = std::sync::Arc::clone(&unplanned);
    let requests = std::sync::atomic::AtomicU64::new(0);
    ingest.judge(move |batch| {
        let planned: BTreeSet<String> = Reader::open(&journal_dir)
            .unwrap()
            .filter_map(|line| match line.unwrap() {
                Line::Planned(planned) => Some(planned.id),
                _ => None,
            })
            .collect();
        seen_unplanned.lock().extend(batch.iter().map(id).filter(|id| !planned.contains(id)));
        if requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 5 == 4 {
            return Some(Answer::Status(503, Some(0)));
        }
        let is_off = |event: &serde_json::Value| {
            let time = chrono::DateTime::parse_from_rfc3339(event["time"].as_str().unwrap()).unwrap();
            time.to_utc().signed_duration_since(chrono::Utc::now()).num_days().abs() > 366
        };
        let off: Vec<_> =
            batch.iter().enumerate().filter(|(_, event)| is_off(event)).map(|(index, _)| (index, 422)).collect();
        Some(Answer::Batch(off))
    });
    // when a run is played
    let summary = run(dir.path(), &ingest, busy_config(), 3_000).await;
    // then
    assert_eq!(*unplanned.lock(), Vec::<String>::new());
    assert!(summary.drained);
    let planned: BTreeMap<String, Planned> = lines(dir.path())
        .into_iter()
        .filter_map(|line| match line {
            Line::Planned(planned) => Some((planned.id.clone(), planned)),
            _ => None,
        })
        .collect();
    let (mut acked, mut parked, mut duplicates) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines(dir.path()) {
        match &line {
            Line::Planned(Planned { id, .. }) | Line::Duplicate { id } => *sent.entry(id.clone()).or_default() += 1,
            Line::Unanswered { ids } => ids.iter().for_each(|id| *sent.entry(id.clone()).or_default() += 1),
            _ => {}
        }
        match line {
            Line::Acked { ids, .. } => acked.extend(ids),
            Line::Parked { id, status: 422, .. } => drop(parked.insert(id)),
            Line::Duplicate { id } => {
                assert!(planned.contains_key(&id));
                duplicates += 1;
            }
            _ => {}
        }
    }
    assert!(duplicates > 50, "{duplicates}");
    for (id, record) in &planned {
        let refused = record.expect == Expect::Refused;
        assert_eq!((acked.contains(id), parked.contains(id)), (!refused, refused), "{record:?}");
    }
    let count = |expect| planned.values().filter(|record| record.expect == expect).count();
    assert!(count(Expect::Failed) > 100 && count(Expect::DeadLetter) > 50 && count(Expect::Refused) > 10);
    assert_eq!(summary.planned, planned.len() as u64);
    assert_eq!(summary.pending, 0);
    // and the journal says how often each was sent
    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    ingest.batches().into_iter().flatten().for_each(|id| *received.entry(id).or_default() += 1);
    assert!(lines(dir.path()).iter().any(|line| matches!(line, Line::Unanswered { .. })), "nobody was busy");
    assert_eq!(received, sent);
}

#[test]
fn an_address_that_needs_tls_is_a_wrong_flag() {
    use clap::Parser;
    for flag in ["--ingest-url", "--query-url"] {
        let line = ["tollbooth-fleet", "run", "--admin-key", "key", flag, "https://ingest.example.com"];
        let error = tollbooth_booth::fleet::cli::Cli::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("TLS") && error.contains(flag), "{error}");
    }
}

#[tokio::test]
async fn what_follows_an_attempt_is_sent_after_its_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    run(dir.path(), &ingest, busy_config(), 1_000).await;
    let mut acked = BTreeSet::new();
    let mut first_of: BTreeMap<String, String> = BTreeMap::new();
    let mut followed = 0;
    for line in lines(dir.path()) {
        match line {
            Line::Acked { ids, .. } => acked.extend(ids),
            Line::Planned(record) => match first_of.get(&record.operation_id) {
                Some(first) => {
                    assert!(acked.contains(first), "{record:?}");
                    followed += 1;
                }
                None => drop(first_of.insert(record.operation_id, record.id)),
            },
            _ => {}
        }
    }
    assert!(followed > 50, "{followed}");
}

#[tokio::test]
async fn a_fleet_that_was_killed_delivers_the_rest_at_its_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given a run whose ingest never answers, ended without any drain
    ingest.judge(|_| Some(Answer::Status(503, Some(60))));
    let links = links(dir.path(), &ingest.url);
    let mut short = pace(500);
    short.drain = Duration::from_millis(300);
    let config = GeneratorConfig::new(1, "t1", Profile::Stress);
    let first = fleet(dir.path(), &ingest.url).run(&links, config, short, None, std::future::pending()).await.unwrap();
    assert!(!first.drained);
    assert_eq!(first.acknowledged, 0);
    // when the next one starts and ingest is well
    ingest.judge(|_| None);
    let second = run(dir.path(), &ingest, GeneratorConfig::new(1, "t2", Profile::Stress), 1).await;
    // then both runs' records were acknowledged
    assert!(second.drained);
    assert_eq!(second.acknowledged, first.planned + second.planned);
}

#[tokio::test]
async fn commands_are_repeated_with_the_same_key_until_definite() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let book: PriceBook = serde_json::from_str(include_str!("../../../../deploy/local/price-book.json")).unwrap();
    let credit = Some(("100".parse().unwrap(), CreditBy::Adjustment));
    fleet(dir.path(), &ingest.url).set_up(&book, credit, None).await.unwrap();
    let commands = ingest.inner.commands.lock();
    let adjustments: Vec<_> =
        commands.iter().filter(|(path, ..)| path == "/v1/accounts/acc_demo_001/adjustments").collect();
    assert_eq!(adjustments.len(), 2, "the first answer was 202: late");
    assert_eq!(adjustments[0], adjustments[1]);
    assert_eq!(adjustments[0].2["amount"], "100.00");
    assert_eq!(commands.iter().filter(|(path, ..)| path == "/v1/price-books/1").count(), 2);
    let opened = lines(dir.path()).iter().filter(|line| matches!(line, Line::AccountOpened { .. })).count();
    let credited = lines(dir.path()).iter().filter(|line| matches!(line, Line::TopUpDone { .. })).count();
    assert_eq!((opened, credited), (8, 8));
}

#[tokio::test]
async fn accounts_below_the_threshold_are_topped_up_with_a_journal_line_first() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let links = links(dir.path(), &ingest.url);
    let top_up = TopUpConfig { interval: Duration::from_millis(50), ..TopUpConfig::default() };
    let mut pace = pace(u64::MAX);
    pace.rate = 20.0;
    let stop = {
        let inner = std::sync::Arc::clone(&ingest.inner);
        async move {
            crate::fake::until("eight accounts are credited", || {
                let commands = inner.commands.lock();
                let paths = commands.iter().filter(|(path, ..)| path.ends_with("/adjustments"));
                paths.map(|(path, ..)| path.clone()).collect::<BTreeSet<_>>().len() == 8
            })
            .await;
        }
    };
    let config = GeneratorConfig::new(1, "t", Profile::Weekday);
    fleet(dir.path(), &ingest.url).run(&links, config, pace, Some(top_up), stop).await.unwrap();
    let planned: BTreeSet<String> = lines(dir.path())
        .into_iter()
        .filter_map(|line| match line {
            Line::TopUpPlanned { idempotency_key, .. } => Some(format!("\"{idempotency_key}\"")),
            _ => None,
        })
        .collect();
    for (path, key, _) in ingest.inner.commands.lock().iter().filter(|(path, ..)| path.ends_with("/adjustments")) {
        assert!(planned.contains(key.as_deref().unwrap()), "{path} {key:?}");
    }
}

#[tokio::test]
async fn every_party_of_a_run_can_be_named_before_booths_report_it() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given named parties of a run
    fleet(dir.path(), &ingest.url).name_parties("r1").await.unwrap();
    let named: BTreeSet<String> = {
        let commands = ingest.inner.commands.lock();
        assert!(commands.iter().all(|(.., body)| body["name"].is_string()));
        assert!(commands.iter().all(|(.., body)| body["starts_at"].as_str() < body["ends_at"].as_str()));
        commands.iter().map(|(path, ..)| path.rsplit('/').next().unwrap().to_owned()).collect()
    };
    // when it is played
    run(dir.path(), &ingest, GeneratorConfig::new(1, "r1", Profile::Stress), 3_000).await;
    // then no booth is at another one, and none was named for nobody
    let events = ingest.inner.batches.lock().concat();
    let reported: BTreeSet<String> =
        events.iter().map(|event| event["data"]["event_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reported, named);
}

#[tokio::test]
async fn credit_can_be_bought_as_customers_buy_it() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let book: PriceBook = serde_json::from_str(include_str!("../../../../deploy/local/price-book.json")).unwrap();
    // when accounts are set up with bought credit
    let credit = Some(("100".parse().unwrap(), CreditBy::Purchase));
    fleet(dir.path(), &ingest.url).set_up(&book, credit, None).await.unwrap();
    // then each is asked for as a purchase, with one key until it is definite, and none is adjusted
    let commands = ingest.inner.commands.lock();
    let asked = |what: &str| commands.iter().filter(|(path, ..)| path.ends_with(what)).collect::<Vec<_>>();
    let purchases = asked("/purchases");
    let keys: BTreeSet<_> = purchases.iter().map(|(_, key, _)| key.clone().unwrap()).collect();
    assert_eq!((purchases.len(), keys.len()), (16, 8), "the first answer to each was 202: late");
    assert!(purchases.iter().all(|(.., body)| body["amount"] == "100.00" && body.as_object().unwrap().len() == 1));
    assert!(asked("/adjustments").is_empty());
    // and the journal leaves it to the ledger
    assert!(!lines(dir.path()).iter().any(|line| matches!(line, Line::TopUpPlanned { .. })));
}

#[tokio::test]
async fn history_is_played_once_and_resumed_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let book: PriceBook = serde_json::from_str(include_str!("../../../../deploy/local/price-book.json")).unwrap();
    let play = async || {
        let links = links(dir.path(), &ingest.url);
        let fleet = fleet(dir.path(), &ingest.url);
        fleet.history(&links, 1, &book, dir.path(), (3_000, CreditBy::Adjustment), |_, _| {}).await
    };
    // given a first try that is cut off after its first records
    tokio::select! {
        played = play() => panic!("{played:?}"),
        () = crate::fake::until("records arrive", || !ingest.batches().is_empty()) => {}
    }
    let marker = std::fs::read_to_string(dir.path().join("history.json")).unwrap();
    assert!(marker.contains("\"done\":false"), "{marker}");
    // when it is played again, and again
    play().await.unwrap();
    let delivered = ingest.batches().concat().len();
    assert_eq!(play().await.unwrap(), 0, "played before");
    assert_eq!(ingest.batches().concat().len(), delivered);
    // then every record arrived, none under another time
    let mut times: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in ingest.inner.batches.lock().iter().flatten() {
        times.entry(id(event)).or_default().insert(event["time"].to_string());
    }
    assert!(times.len() >= 3_000, "{}", times.len());
    assert!(times.values().all(|times| times.len() == 1));
}
