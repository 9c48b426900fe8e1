//! `operon push`, `versions` and `rollback`: plugins in ConfigMaps, from anybody's machine, with the caller's own rights.
//!
//! `store` reads and writes a package, `push` and `versions` are the commands, `wait` returns when the hosts run what was asked for.

mod push;
mod store;
mod versions;
mod wait;

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use kube::Client;
pub use push::push;
pub use versions::{rollback, versions};

use crate::cluster::login::Login;

/// Runs a command that needs the cluster; an error is printed, and ends with 1.
pub(super) fn with_client(login: &Login, work: impl AsyncFnOnce(Client) -> anyhow::Result<()>) -> ExitCode {
    let done = tokio::runtime::Runtime::new()
        .context("starting the executor")
        .and_then(|runtime| runtime.block_on(async { work(login.client().await?).await }));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

pub(super) fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
