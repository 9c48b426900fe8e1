//! Versions of a plugin take each other's place: under load, held where they do harm, put back where they crash.
//!
//! Each test has a host of its own name, so that the states of plugins don't mix.

use std::{collections::BTreeMap, time::Instant};

use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::{
    host::{Host, config},
    scripted::{map, scripted_plugin},
    world::{World, eventually, version},
};

/// A host of its own name, whose plugin `sample` is the guest `scripted` in some version.
struct Scene {
    world: World,
    host: Host,
    name: String,
}

impl Scene {
    async fn new(test: &str, of: &Value, changes: &Value) -> Self {
        let world = World::new(test).await;
        world.put_plugin(&world.namespace, "plugin", version(of)).await;
        let mut config = config(&world, &scripted_plugin(changes));
        let name = world.namespace.trim_start_matches("t-").to_owned();
        config["host"] = name.as_str().into();
        let host = Host::start_with(&config, &world.kubeconfig);
        Self { world, host, name }
    }

    async fn push(&self, of: &Value) {
        self.world.put_plugin(&self.world.namespace, "plugin", version(of)).await;
    }

    /// Objects `s000`, … with a child each of the same name; all at once.
    async fn apply(&self, count: usize, round: u32) {
        let apply = async |nth: usize| {
            let name = format!("s{nth:03}");
            let children = json!([map(&name, &json!({"round": round.to_string()}))]);
            self.world.apply(&self.world.sample(&name, &json!({"children": children, "echo": true}))).await;
        };
        futures::future::join_all((0..count).map(apply)).await;
    }

    fn states(&self) -> Api<DynamicObject> {
        self.world.api_of(&json!({"apiVersion": "operon.dev/v1alpha1", "kind": "Plugin"}))
    }

    /// Waits until the plugin's state is such.
    async fn state(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let name = format!("{}.sample", self.name);
        eventually(&format!("the state of {name} {what}"), async || {
            let state = self.world.get(&self.states(), &name).await?;
            is(&state["status"]).then(|| state["status"].clone())
        })
        .await
    }

    /// By which version each Sample was handled, by its status.
    async fn versions(&self, count: usize) -> BTreeMap<String, u32> {
        let mut versions = BTreeMap::new();
        let live = self.world.samples().list(&ListParams::default()).await.unwrap();
        for live in live.items.iter().filter(|live| live.name_any().starts_with('s')).take(count) {
            let version = live.data["status"]["echo"]["version"].as_str().unwrap_or("none");
            *versions.entry(version.to_owned()).or_default() += 1;
        }
        versions
    }

    /// Waits until all are handled by this version.
    async fn all_by(&self, count: usize, name: &str) {
        let wanted = BTreeMap::from([(name.to_owned(), u32::try_from(count).unwrap())]);
        eventually(&format!("all by {name}"), async || (self.versions(count).await == wanted).then_some(())).await;
    }
}

/// Is the condition so, for this reason?
fn condition(status: &Value, type_: &str, is: &str, reason: &str) -> bool {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut found = conditions.filter(|condition| condition["type"] == type_);
    found.any(|condition| condition["status"] == is && condition["reason"] == reason)
}

#[tokio::test]
async fn a_version_that_crashes_for_any_object_is_not_put_in_place() {
    const OBJECTS: usize = 300;
    let scene = Scene::new("crash", &json!({"name": "v1"}), &json!({})).await;
    scene.apply(OBJECTS, 1).await;
    scene.all_by(OBJECTS, "v1").await;
    scene.push(&json!({"name": "v2", "on": {"any": {"trap": true}}})).await;
    let status = scene.state("tells of the held version", |status| status["held"][0]["reason"] == "Crashed").await;
    assert!(condition(&status, "Ready", "True", "Running"), "{status}");
    assert!(condition(&status, "UpToDate", "False", "Crashed"), "{status}");
    assert_eq!((&status["version"], &status["objects"], &status["errors"]), (&json!("v1"), &json!(OBJECTS), &json!(0)));
    let note = scene.world.event("ConfigMap", "plugin", "is held").await;
    assert!(note.contains("Crashed") && note.contains("goes on"), "{note}");
    scene.apply(OBJECTS, 2).await;
    scene.world.data("s299", "round", Some("2")).await;
    scene.all_by(OBJECTS, "v1").await;
    assert!(!scene.host.log().contains("result\":\"Crashed"), "no event was handled by it");
}

