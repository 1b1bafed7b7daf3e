//! What can be done to a ledger, drawn from numbers so that sequences are cheap to make and shrink.

use super::zones::Zone;

/// Largest amount of money, in micro-units.
pub(crate) const BOUND: i64 = 999_999_999_999_999_999;

pub(crate) const ACCOUNTS: [&str; 2] = ["acc_one", "acc_two"];
/// What an account is called that was opened as Luna.
pub(crate) const RENAMED: &str = "Luna and Sol";

/// One step. Ids are small numbers, so that steps meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// Time goes on.
    Wait {
        ms: i64,
    },
    /// So much that all that was known of operations, ended holds and answers is forgotten.
    Jump,
    /// What is due ends.
    Tick,
    Usage {
        account: usize,
        report: Report,
    },
    Command {
        account: usize,
        body: Body,
    },
    /// The last command of the account again, with or without another body.
    Again {
        account: usize,
        other_body: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Report {
    pub(crate) operation: u64,
    pub(crate) attempt: u32,
    pub(crate) success: bool,
    pub(crate) quantity: i64,
    pub(crate) work: Work,
    /// 0: none.
    pub(crate) hold: u64,
    /// 0: none.
    pub(crate) event: u64,
    /// 0: none.
    pub(crate) booth: u64,
    /// How long before its receipt it occurred.
    pub(crate) late_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Body {
    Open,
    Adjust {
        micros: i64,
    },
    ChangePlan {
        pro: bool,
    },
    Profile {
        named: bool,
        place: Option<Place>,
    },
    Hold {
        hold: u64,
        size: Size,
        work: Work,
        timeout_ms: i64,
        event: u64,
        booth: u64,
    },
    Void {
        hold: u64,
    },
    Limit {
        micros: i64,
    },
    /// The `pick`th charge posted so far, with its facts, one of them wrong if `wrong`.
    Refund {
        pick: usize,
        micros: Option<i64>,
        wrong: bool,
    },
    Bonus {
        micros: i64,
        expires_in_ms: Option<i64>,
    },
    Purchase {
        micros: i64,
    },
    Fee {
        month: u64,
    },
    /// The rule by which credit is bought by itself.
    Recharge {
        threshold: i64,
        /// `None`: off.
        size: Option<RechargeSize>,
        most: Option<i64>,
        daily_cap: Option<i64>,
        monthly_cap: Option<i64>,
    },
    /// The `back`th recharge from the last one that was asked for, 0 the last, was paid or was not.
    Recharged {
        back: usize,
        paid: bool,
    },
    Event {
        event: u64,
        budget: Option<i64>,
        refuses: bool,
    },
    Booth {
        booth: u64,
        paused: bool,
    },
    Alerts {
        rules: Rules,
    },
    /// The `pick`th charge posted so far by a book, with another amount than was seen if `wrong`.
    Reprice {
        pick: usize,
        book: u32,
        wrong: bool,
    },
    /// The `letter`th report of the account that became a dead letter is driven again.
    Redrive {
        letter: usize,
    },
}

/// Where an account says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    In(Zone),
    /// An abbreviation, which is no place.
    Nowhere,
}

/// What is done, by how it is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    PerUnit,
    /// The same as a test.
    Test,
    Graduated,
    Volume,
    Packs,
}

