//! The live view: balances and the newest entries of every account, in memory, a moment behind the ledger.

mod confirm;
mod facts;
mod recent;
mod sunk;
mod tail;
mod view;
mod watchers;

pub use facts::{Facts, PlanFact};
pub use recent::RecentLimits;
pub use sunk::SunkOffsets;
pub use tail::{Following, Tail, TailError};
pub use view::{Balance, FoldError, Folded, KnownAccount, LiveView, Place, Profile, Recent, Since};
pub use watchers::Watch;
