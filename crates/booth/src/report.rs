//! What a booth reports, and its form on the wire.

use tollbooth_schemas::{
    AccountId, BoothId, EventId, HoldId, Money, Quantity,
    time::rfc3339,
    usage::{EVENT_TYPE, Mode, Status, UsageData, WireEvent},
};

/// One piece of work of one booth. Its ids are fixed when it is made, so that whatever is re-sent is the same event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// CloudEvents `id`; unique with `source`.
    pub id: String,
    /// CloudEvents `source`, `/booths/<booth id>`.
    pub source: String,
    /// Who pays.
    pub account_id: AccountId,
    /// When the work completed, milliseconds since the epoch.
    pub occurred_at_ms: i64,
    /// What is charged once; kept over retries of the same work.
    pub operation_id: String,
    /// 1 for the first try.
    pub attempt: u32,
    /// The party, if any.
    pub event_id: Option<EventId>,
    /// The device.
    pub booth_id: BoothId,
    /// Service code of the price book.
    pub service: String,
    /// Engine code of the price book.
    pub engine: String,
    /// Variant code, if the price book has any for the engine.
    pub variant: Option<String>,
    /// ISO 3166-1 alpha-2; SMS.
    pub country: Option<String>,
    /// What `quantity` counts.
    pub unit: String,
    /// How much; more than 0 unless it failed.
    pub quantity: Quantity,
    /// How it ended.
    pub status: Status,
    /// Guests' work or a try of the operator.
    pub mode: Mode,
    /// The hold it captures.
    pub hold_id: Option<HoldId>,
    /// What the provider takes for it.
    pub provider_cost: Option<Money>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// When the picture was taken, milliseconds since the epoch.
    pub captured_at_ms: Option<i64>,
}

impl UsageReport {
    /// One successful image, now, with random ids. Set the fields that differ.
    #[must_use]
    pub fn new(account_id: AccountId, booth_id: BoothId, service: &str, engine: &str) -> Self {
        Self {
            id: format!("ue_{:032x}", rand::random::<u128>()),
            source: format!("/booths/{booth_id}"),
            account_id,
            occurred_at_ms: chrono::Utc::now().timestamp_millis(),
            operation_id: format!("op_{:032x}", rand::random::<u128>()),
            attempt: 1,
            event_id: None,
            booth_id,
            service: service.to_owned(),
            engine: engine.to_owned(),
            variant: None,
            country: None,
            unit: "image".to_owned(),
            quantity: Quantity::from_micros(1_000_000).unwrap_or_default(),
            status: Status::Success,
            mode: Mode::Live,
            hold_id: None,
            provider_cost: None,
            error_code: None,
            captured_at_ms: None,
        }
    }

    /// The report as a CloudEvent; borrows its texts.
    #[must_use]
    pub fn to_wire(&self) -> WireEvent<'_> {
        WireEvent {
            specversion: "1.0".into(),
            id: self.id.as_str().into(),
            source: self.source.as_str().into(),
            kind: EVENT_TYPE.into(),
            subject: Some(self.account_id.as_str().into()),
            time: rfc3339(self.occurred_at_ms).into(),
            datacontenttype: Some("application/json".into()),
            data: self.to_data(),
        }
    }

    /// The `data` member alone, the body of a binary-mode message.
    #[must_use]
    pub fn to_data(&self) -> UsageData<'_> {
        UsageData {
            operation_id: Some(self.operation_id.as_str().into()),
            attempt: self.attempt,
            event_id: self.event_id.as_ref().map(|id| id.as_str().into()),
            booth_id: Some(self.booth_id.as_str().into()),
            service: self.service.as_str().into(),
            engine: self.engine.as_str().into(),
            variant: self.variant.as_deref().map(Into::into),
            country: self.country.as_deref().map(Into::into),
            unit: self.unit.as_str().into(),
            quantity: self.quantity.to_string().into(),
            status: self.status,
            mode: self.mode,
            hold_id: self.hold_id.as_ref().map(|id| id.as_str().into()),
            provider_cost: self.provider_cost.map(|cost| cost.to_string().into()),
            error_code: self.error_code.as_deref().map(Into::into),
            captured_at: self.captured_at_ms.map(|ms| rfc3339(ms).into()),
        }
    }

    /// The structured-mode event, JSON.
    ///
    /// # Errors
    /// The serializer's own; none is known for these members.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.to_wire())
    }
}
