//! What can be set, and its defaults. Variables are `TOLLBOOTH_INGEST__...`; see `tollbooth_chassis::config`.

mod stripe;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::KEYS_AGE_MAX;
use tollbooth_chassis::config::{
    ClickHouseSection, KafkaSection, Secret, ServiceConfig, Shared, TopicsSection, TracesSection,
};
use tollbooth_chassis::forward::Forwarding;
use tollbooth_chassis::http::HttpLimits;
use tollbooth_chassis::kafka::TopicSpec;
use tollbooth_chassis::trail::END_PATIENCE;
use tollbooth_schemas::time::DAY_MS;
use tollbooth_schemas::{Money, price_book, topics};

pub use stripe::StripeSection;

/// The whole configuration of ingest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Where booths and backends send. Default `127.0.0.1:8080`.
    pub listen: String,
    /// Where `/metrics`, `/livez` and `/readyz` are. Default `127.0.0.1:9110`.
    pub ops_listen: String,
    /// The first admin key, `tb_ak_...`; further keys are made with it. Also `TOLLBOOTH_ADMIN_KEY`. Empty: none.
    pub admin_key: Secret,
    /// How long ago `registry` may have been read to its end; then every key but the first is answered with 503: a
    /// revocation may stand further on. Default 300,000 (5 minutes).
    pub registry_age_max_ms: u64,
    /// How long before it changes a price a book must be published. Default 600,000 (10 minutes).
    pub price_book_lead_ms: i64,
    /// The cluster.
    pub kafka: KafkaSection,
    /// What topics that are missing are created with.
    pub topics: TopicsSection,
    /// Bounds of the HTTP listener.
    pub http: HttpLimits,
    /// Bounds of a usage event.
    pub events: EventsSection,
    /// How much may be under way at once.
    pub admission: AdmissionSection,
    /// The producer.
    pub producer: ProducerSection,
    /// Commands and their replies.
    pub commands: CommandsSection,
    /// Credit that is bought.
    pub purchases: PurchasesSection,
    /// Requests that query passes on for who signed in there.
    pub forward: ForwardSection,
    /// `tollbooth-ingest effects`.
    pub effects: EffectsSection,
    /// Endpoints that accounts are told at.
    pub webhooks: WebhooksSection,
    /// Mail about alerts.
    pub mail: MailSection,
    /// Traces of requests.
    pub traces: TracesSection,
    /// Where charges that are to be refunded are looked up. Default none: refunds are answered with 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clickhouse: Option<ClickHouseSection>,
}

/// `[events]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsSection {
    /// Events in one batch; beyond it 413. Default 1,000.
    pub batch_events_max: usize,
    /// Older events are refused with 422. Default 35.
    pub age_days_max: u32,
    /// How long the meter knows operation ids, as it is configured there; `age_days_max` may not be larger, or an old
    /// event sent again would be charged again. Default 90.
    pub operation_retention_days: u32,
    /// How far ahead of our clock an event may lie; beyond it 422. Default 60.
    pub future_minutes_max: u32,
}

/// `[admission]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionSection {
    /// Requests being answered; beyond it 503 with `Retry-After`. Default 1,024.
    pub requests_max: usize,
    /// Bytes of their bodies, unpacked; beyond it 503 with `Retry-After`. Default 256 MiB.
    pub bytes_max: usize,
    /// Of the requests, those of one key; beyond it 429 with `Retry-After` to that key. Default 256.
    pub key_requests_max: usize,
    /// Of the bytes, those of one key; beyond it 429 with `Retry-After` to that key. Default 64 MiB.
    pub key_bytes_max: usize,
}

/// `[producer]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProducerSection {
    /// Records waiting for the broker, in KiB; beyond it 503 with `Retry-After`. Default 256 MiB.
    pub queue_kbytes_max: u32,
    /// After this a record that the broker did not acknowledge is given up with 503. With
    /// `commands.reply_timeout_ms` below `http.request_timeout_ms`, so that the client hears of it. Default 15,000.
    pub delivery_timeout_ms: u64,
    /// How long a record waits for company. Default 2.
    pub linger_ms: u32,
}

