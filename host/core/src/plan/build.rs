//! A draft and the kinds it needs become a plan: namespaces filled in, every write checked, children made ours.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{Action, Child, Draft, Fault, Place, Plan, PlanError, Write, draft::DraftWrite};
use crate::{
    answer::ObjectRef,
    config::Verb,
    digest::Digest,
    json::canonical,
    kind::Kind,
    manifest::{Invalid, Manifest},
    names::{APPLIED, CREATED_FOR, OWNER_LABEL, PLUGIN_LABEL, PluginIdentity},
    object::ObjectKey,
    policy::{Access, Policy},
};

/// The object that an answer is for, and who answered.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// What answered.
    pub plugin: &'a PluginIdentity,
    /// What the object is.
    pub kind: &'a Kind,
    /// Where it is.
    pub key: &'a ObjectKey,
    /// Which one it is.
    pub uid: &'a str,
}

/// Kinds by (`apiVersion`, `kind`).
pub type Kinds = HashMap<(String, String), Arc<Kind>>;

impl Draft {
    /// Checks every write and completes it; nothing is allowed unless all is.
    pub fn plan(self, owner: Owner, policy: Policy, kinds: &Kinds) -> Result<Plan, PlanError> {
        let resolve = |place: &Place, target: &ObjectRef| {
            let kind = kinds.get(&(target.api_version.clone(), target.kind.clone())).cloned();
            let unknown = || Fault::UnknownKind { api_version: target.api_version.clone(), kind: target.kind.clone() };
            let kind = kind.ok_or_else(|| unknown().at(place))?;
            let key = locate(&kind, target, owner.key).map_err(|invalid| Fault::from(invalid).at(place))?;
            Ok::<_, PlanError>((kind, key))
        };
        let mut plan = Plan { status: self.status, ..Plan::default() };
        if let Some(drafts) = self.children {
            let mut seen = HashSet::new();
            let mut children = Vec::with_capacity(drafts.len());
            for (place, manifest) in drafts {
                let (kind, key) = resolve(&place, &manifest.target)?;
                let access =
                    Access { resource: &kind.resource, namespace: key.namespace.as_deref(), verb: Verb::Apply };
                let allowed = policy.check_child(&access, owner.key.namespace.as_deref());
                allowed.map_err(|denied| Fault::from(denied).at(&place))?;
                if !seen.insert((kind.resource.clone(), key.clone())) {
                    let twice = Invalid::new("metadata.name", "this child is returned twice");
                    return Err(Fault::from(twice).at(&place));
                }
                children.push(child(place, kind, key, manifest, owner));
            }
            plan.children = Some(children);
        }
        for (place, draft) in self.patches {
            let (kind, key) = resolve(&place, &draft.target)?;
            let access =
                Access { resource: &kind.resource, namespace: key.namespace.as_deref(), verb: verb(&draft.action) };
            policy.check(&access).map_err(|denied| Fault::from(denied).at(&place))?;
            let complete = write(kind, key, draft, owner).map_err(|invalid| Fault::from(invalid).at(&place))?;
            plan.patches.push(Write { place, ..complete });
        }
        Ok(plan)
    }
}

fn verb(action: &Action) -> Verb {
    match action {
        Action::Apply(_) => Verb::Apply,
        Action::Create(_) => Verb::Create,
        Action::Merge(_) | Action::Json(_) | Action::StrategicMerge(_) => Verb::Patch,
        Action::Delete(_) => Verb::Delete,
    }
}

/// Where a target is; one of a namespaced kind that names no namespace is beside the object.
fn locate(kind: &Kind, target: &ObjectRef, beside: &ObjectKey) -> Result<ObjectKey, Invalid> {
    let namespace = match (kind.namespaced, &target.namespace) {
        (true, Some(namespace)) => Some(namespace.as_str().into()),
        (true, None) => Some(beside.namespace.clone().ok_or_else(|| {
            Invalid::new("metadata.namespace", "is missing, and the object has none that could be taken")
        })?),
        (false, None) => None,
        (false, Some(_)) => {
            return Err(Invalid::new("metadata.namespace", format!("{} is cluster-scoped: it has none", kind.kind)));
        }
    };
    Ok(ObjectKey { namespace, name: target.name.as_str().into() })
}

