//! What a plugin writes beside its children, and what the API server's answers lead to.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::{
    scripted::{map, record, scripted},
    world::{World, eventually},
};

/// Grants of everything with ConfigMaps and Deployments.
fn granted() -> Value {
    let verbs = ["get", "apply", "create", "patch", "delete"];
    json!({"grants": [
        {"resource": "configmaps.v1.", "verbs": verbs},
        {"resource": "deployments.v1.apps", "verbs": verbs},
        {"resource": "samples.v1.nuvolaris.org", "verbs": verbs},
    ]})
}

fn target(kind: &str, name: &str) -> Value {
    let api_version = match kind {
        "ConfigMap" => "v1",
        "Deployment" => "apps/v1",
        _ => "nuvolaris.org/v1",
    };
    json!({"apiVersion": api_version, "kind": kind, "name": name})
}

/// A ConfigMap that somebody else made.
async fn foreign_map(world: &World, name: &str, data: &Value) {
    let mut map = map(name, data);
    map["metadata"]["namespace"] = world.namespace.clone().into();
    world.apply(&map).await;
}

#[tokio::test]
async fn all_six_kinds_of_patch_are_sent_in_their_order() {
    let (world, _host) = scripted("kinds", &granted()).await;
    foreign_map(&world, "merged", &json!({"keep": "1", "drop": "1"})).await;
    foreign_map(&world, "doomed", &json!({})).await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]},
            },
        },
    });
    let container = json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "c"}]}}}});
    let set = json!({"patches": [
        {"apply": map("applied", &json!({"a": "1"}))},
        {"create": map("created", &json!({"a": "1"}))},
        {"merge": {"target": target("ConfigMap", "merged"), "body": {"data": {"drop": null, "new": "1"}}}},
        {"json": {"target": target("ConfigMap", "applied"), "body": [
            {"op": "test", "path": "/data/a", "value": "1"}, {"op": "replace", "path": "/data/a", "value": "2"},
        ]}},
        {"apply": deployment},
        {"strategicMerge": {"target": target("Deployment", "web"), "body": container}},
        {"delete": target("ConfigMap", "doomed")},
    ]});
    world.apply(&world.sample("obj", &set)).await;
    world.map_gone("doomed").await;
    world.data("applied", "a", Some("2")).await;
    world.data("created", "a", Some("1")).await;
    world.data("merged", "new", Some("1")).await;
    world.data("merged", "drop", None).await;
    world.data("merged", "keep", Some("1")).await;
    let web = world.get(&world.deployments(), "web").await.unwrap();
    let images: Vec<_> =
        web["spec"]["template"]["spec"]["containers"].as_array().unwrap().iter().map(|c| &c["image"]).collect();
    assert_eq!(images, ["a", "c"], "a strategic merge goes by the container's name");
}

#[tokio::test]
async fn a_set_that_fails_half_way_is_repeated_whole_and_its_own_create_is_no_error() {
    let (world, _host) = scripted("half", &granted()).await;
    let set = json!({"patches": [
        {"create": map("created", &json!({"a": "1"}))},
        {"merge": {"target": target("ConfigMap", "later"), "body": {"data": {"b": "1"}}}},
    ]});
    world.apply(&world.sample("obj", &set)).await;
    let note = world.event("Sample", "obj", "patches[1] (ConfigMap later)").await;
    assert!(note.contains("404") && note.contains("not found"), "the server's words: {note}");
    assert!(
        world.get(&world.samples(), "obj").await.unwrap()["metadata"]["annotations"].is_null(),
        "it is not recorded"
    );
    foreign_map(&world, "later", &json!({})).await;
    world.data("later", "b", Some("1")).await;
    world.recorded("obj").await;
    // Somebody else's of that name is one.
    let set = json!({"patches": [{"create": map("later", &json!({}))}]});
    world.apply(&world.sample("second", &set)).await;
    let note = world.event("Sample", "second", "already exists").await;
    assert!(note.contains("patches[0] (ConfigMap later)"), "{note}");
}

#[tokio::test]
async fn a_field_that_is_no_longer_returned_goes_and_what_would_change_nothing_is_not_sent() {
    let (world, _host) = scripted("fields", &json!({})).await;
    let children = |data: Value| json!({"echo": true, "children": [map("child", &data)]});
    world.apply(&world.sample("obj", &children(json!({"a": "1", "b": "1"})))).await;
    world.data("child", "b", Some("1")).await;
    foreign_map(&world, "child", &json!({"theirs": "1"})).await;
    world.apply(&world.sample("obj", &children(json!({"a": "1"})))).await;
    world.data("child", "b", None).await;
    world.data("child", "theirs", Some("1")).await;
    let before = world.maps().get("child").await.unwrap().metadata.resource_version;
    world.merge("obj", &json!({"metadata": {"labels": {"round": "2"}}})).await;
    eventually("the change is recorded", async || {
        let live = world.recorded("obj").await;
        (record(&live)?["essence"]["metadata"]["labels"]["round"] == "2").then_some(())
    })
    .await;
    assert_eq!(world.maps().get("child").await.unwrap().metadata.resource_version, before);
}

