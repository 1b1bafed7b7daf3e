//! The command that drives a dead letter of usage again: what names it, and the usage event in it.

use std::borrow::Cow;

use crate::{
    command::body_hash,
    dead_letter::LetterId,
    usage::{Attributes, UsageError, UsageEvent, parse_binary, parse_structured},
    v1::RedriveLetter,
};

/// Headers of a usage record that say what it is; only these go into the command.
#[must_use]
pub fn is_telling(header: &str) -> bool {
    header == CONTENT_TYPE || header.starts_with(ATTRIBUTE_PREFIX)
}

const CONTENT_TYPE: &str = "content-type";
const ATTRIBUTE_PREFIX: &str = "ce_";
const STRUCTURED: &str = "application/cloudevents";

/// No request may name such a key: the mark in it is none of the characters that an `Idempotency-Key` may have.
const KEY_PREFIX: &str = "redrive\u{a7}";

/// The idempotency key of the command: a letter is driven again under one key, whoever asks and how often.
#[must_use]
pub fn idempotency_key(id: &LetterId) -> String {
    format!("{KEY_PREFIX}{id}")
}

/// The letter's id in such a key; `None`: it is of another command.
#[must_use]
pub fn letter_of_key(idempotency_key: &str) -> Option<&str> {
    idempotency_key.strip_prefix(KEY_PREFIX)
}

impl RedriveLetter {
    /// What stands for the command's content beside its key: the letter's own bytes.
    #[must_use]
    pub fn body_hash(&self) -> Vec<u8> {
        body_hash("redrive_letter", &self.payload)
    }

    /// The letter's id; `None`: it names no source.
    #[must_use]
    pub fn id(&self) -> Option<LetterId> {
        self.source.as_ref().map(LetterId::from)
    }

    /// The usage event, in either CloudEvents mode, read as the record itself was.
    ///
    /// # Errors
    /// What is wrong, by member.
    pub fn event(&self) -> Result<UsageEvent<'_>, UsageError> {
        let content_type = self.headers.iter().rev().find(|header| header.name == CONTENT_TYPE);
        let start = content_type.and_then(|header| header.value.get(..STRUCTURED.len()));
        if start.is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED.as_bytes())) {
            return parse_structured(&self.payload);
        }
        let mut attributes = Attributes::default();
        for header in &self.headers {
            if let Some(name) = header.name.strip_prefix(ATTRIBUTE_PREFIX)
                && let Ok(text) = std::str::from_utf8(&header.value)
            {
                attributes.set(name, Cow::Borrowed(text));
            }
        }
        parse_binary(attributes, &self.payload)
    }
}
