//! Plugins: where their bytes come from, how they become callable, how they are called.
//!
//! `source` yields bytes, `compile` makes code of them in a process of their own, `loader` checks it, `keeper` puts what is good into
//! the `slot`, `sandbox` runs one call of it.

mod bindings;
mod call;
pub mod compile;
mod convert;
mod guest;
pub mod keeper;
mod limits;
pub mod loader;
pub mod sandbox;
pub mod slot;
pub mod source;

pub use call::{CallError, Event, Plugin};