#[tokio::test]
async fn a_dry_run_keeps_a_set_that_can_not_be_applied_from_being_applied_by_half() {
    let mut changes = granted();
    changes["dryRun"] = true.into();
    let (world, _host) = scripted("dryrun", &changes).await;
    let bad =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}, "data": {"not a key!": "1"}});
    let set = |second: Value| {
        json!({
            "children": [map("child", &json!({"a": "1"})), second],
            "patches": [
                {"apply": map("patched", &json!({}))},
                {"merge": {"target": target("ConfigMap", "patched"), "body": {"data": {"b": "1"}}}},
            ],
        })
    };
    world.apply(&world.sample("obj", &set(bad))).await;
    let note = world.event("Sample", "obj", "the dry run: children[1] (ConfigMap bad)").await;
    assert!(note.contains("422") && note.contains("not a key!"), "the server's words: {note}");
    assert!(world.maps().get_opt("child").await.unwrap().is_none());
    world.apply(&world.sample("obj", &set(map("good", &json!({}))))).await;
    world.data("good", "none", None).await;
    world.data("patched", "b", Some("1")).await;
    world.recorded("obj").await;
}

#[tokio::test]
async fn a_plugin_that_patches_its_own_object_is_called_for_that_and_held_where_it_never_ends() {
    let (world, host) = scripted("itself", &granted()).await;
    let once = json!({"patches": [{"merge": {"target": target("Sample", "once"), "body": {"metadata": {"labels": {"a": "b"}}}}}]});
    world.apply(&world.sample("once", &once)).await;
    world.recorded("once").await;
    let fresh = json!({"fresh": true, "patches": [{"merge": {"target": target("Sample", "forever"), "body": {}}}]});
    world.apply(&world.sample("forever", &fresh)).await;
    let note = world.event("Sample", "forever", "its own writes have called the plugin").await;
    assert!(note.contains("within 5 minutes"), "{note}");
    let calls = host.calls("forever").len();
    assert!((20..=26).contains(&calls), "{calls} calls");
    assert_eq!(host.calls("once"), ["created", "updated"]);
}

#[tokio::test]
async fn a_missing_subresource_is_told_and_not_taken_for_a_missing_object() {
    let (world, _host) = scripted("subresource", &granted()).await;
    let scale = json!({"target": target("Sample", "obj"), "subresource": "scale", "body": {"spec": {"replicas": 1}}});
    world.apply(&world.sample("obj", &json!({"patches": [{ "merge": scale }]}))).await;
    let note = world.event("Sample", "obj", "patches[0] (Sample obj)").await;
    assert!(note.contains("404"), "{note}");
}

#[tokio::test]
async fn a_refused_prune_stays_pending_is_told_and_is_done_when_the_refusal_ends_across_a_restart() {
    let (world, mut host) = scripted("refused", &json!({})).await;
    let kept = map("kept", &json!({}));
    let both = json!({"children": [kept, map("pruned", &json!({}))]});
    world.apply(&world.sample("obj", &both)).await;
    world.recorded("obj").await;
    let forbid = admission_policy(&world);
    for object in &forbid {
        world.apply(object).await;
    }
    eventually("the policy is in force", async || {
        let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
        world.maps().delete("pruned", &dry).await.is_err().then_some(())
    })
    .await;
    let before = world.recorded("obj").await;
    world.merge("obj", &json!({"spec": {"children": [map("kept", &json!({}))]}})).await;
    let note = world.event("Sample", "obj", "deleting the child ConfigMap").await;
    assert!(note.contains("prunes are off"), "the server's words: {note}");
    host.kill();
    host.restart();
    eventually("it is tried again", async || (!host.calls("obj").is_empty()).then_some(())).await;
    assert_eq!(record(&world.recorded("obj").await), record(&before), "what is not done is not recorded");
    let api = world.api_of(&forbid[1]);
    api.delete(forbid[1]["metadata"]["name"].as_str().unwrap(), &DeleteParams::default()).await.unwrap();
    world.map_gone("pruned").await;
    assert!(world.maps().get_opt("kept").await.unwrap().is_some());
    let api = world.api_of(&forbid[0]);
    api.delete(forbid[0]["metadata"]["name"].as_str().unwrap(), &DeleteParams::default()).await.unwrap();
}

/// Nobody may delete the ConfigMap `pruned` of the test's namespace.
fn admission_policy(world: &World) -> Vec<Value> {
    let namespace = &world.namespace;
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["DELETE"],
        "resourceNames": ["pruned"],
    });
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "prunes are off"}],
        },
    });
    let chosen = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": chosen},
        },
    });
    vec![policy, binding]
}
