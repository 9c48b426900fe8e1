//! Kubernetes Events: what a person sees with `kubectl describe`.
//!
//! kube's `Recorder` writes them, in a task of its own: reports never hold up work. What can't be written is logged; what
//! comes faster than it is written is dropped, and counted in the log.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use operon_core::answer::Notice;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of a note that the API server takes (validation of `events.k8s.io/v1`).
const NOTE: usize = 1024;
/// Characters of a reason that it takes.
const REASON: usize = 128;
/// Events that wait to be written, at most: what a plugin that fails on a thousand objects says at once.
const WAITING: usize = 1024;

/// Writes Events as this host.
#[derive(Clone)]
pub struct Events {
    queue: Sender<Report>,
    dropped: Arc<AtomicU64>,
}

/// Something to tell, about an object.
struct Report(ObjectReference, Event);

/// Writes what [`Events`] are given.
pub struct Publisher {
    recorder: Recorder,
    queue: Receiver<Report>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// As `operon.dev/<host>`. Nothing is written before [`Publisher::run`].
    pub fn new(client: Client, host: &str) -> (Self, Publisher) {
        let reporter = Reporter { controller: format!("operon.dev/{host}"), instance: Some(instance()) };
        let (sender, queue) = channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let recorder = Recorder::new(client, reporter);
        (Self { queue: sender, dropped: dropped.clone() }, Publisher { recorder, queue, dropped })
    }

    /// Something is wrong with an object.
    pub fn warn(&self, object: &ObjectReference, reason: &str, note: &str) {
        self.publish(object, EventType::Warning, reason, note);
    }

    /// A plugin's own words.
    pub fn notice(&self, object: &ObjectReference, notice: &Notice) {
        let severity = if notice.warning { EventType::Warning } else { EventType::Normal };
        let reason: String = notice.reason.chars().take(REASON).collect();
        let reason = if reason.is_empty() { "PluginNotice" } else { &reason };
        self.publish(object, severity, reason, &notice.message);
    }

    fn publish(&self, object: &ObjectReference, type_: EventType, reason: &str, note: &str) {
        // Of Events alike but for their note the recorder would keep the first note only: the action, which nobody is shown,
        // tells them apart.
        let action = format!("Handle-{}", operon_core::digest::Digest::of(note).short());
        let event = Event { type_, reason: reason.into(), note: Some(cut(note)), action, secondary: None };
        if self.queue.try_send(Report(object.clone(), event)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Publisher {
    /// Writes one after the other, until nobody is left who could tell more.
    pub async fn run(mut self) {
        while let Some(report) = self.queue.recv().await {
            self.write(report).await;
        }
    }

    async fn write(&self, Report(object, event): Report) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "Events came faster than the API server takes them");
        }
        if let Err(error) = self.recorder.publish(&event, &object).await {
            let (object, reason) = (object.name.as_deref().unwrap_or_default(), &event.reason);
            tracing::warn!(object, reason, "the Event could not be written: {error}");
        }
    }
}

/// Cuts a note at a character's end to what the API server takes.
fn cut(note: &str) -> String {
    if note.len() <= NOTE {
        return note.to_owned();
    }
    let mut end = NOTE - "...".len();
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &note[..end])
}

/// The pod's name, which Kubernetes makes the host name.
fn instance() -> String {
    std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "operon".into())
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_note_is_cut_to_what_the_api_server_takes_between_characters() {
        assert_eq!(cut("short"), "short");
        let cut = cut(&"ä".repeat(600));
        assert!(cut.len() <= 1024 && cut.ends_with("ä..."), "{}", cut.len());
    }
}
