//! What a guest reaches from inside its sandbox: a log, reads of the cluster, clocks and random numbers.
//!
//! One value of these lives as long as one call. No files, no network, no environment, no arguments: what a language imports of
//! those without using it is linked and empty.

use std::sync::Arc;

use operon_core::answer::ObjectRef;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};

use super::{
    bindings::operon::plugin::{cluster, log, types},
    limits::{CallLimits, MemoryMeter},
};
use crate::cluster::reads::{Query, ReadError, Reads};

/// Log lines that a call may write; what is more is counted.
const LOG_LINES: usize = 1000;
/// Bytes of log messages that a call may write, and bytes of each of its output streams.
const LOG_BYTES: usize = 64 << 10;

/// What a call is about, for the log.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The plugin's name in the config.
    pub plugin: Arc<str>,
    /// The object, or the export that is called without one.
    pub object: Arc<str>,
}

/// The state of one call.
pub struct Guest {
    subject: Subject,
    reads: Option<Arc<Reads>>,
    wasi: WasiCtx,
    table: ResourceTable,
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
    lines: usize,
    bytes: usize,
    dropped: usize,
    /// What its memories and tables hold.
    pub memory: MemoryMeter,
}

impl Guest {
    /// A fresh one. Without `reads` every read of the cluster is answered with `unavailable`.
    pub fn new(subject: Subject, reads: Option<Arc<Reads>>, limits: &CallLimits) -> Self {
        let (stdout, stderr) = (MemoryOutputPipe::new(LOG_BYTES), MemoryOutputPipe::new(LOG_BYTES));
        let wasi = WasiCtx::builder().stdout(stdout.clone()).stderr(stderr.clone()).build();
        Self {
            subject,
            reads,
            wasi,
            table: ResourceTable::new(),
            stdout,
            stderr,
            lines: 0,
            bytes: 0,
            dropped: 0,
            memory: MemoryMeter::new(limits.memory),
        }
    }

    /// Logs what the guest printed, and how many lines of its log were dropped.
    pub fn flush(&self) {
        let Subject { plugin, object } = &self.subject;
        for (stream, pipe) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let printed = pipe.contents();
            for line in String::from_utf8_lossy(&printed).lines() {
                tracing::info!(target: "operon::guest", %plugin, %object, stream, "{line}");
            }
        }
        if self.dropped > 0 {
            let dropped = self.dropped;
            tracing::warn!(%plugin, %object, dropped, "the call logged more than {LOG_LINES} lines or {LOG_BYTES} bytes");
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    fn enabled(&mut self, level: log::Level) -> bool {
        match level {
            log::Level::Trace => tracing::enabled!(target: "operon::guest", tracing::Level::TRACE),
            log::Level::Debug => tracing::enabled!(target: "operon::guest", tracing::Level::DEBUG),
            log::Level::Info => tracing::enabled!(target: "operon::guest", tracing::Level::INFO),
            log::Level::Warn => tracing::enabled!(target: "operon::guest", tracing::Level::WARN),
            log::Level::Error => tracing::enabled!(target: "operon::guest", tracing::Level::ERROR),
        }
    }

    fn log(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        let size = message.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if self.lines == LOG_LINES || self.bytes + size > LOG_BYTES {
            self.dropped += 1;
            return;
        }
        self.lines += 1;
        self.bytes += size;
        let Subject { plugin, object } = &self.subject;
        // The names of tracing's fields are fixed at compile time: the guest's go into one.
        let fields = fields.iter().fold(String::new(), |text, (name, value)| text + &format!(" {name}={value:?}"));
        match level {
            log::Level::Trace => tracing::trace!(target: "operon::guest", %plugin, %object, "{message}{fields}"),
            log::Level::Debug => tracing::debug!(target: "operon::guest", %plugin, %object, "{message}{fields}"),
            log::Level::Info => tracing::info!(target: "operon::guest", %plugin, %object, "{message}{fields}"),
            log::Level::Warn => tracing::warn!(target: "operon::guest", %plugin, %object, "{message}{fields}"),
            log::Level::Error => tracing::error!(target: "operon::guest", %plugin, %object, "{message}{fields}"),
        }
    }
}

impl cluster::Host for Guest {
    async fn get(&mut self, object: types::ObjectRef) -> Result<String, cluster::Error> {
        let reads = self.reads.clone().ok_or_else(no_cluster)?;
        Ok(reads.get(&ObjectRef::from(object)).await?)
    }

    async fn find(&mut self, query: cluster::Query) -> Result<cluster::Page, cluster::Error> {
        let reads = self.reads.clone().ok_or_else(no_cluster)?;
        let cluster::Query { resource, namespace, label_selector, limit, continue_ } = query;
        let page = reads.find(Query { resource, namespace, label_selector, limit, continue_token: continue_ }).await?;
        Ok(cluster::Page { items: page.items, continue_: page.continue_token })
    }
}

fn no_cluster() -> cluster::Error {
    cluster::Error::Unavailable("there is no cluster to read from in this call".into())
}

impl From<ReadError> for cluster::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotGranted(why) => Self::NotGranted(why),
            ReadError::NotFound => Self::NotFound,
            ReadError::TooLarge(why) => Self::TooLarge(why),
            ReadError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}
