//! From bytes to a version that can be called: compiled, linked, described, its settings validated.

use std::sync::Arc;

use operon_core::{config::PluginConfig, digest::Digest, json::canonical};

use super::{
    CallError, Plugin,
    compile::{CompileError, Compiler, cache::Compiled},
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
    /// It could not be compiled.
    #[error("compiling it {0}")]
    Compile(CompileError),
    /// The code that was compiled can't be run here.
    #[error("mapping its compiled code: {0}")]
    Map(String),
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
        match self {
            Self::Describe(CallError::Host(_)) | Self::Validate(CallError::Host(_)) => true,
            Self::Compile(error) => error.may_pass(),
            _ => false,
        }
    }
}

impl From<CompileError> for LoadError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(why) => Self::Component(why),
            error => Self::Compile(error),
        }
    }
}

/// Prepares components for one entry of the config.
pub struct Loader {
    /// The entry.
    pub config: PluginConfig,
    /// What compiles it, or has done so before.
    pub compiler: Arc<Compiler>,
    /// Where it will run.
    pub sandbox: Arc<Sandbox>,
    /// What it will read; none where there is no cluster.
    pub reads: Option<Arc<Reads>>,
}

impl Loader {
    /// Compiles, links, describes and validates.
    pub async fn load(&self, component: &Component) -> Result<Plugin, LoadError> {
        let (plugin, _) = self.describe(component).await?;
        self.validate(plugin).await
    }

    /// All of that but its settings; also what it says that it is called.
    pub async fn describe(&self, component: &Component) -> Result<(Plugin, String), LoadError> {
        let wasm = component.reader().map_err(CompileError::Read)?;
        let compiled = self.compiler.compile(&component.digest, wasm).await?;
        self.prepare(component.digest.clone(), compiled).await
    }

    /// The same for a version that was compiled before, if its code is still there.
    pub async fn load_again(&self, digest: &Digest) -> Result<Option<Plugin>, LoadError> {
        let Some(compiled) = self.compiler.again(digest).await? else { return Ok(None) };
        let (plugin, _) = self.prepare(digest.clone(), compiled).await?;
        self.validate(plugin).await.map(Some)
    }

    async fn validate(&self, plugin: Plugin) -> Result<Plugin, LoadError> {
        let settings = canonical(&self.config.settings.clone().into());
        plugin.validate(settings).await.map_err(LoadError::Validate)?.map_err(LoadError::Settings)?;
        Ok(plugin)
    }

    async fn prepare(&self, digest: Digest, compiled: Compiled) -> Result<(Plugin, String), LoadError> {
        let sandbox = self.sandbox.clone();
        let prepared = tokio::task::spawn_blocking(move || {
            let component = sandbox.map(&compiled).map_err(|error| LoadError::Map(format!("{error:#}")))?;
            let pre = sandbox.link(&component).map_err(|error| LoadError::Component(format!("{error:#}")))?;
            Ok::<_, LoadError>((pre, compiled))
        });
        let (pre, compiled) = match prepared.await {
            Ok(prepared) => prepared?,
            Err(panicked) => return Err(LoadError::Map(panicked.to_string())),
        };
        let mut plugin = Plugin {
            name: self.config.name.as_str().into(),
            digest,
            version: String::new(),
            sandbox: self.sandbox.clone(),
            pre,
            _compiled: compiled,
            limits: CallLimits::from(&self.config.limits),
            reads: self.reads.clone(),
        };
        let description = plugin.describe().await.map_err(LoadError::Describe)?;
        plugin.version = description.version;
        Ok((plugin, description.name))
    }
}
