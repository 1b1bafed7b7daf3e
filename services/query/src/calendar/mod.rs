//! Local-time buckets: where the quarter-hours, hours, days, weeks, months and years of an IANA zone begin and end.
//!
//! Pure: instants are milliseconds since the epoch and "now" is a parameter. Edges are found in the local calendar and
//! only then turned into instants, so that a day has 23, 24 or 25 hours as its zone has it.

mod bucket;
mod edges;
mod previous;
mod range;

pub use bucket::Bucket;
pub use edges::{Span, TooManyBuckets, local as local_time, spans};
pub use previous::previous;
pub use range::{RangeError, TimeRange, edge_text, parse_edge, resolve_range, resolve_zone};

/// Milliseconds in a quarter of an hour, the grain of the rollups.
pub const QUARTER_MS: i64 = 900_000;
