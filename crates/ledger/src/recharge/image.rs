//! A recharge rule outside of memory.

use prost::{Message, Oneof};

use super::{Amount, Bought, Recharge, Rule, UnderWay, Window};
use crate::image::{ImageError, money};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RechargeImage {
    #[prost(message, optional, tag = "1")]
    rule: Option<RuleImage>,
    #[prost(message, optional, tag = "2")]
    under_way: Option<UnderWayImage>,
    #[prost(uint32, tag = "3")]
    failures: u32,
    #[prost(int64, tag = "4")]
    not_before_ms: i64,
    #[prost(message, optional, tag = "5")]
    day: Option<WindowImage>,
    #[prost(message, optional, tag = "6")]
    month: Option<WindowImage>,
    #[prost(int64, optional, tag = "7")]
    low_since_ms: Option<i64>,
    #[prost(int64, optional, tag = "8")]
    due_at_ms: Option<i64>,
    #[prost(message, optional, tag = "9")]
    bought: Option<BoughtImage>,
}

#[derive(Clone, PartialEq, Message)]
struct RuleImage {
    #[prost(sint64, tag = "1")]
    threshold: i64,
    #[prost(oneof = "AmountImage", tags = "2, 3")]
    size: Option<AmountImage>,
    #[prost(sint64, optional, tag = "4")]
    daily_cap: Option<i64>,
    #[prost(sint64, optional, tag = "5")]
    monthly_cap: Option<i64>,
    #[prost(sint64, optional, tag = "6")]
    most: Option<i64>,
}

#[derive(Clone, PartialEq, Oneof)]
enum AmountImage {
    #[prost(sint64, tag = "2")]
    Fixed(i64),
    #[prost(sint64, tag = "3")]
    UpTo(i64),
}

#[derive(Clone, PartialEq, Message)]
struct WindowImage {
    #[prost(int64, tag = "1")]
    ends_at_ms: i64,
    #[prost(sint64, tag = "2")]
    asked: i64,
}

#[derive(Clone, PartialEq, Message)]
struct BoughtImage {
    #[prost(int64, tag = "1")]
    at_ms: i64,
    #[prost(sint64, tag = "2")]
    amount: i64,
    #[prost(sint64, tag = "3")]
    balance_max: i64,
    #[prost(uint32, tag = "4")]
    unused_before: u32,
}

#[derive(Clone, PartialEq, Message)]
struct UnderWayImage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(sint64, tag = "2")]
    amount: i64,
    #[prost(int64, tag = "3")]
    asked_at_ms: i64,
}

impl Rule {
    fn to_image(self) -> RuleImage {
        let Self { threshold, size, most, daily_cap, monthly_cap } = self;
        let size = match size {
            Amount::Fixed(amount) => AmountImage::Fixed(amount.micros()),
            Amount::UpTo(amount) => AmountImage::UpTo(amount.micros()),
        };
        let micros = |cap: Option<tollbooth_schemas::Money>| cap.map(tollbooth_schemas::Money::micros);
        RuleImage {
            threshold: threshold.micros(),
            size: Some(size),
            daily_cap: micros(daily_cap),
            monthly_cap: micros(monthly_cap),
            most: micros(most),
        }
    }

    fn of_image(image: &RuleImage) -> Result<Self, ImageError> {
        let RuleImage { threshold, size, daily_cap, monthly_cap, most } = image;
        let size = match size {
            Some(AmountImage::Fixed(micros)) => Amount::Fixed(money(*micros)?),
            Some(AmountImage::UpTo(micros)) => Amount::UpTo(money(*micros)?),
            None => return Err(ImageError::Value("a size")),
        };
        let cap = |micros: &Option<i64>| micros.map(money).transpose();
        let (most, daily_cap, monthly_cap) = (cap(most)?, cap(daily_cap)?, cap(monthly_cap)?);
        Ok(Self { threshold: money(*threshold)?, size, most, daily_cap, monthly_cap })
    }
}

impl Window {
    fn to_image(self) -> WindowImage {
        let Self { ends_at_ms, asked } = self;
        WindowImage { ends_at_ms, asked: asked.micros() }
    }

