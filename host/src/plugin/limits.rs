//! What one call may use, and what happens past it: the call ends, its message names the limit.

use std::time::Duration;

use operon_core::config::Limits;
use wasmtime::ResourceLimiter;

/// Bytes that an element of a table counts for.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// Limits of a call as the sandbox uses them.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Bytes of all memories and tables together.
    pub memory: usize,
    /// From the start of the instance to the answer, host calls included.
    pub time: Duration,
    /// Bytes of the object, what it was before and its children.
    pub input: usize,
    /// Bytes that the host takes from the guest in one answer or host call.
    pub output: usize,
}

impl From<&Limits> for CallLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            memory: limits.memory.as_usize(),
            time: limits.time.as_duration(),
            input: limits.input.as_usize(),
            output: limits.output.as_usize(),
        }
    }
}

/// Sums what all memories and tables of an instance hold; wasmtime's own `StoreLimits` caps each of them alone.
#[derive(Debug)]
pub struct MemoryMeter {
    limit: usize,
    used: usize,
    /// What a refused growth would have come to.
    pub refused: Option<usize>,
}

impl MemoryMeter {
    /// Nothing used yet.
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, refused: None }
    }

    fn grow(&mut self, current: usize, desired: usize) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.limit {
            self.refused = Some(wanted);
            // An error rather than `false`: a guest that goes on without the memory it asked for fails later and elsewhere.
            return Err(wasmtime::Error::msg("the memory limit is reached"));
        }
        self.used = wanted;
        Ok(true)
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current, desired)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current.saturating_mul(TABLE_ELEMENT), desired.saturating_mul(TABLE_ELEMENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_memories_and_tables_share_one_limit() {
        let mut meter = MemoryMeter::new(1000);
        assert!(meter.memory_growing(0, 400, None).is_ok());
        assert!(meter.memory_growing(0, 400, None).is_ok());
        assert!(meter.table_growing(0, 25, None).is_ok());
        assert!(meter.memory_growing(400, 401, None).is_err());
        assert_eq!(meter.refused, Some(1001));
    }
}
