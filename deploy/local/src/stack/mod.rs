//! The whole stack on one machine: engines, services, demo data and a simulated fleet, under one supervisor.
//!
//! [`up()`] stays in the foreground, or detaches; [`down`], [`reset`] and [`status`] find it through the files in its
//! folder. What a supervisor started dies with it, whatever kills it. Everything is on 127.0.0.1.

mod api;
mod console;
mod demo;
mod detach;
mod fleet;
mod instance;
mod line;
mod manage;
mod metrics;
mod observe;
mod restarts;
mod services;
mod settings;
mod size;
mod supervisor;
mod up;

pub use detach::up_detached;
pub use manage::{down, reset, status};
pub use settings::{PortTaken, Settings, shell_assignments};
pub use up::up;

/// How long a first answer may take once everything says that it is ready.
const READY_WAIT: std::time::Duration = std::time::Duration::from_secs(60);
