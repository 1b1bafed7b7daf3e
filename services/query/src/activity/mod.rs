//! The activity of an account: rows, the filters over them, and the cursor between pages.

mod alert;
pub(crate) mod csv;
mod cursor;
mod detail;
mod filter;
mod page;
mod parts;
mod row;

pub use alert::Alert;
pub(crate) use alert::AlertBody;
pub use cursor::{BadCursor, Cursor};
pub use detail::EntryDetail;
pub(crate) use detail::TransactionDetailBody;
pub(crate) use filter::status;
pub use filter::{ActivityFilter, EVENT_FILTER_PARAMS, FILTER_PARAMS};
pub use page::{LIMIT_DEFAULT, LIMIT_MAX, Page, Reach, Seam, plan, upper_of_stored};
pub(crate) use parts::{PricingBody, formula_of, model_code};
pub use row::{ActivityRow, Transaction};
