//! One try of a delivery: over HTTP in the form of Standard Webhooks, or by mail.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tollbooth_schemas::webhooks::{CONFIRM, Delivery, WebhookDocument};

use crate::app::now_ms;
use crate::config::{IngestConfig, MailTls};
use crate::webhooks::address::{PublicOnly, Reach};
use crate::webhooks::{Secrets, signature};

const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read; nothing is made of them, but a connection can be used again.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// Trying again is of no use.
    pub(super) is_final: bool,
}

fn failed(reason: impl Into<String>) -> Failure {
    Failure { reason: reason.into(), is_final: false }
}

/// Follows no redirect and no proxy: either would reach what must not be reached.
type HttpClient = Client<HttpsConnector<HttpConnector<PublicOnly>>, Full<Bytes>>;

/// Sends to endpoints.
pub(super) struct Sender {
    client: HttpClient,
    reach: Reach,
    secrets: Secrets,
    timeout: Duration,
    mail: Option<(AsyncSmtpTransport<Tokio1Executor>, Mailbox)>,
}

/// Why there can be no sender.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// Of the HTTP client, which needs the system's certificates.
    #[error("cannot set up TLS for webhooks: {0}")]
    Tls(#[from] rustls::Error),
    /// Of the mail client.
    #[error("mail.host: {0}")]
    Mail(#[from] lettre::transport::smtp::Error),
    /// It was looked at before.
    #[error("mail.from is no sender")]
    From,
}

impl Sender {
    pub(super) fn new(config: &IngestConfig, secrets: Secrets) -> Result<Self, SenderError> {
        let (timeout, reach) = (Duration::from_millis(config.webhooks.timeout_ms), Reach::of(config));
        let client = client(reach, CONNECT.min(timeout))?;
        Ok(Self { client, reach, secrets, timeout, mail: mail(config, timeout)? })
    }

    pub(super) async fn send(&self, endpoint: &WebhookDocument, delivery: &Delivery) -> Result<(), Failure> {
        match endpoint.mail_address() {
            Some(address) => {
                let sending = tokio::time::timeout(self.timeout, self.mail(address, endpoint, delivery));
                sending.await.unwrap_or_else(|_| Err(failed("the mail server does not answer")))
            }
            None => self.post(endpoint, delivery).await,
        }
    }

    async fn post(&self, endpoint: &WebhookDocument, delivery: &Delivery) -> Result<(), Failure> {
        // What is allowed may have changed since the endpoint was made.
        let url = self.reach.check(&endpoint.url).map_err(|why| failed(format!("the address {why}")))?;
        let now_ms = now_ms();
        let timestamp_s = now_ms / 1_000;
        let secrets = self.secrets.valid(endpoint, now_ms);
        let signature = signature(&secrets, &delivery.message_id, timestamp_s, &delivery.body);
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("tollbooth/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &delivery.message_id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(delivery.body.clone())))
            .map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| failed(told(&error)))?;
            let status = answer.status();
            // An answer that is too long, or breaks off, has said what it is all the same.
            drop(Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await);
            Ok(status)
        };
        let status = tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(failed("the request failed: no answer in time")))?;
        match status {
            _ if status.is_success() => Ok(()),
            // The endpoint says that it is no more.
            StatusCode::GONE => Err(Failure { reason: "answered 410".to_owned(), is_final: true }),
            _ => Err(failed(format!("answered {}", status.as_u16()))),
        }
    }

    async fn mail(&self, address: &str, endpoint: &WebhookDocument, delivery: &Delivery) -> Result<(), Failure> {
        let Some((transport, from)) = &self.mail else { return Err(failed("mail is not set up")) };
        let no_mail = |reason: String| Failure { reason, is_final: true };
        let to: Mailbox = address.parse().map_err(|_| no_mail("is no mail address".to_owned()))?;
        // The code stands in the mail alone: what waits or is dead can be looked at by whoever named the address.
        let (subject, text) = match delivery.event_type.as_str() {
            CONFIRM => question(endpoint, &self.secrets.code(endpoint)),
            _ => letter(delivery),
        };
        let mail = Mail::builder()
            .from(from.clone())
            .to(to)
            .subject(subject)
            .message_id(Some(format!("<{}.{}@tollbooth>", delivery.webhook_id, delivery.message_id)))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| no_mail(error.to_string()))?;
        match transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure { reason: error.to_string(), is_final: error.is_permanent() }),
        }
    }
}