#[tokio::test]
async fn a_version_that_crashes_on_trial_is_taken_out_and_stays_out_over_a_restart() {
    let mut scene = Scene::new("trial", &json!({"name": "v1"}), &json!({})).await;
    scene.apply(3, 1).await;
    scene.all_by(3, "v1").await;
    // What it does for a change can't be seen before one.
    scene.push(&json!({"name": "v2", "on": {"updated": {"trap": true}}})).await;
    scene.all_by(3, "v2").await;
    scene.state("says that it is on trial", |status| condition(status, "Ready", "True", "OnTrial")).await;
    scene.apply(3, 2).await;
    scene.state("tells of the held version", |status| status["held"][0]["reason"] == "Crashed").await;
    scene.world.event("ConfigMap", "plugin", "is held").await;
    scene.all_by(3, "v1").await;
    scene.world.data("s002", "round", Some("2")).await;
    let warnings = scene.world.warnings("Sample").await;
    assert!(warnings.is_empty(), "nobody is told on the objects: {warnings:?}");

    scene.host.kill();
    scene.host.restart();
    scene.host.says("is not loaded").await;
    scene.state("knows the held version", |status| condition(status, "UpToDate", "False", "Crashed")).await;
    // The last good version comes from the cache: its own bytes are nowhere any more.
    scene.apply(3, 3).await;
    scene.world.data("s002", "round", Some("3")).await;
    scene.all_by(3, "v1").await;
    scene.push(&json!({"name": "v3"})).await;
    scene.all_by(3, "v3").await;
    scene.state("is up to date", |status| condition(status, "UpToDate", "True", "Running")).await;
}

#[tokio::test]
async fn a_version_that_would_delete_many_children_waits_for_a_yes() {
    let scene = Scene::new("blast", &json!({"name": "v1"}), &json!({})).await;
    scene.apply(10, 1).await;
    scene.all_by(10, "v1").await;
    scene.push(&json!({"name": "v2", "on": {"any": {"children": [], "echo": true}}})).await;
    let status = scene.state("tells of the held version", |status| status["held"][0]["reason"] == "WouldPrune").await;
    let message = status["held"][0]["message"].as_str().unwrap();
    assert!(message.contains("would delete 10 of the plugin's 10 children"), "{message}");
    scene.all_by(10, "v1").await;
    scene.world.data("s000", "round", Some("1")).await;

    let command = message.split("operon ").nth(1).unwrap();
    let (code, output) = scene.world.operon(&command.split(' ').collect::<Vec<_>>()).await;
    assert_eq!(code, Some(0), "{output}");
    scene.all_by(10, "v2").await;
    scene.world.map_gone("s000").await;
    scene
        .state("is up to date", |status| {
            condition(status, "UpToDate", "True", "Running") && status["held"].as_array().is_none_or(Vec::is_empty)
        })
        .await;
    let (code, table) = scene.world.operon(&["status"]).await;
    assert_eq!(code, Some(0), "{table}");
    let line = table.lines().find(|line| line.starts_with(&format!("{}.sample", scene.name))).unwrap();
    assert!(line.contains("True   True        v2"), "{table}");
}

