//! SHA-256 digests, written as `sha256:<hex>`: of plugins, settings, essences, statuses and applied bodies.

use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::malformed::Malformed;

/// What a piece of content is known by: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub struct Digest(Box<str>);

/// Bytes of a stream that are hashed at once.
const CHUNK: usize = 64 << 10;

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(format!("sha256:{:x}", Sha256::digest(bytes)).into())
    }

    /// The digest of all that comes, and how many bytes that is. No more than a chunk of it is held.
    pub fn of_stream(mut stream: impl Read) -> io::Result<(Self, u64)> {
        let (mut hash, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
        loop {
            let count = match stream.read(&mut chunk) {
                Ok(0) => return Ok((Self(format!("sha256:{:x}", hash.finalize()).into()), size)),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hash.update(chunk.get(..count).unwrap_or_default());
            size += count as u64;
        }
    }

    /// The whole digest, `sha256:` and 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits alone.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }

    /// The first twelve digits: enough for a person to tell two apart in a log line.
    pub fn short(&self) -> &str {
        self.0.get(7..19).unwrap_or(&self.0)
    }
}

impl FromStr for Digest {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.bytes().all(is_digit));
        digits.map(|_| Self(text.into())).ok_or_else(|| {
            Malformed::new(
                text,
                "a digest: sha256: and 64 hexadecimal digits in lower case, as `operon versions` prints it",
            )
        })
    }
}

impl TryFrom<String> for Digest {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::Digest;

    #[test]
    fn the_digest_of_the_empty_text_is_the_one_of_fips_180() {
        let digest = Digest::of("");
        assert_eq!(digest.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.short(), "e3b0c44298fc");
        assert_eq!(digest.hex(), &digest.as_str()[7..]);
    }

    #[test]
    fn a_stream_has_the_digest_of_its_bytes_however_it_comes() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for split in [0, 1, 65_535, 65_536, 65_537, bytes.len()] {
            let (first, second) = bytes.split_at(split);
            let (digest, size) = Digest::of_stream(first.chain(second)).unwrap();
            assert_eq!((digest, size), (Digest::of(&bytes), 800_000));
        }
    }

    #[test]
    fn only_a_whole_digest_is_read() {
        let digest = Digest::of("");
        assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
        for odd in ["", "sha256:", &digest.as_str()[..70], &digest.as_str().to_uppercase(), &digest.as_str()[7..]] {
            assert!(odd.parse::<Digest>().is_err(), "{odd}");
            assert!(serde_json::from_str::<Digest>(&format!("{odd:?}")).is_err(), "{odd}");
        }
    }
}
