//! `operon release`: what a plugin holds when nobody is there any more to let go of it.
//!
//! Each test has a host of a name of its own: what is released is looked for in the whole cluster.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
    core::ObjectMeta,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    host::{Host, config},
    sample::service_account_kubeconfig,
    world::{World, eventually, wasm},
};

/// A cluster in which a host has handled Samples and was killed, and who cleans up after it.
struct Left {
    world: World,
    /// Of the host.
    name: String,
    folder: TempDir,
}

impl Left {
    async fn behind(test: &str, samples: &[&str]) -> Self {
        let world = World::new(test).await;
        world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
        let name = format!("{test}-{}", std::process::id());
        let left = Self { world, name, folder: tempfile::tempdir().unwrap() };
        left.write_config(&json!({}));
        let mut host = Host::start_with(&left.config(&json!({})), &left.world.kubeconfig);
        for sample in samples {
            left.world.apply_sample(sample, 1).await;
            left.world.recorded_by(sample, &left.plugin("sample")).await;
        }
        host.kill();
        left
    }

    fn config(&self, changes: &Value) -> Value {
        let settings = json!({"settings": {"deployment": "{name}"}});
        let mut config = config(&self.world, &settings);
        config["host"] = self.name.as_str().into();
        config["plugins"][0].as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        config
    }

    fn write_config(&self, changes: &Value) {
        fs::write(self.config_file(), self.config(changes).to_string()).unwrap();
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("operon.yaml")
    }

    fn plugin(&self, plugin: &str) -> String {
        format!("{}.{plugin}", self.name)
    }

    fn command(&self, kubeconfig: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operon"));
        command.args(["release", "sample", "--config"]).arg(self.config_file());
        command.arg("--kubeconfig").arg(kubeconfig).args(flags).stdin(Stdio::null());
        command
    }

    /// Its exit code, and all that it prints.
    fn release(&self, flags: &[&str]) -> (Option<i32>, String) {
        said(self.command(&self.world.kubeconfig, flags).output().unwrap())
    }

    async fn metadata(&self, sample: &str) -> Value {
        self.world.get(&self.world.samples(), sample).await.unwrap()["metadata"].take()
    }

    async fn patch_metadata(&self, sample: &str, metadata: &Value) {
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        self.world.samples().patch(sample, &PatchParams::default(), &patch).await.unwrap();
    }
}

fn said(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code(), text)
}

#[tokio::test]
async fn what_a_dead_host_left_is_shown_and_once_it_is_released_its_namespace_goes() {
    let left = Left::behind("release", &["one", "two"]).await;
    let before = left.metadata("one").await;
    assert_eq!(before["finalizers"], json!([format!("operon.dev/{}", left.plugin("sample"))]));
    let (code, shown) = left.release(&[]);
    assert_eq!(code, Some(0), "{shown}");
    for name in ["one", "two"] {
        let place = format!("samples.v1.nuvolaris.org  {}/{name}", left.world.namespace);
        let line = shown.lines().find(|line| line.starts_with(&place)).unwrap();
        assert_eq!(line[place.len()..].split_whitespace().collect::<Vec<_>>(), ["yes", "yes", "no"]);
    }
    assert!(shown.contains("Nothing was changed. To remove them, add --yes."), "{shown}");
    assert_eq!(left.metadata("one").await["resourceVersion"], before["resourceVersion"], "not a single write");

    let (code, done) = left.release(&["--yes"]);
    assert_eq!(code, Some(0), "{done}");
    let children = format!("kubectl get deployments.v1.apps -A -l operon.dev/plugin={}", left.plugin("sample"));
    assert!(done.contains("Removed from 2 objects.") && done.contains(&children), "{done}");
    let after = left.metadata("one").await;
    assert!(after.get("finalizers").is_none() && after.get("annotations").is_none(), "{after}");
    left.world.delete_namespace(&left.world.namespace).await;
    left.world.namespace_gone(&left.world.namespace).await;
}

