//! The rules of Operon, pure: no client, no WebAssembly runtime, no clock.
//!
//! An event goes one way through the host; each step's rules are a room here:
//!
//! | step | rules |
//! | --- | --- |
//! | config | [`config`], [`resource`], [`quantity`] |
//! | plugin | [`standing`]: which version runs, which is held |
//! | plugin | [`package`]: a component in ConfigMaps, packed and unpacked |
//! | watch | [`object`]: an object as text, [`kind`]: what discovery knows |
//! | dispatch | [`essence`], [`children`]: what counts as a change, [`decide`]: what there is to do, [`cause`] |
//! | call | [`answer`]: what a plugin returns |
//! | patch | [`manifest`], [`plan`]: from answer to writes, [`policy`]: may it, [`claim`]: is it ours |
//! | record | [`record`]: what was handled, [`names`]: what the host writes where, [`release`]: its end |
//!
//! [`json`] and [`digest`] serve them all.

pub mod answer;
pub mod cause;
pub mod children;
pub mod claim;
pub mod config;
pub mod decide;
pub mod digest;
pub mod essence;
pub mod json;
pub mod kind;
mod malformed;
pub mod manifest;
pub mod names;
pub mod object;
pub mod package;
pub mod plan;
pub mod policy;
pub mod quantity;
pub mod record;
pub mod release;
pub mod resource;
pub mod standing;

pub use malformed::Malformed;
