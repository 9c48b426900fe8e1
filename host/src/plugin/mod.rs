//! Plugins: where their bytes come from, how they become callable, how they are called.
//!
//! `source` yields bytes, `loader` compiles and checks them, `keeper` puts what is good into the `slot`, `sandbox` runs one call of it.

mod bindings;
mod call;
mod convert;
mod guest;
pub mod keeper;
mod limits;
pub mod loader;
pub mod sandbox;
pub mod slot;
pub mod source;

pub use call::{CallError, Event, Plugin};
