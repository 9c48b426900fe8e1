//! A host that dies, and objects that go, at the wrong moment.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::{
    host::{Host, config, own_deployments},
    proxy::{Moment, Plan, Proxy},
    world::{World, eventually, wasm},
};

#[tokio::test]
async fn what_changed_while_the_host_was_dead_is_handled_and_nothing_else() {
    let world = World::new("kill").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let mut host = Host::start(&world, &json!({"settings": {"deployment": "{name}"}}));
    for name in ["a-same", "b-gone", "z-changed"] {
        world.apply_sample(name, 2).await;
    }
    for name in ["a-same", "b-gone", "z-changed"] {
        world.message(name, "2 replicas").await;
        eventually("its record is written", async || {
            let live = world.get(&world.samples(), name).await?;
            live.pointer("/metadata/annotations/operon.dev~1default.sample").map(drop)
        })
        .await;
    }
    host.kill();
    let same = world.get(&world.samples(), "a-same").await.unwrap();
    world.apply_sample("z-changed", 4).await;
    world.delete_sample("b-gone").await;
    assert!(world.get(&world.samples(), "b-gone").await.is_some(), "its finalizer keeps it");
    host.restart();
    world.replicas("z-changed", Some(4)).await;
    world.sample_gone("b-gone").await;
    world.replicas("b-gone", None).await;
    // Objects are listed, and looked at, in the order of their names: the last has been, so the first has been.
    assert_eq!(host.terminate().await, Some(0));
    assert_eq!(host.handled("z-changed"), ["updated"]);
    assert_eq!(host.handled("b-gone"), ["deleted"]);
    assert!(host.handled("a-same").is_empty(), "{:?}", host.handled("a-same"));
    let now = world.get(&world.samples(), "a-same").await.unwrap();
    assert_eq!(now["metadata"]["resourceVersion"], same["metadata"]["resourceVersion"], "not a single write");
}

#[tokio::test]
async fn what_befell_children_while_the_host_was_dead_is_mended() {
    let world = World::new("drift-dead").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let mut host = Host::start(&world, &own_deployments());
    for name in ["deleted", "scaled"] {
        world.apply_sample(name, 2).await;
        world.replicas(name, Some(2)).await;
        world.message(name, "2 replicas").await;
    }
    assert_eq!(host.terminate().await, Some(0));
    let scaled = Patch::Merge(json!({"spec": {"replicas": 7}}));
    world.deployments().patch("scaled", &PatchParams::default(), &scaled).await.unwrap();
    world.deployments().delete("deleted", &DeleteParams::default()).await.unwrap();
    host.restart();
    world.replicas("scaled", Some(2)).await;
    world.replicas("deleted", Some(2)).await;
}

#[tokio::test]
async fn a_write_of_a_dead_host_that_comes_late_takes_nothing_of_the_next_away() {
    let world = World::new("late").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let proxy = Proxy::start(&world, Plan::none()).await;
    let mut host = Host::start_with(&config(&world, &own_deployments()), &proxy.kubeconfig);
    let stopped = proxy.stop_at(0, Moment::Late);
    world.apply_sample("obj", 2).await;
    let stopped = stopped.await.unwrap();
    assert_eq!(stopped.at, "Apply samples.nuvolaris.org by operon-finalizer");
    host.kill();
    host.restart();
    world.recorded("obj").await;
    let finalizers = |proxy: &Proxy| proxy.log().writes().filter(|entry| entry.asked.is_finalizer()).count();
    assert_eq!(finalizers(&proxy), 1, "that of the second host");
    drop(stopped);
    eventually("the late write has come", async || (finalizers(&proxy) == 2).then_some(())).await;
    world.recorded("obj").await;
    world.apply_sample("obj", 3).await;
    eventually("it is updated, and nothing else", async || {
        let handled = host.handled("obj");
        assert_eq!(handled[0], "created");
        (handled == ["created", "updated"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_object_that_goes_while_its_event_is_handled_does_not_come_back() {
    let world = World::new("gone").await;
    world.put_plugin(&world.namespace, "plugin", wasm("scripted.wasm")).await;
    let host = Host::start(
        &world,
        &json!({"watch": [{
            "resource": "samples.v1.nuvolaris.org", "namespaces": [world.namespace], "on": ["created", "updated"],
        }]}),
    );
    host.says("the plugin is in place").await;
    // No finalizer: `on` leaves `deleted` out, so the object can go while the plugin works on it.
    // No status either: a status applied to what is gone is 404, while the record's apply would make it anew.
    world.apply(&world.sample("obj", &json!({"sleepMs": 2000}))).await;
    world.apply(&world.sample("other", &json!({"status": {"seen": true}}))).await;
    eventually("another object is handled meanwhile", async || {
        world.get(&world.samples(), "other").await?.pointer("/status/seen").map(drop)
    })
    .await;
    assert!(host.handled("obj").is_empty(), "it is still under way");
    world.delete_sample("obj").await;
    world.sample_gone("obj").await;
    world.apply(&world.sample("later", &json!({"sleepMs": 2500, "status": {"seen": true}}))).await;
    eventually("a later call has ended", async || {
        world.get(&world.samples(), "later").await?.pointer("/status/seen").map(drop)
    })
    .await;
    assert!(world.get(&world.samples(), "obj").await.is_none(), "an apply has made it anew");
}

#[tokio::test]
async fn a_host_whose_log_nobody_reads_any_more_still_ends_when_told() {
    let world = World::new("deaf").await;
    let mut host = Host::start_unread(&world, &json!({}));
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    world.apply_sample("obj", 2).await;
    world.message("obj", "2 replicas").await;
    assert_eq!(host.terminate().await, Some(0));
}
