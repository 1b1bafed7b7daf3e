//! The parties of a run, named as their operators would.

use futures_util::{StreamExt, TryStreamExt, stream};
use tollbooth_schemas::{EventId, IdError};

use super::{
    control::{Control, ControlError},
    population::{Account, Population},
};

/// Booths of an account that work at one party.
const BOOTHS: u32 = 4;
/// Requests under way at once.
const CONCURRENCY: usize = 16;
const LENGTH_MS: i64 = 12 * 3_600_000;
const NAMES: &[&str] = &[
    "Nguyen & Ortiz Wedding",
    "Harbor Gala",
    "Spring Prom",
    "Tech Summit, Day 2",
    "Kowalski 60th Birthday",
    "Brand Launch",
    "Charity Auction",
    "Class Reunion",
    "Company Picnic",
    "Winter Ball",
    "Film Premiere",
];

/// Which of its account's parties a booth is at, from 1.
pub(crate) const fn party_of(booth_index: u32) -> u32 {
    booth_index / BOOTHS + 1
}

/// Its id in a run.
pub(crate) fn party_id(account: &Account, run_id: &str, party: u32) -> Result<EventId, IdError> {
    format!("evt_{}_{run_id}_{party}", account.short_id()).parse()
}

/// Gives every party of a run its name, its place's zone and half a day from `starts_at_ms` on.
pub(crate) async fn name_all(
    control: &Control,
    population: &Population,
    run_id: &str,
    starts_at_ms: i64,
) -> Result<(), ControlError> {
    let mut parties = Vec::new();
    for (index, account) in population.accounts().iter().enumerate() {
        for party in 1..=party_of(account.booths.saturating_sub(1)) {
            // An id that does not fit is none at the booths either.
            let Ok(event_id) = party_id(account, run_id, party) else { continue };
            // A step that shares no factor with their number: neighbours have other names.
            let name = NAMES[(index * 4 + party as usize) % NAMES.len()];
            parties.push((account.clone(), event_id, name));
        }
    }
    stream::iter(parties)
        .map(|(account, event_id, name)| {
            let control = control.clone();
            let span_ms = (starts_at_ms, starts_at_ms + LENGTH_MS);
            async move { control.name_event(&account, &event_id, name, span_ms).await }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await
}