#[tokio::test]
async fn an_object_that_crashes_every_version_holds_none_up() {
    let scene = Scene::new("poison", &json!({"name": "v1"}), &json!({})).await;
    scene.world.apply(&scene.world.sample("poison", &json!({"trap": true}))).await;
    scene.apply(2, 1).await;
    scene.all_by(2, "v1").await;
    scene.world.event("Sample", "poison", "crashed").await;
    scene.state("counts it", |status| status["errors"] == 1).await;
    scene.push(&json!({"name": "v2"})).await;
    scene.all_by(2, "v2").await;
    scene.world.merge("poison", &json!({"metadata": {"labels": {"round": "2"}}})).await;
    eventually("it is called for it", async || (scene.host.calls("poison").len() > 2).then_some(())).await;
    scene
        .state("runs it", |status| status["version"] == "v2" && status["held"].as_array().is_none_or(Vec::is_empty))
        .await;
}

#[tokio::test]
async fn versions_that_cant_be_loaded_are_refused_each_with_a_message_while_the_old_one_serves() {
    let scene = Scene::new("refused", &json!({"name": "v1"}), &json!({"limits": {"time": "1s"}})).await;
    scene.apply(1, 1).await;
    scene.all_by(1, "v1").await;
    let module = b"\0asm\x01\0\0\0".to_vec();
    let mut cut = version(&json!({}));
    cut.truncate(cut.len() / 2);
    let world = b"\0asm\x0d\0\x01\0".to_vec();
    let bad = [
        (b"no WebAssembly".to_vec(), "no component"),
        (module, "module"),
        (cut, "no component"),
        (world, "no component"),
        (
            version(&json!({"describe": {"sleepMs": 60_000}})),
            "calling its `describe`: the plugin was stopped at its limit: limits.time",
        ),
        (version(&json!({"describe": {"trap": true}})), "calling its `describe`: the plugin crashed"),
        (version(&json!({"refuses": "a town is missing"})), "refuses its settings: a town is missing"),
    ];
    for (round, (bytes, why)) in (2..).zip(bad) {
        scene.world.put_plugin(&scene.world.namespace, "plugin", bytes).await;
        let what = format!("tells of {why}");
        let tells = |status: &Value| {
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let mut messages = conditions.filter_map(|condition| condition["message"].as_str());
            messages.any(|message| message.contains(why))
        };
        let status = scene.state(&what, tells).await;
        assert!(condition(&status, "UpToDate", "False", "NotLoaded"), "{status}");
        assert!(condition(&status, "Ready", "True", "Running"), "{status}");
        let note = scene.world.event("ConfigMap", "plugin", why).await;
        assert!(note.contains("goes on"), "{note}");
        scene.apply(1, round).await;
        scene.world.data("s000", "round", Some(&round.to_string())).await;
        scene.all_by(1, "v1").await;
    }
}

/// 20 swaps under a load of 50 changes a second and more, on a machine that does nothing else.
#[tokio::test]
async fn twenty_swaps_under_load_lose_nothing_and_never_go_back() {
    const OBJECTS: usize = 20;
    const SWAPS: u32 = 20;
    let scene = Scene::new("load", &json!({"name": "v000"}), &json!({})).await;
    scene.apply(OBJECTS, 0).await;
    scene.all_by(OBJECTS, "v000").await;
    let (mut round, mut changes) = (0, 0);
    let start = Instant::now();
    for swap in 1..=SWAPS {
        let name = format!("v{swap:03}");
        scene.push(&json!({"name": name})).await;
        // At least two rounds of changes fall into each swap, and more until it is seen.
        eventually(&format!("{name} is in place"), async || {
            round += 1;
            scene.apply(OBJECTS, round).await;
            changes += OBJECTS;
            scene.host.log().contains(&format!("\"version\":\"{name}\"")).then_some(())
        })
        .await;
    }
    let rate = f64::from(u32::try_from(changes).unwrap()) / start.elapsed().as_secs_f64();
    eprintln!("{changes} changes, {rate:.0} a second, {SWAPS} swaps");
    scene.all_by(OBJECTS, &format!("v{SWAPS:03}")).await;
    for nth in 0..OBJECTS {
        let name = format!("s{nth:03}");
        scene.world.data(&name, "round", Some(&round.to_string())).await;
        let seen = scene.host.versions(&name);
        assert!(seen.is_sorted(), "{name} went back: {seen:?}");
    }
}
