//! The wiring, and the only place that knows all steps: config, plugins, watches, lanes, shutdown.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use kube::Client;
use operon_core::{
    config::{HostConfig, PluginConfig},
    json::canonical,
    names::{PLUGIN_LABEL, PluginIdentity},
    resource::ResourceName,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    apply::Writer,
    cluster::{discovery::Discovery, login::Login, reads::Reads},
    dispatch::Lane,
    events::{Events, Publisher},
    handle::{Handler, Watched},
    plugin::{
        compile::{Compiler, cache::Cache},
        keeper::Keeper,
        loader::Loader,
        sandbox::Sandbox,
    },
    state::{
        known::{Follower, Known},
        writer::StateWriter,
    },
    watch::{Scope, Store, Watch},
};

/// At the end, Events that wait are written for no longer than this.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// Runs the host until SIGTERM or SIGINT, then until what is in flight has ended.
pub fn run(config: &Path, cache: &Path, login: &Login) -> anyhow::Result<()> {
    let config = HostConfig::load(config)?;
    let runtime = tokio::runtime::Runtime::new().context("starting the executor")?;
    let ended = runtime.block_on(async {
        let client = login.client().await?;
        let stop = stop_on_signal()?;
        Host::new(&config, cache, client)?.run(stop).await?;
        tracing::info!("ended");
        Ok(())
    });
    // Threads may be reading files, or feeding a compilation that has been ended; nobody waits for them any more.
    runtime.shutdown_background();
    ended
}

fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // First the deed, then the word: nothing about a log may keep the host from ending.
        stopped.cancel();
        tracing::info!("stopping: what is in flight is finished");
    });
    Ok(stop)
}

/// Everything that runs.
struct Host {
    lanes: Vec<Lane>,
    keepers: Vec<Keeper>,
    states: Vec<StateWriter>,
    watches: Vec<Watch>,
    follower: Follower,
    client: Client,
    events: Events,
    publisher: Publisher,
}

impl Host {
    fn new(config: &HostConfig, cache: &Path, client: Client) -> anyhow::Result<Self> {
        let sandbox = Arc::new(Sandbox::new().context("starting the WebAssembly engine")?);
        let cache = Cache::open_or_temporary(cache).context("making a folder for compiled plugins")?;
        let compiler = Arc::new(Compiler::new(cache, sandbox.compatibility()).context("finding this program")?);
        let (events, publisher) = Events::new(client.clone(), config.host.as_str());
        let discovery = Discovery::new(client.clone());
        let (known, follower) = Known::new(client.clone());
        let stores = Stores::of(config);
        let mut host = Self {
            watches: stores.watches(&client, &discovery),
            client,
            events,
            publisher,
            lanes: Vec::new(),
            keepers: Vec::new(),
            states: Vec::new(),
            follower,
        };
        for plugin in &config.plugins {
            let identity = PluginIdentity::new(config.host.as_str(), plugin.name.as_str());
            let handler = Arc::new(host.handler(plugin, identity, &stores, &discovery));
            host.lanes.push(Lane::new(handler.clone(), plugin.limits.concurrency.into()));
            let reads = Reads {
                client: host.client.clone(),
                discovery: discovery.clone(),
                grants: plugin.grants.clone(),
                limit: plugin.limits.output.as_usize(),
            };
            let loader = Loader {
                config: plugin.clone(),
                compiler: compiler.clone(),
                sandbox: sandbox.clone(),
                reads: Some(Arc::new(reads)),
            };
            let (client, known) = (host.client.clone(), known.clone());
            host.states.push(StateWriter { client, handler: handler.clone(), known: known.clone() });
            host.keepers.push(Keeper { loader, handler, events: host.events.clone(), known });
        }
        Ok(host)
    }

    fn handler(
        &self,
        plugin: &PluginConfig,
        identity: PluginIdentity,
        stores: &Stores,
        discovery: &Discovery,
    ) -> Handler {
        let watches = plugin.watch.iter().filter_map(|watch| {
            let (store, _) = stores.objects.get(&watch.resource)?;
            let namespaces =
                watch.namespace_selector.as_ref().and_then(|_| stores.objects.get(&ResourceName::namespaces()));
            let namespaces = namespaces.map(|(store, _)| store.clone());
            Some(Watched { config: watch.clone(), store: store.clone(), namespaces })
        });
        let children = plugin.owns.iter().filter_map(|resource| {
            let children = stores.children.get(resource)?;
            Some((resource.clone(), children.store.clone()))
        });
        Handler {
            settings: canonical(&plugin.settings.clone().into()),
            watches: watches.collect(),
            writer: Writer {
                client: self.client.clone(),
                plugin: identity,
                children: children.collect(),
                dry_run: false,
            },
            discovery: discovery.clone(),
            events: self.events.clone(),
            config: plugin.clone(),
            guard: Mutex::default(),
            unobserved: Mutex::default(),
            slot: Arc::default(),
            failing: Mutex::default(),
        }
    }

