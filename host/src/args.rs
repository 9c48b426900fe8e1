//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use operon_core::{
    config::{Namespace, PluginName},
    package::Place,
    quantity::Millis,
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
    /// Put a component into a ConfigMap, compressed and in parts, where hosts run it as soon as it is there
    Push(Push),
    /// Show the versions of a plugin that a ConfigMap has
    Versions(Versions),
    /// Go back to a former version of a plugin
    Rollback(Rollback),
    /// Show how the plugins of all hosts are: which version runs, and why another does not
    Status(Status),
    /// Let a version of a plugin run that is held because it would delete many children
    Approve(Approve),
}

/// Which component goes where.
#[derive(Debug, clap::Args)]
pub struct Push {
    /// Component (.wasm, .wasm.zst or .wasm.gz)
    pub file: PathBuf,
    /// ConfigMap that hosts have as the plugin's source
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub to: Place,
    /// Name of the plugin, for `operon versions`
    #[arg(long)]
    pub plugin: Option<PluginName>,
    /// Former versions that are kept, to roll back to; 32 at most
    #[arg(long, default_value = "5", value_parser = keep)]
    pub keep: usize,
    /// Parts that no version needs are removed when nobody has pushed them for this long
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub unused_for: Millis,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: Wait,
    /// Where compiled plugins are kept.
    #[command(flatten)]
    pub cache: CacheDir,
    /// As who.
    #[command(flatten)]
    pub login: Login,
}

fn keep(text: &str) -> Result<usize, String> {
    let most = operon_core::package::HISTORY_LIMIT;
    text.parse().ok().filter(|keep| *keep <= most).ok_or_else(|| format!("expected a number up to {most}"))
}

/// Until the hosts run it.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// Return when the hosts run it; 1, and their reason, if they don't
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, default_value = "1m", value_name = "TIME", requires = "wait")]
    pub timeout: Millis,
}

/// Of which package.
#[derive(Debug, clap::Args)]
pub struct Versions {
    /// ConfigMap of the plugin
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub of: Place,
    /// As who.
    #[command(flatten)]
    pub login: Login,
}

/// To which version of which package.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// ConfigMap of the plugin
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub of: Place,
    /// Digest of the version, or its beginning [default: the version that was pushed before]
    #[arg(long, value_name = "DIGEST")]
    pub to_digest: Option<String>,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: Wait,
    /// As who.
    #[command(flatten)]
    pub login: Login,
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