/// Makes a manifest a child: ours by labels, the object's by an owner reference where Kubernetes allows one.
fn child(place: Place, kind: Arc<Kind>, key: ObjectKey, manifest: Manifest, owner: Owner) -> Child {
    let mut body = manifest.body;
    // A cluster-scoped object can own anything, a namespaced one what is in its namespace.
    let covered = owner.key.namespace.is_none() || owner.key.namespace == key.namespace;
    let metadata = &mut body["metadata"];
    if let Some(namespace) = &key.namespace {
        metadata["namespace"] = (&**namespace).into();
    }
    metadata["labels"][PLUGIN_LABEL] = owner.plugin.label.as_str().into();
    metadata["labels"][OWNER_LABEL] = owner.uid.into();
    if covered {
        metadata["ownerReferences"] = json!([{
            "apiVersion": owner.kind.api_version(),
            "kind": owner.kind.kind,
            "name": &*owner.key.name,
            "uid": owner.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        }]);
    }
    let applied = Digest::of(canonical(&body));
    body["metadata"]["annotations"][APPLIED] = applied.as_str().into();
    Child { place, kind, key, body, applied, covered }
}

/// Completes a patch; its place is the caller's to name.
fn write(kind: Arc<Kind>, key: ObjectKey, draft: DraftWrite, owner: Owner) -> Result<Write, Invalid> {
    let DraftWrite { subresource, ignore_missing, mut action, .. } = draft;
    if let (Action::Apply(body) | Action::Create(body), Some(namespace)) = (&mut action, &key.namespace) {
        body["metadata"]["namespace"] = (&**namespace).into();
    }
    if let Action::Create(body) = &mut action {
        body["metadata"]["annotations"][CREATED_FOR] = owner.uid.into();
    }
    let itself = kind.resource.same_resource(&owner.kind.resource) && key == *owner.key;
    if itself {
        pin_to(&mut action, owner.uid)?;
    }
    Ok(Write { place: Place::default(), kind, key, subresource, ignore_missing, action })
}

