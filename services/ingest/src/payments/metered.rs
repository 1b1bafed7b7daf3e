//! Counts what becomes of payments, whoever makes them.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tollbooth_schemas::AccountId;

use super::stripe::{Called, Heard, Operation, Way};
use super::{Answer, GivingUp, Payment, PaymentError, PaymentOrder, PaymentProvider};

/// Names of providers, as labels.
const PROVIDERS: [&str; 2] = ["sandbox", "stripe"];

/// What an order came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Succeeded,
    NeedsAction,
    Failed,
    /// The order itself cannot be paid.
    Refused,
    NoAnswer,
    Unavailable,
}

impl Outcome {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Succeeded, "succeeded"),
        (Self::NeedsAction, "needs_action"),
        (Self::Failed, "failed"),
        (Self::Refused, "refused"),
        (Self::NoAnswer, "no_answer"),
        (Self::Unavailable, "unavailable"),
    ];

    fn of(answer: &Result<Payment, PaymentError>) -> Self {
        match answer {
            Ok(Payment::Succeeded) => Self::Succeeded,
            Ok(Payment::NeedsAction { .. }) => Self::NeedsAction,
            Ok(Payment::Failed { .. }) => Self::Failed,
            Err(PaymentError::NoAnswer) => Self::NoAnswer,
            Err(PaymentError::Unavailable) => Self::Unavailable,
            Err(
                PaymentError::Mismatch
                | PaymentError::UnknownMethod
                | PaymentError::NoSavedMethod
                | PaymentError::Amount
                | PaymentError::TooOld,
            ) => Self::Refused,
        }
    }
}

/// Of payments, of calls to a provider, and of what it tells by itself.
#[derive(Debug, Clone)]
pub(crate) struct PaymentMetrics {
    outcomes: [[IntCounter; Outcome::ALL.len()]; PROVIDERS.len()],
    calls: [[IntCounter; Called::ALL.len()]; Operation::ALL.len()],
    heard: [IntCounter; Heard::ALL.len()],
    returned: [IntCounter; Way::ALL.len()],
}

impl PaymentMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let outcomes = counters(
            "tollbooth_payments_total",
            "Times that a provider was asked for a payment, by what it said; no_answer: it is asked again.",
            &["provider", "outcome"],
        )?;
        let calls = counters(
            "tollbooth_payment_provider_calls_total",
            "Requests to the payment provider's API, each try, by operation and result.",
            &["operation", "result"],
        )?;
        let heard = counters(
            "tollbooth_payment_webhooks_total",
            "What the payment provider told by itself, by what became of it.",
            &["result"],
        )?;
        let returned = counters(
            "tollbooth_payments_returned_total",
            "Money that went back at the payment provider, or came again after it had, and stands in the ledger by this process, by way.",
            &["way"],
        )?;
        Ok(Self {
            returned: Way::ALL.map(|way| returned.with_label_values(&[way.label()])),
            outcomes: PROVIDERS
                .map(|provider| Outcome::ALL.map(|(_, label)| outcomes.with_label_values(&[provider, label]))),
            calls: Operation::ALL
                .map(|(_, operation)| Called::ALL.map(|(_, result)| calls.with_label_values(&[operation, result]))),
            heard: Heard::ALL.map(|(_, label)| heard.with_label_values(&[label])),
        })
    }

    fn came_to(&self, provider: &str, outcome: Outcome) {
        if let Some(at) = PROVIDERS.iter().position(|name| *name == provider) {
            self.outcomes[at][outcome as usize].inc();
        }
    }

    pub(crate) fn called(&self, operation: Operation, result: Called) {
        self.calls[operation as usize][result as usize].inc();
    }

    pub(crate) fn returned(&self, way: Way) {
        self.returned[way as usize].inc();
    }

    pub(crate) fn heard(&self, what: Heard) {
        self.heard[what as usize].inc();
    }
}

/// Counts while an answer is awaited: one that is given up is none.
struct Awaited<'a> {
    metrics: &'a PaymentMetrics,
    provider: &'static str,
    outcome: Outcome,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.metrics.came_to(self.provider, self.outcome);
    }
}

/// A provider whose answers are counted.
#[derive(Debug)]
pub(crate) struct Metered {
    provider: Arc<dyn PaymentProvider>,
    metrics: PaymentMetrics,
}

impl Metered {
    pub(crate) fn of(provider: Arc<dyn PaymentProvider>, metrics: PaymentMetrics) -> Arc<dyn PaymentProvider> {
        Arc::new(Self { provider, metrics })
    }

    fn counted<'a>(&'a self, answer: Answer<'a>) -> Answer<'a> {
        Box::pin(async move {
            let (metrics, provider) = (&self.metrics, self.provider.name());
            let mut awaited = Awaited { metrics, provider, outcome: Outcome::NoAnswer };
            let answer = answer.await;
            awaited.outcome = Outcome::of(&answer);
            answer
        })
    }
}

impl PaymentProvider for Metered {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn is_sandbox(&self) -> bool {
        self.provider.is_sandbox()
    }

    fn pay<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a> {
        self.counted(self.provider.pay(order))
    }

    fn look<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a> {
        self.counted(self.provider.look(order))
    }

    fn give_up<'a>(&'a self, account_id: &'a AccountId, payment_id: &'a str) -> GivingUp<'a> {
        self.provider.give_up(account_id, payment_id)
    }
}
