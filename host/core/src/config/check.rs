//! What the fields of a config have to be together, once each of them can be read.

use std::{collections::BTreeSet, fmt::Display, ops::RangeInclusive};

use super::{
    Grant, HostConfig, Limits, Namespace, PluginConfig,
    error::{FieldPath, Mistake},
    yaml::Node,
};
use crate::resource::ResourceName;

/// All that is wrong with a config that was read from `node`.
pub(super) fn check(config: &HostConfig, node: &Node) -> Vec<Mistake> {
    let mut check = Check { node, mistakes: Vec::new() };
    check.host(config, &FieldPath::Top);
    check.mistakes
}

struct Check<'a> {
    node: &'a Node,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    fn host(&mut self, config: &HostConfig, path: &FieldPath) {
        let plugins = path.field("plugins");
        self.not_empty(&plugins, config.plugins.len());
        for (index, plugin) in config.plugins.iter().enumerate() {
            let path = plugins.item(index);
            if let Some(first) = config.plugins[..index].iter().position(|other| other.name == plugin.name) {
                let found = format!("{:?}, the name of plugins[{first}]", plugin.name.as_str());
                self.note(&path.field("name"), found, "a name of its own");
            }
            self.plugin(plugin, &path);
        }
    }

    fn plugin(&mut self, plugin: &PluginConfig, path: &FieldPath) {
        self.watch(plugin, &path.field("watch"));
        self.owns(plugin, &path.field("owns"));
        self.grants(plugin, &path.field("grants"));
        self.limits(&plugin.limits, &path.field("limits"));
    }

    fn watch(&mut self, plugin: &PluginConfig, path: &FieldPath) {
        self.not_empty(path, plugin.watch.len());
        for (index, watch) in plugin.watch.iter().enumerate() {
            let path = path.item(index);
            let earlier = plugin.watch[..index].iter().map(|earlier| &earlier.resource);
            self.first_of_its_resource(&path.field("resource"), &watch.resource, earlier);
            self.not_empty(&path.field("on"), watch.on.len());
            self.namespaces(&path, watch.namespaces.as_ref());
            if watch.namespaces.is_some() && watch.namespace_selector.is_some() {
                self.note(&path.field("namespaceSelector"), "it beside namespaces", "one of them");
            }
        }
    }

    fn owns(&mut self, plugin: &PluginConfig, path: &FieldPath) {
        for owned in &plugin.owns {
            let earlier = plugin.owns.iter().take_while(|earlier| *earlier != owned);
            self.first_of_its_resource(path, owned, earlier);
            if plugin.watch.iter().any(|watch| watch.resource.same_resource(owned)) {
                let found = format!("{owned}, which this plugin also watches");
                self.note(path, found, "another resource: it would be called for its own children");
            }
        }
    }

    fn grants(&mut self, plugin: &PluginConfig, path: &FieldPath) {
        for (index, grant) in plugin.grants.iter().enumerate() {
            let same = |other: &Grant| other.resource == grant.resource && other.namespaces == grant.namespaces;
            let first = plugin.grants[..index].iter().position(same);
            let path = path.item(index);
            if let Some(first) = first {
                let found = format!("{} in the same namespaces as in grants[{first}]", grant.resource);
                self.note(&path, found, "one grant with the verbs of both");
            }
            self.not_empty(&path.field("verbs"), grant.verbs.len());
            self.namespaces(&path, grant.namespaces.as_ref());
        }
    }

    fn limits(&mut self, limits: &Limits, path: &FieldPath) {
        self.within(&path.field("memory"), limits.memory, &Limits::MEMORY);
        self.within(&path.field("time"), limits.time, &Limits::TIME);
        self.within(&path.field("input"), limits.input, &Limits::INPUT);
        self.within(&path.field("output"), limits.output, &Limits::OUTPUT);
        self.within(&path.field("concurrency"), limits.concurrency, &Limits::CONCURRENCY);
    }

    /// One version of a resource, once: two entries would be two opinions on the same objects.
    fn first_of_its_resource<'r>(
        &mut self,
        path: &FieldPath,
        resource: &ResourceName,
        mut earlier: impl Iterator<Item = &'r ResourceName>,
    ) {
        if let Some(first) = earlier.find(|earlier| earlier.same_resource(resource)) {
            let found =
                if first == resource { format!("{resource} twice") } else { format!("{resource} beside {first}") };
            self.note(path, found, "one entry and one version of a resource");
        }
    }

    fn namespaces(&mut self, path: &FieldPath, namespaces: Option<&BTreeSet<Namespace>>) {
        if namespaces.is_some_and(BTreeSet::is_empty) {
            let path = path.field("namespaces");
            self.note(&path, "an empty list", "at least one entry; for all namespaces leave the field out");
        }
    }

    fn not_empty(&mut self, path: &FieldPath, len: usize) {
        if len == 0 {
            self.note(path, "an empty list", "at least one entry");
        }
    }

    fn within<T: PartialOrd + Display>(&mut self, path: &FieldPath, value: T, range: &RangeInclusive<T>) {
        if !range.contains(&value) {
            self.note(path, value, format_args!("{} to {}", range.start(), range.end()));
        }
    }

    fn note(&mut self, path: &FieldPath, found: impl Display, expected: impl Display) {
        self.mistakes.push(Mistake {
            position: Some(self.node.position_of(path)),
            path: path.to_string(),
            reason: format!("found {found}, expected {expected}"),
        });
    }
}
