//! Plugins in ConfigMaps: replaced while the host runs, refused, held to what they may.

use serde_json::json;

use crate::{
    host::{Host, config},
    world::{World, wasm},
};

#[tokio::test]
async fn a_replaced_configmap_replaces_the_plugin_and_garbage_leaves_it() {
    let world = World::new("swap").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let mut host = Host::start(&world, &json!({}));
    world.apply_sample("obj", 2).await;
    world.message("obj", "scaled to 2 replicas").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample-v2.wasm")).await;
    world.message("obj", "stays at 2 replicas").await;
    world.apply_sample("obj", 3).await;
    world.message("obj", "scaled from 2 to 3 replicas").await;
    world.put_plugin(&world.namespace, "plugin", b"no WebAssembly".to_vec()).await;
    let note = world.event("ConfigMap", "plugin", "plugin sample is not loaded").await;
    assert!(note.contains("no component") && note.contains("goes on"), "{note}");
    world.apply_sample("obj", 4).await;
    world.message("obj", "scaled from 3 to 4 replicas").await;
    assert!(host.is_running());
}

#[tokio::test]
async fn a_plugin_that_comes_after_the_host_and_its_objects_handles_them() {
    let world = World::new("wait").await;
    let host = Host::start(&world, &json!({}));
    host.says("kubectl create configmap plugin").await;
    world.apply_sample("obj", 2).await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    world.replicas("demo-deploy", Some(2)).await;
}

#[tokio::test]
async fn a_child_that_is_not_granted_is_refused_and_nothing_of_its_set_is_sent() {
    let world = World::new("grant").await;
    world.put_plugin(&world.namespace, "plugin", wasm("scripted.wasm")).await;
    let _host = Host::start(&world, &json!({"owns": ["configmaps.v1."]}));
    let child = |kind: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "child"}});
    let spec = json!({"children": [child("ConfigMap"), child("Secret")], "status": {"seen": true}});
    world.apply(&world.sample("obj", &spec)).await;
    let note = world.event("Sample", "obj", "not granted").await;
    assert!(note.contains("children[1] (Secret child)") && note.contains("owns: [secrets.v1.]"), "{note}");
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(world.client.clone(), &world.namespace);
    assert!(maps.get_opt("child").await.unwrap().is_none(), "the ConfigMap before it was sent");
    let live = world.get(&world.samples(), "obj").await.unwrap();
    assert!(live.get("status").is_none() && live["metadata"].get("finalizers").is_none(), "{live}");
}

#[tokio::test]
async fn a_plugin_that_traps_or_overstays_is_told_on_the_object_and_leaves_others_alone() {
    let world = World::new("trap").await;
    world.put_plugin(&world.namespace, "plugin", wasm("scripted.wasm")).await;
    let _host = Host::start(&world, &json!({"owns": [], "limits": {"time": "500ms"}}));
    world.apply(&world.sample("traps", &json!({"trap": true}))).await;
    world.apply(&world.sample("sleeps", &json!({"sleepMs": 60_000}))).await;
    world.apply(&world.sample("good", &json!({"status": {"sample_create": {"message": "good"}}}))).await;
    world.message("good", "good").await;
    world.event("Sample", "traps", "crashed").await;
    world.event("Sample", "sleeps", "limits.time is 500ms").await;
}

#[tokio::test]
async fn a_host_that_is_restarted_compiles_nothing_that_it_has_compiled_before() {
    let world = World::new("warm").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let mut host = Host::start_cold(&config(&world, &json!({})), &world.kubeconfig);
    world.apply_sample("obj", 2).await;
    world.message("obj", "2 replicas").await;
    let said = |host: &Host, part: &str| host.log().matches(part).count();
    let (compiled, cached) = (r#""message":"compiled""#, "taken from the cache of compiled plugins");
    assert_eq!((said(&host, compiled), said(&host, cached)), (1, 0), "cold");
    host.kill();
    host.restart();
    world.apply_sample("obj", 3).await;
    world.message("obj", "3 replicas").await;
    assert_eq!((said(&host, compiled), said(&host, cached)), (0, 1), "warm");
    // Another version is another entry, and the first is there still.
    world.put_plugin(&world.namespace, "plugin", wasm("sample-v2.wasm")).await;
    world.message("obj", "stays at 3 replicas").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    world.message("obj", "scaled to 3 replicas").await;
    assert_eq!((said(&host, compiled), said(&host, cached)), (1, 2), "back");
}
