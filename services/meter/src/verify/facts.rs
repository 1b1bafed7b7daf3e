//! What a booth reported, the same whether it comes from the ledger, the usage record or a journal.

use tollbooth_schemas::{
    Money,
    usage::{Mode, Status, UsageEvent},
    v1::{Entry, Usage, UsageStatus},
};

use super::digest::Parts;

/// What a journal knows, too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) operation_id: &'a str,
    pub(super) attempt: u32,
    pub(super) is_success: bool,
    pub(super) service: &'a str,
    pub(super) engine: &'a str,
    pub(super) variant: &'a str,
    pub(super) country: &'a str,
    pub(super) unit: &'a str,
    pub(super) quantity_micros: i64,
    pub(super) occurred_at_ms: i64,
    pub(super) event_id: &'a str,
    pub(super) booth_id: &'a str,
}

impl<'a> Facts<'a> {
    pub(super) fn of_entry(entry: &Entry, usage: &'a Usage) -> Self {
        Self {
            operation_id: &usage.operation_id,
            attempt: usage.attempt,
            is_success: usage.status() == UsageStatus::Success,
            service: &usage.service,
            engine: &usage.engine,
            variant: &usage.variant,
            country: &usage.country,
            unit: &usage.unit,
            quantity_micros: usage.quantity_micros,
            occurred_at_ms: entry.occurred_at_ms,
            event_id: &usage.event_id,
            booth_id: &usage.booth_id,
        }
    }

    pub(super) fn of_event(event: &'a UsageEvent<'a>) -> Self {
        Self {
            operation_id: &event.operation_id,
            attempt: event.attempt,
            is_success: event.status == Status::Success,
            service: &event.service,
            engine: &event.engine,
            variant: &event.variant,
            country: &event.country,
            unit: &event.unit,
            quantity_micros: event.quantity.micros(),
            occurred_at_ms: event.occurred_at_ms,
            event_id: event.event_id.as_deref().unwrap_or_default(),
            booth_id: event.booth_id.as_deref().unwrap_or_default(),
        }
    }

    pub(super) fn digest(&self, parts: &mut Parts) -> u64 {
        parts.clear().text(self.operation_id).number(self.attempt.into()).number(self.is_success.into());
        parts.text(self.service).text(self.engine).text(self.variant).text(self.country).text(self.unit);
        parts.number(self.quantity_micros).number(self.occurred_at_ms).text(self.event_id).text(self.booth_id);
        parts.digest()
    }

    /// What makes two reports of an operation the same work.
    pub(super) fn content(parts: &mut Parts, usage: &Usage) -> u64 {
        parts.clear().text(&usage.service).text(&usage.engine).text(&usage.variant).text(&usage.country);
        parts.text(&usage.unit).number(usage.quantity_micros).number(usage.test_mode.into()).digest()
    }

    /// The same of an event.
    pub(super) fn content_of_event(parts: &mut Parts, event: &UsageEvent<'_>) -> u64 {
        parts.clear().text(&event.service).text(&event.engine).text(&event.variant).text(&event.country);
        let is_test = event.mode == Mode::Test;
        parts.text(&event.unit).number(event.quantity.micros()).number(is_test.into()).digest()
    }
}

/// What else a usage record says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extra<'a> {
    provider_cost_micros: Option<i64>,
    error_code: &'a str,
    hold_id: &'a str,
    received_at_ms: i64,
    captured_at_ms: Option<i64>,
    is_test: bool,
}

impl<'a> Extra<'a> {
    pub(super) fn of_entry(usage: &'a Usage) -> Self {
        Self {
            provider_cost_micros: usage.provider_cost_micros,
            error_code: &usage.error_code,
            hold_id: &usage.hold_id,
            received_at_ms: usage.received_at_ms,
            captured_at_ms: usage.captured_at_ms,
            is_test: usage.test_mode,
        }
    }

    pub(super) fn of_event(event: &'a UsageEvent<'a>, received_at_ms: i64) -> Self {
        Self {
            provider_cost_micros: event.provider_cost.map(Money::micros),
            error_code: &event.error_code,
            hold_id: event.hold_id.as_deref().unwrap_or_default(),
            received_at_ms,
            captured_at_ms: event.captured_at_ms,
            is_test: event.mode == Mode::Test,
        }
    }

    pub(super) fn digest(&self, parts: &mut Parts) -> u64 {
        parts.clear().maybe(self.provider_cost_micros).text(self.error_code).text(self.hold_id);
        parts.number(self.received_at_ms).maybe(self.captured_at_ms).number(self.is_test.into()).digest()
    }
}
