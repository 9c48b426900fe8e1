//! JSON as text: its canonical form, and looking into an object without making a tree of it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

/// The members of a JSON object in their order, values left as text.
#[derive(Debug, Default)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads one JSON object; its values are only scanned.
    pub fn parse(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The text of a member's value.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.get())
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((entry.0.0, entry.1));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A member's name: borrowed, unless it has an escape in it.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes an object of members whose values are JSON text already.
pub fn write_object<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("{");
    for (name, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&quoted(name));
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

/// The one text of a value: no white space, members sorted by name at every depth.
///
/// The sort is done here, since `serde_json`'s own order depends on a feature that any dependency may turn on.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&quoted(name));
                text.push(':');
                write_canonical(member, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// A text as a JSON string.
pub fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

/// Does `live` have every field of `wanted` with the same value?
///
/// Lists have to be equal in length and, item by item, contain what is wanted: the API server adds defaults inside them.
pub fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| live.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(l, w)| contains(l, w))
        }
        _ => live == wanted,
    }
}

/// Is there a difference between two versions of an object that an apply in between has not made, the API server's own bookkeeping
/// apart? Then somebody else has changed it as well.
pub fn changed_beyond(before: &Value, after: &Value, applied: &Value) -> bool {
    let content = |version: &Value| {
        let mut content = version.clone();
        if let Some(metadata) = content.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !["resourceVersion", "generation", "managedFields"].contains(&name.as_str()));
        }
        content
    };
    differs_beyond(&content(before), &content(after), applied)
}

/// What is not there is null.
fn differs_beyond(before: &Value, after: &Value, applied: &Value) -> bool {
    if before == after {
        return false;
    }
    let fields = |value: &Value| match value {
        Value::Object(fields) => Some(fields.clone()),
        Value::Null => Some(Map::new()),
        _ => None,
    };
    match (fields(before), fields(after), applied) {
        (Some(before), Some(after), Value::Object(applied)) => {
            let get = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned().unwrap_or_default();
            let mut names = before.keys().chain(after.keys());
            names.any(|name| differs_beyond(&get(&before, name), &get(&after, name), &get(applied, name)))
        }
        (_, _, Value::Null) => true,
        // It was so before: this apply has not made it otherwise.
        _ => contains(before, applied),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter_at_any_depth() {
        let a: Value = serde_json::from_str(r#"{"b":[{"y":1,"x":2}],"a":"é\""}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{ "a":"é\"", "b":[ {"x":2,"y":1} ] }"#).unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"a":"é\"","b":[{"x":2,"y":1}]}"#);
    }

    #[test]
    fn what_an_apply_made_is_told_from_what_somebody_else_changed() {
        let version = |rest: Value| {
            let mut object = json!({
                "metadata": {"name": "a", "resourceVersion": "1", "generation": 1, "labels": {"theirs": "1"}},
                "spec": {"replicas": 1, "paused": true, "containers": [{"image": "a", "default": 1}]},
                "status": {"ready": 0},
            });
            json_patch::merge(&mut object, &rest);
            object
        };
        let before = version(json!({}));
        let applied = json!({
            "metadata": {"annotations": {"ours": "2"}},
            "spec": {"replicas": 2, "containers": [{"image": "b"}], "strategy": {"type": "x"}},
        });
        let containers = json!([{"image": "b", "default": 1}]);
        let ours = json!({
            "metadata": {"resourceVersion": "2", "generation": 2, "managedFields": [{}], "annotations": {"ours": "2"}},
            "spec": {"replicas": 2, "containers": containers, "strategy": {"type": "x"}},
        });
        let after = version(ours.clone());
        assert!(!changed_beyond(&before, &after, &applied));
        let theirs = [
            json!({"status": {"ready": 1}}),
            json!({"metadata": {"labels": {"theirs": "2"}}}),
            json!({"metadata": {"annotations": {"theirs": "2"}}}),
            json!({"metadata": {"labels": null}}),
            json!({"spec": {"paused": null}}),
            json!({"spec": {"strategy": {"more": 1}}}),
        ];
        for theirs in theirs {
            let mut both = after.clone();
            json_patch::merge(&mut both, &theirs);
            assert!(changed_beyond(&before, &both, &applied), "{theirs}");
        }
        // An apply that changes nothing is answered with what somebody else may have made of it just before.
        let injected = version(json!({"spec": {"containers": [{"image": "a"}, {"image": "sidecar"}]}}));
        let nothing_new = json!({"spec": {"containers": [{"image": "a"}]}});
        assert!(changed_beyond(&before, &injected, &nothing_new));
        assert!(!changed_beyond(&before, &before, &nothing_new));
    }

    #[test]
    fn the_order_of_items_matters() {
        assert_ne!(canonical(&json!([1, 2])), canonical(&json!([2, 1])));
    }

    #[test]
    fn members_keep_their_order_and_their_text() {
        let members = Members::parse(r#"{"b": {"x" : 1}, "a\n": [1, 2]}"#).unwrap();
        assert_eq!(members.get("b"), Some(r#"{"x" : 1}"#));
        assert_eq!(members.get("a\n"), Some("[1, 2]"));
        assert_eq!(members.get("c"), None);
        let again = write_object(members.0.iter().map(|(k, v)| (&**k, v.get())));
        assert_eq!(again, r#"{"b":{"x" : 1},"a\n":[1, 2]}"#);
    }

    #[test]
    fn what_is_not_an_object_has_no_members() {
        assert!(Members::parse("[]").is_err());
        assert!(Members::parse("{\"a\":}").is_err());
    }

    #[test]
    fn defaults_of_the_server_are_contained_but_a_changed_or_missing_field_is_not() {
        let live = json!({"replicas": 2, "ports": [{"port": 80, "protocol": "TCP"}]});
        assert!(contains(&live, &json!({"ports": [{"port": 80}]})));
        assert!(!contains(&live, &json!({"replicas": 3})));
        assert!(!contains(&live, &json!({"paused": true})));
        assert!(!contains(&live, &json!({"ports": []})));
    }
}
