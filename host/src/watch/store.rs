//! What the host knows of a resource: its objects as they were seen last, and who wants to hear of changes.
//!
//! Two things feed it, and each may be ahead of the other: the watches, and the answers to the host's own writes. So a
//! write is visible to the next decision at once, without a wait for the watch to bring it back, and when a watch shows the
//! very version that a write made, that is no change, if it is certain that the write made it. What somebody else changed just
//! before it is one, though the store has the newer version already. Versions are ordered by their resourceVersion.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use operon_core::{
    kind::Kind,
    names::{OWNER_LABEL, PLUGIN_LABEL},
    object::{Object, ObjectKey, ResourceVersion},
    resource::ResourceName,
};
use tokio::sync::{mpsc::UnboundedSender, watch};

use super::{
    Scope,
    flight::{Flight, Flights, Mark},
};

/// Something happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it is.
    pub key: ObjectKey,
    /// Whose child it is, by our labels: see [`owner_tag`].
    pub owner: Option<Box<str>>,
    /// It was there when the host started.
    pub initial: bool,
}

/// Who has made the version that a write of ours was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The write, and nobody else has changed the object since the version that was known before.
    ByUs,
    /// That can't be told: a write that changes nothing, such as one that is repeated after its answer was lost, is answered with
    /// the version that is there, which may be news.
    ByAnybody,
}

/// Hears of every change; returns false when it no longer listens.
type Listener = Box<dyn Fn(&Change) -> bool + Send + Sync>;

/// The objects of one resource.
pub struct Store {
    /// Which.
    pub resource: ResourceName,
    state: RwLock<State>,
    synced: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    kind: Option<Arc<Kind>>,
    objects: HashMap<ObjectKey, Arc<Object>>,
    by_uid: HashMap<Box<str>, ObjectKey>,
    children: HashMap<Box<str>, BTreeSet<ObjectKey>>,
    /// For each watch the newest version that it has shown, and, during a list, the keys not yet shown.
    watches: HashMap<Scope, Progress>,
    /// Versions that our own writes were answered with and no watch has shown yet.
    answers: HashMap<ResourceVersion, Made>,
    /// Uids of objects that a write of ours has ended, and no watch has shown to be gone yet.
    ended: HashSet<Box<str>>,
    flights: Flights,
    listeners: Vec<Listener>,
}

#[derive(Default)]
struct Progress {
    newest: ResourceVersion,
    listing: Option<HashSet<ObjectKey>>,
    listed: bool,
}

impl Store {
    /// Empty, fed by watches of these scopes.
    pub fn new(resource: ResourceName, scopes: impl IntoIterator<Item = Scope>) -> Self {
        let watches = scopes.into_iter().map(|scope| (scope, Progress::default())).collect();
        let state = State { watches, ..State::default() };
        Self { resource, state: RwLock::new(state), synced: watch::Sender::new(false) }
    }

