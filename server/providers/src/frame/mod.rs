//! How a body is cut into messages, below any dialect.

pub mod aws;
pub mod sse;
