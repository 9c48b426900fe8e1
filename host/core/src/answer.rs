//! What a plugin answers, as plain values: the WIT records of every version are converted to these.
//!
//! Texts that the interface calls `json` are still the guest's own here: unchecked, hostile until [`crate::plan`] has read
//! them.

use std::time::Duration;

/// A success: what shall be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchSet {
    /// All children that the object shall have; none leaves them as they are.
    pub children: Option<Vec<String>>,
    /// Other writes, in order; never pruned.
    pub patches: Vec<Patch>,
    /// The whole status that this plugin writes; none leaves it as it is.
    pub status: Option<String>,
    /// Kubernetes Events on the object.
    pub notices: Vec<Notice>,
    /// Call again after this time.
    pub requeue_after: Option<Duration>,
}

/// One write beside the children.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// Server-side apply of a manifest.
    Apply(String),
    /// Create a manifest.
    Create(String),
    /// JSON merge patch (RFC 7386).
    Merge(Targeted),
    /// JSON patch (RFC 6902).
    Json(Targeted),
    /// Kubernetes' strategic merge patch, built-in kinds only.
    StrategicMerge(Targeted),
    /// Delete an object.
    Delete(Deletion),
}

/// What an object is called by a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// None: the namespace of the handled object, or none for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

/// A patch body and what it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Targeted {
    /// What is patched.
    pub target: ObjectRef,
    /// `status`, `scale`; none for the object itself.
    pub subresource: Option<String>,
    /// The patch, JSON.
    pub body: String,
    /// A target that is not there is no error.
    pub ignore_missing: bool,
}

/// What is deleted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Deletion {
    /// What is deleted.
    pub target: ObjectRef,
    /// What becomes of its dependents.
    pub propagation: Propagation,
    /// A target that is not there is no error.
    pub ignore_missing: bool,
}

/// `propagationPolicy` of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Dependents go after it.
    Background,
    /// It goes after its dependents.
    Foreground,
    /// Dependents stay.
    Orphan,
}

/// A message for the object's Events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Warning, or normal.
    pub warning: bool,
    /// `PascalCase`, 128 characters at most.
    pub reason: String,
    /// 1,024 characters at most; the rest is cut off.
    pub message: String,
}

/// A plugin's own word that it could not do it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What now.
    pub next: Next,
    /// For people: logs and an Event.
    pub message: String,
    /// As in [`PatchSet::status`].
    pub status: Option<String>,
    /// As in [`PatchSet::notices`].
    pub notices: Vec<Notice>,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Again: after this time, or by the host's backoff.
    Retry(Option<Duration>),
    /// Not before object, plugin or settings change.
    Reject,
}
