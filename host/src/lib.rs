//! The host: an event goes one way through these rooms.
//!
//! | step | room |
//! | --- | --- |
//! | config | `operon_core::config` |
//! | plugin | [`plugin`]: bytes, compiled, checked, put in place, called in a sandbox |
//! | watch | [`watch`]: what is in the cluster, as text |
//! | dispatch | [`dispatch`]: which object is next; [`handle`]: one event from decision to record |
//! | call | [`plugin::Plugin`] |
//! | patch, record | [`apply`] |
//! | report | [`events`], [`telemetry`], [`state`]: how plugins are |
//!
//! [`cluster`] is the API server as all of them see it, [`runtime`] wires them, [`args`] and [`cli`] are the command line.

pub mod apply;
pub mod args;
pub mod cli;
pub mod cluster;
mod delay;
pub mod dispatch;
pub mod events;
pub mod handle;
pub mod plugin;
pub mod runtime;
pub mod state;
pub mod telemetry;
pub mod watch;
