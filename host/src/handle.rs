//! One event from its decision to its record: decide, call, plan, write, record, report.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use k8s_openapi::api::core::v1::ObjectReference;
use operon_core::{
    answer::{Failure, Next, Notice, ObjectRef, PatchSet},
    cause::Cause,
    config::{PluginConfig, WatchConfig},
    decide::{Decision, Hints, Situation, decide},
    digest::Digest,
    essence::Essence,
    object::Head,
    plan::{Draft, Plan},
    policy::Policy,
    record::{HandledBy, Outcome as Recorded, Record},
};

use crate::{
    apply::{ApplyError, Handled, Writer},
    cluster::discovery::Discovery,
    dispatch::Key,
    events::Events,
    plugin::{CallError, Event, Plugin},
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
}

/// An entry of `watch`, and the objects that it is about.
pub struct Watched {
    /// The entry.
    pub config: WatchConfig,
    /// All objects of the resource, more than the entry may select.
    pub store: Arc<Store>,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// There was nothing to do; the recorded interval, where there is one.
    Nothing {
        /// The interval.
        requeue_after: Option<Duration>,
    },
    /// Handled and recorded.
    Done {
        /// When the plugin wants to be called again.
        requeue_after: Option<Duration>,
    },
    /// Not handled: again.
    Retry {
        /// When; none: by backoff.
        after: Option<Duration>,
        /// It waits for a person rather than for a moment.
        slow: bool,
    },
}

impl Outcome {
    const GONE: Self = Self::Done { requeue_after: None };
}

/// Why an event was not handled.
enum Trouble {
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

/// An event under way.
struct Case<'a> {
    plugin: &'a Plugin,
    watch: &'a WatchConfig,
    handled: Handled,
    head: Head,
    essence: Essence,
    record: Option<Record>,
    by: HandledBy,
    attempt: u32,
}

impl Handler {
    /// Handles what there is to handle for an object now.
    pub async fn handle(&self, plugin: &Plugin, (place, key): &Key, hints: Hints, attempt: u32) -> Outcome {
        let Some(Watched { config: watch, store }) = self.watches.get(*place) else { return Outcome::GONE };
        let (Some(object), Some(kind)) = (store.get(key), store.kind()) else { return Outcome::GONE };
        let head = object.head();
        let annotation = head.annotations.get(&self.writer.plugin.record_annotation());
        let case = Case {
            plugin,
            watch,
            essence: Essence::of(&object, &watch.ignore),
            record: annotation.and_then(|text| Record::read(text, &object.uid)),
            by: HandledBy { plugin: plugin.digest.clone(), settings: Digest::of(&self.settings) },
            handled: Handled { kind, object, store: store.clone() },
            head,
            attempt,
        };
        let decision = decide(&Situation {
            deleting: case.handled.object.deleting,
            finalizer: case.head.finalizers.contains(&self.writer.plugin.finalizer()),
            selected: selected(watch, &case),
            essence: &case.essence,
            record: case.record.as_ref(),
            by: &case.by,
            on: &watch.on,
            hints,
        });
        match decision {
            Decision::Nothing => {
                let requeue_ms = case.record.as_ref().and_then(|record| record.requeue_ms);
                Outcome::Nothing { requeue_after: requeue_ms.map(Duration::from_millis) }
            }
            Decision::Call(cause) => self.call(&case, cause).await,
            Decision::Note => {
                let hold = watch.on.contains(&Cause::Deleted) || self.holds(&case);
                let noted = self.record(&case, hold, case.new_record(Recorded::Done)).await;
                self.ended(&case, "noted", noted.map(|()| None)).await
            }
            Decision::Release => {
                let released = self.release(&case).await;
                self.ended(&case, "released", released.map(|()| None)).await
            }
        }
    }

