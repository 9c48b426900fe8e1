//! `operon check`: all that can be known about a config without a cluster.

use std::{collections::BTreeSet, path::Path, process::ExitCode};

use operon_core::config::HostConfig;

/// Loads a config and prints what it would run; or every mistake in it, one a line, and fails.
pub fn check(config: &Path) -> ExitCode {
    match HostConfig::load(config) {
        Ok(config) => {
            println!("{}", summary(&config));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
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
