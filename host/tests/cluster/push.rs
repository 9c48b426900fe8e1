//! `operon push`, `versions`, `rollback`: packages in ConfigMaps, whatever happens to whoever writes them.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Stdio, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt, api::ListParams};
use operon_core::{digest::Digest, package::Head};
use rand::RngExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    host::{Host, caches, config},
    scripted::{map, scripted_plugin},
    world::{World, eventually, version},
};

/// Pushes that are killed.
const KILLS: u32 = 20;

/// A package `plugin` in a namespace, and files of versions to push.
struct Scene {
    world: World,
    folder: TempDir,
    place: String,
}

impl Scene {
    async fn new(test: &str) -> Self {
        let world = World::new(test).await;
        let place = format!("{}/plugin", world.namespace);
        Self { world, folder: tempfile::tempdir().unwrap(), place }
    }

    /// A host of its own name that runs it.
    fn host(&self) -> Host {
        let mut config = config(&self.world, &scripted_plugin(&json!({})));
        config["host"] = self.world.namespace.trim_start_matches("t-").into();
        Host::start_with(&config, &self.world.kubeconfig)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.folder.path().join(format!("{name}.wasm"));
        fs::write(&file, bytes).unwrap();
        file
    }

    async fn operon(&self, args: &[&str]) -> (Option<i32>, String) {
        self.world.operon(args).await
    }

    /// Pushes a version of the guest and waits until the host runs it.
    async fn push(&self, of: &Value) -> (Option<i32>, String) {
        let file = self.file(of["name"].as_str().unwrap_or("unnamed"), &version(of));
        self.operon(&["push", file.to_str().unwrap(), "--to", &self.place, "--wait"]).await
    }

    fn maps(&self) -> Api<ConfigMap> {
        self.world.maps()
    }

    async fn head(&self) -> Option<Head> {
        let map = self.maps().get_opt("plugin").await.unwrap()?;
        Some(Head::read(&map.data.unwrap()["operon.json"]).unwrap())
    }

    /// Every part that the head names is there, and is what the head says.
    async fn is_whole(&self) {
        let Some(head) = self.head().await else { return };
        for version in head.versions() {
            for part in &version.parts {
                let map = self.maps().get_opt(&part.name).await.unwrap();
                let map = map.unwrap_or_else(|| panic!("{} is named, and is not there", part.name));
                assert_eq!(Digest::of(&map.binary_data.unwrap()["part"].0), part.digest, "{}", part.name);
            }
        }
    }

    async fn parts(&self) -> BTreeSet<String> {
        let ours = ListParams::default().labels("operon.dev/package=plugin");
        let parts = self.maps().list(&ours).await.unwrap().items.into_iter();
        parts.map(|part| part.name_any()).filter(|name| name != "plugin").collect()
    }

    async fn applied(&self, round: u32, by: &str) {
        let spec = json!({"children": [map("child", &json!({"round": round.to_string()}))], "echo": true});
        self.world.apply(&self.world.sample("obj", &spec)).await;
        self.world.data("child", "round", Some(&round.to_string())).await;
        self.world.echo("obj", "version", &by.into()).await;
    }
}

/// The guest with bytes in it that don't compress: a package of several parts.
fn large(name: &str) -> Vec<u8> {
    let mut bytes = version(&json!({ "name": name }));
    let noise: Vec<u8> = (0..2_000_000).map(|_| rand::random::<u8>()).collect();
    // A custom section, which means nothing.
    let mut section = vec![5];
    section.extend_from_slice(b"noise");
    section.extend_from_slice(&noise);
    bytes.push(0);
    let mut size = section.len();
    loop {
        let byte = u8::try_from(size & 0x7f).unwrap();
        size >>= 7;
        bytes.push(if size > 0 { byte | 0x80 } else { byte });
        if size == 0 {
            break;
        }
    }
    bytes.extend(section);
    bytes
}

