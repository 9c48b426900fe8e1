//! What calls a plugin, and what does not: causes, selection, timers, refusals, pauses.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    host::{Host, config},
    scripted::{map, merge, record, scripted, scripted_plugin, scripted_world, several},
    world::{World, eventually},
};

/// The entry of `watch` for Samples of the test's namespace, with some fields changed.
fn watch(world: &World, changes: &Value) -> Value {
    let mut watch = json!({"resource": "samples.v1.nuvolaris.org", "namespaces": [world.namespace]});
    watch.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({ "watch": [watch] })
}

#[tokio::test]
async fn status_ignored_parts_and_notes_call_nobody_and_a_change_brings_what_was_before() {
    let world = scripted_world("quiet").await;
    let changes = watch(&world, &json!({"ignore": ["/metadata/annotations/example.com~1seen"]}));
    let host = Host::start(&world, &scripted_plugin(&changes));
    world.apply(&world.sample("obj", &json!({"echo": true}))).await;
    world.recorded("obj").await;
    let (api, params) = (world.samples(), PatchParams::default());
    let status = json!({"status": {"seen": "by somebody else"}});
    api.patch_status("obj", &params, &Patch::Merge(&status)).await.unwrap();
    world.merge("obj", &json!({"metadata": {"annotations": {"example.com/seen": "1"}}})).await;
    world.merge("obj", &json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last": "1"}}})).await;
    world.merge("obj", &json!({"metadata": {"labels": {"tier": "web"}}})).await;
    let live = world.echo("obj", "cause", &json!("updated")).await;
    let previous = json!({"apiVersion": "nuvolaris.org/v1", "kind": "Sample", "spec": {"echo": true}});
    assert_eq!(live["status"]["echo"]["previous"], previous);
    assert_eq!(live["status"]["seen"], "by somebody else", "what others wrote into the status stays");
    assert_eq!(host.calls("obj"), ["created", "updated"]);
}

#[tokio::test]
async fn selectors_choose_and_an_object_that_leaves_is_followed_to_its_end() {
    let world = scripted_world("leave").await;
    let host = Host::start(&world, &scripted_plugin(&watch(&world, &json!({"labelSelector": "tier=web"}))));
    let spec = json!({"children": [map("child", &json!({"a": "1"}))]});
    let mut sample = world.sample("obj", &spec);
    world.apply(&sample).await;
    sample["metadata"]["labels"] = json!({"tier": "web"});
    world.apply(&sample).await;
    world.data("child", "a", Some("1")).await;
    world.recorded("obj").await;
    world.merge("obj", &json!({"metadata": {"labels": {"tier": "db"}}, "spec": {"children": []}})).await;
    world.apply(&world.sample("other", &json!({}))).await;
    world.delete_sample("other").await;
    assert!(world.maps().get_opt("child").await.unwrap().is_some(), "it left the selection, and its change with it");
    world.delete_sample("obj").await;
    world.sample_gone("obj").await;
    world.map_gone("child").await;
    assert_eq!(host.calls("obj"), ["created", "deleted"]);
}

#[tokio::test]
async fn namespaces_are_chosen_by_their_labels_as_they_are_now() {
    let world = scripted_world("nslabels").await;
    let team = format!("team={}", world.namespace);
    let watch = json!([{"resource": "samples.v1.nuvolaris.org", "namespaceSelector": team}]);
    // Under a name of its own, since it watches all namespaces and would take the deletions of other tests for its own.
    let mut config = config(&world, &scripted_plugin(&json!({ "watch": watch })));
    config["host"] = "nslabels".into();
    let host = Host::start_with(&config, &world.kubeconfig);
    world.apply(&world.sample("obj", &json!({"echo": true}))).await;
    host.says("the plugin is in place").await;
    let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}});
    assert!(host.calls("obj").is_empty());
    namespace["metadata"]["labels"] = json!({"team": world.namespace});
    world.apply(&namespace).await;
    world.echo("obj", "cause", &json!("created")).await;
}