const WORKS: [Work; 8] = [
    Work::PerUnit,
    Work::PerUnit,
    Work::PerUnit,
    Work::Graduated,
    Work::Graduated,
    Work::Volume,
    Work::Packs,
    Work::Test,
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RechargeSize {
    Fixed(i64),
    UpTo(i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Size {
    Quantity(i64),
    Amount(i64),
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rules {
    pub(crate) below: &'static [i64],
    pub(crate) top_up: &'static [u32],
    pub(crate) budget: &'static [u32],
    pub(crate) recharge: bool,
    pub(crate) hours: Option<u32>,
    /// Times its average hour, and at least so much.
    pub(crate) spike: Option<(u32, i64)>,
    /// The code that it is refused with.
    pub(crate) is_wrong: Option<&'static str>,
}

const NO_RULES: Rules =
    Rules { below: &[], top_up: &[], budget: &[], recharge: false, hours: None, spike: None, is_wrong: None };
const WRONG: Option<&str> = Some("invalid_alerts");

pub(crate) const RULES: [Rules; 6] = [
    Rules {
        below: &[100_000, 1_000_000, 30_000_000],
        top_up: &[50, 90],
        budget: &[80, 100],
        recharge: true,
        hours: Some(24),
        spike: Some((2, 300_000)),
        is_wrong: None,
    },
    Rules { below: &[0, 2_000_000], top_up: &[100], budget: &[50], recharge: true, hours: Some(720), ..NO_RULES },
    Rules { recharge: true, budget: &[3, 8, 500], hours: Some(1), spike: Some((3, 0)), ..NO_RULES },
    NO_RULES,
    Rules { below: &[2_000_000, 2_000_000], is_wrong: WRONG, ..NO_RULES },
    Rules { budget: &[100, 1_001], is_wrong: WRONG, ..NO_RULES },
];

const WRONG_RULES: [Rules; 8] = [
    Rules { below: &[-1], is_wrong: Some("out_of_range"), ..NO_RULES },
    Rules { below: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], is_wrong: WRONG, ..NO_RULES },
    Rules { top_up: &[0], is_wrong: WRONG, ..NO_RULES },
    Rules { hours: Some(0), is_wrong: WRONG, ..NO_RULES },
    Rules { hours: Some(721), is_wrong: WRONG, ..NO_RULES },
    Rules { spike: Some((1, 0)), is_wrong: WRONG, ..NO_RULES },
    Rules { spike: Some((101, 0)), is_wrong: WRONG, ..NO_RULES },
    Rules { spike: Some((5, -1)), is_wrong: Some("out_of_range"), ..NO_RULES },
];

/// Charges of the first booth in the six hours before.
pub(crate) fn past_of_a_booth() -> impl Iterator<Item = Step> {
    (1..=6).map(|hour| {
        let report = Report {
            // None that is drawn.
            operation: 10 + hour,
            attempt: 1,
            success: true,
            quantity: 1_000_000,
            work: Work::PerUnit,
            hold: 0,
            event: 0,
            booth: 1,
            late_ms: i64::try_from(hour).unwrap() * 3_600_000,
        };
        Step::Usage { account: 0, report }
    })
}

/// All that an alert says as one number, whose last digit is its kind.
pub(crate) fn alert_note(kind: i64, said: impl Iterator<Item = i64>) -> i64 {
    let mixed = said.fold(0_i64, |mixed, number| mixed.wrapping_mul(1_000_003).wrapping_add(number));
    mixed.rem_euclid(1_000_000_007) * 10 + kind
}

/// Takes choices out of one number.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        let value = self.0 % bound;
        self.0 /= bound;
        value
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    /// Rarely.
    fn rarely(&mut self) -> bool {
        self.below(24) == 23
    }

    /// A few tenths, rarely something absurd.
    fn micros(&mut self) -> i64 {
        if self.rarely() {
            self.of(&[0, -1, BOUND, BOUND + 1, BOUND / 2])
        } else {
            self.of(&[50_000, 200_000, 350_001, 1_000_000])
        }
    }
}

pub(crate) fn step(number: u64) -> Step {
    let mut draw = Draw(number);
    let account = usize::from(draw.below(8) == 7);
    match draw.below(16) {
        // The last one leads from the first day to where a month has begun in two of the zones and not in the third.
        0 => Step::Wait { ms: draw.of(&[1_000, 5_000, 600_000, 3_600_000, 86_400_000, 810_000_000]) },
        1 | 2 => Step::Tick,
        3 => Step::Again { account, other_body: draw.below(4) == 3 },
        4 if draw.rarely() => Step::Jump,
        4..=8 => Step::Usage { account, report: report(&mut draw) },
        _ => Step::Command { account, body: body(&mut draw) },
    }
}

fn report(draw: &mut Draw) -> Report {
    Report {
        operation: draw.below(4),
        attempt: 1 + u32::try_from(draw.below(3)).unwrap(),
        success: draw.below(3) > 0,
        quantity: if draw.below(12) == 11 {
            999_999_999_999_999_999
        } else {
            draw.of(&[1_000_000, 1_000_000, 2_500_001])
        },
        hold: draw.of(&[0, 0, 1, 2, 3]),
        event: draw.below(3),
        // 25 days: the month before.
        late_ms: draw.of(&[0, 0, 0, 4_000, 700_000, 3_600_000, 9_000_000, 2_160_000_000]),
        work: draw.of(&WORKS),
        booth: draw.of(&[0, 1, 1, 1, 2]),
    }
}

fn body(draw: &mut Draw) -> Body {
    match draw.below(32) {
        0 => Body::Open,
        1 => Body::Adjust { micros: -draw.micros() },
        2 => Body::Adjust { micros: draw.micros() },
        3 => Body::ChangePlan { pro: draw.below(2) == 1 },
        4..=7 => Body::Hold {
            hold: 1 + draw.below(3),
            size: if draw.below(3) == 0 {
                Size::Quantity(draw.of(&[1_000_000, 2_500_001, 0]))
            } else {
                Size::Amount(draw.micros())
            },
            timeout_ms: if draw.rarely() {
                draw.of(&[999, 86_400_001])
            } else {
                draw.of(&[1_000, 5_000, 600_000, 86_400_000])
            },
            event: draw.below(3),
            booth: draw.below(3),
            work: draw.of(&[Work::PerUnit, Work::Graduated, Work::Volume, Work::Packs]),
        },
        9 => Body::Void { hold: 1 + draw.below(3) },
        10 => Body::Limit { micros: draw.micros() },
        8 | 11 => Body::Refund {
            pick: usize::try_from(draw.below(6)).unwrap(),
            micros: if draw.below(2) == 0 { None } else { Some(draw.micros()) },
            wrong: draw.below(8) == 7,
        },
        14 | 15 => Body::Bonus {
            micros: draw.micros(),
            expires_in_ms: if draw.rarely() {
                Some(0)
            } else {
                draw.of(&[None, Some(1_000), Some(5_000), Some(600_000)])
            },
        },
        16 => Body::Purchase { micros: draw.micros() },
        17 => Body::Fee { month: draw.below(14) },
        18 => Body::Event {
            event: 1 + draw.below(2),
            budget: draw.of(&[None, Some(0), Some(300_000), Some(1_000_000), Some(-1)]),
            refuses: draw.below(3) > 0,
        },
        20 | 21 => Body::Recharge {
            threshold: if draw.rarely() { draw.of(&[-1, BOUND]) } else { draw.of(&[200_000, 1_000_000, 4_000_000]) },
            size: draw.of(&[
                Some(RechargeSize::Fixed(1_000_000)),
                Some(RechargeSize::Fixed(2_345_678)),
                Some(RechargeSize::UpTo(4_000_001)),
                Some(RechargeSize::UpTo(6_000_000)),
                Some(RechargeSize::Fixed(999_999)),
                None,
            ]),
            most: if draw.rarely() {
                draw.of(&[Some(999_999), Some(1_005_000)])
            } else {
                draw.of(&[None, Some(2_400_000)])
            },
            daily_cap: draw.of(&[None, Some(2_500_000), Some(6_000_000)]),
            monthly_cap: if draw.rarely() { Some(999_999) } else { draw.of(&[None, Some(5_000_000)]) },
        },
        22 | 23 => Body::Recharged { back: usize::from(draw.below(6) == 5), paid: draw.below(2) == 1 },
        24 | 25 => {
            let rules = if draw.rarely() { draw.of(&WRONG_RULES) } else { draw.of(&RULES) };
            Body::Alerts { rules }
        }
        26..=28 | 31 => Body::Redrive { letter: draw.of(&[0, 0, 0, 1]) },
        12 | 13 => Body::Reprice {
            pick: draw.of(&[0, 0, 0, 0, 1, 1, 2, 3]),
            book: draw.of(&[3, 3, 3, 1, 1, 2]),
            wrong: draw.below(8) == 7,
        },
        29 | 30 => Body::Profile {
            named: draw.below(3) == 0,
            place: if draw.rarely() {
                Some(Place::Nowhere)
            } else {
                draw.of(&[
                    Some(Place::In(Zone::NewYork)),
                    Some(Place::In(Zone::Tokyo)),
                    Some(Place::In(Zone::Honolulu)),
                    None,
                ])
            },
        },
        _ => Body::Booth { booth: 1 + draw.below(2), paused: draw.below(2) == 1 },
    }
}
