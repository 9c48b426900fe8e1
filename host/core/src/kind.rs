//! What discovery knows of a resource.

use crate::resource::ResourceName;

/// A served resource: its name, its kind, its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `deployments.v1.apps`.
    pub resource: ResourceName,
    /// `Deployment`.
    pub kind: String,
    /// False for cluster-scoped resources.
    pub namespaced: bool,
    /// The status is a subresource, written apart from the rest.
    pub status_subresource: bool,
}

impl Kind {
    /// `apps/v1`.
    pub fn api_version(&self) -> String {
        self.resource.api_version()
    }

    /// Are objects of this kind nothing to be copied into annotations or logs?
    pub fn is_secret(&self) -> bool {
        self.resource.group().is_empty() && self.resource.plural() == "secrets"
    }
}
