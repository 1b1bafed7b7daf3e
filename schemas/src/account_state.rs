//! What rare entries say beyond the columns of their rows: the text in the column `account_state` of `ledger`.
//!
//! JSON, written by the sink as a pure function of the entry and read by query: the facts are few and never filtered by,
//! so that columns of their own would be empty in almost every row.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Facts of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccountState<'a> {
    /// Of `event_defined`; id and name have columns.
    EventDefined {
        /// First instant.
        starts_at_ms: i64,
        /// First instant after it.
        ends_at_ms: i64,
        /// IANA name.
        time_zone: Cow<'a, str>,
        /// In micro-units; `None`: without one.
        budget_micros: Option<i64>,
        /// Whether holds beyond the budget are refused.
        refuses_holds: bool,
    },
    /// Of `bonus`.
    BonusGranted {
        /// `None`: never.
        expires_at_ms: Option<i64>,
    },
    /// Of `credit_limit_set`.
    CreditLimitSet {
        /// In micro-units.
        credit_limit_micros: i64,
    },
}

impl AccountState<'_> {
    /// As it stands in the column.
    #[must_use]
    pub fn text(&self) -> String {
        // Numbers and texts: it has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the column; `None` for what is none, also for rows of before there was such a text.
    #[must_use]
    pub fn parse(text: &str) -> Option<AccountState<'static>> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let defined = AccountState::EventDefined {
            starts_at_ms: 1,
            ends_at_ms: 2,
            time_zone: "Europe/Berlin".into(),
            budget_micros: None,
            refuses_holds: true,
        };
        assert_eq!(
            defined.text(),
            r#"{"kind":"event_defined","starts_at_ms":1,"ends_at_ms":2,"time_zone":"Europe/Berlin","budget_micros":null,"refuses_holds":true}"#
        );
        for state in [
            defined,
            AccountState::BonusGranted { expires_at_ms: Some(3) },
            AccountState::CreditLimitSet { credit_limit_micros: 4 },
        ] {
            assert_eq!(AccountState::parse(&state.text()), Some(state));
        }
        assert_eq!(AccountState::parse(""), None);
    }
}
