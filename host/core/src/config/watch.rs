//! What a plugin watches, and what it is called for.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde_json::json;

use super::{
    decode::{Cursor, Decode},
    name::Namespace,
    pointer::JsonPointer,
    selector::LabelSelector,
};
use crate::{cause::Cause, resource::ResourceName};

/// A resource whose objects a plugin handles.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchConfig {
    /// Which resource, in which version.
    pub resource: ResourceName,
    /// Where; without it in all namespaces.
    #[schemars(with = "BTreeSet<Namespace>", length(min = 1), default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<BTreeSet<Namespace>>,
    /// In which namespaces, by their labels, as `kubectl -l` takes it; in place of `namespaces`.
    #[schemars(with = "LabelSelector", default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Which of its objects, as `kubectl -l` takes it; without it all.
    #[schemars(with = "LabelSelector", default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// What the plugin is called for. A change of a child is always among it where the plugin owns something.
    #[schemars(
        with = "BTreeSet<String>",
        length(min = 1),
        default = "default_causes",
        extend("items" = json!({ "enum": WatchConfig::CAUSES.map(Cause::as_str) }))
    )]
    pub on: BTreeSet<Cause>,
    /// What is no part of the essence: a change of it calls nobody.
    #[schemars(default)]
    pub ignore: BTreeSet<JsonPointer>,
}

impl WatchConfig {
    /// What `on` can name; the other causes follow from what the plugin owns and answers.
    pub const CAUSES: [Cause; 5] =
        [Cause::Created, Cause::Updated, Cause::Deleted, Cause::PluginChanged, Cause::Resumed];
}

fn default_causes() -> BTreeSet<Cause> {
    BTreeSet::from([Cause::Created, Cause::Updated, Cause::Deleted, Cause::PluginChanged])
}

impl Decode for WatchConfig {
    fn decode(at: Cursor) -> Option<Self> {
        at.mapping(|fields| {
            let resource = fields.required("resource");
            let namespaces = fields.optional("namespaces");
            let namespace_selector = fields.optional("namespaceSelector");
            let label_selector = fields.optional("labelSelector");
            let on = fields.or("on", default_causes());
            let ignore = fields.or("ignore", BTreeSet::new());
            Some(Self {
                resource: resource?,
                namespaces: namespaces?,
                namespace_selector: namespace_selector?,
                label_selector: label_selector?,
                on: on?,
                ignore: ignore?,
            })
        })
    }
}

impl Decode for Cause {
    fn decode(at: Cursor) -> Option<Self> {
        at.choice(&WatchConfig::CAUSES, Self::as_str)
    }
}
