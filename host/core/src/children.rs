//! What the children of an object looked like when it was handled last.
//!
//! A change of a child that happens while no host runs leaves no trace that a watch would show: its version is compared with
//! the recorded one at the next start.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, object::Object, resource::ResourceName};

/// Digests of an object's children, by the resource that they are of; none of a resource: no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Children(BTreeMap<Box<str>, Digest>);

impl Children {
    /// Takes them as they are, in any order.
    pub fn of<'a>(children: impl IntoIterator<Item = (&'a ResourceName, &'a Object)>) -> Self {
        let mut versions: BTreeMap<&ResourceName, BTreeSet<String>> = BTreeMap::new();
        for (resource, Object { key, uid, resource_version, .. }) in children {
            let version = format!("{key} {uid} {}\n", resource_version.0);
            versions.entry(resource).or_default().insert(version);
        }
        let digests = versions.into_iter().map(|(resource, versions)| {
            let all: String = versions.into_iter().collect();
            (resource.to_string().into(), Digest::of(all))
        });
        Self(digests.collect())
    }

    /// Those of the resources in `owns`: no others are observed.
    #[must_use]
    pub fn within(&self, owns: &BTreeSet<ResourceName>) -> Self {
        let observed: BTreeSet<String> = owns.iter().map(ToString::to_string).collect();
        let kept = self.0.iter().filter(|(resource, _)| observed.contains(&***resource));
        Self(kept.map(|(resource, digest)| (resource.clone(), digest.clone())).collect())
    }

    /// The resources.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|resource| &**resource)
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(name: &str, version: u32) -> Object {
        let text = format!(r#"{{"metadata":{{"name":"{name}","uid":"u-{name}","resourceVersion":"{version}"}}}}"#);
        Object::decode(&text, "v1", "X").unwrap()
    }

    fn maps(children: &[Object]) -> Children {
        let resource = "configmaps.v1.".parse().unwrap();
        Children::of(children.iter().map(|child| (&resource, child)))
    }

    #[test]
    fn they_differ_where_one_changed_came_or_went_and_in_nothing_else() {
        let both = maps(&[child("a", 1), child("b", 2)]);
        assert_eq!(both, maps(&[child("b", 2), child("a", 1)]));
        for other in [maps(&[child("a", 1)]), maps(&[child("a", 1), child("b", 3)]), maps(&[])] {
            assert_ne!(both, other);
        }
        assert!(maps(&[]).is_empty() && !both.is_empty());
    }

    #[test]
    fn only_what_is_observed_is_compared() {
        let (map, secret) = ("configmaps.v1.".parse().unwrap(), "secrets.v1.".parse().unwrap());
        let (a, b) = (child("a", 1), child("b", 2));
        let all = Children::of([(&map, &a), (&secret, &b)]);
        assert_eq!(all.resources().collect::<Vec<_>>(), ["configmaps.v1.", "secrets.v1."]);
        assert_eq!(all.within(&[map].into()), maps(&[a]));
        assert_eq!(all.within(&BTreeSet::new()), Children::default());
    }
}
