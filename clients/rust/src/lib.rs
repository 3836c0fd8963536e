//! A client of Headworks, the gRPC-first gateway to language models.
#![doc = include_str!("../README.md")]
// The schema grows: a literal that is whole today is not tomorrow.
#![allow(clippy::needless_update)]

mod chat;
mod client;
mod core;
mod error;
mod money;
pub mod reason;
pub mod services;
mod stream;

/// The messages and stubs of `headworks.v1`.
#[allow(missing_docs, clippy::all, deprecated)]
pub mod v1 {
    include!("gen/headworks.v1.rs");
}

pub use chat::{Reply, assistant, chat, function, image, image_url, json_schema, system, text, tool_result, user};
pub use client::{Builder, Headworks};
pub use core::Answers;
pub use error::{Error, FieldViolation};
pub use money::{nano_usd, usd};
pub use stream::ChatStream;
pub use tonic::Code;
