//! Kubernetes Events: what a person sees with `kubectl describe`.
//!
//! kube's `Recorder` does the work. An Event that can't be written is logged and nothing else: reports never hold up work.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use operon_core::answer::Notice;

/// Bytes of a note that the API server takes (validation of `events.k8s.io/v1`).
const NOTE: usize = 1024;
/// Characters of a reason that it takes.
const REASON: usize = 128;

/// Writes Events as this host.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// As `operon/<host>`.
    pub fn new(client: Client, host: &str) -> Self {
        let reporter = Reporter { controller: format!("operon.dev/{host}"), instance: Some(instance()) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Something is wrong with an object.
    pub async fn warn(&self, object: &ObjectReference, reason: &str, note: &str) {
        self.publish(object, EventType::Warning, reason, note).await;
    }

    /// A plugin's own words.
    pub async fn notice(&self, object: &ObjectReference, notice: &Notice) {
        let severity = if notice.warning { EventType::Warning } else { EventType::Normal };
        let reason: String = notice.reason.chars().take(REASON).collect();
        let reason = if reason.is_empty() { "PluginNotice" } else { &reason };
        self.publish(object, severity, reason, &notice.message).await;
    }

    async fn publish(&self, object: &ObjectReference, type_: EventType, reason: &str, note: &str) {
        // Of Events alike but for their note the recorder would keep the first note only: the action, which nobody is shown,
        // tells them apart.
        let action = format!("Handle-{}", operon_core::digest::Digest::of(note).short());
        let event = Event { type_, reason: reason.into(), note: Some(cut(note)), action, secondary: None };
        if let Err(error) = self.recorder.publish(&event, object).await {
            let object = object.name.as_deref().unwrap_or_default();
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