    async fn call(&self, case: &Case<'_>, cause: Cause) -> Outcome {
        let start = std::time::Instant::now();
        let answer = case.plugin.handle(self.event(case, cause)).await;
        let called = start.elapsed();
        let handled = match answer {
            Ok(set) => self.carry_out(case, cause, set).await,
            Err(CallError::Failure(failure)) => match self.carry_out_failure(case, cause, &failure).await {
                Ok(()) if failure.next == Next::Reject => {
                    self.warn(case, "Rejected", &failure.message).await;
                    tracing::warn!(
                        plugin = %case.plugin.name, object = %case.handled.object.key, %cause, result = "rejected",
                        "{}", failure.message
                    );
                    return Outcome::Done { requeue_after: None };
                }
                Ok(()) => Err(Trouble::Call(CallError::Failure(failure))),
                Err(trouble) => Err(trouble),
            },
            Err(error) => Err(Trouble::Call(error)),
        };
        tracing::debug!(plugin = %case.plugin.name, object = %case.handled.object.key, ?called, "called");
        let outcome = self.ended(case, cause, handled).await;
        if let Outcome::Done { .. } = outcome {
            tracing::info!(
                plugin = %case.plugin.name, object = %case.handled.object.key, %cause, result = "done",
                duration = ?start.elapsed(), "handled"
            );
        }
        outcome
    }

