//! Serving an axum [`Router`](axum::Router) over HTTP/1.1 with every limit stated, and errors as problem+json.
//!
//! No stack of tower layers: one function per request does request id, deadline, panic and error shape, so that a small
//! request costs the router and little else. Bodies are read by [`RawBody`], [`JsonBody`] or [`read_body`], which apply
//! the limit to the unpacked size.

mod body;
mod metrics;
mod request_id;
mod server;
mod write_deadline;

pub use body::{BodyLimit, JsonBody, RawBody, Room, Unbounded, read_body, read_body_into};
pub use metrics::{HttpMetrics, RouteMetrics};
pub use request_id::{REQUEST_ID, RequestId};
pub use server::{HttpLimits, Peer, Server};
pub use write_deadline::WriteTimeout;