#[tokio::test]
async fn resumed_is_sent_at_a_start_where_it_is_asked_for_and_nothing_else_for_what_is_as_it_was() {
    let world = scripted_world("resumed").await;
    let on = json!(["created", "updated", "deleted", "resumed"]);
    let mut host = Host::start(&world, &scripted_plugin(&watch(&world, &json!({ "on": on }))));
    world.apply(&world.sample("obj", &json!({"echo": true}))).await;
    world.recorded("obj").await;
    host.kill();
    host.restart();
    world.echo("obj", "cause", &json!("resumed")).await;
    assert_eq!(host.calls("obj"), ["resumed"]);
}

#[tokio::test]
async fn an_interval_survives_a_restart() {
    let (world, mut host) = scripted("timer", &json!({})).await;
    world.apply(&world.sample("obj", &json!({"echo": true, "requeueAfterMs": 700}))).await;
    world.echo("obj", "cause", &json!("requeued")).await;
    let requeued = |host: &Host| host.calls("obj").iter().filter(|cause| *cause == "requeued").count();
    eventually("it is called a second time", async || (requeued(&host) > 1).then_some(())).await;
    let before = world.recorded("obj").await;
    assert_eq!(record(&before).unwrap()["requeueMs"], 700, "the interval is recorded, not the time");
    host.kill();
    host.restart();
    eventually("it is called again after the restart", async || (requeued(&host) > 1).then_some(())).await;
    let after = world.get(&world.samples(), "obj").await.unwrap();
    assert_eq!(record(&before), record(&after));
    assert_eq!(host.calls("obj")[0], "requeued");
}

#[tokio::test]
async fn a_refusal_survives_a_restart_and_ends_with_a_change() {
    let (world, mut host) = scripted("refusal", &json!({})).await;
    let fail = |message: &str| json!({"fail": {"message": message, "reject": true}});
    world.apply(&world.sample("obj", &fail("too many cooks"))).await;
    world.event("Sample", "obj", "too many cooks").await;
    world.recorded("obj").await;
    host.kill();
    host.restart();
    world.apply(&world.sample("other", &json!({"echo": true}))).await;
    world.recorded("other").await;
    assert!(host.calls("obj").is_empty(), "{:?}", host.calls("obj"));
    world.apply(&world.sample("obj", &json!({"echo": true, "fail": null}))).await;
    world.echo("obj", "cause", &json!("updated")).await;
}

#[tokio::test]
async fn a_plugins_own_delay_is_kept_and_only_a_change_of_the_essence_comes_before_it() {
    let (world, host) = scripted("backoff", &json!({})).await;
    let failing = json!({"fail": {"message": "not yet", "afterMs": 600_000}});
    world.apply(&world.sample("obj", &failing)).await;
    world.event("Sample", "obj", "not yet").await;
    let (api, params) = (world.samples(), PatchParams::default());
    for round in 0..5 {
        let status = json!({"status": {"round": round}});
        api.patch_status("obj", &params, &Patch::Merge(&status)).await.unwrap();
    }
    world.apply(&world.sample("other", &json!({"echo": true}))).await;
    world.recorded("other").await;
    assert_eq!(host.calls("obj"), ["created"], "the status is no reason to call before the time");
    world.apply(&world.sample("obj", &json!({"echo": true, "fail": null}))).await;
    let live = world.echo("obj", "cause", &json!("created")).await;
    assert_eq!(live["status"]["echo"]["attempt"], 1, "an essence that changed is");
}

#[tokio::test]
async fn a_paused_object_waits_and_what_happened_meanwhile_is_handled_then() {
    let (world, host) = scripted("paused", &json!({})).await;
    let pause = |value: Value| json!({"metadata": {"annotations": {"operon.dev/paused": value}}});
    let spec = |value: &str| json!({"children": [map("child", &json!({"a": value}))]});
    world.apply(&world.sample("obj", &spec("1"))).await;
    world.data("child", "a", Some("1")).await;
    world.recorded("obj").await;
    world.merge("obj", &pause("true".into())).await;
    host.says("\"paused\"").await;
    world.delete_map("child").await;
    world.apply(&world.sample("other", &json!({"echo": true}))).await;
    world.recorded("other").await;
    assert!(world.maps().get_opt("child").await.unwrap().is_none());
    world.merge("obj", &pause(Value::Null)).await;
    world.data("child", "a", Some("1")).await;
    assert_eq!(host.calls("obj"), ["created", "child-changed"]);
}

