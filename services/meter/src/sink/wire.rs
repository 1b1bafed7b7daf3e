//! Reads a ledger record in place: every text is borrowed from the record's bytes.
//!
//! The generated messages allocate a dozen strings an entry, which at 100,000 entries a second costs more than all the
//! rest of the sink. This reader knows the fields that rows are made of; a property test holds the two against each other.

mod kinds;

pub use kinds::{AlertRaised, RechargeSet};

use std::str::{Utf8Error, from_utf8};

/// Bytes that are not a ledger record of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not protobuf.
    #[error("is cut short or not protobuf")]
    Malformed,
    /// A field has another wire type than this release knows.
    #[error("field {0} has an unexpected wire type")]
    WireType(u32),
    /// A text is not UTF-8.
    #[error("has a text that is not UTF-8")]
    Utf8(#[from] Utf8Error),
    /// An entry of a kind that this release does not know: a newer meter wrote it.
    #[error("entry {seq} is of a kind that this release does not know; upgrade the sink")]
    UnknownKind {
        /// Its `seq`.
        seq: u64,
    },
    /// An enumeration has a value that this release does not know.
    #[error("entry {seq} has {field} {value}, which this release does not know; upgrade the sink")]
    UnknownValue {
        /// Its `seq`.
        seq: u64,
        /// The field.
        field: &'static str,
        /// The number.
        value: u64,
    },
}

type Result<T> = std::result::Result<T, WireError>;

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of one message, in the order they were written.
#[derive(Debug, Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(WireError::Malformed)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let count = usize::try_from(count).map_err(|_| WireError::Malformed)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(WireError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn next(&mut self) -> Result<Option<(u32, Value<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::Malformed)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(WireError::Malformed),
        };
        Ok(Some((number, value)))
    }
}

impl<'a> Value<'a> {
    fn number(self, field: u32) -> Result<u64> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(WireError::WireType(field)),
        }
    }

    fn int64(self, field: u32) -> Result<i64> {
        self.number(field).map(u64::cast_signed)
    }

    /// A 32-bit field keeps the low bits, as protobuf says.
    fn uint32(self, field: u32) -> Result<u32> {
        self.number(field).map(|value| u32::try_from(value & 0xffff_ffff).unwrap_or_default())
    }

    fn sint64(self, field: u32) -> Result<i64> {
        self.number(field).map(|value| (value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn bytes(self, field: u32) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::WireType(field)),
        }
    }

    fn text(self, field: u32) -> Result<&'a str> {
        Ok(from_utf8(self.bytes(field)?)?)
    }
}

/// What the sink needs to know of a record before it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Posting time of every entry.
    pub posted_at_ms: i64,
    /// Entries, that is rows.
    pub rows: usize,
    /// Length of the account id, which every row repeats.
    pub account_id_bytes: usize,
}

/// Reads the outer fields only; entries are counted, not looked into.
///
/// # Errors
/// [`WireError`] for bytes that are not a message.
pub fn outline(record: &[u8]) -> Result<Outline> {
    let mut outline = Outline { posted_at_ms: 0, rows: 0, account_id_bytes: 0 };
    let mut fields = Fields(record);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => outline.account_id_bytes = value.bytes(number)?.len(),
            2 => outline.posted_at_ms = value.int64(number)?,
            4 => outline.rows += 1,
            _ => {}
        }
    }
    Ok(outline)
}

/// A ledger record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The account.
    pub account_id: &'a str,
    /// Posting time of every entry.
    pub posted_at_ms: i64,
    /// Generation of the input topics.
    pub input_generation: u32,
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the outer fields.
    ///
    /// # Errors
    /// [`WireError`] for bytes that are not a message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut record = Self { bytes, ..Self::default() };
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => record.account_id = value.text(number)?,
                2 => record.posted_at_ms = value.int64(number)?,
                3 => record.input_generation = value.uint32(number)?,
                _ => {}
            }
        }
        Ok(record)
    }

    /// Calls `each` with every entry, in order.
    ///
    /// # Errors
    /// [`WireError`], also for an entry of an unknown kind: a reader must stop there.
    pub fn entries(&self, mut each: impl FnMut(&Entry<'a>)) -> Result<()> {
        let mut fields = Fields(self.bytes);
        while let Some((number, value)) = fields.next()? {
            if number == 4 {
                each(&Entry::parse(value.bytes(number)?)?);
            }
        }
        Ok(())
    }
}

/// An entry; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Entry<'a> {
    pub seq: u64,
    pub amount_micros: i64,
    pub balance_after_micros: i64,
    pub held_after_micros: i64,
    pub occurred_at_ms: i64,
    /// Code of the topic, empty where none was told.
    pub source_topic: &'static str,
    pub source_offset: i64,
    pub idempotency_key: &'a str,
    pub actor: &'a str,
    pub from_bonus_micros: i64,
    pub kind: Kind<'a>,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, Default)]
