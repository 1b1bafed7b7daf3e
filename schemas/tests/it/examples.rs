//! One example of everything that crosses a wire.

use tollbooth_schemas::{
    keys::{ApiKey, KeyDocument, KeyKind, RANDOM_BYTES},
    price_book::PriceBook,
    v1::{
        Accepted, AccountOpened, Adjustment, ChangePlan, Command, CommandRef, Entry, LedgerRecord, OpenAccount,
        PlanChanged, PostAdjustment, PriceModel, Rejected, Reply, SourceTopic, Usage, UsageStatus, command::Body,
        entry::Kind, reply::Outcome,
    },
};

/// 2026-11-21T20:15:03.120Z.
pub(crate) const NOON: i64 = 1_795_292_103_120;

/// A structured event with every member.
pub(crate) const EVENT: &str = r#"{
  "specversion": "1.0", "id": "b17-000042", "source": "/booths/bth_17", "type": "tollbooth.usage.v1",
  "subject": "acc_luna", "time": "2026-11-21T20:15:03.120Z", "datacontenttype": "application/json",
  "data": {"operation_id": "op_7f3a", "attempt": 2, "event_id": "evt_gala", "booth_id": "bth_17", "service": "ai_modify",
    "engine": "nano_banana_2", "variant": "1k", "country": "DE", "unit": "image", "quantity": "1.5", "status": "success",
    "mode": "live", "hold_id": "hld_9", "provider_cost": "0.067", "error_code": "none",
    "captured_at": "2026-11-21T20:14:00.000Z"}
}"#;

/// One with nothing that may be left out.
pub(crate) const EVENT_SMALL: &str = r#"{
  "specversion": "1.0", "id": "b17-000043", "source": "/booths/bth_17", "type": "tollbooth.usage.v1",
  "subject": "acc_luna", "time": "2026-11-21T21:15:03+01:00",
  "data": {"service": "sms", "engine": "sms_us_ca", "unit": "segment", "quantity": "0", "status": "failed"}
}"#;

/// A price book with every member.
pub(crate) const BOOK: &str = r#"{
  "version": 7, "currency": "USD", "effective_from": "2026-01-01T00:00:00.000Z",
  "plans": [{"code": "payg", "name": "Pay-As-You-Go", "monthly_fee": "0.00"}, {"code": "pro", "name": "Pro", "monthly_fee": "79"}],
  "services": [{"code": "ai_modify", "name": "AI Modify"}, {"code": "sms", "name": "SMS"}],
  "engines": [{"code": "nano_banana_2", "name": "Nano Banana 2"}, {"code": "sms_intl", "name": "SMS International"}],
  "prices": [
    {"service": "ai_modify", "engine": "nano_banana_2", "variant": "1k", "unit": "image", "model": "per_unit",
     "plans": {"payg": "0.24", "pro": "0.0125"}, "effective_to": "2026-09-24T00:00:00.000Z"},
    {"service": "ai_modify", "engine": "nano_banana_2", "variant": "1k", "unit": "image", "model": "flat",
     "plans": {"payg": "0.3"}, "effective_from": "2026-09-24T00:00:00.000Z"},
    {"service": "sms", "engine": "sms_intl", "country": "DE", "unit": "segment", "model": "per_unit", "plans": {"payg": "0.4"}}
  ]
}"#;

pub(crate) fn book() -> PriceBook {
    serde_json::from_str(BOOK).unwrap()
}

/// What a fleet of one machine is priced by.
pub(crate) fn local_book() -> PriceBook {
    serde_json::from_str(include_str!("../../../deploy/local/price-book.json")).unwrap()
}

pub(crate) fn api_key() -> ApiKey {
    let mut chance = [0_u8; RANDOM_BYTES];
    for (index, byte) in (0..).zip(&mut chance) {
        *byte = index;
    }
    ApiKey::generate(KeyKind::Booth, false, &chance).unwrap()
}

pub(crate) fn key_document() -> KeyDocument {
    let key = api_key();
    let (prefix, last_four) = key.hint();
    KeyDocument {
        key_id: "key_1".parse().unwrap(),
        kind: key.kind(),
        hash: key.hash(),
        prefix,
        last_four,
        account_id: Some("acc_luna".parse().unwrap()),
        booth_id: Some("bth_17".parse().unwrap()),
        label: Some("front desk".to_owned()),
        created_at: NOON,
        revoked_at: Some(NOON + 1),
    }
}

