//! The service under test.

use reqwest::StatusCode;
use serde_json::Value;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_query::config::QueryConfig;
use tollbooth_query::service::{Service, ServiceError};
use tollbooth_schemas::keys::ApiKey;

use crate::documented;
use crate::events::Events;
use crate::stand::{DEADLINE, until};

/// The service under test, ended when dropped.
pub(crate) struct Query {
    pub(crate) url: String,
    pub(crate) ops_url: String,
    pub(crate) key: String,
    http: reqwest::Client,
    shutdown: Shutdown,
    ended: Option<tokio::task::JoinHandle<Result<(), ServiceError>>>,
}

/// Somebody who signed in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
    pub(crate) body: Value,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Query {
    /// Starts and waits until it answers balances and takes sessions.
    pub(crate) async fn start(config: QueryConfig, key: &ApiKey) -> Self {
        let query = Self::begin(config, key).await;
        for name in ["live-view", "ended-sessions"] {
            until(&format!("{name} is ready"), async || query.component(name).await == "ok").await;
        }
        query
    }

    /// Starts.
    pub(crate) async fn begin(config: QueryConfig, key: &ApiKey) -> Self {
        let shutdown = Shutdown::new();
        let service = Service::start(config, shutdown.clone()).await.unwrap();
        let (url, ops_url) = (format!("http://{}", service.address), format!("http://{}", service.ops_address));
        let ended = tokio::spawn(service.run());
        // What is answered is looked at as it is.
        let http = reqwest::Client::builder().no_gzip().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { url, ops_url, key: key.reveal().to_owned(), http, shutdown, ended: Some(ended) }
    }

    /// What `/readyz` says of a component.
    pub(crate) async fn component(&self, name: &str) -> String {
        let report = self.http.get(format!("{}/readyz", self.ops_url)).send().await.unwrap();
        report.json::<Value>().await.unwrap()["components"][name].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, Some(&self.key)).await
    }

    /// Signs in with a key.
    pub(crate) async fn sign_in(&self, key: &str) -> Session {
        let answer = self.try_to_sign_in(key).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let line = answer.headers["set-cookie"].to_str().unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        let csrf = answer.body["csrf_token"].as_str().unwrap().to_owned();
        Session { cookie, csrf, body: answer.body }
    }

    /// What becomes of a try to sign in.
    pub(crate) async fn try_to_sign_in(&self, key: &str) -> Answer {
        self.change("POST", "/v1/session", &[], &serde_json::json!({ "key": key })).await
    }

    /// A request with a body, and headers of its own.
    pub(crate) async fn change(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let method_name = method.to_lowercase();
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.json(body).send().await.unwrap();
        documented::check_headers(&method_name, path, response.status().as_u16(), response.headers());
        let (status, headers) = (response.status(), response.headers().clone());
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
        if status != StatusCode::NO_CONTENT {
            documented::check_method(&method_name, path, status.as_u16(), &body);
        }
        Answer { status, headers, body }
    }

    /// A read with headers of its own.
    pub(crate) async fn read(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let response = self.raw(path, headers).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
        if status != StatusCode::NOT_MODIFIED {
            documented::check(path, status.as_u16(), &body);
        }
        Answer { status, headers, body }
    }

    /// Any answer, as it arrives, to headers of its own.
    pub(crate) async fn raw(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(path, request).await
    }

    /// A JSON answer, which is what the OpenAPI document says.
    pub(crate) async fn get_with(&self, path: &str, key: Option<&str>) -> Answer {
        let response = self.fetch(path, key).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.json().await.unwrap();
        documented::check(path, status.as_u16(), &body);
        Answer { status, headers, body }
    }

    /// A stream of events, behind `last_event_id`.
    pub(crate) async fn stream(&self, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = send(path, request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events::new(response)
    }

    /// Any answer, as it arrives.
    pub(crate) async fn fetch(&self, path: &str, key: Option<&str>) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        send(path, request).await
    }

    /// As `get`, of which 200 is expected.
    pub(crate) async fn ok(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub(crate) async fn metrics(&self) -> String {
        self.http.get(format!("{}/metrics", self.ops_url)).send().await.unwrap().text().await.unwrap()
    }

    /// Asks the service to end.
    pub(crate) fn trigger_end(&self) {
        self.shutdown.trigger("the test is over");
    }

    /// Waits until everything in the service has ended, and says how.
    pub(crate) async fn ended(&mut self) -> Result<(), ServiceError> {
        tokio::time::timeout(DEADLINE, self.ended.take().unwrap()).await.unwrap().unwrap()
    }

    /// Ends the service and waits for everything in it.
    pub(crate) async fn stop(mut self) {
        self.trigger_end();
        self.ended().await.unwrap();
    }
}

/// The answer to a read, whose headers are those of the document.
async fn send(path: &str, request: reqwest::RequestBuilder) -> reqwest::Response {
    let response = request.send().await.unwrap();
    documented::check_headers("get", path, response.status().as_u16(), response.headers());
    response
}

impl Drop for Query {
    /// Waits for its threads, which the end of a test's runtime does not end: those of a hundred tests take all processors.
    fn drop(&mut self) {
        self.shutdown.trigger("the test is over");
        let Some(ended) = self.ended.take().filter(|_| !std::thread::panicking()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // How it ended is no matter here.
        drop(tokio::task::block_in_place(|| runtime.block_on(tokio::time::timeout(DEADLINE, ended))));
    }
}
