//! A configuration tree that remembers where each value came from, and deserializes text leniently.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{self, DeserializeSeed, Deserializer as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::ConfigError;

/// Where a value was read.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag => write!(f, "--set"),
        }
    }
}

/// A key's value: a table, a list, a typed TOML scalar, or text from environment or flag.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Table(BTreeMap<String, Node>, Option<Origin>),
    List(Vec<Node>, Origin),
    Scalar(toml::Value, Origin),
    Text(String, Origin),
}

impl Node {
    pub(super) fn empty() -> Self {
        Self::Table(BTreeMap::new(), None)
    }

    pub(super) fn from_toml(value: toml::Value, origin: &Origin) -> Self {
        match value {
            toml::Value::Table(table) => Self::Table(
                table.into_iter().map(|(key, value)| (key, Self::from_toml(value, origin))).collect(),
                Some(origin.clone()),
            ),
            toml::Value::Array(items) => {
                Self::List(items.into_iter().map(|item| Self::from_toml(item, origin)).collect(), origin.clone())
            }
            scalar => Self::Scalar(scalar, origin.clone()),
        }
    }

    /// Puts text at a dotted key, replacing what a weaker source had put there.
    pub(super) fn set(&mut self, key: &str, text: String, origin: Origin) -> Result<(), ConfigError> {
        let bad = |reason: &str| ConfigError::Key {
            key: key.to_owned(),
            reason: reason.to_owned(),
            origin: format!(" (from {origin})"),
        };
        let mut node = self;
        for part in key.split('.') {
            if part.is_empty() {
                return Err(bad("empty part in the key"));
            }
            let Self::Table(table, _) = node else { return Err(bad("lies below a key that is not a section")) };
            node = table.entry(part.to_owned()).or_insert_with(Self::empty);
        }
        if matches!(node, Self::Table(table, _) if !table.is_empty()) {
            return Err(bad("is a section, not a key"));
        }
        *node = Self::Text(text, origin);
        Ok(())
    }

    pub(super) fn deserialize<T: de::DeserializeOwned>(self) -> Result<T, ConfigError> {
        T::deserialize(self).map_err(|Located { mut path, reason, origin }| {
            path.reverse();
            let key = if path.is_empty() { "configuration".to_owned() } else { path.join(".") };
            let origin = origin.map_or_else(String::new, |origin| format!(" (from {origin})"));
            ConfigError::Key { key, reason, origin }
        })
    }

    fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Table(_, origin) => origin.as_ref(),
            Self::List(_, origin) | Self::Scalar(_, origin) | Self::Text(_, origin) => Some(origin),
        }
    }

    /// Deserializes with `f`; an error without a place gets this node's origin.
    fn located<T>(self, f: impl FnOnce(Self) -> Result<T, Located>) -> Result<T, Located> {
        let origin = self.origin().cloned();
        f(self).map_err(|error| {
            if error.origin.is_none() && error.path.is_empty() { Located { origin, ..error } } else { error }
        })
    }

    /// Reads text as the number or boolean that the field asks for.
    fn parsed<'de, V: Visitor<'de>, T: std::str::FromStr>(
        self,
        visitor: V,
        kind: &str,
        visit: impl FnOnce(V, T) -> Result<V::Value, Located>,
    ) -> Result<V::Value, Located> {
        self.located(|node| match node {
            Self::Text(text, _) => match text.trim().parse::<T>() {
                Ok(value) => visit(visitor, value),
                // The text is not repeated: it may be a secret put under the wrong key.
                Err(_) => Err(de::Error::custom(format!("expected {kind}"))),
            },
            other => other.deserialize_any(visitor),
        })
    }
}

/// A deserialization error with the path to its key, innermost part first.
#[derive(Debug)]
pub(super) struct Located {
    path: Vec<String>,
    reason: String,
    origin: Option<Origin>,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Located {}

impl de::Error for Located {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), reason: message.to_string(), origin: None }
    }
}

struct Fields {
    entries: std::collections::btree_map::IntoIter<String, Node>,
    current: Option<(String, Node)>,
}

impl<'de> de::MapAccess<'de> for Fields {
    type Error = Located;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Located> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        let origin = node.deepest_origin();
        let parsed = seed.deserialize(key.as_str().into_deserializer()).map_err(|error: Located| Located {
            path: vec![key.clone()],
            origin,
            ..error
        })?;
        self.current = Some((key, node));
        Ok(Some(parsed))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Located> {
        let Some((key, node)) = self.current.take() else {
            return Err(de::Error::custom("value asked for before its key"));
        };
        seed.deserialize(node).map_err(|mut error| {
            error.path.push(key);
            error
        })
    }
}

impl Node {
    /// Origin of the node, or of the first value below a section that only environment or flags created.
    fn deepest_origin(&self) -> Option<Origin> {
        match self {
            Self::Table(table, None) => table.values().find_map(Self::deepest_origin),
            other => other.origin().cloned(),
        }
    }
}

struct Items(std::vec::IntoIter<Node>);

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Located;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Located> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $kind:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Located> {
            self.parsed::<V, $type>(visitor, $kind, |visitor, value| visitor.$visit(value))
        })*
    };
}

impl<'de> de::Deserializer<'de> for Node {
    type Error = Located;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Located> {
        self.located(|node| match node {
            Self::Table(table, _) => visitor.visit_map(Fields { entries: table.into_iter(), current: None }),
            Self::List(items, _) => visitor.visit_seq(Items(items.into_iter())),
            Self::Text(text, _) => visitor.visit_string(text),
            Self::Scalar(value, _) => value.deserialize_any(visitor).map_err(de::Error::custom),
        })
    }

    numbers! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number";
        deserialize_u64 visit_u64 u64, "a whole number";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Located> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Located> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Located> {
        self.located(|node| match node {
            Self::Text(text, origin) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                let items: Vec<Self> = items.map(|item| Self::Text(item.to_owned(), origin.clone())).collect();
                visitor.visit_seq(Items(items.into_iter()))
            }
            other => other.deserialize_any(visitor),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Located> {
        self.located(|node| match node {
            Self::Text(text, _) => visitor.visit_enum(text.into_deserializer()),
            Self::Scalar(value, _) => value.deserialize_enum(name, variants, visitor).map_err(de::Error::custom),
            _ => Err(de::Error::custom("expected one of the documented words")),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Located> {
        // serde asks to ignore a value only when the struct has no such field: here that is always a typing error.
        self.located(|_| Err(de::Error::custom("unknown key")))
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
    }
}
