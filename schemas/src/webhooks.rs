//! Who is told outside: endpoints of an account in `registry`, and what is on its way to them in `deliveries`.

use serde::{Deserialize, Serialize};

use crate::ids::AccountId;

/// Begins the key of an endpoint's document in `registry`.
pub const REGISTRY_KEY_PREFIX: &str = "webhook:";
/// Most endpoints of an account.
pub const ENDPOINTS_MAX: usize = 10;
/// Most deliveries to one endpoint that wait; a further one is dead at once.
pub const WAITING_MAX: usize = 1_000;
/// Most dead deliveries of one endpoint; the oldest is forgotten for a further one.
pub const DEAD_MAX: usize = 1_000;
/// What an endpoint can be told of, beside `ping`.
pub const EVENT_TYPES: &[&str] = &[
    "alert.balance_below",
    "alert.below_top_up_percent",
    "alert.event_budget",
    "alert.recharge_failed",
    "alert.empty_soon",
    "alert.booth_spike",
    "recharge.failed",
    "purchase.succeeded",
];
/// Sent on request, to every endpoint.
pub const PING: &str = "ping";
/// Sent to a mail address that is new: whoever reads it tells the account its code.
pub const CONFIRM: &str = "confirm";

/// An endpoint: an address of the web, or `mailto:` and a mail address. Its secrets are not in it: they are derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDocument {
    /// `whk_...`
    pub webhook_id: String,
    /// Whose.
    pub account_id: AccountId,
    /// Where to.
    pub url: String,
    /// Of [`EVENT_TYPES`], or `alert.*`; empty: all.
    pub event_types: Vec<String>,
    /// Of its secret.
    pub generation: u32,
    /// Until when it is signed with the secret before as well.
    pub previous_until_ms: Option<i64>,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
    /// Whether somebody who reads a mail address said that they want it; those of before this was asked are.
    #[serde(default = "of_before")]
    pub confirmed: bool,
}

const fn of_before() -> bool {
    true
}

impl WebhookDocument {
    /// The key of its document.
    #[must_use]
    pub fn registry_key(&self) -> String {
        format!("{REGISTRY_KEY_PREFIX}{}", self.webhook_id)
    }

    /// Whether it is told of an event of that type.
    #[must_use]
    pub fn wants(&self, event_type: &str) -> bool {
        let is_meant = |wanted: &String| match wanted.strip_suffix('*') {
            Some(group) => event_type.starts_with(group),
            None => wanted == event_type,
        };
        [PING, CONFIRM].contains(&event_type) || self.event_types.is_empty() || self.event_types.iter().any(is_meant)
    }

    /// Whether it may be told of anything: nobody asks a mail address before it is named.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.confirmed || self.mail_address().is_none()
    }

    /// The mail address, where it is one.
    #[must_use]
    pub fn mail_address(&self) -> Option<&str> {
        self.url.strip_prefix("mailto:")
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be tried.
    Waiting,
    /// Given up; kept, to be looked at and replayed.
    Dead,
}

/// A message on its way to an endpoint. Delivered, its record is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// To which endpoint.
    pub webhook_id: String,
    /// Whose.
    pub account_id: AccountId,
    /// `msg_...`: the same for every endpoint and every try.
    pub message_id: String,
    /// Of [`EVENT_TYPES`], `ping` or `confirm`.
    pub event_type: String,
    /// What is sent, byte for byte.
    pub body: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Since when it is tried.
    pub since_ms: i64,
    /// Tries so far.
    pub attempts: u32,
    /// The next one is not before.
    pub next_at_ms: i64,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

impl Delivery {
    /// The key of its record.
    #[must_use]
    pub fn record_key(&self) -> String {
        format!("{}/{}", self.webhook_id, self.message_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_wants_what_it_names_by_type_or_by_group() {
        let with = |types: &[&str]| WebhookDocument {
            webhook_id: "whk_1".to_owned(),
            account_id: "acc_luna".parse().unwrap(),
            url: "mailto:ops@luna.example".to_owned(),
            event_types: types.iter().map(|name| (*name).to_owned()).collect(),
            generation: 1,
            previous_until_ms: None,
            created_at_ms: 0,
            confirmed: false,
        };
        for (types, wanted) in [
            (&[][..], [true, true, true]),
            (&["alert.*"], [true, true, false]),
            (&["alert.event_budget"], [false, true, false]),
            (&["purchase.succeeded", "alert.balance_below"], [true, false, true]),
        ] {
            let found =
                ["alert.balance_below", "alert.event_budget", "purchase.succeeded"].map(|of| with(types).wants(of));
            assert_eq!(found, wanted, "{types:?}");
            assert!(with(types).wants(PING));
        }
        // A mail address waits for its word; one of before does not, nor does an address of the web.
        let mut document = with(&[]);
        assert!(!document.is_told());
        let mut json = serde_json::to_value(&document).unwrap();
        json.as_object_mut().unwrap().remove("confirmed");
        assert!(serde_json::from_value::<WebhookDocument>(json).unwrap().is_told());
        document.url = "https://luna.example/".to_owned();
        assert!(document.is_told());
        assert_eq!(with(&[]).mail_address(), Some("ops@luna.example"));
        assert_eq!(with(&[]).registry_key(), "webhook:whk_1");
    }
}
