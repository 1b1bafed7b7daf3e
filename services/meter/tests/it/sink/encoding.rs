//! The reader that borrows and the generated messages agree; rows come out of ClickHouse as they went in.

use proptest::prelude::*;
use prost::Message;
use tollbooth_meter::sink::wire::{Kind, Record, WireError};
use tollbooth_schemas::v1;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z_0-9]{1,20}", ".{0,40}"]
}

fn usage() -> impl Strategy<Value = v1::Usage> {
    let texts = proptest::collection::vec(text(), 11);
    let numbers = proptest::collection::vec(any::<i64>(), 4);
    let options = (any::<Option<i64>>(), any::<Option<i64>>());
    (0..=2_i32, texts, numbers, options, any::<u32>(), 0..=5_i32, any::<bool>()).prop_map(
        |(status, texts, numbers, (provider_cost_micros, captured_at_ms), count, price_model, test_mode)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap();
            v1::Usage {
                status,
                operation_id: next(),
                attempt: count,
                service: next(),
                engine: next(),
                variant: next(),
                country: next(),
                unit: next(),
                quantity_micros: numbers[0],
                event_id: next(),
                booth_id: next(),
                plan: next(),
                price_version: count.rotate_left(7),
                price_model,
                unit_price_micros: numbers[1],
                provider_cost_micros,
                error_code: next(),
                hold_id: next(),
                received_at_ms: numbers[2],
                captured_at_ms,
                test_mode,
                // No row says it.
                hold_outcome: 0,
                pricing: (count % 3 == 0).then(|| Box::new(pricing(&numbers))),
                // Rows say it by the command's key.
                letter: None,
            }
        },
    )
}

fn pricing(numbers: &[i64]) -> v1::Pricing {
    let (quantity_micros, unit_price_micros, from_micros) = (numbers[0], numbers[1], numbers[2]);
    let part = v1::PricePart {
        kind: v1::PricePartKind::Tier.into(),
        quantity_micros,
        unit_price_micros,
        from_micros,
        ..v1::PricePart::default()
    };
    let counted = Some(v1::Counted { period: "2026-11".to_owned(), ..v1::Counted::default() });
    v1::Pricing { parts: vec![part], counted, test_factor_micros: Some(quantity_micros) }
}

fn kind() -> impl Strategy<Value = v1::entry::Kind> {
    use v1::entry::Kind;
    prop_oneof![
        usage().prop_map(Kind::Usage),
        (usage(), text(), any::<u64>(), any::<bool>()).prop_map(|(charge, repricing_id, replaced_seq, undo)| {
            Kind::Repriced(v1::Repriced { repricing_id, replaced_seq, undo, charge: Some(Box::new(charge)) })
        }),
        [text(), text(), text(), text()].prop_map(|[name, plan, currency, time_zone]| {
            Kind::AccountOpened(v1::AccountOpened { name, plan, currency, time_zone })
        }),
        [text(), text()].prop_map(|[reason, note]| Kind::Adjustment(v1::Adjustment { reason, note })),
        (text(), any::<i64>())
            .prop_map(|(plan, effective_at_ms)| Kind::PlanChanged(v1::PlanChanged { plan, effective_at_ms })),
        rare(),
    ]
}

