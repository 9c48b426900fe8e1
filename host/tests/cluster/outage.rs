//! The API server and etcd, killed and started again under the host and its users, in a control plane of the test's own.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    host::Host,
    world::{World, eventually, repo, wasm},
};

/// How long a component is away; its start comes on top.
const DOWN_FOR: Duration = Duration::from_secs(2);

/// A control plane that ends with the test, however that ends: it runs until its standard input closes.
struct ControlPlane {
    supervisor: Child,
    folder: TempDir,
}

impl ControlPlane {
    /// None where it isn't built, as with a cluster of the user's.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut supervisor = Command::new(devcluster()?)
            .args(["up", "--without", "scheduler,kwok", "--until-stdin-closes", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "the control plane does not start: {line:?}");
        Some(Self { supervisor, folder })
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// SIGKILL, and a new start after a while; returns when it serves again.
    async fn restart(&self, component: &str) {
        let mut command = Command::new(devcluster().unwrap());
        let down_for = format!("{}s", DOWN_FOR.as_secs());
        command.args(["restart", component, "--down-for", &down_for, "--dir"]).arg(self.folder.path());
        let ended = tokio::task::spawn_blocking(move || command.stdout(Stdio::null()).status().unwrap()).await.unwrap();
        assert!(ended.success(), "{component} does not come back");
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn devcluster() -> Option<PathBuf> {
    let binary = repo().join("target/devcluster/bin/devcluster");
    binary.exists().then_some(binary)
}

/// Somebody who goes on creating, changing and deleting Samples, and tries each of it until the API server takes it.
struct User<'a> {
    world: &'a World,
    stop: Cell<bool>,
    /// What a change took at most.
    longest: Cell<Duration>,
}

impl User<'_> {
    /// Returns what there shall be: a count, or none for what was deleted.
    async fn works(&self) -> BTreeMap<String, Option<u64>> {
        let mut wanted = BTreeMap::new();
        let mut round = 0;
        while !self.stop.get() {
            for index in 0..12 {
                let name = format!("s{index:02}");
                // In each round, each third one is deleted, another one than in the round before.
                let count = ((round + index) % 3 != 0).then_some(round % 4 + 1);
                match count {
                    Some(count) => self.apply(&name, count).await,
                    None => self.delete(&name).await,
                }
                wanted.insert(name, count);
            }
            round += 1;
        }
        wanted
    }

    async fn apply(&self, name: &str, count: u64) {
        let sample = self.world.sample(name, &json!({ "count": count }));
        let params = PatchParams::apply("test").force();
        self.until_taken(async || {
            let answer = self.world.samples().patch(name, &params, &Patch::Apply(&sample)).await;
            // What is being deleted takes changes as well, and then goes with them.
            answer.is_ok_and(|sample| sample.metadata.deletion_timestamp.is_none())
        })
        .await;
    }

    async fn delete(&self, name: &str) {
        self.until_taken(async || match self.world.samples().delete(name, &DeleteParams::default()).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) => status.code == 404,
            Err(_) => false,
        })
        .await;
    }

    async fn until_taken(&self, mut change: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        eventually("a change is taken", async || change().await.then_some(())).await;
        self.longest.set(self.longest.get().max(start.elapsed()));
    }
}

#[tokio::test]
async fn no_change_is_lost_when_the_api_server_or_etcd_is_killed_and_comes_back() {
    let Some(plane) = ControlPlane::start() else {
        println!("skipped: it takes a control plane of its own, and target/devcluster/bin/devcluster is not built");
        return;
    };
    let world = World::at(plane.kubeconfig(), "outage").await;
    world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
    let mut host = Host::start(&world, &json!({"settings": {"deployment": "{name}"}}));
    world.apply_sample("before", 2).await;
    world.recorded_by("before", "default.sample").await;

    for component in ["kube-apiserver", "etcd"] {
        let user = User { world: &world, stop: Cell::default(), longest: Cell::default() };
        let (wanted, ()) = tokio::join!(user.works(), async {
            plane.restart(component).await;
            user.stop.set(true);
        });
        // Without etcd, the API server lets its callers wait rather than refuse them.
        assert!(user.longest.get() > DOWN_FOR / 2, "nobody noticed that {component} was down");
        for (name, count) in wanted {
            world.replicas(&name, count).await;
            match count {
                Some(count) => world.message(&name, &format!("{name} scaled to {count} replica")).await,
                None => world.sample_gone(&name).await,
            }
        }
        world.replicas("before", Some(2)).await;
        assert!(host.is_running(), "{component} took the host with it");
    }
    // A new change is seen without a restart, and the end is a good one.
    world.apply_sample("before", 3).await;
    world.replicas("before", Some(3)).await;
    assert_eq!(host.terminate().await, Some(0));
}
