//! The call, and carrying out what it answers: finalizer, children, patches, prunes, status, record.

use std::{
    sync::PoisonError,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use operon_core::{
    answer::{Failure, Next, ObjectRef, PatchSet},
    cause::Cause,
    digest::Digest,
    essence::Essence,
    plan::{Draft, Plan},
    policy::Policy,
    record::{Outcome as Recorded, Record},
    standing::Crash,
};

use super::{Case, Handler, Outcome, report::Trouble};
use crate::{
    apply::{ApplyError, Handled, Writer},
    dispatch::guard::Call,
    plugin::{CallError, Event},
};

/// What has been written for a call.
#[derive(Default)]
pub(super) struct Written {
    /// When the plugin wants to be called again.
    pub(super) requeue_after: Option<Duration>,
    /// Children changed.
    children: bool,
    /// Nothing that this plugin made for the object is left.
    gone: bool,
    /// The essence that the plugin gave the object, where that is another.
    left: Option<Digest>,
    /// Of the status that the plugin has on the object.
    status: Option<Digest>,
}

impl Handler {
    pub(super) async fn call(&self, case: &Case<'_>, cause: Cause) -> Outcome {
        let start = std::time::Instant::now();
        let (object, uid, essence) =
            (&case.handled.object.key, &*case.handled.object.uid, case.essence.digest.as_str());
        tracing::debug!(plugin = %case.plugin.name, %object, uid, %cause, essence, "calling");
        let answer = case.plugin.handle(self.event(case, cause)).await;
        let called = start.elapsed();
        if self.is_over(case, &answer) {
            return Outcome::Wait;
        }
        let handled = match answer {
            Ok(set) => self.carry_out(case, cause, set).await,
            Err(CallError::Failure(failure)) => match self.carry_out_failure(case, cause, &failure).await {
                Ok(()) if failure.next == Next::Reject => {
                    self.rejected(case, cause, &failure.message);
                    return Outcome::Done { requeue_after: None };
                }
                Ok(()) => Err(Trouble::Call(CallError::Failure(failure))),
                Err(trouble) => Err(trouble),
            },
            Err(error) => Err(Trouble::Call(error)),
        };
        tracing::debug!(plugin = %case.plugin.name, %object, ?called, "called");
        let written = match handled {
            Ok(written) => written,
            Err(trouble) => return self.ended(case, cause, Err(trouble)).await,
        };
        let (plugin, version, duration) = (&case.plugin.name, &case.plugin.version, start.elapsed());
        tracing::info!(%plugin, version, %object, %cause, result = "done", ?duration, "handled");
        let Written { requeue_after, children: wrote, left, .. } = written;
        // What the plugin made of the object itself is no reason to call it before its time.
        let subject = match &left {
            Some(left) => case.subject(self).with_essence(left.clone()),
            None => case.subject(self),
        };
        let call = Call { cause, essence: &case.essence.digest, wrote, left };
        let excess = self.guard.lock().unwrap_or_else(PoisonError::into_inner).count(case.key, call);
        match excess {
            Some(excess) => self.looped(case, excess, subject),
            None => Outcome::Done { requeue_after },
        }
    }

    /// The version has been taken out: another handles the event, and nobody has to be told on the object.
    fn is_over(&self, case: &Case, answer: &Result<PatchSet, CallError>) -> bool {
        let digest = &case.plugin.digest;
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(_) => self.slot.succeeded(digest),
            Err(error @ (CallError::Trap(_) | CallError::Limit(_))) if !failing.crashed(case.key) => {
                let message = || format!("{}: {error}", case.handled.object.key);
                if self.slot.crashed(digest, message) != Crash::Stays {
                    return true;
                }
            }
            Err(_) => {}
        }
        failing.called(case.key, answer.as_ref().err());
        false
    }

    pub(super) fn event(&self, case: &Case, cause: Cause) -> Event {
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
    async fn carry_out(&self, case: &Case<'_>, cause: Cause, set: PatchSet) -> Result<Written, Trouble> {
        let plan = self.plan(case, Draft::read(&set).map_err(|error| Trouble::Answer(error.to_string()))?).await?;
        if self.config.dry_run {
            let rehearsed = self.write(&self.writer.rehearsal(), case, cause, &plan).await;
            rehearsed.map_err(|error| error.map(|message| format!("the dry run: {message}")))?;
        }
        let uncovered = plan.children.iter().flatten().any(|child| !child.covered);
        let hold = case.watch.on.contains(&Cause::Deleted) || uncovered || self.holds(case);
        if hold && cause != Cause::Deleted {
            self.writer.hold(&case.handled, &case.head).await?;
        }
        let written = match self.write(&self.writer, case, cause, &plan).await {
            // Nothing can be made any more where all goes, so what the plugin still wants must not keep the object.
            Err(ApplyError::Ending(_)) if cause == Cause::Deleted => {
                Written { gone: self.writer.prune_uncovered(&case.handled).await?.gone, ..Written::default() }
            }
            written => Written { requeue_after: set.requeue_after, ..written? },
        };
        if cause == Cause::Deleted {
            // What a call for a deletion wants to keep for now keeps the object.
            if written.gone && written.requeue_after.is_none() {
                self.writer.release(&case.handled, &case.head).await?;
            } else {
                self.waits(case);
            }
        } else {
            let requeue_ms = set.requeue_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            let status = written.status.clone();
            self.record(case, Record { status, requeue_ms, ..self.new_record(case, Recorded::Done) }).await?;
        }
        self.notices(case, &set.notices);
        Ok(written)
    }

    /// Sends children, patches, prunes and status, in this order; the first that fails ends it.
    async fn write(&self, writer: &Writer, case: &Case<'_>, cause: Cause, plan: &Plan) -> Result<Written, ApplyError> {
        let handled = &case.handled;
        let children = plan.children.as_deref();
        let applied = writer.apply_children(handled, children.unwrap_or_default()).await?;
        let patched_itself = writer.apply_patches(handled, plan).await?;
        let pruned = match children {
            Some(children) => writer.prune(handled, children).await?,
            // Left to the garbage collector where it can; the rest has to go before the object.
            None if cause == Cause::Deleted => writer.prune_uncovered(handled).await?,
            None => crate::apply::Pruned::NOTHING,
        };
        let status = write_status(writer, case, plan).await?;
        let now = patched_itself.then(|| handled.store.get(&handled.object.key)).flatten();
        let left = now.map(|object| Essence::of(&object, &case.watch.ignore).digest);
        Ok(Written {
            requeue_after: None,
            children: applied || pruned.deleted,
            gone: pruned.gone && children.is_none_or(<[_]>::is_empty),
            left: left.filter(|digest| *digest != case.essence.digest),
            status,
        })
    }

    /// Writes the status of a failure and, where the plugin rejects the object, the record of that.
    async fn carry_out_failure(&self, case: &Case<'_>, cause: Cause, failure: &Failure) -> Result<(), Trouble> {
        let draft = Draft::of_status(failure.status.as_deref()).map_err(|error| Trouble::Answer(error.to_string()))?;
        let plan = self.plan(case, draft).await?;
        let status = write_status(&self.writer, case, &plan).await?;
        if failure.next == Next::Reject {
            let deleting = cause == Cause::Deleted;
            let record = Record { status, deleting, ..self.new_record(case, Recorded::Rejected) };
            self.record(case, record).await?;
        }
        self.notices(case, &failure.notices);
        Ok(())
    }

    pub(super) async fn plan(&self, case: &Case<'_>, draft: Draft) -> Result<Plan, Trouble> {
        let kinds = self.discovery.kinds(draft.kinds()).await.map_err(|error| {
            let message = format!("looking up the kinds of the answer: {error}");
            ApplyError::Unavailable { message, retry_after: None }
        })?;
        let policy = Policy { owns: &self.config.owns, grants: &self.config.grants };
        let owner = case.handled.owner(&self.writer.plugin);
        draft.plan(owner, policy, &kinds).map_err(|error| Trouble::Answer(error.to_string()))
    }

    pub(super) async fn record(&self, case: &Case<'_>, record: Record) -> Result<(), Trouble> {
        Ok(self.writer.record(&case.handled, &case.head, case.record.as_ref(), record).await?)
    }

    /// Records an object that the plugin is not called for yet.
    pub(super) async fn note(&self, case: &Case<'_>) -> Result<(), Trouble> {
        if case.watch.on.contains(&Cause::Deleted) {
            self.writer.hold(&case.handled, &case.head).await?;
        }
        self.record(case, self.new_record(case, Recorded::Done)).await
    }

    /// Only children that no owner reference covers are ours to remove; no plugin is asked.
    pub(super) async fn release(&self, case: &Case<'_>) -> Result<(), Trouble> {
        if self.writer.prune_uncovered(&case.handled).await?.gone {
            self.writer.release(&case.handled, &case.head).await?;
        }
        Ok(())
    }
}

impl Case<'_> {
    /// Digest of the status that the plugin returned last.
    fn recorded_status(&self) -> Option<&Digest> {
        self.record.as_ref().and_then(|record| record.status.as_ref())
    }
}

/// Returns the digest of the status that the plugin has on the object then.
async fn write_status(writer: &Writer, case: &Case<'_>, plan: &Plan) -> Result<Option<Digest>, ApplyError> {
    let recorded = case.recorded_status();
    match &plan.status {
        Some(status) => Ok(Some(writer.apply_status(&case.handled, status, recorded).await?)),
        None => Ok(recorded.cloned()),
    }
}
