//! Instants as milliseconds since the Unix epoch, RFC 3339 text at the edges.

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// Reads RFC 3339 with any offset; `None` for other texts.
#[must_use]
pub fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.timestamp_millis())
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
