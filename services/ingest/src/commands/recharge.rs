//! The rule by which credit is bought by itself: a whole document, the newest one counts.

use std::sync::Arc;
use std::time::Duration;

use axum::body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::Money;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::v1::{self, command::Body, set_recharge::Size};

use super::check::Check;
use super::purchases::{CENT_MICROS, no_provider};
use super::{Asker, account_of_path, answer, receive};
use crate::app::{App, parse_json};
use crate::config::PurchasesSection;

/// The daily cap of a rule that names none: so many times what it buys at once. Whoever holds a booth's key can use credit
/// up, and must not be able to charge a card without end.
const DAILY_CAP_TIMES: i64 = 10;

/// `PUT /v1/accounts/{account_id}/recharge`; amounts are of the account's currency.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRecharge {
    enabled: bool,
    #[serde(default)]
    threshold: Option<Money>,
    /// Bought each time.
    #[serde(default)]
    amount: Option<Money>,
    /// Instead of `amount`: as much as brings what is available up to this.
    #[serde(default)]
    target: Option<Money>,
    /// Else [`DAILY_CAP_TIMES`] what is bought at once.
    #[serde(default)]
    daily_cap: Option<Money>,
    #[serde(default)]
    monthly_cap: Option<Money>,
}

impl SetRecharge {
    fn into_command(self, bounds: &PurchasesSection) -> Result<Body, Problem> {
        let mut check = Check::default();
        let members = [
            (self.threshold, "/threshold"),
            (self.amount, "/amount"),
            (self.target, "/target"),
            (self.daily_cap, "/daily_cap"),
            (self.monthly_cap, "/monthly_cap"),
        ];
        for (amount, pointer) in members {
            let Some(amount) = amount else { continue };
            check.not_negative(amount, pointer);
            check.that(amount.micros() % CENT_MICROS == 0, pointer, "must be whole hundredths");
        }
        check.that(self.amount.is_none() || self.target.is_none(), "/target", "must not stand beside amount");
        if self.enabled {
            self.check_rule(bounds, &mut check);
        }
        let size = match (self.amount, self.target) {
            (Some(amount), _) => Some(Size::AmountMicros(amount.micros())),
            (None, Some(target)) => Some(Size::TargetMicros(target.micros())),
            (None, None) => None,
        };
        let daily_cap = self.daily_cap.or_else(|| self.enabled.then(|| self.daily_cap_default()));
        // Only whole hundredths are bought.
        let most = bounds.amount_max.micros() / CENT_MICROS * CENT_MICROS;
        check.conclude(Body::SetRecharge(v1::SetRecharge {
            enabled: self.enabled,
            threshold_micros: self.threshold.unwrap_or_default().micros(),
            size,
            daily_cap_micros: daily_cap.map(Money::micros),
            monthly_cap_micros: self.monthly_cap.map(Money::micros),
            amount_max_micros: self.enabled.then_some(most),
        }))
    }

    fn daily_cap_default(&self) -> Money {
        let between = self.target.and_then(|target| target.checked_sub(self.threshold.unwrap_or_default()));
        let bought = self.amount.or(between).unwrap_or_default();
        Money::from_micros(bought.micros().saturating_mul(DAILY_CAP_TIMES)).unwrap_or(Money::MAX)
    }

    /// What is bought by itself is a purchase like one by hand.
    fn check_rule(&self, bounds: &PurchasesSection, check: &mut Check) {
        let PurchasesSection { amount_min, amount_max, .. } = bounds;
        check.that(self.threshold.is_some(), "/threshold", "must be given");
        match (self.amount, self.target) {
            (Some(amount), _) => {
                let within = (*amount_min..=*amount_max).contains(&amount);
                check.that(within, "/amount", &format!("must be {amount_min} to {amount_max}"));
            }
            (None, Some(target)) => {
                let bought = target.checked_sub(self.threshold.unwrap_or_default());
                let within = bought.is_some_and(|bought| (*amount_min..=*amount_max).contains(&bought));
                let detail = format!("must lie {amount_min} to {amount_max} above the threshold");
                check.that(within, "/target", &detail);
            }
            (None, None) => check.that(false, "/amount", "must be given, or target"),
        }
        for (cap, pointer) in [(self.daily_cap, "/daily_cap"), (self.monthly_cap, "/monthly_cap")] {
            let holds = cap.is_none_or(|cap| cap >= *amount_min);
            check.that(holds, pointer, &format!("must be at least {amount_min}: nothing could be bought"));
        }
    }
}

/// `PUT /v1/accounts/{account_id}/recharge`
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, Asker::AccountOf(&account, Scope::Settings), Duration::ZERO, request).await?;
    let account_id = account_of_path(&account)?;
    let document: SetRecharge = parse_json(&call.headers, &call.body)?;
    if document.enabled && app.payments.is_none() {
        return Err(no_provider());
    }
    let command = document.into_command(&app.config.purchases)?;
    let reply = call.carry_out(&app, &account_id, "set_recharge", command).await?;
    answer::answer(&account_id, reply, StatusCode::OK)
}
