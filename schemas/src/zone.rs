//! Time zones by their names in the IANA database.

use chrono_tz::Tz;

/// The text names no zone that a person could be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an IANA time zone like America/New_York, or UTC; abbreviations like EST are refused")]
pub struct ZoneError;

/// Reads a zone's name, as it is taken from whoever sets one: at an account's opening, and as `tz`.
///
/// Abbreviations are refused although the database lists some of them: `EST` is a clock without summer time, not a
/// place, and whoever writes it means one. They are the names without a `/` that are written in capitals, digits, `+`
/// and `-` alone (`CET`, `EST5EDT`, `GMT0`, `PRC`); `UTC` is the one exception. Names are case-sensitive.
///
/// # Errors
/// For an abbreviation, an offset (`+02:00`) and every name that the database does not have.
pub fn parse_zone(name: &str) -> Result<Tz, ZoneError> {
    if is_abbreviation(name) {
        return Err(ZoneError);
    }
    name.parse().map_err(|_| ZoneError)
}

fn is_abbreviation(name: &str) -> bool {
    name != "UTC" && !name.contains('/') && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_utc_are_zones() {
        for name in
            ["America/New_York", "Asia/Kathmandu", "America/Argentina/Buenos_Aires", "Singapore", "UTC", "Etc/UTC"]
        {
            assert_eq!(parse_zone(name).map(Tz::name), Ok(name));
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        let names =
            ["EST", "MST", "HST", "CET", "EET", "MET", "WET", "EST5EDT", "PST8PDT", "GMT", "GMT0", "GMT+0", "UCT"];
        for name in names {
            assert!(name.parse::<Tz>().is_ok(), "{name} stands in the database, and is refused nevertheless");
            assert_eq!(parse_zone(name), Err(ZoneError), "{name}");
        }
        for name in ["", "Mars", "Mars/Olympus", "+02:00", "europe/berlin", "Europe/Berlin ", "utc"] {
            assert_eq!(parse_zone(name), Err(ZoneError), "{name:?}");
        }
    }

    #[test]
    fn every_area_of_the_database_is_taken() {
        let (taken, refused): (Vec<Tz>, Vec<Tz>) =
            chrono_tz::TZ_VARIANTS.iter().partition(|zone| parse_zone(zone.name()).is_ok());
        assert!(taken.len() > 500, "{}", taken.len());
        assert!(refused.iter().all(|zone| !zone.name().contains('/')), "{refused:?}");
    }
}