    /// Sends what `to_signal` makes of each change from now on.
    pub fn subscribe<S: Send + 'static>(
        &self,
        sender: UnboundedSender<S>,
        to_signal: impl Fn(&Change) -> S + Send + Sync + 'static,
    ) {
        self.write(|state| state.listeners.push(Box::new(move |change| sender.send(to_signal(change)).is_ok())));
    }

    /// Waits until every watch has listed what is there.
    pub async fn synced(&self) {
        // The sender lives as long as the store, so this ends with true.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// What the resource is, once the API server serves it.
    pub fn kind(&self) -> Option<Arc<Kind>> {
        self.read(|state| state.kind.clone())
    }

    /// The API server serves it as this.
    pub fn set_kind(&self, kind: Arc<Kind>) {
        self.write(|state| state.kind = Some(kind));
    }

    /// An object as it was seen last.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.read(|state| state.objects.get(key).cloned())
    }

    /// Where the object of this uid is.
    pub fn key_of(&self, uid: &str) -> Option<ObjectKey> {
        self.read(|state| state.by_uid.get(uid).cloned())
    }

    /// Everything that carries our labels for this owner, in the order of their names.
    pub fn children_of(&self, tag: &str) -> Vec<Arc<Object>> {
        self.read(|state| {
            let keys = state.children.get(tag).into_iter().flatten();
            keys.filter_map(|key| state.objects.get(key).cloned()).collect()
        })
    }

    /// Everything there is.
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.read(|state| state.objects.keys().cloned().collect())
    }

    /// A watch begins to list.
    pub fn list_begins(&self, scope: &Scope) {
        self.write(|state| {
            let State { objects, watches, .. } = state;
            let here = objects.keys().filter(|key| scope.covers(key)).cloned().collect();
            watches.entry(scope.clone()).or_default().listing = Some(here);
        });
    }

    /// A watch has listed all there is: what it has not shown is gone.
    pub fn list_ends(&self, scope: &Scope) {
        let all = self.write(|state| {
            let progress = state.watches.entry(scope.clone()).or_default();
            progress.listed = true;
            let (newest, not_shown) = (progress.newest, progress.listing.take().unwrap_or_default());
            for key in not_shown {
                state.remove(&key);
            }
            state.answers.retain(|version, _| !newest.at_least(*version));
            state.ended.clear();
            state.watches.values().all(|progress| progress.listed)
        });
        if all {
            self.synced.send_replace(true);
        }
    }

    /// The resource is no longer served: all its objects are gone with it.
    pub fn clear(&self, scope: &Scope) {
        self.list_begins(scope);
        self.list_ends(scope);
    }

    /// A watch shows an object.
    pub fn shown(&self, scope: &Scope, object: Object) {
        self.write(|state| {
            let version = object.resource_version;
            let made = state.answers.remove(&version);
            let progress = state.watches.entry(scope.clone()).or_default();
            progress.newest = progress.newest.max(version);
            let (initial, listing) = (!progress.listed, progress.listing.is_some());
            if let Some(keys) = &mut progress.listing {
                keys.remove(&object.key);
            }
            // What was before its end comes late.
            if state.ended.contains(&object.uid) {
                return;
            }
            let known = state.objects.get(&object.key).filter(|known| known.uid == object.uid);
            let known = known.map(|known| known.resource_version);
            let newer = !known.is_some_and(|known| known.at_least(object.resource_version));
            // A list shows the last version only: what came before a write of ours is hidden in it.
            let news = match made {
                Some(Made::ByUs) => listing,
                Some(Made::ByAnybody) => true,
                None => newer || known != Some(object.resource_version),
            };
            let key = object.key.clone();
            let owner = if newer { state.insert(object) } else { owner_of(&object) };
            if news {
                state.tell_unless_ours(Mark::Shown(version), Change { key, owner, initial });
            }
        });
    }

    /// A watch shows that an object is gone.
    pub fn gone(&self, scope: &Scope, object: &Object) {
        self.write(|state| {
            let progress = state.watches.entry(scope.clone()).or_default();
            progress.newest = progress.newest.max(object.resource_version);
            state.ended.remove(&object.uid);
            if state.is(&object.key, &object.uid)
                && let Some(change) = state.remove_quietly(&object.key)
            {
                state.tell_unless_ours(Mark::Gone(object.uid.clone()), change);
            }
        });
    }

    /// A write of ours to this object begins: what a watch shows of it is held back until the write has been answered.
    pub fn writing(self: &Arc<Self>, key: &ObjectKey) -> Flight {
        self.write(|state| state.flights.begin(key));
        Flight { store: self.clone(), key: key.clone() }
    }

    pub(super) fn landed(&self, key: &ObjectKey) {
        self.write(|state| {
            if let Some(change) = state.flights.end(key) {
                state.tell(&change);
            }
        });
    }

    /// The API server answered a write with this.
    ///
    /// Where the watch is already past that version, it knows better: the object may have changed again, or be gone.
    pub fn wrote(&self, object: Object, made: Made) {
        self.write(|state| {
            let version = object.resource_version;
            if made == Made::ByUs {
                state.flights.is_ours(&object.key, &Mark::Shown(version));
            }
            let mut watches = state.watches.iter().filter(|(scope, _)| scope.covers(&object.key));
            let Some((_, progress)) = watches.next() else { return };
            if !progress.newest.at_least(version) {
                state.answers.insert(version, made);
                state.insert(object);
            }
        });
    }

    /// The API server answered a delete of ours: the object of this uid is gone.
    pub fn deleted(&self, key: &ObjectKey, uid: &str) {
        self.write(|state| {
            state.flights.is_ours(key, &Mark::Gone(uid.into()));
            if state.is(key, uid) {
                state.remove_quietly(key);
                state.ended.insert(uid.into());
            }
        });
    }

    fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Returns its owner.
    fn insert(&mut self, object: Object) -> Option<Box<str>> {
        let owner = owner_of(&object);
        if let Some(former) = self.objects.get(&object.key).cloned() {
            self.forget(&former);
        }
        self.by_uid.insert(object.uid.clone(), object.key.clone());
        if let Some(owner) = &owner {
            self.children.entry(owner.clone()).or_default().insert(object.key.clone());
        }
        self.objects.insert(object.key.clone(), Arc::new(object));
        owner
    }

    fn is(&self, key: &ObjectKey, uid: &str) -> bool {
        self.objects.get(key).is_some_and(|known| *known.uid == *uid)
    }

    fn remove(&mut self, key: &ObjectKey) {
        if let Some(change) = self.remove_quietly(key) {
            self.tell(&change);
        }
    }

    fn remove_quietly(&mut self, key: &ObjectKey) -> Option<Change> {
        let object = self.objects.remove(key)?;
        let owner = self.forget(&object);
        Some(Change { key: key.clone(), owner, initial: false })
    }

    /// Takes an object out of the indexes; returns its owner.
    fn forget(&mut self, object: &Object) -> Option<Box<str>> {
        self.by_uid.remove(&object.uid);
        let owner = owner_of(object);
        if let Some(owner) = &owner
            && let Some(keys) = self.children.get_mut(owner)
        {
            keys.remove(&object.key);
            if keys.is_empty() {
                self.children.remove(owner);
            }
        }
        owner
    }

    fn tell_unless_ours(&mut self, mark: Mark, change: Change) {
        if let Some(change) = self.flights.hold(mark, change) {
            self.tell(&change);
        }
    }

    fn tell(&mut self, change: &Change) {
        self.listeners.retain(|listener| listener(change));
    }
}

/// What a child's owner is known by: the plugin's label and the object's uid.
pub fn owner_tag(plugin_label: &str, uid: &str) -> String {
    format!("{plugin_label}/{uid}")
}

/// The labels can only be there where their name is: most objects are no children and need no parsing.
fn owner_of(object: &Object) -> Option<Box<str>> {
    if !object.text().contains(OWNER_LABEL) {
        return None;
    }
    let labels = object.head().labels;
    Some(owner_tag(labels.get(PLUGIN_LABEL)?, labels.get(OWNER_LABEL)?).into())
}

#[cfg(test)]
mod tests;
