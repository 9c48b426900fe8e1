//! One event from its decision to its record: `mod` decides, `carry` calls and writes, `report` tells how it went.

mod carry;
mod failing;
mod rehearse;
mod report;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use operon_core::{
    children::Children,
    config::{PluginConfig, WatchConfig},
    decide::{Decision, Hints, Situation, Subject, decide},
    digest::Digest,
    essence::Essence,
    names::PAUSED,
    object::{Head, ObjectKey},
    record::{HandledBy, Outcome as Recorded, Record},
};

pub use failing::Failing;
pub use rehearse::Rehearsal;

use crate::{
    apply::{Handled, Writer},
    cluster::discovery::Discovery,
    dispatch::{Key, guard::Guard},
    events::Events,
    plugin::{Plugin, slot::Slot},
    watch::Store,
};

/// Handles the events of one plugin.
pub struct Handler {
    /// Its entry of the config.
    pub config: PluginConfig,
    /// Its settings, canonical JSON.
    pub settings: String,
    /// What it watches, in the order of the config.
    pub watches: Vec<Watched>,
    /// Its writes.
    pub writer: Writer,
    /// To find the kinds of what it writes.
    pub discovery: Discovery,
    /// For what a person should see.
    pub events: Events,
    /// Against loops.
    pub guard: Mutex<Guard<Key>>,
    /// Resources of children that are no longer observed, of which the log has told.
    pub unobserved: Mutex<BTreeSet<String>>,
    /// Where its versions are put in place.
    pub slot: Arc<Slot>,
    /// Objects whose last call failed.
    pub failing: Mutex<Failing>,
}

/// An entry of `watch`, and the objects that it is about.
pub struct Watched {
    /// The entry.
    pub config: WatchConfig,
    /// All objects of the resource, more than the entry may select.
    pub store: Arc<Store>,
    /// All namespaces, where they are selected by their labels.
    pub namespaces: Option<Arc<Store>>,
}

/// How it went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// There was nothing to do; the recorded interval, where there is one.
    Nothing {
        /// The interval.
        requeue_after: Option<Duration>,
    },
    /// There may be something to do, but not now: it is paused, or its time has not come.
    Wait,
    /// Handled and recorded.
    Done {
        /// When the plugin wants to be called again.
        requeue_after: Option<Duration>,
    },
    /// Handled and recorded, but the plugin's own writes call it again and again.
    Loop {
        /// How many calls there were beyond what is allowed.
        excess: u32,
        /// What the calls are about.
        subject: Subject,
    },
    /// Not handled: again.
    Retry {
        /// When; none: by backoff.
        after: Option<Duration>,
        /// It waits for a person rather than for a moment.
        slow: bool,
        /// What failed; none: whatever it is.
        subject: Option<Subject>,
    },
}

impl Outcome {
    const GONE: Self = Self::Done { requeue_after: None };
}

/// An event under way.
struct Case<'a> {
    plugin: &'a Plugin,
    watch: &'a WatchConfig,
    key: &'a Key,
    handled: Handled,
    head: Head,
    essence: Essence,
    record: Option<Record>,
    by: HandledBy,
    attempt: u32,
}

impl Handler {
    /// Waits until all is known that decisions rest on beside the objects.
    ///
    /// Without knowing the children that are there, none can be pruned, and each would be taken for somebody else's.
    pub async fn synced(&self) {
        let namespaces = self.watches.iter().filter_map(|watched| watched.namespaces.as_ref());
        for store in self.writer.children.values().chain(namespaces) {
            store.synced().await;
        }
    }

