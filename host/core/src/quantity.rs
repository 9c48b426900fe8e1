//! Amounts of memory and time as people write them: `64Mi`, `5s`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

use crate::malformed::Malformed;

const EXPECTED_BYTES: &str = "a number of bytes, such as 64Mi (Ki, Mi, Gi, k, M, G; without a suffix: bytes)";
const EXPECTED_MILLIS: &str = "a duration, such as 5s (ms, s, m, h)";

/// The suffixes of Kubernetes; printing takes the first that fits.
const BYTE_UNITS: [(&str, u64); 7] =
    [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000), ("", 1)];

const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A number of bytes; read from `64Mi`, `1500k` or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", extend("type" = ["string", "integer"], "pattern" = "^[0-9]+(Ki|Mi|Gi|k|M|G)?$", "minimum" = 0))]
pub struct Bytes(pub u64);

impl Bytes {
    /// `count` times 1024 * 1024 bytes.
    pub const fn mebi(count: u64) -> Self {
        Self(count << 20)
    }

    /// As an index or a length; the largest one where the machine's are smaller.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Bytes {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &BYTE_UNITS).map(Self).ok_or_else(|| Malformed::new(text, EXPECTED_BYTES))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, &BYTE_UNITS)
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

/// A duration in whole milliseconds; read from `500ms`, `5s`, `2m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9]+(ms|s|m|h)$"))]
pub struct Millis(pub u64);

impl Millis {
    /// `count` seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(count * 1_000)
    }

    /// As the standard library's type.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for Millis {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &TIME_UNITS).map(Self).ok_or_else(|| Malformed::new(text, EXPECTED_MILLIS))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, &TIME_UNITS)
    }
}

impl From<Millis> for String {
    fn from(millis: Millis) -> Self {
        millis.to_string()
    }
}

/// Digits and a unit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let (_, scale) = units.iter().find(|(unit, _)| *unit == suffix)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

/// In the first unit that divides it.
fn write_scaled(f: &mut fmt::Formatter<'_>, amount: u64, units: &[(&str, u64)]) -> fmt::Result {
    let divides = |scale: u64| amount.is_multiple_of(scale) && (amount >= scale || scale == 1);
    let (unit, scale) = units.iter().find(|(_, scale)| divides(*scale)).unwrap_or(&("", 1));
    write!(f, "{}{unit}", amount / scale)
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Millis};

    #[test]
    fn binary_and_decimal_suffixes_are_those_of_kubernetes() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("1Ki", 1 << 10),
            ("64Mi", 64 << 20),
            ("4Gi", 4 << 30),
            ("3k", 3_000),
            ("2M", 2_000_000),
            ("1G", 1_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(u64::try_from(Bytes(bytes).as_usize()), Ok(bytes), "{text}");
            assert_eq!(String::from(Bytes(bytes)).parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_of_memory_is_refused() {
        for text in ["", "Mi", "64mi", "64MB", "1.5Gi", "-1", "64 Mi", "18446744073709551616", "18446744073709551615Ki"]
        {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_needs_its_unit() {
        for (text, millis) in [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(text.parse(), Ok(Millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "1.5s", "5S", "5d", "-5s", "1m30s"] {
            assert!(text.parse::<Millis>().is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_printed_in_the_largest_unit_that_divides_them() {
        for text in ["64Mi", "1Ki", "3k", "0", "1023"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
        for text in ["5s", "2m", "1h", "1500ms", "0ms"] {
            assert_eq!(text.parse::<Millis>().unwrap().to_string(), text);
        }
    }
}
