//! Keeps the newest good version of a plugin in place: what its source holds is loaded, tried, and only then put into the slot.
//!
//! If any step fails, the version that was running goes on, and why is told in the log and on the ConfigMap.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use operon_core::{
    digest::Digest,
    standing::{Standing, Trouble, is_too_much},
};
use tokio::time::{Instant, sleep_until};

use super::{
    Plugin,
    loader::{LoadError, Loader},
    slot::Slot,
    source::{self, Component, Fetched},
};
use crate::{
    delay::{backoff, jittered},
    events::Events,
    handle::{Handler, Rehearsal},
    state::known::{Known, restored},
};

/// Delay before a version that could not be loaded for a moment is loaded again; it doubles, up to the second.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_LIMIT: Duration = Duration::from_mins(1);

/// What a hold for too many deletions is called: the one that a person can end.
const WOULD_PRUNE: &str = "WouldPrune";

fn not_loaded(error: &LoadError) -> Trouble {
    Trouble { reason: "NotLoaded".into(), message: error.to_string() }
}

/// Keeps one plugin up to date.
pub struct Keeper {
    /// Of the plugin.
    pub loader: Loader,
    /// Knows the plugin's objects.
    pub handler: Arc<Handler>,
    /// For what a person should see.
    pub events: Events,
    /// How the plugin was when a host ran last, and what a person asks.
    pub known: Known,
}

/// What the keeper remembers.
#[derive(Default)]
struct Memory {
    /// What was loaded last, whether it was good or not.
    tried: Option<Digest>,
    /// Where the plugin comes from, for Events.
    reference: Option<ObjectReference>,
    /// Holds of which was told.
    told: BTreeSet<Digest>,
    /// What could not be loaded for a moment.
    again: Option<Again>,
}

/// A version that is to be loaded again.
struct Again {
    component: Component,
    failures: u32,
    at: Instant,
}

impl Memory {
    /// Until something is to be loaded again; for ever where nothing is.
    async fn due(&self) {
        match &self.again {
            Some(again) => sleep_until(again.at).await,
            None => std::future::pending().await,
        }
    }
}

impl Keeper {
    /// Runs as long as the host.
    pub async fn run(mut self, client: Client) {
        let mut memory = Memory::default();
        if let Some(left) = self.known.left(&self.handler.writer.plugin.label).await {
            let (held, last_good) = restored(&left);
            memory.told.extend(held.keys().cloned());
            self.slot().change(|standing| *standing = Standing::restored(held, last_good));
        }
        let mut approved = self.approved();
        let Loader { config, .. } = &self.loader;
        let (source, pin) = (config.source.clone(), config.digest.clone());
        let mut fetches = source::watch(&client, &source, pin.as_ref());
        let mut standing = self.slot().subscribe();
        loop {
            tokio::select! {
                fetched = fetches.next() => match fetched {
                    Some(fetched) => self.take(&mut memory, fetched).await,
                    None => return,
                },
                () = self.known.changed() => {
                    let now = self.approved();
                    if now != approved {
                        // What was held may run now: it is fetched again, and comes from the cache.
                        approved = now;
                        memory.tried = None;
                        fetches = source::watch(&client, &source, pin.as_ref());
                    }
                }
                Ok(()) = standing.changed() => self.tell_holds(&mut memory),
                () = memory.due() => if let Some(Again { component, failures, .. }) = memory.again.take() {
                    self.load(&mut memory, component, failures + 1).await;
                },
            }
        }
    }

    fn slot(&self) -> &Slot {
        &self.handler.slot
    }

    /// What the source holds now.
    async fn take(&self, memory: &mut Memory, fetched: Fetched) {
        memory.reference = fetched.reference;
        memory.again = None;
        self.slot().change(|standing| {
            // What was wrong was wrong with another one.
            standing.trouble.take_if(|_| standing.wanted != fetched.wanted);
            standing.wanted = fetched.wanted;
        });
        let component = match fetched.bytes {
            Ok(component) => component,
            Err(error) => {
                memory.tried = None;
                return self.refuse(memory, not_loaded(&error.into())).await;
            }
        };
        let digest = component.digest.clone();
        if self.slot().with(|standing| standing.digest() == Some(&digest)) {
            memory.tried = Some(digest);
            return self.slot().change(|standing| standing.trouble = None);
        }
        if memory.tried.as_ref() == Some(&digest) {
            return;
        }
        memory.tried = Some(digest.clone());
        match self.held(&digest) {
            Some(why) => self.refuse(memory, why).await,
            None => self.load(memory, component, 0).await,
        }
    }

    /// Loads it, and if it is good, tries it out.
    async fn load(&self, memory: &mut Memory, component: Component, failures: u32) {
        let (name, digest, size) = (&self.loader.config.name, component.digest.short(), component.size);
        tracing::info!(plugin = %name, digest, size, "loading the plugin");
        self.slot().change(|standing| standing.trouble = None);
        match self.loader.load(&component).await {
            Ok(plugin) => self.try_out(memory, plugin).await,
            Err(error) => {
                if error.may_pass() {
                    let at = Instant::now() + jittered(backoff(AGAIN, failures, AGAIN_LIMIT));
                    memory.again = Some(Again { component, failures, at });
                }
                self.refuse(memory, not_loaded(&error)).await;
            }
        }
    }

