//! One example of everything that crosses a wire.

use tollbooth_schemas::{
    audit::{AuditActor, AuditEnded, AuditOutcome, AuditRecord, AuditStarted},
    keys::{ApiKey, KeyDocument, KeyKind, KeyRevocation, RANDOM_BYTES, Scope},
    price_book::PriceBook,
    v1::{
        Accepted, AccountOpened, Adjustment, AlertKind, AlertRaised, AlertsSet, BonusExpired, BonusGranted, BoothSet,
        BoothSpike, BudgetRule, ChangePlan, Charge, Command, CommandRef, Counted, CreditLimitSet, DefineEvent, Entry,
        EventDefined, FailRecharge, GrantBonus, HoldOutcome, HoldPlaced, HoldReleaseCause, HoldReleased, LedgerRecord,
        LetterHeader, LetterSource, OpenAccount, OutboxRecord, PlaceHold, PlanChanged, PlanFee, PostAdjustment,
        PostPlanFee, PostPurchase, PreparePurchase, PriceModel, PricePart, PricePartKind, Pricing, ProfileSet,
        Purchase, PurchasePosted, PurchaseSource, RechargeFailed, RechargeRequested, RechargeSet, RedriveLetter,
        Refund, Rejected, Reply, Reprice, Repriced, Reversal, ReversalCause, SetAlerts, SetBooth, SetCreditLimit,
        SetProfile, SetRecharge, SourceTopic, Usage, UsageStatus, VoidHold, command::Body, entry::Kind,
        outbox_record::Effect, place_hold::Size, recharge_set, reply::Outcome, set_recharge,
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
        expires_at: Some(NOON + 2),
        scopes: vec![Scope::Usage],
        replaced_by: Some("key_2".parse().unwrap()),
        replaces: Some("key_0".parse().unwrap()),
        first_key_id: Some("key_00".parse().unwrap()),
    }
}

pub(crate) fn key_revocation() -> KeyRevocation {
    KeyRevocation {
        key_id: "key_1".parse().unwrap(),
        revoked_at: NOON + 1,
        spares: Some(vec!["key_2".parse().unwrap()]),
    }
}

pub(crate) fn audit_records() -> [AuditRecord; 2] {
    let started = AuditStarted {
        audit_id: "aud_1".to_owned(),
        actor: AuditActor { key_id: "key_1".parse().unwrap(), kind: KeyKind::Admin },
        action: "define_event".to_owned(),
        account_id: Some("acc_luna".parse().unwrap()),
        resource: Some("evt_gala".to_owned()),
        idempotency_key: Some("idem-1".to_owned()),
        request_id: "req_1".to_owned(),
    };
    let ended = AuditEnded {
        audit_id: "aud_1".to_owned(),
        outcome: AuditOutcome::Refused,
        status: Some(422),
        code: Some("invalid_event".to_owned()),
        entry_id: None,
    };
    [AuditRecord::Started(started), AuditRecord::Ended(ended)]
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
    let mut commands = vec![Body::OpenAccount(open), Body::PostAdjustment(adjust), Body::ChangePlan(change)];
    commands.extend(hold_commands());
    commands.extend(money_commands());
    commands.extend(settings_commands());
    commands.into_iter().map(command_of).collect()
}

fn place_hold(size: Size) -> PlaceHold {
    PlaceHold {
        hold_id: "hld_9".into(),
        service: "ai_modify".into(),
        engine: "nano_banana_2".into(),
        variant: "1k".into(),
        country: "DE".into(),
        unit: "image".into(),
        timeout_ms: 600_000,
        event_id: "evt_gala".into(),
        booth_id: "bth_17".into(),
        size: Some(size),
    }
}

fn hold_commands() -> Vec<Body> {
    vec![
        Body::PlaceHold(place_hold(Size::QuantityMicros(1_500_000))),
        Body::PlaceHold(place_hold(Size::AmountMicros(360_000))),
        Body::VoidHold(VoidHold { hold_id: "hld_9".into() }),
        Body::SetCreditLimit(SetCreditLimit { credit_limit_micros: 5_000_000 }),
    ]
}

