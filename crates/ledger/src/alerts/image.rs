//! Rules and how they stand, outside of memory.

use std::sync::Arc;

use prost::{Message, Oneof};
use tollbooth_schemas::v1::{AlertRaised, AlertsSet};

use super::{Alerts, Rule};
use crate::{
    booths::{Booth, Booths, Hour},
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
    #[prost(message, repeated, tag = "9")]
    booths: Vec<BoothImage>,
    #[prost(sint64, tag = "10")]
    swept_hour: i64,
}

#[derive(Clone, PartialEq, Message)]
struct BoothImage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(sint64, repeated, tag = "2")]
    hours: Vec<i64>,
    /// One an hour.
    #[prost(uint64, repeated, tag = "3")]
    spent: Vec<u64>,
    #[prost(uint64, tag = "4")]
    told_by: u64,
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

impl Booth {
    fn to_image(&self) -> BoothImage {
        let Self { id, hours, told_by } = self;
        let (hours, spent) = hours.iter().map(|Hour { hour, spent }| (*hour, *spent)).unzip();
        BoothImage { id: id.to_string(), hours, spent, told_by: *told_by }
    }

    fn of_image(image: BoothImage) -> Result<Self, ImageError> {
        let BoothImage { id, hours, spent, told_by } = image;
        if hours.len() != spent.len() {
            return Err(ImageError::Value("a number of hours"));
        }
        let hours = hours.into_iter().zip(spent).map(|(hour, spent)| Hour { hour, spent }).collect();
        Ok(Self { id: id.into(), hours, told_by })
    }
}

impl Booths {
    fn to_image(&self) -> (Vec<BoothImage>, i64) {
        let Self { list, swept_hour } = self;
        (list.iter().map(|booth| booth.to_image()).collect(), *swept_hour)
    }

    fn of_image(list: Vec<BoothImage>, swept_hour: i64) -> Result<Self, ImageError> {
        let list = list.into_iter().map(|booth| Booth::of_image(booth).map(Arc::new)).collect::<Result<_, _>>()?;
        let booths = Self { list, swept_hour };
        if booths.is_in_order() { Ok(booths) } else { Err(ImageError::Value("booths")) }
    }
}

impl Alerts {
    pub(crate) fn to_image(&self) -> AlertsImage {
        let Self { top_up, rules, set_seq, told, burn, raised, pending, booths } = self;
        let (booths, swept_hour) = booths.to_image();
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
            booths,
            swept_hour,
        }
    }

    pub(crate) fn of_image(image: AlertsImage) -> Result<Self, ImageError> {
        let AlertsImage { top_up, rules, set_seq, told, burn_hour, burn_charges, raised, pending, booths, swept_hour } =
            image;
        Ok(Self {
            top_up: money(top_up)?,
            rules: rules.unwrap_or_default(),
            set_seq,
            told: told.iter().map(Rule::of_image).collect::<Result<_, _>>()?,
            burn: Burn::of_image(burn_hour, &burn_charges)?,
            raised,
            pending,
            booths: Booths::of_image(booths, swept_hour)?,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_every_field() -> Self {
        let mut burn = Burn::default();
        burn.add(3_600_000 * 500_000, 7);
        burn.add(3_600_000 * 500_003, 11);
        Self {
            top_up: Money::from_micros(1).unwrap(),
            rules: AlertsSet {
                balance_below_micros: vec![2, 3],
                empty_in_hours: Some(4),
                booth_spike: Some(BoothSpike { times: 5, at_least_micros: 6 }),
                ..AlertsSet::default()
            },
            set_seq: 5,
            told: BTreeSet::from([Rule::Below(2), Rule::BelowTopUp(6), Rule::RechargeFailed, Rule::EmptySoon]),
            burn,
            raised: 8,
            pending: vec![AlertRaised { number: 8, crossed_seq: 9, ..AlertRaised::default() }],
            booths: Booths {
                list: vec![booth("bth_1", &[(499_999, 1), (500_000, u64::MAX)], 5), booth("bth_2", &[(-1, 7)], 0)],
                swept_hour: 500_003,
            },
        }
    }
}

#[cfg(test)]
fn booth(id: &str, hours: &[(i64, u64)], told_by: u64) -> Arc<Booth> {
    let hours = hours.iter().map(|(hour, spent)| Hour { hour: *hour, spent: *spent }).collect();
    Arc::new(Booth { id: id.into(), hours, told_by })
}

#[cfg(test)]
use {
    std::collections::BTreeSet,
    tollbooth_schemas::{Money, v1::BoothSpike},
};

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
            AlertsImage { burn_charges: vec![vec![0]; image.burn_charges.len()], ..image.clone() },
        ] {
            assert!(Alerts::of_image(damaged).is_err());
        }
        let damaged = |change: &dyn Fn(&mut BoothImage)| {
            let mut image = image.clone();
            change(&mut image.booths[0]);
            Alerts::of_image(image).is_err()
        };
        assert!(damaged(&|booth| booth.hours.reverse()));
        assert!(damaged(&|booth| (booth.hours, booth.spent) = (Vec::new(), Vec::new())));
        assert!(damaged(&|booth| booth.spent[0] = 0));
        assert!(damaged(&|booth| booth.spent.truncate(1)));
        assert!(damaged(&|booth| booth.id = "bth_2".to_owned()));
        assert!(damaged(&|booth| (booth.hours, booth.spent) = ((0..26).collect(), vec![1; 26])));
        assert!(!damaged(&|_| {}));
    }

    /// What an older release wrote has no booths, and no rule about them.
    #[test]
    fn rules_of_before_there_were_booths_are_read() {
        let older = Alerts::with_every_field();
        let older = Alerts {
            rules: AlertsSet { booth_spike: None, ..older.rules.clone() },
            booths: Booths::default(),
            ..older
        };
        let bytes = older.to_image().encode_to_vec();
        // Tags 9 and 10 do not stand in it.
        assert!(AlertsImage { booths: Vec::new(), swept_hour: 0, ..older.to_image() }.encode_to_vec() == bytes);
        assert_eq!(Alerts::of_image(AlertsImage::decode(bytes.as_slice()).unwrap()), Ok(older));
    }
}
