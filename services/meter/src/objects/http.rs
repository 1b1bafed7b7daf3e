//! How an object store is spoken to: hyper and rustls, as with everybody else outside.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use object_store::{
    ClientConfigKey, ClientOptions,
    client::{
        HttpClient, HttpConnector as ObjectConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
        HttpResponse, HttpResponseBody, HttpService,
    },
};
use rustls::ClientConfig;

const CONNECT: Duration = Duration::from_secs(5);
/// From the request to the last byte of the answer.
const WHOLE: Duration = Duration::from_secs(120);
/// The largest answer: parts are a fraction of it.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Makes clients that trust the same authorities.
#[derive(Debug)]
pub(super) struct Connector {
    tls: ClientConfig,
}

impl Connector {
    pub(super) const fn new(tls: ClientConfig) -> Self {
        Self { tls }
    }
}

impl ObjectConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone());
        let in_the_clear = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let builder = if in_the_clear { builder.https_or_http() } else { builder.https_only() };
        let https = builder.enable_http1().wrap_connector(http);
        // Whoever asks does so on a runtime of his own: a connection does not outlive it.
        Ok(HttpClient::new(Service(HyperClient::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https))))
    }
}

#[derive(Debug)]
struct Service(HyperClient<HttpsConnector<HttpConnector>, HttpRequestBody>);

/// No answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no whole answer within {} s", WHOLE.as_secs())]
struct TooLate;

/// What a client says is only the first of several sentences; the reason comes last.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Chain(String);

impl Chain {
    fn of(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        Self(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }
}

impl Service {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.0.request(request).await.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
            HttpError::new(kind, Chain::of(&error))
        })?;
        let (parts, body) = answer.into_parts();
        let whole = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let whole = whole.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, Chain::of(&*error)))?;
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(whole.to_bytes())))
    }
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(WHOLE, self.exchange(request)).await;
        answer.unwrap_or_else(|_| Err(HttpError::new(HttpErrorKind::Timeout, TooLate)))
    }
}
