//! The one place that is an HTTP client: spells an attempt, shows the host its
//! credentials, sends it, and turns the answer's bytes into events as they come.
//!
//! Of time limits only the one for connecting is kept here; the engine keeps
//! the others and ends an attempt by dropping its future or its stream, which
//! cancels the upstream at once. Nothing is retried here except a request that
//! a pooled connection gave back unsent.

mod auth;
mod config;
mod events;
mod pieces;
mod pool;
mod sandbox;
mod send;
mod warm;
mod webhook;

pub use auth::{BadKey, Secrets};
pub use config::Config;
pub use pool::SetupError;

pub use send::Upstream;
pub use webhook::{Webhook, WebhookError};
