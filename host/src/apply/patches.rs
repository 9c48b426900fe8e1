//! Patches: what a plugin writes beside the children, in its order.

use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use operon_core::{
    answer::Propagation,
    names::CREATED_FOR,
    plan::{Action, Plan, Write},
};
use serde::Serialize;
use serde_json::Value;

use super::{ApplyError, Handled, Part, To, Writer};
use crate::cluster::{Wire, api};

impl Writer {
    /// Sends them, in order; the first that fails ends it. True where the handled object itself was patched.
    pub async fn apply_patches(&self, handled: &Handled, plan: &Plan) -> Result<bool, ApplyError> {
        let mut patched_itself = false;
        for (index, write) in plan.patches.iter().enumerate() {
            // What the same set makes is not there in a rehearsal.
            if self.dry_run && makes(plan, index, write) {
                continue;
            }
            let itself = write.kind.resource.same_resource(&handled.kind.resource) && write.key == handled.object.key;
            tracing::debug!(plugin = %self.plugin.plugin, object = %handled.object.key, "sending {}", write.place);
            match self.send(handled, write).await {
                Ok(Some(wire)) if itself && !self.dry_run => {
                    patched_itself = true;
                    // In another version it is not what is kept: its watch brings it.
                    if write.kind.resource == handled.kind.resource {
                        handled.wrote(&wire);
                    }
                }
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 && write.ignore_missing => {}
                Err(error) => {
                    let to = if itself { To::TheObject } else { handled.to(&write.key) };
                    return Err(ApplyError::from_answer(&error, to, &write.place));
                }
            }
        }
        Ok(patched_itself)
    }

    async fn send(&self, handled: &Handled, write: &Write) -> kube::Result<Option<Wire>> {
        let Write { kind, key, subresource, action, .. } = write;
        let api = api(&self.client, kind, key.namespace.as_deref());
        let manager = self.plugin.manager();
        let patched = Patched {
            api: &api,
            name: &key.name,
            subresource: subresource.as_deref(),
            manager: &manager,
            dry_run: self.dry_run,
        };
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
                let params = DeleteParams { propagation_policy, dry_run: self.dry_run, ..DeleteParams::default() };
                api.delete(&key.name, &params).await.map(|_| None)
            }
        }
    }

    /// What is there already is no error where an earlier call for this very object made it.
    async fn create(&self, handled: &Handled, api: &Api<Wire>, name: &str, body: &Value) -> kube::Result<Option<Wire>> {
        let params = PostParams { field_manager: Some(self.plugin.manager()), dry_run: self.dry_run };
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

/// Is the target of this write made by the same set, before it?
fn makes(plan: &Plan, index: usize, write: &Write) -> bool {
    let earlier = plan.patches.get(..index).unwrap_or_default().iter();
    let made = earlier.filter(|earlier| matches!(earlier.action, Action::Apply(_) | Action::Create(_)));
    let made = made.map(|earlier| (&earlier.kind, &earlier.key));
    let children = plan.children.iter().flatten().map(|child| (&child.kind, &child.key));
    made.chain(children).any(|(kind, key)| *kind == write.kind && *key == write.key)
}

/// Where a patch goes.
struct Patched<'a> {
    api: &'a Api<Wire>,
    name: &'a str,
    subresource: Option<&'a str>,
    manager: &'a str,
    dry_run: bool,
}

impl Patched<'_> {
    async fn send<P: Serialize + std::fmt::Debug>(&self, patch: &Patch<P>) -> kube::Result<Option<Wire>> {
        let params =
            PatchParams { field_manager: Some(self.manager.into()), dry_run: self.dry_run, ..PatchParams::default() };
        match self.subresource {
            Some(subresource) => self.api.patch_subresource(subresource, self.name, &params, patch).await,
            None => self.api.patch(self.name, &params, patch).await,
        }
        .map(Some)
    }
}
