//! The gateway: `headworks serve`, and a few commands around its state.

mod alerts;
mod catalog;
mod config;
mod memory;
mod run;
mod telemetry;
mod wire;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// A gRPC-first gateway to language models.
#[derive(Parser)]
#[command(name = "headworks", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file; default: HEADWORKS_CONFIG, then ./headworks.toml if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve calls (what headworks alone does too).
    Serve,
    /// Say whether a configuration file can be used.
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
    /// Write all state to a file that any store can import. The gateway must not be running.
    Export {
        /// The file to write; it must not exist.
        file: PathBuf,
    },
    /// Read state written by export into an empty store. The gateway must not be running.
    Import {
        /// The file to read.
        file: PathBuf,
    },
    /// Look at the models that the gateway knows, with what the configuration says of them.
    Catalog {
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// Write the store anew, without what its file holds of old versions and of records taken away. The gateway must not be running.
    Compact,
}

#[derive(Subcommand)]
enum CatalogCommand {
    /// Say what is wrong with the catalogue and what the configuration says over it; fails if something is.
    Check,
    /// List models: id, standing, context, prices per million tokens.
    List {
        /// Only those whose id fits: `*` stands for any run of characters.
        #[arg(default_value = "*")]
        pattern: String,
    },
    /// Tell all that is known of one model.
    Show {
        /// Its id, an alias or its bare name.
        model: String,
    },
}

fn main() -> ExitCode {
    memory::settle();
    let cli = Cli::parse();
    let env: BTreeMap<String, String> = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
    let result = match cli.command {
        Some(Command::CheckConfig { file }) => run::check_config(&file, &env),
        Some(Command::Export { file }) => run::export(cli.config.as_deref(), &file, &env),
        Some(Command::Import { file }) => run::import(cli.config.as_deref(), &file, &env),
        Some(Command::Compact) => run::compact(cli.config.as_deref(), &env),
        Some(Command::Catalog { command: CatalogCommand::Check }) => catalog::check(cli.config.as_deref(), &env),
        Some(Command::Catalog { command: CatalogCommand::List { pattern } }) => catalog::list(cli.config.as_deref(), &pattern, &env),
        Some(Command::Catalog { command: CatalogCommand::Show { model } }) => catalog::show(cli.config.as_deref(), &model, &env),
        None | Some(Command::Serve) => run::serve(cli.config.as_deref(), &env),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("headworks: {message}");
            ExitCode::FAILURE
        }
    }
}
