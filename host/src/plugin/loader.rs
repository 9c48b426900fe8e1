//! From bytes to a version that can be called: compiled, linked, described, its settings validated.

use std::sync::Arc;

use operon_core::{config::PluginConfig, json::canonical};

use super::{
    CallError, Plugin,
    limits::CallLimits,
    sandbox::Sandbox,
    source::{Component, SourceError},
};
use crate::cluster::reads::Reads;

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

impl LoadError {
    /// It may do in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Describe(CallError::Host(_)) | Self::Validate(CallError::Host(_)))
    }
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
    pub async fn load(&self, component: &Component) -> Result<Plugin, LoadError> {
        let sandbox = self.sandbox.clone();
        let (bytes, digest) = (component.bytes.clone(), component.digest.clone());
        let compiled = tokio::task::spawn_blocking(move || sandbox.prepare(&bytes)).await;
        let pre = match compiled {
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
        plugin.version = plugin.describe().await.map_err(LoadError::Describe)?.version;
        let settings = canonical(&self.config.settings.clone().into());
        plugin.validate(settings).await.map_err(LoadError::Validate)?.map_err(LoadError::Settings)?;
        Ok(plugin)
    }
}
