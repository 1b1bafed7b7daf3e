//! Whom a client trusts when it speaks TLS.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Trusts what a PEM file holds, or, where `ca_location` is empty, what the system trusts. `ring`, so that no process-wide
/// provider has to be chosen.
///
/// # Errors
/// With a sentence, where the file or the system has no certificate to trust.
pub fn trusting(ca_location: &str) -> Result<ClientConfig, String> {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let trusted = if ca_location.is_empty() {
        versions.with_platform_verifier().map_err(|error| format!("the system: {error}"))?
    } else {
        versions.with_root_certificates(roots(ca_location)?)
    };
    Ok(trusted.with_no_client_auth())
}

/// As [`trusting`]; where there is nobody to trust, each connection fails and says so, as if the other side were away.
/// `remedy` stands in the log then: who misses it, and what to do.
///
/// # Panics
/// Never: `ring` knows both versions of TLS.
#[must_use]
pub fn trusting_or_nobody(ca_location: &str, remedy: &str) -> ClientConfig {
    trusting(ca_location).unwrap_or_else(|error| {
        tracing::error!(error, remedy, "no certificate to trust");
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows both versions of TLS");
        versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    })
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
        assert!(trusting("/nowhere/ca.pem").unwrap_err().starts_with("/nowhere/ca.pem: "));
        assert_eq!(trusting(&path).unwrap_err(), format!("{path}: holds no certificate"));
        file.write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(trusting(&path).unwrap_err().starts_with(&path));
    }
}
