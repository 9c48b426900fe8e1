//! Children: claimed, applied where they differ, pruned where they are no longer wanted.

use std::{collections::HashSet, sync::Arc};

use kube::api::{DeleteParams, Preconditions};
use operon_core::{
    claim::{Claim, claim},
    json::{changed_beyond, contains},
    kind::Kind,
    names::APPLIED,
    object::Object,
    plan::Child,
};

use super::{ApplyError, Handled, Part, Writer};
use crate::{
    cluster::{Wire, api},
    watch::Made,
};

/// In an apply this version means: only if nothing is there (tried on 1.36; `kubectl create` on top of an apply).
const NOTHING_THERE: &str = "1";

/// What became of children that are no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// One was deleted, or told to go.
    pub deleted: bool,
    /// None of them is left.
    pub gone: bool,
}

impl Pruned {
    /// There was none.
    pub const NOTHING: Self = Self { deleted: false, gone: true };
}

impl Writer {
    /// Makes all children so, in order; true where something had to be written.
    pub async fn apply_children(&self, handled: &Handled, children: &[Child]) -> Result<bool, ApplyError> {
        let mut wrote = false;
        for child in children {
            wrote |= self.apply_child(handled, child).await?;
        }
        Ok(wrote)
    }

    /// Deletes what this plugin made for the object and `keep` does not have.
    pub async fn prune(&self, handled: &Handled, keep: &[Child]) -> Result<Pruned, ApplyError> {
        let keep: HashSet<_> = keep.iter().map(|child| (&child.kind.resource, &child.key)).collect();
        self.delete_children(handled, |kind, child| !keep.contains(&(&kind.resource, &child.key))).await
    }

    /// Deletes the children that no garbage collector will: those that can't have an owner reference to the object.
    pub async fn prune_uncovered(&self, handled: &Handled) -> Result<Pruned, ApplyError> {
        let uid = &*handled.object.uid;
        let covered = |child: &Object| child.head().owner_references.iter().any(|owner| owner.uid == *uid);
        self.delete_children(handled, |_, child| !covered(child)).await
    }

    async fn delete_children(
        &self,
        handled: &Handled,
        superfluous: impl Fn(&Kind, &Object) -> bool,
    ) -> Result<Pruned, ApplyError> {
        let mut pruned = Pruned::NOTHING;
        for (kind, child) in self.children_of(&handled.object) {
            if superfluous(&kind, &child) {
                pruned.deleted |= !child.deleting;
                pruned.gone &= self.delete_child(handled, &kind, &child).await?;
            }
        }
        Ok(pruned)
    }

