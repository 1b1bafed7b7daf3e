//! Who owns the booths.

use tollbooth_schemas::{AccountId, BoothId, IdError};

use super::random::{Chance, Stream};

/// Booths of the first account, the one that people look at.
const FIRST_ACCOUNT_BOOTHS: u32 = 12;
/// Booths of the first account in the `hot_account` profile: one chain.
pub(crate) const HOT_ACCOUNT_BOOTHS: u32 = 500;

/// Zones with their standard offset from UTC in hours; the local evening is not worth more precision.
const ZONES: &[(f64, (&str, i64))] = &[
    (30.0, ("America/New_York", -5)),
    (22.0, ("America/Chicago", -6)),
    (8.0, ("America/Denver", -7)),
    (20.0, ("America/Los_Angeles", -8)),
    (12.0, ("Europe/London", 0)),
    (8.0, ("Europe/Berlin", 1)),
];
const PLANS: &[(f64, &str)] = &[(30.0, "payg"), (40.0, "basic"), (30.0, "pro")];
const FIRST_NAMES: &[&str] = &[
    "Luna",
    "Golden Hour",
    "Snapdragon",
    "Confetti",
    "Velvet",
    "Northside",
    "Harbor",
    "Juniper",
    "Spotlight",
    "Marigold",
    "Blue Door",
    "Copper",
    "Evergreen",
    "Daydream",
    "Bright Side",
    "Magnolia",
    "Starling",
    "Riverside",
    "Paper Moon",
    "Wildflower",
];
const LAST_NAMES: &[&str] = &["Photo Booths", "Events", "Booth Co.", "Photo Lounge", "Booth Rentals"];

/// One account of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `acc_demo_001`.
    pub account_id: AccountId,
    /// As people read it.
    pub name: String,
    /// Plan code, for as long as the fleet runs.
    pub plan: &'static str,
    /// IANA name.
    pub time_zone: &'static str,
    /// Standard offset of the zone.
    pub utc_offset_hours: i64,
    /// How many booths it has.
    pub booths: u32,
    /// Number of its first booth in the whole fleet.
    pub first_booth: u32,
}

impl Account {
    /// The id without its prefix.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.account_id.as_str().trim_start_matches(AccountId::PREFIX)
    }
}

/// One booth of the fleet.
#[derive(Debug, Clone, Copy)]
pub struct Booth<'a> {
    /// Whose it is.
    pub account: &'a Account,
    /// Its number among the account's.
    pub index: u32,
    /// Its number in the fleet.
    pub number: u32,
}

impl Booth<'_> {
    /// `bth_demo_001_03`.
    ///
    /// # Errors
    /// If the account's name was too long for an id.
    pub fn id(&self) -> Result<BoothId, IdError> {
        format!("bth_{}_{:02}", self.account.short_id(), self.index + 1).parse()
    }
}

/// The accounts with their booths: a function of seed, prefix and count, and a longer one begins with a shorter one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Population {
    accounts: Vec<Account>,
    booths: u32,
}

impl Population {
    /// `acc_<prefix>_001` to `count`.
    ///
    /// # Errors
    /// If the prefix does not fit into an id.
    pub fn new(seed: u64, prefix: &str, count: usize) -> Result<Self, IdError> {
        Self::build(seed, prefix, count, FIRST_ACCOUNT_BOOTHS)
    }

    /// The same with one chain of 500 booths as the first account.
    ///
    /// # Errors
    /// As [`Population::new`].
    pub fn with_hot_account(seed: u64, prefix: &str, count: usize) -> Result<Self, IdError> {
        Self::build(seed, prefix, count, HOT_ACCOUNT_BOOTHS)
    }

    fn build(seed: u64, prefix: &str, count: usize, first_account_booths: u32) -> Result<Self, IdError> {
        let mut chance = Chance::new(seed, Stream::Population);
        let mut accounts = Vec::with_capacity(count);
        let mut booths: u32 = 0;
        for index in 0..count {
            let drawn = booth_count(&mut chance);
            let (time_zone, utc_offset_hours) = chance.pick(ZONES).copied().unwrap_or(("Etc/UTC", 0));
            let plan = chance.pick(PLANS).copied().unwrap_or("payg");
            let own = if index == 0 { first_account_booths } else { drawn };
            accounts.push(Account {
                account_id: format!("acc_{prefix}_{:03}", index + 1).parse()?,
                name: name(index),
                plan,
                time_zone,
                utc_offset_hours,
                booths: own,
                first_booth: booths,
            });
            booths += own;
        }
        Ok(Self { accounts, booths })
    }

    /// In order of their ids.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// How many booths there are.
    #[must_use]
    pub const fn booths(&self) -> u32 {
        self.booths
    }

    /// A booth by its number in the fleet.
    #[must_use]
    pub fn booth(&self, number: u32) -> Option<Booth<'_>> {
        let after = self.accounts.partition_point(|account| account.first_booth <= number);
        let account = self.accounts.get(after.checked_sub(1)?)?;
        let index = number.checked_sub(account.first_booth).filter(|index| *index < account.booths)?;
        Some(Booth { account, index, number })
    }
}

/// 70 % have 1-2 booths, 20 % 3-10, 9 % 11-50, 1 % 51-500.
fn booth_count(chance: &mut Chance) -> u32 {
    let classes = [(70.0, (1.0, 3.0)), (20.0, (3.0, 11.0)), (9.0, (11.0, 51.0)), (1.0, (51.0, 501.0))];
    let (from, to) = chance.pick(&classes).copied().unwrap_or((1.0, 3.0));
    let drawn = chance.log_between(from, to).floor().clamp(from, to - 1.0);
    // In 1..=500 by the classes above.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let booths = drawn as u32;
    booths
}

fn name(index: usize) -> String {
    let first = FIRST_NAMES[index % FIRST_NAMES.len()];
    let last = LAST_NAMES[(index + index / FIRST_NAMES.len()) % LAST_NAMES.len()];
    let round = index / (FIRST_NAMES.len() * LAST_NAMES.len());
    if round == 0 { format!("{first} {last}") } else { format!("{first} {last} {}", round + 1) }
}