    fn event(&self, case: &Case, cause: Cause) -> Event {
        let Handled { kind, object, .. } = &case.handled;
        let previous = case.record.as_ref().and_then(Record::essence);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Event {
            cause,
            object: ObjectRef {
                api_version: kind.api_version(),
                kind: kind.kind.clone(),
                namespace: object.key.namespace.as_deref().map(Into::into),
                name: object.key.name.to_string(),
            },
            uid: object.uid.to_string(),
            generation: object.generation,
            manifest: object.text().to_owned(),
            previous: previous.map(Into::into),
            children: self.writer.children_of(object).iter().map(|(_, child)| child.text().to_owned()).collect(),
            settings: self.settings.clone(),
            attempt: case.attempt,
            now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Writes what the plugin returned, then the record, or the end of the object.
    async fn carry_out(&self, case: &Case<'_>, cause: Cause, set: PatchSet) -> Result<Option<Duration>, Trouble> {
        let plan = self.plan(case, Draft::read(&set).map_err(|error| Trouble::Answer(error.to_string()))?).await?;
        let (writer, handled) = (&self.writer, &case.handled);
        let uncovered = plan.children.iter().flatten().any(|child| !child.covered);
        let hold = case.watch.on.contains(&Cause::Deleted) || uncovered || self.holds(case);
        if hold && cause != Cause::Deleted {
            writer.hold(handled, &case.head).await?;
        }
        let children = plan.children.as_deref();
        writer.apply_children(handled, children.unwrap_or_default()).await?;
        writer.apply_patches(handled, &plan.patches).await?;
        let mut gone = match children {
            Some(children) => writer.prune(handled, children).await? && children.is_empty(),
            // Left to the garbage collector where it can; the rest has to go before the object.
            None if cause == Cause::Deleted => writer.prune_uncovered(handled).await?,
            None => true,
        };
        // What a call for a deletion wants to keep for now keeps the object.
        gone &= set.requeue_after.is_none();
        let status = self.status(case, &plan).await?;
        if cause == Cause::Deleted {
            if gone {
                writer.release(handled, &case.head).await?;
            }
        } else {
            let requeue_ms = set.requeue_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            let record = Record { status, requeue_ms, ..case.new_record(Recorded::Done) };
            writer.record(handled, &case.head, hold, &record).await?;
        }
        self.notices(case, &set.notices).await;
        Ok(set.requeue_after)
    }

    /// Writes the status of a failure and, where the plugin rejects the object, the record of that.
    async fn carry_out_failure(&self, case: &Case<'_>, cause: Cause, failure: &Failure) -> Result<(), Trouble> {
        let draft = Draft::of_status(failure.status.as_deref()).map_err(|error| Trouble::Answer(error.to_string()))?;
        let plan = self.plan(case, draft).await?;
        let status = self.status(case, &plan).await?;
        if failure.next == Next::Reject {
            let deleting = cause == Cause::Deleted;
            let record = Record { status, deleting, ..case.new_record(Recorded::Rejected) };
            self.record(case, self.holds(case), record).await?;
        }
        self.notices(case, &failure.notices).await;
        Ok(())
    }

    async fn plan(&self, case: &Case<'_>, draft: Draft) -> Result<Plan, Trouble> {
        let kinds = self.discovery.kinds(draft.kinds()).await.map_err(|error| {
            let message = format!("looking up the kinds of the answer: {error}");
            ApplyError::Unavailable { message, retry_after: None }
        })?;
        let policy = Policy { owns: &self.config.owns, grants: &self.config.grants };
        let owner = case.handled.owner(&self.writer.plugin);
        draft.plan(owner, policy, &kinds).map_err(|error| Trouble::Answer(error.to_string()))
    }

    /// Returns the digest of the status that the plugin has on the object now.
    async fn status(&self, case: &Case<'_>, plan: &Plan) -> Result<Option<Digest>, Trouble> {
        let recorded = case.record.as_ref().and_then(|record| record.status.as_ref());
        match &plan.status {
            Some(status) => Ok(Some(self.writer.apply_status(&case.handled, status, recorded).await?)),
            None => Ok(recorded.cloned()),
        }
    }

    async fn record(&self, case: &Case<'_>, hold: bool, record: Record) -> Result<(), Trouble> {
        Ok(self.writer.record(&case.handled, &case.head, hold, &record).await?)
    }

    /// Only children that no owner reference covers are ours to remove; no plugin is asked.
    async fn release(&self, case: &Case<'_>) -> Result<(), Trouble> {
        if self.writer.prune_uncovered(&case.handled).await? {
            self.writer.release(&case.handled, &case.head).await?;
        }
        Ok(())
    }

    fn holds(&self, case: &Case) -> bool {
        case.head.finalizers.contains(&self.writer.plugin.finalizer())
    }

    /// Tells what went wrong where a person looks, and when it is tried again.
    async fn ended(&self, case: &Case<'_>, what: impl Display, result: Result<Option<Duration>, Trouble>) -> Outcome {
        let (reason, message, after, slow) = match result {
            Ok(requeue_after) => return Outcome::Done { requeue_after },
            Err(Trouble::Apply(ApplyError::Gone)) => {
                tracing::debug!(plugin = %case.plugin.name, object = %case.handled.object.key, "{}", ApplyError::Gone);
                // Its last version is not here yet, or it was a fault of a moment: in both cases the next look tells.
                return Outcome::Retry { after: None, slow: false };
            }
            Err(Trouble::Apply(ApplyError::Refused(message))) => ("Refused", message, None, true),
            Err(Trouble::Apply(ApplyError::Unavailable { message, retry_after })) => {
                ("Unavailable", message, retry_after, false)
            }
            Err(Trouble::Answer(message)) => ("BadAnswer", message, None, true),
            Err(Trouble::Call(error)) => {
                let reason = match &error {
                    CallError::Failure(_) => "Failed",
                    CallError::Trap(_) => "Crashed",
                    CallError::Limit(_) => "LimitExceeded",
                    CallError::Host(_) => "NotCalled",
                };
                let after = match &error {
                    CallError::Failure(Failure { next: Next::Retry(after), .. }) => *after,
                    _ => None,
                };
                (reason, error.to_string(), after, false)
            }
        };
        tracing::warn!(
            plugin = %case.plugin.name, object = %case.handled.object.key, cause = %what, result = reason,
            attempt = case.attempt, "{message}"
        );
        self.warn(case, reason, &message).await;
        Outcome::Retry { after, slow }
    }

    async fn warn(&self, case: &Case<'_>, reason: &str, message: &str) {
        let note = format!("plugin {}: {message}", case.plugin.name);
        self.events.warn(&case.reference(), reason, &note).await;
    }

    async fn notices(&self, case: &Case<'_>, notices: &[Notice]) {
        for notice in notices {
            self.events.notice(&case.reference(), notice).await;
        }
    }
}

impl Case<'_> {
    fn new_record(&self, outcome: Recorded) -> Record {
        let Handled { kind, object, .. } = &self.handled;
        Record::new(&object.uid, &kind.api_version(), &self.essence, kind.is_secret(), &self.by, outcome)
    }

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

/// Selectors are evaluated here: one that the API server evaluates reports an object that leaves the selection as deleted.
fn selected(watch: &WatchConfig, case: &Case) -> bool {
    let namespace = case.handled.object.key.namespace.as_deref().unwrap_or_default();
    let in_namespace = watch.namespaces.as_ref().is_none_or(|all| all.iter().any(|name| name.as_str() == namespace));
    in_namespace && watch.label_selector.as_ref().is_none_or(|selector| selector.matches(&case.head.labels))
}
