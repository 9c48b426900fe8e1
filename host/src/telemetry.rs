//! Logs: readable lines on a terminal, JSON otherwise; `OPERON_LOG` filters them (default `info`), as `tracing-subscriber` has it.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging to standard error.
pub fn start() {
    let filter = EnvFilter::try_from_env("OPERON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A log that nobody reads any more is no reason to panic, as the fallback of a failed write would.
    let logs = fmt().with_env_filter(filter).with_writer(stderr).log_internal_errors(false);
    if stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
}
