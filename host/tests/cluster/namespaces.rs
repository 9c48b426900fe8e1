//! Namespaces that go with all that is in them, under a running host.

use serde_json::{Value, json};

use crate::{
    host::Host,
    world::{World, eventually, wasm},
};

#[tokio::test]
async fn a_namespace_that_is_deleted_with_its_samples_goes_and_the_host_soon_has_nothing_to_say_about_it() {
    let stays = World::new("stays").await;
    let goes = World::new("goes").await;
    stays.put_plugin(&stays.namespace, "plugin", wasm("sample.wasm")).await;
    let namespaces = [&stays.namespace, &goes.namespace];
    let mut host = Host::start(
        &stays,
        &json!({
            "watch": [{"resource": "samples.v1.nuvolaris.org", "namespaces": namespaces}],
            "settings": {"deployment": "{name}"},
        }),
    );
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        goes.apply_sample(name, 1).await;
    }
    for name in names {
        goes.recorded_by(name, "default.sample").await;
        goes.replicas(name, Some(1)).await;
    }
    goes.delete_namespace(&goes.namespace).await;
    goes.namespace_gone(&goes.namespace).await;

    // What would be tried again and again shows in the time that this takes, and after.
    let about = format!("{}/", goes.namespace);
    stays.apply_sample("alive", 1).await;
    stays.message("alive", "1 replica").await;
    let complaints = |host: &Host| {
        let lines: Vec<Value> = host.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
        assert!(errors.is_empty(), "{errors:?}");
        let warnings = lines.into_iter().filter(|line| line["level"] == "WARN" && line.to_string().contains(&about));
        warnings.collect::<Vec<_>>()
    };
    let first = complaints(&host);
    assert!(first.len() <= names.len(), "{first:#?}");
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(complaints(&host), first, "nobody is left to be warned");
    assert!(host.is_running());
}

#[tokio::test]
async fn a_plugin_that_wants_a_child_for_a_deletion_does_not_keep_a_namespace_that_goes() {
    let stays = World::new("wants").await;
    let goes = World::new("keeps").await;
    stays.put_plugin(&stays.namespace, "plugin", wasm("scripted.wasm")).await;
    let watch = json!([{"resource": "samples.v1.nuvolaris.org", "namespaces": [goes.namespace]}]);
    let host = Host::start(&stays, &json!({"watch": watch, "owns": ["configmaps.v1."]}));
    let child = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    // Nothing can be made any more where everything goes: not what it makes for the deletion, nor its child anew.
    let spec = json!({"children": [child("child")], "deleted": {"children": [child("child"), child("last")]}});
    goes.apply(&goes.sample("obj", &spec)).await;
    goes.recorded_by("obj", "default.sample").await;
    goes.delete_namespace(&goes.namespace).await;
    goes.namespace_gone(&goes.namespace).await;
    eventually("the host has seen it go", async || host.log().contains("\"cause\":\"deleted\"").then_some(())).await;
    let error = host.log().lines().find(|line| line.contains("\"ERROR\"")).map(str::to_owned);
    assert_eq!(error, None);
}
