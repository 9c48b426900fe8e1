//! The number of replicas that a Sample asks for: its `spec.count`.

use alloc::{
    format,
    string::{String, ToString},
};

use operon_plugin::Value;

use crate::found::found;

/// Reads `spec.count` of a Sample: a whole number from 0 to `max`.
///
/// `2.0` is a whole number, as it is for JSON Schema: some tools write all
/// numbers that way.
///
/// # Errors
///
/// A message that names the field, what was found and what is allowed.
pub(crate) fn read(sample: &Value, max: u32) -> Result<u32, String> {
    let allowed = format!("expected a whole number from 0 to {max}");
    let Some(count) = sample.pointer("/spec/count") else {
        return Err(format!("spec.count is missing: {allowed}"));
    };
    whole(count)
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| *count <= max)
        .ok_or_else(|| format!("spec.count is {}: {allowed}", found(count)))
}

fn whole(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else {
        return None;
    };
    let digits = number.to_string();
    digits.strip_suffix(".0").unwrap_or(&digits).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use operon_plugin::json;

    fn count(value: &Value) -> Result<u32, String> {
        read(&json!({ "spec": { "count": value } }), 1000)
    }

    #[test]
    fn whole_numbers_up_to_the_maximum_are_taken() {
        assert_eq!(count(&json!(0)), Ok(0));
        assert_eq!(count(&json!(2)), Ok(2));
        assert_eq!(count(&json!(1000)), Ok(1000));
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
        assert_eq!(count(&json!(2.0)), Ok(2));
        assert_eq!(count(&json!(1e3)), Ok(1000));
        assert_eq!(count(&json!(-0.0)), Ok(0));
    }

    #[test]
    fn a_missing_count_is_rejected_naming_the_field() {
        let missing = Err("spec.count is missing: expected a whole number from 0 to 1000".into());
        for sample in [json!({}), json!({ "spec": null }), json!({ "spec": {} }), json!({ "spec": [2] })] {
            assert_eq!(read(&sample, 1000), missing);
        }
    }

    #[test]
    fn anything_but_a_whole_number_in_range_is_rejected_naming_what_was_found() {
        for (value, found) in [
            (json!(-1), "-1"),
            (json!(-1.0), "-1.0"),
            (json!(2.5), "2.5"),
            (json!(1001), "1001"),
            (json!(1001.0), "1001.0"),
            (json!(4_294_967_296_u64), "4294967296"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(1e300), "1e+300"),
            (json!("many"), "\"many\""),
            (json!("2"), "\"2\""),
            (json!(null), "null"),
            (json!(true), "true"),
            (json!([2]), "a list"),
            (json!({ "a": 2 }), "an object"),
        ] {
            let message = format!("spec.count is {found}: expected a whole number from 0 to 1000");
            assert_eq!(count(&value), Err(message));
        }
    }

    #[test]
    fn the_maximum_is_the_one_of_the_settings() {
        let sample = json!({ "spec": { "count": 4 } });
        assert_eq!(read(&sample, 4), Ok(4));
        let message = "spec.count is 4: expected a whole number from 0 to 3";
        assert_eq!(read(&sample, 3), Err(message.into()));
    }
}
