//! From a plugin's answer to the writes it stands for: read, resolve kinds, check, complete.
//!
//! [`Draft::read`] takes the guest's texts apart, the caller looks up the kinds that [`Draft::kinds`] names, and [`Draft::plan`]
//! checks every write against the policy before any of them is sent. Sending is `host::apply`'s.

mod build;
mod draft;

use std::{fmt, sync::Arc};

use serde_json::Value;

pub use build::{Kinds, Owner};
pub use draft::Draft;

use crate::{
    answer::{ObjectRef, Propagation},
    digest::Digest,
    kind::Kind,
    manifest::Invalid,
    object::ObjectKey,
    policy::Denied,
};

/// All writes of an answer, allowed and complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// All children that shall be; none: as they are.
    pub children: Option<Vec<Child>>,
    /// Other writes, in order.
    pub patches: Vec<Write>,
    /// The status; none: as it is.
    pub status: Option<Value>,
}

/// A child as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its place in the answer.
    pub place: Place,
    /// What it is.
    pub kind: Arc<Kind>,
    /// Where it is.
    pub key: ObjectKey,
    /// The body to apply: with labels, owner reference and the digest of itself.
    pub body: Value,
    /// The digest that the body carries.
    pub applied: Digest,
    /// An owner reference lets the garbage collector remove it after its owner; otherwise our finalizer has to.
    pub covered: bool,
}

/// A write beside the children.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Its place in the answer.
    pub place: Place,
    /// To what kind.
    pub kind: Arc<Kind>,
    /// To which object.
    pub key: ObjectKey,
    /// `status`, `scale`; none for the object itself.
    pub subresource: Option<String>,
    /// A target that is not there is no error.
    pub ignore_missing: bool,
    /// What is sent.
    pub action: Action,
}

/// The six kinds of patch.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Server-side apply.
    Apply(Value),
    /// POST; marked, so that a repeated call knows its own work.
    Create(Value),
    /// JSON merge patch.
    Merge(Value),
    /// JSON patch.
    Json(json_patch::Patch),
    /// Strategic merge patch.
    StrategicMerge(Value),
    /// DELETE.
    Delete(Propagation),
}

/// Where in an answer something stands: `children[0] (Deployment demo/demo-deploy)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    list: &'static str,
    index: Option<usize>,
    object: String,
}

impl Place {
    fn item(list: &'static str, index: usize) -> Self {
        Self { list, index: Some(index), object: String::new() }
    }

    fn status() -> Self {
        Self { list: "status", ..Self::default() }
    }

    fn of(self, target: &ObjectRef) -> Self {
        let key = ObjectKey { namespace: target.namespace.as_deref().map(Into::into), name: (*target.name).into() };
        Self { object: format!("{} {key}", target.kind), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.list)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        if !self.object.is_empty() {
            write!(f, " ({})", self.object)?;
        }
        Ok(())
    }
}

/// Why nothing of an answer was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct PlanError {
    /// Where in the answer.
    pub place: Place,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The plugin returned what can't be written.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The config does not allow it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The API server knows no such kind.
    #[error("the API server serves no {kind} in {api_version}")]
    UnknownKind {
        /// As the plugin spelled it.
        api_version: String,
        /// As the plugin spelled it.
        kind: String,
    },
}

impl Fault {
    fn at(self, place: &Place) -> PlanError {
        PlanError { place: place.clone(), fault: self }
    }
}
