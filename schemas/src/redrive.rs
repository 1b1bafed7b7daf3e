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

/// The idempotency key of the command: a letter is driven again under one key, whoever asks and how often. No request may
/// name it, for the mark in it is none of the characters that an `Idempotency-Key` may have.
#[must_use]
pub fn idempotency_key(id: &LetterId) -> String {
    format!("redrive\u{a7}{id}")
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
