//! The kinds of entry that are rarer than usage.

use prost::Message as _;
use tollbooth_schemas::v1;

use super::{EventDefined, Fields, HoldPlaced, Kind, Repriced, Result, Reversal, Value, WireError, code, usage};

/// The rule by which credit is bought by itself; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RechargeSet {
    pub enabled: bool,
    pub threshold_micros: i64,
    /// The later one of the two counts.
    pub amount_micros: Option<i64>,
    pub target_micros: Option<i64>,
    pub daily_cap_micros: Option<i64>,
    pub monthly_cap_micros: Option<i64>,
    pub amount_max_micros: Option<i64>,
}

/// Something was crossed; fields as in `ledger.proto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AlertRaised<'a> {
    pub number: u64,
    /// Code of the kind.
    pub kind: &'static str,
    pub crossed_seq: u64,
    pub crossed_at_ms: i64,
    pub balance_micros: i64,
    pub threshold_micros: i64,
    pub percent: u32,
    pub event_id: &'a str,
    pub spent_micros: i64,
    pub hours: u32,
    pub recharge_id: &'a str,
    pub reason: &'a str,
    pub booth_id: &'a str,
    pub hour_at_ms: i64,
    pub usual_micros: i64,
    pub times: u32,
}

pub(super) fn parse(seq: u64, number: u32, bytes: &[u8]) -> Result<Kind<'_>> {
    match number {
        20 => hold_placed(bytes),
        21 => hold_released(seq, bytes),
        22 => credit_limit_set(bytes),
        23 => reversal(seq, bytes),
        24 => bonus_granted(bytes),
        25 => bonus_expired(bytes),
        26 => purchase(seq, bytes),
        27 => plan_fee(bytes),
        28 => event_defined(seq, bytes),
        29 => booth_set(bytes),
        30 => recharge_set(bytes),
        31 => recharge_requested(bytes),
        32 => recharge_failed(bytes),
        33 => alerts_set(bytes),
        34 => alert_raised(seq, bytes),
        37 => repriced(seq, bytes),
        38 => profile_set(bytes),
        _ => Err(WireError::UnknownKind { seq }),
    }
}

fn each<'a>(bytes: &'a [u8], mut field: impl FnMut(u32, Value<'a>) -> Result<()>) -> Result<()> {
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        field(number, value)?;
    }
    Ok(())
}

fn credit_limit_set(bytes: &[u8]) -> Result<Kind<'_>> {
    let mut credit_limit_micros = 0;
    each(bytes, |number, value| {
        if number == 1 {
            credit_limit_micros = value.int64(number)?;
        }
        Ok(())
    })?;
    Ok(Kind::CreditLimitSet { credit_limit_micros })
}

