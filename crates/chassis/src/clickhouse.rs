//! The client of the read store, over TLS where the address asks for it.

use std::sync::Arc;
use std::time::Duration;

use clickhouse::Client;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::{Client as HyperClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::config::ClickHouseSection;

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

/// Over TLS only: what an address or a redirect says cannot take the password out in the clear.
fn encrypted(ca_location: &str) -> Client {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_keepalive(Some(KEEPALIVE));
    let tls = trusting(ca_location);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(http);
    Client::with_http_client(HyperClient::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE).build(https))
}

/// Trusts what the file holds, or else what the system trusts. Without either it trusts nobody: each request then fails and
/// says so, as if the server were away.
fn trusting(ca_location: &str) -> ClientConfig {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows both versions of TLS");
    let trusted = if ca_location.is_empty() {
        versions.clone().with_platform_verifier().map_err(|error| format!("the system: {error}"))
    } else {
        roots(ca_location).map(|roots| versions.clone().with_root_certificates(roots))
    };
    match trusted {
        Ok(trusting) => trusting.with_no_client_auth(),
        Err(error) => {
            tracing::error!(
                error,
                "clickhouse: no certificate to trust: install ca-certificates, or set clickhouse.ca_location"
            );
            versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    }
}

fn roots(ca_location: &str) -> Result<RootCertStore, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{ca_location}: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_location).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() { Err(failed(&"holds no certificate")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_holds_no_certificate_is_told_by_its_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        assert!(roots("/nowhere/ca.pem").unwrap_err().starts_with("/nowhere/ca.pem: "));
        assert_eq!(roots(&path).unwrap_err(), format!("{path}: holds no certificate"));
        file.write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(roots(&path).unwrap_err().starts_with(&path));
    }

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
