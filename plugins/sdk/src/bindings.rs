//! The Rust bindings of `wit/plugin.wit`, generated at compile time.
//!
//! The rest of the crate gives these types their methods and re-exports what an
//! author needs; [`export!`](crate::export) reaches in here for the rest.

// The canonical ABI passes raw pointers between guest and host.
#![allow(unsafe_code)]
#![allow(missing_docs, unreachable_pub, clippy::pedantic)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "export_bindings",
    default_bindings_module: "operon_plugin::bindings",
    additional_derives: [PartialEq, Eq],
});
