//! Objects on their way in and out of kube's client and watcher, as text.
//!
//! kube's own `DynamicObject` is a tree of values. [`Wire`] keeps the text and reads of it just the resourceVersion, which
//! kube's watcher asks for; so the watcher can be used as it is. What is malformed is found by [`Wire::decode`], one
//! object at a time, and not by the decoding of a whole list.

use std::borrow::Cow;

use kube::{
    Api, Client, Resource,
    api::ApiResource,
    core::{DynamicResourceScope, ObjectMeta},
};
use operon_core::{
    kind::Kind,
    object::{DecodeError, Object},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object as it came.
#[derive(Clone, Debug)]
pub struct Wire {
    text: Box<RawValue>,
    /// The resourceVersion, nothing else.
    meta: ObjectMeta,
}

impl Wire {
    /// Takes it as an object of this kind.
    pub fn decode(&self, kind: &Kind) -> Result<Object, DecodeError> {
        Object::decode(self.text.get(), &kind.api_version(), &kind.kind)
    }

    /// The JSON as it came, managedFields and all.
    pub fn text(&self) -> &str {
        self.text.get()
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Outer {
            metadata: Inner,
        }
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Inner {
            resource_version: Option<String>,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let outer: Outer = serde_json::from_str(text.get()).unwrap_or_default();
        let meta = ObjectMeta { resource_version: outer.metadata.resource_version, ..ObjectMeta::default() };
        Ok(Self { text, meta })
    }
}

impl Resource for Wire {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// The API of a kind, in a namespace or (none) in all of them and for what has none.
pub fn api(client: &Client, kind: &Kind, namespace: Option<&str>) -> Api<Wire> {
    let resource = ApiResource {
        group: kind.resource.group().into(),
        version: kind.resource.version().into(),
        api_version: kind.api_version(),
        kind: kind.kind.clone(),
        plural: kind.resource.plural().into(),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

#[cfg(test)]
mod tests {
    use kube::{
        ResourceExt,
        api::{ObjectList, WatchEvent},
    };

    use super::Wire;

    const OBJECT: &str = r#"{"metadata":{"name":"a","uid":"u","resourceVersion":"7"},"spec":{"b" : 1}}"#;

    #[test]
    fn watch_events_and_lists_decode_into_texts() {
        let event = format!(r#"{{"type":"MODIFIED","object":{OBJECT}}}"#);
        let Ok(WatchEvent::Modified(wire)) = serde_json::from_str::<WatchEvent<Wire>>(&event) else {
            panic!("a change is a change")
        };
        assert_eq!((wire.text(), wire.resource_version().as_deref()), (OBJECT, Some("7")));
        let list = format!(
            r#"{{"kind":"SampleList","apiVersion":"a/v1","metadata":{{"resourceVersion":"9"}},"items":[{OBJECT},{{}}]}}"#
        );
        let list: ObjectList<Wire> = serde_json::from_str(&list).unwrap();
        assert_eq!(list.items[0].text(), OBJECT);
        assert_eq!(list.items.len(), 2, "a malformed object does not spoil the list");
    }
}
