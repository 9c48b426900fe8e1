//! How plugins are, told where kubectl looks: the resource `plugins.operon.dev`.

pub mod resource;
