//! The command `operon`. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser;
use operon_host::{
    args::{Args, Command},
    cli, runtime, telemetry,
};

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    match command {
        Command::Check { config } => cli::check::check(&config),
        Command::Release(args) => cli::release::release(&args),
        Command::Status(args) => cli::state::status(&args),
        Command::Approve(args) => cli::state::approve(&args),
        Command::Run { config, login } => {
            telemetry::start();
            match runtime::run(&config, &login) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!("{error:#}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}
