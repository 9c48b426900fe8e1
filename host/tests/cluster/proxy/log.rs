//! What the proxy has seen, for tests to count.

use k8s_openapi::jiff::Timestamp;

use super::asked::{Asked, Recorded, Verb};

/// A request that reached the API server.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) asked: Asked,
    /// The API server's answer.
    pub(crate) status: u16,
    pub(crate) at: Timestamp,
    /// When the answer came.
    pub(crate) answered: Timestamp,
    /// The host was told so.
    pub(crate) told: bool,
}

impl Entry {
    /// Such as the proxy sees when a record is written.
    pub(crate) fn of_record(recorded: Recorded, answered: Timestamp, told: bool) -> Self {
        Self { asked: Asked::record(recorded), status: 200, at: answered, answered, told }
    }

    pub(crate) fn happened(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// All of them, in the order of their answers.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
}

impl Log {
    /// What changed something; Events, leases and dry runs are apart.
    pub(crate) fn writes(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.asked.is_write())
    }

    /// When watches of a resource began.
    pub(crate) fn watches(&self, resource: &str) -> Vec<Timestamp> {
        let watches = self.entries.iter().filter(|entry| entry.asked.verb == Verb::Watch);
        watches.filter(|entry| entry.asked.resource == resource).map(|entry| entry.at).collect()
    }
}
