//! `[purchases.stripe]`: the account at Stripe that takes the money.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::config::Secret;
use url::Url;

use super::{Provider, PurchasesSection, SettingError};

const KEY_PREFIXES: [&str; 4] = ["sk_test_", "sk_live_", "rk_test_", "rk_live_"];
const WEBHOOK_PREFIX: &str = "whsec_";
const WEBHOOK_SECRETS_MAX: usize = 5;
/// Beyond this a webhook could be sent again long after somebody saw it.
const TOLERANCE_MS_MAX: u64 = 3_600_000;

/// `[purchases.stripe]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StripeSection {
    /// The API key, `sk_...` or better a restricted one, `rk_...`. Default none.
    pub secret_key: Secret,
    /// Signing secrets of the webhook endpoint at Stripe, `whsec_...`; in a variable separated by commas. More than one
    /// while they are changed. Default none.
    pub webhook_secrets: Vec<Secret>,
    /// Where Stripe sends a payer back to after a bank's confirmation, and after a card was saved: the dashboard's
    /// address. Default none.
    pub return_url: String,
    /// How far a webhook's signature may lie from our clock. Default 300,000 (5 minutes).
    pub webhook_tolerance_ms: u64,
    /// How often Stripe is asked for payments that nobody told of. Default 600,000 (10 minutes).
    pub reconcile_every_ms: u64,
    /// How old a payment must be before it is looked at so: until then its own request or webhook may be on its way.
    /// Default 600,000.
    pub reconcile_after_ms: u64,
    /// Where Stripe's API is. For tests another address of this machine. Default `https://api.stripe.com`.
    pub api_url: String,
}

impl Default for StripeSection {
    fn default() -> Self {
        Self {
            secret_key: Secret::default(),
            webhook_secrets: Vec::new(),
            return_url: String::new(),
            webhook_tolerance_ms: 300_000,
            reconcile_every_ms: 600_000,
            reconcile_after_ms: 600_000,
            api_url: "https://api.stripe.com".to_owned(),
        }
    }
}

impl StripeSection {
    /// Whether real money moves.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.secret_key.expose().get(3..).is_some_and(|rest| rest.starts_with("live_"))
    }

    /// Half a configuration would take money and not hear of it, or the other way round.
    pub(super) fn check(purchases: &PurchasesSection) -> Result<(), SettingError> {
        let fail = |key, reason: &str| Err(SettingError { key, reason: reason.to_owned() });
        let section = &purchases.stripe;
        if purchases.provider != Provider::Stripe {
            let is_given = !section.secret_key.is_empty() || !section.webhook_secrets.is_empty();
            let reason = "must be stripe, for purchases.stripe has secrets; or take these away";
            return if is_given { fail("purchases.provider", reason) } else { Ok(()) };
        }
        if section.secret_key.is_empty() {
            return fail("purchases.stripe.secret_key", "must be set for purchases.provider = stripe");
        }
        if !KEY_PREFIXES.iter().any(|prefix| section.secret_key.expose().starts_with(prefix)) {
            return fail("purchases.stripe.secret_key", "must begin with sk_test_, sk_live_, rk_test_ or rk_live_");
        }
        if section.webhook_secrets.is_empty() || section.webhook_secrets.len() > WEBHOOK_SECRETS_MAX {
            let reason = "must hold 1 to 5 signing secrets of the webhook endpoint: without one nobody tells of a payment \
                          whose payer left";
            return fail("purchases.stripe.webhook_secrets", reason);
        }
        let is_secret = |secret: &Secret| secret.expose().len() > 16 && secret.expose().starts_with(WEBHOOK_PREFIX);
        if !section.webhook_secrets.iter().all(is_secret) {
            return fail(
                "purchases.stripe.webhook_secrets",
                "each must be a signing secret: whsec_ and more, over 16 characters",
            );
        }
        if !is_address(&section.return_url, !section.is_live()) {
            let reason =
                "must be the dashboard's address, https://...; with a key of test mode also http:// of this machine";
            return fail("purchases.stripe.return_url", reason);
        }
        if !is_address(&section.api_url, !section.is_live()) {
            return fail(
                "purchases.stripe.api_url",
                "must be https://api.stripe.com, or for tests an address of this machine",
            );
        }
        if !(1..=TOLERANCE_MS_MAX).contains(&section.webhook_tolerance_ms) {
            return fail("purchases.stripe.webhook_tolerance_ms", "must be 1 to 3,600,000");
        }
        if section.reconcile_every_ms == 0 {
            return fail("purchases.stripe.reconcile_every_ms", "must be above 0, or Stripe is asked without a pause");
        }
        Ok(())
    }
}

fn is_address(text: &str, allows_local: bool) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (allows_local && url.scheme() == "http" && is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> PurchasesSection {
        PurchasesSection {
            provider: Provider::Stripe,
            stripe: StripeSection {
                secret_key: Secret::new("sk_test_abcdefgh"),
                webhook_secrets: vec![Secret::new("whsec_abcdefghijklmnop")],
                return_url: "https://dashboard.example/".to_owned(),
                ..StripeSection::default()
            },
            ..PurchasesSection::default()
        }
    }

    #[test]
    fn half_a_configuration_is_refused_by_the_key_that_is_missing() {
        assert_eq!(StripeSection::check(&whole()), Ok(()));
        type Change = fn(&mut PurchasesSection);
        let cases: [(Change, &str); 11] = [
            (|section| section.provider = Provider::None, "purchases.provider"),
            (|section| section.provider = Provider::Sandbox, "purchases.provider"),
            (|section| section.stripe.secret_key = Secret::default(), "purchases.stripe.secret_key"),
            (|section| section.stripe.secret_key = Secret::new("pk_test_abcdefgh"), "purchases.stripe.secret_key"),
            (|section| section.stripe.webhook_secrets = Vec::new(), "purchases.stripe.webhook_secrets"),
            (|section| section.stripe.webhook_secrets.push(Secret::new("")), "purchases.stripe.webhook_secrets"),
            (|section| section.stripe.return_url = String::new(), "purchases.stripe.return_url"),
            (
                |section| {
                    section.stripe.secret_key = Secret::new("sk_live_abcdefgh");
                    section.stripe.return_url = "http://localhost:8090/".to_owned();
                },
                "purchases.stripe.return_url",
            ),
            (|section| section.stripe.api_url = "http://api.stripe.com".to_owned(), "purchases.stripe.api_url"),
            (|section| section.stripe.webhook_tolerance_ms = 0, "purchases.stripe.webhook_tolerance_ms"),
            (|section| section.stripe.reconcile_every_ms = 0, "purchases.stripe.reconcile_every_ms"),
        ];
        for (change, key) in cases {
            let mut section = whole();
            change(&mut section);
            assert_eq!(StripeSection::check(&section).map_err(|error| error.key), Err(key));
        }
    }

    #[test]
    fn secrets_are_shown_by_nothing() {
        let shown = format!("{:?} {}", whole(), serde_json::to_string(&whole()).unwrap());
        assert!(!shown.contains("abcdefgh"), "{shown}");
        assert!(!whole().stripe.is_live());
    }
}
