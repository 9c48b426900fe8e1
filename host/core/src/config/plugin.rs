//! One entry of `plugins`: where its bytes come from, what it watches, what it may write.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::{
    decode::{Cursor, Decode},
    grant::Grant,
    limits::Limits,
    name::{ConfigMapKey, ConfigMapName, Namespace, PluginName},
    watch::WatchConfig,
};
use crate::{digest::Digest, resource::ResourceName};

/// A plugin and what it may do.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginConfig {
    /// Part of its finalizer, labels and field managers: under another name it is another plugin.
    pub name: PluginName,
    /// Where its bytes come from.
    pub source: Source,
    /// Pins its bytes, uncompressed: whatever else the source holds is not run.
    #[schemars(with = "Digest", default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The resources whose objects it handles, each at most once.
    #[schemars(length(min = 1))]
    pub watch: Vec<WatchConfig>,
    /// Kinds of children: it may apply and delete them in the object's namespace; they are observed and pruned.
    #[schemars(default)]
    pub owns: BTreeSet<ResourceName>,
    /// Handed to the plugin with every event; the plugin says what it takes.
    #[schemars(default)]
    pub settings: Map<String, Value>,
    /// All else that it may read or write.
    #[schemars(default)]
    pub grants: Vec<Grant>,
    /// What one call may use.
    #[schemars(default)]
    pub limits: Limits,
    /// Sends each set of writes as a server-side dry run first, so that one that can't be applied is not applied by half.
    #[schemars(default)]
    pub dry_run: bool,
    /// Stops all calls of this plugin; its events wait, and so do deletions of objects with its finalizer.
    #[schemars(default)]
    pub suspend: bool,
}

/// Where the bytes of a plugin come from: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub enum Source {
    /// A `ConfigMap` with the component, or a package that `operon push` wrote; a change of it replaces the plugin.
    ConfigMap(ConfigMapSource),
    /// A file, also `.zst` or `.gz`; a change of it replaces the plugin. A relative path starts at the folder of the config file.
    File(#[schemars(length(min = 1))] PathBuf),
}

/// A plugin in a `ConfigMap`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapSource {
    /// Namespace of the `ConfigMap`.
    pub namespace: Namespace,
    /// Name of the `ConfigMap`.
    pub name: ConfigMapName,
    /// Its key, where it holds a component and not a package of `operon push`; without it `plugin.wasm`, `plugin.wasm.zst`,
    /// `plugin.wasm.gz`, or the only key that ends so.
    #[schemars(with = "ConfigMapKey", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ConfigMapKey>,
}

impl Source {
    /// Makes a relative path start at `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Self::File(path) = self {
            *path = folder.join(&*path);
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigMap(source) => write!(f, "ConfigMap {}/{}", source.namespace, source.name),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl Decode for PluginConfig {
    fn decode(at: Cursor) -> Option<Self> {
        at.mapping(|fields| {
            let name = fields.required("name");
            let source = fields.required("source");
            let digest = fields.optional("digest");
            let watch = fields.required("watch");
            let owns = fields.or("owns", BTreeSet::new());
            let settings = fields.or("settings", Map::new());
            let grants = fields.or("grants", Vec::new());
            let limits = fields.or("limits", Limits::default());
            let dry_run = fields.or("dryRun", false);
            let suspend = fields.or("suspend", false);
            Some(Self {
                name: name?,
                source: source?,
                digest: digest?,
                watch: watch?,
                owns: owns?,
                settings: settings?,
                grants: grants?,
                limits: limits?,
                dry_run: dry_run?,
                suspend: suspend?,
            })
        })
    }
}

impl Decode for Source {
    fn decode(at: Cursor) -> Option<Self> {
        at.mapping(|fields| {
            let config_map = fields.optional("configMap");
            let file = fields.optional("file");
            match (config_map?, file?) {
                (Some(source), None) => Some(Self::ConfigMap(source)),
                (None, Some(path)) => Some(Self::File(path)),
                (Some(_), Some(_)) => at.found("both configMap and file", "one of them"),
                // An unknown field is most likely one of them, misspelt, and is noted as such.
                (None, None) if fields.has_unknown() => None,
                (None, None) => at.found("neither configMap nor file", "one of them"),
            }
        })
    }
}

impl Decode for ConfigMapSource {
    fn decode(at: Cursor) -> Option<Self> {
        at.mapping(|fields| {
            let namespace = fields.required("namespace");
            let name = fields.required("name");
            let key = fields.optional("key");
            Some(Self { namespace: namespace?, name: name?, key: key? })
        })
    }
}
