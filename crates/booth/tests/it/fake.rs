//! A stand-in for ingest: answers by script, remembers everything.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What to answer to one request.
pub(crate) enum Answer {
    /// All taken, but the items of these indexes, with these statuses.
    Batch(Vec<(usize, u16)>),
    /// This status and `Retry-After`.
    Status(u16, Option<u64>),
    /// This status and body.
    Raw(u16, &'static str),
}

type Judge = Box<dyn Fn(&[Value]) -> Option<Answer> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) script: Mutex<VecDeque<Answer>>,
    pub(crate) judge: Mutex<Option<Judge>>,
    pub(crate) batches: Mutex<Vec<Vec<Value>>>,
    pub(crate) bodies: Mutex<Vec<Vec<u8>>>,
    pub(crate) headers: Mutex<Vec<HeaderMap>>,
    pub(crate) commands: Mutex<Vec<(String, Option<String>, Value)>>,
}

pub(crate) struct Ingest {
    pub(crate) inner: Arc<Inner>,
    pub(crate) url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Ingest {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let app = Router::new().route("/v1/events", post(events)).fallback(any(command)).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { inner, url, server }
    }

    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.inner.script.lock().extend(answers);
    }

    pub(crate) fn judge(&self, judge: impl Fn(&[Value]) -> Option<Answer> + Send + Sync + 'static) {
        *self.inner.judge.lock() = Some(Box::new(judge));
    }

    /// Ids of each batch, in the order of arrival.
    pub(crate) fn batches(&self) -> Vec<Vec<String>> {
        self.inner.batches.lock().iter().map(|batch| batch.iter().map(id).collect()).collect()
    }
}

pub(crate) fn id(event: &Value) -> String {
    event["id"].as_str().unwrap().to_owned()
}

async fn events(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let gzip = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let plain = if gzip {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).unwrap();
        plain
    } else {
        body.to_vec()
    };
    let batch: Vec<Value> = serde_json::from_slice(&plain).unwrap();
    let judged = inner.judge.lock().as_ref().and_then(|judge| judge(&batch));
    let answer = judged.or_else(|| inner.script.lock().pop_front()).unwrap_or(Answer::Batch(Vec::new()));
    let ids: Vec<String> = batch.iter().map(id).collect();
    inner.headers.lock().push(headers);
    inner.bodies.lock().push(plain);
    inner.batches.lock().push(batch);
    match answer {
        Answer::Batch(rejected) => {
            let accepted = ids.len() - rejected.len();
            let rejected: Vec<Value> = rejected
                .into_iter()
                .map(|(index, status)| json!({"index": index, "id": ids[index], "problem": {"status": status, "code": "scripted", "detail": "as told"}}))
                .collect();
            (StatusCode::ACCEPTED, axum::Json(json!({"accepted": accepted, "rejected": rejected}))).into_response()
        }
        Answer::Status(status, retry_after) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Answer::Raw(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
    }
}

async fn command(State(inner): State<Arc<Inner>>, request: axum::extract::Request) -> Response {
    let path = request.uri().path().to_owned();
    let key = request.headers().get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    inner.commands.lock().push((path.clone(), key, body));
    if path.ends_with("/balance") {
        let money = json!({"amount": "5.00", "currency": "USD"});
        return axum::Json(json!({"balance": money, "available": money})).into_response();
    }
    // The first try of every command is late.
    let tries = inner.commands.lock().iter().filter(|(earlier, ..)| *earlier == path).count();
    if tries == 1 {
        return (StatusCode::ACCEPTED, [(header::RETRY_AFTER, "0")]).into_response();
    }
    (StatusCode::OK, axum::Json(json!({"key_id": "key_1", "key": "tb_bk_live_x"}))).into_response()
}

/// Waits for a condition, at most 20 s.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
