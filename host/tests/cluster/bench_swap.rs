//! `make bench-swap`: how long a swap takes, what it costs the neighbours, and what a large component costs the host.

use std::{path::Path, time::Duration};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    bench::{labelled, latencies, median},
    host::{Host, config},
    scripted::{map, scripted_plugin},
    world::{World, eventually, version_of},
};

/// Swaps of the small component, and of the large one.
const SMALL: usize = 20;
const LARGE: usize = 5;
/// Objects of each plugin.
const OBJECTS: usize = 3;
/// A change of the neighbour's object each so often.
const BEAT: Duration = Duration::from_millis(25);
/// Changes before a swap.
const BEFORE: usize = 200;

struct Scene {
    world: World,
    host: Host,
    folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new("bench-swap").await;
        let mut all = config(&world, &json!({}));
        all["host"] = world.namespace.trim_start_matches("t-").into();
        let plugins = ["small", "large", "neighbour"].map(|name| {
            let selects = json!([{
                "resource": "samples.v1.nuvolaris.org", "namespaces": [world.namespace], "labelSelector": format!("role={name}"),
            }]);
            let source = json!({"configMap": {"namespace": world.namespace, "name": name}});
            let mut plugin =
                config(&world, &scripted_plugin(&json!({"watch": selects, "source": source})))["plugins"][0].clone();
            plugin["name"] = name.into();
            plugin
        });
        all["plugins"] = json!(plugins);
        let host = Host::start_cold(&all, &world.kubeconfig);
        Self { world, host, folder: tempfile::tempdir().unwrap() }
    }

    /// `operon push` of a version of a guest; when it began.
    async fn push(&self, guest: &str, to: &str, name: &str) -> Timestamp {
        let file = self.folder.path().join(format!("{name}.wasm"));
        std::fs::write(&file, version_of(guest, &json!({"name": name}))).unwrap();
        let begun = Timestamp::now();
        let place = format!("{}/{to}", self.world.namespace);
        let (code, printed) = self.world.operon(&["push", file.to_str().unwrap(), "--to", &place]).await;
        assert_eq!(code, Some(0), "{printed}");
        begun
    }

    /// When the first event was handled by this version.
    async fn handled_by(&self, name: &str) -> Timestamp {
        let is = |line: &Value| line["result"] == "done" && line["version"] == name;
        eventually(&format!("an event is handled by {name}"), async || self.host.first(is)).await
    }

    /// Milliseconds from the push to the first event that the version has handled.
    async fn swap(&self, guest: &str, to: &str, name: &str) -> f64 {
        let begun = self.push(guest, to, name).await;
        self.handled_by(name).await.duration_since(begun).as_secs_f64() * 1000.0
    }

    async fn apply(&self, name: &str, role: &str, round: &str) {
        let spec = json!({"children": [map(name, &json!({"round": round}))], "echo": true});
        self.world.apply(&labelled(&self.world, name, role, &spec)).await;
    }

    /// Changes an object of the neighbour until told, at least so often; the 99th percentile of the host's own latency.
    async fn beat(&self, name: &str, least: usize, until: impl Fn() -> bool) -> f64 {
        let mut round = 0;
        while round < least || !until() {
            let due = Instant::now() + BEAT;
            self.apply(name, "neighbour", &round.to_string()).await;
            tokio::time::sleep_until(due).await;
            round += 1;
        }
        self.world.data(name, "round", Some(&(round - 1).to_string())).await;
        percentile(latencies(&self.host, name), 99)
    }
}

fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Resident memory of a process, MB.
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

#[tokio::test]
#[ignore = "a benchmark: make bench-swap"]
async fn swaps_of_a_small_and_of_a_large_component() {
    let mut scene = Scene::new().await;
    for name in ["small", "neighbour"] {
        scene.push("scripted.wasm", name, &format!("{name}-0")).await;
    }
    for (role, nth) in ["small", "large"].into_iter().flat_map(|role| (0..OBJECTS).map(move |nth| (role, nth))) {
        scene.apply(&format!("{role}-{nth}"), role, "0").await;
    }
    scene.handled_by("small-0").await;
    let mut small = Vec::new();
    for nth in 1..=SMALL {
        small.push(scene.swap("scripted.wasm", "small", &format!("small-{nth}")).await);
    }
    scene.beat("warm", 20, || true).await;
    let before = resident(scene.host.pid());
    let first = scene.swap("python.wasm", "large", "large-0").await;
    let after = resident(scene.host.pid());
    let (mut large, mut quiet, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for nth in 1..=LARGE {
        quiet.push(scene.beat(&format!("quiet-{nth}"), BEFORE, || true).await);
        let (name, object) = (format!("large-{nth}"), format!("busy-{nth}"));
        let handled = |line: &Value| line["result"] == "done" && line["version"] == name.as_str();
        let (took, p99) = tokio::join!(
            scene.swap("python.wasm", "large", &name),
            scene.beat(&object, 1, || scene.host.first(handled).is_some())
        );
        large.push(took);
        busy.push(p99);
    }
    assert_eq!(scene.host.terminate().await, Some(0));
    scene.host.restart();
    let large_in_place = |line: &Value| line["message"] == "the plugin is in place" && line["plugin"] == "large";
    let in_place = eventually("the large one is in place", async || scene.host.first(large_in_place)).await;
    let loading = |line: &Value| line["message"] == "loading the plugin" && line["plugin"] == "large";
    let load = in_place.duration_since(scene.host.first(loading).unwrap()).as_secs_f64() * 1000.0;
    sleep(Duration::from_secs(1)).await;

    println!("\nfrom push to the first event that the new version has handled, ms:");
    println!("{:<22} {:>7} {:>7}", "", "p50", "p95");
    for (what, values) in [("Rust, 0.2 MB", &small), ("Python, 18 MB", &large)] {
        println!("{what:<22} {:>7.0} {:>7.0}", percentile(values.clone(), 50), percentile(values.clone(), 95));
    }
    let (before_p99, during_p99) = (median(quiet.clone()), median(busy.clone()));
    println!("\nneighbour, from the change seen to the request sent, p99, median of {LARGE} interleaved runs, ms:");
    println!("{:<22} {before_p99:>7.2}   {quiet:.2?}", "before a swap");
    println!("{:<22} {during_p99:>7.2}   {busy:.2?}   {:.2} of before", "during Python's", during_p99 / before_p99);
    println!("\nthe host's memory, MB: {before:.0} before Python, {after:.0} after its first swap ({first:.0} ms)");
    println!("a restart: Python is in place {load:.0} ms after its loading began");
}
