//! The name of a resource, as the config file and `kubectl` spell it: `plural.version.group`.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::malformed::Malformed;

const EXPECTED: &str = "plural.version.group, such as samples.v1.nuvolaris.org (configmaps.v1. in the core group)";

/// A resource in one version: `samples.v1.nuvolaris.org`; in the core group, which has no name, `configmaps.v1.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", extend(
    "pattern" = r"^[a-z]([a-z0-9-]*[a-z0-9])?\.v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?(\.([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)?)?$",
    "examples" = ["samples.v1.nuvolaris.org", "configmaps.v1."]
))]
pub struct ResourceName {
    plural: String,
    version: String,
    group: String,
}

impl ResourceName {
    /// `namespaces.v1.`
    pub fn namespaces() -> Self {
        Self { plural: "namespaces".into(), version: "v1".into(), group: String::new() }
    }

    /// `samples`.
    pub fn plural(&self) -> &str {
        &self.plural
    }

    /// `v1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `nuvolaris.org`; empty for the core group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What objects say in `apiVersion`: `nuvolaris.org/v1`, in the core group `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// True where the two name one resource, in whatever versions.
    pub fn same_resource(&self, other: &Self) -> bool {
        self.plural == other.plural && self.group == other.group
    }
}

impl FromStr for ResourceName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.');
        let (plural, version, group) = (parts.next(), parts.next(), parts.next());
        let (Some(plural), Some(version)) = (plural, version) else {
            return Err(Malformed::new(text, EXPECTED));
        };
        let group = group.unwrap_or_default();
        let starts_with_a_letter = plural.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts_with_a_letter || !is_label(plural) || !is_version(version) || !is_group(group) {
            return Err(Malformed::new(text, EXPECTED));
        }
        Ok(Self { plural: plural.to_owned(), version: version.to_owned(), group: group.to_owned() })
    }
}

/// A DNS label (RFC 1123): lower case letters, digits and `-`, at most 63, ends with a letter or digit.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_word(text)
}

/// Such labels joined by dots, at most 253 characters together; as in Kubernetes (`IsDNS1123Subdomain`), each may be as long.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_word)
}

fn is_word(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_group(text: &str) -> bool {
    text.is_empty() || is_subdomain(text)
}

/// `v1`, `v1beta2`, `v2alpha1`.
fn is_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else {
        return false;
    };
    let Some((major, minor)) = rest.split_once("alpha").or_else(|| rest.split_once("beta")) else {
        return is_ordinal(rest);
    };
    is_ordinal(major) && is_ordinal(minor)
}

fn is_ordinal(text: &str) -> bool {
    !text.starts_with('0') && !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.plural, self.version, self.group)
    }
}

impl From<ResourceName> for String {
    fn from(name: ResourceName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::ResourceName;

    #[test]
    fn a_custom_resource_is_split_at_its_first_two_dots() {
        let name: ResourceName = "samples.v1.nuvolaris.org".parse().unwrap();
        assert_eq!((name.plural(), name.version(), name.group()), ("samples", "v1", "nuvolaris.org"));
        assert_eq!(name.api_version(), "nuvolaris.org/v1");
    }

    #[test]
    fn the_core_group_is_printed_with_its_trailing_dot_however_it_was_written() {
        for text in ["configmaps.v1.", "configmaps.v1"] {
            let name: ResourceName = text.parse().unwrap();
            assert_eq!(name.to_string(), "configmaps.v1.");
            assert_eq!(name.api_version(), "v1");
        }
    }

    #[test]
    fn pre_release_versions_are_versions() {
        for text in ["a.v1alpha1.x.org", "a.v2beta3.x.org", "a.v12.x.org"] {
            assert!(text.parse::<ResourceName>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_resource_name_is_refused() {
        for text in [
            "",
            "samples",
            "samples.nuvolaris.org",
            ".v1.",
            "Samples.v1.x.org",
            "samples.v0.x.org",
            "samples.v1gamma1.x",
            "samples.v1beta.x.org",
            "samples.v1.x..org",
            "samples.v1.x.org.",
            "samples.v1.-x",
            "1s.v1.",
            "samples/v1",
            "a b.v1.",
        ] {
            assert!(text.parse::<ResourceName>().is_err(), "{text}");
        }
    }

    #[test]
    fn two_versions_of_a_resource_are_the_same_resource() {
        let name = |text: &str| text.parse::<ResourceName>().unwrap();
        assert!(name("a.v1.x.org").same_resource(&name("a.v2.x.org")));
        assert!(!name("a.v1.x.org").same_resource(&name("a.v1.y.org")));
    }
}
