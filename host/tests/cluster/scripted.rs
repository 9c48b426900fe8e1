//! What tests with the guest `scripted` share: an object says in its `spec` what the plugin does.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    host::{Host, config},
    world::{World, eventually, wasm},
};

/// A world with the guest as the plugin `sample`, which owns ConfigMaps.
pub(crate) async fn scripted(test: &str, changes: &Value) -> (World, Host) {
    let world = scripted_world(test).await;
    let host = Host::start(&world, &scripted_plugin(changes));
    (world, host)
}

pub(crate) async fn scripted_world(test: &str) -> World {
    let world = World::new(test).await;
    world.put_plugin(&world.namespace, "plugin", wasm("scripted.wasm")).await;
    world
}

/// The fields of the plugin in the config.
pub(crate) fn scripted_plugin(changes: &Value) -> Value {
    let mut fields = json!({"owns": ["configmaps.v1."]});
    fields.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    fields
}

/// The config of a host with several plugins, each with a name and fields of its own.
pub(crate) fn several(world: &World, plugins: &[(&str, Value)]) -> Value {
    let mut all = config(world, &json!({}));
    let plugins = plugins.iter().map(|(name, changes)| {
        let mut plugin = config(world, &scripted_plugin(changes))["plugins"][0].clone();
        plugin["name"] = (*name).into();
        plugin
    });
    all["plugins"] = plugins.collect();
    all
}

/// A ConfigMap to be returned as a child, or to be patched.
pub(crate) fn map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

impl World {
    pub(crate) fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until the ConfigMap has this data.
    pub(crate) async fn data(&self, name: &str, key: &str, value: Option<&str>) {
        eventually(&format!("{name} has {key}={value:?}"), async || {
            let data = self.maps().get_opt(name).await.ok()??.data.unwrap_or_default();
            (data.get(key).map(String::as_str) == value).then_some(())
        })
        .await;
    }

    pub(crate) async fn map_gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), async || self.maps().get_opt(name).await.ok()?.is_none().then_some(()))
            .await;
    }

    /// Waits until the Sample's `status.echo` says this of the event.
    pub(crate) async fn echo(&self, sample: &str, field: &str, value: &Value) -> Value {
        eventually(&format!("the echo of {sample} says {field}={value}"), async || {
            let live = self.get(&self.samples(), sample).await?;
            (live["status"]["echo"][field] == *value).then(|| live.clone())
        })
        .await
    }

    /// Merges a patch into a Sample, as a person would.
    pub(crate) async fn merge(&self, sample: &str, patch: &Value) {
        merge(&self.samples(), sample, patch).await;
    }

    /// Waits until an object carries the record of the plugin `sample`; returns the object.
    pub(crate) async fn recorded(&self, sample: &str) -> Value {
        eventually(&format!("{sample} has a record"), async || {
            let live = self.get(&self.samples(), sample).await?;
            record(&live).is_some().then_some(live)
        })
        .await
    }

    pub(crate) async fn delete_map(&self, name: &str) {
        self.maps().delete(name, &DeleteParams::default()).await.unwrap();
    }
}

pub(crate) async fn merge(api: &Api<DynamicObject>, name: &str, patch: &Value) {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// The record of the plugin `sample` of the host `default`.
pub(crate) fn record(object: &Value) -> Option<Value> {
    let text = object.pointer("/metadata/annotations/operon.dev~1default.sample")?.as_str()?;
    serde_json::from_str(text).ok()
}
