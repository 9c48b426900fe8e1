//! What the API server serves: from `plural.version.group`, or from `apiVersion` and `kind`, to a [`Kind`].

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::Client;
use operon_core::{kind::Kind, plan::Kinds, resource::ResourceName};

/// Looks kinds up and remembers them, by group and version.
#[derive(Clone)]
pub struct Discovery {
    client: Client,
    known: Arc<RwLock<HashMap<String, Vec<Arc<Kind>>>>>,
}

impl Discovery {
    /// Knows nothing yet.
    pub fn new(client: Client) -> Self {
        Self { client, known: Arc::default() }
    }

    /// Asks the API server anew what this resource is; none where it is not served.
    pub async fn resource(&self, name: &ResourceName) -> kube::Result<Option<Arc<Kind>>> {
        let kinds = self.fetch(&name.api_version()).await?;
        Ok(kinds.into_iter().find(|kind| kind.resource == *name))
    }

    /// Looks up what a manifest calls its type, asking the API server only for what is not known.
    pub async fn kind(&self, api_version: &str, kind: &str) -> kube::Result<Option<Arc<Kind>>> {
        let find = |kinds: &[Arc<Kind>]| kinds.iter().find(|known| known.kind == kind).cloned();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(api_version).and_then(|k| find(k));
        match known {
            Some(kind) => Ok(Some(kind)),
            None => Ok(find(&self.fetch(api_version).await?)),
        }
    }

    /// Looks up all kinds that an answer needs; those that are not served are left out.
    pub async fn kinds(&self, names: impl IntoIterator<Item = (&str, &str)>) -> kube::Result<Kinds> {
        let mut kinds = Kinds::new();
        for (api_version, name) in names {
            if let Some(kind) = self.kind(api_version, name).await? {
                kinds.insert((api_version.to_owned(), name.to_owned()), kind);
            }
        }
        Ok(kinds)
    }

    async fn fetch(&self, api_version: &str) -> kube::Result<Vec<Arc<Kind>>> {
        let list = if api_version.contains('/') {
            self.client.list_api_group_resources(api_version).await
        } else {
            self.client.list_core_api_resources(api_version).await
        };
        let kinds = match list {
            Ok(list) => kinds(api_version, &list.resources),
            Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(api_version.to_owned(), kinds.clone());
        Ok(kinds)
    }
}

/// Resources of one group and version; `samples/status` tells of `samples`.
pub(super) fn kinds(api_version: &str, resources: &[APIResource]) -> Vec<Arc<Kind>> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = |resource: &APIResource| {
        let name = format!("{}.{version}.{group}", resource.name).parse().ok()?;
        let status = format!("{}/status", resource.name);
        Some(Arc::new(Kind {
            resource: name,
            kind: resource.kind.clone(),
            namespaced: resource.namespaced,
            status_subresource: resources.iter().any(|other| other.name == status),
        }))
    };
    let whole = resources.iter().filter(|resource| !resource.name.contains('/'));
    whole.filter_map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subresources_tell_of_their_resource_and_are_none_themselves() {
        let resource = |name: &str, kind: &str| APIResource {
            name: name.into(),
            kind: kind.into(),
            namespaced: true,
            ..APIResource::default()
        };
        let served = [
            resource("deployments", "Deployment"),
            resource("deployments/scale", "Scale"),
            resource("deployments/status", "Deployment"),
            resource("controllerrevisions", "ControllerRevision"),
        ];
        let kinds = kinds("apps/v1", &served);
        assert_eq!(kinds.len(), 2);
        assert_eq!(kinds[0].resource.to_string(), "deployments.v1.apps");
        assert!(kinds[0].status_subresource && !kinds[1].status_subresource);
    }
}
