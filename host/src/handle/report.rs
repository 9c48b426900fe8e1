//! How an event went, told where a person looks: the log, and Kubernetes Events on the object.

use std::{fmt::Display, sync::PoisonError, time::Duration};

use operon_core::{
    answer::{Failure, Next, Notice},
    cause::Cause,
    decide::Subject,
    names::PLUGIN_LABEL,
    record::Record,
};

use super::{Case, Handler, Outcome};
use crate::{apply::ApplyError, cluster::api, dispatch::guard::CALLS, plugin::CallError};

/// Failed calls in a row after which the way out of a deletion that doesn't succeed is told.
const STUCK: u32 = 2;
/// Children that a message names.
const NAMED: usize = 3;

/// Why an event was not handled.
pub(super) enum Trouble {
    Call(CallError),
    Apply(ApplyError),
    /// The answer can't be written, or may not.
    Answer(String),
}

impl From<ApplyError> for Trouble {
    fn from(error: ApplyError) -> Self {
        Self::Apply(error)
    }
}

/// What a person is told, and when it is tried again.
struct Verdict {
    reason: &'static str,
    message: String,
    after: Option<Duration>,
    slow: bool,
}

impl Verdict {
    fn new(reason: &'static str, message: String, slow: bool) -> Self {
        Self { reason, message, after: None, slow }
    }
}

impl Handler {
    /// Tells what went wrong, and when it is tried again.
    pub(super) async fn ended(
        &self,
        case: &Case<'_>,
        what: impl Display,
        result: Result<Option<Duration>, Trouble>,
    ) -> Outcome {
        let trouble = match result {
            Ok(requeue_after) => return Outcome::Done { requeue_after },
            Err(trouble) => trouble,
        };
        let (plugin, object, attempt) = (&case.plugin.name, &case.handled.object.key, case.attempt);
        let subject = Some(case.subject(self));
        let Some(Verdict { reason, message, after, slow }) = self.judge(case, trouble).await else {
            tracing::debug!(%plugin, %object, cause = %what, "the object is gone, or going with its namespace");
            // Its last version is not here yet: the next look tells.
            return Outcome::Retry { after: None, slow: false, subject };
        };
        let stuck = case.handled.object.deleting && attempt >= STUCK;
        let message = if stuck { format!("{message}; {}", case.way_out()) } else { message };
        tracing::warn!(%plugin, %object, cause = %what, result = reason, attempt, "{message}");
        self.warn(case, reason, &message);
        Outcome::Retry { after, slow, subject }
    }

    /// None where nobody has to be told.
    async fn judge(&self, case: &Case<'_>, trouble: Trouble) -> Option<Verdict> {
        Some(match trouble {
            Trouble::Apply(ApplyError::Ending(_)) => return None,
            Trouble::Apply(ApplyError::Gone(message)) => {
                self.look_after(case, Verdict::new("Refused", message, true)).await?
            }
            Trouble::Apply(ApplyError::Conflict(message)) => {
                self.look_after(case, Verdict::new("Unavailable", message, false)).await?
            }
            Trouble::Apply(ApplyError::Refused(message)) => Verdict::new("Refused", message, true),
            Trouble::Apply(ApplyError::Unavailable { message, retry_after }) => {
                Verdict { after: retry_after, ..Verdict::new("Unavailable", message, false) }
            }
            Trouble::Answer(message) => Verdict::new("BadAnswer", message, true),
            Trouble::Call(error) => {
                let reason = match &error {
                    CallError::Failure(_) => "Failed",
                    CallError::Trap(_) => "Crashed",
                    CallError::Limit(_) | CallError::Input(_) => "LimitExceeded",
                    CallError::Host(_) => "NotCalled",
                };
                let after = match &error {
                    CallError::Failure(Failure { next: Next::Retry(after), .. }) => *after,
                    _ => None,
                };
                Verdict { after, ..Verdict::new(reason, error.to_string(), false) }
            }
        })
    }

