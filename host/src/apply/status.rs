//! The status: applied whole, with a manager of its own, when it changed.

use operon_core::{
    digest::Digest,
    json::{canonical, contains},
};
use serde_json::Value;

use super::{ApplyError, Handled, Part, To, Writer};

impl Writer {
    /// Makes the status so; returns its digest, for the record.
    ///
    /// `recorded` is the digest of the one that was applied last: with another, a field may have to go, which can't be seen on the
    /// live status. In doubt it is sent.
    pub async fn apply_status(
        &self,
        handled: &Handled,
        status: &Value,
        recorded: Option<&Digest>,
    ) -> Result<Digest, ApplyError> {
        let digest = Digest::of(canonical(status));
        let live = handled.object.field("status").and_then(|text| serde_json::from_str(text).ok());
        if recorded == Some(&digest) && live.is_some_and(|live: Value| contains(&live, status)) {
            return Ok(digest);
        }
        let part = if handled.kind.status_subresource { Part::Status } else { Part::Whole };
        let mut body = handled.body();
        body["status"] = status.clone();
        let manager = self.plugin.status_manager();
        let wire = self.apply(&handled.kind, &handled.object.key, &manager, part, &body).await;
        let wire = wire.map_err(|error| ApplyError::from_answer(&error, To::TheObject, "status"))?;
        if !self.dry_run {
            handled.wrote(&wire);
        }
        Ok(digest)
    }
}