/// What no row says is left at its default.
fn rare() -> impl Strategy<Value = v1::entry::Kind> {
    use v1::entry::Kind;
    let texts = proptest::collection::vec(text(), 12);
    let numbers = (any::<i64>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<bool>());
    (texts, numbers, 0..16_u8, 0..=2_i32).prop_map(|(texts, (number, seq, small, attempt, flag), kind, code)| {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap();
        match kind {
            0 => Kind::HoldPlaced(v1::HoldPlaced {
                hold_id: next(),
                amount_micros: number,
                service: next(),
                engine: next(),
                variant: next(),
                country: next(),
                unit: next(),
                quantity_micros: number.rotate_left(9),
                event_id: next(),
                booth_id: next(),
                plan: next(),
                price_version: small,
                ..v1::HoldPlaced::default()
            }),
            1 => Kind::HoldReleased(v1::HoldReleased { hold_id: next(), amount_micros: number, cause: code }),
            2 => Kind::CreditLimitSet(v1::CreditLimitSet { credit_limit_micros: number }),
            3 => Kind::Reversal(v1::Reversal {
                original_seq: seq,
                reason: next(),
                note: next(),
                cause: code,
                operation_id: next(),
                service: next(),
                engine: next(),
                variant: next(),
                country: next(),
                unit: next(),
                plan: next(),
                event_id: next(),
                booth_id: next(),
                quantity_micros: number,
                price_version: small,
                test_mode: flag,
                attempt,
                counted: None,
            }),
            4 => Kind::BonusGranted(v1::BonusGranted {
                expires_at_ms: flag.then_some(number),
                reason: next(),
                note: next(),
            }),
            5 => Kind::BonusExpired(v1::BonusExpired { granted_seq: seq }),
            6 => Kind::Purchase(v1::Purchase { payment_id: next(), provider: next(), source: code }),
            7 => Kind::PlanFee(v1::PlanFee { plan: next(), period: next(), price_version: small }),
            8 => Kind::EventDefined(v1::EventDefined {
                event_id: next(),
                name: next(),
                starts_at_ms: number,
                ends_at_ms: number.rotate_left(9),
                time_zone: next(),
                budget_micros: flag.then_some(number),
                on_exceeded: code.max(1),
            }),
            9 => Kind::RechargeSet(v1::RechargeSet {
                enabled: flag,
                threshold_micros: number,
                size: match code {
                    0 => None,
                    1 => Some(v1::recharge_set::Size::AmountMicros(number.rotate_left(9))),
                    _ => Some(v1::recharge_set::Size::TargetMicros(number.rotate_left(18))),
                },
                daily_cap_micros: flag.then_some(number.rotate_left(27)),
                monthly_cap_micros: (code == 0).then_some(number.rotate_left(36)),
                amount_max_micros: (code == 1).then_some(number.rotate_left(45)),
            }),
            10 => Kind::RechargeRequested(v1::RechargeRequested {
                recharge_id: next(),
                amount_micros: number,
                available_micros: number.rotate_left(9),
                threshold_micros: number.rotate_left(18),
                day_ends_at_ms: number.rotate_left(27),
                month_ends_at_ms: number.rotate_left(36),
            }),
            11 => Kind::RechargeFailed(v1::RechargeFailed {
                recharge_id: next(),
                reason: next(),
                failures: small,
                retry_at_ms: number,
                amount_micros: number.rotate_left(9),
            }),
            12 => Kind::AlertsSet(v1::AlertsSet {
                balance_below_micros: vec![number, number.rotate_left(7)],
                below_top_up_percents: vec![number as u32],
                event_budget_percents: vec![1, 300, u32::MAX],
                recharge_failed: flag,
                empty_in_hours: flag.then_some(number as u32),
                booth_spike: (small % 2 == 0)
                    .then(|| v1::BoothSpike { times: small, at_least_micros: number.rotate_left(11) }),
            }),
            13 => Kind::AlertRaised(v1::AlertRaised {
                number: number.cast_unsigned(),
                kind: (number as u8 % 7).into(),
                crossed_seq: number.cast_unsigned().rotate_left(5),
                crossed_at_ms: number.rotate_left(6),
                balance_micros: number.rotate_left(7),
                threshold_micros: number.rotate_left(8),
                percent: number as u32,
                event_id: next(),
                spent_micros: number.rotate_left(9),
                hours: number as u32,
                recharge_id: next(),
                reason: next(),
                booth_id: next(),
                hour_at_ms: number.rotate_left(10),
                usual_micros: number.rotate_left(11),
                times: small,
            }),
            14 => Kind::ProfileSet(v1::ProfileSet { name: next(), time_zone: next() }),
            _ => Kind::BoothSet(v1::BoothSet { booth_id: next(), name: next(), paused: flag }),
        }
    })
}

