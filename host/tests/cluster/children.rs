//! Children: whose they are, what becomes of them, and what of an object that is not what it seems.

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::{
    host::Host,
    scripted::{map, merge, record, scripted, scripted_plugin, scripted_world},
    world::{World, eventually},
};

fn one_child(data: &Value) -> Value {
    json!({"children": [map("child", data)]})
}

impl World {
    async fn map(&self, name: &str) -> Value {
        serde_json::to_value(self.maps().get(name).await.unwrap()).unwrap()
    }

    /// Merges a patch into a ConfigMap, as a person would.
    pub(crate) async fn merge_map(&self, name: &str, patch: &Value) {
        let mut like = map(name, &json!({}));
        like["metadata"]["namespace"] = self.namespace.clone().into();
        merge(&self.api_of(&like), name, patch).await;
    }
}

#[tokio::test]
async fn a_copied_object_is_handled_as_new_and_the_childrens_owner_keeps_them() {
    let (world, host) = scripted("copy", &json!({})).await;
    world.apply(&world.sample("first", &one_child(&json!({"a": "1"})))).await;
    let mut copy = world.recorded("first").await;
    copy["metadata"] = json!({
        "name": "copy", "namespace": world.namespace, "annotations": copy["metadata"]["annotations"],
        "finalizers": copy["metadata"]["finalizers"], "labels": copy["metadata"]["labels"],
    });
    copy["spec"] = json!({"echo": true});
    let copy = serde_json::from_value(copy).unwrap();
    world.samples().create(&PostParams::default(), &copy).await.unwrap();
    world.echo("copy", "cause", &json!("created")).await;
    world.delete_sample("copy").await;
    world.sample_gone("copy").await;
    assert_eq!(host.calls("copy"), ["created", "deleted"]);
    world.data("child", "a", Some("1")).await;
}