#[tokio::test]
async fn a_suspended_plugin_is_not_called_until_it_runs_again() {
    let world = scripted_world("suspend").await;
    let host = Host::start(&world, &scripted_plugin(&json!({"suspend": true})));
    world.apply(&world.sample("obj", &json!({"echo": true}))).await;
    host.says("the plugin is suspended").await;
    host.says("the plugin is in place").await;
    assert!(host.calls("obj").is_empty());
    drop(host);
    let _host = Host::start(&world, &scripted_plugin(&json!({})));
    world.echo("obj", "cause", &json!("created")).await;
}

#[tokio::test]
async fn two_plugins_share_an_object_each_with_its_own_record_and_part_of_the_status() {
    let world = scripted_world("two").await;
    let config = several(&world, &[("one", json!({})), ("two", json!({}))]);
    let host = Host::start_with(&config, &world.kubeconfig);
    world.apply(&world.sample("obj", &json!({"echo": true, "status": {"both": true}}))).await;
    let both = eventually("both have recorded it", async || {
        let live = world.get(&world.samples(), "obj").await?;
        let annotations = live["metadata"]["annotations"].as_object()?;
        ["one", "two"]
            .iter()
            .all(|name| annotations.contains_key(&format!("operon.dev/default.{name}")))
            .then_some(live)
    })
    .await;
    let mut finalizers: Vec<_> =
        both["metadata"]["finalizers"].as_array().unwrap().iter().map(Value::to_string).collect();
    finalizers.sort();
    assert_eq!(finalizers, ["\"operon.dev/default.one\"", "\"operon.dev/default.two\""]);
    assert_eq!(both["status"]["both"], true);
    world.delete_sample("obj").await;
    world.sample_gone("obj").await;
    let mut calls = host.calls("obj");
    calls.sort();
    assert_eq!(calls, ["created", "created", "deleted", "deleted"]);
}

#[tokio::test]
async fn a_built_in_resource_is_watched_as_any_other_and_a_secrets_data_stays_where_it_is() {
    let world = scripted_world("builtin").await;
    let resources = ["configmaps.v1.", "secrets.v1."];
    let watch: Value = resources
        .iter()
        .map(|r| json!({"resource": r, "namespaces": [world.namespace], "labelSelector": "mine"}))
        .collect();
    let changes = json!({"watch": watch, "owns": [], "settings": {"script": {"requeueAfterMs": 600_000}}});
    let host = Host::start(&world, &changes);
    let mut secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"key": "hunter2"}});
    let mut plain = map("plain", &json!({"key": "value"}));
    for object in [&mut secret, &mut plain] {
        object["metadata"]["namespace"] = world.namespace.clone().into();
        object["metadata"]["labels"] = json!({"mine": ""});
        world.apply(object).await;
    }
    let mut records = Vec::new();
    for object in [&secret, &plain] {
        let (api, name) = (world.api_of(object), object["metadata"]["name"].as_str().unwrap());
        let live = eventually(&format!("{name} has a record"), async || {
            let live = world.get(&api, name).await?;
            record(&live).is_some().then_some(live)
        })
        .await;
        records.push(record(&live).unwrap());
    }
    assert_eq!(records[1]["essence"]["data"]["key"], "value");
    assert!(records[0].get("essence").is_none(), "{}", records[0]);
    let encoded = "aHVudGVyMg==";
    let api = world.api_of(&secret);
    merge(&api, "token", &json!({"metadata": {"labels": {"more": ""}}})).await;
    eventually("its change is handled", async || (host.calls("token") == ["created", "updated"]).then_some(())).await;
    let log = host.log();
    assert!(!log.contains("hunter2") && !log.contains(encoded), "{log}");
    for object in [&secret, &plain] {
        let (api, name) = (world.api_of(object), object["metadata"]["name"].as_str().unwrap());
        api.delete(name, &DeleteParams::default()).await.unwrap();
        eventually(&format!("{name} is gone"), async || api.get_opt(name).await.ok()?.is_none().then_some(())).await;
    }
}
