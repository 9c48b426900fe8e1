//! The host.
pub mod cluster;
pub mod plugin;
pub mod events;
pub mod apply;
pub mod watch;
