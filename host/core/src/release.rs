//! What a plugin keeps on an object that it handles, and the patch that takes it away: for the end of a deletion, and for
//! `operon release`.
//!
//! A JSON patch with tests rather than an apply: a restored object's finalizers belong to the tool that restored it, and an
//! apply takes away only what is its manager's.

use std::collections::BTreeMap;

use json_patch::{Patch, PatchOperation, RemoveOperation, TestOperation, jsonptr::PointerBuf};
use serde_json::Value;

use crate::names::PluginIdentity;

/// What of a plugin is on an object: its finalizer, its record, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The place of the finalizer among all of the object's.
    pub finalizer: Option<usize>,
    /// There is an annotation that holds the record, or once did.
    pub record: bool,
}

impl Hold {
    /// None where nothing of the plugin is there.
    pub fn of(plugin: &PluginIdentity, finalizers: &[String], annotations: &BTreeMap<String, String>) -> Option<Self> {
        let ours = plugin.finalizer();
        let finalizer = finalizers.iter().position(|found| *found == ours);
        let record = annotations.contains_key(&plugin.record_annotation());
        (finalizer.is_some() || record).then_some(Self { finalizer, record })
    }

    /// Takes both away, whoever owns these fields by now, and nothing else.
    ///
    /// The API server answers 422 where the object is another by now, or the finalizer is no longer where it was: then the object
    /// has to be looked at again.
    pub fn release(&self, plugin: &PluginIdentity, uid: &str) -> Patch {
        let mut operations = vec![test(&["metadata", "uid"], uid)];
        if let Some(place) = self.finalizer {
            let place = place.to_string();
            let finalizer = ["metadata", "finalizers", &place];
            operations.extend([test(&finalizer, &plugin.finalizer()), remove(&finalizer)]);
        }
        if self.record {
            operations.push(remove(&["metadata", "annotations", &plugin.record_annotation()]));
        }
        Patch(operations)
    }
}

fn test(path: &[&str], value: &str) -> PatchOperation {
    PatchOperation::Test(TestOperation { path: at(path), value: Value::from(value) })
}

fn remove(path: &[&str]) -> PatchOperation {
    PatchOperation::Remove(RemoveOperation { path: at(path) })
}

fn at(path: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(path.iter().copied())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin() -> PluginIdentity {
        PluginIdentity::new("default", "sample")
    }

    fn hold(metadata: &Value) -> Option<Hold> {
        let finalizers: Vec<String> = serde_json::from_value(metadata["finalizers"].clone()).unwrap_or_default();
        let annotations = serde_json::from_value(metadata["annotations"].clone()).unwrap_or_default();
        Hold::of(&plugin(), &finalizers, &annotations)
    }

    /// What is left of the metadata, or none where a test of the patch fails.
    fn released(metadata: &Value, hold: &Hold) -> Option<Value> {
        let mut object = json!({ "metadata": metadata });
        json_patch::patch(&mut object, &hold.release(&plugin(), "u1")).ok()?;
        Some(object["metadata"].take())
    }

    #[test]
    fn finalizer_and_record_go_and_those_of_others_stay() {
        let metadata = json!({
            "uid": "u1",
            "finalizers": ["operon.dev/default.other", "operon.dev/default.sample", "operon.dev/blue.sample"],
            "annotations": {"operon.dev/default.sample": "{}", "operon.dev/default.samples": "{}", "note": "mine"},
        });
        let left = released(&metadata, &hold(&metadata).unwrap()).unwrap();
        assert_eq!(left["finalizers"], json!(["operon.dev/default.other", "operon.dev/blue.sample"]));
        assert_eq!(left["annotations"], json!({"operon.dev/default.samples": "{}", "note": "mine"}));
    }

    #[test]
    fn each_of_the_two_goes_without_the_other() {
        let finalizer = json!({"uid": "u1", "finalizers": ["operon.dev/default.sample"]});
        let left = released(&finalizer, &hold(&finalizer).unwrap()).unwrap();
        assert_eq!(left, json!({"uid": "u1", "finalizers": []}));
        let record = json!({"uid": "u1", "annotations": {"operon.dev/default.sample": ""}});
        let left = released(&record, &hold(&record).unwrap()).unwrap();
        assert_eq!(left, json!({"uid": "u1", "annotations": {}}));
    }

    #[test]
    fn an_object_without_anything_of_the_plugin_is_not_held() {
        assert_eq!(hold(&json!({})), None);
        let others = json!({
            "finalizers": ["operon.dev/blue.sample"], "annotations": {"operon.dev/paused": "operon.dev/default.sample"},
        });
        assert_eq!(hold(&others), None);
    }

    #[test]
    fn a_patch_for_another_object_or_another_order_of_finalizers_fails_as_a_whole() {
        let seen = json!({
            "uid": "u1", "finalizers": ["operon.dev/default.sample"], "annotations": {"operon.dev/default.sample": "{}"},
        });
        let hold = hold(&seen).unwrap();
        let mut anew = seen.clone();
        anew["uid"] = "u2".into();
        assert_eq!(released(&anew, &hold), None);
        let mut moved = seen.clone();
        moved["finalizers"] = json!(["a/b", "operon.dev/default.sample"]);
        assert_eq!(released(&moved, &hold), None);
        assert!(released(&seen, &hold).is_some());
    }
}
