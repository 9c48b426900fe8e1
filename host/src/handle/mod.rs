//! One event from its decision to its record: `mod` decides, `carry` calls and writes, `report` tells how it went.

mod carry;
mod report;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use operon_core::{
    cause::Cause,
    children::Children,
    config::{PluginConfig, WatchConfig},
    decide::{Decision, Hints, Situation, Subject, decide},
    digest::Digest,
    essence::Essence,
    names::PAUSED,
    object::{Head, ObjectKey},
    record::{HandledBy, Outcome as Recorded, Record},
};

use crate::{
    apply::{Handled, Writer},
    cluster::discovery::Discovery,
    dispatch::{Key, guard::Guard},
    events::Events,
    plugin::Plugin,
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
    subject: Subject,
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
        let Some(watched) = self.watches.get(key.0) else { return Outcome::GONE };
        let Watched { config: watch, store, .. } = watched;
        let (Some(object), Some(kind)) = (store.get(&key.1), store.kind()) else { return Outcome::GONE };
        let head = object.head();
        let annotation = head.annotations.get(&self.writer.plugin.record_annotation());
        let record = annotation.and_then(|text| Record::read(text, &object.uid));
        self.tell_unobserved(record.as_ref());
        let essence = Essence::of(&object, &watch.ignore);
        let by = HandledBy { plugin: plugin.digest.clone(), settings: Digest::of(&self.settings) };
        let handled = Handled { kind, object, store: store.clone() };
        let children_differ = |record: &Record| self.children(&handled) != record.children.within(&self.config.owns);
        let situation = Situation {
            deleting: handled.object.deleting,
            finalizer: head.finalizers.contains(&self.writer.plugin.finalizer()),
            selected: watched.selects(&handled.object.key, &head),
            paused: head.annotations.get(PAUSED).is_some_and(|value| value != "false"),
            children_differ: hints.resumed && record.as_ref().is_some_and(children_differ),
            essence: &essence,
            record: record.as_ref(),
            by: &by,
            on: &watch.on,
            hints,
        };
        let (decision, subject) = (decide(&situation), Subject::of(&handled.object.uid, &situation));
        if decision != Decision::Nothing && held == Some(&subject) {
            return Outcome::Wait;
        }
        let case = Case { plugin, watch, key, handled, head, essence, record, by, subject, attempt };
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
                let hold = watch.on.contains(&Cause::Deleted) || self.holds(&case);
                let noted = self.record(&case, hold, self.new_record(&case, Recorded::Done)).await;
                self.ended(&case, "noted", noted.map(|()| None)).await
            }
            Decision::Release => {
                let released = self.release(&case).await;
                self.ended(&case, "released", released.map(|()| None)).await
            }
        }
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
