//! Label selectors, as `kubectl -l` takes them, and what they select.
//!
//! The host evaluates them itself: the API server would report an object that leaves the selection as deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use schemars::JsonSchema;

use crate::{malformed::Malformed, resource::is_subdomain};

const EXPECTED: &str = "a label selector, such as tier=web,stage in (test,live),!paused";

/// A label selector: requirements that all have to hold.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("minLength" = 1, "examples" = ["tier=web,stage in (test,live),!paused"]))]
pub struct LabelSelector {
    text: String,
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, BTreeSet<String>),
    /// Holds for objects without the label, too.
    NotIn(String, BTreeSet<String>),
}

impl LabelSelector {
    /// The selector as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True where an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
        })
    }
}

impl FromStr for LabelSelector {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let requirements: Option<Vec<_>> = split_outside_parentheses(text).map(requirement).collect();
        match requirements {
            Some(requirements) => Ok(Self { text: text.to_owned(), requirements }),
            None => Err(Malformed::new(text, EXPECTED)),
        }
    }
}

/// At the commas between requirements, not at those between the values of a set.
fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn requirement(text: &str) -> Option<Requirement> {
    let text = text.trim();
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(label_key(key)?, single(value)?));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Requirement::In(label_key(key)?, single(value)?));
    }
    if let Some(key) = text.strip_prefix('!') {
        return label_key(key).map(Requirement::Absent);
    }
    let Some((head, set)) = text.split_once('(') else {
        return label_key(text).map(Requirement::Exists);
    };
    let values = set.strip_suffix(')')?.split(',').map(label_value).collect::<Option<_>>()?;
    match head.split_whitespace().collect::<Vec<_>>()[..] {
        [key, "in"] => Some(Requirement::In(label_key(key)?, values)),
        [key, "notin"] => Some(Requirement::NotIn(label_key(key)?, values)),
        _ => None,
    }
}

fn single(value: &str) -> Option<BTreeSet<String>> {
    label_value(value).map(|value| BTreeSet::from([value]))
}

/// `name` or `prefix/name`.
fn label_key(text: &str) -> Option<String> {
    let text = text.trim();
    let name = match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix).then_some(name)?,
        None => text,
    };
    (!name.is_empty() && is_label_text(name)).then(|| text.to_owned())
}

fn label_value(text: &str) -> Option<String> {
    let text = text.trim();
    is_label_text(text).then(|| text.to_owned())
}

/// What Kubernetes takes for a label's name and value; the empty one is a value only.
fn is_label_text(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.is_empty() || text.len() <= 63 && text.bytes().all(inner) && text.starts_with(ends) && text.ends_with(ends)
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::LabelSelector;

    /// Is an object with the labels `tier: web` and `stage: ""` selected?
    fn selects(selector: &str) -> bool {
        let labels = [("tier", "web"), ("stage", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        selector.parse::<LabelSelector>().unwrap().matches(&labels.into())
    }

    #[test]
    fn a_selector_selects_what_kubectl_would() {
        for selector in [
            "tier",
            "!owner",
            "tier=web",
            "tier==web",
            "tier = web",
            "stage=",
            "tier!=db",
            "owner!=me",
            "tier in (db, web)",
            "tier notin (db)",
            "owner notin (me)",
            "tier in (web),!owner",
            "stage in (,test)",
            "tier=web,stage",
        ] {
            assert!(selects(selector), "{selector}");
        }
        for selector in [
            "owner",
            "!tier",
            "tier=db",
            "tier!=web",
            "owner=",
            "owner in (me)",
            "tier notin (web,db)",
            "tier=web,owner",
        ] {
            assert!(!selects(selector), "{selector}");
        }
    }

    #[test]
    fn a_key_may_have_a_prefix() {
        assert!("app.kubernetes.io/name=web".parse::<LabelSelector>().is_ok());
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for selector in [
            "",
            ",",
            "a,,b",
            "tier=web,",
            "=web",
            "tier=a b",
            "tier in web",
            "tier in (web",
            "in (web)",
            "tier among (web)",
            "a=b=c",
            "-a",
            "a/b/c",
            "A_/b",
            "a>1",
            "tier in (a)(b)",
            "(a)",
            "a)b",
            "!",
            "!a=b",
            "a!b",
        ] {
            assert!(selector.parse::<LabelSelector>().is_err(), "{selector}");
        }
    }
}
