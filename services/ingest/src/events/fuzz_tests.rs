//! The three modes of `POST /v1/events`, given what no booth of ours would send.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rdkafka::message::Headers;
use tollbooth_chassis::auth::Principal;
use tollbooth_fuzz::fuzz;
use tollbooth_schemas::KeyId;
use tollbooth_schemas::keys::KeyKind;
use tollbooth_schemas::time::{DAY_MS, parse_rfc3339_ms};
use tollbooth_schemas::usage::{Attributes, UsageEvent, parse_binary};

use super::batch::split;
use super::binary::BinaryAttributes;
use super::verdict::{Judge, Limits, Refusal, id_of};
use crate::metrics::IngestMetrics;

const NOW: &str = "2026-11-21T20:15:03.120Z";
const ITEMS_MAX: usize = 8;
const WORDS: &[&str] =
    &["null", "{}", "[]", ",", "\\u0000", "\\ud800", "acc_other", "bth_18", "\"mode\":\"test\",", "1969-", "2099-"];

/// What a booth key of `bth_17` would have judged now.
fn with_judge(test: impl FnOnce(Judge<'_>)) {
    let key_id: KeyId = "key_1".parse().unwrap();
    let principal = Principal {
        line: key_id.clone(),
        key_id,
        kind: KeyKind::Booth,
        account_id: Some("acc_luna".parse().unwrap()),
        booth_id: Some("bth_17".parse().unwrap()),
        scopes: Vec::new(),
        is_test: false,
    };
    let metrics = IngestMetrics::register(&prometheus::Registry::new(), |topic| format!("{topic:?}")).unwrap();
    let now_ms = parse_rfc3339_ms(NOW).unwrap();
    let limits = Limits { now_ms, age_ms_max: 35 * DAY_MS, future_ms_max: 3_600_000 };
    test(Judge { principal: &principal, limits, metrics: &metrics });
}

/// Whatever is taken is the key's own, and of now.
fn assert_own(event: &UsageEvent<'_>, limits: Limits) {
    assert_eq!(&*event.account_id, "acc_luna");
    assert!(event.booth_id.as_deref().is_none_or(|booth| booth == "bth_17"), "{event:?}");
    let age_ms = limits.now_ms - event.occurred_at_ms;
    assert!((-limits.future_ms_max..=limits.age_ms_max).contains(&age_ms), "{event:?}");
}

fn assert_refused(refusal: &Refusal) {
    let status = refusal.problem().status();
    assert!(status.is_client_error(), "{status}: {refusal}");
}

#[test]
fn an_event_is_refused_with_a_reason_or_the_keys_own() {
    with_judge(|judge| {
        fuzz("event", Vec::new(), WORDS, |bytes| match judge.structured(bytes) {
            Ok(event) => {
                assert_own(&event, judge.limits);
                assert_eq!(id_of(bytes).as_deref(), Some(&*event.id));
            }
            Err(refusal) => assert_refused(&refusal),
        });
    });
}

#[test]
fn a_batch_is_its_items_and_each_is_judged_as_if_it_came_alone() {
    with_judge(|judge| {
        fuzz("batch", Vec::new(), WORDS, |bytes| {
            let Ok(items) = split(bytes, ITEMS_MAX) else { return };
            assert!(items.len() <= ITEMS_MAX);
            let texts: Vec<&str> = items.iter().map(|item| item.get()).collect();
            // The bytes that go to the broker stand in the body as they are.
            let body = bytes.as_ptr_range();
            assert!(texts.iter().all(|text| body.contains(&text.as_ptr())));
            // Put together again they are the same batch.
            let joined = format!("[{}]", texts.join(","));
            let again: Vec<String> =
                split(joined.as_bytes(), ITEMS_MAX).unwrap().iter().map(|item| item.get().to_owned()).collect();
            assert_eq!(again, texts);
            for text in texts {
                match judge.structured(text.as_bytes()) {
                    Ok(event) => assert_own(&event, judge.limits),
                    Err(refusal) => assert_refused(&refusal),
                }
            }
        });
    });
}

/// A request of the corpus: headers, an empty line, the body.
fn request(bytes: &[u8]) -> Option<(HeaderMap, &[u8])> {
    let at = bytes.windows(2).position(|two| two == b"\n\n")?;
    let mut headers = HeaderMap::new();
    for line in bytes[..at].split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':')?;
        // What the server's own parser refuses never comes here.
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
    }
    Some((headers, &bytes[at + 2..]))
}

#[test]
fn the_meter_reads_a_binary_event_as_it_was_judged() {
    let words = ["%", "%00", "%C3%A9", "\"", "\\", "ce-", "ce-id:", "\n", ": ", "acc_other"];
    with_judge(|judge| {
        fuzz("binary", Vec::new(), &words, |bytes| {
            let Some((headers, body)) = request(bytes) else { return };
            let Ok(attributes) = BinaryAttributes::read(&headers) else { return };
            let event = match judge.binary(attributes.borrow(), body) {
                Ok(event) => event,
                Err(refusal) => return assert_refused(&refusal),
            };
            assert_own(&event, judge.limits);
            // given the headers of the record as a reader of the topic finds them
            let written = attributes.kafka_headers();
            let mut read = Attributes::default();
            for header in written.iter() {
                let text = std::str::from_utf8(header.value.unwrap_or_default()).unwrap();
                if let Some(name) = header.key.strip_prefix("ce_") {
                    read.set(name, text.into());
                }
            }
            // then it is the same event
            assert_eq!(parse_binary(read, body), Ok(event));
        });
    });
}
