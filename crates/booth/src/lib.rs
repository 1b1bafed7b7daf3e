//! Booth client library with a durable offline outbox, and the fleet simulator built on it.
//!
//! A booth reports what it did by [`Booth::enqueue`], which returns once the report is on disk. [`Booth::run`] sends
//! what is queued, in order, as CloudEvents batches, and repeats it with the same ids until ingest has answered for
//! every item. It speaks `http://` alone and refuses an `https://` address: across a network that is not trusted, send
//! to a proxy on the booth's own machine that adds TLS, or bring a [`Transport`] of your own to [`Booth::open_with`].
//!
//! ```no_run
//! use tollbooth_booth::{Booth, BoothConfig, UsageReport};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = BoothConfig::new("http://127.0.0.1:8080", "tb_bk_live_...");
//! let booth = Booth::open("/var/lib/booth/outbox", config).await?;
//! let mut report = UsageReport::new("acc_luna".parse()?, "bth_17".parse()?, "ai_modify", "nano_banana_2");
//! report.event_id = Some("evt_gala".parse()?);
//! booth.enqueue(&report).await?;
//! booth.flush().await?;
//! # Ok(())
//! # }
//! ```
mod backoff;
mod booth;
mod outbox;
mod report;
mod transport;
mod writer;

#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "fleet")]
pub mod journal;

pub use backoff::BackoffConfig;
pub use booth::{Booth, BoothConfig, BoothError, EnqueueError, Observer, Stats};
pub use outbox::{Item, OutboxConfig, OutboxError, Parked};
pub use report::UsageReport;
pub use transport::{AddressError, BoxFuture, HttpTransport, Problem, Rejected, Reply, Transport, batch_body};