// Nearly every entry is usage, and none is kept: boxing it would allocate for each.
#[allow(missing_docs, clippy::large_enum_variant)]
pub enum Kind<'a> {
    /// Never left in a parsed entry.
    #[default]
    Unknown,
    AccountOpened {
        name: &'a str,
        plan: &'a str,
        currency: &'a str,
        time_zone: &'a str,
    },
    Usage(Usage<'a>),
    Adjustment {
        reason: &'a str,
        note: &'a str,
    },
    PlanChanged {
        plan: &'a str,
        effective_at_ms: i64,
    },
    HoldPlaced(HoldPlaced<'a>),
    HoldReleased {
        hold_id: &'a str,
        amount_micros: i64,
        /// `voided` or `expired`.
        cause: &'static str,
    },
    CreditLimitSet {
        credit_limit_micros: i64,
    },
    Reversal(Reversal<'a>),
    BonusGranted {
        expires_at_ms: Option<i64>,
        reason: &'a str,
        note: &'a str,
    },
    BonusExpired {
        granted_seq: u64,
    },
    Purchase {
        payment_id: &'a str,
        provider: &'a str,
        /// `manual` or `auto_recharge`.
        source: &'static str,
    },
    PlanFee {
        plan: &'a str,
        period: &'a str,
        price_version: u32,
    },
    EventDefined(EventDefined<'a>),
    BoothSet {
        booth_id: &'a str,
        name: &'a str,
        paused: bool,
    },
    RechargeSet(RechargeSet),
    RechargeRequested {
        recharge_id: &'a str,
        amount_micros: i64,
        available_micros: i64,
        threshold_micros: i64,
        day_ends_at_ms: i64,
        month_ends_at_ms: i64,
    },
    RechargeFailed {
        recharge_id: &'a str,
        reason: &'a str,
        failures: u32,
        retry_at_ms: i64,
        amount_micros: i64,
    },
    /// Rare, and full of lists: an `AlertsSet` of `ledger.proto` as its bytes, which were seen to be one.
    AlertsSet {
        document: &'a [u8],
    },
    AlertRaised(AlertRaised<'a>),
    Repriced(Repriced<'a>),
    ProfileSet {
        name: &'a str,
        time_zone: &'a str,
    },
}

/// Money set aside; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct HoldPlaced<'a> {
    pub hold_id: &'a str,
    pub amount_micros: i64,
    pub service: &'a str,
    pub engine: &'a str,
    pub variant: &'a str,
    pub country: &'a str,
    pub unit: &'a str,
    pub quantity_micros: i64,
    pub event_id: &'a str,
    pub booth_id: &'a str,
    pub plan: &'a str,
    pub price_version: u32,
}

/// A party; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct EventDefined<'a> {
    pub event_id: &'a str,
    pub name: &'a str,
    pub starts_at_ms: i64,
    pub ends_at_ms: i64,
    pub time_zone: &'a str,
    pub budget_micros: Option<i64>,
    pub refuses_holds: bool,
}

/// A charge given back; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Reversal<'a> {
    pub original_seq: u64,
    pub reason: &'a str,
    pub note: &'a str,
    /// `refund` or `repricing`.
    pub cause: &'static str,
    pub operation_id: &'a str,
    pub service: &'a str,
    pub engine: &'a str,
    pub variant: &'a str,
    pub country: &'a str,
    pub unit: &'a str,
    pub plan: &'a str,
    pub event_id: &'a str,
    pub booth_id: &'a str,
    pub quantity_micros: i64,
    pub price_version: u32,
    pub test_mode: bool,
    pub attempt: u32,
}

/// A charge made anew; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Repriced<'a> {
    pub repricing_id: &'a str,
    pub replaced_seq: u64,
    pub undo: bool,
    pub charge: Usage<'a>,
}

/// Usage, charged or failed; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Usage<'a> {
    /// `success` or `failed`.
    pub status: &'static str,
    pub operation_id: &'a str,
    pub attempt: u32,
    pub service: &'a str,
    pub engine: &'a str,
    pub variant: &'a str,
    pub country: &'a str,
    pub unit: &'a str,
    pub quantity_micros: i64,
    pub event_id: &'a str,
    pub booth_id: &'a str,
    pub plan: &'a str,
    pub price_version: u32,
    /// Code of the model, empty where nothing was priced.
    pub price_model: &'static str,
    pub unit_price_micros: i64,
    pub provider_cost_micros: Option<i64>,
    pub error_code: &'a str,
    pub hold_id: &'a str,
    pub received_at_ms: i64,
    pub captured_at_ms: Option<i64>,
    pub test_mode: bool,
    /// A `Pricing` message; empty: the charge is a price times a quantity.
    pub pricing: &'a [u8],
}

