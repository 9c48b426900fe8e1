//! Between the interface's records and the core's plain values.

use std::time::Duration;

use operon_core::{
    answer::{Deletion, Failure, Next, Notice, ObjectRef, Patch, PatchSet, Propagation, Targeted},
    cause::Cause,
};

use super::bindings::operon::plugin::types as wit;

impl From<Cause> for wit::Cause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Created => Self::Created,
            Cause::Updated => Self::Updated,
            Cause::Deleted => Self::Deleted,
            Cause::ChildChanged => Self::ChildChanged,
            Cause::Requeued => Self::Requeued,
            Cause::PluginChanged => Self::PluginChanged,
            Cause::Resumed => Self::Resumed,
        }
    }
}

impl From<ObjectRef> for wit::ObjectRef {
    fn from(object: ObjectRef) -> Self {
        let ObjectRef { api_version, kind, namespace, name } = object;
        Self { api_version, kind, namespace, name }
    }
}

impl From<wit::ObjectRef> for ObjectRef {
    fn from(object: wit::ObjectRef) -> Self {
        let wit::ObjectRef { api_version, kind, namespace, name } = object;
        Self { api_version, kind, namespace, name }
    }
}

impl From<wit::PatchSet> for PatchSet {
    fn from(set: wit::PatchSet) -> Self {
        let wit::PatchSet { children, patches, status, notices, requeue_after_ms } = set;
        Self {
            children,
            patches: patches.into_iter().map(Into::into).collect(),
            status,
            notices: notices.into_iter().map(Into::into).collect(),
            requeue_after: requeue_after_ms.map(Duration::from_millis),
        }
    }
}

impl From<wit::Patch> for Patch {
    fn from(patch: wit::Patch) -> Self {
        match patch {
            wit::Patch::Apply(manifest) => Self::Apply(manifest),
            wit::Patch::Create(manifest) => Self::Create(manifest),
            wit::Patch::MergePatch(patch) => Self::Merge(patch.into()),
            wit::Patch::JsonPatch(patch) => Self::Json(patch.into()),
            wit::Patch::StrategicMergePatch(patch) => Self::StrategicMerge(patch.into()),
            wit::Patch::Delete(deletion) => Self::Delete(deletion.into()),
        }
    }
}

impl From<wit::Targeted> for Targeted {
    fn from(targeted: wit::Targeted) -> Self {
        let wit::Targeted { target, subresource, body, ignore_missing } = targeted;
        Self { target: target.into(), subresource, body, ignore_missing }
    }
}

impl From<wit::Deletion> for Deletion {
    fn from(deletion: wit::Deletion) -> Self {
        let wit::Deletion { target, propagation, ignore_missing } = deletion;
        let propagation = match propagation {
            wit::Propagation::Background => Propagation::Background,
            wit::Propagation::Foreground => Propagation::Foreground,
            wit::Propagation::Orphan => Propagation::Orphan,
        };
        Self { target: target.into(), propagation, ignore_missing }
    }
}

impl From<wit::Notice> for Notice {
    fn from(notice: wit::Notice) -> Self {
        let wit::Notice { severity, reason, message } = notice;
        Self { warning: severity == wit::Severity::Warning, reason, message }
    }
}

impl From<wit::Failure> for Failure {
    fn from(failure: wit::Failure) -> Self {
        let wit::Failure { next, message, status, notices } = failure;
        let next = match next {
            wit::Next::Retry(after) => Next::Retry(after.map(Duration::from_millis)),
            wit::Next::Reject => Next::Reject,
        };
        Self { next, message, status, notices: notices.into_iter().map(Into::into).collect() }
    }
}
