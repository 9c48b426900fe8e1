//! Resources of another shape than the Sample's: cluster-scoped, in two versions, without a status subresource, and not for ever.

use kube::{
    Api,
    api::{DeleteParams, DynamicObject},
};
use serde_json::{Value, json};

use crate::{
    host::Host,
    scripted::{map, merge, record, scripted_plugin, scripted_world},
    world::{World, eventually},
};

/// A CRD in a group of the test's own.
struct Crd {
    group: String,
    manifest: Value,
}

impl Crd {
    /// Cluster-scoped, without a status subresource; its versions have the same schema.
    fn tenants(world: &World, versions: &[&str]) -> Self {
        let group = format!("{}.example.org", world.namespace);
        let mut manifest = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("tenants.{group}")},
            "spec": {
                "group": group, "scope": "Cluster",
                "names": {"kind": "Tenant", "plural": "tenants", "singular": "tenant"},
            },
        });
        manifest["spec"]["versions"] = versions_of(versions);
        Self { group, manifest }
    }

    async fn serve(&self, world: &World, versions: &[&str]) {
        let mut manifest = self.manifest.clone();
        manifest["spec"]["versions"] = versions_of(versions);
        world.apply(&manifest).await;
    }

    fn tenant(&self, version: &str, name: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": format!("{}/{version}", self.group), "kind": "Tenant", "metadata": {"name": name}, "spec": spec,
        })
    }

    async fn delete(&self, world: &World) {
        let api = world.api_of(&self.manifest);
        let name = self.manifest["metadata"]["name"].as_str().unwrap();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        eventually("the CRD is gone", async || api.get_opt(name).await.ok()?.is_none().then_some(())).await;
    }
}

/// The last one is stored.
fn versions_of(names: &[&str]) -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = |(index, name): (usize, &&str)| {
        json!({
            "name": name, "served": true, "storage": index + 1 == names.len(),
            "schema": {"openAPIV3Schema": schema},
        })
    };
    names.iter().enumerate().map(version).collect()
}

async fn gone(api: &Api<DynamicObject>, name: &str) {
    eventually(&format!("{name} is gone"), async || api.get_opt(name).await.ok()?.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_cluster_scoped_resource_without_status_subresource_has_children_in_several_namespaces() {
    let world = scripted_world("tenant").await;
    let crd = Crd::tenants(&world, &["v1alpha1", "v1"]);
    world.apply(&crd.manifest).await;
    let second = format!("{}-b", world.namespace);
    world.make_namespace(&second).await;
    let namespaces = json!([world.namespace, second]);
    let grant = json!({"resource": "configmaps.v1.", "verbs": ["apply", "delete"], "namespaces": namespaces});
    let watch = json!([{"resource": format!("tenants.v1.{}", crd.group)}]);
    let host = Host::start(&world, &scripted_plugin(&json!({"watch": watch, "grants": [grant]})));
    let child = |namespace: &str, value: &str| {
        let mut map = map("child", &json!({"a": value}));
        map["metadata"]["namespace"] = namespace.into();
        map
    };
    let value_in = async |namespace: &str| {
        let maps = Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(world.client.clone(), namespace);
        Some(maps.get_opt("child").await.ok()?.map(|map| map.data.unwrap()["a"].clone()))
    };
    let both = |value: &str| json!({"children": [child(&world.namespace, value), child(&second, value)], "echo": true});
    // In the other version than the watched one: it is one resource.
    world.apply(&crd.tenant("v1alpha1", "acme", &both("1"))).await;
    let tenants = world.api_of(&crd.tenant("v1", "", &Value::Null));
    let live = eventually("it is recorded", async || {
        let live = world.get(&tenants, "acme").await?;
        record(&live).is_some().then_some(live)
    })
    .await;
    assert_eq!(live["status"]["echo"]["cause"], "created", "the status, written into the object");
    for namespace in [&world.namespace, &second] {
        assert_eq!(value_in(namespace).await, Some(Some("1".into())));
    }
    world.apply(&crd.tenant("v1", "acme", &both("2"))).await;
    for namespace in [&world.namespace, &second] {
        eventually("the update is there", async || (value_in(namespace).await? == Some("2".into())).then_some(()))
            .await;
    }
    let maps = Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(world.client.clone(), &second);
    maps.delete("child", &DeleteParams::default()).await.unwrap();
    eventually("a child that somebody deletes is back", async || value_in(&second).await?.map(drop)).await;
    tenants.delete("acme", &DeleteParams::default()).await.unwrap();
    gone(&tenants, "acme").await;
    for namespace in [&world.namespace, &second] {
        eventually("its children went before it", async || value_in(namespace).await?.is_none().then_some(())).await;
    }
    // The call for the deletion may run twice: once more when the children are gone.
    let calls = host.calls("acme");
    assert_eq!(calls.first().map(String::as_str), Some("created"));
    assert!(calls.contains(&"updated".into()) && calls.last().is_some_and(|last| last == "deleted"), "{calls:?}");
    crd.delete(&world).await;
}

#[tokio::test]
async fn a_crd_deleted_and_made_anew_or_changed_to_another_version_is_followed() {
    let world = scripted_world("anew").await;
    let crd = Crd::tenants(&world, &["v1"]);
    world.apply(&crd.manifest).await;
    let watch = json!([{"resource": format!("tenants.v1.{}", crd.group), "on": ["created", "updated"]}]);
    let host = Host::start(&world, &scripted_plugin(&json!({"watch": watch, "owns": []})));
    let handled = async |name: &str| {
        let api = world.api_of(&crd.tenant("v1", name, &Value::Null));
        eventually(&format!("{name} is recorded"), async || {
            let live = world.get(&api, name).await?;
            record(&live).map(drop)
        })
        .await;
    };
    world.apply(&crd.tenant("v1", "first", &json!({}))).await;
    handled("first").await;
    crd.delete(&world).await;
    host.says("no longer served").await;
    world.apply(&crd.manifest).await;
    world.apply(&crd.tenant("v1", "second", &json!({}))).await;
    handled("second").await;
    // Another version is added and stored: objects keep being handled in the one that the config names.
    crd.serve(&world, &["v1", "v2"]).await;
    world.apply(&crd.tenant("v2", "third", &json!({}))).await;
    handled("third").await;
    let api = world.api_of(&crd.tenant("v2", "", &Value::Null));
    merge(&api, "second", &json!({"metadata": {"labels": {"a": "b"}}})).await;
    eventually("a change in it is handled", async || (host.calls("second") == ["created", "updated"]).then_some(()))
        .await;
    assert_eq!(host.calls("first"), ["created"]);
    crd.delete(&world).await;
}
