//! Free ports on loopback that stay free while an engine is down.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::error::{LocalError, Result};

const PORT_MIN: u16 = 20_000;
const PORT_MAX: u16 = 32_000;
const TRIES_MAX: u32 = 1_000;

/// Those that were handed out by this process, and are not handed out again: between the draw and the moment at which
/// somebody listens a port is free for everybody.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on 127.0.0.1 that nothing listens on, below the range from which the kernel takes client ports; each one only
/// once a process.
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
        if is_free(port) && GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
    Err(LocalError::NoFreePort { from: PORT_MIN, to: PORT_MAX })
}

/// Whether a listener could be bound to this port of 127.0.0.1 right now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        // Drawn independently, two of so many are the same all but certainly.
        let ports: Vec<u16> = (0..600).map(|_| free_port().unwrap()).collect();
        let distinct: BTreeSet<&u16> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len());
    }
}
