use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::Registry;
use prost::Message;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{AccountOpened, Entry, LedgerRecord, Usage};

use super::*;
use crate::live::{Place as Offset, RecentLimits};
use crate::store::{GroupBy, Kinds, UsageFilter};

const ACCOUNT: &str = "acc_luna";

fn long() -> AnswersSection {
    AnswersSection {
        carried_s_max: 3_600,
        age_ms_max: 3_600_000,
        fresh_ms: 0,
        fleet_fresh_ms: 3_600_000,
        bytes_max: 1 << 20,
        parties_bytes_max: 1 << 20,
        cubes_bytes_max: 1 << 20,
        ahead_accounts_max: 0,
        cube_rows_max: 100,
    }
}

fn stand(settings: AnswersSection) -> Arc<Answers> {
    let view = Arc::new(LiveView::new(RecentLimits { bytes_max: 1 << 20, entries_per_account_max: 10 }));
    view.set_partitions(1);
    let answers = Answers::new(settings, view, AnswersMetrics::register(&Registry::new()).unwrap());
    for seq in 1..=7 {
        post(&answers, seq);
    }
    Arc::new(answers)
}

/// An entry of its own record: the opening, then charges of 1.
fn post(answers: &Answers, seq: u64) {
    let kind = match seq {
        1 => Kind::AccountOpened(AccountOpened { currency: "USD".to_owned(), ..AccountOpened::default() }),
        _ => Kind::Usage(Usage { engine: "kling".to_owned(), quantity_micros: 1, ..Usage::default() }),
    };
    let entry = Entry { seq, amount_micros: -1, occurred_at_ms: 1_000, kind: Some(kind), ..Entry::default() };
    let record =
        LedgerRecord { account_id: ACCOUNT.to_owned(), posted_at_ms: 1_000, entries: vec![entry], input_generation: 0 };
    let place = Offset { partition: 0, offset: i64::try_from(seq).unwrap() };
    answers.view.fold(place, &record, &record.encode_to_vec()).unwrap();
}

fn request(key: &str) -> Request {
    let question = Question {
        whose: Whose::Account(ACCOUNT.to_owned()),
        kinds: Kinds::Spend,
        range: None,
        starts_ms: Vec::new(),
        group_by: Some(GroupBy::Engine),
        filter: UsageFilter::default(),
        top: None,
    };
    Request {
        key: key.to_owned(),
        account_id: ACCOUNT.to_owned(),
        questions: vec![question],
        quarter: 0,
        names: Arc::default(),
    }
}

/// What ClickHouse says with `count` charges in it.
fn told(count: i64, seq: Option<u64>) -> Asked {
    let row = Line { succeeded: count, spent_micros: count.into(), ..Line::default() }.row(0, "kling");
    Asked {
        told: vec![Told::Whole(vec![row])],
        seqs: vec![seq],
        asked_at: Instant::now(),
        source: AnswerSource::ClickHouse,
    }
}

fn render(sums: Sums) -> Result<Kept, Problem> {
    let rows = sums.rows.into_iter().next().flatten().unwrap_or_default();
    let text: Vec<String> = rows.iter().map(|row| format!("{} {}", row.group_key, row.succeeded)).collect();
    Ok(Kept { body: text.join(",").into(), etag: HeaderValue::from_static("\"x\""), rows: rows.len(), seq: None })
}

/// The answer, the entry it goes to, and how often ClickHouse was asked for it.
async fn ask(answers: &Answers, request: Request, asked: Asked) -> (String, Option<u64>, usize) {
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let make = async move {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(asked)
    };
    let kept = answers.get(request, make, render).await.unwrap();
    (String::from_utf8(kept.body.to_vec()).unwrap(), kept.seq, times.load(Ordering::SeqCst))
}

#[tokio::test]
async fn what_was_asked_once_is_carried_forward_by_what_comes() {
    let answers = stand(long());
    let names: Arc<Names> = Arc::default();
    let request = || Request { names: Arc::clone(&names), ..request("a") };
    // ClickHouse is two entries behind; the answer is not.
    assert_eq!(ask(&answers, request(), told(4, Some(5))).await, ("kling 6".to_owned(), Some(7), 1));
    assert_eq!(ask(&answers, request(), told(99, Some(7))).await, ("kling 6".to_owned(), Some(7), 0));
    post(&answers, 8);
    post(&answers, 9);
    assert_eq!(ask(&answers, request(), told(99, Some(9))).await, ("kling 8".to_owned(), Some(9), 0));
    let sources = [AnswerSource::ClickHouse, AnswerSource::Memory, AnswerSource::Carried];
    assert_eq!(sources.map(|source| answers.metrics.counted(source)), [1, 1, 1]);
}

