//! Accepting connections and answering requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::Instrument;

use super::body::BodyLimit;
use super::metrics::AnswerBy;
use super::request_id::{REQUEST_ID, RequestId};
use super::write_deadline::{WriteDeadline, WriteTimeout};
use crate::problem::{Carried, Problem};
use crate::shutdown::Shutdown;
use crate::traces::{KeyValue, TRACEPARENT, Traces, Underway};

/// Bounds of a listener, and what happens at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Open connections; beyond it new ones wait in the kernel's backlog. Default 1024.
    pub connections_max: usize,
    /// Time for a request's head, and for an idle connection's next request; then the connection is closed. Default
    /// 10,000. It is also how long a keep-alive connection may idle.
    pub header_read_timeout_ms: u64,
    /// Buffer for a request's head and reads; a longer head is refused with 431. Default 16 KiB, at least 8 KiB.
    pub head_bytes_max: usize,
    /// Time for a whole request, body included; then 504, or 408 while the body is still arriving. Default 30,000.
    pub request_timeout_ms: u64,
    /// Body size after unpacking; then 413. Default 4 MiB.
    pub body_bytes_max: usize,
    /// How long a response may wait for its client to read on; then the connection is closed. Any progress starts it
    /// anew. Default 30,000.
    pub write_timeout_ms: u64,
    /// How long open connections may finish their request after a shutdown began; then they are closed. Default 10,000.
    pub drain_timeout_ms: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_read_timeout_ms: 10_000,
            head_bytes_max: 16 * 1024,
            request_timeout_ms: 30_000,
            body_bytes_max: 4 * 1024 * 1024,
            write_timeout_ms: 30_000,
            drain_timeout_ms: 10_000,
        }
    }
}

/// Most of a path that stands in a span.
const TRACED_PATH_BYTES_MAX: usize = 256;

/// Who is at the other end of the connection; the server puts it into every request. Behind a proxy it is the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// An HTTP/1.1 server.
#[derive(Debug, Clone)]
pub struct Server {
    limits: HttpLimits,
    connections: Arc<Semaphore>,
    traces: Traces,
}

impl Server {
    /// A server with these bounds.
    #[must_use]
    pub fn new(limits: HttpLimits) -> Self {
        // The semaphore has a bound of its own far beyond any number of sockets.
        let permits = limits.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { limits, connections: Arc::new(Semaphore::new(permits)), traces: Traces::default() }
    }