    /// Handles what there is to handle for an object now. `held`: only if it is about something else than this.
    pub async fn handle(
        &self,
        plugin: &Plugin,
        key: &Key,
        hints: Hints,
        attempt: u32,
        held: Option<&Subject>,
    ) -> Outcome {
        let outcome = self.decide(plugin, key, hints, attempt, held).await;
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Outcome::Retry { .. } => failing.failed(key),
            Outcome::Wait => {}
            Outcome::Nothing { .. } | Outcome::Done { .. } | Outcome::Loop { .. } => failing.mended(key),
        }
        drop(failing);
        outcome
    }

    /// Objects that the plugin handles.
    pub fn objects(&self) -> usize {
        let of_watch = |watched: &Watched| {
            let keys = watched.store.keys().into_iter();
            keys.filter(|key| watched.store.get(key).is_some_and(|object| watched.selects(key, &object.head()))).count()
        };
        self.watches.iter().map(of_watch).sum()
    }

    /// Those of them whose last event could not be handled.
    pub fn errors(&self) -> usize {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).count()
    }

    async fn decide(&self, plugin: &Plugin, key: &Key, hints: Hints, attempt: u32, held: Option<&Subject>) -> Outcome {
        let Some(case) = self.case(plugin, key, attempt) else { return Outcome::GONE };
        self.tell_unobserved(case.record.as_ref());
        let decision = decide(&case.situation(self, hints));
        if decision != Decision::Nothing && held == Some(&case.subject(self)) {
            return Outcome::Wait;
        }
        match decision {
            Decision::Nothing => {
                let requeue_ms = case.record.as_ref().and_then(|record| record.requeue_ms);
                Outcome::Nothing { requeue_after: requeue_ms.map(Duration::from_millis) }
            }
            Decision::Pause => {
                tracing::debug!(plugin = %plugin.name, object = %case.handled.object.key, "paused");
                Outcome::Wait
            }
            Decision::Call(cause) => self.call(&case, cause).await,
            Decision::Note => {
                let noted = self.note(&case).await;
                self.ended(&case, "noted", noted.map(|()| None)).await
            }
            Decision::Release => {
                let released = self.release(&case).await;
                self.ended(&case, "released", released.map(|()| None)).await
            }
        }
    }

    /// An object as it is now; none where it is gone.
    fn case<'a>(&'a self, plugin: &'a Plugin, key: &'a Key, attempt: u32) -> Option<Case<'a>> {
        let Watched { config: watch, store, .. } = self.watches.get(key.0)?;
        let (object, kind) = (store.get(&key.1)?, store.kind()?);
        let head = object.head();
        let annotation = head.annotations.get(&self.writer.plugin.record_annotation());
        let record = annotation.and_then(|text| Record::read(text, &object.uid));
        let essence = Essence::of(&object, &watch.ignore);
        let by = HandledBy { plugin: plugin.digest.clone(), settings: Digest::of(&self.settings) };
        let handled = Handled { kind, object, store: store.clone() };
        Some(Case { plugin, watch, key, handled, head, essence, record, by, attempt })
    }

    /// The finalizer is on the object.
    fn holds(&self, case: &Case) -> bool {
        case.head.finalizers.contains(&self.writer.plugin.finalizer())
    }

    /// What this plugin made for the object, as it is now.
    fn children(&self, handled: &Handled) -> Children {
        let children = self.writer.children_of(&handled.object);
        Children::of(children.iter().map(|(kind, child)| (&kind.resource, &**child)))
    }

    fn new_record(&self, case: &Case, outcome: Recorded) -> Record {
        let Handled { kind, object, .. } = &case.handled;
        let new = Record::new(&object.uid, &kind.api_version(), &case.essence, kind.is_secret(), &case.by, outcome);
        Record { children: self.children(&case.handled), ..new }
    }
}

impl Watched {
    /// Selectors are evaluated here: one that the API server evaluates reports an object that leaves the selection as deleted.
    fn selects(&self, key: &ObjectKey, head: &Head) -> bool {
        let WatchConfig { namespaces, label_selector, .. } = &self.config;
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let named = namespaces.as_ref().is_none_or(|all| all.iter().any(|name| name.as_str() == namespace));
        named && self.selects_namespace(namespace) && label_selector.as_ref().is_none_or(|s| s.matches(&head.labels))
    }

    fn selects_namespace(&self, namespace: &str) -> bool {
        let Some(selector) = &self.config.namespace_selector else { return true };
        let key = ObjectKey { namespace: None, name: namespace.into() };
        let namespace = self.namespaces.as_ref().and_then(|namespaces| namespaces.get(&key));
        namespace.is_some_and(|namespace| selector.matches(&namespace.head().labels))
    }
}

impl Case<'_> {
    fn situation<'s>(&'s self, handler: &Handler, hints: Hints) -> Situation<'s> {
        let Self { watch, key, handled, head, essence, record, by, .. } = self;
        let children_differ =
            |record: &Record| handler.children(handled) != record.children.within(&handler.config.owns);
        let watched = handler.watches.get(key.0);
        Situation {
            deleting: handled.object.deleting,
            finalizer: handler.holds(self),
            selected: watched.is_some_and(|watched| watched.selects(&key.1, head)),
            paused: head.annotations.get(PAUSED).is_some_and(|value| value != "false"),
            children_differ: hints.resumed && record.as_ref().is_some_and(children_differ),
            essence,
            record: record.as_ref(),
            by,
            on: &watch.on,
            hints,
        }
    }

    /// What a call for it is about.
    fn subject(&self, handler: &Handler) -> Subject {
        Subject::of(&self.handled.object.uid, &self.situation(handler, Hints::default()))
    }

    fn reference(&self) -> ObjectReference {
        let Handled { kind, object, .. } = &self.handled;
        ObjectReference {
            api_version: Some(kind.api_version()),
            kind: Some(kind.kind.clone()),
            namespace: object.key.namespace.as_deref().map(Into::into),
            name: Some(object.key.name.to_string()),
            uid: Some(object.uid.to_string()),
            ..ObjectReference::default()
        }
    }
}
