//! The lines of a fleet's journal, as far as they count here. The format is documented where it is written.

use serde::Deserialize;
use tollbooth_schemas::{
    Money, Quantity,
    dead_letter::Reason,
    time::serde_rfc3339,
    usage::{Status, Text},
};

/// What must become of a planned record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expect {
    Charge,
    Failed,
    DeadLetter,
    Refused,
}

/// What every line says.
#[derive(Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(borrow)]
    pub(super) record: Text<'a>,
}

/// `planned`.
#[derive(Deserialize)]
pub(super) struct PlannedLine<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) operation_id: Text<'a>,
    pub(super) attempt: u32,
    #[serde(borrow)]
    pub(super) account_id: Text<'a>,
    #[serde(borrow)]
    pub(super) plan: Text<'a>,
    #[serde(borrow)]
    pub(super) service: Text<'a>,
    #[serde(borrow)]
    pub(super) engine: Text<'a>,
    #[serde(borrow, default)]
    pub(super) variant: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) country: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) unit: Text<'a>,
    pub(super) quantity: Quantity,
    #[serde(with = "serde_rfc3339")]
    pub(super) occurred_at: i64,
    #[serde(borrow, default)]
    pub(super) event_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) booth_id: Text<'a>,
    pub(super) status: Status,
    pub(super) expect: Expect,
    #[serde(default)]
    pub(super) reason: Option<Reason>,
}

/// `acked`.
#[derive(Deserialize)]
pub(super) struct AckedLine<'a> {
    #[serde(borrow)]
    pub(super) ids: Vec<Text<'a>>,
}

/// `parked`.
#[derive(Deserialize)]
pub(super) struct IdLine<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
}

/// `account_planned`.
#[derive(Deserialize)]
pub(super) struct AccountLine<'a> {
    #[serde(borrow)]
    pub(super) account_id: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) plan: Text<'a>,
    #[serde(borrow)]
    pub(super) currency: Text<'a>,
    #[serde(borrow)]
    pub(super) time_zone: Text<'a>,
}

/// `account_opened`.
#[derive(Deserialize)]
pub(super) struct OpenedLine<'a> {
    #[serde(borrow)]
    pub(super) account_id: Text<'a>,
}

/// `top_up_planned`.
#[derive(Deserialize)]
pub(super) struct TopUpLine<'a> {
    #[serde(borrow)]
    pub(super) account_id: Text<'a>,
    #[serde(borrow)]
    pub(super) idempotency_key: Text<'a>,
    pub(super) amount: Money,
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
    #[serde(borrow, default)]
    pub(super) occurred_at: Option<Text<'a>>,
}

/// `top_up_done`, `top_up_refused`.
#[derive(Deserialize)]
pub(super) struct CommandLine<'a> {
    #[serde(borrow)]
    pub(super) account_id: Text<'a>,
    #[serde(borrow)]
    pub(super) idempotency_key: Text<'a>,
}

/// `gap`.
#[derive(Deserialize)]
pub(super) struct GapLine {
    pub(super) files_removed: u64,
}
