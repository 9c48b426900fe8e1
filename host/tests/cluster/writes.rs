//! What an event costs: writes counted between the host and the API server; Events, leases and dry runs are apart.

use serde_json::{Value, json};

use crate::{
    host::{Host, config, own_deployments},
    proxy::{Plan, Proxy},
    world::{World, eventually, wasm},
};

/// A host behind a proxy that only counts.
async fn counted(test: &str, plugin: &str, changes: &Value) -> (World, Proxy, Host) {
    let world = World::new(test).await;
    world.put_plugin(&world.namespace, "plugin", wasm(plugin)).await;
    let proxy = Proxy::start(&world, Plan::none()).await;
    let host = Host::start_with(&config(&world, changes), &proxy.kubeconfig);
    (world, proxy, host)
}

/// What was written since this was asked last.
fn writes(proxy: &Proxy) -> Vec<String> {
    let mut log = proxy.log();
    let writes = log.writes().map(|entry| format!("{} ({})", entry.asked, entry.status)).collect();
    log.entries.clear();
    writes
}

/// Waits until the record of the Sample, which is the last write of an event, knows this spec.
async fn recorded(world: &World, name: &str, spec: &Value) {
    eventually(&format!("{name} is recorded with {spec}"), async || {
        let live = world.get(&world.samples(), name).await?;
        let record = live.pointer("/metadata/annotations/operon.dev~1default.sample")?.as_str()?;
        let record: Value = serde_json::from_str(record).ok()?;
        (record["essence"]["spec"] == *spec).then_some(())
    })
    .await;
}

/// Handles a spec; then the host is told to end, so that nothing of it is still under way, and started anew.
async fn costs(world: &World, proxy: &Proxy, host: &mut Host, spec: &Value) -> Vec<String> {
    writes(proxy);
    world.apply(&world.sample("obj", spec)).await;
    recorded(world, "obj", spec).await;
    assert_eq!(host.terminate().await, Some(0));
    let all = writes(proxy);
    host.restart();
    all
}

#[tokio::test]
async fn a_first_event_costs_its_child_and_three_writes_an_update_two_and_a_restart_none() {
    let (world, proxy, mut host) = counted("writes", "sample.wasm", &own_deployments()).await;
    let first = costs(&world, &proxy, &mut host, &json!({"count": 2})).await;
    assert!(first.len() <= 4, "its child, finalizer, status, record: {first:#?}");
    assert!(!first.is_empty(), "the proxy counts nothing");
    let update = costs(&world, &proxy, &mut host, &json!({"count": 3})).await;
    assert!(update.len() <= 3, "its child, status, record: {update:#?}");
    // What is listed at the start is looked at in the order of its names, and this one is new then.
    world.apply(&world.sample("zzz", &json!({"count": 1}))).await;
    recorded(&world, "zzz", &json!({"count": 1})).await;
    assert_eq!(host.terminate().await, Some(0));
    let unchanged: Vec<_> = writes(&proxy).into_iter().filter(|write| !write.contains("zzz")).collect();
    assert!(unchanged.is_empty(), "an unchanged object after a restart: {unchanged:#?}");
}

#[tokio::test]
async fn of_several_children_an_update_writes_only_those_that_it_changes() {
    let owns = json!({"owns": ["configmaps.v1."]});
    let (world, proxy, mut host) = counted("writes-many", "scripted.wasm", &owns).await;
    let child = |nth: u32, data: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{nth}")}, "data": {"a": data}});
    let spec = |changed: &str| {
        let children = [child(0, "same"), child(1, "same"), child(2, changed)];
        json!({"children": children, "status": {"changed": changed}})
    };
    let first = costs(&world, &proxy, &mut host, &spec("a")).await;
    assert!(first.len() <= 3 + 3, "{first:#?}");
    let update = costs(&world, &proxy, &mut host, &spec("b")).await;
    assert!(update.len() <= 1 + 2, "one child, status, record: {update:#?}");
    let mut fewer = spec("b");
    fewer["children"].as_array_mut().unwrap().remove(0);
    let pruned = costs(&world, &proxy, &mut host, &fewer).await;
    assert!(pruned.len() <= 1 + 1, "a delete and the record: {pruned:#?}");
}
