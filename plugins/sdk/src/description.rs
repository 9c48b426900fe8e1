//! What a plugin says about itself: the answer of
//! [`Handler::describe`](crate::Handler::describe).

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde_json::Value;

use crate::{Description, Rule};

impl Description {
    /// A plugin that takes any settings and needs nothing but the object
    /// itself.
    ///
    /// ```
    /// use operon_plugin::{Description, json};
    ///
    /// let description = Description::new("web", env!("CARGO_PKG_VERSION"))
    ///     .settings_schema(&json!({ "type": "object", "additionalProperties": false }))
    ///     .requires("deployments.v1.apps", &["apply", "delete"]);
    /// assert_eq!(description.requires[0].resource, "deployments.v1.apps");
    /// ```
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), settings_schema: None, requires: Vec::new() }
    }

    /// The JSON Schema of the settings. It informs; it is
    /// [`validate`](crate::Handler::validate) that decides.
    #[must_use]
    pub fn settings_schema(mut self, schema: &Value) -> Self {
        self.settings_schema = Some(schema.to_string());
        self
    }

    /// What the plugin does with a resource (`plural.version.group`), in the
    /// verbs of the host's config. Without a grant for all of it the host
    /// doesn't run the plugin.
    #[must_use]
    pub fn requires(mut self, resource: impl Into<String>, verbs: &[&str]) -> Self {
        self.requires.push(Rule { resource: resource.into(), verbs: verbs.iter().map(ToString::to_string).collect() });
        self
    }
}
