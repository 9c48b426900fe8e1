//! The head's `operon.json`: which version is served, and which ones were before.
//!
//! Whoever may write the ConfigMap writes this text, so nothing in it is taken unchecked. Fields that are not known are left
//! to later formats.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{COMPONENT_LIMIT, Encoding, HISTORY_LIMIT, PARTS_LIMIT};
use crate::{config::ConfigMapName, digest::Digest};

/// The format that this host reads and writes.
const FORMAT: u32 = 1;
/// Characters of `plugin`, `version` and `pushedAt`: they are for people.
const TEXT: usize = 100;

/// What a package is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    #[serde(default = "format")]
    format_version: u32,
    /// The version that is served.
    #[serde(flatten)]
    pub current: Version,
    /// All others whose parts are kept: the newest push first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Version>,
}

/// One version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Of the component, uncompressed.
    pub digest: Digest,
    /// Bytes of the component, uncompressed.
    pub size: u64,
    /// How the parts, joined, hold it.
    #[serde(default)]
    pub encoding: Encoding,
    /// In order.
    pub parts: Vec<PartRef>,
    /// Counts the pushes: which version is older is known by it, whatever the clocks of two machines say.
    #[serde(default)]
    pub revision: u64,
    /// The plugin that it is for, as whoever pushed it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What the component calls its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// By the clock of whoever pushed it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<String>,
}

/// A ConfigMap with a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRef {
    /// Of the ConfigMap.
    pub name: String,
    /// Of the part's bytes as they are stored.
    pub digest: Digest,
}

/// What is wrong with an `operon.json`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not JSON, or a field of another type.
    #[error("{0}")]
    Json(String),
    /// Of a later format.
    #[error("formatVersion: found {0}, expected {FORMAT}: it was written for a newer host")]
    Format(u32),
    /// A field out of its bounds.
    #[error("{path}: found {found}, expected {expected}")]
    Field {
        /// The way to it.
        path: String,
        /// What is there.
        found: String,
        /// What may be there.
        expected: String,
    },
}

fn format() -> u32 {
    FORMAT
}

impl Head {
    /// The head of a new package.
    pub fn new(first: Version) -> Self {
        Self { format_version: FORMAT, current: Version { revision: 1, ..first }, history: Vec::new() }
    }

    /// Reads and checks an `operon.json`.
    pub fn read(text: &str) -> Result<Self, HeadError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Format {
            #[serde(default = "format")]
            format_version: u32,
        }
        let json = |error: serde_json::Error| HeadError::Json(error.to_string());
        // First, since another format may have other fields.
        let Format { format_version } = serde_json::from_str(text).map_err(json)?;
        if format_version != FORMAT {
            return Err(HeadError::Format(format_version));
        }
        let head: Self = serde_json::from_str(text).map_err(json)?;
        head.current.check("")?;
        let former = head.history.len();
        check(
            "history",
            former <= HISTORY_LIMIT,
            || format!("{former} versions"),
            || format!("{HISTORY_LIMIT} at most"),
        )?;
        for (index, version) in head.history.iter().enumerate() {
            version.check(&format!("history[{index}]."))?;
        }
        Ok(head)
    }

    /// The text for the ConfigMap.
    pub fn write(&self) -> String {
        // Plain data with text keys: it serializes.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The head after a push, with up to `keep` former versions. One of the same digest is replaced.
    #[must_use]
    pub fn pushed(&self, version: Version, keep: usize) -> Self {
        let revision = self.newest_revision() + 1;
        let others = self.versions().into_iter().filter(|other| other.digest != version.digest);
        let history = others.take(keep.min(HISTORY_LIMIT)).cloned().collect();
        Self { format_version: FORMAT, current: Version { revision, ..version }, history }
    }

    /// The head that serves this version of its history; all others are kept, so that one can go forth again.
    pub fn rolled_back(&self, to: &Digest) -> Option<Self> {
        let versions = self.versions();
        let current = (*versions.iter().find(|version| version.digest == *to)?).clone();
        let history = versions.into_iter().filter(|version| version.digest != *to).cloned().collect();
        Some(Self { format_version: FORMAT, current, history })
    }

    /// The version that was pushed before the one that is served.
    pub fn previous(&self) -> Option<&Version> {
        self.versions().into_iter().find(|version| version.revision < self.current.revision)
    }

    /// All versions whose parts are kept, the newest push first.
    pub fn versions(&self) -> Vec<&Version> {
        let mut versions: Vec<_> = std::iter::once(&self.current).chain(&self.history).collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.revision));
        versions
    }

    /// The names of all parts of all versions.
    pub fn part_names(&self) -> BTreeSet<&str> {
        let versions = std::iter::once(&self.current).chain(&self.history);
        versions.flat_map(|version| &version.parts).map(|part| &*part.name).collect()
    }

    fn newest_revision(&self) -> u64 {
        self.versions().first().map_or(0, |version| version.revision)
    }
}

