//! What the gateway writes about itself.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{Log, LogFormat};

/// Starts logging to standard error. `RUST_LOG` wins over the configuration.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter).map_err(|error| format!("RUST_LOG: {error}"))?,
        _ => EnvFilter::try_new(&log.level).map_err(|error| format!("log.level: \"{}\": {error}", log.level))?,
    };
    // Colours are for people; a file or a collector gets plain text.
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let registry = tracing_subscriber::registry().with(filter);
    match log.format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(coloured).with_target(false)).try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init(),
    }
    .map_err(|error| format!("logging cannot start: {error}"))
}
