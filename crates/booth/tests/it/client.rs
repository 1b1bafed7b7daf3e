//! Sending: order, ids, refusals, waits.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tollbooth_booth::{Booth, BoothConfig, BoxFuture, Item, Problem, Rejected, Reply, Transport, UsageReport};
use tollbooth_schemas::usage::parse_structured;

use crate::fake::{Answer, Ingest, until};

fn config(url: &str) -> BoothConfig {
    let mut config = BoothConfig::new(url, "tb_bk_live_test");
    config.backoff.base = Duration::from_millis(1);
    config.backoff.max = Duration::from_millis(5);
    config
}

fn report(booth: &str, number: u32) -> UsageReport {
    let mut report =
        UsageReport::new("acc_luna".parse().unwrap(), booth.parse().unwrap(), "ai_modify", "nano_banana_2");
    report.id = format!("{booth}-{number:03}");
    report
}

#[tokio::test]
async fn a_report_arrives_as_the_event_the_contract_names() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    let mut report = report("bth_1", 1);
    report.event_id = Some("evt_gala".parse().unwrap());
    report.variant = Some("1k".to_owned());
    booth.enqueue(&report).await.unwrap();
    booth.flush().await.unwrap();
    let batch = ingest.inner.batches.lock()[0].clone();
    let text = batch[0].to_string();
    let event = parse_structured(text.as_bytes()).unwrap();
    assert_eq!(&*event.operation_id, report.operation_id);
    assert_eq!(event.occurred_at_ms, report.occurred_at_ms);
    assert_eq!((&*event.account_id, &*event.variant, &*event.unit), ("acc_luna", "1k", "image"));
    let headers = ingest.inner.headers.lock();
    assert_eq!(headers[0]["authorization"], "Bearer tb_bk_live_test");
    assert_eq!(headers[0]["content-type"], "application/cloudevents-batch+json");
}

#[tokio::test]
async fn whatever_fails_the_same_bytes_come_again_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given every kind of failure that says nothing about the items
    ingest.script([
        Answer::Status(503, Some(0)),
        Answer::Status(500, None),
        Answer::Status(429, Some(0)),
        Answer::Status(401, None),
        Answer::Raw(202, "<html>a proxy</html>"),
        Answer::Raw(202, r#"{"accepted": 1, "rejected": []}"#),
    ]);
    let mut config = config(&ingest.url);
    config.batch_events_max = 4;
    let booth = Booth::open(dir.path(), config).await.unwrap();
    for number in 0..10 {
        booth.enqueue(&report(["bth_a", "bth_b"][number as usize % 2], number)).await.unwrap();
    }
    booth.flush().await.unwrap();
    // then the first batch came seven times with the same bytes, and the others followed
    let bodies = ingest.inner.bodies.lock().clone();
    assert_eq!(bodies.len(), 6 + 3);
    assert!(bodies[..6].iter().all(|body| *body == bodies[6]));
    let ids = ingest.batches()[6..].concat();
    let expected: Vec<String> = (0..10).map(|n| format!("{}-{n:03}", ["bth_a", "bth_b"][n % 2])).collect();
    assert_eq!(ids, expected);
    assert_eq!(booth.stats().retries, 6);
    assert_eq!(booth.stats().last_error, None);
    assert!(booth.parked().unwrap().is_empty());
}

#[tokio::test]
async fn items_that_are_busy_come_again_before_anything_later() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given an ingest that takes nothing behind the first item it was too busy for
    ingest.script([Answer::Batch(vec![(1, 503), (2, 503), (3, 503)]), Answer::Batch(vec![(1, 429), (2, 429)])]);
    let mut config = config(&ingest.url);
    config.batch_events_max = 4;
    let booth = Booth::open(dir.path(), config).await.unwrap();
    for number in 0..6 {
        booth.enqueue(&report("bth_b", number)).await.unwrap();
    }
    booth.flush().await.unwrap();
    let short: Vec<Vec<String>> =
        ingest.batches().iter().map(|batch| batch.iter().map(|id| id[6..].to_owned()).collect()).collect();
    assert_eq!(
        short,
        [vec!["000", "001", "002", "003"], vec!["001", "002", "003"], vec!["002", "003"], vec!["004", "005"]]
    );
}

