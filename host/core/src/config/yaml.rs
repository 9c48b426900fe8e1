//! A YAML text as a tree in which every value knows where it stands.
//!
//! YAML 1.2 only: `yes` and `0755` are text, merge keys, unknown tags and numbers that JSON can't hold are errors. Repeated
//! keys are kept: [`decode`](super::decode) reports them with the path of their field.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{
    DuplicateKeyPolicy, Error, MergeKeyPolicy, MessageFormatter, NonFiniteFloatPolicy, Spanned, UserMessageFormatter,
    budget::BudgetBreach,
};

use super::error::{FieldPath, Mistake, Position};

/// Twice what a config needs, and what the stack of any thread can hold in a build without optimisation.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// As written: a key may be there twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) position: Position,
    pub(super) name: String,
}

/// Reads the one document of a text.
pub(super) fn read(text: &str) -> Result<Node, Mistake> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    };
    let mistake = |position, reason| Mistake { position, path: String::new(), reason };
    let parsed: Result<Node, _> = serde_saphyr::from_str_with_options(text, options);
    let node = parsed.map_err(|error| mistake(error.location().map(Position::from), reason(&error)))?;
    match node.content {
        Content::Null => Err(mistake(None, "found an empty file, expected a HostConfig".to_owned())),
        _ => Ok(node),
    }
}

fn reason(error: &Error) -> String {
    match error {
        Error::MultipleDocuments { .. } => "found a second document, expected one".to_owned(),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("found {} levels of nesting, expected at most {MAX_DEPTH}", MAX_DEPTH + 1)
        }
        Error::MergeKeyNotAllowed { .. } => "found the merge key <<, which YAML 1.2 no longer has".to_owned(),
        other => {
            let message = UserMessageFormatter.format_message(other);
            format!("not valid YAML: {}", message.replace(char::is_control, " "))
        }
    }
}

impl From<serde_saphyr::Location> for Position {
    fn from(location: serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl Node {
    /// Where the field at `path` stands; where it is left out, what would hold it.
    pub(super) fn position_of(&self, path: &FieldPath) -> Position {
        self.nearest(path).position
    }

    fn nearest(&self, path: &FieldPath) -> &Self {
        let (parent, child) = match path {
            FieldPath::Top => return self,
            FieldPath::Field(parent, name) => {
                let parent = self.nearest(parent);
                (parent, parent.field(name))
            }
            FieldPath::Item(parent, index) => {
                let parent = self.nearest(parent);
                (parent, parent.item(*index))
            }
        };
        child.unwrap_or(parent)
    }

    fn field(&self, name: &str) -> Option<&Self> {
        let Content::Map(entries) = &self.content else {
            return None;
        };
        entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    fn item(&self, index: usize) -> Option<&Self> {
        let Content::List(items) = &self.content else {
            return None;
        };
        items.get(index)
    }
}

/// What a message says was found.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("no value"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a mapping"),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer)
            .map(|spanned| Self { position: spanned.defined.into(), content: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(|spanned| Self { position: spanned.defined.into(), name: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Content, E> {
        let finite = Number::from_f64(value).ok_or_else(|| E::custom("a number that JSON can't hold"));
        finite.map(Content::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Content::Map(map))
    }
}
