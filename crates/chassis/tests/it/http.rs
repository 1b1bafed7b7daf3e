//! The HTTP server at its limits, spoken to over a plain socket.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::routing::{get, post};
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::{Registry, TextEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tollbooth_chassis::http::{
    BodyLimit, HttpLimits, HttpMetrics, JsonBody, RawBody, RequestId, Room, Server, read_body_into,
};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::shutdown::Shutdown;

use crate::support::PATIENCE;

const BODY_BYTES_MAX: usize = 1000;

pub(crate) fn limits() -> HttpLimits {
    HttpLimits { body_bytes_max: BODY_BYTES_MAX, ..HttpLimits::default() }
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/echo", post(|RawBody(bytes): RawBody| async move { bytes }))
        .route("/id", get(|id: RequestId| async move { id.as_str().to_owned() }))
        .route("/json", post(|JsonBody(n): JsonBody<u32>| async move { n.to_string() }))
        .route("/full", get(|| async { Problem::unavailable(3).with_detail("queue is full").into_response_tuple() }))
        .route("/broken", get(|| async { Problem::internal("the disk is on fire") }))
        .route("/big", get(|| async { vec![b'x'; 1024 * 1024] }))
        .route("/panic", get(|| async { panic!("secret of the house") as () }))
        .route("/forever", get(std::future::pending::<()>))
}

/// Lets a handler add a header of its own beside a problem.
trait IntoResponseTuple {
    fn into_response_tuple(self) -> ([(&'static str, &'static str); 1], Problem);
}

impl IntoResponseTuple for Problem {
    fn into_response_tuple(self) -> ([(&'static str, &'static str); 1], Problem) {
        ([("ratelimit", "\"ingest\";r=0;t=3")], self)
    }
}

pub(crate) async fn start(limits: HttpLimits, router: Router) -> (SocketAddr, Shutdown, tokio::task::JoinHandle<()>) {
    start_at("127.0.0.1", limits, router).await
}

async fn start_at(
    host: &str,
    limits: HttpLimits,
    router: Router,
) -> (SocketAddr, Shutdown, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let server = Server::new(limits);
    let serving = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { server.serve(listener, router, shutdown).await }
    });
    (address, shutdown, serving)
}