#[tokio::test]
async fn what_ingest_takes_keeps_each_booths_order_wherever_it_was_busy() {
    const REPORTS: u32 = 300;
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given an ingest that takes the beginning of a request, refuses some of it for good, and is busy for the rest
    let taken = Arc::new(Mutex::new(Vec::new()));
    let refused = Arc::new(Mutex::new(Vec::new()));
    let (takes, refuses) = (Arc::clone(&taken), Arc::clone(&refused));
    let requests = std::sync::atomic::AtomicUsize::new(0);
    ingest.judge(move |batch| {
        let request = requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let beginning = (request * 7 + 3) % (batch.len() + 1);
        let mut rejected = Vec::new();
        for (index, event) in batch.iter().enumerate() {
            let id = event["id"].as_str().unwrap().to_owned();
            if index >= beginning {
                rejected.push((index, 503));
            } else if id.ends_with('7') {
                rejected.push((index, 422));
                refuses.lock().push(id);
            } else {
                takes.lock().push(id);
            }
        }
        Some(Answer::Batch(rejected))
    });
    let mut config = config(&ingest.url);
    config.batch_events_max = 16;
    let booth = Booth::open(dir.path(), config).await.unwrap();
    let reports: Vec<_> = (0..REPORTS).map(|number| report(["bth_a", "bth_b"][number as usize % 2], number)).collect();
    booth.enqueue_all(&reports).await.unwrap();
    booth.flush().await.unwrap();
    // then each was taken or parked once, in the order in which they were reported
    let (parked, good): (Vec<String>, Vec<String>) =
        reports.into_iter().map(|report| report.id).partition(|id| id.ends_with('7'));
    assert_eq!(*taken.lock(), good);
    assert_eq!(*refused.lock(), parked);
    assert_eq!(booth.parked().unwrap().into_iter().map(|item| item.id).collect::<Vec<_>>(), parked);
    assert!(booth.stats().retries > 20, "{}", booth.stats().retries);
}

#[tokio::test]
async fn an_item_refused_after_a_later_one_is_parked_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given a first item that is busy while the one behind it is refused, and is refused itself when it comes again
    ingest.script([Answer::Batch(vec![(0, 503), (1, 422)]), Answer::Batch(vec![(0, 422)])]);
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    booth.enqueue_all(&[report("bth_a", 0), report("bth_b", 1)]).await.unwrap();
    booth.flush().await.unwrap();
    let ids = |booth: &Booth| booth.parked().unwrap().into_iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(ids(&booth), ["bth_b-001", "bth_a-000"]);
    assert_eq!((booth.stats().parked, booth.stats().pending), (2, 0));
    drop(booth);
    // then both are listed, also after opening again
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    assert_eq!(ids(&booth), ["bth_b-001", "bth_a-000"]);
    assert_eq!(booth.stats().parked, 2);
}

#[tokio::test]
async fn an_item_busy_while_a_later_one_was_parked_is_parked_in_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    // given a process that ends while the first item still waits and the second one is parked
    ingest.script([Answer::Batch(vec![(0, 503), (1, 422)]), Answer::Status(503, Some(60))]);
    let booth = Arc::new(Booth::open(dir.path(), config(&ingest.url)).await.unwrap());
    booth.enqueue_all(&[report("bth_a", 0), report("bth_b", 1)]).await.unwrap();
    let sender = tokio::spawn({
        let booth = Arc::clone(&booth);
        async move { booth.run().await }
    });
    until("the first item comes again", || ingest.batches().len() == 2).await;
    sender.abort();
    assert!(sender.await.unwrap_err().is_cancelled());
    drop(booth);
    // when the next one sends both, and both are refused
    ingest.script([Answer::Batch(vec![(0, 422), (1, 422)])]);
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    booth.flush().await.unwrap();
    // then each is listed once
    let ids: Vec<String> = booth.parked().unwrap().into_iter().map(|item| item.id).collect();
    assert_eq!(ids, ["bth_b-001", "bth_a-000"]);
    assert_eq!(booth.stats().parked, 2);
}

#[tokio::test]
async fn refused_items_are_parked_and_their_neighbours_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    ingest.script([Answer::Batch(vec![(1, 422), (2, 403)])]);
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    for number in 0..4 {
        booth.enqueue(&report("bth_b", number)).await.unwrap();
    }
    booth.flush().await.unwrap();
    let stats = booth.stats();
    assert_eq!((stats.acknowledged, stats.parked, stats.pending), (2, 2, 0));
    drop(booth);
    // and they are still listed after opening again, with the reason and the event
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    let parked = booth.parked().unwrap();
    let listed: Vec<_> = parked.iter().map(|item| (item.id.as_str(), item.problem.status)).collect();
    assert_eq!(listed, [("bth_b-001", 422), ("bth_b-002", 403)]);
    assert!(parse_structured(parked[0].event.get().as_bytes()).is_ok());
    assert_eq!(booth.stats().parked, 2);
}