prop_compose! {
    fn entry()(
        kind in kind(), seq in any::<u64>(), numbers in any::<[i64; 6]>(), source_topic in 0..=3_i32,
        command in proptest::option::of([text(), text()]),
    ) -> v1::Entry {
        v1::Entry {
            seq,
            amount_micros: numbers[0],
            balance_after_micros: numbers[1],
            held_after_micros: numbers[2],
            occurred_at_ms: numbers[3],
            source_topic,
            source_offset: numbers[4],
            from_bonus_micros: numbers[5],
            command: command.map(|[idempotency_key, actor]| v1::CommandRef { idempotency_key, body_hash: vec![7; 16], actor }),
            kind: Some(kind),
        }
    }
}

const ALERT_KINDS: &[&str] =
    &["", "balance_below", "below_top_up_percent", "event_budget", "recharge_failed", "empty_soon", "booth_spike"];

fn code(codes: &[&str], code: &str) -> i32 {
    i32::try_from(codes.iter().position(|known| *known == code).unwrap()).unwrap()
}

fn owned_rare(kind: Kind<'_>) -> v1::entry::Kind {
    use v1::entry::Kind as Owned;
    match kind {
        Kind::HoldPlaced(hold) => Owned::HoldPlaced(v1::HoldPlaced {
            hold_id: hold.hold_id.to_owned(),
            amount_micros: hold.amount_micros,
            service: hold.service.to_owned(),
            engine: hold.engine.to_owned(),
            variant: hold.variant.to_owned(),
            country: hold.country.to_owned(),
            unit: hold.unit.to_owned(),
            quantity_micros: hold.quantity_micros,
            event_id: hold.event_id.to_owned(),
            booth_id: hold.booth_id.to_owned(),
            plan: hold.plan.to_owned(),
            price_version: hold.price_version,
            ..v1::HoldPlaced::default()
        }),
        Kind::HoldReleased { hold_id, amount_micros, cause } => {
            let cause = code(&["", "voided", "expired"], cause);
            Owned::HoldReleased(v1::HoldReleased { hold_id: hold_id.to_owned(), amount_micros, cause })
        }
        Kind::CreditLimitSet { credit_limit_micros } => {
            Owned::CreditLimitSet(v1::CreditLimitSet { credit_limit_micros })
        }
        Kind::Reversal(reversal) => Owned::Reversal(v1::Reversal {
            original_seq: reversal.original_seq,
            reason: reversal.reason.to_owned(),
            note: reversal.note.to_owned(),
            cause: code(&["", "refund", "repricing"], reversal.cause),
            operation_id: reversal.operation_id.to_owned(),
            service: reversal.service.to_owned(),
            engine: reversal.engine.to_owned(),
            variant: reversal.variant.to_owned(),
            country: reversal.country.to_owned(),
            unit: reversal.unit.to_owned(),
            plan: reversal.plan.to_owned(),
            event_id: reversal.event_id.to_owned(),
            booth_id: reversal.booth_id.to_owned(),
            quantity_micros: reversal.quantity_micros,
            price_version: reversal.price_version,
            test_mode: reversal.test_mode,
            attempt: reversal.attempt,
            counted: None,
        }),
        Kind::BonusGranted { expires_at_ms, reason, note } => {
            Owned::BonusGranted(v1::BonusGranted { expires_at_ms, reason: reason.to_owned(), note: note.to_owned() })
        }
        Kind::BonusExpired { granted_seq } => Owned::BonusExpired(v1::BonusExpired { granted_seq }),
        Kind::Purchase { payment_id, provider, source } => Owned::Purchase(v1::Purchase {
            payment_id: payment_id.to_owned(),
            provider: provider.to_owned(),
            source: code(&["", "manual", "auto_recharge"], source),
        }),
        Kind::PlanFee { plan, period, price_version } => {
            Owned::PlanFee(v1::PlanFee { plan: plan.to_owned(), period: period.to_owned(), price_version })
        }
        Kind::EventDefined(event) => Owned::EventDefined(v1::EventDefined {
            event_id: event.event_id.to_owned(),
            name: event.name.to_owned(),
            starts_at_ms: event.starts_at_ms,
            ends_at_ms: event.ends_at_ms,
            time_zone: event.time_zone.to_owned(),
            budget_micros: event.budget_micros,
            on_exceeded: if event.refuses_holds { 2 } else { 1 },
        }),
        Kind::BoothSet { booth_id, name, paused } => {
            Owned::BoothSet(v1::BoothSet { booth_id: booth_id.to_owned(), name: name.to_owned(), paused })
        }
        Kind::ProfileSet { name, time_zone } => {
            Owned::ProfileSet(v1::ProfileSet { name: name.to_owned(), time_zone: time_zone.to_owned() })
        }
        Kind::RechargeSet(set) => Owned::RechargeSet(v1::RechargeSet {
            enabled: set.enabled,
            threshold_micros: set.threshold_micros,
            size: match (set.amount_micros, set.target_micros) {
                (Some(micros), _) => Some(v1::recharge_set::Size::AmountMicros(micros)),
                (None, Some(micros)) => Some(v1::recharge_set::Size::TargetMicros(micros)),
                (None, None) => None,
            },
            daily_cap_micros: set.daily_cap_micros,
            monthly_cap_micros: set.monthly_cap_micros,
            amount_max_micros: set.amount_max_micros,
        }),
        Kind::RechargeRequested {
            recharge_id,
            amount_micros,
            available_micros,
            threshold_micros,
            day_ends_at_ms,
            month_ends_at_ms,
        } => Owned::RechargeRequested(v1::RechargeRequested {
            recharge_id: recharge_id.to_owned(),
            amount_micros,
            available_micros,
            threshold_micros,
            day_ends_at_ms,
            month_ends_at_ms,
        }),
        Kind::AlertsSet { document } => Owned::AlertsSet(v1::AlertsSet::decode(document).unwrap()),
        Kind::AlertRaised(alert) => Owned::AlertRaised(v1::AlertRaised {
            number: alert.number,
            kind: code(ALERT_KINDS, alert.kind),
            crossed_seq: alert.crossed_seq,
            crossed_at_ms: alert.crossed_at_ms,
            balance_micros: alert.balance_micros,
            threshold_micros: alert.threshold_micros,
            percent: alert.percent,
            event_id: alert.event_id.to_owned(),
            spent_micros: alert.spent_micros,
            hours: alert.hours,
            recharge_id: alert.recharge_id.to_owned(),
            reason: alert.reason.to_owned(),
            booth_id: alert.booth_id.to_owned(),
            hour_at_ms: alert.hour_at_ms,
            usual_micros: alert.usual_micros,
            times: alert.times,
        }),
        Kind::RechargeFailed { recharge_id, reason, failures, retry_at_ms, amount_micros } => {
            Owned::RechargeFailed(v1::RechargeFailed {
                recharge_id: recharge_id.to_owned(),
                reason: reason.to_owned(),
                failures,
                retry_at_ms,
                amount_micros,
            })
        }
        Kind::Repriced(repriced) => Owned::Repriced(v1::Repriced {
            repricing_id: repriced.repricing_id.to_owned(),
            replaced_seq: repriced.replaced_seq,
            undo: repriced.undo,
            charge: Some(Box::new(owned_usage(repriced.charge))),
        }),
        Kind::Unknown
        | Kind::AccountOpened { .. }
        | Kind::Usage(_)
        | Kind::Adjustment { .. }
        | Kind::PlanChanged { .. } => {
            unreachable!("told apart before")
        }
    }
}

