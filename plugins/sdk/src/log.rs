//! The plugin's log: [`info!`](crate::info) and its kin. The host adds plugin,
//! object and cause to each line. Off WebAssembly, lines go to stderr.

use alloc::string::String;

pub use crate::bindings::operon::plugin::log::Level;

/// Whether a line of this level would be kept. The macros ask before they make
/// a line.
pub fn enabled(level: Level) -> bool {
    #[cfg(target_family = "wasm")]
    return crate::bindings::operon::plugin::log::enabled(level);
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = level;
        true
    }
}

/// Writes one line with its fields. The macros are shorter.
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    #[cfg(target_family = "wasm")]
    crate::bindings::operon::plugin::log::log(level, message, fields);
    #[cfg(not(target_family = "wasm"))]
    std::eprintln!("{level:?}: {message} {fields:?}");
}

/// Writes a line of the given [`Level`]: a message as for `format!`, after any
/// fields and a semicolon.
///
/// ```
/// use operon_plugin::{log, log::Level};
///
/// let replicas = 3;
/// log!(Level::Info, "scaled to {replicas}");
/// log!(Level::Info, replicas = replicas, kind = "Deployment"; "scaled");
/// ```
#[macro_export]
macro_rules! log {
    ($level:expr, $($key:ident = $value:expr),+; $($message:tt)+) => {
        if $crate::log::enabled($level) {
            $crate::log::write(
                $level,
                &$crate::log::format!($($message)+),
                &[$(($crate::log::format!("{}", stringify!($key)), $crate::log::format!("{}", $value))),+],
            );
        }
    };
    ($level:expr, $($message:tt)+) => {
        if $crate::log::enabled($level) {
            $crate::log::write($level, &$crate::log::format!($($message)+), &[]);
        }
    };
}

#[doc(hidden)]
pub use alloc::format;

/// Writes a line of the level `trace`; see [`log!`](crate::log!).
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Trace, $($line)+) };
}

/// Writes a line of the level `debug`; see [`log!`](crate::log!).
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Debug, $($line)+) };
}

/// Writes a line of the level `info`; see [`log!`](crate::log!).
///
/// ```
/// operon_plugin::info!("nothing to do");
/// operon_plugin::info!(replicas = 3; "scaled");
/// ```
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Info, $($line)+) };
}

/// Writes a line of the level `warn`; see [`log!`](crate::log!).
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Warn, $($line)+) };
}

/// Writes a line of the level `error`; see [`log!`](crate::log!).
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Error, $($line)+) };
}
