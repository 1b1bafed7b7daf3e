//! What ingest says about one usage event: bytes, who asks, the time and the limits go in, a verdict comes out.

use axum::http::StatusCode;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::json::Object;
use tollbooth_schemas::usage::{
    Attributes, EVENT_BYTES_MAX, Mode, UsageError, UsageEvent, parse_binary, parse_structured,
};

use crate::metrics::IngestMetrics;
use crate::produce::ProduceError;

/// Limits of an event, and the time they are judged at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) now_ms: i64,
    pub(crate) age_ms_max: i64,
    pub(crate) future_ms_max: i64,
}

/// Label of a refused event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Malformed,
    OutOfRange,
    TooOld,
    InFuture,
    ForeignSubject,
    ForeignBooth,
    WrongMode,
    TooLarge,
    RateLimited,
    Unavailable,
}

impl Reason {
    pub(crate) const ALL: [Self; 10] = [
        Self::Malformed,
        Self::OutOfRange,
        Self::TooOld,
        Self::InFuture,
        Self::ForeignSubject,
        Self::ForeignBooth,
        Self::WrongMode,
        Self::TooLarge,
        Self::RateLimited,
        Self::Unavailable,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::OutOfRange => "out_of_range",
            Self::TooOld => "too_old",
            Self::InFuture => "in_future",
            Self::ForeignSubject => "foreign_subject",
            Self::ForeignBooth => "foreign_booth",
            Self::WrongMode => "wrong_mode",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
        }
    }
}

impl From<&Problem> for Reason {
    /// Of a request that was refused before its events were read.
    fn from(problem: &Problem) -> Self {
        match problem.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            status if status.is_server_error() => Self::Unavailable,
            _ => Self::Malformed,
        }
    }
}

/// Why an event is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the event has {0} bytes, {EVENT_BYTES_MAX} are allowed")]
    TooLarge(usize),
    #[error("{0}")]
    Shape(#[from] UsageError),
    #[error("the key belongs to another account than {0:?}")]
    Foreign(String),
    #[error("the key belongs to another booth than {0:?}")]
    ForeignBooth(String),
    #[error("a live key reports no work in test mode: send it with a test key (tb_.._test_...)")]
    TestByLiveKey,
    #[error("a test key reports work in test mode alone: say \"mode\": \"test\", or send it with a live key")]
    LiveByTestKey,
    #[error("occurred more than {0} days ago")]
    TooOld(i64),
    #[error("lies more than {0} minutes ahead of the server's clock")]
    InFuture(i64),
    #[error("{0}")]
    Unavailable(#[from] ProduceError),
}

impl Refusal {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::TooLarge(_) => Reason::TooLarge,
            Self::Shape(error) if error.out_of_range => Reason::OutOfRange,
            Self::Shape(_) => Reason::Malformed,
            Self::Foreign(_) => Reason::ForeignSubject,
            Self::ForeignBooth(_) => Reason::ForeignBooth,
            Self::TestByLiveKey | Self::LiveByTestKey => Reason::WrongMode,
            Self::TooOld(_) => Reason::TooOld,
            Self::InFuture(_) => Reason::InFuture,
            Self::Unavailable(_) => Reason::Unavailable,
        }
    }

    /// The problem of this item.
    pub(crate) fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::TooLarge(_) => Problem::too_large(detail),
            Self::Shape(error) if error.out_of_range => {
                Problem::out_of_range(detail).with_error(error.pointer, error.detail.clone())
            }
            Self::Shape(error) => Problem::invalid(detail).with_error(error.pointer, error.detail.clone()),
            Self::Foreign(_) => {
                Problem::forbidden(detail).with_error("/subject", "must be the account that the key belongs to")
            }
            Self::ForeignBooth(_) => {
                Problem::forbidden(detail).with_error("/data/booth_id", "must be the booth that the key belongs to")
            }
            Self::TestByLiveKey => {
                Problem::forbidden(detail).with_error("/data/mode", "must be live, or absent, with a live key")
            }
            Self::LiveByTestKey => Problem::forbidden(detail).with_error("/data/mode", "must be test with a test key"),
            Self::TooOld(_) => time_problem("too_old", "The event is too old", detail),
            Self::InFuture(_) => time_problem("in_future", "The event lies in the future", detail),
            Self::Unavailable(error) => Problem::from(*error),
        }
    }
}

