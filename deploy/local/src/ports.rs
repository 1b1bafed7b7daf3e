//! Free ports on loopback that stay free while an engine is down.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
#[cfg(target_os = "linux")]
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

use crate::error::{LocalError, Result};

const PORT_MIN: u16 = 20_000;
const PORT_MAX: u16 = 32_000;
const TRIES_MAX: u32 = 1_000;

/// What this process claims, to its end: between the draw and the moment at which somebody listens, and while a service
/// is down between a stop and a start, a port is free for everybody.
static CLAIMED: Mutex<BTreeMap<u16, Claim>> = Mutex::new(BTreeMap::new());

/// A port on 127.0.0.1 that nothing listens on, below the range from which the kernel takes client ports; each one only
/// once, and none that another process of this program, such as a test beside it, was given and may come back to.
///
/// A port out of the client range (what binding to port 0 gives) can be taken by any outgoing connection while the
/// engine is down between a kill and its restart; a client that keeps reconnecting to it can even connect to itself,
/// and then the engine cannot come back. Linux begins that range at 32,768.
pub fn free_port() -> Result<u16> {
    let mut random = RandomState::new().build_hasher();
    for attempt in 0..TRIES_MAX {
        random.write_u32(attempt);
        let span = u64::from(PORT_MAX - PORT_MIN);
        let port = PORT_MIN + u16::try_from(random.finish() % span).unwrap_or(0);
        // First the claim: even a look at whether it is free takes it for a moment.
        if claim_port(port) && is_free(port) {
            return Ok(port);
        }
    }
    Err(LocalError::NoFreePort { from: PORT_MIN, to: PORT_MAX })
}

/// Keeps [`free_port`] from handing out this port, here and in every other process on this machine, until this one
/// ends; `false` where somebody has claimed it already.
pub fn claim_port(port: u16) -> bool {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    let Entry::Vacant(place) = claimed.entry(port) else { return false };
    claim(port).is_some_and(|claim| {
        place.insert(claim);
        true
    })
}

/// A name that the kernel takes back when the process ends, however it ends.
#[cfg(target_os = "linux")]
type Claim = UnixListener;

#[cfg(target_os = "linux")]
fn claim(port: u16) -> Option<Claim> {
    let name = SocketAddr::from_abstract_name(format!("tollbooth-port-{port}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

/// Elsewhere only this process keeps its word.
#[cfg(not(target_os = "linux"))]
type Claim = ();

#[cfg(not(target_os = "linux"))]
fn claim(_: u16) -> Option<Claim> {
    Some(())
}

/// Whether a listener could be bound to this port of 127.0.0.1 right now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        // Drawn independently, two of so many are the same all but certainly.
        let ports: Vec<u16> = (0..600).map(|_| free_port().unwrap()).collect();
        let distinct: BTreeSet<&u16> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_port_that_another_process_was_given_is_not_given() {
        // given a port that somebody else was given, and where nobody listens
        let other = free_port().unwrap();
        let theirs = CLAIMED.lock().unwrap().remove(&other).unwrap();
        assert!(is_free(other));

        // then it cannot be had until that process is gone
        assert!(!claim_port(other));
        drop(theirs);
        assert!(claim_port(other));
        assert!(!claim_port(other));
    }
}
