//! JSON objects, taken for what they are.
//!
//! serde's derived structs also take an array of their members in order: `["1.0", "b17-000042", ...]` would be an event,
//! and another one as soon as a member is added. Nobody means that, so what is documented as an object is read as
//! [`Object`].

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A `T` that stands in the text as `{...}`; everything else is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Only<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Only(PhantomData)).map(Self)
    }
}

/// Reads a member that must be an object: `#[serde(deserialize_with = "json::object")]`.
///
/// # Errors
/// The deserializer's own, and for what is no object.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// Reads a member that must be an array of objects: `#[serde(deserialize_with = "json::objects")]`.
///
/// # Errors
/// The deserializer's own, and for an item that is no object.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::deserialize(deserializer)?.into_iter().map(|Object(value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair<'a> {
        name: &'a str,
        #[serde(default)]
        count: u32,
    }

    #[test]
    fn an_object_is_read_with_its_borrows_and_defaults() {
        let read = serde_json::from_str::<Object<Pair<'_>>>(r#"{"name": "a"}"#).unwrap();
        assert_eq!(read, Object(Pair { name: "a", count: 0 }));
        assert!(serde_json::from_str::<Object<Pair<'_>>>(r#"{"name": "a", "colour": "red"}"#).is_err());
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for (text, found) in [(r#"["a", 1]"#, "sequence"), ("7", "integer"), ("null", "null"), (r#""a""#, "string")] {
            let error = serde_json::from_str::<Object<Pair<'_>>>(text).unwrap_err().to_string();
            assert!(error.contains(found) && error.contains("expected a JSON object"), "{error}");
        }
    }
}
