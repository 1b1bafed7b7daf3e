//! The usage event: CloudEvents 1.0, type `tollbooth.usage.v1`.
//!
//! Parsing borrows from the record's bytes and never interprets members it does not know. What is wrong with
//! a record is told as a [`UsageError`], which names the member and says what to do.

use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    decimal::DecimalError,
    ids::AccountId,
    ids::{BoothId, EventId, HoldId, is_id, is_operation_id},
    json::{self, Object},
    money::Money,
    quantity::Quantity,
    time::parse_rfc3339_ms,
};

/// The `type` attribute.
pub const EVENT_TYPE: &str = "tollbooth.usage.v1";
/// The Kafka `content-type` header of a structured record.
pub const STRUCTURED_CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";
/// Largest event in bytes, as CloudEvents asks intermediaries to forward.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// Longest service, engine, variant, unit or error code.
pub const CODE_CHARS_MAX: usize = 64;
/// Longest `id` and `source`.
pub const ATTRIBUTE_CHARS_MAX: usize = 256;

/// Text borrowed from the input where it has no escapes.
///
/// `Option<Cow<str>>` always allocates in serde; this type does not.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl JsonSchema for Text<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is charged.
    Success,
    /// It is listed with 0.00.
    Failed,
}

/// Whether it counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Guests' work.
    #[default]
    Live,
    /// The operator tries something.
    Test,
}

fn first_attempt() -> u32 {
    1
}

/// The `data` member as it is written on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageData<'a> {
    /// What is charged once; kept over retries. Where it is missing, `source` and `id` stand for it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<Text<'a>>,
    /// 1 for the first try; raised by each retry of the operation.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// The party, `evt_...`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Text<'a>>,
    /// The device, `bth_...`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub booth_id: Option<Text<'a>>,
    /// Service code of the price book, `ai_modify`.
    #[serde(borrow)]
    pub service: Text<'a>,
    /// Engine code of the price book, `nano_banana_2`.
    #[serde(borrow)]
    pub engine: Text<'a>,
    /// Resolution, quality, audio: one opaque code as the price book names it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Text<'a>>,
    /// ISO 3166-1 alpha-2; SMS.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Text<'a>>,
    /// `image`, `second`, `segment`, `job`, as the price book names it.
    #[serde(borrow)]
    pub unit: Text<'a>,
    /// Decimal string, more than 0; 0 is allowed when failed.
    #[serde(borrow)]
    #[schemars(with = "Quantity")]
    pub quantity: Text<'a>,
    /// How it ended.
    pub status: Status,
    /// Guests' work or a try of the operator.
    #[serde(default)]
    pub mode: Mode,
    /// The hold it captures, `hld_...`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<Text<'a>>,
    /// What the provider takes for it, decimal string in the account's currency.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Money>")]
    pub provider_cost: Option<Text<'a>>,
    /// Why it failed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Text<'a>>,
    /// When the picture was taken, RFC 3339; the occurrence is when the operation completed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub captured_at: Option<Text<'a>>,
}

/// A structured-mode event as it is written on the wire. Members beyond these are allowed and not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WireEvent<'a> {
    /// `1.0`.
    #[serde(borrow)]
    pub specversion: Text<'a>,
    /// With `source` unique per event; a re-send keeps it.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Who reports, a URI reference: `/booths/bth_17`.
    #[serde(borrow)]
    pub source: Text<'a>,
    /// `tollbooth.usage.v1`.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    /// The account.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Text<'a>>,
    /// Occurrence, RFC 3339.
    #[serde(borrow)]
    pub time: Text<'a>,
    /// `application/json` or absent.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<Text<'a>>,
    /// What was used.
    #[serde(borrow, deserialize_with = "json::object")]
    pub data: UsageData<'a>,
}

/// A usage event whose shape is right: what ingest accepts and the meter prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent<'a> {
    /// CloudEvents `id`.
    pub id: Text<'a>,
    /// CloudEvents `source`.
    pub source: Text<'a>,
    /// The account.
    pub account_id: Text<'a>,
    /// Milliseconds since the epoch.
    pub occurred_at_ms: i64,
    /// Named by the booth, or derived from `source` and `id`.
    pub operation_id: Text<'a>,
    /// 1 or more.
    pub attempt: u32,
    /// The party, if any.
    pub event_id: Option<Text<'a>>,
    /// The device, if any.
    pub booth_id: Option<Text<'a>>,
    /// Service code.
    pub service: Text<'a>,
    /// Engine code.
    pub engine: Text<'a>,
    /// Variant code; empty: none.
    pub variant: Text<'a>,
    /// Country; empty: none.
    pub country: Text<'a>,
    /// Unit code.
    pub unit: Text<'a>,
    /// How much.
    pub quantity: Quantity,
    /// How it ended.
    pub status: Status,
    /// Whether it counts.
    pub mode: Mode,
    /// Named hold, if any.
    pub hold_id: Option<Text<'a>>,
    /// The provider's price, if told.
    pub provider_cost: Option<Money>,
    /// Why it failed; empty: not told.
    pub error_code: Text<'a>,
    /// When it was captured, if told.
    pub captured_at_ms: Option<i64>,
}

