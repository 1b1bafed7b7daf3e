//! Server-sent events of one account: what goes out, when, and where a client goes on that was away.
//!
//! A stream has no queue of its own. It remembers up to which entry it has delivered, is woken when the account has a newer
//! one, and takes the entries in between from the live view's memory, which all streams share; what memory has dropped
//! comes from ClickHouse. So a client that does not read costs nothing but its place, and one that was away goes on where
//! it was, also with another process: an id names entries, which mean the same everywhere. Where the entries in between
//! cannot be had or are too many, the client is told to load anew (`resync`).
//!
//! [`Position`] and [`Feed`] are pure; [`Stream`] reads and waits.

mod events;
mod feed;
mod position;
mod source;
mod usage;

pub(crate) use events::{StreamBalance, StreamReady, StreamResync, StreamStale, StreamUsage};
pub use feed::{Feed, Intervals, Out, Topic, Topics};
pub use position::{BadPosition, Position};
pub use source::{Opening, Stream};
pub use usage::{Usage, UsageLine};
