//! Reads of the cluster that the host's config grants to the plugin.
//!
//! Off WebAssembly there is no cluster: every read is [`Error::Unavailable`].

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde::de::DeserializeOwned;

use crate::ObjectRef;
use crate::bindings::operon::plugin::cluster as host;

pub use host::Query;

/// A part of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The objects.
    pub items: Vec<T>,
    /// What to ask for the next page; none: this is the last.
    pub next: Option<Query>,
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The config doesn't grant this read. Says which grant is missing.
    NotGranted(String),
    /// There is no such object or resource.
    NotFound,
    /// The answer is larger than the host passes to a plugin.
    TooLarge(String),
    /// The API server can't answer now.
    Unavailable(String),
    /// The object is not of the type asked for.
    Unreadable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(why) => write!(f, "not granted: {why}"),
            Self::NotFound => f.write_str("not found"),
            Self::TooLarge(why) => write!(f, "too large: {why}"),
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::NotGranted(why) => Self::NotGranted(why),
            host::Error::NotFound => Self::NotFound,
            host::Error::TooLarge(why) => Self::TooLarge(why),
            host::Error::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Query {
    /// All objects of a resource (`plural.version.group`) in all namespaces
    /// that the config grants, as many at once as the host returns.
    ///
    /// ```
    /// use operon_plugin::cluster::Query;
    ///
    /// let query = Query::new("configmaps.v1.").in_namespace("demo").with_labels("app=web");
    /// ```
    pub fn new(resource: impl Into<String>) -> Self {
        Self { resource: resource.into(), namespace: None, label_selector: None, limit: None, continue_: None }
    }

    /// Only in this namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Only what this label selector (`app=web,tier!=db`) selects.
    #[must_use]
    pub fn with_labels(mut self, selector: impl Into<String>) -> Self {
        self.label_selector = Some(selector.into());
        self
    }

    /// At most this number of objects a page.
    #[must_use]
    pub fn limit(mut self, objects: u32) -> Self {
        self.limit = Some(objects);
        self
    }
}

/// Reads one object.
///
/// ```no_run
/// use operon_plugin::{Failure, ObjectRef, OrFail, Value, cluster};
///
/// fn settings() -> Result<Value, Failure> {
///     let object = ObjectRef::new("v1", "ConfigMap", "settings").in_namespace("demo");
///     cluster::get(&object).or_retry("ConfigMap demo/settings")
/// }
/// ```
pub fn get<T: DeserializeOwned>(object: &ObjectRef) -> Result<T, Error> {
    Ok(serde_json::from_str(&imports::get(object)?)?)
}

/// Finds objects, one page of them.
pub fn find<T: DeserializeOwned>(query: &Query) -> Result<Page<T>, Error> {
    let page = imports::find(query)?;
    let items = page.items.iter().map(|item| serde_json::from_str(item));
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        next: page.continue_.map(|token| Query { continue_: Some(token), ..query.clone() }),
    })
}

#[cfg(target_family = "wasm")]
use host as imports;

#[cfg(not(target_family = "wasm"))]
mod imports {
    use super::host::{Error, Page, Query};
    use crate::ObjectRef;
    use alloc::string::String;

    const WHY: &str = "there is no cluster outside of the host";

    pub(super) fn get(_: &ObjectRef) -> Result<String, Error> {
        Err(Error::Unavailable(WHY.into()))
    }

    pub(super) fn find(_: &Query) -> Result<Page, Error> {
        Err(Error::Unavailable(WHY.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn reads_off_webassembly_are_unavailable() {
        let object = ObjectRef::new("v1", "Namespace", "demo");
        assert!(matches!(get::<Value>(&object), Err(Error::Unavailable(_))));
        let query = Query::new("namespaces.v1.").limit(1);
        assert!(matches!(find::<Value>(&query), Err(Error::Unavailable(_))));
    }

    #[test]
    fn the_errors_of_the_host_keep_their_reason() {
        let error = Error::from(host::Error::NotGranted("get secrets.v1.".into()));
        assert_eq!(error.to_string(), "not granted: get secrets.v1.");
        assert_eq!(Error::from(host::Error::NotFound).to_string(), "not found");
    }
}
