//! What Stripe tells by itself: <https://docs.stripe.com/api/events/object>.

use serde::Deserialize;
use serde_json::Value;
use tollbooth_schemas::AccountId;

use super::api::account_of;
use super::objects::{Intent, OfIntent, SetupIntent};

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A purchase that nobody had posted yet.
    Posted,
    /// One that is posted already.
    Known,
    /// A payment method that is saved now.
    SetUp,
    /// Money that went back, and that the ledger did not know of.
    Returned,
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
    pub(crate) const ALL: [(Self, &'static str); 11] = [
        (Self::Posted, "posted"),
        (Self::Known, "known"),
        (Self::SetUp, "set_up"),
        (Self::Returned, "returned"),
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
    /// Something went back of the intent with this id, or came again: what, it is asked for.
    WentBack(String),
    Nothing,
}

/// Whether events of a kind are about money that goes back. Which of them come depends on what the endpoint at Stripe is set
/// to: each says only that something moved.
fn is_of_return(kind: &str) -> bool {
    kind.starts_with("refund.") || kind.starts_with("charge.dispute.") || kind.starts_with("charge.refund")
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
            kind if is_of_return(kind) => {
                let object: OfIntent = serde_json::from_value(data.object)?;
                // A charge without an intent is none of ours.
                object.payment_intent.map_or(About::Nothing, About::WentBack)
            }
            _ => About::Nothing,
        };
        Ok(Self { id, kind, created, livemode, about })
    }
}
