//! An error with what brought it about, in one line.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Longest chain that is told; a longer one goes round in a circle.
const CAUSES_MAX: usize = 16;

/// An error and the errors behind it, the outermost first: "network error: client error (Connect): invalid peer
/// certificate: UnknownIssuer". What an error says in the words of its cause is not said twice.
#[derive(Debug)]
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        let mut next = self.0.source();
        for _ in 0..CAUSES_MAX {
            let Some(cause) = next else { break };
            let text = cause.to_string();
            if !told.contains(&text) {
                told = format!("{told}: {text}");
            }
            next = cause.source();
        }
        f.write_str(&told)
    }
}

/// How `main` ends: what went wrong is the last line on standard error, with its causes and without a stack of calls
/// below it, which a look at the end of a log would show instead.
pub fn ended<E: AsRef<dyn Error + Send + Sync>>(outcome: Result<ExitCode, E>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("Error: {}", Causes(error.as_ref()));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("not connected")]
        Outer(#[source] Box<Layer>),
        #[error("handshake: {0}")]
        Telling(#[source] Box<Layer>),
        #[error("unknown authority")]
        Inner,
    }

    #[test]
    fn the_cause_is_told_once() {
        let telling = Layer::Telling(Box::new(Layer::Inner));
        assert_eq!(Causes(&telling).to_string(), "handshake: unknown authority");
        let outer = Layer::Outer(Box::new(telling));
        assert_eq!(Causes(&outer).to_string(), "not connected: handshake: unknown authority");
    }
}
