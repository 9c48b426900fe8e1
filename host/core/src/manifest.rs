//! Reading a manifest that a plugin returned: the guest's text, taken for nothing before it is checked.

use serde_json::{Map, Value};

use crate::{
    answer::ObjectRef,
    names::PREFIX,
    resource::{is_label, is_subdomain},
};

/// A manifest, checked as far as that is possible without knowing its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What it describes.
    pub target: ObjectRef,
    /// The whole manifest; an object with an object at `metadata`.
    pub body: Value,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Path of the field in the manifest or patch.
    pub field: String,
    /// What was found, what is allowed.
    pub message: String,
}

impl Invalid {
    /// A fault at this field.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Fields of `metadata` that are the API server's or the host's to set.
const NOT_THE_PLUGINS: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "ownerReferences",
    "finalizers",
];

impl Manifest {
    /// Reads the JSON of a manifest.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        let mut body = read_object(text, "the manifest")?;
        let field = |name: &str| match body.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            _ => Err(Invalid::new(name, "is missing, or is no text")),
        };
        let (api_version, kind) = (field("apiVersion")?, field("kind")?);
        let Some(Value::Object(metadata)) = body.get_mut("metadata") else {
            return Err(Invalid::new("metadata", "is missing, or is no object"));
        };
        // Some serializers of manifests write these as null.
        metadata.retain(|name, value| !(NOT_THE_PLUGINS.contains(&name.as_str()) && value.is_null()));
        if let Some(name) = NOT_THE_PLUGINS.iter().find(|name| metadata.contains_key(**name)) {
            return Err(Invalid::new(&format!("metadata.{name}"), "is not for a plugin to set"));
        }
        let target = ObjectRef {
            api_version,
            kind,
            namespace: text_in(metadata, "namespace")?,
            name: text_in(metadata, "name")?.unwrap_or_default(),
        };
        if metadata.contains_key("generateName") {
            let why = "is refused: a call that is repeated would make another object; return a name";
            return Err(Invalid::new("metadata.generateName", why));
        }
        check_name(&target)?;
        for part in ["labels", "annotations"] {
            check_keys(metadata, part)?;
        }
        Ok(Self { target, body: Value::Object(body) })
    }
}

/// Reads a JSON object.
pub fn read_object(text: &str, what: &str) -> Result<Map<String, Value>, Invalid> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Invalid::new(what, "is JSON, but no object")),
        Err(error) => Err(Invalid::new(what, format!("is not valid JSON: {error}"))),
    }
}

/// Checks name and namespace: they become part of a request's path.
///
/// The rules for a namespace are those of DNS labels. Names of some kinds (RBAC) have more freedom; what is refused here is
/// what Kubernetes refuses for any kind (`IsValidPathSegmentName`), and what would change the path.
pub fn check_name(target: &ObjectRef) -> Result<(), Invalid> {
    let name = &target.name;
    if name.is_empty() {
        return Err(Invalid::new("metadata.name", "is missing"));
    }
    let odd = |c: char| !c.is_ascii_graphic() || "/%?#\\".contains(c);
    if name.len() > 253 || name == "." || name == ".." || name.contains(odd) {
        let found: String = name.chars().take(60).collect();
        let why = format!("found {found:?}, expected a name of at most 253 characters that can stand in a path");
        return Err(Invalid::new("metadata.name", why));
    }
    target.namespace.as_deref().map_or(Ok(()), check_namespace)?;
    let (group, version) = target.api_version.rsplit_once('/').unwrap_or(("", &target.api_version));
    if !is_label(version) || !(group.is_empty() || is_subdomain(group)) {
        let found: String = target.api_version.chars().take(60).collect();
        return Err(Invalid::new("apiVersion", format!("found {found:?}, expected version or group/version")));
    }
    Ok(())
}

/// Checks a namespace by itself.
pub fn check_namespace(namespace: &str) -> Result<(), Invalid> {
    if is_label(namespace) {
        return Ok(());
    }
    let found: String = namespace.chars().take(60).collect();
    Err(Invalid::new("metadata.namespace", format!("found {found:?}, expected a DNS label")))
}

