//! What a row looks like.

use prost::Message;
use tollbooth_schemas::{Quantity, v1::SourceTopic};

use super::{ImageError, money};
use crate::{
    counters::Counter,
    events::{Event, Told},
    holds::{Hold, OpenHold},
    refunds::Refunded,
    state::{Answer, Operation, Positions, State},
};

/// Kinds of rows that are kept by posting week, operations aside: those have a form of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Answers to commands.
    Answers,
    /// Holds that have ended.
    EndedHolds,
    /// What was given back of charges.
    Refunds,
}

/// A row that comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// Where an operation stands.
    Operation(Operation),
    /// The answer to a command.
    Answer(Answer),
    /// A hold that has ended.
    Hold(Hold),
    /// What was given back of a charge.
    Refund(Refunded),
}

/// Bytes of an operation's row, its digest and its week aside.
pub const OPERATION_ROW_BYTES: usize = 29;

/// In one form for ever: there are millions of them, and they are looked at where they lie.
pub(super) fn operation(operation: &Operation) -> [u8; OPERATION_ROW_BYTES] {
    let Operation { seq, amount, memo, attempt, week: _, charged } = operation;
    let mut bytes = [0; OPERATION_ROW_BYTES];
    bytes[..8].copy_from_slice(&seq.to_be_bytes());
    bytes[8..16].copy_from_slice(&amount.micros().to_be_bytes());
    bytes[16..24].copy_from_slice(&memo.to_be_bytes());
    bytes[24..28].copy_from_slice(&attempt.to_be_bytes());
    bytes[28] = u8::from(*charged);
    bytes
}

