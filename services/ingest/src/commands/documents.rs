//! The bodies of commands, and what must be right about them before anything is sent.

use serde::Deserialize;
use tollbooth_chassis::problem::{FieldError, Problem};
use tollbooth_schemas::time::serde_rfc3339_option;
use tollbooth_schemas::usage::CODE_CHARS_MAX;
use tollbooth_schemas::v1::{self, command::Body};
use tollbooth_schemas::zone::parse_zone;
use tollbooth_schemas::{AccountId, Money};

const NAME_CHARS_MAX: usize = 200;
const NOTE_CHARS_MAX: usize = 500;
/// 1970-01-01
const EARLIEST_MS: i64 = 0;
/// 2100-01-01
const LATEST_MS: i64 = 4_102_444_800_000;

/// `POST /v1/accounts`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenAccount {
    #[serde(default)]
    pub(crate) account_id: Option<AccountId>,
    name: String,
    plan: String,
    currency: String,
    time_zone: String,
    #[serde(default, with = "serde_rfc3339_option")]
    occurred_at: Option<i64>,
}

/// `POST /v1/accounts/{account_id}/adjustments`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostAdjustment {
    amount: Money,
    reason: String,
    #[serde(default)]
    note: Option<String>,
    #[serde(default, with = "serde_rfc3339_option")]
    occurred_at: Option<i64>,
}

/// `POST /v1/accounts/{account_id}/plan`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePlan {
    plan: String,
    #[serde(default, with = "serde_rfc3339_option")]
    effective_at: Option<i64>,
}

/// Collects everything that is wrong, so that a client learns all of it at once.
#[derive(Default)]
struct Check(Vec<FieldError>);

impl Check {
    fn that(&mut self, holds: bool, pointer: &str, detail: &str) {
        if !holds {
            self.0.push(FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() });
        }
    }

    /// Beyond these years an instant is a mistake, and the tables that take it in could not hold every one.
    fn in_range(&mut self, instant: Option<i64>, pointer: &str) {
        let holds = instant.is_none_or(|ms| (EARLIEST_MS..=LATEST_MS).contains(&ms));
        self.that(holds, pointer, "must lie between 1970-01-01 and 2100-01-01");
    }

    fn not_ahead(&mut self, instant: Option<i64>, latest_ms: i64, pointer: &str) {
        self.in_range(instant, pointer);
        // What lies beyond the range has been named.
        let holds = instant.is_none_or(|ms| ms <= latest_ms || ms > LATEST_MS);
        self.that(holds, pointer, "must not lie in the future");
    }

    fn conclude(self, body: Body) -> Result<Body, Problem> {
        let Some(first) = self.0.first() else { return Ok(body) };
        let problem = Problem::invalid(format!("{}: {}", first.pointer, first.detail));
        Err(self.0.into_iter().fold(problem, |problem, error| problem.with_error(error.pointer, error.detail)))
    }
}

fn is_text(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

fn is_code(text: &str) -> bool {
    (1..=CODE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

const CODE: &str = "must be 1 to 64 of letters, digits, _ - . :";

/// `latest_ms` is the furthest instant that counts as now.
pub(crate) trait Document {
    /// Name in the body's hash.
    const COMMAND: &'static str;

    /// The command, if nothing is wrong with the document.
    fn into_command(self, latest_ms: i64) -> Result<Body, Problem>;
}

impl Document for OpenAccount {
    const COMMAND: &'static str = "open_account";

    fn into_command(self, latest_ms: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        let has_name = !self.name.trim().is_empty() && is_text(&self.name, NAME_CHARS_MAX);
        check.that(has_name, "/name", "must be 1 to 200 printable characters");
        check.that(is_code(&self.plan), "/plan", CODE);
        check.that(super::currency::is_iso_4217(&self.currency), "/currency", "must be an ISO 4217 code, like USD");
        if let Err(error) = parse_zone(&self.time_zone) {
            check.that(false, "/time_zone", &error.to_string());
        }
        check.not_ahead(self.occurred_at, latest_ms, "/occurred_at");
        check.conclude(Body::OpenAccount(v1::OpenAccount {
            name: self.name,
            plan: self.plan,
            currency: self.currency,
            time_zone: self.time_zone,
            occurred_at_ms: self.occurred_at,
        }))
    }
}

impl Document for PostAdjustment {
    const COMMAND: &'static str = "post_adjustment";

    fn into_command(self, latest_ms: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        let note = self.note.unwrap_or_default();
        check.that(self.amount != Money::ZERO, "/amount", "must not be 0");
        check.that(is_code(&self.reason), "/reason", CODE);
        check.that(is_text(&note, NOTE_CHARS_MAX), "/note", "must be at most 500 printable characters");
        check.not_ahead(self.occurred_at, latest_ms, "/occurred_at");
        check.conclude(Body::PostAdjustment(v1::PostAdjustment {
            amount_micros: self.amount.micros(),
            reason: self.reason,
            note,
            occurred_at_ms: self.occurred_at,
        }))
    }
}

impl Document for ChangePlan {
    const COMMAND: &'static str = "change_plan";

    fn into_command(self, _: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        check.that(is_code(&self.plan), "/plan", CODE);
        check.in_range(self.effective_at, "/effective_at");
        check.conclude(Body::ChangePlan(v1::ChangePlan { plan: self.plan, effective_at_ms: self.effective_at }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollbooth_schemas::time::rfc3339;

    use super::*;

    /// Whether a document with that instant is refused.
    fn is_refused<D: Document + serde::de::DeserializeOwned>(
        mut document: serde_json::Value,
        member: &str,
        at: i64,
    ) -> bool {
        document[member] = json!(rfc3339(at));
        serde_json::from_value::<D>(document).unwrap().into_command(i64::MAX).is_err()
    }

    #[test]
    fn instants_of_other_centuries_are_refused() {
        let opening = json!({"name": "Luna", "plan": "pro", "currency": "USD", "time_zone": "Europe/Berlin"});
        let adjustment = json!({"amount": "1", "reason": "import"});
        for (at, is_wrong) in [(EARLIEST_MS - 1, true), (EARLIEST_MS, false), (LATEST_MS, false), (LATEST_MS + 1, true)]
        {
            assert_eq!(is_refused::<OpenAccount>(opening.clone(), "occurred_at", at), is_wrong, "{at}");
            assert_eq!(is_refused::<PostAdjustment>(adjustment.clone(), "occurred_at", at), is_wrong, "{at}");
            assert_eq!(is_refused::<ChangePlan>(json!({"plan": "pro"}), "effective_at", at), is_wrong, "{at}");
        }
    }
}
