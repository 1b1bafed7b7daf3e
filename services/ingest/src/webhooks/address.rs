//! Where a webhook may go: over TLS, and to addresses of the public internet only. An account names the place, and the
//! request comes from inside: whatever listens there must not be reached by it.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;
use url::Url;

use crate::config::IngestConfig;

/// Longest address of an endpoint.
const URL_CHARS_MAX: usize = 500;

/// What the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) allow_http: bool,
    pub(crate) allow_private: bool,
}

impl Reach {
    pub(crate) const fn of(config: &IngestConfig) -> Self {
        let webhooks = &config.webhooks;
        Self { allow_http: webhooks.allow_http, allow_private: webhooks.allow_private_addresses }
    }

    /// The address, or why it is none. A name is looked at again whenever it is connected to.
    pub(crate) fn check(self, text: &str) -> Result<Url, &'static str> {
        if text.len() > URL_CHARS_MAX {
            return Err("must have at most 500 characters");
        }
        let url = Url::parse(text).map_err(|_| "must be an address like https://example.com/hooks")?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err("must begin with https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not carry a name or a password");
        }
        let literal = url.host_str().map(|host| host.trim_matches(['[', ']'])).unwrap_or_default().parse::<IpAddr>();
        match literal {
            Ok(ip) if !self.permits(ip) => Err("must not be a private or local address"),
            _ => Ok(url),
        }
    }

    pub(crate) fn permits(self, ip: IpAddr) -> bool {
        self.allow_private || is_public(ip)
    }
}

/// Resolves names to the addresses that may be connected to; the connection is made to one of these, so that what was
/// looked at is what is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOnly(pub(crate) Reach);

impl Service<Name> for PublicOnly {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<_> = found.filter(|address| reach.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(std::io::Error::other("the name leads to no public address"));
            }
            Ok(permitted.into_iter())
        })
    }
}

/// Whether an address is one of the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_public_v4(ip),
            None => is_public_v6(ip),
        },
    }
}

/// See the IANA IPv4 special-purpose address registry.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        // Shared by providers; protocol assignments; benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

/// Only what is assigned for the world, without what carries an IPv4 address that could be anything.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let is_global = (first & 0xe000) == 0x2000;
    // 2001::/23 (protocols, Teredo), 2001:db8::/32 (documentation), 2002::/16 (6to4), 3fff::/20 (documentation).
    let is_special = (first == 0x2001 && (second < 0x200 || second == 0x0db8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000);
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Reach = Reach { allow_http: false, allow_private: false };

    #[test]
    fn only_addresses_of_the_world_are_reached() {
        for ip in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::127.0.0.1",
            "100::1",
        ] {
            assert!(!STRICT.permits(ip.parse().unwrap()), "{ip}");
            assert!(Reach { allow_private: true, ..STRICT }.permits(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(STRICT.permits(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn an_address_is_https_without_a_password_and_no_local_number() {
        assert!(STRICT.check("https://luna.example/hooks?a=1").is_ok());
        for text in [
            "http://luna.example/",
            "ftp://luna.example/",
            "luna.example",
            "https://",
            "https://me:pw@luna.example/",
            "https://me@luna.example/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            // Other ways to write 127.0.0.1.
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127.1/",
        ] {
            assert!(STRICT.check(text).is_err(), "{text}");
        }
        assert!(STRICT.check(&format!("https://luna.example/{}", "a".repeat(500))).is_err());
        let open = Reach { allow_http: true, allow_private: true };
        assert!(open.check("http://127.0.0.1:8080/").is_ok());
        assert!(open.check("file:///etc/passwd").is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let resolve = |reach| PublicOnly(reach).call("localhost".parse().unwrap());
        assert!(resolve(STRICT).await.is_err());
        assert!(resolve(Reach { allow_private: true, ..STRICT }).await.is_ok());
    }
}
