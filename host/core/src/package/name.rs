//! What head, parts and their label are called, and how a package is named on the command line.

use std::{fmt, str::FromStr};

use crate::{
    config::{ConfigMapName, Namespace},
    digest::Digest,
    malformed::Malformed,
};

/// Characters of a ConfigMap's name.
const NAME: usize = 253;
/// Characters of a label's value.
const LABEL: usize = 63;
/// What a part's name has after the head's: `-`, 12 digits, `-`, 2 digits.
const PART_SUFFIX: usize = 16;

/// Where a package is; reads and prints as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of head and parts.
    pub namespace: Namespace,
    /// Of the head.
    pub name: ConfigMapName,
}

impl FromStr for Place {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new(text, "NAMESPACE/NAME of a ConfigMap, such as operon-system/sample-plugin");
        let (namespace, name) = text.split_once('/').ok_or_else(malformed)?;
        Ok(Self { namespace: namespace.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The value of the label [`PACKAGE_LABEL`](crate::names::PACKAGE_LABEL) of head and parts: the head's name, shortened where a
/// label can't hold it.
pub fn label(head: &ConfigMapName) -> String {
    shortened(head.as_str(), LABEL)
}

/// Name of the part with this number of a version whose stored bytes have this digest.
///
/// What a part holds follows from its name: one that is there already need not be written again.
pub(super) fn part(head: &ConfigMapName, stored: &Digest, number: usize) -> String {
    format!("{}-{}-{number}", shortened(head.as_str(), NAME - PART_SUFFIX), stored.short())
}

/// Can this be a part of that package?
pub fn is_part_of(head: &ConfigMapName, name: &str) -> bool {
    let rest = name.strip_prefix(&shortened(head.as_str(), NAME - PART_SUFFIX)).and_then(|rest| rest.strip_prefix('-'));
    rest.and_then(|rest| rest.split_once('-')).is_some_and(|(digest, number)| {
        digest.len() == 12
            && digest.bytes().all(|c| c.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|c| c.is_ascii_digit())
    })
}

/// The name itself, or its beginning with a digest of the whole, so that two names stay two.
fn shortened(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.to_owned();
    }
    let digest = Digest::of(name);
    let kept = name.get(..most - digest.short().len() - 1).unwrap_or_default();
    // A `-` after a dot would begin a DNS label.
    format!("{}-{}", kept.trim_end_matches(['.', '-']), digest.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: &str) -> ConfigMapName {
        name.parse().unwrap()
    }

    #[test]
    fn a_part_is_named_after_its_head_and_recognized() {
        let name = part(&head("sample-plugin"), &Digest::of(""), 7);
        assert_eq!(name, "sample-plugin-e3b0c44298fc-7");
        assert!(is_part_of(&head("sample-plugin"), &name));
        for other in ["sample", "sample-plugin-e3b0c44298fc", "other"] {
            assert!(!is_part_of(&head(other), &name), "{other}");
        }
        for other in
            ["sample-plugin", "sample-plugin-e3b0c44298fc", "sample-plugin-e3b0c44298fc-", "sample-plugin-e3b-0"]
        {
            assert!(!is_part_of(&head("sample-plugin"), other), "{other}");
        }
    }

    #[test]
    fn names_and_labels_of_the_longest_heads_are_valid_and_stay_apart() {
        // A dot at each place where the name may be cut.
        for dot in 30..250 {
            let (mut one, mut two) = ("a".repeat(252), "a".repeat(252));
            one.push('b');
            two.push('c');
            let with_dots = |text: &str| {
                let text: String = text
                    .chars()
                    .enumerate()
                    .map(|(i, c)| if i < 250 && (i + dot) % 60 == 0 { '.' } else { c })
                    .collect();
                text.trim_matches('.').to_owned()
            };
            let (one, two) = (head(&with_dots(&one)), head(&with_dots(&two)));
            let (part_one, part_two) = (part(&one, &Digest::of(""), 63), part(&two, &Digest::of(""), 63));
            assert!(part_one.parse::<ConfigMapName>().is_ok(), "{part_one}");
            assert!(is_part_of(&one, &part_one) && !is_part_of(&one, &part_two));
            assert_ne!(label(&one), label(&two));
            assert!(label(&one).len() <= 63 && label(&one).ends_with(|c: char| c.is_ascii_alphanumeric()));
        }
        assert_eq!(label(&head("sample-plugin")), "sample-plugin");
    }

    #[test]
    fn a_place_is_namespace_and_name() {
        let place: Place = "operon-system/sample-plugin".parse().unwrap();
        assert_eq!(place.to_string(), "operon-system/sample-plugin");
        for odd in ["", "sample-plugin", "/sample", "demo/", "demo/a/b", "Demo/a", "demo/a_b"] {
            assert!(odd.parse::<Place>().is_err(), "{odd}");
        }
    }
}
