//! One object that needs attention: reading what came with it.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;
use serde_json::Value;

use crate::{Cause, Event, Failure, ObjectRef, OrFail};

impl Event {
    /// The object itself, with its status.
    ///
    /// ```
    /// use operon_plugin::{Cause, Event, json};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Web { spec: Spec }
    /// #[derive(Deserialize)]
    /// struct Spec { port: u16 }
    ///
    /// let event = Event::new(Cause::Created, &json!({ "spec": { "port": 80 } }));
    /// assert_eq!(event.object::<Web>()?.spec.port, 80);
    /// # Ok::<(), operon_plugin::Failure>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A rejection where the object doesn't read as a `T`.
    pub fn object<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_str(&self.manifest).or_reject("the object can't be read")
    }

    /// The object as this plugin last handled it, without status. None where
    /// the host doesn't know, or where it doesn't read as a `T`: what was
    /// handled last may have been wrong, and rejected.
    pub fn previous<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(self.previous.as_deref()?).ok()
    }

    /// The children that this plugin made for the object, as they are now, with
    /// their status.
    ///
    /// # Errors
    ///
    /// A rejection where one of them doesn't read as a `T`.
    pub fn children<'a, T: Deserialize<'a>>(&'a self) -> Result<Vec<T>, Failure> {
        self.children.iter().map(|child| serde_json::from_str(child).or_reject("a child can't be read")).collect()
    }

    /// The plugin's settings.
    ///
    /// # Errors
    ///
    /// A rejection where they don't read as a `T`: then
    /// [`validate`](crate::Handler::validate) should have refused them.
    pub fn settings<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_str(&self.settings).or_reject("the settings can't be read")
    }

    /// An event as the host would make it of this object, on the first attempt,
    /// with no settings, no children, nothing handled before and the clock at
    /// 0. For tests of handlers.
    pub fn new(cause: Cause, manifest: &Value) -> Self {
        let text = |path| {
            let value = manifest.pointer(path).and_then(Value::as_str);
            value.map(String::from)
        };
        Self {
            cause,
            object: ObjectRef {
                api_version: text("/apiVersion").unwrap_or_default(),
                kind: text("/kind").unwrap_or_default(),
                namespace: text("/metadata/namespace"),
                name: text("/metadata/name").unwrap_or_default(),
            },
            uid: text("/metadata/uid").unwrap_or_default(),
            generation: manifest.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or_default(),
            manifest: manifest.to_string(),
            previous: None,
            children: Vec::new(),
            settings: "{}".to_string(),
            attempt: 0,
            now_ms: 0,
        }
    }

    /// The same after this was handled. For tests of handlers.
    #[must_use]
    pub fn with_previous(mut self, previous: &Value) -> Self {
        self.previous = Some(previous.to_string());
        self
    }

    /// The same with one more child. For tests of handlers.
    #[must_use]
    pub fn with_child(mut self, child: &Value) -> Self {
        self.children.push(child.to_string());
        self
    }

    /// The same with these settings. For tests of handlers.
    #[must_use]
    pub fn with_settings(mut self, settings: &Value) -> Self {
        self.settings = settings.to_string();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Next, json};

    #[derive(Debug, PartialEq, Deserialize)]
    struct Web<'a> {
        spec: &'a str,
    }

    fn web(spec: &str) -> Value {
        json!({
            "apiVersion": "example.com/v1",
            "kind": "Web",
            "metadata": { "name": "a", "namespace": "demo", "uid": "u", "generation": 3 },
            "spec": spec,
        })
    }

    #[test]
    fn an_event_made_of_a_manifest_carries_its_address() {
        let event = Event::new(Cause::Updated, &web("x"));
        let address = ObjectRef::new("example.com/v1", "Web", "a").in_namespace("demo");
        assert_eq!(event.object, address);
        assert_eq!((event.uid.as_str(), event.generation), ("u", 3));
    }

    #[test]
    fn object_previous_children_and_settings_are_read_as_the_type_asked_for() {
        let event = Event::new(Cause::Updated, &web("new"))
            .with_previous(&web("old"))
            .with_child(&json!(1))
            .with_child(&json!(2))
            .with_settings(&json!({ "spec": "s" }));
        assert_eq!(event.object(), Ok(Web { spec: "new" }));
        assert_eq!(event.previous(), Some(Web { spec: "old" }));
        assert_eq!(event.children(), Ok(alloc::vec![1, 2]));
        assert_eq!(event.settings(), Ok(Web { spec: "s" }));
    }

    #[test]
    fn an_object_of_another_shape_is_rejected() {
        let event = Event::new(Cause::Created, &json!({ "spec": 1 }));
        let failure = event.object::<Web>().unwrap_err();
        assert_eq!(failure.next, Next::Reject);
        assert!(failure.message.starts_with("the object can't be read: "));
    }

    #[test]
    fn children_and_settings_of_another_shape_are_rejected() {
        let event = Event::new(Cause::Created, &web("x")).with_child(&json!("text"));
        let failure = event.children::<u32>().unwrap_err();
        assert!(failure.message.starts_with("a child can't be read: "));
        let failure = event.settings::<Web>().unwrap_err();
        assert!(failure.message.starts_with("the settings can't be read: "));
    }

    #[test]
    fn a_previous_object_of_another_shape_counts_as_none() {
        let event = Event::new(Cause::Updated, &web("x"));
        assert_eq!(event.previous::<Web>(), None);
        let event = event.with_previous(&json!({ "spec": 1 }));
        assert_eq!(event.previous::<Web>(), None);
    }
}
