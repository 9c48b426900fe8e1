//! From stored bytes to the component, as a stream: never more than a window of it is held, however large it claims to be or is.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::{Encoding, Version};
use crate::digest::Digest;

/// The window of `zstd -19`, 8 MiB: memory that whoever made the bytes may claim.
const WINDOW_LOG: u32 = 23;

/// Why stored bytes are not the component.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// More comes out than may.
    #[error("it unpacks to more than {limit} bytes, {}", if *.claimed { "the size that it claims" } else { "the largest that is taken" })]
    TooLarge {
        /// What may come out.
        limit: u64,
        /// The package says so of itself.
        claimed: bool,
    },
    /// Its end is missing.
    #[error("its {encoding} data ends in the middle: it is truncated, make it anew")]
    Truncated {
        /// What it claims to be.
        encoding: &'static str,
    },
    /// It isn't what it claims to be.
    #[error("its {encoding} data is damaged: {reason}")]
    Damaged {
        /// What it claims to be.
        encoding: &'static str,
        /// In the decoder's words.
        reason: String,
    },
    /// It asks for more memory than it gets.
    #[error(
        "its zstd data asks for a window of more than 8 MiB: compress it without --long and --ultra, at level 19 or less"
    )]
    Window,
    /// It is smaller than it claims.
    #[error("it unpacks to {found} bytes, but claims {claimed}")]
    WrongSize {
        /// What came out.
        found: u64,
        /// What should have.
        claimed: u64,
    },
    /// It is another component than it claims.
    #[error("it has the digest {found}, but claims {claimed}")]
    WrongDigest {
        /// Of what came out.
        found: Digest,
        /// What should have come out.
        claimed: Digest,
    },
}

/// The uncompressed bytes; a read fails, with an [`UnpackError`] inside, rather than to yield more than the limit.
pub struct Unpacked<R: BufRead> {
    stream: Stream<R>,
    encoding: Encoding,
    left: u64,
    limit: u64,
    claimed: bool,
}

enum Stream<R: BufRead> {
    None(R),
    Zstd(zstd::Decoder<'static, R>),
    Gzip(MultiGzDecoder<R>),
}

impl<R: BufRead> Unpacked<R> {
    /// Of a component of this size: no more than that comes.
    pub fn new(stored: R, encoding: Encoding, size: u64) -> io::Result<Self> {
        Self::bounded(stored, encoding, size, true)
    }

    fn bounded(stored: R, encoding: Encoding, limit: u64, claimed: bool) -> io::Result<Self> {
        let stream = match encoding {
            Encoding::None => Stream::None(stored),
            Encoding::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(stored)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Stream::Zstd(decoder)
            }
            Encoding::Gzip => Stream::Gzip(MultiGzDecoder::new(stored)),
        };
        Ok(Self { stream, encoding, left: limit, limit, claimed })
    }

    fn fault(&self, error: &io::Error) -> UnpackError {
        let encoding = self.encoding.name();
        match error {
            error if error.kind() == io::ErrorKind::UnexpectedEof => UnpackError::Truncated { encoding },
            // zstd's only word on it is this text.
            error if error.to_string().contains("too much memory") => UnpackError::Window,
            error => UnpackError::Damaged { encoding, reason: error.to_string() },
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // At the limit one byte more is asked for: the end, or too much.
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).max(1).min(buffer.len());
        let room = buffer.get_mut(..most).unwrap_or_default();
        let read = match &mut self.stream {
            Stream::None(stream) => stream.read(room),
            Stream::Zstd(stream) => stream.read(room),
            Stream::Gzip(stream) => stream.read(room),
        };
        let count = match read {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, self.fault(&error))),
        };
        let Some(left) = self.left.checked_sub(count as u64) else {
            let error = UnpackError::TooLarge { limit: self.limit, claimed: self.claimed };
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        };
        self.left = left;
        Ok(count)
    }
}

/// Digest and size of the component; fails where it is larger than `limit`. Reads all of it: some 0.1 s for 18 MB.
pub fn measure(stored: impl BufRead, encoding: Encoding, limit: u64) -> Result<(Digest, u64), UnpackError> {
    digest_of(Unpacked::bounded(stored, encoding, limit, false), encoding)
}

/// Is it what the head says? Reads all of it.
pub fn verify(stored: impl BufRead, version: &Version) -> Result<(), UnpackError> {
    let Version { digest: claimed, size, encoding, .. } = version;
    let (found, found_size) = digest_of(Unpacked::new(stored, *encoding, *size), *encoding)?;
    if found_size != *size {
        return Err(UnpackError::WrongSize { found: found_size, claimed: *size });
    }
    if found != *claimed {
        return Err(UnpackError::WrongDigest { found, claimed: claimed.clone() });
    }
    Ok(())
}

