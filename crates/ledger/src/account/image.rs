//! An account outside of memory.

use prost::Message;

use super::{Account, Lot};
use crate::{
    alerts::{Alerts, AlertsImage},
    image::{ImageError, money},
    profile::{Moved, Profile},
    recharge::{Recharge, RechargeImage},
};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AccountImage {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(sint64, tag = "2")]
    balance: i64,
    #[prost(sint64, tag = "3")]
    held: i64,
    #[prost(sint64, tag = "4")]
    credit_limit: i64,
    #[prost(sint64, tag = "5")]
    bonus: i64,
    #[prost(uint32, tag = "6")]
    holds_open: u32,
    #[prost(string, tag = "7")]
    currency: String,
    #[prost(string, tag = "8")]
    time_zone: String,
    #[prost(string, tag = "9")]
    name: String,
    #[prost(uint32, tag = "10")]
    events_tracked: u32,
    /// As `2026-11`.
    #[prost(string, optional, tag = "11")]
    fee_period: Option<String>,
    #[prost(string, optional, tag = "12")]
    fee_next: Option<String>,
    #[prost(message, repeated, tag = "13")]
    plans: Vec<PlanImage>,
    #[prost(message, repeated, tag = "14")]
    lots: Vec<LotImage>,
    #[prost(message, optional, tag = "15")]
    recharge: Option<RechargeImage>,
    #[prost(string, repeated, tag = "16")]
    paused: Vec<String>,
    #[prost(message, optional, tag = "17")]
    alerts: Option<AlertsImage>,
    /// Not in images of before the zone could be changed.
    #[prost(message, optional, tag = "18")]
    moved: Option<MovedImage>,
}

#[derive(Clone, PartialEq, Message)]
struct MovedImage {
    #[prost(string, tag = "1")]
    from: String,
    #[prost(uint64, tag = "2")]
    seq: u64,
}

#[derive(Clone, PartialEq, Message)]
struct PlanImage {
    #[prost(sint64, tag = "1")]
    effective_at_ms: i64,
    #[prost(string, tag = "2")]
    plan: String,
}

#[derive(Clone, PartialEq, Message)]
struct LotImage {
    #[prost(uint64, tag = "1")]
    granted_seq: u64,
    #[prost(int64, optional, tag = "2")]
    expires_at_ms: Option<i64>,
    #[prost(sint64, tag = "3")]
    remaining: i64,
}

impl Lot {
    fn to_image(self) -> LotImage {
        let Self { granted_seq, expires_at_ms, remaining } = self;
        LotImage { granted_seq, expires_at_ms, remaining: remaining.micros() }
    }

    fn of_image(image: &LotImage) -> Result<Self, ImageError> {
        let LotImage { granted_seq, expires_at_ms, remaining } = *image;
        Ok(Self { granted_seq, expires_at_ms, remaining: money(remaining)? })
    }
}

impl Account {
    pub(crate) fn to_image(&self) -> AccountImage {
        let Self {
            seq,
            balance,
            held,
            credit_limit,
            bonus,
            holds_open,
            events_tracked,
            fee_period,
            fee_next,
            profile,
            lots,
            recharge,
            alerts,
            paused,
            moved,
        } = self;
        let Profile { currency, time_zone, name, plans } = &**profile;
        let plan = |(effective_at_ms, plan): &(i64, String)| PlanImage {
            effective_at_ms: *effective_at_ms,
            plan: plan.clone(),
        };
        AccountImage {
            seq: *seq,
            balance: balance.micros(),
            held: held.micros(),
            credit_limit: credit_limit.micros(),
            bonus: bonus.micros(),
            holds_open: *holds_open,
            currency: currency.clone(),
            time_zone: time_zone.clone(),
            name: name.clone(),
            events_tracked: *events_tracked,
            fee_period: fee_period.map(|period| period.to_string()),
            fee_next: fee_next.map(|period| period.to_string()),
            plans: plans.iter().map(plan).collect(),
            lots: lots.iter().flat_map(|lots| lots.iter()).map(|lot| lot.to_image()).collect(),
            recharge: recharge.as_deref().map(Recharge::to_image),
            paused: paused.iter().flat_map(|paused| paused.iter()).map(ToString::to_string).collect(),
            alerts: alerts.as_deref().map(Alerts::to_image),
            moved: moved.as_deref().map(|Moved { from, seq }| MovedImage { from: from.to_string(), seq: *seq }),
        }
    }

