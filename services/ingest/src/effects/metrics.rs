//! Metric handles of the effects.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// What became of asking a payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The money is taken.
    Succeeded,
    /// It is not, for good.
    Failed,
    /// Nobody knows: it is asked again.
    NoAnswer,
}

impl Attempt {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Succeeded, "succeeded"), (Self::Failed, "failed"), (Self::NoAnswer, "no_answer")];
}

/// What became of a try to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    Yes,
    /// It is tried again.
    NotYet,
    /// It is not.
    Dead,
}

impl Delivered {
    const ALL: [(Self, &'static str); 3] = [(Self::Yes, "delivered"), (Self::NotYet, "failed"), (Self::Dead, "dead")];
}

/// What became of a payment that the provider has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reconciled {
    /// Nobody had posted it.
    Posted,
    /// It is posted already.
    Known,
    /// The ledger does not take it, or it is not as it was ordered.
    Refused,
    /// The ledger does not answer.
    Late,
    /// A purchase that its payer left: given up at the provider.
    Expired,
}

impl Reconciled {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Posted, "posted"),
        (Self::Known, "known"),
        (Self::Refused, "refused"),
        (Self::Late, "late"),
        (Self::Expired, "expired"),
    ];
}

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct EffectsMetrics {
    attempts: [IntCounter; Attempt::ALL.len()],
    durations: [Histogram; Attempt::ALL.len()],
    webhooks: [IntCounter; Delivered::ALL.len()],
    mails: [IntCounter; Delivered::ALL.len()],
    /// Deliveries that are to be tried, and those that are dead.
    pub(super) waiting: IntGauge,
    pub(super) dead: IntGauge,
    /// Records that are no effect of this release.
    pub(super) unreadable: IntCounter,
    pub(super) under_way: IntGauge,
    pub(super) oldest_age: IntGauge,
    /// Of the outbox, read or not.
    pub(super) outbox_oldest_age: IntGauge,
    /// By group, topic and partition.
    pub(super) lag_records: IntGaugeVec,
    reconciled: [IntCounter; Reconciled::ALL.len()],
    /// When all of a round was looked at last.
    pub(super) reconciled_at: IntGauge,
}

impl EffectsMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let attempts = IntCounterVec::new(
            Opts::new(
                "tollbooth_recharge_attempts_total",
                "Recharges that a payment provider was asked for, by result.",
            ),
            &["result"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "tollbooth_recharge_duration_seconds",
                "Time until the payment provider answered, or was given up for this try.",
            )
            .buckets(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
            &["result"],
        )?;
        let unreadable = IntCounter::new(
            "tollbooth_effects_unreadable_total",
            "Records of the outbox that are no effect of this release; they are left out.",
        )?;
        let under_way =
            IntGauge::new("tollbooth_effects_under_way", "Effects that were read and are not carried out yet.")?;
        let oldest_age = IntGauge::new(
            "tollbooth_effects_oldest_age_seconds",
            "How long ago the oldest effect under way was decided; 0: none is.",
        )?;
        let outbox_oldest_age = IntGauge::new(
            "tollbooth_outbox_oldest_age_seconds",
            "How long ago the oldest effect was decided that the group has not carried out, whoever of it reads; 0: none waits.",
        )?;
        registry.register(Box::new(outbox_oldest_age.clone()))?;
        let lag_records = IntGaugeVec::new(
            Opts::new(
                "tollbooth_consumer_lag_records",
                "Offsets between the group and the partition's end, the end of the last transaction counted in; whoever of the group reads.",
            ),
            &["group", "topic", "partition"],
        )?;
        registry.register(Box::new(lag_records.clone()))?;
        let deliveries = IntCounterVec::new(
            Opts::new(
                "tollbooth_webhook_deliveries_total",
                "Tries to deliver a message to an endpoint, by way and result.",
            ),
            &["kind", "result"],
        )?;
        let waiting =
            IntGauge::new("tollbooth_webhook_deliveries_waiting", "Deliveries that are not there yet and are tried.")?;
        let dead = IntGauge::new("tollbooth_webhook_deliveries_dead", "Deliveries that were given up.")?;
        let reconciled = IntCounterVec::new(
            Opts::new(
                "tollbooth_payments_reconciled_total",
                "Payments found taken at the provider, by what became of them; posted: nobody had told of it; expired: its payer left, and it was given up there. Also recharges that were paid just now and that the ledger refuses.",
            ),
            &["result"],
        )?;
        let reconciled_at = IntGauge::new(
            "tollbooth_payments_reconciled_timestamp_seconds",
            "When the provider was last asked for all payments taken, and the ledger knew of each, or this process started; 0: there is none to ask.",
        )?;
        registry.register(Box::new(reconciled.clone()))?;
        registry.register(Box::new(reconciled_at.clone()))?;
        let reconciled = Reconciled::ALL.map(|(_, label)| reconciled.with_label_values(&[label]));
        registry.register(Box::new(deliveries.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        registry.register(Box::new(dead.clone()))?;
        let webhooks = Delivered::ALL.map(|(_, label)| deliveries.with_label_values(&["webhook", label]));
        let mails = Delivered::ALL.map(|(_, label)| deliveries.with_label_values(&["mail", label]));
        registry.register(Box::new(attempts.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(unreadable.clone()))?;
        registry.register(Box::new(under_way.clone()))?;
        registry.register(Box::new(oldest_age.clone()))?;
        let attempts = Attempt::ALL.map(|(_, label)| attempts.with_label_values(&[label]));
        let durations = Attempt::ALL.map(|(_, label)| durations.with_label_values(&[label]));
        Ok(Self {
            attempts,
            durations,
            webhooks,
            mails,
            waiting,
            dead,
            unreadable,
            under_way,
            oldest_age,
            outbox_oldest_age,
            lag_records,
            reconciled,
            reconciled_at,
        })
    }

    pub(super) fn reconciled(&self, what: Reconciled) {
        self.reconciled[what as usize].inc();
    }

    pub(super) fn delivered(&self, is_mail: bool, what: Delivered) {
        let counters = if is_mail { &self.mails } else { &self.webhooks };
        counters[what as usize].inc();
    }

    pub(super) fn attempted(&self, attempt: Attempt, elapsed: Duration) {
        self.attempts[attempt as usize].inc();
        self.durations[attempt as usize].observe(elapsed.as_secs_f64());
    }
}
