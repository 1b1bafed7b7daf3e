//! What the core promises, given, when, then.

mod alerts;
mod bonus;
mod commands;
mod events;
mod example;
mod fees;
mod harness;
mod holds;
mod model;
mod money;
mod operations;
mod price_models;
mod prices_doc;
mod pricing;
mod profile;
mod recharge;
mod redrive;
mod refunds;
mod replay;
mod repricing;
mod sizes;
mod spikes;
