//! The record: what a plugin handled, kept as an annotation on the object itself.
//!
//! It is what makes a restart cheap (nothing unchanged is handled again) and safe (nothing changed is missed). Another
//! uid (a copied or restored object), or a text that is no record, is no record: the object is then handled as new.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{children::Children, digest::Digest, essence::Essence};

/// The version of the format that this host writes and reads.
const VERSION: u32 = 1;

/// Essences above this size are recorded by their digest only, in bytes.
pub const ESSENCE_LIMIT: usize = 16 << 10;

/// All annotations of an object together stay below this, in bytes: half of what Kubernetes allows, so that the user's own next
/// write does not fail because of ours.
pub const ANNOTATIONS_LIMIT: usize = 128 << 10;

/// What a plugin handled of an object, and with what result.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Of the format.
    pub version: u32,
    /// Of the object that was handled.
    pub uid: Box<str>,
    /// In which version of the resource it was seen.
    pub api_version: Box<str>,
    /// What was handled; none where it was too large or secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub essence: Option<Box<RawValue>>,
    /// Digest of what was handled.
    pub essence_digest: Digest,
    /// Digest of the plugin that handled it.
    pub plugin: Digest,
    /// Digest of the settings it had.
    pub settings: Digest,
    /// Digest of the status it returned last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Digest>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the children looked like then.
    #[serde(default, skip_serializing_if = "Children::is_empty")]
    pub children: Children,
    /// The object was being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// The interval in which the plugin wants to be called again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requeue_ms: Option<u64>,
}

/// How a handled event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All that the plugin returned is in place.
    Done,
    /// The plugin refused it for good: not called again before object, plugin or settings change.
    Rejected,
}

/// Digests of the code and the settings that handle an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandledBy {
    /// Of the component's bytes.
    pub plugin: Digest,
    /// Of the settings' canonical JSON.
    pub settings: Digest,
}

impl Record {
    /// A record of `essence`, handled with `outcome`; secret ones are kept by digest only.
    pub fn new(
        uid: &str,
        api_version: &str,
        essence: &Essence,
        secret: bool,
        by: &HandledBy,
        outcome: Outcome,
    ) -> Self {
        let keep = !secret && essence.text.len() <= ESSENCE_LIMIT;
        Self {
            version: VERSION,
            uid: uid.into(),
            api_version: api_version.into(),
            essence: keep.then(|| RawValue::from_string(essence.text.clone()).ok()).flatten(),
            essence_digest: essence.digest.clone(),
            plugin: by.plugin.clone(),
            settings: by.settings.clone(),
            status: None,
            outcome,
            children: Children::default(),
            deleting: false,
            requeue_ms: None,
        }
    }

    /// Reads an annotation. None for another object's record, another format's, or what is no record at all.
    pub fn read(annotation: &str, uid: &str) -> Option<Self> {
        let record: Self = serde_json::from_str(annotation).ok()?;
        (record.version == VERSION && *record.uid == *uid).then_some(record)
    }

    /// The text of the essence.
    pub fn essence(&self) -> Option<&str> {
        self.essence.as_deref().map(RawValue::get)
    }

    /// The annotation, within the room that `others` (the bytes of the object's other annotations) leave.
    pub fn write(&self, others: usize) -> String {
        let full = text_of(self);
        if self.essence.is_none() || full.len() + others <= ANNOTATIONS_LIMIT {
            return full;
        }
        text_of(&Self { essence: None, ..self.clone() })
    }

    /// Was it handled by this code with these settings?
    pub fn is_by(&self, by: &HandledBy) -> bool {
        self.plugin == by.plugin && self.settings == by.settings
    }
}

/// Plain data with text keys: it serializes.
fn text_of(record: &Record) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn essence(text: &str) -> Essence {
        Essence { text: text.into(), digest: Digest::of(text) }
    }

    fn by() -> HandledBy {
        HandledBy { plugin: Digest::of("p"), settings: Digest::of("s") }
    }

    fn record(text: &str, secret: bool) -> Record {
        Record::new("u1", "v1", &essence(text), secret, &by(), Outcome::Done)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut written = record(r#"{"spec":{"count":2}}"#, false);
        written.status = Some(Digest::of("status"));
        written.requeue_ms = Some(5000);
        let read = Record::read(&written.write(0), "u1").unwrap();
        assert_eq!(read.essence(), Some(r#"{"spec":{"count":2}}"#));
        assert_eq!(read.write(0), written.write(0));
        assert!(read.is_by(&by()));
        assert_eq!((read.outcome, read.deleting, read.requeue_ms), (Outcome::Done, false, Some(5000)));
    }

    #[test]
    fn a_copied_object_and_garbage_have_no_record() {
        let text = record("{}", false).write(0);
        assert!(Record::read(&text, "u2").is_none());
        assert!(Record::read("{}", "u1").is_none());
        assert!(Record::read("", "u1").is_none());
        assert!(Record::read(&text.replace("\"version\":1", "\"version\":2"), "u1").is_none());
    }

    #[test]
    fn a_large_or_secret_essence_is_kept_by_its_digest() {
        let text = format!("\"{}\"", "x".repeat(ESSENCE_LIMIT - 2));
        assert!(record(&text, false).essence().is_some());
        let larger = format!("\"{}\"", "x".repeat(ESSENCE_LIMIT - 1));
        let kept = Record::read(&record(&larger, false).write(0), "u1").unwrap();
        assert_eq!((kept.essence(), &kept.essence_digest), (None, &Digest::of(&larger)));
        assert!(record("{}", true).essence().is_none());
    }

    #[test]
    fn where_annotations_are_nearly_full_the_essence_is_left_out() {
        let record = record(r#"{"spec":1}"#, false);
        let full = record.write(0).len();
        let fits = Record::read(&record.write(ANNOTATIONS_LIMIT - full), "u1").unwrap();
        assert!(fits.essence().is_some());
        let tight = Record::read(&record.write(ANNOTATIONS_LIMIT - full + 1), "u1").unwrap();
        assert!(tight.essence().is_none());
    }

    #[test]
    fn another_plugin_or_other_settings_did_not_handle_it() {
        let record = record("{}", false);
        assert!(!record.is_by(&HandledBy { plugin: Digest::of("q"), ..by() }));
        assert!(!record.is_by(&HandledBy { settings: Digest::of("t"), ..by() }));
    }
}
