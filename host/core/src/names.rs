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
/// Annotation of a part of a package: when a push last found it there, RFC 3339.
pub const TOUCHED: &str = "operon.dev/touched";
/// Annotation that a person sets on an object to let a plugin take it over as a child; its value is the plugin's name.
pub const ADOPT: &str = "operon.dev/adopt";

/// Annotation that a person sets on an object to stop all calls for it; `false` is as good as none.
pub const PAUSED: &str = "operon.dev/paused";

/// A plugin of a host, and what it is called in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginIdentity {
    /// `plugins[].name` of the config.
    pub plugin: String,
    /// `host` of the config.
    pub host: String,
    /// `<host>.<plugin>`.
    pub label: String,
}

impl PluginIdentity {
    /// The plugin of that name in the host of that name.
    pub fn new(host: &str, plugin: &str) -> Self {
        Self { plugin: plugin.into(), host: host.into(), label: format!("{host}.{plugin}") }
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

    /// Field manager of the finalizer. Not the record's: an apply takes away what its manager had and it leaves out, so that a
    /// finalizer of a host that has died, which comes late, would take away the record of the next.
    pub fn finalizer_manager(&self) -> String {
        format!("operon-finalizer/{}", self.label)
    }

    /// Field manager of the record, and of the end of both.
    pub fn record_manager(&self) -> String {
        format!("operon-record/{}", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::PluginIdentity;

    /// They are on objects in people's clusters: another name is another plugin.
    #[test]
    fn what_is_written_into_clusters_is_called_so() {
        let sample = PluginIdentity::new("default", "sample");
        assert_eq!(sample.label, "default.sample");
        assert_eq!((sample.host.as_str(), sample.plugin.as_str()), ("default", "sample"));
        assert_eq!(sample.finalizer(), "operon.dev/default.sample");
        assert_eq!(sample.record_annotation(), "operon.dev/default.sample");
        assert_eq!(sample.manager(), "operon/default.sample");
        assert_eq!(sample.status_manager(), "operon-status/default.sample");
        assert_eq!(sample.finalizer_manager(), "operon-finalizer/default.sample");
        assert_eq!(sample.record_manager(), "operon-record/default.sample");
    }
}