#[tokio::test]
async fn a_plugin_that_is_no_longer_in_the_config_is_found_in_whatever_resource() {
    let left = Left::behind("former", &["obj"]).await;
    left.write_config(&json!({"name": "another", "watch": [{"resource": "secrets.v1."}]}));
    // A record of its own making, on an object without a namespace.
    let annotation = format!("operon.dev/{}", left.plugin("sample"));
    let namespaces = Api::<Namespace>::all(left.world.client.clone());
    let patch = Patch::Merge(json!({"metadata": {"annotations": {&annotation: "{}"}}}));
    namespaces.patch(&left.world.namespace, &PatchParams::default(), &patch).await.unwrap();
    // Before the release, it waits for its finalizer.
    left.world.delete_sample("obj").await;

    let (code, shown) = left.release(&["--yes"]);
    assert_eq!(code, Some(0), "{shown}");
    let words = |start: String| {
        let line = shown.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}: {shown}"));
        line[start.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(format!("samples.v1.nuvolaris.org  {}/obj", left.world.namespace)), ["yes", "yes", "yes"]);
    assert_eq!(words(format!("namespaces.v1.            {}", left.world.namespace)), ["no", "yes", "no"]);
    assert!(shown.contains("kubectl get KIND -A -l operon.dev/plugin="), "{shown}");
    left.world.sample_gone("obj").await;
    let namespace = namespaces.get(&left.world.namespace).await.unwrap();
    assert!(!namespace.metadata.annotations.unwrap_or_default().contains_key(&annotation));

    let (code, shown) = left.release(&["--yes"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("No object that was looked at") && shown.contains("no plugin sample, only: another"),
        "{shown}"
    );
}

#[tokio::test]
async fn finalizers_and_records_of_other_plugins_and_hosts_stay_and_so_do_other_objects() {
    let left = Left::behind("others", &["obj", "spared"]).await;
    let ours = format!("operon.dev/{}", left.plugin("sample"));
    let theirs = [format!("operon.dev/{}", left.plugin("sample2")), "operon.dev/elsewhere.sample".to_owned()];
    let [other, elsewhere] = &theirs;
    let finalizers = json!([other, ours, elsewhere]);
    left.patch_metadata("obj", &json!({"finalizers": finalizers, "annotations": {other: "{}", elsewhere: "{}"}})).await;

    let namespace = left.world.namespace.clone();
    let (code, shown) = left.release(&["--namespace", &namespace, "--name", "obj", "--yes"]);
    assert_eq!(code, Some(0), "{shown}");
    let after = left.metadata("obj").await;
    assert_eq!(after["finalizers"], json!(theirs));
    assert_eq!(after["annotations"], json!({other: "{}", elsewhere: "{}"}));
    assert_eq!(left.metadata("spared").await["finalizers"], json!([ours]));
    assert!(!shown.contains("spared"), "{shown}");
}

#[tokio::test]
async fn an_object_that_somebody_changes_between_the_question_and_the_yes_is_released_all_the_same() {
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: it takes util-linux' command `script` to have a terminal");
        return;
    }
    let left = Left::behind("asks", &["obj"]).await;
    let ours = left.metadata("obj").await["finalizers"][0].clone();
    let printed = left.folder.path().join("printed");
    let command = left.command(&left.world.kubeconfig, &[]);
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let words: Vec<_> = words.iter().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command", &words.join(" "), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(File::create(&printed).unwrap())
        .spawn()
        .unwrap();
    let print = || fs::read_to_string(&printed).unwrap();
    eventually("it asks", async || print().contains("Remove them (yes/no)?").then_some(())).await;
    left.patch_metadata("obj", &json!({"finalizers": ["example.org/first", ours]})).await;
    let mut answers = terminal.stdin.take().unwrap();
    answers.write_all(b"yes\n").unwrap();
    let ended = eventually("it ends", async || terminal.try_wait().unwrap()).await;
    assert_eq!(ended.code(), Some(0), "{}", print());
    assert!(print().contains("Removed from 1 object."), "{}", print());
    let after = left.metadata("obj").await;
    assert_eq!(after["finalizers"], json!(["example.org/first"]));
    assert!(after.get("annotations").is_none(), "{after}");
}

