//! What a component without the standard library lacks: an allocator, and
//! somebody to tell of a panic. Put in place by
//! [`export!`](crate::export)`(Handler, no_std)`.

// The C library of the target allocates; so it does for the host, which
// passes arguments through `cabi_realloc`.
#![allow(unsafe_code)]

use alloc::string::ToString;
use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use crate::log::{self, Level};

/// What `malloc` aligns to on wasm32.
const MALLOC_ALIGNMENT: usize = 16;

type CabiRealloc = unsafe extern "C" fn(*mut u8, usize, usize, usize) -> *mut u8;

#[link(name = "c")]
unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn aligned_alloc(alignment: usize, size: usize) -> *mut u8;
    fn realloc(pointer: *mut u8, size: usize) -> *mut u8;
    fn free(pointer: *mut u8);
    fn cabi_realloc(old: *mut u8, old_size: usize, alignment: usize, size: usize) -> *mut u8;
}

// The linker exports `cabi_realloc` only where something refers to it.
#[used]
static CABI_REALLOC: CabiRealloc = cabi_realloc;

/// The allocator of the target's C library.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: `malloc` and its kin keep the contract of `GlobalAlloc` for layouts
// of their own alignment; larger ones go to `aligned_alloc`, whose memory
// `free` takes as well, and are never given to `realloc`.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGNMENT {
            unsafe { malloc(layout.size()) }
        } else {
            unsafe { aligned_alloc(layout.align(), layout.size()) }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        unsafe { free(pointer) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGNMENT {
            return unsafe { realloc(pointer, size) };
        }
        let larger = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !larger.is_null() {
            unsafe { pointer.copy_to_nonoverlapping(larger, size.min(layout.size())) };
            unsafe { free(pointer) };
        }
        larger
    }
}

/// Writes the panic to the plugin's log, then traps.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    log::write(Level::Error, &info.to_string(), &[]);
    core::arch::wasm32::unreachable()
}
