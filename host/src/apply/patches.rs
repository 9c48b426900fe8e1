//! Patches: what a plugin writes beside the children, in its order.

use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use operon_core::{
    answer::Propagation,
    names::CREATED_FOR,
    plan::{Action, Write},
};
use serde::Serialize;
use serde_json::Value;

use super::{ApplyError, Handled, Part, To, Writer};
use crate::cluster::{Wire, api};

impl Writer {
    /// Sends them, in order; the first that fails ends it.
    pub async fn apply_patches(&self, handled: &Handled, writes: &[Write]) -> Result<(), ApplyError> {
        for write in writes {
            let itself = write.kind.resource == handled.kind.resource && write.key == handled.object.key;
            tracing::debug!(plugin = %self.plugin.plugin, object = %handled.object.key, "sending {}", write.place);
            match self.send(handled, write).await {
                Ok(Some(wire)) if itself => handled.patched(&wire),
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 && write.ignore_missing => {}
                Err(error) => {
                    let to = if itself { To::TheObject } else { To::Another };
                    return Err(ApplyError::from_answer(&error, to, &write.place));
                }
            }
        }
        Ok(())
    }

    async fn send(&self, handled: &Handled, write: &Write) -> kube::Result<Option<Wire>> {
        let Write { kind, key, subresource, action, .. } = write;
        let api = api(&self.client, kind, key.namespace.as_deref());
        let manager = self.plugin.manager();
        let patched = Patched { api: &api, name: &key.name, subresource: subresource.as_deref(), manager: &manager };
        match action {
            Action::Apply(body) => self.apply(kind, key, &manager, Part::Whole, body).await.map(Some),
            Action::Merge(body) => patched.send(&Patch::Merge(body)).await,
            Action::StrategicMerge(body) => patched.send(&Patch::Strategic(body)).await,
            Action::Json(patch) => patched.send(&Patch::<Value>::Json(patch.clone())).await,
            Action::Create(body) => self.create(handled, &api, &key.name, body).await,
            Action::Delete(propagation) => {
                let propagation_policy = Some(match propagation {
                    Propagation::Background => PropagationPolicy::Background,
                    Propagation::Foreground => PropagationPolicy::Foreground,
                    Propagation::Orphan => PropagationPolicy::Orphan,
                });
                let params = DeleteParams { propagation_policy, ..DeleteParams::default() };
                api.delete(&key.name, &params).await.map(|_| None)
            }
        }
    }

    /// What is there already is no error where an earlier call for this very object made it.
    async fn create(&self, handled: &Handled, api: &Api<Wire>, name: &str, body: &Value) -> kube::Result<Option<Wire>> {
        let params = PostParams { field_manager: Some(self.plugin.manager()), ..PostParams::default() };
        // Not through `Api::create`, which sends what it returns: a `Wire`, and that is what came from the API server.
        let request = kube::core::Request::new(api.resource_url()).create(&params, body.to_string().into_bytes());
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        request.extensions_mut().insert("create");
        let error = match self.client.request::<Wire>(request).await {
            Err(kube::Error::Api(status)) if status.code == 409 => kube::Error::Api(status),
            created => return created.map(Some),
        };
        let live = api.get(name).await?;
        let by_us = serde_json::from_str::<Value>(live.text())
            .is_ok_and(|live| live["metadata"]["annotations"][CREATED_FOR] == *handled.object.uid);
        if by_us { Ok(Some(live)) } else { Err(error) }
    }
}

/// Where a patch goes.
struct Patched<'a> {
    api: &'a Api<Wire>,
    name: &'a str,
    subresource: Option<&'a str>,
    manager: &'a str,
}

impl Patched<'_> {
    async fn send<P: Serialize + std::fmt::Debug>(&self, patch: &Patch<P>) -> kube::Result<Option<Wire>> {
        let params = PatchParams { field_manager: Some(self.manager.into()), ..PatchParams::default() };
        match self.subresource {
            Some(subresource) => self.api.patch_subresource(subresource, self.name, &params, patch).await,
            None => self.api.patch(self.name, &params, patch).await,
        }
        .map(Some)
    }
}