/// What is wrong with a usage event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct UsageError {
    /// JSON pointer of the member, `/data/quantity`; empty for the whole event.
    pub pointer: &'static str,
    /// What is wrong and what is expected.
    pub detail: String,
    /// Well-formed, but a number beyond its bound.
    pub out_of_range: bool,
}

impl UsageError {
    fn new(pointer: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer, detail: detail.into(), out_of_range: false }
    }
}

/// CloudEvents attributes of a binary-mode message, header values as text.
#[derive(Debug, Default, Clone)]
pub struct Attributes<'a> {
    /// `specversion`.
    pub specversion: Option<Cow<'a, str>>,
    /// `id`.
    pub id: Option<Cow<'a, str>>,
    /// `source`.
    pub source: Option<Cow<'a, str>>,
    /// `type`.
    pub kind: Option<Cow<'a, str>>,
    /// `subject`.
    pub subject: Option<Cow<'a, str>>,
    /// `time`.
    pub time: Option<Cow<'a, str>>,
}

impl<'a> Attributes<'a> {
    /// Takes one attribute by its CloudEvents name (`id`, not `ce_id`); names that are not read are ignored.
    pub fn set(&mut self, name: &str, value: Cow<'a, str>) {
        let slot = match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "subject" => &mut self.subject,
            "time" => &mut self.time,
            _ => return,
        };
        *slot = Some(value);
    }
}

/// Reads a structured-mode event.
///
/// # Errors
/// What is wrong, by member.
pub fn parse_structured(bytes: &[u8]) -> Result<UsageEvent<'_>, UsageError> {
    let text = utf8(bytes)?;
    let Object(wire): Object<WireEvent<'_>> =
        serde_json::from_str(text).map_err(|error| UsageError::new("", format!("is not a usage event: {error}")))?;
    check(wire)
}

