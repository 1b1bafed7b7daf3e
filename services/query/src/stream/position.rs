//! Up to where a stream has delivered, as the id of an event.

use std::fmt;
use std::str::FromStr;

/// The newest entry that a stream has delivered, by topic: sums are sent less often than transactions.
///
/// Written as `120`, or `120.100` where the two differ (transactions, usage).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Every transaction and every alert up to this `seq` was delivered.
    pub transactions: u64,
    /// Every entry up to this `seq` is in the sums that were delivered.
    pub usage: u64,
}

/// Not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the id of an event of this stream, or a seq")]
pub struct BadPosition;

impl Position {
    /// Everything up to `seq`.
    #[must_use]
    pub const fn at(seq: u64) -> Self {
        Self { transactions: seq, usage: seq }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { transactions, usage } if transactions == usage => write!(f, "{transactions}"),
            Self { transactions, usage } => write!(f, "{transactions}.{usage}"),
        }
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let seq = |text: &str| -> Result<u64, BadPosition> {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { text.parse().map_err(|_| BadPosition) } else { Err(BadPosition) }
        };
        match text.split_once('.') {
            None => Ok(Self::at(seq(text)?)),
            Some((transactions, usage)) => Ok(Self { transactions: seq(transactions)?, usage: seq(usage)? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_position_comes_back_as_it_went(transactions: u64, usage: u64) {
            let position = Position { transactions, usage };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
            prop_assert_eq!(transactions.to_string().parse(), Ok(Position::at(transactions)));
        }
    }

    #[test]
    fn nothing_else_is_a_position() {
        for text in ["", ".", "1.", ".1", "-1", "+1", "1.2.3", "1e3", "18446744073709551616", "a"] {
            assert_eq!(text.parse::<Position>(), Err(BadPosition), "{text}");
        }
    }
}