    /// The API server says that the object is not there, or is another: is it so? Otherwise it is as said.
    async fn look_after(&self, case: &Case<'_>, said: Verdict) -> Option<Verdict> {
        let (kind, object) = (&case.handled.kind, &case.handled.object);
        match api(&self.writer.client, kind, object.key.namespace.as_deref()).get_opt(&object.key.name).await {
            Ok(live) => live.and_then(|wire| wire.decode(kind).ok()).filter(|live| live.uid == object.uid)?,
            Err(error) => {
                let message = format!("{}; looking after it: {error}", said.message);
                return Some(Verdict::new("Unavailable", message, false));
            }
        };
        // Its CRD may have got or lost the status subresource.
        if let Ok(Some(kind)) = self.discovery.resource(&kind.resource).await {
            case.handled.store.set_kind(kind);
        }
        Some(said)
    }

    /// The plugin wants to see the object no more as it is.
    pub(super) fn rejected(&self, case: &Case<'_>, cause: Cause, message: &str) {
        let way_out = if cause == Cause::Deleted { format!("; {}", case.way_out()) } else { String::new() };
        let (plugin, object) = (&case.plugin.name, &case.handled.object.key);
        tracing::warn!(%plugin, %object, %cause, result = "rejected", "{message}{way_out}");
        self.warn(case, "Rejected", &format!("{message}{way_out}"));
    }

    /// A deletion waits, without an error: what for is nowhere else to be seen.
    pub(super) fn waits(&self, case: &Case<'_>) {
        let children = self.writer.children_of(&case.handled.object);
        if children.is_empty() {
            return;
        }
        let named: Vec<_> =
            children.iter().take(NAMED).map(|(kind, child)| format!("{} {}", kind.kind, child.key)).collect();
        let more = if children.len() > NAMED { format!(" and {} more", children.len() - NAMED) } else { String::new() };
        let message = format!("the deletion waits for children to go: {}{more}", named.join(", "));
        tracing::info!(plugin = %case.plugin.name, object = %case.handled.object.key, "{message}");
        let notice = Notice { warning: false, reason: "WaitingForChildren".into(), message };
        self.notices(case, &[notice]);
    }

    /// The plugin's own writes call it again and again.
    pub(super) fn looped(&self, case: &Case<'_>, excess: u32, subject: Subject) -> Outcome {
        let calls = CALLS + 1 + excess;
        let message = format!(
            "its own writes have called the plugin {calls} times within 5 minutes, so it waits before it is called again; \
             does it write what something else changes back, or something new each time?"
        );
        tracing::warn!(plugin = %case.plugin.name, object = %case.handled.object.key, result = "Loop", "{message}");
        self.warn(case, "Loop", &message);
        Outcome::Loop { excess, subject }
    }

    /// A resource that is no longer in `owns` is no longer observed: what was made of it stays. Said once, not for each object.
    pub(super) fn tell_unobserved(&self, record: Option<&Record>) {
        let Some(record) = record else { return };
        for resource in record.children.resources().filter(|name| !self.owns(name)) {
            let new = self.unobserved.lock().unwrap_or_else(PoisonError::into_inner).insert(resource.to_owned());
            if new {
                let (plugin, label) = (&self.config.name, &self.writer.plugin.label);
                let short = resource.trim_end_matches('.');
                tracing::warn!(
                    %plugin, resource, "the resource is no longer in `owns`: children made of it stay as they are; \
                     list them with: kubectl get {short} -A -l {PLUGIN_LABEL}={label}"
                );
            }
        }
    }

    fn owns(&self, resource: &str) -> bool {
        self.config.owns.iter().any(|owned| owned.to_string() == resource)
    }

    fn warn(&self, case: &Case<'_>, reason: &str, message: &str) {
        let note = format!("plugin {}: {message}", case.plugin.name);
        self.events.warn(&case.reference(), reason, &note);
    }

    pub(super) fn notices(&self, case: &Case<'_>, notices: &[Notice]) {
        for notice in notices {
            self.events.notice(&case.reference(), notice);
        }
    }
}

impl Case<'_> {
    /// How a person gets rid of an object whose deletion the plugin does not get done.
    fn way_out(&self) -> String {
        let key = &self.handled.object.key;
        let namespace = key.namespace.as_deref().map(|name| format!(" --namespace {name}")).unwrap_or_default();
        let (plugin, name) = (&self.plugin.name, &key.name);
        format!(
            "the object stays until this succeeds; to let it go without the plugin: \
             operon release {plugin} --config FILE{namespace} --name {name} --yes"
        )
    }
}
