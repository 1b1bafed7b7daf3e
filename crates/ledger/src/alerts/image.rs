//! Rules and how they stand, outside of memory.

use prost::{Message, Oneof};
use tollbooth_schemas::v1::{AlertRaised, AlertsSet};

use super::{Alerts, Rule};
use crate::{
    burn::Burn,
    image::{ImageError, money},
};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AlertsImage {
    #[prost(sint64, tag = "1")]
    top_up: i64,
    #[prost(message, optional, tag = "2")]
    rules: Option<AlertsSet>,
    #[prost(uint64, tag = "3")]
    set_seq: u64,
    #[prost(message, repeated, tag = "4")]
    told: Vec<ToldImage>,
    #[prost(sint64, tag = "5")]
    burn_hour: i64,
    /// Big-endian, newest hour first: protobuf has no integer of 128 bits.
    #[prost(bytes = "vec", repeated, tag = "6")]
    burn_charges: Vec<Vec<u8>>,
    #[prost(uint64, tag = "7")]
    raised: u64,
    #[prost(message, repeated, tag = "8")]
    pending: Vec<AlertRaised>,
}

#[derive(Clone, PartialEq, Message)]
struct ToldImage {
    #[prost(oneof = "RuleImage", tags = "1, 2, 3, 4")]
    rule: Option<RuleImage>,
}

#[derive(Clone, PartialEq, Oneof)]
enum RuleImage {
    #[prost(sint64, tag = "1")]
    Below(i64),
    #[prost(uint32, tag = "2")]
    BelowTopUp(u32),
    #[prost(bool, tag = "3")]
    RechargeFailed(bool),
    #[prost(bool, tag = "4")]
    EmptySoon(bool),
}

impl Rule {
    const fn to_image(self) -> ToldImage {
        let rule = match self {
            Self::Below(amount) => RuleImage::Below(amount),
            Self::BelowTopUp(percent) => RuleImage::BelowTopUp(percent),
            Self::RechargeFailed => RuleImage::RechargeFailed(true),
            Self::EmptySoon => RuleImage::EmptySoon(true),
        };
        ToldImage { rule: Some(rule) }
    }

    fn of_image(image: &ToldImage) -> Result<Self, ImageError> {
        match &image.rule {
            Some(RuleImage::Below(amount)) => Ok(Self::Below(*amount)),
            Some(RuleImage::BelowTopUp(percent)) => Ok(Self::BelowTopUp(*percent)),
            Some(RuleImage::RechargeFailed(true)) => Ok(Self::RechargeFailed),
            Some(RuleImage::EmptySoon(true)) => Ok(Self::EmptySoon),
            Some(RuleImage::RechargeFailed(false) | RuleImage::EmptySoon(false)) | None => {
                Err(ImageError::Value("a rule"))
            }
        }
    }
}

impl Burn {
    fn to_image(&self) -> (i64, Vec<Vec<u8>>) {
        let Self { hour, charges } = self;
        (*hour, charges.iter().map(|charge| charge.to_be_bytes().to_vec()).collect())
    }

    fn of_image(hour: i64, charges: &[Vec<u8>]) -> Result<Self, ImageError> {
        let mut burn = Self { hour, ..Self::default() };
        if charges.len() != burn.charges.len() {
            return Err(ImageError::Value("a number of hours"));
        }
        for (charge, bytes) in burn.charges.iter_mut().zip(charges) {
            let bytes = bytes.as_slice().try_into().map_err(|_| ImageError::Value("a spend"))?;
            *charge = i128::from_be_bytes(bytes);
        }
        Ok(burn)
    }
}

impl Alerts {
    pub(crate) fn to_image(&self) -> AlertsImage {
        let Self { top_up, rules, set_seq, told, burn, raised, pending } = self;
        let (burn_hour, burn_charges) = burn.to_image();
        AlertsImage {
            top_up: top_up.micros(),
            rules: Some(rules.clone()),
            set_seq: *set_seq,
            told: told.iter().map(|rule| rule.to_image()).collect(),
            burn_hour,
            burn_charges,
            raised: *raised,
            pending: pending.clone(),
        }
    }

    pub(crate) fn of_image(image: AlertsImage) -> Result<Self, ImageError> {
        let AlertsImage { top_up, rules, set_seq, told, burn_hour, burn_charges, raised, pending } = image;
        Ok(Self {
            top_up: money(top_up)?,
            rules: rules.unwrap_or_default(),
            set_seq,
            told: told.iter().map(Rule::of_image).collect::<Result<_, _>>()?,
            burn: Burn::of_image(burn_hour, &burn_charges)?,
            raised,
            pending,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_every_field() -> Self {
        let mut burn = Burn::default();
        burn.add(3_600_000 * 500_000, 7);
        burn.add(3_600_000 * 500_003, 11);
        Self {
            top_up: Money::from_micros(1).unwrap(),
            rules: AlertsSet { balance_below_micros: vec![2, 3], empty_in_hours: Some(4), ..AlertsSet::default() },
            set_seq: 5,
            told: BTreeSet::from([Rule::Below(2), Rule::BelowTopUp(6), Rule::RechargeFailed, Rule::EmptySoon]),
            burn,
            raised: 8,
            pending: vec![AlertRaised { number: 8, crossed_seq: 9, ..AlertRaised::default() }],
        }
    }
}

#[cfg(test)]
use {std::collections::BTreeSet, tollbooth_schemas::Money};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_rules_survives() {
        for alerts in [Alerts::default(), Alerts::with_every_field()] {
            let bytes = alerts.to_image().encode_to_vec();
            assert_eq!(Alerts::of_image(AlertsImage::decode(bytes.as_slice()).unwrap()), Ok(alerts));
        }
    }

    #[test]
    fn bytes_that_are_no_rules_are_told() {
        let image = Alerts::with_every_field().to_image();
        for damaged in [
            AlertsImage { told: vec![ToldImage { rule: None }], ..image.clone() },
            AlertsImage { burn_charges: Vec::new(), ..image.clone() },
            AlertsImage { burn_charges: vec![vec![0]; image.burn_charges.len()], ..image },
        ] {
            assert!(Alerts::of_image(damaged).is_err());
        }
    }
}
