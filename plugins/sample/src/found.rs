//! How a message names a value that is not as it should be.

use alloc::{format, string::String};

use operon_plugin::Value;

/// The most characters of a text that a message repeats.
const LONGEST: usize = 40;

/// The value in a few words: as it is where it is short, else its kind.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            format!("\"{start}...\"")
        }
        value => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use operon_plugin::json;

    #[test]
    fn short_values_are_shown_as_they_are() {
        assert_eq!(found(&json!("many")), "\"many\"");
        assert_eq!(found(&json!(-1)), "-1");
        assert_eq!(found(&json!(null)), "null");
        assert_eq!(found(&json!(true)), "true");
    }

    #[test]
    fn large_values_are_shown_by_their_kind_or_start() {
        assert_eq!(found(&json!([1, 2])), "a list");
        assert_eq!(found(&json!({ "a": 1 })), "an object");
        let text = "\u{e4}".repeat(LONGEST);
        assert_eq!(found(&json!(text)), format!("\"{text}\""));
        assert_eq!(found(&json!(format!("{text}x"))), format!("\"{text}...\""));
    }
}
