//! What must be right about a command before anything is sent.

use std::fmt::Display;

use tollbooth_chassis::problem::{FieldError, Problem};
use tollbooth_schemas::Money;
use tollbooth_schemas::usage::CODE_CHARS_MAX;
use tollbooth_schemas::zone::parse_zone;

/// Longest name of an account, an event or a booth, in characters.
const NAME_CHARS_MAX: usize = 200;
const NOTE_CHARS_MAX: usize = 500;
/// 1970-01-01
pub(super) const EARLIEST_MS: i64 = 0;
/// 2100-01-01
pub(super) const LATEST_MS: i64 = 4_102_444_800_000;

/// Collects everything that is wrong, so that a client learns all of it at once.
#[derive(Default)]
pub(super) struct Check(Vec<FieldError>);

impl Check {
    pub(super) fn that(&mut self, holds: bool, pointer: &str, detail: &str) {
        if !holds {
            self.0.push(FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() });
        }
    }

    /// Beyond these years an instant is a mistake, and the tables that take it in could not hold every one.
    pub(super) fn in_range(&mut self, instant: Option<i64>, pointer: &str) {
        let holds = instant.is_none_or(|ms| (EARLIEST_MS..=LATEST_MS).contains(&ms));
        self.that(holds, pointer, "must lie between 1970-01-01 and 2100-01-01");
    }

    pub(super) fn not_ahead(&mut self, instant: Option<i64>, latest_ms: i64, pointer: &str) {
        self.in_range(instant, pointer);
        // What lies beyond the range has been named.
        let holds = instant.is_none_or(|ms| ms <= latest_ms || ms > LATEST_MS);
        self.that(holds, pointer, "must not lie in the future");
    }

    pub(super) fn name(&mut self, text: &str) {
        let holds = !text.trim().is_empty() && is_text(text, NAME_CHARS_MAX);
        self.that(holds, "/name", "must be 1 to 200 printable characters");
    }

    pub(super) fn note(&mut self, text: &str) {
        self.that(is_text(text, NOTE_CHARS_MAX), "/note", "must be at most 500 printable characters");
    }

    /// What a person says, for people.
    pub(super) fn optional_words(&mut self, text: Option<&str>, pointer: &str) {
        let holds = text.is_none_or(|text| !text.trim().is_empty() && is_text(text, NOTE_CHARS_MAX));
        self.that(holds, pointer, "must be 1 to 500 printable characters");
    }

    pub(super) fn code(&mut self, text: &str, pointer: &str) {
        let holds = (1..=CODE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
        self.that(holds, pointer, "must be 1 to 64 of letters, digits, _ - . :");
    }

    pub(super) fn optional_code(&mut self, text: Option<&str>, pointer: &str) {
        if let Some(text) = text {
            self.code(text, pointer);
        }
    }

    pub(super) fn zone(&mut self, name: &str) {
        if let Err(error) = parse_zone(name) {
            self.wrong("/time_zone", error);
        }
    }

    pub(super) fn positive(&mut self, amount: Money, pointer: &str) {
        self.that(amount > Money::ZERO, pointer, "must be above 0");
    }

    pub(super) fn not_negative(&mut self, amount: Money, pointer: &str) {
        self.that(!amount.is_negative(), pointer, "must not be below 0");
    }

    fn wrong(&mut self, pointer: &str, detail: impl Display) {
        self.that(false, pointer, &detail.to_string());
    }

    /// The document's worth, if nothing is wrong with it.
    pub(super) fn conclude<T>(self, worth: T) -> Result<T, Problem> {
        let Some(first) = self.0.first() else { return Ok(worth) };
        let problem = Problem::invalid(format!("{}: {}", first.pointer, first.detail));
        Err(self.0.into_iter().fold(problem, |problem, error| problem.with_error(error.pointer, error.detail)))
    }
}

fn is_text(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}
