//! The Sample operator: what its users see.

use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::{
    host::{Host, config},
    world::{World, documents, eventually, manifest, wasm},
};

async fn sample_operator(test: &str, settings: &Value) -> (World, Host) {
    let world = World::new(test).await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let host = Host::start(&world, &json!({ "settings": settings }));
    (world, host)
}

#[tokio::test]
async fn create_update_and_delete_of_a_sample_make_scale_and_remove_its_deployment() {
    let (world, mut host) = sample_operator("life", &json!({})).await;
    world.apply_sample("obj", 2).await;
    world.replicas("demo-deploy", Some(2)).await;
    world.message("obj", "2 replicas").await;
    world.apply_sample("obj", 3).await;
    world.replicas("demo-deploy", Some(3)).await;
    world.message("obj", "3 replicas").await;
    world.delete_sample("obj").await;
    world.sample_gone("obj").await;
    world.replicas("demo-deploy", None).await;
    assert_eq!(host.terminate().await, Some(0), "SIGTERM ends it well");
    assert_eq!(host.handled("obj"), ["created", "updated", "deleted"]);
}

#[tokio::test]
async fn what_the_template_lost_is_restored_when_somebody_changes_or_deletes_the_deployment() {
    let (world, _host) = sample_operator("drift", &json!({})).await;
    world.apply_sample("obj", 2).await;
    world.replicas("demo-deploy", Some(2)).await;
    let scaled = json!({"spec": {"replicas": 7}});
    let (name, params) = ("demo-deploy", PatchParams::default());
    world.deployments().patch(name, &params, &Patch::Merge(&scaled)).await.unwrap();
    world.replicas(name, Some(2)).await;
    let before = world.get(&world.deployments(), name).await.unwrap();
    world.deployments().delete(name, &DeleteParams::default()).await.unwrap();
    eventually("the Deployment is made anew", async || {
        let now = world.get(&world.deployments(), name).await?;
        (now["metadata"]["uid"] != before["metadata"]["uid"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_count_that_is_no_number_is_told_on_the_sample_and_handled_once_it_is_mended() {
    let (world, _host) = sample_operator("reject", &json!({})).await;
    world.apply_sample("obj", "many").await;
    let note = world.event("Sample", "obj", "spec.count").await;
    assert!(note.contains("many"), "{note}");
    world.apply_sample("obj", 1).await;
    world.replicas("demo-deploy", Some(1)).await;
    world.message("obj", "1 replica").await;
}

#[tokio::test]
async fn of_two_samples_that_want_one_deployment_the_second_is_told_whose_it_is() {
    let (world, _host) = sample_operator("claim", &json!({})).await;
    world.apply_sample("first", 2).await;
    world.replicas("demo-deploy", Some(2)).await;
    world.apply_sample("second", 5).await;
    let note = world.event("Sample", "second", "not ours").await;
    assert!(note.contains("Sample \"first\""), "{note}");
    let taken = world.get(&world.deployments(), "demo-deploy").await.unwrap();
    world.delete_sample("second").await;
    world.sample_gone("second").await;
    let left = world.get(&world.deployments(), "demo-deploy").await.unwrap();
    assert_eq!(left["metadata"]["uid"], taken["metadata"]["uid"]);
    assert_eq!(left["spec"]["replicas"], 2);
}

#[tokio::test]
async fn names_by_template_let_several_samples_live_side_by_side() {
    let (world, _host) = sample_operator("names", &json!({"deployment": "{name}-web"})).await;
    world.apply_sample("a", 1).await;
    world.apply_sample("b", 2).await;
    world.replicas("a-web", Some(1)).await;
    world.replicas("b-web", Some(2)).await;
}

#[tokio::test]
async fn a_crd_that_is_made_after_the_start_is_picked_up() {
    let world = World::new("late").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let group = format!("g{}.example.org", std::process::id());
    let watch = json!([{"resource": format!("samples.v1.{group}"), "namespaces": [world.namespace]}]);
    let host = Host::start(&world, &json!({ "watch": watch }));
    host.says("does not serve the resource").await;
    let crd = documents(&manifest("crd.yaml")[0].to_string().replace("nuvolaris.org", &group));
    let mut crd = crd[0].clone();
    // Short names are of one CRD only.
    crd["spec"]["names"].as_object_mut().unwrap().remove("shortNames");
    world.apply(&crd).await;
    let mut sample = world.sample("obj", &json!({"count": 2}));
    sample["apiVersion"] = format!("{group}/v1").into();
    world.apply(&sample).await;
    world.replicas("demo-deploy", Some(2)).await;
    let crds = Api::<DynamicObject>::all_with(
        world.client.clone(),
        &ApiResource::from_gvk(&GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition")),
    );
    // With the host still running: the CRD waits for its objects, these for the finalizer.
    crds.delete(&format!("samples.{group}"), &DeleteParams::default()).await.unwrap();
    host.says("no longer served").await;
}

#[tokio::test]
async fn the_rights_of_deploy_demo_are_enough_for_a_service_account() {
    let world = World::new("rights").await;
    let (namespace, system) = (world.namespace.clone(), format!("{}-system", world.namespace));
    for mut object in manifest("rbac.yaml") {
        let text = object.to_string();
        let text = text.replace("\"operon-system\"", &format!("{system:?}"));
        let text = text.replace("\"demo\"", &format!("{namespace:?}"));
        object = serde_json::from_str(&text.replace("operon-plugin-states", &format!("{namespace}-states"))).unwrap();
        world.apply(&object).await;
    }
    world.put_plugin(&system, "sample-plugin", wasm("sample.wasm")).await;
    let source = json!({"configMap": {"namespace": system, "name": "sample-plugin"}});
    let (folder, kubeconfig) = service_account_kubeconfig(&world, &system, "operon").await;
    let host = Host::start_with(&config(&world, &json!({ "source": source })), &kubeconfig);
    world.apply_sample("obj", 2).await;
    world.message("obj", "2 replicas").await;
    world.apply_sample("obj", "many").await;
    world.event("Sample", "obj", "spec.count").await;
    world.delete_sample("obj").await;
    world.sample_gone("obj").await;
    world.replicas("demo-deploy", None).await;
    world.put_plugin(&system, "sample-plugin", b"garbage".to_vec()).await;
    host.says("the plugin is not loaded").await;
    assert!(!host.log().contains("orbidden"), "{}", host.log());
    drop(folder);
}

/// A kubeconfig of a service account's token, beside the cluster's own address and authority.
pub(crate) async fn service_account_kubeconfig(
    world: &World,
    namespace: &str,
    name: &str,
) -> (tempfile::TempDir, std::path::PathBuf) {
    use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), namespace);
    let request = TokenRequest::default();
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    let mut kubeconfig = documents(&std::fs::read_to_string(&world.kubeconfig).unwrap()).remove(0);
    for user in kubeconfig["users"].as_array_mut().unwrap() {
        user["user"] = json!({"token": answer.status.as_ref().unwrap().token});
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    (folder, file)
}