#[tokio::test]
async fn annotations_that_a_gitops_tool_strips_cost_a_call_and_change_nothing() {
    let (world, host) = scripted("strip", &json!({})).await;
    world.apply(&world.sample("obj", &one_child(&json!({"a": "1"})))).await;
    world.recorded("obj").await;
    let before = world.map("child").await;
    world.merge("obj", &json!({"metadata": {"annotations": null}})).await;
    eventually("it is handled as new", async || (host.calls("obj") == ["created", "created"]).then_some(())).await;
    world.recorded("obj").await;
    assert_eq!(world.map("child").await["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    world.merge("obj", &json!({"metadata": {"finalizers": null}})).await;
    world.merge("obj", &json!({"spec": one_child(&json!({"a": "2"}))})).await;
    world.data("child", "a", Some("2")).await;
    let live = world.get(&world.samples(), "obj").await.unwrap();
    assert_eq!(
        live["metadata"]["finalizers"],
        json!(["operon.dev/default.sample"]),
        "a finalizer that was stripped is back"
    );
}

#[tokio::test]
async fn a_child_taken_over_by_hand_is_left_alone_and_one_given_by_hand_is_taken() {
    let (world, host) = scripted("hand", &json!({})).await;
    world.apply(&world.sample("obj", &one_child(&json!({"a": "1"})))).await;
    world.recorded("obj").await;
    let theirs = json!({"operon.dev/plugin": null, "operon.dev/owner": null});
    world
        .merge_map("child", &json!({"metadata": {"labels": theirs, "ownerReferences": null}, "data": {"a": "mine"}}))
        .await;
    let note = world.event("Sample", "obj", "children[0] (ConfigMap child): it is there already and not ours").await;
    assert!(note.contains("annotate it with operon.dev/adopt=sample"), "{note}");
    assert_eq!(world.map("child").await["data"]["a"], "mine");
    world.merge_map("child", &json!({"metadata": {"annotations": {"operon.dev/adopt": "sample"}}})).await;
    // A foreign object is not watched: the next call finds it given.
    world.merge("obj", &json!({"metadata": {"labels": {"round": "2"}}})).await;
    world.data("child", "a", Some("1")).await;
    assert_eq!(world.map("child").await["metadata"]["labels"]["operon.dev/plugin"], "default.sample");
    assert!(!host.calls("obj").is_empty());
}

#[tokio::test]
async fn a_handler_that_loops_on_its_own_children_is_told_and_slowed_down() {
    let (world, host) = scripted("loop", &json!({})).await;
    let mut set = one_child(&json!({"a": "1"}));
    set["fresh"] = true.into();
    world.apply(&world.sample("obj", &set)).await;
    world.recorded("obj").await;
    // The plugin's own writes alone do not call it.
    assert_eq!(host.calls("obj"), ["created"]);
    // Somebody who changes the child back each time does.
    let looping = async {
        for round in 0.. {
            world.merge_map("child", &json!({"data": {"a": round.to_string()}})).await;
            let calls = host.calls("obj").len();
            eventually("the child is changed back", async || {
                let back = world.map("child").await["data"]["a"] == "1";
                (back || host.calls("obj").len() > 20 && calls == host.calls("obj").len()).then_some(())
            })
            .await;
        }
    };
    let told = world.event("Sample", "obj", "its own writes have called the plugin");
    tokio::select! {
        () = looping => {}
        note = told => assert!(note.contains("21 times within 5 minutes"), "{note}"),
    }
}

#[tokio::test]
async fn a_child_with_a_finalizer_of_somebodys_is_waited_for_without_a_call_that_repeats() {
    let (world, host) = scripted("foreground", &json!({})).await;
    world.apply(&world.sample("obj", &one_child(&json!({})))).await;
    world.recorded("obj").await;
    world.merge_map("child", &json!({"metadata": {"finalizers": ["example.com/slow"]}})).await;
    eventually("that is a change of a child", async || (host.calls("obj").len() == 2).then_some(())).await;
    world.delete_sample("obj").await;
    eventually("the child is told to go", async || {
        (!world.map("child").await["metadata"]["deletionTimestamp"].is_null()).then_some(())
    })
    .await;
    world.apply(&world.sample("other", &json!({"echo": true}))).await;
    world.recorded("other").await;
    assert!(world.get(&world.samples(), "obj").await.is_some(), "it waits for its child");
    assert_eq!(host.calls("obj"), ["created", "child-changed", "deleted"]);
    world.merge_map("child", &json!({"metadata": {"finalizers": null}})).await;
    world.sample_gone("obj").await;
    assert_eq!(
        host.calls("obj"),
        ["created", "child-changed", "deleted", "deleted"],
        "the end of the child is what it waited for"
    );
}

#[tokio::test]
async fn a_child_in_another_namespace_goes_before_its_object_also_where_the_deletion_is_not_asked_for() {
    let world = scripted_world("abroad").await;
    let abroad = format!("{}-b", world.namespace);
    world.make_namespace(&abroad).await;
    let watch = json!([{
        "resource": "samples.v1.nuvolaris.org", "namespaces": [world.namespace], "on": ["created", "updated"],
    }]);
    let grant = json!({"resource": "configmaps.v1.", "verbs": ["apply", "delete"], "namespaces": [abroad]});
    let host = Host::start(&world, &scripted_plugin(&json!({"watch": watch, "grants": [grant]})));
    world.apply(&world.sample("beside", &one_child(&json!({"a": "1"})))).await;
    let beside = world.recorded("beside").await;
    assert!(beside["metadata"].get("finalizers").is_none(), "an owner reference is enough: {beside}");
    let mut child = map("child", &json!({"a": "1"}));
    child["metadata"]["namespace"] = abroad.clone().into();
    world.apply(&world.sample("obj", &json!({"children": [child]}))).await;
    let live = world.recorded("obj").await;
    assert_eq!(live["metadata"]["finalizers"], json!(["operon.dev/default.sample"]));
    world.delete_sample("obj").await;
    world.sample_gone("obj").await;
    let maps = kube::Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(world.client.clone(), &abroad);
    assert!(maps.get_opt("child").await.unwrap().is_none(), "it is gone before its object");
    assert_eq!(host.calls("obj"), ["created"]);
}

#[tokio::test]
async fn a_childs_status_is_a_change_that_calls() {
    let (world, host) = scripted("status", &json!({"owns": ["deployments.v1.apps"]})).await;
    let pods = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let child = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "child"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "a"}}, "template": pods},
    });
    world.apply(&world.sample("obj", &json!({"children": [child], "echo": true}))).await;
    world.echo("obj", "cause", &json!("child-changed")).await;
    assert_eq!(host.calls("obj")[..2], ["created", "child-changed"]);
}

