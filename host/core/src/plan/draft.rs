//! An answer taken apart: every text of the guest read and checked, no kind looked up yet.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Action, Place, PlanError};
use crate::{
    answer::{ObjectRef, Patch, PatchSet, Targeted},
    manifest::{Invalid, Manifest, check_name, read_object},
    resource::is_label,
};

/// A well-formed answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    pub(super) children: Option<Vec<(Place, Manifest)>>,
    pub(super) patches: Vec<(Place, DraftWrite)>,
    pub(super) status: Option<Value>,
}

/// A patch, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DraftWrite {
    pub(super) target: ObjectRef,
    pub(super) subresource: Option<String>,
    pub(super) ignore_missing: bool,
    pub(super) action: Action,
}

impl Draft {
    /// Reads an answer; the first fault found ends it.
    pub fn read(set: &PatchSet) -> Result<Self, PlanError> {
        let children = set.children.as_ref().map(|children| {
            let read = |(i, text): (usize, &String)| {
                let place = Place::item("children", i);
                match Manifest::read(text) {
                    Ok(manifest) => Ok((place.of(&manifest.target), manifest)),
                    Err(invalid) => Err(PlanError { place, fault: invalid.into() }),
                }
            };
            children.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()
        });
        let read = |(i, patch): (usize, &Patch)| {
            let place = Place::item("patches", i);
            match read_patch(patch) {
                Ok(write) => Ok((place.of(&write.target), write)),
                Err(invalid) => Err(PlanError { place, fault: invalid.into() }),
            }
        };
        let patches = set.patches.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { children: children.transpose()?, patches, ..Self::of_status(set.status.as_deref())? })
    }

    /// Reads the status of a failure; all else stays as it is.
    pub fn of_status(status: Option<&str>) -> Result<Self, PlanError> {
        let read = |text| read_object(text, "the status").map(Value::Object);
        let failed = |invalid: Invalid| PlanError { place: Place::status(), fault: invalid.into() };
        let status = status.map(read).transpose().map_err(failed)?;
        Ok(Self { status, ..Self::default() })
    }

    /// The kinds to look up, as (`apiVersion`, `kind`).
    pub fn kinds(&self) -> BTreeSet<(&str, &str)> {
        let children = self.children.iter().flatten().map(|(_, manifest)| &manifest.target);
        let targets = children.chain(self.patches.iter().map(|(_, write)| &write.target));
        targets.map(|target| (&*target.api_version, &*target.kind)).collect()
    }
}

fn read_patch(patch: &Patch) -> Result<DraftWrite, Invalid> {
    let whole = |text: &str, action: fn(Value) -> Action| {
        let Manifest { target, body } = Manifest::read(text)?;
        Ok(DraftWrite { target, subresource: None, ignore_missing: false, action: action(body) })
    };
    match patch {
        Patch::Apply(text) => whole(text, Action::Apply),
        Patch::Create(text) => whole(text, Action::Create),
        Patch::Merge(patch) => read_targeted(patch, Action::Merge(body_object(patch)?)),
        Patch::StrategicMerge(patch) => read_targeted(patch, Action::StrategicMerge(body_object(patch)?)),
        Patch::Json(patch) => {
            let operations = serde_json::from_str(&patch.body)
                .map_err(|error| Invalid::new("body", format!("is no JSON patch (RFC 6902): {error}")))?;
            read_targeted(patch, Action::Json(operations))
        }
        Patch::Delete(deletion) => {
            check_name(&deletion.target)?;
            Ok(DraftWrite {
                target: deletion.target.clone(),
                subresource: None,
                ignore_missing: deletion.ignore_missing,
                action: Action::Delete(deletion.propagation),
            })
        }
    }
}

fn body_object(patch: &Targeted) -> Result<Value, Invalid> {
    read_object(&patch.body, "body").map(Value::Object)
}

fn read_targeted(patch: &Targeted, action: Action) -> Result<DraftWrite, Invalid> {
    check_name(&patch.target)?;
    if let Some(name) = patch.subresource.as_deref().filter(|name| !is_label(name)) {
        return Err(Invalid::new("subresource", format!("found {name:?}, expected a name such as status or scale")));
    }
    Ok(DraftWrite {
        target: patch.target.clone(),
        subresource: patch.subresource.clone(),
        ignore_missing: patch.ignore_missing,
        action,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn targeted(subresource: Option<&str>, body: &str) -> Targeted {
        Targeted {
            target: ObjectRef { api_version: "v1".into(), kind: "Pod".into(), namespace: None, name: "a".into() },
            subresource: subresource.map(Into::into),
            body: body.into(),
            ignore_missing: true,
        }
    }

    fn fault(set: PatchSet) -> String {
        Draft::read(&set).unwrap_err().to_string()
    }

    #[test]
    fn every_fault_says_where_in_the_answer_it_is() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}).to_string();
        let children = PatchSet { children: Some(vec![pod, "{}".into()]), ..PatchSet::default() };
        assert_eq!(fault(children), "children[1]: apiVersion: is missing, or is no text");
        let patch = |patch| fault(PatchSet { patches: vec![patch], ..PatchSet::default() });
        assert!(patch(Patch::Merge(targeted(None, "[]"))).starts_with("patches[0]: body: is JSON, but no object"));
        assert!(patch(Patch::Json(targeted(None, "{}"))).starts_with("patches[0]: body: is no JSON patch"));
        assert!(patch(Patch::Merge(targeted(Some("../x"), "{}"))).starts_with("patches[0]: subresource: "));
        let status = PatchSet { status: Some("7".into()), ..PatchSet::default() };
        assert_eq!(fault(status), "status: the status: is JSON, but no object");
    }

    #[test]
    fn patches_keep_what_they_are_for() {
        let operations = r#"[{"op":"test","path":"/a","value":1}]"#;
        let set = PatchSet { patches: vec![Patch::Json(targeted(Some("scale"), operations))], ..PatchSet::default() };
        let draft = Draft::read(&set).unwrap();
        let (place, write) = &draft.patches[0];
        assert_eq!(place.to_string(), "patches[0] (Pod a)");
        assert_eq!((write.subresource.as_deref(), write.ignore_missing), (Some("scale"), true));
        assert_eq!(draft.kinds().into_iter().collect::<Vec<_>>(), [("v1", "Pod")]);
        assert!(draft.children.is_none() && draft.status.is_none());
    }
}