fn money_commands() -> Vec<Body> {
    let original = Charge {
        operation_id: "op_7f3a".into(),
        attempt: 2,
        amount_micros: 360_000,
        occurred_at_ms: NOON,
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
        test_mode: true,
    };
    vec![
        Body::Refund(Refund {
            seq: 4,
            amount_micros: Some(10_000),
            reason: "blurred".into(),
            note: "guest".into(),
            original: Some(original.clone()),
            counted: tiered().1.counted.map(|counted| *counted),
        }),
        Body::GrantBonus(GrantBonus {
            amount_micros: 2_000_000,
            expires_at_ms: Some(NOON),
            reason: "welcome".into(),
            note: "spring".into(),
        }),
        Body::PostPurchase(purchase()),
        Body::PreparePurchase(PreparePurchase { purchase: Some(purchase()) }),
        Body::PostPlanFee(PostPlanFee { period: "2026-11".into() }),
        Body::SetRecharge(SetRecharge {
            enabled: true,
            threshold_micros: 20_000_000,
            size: Some(set_recharge::Size::TargetMicros(70_000_000)),
            daily_cap_micros: Some(200_000_000),
            monthly_cap_micros: Some(1_000_000_000),
            amount_max_micros: Some(10_000_000_000),
        }),
        Body::FailRecharge(FailRecharge { recharge_id: "rch_1".into(), reason: "card_declined".into() }),
        Body::SetAlerts(SetAlerts { alerts: Some(alerts()) }),
        Body::RedriveLetter(RedriveLetter {
            source: Some(letter()),
            received_at_ms: NOON,
            payload: b"{}".to_vec(),
            headers: vec![LetterHeader { name: "ce_id".into(), value: b"b17-000042".to_vec() }],
        }),
        Body::Reprice(Reprice {
            repricing_id: "rpr_1".into(),
            seq: 8,
            original: Some(original),
            counted: tiered().1.counted.map(|counted| *counted),
            price_version: 13,
            amount_micros: 250_000,
            undo: true,
        }),
    ]
}

fn letter() -> LetterSource {
    LetterSource { topic: "tollbooth.usage".into(), partition: 3, offset: 1_204 }
}

fn purchase() -> PostPurchase {
    PostPurchase {
        payment_id: "pay_1".into(),
        provider: "sandbox".into(),
        amount_micros: 50_000_000,
        source: PurchaseSource::AutoRecharge.into(),
    }
}

fn settings_commands() -> Vec<Body> {
    vec![
        Body::DefineEvent(DefineEvent {
            event_id: "evt_gala".into(),
            name: "Gala".into(),
            starts_at_ms: NOON,
            ends_at_ms: NOON + 1,
            time_zone: "Europe/Berlin".into(),
            budget_micros: Some(100_000_000),
            on_exceeded: BudgetRule::RefuseHolds.into(),
        }),
        Body::SetBooth(SetBooth { booth_id: "bth_17".into(), name: "Left".into(), paused: true }),
        Body::SetProfile(SetProfile { name: Some("Luna & Sol".into()), time_zone: Some("Asia/Tokyo".into()) }),
        Body::SetProfile(SetProfile { name: None, time_zone: Some("UTC".into()) }),
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
        hold_amount_micros: 240_000,
        account_seq: 3,
    };
    let rejected = Rejected {
        status: 402,
        code: "insufficient_balance".into(),
        detail: "the balance does not have it".into(),
        missing_micros: 40_000,
        currency: "USD".into(),
    };
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
        hold_outcome: HoldOutcome::Captured.into(),
        pricing: None,
        letter: None,
    }
}

/// Kinds with what they change the balance and what is held by.
fn hold_kinds() -> Vec<(Kind, i64, i64)> {
    let placed = |hold_id: &str| HoldPlaced {
        hold_id: hold_id.into(),
        amount_micros: 400_000,
        expires_at_ms: NOON + 600_000,
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
    };
    let released = |hold_id: &str, cause: HoldReleaseCause| HoldReleased {
        hold_id: hold_id.into(),
        amount_micros: 400_000,
        cause: cause.into(),
    };
    vec![
        (Kind::HoldPlaced(placed("hld_9")), 0, 400_000),
        (Kind::HoldPlaced(placed("hld_10")), 0, 400_000),
        (Kind::HoldReleased(released("hld_10", HoldReleaseCause::Expired)), 0, -400_000),
        (Kind::CreditLimitSet(CreditLimitSet { credit_limit_micros: 5_000_000 }), 0, 0),
    ]
}