/// Without the address: a path may carry a secret, and what is kept of a failure is shown.
fn told(error: &hyper_util::client::legacy::Error) -> String {
    let what = if error.is_connect() { "cannot connect" } else { "the request failed" };
    let mut source = std::error::Error::source(error);
    let mut reason = what.to_owned();
    while let Some(cause) = source {
        reason = format!("{what}: {cause}");
        source = cause.source();
    }
    reason
}

fn client(reach: Reach, connect_timeout: Duration) -> Result<HttpClient, rustls::Error> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    let mut http = HttpConnector::new_with_resolver(PublicOnly(reach));
    http.enforce_http(false);
    http.set_connect_timeout(Some(connect_timeout));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(https))
}

/// Asks whoever reads an address whether they want it.
fn question(endpoint: &WebhookDocument, code: &str) -> (String, String) {
    let account = &endpoint.account_id;
    let text = format!(
        "Somebody who looks after the account {account} wants its alerts to be sent to this address.\n\nIf you want them, \
         give this code to whoever asked you, or enter it under Webhooks in the dashboard:\n\n    {code}\n\n\
         If you do not, do nothing: nothing else is sent.\n"
    );
    (format!("tollbooth: do you want the alerts of {account}?"), text)
}

/// The message as a person reads it.
fn letter(delivery: &Delivery) -> (String, String) {
    let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap_or_default();
    let account = body["data"]["account_id"].as_str().unwrap_or_default();
    let what = delivery.event_type.replace(['.', '_'], " ");
    let mut text = format!("{what}\n\n");
    for (name, value) in body["data"].as_object().into_iter().flatten() {
        let value = match (value["amount"].as_str(), value["currency"].as_str(), value.as_str()) {
            (Some(amount), Some(currency), _) => format!("{amount} {currency}"),
            (_, _, Some(text)) => text.to_owned(),
            _ => value.to_string(),
        };
        text.push_str(&format!("{}: {value}\n", name.replace('_', " ")));
    }
    text.push_str(&format!("time: {}\n", body["timestamp"].as_str().unwrap_or_default()));
    (format!("tollbooth: {what} ({account})"), text)
}

type MailOut = (AsyncSmtpTransport<Tokio1Executor>, Mailbox);

fn mail(config: &IngestConfig, timeout: Duration) -> Result<Option<MailOut>, SenderError> {
    let section = &config.mail;
    if section.host.is_empty() {
        return Ok(None);
    }
    type Transport = AsyncSmtpTransport<Tokio1Executor>;
    let builder = match section.tls {
        MailTls::None => Transport::builder_dangerous(&section.host),
        MailTls::Starttls => Transport::starttls_relay(&section.host)?,
        MailTls::Tls => Transport::relay(&section.host)?,
    };
    let builder = builder.port(section.port).timeout(Some(timeout));
    let builder = if section.username.is_empty() {
        builder
    } else {
        let password = section.password.expose().to_owned();
        builder.credentials(Credentials::new(section.username.clone(), password))
    };
    let from = section.from.parse().map_err(|_| SenderError::From)?;
    Ok(Some((builder.build(), from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbooth_schemas::webhooks::DeliveryState;

    #[test]
    fn a_letter_says_it_in_words() {
        let delivery = Delivery {
            webhook_id: "whk_1".to_owned(),
            account_id: "acc_luna".parse().unwrap(),
            message_id: "msg_1".to_owned(),
            event_type: "alert.balance_below".to_owned(),
            body: r#"{"data":{"account_id":"acc_luna","balance":{"amount":"4.00","currency":"USD"},"number":3},"timestamp":"2026-11-21T20:15:03.000Z"}"#
                .to_owned(),
            state: DeliveryState::Waiting,
            since_ms: 0,
            attempts: 0,
            next_at_ms: 0,
            last_error: None,
        };
        let (subject, text) = letter(&delivery);
        assert_eq!(subject, "tollbooth: alert balance below (acc_luna)");
        assert_eq!(
            text,
            "alert balance below\n\naccount id: acc_luna\nbalance: 4.00 USD\nnumber: 3\ntime: 2026-11-21T20:15:03.000Z\n"
        );
    }
}
