//! The child process as the host sees it: started, fed, waited for; its end put into words.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    thread::available_parallelism,
    time::Duration,
};

use operon_core::digest::Digest;
use rustix::process::Signal;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    task::spawn_blocking,
    time::timeout,
};

use super::{CompileError, Limits, child};

/// Bytes that are kept of what the child says; it ends up in Events, which hold 1 KiB.
const SAID: usize = 1 << 10;

/// What the compiler asks for the number of its threads.
const THREADS: &str = "RAYON_NUM_THREADS";

/// Half of the processors that the container has, so that calls of other plugins find one that is free. Low priority alone is no
/// help against a quota, which all processes of a container use up together.
fn threads() -> usize {
    available_parallelism().map_or(1, |all| (all.get() / 2).max(1))
}

/// Compiles what is read from `wasm`, which has to have that digest, into `output`.
///
/// The child ends when this is dropped, and when the host dies.
pub(super) async fn compile(
    program: &Path,
    limits: Limits,
    patience: Duration,
    (wasm, digest): (impl Read + Send + 'static, &Digest),
    output: Stdio,
) -> Result<(), CompileError> {
    let Limits { memory, cpu_seconds, output: bytes } = limits;
    let mut command = Command::new(program);
    command.arg("compile");
    for (name, value) in [("--memory", memory), ("--cpu-seconds", cpu_seconds), ("--output", bytes)] {
        command.arg(name).arg(value.to_string());
    }
    command.env_clear().env(THREADS, threads().to_string());
    // In a group of its own: the terminal's interrupt is for the host, which ends its child itself.
    command.current_dir("/").process_group(0).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped()).spawn()?;
    // It has the file that it writes to: kept open here as well, that would look as if it were still written.
    drop(command);
    let (Some(stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
        return Err(io::Error::other("the child has no pipes").into());
    };
    let pipe = File::from(stdin.into_owned_fd()?);
    let digest = digest.clone();
    let ended = timeout(patience, async {
        let fed = async {
            let fed = spawn_blocking(move || feed(wasm, &digest, pipe)).await;
            let fed = fed.map_err(io::Error::other).map_err(CompileError::Host).flatten();
            if fed.is_err() {
                // What it has is not what it was to compile.
                child.start_kill()?;
            }
            fed.and(child.wait().await.map_err(CompileError::Host))
        };
        tokio::join!(fed, listen(stderr))
    });
    match ended.await {
        Ok((status, said)) => verdict(status?, &said, limits),
        Err(_) => Err(CompileError::Patience(patience)),
    }
}

/// Hands the component over, in pieces. A child that ends before it has read all says itself why.
fn feed(wasm: impl Read, digest: &Digest, pipe: File) -> Result<(), CompileError> {
    let mut pipe = Handing { wasm, pipe, written: Ok(()) };
    let read = Digest::of_stream(&mut pipe);
    match pipe.written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        written => written?,
    }
    let (found, _) = read.map_err(CompileError::Read)?;
    if found == *digest { Ok(()) } else { Err(CompileError::Digest { expected: digest.clone(), found }) }
}

/// Writes what is read through it to the child.
struct Handing<R> {
    wasm: R,
    pipe: File,
    written: io::Result<()>,
}

impl<R: Read> Read for Handing<R> {
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        let count = self.wasm.read(chunk)?;
        self.written = self.pipe.write_all(chunk.get(..count).unwrap_or_default());
        // After a failed write there is nothing more to be read for.
        Ok(if self.written.is_ok() { count } else { 0 })
    }
}

/// Reads to the end, so that the child never waits for us, and keeps the end: a panic's last words are its reason.
async fn listen(mut stderr: impl AsyncRead + Unpin) -> String {
    let (mut said, mut chunk) = (Vec::new(), [0; SAID]);
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        said.extend_from_slice(chunk.get(..count).unwrap_or_default());
        said.drain(..said.len().saturating_sub(SAID));
    }
    one_line(&String::from_utf8_lossy(&said))
}

/// Names in a component can hold anything, and this goes to terminals.
fn one_line(text: &str) -> String {
    let words = text.split(|char: char| char.is_whitespace() || char.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn verdict(status: ExitStatus, said: &str, limits: Limits) -> Result<(), CompileError> {
    const REFUSED: Option<i32> = Some(child::REFUSED as i32);
    const NO_MEMORY: Option<i32> = Some(child::NO_MEMORY as i32);
    const FAILED: Option<i32> = Some(child::FAILED as i32);
    if status.success() {
        return Ok(());
    }
    let signal = status.signal().and_then(Signal::from_named_raw);
    Err(match (status.code(), signal) {
        (REFUSED, _) => CompileError::Refused(said.into()),
        (NO_MEMORY, _) => CompileError::Memory(limits.memory),
        (FAILED, _) => CompileError::Host(io::Error::other(said.to_owned())),
        (_, Some(Signal::XCPU)) => CompileError::Processor(limits.cpu_seconds),
        (_, Some(Signal::XFSZ)) => CompileError::Output(limits.output),
        // Rust's own words, of an allocation and of a thread that there is no memory for.
        _ if said.contains("memory allocation of") || said.contains("ThreadPoolBuildError") => {
            CompileError::Memory(limits.memory)
        }
        (_, Some(Signal::KILL)) => {
            let why = "it was killed, as is done where the machine or the container has no memory left";
            CompileError::Host(io::Error::other(why))
        }
        _ => CompileError::Crashed(format!("{status}: {said}")),
    })
}

#[cfg(test)]
mod tests {
    use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::{CompileError, Limits, one_line, verdict};

    #[test]
    fn each_end_of_a_child_has_its_words() {
        let limits = Limits { memory: 7 << 20, cpu_seconds: 3, output: 5 << 20 };
        let told = |status, said| match verdict(ExitStatus::from_raw(status), said, limits) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(told(0, "nothing counts but the code"), "");
        assert_eq!(told(1 << 8, "it is empty"), "it is empty");
        assert!(told(3 << 8, "").contains("7 MiB"));
        assert!(told(6, "memory allocation of 9 bytes failed").contains("7 MiB"));
        assert!(told(4 << 8, "disk full").contains("disk full"));
        assert!(told(24, "").contains("3 s"));
        assert!(told(25, "").contains("5 MiB"));
        assert!(told(9, "").contains("killed"));
        assert!(told(11, "").contains("signal: 11"));
        assert!(told(101 << 8, "panicked").contains("panicked"));
    }

    #[test]
    fn what_says_nothing_against_the_component_may_pass() {
        let limits = Limits { memory: 1, cpu_seconds: 1, output: 1 };
        let passes = |status| verdict(ExitStatus::from_raw(status), "", limits).unwrap_err().may_pass();
        assert_eq!([4 << 8, 9].map(passes), [true, true]);
        assert_eq!([1 << 8, 3 << 8, 24, 25, 11, 101 << 8].map(passes), [false; 6]);
        assert!(!CompileError::Read(io::Error::other("cut off")).may_pass());
    }

    #[test]
    fn no_control_character_of_a_component_reaches_a_terminal() {
        assert_eq!(one_line("a\u{1b}[31mred\n  at\tb\0\u{9b}c "), "a [31mred at b c");
    }
}
