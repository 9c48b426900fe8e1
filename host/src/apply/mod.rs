//! The writes of an event, in order: finalizer, children, patches, prunes, status, record.
//!
//! Guarantees: nothing is sent unless all of it is allowed (`operon_core::plan`); a child is written only where it is ours;
//! every write to the handled object carries its uid; the record comes last, so whatever goes wrong before it repeats the
//! event. Each answer of the API server goes into the store at once, see [`crate::watch::Store::wrote`].

mod children;
mod error;
mod patches;
mod record;
mod status;

use std::{collections::HashMap, sync::Arc};

pub use children::Pruned;
pub use error::{ApplyError, To};
use kube::{
    Client,
    api::{Patch, PatchParams},
};
use operon_core::{
    kind::Kind,
    names::PluginIdentity,
    object::{Object, ObjectKey},
    plan::Owner,
    resource::ResourceName,
};
use serde_json::{Value, json};

use crate::{
    cluster::{Wire, api},
    watch::{Made, Store, owner_tag},
};

/// Writes for one plugin.
#[derive(Clone)]
pub struct Writer {
    /// As who.
    pub client: Client,
    /// For which plugin.
    pub plugin: PluginIdentity,
    /// The children of the kinds that the plugin owns.
    pub children: HashMap<ResourceName, Arc<Store>>,
    /// The API server only says what would be.
    pub dry_run: bool,
}

/// The object whose event is handled, as it was when the event began.
#[derive(Clone)]
pub struct Handled {
    /// What it is.
    pub kind: Arc<Kind>,
    /// How it looked.
    pub object: Arc<Object>,
    /// Where its newest version goes.
    pub store: Arc<Store>,
}

impl Handled {
    /// As the owner of its children.
    pub fn owner<'a>(&'a self, plugin: &'a PluginIdentity) -> Owner<'a> {
        Owner { plugin, kind: &self.kind, key: &self.object.key, uid: &self.object.uid }
    }

    /// The body of an apply that touches nothing: type, name and the uid that makes it fail where the object is another.
    fn body(&self) -> Value {
        let Object { key, uid, .. } = &*self.object;
        let mut metadata = json!({ "name": &*key.name, "uid": &**uid });
        if let Some(namespace) = &key.namespace {
            metadata["namespace"] = (&**namespace).into();
        }
        json!({ "apiVersion": self.kind.api_version(), "kind": self.kind.kind, "metadata": metadata })
    }

    /// Whose write it is that goes there.
    fn to(&self, key: &ObjectKey) -> To {
        let beside = key.namespace.is_some() && key.namespace == self.object.key.namespace;
        if beside { To::Beside } else { To::Elsewhere }
    }

    /// Takes the API server's answer to a write of it. The next look at the object costs nothing and tells whether there is anything to do,
    /// so it is had rather once too often.
    fn wrote(&self, wire: &Wire) {
        if let Ok(object) = wire.decode(&self.kind) {
            self.store.wrote(object, Made::ByAnybody);
        }
    }

    /// The same where the write was the end of the object, if nobody else keeps it: then it is answered with what it was before.
    fn let_go(&self, wire: &Wire) {
        match wire.decode(&self.kind) {
            Ok(object) if object.deleting && object.head().finalizers.is_empty() => {
                self.store.deleted(&object.key, &object.uid);
            }
            Ok(object) => self.store.wrote(object, Made::ByAnybody),
            Err(_) => {}
        }
    }
}

impl Writer {
    /// The children that this plugin made for the object, as they were seen last.
    pub fn children_of(&self, object: &Object) -> Vec<(Arc<Kind>, Arc<Object>)> {
        let tag = owner_tag(&self.plugin.label, &object.uid);
        let of_store = |store: &Arc<Store>| {
            let kind = store.kind();
            let children = store.children_of(&tag);
            kind.into_iter().flat_map(move |kind| children.clone().into_iter().map(move |child| (kind.clone(), child)))
        };
        self.children.values().flat_map(of_store).collect()
    }

    /// The same, but the API server only says what would be.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        Self { dry_run: true, ..self.clone() }
    }

    /// Server-side apply with force: what the plugin says of a field is so.
    async fn apply(&self, kind: &Kind, key: &ObjectKey, manager: &str, part: Part, body: &Value) -> kube::Result<Wire> {
        let api = api(&self.client, kind, key.namespace.as_deref());
        let params = PatchParams { dry_run: self.dry_run, ..PatchParams::apply(manager).force() };
        match part {
            Part::Whole => api.patch(&key.name, &params, &Patch::Apply(body)).await,
            Part::Status => api.patch_status(&key.name, &params, &Patch::Apply(body)).await,
        }
    }
}

/// What of an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Status,
}
