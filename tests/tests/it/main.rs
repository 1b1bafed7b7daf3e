//! The whole path over the real engines: what a booth, an operator and an accident do, and what must come of it.

mod backup;
mod bad_input;
mod dead_letters;
mod first_event;
mod guide;
mod holds;
mod kafka_modes;
mod keys;
mod metrics;
mod once;
mod outages;
mod profile;
mod purchases;
mod races;
mod redrive;
mod refunds;
mod repricing;
mod restarts;
mod rolling;
mod stage;
mod stripe;
mod traces;