fn owned_usage(usage: tollbooth_meter::sink::wire::Usage<'_>) -> v1::Usage {
    v1::Usage {
        status: code(&["", "success", "failed"], usage.status),
        operation_id: usage.operation_id.to_owned(),
        attempt: usage.attempt,
        service: usage.service.to_owned(),
        engine: usage.engine.to_owned(),
        variant: usage.variant.to_owned(),
        country: usage.country.to_owned(),
        unit: usage.unit.to_owned(),
        quantity_micros: usage.quantity_micros,
        event_id: usage.event_id.to_owned(),
        booth_id: usage.booth_id.to_owned(),
        plan: usage.plan.to_owned(),
        price_version: usage.price_version,
        price_model: code(&["", "per_unit", "flat", "package", "graduated", "volume"], usage.price_model),
        unit_price_micros: usage.unit_price_micros,
        provider_cost_micros: usage.provider_cost_micros,
        error_code: usage.error_code.to_owned(),
        hold_id: usage.hold_id.to_owned(),
        received_at_ms: usage.received_at_ms,
        captured_at_ms: usage.captured_at_ms,
        test_mode: usage.test_mode,
        hold_outcome: 0,
        letter: None,
        pricing: match usage.pricing {
            [] => None,
            bytes => Some(Box::new(v1::Pricing::decode(bytes).unwrap())),
        },
    }
}

