//! Compiling apart: in a child process with limits, into a cache from which the code is mapped.
//!
//! `child` is what the process does, `process` how the host runs it, `cache` what is kept, `folder` where. What a compilation
//! takes of memory and time, and what it breaks, is the child's; a component that was compiled before costs none of it.

pub mod cache;
pub mod child;
pub mod folder;
mod process;

use std::{
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use operon_core::digest::Digest;
use tokio::{sync::Semaphore, task::spawn_blocking};

use cache::{Cache, Compiled, Key};
use child::Limits;

/// Memory of a compilation: those of Python and JavaScript take 430 MB.
const MEMORY: u64 = 1 << 30;
/// Of the container's memory, the share that a compilation gets at most: else the container is ended, and the host with it.
const SHARE: (u64, u64) = (3, 4);
/// Where a container's limit is read, as Linux has it.
const CONTAINER_MEMORY: &str = "/sys/fs/cgroup/memory.max";
/// Processor time of a compilation: ten times what Python takes.
const CPU_SECONDS: u64 = 120;
/// Bytes of compiled code: ten times what Python's comes to.
const OUTPUT: u64 = 512 << 20;
/// From start to end. Longer than its processor time, since it gets only what others leave.
const PATIENCE: Duration = Duration::from_mins(5);

/// Why there is no compiled component.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bytes are no component.
    #[error("{0}")]
    Refused(String),
    /// They can't be read.
    #[error("failed: its bytes can't be read: {0}")]
    Read(io::Error),
    /// They are others than was said.
    #[error("failed: its digest is {found}, not {expected}")]
    Digest {
        /// What was said.
        expected: Digest,
        /// What was read.
        found: Digest,
    },
    /// It takes too many bytes of memory.
    #[error("takes more memory than it may: {} MiB", .0 >> 20)]
    Memory(u64),
    /// It takes too many seconds.
    #[error("takes more processor time than it may: {0} s")]
    Processor(u64),
    /// Its code has too many bytes.
    #[error("gives more code than it may: {} MiB", .0 >> 20)]
    Output(u64),
    /// It was given up.
    #[error("was given up after {0:?}: it runs at a low priority, and got too little of the processor")]
    Patience(Duration),
    /// The compiler has a fault.
    #[error("made the compiler crash: {0}")]
    Crashed(String),
    /// Not the component's fault.
    #[error("failed: {0}")]
    Host(#[from] io::Error),
}

impl CompileError {
    /// It says nothing against the component: it may do in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Host(_) | Self::Patience(_))
    }
}

/// Compiles components, one at a time.
pub struct Compiler {
    /// The program that is run for it: this one.
    pub program: PathBuf,
    /// What one compilation may use.
    pub limits: Limits,
    /// How long one compilation is waited for.
    pub patience: Duration,
    cache: Arc<Cache>,
    compatibility: String,
    turn: Semaphore,
}

impl Compiler {
    /// For an engine of this compatibility; as [`super::sandbox::Sandbox::compatibility`] has it.
    pub fn new(cache: Cache, compatibility: String) -> io::Result<Self> {
        // By this name it is the program that runs, also when another version has been put in its place.
        let itself = PathBuf::from("/proc/self/exe");
        Ok(Self {
            program: if itself.exists() { itself } else { std::env::current_exe()? },
            limits: Limits { memory: memory(), cpu_seconds: CPU_SECONDS, output: OUTPUT },
            patience: PATIENCE,
            cache: Arc::new(cache),
            compatibility,
            turn: Semaphore::new(1),
        })
    }

    /// Takes the component from the cache, or compiles what is read from `wasm`, which has to have that digest.
    pub async fn compile(
        &self,
        digest: &Digest,
        wasm: impl io::Read + Send + 'static,
    ) -> Result<Compiled, CompileError> {
        let key = Arc::new(Key::new(digest, &self.compatibility));
        if let Some(found) = self.find(&key, digest).await? {
            return Ok(found);
        }
        let _turn = self.turn.acquire().await.map_err(io::Error::other)?;
        // Whoever had the turn may have compiled the same.
        if let Some(found) = self.find(&key, digest).await? {
            return Ok(found);
        }
        let start = Instant::now();
        let draft = self.in_cache(Cache::draft).await??;
        process::compile(&self.program, self.limits, self.patience, (wasm, digest), draft.output()?).await?;
        let compiled = self.in_cache(move |cache| cache.publish(draft, &key)).await??;
        tracing::info!(digest = digest.short(), took = ?start.elapsed(), "compiled");
        Ok(compiled)
    }

    /// What was compiled before, from the cache.
    pub async fn again(&self, digest: &Digest) -> Result<Option<Compiled>, CompileError> {
        Ok(self.find(&Arc::new(Key::new(digest, &self.compatibility)), digest).await?)
    }

    async fn find(&self, key: &Arc<Key>, digest: &Digest) -> io::Result<Option<Compiled>> {
        let (start, key) = (Instant::now(), key.clone());
        let found = self.in_cache(move |cache| cache.find(&key)).await?;
        if found.is_some() {
            tracing::info!(digest = digest.short(), took = ?start.elapsed(), "taken from the cache of compiled plugins");
        }
        Ok(found)
    }

    /// Files are read and digested on threads that may wait.
    async fn in_cache<T: Send + 'static>(&self, work: impl FnOnce(&Cache) -> T + Send + 'static) -> io::Result<T> {
        let cache = self.cache.clone();
        spawn_blocking(move || work(&cache)).await.map_err(io::Error::other)
    }
}

/// As much as there may be, and no more than leaves room for the host where the container has less.
fn memory() -> u64 {
    let container = fs::read_to_string(CONTAINER_MEMORY).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let (part, whole) = SHARE;
    container.map_or(MEMORY, |bytes| MEMORY.min(bytes / whole * part))
}