    /// A span for each request that is sampled.
    #[must_use]
    pub fn with_traces(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// Accepts and answers until `shutdown`, then closes the listener and idle connections and waits for the requests
    /// under way, at most `drain_timeout_ms`.
    pub async fn serve(&self, listener: TcpListener, router: Router, shutdown: Shutdown) {
        let all = u32::try_from(self.limits.connections_max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        loop {
            // The permit comes before the accept: at the bound, clients queue in the kernel instead of in our memory.
            let permit = tokio::select! {
                () = shutdown.triggered() => break,
                permit = Arc::clone(&self.connections).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let accepted = tokio::select! {
                () = shutdown.triggered() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (router, traces) = (router.clone(), self.traces.clone());
                    let connection =
                        serve_connection(stream, Peer(peer), self.limits, router, traces, shutdown.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, or the peer was gone already: neither may end the loop or spin it.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        drop(listener);
        let drained = Arc::clone(&self.connections).acquire_many_owned(all);
        let patience = Duration::from_millis(self.limits.drain_timeout_ms);
        if tokio::time::timeout(patience, drained).await.is_err() {
            tracing::warn!("connections still busy at the end of the drain");
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: Peer,
    limits: HttpLimits,
    router: Router,
    traces: Traces,
    shutdown: Shutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let stream = WriteDeadline::new(stream, Duration::from_millis(limits.write_timeout_ms));
    let write_timeout = stream.timeout();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        answer(with_connection(request, peer, write_timeout.clone()), router.clone(), limits, traces.clone())
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_read_timeout_ms))
        .max_buf_size(limits.head_bytes_max.max(8 * 1024))
        // One buffer that is written at once, of that size. Not by `pipeline_flush`: with it hyper takes all that a body gives,
        // whether the client reads or not, and sends nothing while the next request is there already.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.triggered() => {
            connection.as_mut().graceful_shutdown();
            let patience = Duration::from_millis(limits.drain_timeout_ms);
            tokio::time::timeout(patience, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}

/// The request, which knows the connection that it came over.
fn with_connection(mut request: Request<Incoming>, peer: Peer, write_timeout: WriteTimeout) -> Request<Incoming> {
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(write_timeout);
    request
}

async fn answer(
    mut request: Request<Incoming>,
    router: Router,
    limits: HttpLimits,
    traces: Traces,
) -> Result<Response<Body>, Infallible> {
    let request_id = RequestId::of(request.headers());
    let is_head = request.method() == axum::http::Method::HEAD;
    let traced = begin_trace(&traces, &request, &request_id);
    // What the client sent is kept where we make no span: its own trace may be found by it.
    let sent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    // Enabled wherever an error is logged: a level below would take the request's id out of the default log.
    let span = tracing::error_span!(
        "request",
        request_id = request_id.as_str(),
        method = %request.method(),
        path = request.uri().path(),
        traceparent = traced.as_ref().map(Underway::header).or(sent),
    );
    let deadline = tokio::time::Instant::now() + Duration::from_millis(limits.request_timeout_ms);
    request.extensions_mut().insert(request_id.clone());
    request.extensions_mut().insert(BodyLimit { bytes_max: limits.body_bytes_max, deadline: Some(deadline) });
    // A little later than the body's own deadline, so that a slow sender gets its 408 and not a 504.
    let answer_by = deadline + Duration::from_millis(100);
    request.extensions_mut().insert(AnswerBy(answer_by));

    let routed = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
    let routed = tokio::time::timeout_at(answer_by, routed).instrument(span);
    let routed = match &traced {
        Some(traced) => traced.cover(routed).await,
        None => routed.await,
    };
    let id = request_id.as_str();
    let mut response = match routed {
        Ok(Ok(Ok(response))) => shape(response, id, is_head).await,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_panic)) => {
            tracing::error!(request_id = id, "handler panicked");
            Problem::bare_internal().into_response_for(Some(id))
        }
        Err(_elapsed) => {
            tracing::warn!(request_id = id, "no answer within the request's deadline");
            Problem::timeout().into_response_for(Some(id))
        }
    };
    response.headers_mut().insert(REQUEST_ID, request_id.header());
    if let Some(traced) = traced {
        traced.end(response.status().as_u16());
    }
    Ok(response)
}

/// `None`: it is not sampled, or traces are off.
fn begin_trace<B>(traces: &Traces, request: &Request<B>, request_id: &RequestId) -> Option<Underway> {
    if !traces.are_on() {
        return None;
    }
    // A method is the client's word; a name is one of few.
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "HTTP",
    };
    let parent = request.headers().get(TRACEPARENT).map(HeaderValue::as_bytes);
    let path = request.uri().path();
    // A path is ASCII; one of ours is short.
    let path = path.get(..TRACED_PATH_BYTES_MAX).unwrap_or(path);
    traces.begin(method, parent, || {
        vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.path", path.to_owned()),
            KeyValue::new("tollbooth.request_id", request_id.as_str().to_owned()),
        ]
    })
}

/// Gives errors their one form: problems get the request id, bare or textual ones (of the router or of an extractor)
/// become problems.
async fn shape(mut response: Response<Body>, request_id: &str, is_head: bool) -> Response<Body> {
    let status = response.status();
    if status.is_success() || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    if let Some(Carried(problem)) = response.extensions_mut().remove::<Carried>() {
        let mut shaped = problem.into_response_for(Some(request_id));
        // Headers that a handler put beside the problem stay.
        for (name, value) in response.headers() {
            if !shaped.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                shaped.headers_mut().append(name, value.clone());
            }
        }
        return shaped;
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_text = content_type.is_some_and(|value| value.starts_with("text/plain"));
    // A HEAD response has lost its body by now; its headers still describe the one of GET.
    let is_bare = content_type.is_none() && (is_head || response.body().size_hint().exact() == Some(0));
    if !is_text && !is_bare {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let detail = if is_text && status.is_client_error() {
        let bytes = axum::body::to_bytes(response.into_body(), 4096).await.unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        String::new()
    };
    from_status(status, detail).with_allow(allow).into_response_for(Some(request_id))
}

fn from_status(status: StatusCode, detail: String) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::not_found(detail),
        StatusCode::METHOD_NOT_ALLOWED => Problem::method_not_allowed(detail),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(detail),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::unsupported_media_type(detail),
        StatusCode::UNPROCESSABLE_ENTITY => Problem::invalid(detail),
        StatusCode::SERVICE_UNAVAILABLE => Problem::unavailable(1),
        status if status.is_client_error() => {
            Problem::new("malformed", status, "The request is malformed").with_detail(detail)
        }
        status => Problem::new("internal", status, "Internal error"),
    }
}