impl<'a> Entry<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut entry = Self::default();
        let mut source_topic = 0;
        // Enumerations inside the kind are judged when `seq` is known for certain, whatever the order of fields.
        let mut kind: Option<(u32, &'a [u8])> = None;
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => entry.seq = value.number(number)?,
                2 => entry.amount_micros = value.sint64(number)?,
                3 => entry.balance_after_micros = value.sint64(number)?,
                4 => entry.held_after_micros = value.sint64(number)?,
                5 => entry.occurred_at_ms = value.int64(number)?,
                6 => source_topic = value.number(number)?,
                7 => entry.source_offset = value.int64(number)?,
                8 => (entry.idempotency_key, entry.actor) = command(value.bytes(number)?)?,
                9 => entry.from_bonus_micros = value.int64(number)?,
                // From 16 on stand the kinds; a later one replaces an earlier one.
                16.. => kind = Some((number, value.bytes(number)?)),
                _ => {}
            }
        }
        let seq = entry.seq;
        entry.source_topic = code(seq, "source topic", source_topic, &["", "usage", "commands", "tick"])?;
        entry.kind = match kind {
            Some((16, bytes)) => account_opened(bytes)?,
            Some((17, bytes)) => Kind::Usage(usage(seq, bytes)?),
            Some((18, bytes)) => adjustment(bytes)?,
            Some((19, bytes)) => plan_changed(bytes)?,
            Some((number, bytes)) => kinds::parse(seq, number, bytes)?,
            _ => return Err(WireError::UnknownKind { seq }),
        };
        Ok(entry)
    }
}

fn code(seq: u64, field: &'static str, value: u64, codes: &[&'static str]) -> Result<&'static str> {
    let known = usize::try_from(value).ok().and_then(|index| codes.get(index));
    known.copied().ok_or(WireError::UnknownValue { seq, field, value })
}

fn command(bytes: &[u8]) -> Result<(&str, &str)> {
    let (mut idempotency_key, mut actor) = ("", "");
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => idempotency_key = value.text(number)?,
            3 => actor = value.text(number)?,
            _ => {}
        }
    }
    Ok((idempotency_key, actor))
}

fn account_opened(bytes: &[u8]) -> Result<Kind<'_>> {
    let mut texts = [""; 4];
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        if (1..=4).contains(&number) {
            texts[number as usize - 1] = value.text(number)?;
        }
    }
    let [name, plan, currency, time_zone] = texts;
    Ok(Kind::AccountOpened { name, plan, currency, time_zone })
}

fn adjustment(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut reason, mut note) = ("", "");
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => reason = value.text(number)?,
            2 => note = value.text(number)?,
            _ => {}
        }
    }
    Ok(Kind::Adjustment { reason, note })
}

fn plan_changed(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut plan, mut effective_at_ms) = ("", 0);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => plan = value.text(number)?,
            2 => effective_at_ms = value.int64(number)?,
            _ => {}
        }
    }
    Ok(Kind::PlanChanged { plan, effective_at_ms })
}

fn usage(seq: u64, bytes: &[u8]) -> Result<Usage<'_>> {
    let mut usage = Usage::default();
    let (mut status, mut price_model) = (0, 0);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => status = value.number(number)?,
            2 => usage.operation_id = value.text(number)?,
            3 => usage.attempt = value.uint32(number)?,
            4 => usage.service = value.text(number)?,
            5 => usage.engine = value.text(number)?,
            6 => usage.variant = value.text(number)?,
            7 => usage.country = value.text(number)?,
            8 => usage.unit = value.text(number)?,
            9 => usage.quantity_micros = value.int64(number)?,
            10 => usage.event_id = value.text(number)?,
            11 => usage.booth_id = value.text(number)?,
            12 => usage.plan = value.text(number)?,
            13 => usage.price_version = value.uint32(number)?,
            14 => price_model = value.number(number)?,
            15 => usage.unit_price_micros = value.int64(number)?,
            16 => usage.provider_cost_micros = Some(value.sint64(number)?),
            17 => usage.error_code = value.text(number)?,
            18 => usage.hold_id = value.text(number)?,
            19 => usage.received_at_ms = value.int64(number)?,
            20 => usage.captured_at_ms = Some(value.int64(number)?),
            21 => usage.test_mode = value.number(number)? != 0,
            40 => usage.pricing = value.bytes(number)?,
            _ => {}
        }
    }
    usage.status = code(seq, "status", status, &["", "success", "failed"])?;
    let models = ["", "per_unit", "flat", "package", "graduated", "volume"];
    usage.price_model = code(seq, "price model", price_model, &models)?;
    Ok(usage)
}
