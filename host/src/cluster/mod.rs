//! The API server as the rest of the host sees it: who we are there, what it serves, objects on the wire.

pub mod discovery;
pub mod login;
pub mod reads;
pub mod survey;
mod wire;

pub use wire::{Wire, api};
