//! A Kubernetes object as the host keeps it: its JSON text and the few fields that every step reads.
//!
//! A tree of values costs fifteen times the memory of the text, and a plugin is handed text anyway. What else is needed
//! (labels, annotations, owners) is read from the text when it is, by [`Object::head`].

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use crate::json::{Members, quoted, write_object};

/// Namespace and name of an object within its resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// None for cluster-scoped resources.
    pub namespace: Option<Box<str>>,
    /// `metadata.name`.
    pub name: Box<str>,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// `metadata.resourceVersion` as a number, so that two can be ordered.
///
/// Kubernetes declares it comparable for all its own resources (KEP-5504). Zero stands for one that is no number: it is
/// neither older nor newer than any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceVersion(pub u64);

impl ResourceVersion {
    /// Reads what the API server sent.
    pub fn parse(text: &str) -> Self {
        Self(text.parse().unwrap_or(0))
    }

    /// True where both are numbers and this one is the later, or the same.
    pub fn at_least(self, other: Self) -> bool {
        self.0 != 0 && other.0 != 0 && self >= other
    }
}

/// One version of an object, without its `managedFields`.
#[derive(Clone, Debug)]
pub struct Object {
    /// Where it is.
    pub key: ObjectKey,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: ResourceVersion,
    /// `metadata.generation`; 0 where the resource has none.
    pub generation: u64,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    text: Box<str>,
}

/// The parts of `metadata` that the host reads now and then.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Head {
    /// `metadata.labels`.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// `metadata.finalizers`.
    #[serde(deserialize_with = "null_as_default")]
    pub finalizers: Vec<String>,
    /// `metadata.ownerReferences`.
    #[serde(rename = "ownerReferences", deserialize_with = "null_as_default")]
    pub owner_references: Vec<OwnerReference>,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OwnerReference {
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// Uid of the owner.
    pub uid: String,
    /// True for the one owner that controls the object.
    #[serde(default)]
    pub controller: Option<bool>,
}

/// Why a text is not taken for an object.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No JSON, or not of an object's shape.
    #[error("not the JSON of an object: {0}")]
    Json(#[from] serde_json::Error),
    /// A field that every object has is missing.
    #[error("metadata.{0} is missing")]
    Missing(&'static str),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity {
    namespace: Option<Box<str>>,
    name: Option<Box<str>>,
    uid: Option<Box<str>>,
    resource_version: Option<String>,
    generation: Option<u64>,
    deletion_timestamp: Option<String>,
}

impl Object {
    /// Takes an object as the API server sent it.
    ///
    /// `managedFields` are dropped, often half of the text. `api_version` and `kind` are put in where the text has none: the
    /// API server leaves them out of the items of a list.
    pub fn decode(text: &str, api_version: &str, kind: &str) -> Result<Self, DecodeError> {
        let members = Members::parse(text)?;
        let metadata = members.get("metadata").ok_or(DecodeError::Missing("name"))?;
        let identity: Identity = serde_json::from_str(metadata)?;
        let lean = without_managed_fields(metadata)?;
        let (api_version, kind) = (quoted(api_version), quoted(kind));
        let mut parts = vec![
            ("apiVersion", members.get("apiVersion").unwrap_or(&api_version)),
            ("kind", members.get("kind").unwrap_or(&kind)),
            ("metadata", lean.as_deref().unwrap_or(metadata)),
        ];
        let rest = members.0.iter().map(|(name, value)| (&**name, value.get()));
        parts.extend(rest.filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(name)));
        Ok(Self {
            key: ObjectKey { namespace: identity.namespace, name: identity.name.ok_or(DecodeError::Missing("name"))? },
            uid: identity.uid.ok_or(DecodeError::Missing("uid"))?,
            resource_version: ResourceVersion::parse(identity.resource_version.as_deref().unwrap_or("")),
            generation: identity.generation.unwrap_or(0),
            deleting: identity.deletion_timestamp.is_some(),
            text: write_object(parts).into(),
        })
    }

    /// The object's JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Labels, annotations, finalizers and owners, read from the text.
    ///
    /// What does not have the shape that Kubernetes gives it is taken for empty.
    pub fn head(&self) -> Head {
        #[derive(Deserialize)]
        struct WithHead {
            metadata: Head,
        }
        serde_json::from_str(&self.text).map(|object: WithHead| object.metadata).unwrap_or_default()
    }

    /// The object as a tree, for what compares or merges.
    pub fn tree(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The text of a top-level field.
    pub fn field(&self, name: &str) -> Option<&str> {
        Members::parse(&self.text).ok()?.get(name)
    }
}

/// None where there are none to drop.
fn without_managed_fields(metadata: &str) -> serde_json::Result<Option<String>> {
    let members = Members::parse(metadata)?;
    if members.get("managedFields").is_none() {
        return Ok(None);
    }
    let kept = members.0.iter().filter(|(name, _)| name != "managedFields");
    Ok(Some(write_object(kept.map(|(name, value)| (&**name, value.get())))))
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"spec":{"count":2},"metadata":{"name":"obj","namespace":"demo","uid":"u1",
        "resourceVersion":"42","generation":3,"labels":null,"annotations":{"a":"b"},
        "managedFields":[{"manager":"kubectl"}],"finalizers":["x/y"]}}"#;

    #[test]
    fn an_item_of_a_list_gets_its_type_and_loses_its_managed_fields() {
        let object = Object::decode(SAMPLE, "nuvolaris.org/v1", "Sample").unwrap();
        assert_eq!(object.key.to_string(), "demo/obj");
        assert_eq!(object.resource_version, ResourceVersion(42));
        assert_eq!((object.generation, object.deleting), (3, false));
        assert_eq!(
            object.text(),
            r#"{"apiVersion":"nuvolaris.org/v1","kind":"Sample","metadata":{"name":"obj","namespace":"demo","uid":"u1","resourceVersion":"42","generation":3,"labels":null,"annotations":{"a":"b"},"finalizers":["x/y"]},"spec":{"count":2}}"#
        );
    }

    #[test]
    fn the_head_is_read_from_the_text() {
        let head = Object::decode(SAMPLE, "v1", "X").unwrap().head();
        assert_eq!(head.annotations["a"], "b");
        assert_eq!(head.finalizers, ["x/y"]);
        assert!(head.labels.is_empty() && head.owner_references.is_empty());
        let object = Object::decode(SAMPLE, "v1", "X").unwrap();
        assert_eq!((object.field("spec"), object.field("status")), (Some(r#"{"count":2}"#), None));
    }

    #[test]
    fn a_text_without_uid_is_no_object() {
        let refused = Object::decode(r#"{"metadata":{"name":"a"}}"#, "v1", "X");
        assert_eq!(refused.unwrap_err().to_string(), "metadata.uid is missing");
    }

    #[test]
    fn versions_that_are_no_numbers_are_never_ordered() {
        let (one, two, odd) = (ResourceVersion(1), ResourceVersion(2), ResourceVersion::parse("a"));
        assert!(two.at_least(one) && two.at_least(two) && !one.at_least(two));
        assert!(!odd.at_least(one) && !one.at_least(odd));
    }
}
