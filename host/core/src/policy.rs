//! May it? What a plugin may write and read, by `owns` and `grants` of the config alone.
//!
//! `owns` allows children: applied and deleted in the namespace of the object that they are made for. All else needs a
//! grant. The status of the handled object needs none: that is what a plugin is for.

use std::{collections::BTreeSet, fmt};

use crate::{
    config::{Grant, Verb},
    resource::ResourceName,
};

/// Something a plugin wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// To which resource.
    pub resource: &'a ResourceName,
    /// Where; none for cluster-scoped resources, and for reads of all namespaces.
    pub namespace: Option<&'a str>,
    /// What.
    pub verb: Verb,
}

/// What the config allows a plugin.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Kinds of children.
    pub owns: &'a BTreeSet<ResourceName>,
    /// All else.
    pub grants: &'a [Grant],
}

impl Policy<'_> {
    /// Checks a write or read outside the children.
    pub fn check(&self, access: &Access) -> Result<(), Denied> {
        let granted = self.grants.iter().any(|grant| {
            let here = match (&grant.namespaces, access.namespace) {
                (None, _) => true,
                (Some(namespaces), Some(namespace)) => namespaces.iter().any(|n| n.as_str() == namespace),
                (Some(_), None) => false,
            };
            here && grant.resource == *access.resource && grant.verbs.contains(&access.verb)
        });
        if granted { Ok(()) } else { Err(Denied::of(access)) }
    }

    /// Checks a child of an object in `owner_namespace`.
    ///
    /// Its kind has to be in `owns`, since only those are observed and pruned; elsewhere than beside its owner it needs grants to
    /// apply and to delete as well.
    pub fn check_child(&self, child: &Access, owner_namespace: Option<&str>) -> Result<(), Denied> {
        if !self.owns.contains(child.resource) {
            return Err(Denied { as_child: true, ..Denied::of(child) });
        }
        if child.namespace.is_some() && child.namespace == owner_namespace {
            return Ok(());
        }
        self.check(&Access { verb: Verb::Apply, ..*child })?;
        self.check(&Access { verb: Verb::Delete, ..*child })
    }
}

/// A refusal, with the grant that would lift it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    resource: ResourceName,
    namespace: Option<String>,
    verb: Verb,
    as_child: bool,
}

impl Denied {
    fn of(access: &Access) -> Self {
        Self {
            resource: access.resource.clone(),
            namespace: access.namespace.map(Into::into),
            verb: access.verb,
            as_child: false,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, namespace, verb, as_child } = self;
        if *as_child {
            return write!(f, "children of {resource} are not granted; the config needs `owns: [{resource}]`");
        }
        write!(f, "{verb} of {resource} is not granted; the config needs under `grants`: ")?;
        match namespace {
            Some(namespace) => write!(f, "{{ resource: {resource}, verbs: [{verb}], namespaces: [{namespace}] }}"),
            None => write!(f, "{{ resource: {resource}, verbs: [{verb}] }}"),
        }
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    fn grant(resource: &str, verbs: &[Verb], namespaces: Option<&[&str]>) -> Grant {
        Grant {
            resource: name(resource),
            verbs: verbs.iter().copied().collect(),
            namespaces: namespaces.map(|all| all.iter().map(|n| n.parse().unwrap()).collect()),
        }
    }

    fn allowed(policy: Policy, resource: &str, namespace: Option<&str>, verb: Verb) -> bool {
        policy.check(&Access { resource: &name(resource), namespace, verb }).is_ok()
    }

    #[test]
    fn a_grant_covers_its_resource_verbs_and_namespaces_and_nothing_else() {
        let grants = [grant("configmaps.v1.", &[Verb::Get, Verb::Apply], Some(&["demo"]))];
        let policy = Policy { owns: &BTreeSet::new(), grants: &grants };
        assert!(allowed(policy, "configmaps.v1.", Some("demo"), Verb::Apply));
        assert!(!allowed(policy, "configmaps.v1.", Some("demo"), Verb::Delete));
        assert!(!allowed(policy, "configmaps.v1.", Some("other"), Verb::Apply));
        assert!(!allowed(policy, "configmaps.v1.", None, Verb::Get), "all namespaces are more than one");
        assert!(!allowed(policy, "secrets.v1.", Some("demo"), Verb::Apply));
    }

    #[test]
    fn a_grant_without_namespaces_covers_all_of_them() {
        let grants = [grant("configmaps.v1.", &[Verb::List], None)];
        let policy = Policy { owns: &BTreeSet::new(), grants: &grants };
        assert!(allowed(policy, "configmaps.v1.", Some("demo"), Verb::List));
        assert!(allowed(policy, "configmaps.v1.", None, Verb::List));
    }

    #[test]
    fn children_of_an_owned_kind_are_allowed_beside_their_owner_only() {
        let owns = BTreeSet::from([name("deployments.v1.apps")]);
        let grants = [
            grant("deployments.v1.apps", &[Verb::Apply, Verb::Delete], Some(&["granted"])),
            grant("deployments.v1.apps", &[Verb::Apply], Some(&["half"])),
            grant("deployments.v1.apps", &[Verb::Delete, Verb::Get], Some(&["otherhalf"])),
        ];
        let policy = Policy { owns: &owns, grants: &grants };
        let child = |resource: &str, namespace, owner| {
            let resource = name(resource);
            // Whatever it is asked with: it is to be applied, and deleted later.
            let access = Access { resource: &resource, namespace, verb: Verb::Get };
            policy.check_child(&access, owner).is_ok()
        };
        assert!(child("deployments.v1.apps", Some("demo"), Some("demo")));
        assert!(!child("deployments.v1.apps", Some("other"), Some("demo")));
        assert!(child("deployments.v1.apps", Some("granted"), Some("demo")));
        assert!(!child("deployments.v1.apps", Some("half"), Some("demo")), "what is applied has to be pruned, too");
        assert!(!child("deployments.v1.apps", Some("otherhalf"), Some("demo")));
        assert!(!child("deployments.v1.apps", None, None), "cluster-scoped children need a grant");
        assert!(!child("secrets.v1.", Some("demo"), Some("demo")));
        assert!(!allowed(policy, "deployments.v1.apps", Some("demo"), Verb::Apply), "`owns` is for children");
    }

    #[test]
    fn a_refusal_names_the_grant_that_would_lift_it() {
        let policy = Policy { owns: &BTreeSet::new(), grants: &[] };
        let resource = name("secrets.v1.");
        let denied = policy.check(&Access { resource: &resource, namespace: Some("demo"), verb: Verb::Apply });
        assert_eq!(
            denied.unwrap_err().to_string(),
            "apply of secrets.v1. is not granted; the config needs under `grants`: \
             { resource: secrets.v1., verbs: [apply], namespaces: [demo] }"
        );
        let access = Access { resource: &resource, namespace: Some("demo"), verb: Verb::Apply };
        let denied = policy.check_child(&access, Some("demo"));
        assert_eq!(
            denied.unwrap_err().to_string(),
            "children of secrets.v1. are not granted; the config needs `owns: [secrets.v1.]`"
        );
    }
}
