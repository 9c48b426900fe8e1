//! Every name that the host writes into the cluster, in one place.
//!
//! All carry the host's and the plugin's name, so that two hosts in one cluster, or two plugins on one object, share nothing.

/// Prefix of all labels, annotations and finalizers of ours.
pub const PREFIX: &str = "operon.dev/";
/// Label of a child: which host's plugin made it, as `<host>.<plugin>`.
pub const PLUGIN_LABEL: &str = "operon.dev/plugin";
/// Label of a child: the uid of the object that it was made for.
pub const OWNER_LABEL: &str = "operon.dev/owner";
/// Annotation of a child: digest of the body that was applied last.
pub const APPLIED: &str = "operon.dev/applied";
/// Annotation of an object that a `create` of a plugin made: the uid of the object that it was made for.
pub const CREATED_FOR: &str = "operon.dev/created-for";
/// Label of the ConfigMaps of a package, head and parts: the name of the head.
pub const PACKAGE_LABEL: &str = "operon.dev/package";
/// Annotation that a person sets on an object to let a plugin take it over as a child; its value is the plugin's name.
pub const ADOPT: &str = "operon.dev/adopt";

/// Annotation that a person sets on an object to stop all calls for it; `false` is as good as none.
pub const PAUSED: &str = "operon.dev/paused";

/// A plugin of a host, and what it is called in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginIdentity {
    /// `plugins[].name` of the config.
    pub plugin: String,
    /// `<host>.<plugin>`.
    pub label: String,
}

impl PluginIdentity {
    /// The plugin of that name in the host of that name.
    pub fn new(host: &str, plugin: &str) -> Self {
        Self { plugin: plugin.into(), label: format!("{host}.{plugin}") }
    }

    /// The finalizer that keeps a deleted object until the plugin has handled its end.
    pub fn finalizer(&self) -> String {
        format!("{PREFIX}{}", self.label)
    }

    /// The annotation that holds the record.
    pub fn record_annotation(&self) -> String {
        format!("{PREFIX}{}", self.label)
    }

    /// Field manager of children and patches.
    pub fn manager(&self) -> String {
        format!("operon/{}", self.label)
    }

    /// Field manager of the status.
    pub fn status_manager(&self) -> String {
        format!("operon-status/{}", self.label)
    }

    /// Field manager of finalizer and record.
    pub fn record_manager(&self) -> String {
        format!("operon-record/{}", self.label)
    }
}