    /// Why it is not to be run; a person may have ended that.
    fn held(&self, digest: &Digest) -> Option<Trouble> {
        let why = self.slot().with(|standing| standing.held().get(digest).map(|hold| hold.why.clone()))?;
        if why.reason == WOULD_PRUNE && self.is_approved(digest) {
            self.slot().change(|standing| standing.free(digest));
            return None;
        }
        Some(why)
    }

    /// Digests of versions that a person lets run although they would delete many children.
    fn approved(&self) -> BTreeSet<String> {
        self.known.approved(&self.handler.writer.plugin.label)
    }

    /// So is the one that the config asks for by its digest.
    fn is_approved(&self, digest: &Digest) -> bool {
        self.loader.config.digest.as_ref() == Some(digest) || self.approved().contains(digest.as_str())
    }

    /// Calls it for all objects, carries nothing out, and puts it in place if it does no harm.
    async fn try_out(&self, memory: &mut Memory, plugin: Plugin) {
        let (name, version, digest) = (plugin.name.clone(), plugin.version.clone(), plugin.digest.clone());
        let rehearsal = self.handler.rehearse(&plugin).await;
        let Rehearsal { calls, pruned, children, .. } = rehearsal;
        if let Some(why) = self.objection(&digest, &rehearsal) {
            self.slot().hold(digest, why);
            self.tell_holds(memory);
            return self.bring_back().await;
        }
        let digest = digest.short();
        self.slot().put(plugin);
        tracing::info!(plugin = %name, version, digest, calls, pruned, children, "the plugin is in place");
    }

    /// Why a version is not put in place after it was tried.
    fn objection(&self, digest: &Digest, rehearsal: &Rehearsal) -> Option<Trouble> {
        let Rehearsal { crash, pruned, named, children, .. } = rehearsal;
        // Where no other version runs, its crashes harm nobody else, and objects that don't crash it are handled.
        if let Some(crash) = crash.as_ref().filter(|_| self.slot().with(|standing| standing.running().is_some())) {
            let message = format!("it was tried with the objects that there are, before it was put in place: {crash}");
            return Some(Trouble { reason: "Crashed".into(), message });
        }
        if !is_too_much(*pruned, *children) || self.is_approved(digest) {
            return None;
        }
        let (plugin, named) = (&self.handler.writer.plugin, named.join(", "));
        let message = format!(
            "it would delete {pruned} of the plugin's {children} children, such as {named}; \
             to let it: operon approve {} --host {} --digest {digest}",
            plugin.plugin, plugin.host
        );
        Some(Trouble { reason: WOULD_PRUNE.into(), message })
    }

    /// What the source holds is not run: says why, and what goes on, in the log and on the ConfigMap.
    async fn refuse(&self, memory: &Memory, trouble: Trouble) {
        self.bring_back().await;
        self.tell(memory, "PluginNotLoaded", "is not loaded", &trouble.message);
        self.slot().refuse(trouble);
    }

    /// After a restart nothing runs yet: then the last version that was good does, if its code is still there.
    async fn bring_back(&self) {
        let last_good = self.slot().with(|standing| match standing.running() {
            None => standing.last_good().cloned(),
            Some(_) => None,
        });
        let Some(digest) = last_good else { return };
        let name = &self.loader.config.name;
        match self.loader.load_again(&digest).await {
            Ok(Some(plugin)) => {
                let (version, digest) = (plugin.version.clone(), digest.short());
                self.slot().change(|standing| standing.put(plugin.digest.clone(), Arc::new(plugin), SystemTime::now()));
                tracing::info!(plugin = %name, version, digest, "the last good version of the plugin is in place");
            }
            Ok(None) => {
                tracing::warn!(plugin = %name, digest = digest.short(), "the last good version is not in the cache");
            }
            Err(error) => {
                tracing::warn!(plugin = %name, digest = digest.short(), "the last good version can't be loaded: {error}");
            }
        }
    }

    /// Tells of versions that are held since it was last told.
    fn tell_holds(&self, memory: &mut Memory) {
        let held = self.slot().with(|standing| standing.held().clone());
        memory.told.retain(|digest| held.contains_key(digest));
        for (digest, hold) in held {
            if memory.told.insert(digest.clone()) {
                let what = format!("version {} is held, reason {}", digest.short(), hold.why.reason);
                self.tell(memory, "PluginHeld", &what, &hold.why.message);
            }
        }
    }

    fn tell(&self, memory: &Memory, reason: &str, what: &str, why: &str) {
        let (name, source) = (&self.loader.config.name, &self.loader.config.source);
        let running = self.slot().with(|standing| standing.digest().map(|digest| digest.short().to_owned()));
        let instead = match running {
            Some(digest) => format!("version {digest} goes on"),
            None => "no version of it runs yet, its events wait".to_owned(),
        };
        tracing::warn!(plugin = %name, %source, reason, "the plugin {what}: {why}; {instead}");
        if let Some(configmap) = &memory.reference {
            let note = format!("plugin {name} {what}: {why}; {instead}");
            self.events.warn(configmap, reason, &note);
        }
    }
}