fn time_problem(code: &'static str, title: &'static str, detail: String) -> Problem {
    Problem::new(code, StatusCode::UNPROCESSABLE_ENTITY, title).with_error("/time", detail.clone()).with_detail(detail)
}

/// Who judges the events of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'r> {
    pub(crate) principal: &'r Principal,
    pub(crate) limits: Limits,
    pub(crate) metrics: &'r IngestMetrics,
}

impl Judge<'_> {
    /// Judges a structured-mode event.
    pub(crate) fn structured<'a>(&self, bytes: &'a [u8]) -> Result<UsageEvent<'a>, Refusal> {
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(Refusal::TooLarge(bytes.len()));
        }
        self.judge(parse_structured(bytes)?)
    }

    /// Judges a binary-mode event.
    pub(crate) fn binary<'a>(&self, attributes: Attributes<'a>, data: &'a [u8]) -> Result<UsageEvent<'a>, Refusal> {
        if data.len() > EVENT_BYTES_MAX {
            return Err(Refusal::TooLarge(data.len()));
        }
        self.judge(parse_binary(attributes, data)?)
    }

    fn judge<'a>(&self, event: UsageEvent<'a>) -> Result<UsageEvent<'a>, Refusal> {
        const MINUTE_MS: i64 = 60_000;
        let Self { principal, limits, metrics } = self;
        // Before any verdict: a clock that is wrong shows most in the events that are refused for it.
        metrics.occurred(event.occurred_at_ms, limits.now_ms);
        if !principal.may_access(&event.account_id) {
            return Err(Refusal::Foreign(event.account_id.to_string()));
        }
        // An event of no booth is taken: who has one key a booth need not name it.
        if let (Some(own), Some(reported)) = (&principal.booth_id, &event.booth_id)
            && own.as_str() != &**reported
        {
            return Err(Refusal::ForeignBooth(reported.to_string()));
        }
        // A book may take less for work in test mode, so that who reports it does not choose.
        match (principal.is_test, event.mode) {
            (false, Mode::Live) | (true, Mode::Test) => {}
            (false, Mode::Test) => return Err(Refusal::TestByLiveKey),
            (true, Mode::Live) => return Err(Refusal::LiveByTestKey),
        }
        let age_ms = limits.now_ms.saturating_sub(event.occurred_at_ms);
        if age_ms > limits.age_ms_max {
            return Err(Refusal::TooOld(limits.age_ms_max / tollbooth_schemas::time::DAY_MS));
        }
        if age_ms < -limits.future_ms_max {
            return Err(Refusal::InFuture(limits.future_ms_max / MINUTE_MS));
        }
        Ok(event)
    }
}