/// What the borrowed entry says, as the generated type would. The body hash is not read.
fn owned(entry: &tollbooth_meter::sink::wire::Entry<'_>) -> v1::Entry {
    let kind = match entry.kind {
        Kind::Unknown => None,
        Kind::AccountOpened { name, plan, currency, time_zone } => {
            Some(v1::entry::Kind::AccountOpened(v1::AccountOpened {
                name: name.to_owned(),
                plan: plan.to_owned(),
                currency: currency.to_owned(),
                time_zone: time_zone.to_owned(),
            }))
        }
        Kind::Adjustment { reason, note } => {
            Some(v1::entry::Kind::Adjustment(v1::Adjustment { reason: reason.to_owned(), note: note.to_owned() }))
        }
        Kind::PlanChanged { plan, effective_at_ms } => {
            Some(v1::entry::Kind::PlanChanged(v1::PlanChanged { plan: plan.to_owned(), effective_at_ms }))
        }
        Kind::Usage(usage) => Some(v1::entry::Kind::Usage(owned_usage(usage))),
        rare => Some(owned_rare(rare)),
    };
    v1::Entry {
        seq: entry.seq,
        amount_micros: entry.amount_micros,
        balance_after_micros: entry.balance_after_micros,
        held_after_micros: entry.held_after_micros,
        occurred_at_ms: entry.occurred_at_ms,
        source_topic: code(&["", "usage", "commands", "tick"], entry.source_topic),
        source_offset: entry.source_offset,
        from_bonus_micros: entry.from_bonus_micros,
        command: Some(v1::CommandRef {
            idempotency_key: entry.idempotency_key.to_owned(),
            body_hash: Vec::new(),
            actor: entry.actor.to_owned(),
        }),
        kind,
    }
}

proptest! {
    #[test]
    fn the_borrowing_reader_reads_what_the_generated_one_reads(
        entries in proptest::collection::vec(entry(), 0..5), account_id in text(),
        posted_at_ms in any::<i64>(), input_generation in any::<u32>(),
    ) {
        let mut message = v1::LedgerRecord { account_id, posted_at_ms, input_generation, entries };
        let bytes = message.encode_to_vec();
        let record = Record::parse(&bytes).unwrap();
        let mut read = Vec::new();
        record.entries(|entry| read.push(owned(entry))).unwrap();
        prop_assert_eq!(record.account_id, &message.account_id);
        prop_assert_eq!(record.posted_at_ms, message.posted_at_ms);
        prop_assert_eq!(record.input_generation, message.input_generation);
        for entry in &mut message.entries {
            entry.command.get_or_insert_default().body_hash.clear();
        }
        prop_assert_eq!(read, message.entries);
    }

    #[test]
    fn bytes_that_are_no_record_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(record) = Record::parse(&bytes) {
            record.entries(|_| ()).ok();
        }
    }
}

#[test]
fn an_unknown_value_of_an_enumeration_stops_the_reader() {
    let usage = v1::Usage { status: 9, ..v1::Usage::default() };
    let entry = v1::Entry { seq: 3, kind: Some(v1::entry::Kind::Usage(usage)), ..v1::Entry::default() };
    let bytes = v1::LedgerRecord { entries: vec![entry], ..v1::LedgerRecord::default() }.encode_to_vec();
    let refused = Record::parse(&bytes).unwrap().entries(|_| ()).unwrap_err();
    assert_eq!(refused, WireError::UnknownValue { seq: 3, field: "status", value: 9 });
}