impl Version {
    /// `path` is empty or ends with a dot.
    fn check(&self, path: &str) -> Result<(), HeadError> {
        let field = |name: &str| format!("{path}{name}");
        let size = || format!("{} bytes", self.size);
        let sizes = || format!("1 to {COMPONENT_LIMIT}");
        check(&field("size"), (1..=COMPONENT_LIMIT).contains(&self.size), size, sizes)?;
        let parts = self.parts.len();
        let allowed = || format!("1 to {PARTS_LIMIT}");
        check(&field("parts"), (1..=PARTS_LIMIT).contains(&parts), || format!("{parts} parts"), allowed)?;
        for (index, part) in self.parts.iter().enumerate() {
            if let Err(error) = part.name.parse::<ConfigMapName>() {
                let (found, expected) = (format!("{:?}", part.name), error.expected().to_owned());
                return Err(HeadError::Field { path: field(&format!("parts[{index}].name")), found, expected });
            }
        }
        let texts = [("plugin", &self.plugin), ("version", &self.version), ("pushedAt", &self.pushed_at)];
        for (name, text) in texts {
            let Some(text) = text else { continue };
            let plain = text.chars().count() <= TEXT && !text.chars().any(char::is_control);
            check(&field(name), plain, || format!("{text:?}"), || format!("at most {TEXT} printable characters"))?;
        }
        Ok(())
    }

    /// What a component says of itself, as it may stand in a head: cut, and without control characters.
    pub fn text(text: &str) -> String {
        text.chars().filter(|c| !c.is_control()).take(TEXT).collect()
    }
}

