//! The bytes of a component, as they are stored: compressed, mostly, and never all uncompressed at once.

use std::{
    fs,
    io::{self, Cursor, Read},
    path::Path,
    sync::Arc,
};

use operon_core::{
    digest::Digest,
    package::{COMPONENT_LIMIT, Encoding, UnpackError, Unpacked, Version, measure, verify},
};

use super::SourceError;

/// A component, unchecked but for its digest and size. A clone shares the bytes.
#[derive(Clone)]
pub struct Component {
    /// Of the component, uncompressed.
    pub digest: Digest,
    /// Bytes of the component, uncompressed.
    pub size: u64,
    encoding: Encoding,
    stored: Stored,
}

#[derive(Clone)]
struct Stored(Arc<Vec<u8>>);

impl AsRef<[u8]> for Stored {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Component {
    /// Finds out digest and size, which takes a pass through all of it; refuses what is damaged or too large.
    pub fn new(stored: Vec<u8>, encoding: Encoding) -> Result<Self, UnpackError> {
        let stored = Stored(Arc::new(stored));
        let (digest, size) = measure(Cursor::new(&stored), encoding, COMPONENT_LIMIT)?;
        Ok(Self { digest, size, encoding, stored })
    }

    /// Takes it only if it is what the head of its package says, which takes a pass as well.
    pub(super) fn verified(stored: Vec<u8>, version: &Version) -> Result<Self, UnpackError> {
        let stored = Stored(Arc::new(stored));
        verify(Cursor::new(&stored), version)?;
        Ok(Self { digest: version.digest.clone(), size: version.size, encoding: version.encoding, stored })
    }

    /// Reads a file, as it is now; the end of its name says whether it is compressed.
    pub fn read(file: &Path) -> Result<Self, SourceError> {
        let size = fs::metadata(file)?.len();
        if size > COMPONENT_LIMIT {
            return Err(SourceError::LargeFile { size, limit: COMPONENT_LIMIT });
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mut stored = Vec::new();
        // It may have grown since.
        fs::File::open(file)?.take(COMPONENT_LIMIT + 1).read_to_end(&mut stored)?;
        Self::new(stored, Encoding::of_name(&name)).map_err(|error| SourceError::Unpack { what: name.into(), error })
    }

    /// Refuses one that the config does not ask for.
    pub fn pinned(self, pin: Option<&Digest>) -> Result<Self, SourceError> {
        match pin {
            Some(pin) if *pin != self.digest => Err(SourceError::Pinned { found: self.digest, pinned: pin.clone() }),
            _ => Ok(self),
        }
    }

    /// The component, uncompressed as it is read; never more than its size.
    pub fn reader(&self) -> io::Result<impl Read + Send + 'static> {
        Unpacked::new(Cursor::new(self.stored.clone()), self.encoding, self.size)
    }

    /// How [`stored`](Self::stored) holds it.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The bytes as they came.
    pub fn stored(&self) -> &[u8] {
        self.stored.as_ref()
    }
}
