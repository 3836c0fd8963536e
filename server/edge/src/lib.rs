//! The doors: gRPC, gRPC-Web and REST on one port.

mod app;
mod cors;
pub mod export;
mod fault;
mod grpc;
mod rest;
mod serve;

pub use app::{App, Config};
pub use grpc::{
    convert::chat as read_chat,
    embed::read as read_embed,
    models::{Make, ModelBook},
    policies::read_policy,
};
pub use serve::{BindError, admin, bind, public, serve};