fn other_kinds() -> Vec<(Kind, i64, i64)> {
    let reversal = Reversal {
        original_seq: 8,
        reason: "blurred".into(),
        note: "guest".into(),
        cause: ReversalCause::Refund.into(),
        operation_id: "op_7f3a".into(),
        service: "ai_modify".into(),
        engine: "nano_banana_2".into(),
        variant: "1k".into(),
        country: "DE".into(),
        unit: "image".into(),
        plan: "payg".into(),
        event_id: "evt_gala".into(),
        booth_id: "bth_17".into(),
        quantity_micros: 1_500_000,
        price_version: 7,
        test_mode: true,
        attempt: 2,
        counted: None,
    };
    let taken_back = Reversal {
        cause: ReversalCause::Repricing.into(),
        reason: "repricing".into(),
        note: "rpr_1".into(),
        ..reversal.clone()
    };
    let repriced = Repriced {
        repricing_id: "rpr_1".into(),
        replaced_seq: 8,
        undo: true,
        charge: Some(Box::new(Usage { received_at_ms: 0, ..usage() })),
    };
    let granted = BonusGranted { expires_at_ms: Some(NOON + 1), reason: "welcome".into(), note: "spring".into() };
    let purchase = Purchase {
        payment_id: "pay_1".into(),
        provider: "sandbox".into(),
        source: PurchaseSource::AutoRecharge.into(),
    };
    let defined = EventDefined {
        event_id: "evt_gala".into(),
        name: "Gala".into(),
        starts_at_ms: NOON,
        ends_at_ms: NOON + 1,
        time_zone: "Europe/Berlin".into(),
        budget_micros: Some(100_000_000),
        on_exceeded: BudgetRule::RefuseHolds.into(),
    };
    let rule = RechargeSet {
        enabled: true,
        threshold_micros: 20_000_000,
        size: Some(recharge_set::Size::AmountMicros(50_000_000)),
        daily_cap_micros: Some(200_000_000),
        monthly_cap_micros: Some(1_000_000_000),
        amount_max_micros: Some(10_000_000_000),
    };
    vec![
        (Kind::Reversal(reversal), 360_000, 0),
        (Kind::BonusGranted(granted), 2_000_000, 0),
        (Kind::PlanFee(PlanFee { plan: "payg".into(), period: "2026-11".into(), price_version: 7 }), -500_000, 0),
        (Kind::BonusExpired(BonusExpired { granted_seq: 11 }), -1_500_000, 0),
        (Kind::Purchase(purchase), 50_000_000, 0),
        (Kind::EventDefined(defined), 0, 0),
        (Kind::BoothSet(BoothSet { booth_id: "bth_17".into(), name: "Left".into(), paused: true }), 0, 0),
        (Kind::RechargeSet(rule), 0, 0),
        (Kind::RechargeRequested(requested()), 0, 0),
        (Kind::RechargeFailed(failed()), 0, 0),
        (Kind::AlertsSet(alerts()), 0, 0),
        (Kind::AlertRaised(alert()), 0, 0),
        (Kind::Reversal(taken_back), 360_000, 0),
        (Kind::Repriced(repriced), -250_000, 0),
        (Kind::ProfileSet(ProfileSet { name: "Luna & Sol".into(), time_zone: "Asia/Tokyo".into() }), 0, 0),
    ]
}

fn alerts() -> AlertsSet {
    AlertsSet {
        balance_below_micros: vec![5_000_000, 20_000_000],
        below_top_up_percents: vec![10],
        event_budget_percents: vec![80, 100],
        recharge_failed: true,
        empty_in_hours: Some(48),
        booth_spike: Some(BoothSpike { times: 5, at_least_micros: 20_000_000 }),
    }
}

fn alert() -> AlertRaised {
    AlertRaised {
        number: 3,
        kind: AlertKind::EventBudget.into(),
        crossed_seq: 16,
        crossed_at_ms: NOON,
        balance_micros: -1_500_000,
        threshold_micros: 100_000_000,
        percent: 80,
        event_id: "evt_gala".into(),
        spent_micros: 80_000_001,
        hours: 48,
        recharge_id: "rch_1".into(),
        reason: "card_declined".into(),
        booth_id: "bth_17".into(),
        hour_at_ms: NOON,
        usual_micros: 1_500_001,
        times: 5,
    }
}

fn failed() -> RechargeFailed {
    RechargeFailed {
        recharge_id: "rch_1".into(),
        reason: "card_declined".into(),
        failures: 2,
        retry_at_ms: NOON + 120_000,
        amount_micros: 50_000_000,
    }
}

fn requested() -> RechargeRequested {
    RechargeRequested {
        recharge_id: "rch_1".into(),
        amount_micros: 50_000_000,
        available_micros: -1_500_000,
        threshold_micros: 20_000_000,
        day_ends_at_ms: NOON + 43_200_000,
        month_ends_at_ms: NOON + 777_600_000,
    }
}