#[tokio::test]
async fn what_is_pushed_runs_and_what_was_before_can_be_had_back() {
    let scene = Scene::new("push").await;
    let _host = scene.host();
    for (round, name) in [(1, "v1"), (2, "v2")] {
        let (code, printed) = scene.push(&json!({ "name": name })).await;
        assert_eq!(code, Some(0), "{printed}");
        assert!(printed.contains(&format!("version {name}, sha256:")) && printed.contains("it runs: "), "{printed}");
        scene.applied(round, name).await;
    }
    let (code, printed) = scene.push(&json!({"name": "v2"})).await;
    assert!(code == Some(0) && printed.contains("unchanged"), "{printed}");
    let (_, table) = scene.operon(&["versions", "--of", &scene.place]).await;
    let lines: Vec<_> =
        table.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[1], "* v2", "{table}");
    assert!(lines[2].starts_with("v1 sha256:"), "{table}");
    let (code, printed) = scene.operon(&["rollback", "--of", &scene.place, "--wait"]).await;
    assert!(code == Some(0) && printed.contains("version v1"), "{printed}");
    scene.applied(3, "v1").await;

    let text = scene.file("text", b"no WebAssembly");
    let before = scene.head().await;
    let (code, printed) = scene.operon(&["push", text.to_str().unwrap(), "--to", &scene.place]).await;
    assert!(code == Some(1) && printed.contains("no component"), "{printed}");
    assert_eq!(scene.head().await, before, "nothing was written");
    // Only the host knows the settings.
    let (code, printed) = scene.push(&json!({"name": "v3", "refuses": "a town is missing"})).await;
    assert!(code == Some(1) && printed.contains("a town is missing"), "{printed}");
    scene.applied(4, "v1").await;
}

