//! One call of a plugin, in a sandbox of its own, within its limits.

use std::sync::Arc;

use operon_core::{
    answer::{Failure, ObjectRef, PatchSet},
    cause::Cause,
    digest::Digest,
};
use tokio::time::{error::Elapsed, timeout};
use wasmtime::Store;

use super::{
    bindings::{PluginPre, operon::plugin::types as wit},
    compile::cache::Compiled,
    guest::{Guest, Subject},
    limits::CallLimits,
    sandbox::Sandbox,
};
use crate::cluster::reads::Reads;

/// A version of a plugin, ready to be called by many at once.
pub struct Plugin {
    /// The plugin's name in the config.
    pub name: Arc<str>,
    /// Of the component's bytes.
    pub digest: Digest,
    /// What the plugin calls itself.
    pub version: String,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) pre: PluginPre<Guest>,
    /// Held, so that the cache keeps what is in use for the next start.
    pub(super) _compiled: Compiled,
    pub(super) limits: CallLimits,
    pub(super) reads: Option<Arc<Reads>>,
}

/// What a plugin is told.
#[derive(Clone, Debug)]
pub struct Event {
    /// Why.
    pub cause: Cause,
    /// About which object.
    pub object: ObjectRef,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: u64,
    /// The object's JSON.
    pub manifest: String,
    /// Its essence as this plugin handled it last.
    pub previous: Option<String>,
    /// The JSON of its children.
    pub children: Vec<String>,
    /// The plugin's settings, JSON.
    pub settings: String,
    /// 0 for the first try.
    pub attempt: u32,
    /// The host's clock, in milliseconds since 1970.
    pub now_ms: u64,
}

/// Why a call gave no patch set.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The plugin's own word.
    #[error("{}", .0.message)]
    Failure(Failure),
    /// The plugin crashed.
    #[error("the plugin crashed: {0}")]
    Trap(String),
    /// It took more than it may.
    #[error("the plugin was stopped at its limit: {0}")]
    Limit(String),
    /// What it would be told is more than it may be told.
    #[error("the plugin was not called: {0}")]
    Input(String),
    /// Not the plugin's fault.
    #[error("the plugin could not be called: {0:#}")]
    Host(anyhow::Error),
}

impl Event {
    /// What a plugin is told is copied into its memory: an object with thousands of children must not fail there, in words of its own.
    fn fits(&self, limit: usize) -> Result<(), CallError> {
        let (object, previous) = (self.manifest.len(), self.previous.as_ref().map_or(0, String::len));
        let children: usize = self.children.iter().map(String::len).sum();
        if object + previous + children <= limit {
            return Ok(());
        }
        let count = self.children.len();
        Err(CallError::Input(format!(
            "limits.input is {limit} bytes; the object has {object}, what it was before {previous}, \
             its children ({count}) {children}"
        )))
    }
}

impl Plugin {
    /// Hands it an event.
    pub async fn handle(&self, event: Event) -> Result<PatchSet, CallError> {
        event.fits(self.limits.input)?;
        let object: Arc<str> = match &event.object.namespace {
            Some(namespace) => format!("{namespace}/{}", event.object.name).into(),
            None => event.object.name.as_str().into(),
        };
        let event = wit::Event {
            cause: event.cause.into(),
            object: event.object.into(),
            uid: event.uid,
            generation: event.generation,
            manifest: event.manifest,
            previous: event.previous,
            children: event.children,
            settings: event.settings,
            attempt: event.attempt,
            now_ms: event.now_ms,
        };
        let (mut store, _permit) = self.enter(object).await?;
        let answer = timeout(self.limits.time, async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            instance.operon_plugin_handler().call_handle(&mut store, &event).await
        });
        let answer = answer.await;
        match self.outcome(&store, answer)? {
            Ok(set) => Ok(set.into()),
            Err(failure) => Err(CallError::Failure(failure.into())),
        }
    }

    /// Asks what it is.
    pub(super) async fn describe(&self) -> Result<wit::Description, CallError> {
        let (mut store, _permit) = self.enter("describe".into()).await?;
        let answer = timeout(self.limits.time, async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            instance.operon_plugin_handler().call_describe(&mut store).await
        });
        let answer = answer.await;
        self.outcome(&store, answer)
    }

    /// Asks whether it can work with these settings; the inner error is its own word.
    pub(super) async fn validate(&self, settings: String) -> Result<Result<(), String>, CallError> {
        let (mut store, _permit) = self.enter("validate".into()).await?;
        let answer = timeout(self.limits.time, async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            instance.operon_plugin_handler().call_validate(&mut store, &settings).await
        });
        let answer = answer.await;
        self.outcome(&store, answer)
    }

    async fn enter(&self, object: Arc<str>) -> Result<(Store<Guest>, tokio::sync::SemaphorePermit<'_>), CallError> {
        let guest = Guest::new(Subject { plugin: self.name.clone(), object }, self.reads.clone(), &self.limits);
        self.sandbox.enter(guest, &self.limits).await.map_err(CallError::Host)
    }

    /// Logs what the guest printed, and tells a broken limit from a crash.
    fn outcome<T>(&self, store: &Store<Guest>, answer: Result<wasmtime::Result<T>, Elapsed>) -> Result<T, CallError> {
        let CallLimits { memory, time, .. } = self.limits;
        store.data().flush();
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(Elapsed { .. }) => return Err(CallError::Limit(format!("limits.time is {time:?}"))),
        };
        if let Some(wanted) = store.data().memory.refused {
            return Err(CallError::Limit(format!("limits.memory is {memory} bytes, it asked for {wanted}")));
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Err(CallError::Host(error.into()));
        }
        // The context around the cause is a backtrace of addresses, which tells a reader of Events nothing.
        Err(CallError::Trap(error.root_cause().to_string()))
    }
}
