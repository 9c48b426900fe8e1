//! Everything that the API server serves: for what has to be looked for anywhere.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResource};
use kube::Client;
use operon_core::kind::Kind;

use super::discovery::kinds;

/// What is served, and what could not be asked.
#[derive(Debug, Default)]
pub struct Survey {
    /// Resources whose objects can be listed and patched, each once, in the version that its group prefers.
    pub kinds: Vec<Arc<Kind>>,
    /// Groups with version that did not tell, and why; so it is where an aggregated API server is down.
    pub unread: Vec<(String, String)>,
}

/// Asks for all groups, one after the other; fails only where it can't be known which there are.
pub async fn survey(client: &Client) -> kube::Result<Survey> {
    let mut versions = client.list_core_api_versions().await?.versions;
    versions.extend(client.list_api_groups().await?.groups.iter().flat_map(by_preference));
    let mut survey = Survey::default();
    for api_version in versions {
        let list = if api_version.contains('/') {
            client.list_api_group_resources(&api_version).await
        } else {
            client.list_core_api_resources(&api_version).await
        };
        match list {
            Ok(list) => survey.add(&api_version, list.resources),
            // Gone since the groups were listed.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => survey.unread.push((api_version, error.to_string())),
        }
    }
    Ok(survey)
}

/// As `apiVersion` has them, the preferred one first.
fn by_preference(group: &APIGroup) -> Vec<String> {
    let preferred = group.preferred_version.iter();
    let mut versions: Vec<_> = preferred.chain(&group.versions).map(|version| version.group_version.clone()).collect();
    let mut seen = std::collections::HashSet::new();
    versions.retain(|version| seen.insert(version.clone()));
    versions
}

impl Survey {
    fn add(&mut self, api_version: &str, mut resources: Vec<APIResource>) {
        let can = |resource: &APIResource, verb| resource.verbs.iter().any(|can| can == verb);
        resources.retain(|resource| can(resource, "list") && can(resource, "patch"));
        for kind in kinds(api_version, &resources) {
            if !self.kinds.iter().any(|known| known.resource.same_resource(&kind.resource)) {
                self.kinds.push(kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::GroupVersionForDiscovery;

    use super::*;

    fn resource(name: &str, verbs: &[&str]) -> APIResource {
        let verbs = verbs.iter().map(|verb| (*verb).to_owned()).collect();
        APIResource { name: name.into(), kind: name.to_uppercase(), verbs, ..APIResource::default() }
    }

    #[test]
    fn only_what_can_be_listed_and_patched_is_looked_at_and_each_resource_once() {
        let mut survey = Survey::default();
        let (both, all) = (["list", "patch"], ["get", "list", "patch", "watch"]);
        survey.add("x.org/v2", vec![resource("a", &both), resource("reviews", &["create"])]);
        survey.add("x.org/v1", vec![resource("a", &both), resource("a/status", &both), resource("b", &all)]);
        survey.add("y.org/v1", vec![resource("a", &both), resource("nodes", &["get", "list"])]);
        let names: Vec<_> = survey.kinds.iter().map(|kind| kind.resource.to_string()).collect();
        assert_eq!(names, ["a.v2.x.org", "b.v1.x.org", "a.v1.y.org"]);
    }

    #[test]
    fn the_preferred_version_of_a_group_comes_first() {
        let version = |name: &str| GroupVersionForDiscovery { group_version: name.into(), version: String::new() };
        let group = APIGroup {
            preferred_version: Some(version("x.org/v1")),
            versions: vec![version("x.org/v2beta1"), version("x.org/v1")],
            ..APIGroup::default()
        };
        assert_eq!(by_preference(&group), ["x.org/v1", "x.org/v2beta1"]);
    }
}
