//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use operon_core::{
    config::{Namespace, PluginName},
    resource::ResourceName,
};

use crate::{
    cluster::login::Login,
    plugin::compile::{child::Limits, folder::CacheDir},
};

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
        /// Where compiled plugins are kept.
        #[command(flatten)]
        cache: CacheDir,
        /// As who.
        #[command(flatten)]
        login: Login,
    },
    /// Check all of a config file that can be known without a cluster; 0 if it is good, 1 if not
    Check {
        /// Config file (YAML; see README.md)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where compiled plugins are kept.
        #[command(flatten)]
        cache: CacheDir,
    },
    /// Show which objects a plugin holds by its finalizer and its record, and take both away: to uninstall it, or free an object
    Release(Release),
    /// Compile a component from standard input to standard output, as the host does for itself in a process apart
    #[command(hide = true)]
    Compile(Limits),
    /// Show how the plugins of all hosts are: which version runs, and why another does not
    Status(Status),
    /// Let a version of a plugin run that is held because it would delete many children
    Approve(Approve),
}

/// Of which cluster.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// As who.
    #[command(flatten)]
    pub login: Login,
}

/// Which version of which plugin.
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// Name of the plugin in the config of its host
    pub plugin: PluginName,
    /// Name of the host, as in its config
    #[arg(long, default_value = "default")]
    pub host: String,
    /// Digest of the version, or its beginning [default: the one that is held]
    #[arg(long)]
    pub digest: Option<String>,
    /// As who.
    #[command(flatten)]
    pub login: Login,
}

/// Which objects of which plugin are released.
#[derive(Debug, clap::Args)]
pub struct Release {
    /// Name of the plugin; it need not be in the config any more
    pub plugin: PluginName,
    /// Config file of the host (YAML; see README.md)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Remove them without asking; otherwise they are shown, and removed after a `yes` from the terminal
    #[arg(long)]
    pub yes: bool,
    /// Only objects in this namespace [default: all of them]
    #[arg(long)]
    pub namespace: Option<Namespace>,
    /// Only objects of this name
    #[arg(long)]
    pub name: Option<String>,
    /// Only objects of this resource, as in samples.v1.nuvolaris.org [default: all that the API server has]
    #[arg(long, value_name = "plural.version.group")]
    pub resource: Option<ResourceName>,
    /// As who.
    #[command(flatten)]
    pub login: Login,
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