impl Remembered {
    /// An operation of a week.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn operation(week: u16, bytes: &[u8]) -> Result<Self, ImageError> {
        let short = || ImageError::Value("a length");
        let (seq, rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let (amount, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (memo, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (attempt, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let charged = match rest {
            [0] => false,
            [1] => true,
            _ => return Err(ImageError::Value("a mark")),
        };
        Ok(Self::Operation(Operation {
            seq: u64::from_be_bytes(*seq),
            amount: money(i64::from_be_bytes(*amount))?,
            memo: u64::from_be_bytes(*memo),
            attempt: u32::from_be_bytes(*attempt),
            week,
            charged,
        }))
    }

    /// A row of a table and a week.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn row(table: Table, week: u16, bytes: &[u8]) -> Result<Self, ImageError> {
        Ok(match table {
            Table::Answers => Self::Answer(read_answer(week, bytes)?),
            Table::EndedHolds => Self::Hold(Hold::Ended { week }),
            Table::Refunds => Self::Refund(read_refunded(week, bytes)?),
        })
    }

    /// Of the entry an operation stands by; of two rows of one operation the later one counts.
    #[must_use]
    pub const fn operation_seq(&self) -> u64 {
        match self {
            Self::Operation(operation) => operation.seq,
            Self::Answer(_) | Self::Hold(_) | Self::Refund(_) => 0,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct AnswerImage {
    #[prost(bytes = "vec", tag = "1")]
    body_hash: Vec<u8>,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(sint64, tag = "3")]
    amount: i64,
    #[prost(sint64, tag = "4")]
    balance: i64,
    #[prost(sint64, tag = "5")]
    held: i64,
    #[prost(sint64, tag = "6")]
    hold_amount: i64,
    #[prost(int64, tag = "7")]
    posted_at_ms: i64,
}

pub(super) fn answer(answer: &Answer) -> Vec<u8> {
    let Answer { body_hash, seq, amount, balance, held, hold_amount, posted_at_ms, week: _ } = answer;
    let image = AnswerImage {
        body_hash: body_hash.to_vec(),
        seq: *seq,
        amount: amount.micros(),
        balance: balance.micros(),
        held: held.micros(),
        hold_amount: hold_amount.micros(),
        posted_at_ms: *posted_at_ms,
    };
    image.encode_to_vec()
}

fn read_answer(week: u16, bytes: &[u8]) -> Result<Answer, ImageError> {
    let AnswerImage { body_hash, seq, amount, balance, held, hold_amount, posted_at_ms } = AnswerImage::decode(bytes)?;
    Ok(Answer {
        body_hash: body_hash.into(),
        seq,
        amount: money(amount)?,
        balance: money(balance)?,
        held: money(held)?,
        hold_amount: money(hold_amount)?,
        posted_at_ms,
        week,
    })
}

#[derive(Clone, PartialEq, Message)]
struct RefundedImage {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(sint64, tag = "2")]
    amount: i64,
}

pub(super) fn refunded(refunded: &Refunded) -> Vec<u8> {
    let Refunded { seq, amount, week: _ } = refunded;
    RefundedImage { seq: *seq, amount: amount.micros() }.encode_to_vec()
}

fn read_refunded(week: u16, bytes: &[u8]) -> Result<Refunded, ImageError> {
    let RefundedImage { seq, amount } = RefundedImage::decode(bytes)?;
    Ok(Refunded { seq, amount: money(amount)?, week })
}

#[derive(Clone, PartialEq, Message)]
struct CounterImage {
    #[prost(sint64, tag = "1")]
    quantity: i64,
    #[prost(uint32, tag = "2")]
    week: u32,
}

pub(super) fn counter(counter: &Counter) -> Vec<u8> {
    let Counter { quantity, week } = counter;
    CounterImage { quantity: quantity.micros(), week: u32::from(*week) }.encode_to_vec()
}

pub(super) fn read_counter(bytes: &[u8]) -> Result<Counter, ImageError> {
    let CounterImage { quantity, week } = CounterImage::decode(bytes)?;
    Ok(Counter {
        quantity: Quantity::from_micros(quantity).ok_or(ImageError::Value("a quantity"))?,
        week: u16::try_from(week).map_err(|_| ImageError::Value("a week"))?,
    })
}

#[derive(Clone, PartialEq, Message)]
struct EventImage {
    /// Big-endian: protobuf has no integer of 128 bits.
    #[prost(bytes = "vec", tag = "1")]
    spent: Vec<u8>,
    #[prost(sint64, tag = "2")]
    held: i64,
    #[prost(sint64, optional, tag = "3")]
    budget: Option<i64>,
    #[prost(bool, tag = "4")]
    refuses_holds: bool,
    #[prost(uint64, tag = "5")]
    told_by_seq: u64,
    #[prost(uint32, tag = "6")]
    told_percent: u32,
}

pub(super) fn event(event: &Event) -> Vec<u8> {
    let Event { spent_micros, held_micros, budget, refuses_holds, told: Told { set_seq, percent } } = event;
    let image = EventImage {
        spent: spent_micros.to_be_bytes().to_vec(),
        held: *held_micros,
        budget: budget.map(tollbooth_schemas::Money::micros),
        refuses_holds: *refuses_holds,
        told_by_seq: *set_seq,
        told_percent: *percent,
    };
    image.encode_to_vec()
}

pub(super) fn read_event(bytes: &[u8]) -> Result<Event, ImageError> {
    let EventImage { spent, held, budget, refuses_holds, told_by_seq, told_percent } = EventImage::decode(bytes)?;
    let spent = spent.as_slice().try_into().map_err(|_| ImageError::Value("a spend"))?;
    Ok(Event {
        spent_micros: i128::from_be_bytes(spent),
        held_micros: held,
        budget: budget.map(money).transpose()?,
        refuses_holds,
        told: Told { set_seq: told_by_seq, percent: told_percent },
    })
}

#[derive(Clone, PartialEq, Message)]
struct HoldImage {
    #[prost(string, tag = "1")]
    account_id: String,
    #[prost(string, tag = "2")]
    hold_id: String,
    #[prost(sint64, tag = "3")]
    amount: i64,
    #[prost(int64, tag = "4")]
    expires_at_ms: i64,
    #[prost(string, tag = "5")]
    event_id: String,
}

pub(super) fn open_hold(account_id: &str, hold_id: &str, hold: &OpenHold) -> Vec<u8> {
    let OpenHold { amount, expires_at_ms, event_id } = hold;
    let image = HoldImage {
        account_id: account_id.to_owned(),
        hold_id: hold_id.to_owned(),
        amount: amount.micros(),
        expires_at_ms: *expires_at_ms,
        event_id: event_id.to_string(),
    };
    image.encode_to_vec()
}

/// The account's id, its own, and what is held.
pub(super) fn read_open_hold(bytes: &[u8]) -> Result<(String, String, OpenHold), ImageError> {
    let HoldImage { account_id, hold_id, amount, expires_at_ms, event_id } = HoldImage::decode(bytes)?;
    Ok((account_id, hold_id, OpenHold { amount: money(amount)?, expires_at_ms, event_id: event_id.into() }))
}

#[derive(Clone, PartialEq, Message)]
struct PositionImage {
    #[prost(uint32, tag = "1")]
    input_generation: u32,
    #[prost(enumeration = "SourceTopic", tag = "2")]
    topic: i32,
    #[prost(int64, tag = "3")]
    offset: i64,
}

/// What a state has one of.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Head {
    #[prost(message, repeated, tag = "1")]
    positions: Vec<PositionImage>,
    #[prost(int64, tag = "2")]
    pub(super) posted_at_ms: i64,
}

impl Head {
    pub(super) fn of(state: &State) -> Self {
        let positions = state.positions.0.iter().map(|((input_generation, topic), offset)| PositionImage {
            input_generation: *input_generation,
            topic: (*topic).into(),
            offset: *offset,
        });
        Self { positions: positions.collect(), posted_at_ms: state.posted_at_ms }
    }

    pub(super) fn positions(&self) -> Result<Positions, ImageError> {
        let mut positions = Positions::default();
        for image in &self.positions {
            let topic = SourceTopic::try_from(image.topic).map_err(|_| ImageError::Value("a topic"))?;
            positions.raise(image.input_generation, topic, image.offset);
        }
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::Money;

    use super::*;

    fn micros(micros: i64) -> Money {
        Money::from_micros(micros).unwrap()
    }

    #[test]
    fn every_field_of_a_row_survives() {
        for charged in [false, true] {
            let one = Operation { seq: 1, amount: micros(-2), memo: u64::MAX - 3, attempt: 4, week: 5, charged };
            assert_eq!(Remembered::operation(5, &operation(&one)), Ok(Remembered::Operation(one)));
        }
        let one = Answer {
            body_hash: [1, 2].into(),
            seq: 3,
            amount: micros(-4),
            balance: micros(5),
            held: micros(6),
            hold_amount: micros(7),
            posted_at_ms: 8,
            week: 9,
        };
        assert_eq!(Remembered::row(Table::Answers, 9, &answer(&one)), Ok(Remembered::Answer(one)));
        let one = Refunded { seq: 1, amount: micros(2), week: 3 };
        assert_eq!(Remembered::row(Table::Refunds, 3, &refunded(&one)), Ok(Remembered::Refund(one)));
        let one = Hold::Ended { week: 1 };
        assert_eq!(Remembered::row(Table::EndedHolds, 1, &[]), Ok(Remembered::Hold(one)));
        let told = Told { set_seq: 4, percent: 80 };
        let spent_micros = i128::MIN + 1;
        let one = Event { spent_micros, held_micros: 2, budget: Some(micros(3)), refuses_holds: true, told };
        assert_eq!(read_event(&event(&one)), Ok(one));
        assert_eq!(read_event(&event(&Event::default())), Ok(Event::default()));
        let one = Counter { quantity: Quantity::from_micros(1).unwrap(), week: 2 };
        assert_eq!(read_counter(&counter(&one)), Ok(one));
        let one = OpenHold { amount: micros(1), expires_at_ms: 2, event_id: "evt_gala".into() };
        let read = read_open_hold(&open_hold("acc_a", "hld_1", &one));
        assert_eq!(read, Ok(("acc_a".to_owned(), "hld_1".to_owned(), one)));
    }

    #[test]
    fn bytes_that_are_no_row_are_told() {
        let one = Operation { seq: 1, amount: micros(2), memo: 3, attempt: 4, week: 5, charged: true };
        let mut bytes = operation(&one);
        assert!(Remembered::operation(5, &bytes[..28]).is_err());
        bytes[28] = 2;
        assert!(Remembered::operation(5, &bytes).is_err());
        assert!(Remembered::row(Table::Answers, 5, &[0xFF]).is_err());
    }
}
