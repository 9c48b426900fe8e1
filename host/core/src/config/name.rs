//! The names in the config file: each checked against what Kubernetes takes where the name ends up.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    malformed::Malformed,
    resource::{is_label, is_subdomain},
};

/// Declares a checked name: a text that can't be made without its check.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:literal, $pattern:literal, $check:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[schemars(extend("pattern" = $pattern, "maxLength" = $max))]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                if text.len() <= $max && $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Malformed::new(text, $expected))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Tells the hosts of one cluster apart: a DNS label of at most 20 characters.
    ///
    /// With a plugin's name and a dot it has to fit into the 63 characters of a finalizer's name.
    HostName, 20, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", is_label,
    "a DNS label of at most 20 characters: lower case letters, digits and -"
}

name! {
    /// Name of a plugin: a DNS label of at most 40 characters.
    PluginName, 40, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", is_label,
    "a DNS label of at most 40 characters: lower case letters, digits and -"
}

name! {
    /// Name of a namespace: a DNS label.
    Namespace, 63, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", is_label,
    "the name of a namespace: at most 63 lower case letters, digits and -"
}

name! {
    /// Name of a `ConfigMap`: a DNS subdomain.
    ConfigMapName, 253, r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", is_subdomain,
    "the name of a ConfigMap: lower case letters, digits, - and ."
}

name! {
    /// Key in a `ConfigMap`: letters, digits, `-`, `_` and `.`.
    ConfigMapKey, 253, r"^[A-Za-z0-9._-]+$", is_key,
    "a key of a ConfigMap: letters, digits, -, _ and ."
}

fn is_key(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(inner) && !matches!(text, "." | "..")
}

impl Default for HostName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigMapKey, HostName, PluginName};

    #[test]
    fn a_name_at_its_longest_is_taken_and_one_longer_is_refused() {
        assert!("a".repeat(20).parse::<HostName>().is_ok());
        assert!("a".repeat(21).parse::<HostName>().is_err());
        assert!("a".repeat(40).parse::<PluginName>().is_ok());
        assert!("a".repeat(41).parse::<PluginName>().is_err());
    }

    #[test]
    fn a_name_that_kubernetes_would_refuse_is_refused() {
        for text in ["", "Sample", "-a", "a-", "a.b", "a_b", "a b"] {
            assert!(text.parse::<PluginName>().is_err(), "{text}");
        }
        for text in ["", ".", "..", "a/b"] {
            assert!(text.parse::<ConfigMapKey>().is_err(), "{text}");
        }
        assert!("plugin.wasm".parse::<ConfigMapKey>().is_ok());
    }

    #[test]
    fn the_default_host_passes_its_own_check() {
        assert_eq!("default".parse(), Ok(HostName::default()));
    }
}