    pub(crate) fn of_image(image: AccountImage) -> Result<Self, ImageError> {
        let AccountImage {
            seq,
            balance,
            held,
            credit_limit,
            bonus,
            holds_open,
            currency,
            time_zone,
            name,
            events_tracked,
            fee_period,
            fee_next,
            plans,
            lots,
            recharge,
            paused,
            alerts,
            moved,
        } = image;
        let period =
            |text: Option<String>| text.map(|text| text.parse()).transpose().map_err(|()| ImageError::Value("a month"));
        let lots = lots.iter().map(Lot::of_image).collect::<Result<Vec<_>, _>>()?;
        let plans = plans.into_iter().map(|PlanImage { effective_at_ms, plan }| (effective_at_ms, plan)).collect();
        Ok(Self {
            seq,
            balance: money(balance)?,
            held: money(held)?,
            credit_limit: money(credit_limit)?,
            bonus: money(bonus)?,
            holds_open,
            events_tracked,
            fee_period: period(fee_period)?,
            fee_next: period(fee_next)?,
            profile: Profile { currency, time_zone, name, plans }.into(),
            lots: (!lots.is_empty()).then(|| lots.into()),
            recharge: recharge.map(Recharge::of_image).transpose()?.map(Into::into),
            alerts: alerts.map(Alerts::of_image).transpose()?.map(Into::into),
            paused: (!paused.is_empty())
                .then(|| paused.into_iter().map(Into::into).collect::<std::collections::BTreeSet<_>>().into()),
            moved: moved.map(|MovedImage { from, seq }| Moved { from: from.into(), seq }.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollbooth_schemas::Money;

    use super::*;
    use crate::period::Period;

    #[test]
    fn every_field_of_an_account_survives() {
        let micros = |micros| Money::from_micros(micros).unwrap();
        let period = |text: &str| text.parse::<Period>().unwrap();
        let lot = |granted_seq, expires_at_ms| Lot { granted_seq, expires_at_ms, remaining: micros(9) };
        let account = Account {
            seq: 1,
            balance: micros(-2),
            held: micros(3),
            credit_limit: micros(4),
            bonus: micros(18),
            holds_open: 5,
            events_tracked: 6,
            fee_period: Some(period("2026-10")),
            fee_next: Some(period("2026-12")),
            profile: Arc::new(Profile {
                currency: "USD".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
                name: "Luna".to_owned(),
                plans: vec![(i64::MIN, "basic".to_owned()), (7, "pro".to_owned())],
            }),
            lots: Some(vec![lot(8, Some(-10)), lot(11, None)].into()),
            recharge: Some(Recharge::with_every_field().into()),
            alerts: Some(Alerts::with_every_field().into()),
            paused: Some(std::collections::BTreeSet::from(["bth_1".into(), "bth_2".into()]).into()),
            moved: Some(Moved { from: "America/New_York".into(), seq: 12 }.into()),
        };
        let bytes = account.to_image().encode_to_vec();
        assert_eq!(Account::of_image(AccountImage::decode(bytes.as_slice()).unwrap()).unwrap(), account);
        // And what is not there stays so.
        let opened = Account::open("Luna", "basic", "USD", "UTC");
        assert_eq!(Account::of_image(opened.to_image()).unwrap(), opened);
    }

    #[test]
    fn an_image_of_before_the_zone_could_be_changed_opens() {
        // given what was written then: `seq`, currency, zone and name
        let bytes = b"\x08\x07\x3a\x03USD\x42\x0dEurope/Berlin\x4a\x04Luna";
        let account = Account::of_image(AccountImage::decode(bytes.as_slice()).unwrap()).unwrap();
        assert_eq!((account.time_zone(), account.opening_zone()), ("Europe/Berlin", "Europe/Berlin"));
        assert!(!account.has_moved_before(u64::MAX));
    }
}
