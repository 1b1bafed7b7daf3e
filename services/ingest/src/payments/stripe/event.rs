//! What Stripe tells by itself: <https://docs.stripe.com/api/events/object>.

use serde::Deserialize;
use serde_json::Value;
use tollbooth_schemas::AccountId;

use super::api::account_of;
use super::objects::{Intent, SetupIntent};

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A purchase that nobody had posted yet.
    Posted,
    /// One that is posted already.
    Known,
    /// A payment method that is saved now.
    SetUp,
    /// Nothing that we do something about.
    Ignored,
    BadSignature,
    OtherTime,
    Malformed,
    /// Of test mode where real money moves, or the other way round.
    WrongMode,
    /// Money is taken, and the ledger does not take the purchase, or it is not as it was ordered.
    Refused,
    /// Not answered in time; Stripe comes again.
    Late,
}

impl Heard {
    pub(crate) const ALL: [(Self, &'static str); 10] = [
        (Self::Posted, "posted"),
        (Self::Known, "known"),
        (Self::SetUp, "set_up"),
        (Self::Ignored, "ignored"),
        (Self::BadSignature, "bad_signature"),
        (Self::OtherTime, "other_time"),
        (Self::Malformed, "malformed"),
        (Self::WrongMode, "wrong_mode"),
        (Self::Refused, "refused"),
        (Self::Late, "late"),
    ];
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    livemode: bool,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// What an event is about.
#[derive(Debug)]
pub(crate) enum About {
    Paid(Box<Intent>),
    SetUp(AccountId, SetupIntent),
    Nothing,
}

/// An event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// Seconds since the epoch.
    pub(crate) created: i64,
    pub(crate) livemode: bool,
    pub(crate) about: About,
}

impl Event {
    /// Reads one whose signature was checked.
    pub(crate) fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let Envelope { id, kind, created, livemode, data } = serde_json::from_slice(body)?;
        let about = match kind.as_str() {
            "payment_intent.succeeded" => About::Paid(serde_json::from_value(data.object)?),
            "setup_intent.succeeded" => {
                let set_up: SetupIntent = serde_json::from_value(data.object)?;
                account_of(&set_up.metadata).map_or(About::Nothing, |account_id| About::SetUp(account_id, set_up))
            }
            _ => About::Nothing,
        };
        Ok(Self { id, kind, created, livemode, about })
    }
}