    async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let publisher = tokio::spawn(self.publisher.run());
        let mut background = JoinSet::new();
        for watch in self.watches {
            background.spawn(watch.run());
        }
        background.spawn(self.follower.run());
        for keeper in self.keepers {
            background.spawn(keeper.run(self.client.clone()));
        }
        for state in self.states {
            background.spawn(state.run());
        }
        let mut lanes = JoinSet::new();
        for lane in self.lanes {
            lanes.spawn(lane.run(stop.clone()));
        }
        // A lane that fails would be missed by nobody: better to end, and to be started anew.
        while let Some(ended) = lanes.join_next().await {
            ended.context("a plugin's lane failed")?;
        }
        // The watches and keepers hold nothing that has to be finished. What is left to tell is told by then.
        background.shutdown().await;
        drop(self.events);
        if timeout(LAST_EVENTS, publisher).await.is_err() {
            tracing::warn!("Events that still waited are not written");
        }
        Ok(())
    }
}

/// One store for each resource that is watched, and one for each kind of children.
struct Stores {
    objects: HashMap<ResourceName, (Arc<Store>, BTreeSet<Scope>)>,
    children: HashMap<ResourceName, Children>,
}

/// Children of one kind, of all plugins that own it.
struct Children {
    store: Arc<Store>,
    scopes: BTreeSet<Scope>,
    label_selector: String,
}

impl Stores {
    fn of(config: &HostConfig) -> Self {
        let namespaces = ResourceName::namespaces();
        let mut objects: BTreeMap<&ResourceName, BTreeSet<Scope>> = BTreeMap::new();
        let mut children: BTreeMap<&ResourceName, (BTreeSet<Scope>, Vec<String>)> = BTreeMap::new();
        for plugin in &config.plugins {
            for watch in &plugin.watch {
                if watch.namespace_selector.is_some() {
                    objects.entry(&namespaces).or_default().extend(Scope::each(None));
                }
                objects.entry(&watch.resource).or_default().extend(Scope::each(watch.namespaces.as_ref()));
            }
            for resource in &plugin.owns {
                let (scopes, labels) = children.entry(resource).or_default();
                // Beside the objects, and where grants allow children elsewhere.
                let beside = plugin.watch.iter().map(|watch| watch.namespaces.as_ref());
                let granted = plugin.grants.iter().filter(|grant| grant.resource == *resource);
                let namespaces = beside.chain(granted.map(|grant| grant.namespaces.as_ref()));
                scopes.extend(namespaces.flat_map(Scope::each));
                labels.push(PluginIdentity::new(config.host.as_str(), plugin.name.as_str()).label);
            }
        }
        let store = |resource: &ResourceName, scopes: &BTreeSet<Scope>| {
            Arc::new(Store::new(resource.clone(), scopes.iter().cloned()))
        };
        let objects = objects.into_iter().map(|(resource, scopes)| {
            let scopes = Scope::fewest(scopes);
            (resource.clone(), (store(resource, &scopes), scopes))
        });
        let children = children.into_iter().map(|(resource, (scopes, labels))| {
            let scopes = Scope::fewest(scopes);
            let label_selector = format!("{PLUGIN_LABEL} in ({})", labels.join(","));
            (resource.clone(), Children { store: store(resource, &scopes), scopes, label_selector })
        });
        Self { objects: objects.collect(), children: children.collect() }
    }

    fn watches(&self, client: &Client, discovery: &Discovery) -> Vec<Watch> {
        let lists = Arc::new(Semaphore::new(1));
        let watch = |store: &Arc<Store>, scope: &Scope, label_selector| Watch {
            client: client.clone(),
            discovery: discovery.clone(),
            store: store.clone(),
            scope: scope.clone(),
            label_selector,
            lists: lists.clone(),
        };
        let objects = self.objects.values();
        let objects = objects.flat_map(|(store, scopes)| scopes.iter().map(move |scope| watch(store, scope, None)));
        let children = self.children.values().flat_map(|Children { store, scopes, label_selector }| {
            scopes.iter().map(move |scope| watch(store, scope, Some(label_selector.clone())))
        });
        objects.chain(children).collect()
    }
}