/// A write to the handled object carries its uid, so that one that is gone is not made again, nor its successor touched.
fn pin_to(action: &mut Action, uid: &str) -> Result<(), Invalid> {
    match action {
        Action::Apply(body) | Action::Merge(body) | Action::StrategicMerge(body) => {
            let metadata = &mut body["metadata"];
            if !(metadata.is_null() || metadata.is_object()) {
                return Err(Invalid::new("metadata", "is no object"));
            }
            metadata["uid"] = uid.into();
        }
        Action::Json(patch) => {
            let test = json_patch::TestOperation {
                path: json_patch::jsonptr::PointerBuf::from_tokens(["metadata", "uid"]),
                value: Value::from(uid),
            };
            patch.0.insert(0, json_patch::PatchOperation::Test(test));
        }
        Action::Create(_) | Action::Delete(_) => {
            return Err(Invalid::new("target", "a plugin can't create or delete the object that it handles"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::{Deletion, Patch, PatchSet, Propagation, Targeted},
        config::Grant,
    };

    fn kind(resource: &str, kind: &str, namespaced: bool) -> Arc<Kind> {
        Arc::new(Kind { resource: resource.parse().unwrap(), kind: kind.into(), namespaced, status_subresource: true })
    }

    fn kinds() -> Kinds {
        let all = [
            kind("samples.v1.nuvolaris.org", "Sample", true),
            kind("deployments.v1.apps", "Deployment", true),
            kind("secrets.v1.", "Secret", true),
            kind("namespaces.v1.", "Namespace", false),
        ];
        all.into_iter().map(|kind| ((kind.api_version(), kind.kind.clone()), kind)).collect()
    }

    fn plan(set: PatchSet) -> Result<Plan, PlanError> {
        let (plugin, kinds) = (PluginIdentity::new("default", "sample"), kinds());
        let key = ObjectKey { namespace: Some("demo".into()), name: "obj".into() };
        let sample = &kinds[&("nuvolaris.org/v1".to_string(), "Sample".to_string())];
        let owner = Owner { plugin: &plugin, kind: sample, key: &key, uid: "u1" };
        let all = [Verb::Apply, Verb::Create, Verb::Patch, Verb::Delete];
        let grant = |resource: &str| Grant {
            resource: resource.parse().unwrap(),
            verbs: all.into_iter().collect(),
            namespaces: None,
        };
        let grants = [grant("namespaces.v1."), grant("samples.v1.nuvolaris.org")];
        let owns = ["deployments.v1.apps", "namespaces.v1."].map(|name| name.parse().unwrap()).into();
        let policy = Policy { owns: &owns, grants: &grants };
        Draft::read(&set)?.plan(owner, policy, &kinds)
    }

    fn manifest(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> String {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}).to_string()
    }

    fn children(children: Vec<String>) -> PatchSet {
        PatchSet { children: Some(children), ..PatchSet::default() }
    }

    fn patches(patches: Vec<Patch>) -> PatchSet {
        PatchSet { patches, ..PatchSet::default() }
    }

    fn on_itself(body: &str) -> Targeted {
        let target = ObjectRef {
            api_version: "nuvolaris.org/v1".into(),
            kind: "Sample".into(),
            namespace: None,
            name: "obj".into(),
        };
        Targeted { target, subresource: None, body: body.into(), ignore_missing: false }
    }

    #[test]
    fn a_child_is_made_ours_and_lands_beside_its_owner() {
        let plan = plan(children(vec![manifest("apps/v1", "Deployment", None, "a")])).unwrap();
        let child = &plan.children.unwrap()[0];
        assert_eq!(child.key.to_string(), "demo/a");
        assert!(child.covered);
        let metadata = &child.body["metadata"];
        assert_eq!(metadata["labels"], json!({"operon.dev/plugin": "default.sample", "operon.dev/owner": "u1"}));
        assert_eq!(metadata["ownerReferences"][0]["uid"], "u1");
        assert_eq!(metadata["annotations"][APPLIED], child.applied.as_str());
        assert_eq!(metadata["namespace"], "demo");
    }

    #[test]
    fn the_applied_digest_changes_with_the_body_only() {
        let applied = |name: &str| {
            let set = children(vec![manifest("apps/v1", "Deployment", None, name)]);
            plan(set).unwrap().children.unwrap()[0].applied.clone()
        };
        assert_eq!(applied("a"), applied("a"));
        assert_ne!(applied("a"), applied("b"));
    }

    #[test]
    fn an_owner_reference_is_set_only_where_it_can_cover() {
        let plan = plan(children(vec![manifest("v1", "Namespace", None, "a")])).unwrap();
        let child = &plan.children.unwrap()[0];
        assert!(!child.covered);
        assert!(child.body["metadata"].get("ownerReferences").is_none());
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_place_and_the_missing_grant() {
        let refused = |set| plan(set).unwrap_err().to_string();
        let secret = refused(children(vec![
            manifest("apps/v1", "Deployment", None, "a"),
            manifest("v1", "Secret", None, "token"),
        ]));
        assert!(secret.starts_with("children[1] (Secret token): children of secrets.v1. are not granted"), "{secret}");
        let elsewhere = refused(children(vec![manifest("apps/v1", "Deployment", Some("other"), "a")]));
        assert!(elsewhere.contains("namespaces: [other]"), "{elsewhere}");
        let patch = refused(patches(vec![Patch::Apply(manifest("apps/v1", "Deployment", None, "a"))]));
        assert!(patch.starts_with("patches[0] (Deployment a): apply of deployments.v1.apps is not granted"), "{patch}");
        let deletion = Deletion {
            target: ObjectRef { api_version: "v1".into(), kind: "Secret".into(), namespace: None, name: "a".into() },
            propagation: Propagation::Background,
            ignore_missing: true,
        };
        assert!(refused(patches(vec![Patch::Delete(deletion)])).contains("delete of secrets.v1."));
    }

    #[test]
    fn a_kind_that_is_not_served_a_wrong_scope_and_a_repeated_child_are_refused() {
        let refused = |children_| plan(children(children_)).unwrap_err().fault.to_string();
        assert_eq!(refused(vec![manifest("v9", "Pod", None, "a")]), "the API server serves no Pod in v9");
        assert!(refused(vec![manifest("v1", "Namespace", Some("demo"), "a")]).contains("is cluster-scoped"));
        let twice = manifest("apps/v1", "Deployment", None, "a");
        assert!(refused(vec![twice.clone(), twice]).contains("returned twice"));
    }

    #[test]
    fn a_patch_to_the_object_itself_carries_its_uid() {
        let plan = plan(patches(vec![
            Patch::Merge(on_itself(r#"{"spec":{"seen":true}}"#)),
            Patch::Json(on_itself(r#"[{"op":"remove","path":"/spec/x"}]"#)),
        ]));
        let plan = plan.unwrap();
        assert_eq!(plan.patches[0].action, Action::Merge(json!({"spec": {"seen": true}, "metadata": {"uid": "u1"}})));
        let Action::Json(patch) = &plan.patches[1].action else { panic!("a JSON patch stays one") };
        let first = serde_json::to_value(&patch.0[0]).unwrap();
        assert_eq!(first, json!({"op": "test", "path": "/metadata/uid", "value": "u1"}));
    }

    #[test]
    fn a_plugin_can_not_delete_or_break_the_object_it_handles() {
        let deletion =
            Deletion { target: on_itself("").target, propagation: Propagation::Orphan, ignore_missing: true };
        let refused = plan(patches(vec![Patch::Delete(deletion)])).unwrap_err();
        assert!(refused.to_string().contains("can't create or delete the object that it handles"));
        let odd = plan(patches(vec![Patch::Merge(on_itself(r#"{"metadata":7}"#))])).unwrap_err();
        assert!(odd.to_string().contains("metadata: is no object"));
    }

    #[test]
    fn what_a_patch_creates_is_marked_for_the_object() {
        let plan = plan(patches(vec![Patch::Create(manifest("v1", "Namespace", None, "a"))])).unwrap();
        let Action::Create(body) = &plan.patches[0].action else { panic!("a create stays one") };
        assert_eq!(body["metadata"]["annotations"][CREATED_FOR], "u1");
    }

    #[test]
    fn the_status_is_taken_over_and_each_patch_keeps_its_place() {
        let namespace = |name: &str| Patch::Apply(manifest("v1", "Namespace", None, name));
        let set = PatchSet { status: Some(r#"{"a":1}"#.into()), ..patches(vec![namespace("one"), namespace("two")]) };
        let plan = plan(set).unwrap();
        assert_eq!(plan.status, Some(json!({"a": 1})));
        let places: Vec<_> = plan.patches.iter().map(|write| write.place.to_string()).collect();
        assert_eq!(places, ["patches[0] (Namespace one)", "patches[1] (Namespace two)"]);
        assert_eq!(Draft::of_status(Some(r#"{"b":2}"#)).unwrap().status, Some(json!({"b": 2})));
    }

    #[test]
    fn a_patch_to_another_object_of_the_kind_or_of_the_name_carries_no_uid() {
        let sample = manifest("nuvolaris.org/v1", "Sample", Some("demo"), "other");
        let namespace = manifest("v1", "Namespace", None, "obj");
        let plan = plan(patches(vec![Patch::Apply(sample), Patch::Apply(namespace)])).unwrap();
        for write in plan.patches {
            assert!(matches!(&write.action, Action::Apply(body) if body["metadata"].get("uid").is_none()), "{write:?}");
        }
    }
}
