//! From the bytes of a component to parts.

use std::io::{self, Write};

use super::{COMPONENT_LIMIT, Encoding, PART_LIMIT, PARTS_LIMIT, PartRef, UnpackError, Version, measure, name};
use crate::{config::ConfigMapName, digest::Digest};

/// What `operon push` compresses with: its window of 8 MiB is the largest that the host takes.
const LEVEL: i32 = 19;
/// Bytes between two reports of progress.
const STEP: usize = 1 << 20;

/// Compresses as `zstd -19`, which takes a second for 2 MB. `progress` is told how many bytes are done.
pub fn compress(wasm: &[u8], mut progress: impl FnMut(usize)) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    // With the size known, a small component asks for no more window than it has bytes.
    encoder.set_pledged_src_size(Some(wasm.len() as u64))?;
    let mut done = 0;
    for step in wasm.chunks(STEP) {
        encoder.write_all(step)?;
        done += step.len();
        progress(done);
    }
    encoder.finish()
}

/// A component as it is stored: what the head says of it, and the bytes of each part.
#[derive(Debug)]
pub struct Packed {
    /// Without a revision, a plugin, a version and a time: who pushes knows them.
    pub version: Version,
    stored: Vec<u8>,
}

impl Packed {
    /// Divides what is stored under this head into parts.
    pub fn new(head: &ConfigMapName, stored: Vec<u8>, encoding: Encoding) -> Result<Self, PackError> {
        let (digest, size) = measure(io::Cursor::new(&stored), encoding, COMPONENT_LIMIT)?;
        if stored.len() > PARTS_LIMIT * PART_LIMIT {
            return Err(PackError::TooLarge { stored: stored.len() });
        }
        let whole = Digest::of(&stored);
        let part = |(number, bytes)| PartRef { name: name::part(head, &whole, number), digest: Digest::of(bytes) };
        let parts = stored.chunks(PART_LIMIT).enumerate().map(part).collect();
        let version =
            Version { digest, size, encoding, parts, revision: 0, plugin: None, version: None, pushed_at: None };
        Ok(Self { version, stored })
    }

    /// The parts in order, with their bytes.
    pub fn parts(&self) -> impl Iterator<Item = (&PartRef, &[u8])> {
        self.version.parts.iter().zip(self.stored.chunks(PART_LIMIT))
    }

    /// Bytes of all parts together.
    pub fn stored_size(&self) -> usize {
        self.stored.len()
    }
}

/// Why a component can't be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It is not what its encoding says, or too large.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It has too many parts.
    #[error(
        "it takes {stored} bytes, and {PARTS_LIMIT} ConfigMaps of {PART_LIMIT} bytes are all that a package may have"
    )]
    TooLarge {
        /// Bytes to be stored.
        stored: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that don't compress.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        std::iter::repeat_with(&mut next).flatten().take(count).collect()
    }

    fn packed(stored: Vec<u8>, encoding: Encoding) -> Result<Packed, PackError> {
        Packed::new(&"sample".parse().unwrap(), stored, encoding)
    }

    #[test]
    fn parts_joined_are_what_was_stored_and_none_is_too_large() {
        for size in [1, PART_LIMIT - 1, PART_LIMIT, PART_LIMIT + 1, 3 * PART_LIMIT] {
            let bytes = noise(size);
            let packed = packed(bytes.clone(), Encoding::None).unwrap();
            assert_eq!(packed.version.parts.len(), size.div_ceil(PART_LIMIT));
            assert!(packed.parts().all(|(part, bytes)| bytes.len() <= PART_LIMIT && part.digest == Digest::of(bytes)));
            assert_eq!(packed.parts().flat_map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>(), bytes);
            assert_eq!((&packed.version.digest, packed.version.size), (&Digest::of(&bytes), size as u64));
        }
    }

    #[test]
    fn what_is_compressed_unpacks_again_and_tells_its_progress() {
        let wasm = [noise(3 << 19), vec![7; 9 << 20]].concat();
        let mut told = Vec::new();
        let stored = compress(&wasm, |done| told.push(done)).unwrap();
        assert_eq!((told.len(), told.last()), (11, Some(&wasm.len())));
        let packed = packed(stored, Encoding::Zstd).unwrap();
        assert!(packed.stored_size() < wasm.len() / 4);
        assert_eq!((packed.version.digest, packed.version.size), (Digest::of(&wasm), wasm.len() as u64));
    }

    #[test]
    fn what_needs_too_many_parts_is_refused() {
        let error = packed(noise(PARTS_LIMIT * PART_LIMIT + 1), Encoding::None).unwrap_err();
        assert!(error.to_string().starts_with("it takes 45875201 bytes"), "{error}");
    }
}