    fn of_image(image: Option<WindowImage>) -> Result<Self, ImageError> {
        let WindowImage { ends_at_ms, asked } = image.unwrap_or_default();
        Ok(Self { ends_at_ms, asked: money(asked)? })
    }
}

impl Bought {
    fn to_image(&self) -> BoughtImage {
        let Self { at_ms, amount, balance_max, unused_before } = self;
        let (amount, balance_max) = (amount.micros(), balance_max.micros());
        BoughtImage { at_ms: *at_ms, amount, balance_max, unused_before: *unused_before }
    }

    fn of_image(image: &BoughtImage) -> Result<Self, ImageError> {
        let BoughtImage { at_ms, amount, balance_max, unused_before } = *image;
        Ok(Self { at_ms, amount: money(amount)?, balance_max: money(balance_max)?, unused_before })
    }
}

impl UnderWay {
    fn to_image(&self) -> UnderWayImage {
        let Self { id, amount, asked_at_ms } = self;
        UnderWayImage { id: id.to_string(), amount: amount.micros(), asked_at_ms: *asked_at_ms }
    }

    fn of_image(image: UnderWayImage) -> Result<Self, ImageError> {
        let UnderWayImage { id, amount, asked_at_ms } = image;
        Ok(Self { id: id.into(), amount: money(amount)?, asked_at_ms })
    }
}

impl Recharge {
    pub(crate) fn to_image(&self) -> RechargeImage {
        let Self { rule, under_way, failures, not_before_ms, day, month, bought, low_since_ms, due_at_ms } = self;
        RechargeImage {
            rule: rule.map(Rule::to_image),
            under_way: under_way.as_ref().map(UnderWay::to_image),
            failures: *failures,
            not_before_ms: *not_before_ms,
            day: Some(day.to_image()),
            month: Some(month.to_image()),
            low_since_ms: *low_since_ms,
            due_at_ms: *due_at_ms,
            bought: bought.as_ref().map(Bought::to_image),
        }
    }

    pub(crate) fn of_image(image: RechargeImage) -> Result<Self, ImageError> {
        let RechargeImage { rule, under_way, failures, not_before_ms, day, month, low_since_ms, due_at_ms, bought } =
            image;
        Ok(Self {
            rule: rule.as_ref().map(Rule::of_image).transpose()?,
            under_way: under_way.map(UnderWay::of_image).transpose()?,
            failures,
            not_before_ms,
            day: Window::of_image(day)?,
            month: Window::of_image(month)?,
            bought: bought.as_ref().map(Bought::of_image).transpose()?,
            low_since_ms,
            due_at_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::Money;

    use super::*;

    fn micros(micros: i64) -> Money {
        Money::from_micros(micros).unwrap()
    }

    impl Recharge {
        pub(crate) fn with_every_field() -> Self {
            Self {
                rule: Some(Rule {
                    threshold: micros(1),
                    size: Amount::UpTo(micros(2)),
                    most: Some(micros(15)),
                    daily_cap: Some(micros(3)),
                    monthly_cap: Some(micros(4)),
                }),
                under_way: Some(UnderWay { id: "rch_1".into(), amount: micros(5), asked_at_ms: 6 }),
                failures: 7,
                not_before_ms: 8,
                day: Window { ends_at_ms: 9, asked: micros(10) },
                month: Window { ends_at_ms: 11, asked: micros(12) },
                bought: Some(Bought { at_ms: 16, amount: micros(17), balance_max: micros(18), unused_before: 19 }),
                low_since_ms: Some(13),
                due_at_ms: Some(14),
            }
        }
    }

    #[test]
    fn every_field_of_a_recharge_survives() {
        let size = Amount::Fixed(micros(2));
        let fixed = Rule { threshold: micros(0), size, most: None, daily_cap: None, monthly_cap: None };
        let every = Recharge::with_every_field();
        for recharge in [Recharge { rule: Some(fixed), ..every.clone() }, every, Recharge::default()] {
            let bytes = recharge.to_image().encode_to_vec();
            assert_eq!(Recharge::of_image(RechargeImage::decode(bytes.as_slice()).unwrap()).unwrap(), recharge);
        }
    }
}
