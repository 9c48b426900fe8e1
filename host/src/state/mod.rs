//! How plugins are, told where kubectl looks: the resource `plugins.operon.dev`.
//!
//! `resource` is its type, `known` what is there, which is also where a person's approval comes from, `writer` keeps it true.
//! The host runs without it: then a restart forgets which versions were held.

pub mod known;
pub mod resource;
mod status;
pub mod writer;
