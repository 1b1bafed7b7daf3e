//! Something between the service and ClickHouse that keeps answers back.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;

/// Passes everything on, but for questions about an account's sums, or of another kind, that it was not told to.
pub(crate) struct Between {
    pub(crate) url: String,
    held: Arc<Held>,
}

struct Held {
    clickhouse_url: String,
    http: reqwest::Client,
    /// What these questions have in them.
    kind: &'static str,
    /// Those that are still passed on.
    left: Mutex<usize>,
}

impl Between {
    /// Listens before the server at this address.
    pub(crate) async fn start(clickhouse_url: &str) -> Self {
        Self::start_for(clickhouse_url, "usage_15m_by_account").await
    }

    /// Listens, for questions that have `kind` in them.
    pub(crate) async fn start_for(clickhouse_url: &str, kind: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let held = Arc::new(Held {
            clickhouse_url: clickhouse_url.trim_end_matches('/').to_owned(),
            http: reqwest::Client::builder().no_gzip().no_proxy().build().unwrap(),
            kind,
            left: Mutex::new(usize::MAX),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&held));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, held }
    }

    /// Has so many of these questions answered from now on; the others are answered never.
    pub(crate) fn answer(&self, questions: usize) {
        *self.held.left.lock().unwrap() = questions;
    }

    /// How many of them have been put, where none was to be left without an answer.
    pub(crate) fn asked(&self) -> usize {
        usize::MAX - *self.held.left.lock().unwrap()
    }
}

impl Held {
    fn takes(&self, question: &str) -> bool {
        if !question.contains(self.kind) {
            return true;
        }
        let mut left = self.left.lock().unwrap();
        let may_pass = *left > 0;
        *left = left.saturating_sub(1);
        may_pass
    }
}

async fn pass(State(held): State<Arc<Held>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    if !held.takes(&format!("{} {}", parts.uri, String::from_utf8_lossy(&body))) {
        // Until who asked goes away.
        std::future::pending::<()>().await;
    }
    let mut headers = parts.headers;
    for name in [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let url = format!("{}{}", held.clickhouse_url, parts.uri);
    let answer = held.http.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
