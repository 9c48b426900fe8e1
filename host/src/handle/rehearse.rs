//! A version is tried before it is put in place: called with all objects as they are, its answers compared, nothing written.
//!
//! A handler is a function of its event, so this shows what the version will do. A version that would crash, or delete many of the
//! children that are there, is not put in place.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use operon_core::{
    answer::PatchSet,
    cause::Cause,
    decide::{Decision, Hints, decide},
    plan::Draft,
    record::Outcome as Recorded,
    standing::CALLS,
};
use tokio::time::timeout;
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use super::{Case, Handler};
use crate::{
    dispatch::Key,
    plugin::{CallError, Plugin},
};

/// What there is in the cluster is waited for no longer: a CRD that is missing would hold up a plugin that handles others as well.
const KNOWN: Duration = Duration::from_secs(10);
/// Children that a message names.
const NAMED: usize = 3;

/// What a version would do that does not run yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Calls that were made.
    pub calls: usize,
    /// The first crash, or broken limit, that is not the object's fault.
    pub crash: Option<String>,
    /// Children that it would delete.
    pub pruned: usize,
    /// Some of them.
    pub named: Vec<String>,
    /// All children that the plugin has.
    pub children: usize,
}

/// What is left to try, and what has come of it.
struct Trial {
    keys: Vec<Key>,
    rehearsal: Rehearsal,
}

impl Trial {
    fn next(&mut self) -> Option<Key> {
        self.rehearsal.crash.is_none().then(|| self.keys.pop()).flatten()
    }
}

impl Rehearsal {
    fn count(&mut self, tried: Tried) {
        self.calls += usize::from(!matches!(tried, Tried::NotCalled));
        match tried {
            Tried::NotCalled => {}
            Tried::Crashed(message) => self.crash = Some(message),
            Tried::Prunes(names) => {
                self.pruned += names.len();
                let room = NAMED.saturating_sub(self.named.len());
                self.named.extend(names.into_iter().take(room));
            }
        }
    }
}

impl Handler {
    /// Calls a version for all objects that another version handled last.
    pub async fn rehearse(&self, plugin: &Plugin) -> Rehearsal {
        let synced = async {
            self.synced().await;
            for watched in &self.watches {
                watched.store.synced().await;
            }
        };
        if timeout(KNOWN, synced).await.is_err() {
            tracing::debug!(plugin = %plugin.name, "the version is tried with the objects that are known so far");
        }
        let keys = self.watches.iter().enumerate().flat_map(|(place, watched)| {
            let keys = watched.store.keys().into_iter();
            keys.map(move |key| (place, key))
        });
        let trial = Mutex::new(Trial { keys: keys.collect(), rehearsal: Rehearsal::default() });
        // What the guest logs is logged when it counts.
        let callers = (0..CALLS).map(|_| self.try_all(plugin, &trial).with_subscriber(NoSubscriber::new()));
        join_all(callers).await;
        let Trial { rehearsal, .. } = trial.into_inner().unwrap_or_else(PoisonError::into_inner);
        Rehearsal { children: self.count_children(), ..rehearsal }
    }

    /// Takes one object after the other, until none is left or the version has crashed.
    async fn try_all(&self, plugin: &Plugin, trial: &Mutex<Trial>) {
        let locked = || trial.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = locked().next();
            let Some(key) = next else { return };
            let tried = self.try_out(plugin, &key).await;
            locked().rehearsal.count(tried);
        }
    }

    async fn try_out(&self, plugin: &Plugin, key: &Key) -> Tried {
        let Some(case) = self.case(plugin, key, 0) else { return Tried::NotCalled };
        let Some(cause) = self.cause(&case) else { return Tried::NotCalled };
        match plugin.handle(self.event(&case, cause)).await {
            Ok(set) => Tried::Prunes(self.would_prune(&case, &set).await),
            Err(error @ (CallError::Trap(_) | CallError::Limit(_))) if !self.has_crashed(key) => {
                Tried::Crashed(format!("{}: {error}", case.handled.object.key))
            }
            Err(_) => Tried::Prunes(Vec::new()),
        }
    }

    /// With what a version is called for an object that another handled; none where it is not.
    fn cause(&self, case: &Case) -> Option<Cause> {
        let situation = case.situation(self, Hints::default());
        match decide(&situation) {
            Decision::Call(Cause::Deleted) | Decision::Note | Decision::Release | Decision::Pause => None,
            Decision::Call(cause) => Some(cause),
            // It is not called before the object changes, but then it is.
            Decision::Nothing => {
                let record = case.record.as_ref().filter(|record| record.outcome == Recorded::Done);
                let by_another = record.is_some_and(|record| record.plugin != case.by.plugin);
                (by_another && situation.selected && !situation.deleting).then_some(Cause::Updated)
            }
        }
    }

    /// The children of the object that are not in the answer. An answer that can't be carried out prunes nothing.
    async fn would_prune(&self, case: &Case<'_>, set: &PatchSet) -> Vec<String> {
        let plan = match Draft::read(set) {
            Ok(draft) if set.children.is_some() => self.plan(case, draft).await.ok(),
            _ => None,
        };
        let Some(keep) = plan.and_then(|plan| plan.children) else { return Vec::new() };
        let keep: HashSet<_> = keep.iter().map(|child| (&child.kind.resource, &child.key)).collect();
        let children = self.writer.children_of(&case.handled.object).into_iter();
        let pruned = children.filter(|(kind, child)| !child.deleting && !keep.contains(&(&kind.resource, &child.key)));
        pruned.map(|(kind, child)| format!("{} {}", kind.kind, child.key)).collect()
    }

    fn count_children(&self) -> usize {
        let objects = self.watches.iter().flat_map(|watched| {
            let keys = watched.store.keys().into_iter();
            keys.filter_map(|key| watched.store.get(&key))
        });
        let children = objects.map(|object: Arc<_>| self.writer.children_of(&object).len());
        children.sum()
    }

    fn has_crashed(&self, key: &Key) -> bool {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).crashed(key)
    }
}

/// How a call went.
enum Tried {
    NotCalled,
    Crashed(String),
    /// These children would go.
    Prunes(Vec<String>),
}
