//! Addresses of objects: what patches and reads are aimed at.

use alloc::string::String;

use crate::ObjectRef;

impl ObjectRef {
    /// The address of an object of a cluster-scoped kind; for others see
    /// [`in_namespace`](Self::in_namespace).
    ///
    /// ```
    /// use operon_plugin::ObjectRef;
    ///
    /// let config = ObjectRef::new("v1", "ConfigMap", "web").in_namespace("demo");
    /// assert_eq!(config.namespace.as_deref(), Some("demo"));
    /// ```
    pub fn new(api_version: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { api_version: api_version.into(), kind: kind.into(), namespace: None, name: name.into() }
    }

    /// The same in a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }
}