/// Every effect.
pub(crate) fn outbox_records() -> Vec<OutboxRecord> {
    let posted =
        Purchase { payment_id: "pay_1".into(), provider: "sandbox".into(), source: PurchaseSource::Manual.into() };
    let posted = PurchasePosted { purchase: Some(posted), amount_micros: 50_000_000, balance_micros: 48_500_000 };
    let effects = [
        Effect::RechargeRequested(requested()),
        Effect::AlertRaised(alert()),
        Effect::RechargeFailed(failed()),
        Effect::PurchasePosted(posted),
    ];
    let record = |effect| OutboxRecord {
        account_id: "acc_luna".into(),
        seq: 17,
        posted_at_ms: NOON,
        currency: "USD".into(),
        effect: Some(effect),
    };
    effects.into_iter().map(record).collect()
}

/// A ledger record with an entry of every kind.
pub(crate) fn ledger_record() -> LedgerRecord {
    let opened = AccountOpened {
        name: "Luna Booths".into(),
        plan: "payg".into(),
        currency: "USD".into(),
        time_zone: "Europe/Berlin".into(),
    };
    let failed = Usage {
        status: UsageStatus::Failed.into(),
        price_version: 0,
        price_model: 0,
        unit_price_micros: 0,
        provider_cost_micros: None,
        captured_at_ms: None,
        hold_outcome: HoldOutcome::EndedBefore.into(),
        letter: Some(Box::new(letter())),
        ..usage()
    };
    let mut kinds = vec![
        (Kind::AccountOpened(opened), 0, 0),
        (Kind::Adjustment(Adjustment { reason: "top_up".into(), note: "card".into() }), 50_000_000, 0),
        (Kind::PlanChanged(PlanChanged { plan: "pro".into(), effective_at_ms: NOON }), 0, 0),
    ];
    kinds.extend(hold_kinds());
    kinds.extend([(Kind::Usage(usage()), -360_000, -400_000), (Kind::Usage(failed), 0, 0)]);
    kinds.extend(other_kinds());
    let (mut balance, mut held) = (0, 0);
    let entry = |(seq, (kind, amount, holds)): (u64, (Kind, i64, i64))| {
        balance += amount;
        held += holds;
        let topic = match &kind {
            Kind::Usage(_) => SourceTopic::Usage,
            Kind::HoldReleased(_) | Kind::BonusExpired(_) => SourceTopic::Tick,
            _ => SourceTopic::Commands,
        };
        let command = CommandRef { idempotency_key: "idem-1".into(), body_hash: vec![7; 16], actor: "key_1".into() };
        Entry {
            seq,
            amount_micros: amount,
            balance_after_micros: balance,
            held_after_micros: held,
            occurred_at_ms: NOON,
            source_topic: topic.into(),
            source_offset: if topic == SourceTopic::Tick { 0 } else { 41 },
            command: (topic == SourceTopic::Commands).then_some(command),
            from_bonus_micros: if matches!(kind, Kind::PlanFee(_)) { 500_000 } else { 0 },
            kind: Some(kind),
        }
    };
    let entries = (1..).zip(kinds).map(entry).collect();
    LedgerRecord { account_id: "acc_luna".into(), posted_at_ms: NOON + 500, input_generation: 3, entries }
}

/// A charge over an included quantity, two tiers and a minimum, as a test; and what gives it back.
pub(crate) fn tiered() -> (Usage, Reversal) {
    let part = |kind: PricePartKind, quantity_micros, unit_price_micros| PricePart {
        kind: kind.into(),
        quantity_micros,
        unit_price_micros,
        ..PricePart::default()
    };
    let parts = vec![
        part(PricePartKind::Included, 1_000_000, 0),
        PricePart { to_micros: Some(2_000_000), ..part(PricePartKind::Tier, 2_000_000, 10_000) },
        PricePart { from_micros: 2_000_000, ..part(PricePartKind::Tier, 500_000, 5_000) },
        PricePart { packs: 3, pack_micros: 10_000_000, ..part(PricePartKind::Package, 25_000_000, 1) },
        part(PricePartKind::Minimum, 0, 50_000),
    ];
    let counted = Counted { period: "2026-11".into(), variant: "1k".into(), country: "DE".into(), before_micros: 9 };
    let pricing = Pricing { parts, counted: Some(counted.clone()), test_factor_micros: Some(500_000) };
    let usage = Usage { price_model: PriceModel::Graduated.into(), pricing: Some(Box::new(pricing)), ..usage() };
    let counted = Some(Box::new(Counted { before_micros: 0, ..counted }));
    (usage, Reversal { original_seq: 8, quantity_micros: 3_500_000, counted, ..Reversal::default() })
}
