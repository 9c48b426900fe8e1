//! A proxy between the host and the API server that makes things go wrong by a plan, counts, and can stop at a chosen write.
//!
//! `http` is the wire, `asked` what a request asks for, `fault` the plan, `answer` and `watch` carry a fault out, `log` is what
//! was seen. To the API server it speaks with the test's own client, so the host needs no credentials.

mod answer;
mod asked;
mod fault;
mod http;
mod log;
mod watch;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(crate) use asked::{Asked, Recorded, Verb};
pub(crate) use fault::{Fault, Plan, QUICK, SILENT, seed};
use http::{Peer, Request};
use kube::{Client, client::Body};
pub(crate) use log::{Entry, Log};
use serde_json::json;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::world::World;

/// Runs until the end of the test.
pub(crate) struct Proxy {
    /// For the host.
    pub(crate) kubeconfig: PathBuf,
    _folder: TempDir,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    client: Client,
    plan: Mutex<Plan>,
    log: Mutex<Log>,
    stop: Mutex<Option<Stop>>,
}

/// Where the proxy stops, see [`Proxy::stop_at`].
struct Stop {
    writes_before: u32,
    moment: Moment,
    sender: oneshot::Sender<Stopped>,
}

/// When the proxy stops at a write. In no case does the host get an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The write does not happen.
    Before,
    /// It has happened.
    After,
    /// It happens when the test goes on.
    Late,
}

/// The proxy has stopped; it goes on when this is dropped.
pub(crate) struct Stopped {
    /// At what kind of write.
    pub(crate) at: String,
    _go_on: oneshot::Sender<()>,
}

impl Proxy {
    pub(crate) async fn start(world: &World, plan: Plan) -> Self {
        eprintln!("{}: OPERON_TEST_SEED={}", world.namespace, seed());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let name = "proxy";
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": server}}],
            "users": [{"name": name, "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        });
        std::fs::write(&kubeconfig, text.to_string()).unwrap();
        let (log, stop) = Default::default();
        let shared = Arc::new(Shared { client: world.client.clone(), plan: Mutex::new(plan), log, stop });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self { kubeconfig, _folder: folder, shared, accepting }
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        locked(&self.shared.plan)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        locked(&self.shared.log)
    }

    /// Stops at a write, that many after this moment, in place of an earlier such wish.
    pub(crate) fn stop_at(&self, writes_before: u32, moment: Moment) -> oneshot::Receiver<Stopped> {
        let (sender, receiver) = oneshot::channel();
        *locked(&self.shared.stop) = Some(Stop { writes_before, moment, sender });
        receiver
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        if std::thread::panicking() {
            eprintln!("--- OPERON_TEST_SEED={} faults: {:?}", seed(), self.plan().injected);
        }
    }
}

/// A test that fails while it looks is told of that, not of a poisoned lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let (shared, mut peer) = (shared.clone(), Peer::new(stream));
                connections.spawn(async move { while let Ok(true) = shared.serve(&mut peer).await {} });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Shared {
    /// Serves one request; false: the connection ends.
    async fn serve(self: &Arc<Self>, peer: &mut Peer) -> io::Result<bool> {
        let Some(request) = peer.request().await? else { return Ok(false) };
        let asked = Asked::read(&request);
        let drawn = locked(&self.plan).draw(&asked);
        if asked.verb == Verb::Watch {
            return self.watch(peer, request, asked, drawn).await;
        }
        let stop = self.stop_here(&asked);
        // On its own, since a write that is on its way happens whether or not its sender still lives.
        let answering = tokio::spawn(self.clone().answer(request, asked, drawn, stop));
        answering.await.map_err(io::Error::other)?.give(peer).await
    }

    fn stop_here(&self, asked: &Asked) -> Option<Stop> {
        let mut stop = locked(&self.stop);
        if !asked.is_write() {
            return None;
        }
        match stop.as_mut()? {
            Stop { writes_before: 0, .. } => stop.take(),
            Stop { writes_before, .. } => {
                *writes_before -= 1;
                None
            }
        }
    }

    /// Passes it on as the test's own request.
    async fn send(&self, request: Request) -> kube::Result<::http::Response<Body>> {
        let passed = ::http::Request::builder()
            .method(request.method.as_str())
            .uri(&request.target)
            .header("accept", &request.accept)
            .header("content-type", &request.content_type);
        self.client.send(passed.body(Body::from(request.body)).map_err(kube::Error::HttpError)?).await
    }

    fn injected(&self, fault: Fault) {
        *locked(&self.plan).injected.entry(fault).or_default() += 1;
    }
}

impl Stop {
    /// Returns when the test wants it to go on.
    async fn stopped(self, asked: &Asked) {
        let (go_on, gone_on) = oneshot::channel();
        if self.sender.send(Stopped { at: asked.kind(), _go_on: go_on }).is_ok() {
            let _ = gone_on.await;
        }
    }
}
