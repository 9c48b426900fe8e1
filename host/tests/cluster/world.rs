//! A namespace of a test, and what a person would do in it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use k8s_openapi::{
    ByteString,
    api::{
        core::v1::{ConfigMap, Namespace},
        events::v1::Event,
    },
};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::host::caches;

/// What a state is waited for at most; a machine that also builds is slow.
const BOUND: Duration = Duration::from_mins(2);

/// A client, a namespace.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) kubeconfig: PathBuf,
}

impl World {
    /// A fresh namespace in the control plane, which knows Samples.
    pub(crate) async fn new(test: &str) -> Self {
        let kubeconfig = PathBuf::from(
            std::env::var("OPERON_TEST_KUBECONFIG")
                .expect("OPERON_TEST_KUBECONFIG has to name a cluster for tests; `make test` starts one and sets it"),
        );
        Self::at(kubeconfig, test).await
    }

    /// The same in the control plane of that kubeconfig.
    pub(crate) async fn at(kubeconfig: PathBuf, test: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let read = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("t-{test}-{}-{count}", std::process::id());
        let world = Self { client, namespace, kubeconfig };
        world.make_namespace(&world.namespace).await;
        world.apply(&manifest("crd.yaml")[0]).await;
        let states = fs::read_to_string(repo().join("deploy/crds/plugins.operon.dev.yaml")).unwrap();
        world.apply(&documents(&states)[0]).await;
        world
    }

    pub(crate) async fn make_namespace(&self, name: &str) {
        let metadata = kube::core::ObjectMeta { name: Some(name.into()), ..Default::default() };
        let namespace = Namespace { metadata, ..Default::default() };
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }

