//! A host of a test: the binary, its config, its log.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{World, eventually};

/// A running host; killed when the test ends.
pub(crate) struct Host {
    child: Child,
    folder: TempDir,
    kubeconfig: PathBuf,
}

impl Host {
    /// Runs one plugin from the ConfigMap `plugin` of the test's namespace.
    pub(crate) fn start(world: &World, changes: &Value) -> Self {
        Self::start_with(&config(world, changes), &world.kubeconfig)
    }

    pub(crate) fn start_with(config: &Value, kubeconfig: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("operon.yaml"), config.to_string()).unwrap();
        let child = run(folder.path(), kubeconfig, log_in(folder.path()));
        Self { child, folder, kubeconfig: kubeconfig.into() }
    }

    /// As `start`, but who reads its log goes at once.
    pub(crate) fn start_unread(world: &World, changes: &Value) -> Self {
        let mut host = Self::start(world, changes);
        host.kill();
        host.child = run(host.folder.path(), &host.kubeconfig, Stdio::piped());
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
        self.child = run(self.folder.path(), &self.kubeconfig, log_in(self.folder.path()));
    }

    /// SIGTERM, and the exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        eventually("the host ends", async || self.child.try_wait().unwrap()).await.code()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until the log has this.
    pub(crate) async fn says(&self, part: &str) {
        eventually(&format!("the log says {part}"), async || self.log().contains(part).then_some(())).await;
    }

    /// The causes with which an object was handled since the start, of those that come of changes.
    pub(crate) fn handled(&self, name: &str) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let about = lines.filter(|line| {
            line["object"].as_str().is_some_and(|object| object.ends_with(&format!("/{name}")))
                && line["cause"].is_string()
        });
        let causes = about.map(|line| line["cause"].as_str().unwrap().to_owned());
        causes.filter(|cause| cause != "child-changed").collect()
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

fn log_in(folder: &Path) -> Stdio {
    File::create(folder.join("log")).unwrap().into()
}

fn run(folder: &Path, kubeconfig: &Path, log: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_operon"))
        .args(["run", "--config"])
        .arg(folder.join("operon.yaml"))
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
