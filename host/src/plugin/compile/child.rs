//! What the child process does: it limits itself, reads a component, writes compiled code, ends.
//!
//! The component is hostile, and compilers are large. So this process has nothing that is worth taking: no environment, no
//! network, no cluster, no file but the one that it writes to, and no more memory, time and output than its limits.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    process::ExitCode,
    thread,
};

use anyhow::Context;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Resource, Rlimit, getrlimit, nice, setrlimit},
};
use wasmtime::Engine;

use crate::plugin::sandbox;
use operon_core::package::COMPONENT_LIMIT;

/// Exit code: the component is at fault, standard error says how.
pub(super) const REFUSED: u8 = 1;
/// Exit code: there was not enough memory.
pub(super) const NO_MEMORY: u8 = 3;
/// Exit code: this machine is at fault, standard error says how.
pub(super) const FAILED: u8 = 4;

/// Between the limit on processor time, which says what it is, and the one that just kills.
const GRACE_SECONDS: u64 = 5;
/// A tenth of what the host gets where both want a processor: less, and on a busy machine a plugin would not come into place for
/// minutes.
const NICENESS: i32 = 10;
/// The thread that watches the host needs next to nothing.
const WATCHER_STACK: usize = 64 << 10;

/// What a compilation may use.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limits {
    /// Bytes of memory that it writes to
    #[arg(long)]
    pub memory: u64,
    /// Seconds of processor time, of all threads together
    #[arg(long)]
    pub cpu_seconds: u64,
    /// Bytes of compiled code
    #[arg(long)]
    pub output: u64,
}

/// Why there is no compiled code.
struct Failure {
    code: u8,
    why: String,
}

/// `operon compile`: from standard input to standard output.
pub fn run(limits: &Limits) -> ExitCode {
    match limit(limits).map_err(Failure::machine).and_then(|()| compile()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, why }) => {
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr(), "{why}");
            code.into()
        }
    }
}

/// Before anything else: what follows reads hostile bytes.
fn limit(limits: &Limits) -> anyhow::Result<()> {
    set(Resource::Core, 0, 0).context("limiting core dumps")?;
    // All memory that can be written to. Address space is not limited: much of it is reserved and never used.
    set(Resource::Data, limits.memory, limits.memory).context("limiting memory")?;
    set(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + GRACE_SECONDS).context("limiting processor time")?;
    set(Resource::Fsize, limits.output, limits.output).context("limiting output")?;
    nice(NICENESS).context("lowering the priority")?;
    // Where memory runs out after all, this process is to go and not the host. Only Linux has it, and may refuse it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let watcher = thread::Builder::new().name("host".into()).stack_size(WATCHER_STACK);
    watcher.spawn(end_with_host).context("watching the host")?;
    Ok(())
}

/// Never raises a limit that is there already.
fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Ok(setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })?)
}

/// Ends this process when the host is gone, however it went: then nobody reads our standard error any more.
fn end_with_host() {
    let stderr = io::stderr();
    let mut watched = [PollFd::new(&stderr, PollFlags::empty())];
    while poll(&mut watched, None) == Err(Errno::INTR) {}
    std::process::abort();
}

fn compile() -> Result<(), Failure> {
    let mut wasm = Vec::new();
    io::stdin().lock().take(COMPONENT_LIMIT + 1).read_to_end(&mut wasm).map_err(|error| match error.kind() {
        io::ErrorKind::OutOfMemory => Failure::memory(),
        _ => Failure::machine(format!("reading the component: {error}")),
    })?;
    check(&wasm).map_err(Failure::refused)?;
    // Not pooled: nothing runs here. A test shows that the compiled code is the same.
    let engine = Engine::new(&sandbox::config(false)).map_err(|error| Failure::machine(format!("{error:#}")))?;
    let compiled = engine.precompile_component(&wasm).map_err(|error| Failure::of_compiler(format!("{error:#}")))?;
    // Not by way of `io::stdout`, which looks for ends of lines.
    let output = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let written = output.and_then(|mut file| file.write_all(&compiled));
    written.map_err(|error| Failure::machine(format!("writing the compiled code: {error}")))
}

/// What can be told of wrong bytes better than a parser does. Compiled code above all is not taken.
fn check(wasm: &[u8]) -> Result<(), String> {
    if wasm.len() as u64 > COMPONENT_LIMIT {
        return Err(format!("it is larger than {} MiB", COMPONENT_LIMIT >> 20));
    }
    match wasm {
        [] => Err("it is empty".into()),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            Err("it is a core module; `wasm-tools component new` makes a component of one".into())
        }
        [0, b'a', b's', b'm', version @ ..] if version.len() >= 4 => {
            Err("it is WebAssembly of a version that this host does not know".into())
        }
        [0, b'a', b's', b'm', ..] | [0, b'a', b's'] | [0, b'a'] | [0] => {
            Err(format!("it is cut off after {} bytes", wasm.len()))
        }
        [0x7f, b'E', b'L', b'F', ..] => Err("it is compiled code; only WebAssembly is taken".into()),
        _ => match wasm.trim_ascii_start().first() {
            Some(b'(') => Err("it is WebAssembly in its text form; `wasm-tools parse` makes a component of it".into()),
            _ => Err("it is no WebAssembly".into()),
        },
    }
}

impl Failure {
    fn refused(why: String) -> Self {
        Self { code: REFUSED, why }
    }

    /// In the compiler's words, unless there are plainer ones.
    fn of_compiler(why: String) -> Self {
        if why.contains("os error 12") {
            return Self::memory();
        }
        let is_cut_off = ["unexpected end", "out of bounds (bound"].iter().any(|words| why.contains(words));
        Self::refused(if is_cut_off { format!("it is cut off: {why}") } else { why })
    }

    fn memory() -> Self {
        Self { code: NO_MEMORY, why: "out of memory".into() }
    }

    fn machine(why: impl fmt::Display) -> Self {
        Self { code: FAILED, why: format!("{why:#}") }
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn wrong_bytes_are_told_what_they_are() {
        for (wasm, why) in [
            (&b""[..], "empty"),
            (b"\0as", "cut off after 3 bytes"),
            (b"\0asm\x0d", "cut off after 5 bytes"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0e\0\x01\0", "version"),
            (b"\x7fELF\x02\x01", "compiled code"),
            (b"\n (component)", "text form"),
            (b"plugin", "no WebAssembly"),
        ] {
            let told = check(wasm).unwrap_err();
            assert!(told.contains(why), "{wasm:?}: {told}");
        }
        assert_eq!(check(b"\0asm\x0d\0\x01\0"), Ok(()));
    }
}