#[tokio::test]
async fn where_an_entry_in_between_cannot_be_had_it_is_asked_anew() {
    // given sums as of 7, and a memory of ten entries
    let answers = stand(long());
    ask(&answers, request("a"), told(6, Some(7))).await;
    // when so many come that the eighth is gone
    (8..=18).for_each(|seq| post(&answers, seq));
    assert_eq!(ask(&answers, request("a"), told(17, Some(18))).await, ("kling 17".to_owned(), Some(18), 1));
    // and when the tail jumps
    post(&answers, 25);
    assert_eq!(ask(&answers, request("a"), told(24, Some(25))).await, ("kling 24".to_owned(), Some(25), 1));
}

#[tokio::test]
async fn sums_that_may_lack_an_entry_are_neither_kept_nor_carried() {
    let answers = stand(long());
    assert_eq!(ask(&answers, request("a"), told(4, None)).await, ("kling 4".to_owned(), None, 1));
    assert_eq!(ask(&answers, request("a"), told(5, None)).await, ("kling 5".to_owned(), None, 1));
    // Unless a text of half a second ago will do, and no entry has to be in it.
    let lenient = stand(AnswersSection { fresh_ms: 3_600_000, ..long() });
    ask(&lenient, request("a"), told(4, None)).await;
    assert_eq!(ask(&lenient, request("a"), told(5, None)).await, ("kling 4".to_owned(), None, 0));
    let awaited = lenient.get_awaited(request("a"), async { Ok(told(6, None)) }, render).await.unwrap();
    assert_eq!(awaited.body, "kling 6");
}

#[tokio::test]
async fn an_answer_ends_with_its_quarter_its_names_and_its_time() {
    let answers = stand(long());
    let first = request("a");
    let renders = AtomicUsize::new(0);
    let again = async |request: Request| {
        let counted = |sums: Sums| {
            renders.fetch_add(1, Ordering::SeqCst);
            render(sums)
        };
        answers.get(request, async { Ok(told(6, Some(7))) }, counted).await.unwrap();
        renders.swap(0, Ordering::SeqCst)
    };
    assert_eq!([again(first.clone()).await, again(first.clone()).await], [1, 0]);
    assert_eq!(again(Request { quarter: 1, ..first.clone() }).await, 1);
    assert_eq!(again(Request { quarter: 1, names: Arc::default(), ..first }).await, 1);
    assert_eq!(answers.metrics.counted(AnswerSource::ClickHouse), 1);
    // Another question behind the same words: the day has gone on.
    let mut other = request("a");
    other.questions[0].starts_ms = vec![0];
    assert_eq!(ask(&answers, other, told(6, Some(7))).await.2, 1);
    let short = stand(AnswersSection { carried_s_max: 0, ..long() });
    for _ in 0..2 {
        assert_eq!(ask(&short, request("a"), told(6, Some(7))).await.2, 1);
    }
}

#[tokio::test]
async fn of_many_that_ask_at_once_one_asks_and_a_failure_is_not_kept() {
    let answers = stand(long());
    let (makes, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let ask = || {
        let (answers, makes, go) = (Arc::clone(&answers), Arc::clone(&makes), Arc::clone(&go));
        tokio::spawn(async move {
            let make = async move {
                makes.fetch_add(1, Ordering::SeqCst);
                drop(go.acquire().await);
                Err(Problem::unavailable(1))
            };
            answers.get(request("a"), make, render).await.map(drop).map_err(|problem| problem.status().as_u16())
        })
    };
    let tasks: Vec<_> = (0..5).map(|_| ask()).collect();
    while answers.metrics.counted(AnswerSource::Joined) < 4 {
        tokio::task::yield_now().await;
    }
    go.add_permits(10);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Err(503));
    }
    assert_eq!(makes.load(Ordering::SeqCst), 1);
    let make = async { Ok(told(6, Some(7))) };
    assert_eq!(answers.get(request("a"), make, render).await.unwrap().body, "kling 6");
}

#[tokio::test]
async fn a_question_ends_when_the_last_who_waits_goes_away() {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    // given two who wait for one question
    let answers = stand(long());
    let alive = Arc::new(AtomicUsize::new(0));
    let wait = || {
        let (answers, alive) = (Arc::clone(&answers), Arc::clone(&alive));
        tokio::spawn(async move {
            let make = async move {
                alive.fetch_add(1, Ordering::SeqCst);
                let _alive = Alive(alive);
                std::future::pending().await
            };
            answers.get(request("a"), make, render).await.map(drop)
        })
    };
    let (first, second) = (wait(), wait());
    while alive.load(Ordering::SeqCst) == 0 || answers.metrics.counted(AnswerSource::Joined) == 0 {
        tokio::task::yield_now().await;
    }
    // when the one who asked goes away, then the question goes on
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    // and with the other one it ends
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    while alive.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&answers, request("a"), told(6, Some(7))).await.2, 1);
}

