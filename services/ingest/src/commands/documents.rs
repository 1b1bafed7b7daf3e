//! The bodies of commands, and what must be right about them before anything is sent.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::time::serde_rfc3339_option;
use tollbooth_schemas::v1::{self, command::Body};
use tollbooth_schemas::{AccountId, Money};

use super::check::Check;

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

/// `POST /v1/accounts/{account_id}/bonuses`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantBonus {
    amount: Money,
    #[serde(default, with = "serde_rfc3339_option")]
    expires_at: Option<i64>,
    reason: String,
    #[serde(default)]
    note: Option<String>,
}

/// `PUT /v1/accounts/{account_id}/credit-limit`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetCreditLimit {
    credit_limit: Money,
}

/// `POST /v1/accounts/{account_id}/plan-fees`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostPlanFee {
    period: String,
}

/// The body of a command about an account as a whole.
pub(crate) trait Document: DeserializeOwned {
    /// Name in the body's hash, and in the audit trail.
    const COMMAND: &'static str;
    /// What a narrowed admin key needs for it.
    const SCOPE: Scope;

    /// The command, if nothing is wrong with the document. `latest_ms` is the furthest instant that counts as now.
    fn into_command(self, latest_ms: i64) -> Result<Body, Problem>;
}

impl Document for OpenAccount {
    const COMMAND: &'static str = "open_account";
    const SCOPE: Scope = Scope::Accounts;

    fn into_command(self, latest_ms: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        check.name(&self.name);
        check.code(&self.plan, "/plan");
        check.that(super::currency::is_iso_4217(&self.currency), "/currency", "must be an ISO 4217 code, like USD");
        check.zone(&self.time_zone);
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
    const SCOPE: Scope = Scope::Money;

    fn into_command(self, latest_ms: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        let note = self.note.unwrap_or_default();
        check.that(self.amount != Money::ZERO, "/amount", "must not be 0");
        check.code(&self.reason, "/reason");
        check.note(&note);
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
    const SCOPE: Scope = Scope::Accounts;

    fn into_command(self, _: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        check.code(&self.plan, "/plan");
        check.in_range(self.effective_at, "/effective_at");
        check.conclude(Body::ChangePlan(v1::ChangePlan { plan: self.plan, effective_at_ms: self.effective_at }))
    }
}

impl Document for GrantBonus {
    const COMMAND: &'static str = "grant_bonus";
    const SCOPE: Scope = Scope::Money;

    fn into_command(self, _: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        let note = self.note.unwrap_or_default();
        check.positive(self.amount, "/amount");
        check.in_range(self.expires_at, "/expires_at");
        check.code(&self.reason, "/reason");
        check.note(&note);
        check.conclude(Body::GrantBonus(v1::GrantBonus {
            amount_micros: self.amount.micros(),
            expires_at_ms: self.expires_at,
            reason: self.reason,
            note,
        }))
    }
}

impl Document for SetCreditLimit {
    const COMMAND: &'static str = "set_credit_limit";
    const SCOPE: Scope = Scope::Money;

    fn into_command(self, _: i64) -> Result<Body, Problem> {
        let mut check = Check::default();
        check.not_negative(self.credit_limit, "/credit_limit");
        check.conclude(Body::SetCreditLimit(v1::SetCreditLimit { credit_limit_micros: self.credit_limit.micros() }))
    }
}

impl Document for PostPlanFee {
    const COMMAND: &'static str = "post_plan_fee";
    const SCOPE: Scope = Scope::Money;

    fn into_command(self, _: i64) -> Result<Body, Problem> {
        // What a month is, the ledger says.
        Ok(Body::PostPlanFee(v1::PostPlanFee { period: self.period }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollbooth_schemas::time::rfc3339;

    use super::super::check::{EARLIEST_MS, LATEST_MS};
    use super::*;

    /// Whether a document with that instant is refused.
    fn is_refused<D: Document>(mut document: serde_json::Value, member: &str, at: i64) -> bool {
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
            let bonus = json!({"amount": "1", "reason": "welcome"});
            assert_eq!(is_refused::<GrantBonus>(bonus, "expires_at", at), is_wrong, "{at}");
            assert_eq!(is_refused::<ChangePlan>(json!({"plan": "pro"}), "effective_at", at), is_wrong, "{at}");
        }
    }
}
