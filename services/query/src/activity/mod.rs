//! The activity of an account: rows, the filters over them, and the cursor between pages.

mod cursor;
mod filter;
mod page;
mod row;

pub use cursor::{BadCursor, Cursor};
pub use filter::{ActivityFilter, FILTER_PARAMS};
pub use page::{LIMIT_DEFAULT, LIMIT_MAX, Page, Reach, Seam, plan};
pub use row::{ActivityRow, Transaction};
