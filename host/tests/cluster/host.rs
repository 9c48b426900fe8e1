//! A host of a test: the binary, its config, its log.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{World, eventually};

/// A running host; killed when the test ends.
pub(crate) struct Host {
    child: Child,
    folder: TempDir,
    kubeconfig: PathBuf,
    /// Where compiled plugins are kept.
    cache: PathBuf,
    /// Starts before the one that runs.
    former: usize,
}

impl Host {
    /// Runs one plugin from the ConfigMap `plugin` of the test's namespace.
    pub(crate) fn start(world: &World, changes: &Value) -> Self {
        Self::start_with(&config(world, changes), &world.kubeconfig)
    }

    /// All tests share what was compiled: none of them is about that, and there are many.
    pub(crate) fn start_with(config: &Value, kubeconfig: &Path) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config, kubeconfig, caches().join("operon"))
    }

    /// Nothing is compiled yet.
    pub(crate) fn start_cold(config: &Value, kubeconfig: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        Self::start_in(folder, config, kubeconfig, cache)
    }

    fn start_in(folder: TempDir, config: &Value, kubeconfig: &Path, cache: PathBuf) -> Self {
        fs::write(folder.path().join("operon.yaml"), config.to_string()).unwrap();
        let child = run(folder.path(), kubeconfig, &cache, log_in(folder.path(), 0));
        Self { child, folder, kubeconfig: kubeconfig.into(), cache, former: 0 }
    }

    /// As `start`, but who reads its log goes at once.
    pub(crate) fn start_unread(world: &World, changes: &Value) -> Self {
        let mut host = Self::start(world, changes);
        host.kill();
        host.child = run(host.folder.path(), &host.kubeconfig, &host.cache, Stdio::piped());
        drop(host.child.stderr.take());
        host
    }

    /// SIGKILL, as a crash is.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same again, with a fresh log.
    pub(crate) fn restart(&mut self) {
        self.former += 1;
        let log = log_in(self.folder.path(), self.former);
        self.child = run(self.folder.path(), &self.kubeconfig, &self.cache, log);
    }

    /// SIGTERM, and the exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        eventually("the host ends", async || self.child.try_wait().unwrap()).await.code()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file(self.former)).unwrap()
    }

    /// The logs of all starts, the first one first.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        (0..=self.former).map(|start| self.log_file(start)).collect()
    }

    fn log_file(&self, start: usize) -> PathBuf {
        log_file(self.folder.path(), start)
    }

    /// Waits until the log has this.
    pub(crate) async fn says(&self, part: &str) {
        eventually(&format!("the log says {part}"), async || self.log().contains(part).then_some(())).await;
    }

    /// The causes with which an object was handled since the start, of those that come of changes.
    pub(crate) fn handled(&self, name: &str) -> Vec<String> {
        let ended = self.causes(name, |line| line["result"].is_string());
        ended.into_iter().filter(|cause| cause != "child-changed").collect()
    }

    /// The causes with which the plugin was called for an object since the start.
    pub(crate) fn calls(&self, name: &str) -> Vec<String> {
        self.causes(name, |line| line["message"] == "calling")
    }

    /// The versions that have handled an object since the start.
    pub(crate) fn versions(&self, name: &str) -> Vec<String> {
        self.lines(name, "version", |line| line["result"] == "done")
    }

    fn causes(&self, name: &str, which: impl Fn(&Value) -> bool) -> Vec<String> {
        self.lines(name, "cause", which)
    }

    /// When the first such line was logged since the start.
    pub(crate) fn first(&self, which: impl Fn(&Value) -> bool) -> Option<Timestamp> {
        let log = self.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| which(line))?["timestamp"].as_str()?.parse().ok()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A field of the log's lines on an object; a name without namespace is of any.
    fn lines(&self, name: &str, field: &str, which: impl Fn(&Value) -> bool) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let named = |object: &str| object == name || object.ends_with(&format!("/{name}"));
        let about = lines.filter(|line| line["object"].as_str().is_some_and(named) && which(line));
        about.filter_map(|line| Some(line[field].as_str()?.to_owned())).collect()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the host\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In place of the caches of whoever runs the tests.
pub(crate) fn caches() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn log_file(folder: &Path, start: usize) -> PathBuf {
    folder.join(format!("log-{start}"))
}

fn log_in(folder: &Path, start: usize) -> Stdio {
    File::create(log_file(folder, start)).unwrap().into()
}

fn run(folder: &Path, kubeconfig: &Path, cache: &Path, log: Stdio) -> Child {
    // Benchmarks are made with the optimized one.
    let binary = std::env::var_os("OPERON_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_operon").into());
    Command::new(binary)
        .env("OPERON_LOG", "info,operon_host=debug,operon_host::watch=trace")
        .args(["run", "--config"])
        .arg(folder.join("operon.yaml"))
        .arg("--cache-dir")
        .arg(cache)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The config of one plugin, with some fields of the plugin changed.
pub(crate) fn config(world: &World, changes: &Value) -> Value {
    let namespace = &world.namespace;
    let mut plugin = json!({
        "name": "sample",
        "source": {"configMap": {"namespace": namespace, "name": "plugin"}},
        "watch": [{"resource": "samples.v1.nuvolaris.org", "namespaces": [namespace]}],
        "owns": ["deployments.v1.apps"],
    });
    let fields = plugin.as_object_mut().unwrap();
    fields.extend(changes.as_object().cloned().unwrap_or_default());
    json!({"apiVersion": "operon.dev/v1alpha1", "kind": "HostConfig", "plugins": [plugin]})
}

/// Changes of `config` that give each Sample a Deployment of its own, one that makes no Pods: so hundreds cost the control plane little.
pub(crate) fn own_deployments() -> Value {
    let labels = json!({"app": "paused"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "nginx", "image": "nginx:1.27-alpine"}]}});
    let spec = json!({"paused": true, "selector": {"matchLabels": labels}, "template": pod});
    let template = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec});
    json!({"settings": {"deployment": "{name}", "template": template}})
}