#[tokio::test]
async fn a_batch_refused_as_a_whole_is_searched_for_the_one_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    ingest.judge(|batch| {
        batch.iter().any(|event| event["id"] == "bth_b-013").then_some(Answer::Raw(400, r#"{"code": "malformed"}"#))
    });
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    for number in 0..40 {
        booth.enqueue(&report("bth_b", number)).await.unwrap();
    }
    booth.flush().await.unwrap();
    let parked: Vec<String> = booth.parked().unwrap().into_iter().map(|item| item.id).collect();
    assert_eq!(parked, ["bth_b-013"]);
    assert_eq!(booth.stats().acknowledged, 39);
}

#[tokio::test]
async fn a_torn_parked_line_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("parked.jsonl"), r#"{"seq":0,"id":"bth_b-0"#).unwrap();
    let ingest = Ingest::start().await;
    ingest.script([Answer::Batch(vec![(0, 422)])]);
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    booth.enqueue(&report("bth_b", 0)).await.unwrap();
    booth.flush().await.unwrap();
    assert_eq!(booth.parked().unwrap().len(), 1);
}

#[tokio::test]
async fn large_requests_are_compressed_where_asked() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let mut config = config(&ingest.url);
    config.gzip = true;
    let booth = Booth::open(dir.path(), config).await.unwrap();
    let reports: Vec<_> = (0..50).map(|number| report("bth_b", number)).collect();
    booth.enqueue_all(&reports).await.unwrap();
    booth.flush().await.unwrap();
    assert_eq!(ingest.inner.headers.lock()[0]["content-encoding"], "gzip");
    assert_eq!(ingest.batches()[0].len(), 50);
}

#[tokio::test]
async fn a_cancelled_send_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    ingest.script((0..3).map(|_| Answer::Status(503, Some(60))));
    let booth = Arc::new(Booth::open(dir.path(), config(&ingest.url)).await.unwrap());
    booth.enqueue(&report("bth_b", 0)).await.unwrap();
    for cancelled in 1..=3 {
        // given a sender that is stopped while it waits
        let sender = tokio::spawn({
            let booth = Arc::clone(&booth);
            async move { booth.run().await }
        });
        until("the batch arrives", || ingest.batches().len() == cancelled).await;
        sender.abort();
        assert!(sender.await.unwrap_err().is_cancelled());
    }
    // then the next one sends the same
    booth.flush().await.unwrap();
    assert_eq!(ingest.batches(), vec![vec!["bth_b-000"]; 4]);
}

/// When, and for which ids.
type Asked = (tokio::time::Instant, Vec<String>);

/// Answers by script and notes when it was asked.
#[derive(Clone, Default)]
struct Scripted {
    replies: Arc<Mutex<Vec<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Transport for Scripted {
    fn send<'a>(&'a self, items: &'a [Item]) -> BoxFuture<'a, Reply> {
        self.asked.lock().push((tokio::time::Instant::now(), items.iter().map(|item| item.id.clone()).collect()));
        let reply = self.replies.lock().pop().unwrap_or(Reply::Settled { rejected: Vec::new() });
        Box::pin(async move { reply })
    }
}

#[tokio::test(start_paused = true)]
async fn a_named_wait_is_kept_and_an_unnamed_one_grows() {
    let dir = tempfile::tempdir().unwrap();
    let transport = Scripted::default();
    let later =
        |seconds: Option<u64>| Reply::Later { retry_after: seconds.map(Duration::from_secs), cause: "busy".into() };
    let busy = Rejected { index: 0, problem: Problem { status: 503, ..Problem::default() } };
    transport.replies.lock().extend(
        [later(Some(30)), later(Some(5)), later(None), later(None), Reply::Settled { rejected: vec![busy] }]
            .into_iter()
            .rev(),
    );
    let mut config = BoothConfig::new("http://unused", "key");
    config.backoff.seed = Some(3);
    let booth = Booth::open_with(dir.path(), config, Box::new(transport.clone()), None).await.unwrap();
    booth.enqueue(&report("bth_b", 0)).await.unwrap();
    booth.flush().await.unwrap();
    let asked = transport.asked.lock();
    let waits: Vec<Duration> = asked.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert_eq!(waits.len(), 5);
    let within = |wait: Duration, from_ms: u64, to_ms: u64| {
        assert!(wait >= Duration::from_millis(from_ms) && wait <= Duration::from_millis(to_ms), "{waits:?}");
    };
    within(waits[0], 30_000, 30_210);
    within(waits[1], 5_000, 5_210);
    // Third and fourth failure in a row: up to 200 ms times 4 and 8.
    within(waits[2], 0, 810);
    within(waits[3], 0, 1_610);
    assert!(asked.iter().all(|(_, ids)| ids == &["bth_b-000"]));
}