/// Reads a binary-mode event: attributes from headers, `data` from the body.
///
/// # Errors
/// What is wrong, by member.
pub fn parse_binary<'a>(attributes: Attributes<'a>, data: &'a [u8]) -> Result<UsageEvent<'a>, UsageError> {
    let text = utf8(data)?;
    let Object(data): Object<UsageData<'a>> =
        serde_json::from_str(text).map_err(|error| UsageError::new("/data", format!("is not usage data: {error}")))?;
    let need =
        |value: Option<Cow<'a, str>>, pointer| value.map(Text).ok_or_else(|| UsageError::new(pointer, "is missing"));
    check(WireEvent {
        specversion: need(attributes.specversion, "/specversion")?,
        id: need(attributes.id, "/id")?,
        source: need(attributes.source, "/source")?,
        kind: need(attributes.kind, "/type")?,
        subject: attributes.subject.map(Text),
        time: need(attributes.time, "/time")?,
        datacontenttype: None,
        data,
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, UsageError> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(UsageError::new("", format!("is larger than {EVENT_BYTES_MAX} bytes")));
    }
    std::str::from_utf8(bytes).map_err(|_| UsageError::new("", "is not UTF-8"))
}

fn check(wire: WireEvent<'_>) -> Result<UsageEvent<'_>, UsageError> {
    if &*wire.specversion != "1.0" {
        return Err(UsageError::new("/specversion", "must be \"1.0\""));
    }
    if &*wire.kind != EVENT_TYPE {
        return Err(UsageError::new("/type", format!("must be {EVENT_TYPE:?}")));
    }
    attribute(&wire.id, "/id")?;
    attribute(&wire.source, "/source")?;
    let account_id = wire.subject.ok_or_else(|| UsageError::new("/subject", "is missing: name the account"))?;
    if !is_id(&account_id, AccountId::PREFIX) {
        return Err(UsageError::new("/subject", "must be acc_ and 1 to 64 letters, digits, _ or -"));
    }
    let data = wire.data;
    let quantity = quantity(&data)?;
    let operation_id = match data.operation_id {
        Some(id) if is_operation_id(&id) => id,
        Some(_) => return Err(UsageError::new("/data/operation_id", "must be 1 to 128 printable characters")),
        None => derived_operation_id(&wire.source, &wire.id),
    };
    if data.attempt == 0 {
        return Err(UsageError::new("/data/attempt", "must be 1 or more"));
    }
    let event = UsageEvent {
        account_id,
        occurred_at_ms: instant(&wire.time, "/time")?,
        operation_id,
        attempt: data.attempt,
        event_id: reference(data.event_id, EventId::PREFIX, "/data/event_id")?,
        booth_id: reference(data.booth_id, BoothId::PREFIX, "/data/booth_id")?,
        service: code(data.service, "/data/service")?,
        engine: code(data.engine, "/data/engine")?,
        variant: optional_code(data.variant, "/data/variant")?,
        country: optional_code(data.country, "/data/country")?,
        unit: code(data.unit, "/data/unit")?,
        quantity,
        status: data.status,
        mode: data.mode,
        hold_id: reference(data.hold_id, HoldId::PREFIX, "/data/hold_id")?,
        provider_cost: data.provider_cost.map(|text| cost(&text)).transpose()?,
        error_code: optional_code(data.error_code, "/data/error_code")?,
        captured_at_ms: data.captured_at.map(|text| instant(&text, "/data/captured_at")).transpose()?,
        id: wire.id,
        source: wire.source,
    };
    Ok(event)
}

fn quantity(data: &UsageData<'_>) -> Result<Quantity, UsageError> {
    const POINTER: &str = "/data/quantity";
    let quantity: Quantity = data.quantity.parse().map_err(|error: DecimalError| UsageError {
        pointer: POINTER,
        detail: format!("{:?} {error}", &*data.quantity),
        out_of_range: error == DecimalError::Range && !data.quantity.starts_with('-'),
    })?;
    if quantity.is_zero() && data.status == Status::Success {
        return Err(UsageError::new(POINTER, "must be more than 0 when the status is success"));
    }
    Ok(quantity)
}

fn cost(text: &str) -> Result<Money, UsageError> {
    const POINTER: &str = "/data/provider_cost";
    let cost: Money = text.parse().map_err(|error: DecimalError| UsageError {
        pointer: POINTER,
        detail: format!("{text:?} {error}"),
        out_of_range: error == DecimalError::Range,
    })?;
    if cost.is_negative() { Err(UsageError::new(POINTER, "must not be negative")) } else { Ok(cost) }
}

fn instant(text: &str, pointer: &'static str) -> Result<i64, UsageError> {
    parse_rfc3339_ms(text)
        .ok_or_else(|| UsageError::new(pointer, "must be an RFC 3339 time, like 2026-11-21T20:15:03Z"))
}

fn attribute(text: &str, pointer: &'static str) -> Result<(), UsageError> {
    if text.is_empty() || text.len() > ATTRIBUTE_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(UsageError::new(pointer, format!("must be 1 to {ATTRIBUTE_CHARS_MAX} printable characters")));
    }
    Ok(())
}

fn code<'a>(text: Text<'a>, pointer: &'static str) -> Result<Text<'a>, UsageError> {
    let fits = (1..=CODE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    if fits { Ok(text) } else { Err(UsageError::new(pointer, "must be 1 to 64 of letters, digits, _ - . :")) }
}

fn optional_code<'a>(text: Option<Text<'a>>, pointer: &'static str) -> Result<Text<'a>, UsageError> {
    match text {
        None => Ok(Text::default()),
        Some(text) if text.is_empty() => Ok(text),
        Some(text) => code(text, pointer),
    }
}

fn reference<'a>(
    text: Option<Text<'a>>,
    prefix: &'static str,
    pointer: &'static str,
) -> Result<Option<Text<'a>>, UsageError> {
    match text {
        Some(text) if !is_id(&text, prefix) => {
            Err(UsageError::new(pointer, format!("must be {prefix} and 1 to 64 letters, digits, _ or -")))
        }
        other => Ok(other),
    }
}

/// `source` and `id` as one operation id. A digest where the two together are too long for one.
fn derived_operation_id(source: &str, id: &str) -> Text<'static> {
    use sha2::{Digest, Sha256};
    let joined = format!("{source}#{id}");
    // `#` cannot stand unescaped in the path of a URI reference more than once: the join is read one way only
    // where the source has none; otherwise the digest over both, with their lengths, keeps them apart.
    if is_operation_id(&joined) && !source.contains('#') && !id.contains('#') {
        return joined.into();
    }
    let digest =
        Sha256::new().chain_update(source.len().to_be_bytes()).chain_update(source).chain_update(id).finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("ce-{hex}").into()
}