fn check(
    path: &str,
    good: bool,
    found: impl FnOnce() -> String,
    expected: impl FnOnce() -> String,
) -> Result<(), HeadError> {
    if good { Ok(()) } else { Err(HeadError::Field { path: path.to_owned(), found: found(), expected: expected() }) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn version(name: &str) -> Version {
        Version {
            digest: Digest::of(name),
            size: 10,
            encoding: Encoding::Zstd,
            parts: vec![PartRef { name: format!("{name}-0"), digest: Digest::of(format!("{name}-part")) }],
            revision: 0,
            plugin: Some("sample".into()),
            version: Some(name.into()),
            pushed_at: Some("2026-01-02T03:04:05Z".into()),
        }
    }

    /// A package to which these were pushed.
    fn head(names: &[&str], keep: usize) -> Head {
        let first = Head::new(version(names[0]));
        names[1..].iter().fold(first, |head, name| head.pushed(version(name), keep))
    }

    /// The current version, then the history.
    fn names(head: &Head) -> Vec<&str> {
        std::iter::once(&head.current).chain(&head.history).filter_map(|version| version.version.as_deref()).collect()
    }

    fn json() -> Value {
        json!({"digest": Digest::of("a"), "size": 10, "encoding": "gzip", "parts": [{"name": "a-0", "digest": Digest::of("")}]})
    }

    fn refused(pointer: &str, value: Value) -> String {
        let mut head = json();
        head["history"] = json!([json()]);
        head["version"] = json!("1");
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        head.pointer_mut(parent).unwrap()[field] = value;
        Head::read(&head.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let head = head(&["a", "b", "c"], 5);
        assert_eq!(Head::read(&head.write()).unwrap(), head);
    }

    #[test]
    fn a_head_written_by_hand_needs_little_and_unknown_fields_are_left_alone() {
        let mut text = json();
        text["laterField"] = json!({"a": 1});
        text["parts"][0]["later"] = json!(1);
        let head = Head::read(&text.to_string()).unwrap();
        assert_eq!((head.current.encoding, head.current.revision, head.history.len()), (Encoding::Gzip, 0, 0));
    }

    #[test]
    fn each_field_out_of_its_bounds_is_refused_by_its_name() {
        let part = json!({"name": "a", "digest": Digest::of("")});
        for (pointer, value, want) in [
            ("/formatVersion", json!(2), "formatVersion: found 2, expected 1: it was written for a newer host"),
            ("/size", json!(0), "size: found 0 bytes, expected 1 to 67108864"),
            ("/size", json!(67_108_865), "size: found 67108865 bytes, expected 1 to 67108864"),
            ("/history/0/size", json!(0), "history[0].size: found 0 bytes"),
            ("/parts", json!([]), "parts: found 0 parts, expected 1 to 64"),
            ("/parts", json!(vec![&part; 65]), "parts: found 65 parts, expected 1 to 64"),
            (
                "/parts/0/name",
                json!("../secrets/a"),
                "parts[0].name: found \"../secrets/a\", expected the name of a ConfigMap",
            ),
            ("/history", json!(vec![json(); 33]), "history: found 33 versions, expected 32 at most"),
            (
                "/version",
                json!("\u{1b}[2J"),
                "version: found \"\\u{1b}[2J\", expected at most 100 printable characters",
            ),
            ("/version", json!("x".repeat(101)), "version: found"),
            ("/encoding", json!("brotli"), "unknown variant `brotli`"),
            ("/size", json!(-1), "invalid value"),
            ("/digest", json!("sha256:abc"), "expected a digest"),
        ] {
            let error = refused(pointer, value);
            assert!(error.starts_with(want) || error.contains(want), "{pointer}: {error}");
        }
        for text in ["", "{", "[]", "{}"] {
            assert!(matches!(Head::read(text), Err(HeadError::Json(_))), "{text}");
        }
    }

    #[test]
    fn a_push_goes_before_the_others_and_the_oldest_go() {
        assert_eq!(names(&head(&["a", "b", "c", "d"], 2)), ["d", "c", "b"]);
        assert_eq!(names(&head(&["a", "b"], 0)), ["b"]);
        let revisions: Vec<_> = head(&["a", "b", "c"], 5).versions().iter().map(|version| version.revision).collect();
        assert_eq!(revisions, [3, 2, 1]);
    }

    #[test]
    fn a_digest_that_is_pushed_again_is_there_once_and_is_the_newest() {
        let head = head(&["a", "b", "a"], 5);
        assert_eq!((names(&head), head.current.revision), (vec!["a", "b"], 3));
    }

    #[test]
    fn one_can_roll_back_step_by_step_and_forth_again_and_push_from_there() {
        let head = head(&["a", "b", "c"], 5);
        let back = |head: &Head| head.rolled_back(&head.previous().unwrap().digest).unwrap();
        let b = back(&head);
        let a = back(&b);
        assert_eq!((names(&b), names(&a)), (vec!["b", "c", "a"], vec!["a", "c", "b"]));
        assert!(a.previous().is_none());
        assert!(a.rolled_back(&Digest::of("z")).is_none());
        assert_eq!(a.rolled_back(&Digest::of("c")).unwrap(), head);
        assert_eq!(names(&a.pushed(version("d"), 2)), ["d", "c", "b"]);
        assert_eq!(a.part_names(), BTreeSet::from(["a-0", "b-0", "c-0"]));
    }

    #[test]
    fn the_largest_head_fits_into_a_configmap() {
        let part = PartRef { name: "n".repeat(253), digest: Digest::of("") };
        let text = Some("x".repeat(TEXT));
        let largest = Version {
            parts: vec![part; PARTS_LIMIT],
            plugin: text.clone(),
            version: text.clone(),
            pushed_at: text,
            size: COMPONENT_LIMIT,
            ..version("a")
        };
        let head = Head { format_version: 1, current: largest.clone(), history: vec![largest; HISTORY_LIMIT] };
        assert!(head.write().len() < 1 << 20, "{}", head.write().len());
    }
}