fn digest_of(unpacked: io::Result<impl Read>, encoding: Encoding) -> Result<(Digest, u64), UnpackError> {
    unpacked.and_then(Digest::of_stream).map_err(|error| {
        let reason = error.to_string();
        let inner = error.into_inner().and_then(|inner| inner.downcast::<UnpackError>().ok());
        inner.map_or(UnpackError::Damaged { encoding: encoding.name(), reason }, |inner| *inner)
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use crate::package::{COMPONENT_LIMIT, compress};

    fn wasm() -> Vec<u8> {
        (0..100_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress(bytes, |_| ()).unwrap()
    }

    fn measured(stored: &[u8], encoding: Encoding) -> Result<(Digest, u64), UnpackError> {
        measure(Cursor::new(stored), encoding, COMPONENT_LIMIT)
    }

    fn version(bytes: &[u8], encoding: Encoding) -> Version {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        Version { digest, size, encoding, parts: Vec::new(), revision: 0, plugin: None, version: None, pushed_at: None }
    }

    #[test]
    fn each_encoding_yields_the_component() {
        let wasm = wasm();
        for (stored, encoding) in
            [(wasm.clone(), Encoding::None), (zstd(&wasm), Encoding::Zstd), (gzip(&wasm), Encoding::Gzip)]
        {
            assert_eq!(measured(&stored, encoding).unwrap(), (Digest::of(&wasm), 400_000));
            verify(Cursor::new(&stored), &version(&wasm, encoding)).unwrap();
            let mut out = Vec::new();
            Unpacked::new(Cursor::new(stored), encoding, 400_000).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == wasm, "{encoding:?}");
        }
    }

    #[test]
    fn what_ends_in_the_middle_is_refused_wherever_it_ends() {
        let wasm = wasm();
        for (stored, encoding) in [(zstd(&wasm), Encoding::Zstd), (gzip(&wasm), Encoding::Gzip)] {
            let ends = [1, 3, 5, 9, 20, stored.len() / 2, stored.len() - 9, stored.len() - 1];
            for end in ends {
                let cut = measured(&stored[..end], encoding).unwrap_err();
                assert_eq!(cut, UnpackError::Truncated { encoding: encoding.name() }, "{encoding:?} up to {end}");
                assert!(verify(Cursor::new(&stored[..end]), &version(&wasm, encoding)).is_err());
            }
        }
    }

    #[test]
    fn garbage_and_what_follows_the_end_are_refused() {
        for (stored, encoding) in [
            (b"garbage, no frame".to_vec(), Encoding::Zstd),
            (b"garbage, no member".to_vec(), Encoding::Gzip),
            ([zstd(&wasm()), b"garbage".to_vec()].concat(), Encoding::Zstd),
            ([gzip(&wasm()), b"garbage, no member".to_vec()].concat(), Encoding::Gzip),
        ] {
            let error = measured(&stored, encoding).unwrap_err();
            assert!(matches!(error, UnpackError::Damaged { .. }), "{error}");
        }
    }

    /// 2 GB of zeros, in some 100 KB (zstd) or 2 MB (gzip).
    fn zeros(mut into: impl Write) {
        let chunk = vec![0; 1 << 20];
        for _ in 0..2048 {
            into.write_all(&chunk).unwrap();
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_and_is_never_held() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        zeros(&mut encoder);
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 300_000, "{}", bomb.len());
        let refused = |claimed| UnpackError::TooLarge { limit: if claimed { 1000 } else { COMPONENT_LIMIT }, claimed };
        assert_eq!(measured(&bomb, Encoding::Zstd).unwrap_err(), refused(false));
        let claims = version(&[0; 1000], Encoding::Zstd);
        assert_eq!(verify(Cursor::new(&bomb), &claims).unwrap_err(), refused(true));
        // Whoever reads it without having verified it gets no more either.
        let mut out = Vec::new();
        Unpacked::new(Cursor::new(bomb), Encoding::Zstd, 1000).unwrap().read_to_end(&mut out).unwrap_err();
        assert!(out.len() <= 1000, "{}", out.len());
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zeros(&mut encoder);
        let bomb = encoder.finish().unwrap();
        assert_eq!(measured(&bomb, Encoding::Gzip).unwrap_err(), refused(false));
    }

    #[test]
    fn a_component_at_the_limit_is_taken() {
        let stored = zstd(&wasm());
        assert!(measure(Cursor::new(&stored), Encoding::Zstd, 400_000).is_ok());
        let error = measure(Cursor::new(&stored), Encoding::Zstd, 399_999).unwrap_err();
        assert_eq!(error, UnpackError::TooLarge { limit: 399_999, claimed: false });
    }

    #[test]
    fn a_frame_that_claims_much_memory_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&wasm()).unwrap();
        let stored = encoder.finish().unwrap();
        assert_eq!(measured(&stored, Encoding::Zstd).unwrap_err(), UnpackError::Window);
    }

    #[test]
    fn another_size_or_digest_than_claimed_is_told_with_both() {
        let wasm = wasm();
        let stored = zstd(&wasm);
        let claims =
            |size, digest: &[u8]| Version { size, digest: Digest::of(digest), ..version(&wasm, Encoding::Zstd) };
        let refused = |claims: Version| verify(Cursor::new(&stored), &claims).unwrap_err().to_string();
        assert_eq!(refused(claims(400_001, &wasm)), "it unpacks to 400000 bytes, but claims 400001");
        let less = refused(claims(399_999, &wasm));
        assert_eq!(less, "it unpacks to more than 399999 bytes, the size that it claims");
        let other = refused(claims(400_000, b"other"));
        assert_eq!(other, format!("it has the digest {}, but claims {}", Digest::of(&wasm), Digest::of("other")));
    }
}
