//! What the unit tests of several modules need.

use serde::{Serialize, Serializer, ser::Error};

/// A value that serde can't make JSON.
pub(crate) const UNWRITABLE: Unwritable = Unwritable;

pub(crate) struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("unwritable"))
    }
}