/// `[commands]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandsSection {
    /// How long the meter's reply is waited for, once the command was acknowledged, before the answer is 202. Below
    /// `http.drain_timeout_ms`, so that a command that waits at a shutdown is answered, too. Default 8,000.
    pub reply_timeout_ms: u64,
    /// How long the audit trail is waited for before anything is done; then 503. With 1 s for its end it
    /// is part of what a command takes. Default 2,500.
    pub audit_timeout_ms: u64,
    /// How long ClickHouse may look for a charge that is to be refunded, before the answer is 503. Default 3,000.
    pub lookup_timeout_ms: u64,
}

/// `[forward]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardSection {
    /// What query signs with, at least 32 characters of chance, the same at both; shared variable
    /// `TOLLBOOTH_FORWARD_SECRET`. Empty (default): nothing that is passed on is taken.
    pub secret: Secret,
}

/// `[purchases]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PurchasesSection {
    /// Who takes the money. Default `none`: purchases are answered with 409.
    pub provider: Provider,
    /// Smallest purchase, in the account's currency; below it 422. Default `50.00`.
    pub amount_min: Money,
    /// Largest purchase; beyond it 422. Default `10000.00`.
    pub amount_max: Money,
    /// How long the provider is waited for before the answer is 202. Default 5,000.
    pub provider_timeout_ms: u64,
    /// How long a purchase waits for what its payer has to do, before it is given up at the provider, too. Default
    /// 86,400,000 (a day).
    pub expire_after_ms: u64,
    /// Stripe, where that is the provider.
    pub stripe: StripeSection,
}

/// `[effects]`: what `tollbooth-ingest effects` does beside the settings that it shares with `serve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EffectsSection {
    /// Where `/metrics`, `/livez` and `/readyz` are. Default `127.0.0.1:9114`.
    pub ops_listen: String,
    /// Consumer group. Default `tollbooth-effects`.
    pub group: String,
    /// Name of this process in the group, unique, and the same after a restart. Default `effects-1`.
    pub member_id: String,
    /// Payments that the provider is asked for at once; the others wait. Default 64.
    pub concurrency_max: usize,
    /// Effects that were read and are not carried out; beyond it nothing further is read. Default 10,000.
    pub backlog_max: usize,
    /// Pause before a provider that did not answer is asked again; each further one doubles it. Default 1,000.
    pub retry_min_ms: u64,
    /// Longest such pause. Default 60,000.
    pub retry_max_ms: u64,
    /// The test card that the sandbox takes for the one that every account has saved. Default `4242424242424242`, which
    /// approves.
    pub sandbox_card: Secret,
}

/// `[webhooks]`, of `serve` and `effects` alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksSection {
    /// What the secrets of endpoints are derived from, at least 32 characters of chance; another one changes them all.
    /// Empty (default): there are no webhooks and no mail.
    pub secret: Secret,
    /// Whether an endpoint may be reached without TLS. Default false.
    pub allow_http: bool,
    /// Whether an endpoint may lie at a private or local address: for trial, or where all of them are one's own. Default
    /// false.
    pub allow_private_addresses: bool,
    /// Mail addresses of one account; beyond it 409. Default 3.
    pub mail_addresses_max: usize,
    /// Pings of one account in an hour, mail addresses that it adds counted in, at each process; beyond it 429 with
    /// `Retry-After`. Default 20.
    pub messages_per_hour_max: usize,
    /// Dead deliveries of one account that are replayed in an hour, at each process; beyond it 429 with `Retry-After`.
    /// Default 1,000.
    pub replays_per_hour_max: usize,
    /// How long an endpoint may take to answer. Default 15,000.
    pub timeout_ms: u64,
    /// Pause after the first try that failed; each further one is twice as long, give or take a fifth. Default 5,000.
    pub retry_min_ms: u64,
    /// Longest such pause. Default 21,600,000 (6 hours).
    pub retry_max_ms: u64,
    /// For how long it is tried before it is dead. Default 259,200,000 (3 days).
    pub retry_for_ms: u64,
}

