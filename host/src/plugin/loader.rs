//! From bytes to a plugin in place: compiled, linked, described, its settings validated; only then put in place, at once.
//!
//! If any step fails, the version that was running goes on. Calls that are under way end on the version that they began with.

use std::{io::Read, sync::Arc};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use operon_core::{config::PluginConfig, digest::Digest, json::canonical};
use tokio::sync::watch;

use super::{
    CallError, Plugin,
    limits::CallLimits,
    sandbox::Sandbox,
    source::{self, Component, SourceError},
};
use crate::{cluster::reads::Reads, events::Events};

/// Why a component was not put in place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is none.
    #[error("the plugin's source {0}")]
    Source(#[from] SourceError),
    /// Not WebAssembly, not a component, or one of another world.
    #[error("it is no component of the world operon:plugin/plugin@0.1.0: {0}")]
    Component(String),
    /// It can't say what it is.
    #[error("calling its `describe`: {0}")]
    Describe(CallError),
    /// It can't say whether it takes its settings.
    #[error("calling its `validate`: {0}")]
    Validate(CallError),
    /// It does not take its settings.
    #[error("it refuses its settings: {0}")]
    Settings(String),
}

/// Prepares components for one entry of the config.
pub struct Loader {
    /// The entry.
    pub config: PluginConfig,
    /// Where it will run.
    pub sandbox: Arc<Sandbox>,
    /// What it will read; none where there is no cluster.
    pub reads: Option<Arc<Reads>>,
}

impl Loader {
    /// Compiles, links, describes and validates.
    pub async fn load(&self, component: Component) -> Result<Plugin, LoadError> {
        let (plugin, _) = self.describe(component).await?;
        let settings = canonical(&self.config.settings.clone().into());
        plugin.validate(settings).await.map_err(LoadError::Validate)?.map_err(LoadError::Settings)?;
        Ok(plugin)
    }

    /// All of that but its settings; also what it says that it is called.
    pub async fn describe(&self, component: Component) -> Result<(Plugin, String), LoadError> {
        let sandbox = self.sandbox.clone();
        let digest = component.digest.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            component.reader()?.read_to_end(&mut bytes)?;
            sandbox.prepare(&bytes)
        });
        let pre = match compiled.await {
            Ok(prepared) => prepared.map_err(|error| LoadError::Component(format!("{error:#}")))?,
            Err(panicked) => return Err(LoadError::Component(format!("compiling it failed: {panicked}"))),
        };
        let mut plugin = Plugin {
            name: self.config.name.as_str().into(),
            digest,
            version: String::new(),
            sandbox: self.sandbox.clone(),
            pre,
            limits: CallLimits::from(&self.config.limits),
            reads: self.reads.clone(),
        };
        let description = plugin.describe().await.map_err(LoadError::Describe)?;
        plugin.version = description.version;
        Ok((plugin, description.name))
    }

    /// Keeps the newest good version in `place` as long as the host runs.
    pub async fn keep(self, client: Client, events: Events, place: watch::Sender<Option<Arc<Plugin>>>) {
        let name = &self.config.name;
        let mut fetches = source::watch(&client, &self.config.source, self.config.digest.as_ref());
        let mut last: Option<Digest> = None;
        while let Some(fetched) = fetches.next().await {
            let loaded = match fetched.bytes {
                Ok(component) if last.as_ref() == Some(&component.digest) => continue,
                Ok(component) => {
                    last = Some(component.digest.clone());
                    let size = component.size;
                    tracing::info!(plugin = %name, digest = component.digest.short(), size, "compiling the plugin");
                    self.load(component).await
                }
                Err(error) => {
                    last = None;
                    Err(error.into())
                }
            };
            match loaded {
                Ok(plugin) => {
                    let (version, digest) = (&plugin.version, plugin.digest.short());
                    tracing::info!(plugin = %name, version, digest, "the plugin is in place");
                    place.send_replace(Some(Arc::new(plugin)));
                }
                Err(error) => {
                    let running = place.borrow().as_ref().map(|plugin| plugin.digest.short().to_owned());
                    self.report(&error, running.as_deref(), fetched.reference.as_ref(), &events);
                }
            }
        }
    }

    /// Says why, and what goes on, in the log and on the ConfigMap.
    fn report(&self, error: &LoadError, running: Option<&str>, configmap: Option<&ObjectReference>, events: &Events) {
        let (name, source) = (&self.config.name, &self.config.source);
        let instead = match running {
            Some(digest) => format!("version {digest} goes on"),
            None => "no version of it runs yet, its events wait".to_owned(),
        };
        tracing::warn!(plugin = %name, %source, "the plugin is not loaded: {error}; {instead}");
        if let Some(configmap) = configmap {
            let note = format!("plugin {name} is not loaded from here: {error}; {instead}");
            events.warn(configmap, "PluginNotLoaded", &note);
        }
    }
}
