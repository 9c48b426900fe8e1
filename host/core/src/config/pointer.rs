//! JSON pointers (RFC 6901), by which the config file names what is no part of the essence.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::malformed::Malformed;

const EXPECTED: &str = "a JSON pointer, such as /metadata/annotations/example.com~1seen (~1 is /, ~0 is ~)";

/// A JSON pointer to something inside an object; never the empty one, which is the object itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[schemars(extend("pattern" = "^(/([^~/]|~[01])*)+$"))]
pub struct JsonPointer(String);

impl JsonPointer {
    /// The pointer as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The field names and indices on the way, unescaped; at least one.
    pub fn tokens(&self) -> impl Iterator<Item = String> {
        self.0.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"))
    }
}

impl FromStr for JsonPointer {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let escapes_end_well = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && escapes_end_well {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed::new(text, EXPECTED))
        }
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::JsonPointer;

    #[test]
    fn tokens_are_unescaped_in_the_order_of_the_standard() {
        let pointer: JsonPointer = "/metadata/annotations/a~1b~01".parse().unwrap();
        assert_eq!(pointer.tokens().collect::<Vec<_>>(), ["metadata", "annotations", "a/b~1"]);
    }

    #[test]
    fn what_is_no_pointer_into_an_object_is_refused() {
        for text in ["", "spec", "spec/count", "/a~", "/a~2", "$.spec"] {
            assert!(text.parse::<JsonPointer>().is_err(), "{text}");
        }
    }
}