#[tokio::test]
async fn pushes_that_are_killed_leave_a_whole_package_and_the_next_one_tidies_up() {
    let scene = Scene::new("killed").await;
    let file = scene.file("first", &large("first"));
    let begun = std::time::Instant::now();
    let (code, printed) = scene.operon(&["push", file.to_str().unwrap(), "--to", &scene.place]).await;
    assert_eq!(code, Some(0), "{printed}");
    let takes = begun.elapsed();
    let mut unfinished = 0;
    for nth in 0..KILLS {
        let file = scene.file("next", &large(&format!("v{nth}")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_operon"));
        command.args(["push", file.to_str().unwrap(), "--to", &scene.place, "--keep", "1", "--kubeconfig"]);
        command
            .env("XDG_CACHE_HOME", caches())
            .arg(&scene.world.kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut push = command.spawn().unwrap();
        let moment = takes.mul_f64(rand::rng().random_range(0.3..1.1));
        if tokio::time::timeout(moment, push.wait()).await.is_err() {
            push.kill().await.unwrap();
            unfinished += 1;
        }
        scene.is_whole().await;
    }
    eprintln!("{unfinished} of {KILLS} were killed");
    let file = scene.file("last", &large("last"));
    let last = ["push", file.to_str().unwrap(), "--to", &scene.place, "--keep", "1", "--unused-for", "0s"];
    let (code, printed) = scene.operon(&last).await;
    assert_eq!(code, Some(0), "{printed}");
    scene.is_whole().await;
    let head = scene.head().await.unwrap();
    assert_eq!((head.current.version.as_deref(), head.history.len()), (Some("last"), 1));
    let named: BTreeSet<_> = head.part_names().into_iter().map(str::to_owned).collect();
    assert!(named.len() > 2, "{named:?}");
    assert_eq!(scene.parts().await, named, "what killed pushes left is gone");
}

#[tokio::test]
async fn of_two_pushes_at_once_one_wins_whole_and_the_other_is_the_version_before() {
    let scene = Scene::new("both").await;
    let files = ["one", "two"].map(|name| scene.file(name, &large(name)));
    let push = async |file: &PathBuf| {
        let args = ["push", file.to_str().unwrap(), "--to", &scene.place, "--unused-for", "0s"];
        scene.operon(&args).await
    };
    for _ in 0..2 {
        let (one, two) = tokio::join!(push(&files[0]), push(&files[1]));
        for (code, printed) in [one, two] {
            assert_eq!(code, Some(0), "{printed}");
        }
        scene.is_whole().await;
        let head = scene.head().await.unwrap();
        let names: BTreeSet<_> = head.versions().iter().map(|version| version.version.clone().unwrap()).collect();
        assert_eq!(names, BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    }
}

#[tokio::test]
async fn a_package_whose_parts_are_missing_or_wrong_is_told_and_runs_as_soon_as_it_is_whole() {
    let scene = Scene::new("parts").await;
    let _host = scene.host();
    assert_eq!(scene.push(&json!({"name": "v1"})).await.0, Some(0));
    scene.applied(1, "v1").await;
    let elsewhere = async |name: &str| {
        let (file, to) = (scene.file(name, &large(name)), format!("{}/other", scene.world.namespace));
        let (code, printed) = scene.operon(&["push", file.to_str().unwrap(), "--to", &to]).await;
        assert_eq!(code, Some(0), "{printed}");
        let text = scene.maps().get("other").await.unwrap().data.unwrap()["operon.json"].clone();
        (Head::read(&text).unwrap().current, text)
    };
    let (head, text) = elsewhere("v2").await;
    // As a GitOps tool that applies the head first.
    let missing = head.parts[1].name.clone();
    let mut part = scene.maps().get(&missing).await.unwrap();
    scene.maps().delete(&missing, &kube::api::DeleteParams::default()).await.unwrap();
    scene.world.merge_map("plugin", &json!({"data": {"operon.json": text}})).await;
    let note = scene.world.event("ConfigMap", "plugin", &missing).await;
    assert!(note.contains("is not there") && note.contains("goes on"), "{note}");
    scene.applied(2, "v1").await;
    part.metadata.resource_version = None;
    scene.maps().create(&kube::api::PostParams::default(), &part).await.unwrap();
    scene.applied(3, "v2").await;
    let (head, text) = elsewhere("v3").await;
    let another = Digest::of("another");
    for (wrong, why) in [
        (text.replacen(&head.size.to_string(), "17", 1), "more than 17 bytes"),
        (text.replacen(head.digest.as_str(), another.as_str(), 1), "has the digest"),
        (text.replacen(head.parts[0].digest.as_str(), another.as_str(), 1), &*head.parts[0].name),
        ("{}".to_owned(), "wrong operon.json"),
    ] {
        scene.world.merge_map("plugin", &json!({"data": {"operon.json": wrong}})).await;
        scene.world.event("ConfigMap", "plugin", why).await;
    }
    scene.applied(4, "v2").await;
}

#[tokio::test]
async fn compressed_keys_are_taken_and_damaged_ones_and_bombs_are_not() {
    let scene = Scene::new("keys").await;
    let mut host = scene.host();
    let put = async |key: &str, bytes: &[u8]| {
        let data = BTreeSet::from([key]).into_iter().map(|key| (key, k8s_openapi::ByteString(bytes.to_vec())));
        let data: std::collections::BTreeMap<_, _> = data.collect();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plugin", "namespace": scene.world.namespace}, "binaryData": data});
        scene.world.apply(&map).await;
    };
    let zstd = |bytes: &[u8]| operon_core::package::compress(bytes, |_| {}).unwrap();
    put("plugin.wasm.zst", &zstd(&version(&json!({"name": "v1"})))).await;
    scene.applied(1, "v1").await;
    let whole = zstd(&version(&json!({"name": "v2"})));
    put("plugin.wasm.zst", &whole[..whole.len() / 2]).await;
    scene.world.event("ConfigMap", "plugin", "truncated").await;
    put("plugin.wasm.zst", &zstd(&vec![0; 100 << 20])).await;
    scene.world.event("ConfigMap", "plugin", "unpacks to more than 67108864 bytes").await;
    scene.applied(2, "v1").await;
    scene.maps().delete("plugin", &kube::api::DeleteParams::default()).await.unwrap();
    host.says("is not there; make it with: operon push").await;
    scene.applied(3, "v1").await;
    assert!(host.is_running());
}

#[tokio::test]
async fn a_file_is_watched_and_a_pinned_digest_is_the_only_one_that_runs() {
    let scene = Scene::new("file").await;
    let (first, second) = (version(&json!({"name": "v1"})), version(&json!({"name": "v2"})));
    let file = scene.file("plugin", &first);
    let start = |changes: &Value| {
        let mut fields = scripted_plugin(&json!({"source": {"file": file}}));
        fields.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let mut config = config(&scene.world, &fields);
        config["host"] = scene.world.namespace.trim_start_matches("t-").into();
        Host::start_with(&config, &scene.world.kubeconfig)
    };
    let host = start(&json!({}));
    scene.applied(1, "v1").await;
    fs::rename(scene.file("next", &second), &file).unwrap();
    scene.applied(2, "v2").await;
    fs::remove_file(&file).unwrap();
    host.says("can't be read").await;
    scene.applied(3, "v2").await;
    drop(host);
    fs::write(&file, &second).unwrap();
    let host = start(&json!({"digest": Digest::of(&first)}));
    host.says("nothing else is run").await;
    fs::write(&file, &first).unwrap();
    eventually("the pinned one runs", async || {
        let live = scene.world.get(&scene.world.samples(), "obj").await?;
        (live["status"]["echo"]["version"] == "v1").then_some(())
    })
    .await;
    tokio::time::timeout(Duration::from_mins(1), scene.applied(4, "v1")).await.unwrap();
}
