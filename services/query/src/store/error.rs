//! Why ClickHouse gives no answer, and what of it is told.

use tollbooth_chassis::causes::Causes;
use tollbooth_chassis::problem::Problem;

use super::{Behind, Projection};

/// Seconds a client is asked to wait when ClickHouse is away.
const RETRY_AFTER_S: u32 = 2;
const NO_HISTORY: &str = "history is not available at the moment; balances are";
/// How ClickHouse begins to say that a query ran for longer than it may.
const TIMEOUT_EXCEEDED: &str = "Code: 159.";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// ClickHouse is away, not migrated yet, or too slow.
    #[error("clickhouse: {}", Causes(.0))]
    Unavailable(#[source] clickhouse::error::Error),
    /// Too many questions at once: there was no place for this one, or it took too long among the others.
    #[error("too many queries under way")]
    Busy,
    /// The question is larger than its limits.
    #[error("the query exceeds its limits: {0}")]
    TooLarge(#[source] clickhouse::error::Error),
    /// The questions of one request took longer than they may together.
    #[error("the queries of the request exceed their time")]
    OverTime,
    /// A row is not what the schema says.
    #[error("a row is not as expected: {0}")]
    Row(String),
    /// The sink has not bound the database to a ledger yet, or it is not known yet to which one it should be.
    #[error("the database is not known to show the ledger yet")]
    Unbound,
    /// The database shows another ledger.
    #[error("the database is a projection of {found}, not of {expected}")]
    OtherLedger {
        /// What it shows.
        found: Box<Projection>,
        /// What it should show.
        expected: Box<Projection>,
    },
    /// The database has not seen a migration that the questions depend on.
    #[error(
        "the database has migrations up to {found}, and this release reads what {needed} makes: start the sink of this \
         release, which applies it"
    )]
    OldSchema {
        /// Number of the newest that it has seen; 0: none.
        found: u32,
        /// File name.
        needed: &'static str,
    },
    /// The database has less than the sink has committed.
    #[error("the database {0}")]
    Behind(#[from] Behind),
}

impl From<clickhouse::error::Error> for StoreError {
    fn from(error: clickhouse::error::Error) -> Self {
        let text = match &error {
            clickhouse::error::Error::BadResponse(text) => text.as_str(),
            clickhouse::error::Error::SchemaMismatch(text) => return Self::Row(text.clone()),
            _ => return Self::Unavailable(error),
        };
        if is_too_large(text) { Self::TooLarge(error) } else { Self::Unavailable(error) }
    }
}

impl StoreError {
    /// What it is among as many questions as may be under way: there time does not say how large one is, and it may take a
    /// moment where the others are gone.
    pub(super) fn in_a_crowd(self) -> Self {
        match self {
            Self::OverTime => Self::Busy,
            Self::TooLarge(clickhouse::error::Error::BadResponse(text)) if text.contains(TIMEOUT_EXCEEDED) => {
                Self::Busy
            }
            error => error,
        }
    }
}

/// Whether the query itself is what went beyond a limit, so that asking again would end the same way.
fn is_too_large(text: &str) -> bool {
    // MEMORY_LIMIT_EXCEEDED is also what the server as a whole says, and what one user's queries come to together: of
    // those this query is not the cause.
    let is_own_memory = ["Query memory limit", "(for query)"].iter().any(|whose| text.contains(whose));
    // TOO_MANY_ROWS, TOO_MANY_ROWS_OR_BYTES
    let codes = ["Code: 158.", TIMEOUT_EXCEEDED, "Code: 396."];
    (text.contains("Code: 241.") && is_own_memory) || codes.iter().any(|code| text.contains(code))
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::unavailable(1).with_detail("too many queries at once"),
            StoreError::Unavailable(source) => {
                tracing::warn!(error = %Causes(&source), "ClickHouse gives no answer");
                Self::unavailable(RETRY_AFTER_S).with_detail(NO_HISTORY)
            }
            error @ (StoreError::TooLarge(_) | StoreError::OverTime) => {
                tracing::warn!(%error, "a request exceeds its limits");
                Self::new("query_too_large", axum::http::StatusCode::BAD_REQUEST, "The request asks for too much")
                    .with_detail("narrow the range or the filters")
            }
            StoreError::Row(detail) => Self::internal(detail),
            error @ (StoreError::Unbound
            | StoreError::OtherLedger { .. }
            | StoreError::OldSchema { .. }
            | StoreError::Behind(_)) => {
                tracing::warn!(%error, "the database cannot be asked");
                Self::unavailable(RETRY_AFTER_S).with_detail(NO_HISTORY)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (u16, &'static str) {
        let error = clickhouse::error::Error::BadResponse(text.to_owned());
        let problem = Problem::from(StoreError::from(error));
        (problem.status().as_u16(), problem.code())
    }

    #[test]
    fn only_time_is_not_the_askers_among_many_others() {
        let among_others =
            |text: &str| StoreError::from(clickhouse::error::Error::BadResponse(text.to_owned())).in_a_crowd();
        assert!(matches!(among_others("Code: 159. DB::Exception: Timeout exceeded"), StoreError::Busy));
        assert!(matches!(StoreError::OverTime.in_a_crowd(), StoreError::Busy));
        assert!(matches!(among_others("Code: 158. DB::Exception: Limit for rows exceeded"), StoreError::TooLarge(_)));
        assert!(matches!(among_others("Code: 60. DB::Exception: no table"), StoreError::Unavailable(_)));
    }

    #[test]
    fn a_query_beyond_its_own_limits_is_the_askers_and_everything_else_passes() {
        for text in [
            "Code: 158. DB::Exception: Limit for rows (controlled by 'max_rows_to_read' setting) exceeded",
            "Code: 159. DB::Exception: Timeout exceeded: elapsed 10001 ms, maximum: 10000 ms. (TIMEOUT_EXCEEDED)",
            "Code: 241. DB::Exception: Query memory limit exceeded: would use 1.00 GiB. (MEMORY_LIMIT_EXCEEDED)",
            "Code: 241. DB::Exception: Memory limit (for query) exceeded: would use 1.00 GiB. (MEMORY_LIMIT_EXCEEDED)",
            "Code: 396. DB::Exception: Limit for result exceeded",
        ] {
            assert_eq!(problem(text), (400, "query_too_large"), "{text}");
        }
        for text in [
            "Code: 241. DB::Exception: (total) memory limit exceeded: would use 9.01 GiB. (MEMORY_LIMIT_EXCEEDED)",
            "Code: 241. DB::Exception: Memory limit (total) exceeded: would use 9.01 GiB. (MEMORY_LIMIT_EXCEEDED)",
            "Code: 241. DB::Exception: User memory limit exceeded: would use 9.01 GiB. (MEMORY_LIMIT_EXCEEDED)",
            "Code: 241. DB::Exception: Memory limit (for user) exceeded: would use 9.01 GiB. (MEMORY_LIMIT_EXCEEDED)",
            "Code: 202. DB::Exception: Too many simultaneous queries. Maximum: 100. (TOO_MANY_SIMULTANEOUS_QUERIES)",
            "Code: 745. DB::Exception: CPU is overloaded. (SERVER_OVERLOADED)",
            "Code: 60. DB::Exception: Table ledger does not exist. (UNKNOWN_TABLE)",
        ] {
            assert_eq!(problem(text), (503, "unavailable"), "{text}");
        }
    }
}