fn bonus_granted(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut expires_at_ms, mut reason, mut note) = (None, "", "");
    each(bytes, |number, value| {
        match number {
            1 => expires_at_ms = Some(value.int64(number)?),
            2 => reason = value.text(number)?,
            3 => note = value.text(number)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::BonusGranted { expires_at_ms, reason, note })
}

fn profile_set(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut name, mut time_zone) = ("", "");
    each(bytes, |number, value| {
        match number {
            1 => name = value.text(number)?,
            2 => time_zone = value.text(number)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::ProfileSet { name, time_zone })
}

fn event_defined(seq: u64, bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut event, mut rule) = (EventDefined::default(), 0);
    each(bytes, |number, value| {
        match number {
            1 => event.event_id = value.text(number)?,
            2 => event.name = value.text(number)?,
            3 => event.starts_at_ms = value.int64(number)?,
            4 => event.ends_at_ms = value.int64(number)?,
            5 => event.time_zone = value.text(number)?,
            6 => event.budget_micros = Some(value.int64(number)?),
            7 => rule = value.number(number)?,
            _ => {}
        }
        Ok(())
    })?;
    event.refuses_holds = code(seq, "budget rule", rule, &["", "warn", "refuse_holds"])? == "refuse_holds";
    Ok(Kind::EventDefined(event))
}

fn hold_placed(bytes: &[u8]) -> Result<Kind<'_>> {
    let mut hold = HoldPlaced::default();
    each(bytes, |number, value| {
        match number {
            1 => hold.hold_id = value.text(number)?,
            2 => hold.amount_micros = value.int64(number)?,
            4 => hold.service = value.text(number)?,
            5 => hold.engine = value.text(number)?,
            6 => hold.variant = value.text(number)?,
            7 => hold.country = value.text(number)?,
            8 => hold.unit = value.text(number)?,
            9 => hold.quantity_micros = value.int64(number)?,
            10 => hold.event_id = value.text(number)?,
            11 => hold.booth_id = value.text(number)?,
            12 => hold.plan = value.text(number)?,
            13 => hold.price_version = value.uint32(number)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::HoldPlaced(hold))
}

fn hold_released(seq: u64, bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut hold_id, mut amount_micros, mut cause) = ("", 0, 0);
    each(bytes, |number, value| {
        match number {
            1 => hold_id = value.text(number)?,
            2 => amount_micros = value.int64(number)?,
            3 => cause = value.number(number)?,
            _ => {}
        }
        Ok(())
    })?;
    let cause = code(seq, "release cause", cause, &["", "voided", "expired"])?;
    Ok(Kind::HoldReleased { hold_id, amount_micros, cause })
}

fn reversal(seq: u64, bytes: &[u8]) -> Result<Kind<'_>> {
    let mut reversal = Reversal::default();
    let mut cause = 0;
    each(bytes, |number, value| {
        match number {
            1 => reversal.original_seq = value.number(number)?,
            2 => reversal.reason = value.text(number)?,
            3 => reversal.note = value.text(number)?,
            4 => cause = value.number(number)?,
            5 => reversal.operation_id = value.text(number)?,
            6 => reversal.service = value.text(number)?,
            7 => reversal.engine = value.text(number)?,
            8 => reversal.variant = value.text(number)?,
            9 => reversal.country = value.text(number)?,
            10 => reversal.unit = value.text(number)?,
            11 => reversal.plan = value.text(number)?,
            12 => reversal.event_id = value.text(number)?,
            13 => reversal.booth_id = value.text(number)?,
            14 => reversal.quantity_micros = value.int64(number)?,
            15 => reversal.price_version = value.uint32(number)?,
            16 => reversal.test_mode = value.number(number)? != 0,
            17 => reversal.attempt = value.uint32(number)?,
            _ => {}
        }
        Ok(())
    })?;
    reversal.cause = code(seq, "reversal cause", cause, &["", "refund", "repricing"])?;
    Ok(Kind::Reversal(reversal))
}

fn repriced(seq: u64, bytes: &[u8]) -> Result<Kind<'_>> {
    let mut repriced = Repriced::default();
    each(bytes, |number, value| {
        match number {
            1 => repriced.repricing_id = value.text(number)?,
            2 => repriced.replaced_seq = value.number(number)?,
            3 => repriced.undo = value.number(number)? != 0,
            4 => repriced.charge = usage(seq, value.bytes(number)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::Repriced(repriced))
}

fn bonus_expired(bytes: &[u8]) -> Result<Kind<'_>> {
    let mut granted_seq = 0;
    each(bytes, |number, value| {
        if number == 1 {
            granted_seq = value.number(number)?;
        }
        Ok(())
    })?;
    Ok(Kind::BonusExpired { granted_seq })
}

fn purchase(seq: u64, bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut payment_id, mut provider, mut source) = ("", "", 0);
    each(bytes, |number, value| {
        match number {
            1 => payment_id = value.text(number)?,
            2 => provider = value.text(number)?,
            3 => source = value.number(number)?,
            _ => {}
        }
        Ok(())
    })?;
    let source = code(seq, "purchase source", source, &["", "manual", "auto_recharge"])?;
    Ok(Kind::Purchase { payment_id, provider, source })
}