/// Sends bytes and reads until the server closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything: that is one of the cases.
    stream.write_all(bytes).await.unwrap_or_default();
    read_all(&mut stream).await
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset behind the answer is a close, too: the server did not read what it had refused.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    read.map(drop).unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn call(method: &str, path: &str, headers: &str, body: &[u8]) -> String {
    let (address, ..) = start(limits(), routes()).await;
    exchange(address, &request(method, path, headers, body)).await
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn assert_problem(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    assert!(answer.contains("\"request_id\":\""), "{answer}");
}

#[tokio::test]
async fn the_request_id_is_echoed_if_sane_and_made_up_otherwise() {
    let answer = call("GET", "/id", "x-request-id: abc-123\r\n", b"").await;
    assert!(answer.contains("x-request-id: abc-123\r\n") && answer.ends_with("\r\n\r\nabc-123"), "{answer}");
    for bad in ["", "x-request-id: a b\r\n", "x-request-id: {\"forged\":1}\r\n"] {
        let answer = call("GET", "/id", bad, b"").await;
        assert!(answer.contains("x-request-id: req_"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_at_the_limit_passes_and_one_byte_more_does_not() {
    let exact = vec![b'x'; BODY_BYTES_MAX];
    assert!(call("POST", "/echo", "", &exact).await.starts_with("HTTP/1.1 200"));
    assert_problem(&call("POST", "/echo", "", &[b'x'; BODY_BYTES_MAX + 1]).await, 413, "too_large");
}

#[tokio::test]
async fn a_chunked_body_is_bounded_too() {
    let (address, ..) = start(limits(), routes()).await;
    let mut bytes =
        b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..3 {
        bytes.extend_from_slice(format!("190\r\n{}\r\n", "y".repeat(0x190)).as_bytes());
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    assert_problem(&exchange(address, &bytes).await, 413, "too_large");
}

#[tokio::test]
async fn gzip_is_unpacked_and_the_limit_holds_for_the_unpacked_size() {
    let encoding = "content-encoding: gzip\r\n";
    let answer = call("POST", "/echo", encoding, &gzip(b"hello")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    // exactly at the limit
    assert!(call("POST", "/echo", encoding, &gzip(&[0; BODY_BYTES_MAX])).await.starts_with("HTTP/1.1 200"));
    // a bomb: a hundred times the limit in less than the limit
    let bomb = gzip(&[0; BODY_BYTES_MAX * 100]);
    assert!(bomb.len() < BODY_BYTES_MAX);
    assert_problem(&call("POST", "/echo", encoding, &bomb).await, 413, "too_large");
    // not gzip at all, cut short, another encoding
    assert_problem(&call("POST", "/echo", encoding, b"hello").await, 400, "malformed");
    assert_problem(&call("POST", "/echo", encoding, &gzip(b"hello")[..10]).await, 400, "malformed");
    assert_problem(&call("POST", "/echo", "content-encoding: br\r\n", b"x").await, 415, "unsupported_media_type");
}

#[tokio::test]
async fn what_two_readers_could_take_for_two_requests_is_refused() {
    let (address, ..) = start(limits(), routes()).await;
    let inner = "GET /id HTTP/1.1\r\nhost: x\r\nx-request-id: smuggled\r\n\r\n";
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\n";
    for (what, headers) in [
        ("two lengths", "content-length: 0\r\ncontent-length: 58\r\n"),
        ("two lengths in one", "content-length: 0, 58\r\n"),
        ("a length with a sign", "content-length: +0\r\n"),
        ("a length that is none", "content-length: 0x0\r\n"),
        ("another coding behind chunked", "transfer-encoding: chunked, identity\r\n"),
        ("a coding that nobody knows", "transfer-encoding: xchunked\r\n"),
        ("a blank before the colon", "content-length : 0\r\n"),
        ("a folded line", "x-a: b\r\n content-length: 0\r\n"),
        ("a bare carriage return", "x-a: b\rcontent-length: 0\r\n"),
        ("a zero byte", "x-a: b\0\r\n"),
    ] {
        // when the rest could be a request of its own
        let answer = exchange(address, format!("{head}{headers}\r\n{inner}").as_bytes()).await;
        // then it is none, and the connection ends
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert!(!answer.contains("smuggled"), "{what}: {answer}");
    }
    // A length beside chunks counts for nothing (RFC 9112, 6.3), and the connection is not used again.
    let both = format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}");
    let answer = exchange(address, both.as_bytes()).await;
    assert!(!answer.contains("smuggled"), "{answer}");
}

#[tokio::test]
async fn a_head_beyond_its_bound_is_refused() {
    let (address, ..) = start(HttpLimits { head_bytes_max: 8 * 1024, ..limits() }, routes()).await;
    let long = |bytes: usize| request("GET", "/id", &format!("x-long: {}\r\n", "a".repeat(bytes)), b"");
    assert!(exchange(address, &long(4 * 1024)).await.starts_with("HTTP/1.1 200"));
    let answer = exchange(address, &long(20 * 1024)).await;
    // What was not read of it takes the answer along, mostly.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer:?}");
}

#[tokio::test]
async fn json_bodies_say_what_is_wrong() {
    let json = "content-type: application/json; charset=utf-8\r\n";
    assert!(call("POST", "/json", json, b"7").await.ends_with("\r\n\r\n7"));
    assert_problem(&call("POST", "/json", json, b"{").await, 400, "malformed");
    assert_problem(&call("POST", "/json", "content-type: text/plain\r\n", b"7").await, 415, "unsupported_media_type");
}

#[tokio::test]
async fn every_error_is_a_problem() {
    assert_problem(&call("GET", "/nowhere", "", b"").await, 404, "not_found");
    let answer = call("GET", "/echo", "", b"").await;
    assert_problem(&answer, 405, "method_not_allowed");
    assert!(answer.contains("allow: POST"), "{answer}");

    let answer = call("GET", "/full", "", b"").await;
    assert_problem(&answer, 503, "unavailable");
    assert!(answer.contains("retry-after: 3") && answer.contains("ratelimit: "), "{answer}");
    assert_eq!(answer.matches("content-type").count(), 1, "{answer}");

    let answer = call("GET", "/panic", "", b"").await;
    assert_problem(&answer, 500, "internal");
    assert!(!answer.contains("secret"), "{answer}");
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let (address, ..) = start(HttpLimits { header_read_timeout_ms: 50, ..limits() }, routes()).await;
    let started = Instant::now();
    // given a head without an end, the server closes without having been told to
    let answer = exchange(address, b"GET /id HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(!answer.contains("200 OK"), "{answer}");
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_slow_body_and_a_slow_handler_get_their_own_answers() {
    let (address, ..) = start(HttpLimits { request_timeout_ms: 50, ..limits() }, routes()).await;
    let slow = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\nabc";
    assert_problem(&exchange(address, slow).await, 408, "request_timeout");
    assert_problem(&exchange(address, &request("GET", "/forever", "", b"")).await, 504, "timeout");
}

/// Log lines in memory.
#[derive(Default)]
struct Log(Mutex<Vec<u8>>);

impl Write for &Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const ALONE: &str = "TOLLBOOTH_TEST_ALONE";

/// Whether this process runs only the test `name`; if not, one that does has been run and has passed.
///
/// A callsite keeps whether anybody listens to it. What another test's thread, which has no subscriber, finds out while
/// it meets a callsite for the first time can be kept over what the subscriber of this thread wants. A service sets its
/// subscriber before it starts anything.
fn is_alone(name: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("http::{name}")])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[tokio::test]
async fn the_log_of_a_failure_names_the_request_at_the_default_level() {
    if !is_alone("the_log_of_a_failure_names_the_request_at_the_default_level") {
        return;
    }
    // given logs as a service writes them, at the level it has by default
    let log = Arc::new(Log::default());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info")
        .with_writer(Arc::clone(&log))
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .finish();
    // The server runs on this test's own thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    // when a handler fails
    assert_problem(&call("GET", "/broken", "x-request-id: abc-123\r\n", b"").await, 500, "internal");
    // then the line with the cause has the id that the client was given
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("the disk is on fire")).expect("the cause is logged");
    assert!(line.contains("\"request_id\":\"abc-123\"") && line.contains("\"path\":\"/broken\""), "{line}");
}

#[tokio::test]
async fn what_a_client_writes_makes_no_line_of_the_log() {
    if !is_alone("what_a_client_writes_makes_no_line_of_the_log") {
        return;
    }
    // given logs as a service writes them
    let log = Arc::new(Log::default());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info")
        .with_writer(Arc::clone(&log))
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // when a request that fails says in all that is logged of it what a line of the log could be
    let forged = "\"}\t{\"level\":\"ERROR\",\"message\":\"forged\"}";
    let headers = format!("x-request-id: {forged}\r\ntraceparent: {forged}\r\n");
    for path in ["/broken", "/panic"] {
        assert_problem(&call("GET", path, &headers, b"").await, 500, "internal");
    }
    // then each line is one object, which says it in a text at most
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the disk is on fire"), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line is one object");
        assert_ne!(line["message"], "forged", "{line}");
        let ids = [&line["request_id"], &line["span"]["request_id"]];
        assert!(ids.iter().any(|id| id.as_str().is_some_and(|id| id.starts_with("req_"))), "{line}");
    }
}

/// Room for so many bytes.
struct Place(usize);

impl Room for Place {
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| Problem::unavailable(1))?;
        Ok(())
    }
}

#[tokio::test]
async fn every_byte_of_a_body_is_taken_from_the_room_packed_and_unpacked() {
    let packed = gzip(&[0; 500]);
    let read = async |place: usize| {
        let headers = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))].into_iter().collect();
        let limit = BodyLimit { bytes_max: BODY_BYTES_MAX, deadline: None };
        read_body_into(&headers, Body::from(packed.clone()), limit, Place(place)).await
    };
    let (body, Place(left)) = read(packed.len() + 500).await.unwrap();
    assert_eq!((body.len(), left), (500, 0));
    for too_little in [packed.len() + 499, packed.len() - 1] {
        let Err(problem) = read(too_little).await else { panic!("there is no room") };
        assert_eq!(problem.code(), "unavailable");
    }
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let (address, ..) = start(HttpLimits { connections_max: 1, ..limits() }, routes()).await;
    // given one connection that holds the only place
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /id HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    // when a second one asks, then it hears nothing
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(&request("GET", "/id", "", b"")).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await.is_err());
    // until the first has gone
    drop(first);
    assert!(read_all(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_under_way_and_takes_nothing_new() {
    // given a request whose handler waits for us
    let (entered, mut was_entered) = mpsc::channel::<()>(1);
    let (go_on, gate) = tokio::sync::watch::channel(false);
    let router = Router::new().route(
        "/wait",
        get(move || {
            let (entered, mut gate) = (entered.clone(), gate.clone());
            async move {
                entered.send(()).await.unwrap();
                gate.wait_for(|open| *open).await.unwrap();
                "done"
            }
        }),
    );
    // An address that no neighbour binds: on the shared one, another test may be given the port as soon as it is free.
    let (address, shutdown, serving) = start_at("127.0.0.2", limits(), router).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    was_entered.recv().await.unwrap();
    // when the end is asked for
    shutdown.trigger("test");
    // then the idle connection is closed, no new one is accepted, and the server waits for the busy one
    assert_eq!(read_all(&mut idle).await, "");
    assert!(!serving.is_finished());
    go_on.send_replace(true);
    let answer = read_all(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap();
    // A process that a neighbour forks holds a copy of the socket until it executes its program.
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("the listener is closed");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_class() {
    let registry = Registry::new();
    let metrics = HttpMetrics::register(&registry, "demo").unwrap();
    let router = Router::new()
        .route("/id", get(|| async { "x" }).layer(metrics.route("/id")))
        .route("/echo", post(|RawBody(bytes): RawBody| async move { bytes }).layer(metrics.route("/echo")))
        .route("/panic", get(|| async { panic!("a bug") as () }).layer(metrics.route("/panic")))
        .route("/forever", get(std::future::pending::<()>).layer(metrics.route("/forever")));
    let (address, ..) = start(HttpLimits { request_timeout_ms: 20, ..limits() }, router).await;
    exchange(address, &request("GET", "/id", "", b"")).await;
    exchange(address, &request("POST", "/echo", "", &[0; BODY_BYTES_MAX + 1])).await;
    assert_problem(&exchange(address, &request("GET", "/panic", "", b"")).await, 500, "internal");
    assert_problem(&exchange(address, &request("GET", "/forever", "", b"")).await, 504, "timeout");

    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        r#"tollbooth_demo_requests_total{route="/id",status_class="2xx"} 1"#,
        r#"tollbooth_demo_requests_total{route="/echo",status_class="4xx"} 1"#,
        r#"tollbooth_demo_requests_total{route="/panic",status_class="5xx"} 1"#,
        r#"tollbooth_demo_requests_total{route="/forever",status_class="5xx"} 1"#,
        r#"tollbooth_demo_requests_total{route="/forever",status_class="aborted"} 0"#,
        r#"tollbooth_demo_request_duration_seconds_count{route="/id"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_aborted() {
    let registry = Registry::new();
    let metrics = HttpMetrics::register(&registry, "demo").unwrap();
    let (entered, mut was_entered) = mpsc::channel::<()>(1);
    let wait = move || {
        let entered = entered.clone();
        async move {
            entered.send(()).await.unwrap();
            std::future::pending::<()>().await;
        }
    };
    let (address, ..) = start(limits(), Router::new().route("/wait", get(wait).layer(metrics.route("/wait")))).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    was_entered.recv().await.unwrap();
    // when it leaves before the answer
    drop(client);
    let line = r#"tollbooth_demo_requests_total{route="/wait",status_class="aborted"} 1"#;
    let counted = async {
        while !TextEncoder::new().encode_to_string(&registry.gather()).unwrap().contains(line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the request is counted");
}
