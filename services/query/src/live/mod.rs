//! The live view: balances and the newest entries of every account, in memory, a moment behind the ledger.

mod confirm;
mod facts;
mod purse;
mod recent;
mod sunk;
mod tail;
mod view;
mod watchers;

pub use facts::{Facts, PlanFact};
pub use purse::{Lot, Purse};
pub use recent::RecentLimits;
pub use sunk::SunkOffsets;
pub use tail::{Following, Tail, TailError};
pub use view::{AccountListed, Balance, FoldError, Folded, KnownAccount, LiveView, Place, Profile, Recent, Since};
pub use watchers::Watch;

/// So long after the ledger's end was last reached, in ms, what is known of it is stale. It is looked for twice a second.
pub const STALE_AFTER_MS: i64 = 10_000;
