//! Compiling apart: the child's limits and words, the cache, the end of the host. With the binary itself, without a cluster.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "also in what the tests share")]

use std::{
    fs,
    io::{Cursor, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures::future::join_all;
use operon_core::digest::Digest;
use operon_host::plugin::{
    compile::{CompileError, Compiler, cache::Cache},
    sandbox::Sandbox,
};
use tempfile::TempDir;
use wasm_encoder as wasm;

const OPERON: &str = env!("CARGO_BIN_EXE_operon");

/// A compiler with a cache of its own.
struct Room {
    sandbox: Sandbox,
    compiler: Compiler,
    folder: TempDir,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::new().unwrap();
        let compiler = compiler(&sandbox, folder.path());
        Self { sandbox, compiler, folder }
    }

    /// Compiles, maps and links, or says why not.
    async fn compile(&self, wasm: Vec<u8>) -> Result<(), String> {
        let compiled = self.compiler.compile(&Digest::of(&wasm), Cursor::new(wasm)).await;
        let compiled = compiled.map_err(|error| error.to_string())?;
        let component = self.sandbox.map(&compiled).unwrap();
        self.sandbox.link(&component).map(drop).map_err(|error| format!("link: {error:#}"))
    }

    /// Files in the cache.
    fn files(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("compiled"))
    }
}

fn compiler(sandbox: &Sandbox, cache: &Path) -> Compiler {
    let mut compiler = Compiler::new(Cache::open(cache).unwrap(), sandbox.compatibility()).unwrap();
    compiler.program = OPERON.into();
    compiler
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn sample() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/sample.wasm");
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; `make plugins` builds it", file.display()))
}

/// Steps of a function of `component`, half a second or so to compile.
const STEPS: u32 = 200_000;
/// As many of these functions take a minute of processor time, and more memory than a small limit allows.
const HEAVY: u32 = 60;
/// A killed process of the lowest priority may be long in going where the machine is busy; a heavy compilation takes longer still.
const GOING: Duration = Duration::from_secs(5);

/// A component of so many functions.
fn component(functions: u32) -> Vec<u8> {
    let mut types = wasm::TypeSection::new();
    types.ty().function([wasm::ValType::I32], [wasm::ValType::I32]);
    let (mut signatures, mut code) = (wasm::FunctionSection::new(), wasm::CodeSection::new());
    for _ in 0..functions {
        signatures.function(0);
        let mut body = wasm::Function::new([]);
        body.instructions().local_get(0);
        for _ in 0..STEPS {
            body.instructions().local_get(0).i32_mul().i32_popcnt();
        }
        body.instructions().end();
        code.function(&body);
    }
    let mut module = wasm::Module::new();
    module.section(&types).section(&signatures).section(&code);
    let mut component = wasm::Component::new();
    component.section(&wasm::ModuleSection(&module));
    component.finish()
}

#[tokio::test]
async fn what_is_no_component_is_refused_by_what_it_is() {
    let room = Room::new();
    let (sample, core) = (sample(), wasm::Module::new().finish());
    let half = sample[..sample.len() / 2].to_vec();
    let compiled = {
        room.compile(sample).await.unwrap();
        fs::read(room.files().remove(0)).unwrap()
    };
    for (wasm, why) in [
        (Vec::new(), "it is empty"),
        (b"no WebAssembly".to_vec(), "it is no WebAssembly"),
        (b"(component)".to_vec(), "text form"),
        (core, "core module"),
        (half, "it is cut off"),
        (compiled, "compiled code"),
    ] {
        let told = room.compile(wasm).await.unwrap_err();
        assert!(told.contains(why) && told.lines().count() == 1, "{told:?} does not say {why:?}");
        assert_eq!(room.files().len(), 1, "nothing is left of it");
    }
    let told = room.compile(component(1)).await.unwrap_err();
    assert!(told.starts_with("link: ") && told.contains("operon:plugin/handler"), "{told}");
}

#[tokio::test]
async fn limits_on_memory_time_and_output_are_named() {
    let mut room = Room::new();
    let heavy = component(HEAVY);
    let usual = room.compiler.limits;
    room.compiler.limits.memory = 64 << 20;
    assert_eq!(room.compile(heavy.clone()).await.unwrap_err(), "takes more memory than it may: 64 MiB");
    room.compiler.limits = usual;
    room.compiler.limits.cpu_seconds = 1;
    assert_eq!(room.compile(heavy.clone()).await.unwrap_err(), "takes more processor time than it may: 1 s");
    room.compiler.limits = usual;
    room.compiler.limits.output = 1 << 10;
    let told = room.compile(sample()).await.unwrap_err();
    assert!(told.starts_with("gives more code than it may"), "{told}");
    room.compiler.limits = usual;
    room.compiler.patience = Duration::from_millis(200);
    let start = Instant::now();
    assert!(room.compile(heavy).await.unwrap_err().starts_with("was given up after 200ms"));
    assert!(start.elapsed() < GOING, "{:?}", start.elapsed());
    assert!(room.files().is_empty(), "{:?}", room.files());
    room.compiler.patience = Duration::from_mins(1);
    room.compile(sample()).await.unwrap();
}

