//! The client of the read store, over TLS where the address asks for it.

use std::time::Duration;

use clickhouse::Client;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::{Client as HyperClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use crate::config::ClickHouseSection;
use crate::tls;

/// Below the server's `keep_alive_timeout`, 3 s where nobody changed it: it would close what we are about to use.
const POOL_IDLE: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A client for the database and user of this section; it connects when asked something.
#[must_use]
pub fn client(section: &ClickHouseSection) -> Client {
    let client = if is_https(&section.url) { encrypted(&section.ca_location) } else { Client::default() };
    let client = client.with_url(&section.url).with_database(&section.database).with_user(&section.user);
    // Without one, no header says so: a server takes an empty password for a wrong one.
    if section.password.is_empty() { client } else { client.with_password(section.password.expose()) }
}

fn is_https(url: &str) -> bool {
    url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Over TLS only: what an address or a redirect says cannot take the password out in the clear. Without a certificate to trust
/// it trusts nobody: each request then fails and says so, as if the server were away.
fn encrypted(ca_location: &str) -> Client {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_keepalive(Some(KEEPALIVE));
    let tls =
        tls::trusting_or_nobody(ca_location, "clickhouse: install ca-certificates, or set clickhouse.ca_location");
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(http);
    Client::with_http_client(HyperClient::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE).build(https))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn why_there_is_no_connection_is_told() {
        // given something that does not speak TLS
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let answers = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        };
        // when it is asked something
        let asked = client(&ClickHouseSection { url, ..ClickHouseSection::default() });
        let (outcome, ()) = tokio::join!(asked.query("SELECT 1").execute(), answers);
        // then the error says more than that there is no connection
        let error = outcome.unwrap_err();
        let told = crate::causes::Causes(&error).to_string();
        assert!(told.contains("client error (Connect): ") && told.contains("corrupt message"), "{told}");
    }

    #[test]
    fn the_address_alone_says_whether_the_password_travels_encrypted() {
        assert!(is_https("https://a:8443") && is_https("HTTPS://a"));
        assert!(!is_https("http://a:8123") && !is_https("") && !is_https("https:/"));
    }
}
