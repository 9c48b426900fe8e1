//! A folder that is ours alone, reached by its descriptor: what its path comes to mean later changes nothing.
//!
//! What lies in it is mapped and run. So it has to belong to our user, and nobody else may write to it.

use std::{
    env,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, Dir, Mode, OFlags, StatVfsMountFlags},
    io::Errno,
    process::geteuid,
};
use tempfile::TempDir;

/// Ours, in the folder that the command line names: that one may be a volume which belongs to root, and which anybody writes to.
const PRIVATE: &str = "compiled";

/// Bits of a mode by which others write.
const OTHERS_WRITE: u32 = 0o022;

/// Of a second.
const NANOSECONDS: i128 = 1_000_000_000;

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It can't be made or opened.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// Somebody else's.
    #[error("{0} belongs to user {1}, not to user {2}, as whom this runs")]
    NotOurs(PathBuf, u32, u32),
    /// Others could put their code there.
    #[error("{0} can be written by others (mode {1:o}): chmod 700 {0}")]
    Writable(PathBuf, u32),
    /// Code can't be mapped from there.
    #[error("{0} is mounted noexec, so no compiled code can run from there")]
    NoExec(PathBuf),
}

/// The folder.
pub(super) struct Folder {
    dir: File,
    path: PathBuf,
    /// Gone with us, where it is one for this run only.
    _temporary: Option<TempDir>,
}

/// What is known of a file without opening it.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
    /// When it was last used, in nanoseconds since 1970.
    pub(super) used: i128,
}

/// Where compiled plugins are kept, as the command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct CacheDir {
    /// Folder for compiled plugins, so that a restart compiles nothing [default: ~/.cache/operon; `$XDG_CACHE_HOME` comes before,
    /// and without a home it is /var/cache/operon]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl CacheDir {
    /// The one that is named, or the usual one.
    pub fn path(&self) -> PathBuf {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = || absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        let usual = || caches().unwrap_or_else(|| "/var/cache".into()).join("operon");
        self.cache_dir.clone().unwrap_or_else(usual)
    }
}

impl Folder {
    /// The private one in `parent`; both are made where they are missing.
    pub(super) fn open(parent: &Path) -> Result<Self, Unusable> {
        let path = parent.join(PRIVATE);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| Unusable::Io(path.clone(), error))?;
        Self::checked(path, None)
    }

    /// One for as long as the value lives.
    pub(super) fn temporary() -> Result<Self, Unusable> {
        let temporary = tempfile::Builder::new().prefix("operon-").tempdir();
        let temporary = temporary.map_err(|error| Unusable::Io(env::temp_dir(), error))?;
        Self::checked(temporary.path().to_owned(), Some(temporary))
    }

    fn checked(path: PathBuf, temporary: Option<TempDir>) -> Result<Self, Unusable> {
        let failed = |error: io::Error| Unusable::Io(path.clone(), error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = File::from(fs::open(&path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?);
        let metadata = dir.metadata().map_err(failed)?;
        let us = geteuid().as_raw();
        if metadata.uid() != us {
            return Err(Unusable::NotOurs(path, metadata.uid(), us));
        }
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(Unusable::Writable(path, metadata.mode() & 0o7777));
        }
        let mount = fs::fstatvfs(&dir).map_err(|errno| failed(errno.into()))?;
        if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) {
            return Err(Unusable::NoExec(path));
        }
        Ok(Self { dir, path, _temporary: temporary })
    }

    /// For people.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All files; those that go while we look are left out.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in Dir::read_from(&self.dir)? {
            let found = found?;
            let (Ok(name), Ok(stat)) =
                (found.file_name().to_str(), fs::statat(&self.dir, found.file_name(), AtFlags::SYMLINK_NOFOLLOW))
            else {
                continue;
            };
            if name != "." && name != ".." {
                let (name, size) = (name.to_owned(), u64::try_from(stat.st_size).unwrap_or_default());
                let used = i128::from(stat.st_mtime) * NANOSECONDS + i128::from(stat.st_mtime_nsec);
                entries.push(Entry { name, size, used });
            }
        }
        Ok(entries)
    }

    /// Opens a file for reading if nobody else can have written it; none: it is gone.
    pub(super) fn open_ours(&self, name: &str) -> io::Result<Option<File>> {
        // What is no file, as a pipe, must not make us wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link")),
            Err(errno) => return Err(errno.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        if metadata.uid() != geteuid().as_raw() {
            return Err(io::Error::other(format!("it belongs to user {}", metadata.uid())));
        }
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(io::Error::other(format!("others may write to it (mode {:o})", metadata.mode() & 0o7777)));
        }
        Ok(Some(file))
    }

    /// A new file, for reading and writing; fails where there is one of that name.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Gives a file another name, at once; the one that had it is gone.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(fs::renameat(&self.dir, from, &self.dir, to)?)
    }

    /// Removes a file. One that is mapped stays so.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
