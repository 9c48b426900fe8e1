//! Plugins: where their bytes come from, how they become callable, how they are called.
//!
//! `source` yields bytes, `loader` compiles and checks them and puts a [`Plugin`] in place, `sandbox` runs one call of it.

mod bindings;
mod call;
mod convert;
mod guest;
mod limits;
pub mod loader;
pub mod sandbox;
pub mod source;

pub use call::{CallError, Event, Plugin};
