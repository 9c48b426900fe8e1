//! What an author implements, and how it becomes the exports of a component.

use alloc::{format, string::String};

use serde_json::Value;

use crate::bindings::{exports::operon::plugin::handler::Guest, operon::plugin::types};
use crate::{Description, Event, Failure, PatchSet};

/// A plugin. Made into a component by [`export!`](crate::export).
///
/// Each call gets a fresh instance of the component, so nothing is kept from
/// one to the next. A panic fails the call; the host retries it with backoff.
pub trait Handler {
    /// Says what the plugin is. Has to give the same answer each time.
    fn describe() -> Description;

    /// Checks the settings, a JSON object, before the plugin is put in place.
    ///
    /// # Errors
    ///
    /// One sentence that names the setting, what was found and what is
    /// allowed. All settings are right by default.
    fn validate(settings: Value) -> Result<(), String> {
        let _ = settings;
        Ok(())
    }

    /// Handles one event. Should depend on nothing but the event and what it
    /// reads through [`cluster`](crate::cluster).
    ///
    /// # Errors
    ///
    /// A [`Failure`] says whether to call again, or to wait until the object,
    /// the plugin or its settings change.
    fn handle(event: Event) -> Result<PatchSet, Failure>;
}

impl<H: Handler> Guest for H {
    fn describe() -> Description {
        <H as Handler>::describe()
    }

    fn validate(settings: String) -> Result<(), String> {
        let settings =
            serde_json::from_str(&settings).map_err(|error| format!("the settings are not JSON: {error}"))?;
        <H as Handler>::validate(settings)
    }

    fn handle(event: Event) -> Result<types::PatchSet, Failure> {
        <H as Handler>::handle(event)?.build()
    }
}

/// Exports a [`Handler`] as the component's. Once in a crate, by the name of
/// the type.
///
/// With `no_std` as second argument it also brings an allocator and a panic
/// handler, for a crate that says
/// `#![cfg_attr(target_family = "wasm", no_std)]`. Such a component imports
/// nothing of WASI: no clock, no random numbers, no output, so that it can be
/// nothing but a function of its events. It is some 20 KB smaller, too. A panic
/// is a line in the plugin's log. No dependency may need the standard library.
///
/// Off WebAssembly nothing is exported.
#[macro_export]
macro_rules! export {
    ($handler:ident) => {
        const _: () = {
            const fn implements_handler<H: $crate::Handler>() {}
            implements_handler::<$handler>();
        };
        // Native linkers can't export these names.
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            $crate::bindings::export_bindings! { $handler with_types_in $crate::bindings }
        };
    };
    ($handler:ident, no_std) => {
        $crate::export!($handler);
        #[cfg(target_family = "wasm")]
        const _: () = {
            #[global_allocator]
            static ALLOCATOR: $crate::no_std::Allocator = $crate::no_std::Allocator;

            #[panic_handler]
            fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
                $crate::no_std::panic(info)
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, json};

    struct Plugin;

    impl Handler for Plugin {
        fn describe() -> Description {
            Description::new("plugin", "1.0.0")
        }

        fn handle(event: Event) -> Result<PatchSet, Failure> {
            event.object::<Value>().map(|_| PatchSet::new())
        }
    }

    #[test]
    fn settings_are_accepted_by_default() {
        assert_eq!(<Plugin as Guest>::validate("{\"any\": 1}".into()), Ok(()));
    }

    #[test]
    fn settings_that_are_not_json_are_refused() {
        let message = <Plugin as Guest>::validate("{".into()).unwrap_err();
        assert!(message.starts_with("the settings are not JSON: "));
    }

    #[test]
    fn the_host_gets_what_the_handler_returns() {
        let event = Event::new(Cause::Created, &json!({}));
        assert_eq!(<Plugin as Guest>::handle(event), PatchSet::new().build());
        assert_eq!(<Plugin as Guest>::describe().name, "plugin");
    }
}
