//! One watch for each resource, however many plugins share it.
//!
//! kube's `watcher` does the protocol: lists in pages, bookmarks, 410 and relists, idle streams. What is ours: objects are
//! kept as text in a [`Store`], and a resource that is not served yet (its CRD is not there) is waited for.

mod flight;
mod scope;
mod store;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, pin_mut};
use kube::{
    Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Config, watcher},
    },
};
use operon_core::kind::Kind;
pub use scope::Scope;
pub use store::{Change, Made, Store, owner_tag};
use tokio::sync::Semaphore;

use crate::{
    cluster::{Wire, api, discovery::Discovery},
    delay::jittered,
};

/// How often a resource that is not served is asked for. Discovery is what every client may read; a watch of CRDs would be
/// told sooner, but needs a right to all of them.
const NOT_SERVED: Duration = Duration::from_secs(2);

/// Seconds that a watch lasts before it is asked for anew, so that one that is silently dead is noticed within a minute.
const WATCH_SECONDS: u32 = 45;
/// The next page of a list is not waited for longer, since others wait for their turn to list.
const LIST: Duration = Duration::from_secs(30);
/// Before a watch begins anew, give or take a quarter.
const ANEW: Duration = Duration::from_secs(1);

/// Feeds a store from one scope, for as long as the host runs.
pub struct Watch {
    /// As who.
    pub client: Client,
    /// To find what the resource is.
    pub discovery: Discovery,
    /// What is fed.
    pub store: Arc<Store>,
    /// From where.
    pub scope: Scope,
    /// Evaluated by the API server; for children, which carry our label.
    pub label_selector: Option<String>,
    /// Who lists: one at a time, so that a start does not hold several lists in memory at once.
    pub lists: Arc<Semaphore>,
}

/// Why a watch is no longer followed.
enum Lost {
    /// The resource is no longer served.
    Resource,
    /// A change came that can't be read; the watch goes on after it, so it is to be listed for.
    Change,
}

impl Watch {
    /// Waits until the resource is served, watches it, and begins anew where it goes.
    pub async fn run(self) {
        loop {
            let kind = self.served().await;
            self.store.set_kind(kind.clone());
            if let Lost::Change = self.follow(&kind).await {
                tokio::time::sleep(jittered(ANEW)).await;
                continue;
            }
            tracing::warn!(resource = %self.store.resource, "the resource is no longer served");
            self.store.clear(&self.scope);
            // Discovery and the watch may disagree for a while, as when a CRD is being deleted.
            tokio::time::sleep(NOT_SERVED).await;
        }
    }

    async fn served(&self) -> Arc<Kind> {
        let resource = &self.store.resource;
        let mut told = String::new();
        loop {
            let why = match self.discovery.resource(resource).await {
                Ok(Some(kind)) => {
                    if !told.is_empty() {
                        tracing::info!(%resource, "the resource is served now");
                    }
                    return kind;
                }
                Ok(None) => {
                    "the API server does not serve the resource (is its CRD installed?); waiting for it".to_owned()
                }
                Err(error) => format!("asking the API server for the resource: {error}; trying again"),
            };
            // Once for each reason: it may take days.
            if why != told {
                tracing::warn!(%resource, "{why}");
                told = why;
            }
            tokio::time::sleep(NOT_SERVED).await;
        }
    }

    /// Returns when it can't go on.
    async fn follow(&self, kind: &Kind) -> Lost {
        let (store, scope) = (&self.store, &self.scope);
        let mut config = Config::default().timeout(WATCH_SECONDS);
        if let Some(selector) = &self.label_selector {
            config = config.labels(selector);
        }
        let namespace = scope.0.as_deref().filter(|_| kind.namespaced);
        if scope.0.is_some() && namespace.is_none() {
            tracing::warn!(resource = %store.resource, "the resource is cluster-scoped: `namespaces` selects none of its objects");
        }
        let events = watcher(api(&self.client, kind, namespace), config).default_backoff();
        pin_mut!(events);
        // The watcher asks for the list when it is polled after it has said that it begins.
        let mut listing = None;
        loop {
            let next = match &listing {
                None => events.next().await,
                Some(_) => match tokio::time::timeout(LIST, events.next()).await {
                    Ok(next) => next,
                    Err(elapsed) => {
                        tracing::warn!(resource = %store.resource, "listing: no answer, {elapsed}; trying again");
                        return Lost::Change;
                    }
                },
            };
            let Some(event) = next else { return Lost::Change };
            match event {
                Ok(watcher::Event::Init) => {
                    listing = self.lists.acquire().await.ok();
                    store.list_begins(scope);
                }
                Ok(watcher::Event::InitDone) => {
                    store.list_ends(scope);
                    listing = None;
                }
                Ok(watcher::Event::Apply(wire) | watcher::Event::InitApply(wire)) => {
                    self.decoded(&wire, kind, |object| {
                        tracing::trace!(resource = %store.resource, object = %object.key, "seen");
                        store.shown(scope, object);
                    });
                }
                Ok(watcher::Event::Delete(wire)) => self.decoded(&wire, kind, |object| store.gone(scope, &object)),
                Err(error) if is_not_found(&error) => return Lost::Resource,
                Err(error) => {
                    listing = None;
                    tracing::warn!(resource = %store.resource, "watching: {error}; trying again");
                    if loses_a_change(&error) {
                        return Lost::Change;
                    }
                }
            }
        }
    }

    fn decoded(&self, wire: &Wire, kind: &Kind, then: impl FnOnce(operon_core::object::Object)) {
        match wire.decode(kind) {
            Ok(object) => then(object),
            Err(error) => tracing::warn!(resource = %self.store.resource, "an object is skipped: {error}"),
        }
    }
}

/// kube's watcher would go on with what comes after what it could not read, and go on asking for a version that the API server
/// says is too old.
fn loses_a_change(error: &watcher::Error) -> bool {
    use watcher::Error::{WatchFailed, WatchStartFailed};
    match error {
        WatchFailed(_) => true,
        WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

fn is_not_found(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    matches!(error, InitialListFailed(kube::Error::Api(status)) | WatchStartFailed(kube::Error::Api(status)) if status.code == 404)
}