/// The id of an event that was refused, as far as it can be read.
pub(crate) fn id_of(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct OnlyId {
        id: serde_json::Value,
    }
    let Object(OnlyId { id }) = serde_json::from_slice(bytes).ok()?;
    match id {
        serde_json::Value::String(id) if id.len() <= tollbooth_schemas::usage::ATTRIBUTE_CHARS_MAX => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tollbooth_schemas::KeyId;
    use tollbooth_schemas::keys::KeyKind;
    use tollbooth_schemas::time::{DAY_MS, parse_rfc3339_ms};

    use super::*;

    const TIME: &str = "2026-11-21T20:15:03.120Z";

    fn event() -> Value {
        json!({"specversion": "1.0", "id": "b17-1", "source": "/booths/bth_17", "type": "tollbooth.usage.v1",
               "subject": "acc_luna", "time": TIME,
               "data": {"operation_id": "op_1", "service": "ai_modify", "engine": "x", "unit": "image",
                        "quantity": "1", "status": "success"}})
    }

    fn key(kind: KeyKind) -> Principal {
        let account_id = (kind != KeyKind::Admin).then(|| "acc_luna".parse().unwrap());
        let key_id: KeyId = "key_1".parse().unwrap();
        let line = key_id.clone();
        Principal { key_id, kind, account_id, booth_id: None, scopes: Vec::new(), is_test: false, line }
    }

    fn judge_at(event: &Value, principal: &Principal, after_ms: i64) -> Result<(), Reason> {
        let now_ms = parse_rfc3339_ms(TIME).unwrap() + after_ms;
        let limits = Limits { now_ms, age_ms_max: 35 * DAY_MS, future_ms_max: 3_600_000 };
        let metrics = IngestMetrics::register(&prometheus::Registry::new(), |topic| format!("{topic:?}")).unwrap();
        let judge = Judge { principal, limits, metrics: &metrics };
        judge.structured(event.to_string().as_bytes()).map(|_| ()).map_err(|refusal| refusal.reason())
    }

    #[test]
    fn age_and_future_are_judged_at_their_edges() {
        let booth = key(KeyKind::Booth);
        let cases = [
            (35 * DAY_MS, Ok(())),
            (35 * DAY_MS + 1, Err(Reason::TooOld)),
            (-3_600_000, Ok(())),
            (-3_600_001, Err(Reason::InFuture)),
        ];
        for (after_ms, verdict) in cases {
            assert_eq!(judge_at(&event(), &booth, after_ms), verdict, "{after_ms}");
        }
    }

    #[test]
    fn a_booth_writes_its_own_account_and_an_admin_any() {
        let mut foreign = event();
        foreign["subject"] = json!("acc_other");
        assert_eq!(judge_at(&foreign, &key(KeyKind::Booth), 0), Err(Reason::ForeignSubject));
        assert_eq!(judge_at(&foreign, &key(KeyKind::Admin), 0), Ok(()));
    }

    #[test]
    fn a_key_of_a_booth_reports_that_booth_alone() {
        let bound = Principal { booth_id: Some("bth_17".parse().unwrap()), ..key(KeyKind::Booth) };
        let of_booth = |booth: Value| {
            let mut event = event();
            event["data"]["booth_id"] = booth;
            event
        };
        assert_eq!(judge_at(&of_booth(json!("bth_17")), &bound, 0), Ok(()));
        assert_eq!(judge_at(&of_booth(json!("bth_18")), &bound, 0), Err(Reason::ForeignBooth));
        assert_eq!(judge_at(&event(), &bound, 0), Ok(()));
        assert_eq!(judge_at(&of_booth(json!("bth_18")), &key(KeyKind::Booth), 0), Ok(()));
        let problem = Refusal::ForeignBooth("bth_18".to_owned()).problem();
        assert_eq!(problem.status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_test_key_reports_in_test_mode_and_a_live_key_does_not() {
        let of_mode = |mode: Option<&str>| {
            let mut event = event();
            if let Some(mode) = mode {
                event["data"]["mode"] = json!(mode);
            }
            event
        };
        for kind in [KeyKind::Booth, KeyKind::Admin] {
            let (live, test) = (key(kind), Principal { is_test: true, ..key(kind) });
            for (principal, mode, verdict) in [
                (&live, Some("live"), Ok(())),
                (&live, None, Ok(())),
                (&live, Some("test"), Err(Reason::WrongMode)),
                (&test, Some("test"), Ok(())),
                (&test, Some("live"), Err(Reason::WrongMode)),
                (&test, None, Err(Reason::WrongMode)),
            ] {
                assert_eq!(judge_at(&of_mode(mode), principal, 0), verdict, "{kind:?} {mode:?}");
            }
        }
        for refusal in [Refusal::TestByLiveKey, Refusal::LiveByTestKey] {
            assert_eq!(refusal.problem().status(), StatusCode::FORBIDDEN);
        }
    }

    #[test]
    fn quantities_are_judged_by_shape_and_range() {
        let cases = [
            (json!("-1"), Err(Reason::Malformed)),
            (json!("0"), Err(Reason::Malformed)),
            (json!("1e3"), Err(Reason::Malformed)),
            (json!(1.5), Err(Reason::Malformed)),
            (json!("99999999999999999999"), Err(Reason::OutOfRange)),
            (json!("2.5"), Ok(())),
        ];
        for (quantity, verdict) in cases {
            let mut event = event();
            event["data"]["quantity"] = quantity.clone();
            assert_eq!(judge_at(&event, &key(KeyKind::Booth), 0), verdict, "{quantity}");
        }
    }

    #[test]
    fn the_id_of_a_refused_event_is_named_where_it_can_be_read() {
        assert_eq!(id_of(event().to_string().as_bytes()).as_deref(), Some("b17-1"));
        assert_eq!(id_of(b"{\"id\": 7}"), None);
        assert_eq!(id_of(b"[]"), None);
        assert_eq!(id_of(b"[\"b17-1\"]"), None);
    }
}
