//! A component in ConfigMaps: a head that says what it is, and immutable parts that hold its bytes.
//!
//! A ConfigMap holds 1 MiB, so a large component comes compressed and in parts. The head names them with their digests; it is
//! written last and replaced at once, so whoever reads it reads a whole version. Former versions stay in its history, for
//! `operon rollback`.
//!
//! | module | what |
//! | --- | --- |
//! | `head` | the head's `operon.json`: read, checked, changed |
//! | `name` | what head, parts and their label are called |
//! | `pack` | from bytes to parts |
//! | `unpack` | from stored bytes to the component: bounded, verified, as a stream |

mod head;
mod name;
mod pack;
mod unpack;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::{
    head::{Head, HeadError, PartRef, Version},
    name::{Place, is_part_of, label},
    pack::{PackError, Packed, compress},
    unpack::{UnpackError, Unpacked, measure, verify},
};

/// Bytes of a component, uncompressed, at most. Python's have 18 MB.
pub const COMPONENT_LIMIT: u64 = 64 << 20;
/// Parts of a version, at most.
pub const PARTS_LIMIT: usize = 64;
/// Bytes of a part, at most: with base64 and its metadata, an object stays under the 1 MiB of a ConfigMap and the 1.5 MiB of etcd.
pub const PART_LIMIT: usize = 700 << 10;
/// Former versions that a head may name, at most.
pub const HISTORY_LIMIT: usize = 32;
/// Key of the head's `data` that says what the package is.
pub const HEAD_KEY: &str = "operon.json";
/// Key of a part's `binaryData`.
pub const PART_KEY: &str = "part";

/// How the bytes of a component are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As they are.
    #[default]
    None,
    /// As `zstd` writes them, up to its level 19.
    Zstd,
    /// As `gzip` writes them.
    Gzip,
}

impl Encoding {
    /// What the end of a file's or a key's name says.
    pub fn of_name(name: &str) -> Self {
        match Path::new(name).extension().and_then(|end| end.to_str()) {
            Some("zst") => Self::Zstd,
            Some("gz") => Self::Gzip,
            _ => Self::None,
        }
    }

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}