/// `[mail]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailSection {
    /// The SMTP server's name. Empty (default): no mail is sent.
    pub host: String,
    /// Its port. Default 587.
    pub port: u16,
    /// How the connection is kept from others. Default `starttls`.
    pub tls: MailTls,
    /// Empty (default): none is given.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The sender, like `tollbooth <alerts@example.com>`.
    pub from: String,
}

/// How a connection to the SMTP server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// It is not: for a server on the same machine.
    None,
    /// TLS is asked for, and nothing sent without it.
    Starttls,
    /// TLS from the first byte (port 465).
    Tls,
}

/// Who takes the money of purchases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Nobody.
    None,
    /// Nobody, while the credit is posted as if: for trial and tests.
    Sandbox,
    /// Stripe, by `[purchases.stripe]`.
    Stripe,
}

/// A bank's page takes its minutes; what is older than the longest look at the provider's payments would never be given up.
const PURCHASE_LIFE_MS: std::ops::RangeInclusive<u64> = 60_000..=2_592_000_000;

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            ops_listen: "127.0.0.1:9110".to_owned(),
            admin_key: Secret::default(),
            registry_age_max_ms: KEYS_AGE_MAX.as_secs() * 1_000,
            price_book_lead_ms: price_book::LEAD_MS_DEFAULT,
            kafka: KafkaSection::default(),
            topics: TopicsSection::default(),
            http: HttpLimits::default(),
            events: EventsSection::default(),
            admission: AdmissionSection::default(),
            producer: ProducerSection::default(),
            commands: CommandsSection::default(),
            purchases: PurchasesSection::default(),
            forward: ForwardSection::default(),
            effects: EffectsSection::default(),
            webhooks: WebhooksSection::default(),
            mail: MailSection::default(),
            traces: TracesSection::default(),
            clickhouse: None,
        }
    }
}

impl Default for EventsSection {
    fn default() -> Self {
        Self { batch_events_max: 1_000, age_days_max: 35, operation_retention_days: 90, future_minutes_max: 60 }
    }
}

impl Default for AdmissionSection {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self { requests_max: 1_024, bytes_max: 256 * MIB, key_requests_max: 256, key_bytes_max: 64 * MIB }
    }
}

impl Default for ProducerSection {
    fn default() -> Self {
        Self { queue_kbytes_max: 256 * 1024, delivery_timeout_ms: 15_000, linger_ms: 2 }
    }
}

impl Default for CommandsSection {
    fn default() -> Self {
        Self { reply_timeout_ms: 8_000, audit_timeout_ms: 2_500, lookup_timeout_ms: 3_000 }
    }
}

impl PurchasesSection {
    /// How long a purchase waits for its payer.
    pub(crate) fn life(&self) -> Duration {
        Duration::from_millis(self.expire_after_ms)
    }
}

impl Default for PurchasesSection {
    fn default() -> Self {
        Self {
            provider: Provider::None,
            amount_min: whole(50),
            amount_max: whole(10_000),
            provider_timeout_ms: 5_000,
            expire_after_ms: 86_400_000,
            stripe: StripeSection::default(),
        }
    }
}

impl Default for EffectsSection {
    fn default() -> Self {
        Self {
            ops_listen: "127.0.0.1:9114".to_owned(),
            group: "tollbooth-effects".to_owned(),
            member_id: "effects-1".to_owned(),
            concurrency_max: 64,
            backlog_max: 10_000,
            retry_min_ms: 1_000,
            retry_max_ms: 60_000,
            sandbox_card: Secret::new("4242424242424242"),
        }
    }
}

impl Default for WebhooksSection {
    fn default() -> Self {
        Self {
            secret: Secret::default(),
            allow_http: false,
            allow_private_addresses: false,
            mail_addresses_max: 3,
            messages_per_hour_max: 20,
            replays_per_hour_max: 1_000,
            timeout_ms: 15_000,
            retry_min_ms: 5_000,
            retry_max_ms: 6 * 3_600_000,
            retry_for_ms: 3 * 86_400_000,
        }
    }
}

impl Default for MailSection {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: MailTls::Starttls,
            username: String::new(),
            password: Secret::default(),
            from: String::new(),
        }
    }
}

