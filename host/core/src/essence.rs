//! The essence of an object: what a change has to touch to be an event.
//!
//! All top-level fields but `status`; of the metadata only labels and annotations, less what tools write for
//! themselves, less what the config says to ignore. So changes to status, managedFields or the host's own notes call nobody.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{config::JsonPointer, digest::Digest, json::canonical, object::Object};

/// Prefixes of label and annotation keys that are no part of an essence.
///
/// The host's own, `kubectl apply`'s last-applied configuration, and what the Deployment controller notes.
const NOTES: [&str; 3] = ["operon.dev/", "kubectl.kubernetes.io/", "deployment.kubernetes.io/"];

/// An essence in canonical JSON, and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Essence {
    /// Canonical JSON.
    pub text: String,
    /// Of the text.
    pub digest: Digest,
}

impl Essence {
    /// Takes it from an object; `ignore` points to parts that do not count.
    pub fn of(object: &Object, ignore: &BTreeSet<JsonPointer>) -> Self {
        let mut tree = object.tree();
        for pointer in ignore {
            remove(&mut tree, pointer);
        }
        if let Some(fields) = tree.as_object_mut() {
            fields.remove("status");
            let kept = essential_metadata(fields.remove("metadata").unwrap_or_default());
            if !kept.is_empty() {
                fields.insert("metadata".into(), kept.into());
            }
        }
        let text = canonical(&tree);
        let digest = Digest::of(&text);
        Self { text, digest }
    }
}

fn essential_metadata(mut metadata: Value) -> Map<String, Value> {
    let mut kept = Map::new();
    for part in ["labels", "annotations"] {
        let Some(Value::Object(mut entries)) = metadata.get_mut(part).map(Value::take) else {
            continue;
        };
        entries.retain(|key, _| !NOTES.iter().any(|prefix| key.starts_with(prefix)));
        if !entries.is_empty() {
            kept.insert(part.into(), entries.into());
        }
    }
    kept
}

/// Removes what a pointer points at; nothing where it points at nothing.
fn remove(tree: &mut Value, pointer: &JsonPointer) {
    let mut tokens: Vec<_> = pointer.tokens().collect();
    let Some(last) = tokens.pop() else { return };
    let parent = tokens.iter().try_fold(tree, |parent, token| match parent {
        Value::Object(members) => members.get_mut(token),
        Value::Array(items) => items.get_mut(token.parse::<usize>().ok()?),
        _ => None,
    });
    match parent {
        Some(Value::Object(members)) => {
            members.remove(&last);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = last.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn essence(mut object: Value, ignore: &[&str]) -> String {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.insert("name".into(), "a".into());
        metadata.insert("uid".into(), "u".into());
        let object = Object::decode(&object.to_string(), "v1", "X").unwrap();
        let ignore = ignore.iter().map(|pointer| pointer.parse().unwrap()).collect();
        Essence::of(&object, &ignore).text
    }

    #[test]
    fn status_and_bookkeeping_are_no_part_of_it() {
        let plain = essence(json!({"metadata": {}, "spec": {"count": 1}}), &[]);
        let busy = json!({
            "metadata": {
                "generation": 7, "resourceVersion": "9", "finalizers": ["f"],
                "annotations": {"operon.dev/default.sample": "{}", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "labels": {"deployment.kubernetes.io/x": "1"},
            },
            "spec": {"count": 1},
            "status": {"ready": true},
        });
        assert_eq!(plain, essence(busy, &[]));
        assert_eq!(plain, r#"{"apiVersion":"v1","kind":"X","spec":{"count":1}}"#);
    }

    #[test]
    fn labels_annotations_and_other_top_level_fields_are() {
        let plain = essence(json!({"metadata": {}}), &[]);
        for changed in [
            json!({"metadata": {"labels": {"a": "b"}}}),
            json!({"metadata": {"annotations": {"example.com/operon.dev": "b"}}}),
            json!({"metadata": {}, "data": {"k": "v"}}),
        ] {
            assert_ne!(plain, essence(changed, &[]));
        }
    }

    #[test]
    fn what_the_config_ignores_does_not_count() {
        let object =
            json!({"metadata": {"annotations": {"example.com/seen": "1", "b": "2"}}, "spec": {"list": [1, 2]}});
        let rest = essence(
            object,
            &["/metadata/annotations/example.com~1seen", "/spec/list/0", "/spec/absent/x", "/spec/list/9"],
        );
        assert_eq!(rest, r#"{"apiVersion":"v1","kind":"X","metadata":{"annotations":{"b":"2"}},"spec":{"list":[2]}}"#);
        let only_ignored = json!({"metadata": {"annotations": {"example.com/seen": "1"}}});
        let without = essence(json!({"metadata": {}}), &[]);
        assert_eq!(essence(only_ignored, &["/metadata/annotations/example.com~1seen"]), without);
    }

    #[test]
    fn a_part_of_a_list_can_be_ignored_and_one_that_is_not_there_is_nothing() {
        let object = || json!({"metadata": {}, "spec": {"list": [{"a": 1, "b": 2}, {"a": 3}]}});
        let without = |pointer: &str| essence(object(), &[pointer]);
        assert!(without("/spec/list/0/b").contains(r#"[{"a":1},{"a":3}]"#));
        assert!(without("/spec/list/1").contains(r#"[{"a":1,"b":2}]"#));
        for nothing in ["/spec/list/2", "/spec/list/2/a", "/spec/list/x", "/spec/other/a", "/spec/list/0/a/deeper"] {
            assert_eq!(without(nothing), essence(object(), &[]), "{nothing}");
        }
    }
}
