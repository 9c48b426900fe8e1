//! The states that are in the cluster: read at the start, and watched for what a person asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use operon_core::{
    digest::Digest,
    standing::{Hold, Trouble},
};
use tokio::{sync::watch, time::timeout};

use super::resource::PluginState;

/// Seconds that a watch lasts before it is asked for anew.
const WATCH_SECONDS: u32 = 45;
/// At the start they are waited for no longer: without them a plugin runs as if it had never run.
const FIRST: Duration = Duration::from_secs(5);

/// All states by name; none as long as it is not known whether there are any.
type All = Option<Arc<BTreeMap<String, PluginState>>>;

/// The states of all hosts' plugins, shared.
#[derive(Clone)]
pub struct Known(watch::Receiver<All>);

/// Feeds [`Known`].
pub struct Follower {
    client: Client,
    known: watch::Sender<All>,
}

impl Known {
    /// Nothing is known before [`Follower::run`].
    pub fn new(client: Client) -> (Self, Follower) {
        let (known, receiver) = watch::channel(None);
        (Self(receiver), Follower { client, known })
    }

    /// The state of this name as it was left, once that can be known.
    pub async fn left(&mut self, name: &str) -> Option<PluginState> {
        let known = timeout(FIRST, self.0.wait_for(Option::is_some)).await.ok()?.ok()?;
        known.as_ref()?.get(name).cloned()
    }

    /// Waits for a change of any of them.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody follows any more: the host ends.
            std::future::pending::<()>().await;
        }
    }

    /// Digests of versions that a person lets run although they would delete many children.
    pub fn approved(&self, name: &str) -> BTreeSet<String> {
        let known = self.0.borrow();
        let state = known.as_ref().and_then(|all| all.get(name));
        state.map(|state| state.spec.approved.iter().cloned().collect()).unwrap_or_default()
    }
}

impl Follower {
    /// Runs as long as the host.
    pub async fn run(self) {
        let api = Api::<PluginState>::all(self.client);
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let mut events = watcher(api, config).default_backoff().boxed();
        let mut all = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => {
                    all.clear();
                    continue;
                }
                Ok(watcher::Event::InitApply(state)) => {
                    all.insert(state.name_any(), state);
                    continue;
                }
                Ok(watcher::Event::InitDone) => {}
                Ok(watcher::Event::Apply(state)) => drop(all.insert(state.name_any(), state)),
                Ok(watcher::Event::Delete(state)) => drop(all.remove(&state.name_any())),
                Err(error) => {
                    // Mostly there is no such resource, of which the writer tells.
                    tracing::debug!("watching plugins.operon.dev: {error}");
                    if self.known.borrow().is_some() {
                        continue;
                    }
                }
            }
            self.known.send_replace(Some(Arc::new(all.clone())));
        }
    }
}

/// What of a state a host goes on with: the versions that are held, and the last good one.
pub fn restored(state: &PluginState) -> (BTreeMap<Digest, Hold>, Option<Digest>) {
    let Some(status) = &state.status else { return (BTreeMap::new(), None) };
    let held = status.held.iter().filter_map(|held| {
        let why = Trouble { reason: held.reason.clone(), message: held.message.clone() };
        Some((held.digest.parse().ok()?, Hold { why, since: SystemTime::from(held.since) }))
    });
    (held.collect(), status.last_good.as_deref().and_then(|text| text.parse().ok()))
}
