//! From the tree of a YAML text to typed values, with a line for every mistake.
//!
//! Not serde's `Deserialize`, which gives up at its first error: here a value that can't be read is noted, and its
//! neighbours are read all the same. Nothing is guessed: a number is no text, an unknown field is a mistake.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::PathBuf,
    ptr,
    str::FromStr,
};

use serde_json::{Map, Value};

use super::{
    error::{FieldPath, Mistake, Position},
    yaml::{Content, Key, Node},
};
use crate::malformed::Malformed;

/// A type that the config file can hold.
pub(super) trait Decode: Sized {
    /// Reads the value; none where that can't be done, and why is then noted.
    fn decode(at: Cursor) -> Option<Self>;
}

/// Reads a typed value from a tree, or tells all that is wrong with it.
pub(super) fn decode<T: Decode>(node: &Node) -> Result<T, Vec<Mistake>> {
    let mistakes = RefCell::default();
    let value = T::decode(Cursor { node, path: FieldPath::Top, mistakes: &mistakes });
    let mistakes = mistakes.into_inner();
    match value {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => Err(mistakes),
    }
}

/// A value of the tree, the way to it, and the mistakes found so far.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    node: &'a Node,
    path: FieldPath<'a>,
    mistakes: &'a RefCell<Vec<Mistake>>,
}

impl<'a> Cursor<'a> {
    /// Notes that something else is expected here.
    pub(super) fn expected<T>(&self, expected: impl Display) -> Option<T> {
        self.found(&self.node.content, expected)
    }

    /// Notes that something else is expected here than what is `found`.
    pub(super) fn found<T>(&self, found: impl Display, expected: impl Display) -> Option<T> {
        self.note(self.node.position, self.path, format!("found {found}, expected {expected}"));
        None
    }

    fn note(&self, position: Position, path: FieldPath, reason: String) {
        self.mistakes.borrow_mut().push(Mistake { position: Some(position), path: path.to_string(), reason });
    }

    /// What the text here stands for; never made from a number or a boolean.
    pub(super) fn parse<T: FromStr<Err = Malformed>>(&self) -> Option<T> {
        let (text, quoted) = match &self.node.content {
            Content::Text(text) => (Cow::from(text), true),
            scalar @ (Content::Bool(_) | Content::Number(_)) => (scalar.to_string().into(), false),
            Content::Null | Content::List(_) | Content::Map(_) => return self.expected("text"),
        };
        match text.parse::<T>() {
            Ok(value) if quoted => Some(value),
            Ok(_) => self.expected("text: put it in quotes"),
            Err(error) => self.expected(error.expected()),
        }
    }

    /// The whole number here, 0 or more.
    pub(super) fn whole_number(&self) -> Option<u64> {
        match &self.node.content {
            Content::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The one of `choices` that the text here names.
    pub(super) fn choice<T: Copy>(&self, choices: &[T], name: impl Fn(T) -> &'static str) -> Option<T> {
        let text = match &self.node.content {
            Content::Text(text) => text,
            _ => "",
        };
        let chosen = choices.iter().find(|choice| name(**choice) == text);
        chosen.copied().or_else(|| {
            let names: Vec<_> = choices.iter().map(|choice| name(*choice)).collect();
            self.expected(one_of(text, &names).0)
        })
    }

    /// The mapping here, read field by field; fields that `read` doesn't ask for are mistakes.
    pub(super) fn mapping<T>(&self, read: impl FnOnce(&mut Fields) -> Option<T>) -> Option<T> {
        let mut fields = Fields { entries: self.entries()?, mapping: self, asked: Vec::new(), missing: Vec::new() };
        let value = read(&mut fields);
        fields.finish();
        value
    }

    fn entries(&self) -> Option<BTreeMap<&'a str, (&'a Key, &'a Node)>> {
        let Content::Map(entries) = &self.node.content else {
            return self.expected("a mapping");
        };
        let mut unique = BTreeMap::new();
        for (key, value) in entries {
            let (first, _) = unique.entry(&*key.name).or_insert((key, value));
            if !ptr::eq(*first, key) {
                let Position { line, column } = first.position;
                let reason = format!("found this field twice, expected it once (first at {line}:{column})");
                self.note(key.position, self.path.field(&key.name), reason);
            }
        }
        Some(unique)
    }

    fn items(&self) -> Option<&'a [Node]> {
        match &self.node.content {
            Content::List(items) => Some(items),
            _ => self.expected("a list"),
        }
    }

    fn item<'b>(&'b self, index: usize, node: &'b Node) -> Cursor<'b> {
        Cursor { node, path: self.path.item(index), mistakes: self.mistakes }
    }

    fn field<'b>(&'b self, name: &'b str, node: &'b Node) -> Cursor<'b> {
        Cursor { node, path: self.path.field(name), mistakes: self.mistakes }
    }
}

