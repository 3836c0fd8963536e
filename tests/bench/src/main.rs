//! Measures the gateway beside nginx and the bare upstream, what accounting costs, and how a ledger of millions answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accounting;
mod admin;
mod failover;
mod fill;
mod hedging;
mod ledger;
mod load;
mod mock;
mod proxy;
mod server;

use std::{
    path::PathBuf,
    process::{Command, Stdio, exit},
    time::Duration,
};

const USAGE: &str = "\
headworks-bench [proxy] [--quick] [--sleepy] [--only NAME,...]   what a request costs, beside nginx
headworks-bench accounting [--quick] [--sleepy]                  budgets, rate limits and ledger on against off
headworks-bench failover [--quick] [--sleepy]                    what a failover adds, beside nginx
headworks-bench hedging [--quick] [--sleepy]                     a slow tail with second attempts and without
headworks-bench ledger [--requests N] [--folder PATH]            a store of N requests: sums, bytes, start";

/// What was asked for.
pub struct Options {
    command: String,
    quick: bool,
    sleepy: bool,
    only: Vec<String>,
    /// How many requests the ledger is filled with.
    pub requests: u64,
    /// Where the store of the ledger's measurement is made, or is already; otherwise a folder that goes away.
    pub folder: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self { command: "proxy".to_owned(), quick: false, sleepy: false, only: Vec::new(), requests: 10_000_000, folder: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "proxy" | "accounting" | "failover" | "hedging" | "ledger" => options.command = argument,
                "--quick" => options.quick = true,
                "--sleepy" => options.sleepy = true,
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--requests" => {
                    options.requests =
                        value()?.replace('_', "").parse().ok().filter(|n| *n > 0).ok_or_else(|| "--requests needs a number above 0".to_owned())?;
                }
                "--folder" => options.folder = Some(value()?.into()),
                other => return Err(format!("\"{other}\" is not known")),
            }
        }
        Ok(options)
    }

    /// Seconds of a measurement, and how often it is repeated.
    pub fn length(&self) -> (Duration, usize) {
        if self.quick { (Duration::from_secs(2), 1) } else { (Duration::from_secs(4), 3) }
    }

    /// Whether a scenario is to be measured.
    pub fn wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::read().unwrap_or_else(|error| {
        eprintln!("{error}\n\n{USAGE}");
        exit(2);
    });
    if options.command == "ledger" {
        return ledger::run(&options).await;
    }
    let _ = Command::new("taskset").args(["-cp", "1", &std::process::id().to_string()]).stdout(Stdio::null()).status();
    if !options.sleepy {
        // A peer on another machine is not woken by the sender. One that sleeps on the other core is, by an interrupt
        // that costs the sender as much as the rest of the write, and the more the faster the peer: so it stays awake.
        tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
    }
    match options.command.as_str() {
        "accounting" => accounting::run(&options).await,
        "failover" => failover::run(&options).await,
        "hedging" => hedging::run(&options).await,
        _ => proxy::run(&options).await,
    }
}
