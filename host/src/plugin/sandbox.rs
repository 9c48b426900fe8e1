//! The sandbox: one engine for all plugins, a fresh instance for each call.
//!
//! Guarantees: no state goes from one call to the next; a call ends at its time limit, however it spends its time; it never
//! holds a thread for longer than a tick. Compiling is `compile`'s, what a guest can reach is `guest`'s.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    thread,
    time::Duration,
};

use anyhow::Context;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{
    Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, Linker},
};

use super::{bindings::PluginPre, compile::cache::Compiled, guest::Guest, limits::CallLimits};

/// How often running guests are asked to yield: short, so that a busy one delays its neighbours little; long beside what a
/// tick costs.
const TICK: Duration = Duration::from_millis(5);

/// Calls that run at once, of all plugins together. Calls are short and take a core each, so many more than cores gain nothing; some
/// more, since those that read the cluster wait.
const CALLS: u32 = 64;
/// What the pool has for each of these calls. Components made from C or Rust need one or two of each, JavaScript's and
/// Python's several.
const CORE_INSTANCES: u32 = 32;
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;
const TABLE_ELEMENTS: usize = 50_000;
/// Address space of a pooled memory. All that 32-bit guests can address, so that compiled code needs no bounds checks.
const MEMORY_SPACE: usize = 4 << 30;

/// The engine and what every guest is linked against.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<Guest>,
    calls: Semaphore,
}

impl Sandbox {
    /// Starts the engine, and with it the thread of its clock.
    pub fn new() -> anyhow::Result<Self> {
        let engine = match Engine::new(&config(true)) {
            Ok(engine) => engine,
            Err(error) => {
                // Where address space is limited (`ulimit -v`), instances are allocated one by one: slower, not less safe.
                tracing::warn!("memory for plugins is not pooled: {error:#}");
                Engine::new(&config(false))?
            }
        };
        let weak = engine.weak();
        thread::Builder::new().name("epochs".into()).spawn(move || tick(&weak)).context("starting the epoch thread")?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        super::bindings::Plugin::add_to_linker::<_, wasmtime::component::HasSelf<_>>(&mut linker, |guest| guest)?;
        Ok(Self { engine, linker, calls: Semaphore::new(CALLS as usize) })
    }

    /// What compiled code has to fit: version and settings of wasmtime, features of the processor.
    pub fn compatibility(&self) -> String {
        compatibility(&self.engine)
    }

    /// Maps compiled code, which takes milliseconds.
    pub fn map(&self, compiled: &Compiled) -> wasmtime::Result<Component> {
        compiled.map(&self.engine)
    }

    /// Links a component; fails where it is of another world.
    pub fn link(&self, component: &Component) -> wasmtime::Result<PluginPre<Guest>> {
        PluginPre::new(self.linker.instantiate_pre(component)?)
    }

    /// A store for one call, and the permit to run it.
    pub async fn enter(
        &self,
        guest: Guest,
        limits: &CallLimits,
    ) -> anyhow::Result<(Store<Guest>, SemaphorePermit<'_>)> {
        let permit = self.calls.acquire().await?;
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(limits.output);
        // Each tick the guest hands its thread back; the time limit ends it at such a moment.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| {
            Ok(wasmtime::UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        Ok((store, permit))
    }
}

/// Of the engine that runs components, and of the one that compiles them; `pooled` makes no difference to compiled code.
pub(super) fn config(pooled: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // No guest that we take uses the asynchronous component model, and calls are cheaper without.
    config.concurrency_support(false);
    if pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(CALLS)
            .total_core_instances(CALLS * CORE_INSTANCES)
            .max_core_instances_per_component(CORE_INSTANCES)
            .total_memories(CALLS * MEMORIES)
            .max_memories_per_component(MEMORIES)
            .total_tables(CALLS * TABLES)
            .max_tables_per_component(TABLES)
            .table_elements(TABLE_ELEMENTS)
            .total_stacks(CALLS)
            .max_memory_size(MEMORY_SPACE);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// wasmtime checks all of it again when code is mapped: a hash that collides, or changes with Rust, costs a compilation.
fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Advances the engine's clock until the engine is gone. An OS thread, since guests may starve the executor.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::{compatibility, config};

    #[test]
    fn what_is_compiled_without_a_pool_runs_in_one() {
        let [pooled, plain] = [true, false].map(|pooled| compatibility(&Engine::new(&config(pooled)).unwrap()));
        assert_eq!(pooled, plain);
        let mut other = config(true);
        other.epoch_interruption(false);
        assert_ne!(compatibility(&Engine::new(&other).unwrap()), pooled);
    }
}
