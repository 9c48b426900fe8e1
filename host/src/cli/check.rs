//! `operon check`: all that can be known about a config without a cluster.

use std::{collections::BTreeSet, path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use operon_core::config::{ConfigError, HostConfig, PluginConfig, Source};

use crate::plugin::{
    compile::{Compiler, cache::Cache},
    loader::{LoadError, Loader},
    sandbox::Sandbox,
    source::Component,
};

/// Loads a config and the plugins that are files; prints what it would run, or every mistake, one a line, and fails.
pub fn check(file: &Path, cache: &Path) -> ExitCode {
    let config = match HostConfig::load(file) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    match check_plugins(file, &config, cache) {
        Ok(mistakes) if mistakes.is_empty() => {
            println!("{}", summary(&config));
            ExitCode::SUCCESS
        }
        Ok(mistakes) => {
            for mistake in mistakes {
                eprintln!("{mistake}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles the plugins that are files and shows them their settings; those in ConfigMaps can't be known here.
///
/// With the host's own cache: what was checked is compiled for the host as well, and what did not change for the next check.
fn check_plugins(config_file: &Path, config: &HostConfig, cache: &Path) -> anyhow::Result<Vec<ConfigError>> {
    let files = config.plugins.iter().enumerate().filter_map(|(i, plugin)| match &plugin.source {
        Source::File(file) => Some((i, plugin, file)),
        Source::ConfigMap(_) => None,
    });
    let files: Vec<_> = files.collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Runtime::new().context("starting the executor")?;
    let sandbox = Arc::new(Sandbox::new().context("starting the WebAssembly engine")?);
    let cache = Cache::open_or_temporary(cache).context("making a folder for compiled plugins")?;
    let compiler = Arc::new(Compiler::new(cache, sandbox.compatibility())?);
    let mistakes = files.into_iter().filter_map(|(i, plugin, file)| {
        let error = runtime.block_on(load(&compiler, &sandbox, plugin, file)).err()?;
        Some(ConfigError {
            file: config_file.into(),
            position: None,
            path: format!("plugins[{i}].source.file"),
            reason: format!("plugin {}, {}: {error}", plugin.name, file.display()),
        })
    });
    Ok(mistakes.collect())
}

async fn load(
    compiler: &Arc<Compiler>,
    sandbox: &Arc<Sandbox>,
    plugin: &PluginConfig,
    file: &Path,
) -> Result<(), LoadError> {
    let loader = Loader { config: plugin.clone(), compiler: compiler.clone(), sandbox: sandbox.clone(), reads: None };
    loader.load(&Component::read(file)?.pinned(plugin.digest.as_ref())?).await?;
    Ok(())
}

fn summary(config: &HostConfig) -> String {
    let watches = config.plugins.iter().flat_map(|plugin| &plugin.watch);
    let resources: BTreeSet<_> = watches.map(|watch| watch.resource.to_string()).collect();
    format!(
        "ok: {}, {} watched: {}",
        counted(config.plugins.len(), "plugin"),
        counted(resources.len(), "resource"),
        resources.into_iter().collect::<Vec<_>>().join(", "),
    )
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use operon_core::config::HostConfig;

    use super::summary;

    #[test]
    fn a_resource_that_two_plugins_watch_is_counted_once() {
        let plugin = |name: &str, resource: &str| {
            format!("- {{ name: {name}, source: {{ file: {name}.wasm }}, watch: [{{ resource: {resource} }}] }}\n")
        };
        let head = "apiVersion: operon.dev/v1alpha1\nkind: HostConfig\nplugins:\n";
        let (a, b) = (plugin("a", "samples.v1.nuvolaris.org"), plugin("b", "samples.v1.nuvolaris.org"));
        let config = |text: String| HostConfig::parse(&text, Path::new("operon.yaml")).unwrap();
        let one = config(format!("{head}{a}"));
        assert_eq!(summary(&one), "ok: 1 plugin, 1 resource watched: samples.v1.nuvolaris.org");
        let three = config(format!("{head}{a}{b}{}", plugin("c", "configmaps.v1.")));
        assert_eq!(summary(&three), "ok: 3 plugins, 2 resources watched: configmaps.v1., samples.v1.nuvolaris.org");
    }
}
