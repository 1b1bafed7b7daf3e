use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;

type Asked = Turn<&'static str, u32, String>;

fn together() -> Together<&'static str, u32, String> {
    Together::new(4)
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

fn members(leading: &Leading<&'static str, u32, String>) -> Vec<u32> {
    leading.followers().copied().collect()
}

#[test]
fn what_comes_while_others_are_under_way_goes_together() {
    // given as many under way as may be
    let together = together();
    let [first, second] = [0, 1].map(|member| lead(now(pin!(together.turn("month", member)))));
    assert!(members(&first).is_empty() && members(&second).is_empty(), "nobody waits for company");
    // and more of the shape, and one of another
    let mut waiting: Vec<_> = (2..9).map(|member| Box::pin(together.turn("month", member))).collect();
    assert!(waiting.iter_mut().all(|turn| now(turn.as_mut()).is_none()));
    assert!(members(&lead(now(pin!(together.turn("year", 9))))).is_empty());

    // when one of them ends
    drop(first);
    // then the next leads as many as may go together
    let third = lead(now(waiting[0].as_mut()));
    assert_eq!(members(&third), [3, 4, 5]);
    assert!(now(waiting[1].as_mut()).is_none());

    // and tells each what it asked for
    third.tell(["of 3", "of 4", "of 5"].map(str::to_owned));
    for (index, expected) in [(1, "of 3"), (2, "of 4"), (3, "of 5")] {
        let told = now(waiting[index].as_mut());
        assert!(matches!(&told, Some(Turn::Told(told)) if told == expected), "{told:?}");
    }
    // and leaves the turn to those behind
    assert_eq!(members(&lead(now(waiting[4].as_mut()))), [7, 8]);
    drop(second);
}

#[test]
fn followers_of_one_who_goes_away_are_led_by_the_next() {
    // given a leader with followers, one of whom has gone
    let together = together();
    let running = [0, 1].map(|member| lead(now(pin!(together.turn("month", member)))));
    let mut waiting: Vec<_> = (2..6).map(|member| Box::pin(together.turn("month", member))).collect();
    assert!(waiting.iter_mut().all(|turn| now(turn.as_mut()).is_none()));
    drop(running);
    let third = lead(now(waiting[0].as_mut()));
    assert_eq!(members(&third), [3, 4, 5]);
    drop(waiting.remove(1));

    // when it goes away
    drop(third);
    // then the next one leads the others
    let fourth = lead(now(waiting[1].as_mut()));
    assert_eq!(members(&fourth), [5]);
    // and where what it put was not answered each asks alone
    fourth.give_up();
    assert!(matches!(now(waiting[2].as_mut()), Some(Turn::Alone)));
    // and nothing is left of it
    assert!(together.lanes.lock().is_empty());
}

#[test]
fn whose_turn_comes_when_it_has_gone_leaves_it_to_the_next() {
    let together = together();
    let running = [0, 1].map(|member| lead(now(pin!(together.turn("month", member)))));
    let mut waiting: Vec<_> = (2..5).map(|member| Box::pin(together.turn("month", member))).collect();
    assert!(waiting.iter_mut().all(|turn| now(turn.as_mut()).is_none()));

    // given one who was given the turn and never took it
    let [first, second] = running;
    drop(first);
    drop(waiting.remove(0));
    // then the next one has it
    assert_eq!(members(&lead(now(waiting[0].as_mut()))), [4]);
    drop((second, waiting));
    assert!(together.lanes.lock().is_empty());
}
