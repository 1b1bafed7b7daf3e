//! What browsers do: sign in, and change something.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $code)),*];
        }
    };
}

outcomes! {
    /// What became of a try to sign in; the label `result`.
    SignIn {
        /// Let in.
        Ok = "ok",
        /// No key, or none that may.
        Refused = "refused",
        /// Too many tries before.
        Limited = "limited",
    }
}

outcomes! {
    /// What became of a sign-out; the label `result`.
    SignOut {
        /// The brokers have it, so that every process refuses the session.
        Told = "told",
        /// This process refuses it, and tells the others later.
        Pending = "pending",
    }
}

outcomes! {
    /// What became of a command that was passed on; the label `result`.
    Forwarded {
        /// Carried out, or accepted.
        Ok = "ok",
        /// Ingest said no.
        Rejected = "rejected",
        /// Ingest could not.
        Failed = "failed",
        /// Too many under way; nothing was sent.
        Refused = "refused",
        /// Nothing was sent.
        Unreachable = "unreachable",
        /// No answer in time.
        TimedOut = "timed_out",
        /// The answer broke off, or was too large.
        Broken = "broken",
    }
}

/// Tries to sign in.
#[derive(Debug, Clone)]
pub struct SignInMetrics(Vec<(SignIn, IntCounter)>);

impl SignInMetrics {
    /// # Errors
    /// When the name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = counters(registry, "tollbooth_query_sign_ins_total", "Tries to sign in.")?;
        Ok(Self(SignIn::ALL.iter().map(|(result, code)| (*result, counters.with_label_values(&[code]))).collect()))
    }

    /// Counts one.
    pub fn count(&self, result: SignIn) {
        self.0.iter().filter(|(known, _)| *known == result).for_each(|(_, counter)| counter.inc());
    }
}

/// Sign-outs.
#[derive(Debug, Clone)]
pub struct SignOutMetrics(Vec<(SignOut, IntCounter)>);

impl SignOutMetrics {
    /// # Errors
    /// When the name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Sign-outs. pending: the brokers did not take it, and the other processes are told later.";
        let counters = counters(registry, "tollbooth_query_sign_outs_total", help)?;
        Ok(Self(SignOut::ALL.iter().map(|(result, code)| (*result, counters.with_label_values(&[code]))).collect()))
    }

    /// Counts one.
    pub fn count(&self, result: SignOut) {
        self.0.iter().filter(|(known, _)| *known == result).for_each(|(_, counter)| counter.inc());
    }
}

/// Commands that are passed on.
#[derive(Debug, Clone)]
pub struct ForwardMetrics(Vec<(Forwarded, IntCounter)>);

impl ForwardMetrics {
    /// # Errors
    /// When the name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = counters(registry, "tollbooth_query_forwarded_total", "Commands passed on to ingest.")?;
        Ok(Self(Forwarded::ALL.iter().map(|(result, code)| (*result, counters.with_label_values(&[code]))).collect()))
    }

    /// Counts one.
    pub fn count(&self, result: Forwarded) {
        self.0.iter().filter(|(known, _)| *known == result).for_each(|(_, counter)| counter.inc());
    }
}

fn counters(registry: &Registry, name: &str, help: &str) -> Result<IntCounterVec, prometheus::Error> {
    let counters = IntCounterVec::new(Opts::new(name, help), &["result"])?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}