#[tokio::test]
async fn bytes_that_end_early_or_are_others_than_was_said_are_not_compiled() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the stream is cut off"))
        }
    }
    let room = Room::new();
    let wasm = sample();
    let digest = Digest::of(&wasm);
    let read = Cursor::new(wasm[..1000].to_vec()).chain(Broken);
    let told = room.compiler.compile(&digest, read).await.err().unwrap();
    assert!(matches!(&told, CompileError::Read(error) if error.to_string().contains("cut off")), "{told}");
    let told = room.compiler.compile(&Digest::of("other"), Cursor::new(wasm)).await.err().unwrap();
    assert!(matches!(&told, CompileError::Digest { found, .. } if *found == digest), "{told}");
    assert!(room.files().is_empty(), "{:?}", room.files());
}

#[tokio::test]
async fn the_second_time_it_comes_from_the_cache_without_a_child() {
    let mut room = Room::new();
    room.compile(sample()).await.unwrap();
    room.compiler = compiler(&room.sandbox, room.folder.path());
    room.compiler.program = "/nonexistent".into();
    room.compile(sample()).await.unwrap();
    // A damaged file is not used but made anew, for which a child is needed.
    let file = room.files().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let told = room.compile(sample()).await.unwrap_err();
    assert!(told.starts_with("failed: ") && !file.exists(), "{told}");
    room.compiler.program = OPERON.into();
    room.compile(sample()).await.unwrap();
    assert_eq!(room.files(), [file]);
}

#[tokio::test]
async fn the_same_component_asked_for_twice_at_once_is_compiled_once() {
    /// Tells that it was read.
    struct Told(Cursor<Vec<u8>>, Arc<AtomicBool>);
    impl Read for Told {
        fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<usize> {
            self.1.store(true, Ordering::Relaxed);
            self.0.read(chunk)
        }
    }
    let room = Room::new();
    let wasm = sample();
    let digest = Digest::of(&wasm);
    let read = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let compiled = read.each_ref().map(|read| {
        let wasm = Told(Cursor::new(wasm.clone()), read.clone());
        room.compiler.compile(&digest, wasm)
    });
    for compiled in join_all(compiled).await {
        compiled.unwrap();
    }
    assert_eq!(read.iter().filter(|read| read.load(Ordering::Relaxed)).count(), 1);
}

#[tokio::test]
async fn a_compilation_that_nobody_waits_for_any_more_ends() {
    let mut room = Room::new();
    // By this it is told from those of other tests.
    room.compiler.limits.cpu_seconds = 54_321;
    let heavy = component(HEAVY);
    let digest = Digest::of(&heavy);
    let given_up = tokio::time::timeout(Duration::from_secs(1), room.compiler.compile(&digest, Cursor::new(heavy)));
    assert!(given_up.await.is_err());
    let mine = |id: &u32| of_process(*id, "cmdline").split('\0').any(|word| word == "54321");
    gone(&children(std::process::id()).into_iter().filter(mine).collect::<Vec<_>>());
    assert!(room.files().is_empty(), "{:?}", room.files());
    room.compile(sample()).await.expect("it is the next one's turn");
}

#[test]
fn the_child_ends_with_a_host_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let heavy = component(HEAVY);
    fs::write(folder.path().join("heavy.wasm"), &heavy).unwrap();
    let config = "apiVersion: operon.dev/v1alpha1\nkind: HostConfig\nplugins:\n- name: p\n  \
                  source: { file: heavy.wasm }\n  watch: [{ resource: samples.v1.nuvolaris.org }]\n";
    fs::write(folder.path().join("operon.yaml"), config).unwrap();
    let mut host = Command::new(OPERON)
        .args(["check", "--config", "operon.yaml", "--cache-dir", "cache"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = within(Duration::from_secs(30), || {
        // All is read, so that the end of the bytes is not what ends it.
        let has_read = |id: &u32| number(*id, "io", "rchar:") > heavy.len() as u64;
        let children = children(host.id());
        children.iter().any(has_read).then_some(children)
    });
    let child = child.expect("there is a child, and it has read all");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(child.iter().filter(|id| lives(**id)).count(), 1, "it works");
    host.kill().unwrap();
    host.wait().unwrap();
    gone(&child);
}

/// Waits until none of these is there any more.
fn gone(processes: &[u32]) {
    let left = || processes.iter().any(|id| lives(*id));
    within(GOING, || (!left()).then_some(())).expect("the child is gone");
}

/// Compilations that this process has started.
fn children(of: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let compiles = |id: &u32| of_process(*id, "cmdline").contains("\0compile\0");
    ids.filter(|id| number(*id, "status", "PPid:") == u64::from(of) && compiles(id)).collect()
}

/// Whether it has memory: one that is gone has none, nor has one that is dead and that nobody has asked for its exit code yet.
fn lives(id: u32) -> bool {
    number(id, "status", "VmRSS:") > 0
}

/// What Linux says of a process; nothing where it is gone.
fn of_process(id: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
}

fn number(id: u32, file: &str, name: &str) -> u64 {
    let text = of_process(id, file);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn within<T>(bound: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < bound {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}