#[tokio::test]
async fn with_rights_to_one_namespace_it_looks_there_and_what_it_may_not_patch_is_named_with_code_1() {
    let left = Left::behind("rights", &["obj"]).await;
    let namespace = left.world.namespace.clone();
    let grant = async |verbs: &[&str]| {
        let metadata = json!({"name": "releaser", "namespace": namespace});
        let group = "rbac.authorization.k8s.io";
        let api_version = format!("{group}/v1");
        let rules = json!([{"apiGroups": ["nuvolaris.org"], "resources": ["samples"], "verbs": verbs}]);
        let role = json!({"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": rules});
        let binding = json!({
            "apiVersion": api_version, "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "releaser"},
            "subjects": [{"kind": "ServiceAccount", "name": "releaser", "namespace": namespace}],
        });
        left.world.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})).await;
        left.world.apply(&role).await;
        left.world.apply(&binding).await;
    };
    grant(&["list"]).await;
    let (_folder, kubeconfig) = service_account_kubeconfig(&left.world, &namespace, "releaser").await;
    let release = || said(left.command(&kubeconfig, &["--yes"]).output().unwrap());
    let refused = format!("Not removed from samples.v1.nuvolaris.org {namespace}/obj: ");
    // A right takes a moment to be known to the API server.
    let text = eventually("it finds the object and may not patch it", async || {
        let (code, text) = release();
        assert_eq!(code, Some(1), "{text}");
        text.contains(&refused).then_some(text)
    })
    .await;
    assert!(text.contains("forbidden") && text.contains("Removed from 0 objects."), "{text}");
    let only = format!("samples.v1.nuvolaris.org: looked through in {namespace} only, the namespaces of the config");
    assert!(text.contains(&only) && text.contains("since you may not list them: "), "{text}");

    grant(&["list", "get", "patch"]).await;
    let text = eventually("it may", async || {
        let (code, text) = release();
        (code == Some(0)).then_some(text)
    })
    .await;
    assert!(text.contains("Removed from 1 object."), "{text}");
    assert!(left.metadata("obj").await.get("finalizers").is_none());
}

#[tokio::test]
async fn more_objects_than_one_answer_holds_are_all_found_also_those_with_a_record_only() {
    let left = Left::behind("many", &[]).await;
    let maps: Api<ConfigMap> = Api::namespaced(left.world.client.clone(), &left.world.namespace);
    let annotation = format!("operon.dev/{}", left.plugin("sample"));
    let make = async |index: u32| {
        let annotations = Some(BTreeMap::from([(annotation.clone(), "{}".to_owned())]));
        let metadata = ObjectMeta { name: Some(format!("m{index}")), annotations, ..Default::default() };
        maps.create(&PostParams::default(), &ConfigMap { metadata, ..Default::default() }).await.unwrap();
    };
    join_all((0..501).map(make)).await;
    let (code, shown) = left.release(&["--resource", "configmaps.v1.", "--yes"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Removed from 501 objects."), "{shown}");
    let (_, shown) = left.release(&["--resource", "configmaps.v1."]);
    assert!(shown.contains("No object that was looked at"), "{shown}");
}

#[tokio::test]
async fn a_resource_that_is_not_served_is_a_failure_and_a_malformed_one_wrong_usage() {
    let left = Left::behind("unserved", &[]).await;
    let (code, said) = left.release(&["--resource", "nothings.v1.example.org"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("serves no resource nothings.v1.example.org"), "{said}");
    let (code, said) = left.release(&["--resource", "samples"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("plural.version.group"), "{said}");
}
