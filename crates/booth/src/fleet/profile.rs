//! What kind of day it is.

use clap::ValueEnum;

/// A load profile. Rates scale by `--rate`; the shape over time, who is busy and how late reports come are the profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Profile {
    /// One booth in twenty at work.
    Weekday,
    /// Parties in four time zones.
    Saturday,
    /// New Year's Eve: bursts at each zone's midnight.
    Nye,
    /// One booth in ten comes back online and empties three hours of reports.
    Reconnect,
    /// One chain's 500 booths on one balance.
    HotAccount,
    /// As much as the path takes.
    Stress,
}

impl Profile {
    /// As it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Weekday => "weekday",
            Self::Saturday => "saturday",
            Self::Nye => "nye",
            Self::Reconnect => "reconnect",
            Self::HotAccount => "hot_account",
            Self::Stress => "stress",
        }
    }

    /// Events per second of a fleet of 10,000 booths.
    #[must_use]
    pub const fn rate_default(self) -> f64 {
        match self {
            Self::Weekday => 20.0,
            Self::Saturday => 240.0,
            Self::Nye => 1_400.0,
            Self::Reconnect => 700.0,
            Self::HotAccount => 60.0,
            Self::Stress => 20_000.0,
        }
    }

    /// Share of the booths that are at work.
    #[must_use]
    pub const fn active_share(self) -> f64 {
        match self {
            Self::Weekday => 0.05,
            Self::Saturday => 0.60,
            Self::Nye => 0.95,
            Self::Reconnect | Self::HotAccount | Self::Stress => 1.0,
        }
    }

    /// Share of reports that come late on their own, beside the reconnecting booths.
    #[must_use]
    pub const fn late_share(self) -> f64 {
        match self {
            Self::Weekday => 0.01,
            Self::Saturday | Self::Nye | Self::Reconnect => 0.02,
            Self::HotAccount | Self::Stress => 0.0,
        }
    }

    /// Share of records that are part of a booth's flush after it was offline.
    #[must_use]
    pub const fn flush_share(self) -> f64 {
        match self {
            Self::Reconnect => 0.66,
            _ => 0.0,
        }
    }

    /// Share of records whose bytes are sent once more.
    #[must_use]
    pub const fn duplicate_share(self) -> f64 {
        match self {
            Self::Reconnect => 0.03,
            Self::Weekday | Self::Saturday | Self::Nye => 0.01,
            Self::HotAccount | Self::Stress => 0.0,
        }
    }

    /// Share of booths whose clock is years off. All that they report is refused by ingest, or a dead letter where it
    /// goes straight into Kafka, and is planned as such. None where the profile is there to show what the path takes.
    #[must_use]
    pub const fn wrong_year_share(self) -> f64 {
        match self {
            Self::Weekday | Self::Saturday | Self::Nye | Self::Reconnect => 0.001,
            Self::HotAccount | Self::Stress => 0.0,
        }
    }

    /// Share of records of the first account.
    #[must_use]
    pub const fn hot_share(self) -> f64 {
        match self {
            Self::HotAccount => 1.0,
            _ => 0.0,
        }
    }

    /// The rate as a multiple of its mean, after so many seconds. A night passes in ten minutes.
    #[must_use]
    pub fn shape(self, elapsed_s: f64) -> f64 {
        const NIGHT_S: f64 = 600.0;
        let phase = (elapsed_s / NIGHT_S).fract();
        match self {
            // Four zones' evenings smear into one long hump.
            Self::Saturday => 0.3_f64.mul_add((std::f64::consts::TAU * phase).sin(), 1.0),
            // A wave at each of four midnights, 30 % above the rest, 30 s long.
            Self::Nye => {
                let in_wave = (phase * 4.0).fract() < 0.2;
                (if in_wave { 1.3 } else { 1.0 }) / 1.06
            }
            _ => 1.0,
        }
    }
}