/// The fields of a mapping, while they are asked for one by one.
pub(super) struct Fields<'a> {
    mapping: &'a Cursor<'a>,
    entries: BTreeMap<&'a str, (&'a Key, &'a Node)>,
    asked: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl Fields<'_> {
    /// A field that has to be there.
    pub(super) fn required<T: Decode>(&mut self, name: &'static str) -> Option<T> {
        let value = self.optional(name)?;
        if value.is_none() {
            self.missing.push(name);
        }
        value
    }

    /// A field that may be left out; the outer `Option` is that of [`Decode::decode`].
    #[expect(clippy::option_option, reason = "left out and wrong are two things")]
    pub(super) fn optional<T: Decode>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.asked.push(name);
        match self.entries.remove(name) {
            Some((_, node)) => T::decode(self.mapping.field(name, node)).map(Some),
            None => Some(None),
        }
    }

    /// A field that stands for `default` where it is left out.
    pub(super) fn or<T: Decode>(&mut self, name: &'static str, default: T) -> Option<T> {
        Some(self.optional(name)?.unwrap_or(default))
    }

    /// True where the mapping has a field that was not asked for.
    pub(super) fn has_unknown(&self) -> bool {
        !self.entries.is_empty()
    }

    fn finish(self) {
        let mut misspelt = Vec::new();
        for (name, (key, _)) in &self.entries {
            let (allowed, meant) = one_of(name, &self.asked);
            misspelt.extend(meant);
            let reason = format!("found an unknown field, expected {allowed}");
            self.mapping.note(key.position, self.mapping.path.field(name), reason);
        }
        for name in self.missing {
            // A field under a slightly wrong name is there: one mistake, one line.
            if !misspelt.contains(&name) {
                let path = self.mapping.path.field(name);
                self.mapping.note(self.mapping.node.position, path, "this field is required, but missing".to_owned());
            }
        }
    }
}

/// The allowed names in words, with the one that was probably meant.
fn one_of(found: &str, allowed: &[&'static str]) -> (String, Option<&'static str>) {
    let distance = |name: &str| strsim::damerau_levenshtein(&found.to_lowercase(), &name.to_lowercase());
    let nearest = allowed.iter().copied().min_by_key(|name| distance(name));
    let meant = nearest.filter(|name| distance(name) * 3 <= name.len().max(3));
    let list = match allowed {
        [only] => (*only).to_owned(),
        several => format!("one of {}", several.join(", ")),
    };
    match meant {
        Some(name) => (format!("{list}; did you mean `{name}`?"), meant),
        None => (list, None),
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(at: Cursor) -> Option<Self> {
        // Collected before any is given up, so that the mistakes in all of them are noted.
        let items: Vec<_> =
            at.items()?.iter().enumerate().map(|(index, node)| T::decode(at.item(index, node))).collect();
        items.into_iter().collect()
    }
}

impl Decode for bool {
    fn decode(at: Cursor) -> Option<Self> {
        match at.node.content {
            Content::Bool(value) => Some(value),
            _ => at.expected("true or false"),
        }
    }
}

/// A list that names nothing twice.
impl<T: Decode + Ord> Decode for BTreeSet<T> {
    fn decode(at: Cursor) -> Option<Self> {
        let mut set = Some(Self::new());
        for (index, node) in at.items()?.iter().enumerate() {
            let item = at.item(index, node);
            let is_new = T::decode(item).map(|value| set.as_mut().is_none_or(|set| set.insert(value)));
            match is_new {
                Some(true) => {}
                Some(false) => set = item.found(format_args!("{} twice", node.content), "it once"),
                None => set = None,
            }
        }
        set
    }
}

impl Decode for Map<String, Value> {
    fn decode(at: Cursor) -> Option<Self> {
        let fields = at.entries()?.into_iter();
        fields.map(|(name, (_, node))| Some((name.to_owned(), Value::decode(at.field(name, node))?))).collect()
    }
}

impl Decode for Value {
    fn decode(at: Cursor) -> Option<Self> {
        Some(match &at.node.content {
            Content::Null => Self::Null,
            Content::Bool(value) => Self::Bool(*value),
            Content::Number(number) => Self::Number(number.clone()),
            Content::Text(text) => Self::String(text.clone()),
            Content::List(_) => Self::Array(Vec::decode(at)?),
            Content::Map(_) => Self::Object(Map::decode(at)?),
        })
    }
}

impl Decode for PathBuf {
    fn decode(at: Cursor) -> Option<Self> {
        match &at.node.content {
            Content::Text(path) if !path.is_empty() => Some(path.into()),
            _ => at.expected("a path"),
        }
    }
}

impl Decode for u16 {
    fn decode(at: Cursor) -> Option<Self> {
        let number = at.whole_number().and_then(|number| number.try_into().ok());
        number.or_else(|| at.expected(format_args!("a whole number from 0 to {}", Self::MAX)))
    }
}

/// Types that are read from text by `FromStr`.
macro_rules! decode_by_parsing {
    ($($type:ty),* $(,)?) => {
        $(impl Decode for $type {
            fn decode(at: Cursor) -> Option<Self> {
                at.parse()
            }
        })*
    };
}

decode_by_parsing!(
    super::name::ConfigMapKey,
    super::name::ConfigMapName,
    super::name::HostName,
    super::name::Namespace,
    super::name::PluginName,
    super::pointer::JsonPointer,
    super::selector::LabelSelector,
    crate::digest::Digest,
    crate::quantity::Millis,
    crate::resource::ResourceName,
);

impl Decode for crate::quantity::Bytes {
    fn decode(at: Cursor) -> Option<Self> {
        at.whole_number().map(Self).or_else(|| at.parse())
    }
}