    pub(crate) async fn delete_namespace(&self, name: &str) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces.delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn namespace_gone(&self, name: &str) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        eventually(&format!("namespace {name} is gone"), async || {
            namespaces.get_opt(name).await.ok()?.is_none().then_some(())
        })
        .await;
    }

    /// Server-side apply of a manifest of any kind, as soon as its kind is served.
    pub(crate) async fn apply(&self, manifest: &Value) {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let api = self.api_of(manifest);
        let params = PatchParams::apply("test").force();
        eventually(&format!("{name} is applied"), async || {
            api.patch(name, &params, &Patch::Apply(manifest)).await.ok()
        })
        .await;
    }

    pub(crate) fn api_of(&self, manifest: &Value) -> Api<DynamicObject> {
        let api_version = manifest["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = manifest["kind"].as_str().unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match manifest["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    pub(crate) fn samples(&self) -> Api<DynamicObject> {
        self.api_of(&self.sample("", &Value::Null))
    }

    pub(crate) fn deployments(&self) -> Api<DynamicObject> {
        self.api_of(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": self.namespace}}))
    }

    pub(crate) fn sample(&self, name: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": "nuvolaris.org/v1", "kind": "Sample",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
        })
    }

    pub(crate) async fn apply_sample(&self, name: &str, count: impl Into<Value>) {
        self.apply(&self.sample(name, &json!({"count": count.into()}))).await;
    }

    pub(crate) async fn delete_sample(&self, name: &str) {
        self.samples().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn get(&self, api: &Api<DynamicObject>, name: &str) -> Option<Value> {
        let found = api.get_opt(name).await.ok()??;
        serde_json::to_value(found).ok()
    }

    /// Waits until the Deployment has this many replicas; none: until it is gone.
    pub(crate) async fn replicas(&self, deployment: &str, count: Option<u64>) {
        let wanted = format!("{deployment} has {count:?} replicas");
        eventually(&wanted, async || {
            let live = self.deployments().get_opt(deployment).await.ok()?;
            let found = live.map(|live| live.data["spec"]["replicas"].as_u64().unwrap());
            (found == count).then_some(())
        })
        .await;
    }

    /// Waits until the Sample carries the record of this plugin, as `<host>.<plugin>`: then its event is done.
    pub(crate) async fn recorded_by(&self, sample: &str, by: &str) {
        eventually(&format!("{sample} carries the record of {by}"), async || {
            let live = self.get(&self.samples(), sample).await?;
            live["metadata"]["annotations"].get(format!("operon.dev/{by}")).map(drop)
        })
        .await;
    }

    pub(crate) async fn sample_gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), async || {
            self.samples().get_opt(name).await.ok()?.is_none().then_some(())
        })
        .await;
    }

    /// Waits until the Sample's message holds this.
    pub(crate) async fn message(&self, sample: &str, part: &str) {
        eventually(&format!("the message of {sample} says {part}"), async || {
            let live = self.get(&self.samples(), sample).await?;
            let message = live.pointer("/status/sample_create/message")?.as_str()?;
            message.contains(part).then_some(())
        })
        .await;
    }

    /// The notes of all Warnings on objects of a kind.
    pub(crate) async fn warnings(&self, kind: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = api.list(&ListParams::default()).await.unwrap().items.into_iter();
        let about = events.filter(|event| event.regarding.as_ref().is_some_and(|r| r.kind.as_deref() == Some(kind)));
        about.filter(|event| event.type_.as_deref() == Some("Warning")).filter_map(|event| event.note).collect()
    }

    /// Runs `operon` as a person would; returns its exit code and what it printed.
    pub(crate) async fn operon(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_operon"));
        command.env("XDG_CACHE_HOME", caches()).args(args).arg("--kubeconfig").arg(&self.kubeconfig);
        let output = command.output().await.unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(printed).unwrap())
    }

    /// Waits for an Event on an object; returns its note.
    pub(crate) async fn event(&self, kind: &str, name: &str, part: &str) -> String {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        eventually(&format!("a Warning on {kind} {name} says {part}"), async || {
            let events = api.list(&ListParams::default()).await.ok()?;
            events.items.into_iter().find_map(|event| {
                let about = event.regarding?;
                let note = event.note.unwrap_or_default();
                let so = about.kind.as_deref() == Some(kind)
                    && about.name.as_deref() == Some(name)
                    && event.type_.as_deref() == Some("Warning")
                    && note.contains(part);
                so.then_some(note)
            })
        })
        .await
    }

    /// Puts a plugin into a ConfigMap, as `kubectl create configmap --from-file=plugin.wasm` does, or replaces it.
    pub(crate) async fn put_plugin(&self, namespace: &str, name: &str, bytes: Vec<u8>) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let metadata = kube::core::ObjectMeta { name: Some(name.into()), ..Default::default() };
        let binary_data = Some(BTreeMap::from([("plugin.wasm".to_owned(), ByteString(bytes))]));
        let map = ConfigMap { metadata, binary_data, ..Default::default() };
        match api.get_opt(name).await.unwrap() {
            None => drop(api.create(&PostParams::default(), &map).await.unwrap()),
            Some(_) => drop(api.replace(name, &PostParams::default(), &map).await.unwrap()),
        }
    }
}

/// Asks until there is an answer; fails past the bound, saying what was waited for.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(BOUND, ask).await.unwrap_or_else(|| panic!("waited {BOUND:?} in vain until {what}"))
}

/// Asks until there is an answer; none past the bound.
pub(crate) async fn within<T>(bound: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < bound {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

pub(crate) fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A built plugin.
pub(crate) fn wasm(name: &str) -> Vec<u8> {
    let file = repo().join("target/plugins").join(name);
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; `make plugins` builds it", file.display()))
}

/// Another version of the guest `scripted`: see `VERSION` there.
pub(crate) fn version(of: &Value) -> Vec<u8> {
    version_of("scripted.wasm", of)
}

/// The same of any guest that has the mark.
pub(crate) fn version_of(guest: &str, of: &Value) -> Vec<u8> {
    let mark = b"OPERON-TEST-VERSION:{";
    let mut bytes = wasm(guest);
    let found = bytes.windows(mark.len()).position(|window| window == mark).expect("the mark is in it");
    let (begin, text) = (found + mark.len() - 1, of.to_string());
    let end = found + 2048;
    bytes[begin..end].fill(b' ');
    bytes[begin..begin + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// The documents of a file of `deploy/demo`.
pub(crate) fn manifest(file: &str) -> Vec<Value> {
    documents(&fs::read_to_string(repo().join("deploy/demo").join(file)).unwrap())
}

pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}
