use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;

type Asked = Turn<&'static str, u32, String>;

fn together() -> Together<&'static str, u32, String> {
    Together::new(4, Arc::new(Semaphore::new(8)), waited())
}

fn waited() -> Histogram {
    Histogram::with_opts(prometheus::HistogramOpts::new("waited", "Waited.")).unwrap()
}

async fn turn(together: &Together<&'static str, u32, String>, shape: &'static str, member: u32) -> Asked {
    together.turn(shape, member, &Arc::default()).await
}

/// What became of it by now.
fn now(turn: Pin<&mut impl Future<Output = Asked>>) -> Option<Asked> {
    match turn.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

fn lead(turn: Option<Asked>) -> Leading<&'static str, u32, String> {
    match turn {
        Some(Turn::Lead(leading)) => leading,
        other => panic!("{other:?}"),
    }
}

fn members(leading: &mut Leading<&'static str, u32, String>) -> Vec<u32> {
    leading.gather(3);
    leading.followers().copied().collect()
}

#[test]
fn what_comes_while_others_are_under_way_goes_together() {
    // given as many under way as may be
    let together = together();
    let [mut first, mut second] = [0, 1].map(|member| lead(now(pin!(turn(&together, "month", member)))));
    assert!(members(&mut first).is_empty() && members(&mut second).is_empty(), "nobody waits for company");
    // and more of the shape, and one of another
    let mut waiting: Vec<_> = (2..9).map(|member| Box::pin(turn(&together, "month", member))).collect();
    assert!(waiting.iter_mut().all(|turn| now(turn.as_mut()).is_none()));
    assert!(members(&mut lead(now(pin!(turn(&together, "year", 9))))).is_empty());

    // when one of them ends
    drop(first);
    // then the next leads as many as may go together
    let mut third = lead(now(waiting[0].as_mut()));
    assert_eq!(members(&mut third), [3, 4, 5]);
    assert!(now(waiting[1].as_mut()).is_none());

    // and tells each what it asked for
    third.tell(["of 3", "of 4", "of 5"].map(str::to_owned), Duration::from_millis(7));
    for (index, expected) in [(1, "of 3"), (2, "of 4"), (3, "of 5")] {
        let told = now(waiting[index].as_mut());
        assert!(matches!(&told, Some(Turn::Told(told, took)) if told == expected && took.as_millis() == 7), "{told:?}");
    }
    // and leaves the turn to those behind
    assert_eq!(members(&mut lead(now(waiting[4].as_mut()))), [7, 8]);
    drop(second);
}

#[test]
fn followers_of_one_who_goes_away_are_led_by_the_next() {
    // given a leader with followers, one of whom has gone
    let together = together();
    let running = [0, 1].map(|member| lead(now(pin!(turn(&together, "month", member)))));
    let mut waiting: Vec<_> = (2..6).map(|member| Box::pin(turn(&together, "month", member))).collect();
    assert!(waiting.iter_mut().all(|turn| now(turn.as_mut()).is_none()));
    let [first, second] = running;
    drop(first);
    let mut third = lead(now(waiting[0].as_mut()));
    assert_eq!(members(&mut third), [3, 4, 5]);
    drop(second);
    drop(waiting.remove(1));

    // when it goes away
    drop(third);
    // then the next one leads the others
    let mut fourth = lead(now(waiting[1].as_mut()));
    assert_eq!(members(&mut fourth), [5]);
    // and where what it put was not answered each asks alone
    fourth.give_up();
    assert!(matches!(now(waiting[2].as_mut()), Some(Turn::Alone)));
    // and nothing is left of it
    assert!(together.lanes.lock().is_empty());
}

#[test]
fn whose_turn_comes_when_it_has_gone_leaves_it_to_the_next() {
    let together = together();
    let running = [0, 1].map(|member| lead(now(pin!(turn(&together, "month", member)))));
    let mut waiting: Vec<_> = (2..5).map(|member| Box::pin(turn(&together, "month", member))).collect();
    assert!(waiting.iter_mut().all(|turn| now(turn.as_mut()).is_none()));

    // given one who was given the turn and never took it
    let [first, second] = running;
    drop(first);
    drop(waiting.remove(0));
    // then the next one has it
    assert_eq!(members(&mut lead(now(waiting[0].as_mut()))), [4]);
    drop((second, waiting));
    assert!(together.lanes.lock().is_empty());
}

#[tokio::test]
async fn those_who_come_while_all_are_under_way_go_with_the_next() {
    // given as many questions under way as may be, of whatever shape
    let under_way = Arc::new(Semaphore::new(1));
    let waited = waited();
    let together: Together<&str, u32, u32> = Together::new(4, Arc::clone(&under_way), waited.clone());
    let busy = under_way.acquire().await.unwrap();
    // when others come, one of them a leader
    let ask = |member| {
        let many = async |members: Vec<u32>| Ok(members.into_iter().map(|member| member * 10).collect());
        together.ask("month", member, Duration::from_secs(60), async { Ok(0) }, many)
    };
    let mut all = Box::pin(async { tokio::join!(ask(1), ask(2), ask(3), ask(4), ask(5)) });
    assert!(all.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(busy);
    // then it puts the question for those who came after it, too: of two leaders the first takes as many as may go together
    let (first, second, third, fourth, fifth) = all.await;
    let told = [first, second, third, fourth, fifth].map(Result::unwrap);
    assert_eq!(told, [10, 0, 30, 40, 50]);
    // and who waits too long is told so
    let _busy = under_way.acquire().await.unwrap();
    let late = together.ask("month", 1, Duration::ZERO, async { Ok(0) }, async |_| Ok(vec![]));
    assert!(matches!(late.await, Err(StoreError::Busy)));
    // and each of them has waited, whoever put its question
    assert_eq!(waited.get_sample_count(), 6);
}

#[tokio::test]
async fn who_is_led_waits_for_the_answer_beyond_the_time_of_its_turn() {
    let late = tokio::time::Instant::now();
    // given one for whom the question is put, and its answer behind the deadline
    let (sender, told) = oneshot::channel();
    let is_led = AtomicBool::new(true);
    let answer = async {
        tokio::task::yield_now().await;
        sender.send(7).unwrap();
    };
    let (told, ()) = tokio::join!(in_time(told, &is_led, late), answer);
    // then it gets it
    assert_eq!(told.unwrap(), Ok(7));
    // and one for whom nobody puts it, or no longer does, does not wait
    is_led.store(false, Ordering::Relaxed);
    assert!(matches!(in_time(std::future::pending::<()>(), &is_led, late).await, Err(StoreError::Busy)));
}

#[test]
fn who_is_gathered_is_led_until_its_leader_goes_away() {
    let together = together();
    let running = [0, 1].map(|member| lead(now(pin!(turn(&together, "month", member)))));
    let is_led = Arc::new(AtomicBool::new(false));
    let mut third = Box::pin(turn(&together, "month", 2));
    let mut fourth = Box::pin(together.turn("month", 3, &is_led));
    assert!(now(third.as_mut()).is_none() && now(fourth.as_mut()).is_none());
    let [first, second] = running;
    // given a leader that takes it
    drop(first);
    let mut leading = lead(now(third.as_mut()));
    assert!(!is_led.load(Ordering::Relaxed));
    assert_eq!(members(&mut leading), [3]);
    assert!(is_led.load(Ordering::Relaxed));
    // when that one goes away, then it is led no more, and leads
    drop(leading);
    assert!(!is_led.load(Ordering::Relaxed));
    lead(now(fourth.as_mut()));
    drop(second);
}
