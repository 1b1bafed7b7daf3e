//! The HTTP contract of ingest, over librdkafka's mock cluster: what is answered, and what the brokers have then.

mod audit;
mod back_pressure;
mod commands;
mod dismiss;
mod doors;
mod events;
mod forwarded;
mod holds;
mod keys;
mod lifecycle;
mod limits;
mod meter;
mod price_books;
mod purchases;
mod recharge;
mod redrive;
mod refunds;
mod repricings;
mod settings;
mod stand;
mod stripe;
mod webhooks;
