//! What one call of a plugin may use.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Serialize;

use super::decode::{Cursor, Decode};
use crate::quantity::{Bytes, Millis};

/// What one call of a plugin may use; a call that passes a limit fails and is retried with backoff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of the sandbox, all of its memories together: 1Mi to 4Gi.
    pub memory: Bytes,
    /// Time from the start of a call to its answer: 10ms to 5m.
    pub time: Millis,
    /// Size of what a plugin is told: the object, what it was before and its children, together; 64Ki to 64Mi.
    pub input: Bytes,
    /// Size of a plugin's answer: 1Ki to 64Mi.
    pub output: Bytes,
    /// How many calls of this plugin may run side by side: 1 to 256.
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: u16,
}

impl Limits {
    /// What `memory` may be.
    pub const MEMORY: RangeInclusive<Bytes> = Bytes::mebi(1)..=Bytes::mebi(4096);
    /// What `time` may be.
    pub const TIME: RangeInclusive<Millis> = Millis(10)..=Millis::seconds(300);
    /// What `input` may be.
    pub const INPUT: RangeInclusive<Bytes> = Bytes(64 << 10)..=Bytes::mebi(64);
    /// What `output` may be.
    pub const OUTPUT: RangeInclusive<Bytes> = Bytes(1024)..=Bytes::mebi(64);
    /// What `concurrency` may be.
    pub const CONCURRENCY: RangeInclusive<u16> = 1..=256;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Bytes::mebi(64),
            time: Millis::seconds(5),
            input: Bytes::mebi(8),
            output: Bytes::mebi(4),
            concurrency: 16,
        }
    }
}

impl Decode for Limits {
    fn decode(at: Cursor) -> Option<Self> {
        let default = Self::default();
        at.mapping(|fields| {
            let memory = fields.or("memory", default.memory);
            let time = fields.or("time", default.time);
            let input = fields.or("input", default.input);
            let output = fields.or("output", default.output);
            let concurrency = fields.or("concurrency", default.concurrency);
            Some(Self { memory: memory?, time: time?, input: input?, output: output?, concurrency: concurrency? })
        })
    }
}
