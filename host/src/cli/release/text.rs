//! What `operon release` says.

use operon_core::{config::PluginConfig, names::PLUGIN_LABEL, names::PluginIdentity};

use super::search::{Found, Unread, Why};

/// The objects as a table, with a heading.
pub(super) fn table(found: &[Found]) -> String {
    let rows = found.iter().map(|Found { kind, key, hold, deleting, .. }| {
        let said = [hold.finalizer.is_some(), hold.record, *deleting].map(|so| if so { "yes" } else { "no" });
        let [finalizer, record, deleting] = said.map(str::to_owned);
        [kind.resource.to_string(), key.to_string(), finalizer, record, deleting]
    });
    crate::cli::table::table(&["RESOURCE", "OBJECT", "FINALIZER", "RECORD", "BEING DELETED"], &rows.collect::<Vec<_>>())
}

/// What is not known; each line is a sentence of its own.
pub(super) fn unread(unread: &[Unread]) -> Vec<String> {
    let forbidden: Vec<_> =
        unread.iter().filter(|unread| matches!(unread.why, Why::Forbidden)).map(|unread| &*unread.what).collect();
    let all = (!forbidden.is_empty())
        .then(|| format!("Not looked through, since you may not list them: {}.", forbidden.join(", ")));
    let others = unread.iter().filter_map(|Unread { what, why, .. }| match why {
        Why::Forbidden => None,
        Why::OnlyIn(namespaces) => Some(format!(
            "{what}: looked through in {} only, the namespaces of the config, since you may not list it in all.",
            namespaces.join(", ")
        )),
        Why::Failed(why) => Some(format!("Not looked through: {what}: {why}")),
    });
    all.into_iter().chain(others).collect()
}

/// The commands that show the children that may be left.
pub(super) fn children(plugin: &PluginIdentity, config: Option<&PluginConfig>) -> String {
    let command = |kind: &str| format!("  kubectl get {kind} -A -l {PLUGIN_LABEL}={}\n", plugin.label);
    let owns = config.map(|config| &config.owns);
    if owns.is_some_and(std::collections::BTreeSet::is_empty) {
        return String::new();
    }
    let commands: String = match owns {
        Some(owns) => owns.iter().map(|kind| command(&kind.to_string())).collect(),
        None => command("KIND"),
    };
    let which = if owns.is_some() { "" } else { ", for each KIND that it owned" };
    format!("Its children stay; those with an owner reference go with their object. What there is{which}:\n{commands}")
}

/// `3 objects`.
pub(super) fn objects(count: usize) -> String {
    format!("{count} object{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use operon_core::{kind::Kind, object::ObjectKey, release::Hold};

    use super::*;

    fn found(namespace: Option<&str>, finalizer: Option<usize>, deleting: bool) -> Found {
        let kind = Kind {
            resource: "samples.v1.nuvolaris.org".parse().unwrap(),
            kind: "Sample".into(),
            namespaced: true,
            status_subresource: true,
        };
        Found {
            kind: Arc::new(kind),
            key: ObjectKey { namespace: namespace.map(Into::into), name: "obj".into() },
            uid: "u1".into(),
            hold: Hold { finalizer, record: true },
            deleting,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_object_in_columns() {
        assert_eq!(
            table(&[found(Some("demo"), Some(0), false), found(None, None, true)]),
            "RESOURCE                  OBJECT    FINALIZER  RECORD  BEING DELETED\n\
             samples.v1.nuvolaris.org  demo/obj  yes        yes     no\n\
             samples.v1.nuvolaris.org  obj       no         yes     yes\n"
        );
    }

    #[test]
    fn what_the_caller_may_not_list_is_said_in_one_line_and_failures_each_in_one() {
        let entry = |what: &str, why| Unread { what: what.into(), why, matters: false };
        let lines = unread(&[
            entry("a.v1.", Why::Forbidden),
            entry("metrics.k8s.io/v1beta1", Why::Failed("503".into())),
            entry("b.v1.", Why::Forbidden),
            entry("c.v1.", Why::OnlyIn(vec!["demo".into(), "test".into()])),
        ]);
        assert_eq!(
            lines,
            [
                "Not looked through, since you may not list them: a.v1., b.v1..",
                "Not looked through: metrics.k8s.io/v1beta1: 503",
                "c.v1.: looked through in demo, test only, the namespaces of the config, since you may not list it in all.",
            ]
        );
        assert!(unread(&[]).is_empty());
    }

    #[test]
    fn children_are_named_by_their_kinds_where_the_config_knows_them() {
        let plugin = PluginIdentity::new("default", "sample");
        let config = |owns: &str| {
            let text = format!(
                "apiVersion: operon.dev/v1alpha1\nkind: HostConfig\nplugins:\n- name: sample\n  source: {{ file: a.wasm }}\n  \
                 watch: [{{ resource: samples.v1.nuvolaris.org }}]\n  owns: [{owns}]\n"
            );
            operon_core::config::HostConfig::parse(&text, std::path::Path::new("operon.yaml"))
                .unwrap()
                .plugins
                .remove(0)
        };
        let two = children(&plugin, Some(&config("deployments.v1.apps, configmaps.v1.")));
        assert!(two.contains("  kubectl get configmaps.v1. -A -l operon.dev/plugin=default.sample\n"), "{two}");
        assert!(two.contains("  kubectl get deployments.v1.apps -A -l operon.dev/plugin=default.sample\n"), "{two}");
        assert!(children(&plugin, None).contains("for each KIND that it owned:\n  kubectl get KIND -A"));
        assert_eq!(children(&plugin, Some(&config(""))), "");
    }
}
