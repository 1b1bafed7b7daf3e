//! Instants as milliseconds since the Unix epoch, RFC 3339 text at the edges.

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// First and last instant of the years 0 to 9999 in UTC: RFC 3339 writes no others.
const WRITABLE_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// Reads RFC 3339 with any offset; `None` for other texts, and for an instant that [`rfc3339`] could not write so that it
/// is read again: the year 9999 of a zone behind UTC ends in the year 10000.
#[must_use]
pub fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    let ms = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
    WRITABLE_MS.contains(&ms).then_some(ms)
}

/// Writes RFC 3339 in UTC with `Z` and milliseconds, the form of every time in answers but bucket edges.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms)
        .map_or_else(|| "out of range".to_owned(), |instant| instant.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Serde form of a millisecond instant as RFC 3339 text.
pub mod serde_rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes `Z` with milliseconds.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::rfc3339(*ms))
    }

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    /// For any other text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        super::parse_rfc3339_ms(&text).ok_or_else(|| D::Error::custom(format_args!("{text:?} is not an RFC 3339 time")))
    }
}

/// The same for an optional instant; absent and `null` are `None`.
pub mod serde_rfc3339_option {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes `Z` with milliseconds, or `null`.
    ///
    /// # Errors
    /// The serializer's own.
    #[allow(clippy::ref_option)] // The shape serde calls it with.
    pub fn serialize<S: Serializer>(ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match ms {
            Some(ms) => serializer.serialize_str(&super::rfc3339(*ms)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads RFC 3339 with any offset, or `null`.
    ///
    /// # Errors
    /// For any other text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        let Some(text) = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)? else { return Ok(None) };
        super::parse_rfc3339_ms(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom(format_args!("{text:?} is not an RFC 3339 time")))
    }
}