fn plan_fee(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut plan, mut period, mut price_version) = ("", "", 0);
    each(bytes, |number, value| {
        match number {
            1 => plan = value.text(number)?,
            2 => period = value.text(number)?,
            3 => price_version = value.uint32(number)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::PlanFee { plan, period, price_version })
}

fn booth_set(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut booth_id, mut name, mut paused) = ("", "", false);
    each(bytes, |number, value| {
        match number {
            1 => booth_id = value.text(number)?,
            2 => name = value.text(number)?,
            3 => paused = value.number(number)? != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::BoothSet { booth_id, name, paused })
}

fn recharge_set(bytes: &[u8]) -> Result<Kind<'_>> {
    let mut set = RechargeSet::default();
    each(bytes, |number, value| {
        match number {
            1 => set.enabled = value.number(number)? != 0,
            2 => set.threshold_micros = value.int64(number)?,
            3 => (set.amount_micros, set.target_micros) = (Some(value.int64(number)?), None),
            4 => (set.amount_micros, set.target_micros) = (None, Some(value.int64(number)?)),
            5 => set.daily_cap_micros = Some(value.int64(number)?),
            6 => set.monthly_cap_micros = Some(value.int64(number)?),
            7 => set.amount_max_micros = Some(value.int64(number)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::RechargeSet(set))
}

fn recharge_requested(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut recharge_id, mut numbers) = ("", [0_i64; 5]);
    each(bytes, |number, value| {
        match number {
            1 => recharge_id = value.text(number)?,
            3 => numbers[1] = value.sint64(number)?,
            2 | 4..=6 => numbers[number as usize - 2] = value.int64(number)?,
            _ => {}
        }
        Ok(())
    })?;
    let [amount_micros, available_micros, threshold_micros, day_ends_at_ms, month_ends_at_ms] = numbers;
    Ok(Kind::RechargeRequested {
        recharge_id,
        amount_micros,
        available_micros,
        threshold_micros,
        day_ends_at_ms,
        month_ends_at_ms,
    })
}

fn recharge_failed(bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut recharge_id, mut reason, mut failures, mut retry_at_ms, mut amount_micros) = ("", "", 0, 0, 0);
    each(bytes, |number, value| {
        match number {
            1 => recharge_id = value.text(number)?,
            2 => reason = value.text(number)?,
            3 => failures = value.uint32(number)?,
            4 => retry_at_ms = value.int64(number)?,
            5 => amount_micros = value.int64(number)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Kind::RechargeFailed { recharge_id, reason, failures, retry_at_ms, amount_micros })
}

fn alerts_set(bytes: &[u8]) -> Result<Kind<'_>> {
    v1::AlertsSet::decode(bytes).map_err(|_| WireError::Malformed)?;
    Ok(Kind::AlertsSet { document: bytes })
}

fn alert_raised(seq: u64, bytes: &[u8]) -> Result<Kind<'_>> {
    let (mut alert, mut kind) = (AlertRaised::default(), 0);
    each(bytes, |number, value| {
        match number {
            1 => alert.number = value.number(number)?,
            2 => kind = value.number(number)?,
            3 => alert.crossed_seq = value.number(number)?,
            4 => alert.crossed_at_ms = value.int64(number)?,
            5 => alert.balance_micros = value.sint64(number)?,
            6 => alert.threshold_micros = value.int64(number)?,
            7 => alert.percent = value.uint32(number)?,
            8 => alert.event_id = value.text(number)?,
            9 => alert.spent_micros = value.sint64(number)?,
            10 => alert.hours = value.uint32(number)?,
            11 => alert.recharge_id = value.text(number)?,
            12 => alert.reason = value.text(number)?,
            13 => alert.booth_id = value.text(number)?,
            14 => alert.hour_at_ms = value.int64(number)?,
            15 => alert.usual_micros = value.int64(number)?,
            16 => alert.times = value.uint32(number)?,
            _ => {}
        }
        Ok(())
    })?;
    let kinds =
        &["", "balance_below", "below_top_up_percent", "event_budget", "recharge_failed", "empty_soon", "booth_spike"];
    alert.kind = code(seq, "alert kind", kind, kinds)?;
    Ok(Kind::AlertRaised(alert))
}