#[tokio::test]
async fn children_of_a_kind_taken_out_of_owns_stay_and_the_log_says_so() {
    let world = scripted_world("unowned").await;
    let host = Host::start(&world, &scripted_plugin(&json!({})));
    world.apply(&world.sample("obj", &one_child(&json!({"a": "1"})))).await;
    world.recorded("obj").await;
    drop(host);
    let host = Host::start(&world, &scripted_plugin(&json!({"owns": []})));
    host.says("the resource is no longer in `owns`").await;
    assert!(host.log().contains("kubectl get configmaps.v1 -A -l operon.dev/plugin=default.sample"));
    world.merge("obj", &json!({"spec": {"children": null, "echo": true}})).await;
    world.echo("obj", "cause", &json!("updated")).await;
    world.data("child", "a", Some("1")).await;
}

#[tokio::test]
async fn a_child_that_changed_or_went_while_no_host_ran_is_restored_at_the_start() {
    let (world, mut host) = scripted("away", &json!({})).await;
    let both = json!({"children": [map("child", &json!({"a": "1"})), map("other", &json!({"a": "1"}))]});
    world.apply(&world.sample("obj", &both)).await;
    world.apply(&world.sample("same", &json!({"children": [map("third", &json!({}))]}))).await;
    world.recorded("obj").await;
    world.recorded("same").await;
    host.kill();
    world.delete_map("child").await;
    world.merge_map("other", &json!({"data": {"a": "2"}})).await;
    host.restart();
    world.data("child", "a", Some("1")).await;
    world.data("other", "a", Some("1")).await;
    assert_eq!(host.calls("obj"), ["child-changed"]);
    // Objects are listed, and looked at, in the order of their names.
    world.apply(&world.sample("zz", &json!({"echo": true}))).await;
    world.recorded("zz").await;
    assert!(host.calls("same").is_empty(), "{:?}", host.calls("same"));
}

#[tokio::test]
async fn an_event_that_is_larger_than_its_limit_is_told_with_what_it_holds() {
    let (world, _host) = scripted("input", &json!({"limits": {"input": "64Ki"}})).await;
    world.apply(&world.sample("obj", &one_child(&json!({"a": "x".repeat(70_000)})))).await;
    let note = world.event("Sample", "obj", "limits.input is 65536 bytes").await;
    assert!(note.contains("the object has 7"), "{note}");
    world.apply(&world.sample("obj", &one_child(&json!({"a": "1"})))).await;
    world.data("child", "a", Some("1")).await;
}

#[tokio::test]
async fn a_deletion_that_never_succeeds_is_told_with_the_command_that_frees_it() {
    let (world, _host) = scripted("stuck", &json!({})).await;
    let fail = json!({"deleted": {"fail": {"message": "the tape robot is jammed", "afterMs": 100}}});
    world.apply(&world.sample("obj", &fail)).await;
    world.recorded("obj").await;
    world.delete_sample("obj").await;
    let command = format!("operon release sample --config FILE --namespace {} --name obj --yes", world.namespace);
    let note = world.event("Sample", "obj", &command).await;
    assert!(note.contains("the tape robot is jammed"), "{note}");
    assert!(record(&world.get(&world.samples(), "obj").await.unwrap()).is_some(), "and it stays until then");
    world.merge("obj", &json!({"metadata": {"finalizers": null}})).await;
    world.sample_gone("obj").await;
}