fn command_of(body: Body) -> Command {
    Command {
        account_id: "acc_luna".into(),
        idempotency_key: "idem-1".into(),
        body_hash: tollbooth_schemas::command::body_hash("command", b"{}"),
        actor: "key_1".into(),
        received_at_ms: NOON,
        reply_to: "ingest-a".into(),
        correlation_id: "c-1".into(),
        body: Some(body),
    }
}

/// Every command.
pub(crate) fn commands() -> Vec<Command> {
    let open = OpenAccount {
        name: "Luna Booths".into(),
        plan: "payg".into(),
        currency: "USD".into(),
        time_zone: "Europe/Berlin".into(),
        occurred_at_ms: Some(NOON),
    };
    let adjust = PostAdjustment {
        amount_micros: -12_500,
        reason: "goodwill".into(),
        note: "blurred".into(),
        occurred_at_ms: None,
    };
    let change = ChangePlan { plan: "pro".into(), effective_at_ms: Some(NOON) };
    vec![
        command_of(Body::OpenAccount(open)),
        command_of(Body::PostAdjustment(adjust)),
        command_of(Body::ChangePlan(change)),
    ]
}

/// Both replies.
pub(crate) fn replies() -> Vec<Reply> {
    let reply = |outcome| Reply { correlation_id: "c-1".into(), account_id: "acc_luna".into(), outcome: Some(outcome) };
    let accepted = Accepted {
        replayed: true,
        seq: 2,
        amount_micros: 50_000_000,
        balance_micros: 49_760_000,
        held_micros: 0,
        posted_at_ms: NOON,
        currency: "USD".into(),
    };
    let rejected = Rejected { status: 404, code: "unknown_account".into(), detail: "acc_luna was never opened".into() };
    vec![reply(Outcome::Accepted(accepted)), reply(Outcome::Rejected(rejected))]
}

fn usage() -> Usage {
    Usage {
        status: UsageStatus::Success.into(),
        operation_id: "op_7f3a".into(),
        attempt: 2,
        service: "ai_modify".into(),
        engine: "nano_banana_2".into(),
        variant: "1k".into(),
        country: "DE".into(),
        unit: "image".into(),
        quantity_micros: 1_500_000,
        event_id: "evt_gala".into(),
        booth_id: "bth_17".into(),
        plan: "payg".into(),
        price_version: 7,
        price_model: PriceModel::PerUnit.into(),
        unit_price_micros: 240_000,
        provider_cost_micros: Some(67_000),
        error_code: "none".into(),
        hold_id: "hld_9".into(),
        received_at_ms: NOON + 400,
        captured_at_ms: Some(NOON - 63_120),
        test_mode: true,
    }
}

/// A ledger record with an entry of every kind.
pub(crate) fn ledger_record() -> LedgerRecord {
    let kinds = [
        Kind::AccountOpened(AccountOpened {
            name: "Luna Booths".into(),
            plan: "payg".into(),
            currency: "USD".into(),
            time_zone: "Europe/Berlin".into(),
        }),
        Kind::Adjustment(Adjustment { reason: "top_up".into(), note: "card".into() }),
        Kind::PlanChanged(PlanChanged { plan: "pro".into(), effective_at_ms: NOON }),
        Kind::Usage(usage()),
        Kind::Usage(Usage {
            status: UsageStatus::Failed.into(),
            price_version: 0,
            price_model: 0,
            unit_price_micros: 0,
            provider_cost_micros: None,
            captured_at_ms: None,
            ..usage()
        }),
    ];
    let amounts = [0, 50_000_000, 0, -360_000, 0];
    let mut balance = 0;
    let entry = |(seq, (kind, amount)): (u64, (Kind, i64))| {
        balance += amount;
        let is_usage = matches!(kind, Kind::Usage(_));
        let command = CommandRef { idempotency_key: "idem-1".into(), body_hash: vec![7; 16], actor: "key_1".into() };
        Entry {
            seq,
            amount_micros: amount,
            balance_after_micros: balance,
            held_after_micros: 0,
            occurred_at_ms: NOON,
            source_topic: if is_usage { SourceTopic::Usage } else { SourceTopic::Commands }.into(),
            source_offset: 41,
            command: (!is_usage).then_some(command),
            kind: Some(kind),
        }
    };
    let entries = (1..).zip(kinds.into_iter().zip(amounts)).map(entry).collect();
    LedgerRecord { account_id: "acc_luna".into(), posted_at_ms: NOON + 500, input_generation: 3, entries }
}
