//! The config file of the host: what it may say, and how it is read.
//!
//! | module | what |
//! | --- | --- |
//! | `plugin`, `watch`, `grant`, `limits` | the sections of the file, each with its fields, defaults and ranges |
//! | `name`, `pointer`, `selector` | the texts that fields hold, checked |
//! | `yaml` | text to a tree that knows its lines |
//! | `decode` | tree to typed values; notes every mistake |
//! | `check` | what fields have to be together |
//! | `error` | a mistake: file, line, field, what was found, what is allowed |
//!
//! The JSON Schema ([`schema`]) is derived from the same types; `tests/config.rs` holds the two together.

mod check;
mod decode;
mod error;
mod grant;
mod limits;
mod name;
mod plugin;
mod pointer;
mod selector;
mod watch;
mod yaml;

use std::{fs, path::Path};

use schemars::JsonSchema;

use self::{
    decode::{Cursor, Decode},
    error::Mistake,
};
pub use self::{
    error::{ConfigError, ConfigErrors, Position},
    grant::{Grant, Verb},
    limits::Limits,
    name::{ConfigMapKey, ConfigMapName, HostName, Namespace, PluginName},
    plugin::{ConfigMapSource, PluginConfig, Source},
    pointer::JsonPointer,
    selector::LabelSelector,
    watch::WatchConfig,
};

/// What one host runs.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostConfig {
    /// Version of this format.
    pub api_version: ApiVersion,
    /// Always `HostConfig`.
    pub kind: Kind,
    /// Tells the hosts of one cluster apart: part of finalizers, labels and field managers.
    #[schemars(default)]
    pub host: HostName,
    /// The plugins, each with a name of its own.
    #[schemars(length(min = 1))]
    pub plugins: Vec<PluginConfig>,
}

/// The versions of the format that this host reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ApiVersion {
    /// Fields may still change their names.
    #[schemars(rename = "operon.dev/v1alpha1")]
    V1alpha1,
}

/// The kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Kind {
    /// The config of a host.
    HostConfig,
}

impl HostConfig {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        let text = fs::read_to_string(file).map_err(|error| {
            ConfigErrors::new(
                file,
                vec![Mistake { position: None, path: String::new(), reason: format!("can't be read: {error}") }],
            )
        })?;
        Self::parse(&text, file)
    }

    /// Checks the text of a file; the paths of plugins in it start at the file's folder.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        let config = Self::from_yaml(text).map_err(|mistakes| ConfigErrors::new(file, mistakes))?;
        Ok(config.resolved(file.parent().unwrap_or(Path::new(""))))
    }

    fn from_yaml(text: &str) -> Result<Self, Vec<Mistake>> {
        let node = yaml::read(text).map_err(|mistake| vec![mistake])?;
        let config = decode::decode(&node)?;
        let mistakes = check::check(&config, &node);
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    fn resolved(mut self, folder: &Path) -> Self {
        for plugin in &mut self.plugins {
            plugin.source.resolve(folder);
        }
        self
    }
}

/// The JSON Schema of the config file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(HostConfig).into()
}

impl Decode for HostConfig {
    fn decode(at: Cursor) -> Option<Self> {
        at.mapping(|fields| {
            let api_version = fields.required("apiVersion");
            let kind = fields.required("kind");
            let host = fields.or("host", HostName::default());
            let plugins = fields.required("plugins");
            Some(Self { api_version: api_version?, kind: kind?, host: host?, plugins: plugins? })
        })
    }
}

impl Decode for ApiVersion {
    fn decode(at: Cursor) -> Option<Self> {
        at.choice(&[Self::V1alpha1], |_| "operon.dev/v1alpha1")
    }
}

impl Decode for Kind {
    fn decode(at: Cursor) -> Option<Self> {
        at.choice(&[Self::HostConfig], |_| "HostConfig")
    }
}