/// Each effect that waits is a task of some kilobytes.
const EFFECTS_BACKLOG_MAX: usize = 100_000;

const fn whole(amount: i32) -> Money {
    match Money::from_micros(amount as i64 * 1_000_000) {
        Some(money) => money,
        None => Money::ZERO,
    }
}

impl ServiceConfig for IngestConfig {
    const SERVICE: &'static str = "ingest";
    const SHARED: &'static [Shared] = &[Shared::Kafka, Shared::ClickHouse, Shared::AdminKey, Shared::ForwardSecret];
}

/// Settings that contradict each other or a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SettingError {
    /// Dotted path.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

impl IngestConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first setting that cannot be kept.
    pub fn check(&self) -> Result<(), SettingError> {
        let fail = |key, reason| Err(SettingError { key, reason });
        if self.events.age_days_max > self.events.operation_retention_days {
            let kept = self.events.operation_retention_days;
            let reason = format!("is beyond the {kept} days that operation ids are kept: a repeat would be charged");
            return fail("events.age_days_max", reason);
        }
        if !(1..=usize::from(u16::MAX)).contains(&self.events.batch_events_max) {
            return fail("events.batch_events_max", format!("must be 1 to {}", u16::MAX));
        }
        self.check_times()?;
        self.check_purchases()?;
        self.forwarding()?;
        self.check_effects()?;
        self.check_webhooks()?;
        for (key, bytes_max) in [
            ("admission.bytes_max", self.admission.bytes_max),
            ("admission.key_bytes_max", self.admission.key_bytes_max),
        ] {
            if bytes_max < self.http.body_bytes_max {
                return fail(key, "must hold at least one body of http.body_bytes_max".to_owned());
            }
        }
        for (key, requests_max) in [
            ("admission.requests_max", self.admission.requests_max),
            ("admission.key_requests_max", self.admission.key_requests_max),
        ] {
            if requests_max == 0 {
                return fail(key, "must be 1 or more, or nothing is answered".to_owned());
            }
        }
        Ok(())
    }

    /// Every wait must end before the one around it does.
    fn check_times(&self) -> Result<(), SettingError> {
        let fail = |key, reason: &str| Err(SettingError { key, reason: reason.to_owned() });
        let longest_ms = u64::try_from(self.command_time_max().as_millis()).unwrap_or(u64::MAX);
        if longest_ms >= self.http.request_timeout_ms {
            let reason = "with commands.reply_timeout_ms and commands.audit_timeout_ms and 1 s must be below \
                          http.request_timeout_ms, or clients hear 504 instead of 503 or 202";
            return fail("producer.delivery_timeout_ms", reason);
        }
        let with_lookup_ms = longest_ms.saturating_add(self.commands.lookup_timeout_ms);
        if self.clickhouse.is_some() && with_lookup_ms >= self.http.request_timeout_ms {
            let reason = "with all that a command takes (producer.delivery_timeout_ms) must be below \
                          http.request_timeout_ms, or a refund is answered with 504";
            return fail("commands.lookup_timeout_ms", reason);
        }
        if self.commands.reply_timeout_ms >= self.http.drain_timeout_ms {
            let reason = "must be below http.drain_timeout_ms, or a command that waits at a shutdown is not answered";
            return fail("commands.reply_timeout_ms", reason);
        }
        Ok(())
    }

    fn check_purchases(&self) -> Result<(), SettingError> {
        let fail = |key, reason: &str| Err(SettingError { key, reason: reason.to_owned() });
        let PurchasesSection { amount_min, amount_max, .. } = self.purchases;
        if amount_min <= Money::ZERO {
            return fail("purchases.amount_min", "must be above 0");
        }
        if amount_max < amount_min {
            return fail("purchases.amount_max", "is below purchases.amount_min: nothing could be bought");
        }
        if !PURCHASE_LIFE_MS.contains(&self.purchases.expire_after_ms) {
            return fail("purchases.expire_after_ms", "must be 60,000 (a minute) to 2,592,000,000 (30 days)");
        }
        StripeSection::check(&self.purchases)
    }

    /// What is passed on is checked with; `None`: nothing is taken.
    ///
    /// # Errors
    /// Where the secret is too short.
    pub fn forwarding(&self) -> Result<Option<Forwarding>, SettingError> {
        let secret = &self.forward.secret;
        let forwarding = (!secret.is_empty()).then(|| Forwarding::new(secret.expose())).transpose();
        forwarding.map_err(|error| SettingError { key: "forward.secret", reason: error.to_string() })
    }

    fn check_effects(&self) -> Result<(), SettingError> {
        let fail = |key, reason: &str| Err(SettingError { key, reason: reason.to_owned() });
        let EffectsSection { concurrency_max, backlog_max, retry_min_ms, retry_max_ms, .. } = self.effects;
        if concurrency_max == 0 {
            return fail("effects.concurrency_max", "must be 1 or more, or nothing is paid");
        }
        if !(1..=EFFECTS_BACKLOG_MAX).contains(&backlog_max) {
            return fail(
                "effects.backlog_max",
                "must be 1 to 100,000: at none nothing is carried out, and each takes memory",
            );
        }
        if retry_min_ms == 0 || retry_max_ms < retry_min_ms {
            return fail("effects.retry_max_ms", "must be effects.retry_min_ms or more, and that above 0");
        }
        Ok(())
    }

    fn check_webhooks(&self) -> Result<(), SettingError> {
        let fail = |key, reason: &str| Err(SettingError { key, reason: reason.to_owned() });
        let WebhooksSection { secret, timeout_ms, retry_min_ms, retry_max_ms, .. } = &self.webhooks;
        if !secret.is_empty() && secret.expose().len() < 32 {
            return fail("webhooks.secret", "must have at least 32 characters, of chance");
        }
        if *timeout_ms == 0 {
            return fail("webhooks.timeout_ms", "must be above 0, or nothing is delivered");
        }
        if *retry_min_ms == 0 || retry_max_ms < retry_min_ms {
            return fail("webhooks.retry_max_ms", "must be webhooks.retry_min_ms or more, and that above 0");
        }
        if !self.mail.host.is_empty() && self.mail.from.parse::<lettre::message::Mailbox>().is_err() {
            return fail("mail.from", "must be a sender, like tollbooth <alerts@example.com>");
        }
        if !self.mail.host.is_empty() && secret.is_empty() {
            return fail("mail.host", "needs webhooks.secret: mail addresses are endpoints like the others");
        }
        Ok(())
    }

    /// How long a charge may be looked for.
    #[must_use]
    pub fn lookup_timeout(&self) -> Duration {
        Duration::from_millis(self.commands.lookup_timeout_ms)
    }

    /// How long a command may take once its body is here: its trail, acknowledgement, reply, the trail's end.
    #[must_use]
    pub fn command_time_max(&self) -> Duration {
        let trail = self.audit_timeout() + END_PATIENCE;
        trail + self.delivery_timeout() + Duration::from_millis(self.commands.reply_timeout_ms)
    }

    /// How long the audit trail is waited for before anything is done.
    #[must_use]
    pub fn audit_timeout(&self) -> Duration {
        Duration::from_millis(self.commands.audit_timeout_ms)
    }

    /// Payments made earlier than this long ago are not posted without a person: the ledger may have forgotten that it
    /// posted them.
    #[must_use]
    pub fn payment_age_ms_max(&self) -> i64 {
        const MARGIN_DAYS: u32 = 10;
        i64::from(self.events.operation_retention_days.saturating_sub(MARGIN_DAYS)) * DAY_MS
    }

    /// Oldest age of an event.
    #[must_use]
    pub fn age_ms_max(&self) -> i64 {
        i64::from(self.events.age_days_max) * DAY_MS
    }

    /// Furthest future of an event.
    #[must_use]
    pub fn future_ms_max(&self) -> i64 {
        i64::from(self.events.future_minutes_max) * 60_000
    }

    /// How long a record may wait for its acknowledgement.
    #[must_use]
    pub fn delivery_timeout(&self) -> Duration {
        Duration::from_millis(self.producer.delivery_timeout_ms)
    }

    /// The topics' names.
    #[must_use]
    pub fn topic_set(&self) -> topics::TopicSet {
        topics::TopicSet { prefix: self.kafka.topic_prefix.clone(), partitions: self.topics.partitions }
    }

    /// The topics as they must be.
    #[must_use]
    pub fn topic_specs(&self) -> Vec<TopicSpec> {
        TopicSpec::all(&self.topic_set(), self.topics.replication)
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_chassis::config::reference;

    use super::*;

    #[test]
    fn the_reference_is_what_the_code_says() {
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let rows = reference::section(&IngestConfig::default()).unwrap();
        reference::keep(&document, "ingest", &rows).unwrap();
    }

    #[test]
    fn the_defaults_agree_with_each_other() {
        assert_eq!(IngestConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_wait_that_outlasts_the_one_around_it_is_refused() {
        let wrong = |adjust: fn(&mut IngestConfig)| {
            let mut config = IngestConfig::default();
            adjust(&mut config);
            config.check().map_err(|error| error.key)
        };
        assert_eq!(
            wrong(|config| config.producer.delivery_timeout_ms = 18_500),
            Err("producer.delivery_timeout_ms"),
            "with the reply's 8 s and the trail's 3.5 s it reaches the request's 30 s"
        );
        assert_eq!(wrong(|config| config.producer.delivery_timeout_ms = 18_499), Ok(()));
        assert_eq!(wrong(|config| config.commands.reply_timeout_ms = 10_000), Err("commands.reply_timeout_ms"));
    }

    #[test]
    fn a_look_up_counts_where_there_is_something_to_look_in() {
        let mut config = IngestConfig::default();
        config.commands.lookup_timeout_ms = 3_500;
        assert_eq!(config.check(), Ok(()));
        config.clickhouse = Some(ClickHouseSection::default());
        assert_eq!(config.check().map_err(|error| error.key), Err("commands.lookup_timeout_ms"));
        config.commands.lookup_timeout_ms = 3_499;
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn bounds_that_nothing_lies_between_are_refused() {
        let mut config = IngestConfig::default();
        for life_ms in [59_999, 2_592_000_001] {
            config.purchases.expire_after_ms = life_ms;
            assert_eq!(config.check().map_err(|error| error.key), Err("purchases.expire_after_ms"));
        }
        config.purchases.amount_max = "49.99".parse().unwrap();
        assert_eq!(config.check().map_err(|error| error.key), Err("purchases.amount_max"));
        config.purchases.amount_min = Money::ZERO;
        assert_eq!(config.check().map_err(|error| error.key), Err("purchases.amount_min"));
    }

    #[test]
    fn effects_that_would_carry_out_nothing_or_ask_without_a_pause_are_refused() {
        let mut config = IngestConfig::default();
        config.effects.retry_max_ms = 999;
        assert_eq!(config.check().map_err(|error| error.key), Err("effects.retry_max_ms"));
        config.effects.concurrency_max = 0;
        assert_eq!(config.check().map_err(|error| error.key), Err("effects.concurrency_max"));
        for backlog_max in [0, 100_001] {
            config.effects = EffectsSection { backlog_max, ..EffectsSection::default() };
            assert_eq!(config.check().map_err(|error| error.key), Err("effects.backlog_max"));
        }
    }

    #[test]
    fn a_share_that_takes_no_body_or_no_request_is_refused() {
        let mut config = IngestConfig::default();
        config.admission.key_bytes_max = config.http.body_bytes_max - 1;
        assert_eq!(config.check().map_err(|error| error.key), Err("admission.key_bytes_max"));
        let mut config = IngestConfig::default();
        config.admission.key_requests_max = 0;
        assert_eq!(config.check().map_err(|error| error.key), Err("admission.key_requests_max"));
    }

    #[test]
    fn an_age_limit_beyond_the_ids_retention_is_refused() {
        let mut config = IngestConfig::default();
        config.events.age_days_max = 400;
        assert_eq!(config.check().map_err(|error| error.key), Err("events.age_days_max"));
        config.events.operation_retention_days = 400;
        assert_eq!(config.check(), Ok(()));
    }
}
