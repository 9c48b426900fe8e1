//! Finalizer and record: the first and the last write of an event, and their end.

use kube::api::{Patch, PatchParams};
use operon_core::{
    object::{Head, Object},
    record::Record,
    release::Hold,
};
use serde_json::{Value, json};

use super::{ApplyError, Handled, Part, To, Writer};
use crate::cluster::api;

/// How often it is tried to take a finalizer away that moves.
const RELEASES: usize = 5;

impl Writer {
    /// Makes sure that the object can't go before the plugin has seen it go.
    pub async fn hold(&self, handled: &Handled, head: &Head) -> Result<(), ApplyError> {
        if head.finalizers.contains(&self.plugin.finalizer()) {
            return Ok(());
        }
        let mut body = handled.body();
        body["metadata"]["finalizers"] = json!([self.plugin.finalizer()]);
        self.note(handled, &self.plugin.finalizer_manager(), &body, "the finalizer").await
    }

    /// Writes what was handled, unless the object says so already.
    ///
    /// That children look otherwise than before is not worth a write by itself: each step of a rollout would be one. A host that
    /// starts later finds them changed, and calls the plugin once.
    pub async fn record(
        &self,
        handled: &Handled,
        head: &Head,
        former: Option<&Record>,
        record: Record,
    ) -> Result<(), ApplyError> {
        let annotation = self.plugin.record_annotation();
        let others = head.annotations.iter().filter(|(key, _)| **key != annotation);
        let room = others.map(|(key, value)| key.len() + value.len()).sum();
        let text = record.write(room);
        if let (Some(former), Some(written)) = (former, head.annotations.get(&annotation)) {
            let but_for_children = Record { children: former.children.clone(), ..record };
            if *written == but_for_children.write(room) {
                return Ok(());
            }
        }
        let mut body = handled.body();
        body["metadata"]["annotations"][annotation] = text.into();
        self.note(handled, &self.plugin.record_manager(), &body, "the record").await
    }

    async fn note(&self, handled: &Handled, manager: &str, body: &Value, what: &str) -> Result<(), ApplyError> {
        let wire = self.apply(&handled.kind, &handled.object.key, manager, Part::Whole, body).await;
        handled.wrote(&wire.map_err(|error| ApplyError::from_answer(&error, To::TheObject, what))?);
        Ok(())
    }

    /// Lets the object go: finalizer and record are taken away, whoever owns these fields by now.
    pub async fn release(&self, handled: &Handled, head: &Head) -> Result<(), ApplyError> {
        const WHAT: &str = "taking the finalizer away";
        let Object { key, uid, .. } = &*handled.object;
        let api = api(&self.client, &handled.kind, key.namespace.as_deref());
        let params = PatchParams { field_manager: Some(self.plugin.record_manager()), ..PatchParams::default() };
        let mut hold = Hold::of(&self.plugin, &head.finalizers, &head.annotations);
        for _ in 0..RELEASES {
            let Some(held) = &hold else { return Ok(()) };
            let patch = Patch::<Value>::Json(held.release(&self.plugin, uid));
            match api.patch(&key.name, &params, &patch).await {
                Ok(wire) => {
                    handled.let_go(&wire);
                    return Ok(());
                }
                // A test failed: somebody, such as another plugin, took a finalizer away meanwhile, and ours has moved.
                Err(kube::Error::Api(status)) if status.code == 422 => {}
                Err(error) => return Err(ApplyError::from_answer(&error, To::TheObject, WHAT)),
            }
            let live = api.get_opt(&key.name).await;
            let live = live.map_err(|error| ApplyError::from_answer(&error, To::TheObject, WHAT))?;
            let live = live.and_then(|wire| wire.decode(&handled.kind).ok()).filter(|live| live.uid == *uid);
            let head = live.map(|live| live.head()).unwrap_or_default();
            hold = Hold::of(&self.plugin, &head.finalizers, &head.annotations);
        }
        let message = format!("{WHAT}: the object's finalizers keep changing");
        Err(ApplyError::Unavailable { message, retry_after: None })
    }
}
