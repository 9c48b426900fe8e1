//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cluster::login::Login;

/// One Kubernetes operator host for many operators, each a sandboxed WebAssembly plugin.
#[derive(Debug, Parser)]
#[command(name = "operon", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operators that a config file lists
    Run {
        /// Config file (YAML; see README.md)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// As who.
        #[command(flatten)]
        login: Login,
    },
    /// Check all of a config file that can be known without a cluster; 0 if it is good, 1 if not
    Check {
        /// Config file (YAML; see README.md)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
