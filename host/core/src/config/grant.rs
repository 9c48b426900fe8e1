//! What a plugin may read and write besides its children.

use std::{collections::BTreeSet, fmt};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    decode::{Cursor, Decode},
    name::Namespace,
};
use crate::resource::ResourceName;

/// Something that a plugin may do besides caring for its children.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// With which resource.
    pub resource: ResourceName,
    /// What.
    #[schemars(length(min = 1))]
    pub verbs: BTreeSet<Verb>,
    /// Where; without it in all namespaces.
    #[schemars(with = "BTreeSet<Namespace>", length(min = 1), default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<BTreeSet<Namespace>>,
}

/// What a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Read one object.
    Get,
    /// Find objects.
    List,
    /// Server-side apply.
    Apply,
    /// Create, which fails where the object exists.
    Create,
    /// Merge patch, JSON patch and strategic merge patch.
    Patch,
    /// Delete.
    Delete,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 6] = [Self::Get, Self::List, Self::Apply, Self::Create, Self::Patch, Self::Delete];

    /// The verb as the config file spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Apply => "apply",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Decode for Grant {
    fn decode(at: Cursor) -> Option<Self> {
        at.mapping(|fields| {
            let resource = fields.required("resource");
            let verbs = fields.required("verbs");
            let namespaces = fields.optional("namespaces");
            Some(Self { resource: resource?, verbs: verbs?, namespaces: namespaces? })
        })
    }
}

impl Decode for Verb {
    fn decode(at: Cursor) -> Option<Self> {
        at.choice(&Self::ALL, Self::as_str)
    }
}