fn text_in(metadata: &Map<String, Value>, name: &str) -> Result<Option<String>, Invalid> {
    match metadata.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Invalid::new(&format!("metadata.{name}"), "is no text")),
    }
}

/// Labels and annotations are texts, and those of the host are the host's.
fn check_keys(metadata: &mut Map<String, Value>, part: &str) -> Result<(), Invalid> {
    let path = format!("metadata.{part}");
    match metadata.get(part) {
        None => return Ok(()),
        Some(Value::Null) => {}
        Some(Value::Object(entries)) => {
            for (key, value) in entries {
                if key.starts_with(PREFIX) {
                    return Err(Invalid::new(&path, format!("{key:?} is the host's: keys under {PREFIX} are refused")));
                }
                if !value.is_string() {
                    return Err(Invalid::new(&path, format!("the value of {key:?} is no text")));
                }
            }
            return Ok(());
        }
        Some(_) => return Err(Invalid::new(&path, "is no object")),
    }
    metadata.remove(part);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(metadata: Value) -> String {
        let text = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}).to_string();
        Manifest::read(&text).unwrap_err().to_string()
    }

    #[test]
    fn a_manifest_tells_what_it_describes() {
        let text = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "creationTimestamp": null, "labels": null}});
        let manifest = Manifest::read(&text.to_string()).unwrap();
        assert_eq!(manifest.target.kind, "Deployment");
        assert_eq!((manifest.target.name.as_str(), manifest.target.namespace), ("a", None));
        assert_eq!(manifest.body["metadata"], json!({"name": "a"}), "nulls of serializers are dropped");
    }

    #[test]
    fn what_is_no_manifest_is_refused_naming_the_field() {
        let read = |text: &str| Manifest::read(text).unwrap_err().field;
        assert_eq!(read("{"), "the manifest");
        assert_eq!(read("[]"), "the manifest");
        assert_eq!(read("{}"), "apiVersion");
        assert_eq!(read(r#"{"apiVersion":"v1","kind":7}"#), "kind");
        assert_eq!(read(r#"{"apiVersion":"v1","kind":""}"#), "kind");
        assert_eq!(read(r#"{"apiVersion":"v1","kind":"A","metadata":[]}"#), "metadata");
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(&deep), "the manifest");
    }

    #[test]
    fn names_that_would_leave_their_path_are_refused() {
        for name in ["", ".", "..", "../x", "a/b", "a%2f", "a?b", "a b", "ä", &"a".repeat(254)] {
            assert!(refused(json!({"name": name})).starts_with("metadata.name: "), "{name}");
        }
        assert!(refused(json!({"name": 1})).starts_with("metadata.name: is no text"));
        assert!(refused(json!({"name": "a", "namespace": "../x"})).starts_with("metadata.namespace: "));
        let odd = json!({"apiVersion": "a/b/c", "kind": "X", "metadata": {"name": "a"}}).to_string();
        assert_eq!(Manifest::read(&odd).unwrap_err().field, "apiVersion");
        for name in ["system:a", &"a".repeat(253)] {
            let good = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": name}}).to_string();
            assert!(Manifest::read(&good).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_the_servers_or_the_hosts_is_refused() {
        for field in NOT_THE_PLUGINS {
            let mut metadata = json!({"name": "a"});
            metadata[field] = "x".into();
            assert_eq!(refused(metadata), format!("metadata.{field}: is not for a plugin to set"));
        }
        assert!(refused(json!({"name": "a", "generateName": "a-"})).starts_with("metadata.generateName"));
        assert!(refused(json!({"name": "a", "labels": {"operon.dev/owner": "x"}})).contains("is the host's"));
        assert!(refused(json!({"name": "a", "annotations": {"b": 1}})).contains("\"b\" is no text"));
        assert!(refused(json!({"name": "a", "labels": []})).contains("is no object"));
    }
}
