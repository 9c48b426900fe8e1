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

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn secrets_of_the_core_group_are_secret_and_nothing_else_is() {
        let is_secret = |resource: &str| {
            let resource = resource.parse().unwrap();
            Kind { resource, kind: "K".into(), namespaced: true, status_subresource: false }.is_secret()
        };
        assert!(is_secret("secrets.v1."));
        assert!(!is_secret("configmaps.v1."));
        assert!(!is_secret("secrets.v1.example.com"));
    }
}
