//! The command `operon`. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser;
use operon_host::{
    args::{Args, Command},
    cli,
    plugin::compile::child,
    runtime, telemetry,
};

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    match command {
        Command::Check { config, cache } => cli::check::check(&config, &cache.path()),
        Command::Compile(limits) => child::run(&limits),
        Command::Release(args) => cli::release::release(&args),
        Command::Push(args) => cli::package::push(&args),
        Command::Versions(args) => cli::package::versions(&args),
        Command::Rollback(args) => cli::package::rollback(&args),
        Command::Status(args) => cli::state::status(&args),
        Command::Approve(args) => cli::state::approve(&args),
        Command::Run { config, cache, login } => {
            telemetry::start();
            match runtime::run(&config, &cache.path(), &login) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!("{error:#}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}
