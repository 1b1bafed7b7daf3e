//! Spans against a collector that writes down what it is sent.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::*;
use crate::config::Secret;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const DEADLINE: Duration = Duration::from_secs(20);

type Spans = Arc<Mutex<Vec<Span>>>;

async fn collector(status: StatusCode) -> (String, Spans) {
    let spans = Spans::default();
    let taken = Arc::clone(&spans);
    let take = move |headers: HeaderMap, body: Bytes| {
        let taken = Arc::clone(&taken);
        async move {
            assert_eq!(headers["authorization"], "Bearer t");
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let sent = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            taken.lock().extend(sent.flat_map(|scope| scope.spans));
            status
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}/v1/traces"), spans)
}

fn section(endpoint: &str) -> TracesSection {
    let authorization = Secret::new("Bearer t");
    TracesSection { endpoint: endpoint.to_owned(), authorization, sample_one_in: 1, ..TracesSection::default() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counted(registry: &Registry, result: &str) -> u64 {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let name = format!("tollbooth_trace_spans_total{{result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_a_request_through_a_records_header_to_what_becomes_of_it() {
    // given a collector, and a request that came with a trace
    let (endpoint, spans) = collector(StatusCode::OK).await;
    let registry = Registry::new();
    let traces = Traces::start(&section(&endpoint), "test", &registry).unwrap();
    let request = traces.begin("POST", Some(PARENT.as_bytes()), Vec::new).unwrap();
    // when it sends a record, and somebody decides it
    let headers = request.cover(async { carry(None) }).await.unwrap();
    let header = headers.iter().find(|header| header.key == TRACEPARENT).unwrap();
    let (began, ended) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let attributes = vec![KeyValue::new("tollbooth.entry_id", "txn_1")];
    traces.note(Passed {
        name: "post",
        parent: header.value.unwrap(),
        began,
        ended,
        attributes,
        failure: Some("no_price".to_owned()),
    });
    request.end(202);
    traces.end().await;
    // then both spans are of that trace, one the other's parent
    let spans = spans.lock();
    let found = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (post, posted) = (found("POST"), found("post"));
    assert_eq!((hex(&post.trace_id), hex(&post.parent_span_id)), (PARENT[3..35].to_owned(), PARENT[36..52].to_owned()));
    assert_eq!((&posted.trace_id, &posted.parent_span_id), (&post.trace_id, &post.span_id));
    assert_eq!((posted.start_time_unix_nano, posted.end_time_unix_nano), (0, 1_000_000_000));
    assert_eq!(posted.status.as_ref().unwrap().message, "no_price");
    assert_eq!((counted(&registry, "sent"), counted(&registry, "dropped")), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_neither_sent_nor_carried() {
    let (endpoint, spans) = collector(StatusCode::OK).await;
    let none = TracesSection { sample_one_in: 0, ..section(&endpoint) };
    let traces = Traces::start(&none, "test", &Registry::new()).unwrap();
    let unsampled = PARENT.replace("-01", "-00");
    for parent in [None, Some(unsampled.as_str()), Some("00-nonsense-01"), Some("")] {
        assert!(traces.begin("GET", parent.map(str::as_bytes), Vec::new).is_none(), "{parent:?}");
        let (began, ended) = (SystemTime::now(), SystemTime::now());
        let parent = parent.unwrap_or_default().as_bytes();
        traces.note(Passed { name: "post", parent, began, ended, attributes: Vec::new(), failure: None });
    }
    assert!(carry(None).is_none());
    traces.end().await;
    assert!(spans.lock().is_empty());
    // Off, nothing is made whatever is asked.
    let off = Traces::start(&TracesSection::default(), "test", &Registry::new()).unwrap();
    assert!(!off.are_on() && off.begin("GET", Some(PARENT.as_bytes()), Vec::new).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_no_collector_takes_are_dropped_and_counted_and_hold_nothing_up() {
    // given a collector that is broken, and room for three spans
    let (endpoint, _) = collector(StatusCode::INTERNAL_SERVER_ERROR).await;
    let registry = Registry::new();
    let few = TracesSection { queue_spans_max: 3, timeout_ms: 500, ..section(&endpoint) };
    let traces = Traces::start(&few, "test", &registry).unwrap();
    // when more are made than there is room for
    let requests: Vec<_> = (0..5).map(|_| traces.begin("GET", None, Vec::new)).collect();
    assert_eq!(requests.iter().flatten().count(), 3);
    requests.into_iter().flatten().for_each(|request| request.end(200));
    // then the rest is counted, and there is room again once the others were given up
    assert_eq!(counted(&registry, "dropped"), 2);
    let end = Instant::now() + DEADLINE;
    while counted(&registry, "failed") < 3 {
        assert!(Instant::now() < end);
        tokio::task::yield_now().await;
    }
    assert!(traces.begin("GET", None, Vec::new).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_many_traces_is_given_so_many_a_second() {
    let (endpoint, _) = collector(StatusCode::OK).await;
    let registry = Registry::new();
    let slow = TracesSection { spans_per_second_max: 40, ..section(&endpoint) };
    let traces = Traces::start(&slow, "test", &registry).unwrap();
    let made = |parent: Option<&[u8]>| (0..100).filter(|_| traces.begin("GET", parent, Vec::new).is_some()).count();
    // A second may end between two of them.
    let theirs = made(Some(PARENT.as_bytes()));
    assert!((20..=40).contains(&theirs), "{theirs}");
    // and as many again are left to the traces that begin here
    let ours = made(None);
    assert!((20..=60).contains(&ours), "{ours}");
    assert_eq!(counted(&registry, "dropped"), 200 - (theirs + ours) as u64);
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_what_it_must_be() {
    for endpoint in ["collector:4318", "http://collector:4318", "ftp://collector/v1/traces", "http://"] {
        let error = Traces::start(&section(endpoint), "test", &Registry::new()).unwrap_err().to_string();
        assert!(error.contains("traces.endpoint") && error.contains("/v1/traces"), "{endpoint}: {error}");
    }
}

#[test]
fn what_became_of_spans_is_documented() {
    let registry = Registry::new();
    Traces::start(&TracesSection::default(), "test", &registry).unwrap();
    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let rows = crate::metric_table::section(&registry, crate::metric_table::is_common).unwrap();
    crate::metric_table::keep(&document, "traces", &rows).unwrap();
}
