//! A batch, split into its items without reading them: what goes to the broker is the item's own bytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Why a batch cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    /// Not a JSON array.
    #[error("the batch is not a JSON array: {0}")]
    Malformed(String),
    /// More items than allowed.
    #[error("the batch has more than {0} events")]
    TooMany(usize),
}

/// Splits a JSON array; reading stops at the item beyond `items_max`.
pub(crate) fn split(body: &[u8], items_max: usize) -> Result<Vec<&RawValue>, SplitError> {
    let malformed = |error: &dyn fmt::Display| SplitError::Malformed(error.to_string());
    let text = std::str::from_utf8(body).map_err(|error| malformed(&error))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut too_many = false;
    let items = Items { items_max, too_many: &mut too_many }
        .deserialize(&mut deserializer)
        .and_then(|items| deserializer.end().map(|()| items));
    match items {
        Err(_) if too_many => Err(SplitError::TooMany(items_max)),
        Err(error) => Err(malformed(&error)),
        Ok(items) => Ok(items),
    }
}

struct Items<'f> {
    items_max: usize,
    too_many: &'f mut bool,
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of CloudEvents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::with_capacity(self.items_max.min(128));
        while let Some(item) = array.next_element::<&'de RawValue>()? {
            if items.len() == self.items_max {
                *self.too_many = true;
                return Err(A::Error::custom("too many items"));
            }
            items.push(item);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_own_bytes() {
        let items = split(br#" [ {"a" : 1.50, "a":2} ,7, "x" ] "#, 3).unwrap();
        let texts: Vec<&str> = items.iter().map(|item| item.get()).collect();
        assert_eq!(texts, [r#"{"a" : 1.50, "a":2}"#, "7", r#""x""#]);
        assert!(split(b"[]", 3).unwrap().is_empty());
    }

    #[test]
    fn one_item_too_many_ends_the_reading() {
        assert_eq!(split(b"[1,2,3,4,{", 3).unwrap_err(), SplitError::TooMany(3));
        assert_eq!(split(b"[1,2,3]", 3).unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_array_is_malformed() {
        for body in [&b"{}"[..], b"[1,", b"[] []", b"", b"[\xff]", b"null"] {
            assert!(matches!(split(body, 3), Err(SplitError::Malformed(_))), "{body:?}");
        }
    }
}