    async fn apply_child(&self, handled: &Handled, child: &Child) -> Result<bool, ApplyError> {
        let store = self.children.get(&child.kind.resource);
        let known = store.and_then(|store| store.get(&child.key));
        if let Some(known) = &known
            && self.is_as_applied(handled, known, child)
        {
            return Ok(false);
        }
        let _under_way = store.map(|store| store.writing(&child.key));
        let (written, before) = match known {
            Some(known) => {
                self.check_claim(handled, child, &known)?;
                if known.deleting {
                    // It can't be made again before it is gone; its end is a change that calls again.
                    return Ok(false);
                }
                (self.write_child(handled, child, Some(&known)).await, Some(known))
            }
            None => match self.write_child(handled, child, None).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    let live = Arc::new(self.found(handled, child).await?);
                    (self.write_child(handled, child, Some(&live)).await, Some(live))
                }
                written => (written, None),
            },
        };
        let wire = written.map_err(|error| ApplyError::from_answer(&error, handled.to(&child.key), &child.place))?;
        if let (Some(store), Ok(object)) = (store.filter(|_| !self.dry_run), wire.decode(&child.kind)) {
            let beyond = before.is_some_and(|before| changed_beyond(&before.tree(), &object.tree(), &child.body));
            store.wrote(object, if beyond { Made::ByAnybody } else { Made::ByUs });
        }
        Ok(true)
    }

    /// Something of that name is there, which the store, that knows only what plugins made, has not: it may be taken.
    async fn found(&self, handled: &Handled, child: &Child) -> Result<Object, ApplyError> {
        let api = api(&self.client, &child.kind, child.key.namespace.as_deref());
        let live = api.get_opt(&child.key.name).await;
        let live = live.map_err(|error| ApplyError::from_answer(&error, handled.to(&child.key), &child.place))?;
        let Some(live) = live.and_then(|wire| wire.decode(&child.kind).ok()) else {
            let message = format!("{}: it went while it was applied", child.place);
            return Err(ApplyError::Unavailable { message, retry_after: None });
        };
        self.check_claim(handled, child, &live)?;
        if live.deleting {
            let message = format!("{}: it is being deleted", child.place);
            return Err(ApplyError::Unavailable { message, retry_after: None });
        }
        Ok(live)
    }

    /// Refuses what is somebody else's, naming whose it is.
    fn check_claim(&self, handled: &Handled, child: &Child, live: &Object) -> Result<(), ApplyError> {
        match claim(&live.head(), &self.plugin, &handled.object.uid) {
            Claim::Ours | Claim::Adopted => Ok(()),
            Claim::Theirs(whose) => {
                Err(ApplyError::Refused(format!("{}: it is there already and not ours: {whose}", child.place)))
            }
        }
    }

    /// Applies it to what is there, and to nothing else; or only if nothing is there.
    async fn write_child(&self, handled: &Handled, child: &Child, live: Option<&Object>) -> kube::Result<Wire> {
        tracing::debug!(plugin = %self.plugin.plugin, object = %handled.object.key, "applying {}", child.place);
        let mut body = child.body.clone();
        match live {
            Some(live) => body["metadata"]["uid"] = (&*live.uid).into(),
            None => body["metadata"]["resourceVersion"] = NOTHING_THERE.into(),
        }
        self.apply(&child.kind, &child.key, &self.plugin.manager(), Part::Whole, &body).await
    }

    /// The live child carries the digest of this very body and all its fields: nothing has to be sent.
    fn is_as_applied(&self, handled: &Handled, known: &Object, child: &Child) -> bool {
        let head = known.head();
        !known.deleting
            && claim(&head, &self.plugin, &handled.object.uid) == Claim::Ours
            && head.annotations.get(APPLIED).map(String::as_str) == Some(child.applied.as_str())
            && contains(&known.tree(), &child.body)
    }

    /// True when it is gone; a child with a finalizer of somebody's takes its time.
    async fn delete_child(&self, handled: &Handled, kind: &Kind, child: &Object) -> Result<bool, ApplyError> {
        if child.deleting {
            return Ok(false);
        }
        let Object { key, uid, .. } = child;
        let store = self.children.get(&kind.resource).filter(|_| !self.dry_run);
        let params = DeleteParams {
            dry_run: self.dry_run,
            preconditions: Some(Preconditions { uid: Some(uid.to_string()), resource_version: None }),
            ..DeleteParams::background()
        };
        tracing::debug!(plugin = %self.plugin.plugin, kind = kind.kind, child = %key, "deleting a child");
        let _under_way = store.map(|store| store.writing(key));
        match api(&self.client, kind, key.namespace.as_deref()).delete(&key.name, &params).await {
            Ok(either) => {
                let remains = either.left().and_then(|wire| wire.decode(kind).ok()).filter(Self::is_kept);
                let gone = remains.is_none();
                match (store, remains) {
                    (Some(store), Some(object)) => store.wrote(object, Made::ByUs),
                    (Some(store), None) => store.deleted(key, uid),
                    (None, _) => {}
                }
                Ok(gone)
            }
            Err(error) => {
                // Gone before, or another of that name is there now: either way ours is not. Another conflict is none of that.
                let gone = match &error {
                    kube::Error::Api(status) if status.code == 404 => true,
                    kube::Error::Api(status) if status.code == 409 => {
                        let live = api(&self.client, kind, key.namespace.as_deref()).get_opt(&key.name).await;
                        live.is_ok_and(|live| {
                            live.is_none_or(|wire| wire.decode(kind).is_ok_and(|live| live.uid != *uid))
                        })
                    }
                    _ => false,
                };
                if gone {
                    if let Some(store) = store {
                        store.deleted(key, uid);
                    }
                    return Ok(true);
                }
                let what = format!("deleting the child {} {key}", kind.kind);
                Err(ApplyError::from_answer(&error, handled.to(key), what))
            }
        }
    }

    /// The API server answers a delete with the object where it can't go at once (finalizers, a Pod's time to end), and for custom
    /// resources also where it went.
    fn is_kept(object: &Object) -> bool {
        let tree = object.tree();
        let seconds = tree.pointer("/metadata/deletionGracePeriodSeconds").and_then(serde_json::Value::as_u64);
        object.deleting && (!object.head().finalizers.is_empty() || seconds.is_some_and(|seconds| seconds > 0))
    }
}