#[tokio::test]
async fn sums_of_a_cube_are_as_old_as_the_cube() {
    // given what a cube told that ClickHouse told an hour and a second ago
    let answers = stand(long());
    let asked_at = Instant::now().checked_sub(Duration::from_secs(3_601)).unwrap();
    let old = Asked { asked_at, source: AnswerSource::Cube, ..told(6, Some(7)) };
    let names: Arc<Names> = Arc::default();
    let request = || Request { names: Arc::clone(&names), ..request("a") };
    assert_eq!(ask(&answers, request(), old).await.2, 1);
    // when another entry comes, then they are not carried on
    post(&answers, 8);
    assert_eq!(ask(&answers, request(), told(7, Some(8))).await.2, 1);
}

#[tokio::test]
async fn what_is_kept_has_a_bound() {
    let answers = stand(AnswersSection { bytes_max: 20_000, ..long() });
    for number in 0..50 {
        ask(&answers, request(&format!("key {number}")), told(6, Some(7))).await;
        assert!(answers.places.lock().bytes <= 20_000);
    }
    assert_eq!(ask(&answers, request("key 49"), told(6, Some(7))).await.2, 0);
    assert_eq!(ask(&answers, request("key 0"), told(6, Some(7))).await.2, 1);
    // What would drive out all others is answered, and not kept.
    let many: Vec<UsageRow> = (0..1_500_i64)
        .map(|number| Line { succeeded: number * number, ..Line::default() }.row(number, &format!("engine {number}")))
        .collect();
    for _ in 0..2 {
        let large = Asked { told: vec![Told::Whole(many.clone())], ..told(6, Some(7)) };
        let mut request = request("large");
        request.names = Arc::default();
        assert_eq!(ask(&answers, request, large).await.2, 1);
    }
    let off = stand(AnswersSection { bytes_max: 0, ..long() });
    for _ in 0..2 {
        assert_eq!(ask(&off, request("a"), told(6, Some(7))).await.2, 1);
    }
}

#[tokio::test]
async fn what_is_asked_for_again_stays_while_others_go() {
    // given room for a few answers, and one that is asked for between all others
    let answers = stand(AnswersSection { bytes_max: 20_000, ..long() });
    ask(&answers, request("often"), told(6, Some(7))).await;
    for number in 0..50 {
        ask(&answers, request(&format!("key {number}")), told(6, Some(7))).await;
        // then it is never asked of ClickHouse again
        assert_eq!(ask(&answers, request("often"), told(6, Some(7))).await.2, 0, "{number}");
    }
    // and an older one that nobody asked for went
    assert_eq!(ask(&answers, request("key 0"), told(6, Some(7))).await.2, 1);
}

fn of_all(names: &Arc<Names>, quarter: i64) -> OfAll {
    let Request { questions, .. } = request("all");
    OfAll { key: "all".to_owned(), questions, quarter, names: Arc::clone(names) }
}

/// The answer about all accounts, and how often ClickHouse was asked for it.
async fn ask_of_all(answers: &Answers, request: OfAll, count: i64) -> (String, usize) {
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let make = async move {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(told(count, None))
    };
    let render = |rows: Vec<Option<Vec<UsageRow>>>| {
        let count: i64 = rows.iter().flatten().flatten().map(|row| row.succeeded).sum();
        Ok(Kept { body: count.to_string().into(), etag: HeaderValue::from_static("\"x\""), rows: 1, seq: None })
    };
    let kept = answers.get_of_all(request, make, render).await.unwrap();
    (String::from_utf8(kept.body.to_vec()).unwrap(), times.load(Ordering::SeqCst))
}

#[tokio::test]
async fn what_all_accounts_spent_is_given_again_for_its_time() {
    // given an answer about all accounts
    let (answers, names) = (stand(long()), Arc::default());
    assert_eq!(ask_of_all(&answers, of_all(&names, 1), 4).await, ("4".to_owned(), 1));
    // when an account has another entry, then it is given again
    post(&answers, 8);
    assert_eq!(ask_of_all(&answers, of_all(&names, 1), 5).await, ("4".to_owned(), 0));
    // but not in another quarter of an hour, nor by other names
    assert_eq!(ask_of_all(&answers, of_all(&names, 2), 6).await, ("6".to_owned(), 1));
    assert_eq!(ask_of_all(&answers, of_all(&Arc::default(), 2), 7).await, ("7".to_owned(), 1));
    let sources = [AnswerSource::ClickHouse, AnswerSource::Memory];
    assert_eq!(sources.map(|source| answers.metrics.counted(source)), [3, 1]);

    // when nothing is to be given again, then each asks
    let answers = stand(AnswersSection { fleet_fresh_ms: 0, ..long() });
    for count in [4, 5] {
        assert_eq!(ask_of_all(&answers, of_all(&names, 1), count).await, (count.to_string(), 1));
    }
}
