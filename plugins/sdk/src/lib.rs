//! Write plugins for the Operon host.
//!
//! A plugin is a function from an [`Event`] (an object needs attention, and
//! why) to a [`PatchSet`] (what the cluster should be like) or a [`Failure`].
//! The host does the rest: it watches, calls, writes, retries and remembers.
//!
//! ```
//! use operon_plugin::{Cause, Description, Event, Failure, Handler, PatchSet, json};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Greeting { spec: Spec }
//! #[derive(Deserialize)]
//! struct Spec { text: String }
//!
//! struct Greeter;
//!
//! impl Handler for Greeter {
//!     fn describe() -> Description {
//!         Description::new("greeter", "1.0.0").requires("configmaps.v1.", &["apply", "delete"])
//!     }
//!
//!     fn handle(event: Event) -> Result<PatchSet, Failure> {
//!         if event.cause == Cause::Deleted {
//!             return Ok(PatchSet::new().no_children());
//!         }
//!         let greeting: Greeting = event.object()?;
//!         let child = json!({
//!             "apiVersion": "v1", "kind": "ConfigMap",
//!             "metadata": { "name": event.object.name, "namespace": event.object.namespace },
//!             "data": { "text": greeting.spec.text },
//!         });
//!         Ok(PatchSet::new().child(&child))
//!     }
//! }
//!
//! operon_plugin::export!(Greeter);
//! # fn main() {}
//! ```
//!
//! It is built with `cargo build --target wasm32-wasip2`, as a crate of type
//! `cdylib`. A handler is an ordinary function also off WebAssembly, so that
//! `cargo test` runs its tests: [`Event::new`] makes the events for them, and
//! [`PatchSet::build`] shows what the host would get.
//!
//! The types come from `wit/plugin.wit`, which says what they mean; the modules
//! of this crate give them their methods.

#![no_std]

extern crate alloc;
#[cfg(not(target_family = "wasm"))]
extern crate std;

#[doc(hidden)]
pub mod bindings;
pub mod cluster;
mod description;
mod event;
mod failure;
mod handler;
pub mod log;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod no_std;
mod notice;
mod object_ref;
mod patch_set;
#[cfg(test)]
mod testing;

pub use bindings::operon::plugin::types::{
    Cause, Deletion, Description, Event, Failure, Next, Notice, ObjectRef, Patch, Propagation, Rule, Severity, Targeted,
};
pub use failure::OrFail;
pub use handler::Handler;
pub use patch_set::PatchSet;
pub use serde_json::{self, Value, json};
