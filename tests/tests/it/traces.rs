//! A trace follows an event from HTTP through Kafka to what became of it.

use reqwest::Method;
use serde_json::json;
use tollbooth_tests::{SeenSpan, Stack, usage};

use crate::stage::{PATIENCE, dead_letter, shared, write};

/// The trace, once so many spans of it are there.
fn trace(stack: &Stack, trace_id: &str, spans: usize) -> anyhow::Result<Vec<SeenSpan>> {
    stack.wait(&format!("{spans} spans of {trace_id}"), PATIENCE, || {
        let seen = stack.collector.trace(trace_id);
        (seen.len() >= spans).then_some(seen)
    })
}

#[test]
fn an_event_is_followed_from_the_request_to_its_entry() -> anyhow::Result<()> {
    // given an account, and an event whose sender has a trace
    let stack = shared();
    let account = "acc_traced";
    stack.api.open_account(account, Some("10.00"))?;
    let (trace_id, parent_id) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let event = usage::event(account, "op_traced");
    let url = format!("{}/v1/events", stack.api.ingest_url());
    let traceparent = format!("00-{trace_id}-{parent_id}-01");
    let headers = [("content-type", "application/cloudevents+json"), ("traceparent", traceparent.as_str())];

    // when it is sent
    let answer = stack.api.request(Method::POST, &url, None, &headers, Some(event.to_string().into_bytes()))?;
    assert_eq!(answer.status, 202, "{answer:?}");

    // then the request's span hangs on the sender's, and the meter's on the request's
    let spans = trace(&stack, trace_id, 2)?;
    let of = |service: &str| spans.iter().find(|span| span.service == service).cloned();
    let (Some(request), Some(decided)) = (of("tollbooth-ingest"), of("tollbooth-meter")) else {
        anyhow::bail!("{spans:?}")
    };
    assert_eq!(
        (request.parent_id.as_str(), request.attributes["http.response.status_code"].as_str()),
        (parent_id, "202")
    );
    assert_eq!((&decided.parent_id, decided.failure.as_str()), (&request.span_id, ""));
    // and the meter's names the entry that the API shows
    let find = || stack.api.transactions(account).ok()?.into_iter().find(|entry| entry["operation_id"] == "op_traced");
    let entry = stack.wait("the entry", PATIENCE, find)?;
    assert_eq!(decided.attributes["tollbooth.entry_id"], entry["entry_id"].as_str().unwrap_or_default());
    assert_eq!(decided.attributes["tollbooth.outcome"], "charged");
    Ok(())
}

#[test]
fn a_dead_letter_keeps_its_trace_and_the_span_says_why() -> anyhow::Result<()> {
    // given an event without a price, written by a backend that sets the header itself
    let stack = shared();
    let account = "acc_traced_dead";
    stack.api.open_account(account, None)?;
    let trace_id = "1bf7651916cd43dd8448eb211c80319d";
    let traceparent = format!("00-{trace_id}-b7ad6b7169203332-01");
    let event = usage::with_data(usage::event(account, "op_dead"), &json!({ "engine": "prototype" }));
    let mut record = usage::structured(&event);
    record.0.push(("traceparent".to_owned(), traceparent.clone()));

    // when it is decided
    let place = write(&stack, &stack.log.producer()?, account, record)?;

    // then the span failed with the reason, and the letter has the header
    let spans = trace(&stack, trace_id, 1)?;
    assert_eq!(
        (spans[0].failure.as_str(), spans[0].attributes["tollbooth.outcome"].as_str()),
        ("no_price", "no_price")
    );
    assert_eq!(dead_letter(&stack, &place)?.traceparent, Some(traceparent));
    Ok(())
}

#[test]
fn who_sends_no_trace_leaves_none() -> anyhow::Result<()> {
    // given a stack that begins no traces of its own
    let stack = shared();
    let account = "acc_untraced";
    stack.api.open_account(account, Some("10.00"))?;
    // when an event comes without a trace, and one whose sender does not sample it
    let trace_id = "2cf7651916cd43dd8448eb211c80319e";
    let traceparent = format!("00-{trace_id}-b7ad6b7169203333-00");
    let url = format!("{}/v1/events", stack.api.ingest_url());
    let headers = [("content-type", "application/cloudevents+json"), ("traceparent", traceparent.as_str())];
    for operation in ["op_untraced_1", "op_untraced_2"] {
        let body = usage::event(account, operation).to_string().into_bytes();
        stack.api.request(Method::POST, &url, None, &headers, Some(body))?;
    }
    // and they are charged
    stack.wait("both charges", PATIENCE, || (stack.api.balance(account)? == "9.52").then_some(()))?;
    // then nothing was sent of it, though a later one that is sampled has arrived
    let later = "3df7651916cd43dd8448eb211c80319f";
    let traceparent = format!("00-{later}-b7ad6b7169203334-01");
    let headers = [("content-type", "application/cloudevents+json"), ("traceparent", traceparent.as_str())];
    let body = usage::event(account, "op_untraced_3").to_string().into_bytes();
    stack.api.request(Method::POST, &url, None, &headers, Some(body))?;
    trace(&stack, later, 2)?;
    assert!(stack.collector.trace(trace_id).is_empty());
    Ok(())
}
