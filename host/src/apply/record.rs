//! Finalizer and record: the first and the last write of an event, and their end.

use json_patch::{PatchOperation, RemoveOperation, TestOperation, jsonptr::PointerBuf};
use kube::api::{Patch, PatchParams};
use operon_core::{object::Head, record::Record};
use serde_json::{Value, json};

use super::{ApplyError, Handled, Part, To, Writer};
use crate::cluster::api;

impl Writer {
    /// Makes sure that the object can't go before the plugin has seen it go. The record that is there stays.
    pub async fn hold(&self, handled: &Handled, head: &Head) -> Result<(), ApplyError> {
        if head.finalizers.contains(&self.plugin.finalizer()) {
            return Ok(());
        }
        let record = head.annotations.get(&self.plugin.record_annotation()).map(String::as_str);
        self.note(handled, true, record, "the finalizer").await
    }

    /// Writes what was handled, unless the object says so already. `hold`: it carries, or gets, the finalizer.
    pub async fn record(&self, handled: &Handled, head: &Head, hold: bool, record: &Record) -> Result<(), ApplyError> {
        let annotation = self.plugin.record_annotation();
        let others = head.annotations.iter().filter(|(key, _)| **key != annotation);
        let text = record.write(others.map(|(key, value)| key.len() + value.len()).sum());
        if head.annotations.get(&annotation) == Some(&text) {
            return Ok(());
        }
        self.note(handled, hold, Some(&text), "the record").await
    }

    async fn note(&self, handled: &Handled, hold: bool, record: Option<&str>, what: &str) -> Result<(), ApplyError> {
        let mut body = handled.body();
        // Both are one manager's: an apply without one of them would take it away.
        if hold {
            body["metadata"]["finalizers"] = json!([self.plugin.finalizer()]);
        }
        if let Some(record) = record {
            body["metadata"]["annotations"][self.plugin.record_annotation()] = record.into();
        }
        let manager = self.plugin.record_manager();
        let wire = self.apply(&handled.kind, &handled.object.key, &manager, Part::Whole, &body).await;
        handled.wrote(&wire.map_err(|error| ApplyError::from_answer(&error, To::TheObject, what))?);
        Ok(())
    }

    /// Lets the object go: finalizer and record are taken away, whoever owns these fields by now.
    ///
    /// A JSON patch with tests rather than an apply: a restored object's finalizers belong to the tool that restored it, and an
    /// apply takes away only what is its manager's.
    pub async fn release(&self, handled: &Handled, head: &Head) -> Result<(), ApplyError> {
        let finalizer = self.plugin.finalizer();
        let Some(index) = head.finalizers.iter().position(|found| *found == finalizer) else {
            return Ok(());
        };
        let index = index.to_string();
        let at = |path: &[&str]| PointerBuf::from_tokens(path.iter().copied());
        let test = |path: &[&str], value: Value| PatchOperation::Test(TestOperation { path: at(path), value });
        let remove = |path: &[&str]| PatchOperation::Remove(RemoveOperation { path: at(path) });
        let mut operations = vec![
            test(&["metadata", "uid"], (&*handled.object.uid).into()),
            test(&["metadata", "finalizers", &index], finalizer.as_str().into()),
            remove(&["metadata", "finalizers", &index]),
        ];
        let annotation = self.plugin.record_annotation();
        if head.annotations.contains_key(&annotation) {
            operations.push(remove(&["metadata", "annotations", &annotation]));
        }
        let key = &handled.object.key;
        let params = PatchParams { field_manager: Some(self.plugin.record_manager()), ..PatchParams::default() };
        let patch = Patch::<Value>::Json(json_patch::Patch(operations));
        let answer = api(&self.client, &handled.kind, key.namespace.as_deref()).patch(&key.name, &params, &patch).await;
        match answer {
            Ok(wire) => {
                handled.wrote(&wire);
                Ok(())
            }
            // A test failed: somebody changed the finalizers meanwhile. The next version of the object tells where ours is.
            Err(kube::Error::Api(status)) if status.code == 422 => Err(ApplyError::Unavailable {
                message: format!("taking the finalizer away: {}", status.message),
                retry_after: None,
            }),
            Err(error) => Err(ApplyError::from_answer(&error, To::TheObject, "taking the finalizer away")),
        }
    }
}
