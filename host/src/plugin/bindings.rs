//! The interface as the host sees it, generated from `wit/`, and its conversion to the core's plain values.
//!
//! A later version of the interface gets a module of its own beside this one and converts to the same values.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    imports: { "operon:plugin/cluster": async },
    exports: { default: async },
});
