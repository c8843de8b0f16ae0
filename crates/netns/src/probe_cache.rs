//! Remembers which back ends work on this machine.
//!
//! The cache is a text file. It is valid only if it is complete and was written during this boot, by
//! this kernel and with unchanged directories of the host's programs. An invalid cache is the same
//! as none. It only decides which back end is tried first: if that one fails, the others follow.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::geteuid;

use crate::backend::{Backend, BackendChoice};
use crate::probe::probe;
use crate::xtables::Xtables;
use error_reporter::Report;

/// More than any cache file of ours has, in bytes.
const MAX_SIZE: u64 = 64 * 1024;
/// The first line. Another format needs another number.
const FORMAT: &str = "what the back ends of mesh-cni said, form 1";
/// The last line of a complete file.
const END: &str = "end";

/// The result of probing every back end, in the order in which `auto` tries them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendProbeCache {
    /// Each back end, and why it cannot work, if it cannot.
    pub results: Vec<(Backend, Result<(), String>)>,
}

impl BackendProbeCache {
    /// The name of the file in the run directory.
    pub const FILE: &str = "backends";

    /// Probes every back end. It changes nothing and starts no program, except one whose name does
    /// not contain its kind, to print its version.
    pub fn probe(xtables: &Xtables) -> Self {
        let results = Backend::ALL.map(|backend| {
            let result = probe(xtables, backend);
            (
                backend,
                result.map_err(|error| one_line(&Report::new(error).to_string())),
            )
        });
        Self {
            results: results.into(),
        }
    }

    /// Reads the file in that directory, if it is valid.
    pub fn load(directory: &Path, xtables: &Xtables) -> Option<Self> {
        let file = File::open(directory.join(Self::FILE)).ok()?;
        // A file that others can write is not trusted.
        let metadata = file.metadata().ok()?;
        if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            return None;
        }
        let mut text = String::new();
        file.take(MAX_SIZE).read_to_string(&mut text).ok()?;
        Self::parse(text.strip_prefix(&heading(xtables).ok()?)?)
    }

    /// Writes the file in that directory, atomically.
    pub fn store(&self, directory: &Path, xtables: &Xtables) -> io::Result<()> {
        let text = heading(xtables)? + &self.result_lines();
        // The suffix is that of all our temporary files, so that a crash leaves nothing unknown.
        let (process, thread) = (std::process::id(), nix::unistd::gettid());
        let new = directory.join(format!(".mesh-cni-{}-{process}-{thread}.tmp", Self::FILE));
        write_new(&new, &text)
            .and_then(|()| fs::rename(&new, directory.join(Self::FILE)))
            .inspect_err(|_| {
                let _outcome = fs::remove_file(&new);
            })
    }

    /// The first back end that works.
    pub fn first(&self) -> Option<Backend> {
        let mut working = self.results.iter().filter(|(_, result)| result.is_ok());
        working.next().map(|(backend, _)| *backend)
    }

    /// The choice of `auto`: the first that works, then the others.
    pub fn choice(&self) -> BackendChoice {
        self.first()
            .map_or(BackendChoice::Auto, BackendChoice::Preferring)
    }

    fn result_lines(&self) -> String {
        let mut text = String::new();
        for (backend, result) in &self.results {
            let result = match result {
                Ok(()) => "works",
                Err(reason) => &format!("refused: {reason}"),
            };
            writeln!(text, "{backend} {result}").expect("a string accepts every write");
        }
        text + END + "\n"
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let results = Backend::ALL
            .into_iter()
            .map(|backend| Some((backend, parse_line(backend, lines.next()?)?)))
            .collect::<Option<_>>()?;
        let is_complete = lines.next() == Some(END) && lines.next().is_none();
        is_complete.then_some(Self { results })
    }
}

fn parse_line(backend: Backend, line: &str) -> Option<Result<(), String>> {
    let result = line.strip_prefix(backend.as_str())?.strip_prefix(' ')?;
    match result.strip_prefix("refused: ") {
        Some(reason) => Some(Err(reason.to_owned())),
        None => (result == "works").then_some(Ok(())),
    }
}

/// What must be unchanged: the boot, the kernel, and the directories of the host's programs.
fn heading(xtables: &Xtables) -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let (boot, kernel) = (boot.trim(), kernel.trim());
    let mut text = format!("{FORMAT}\nboot {boot}\nkernel {kernel}\nprograms");
    for directory in xtables.directories() {
        // Adding or removing a program changes its directory.
        let (seconds, nanoseconds) = fs::metadata(directory)
            .map_or((0, 0), |metadata| (metadata.mtime(), metadata.mtime_nsec()));
        let name = one_line(&directory.display().to_string());
        write!(text, " {name}@{seconds}.{nanoseconds:09}").expect("a string accepts every write");
    }
    Ok(text + "\n")
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::{Backend, BackendProbeCache, heading};
    use crate::xtables::Xtables;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn some_cache() -> BackendProbeCache {
        let refused = |reason: &str| Err(reason.to_owned());
        BackendProbeCache {
            results: vec![
                (Backend::Netlink, refused("the kernel has no match `owner`")),
                (Backend::NftNative, Ok(())),
                (Backend::IptablesNft, refused("works: no")),
                (Backend::IptablesLegacy, Ok(())),
            ],
        }
    }

    #[test]
    fn a_stored_cache_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![directory.path().join("bin")]);
        let cache = some_cache();
        assert_eq!(BackendProbeCache::load(directory.path(), &xtables), None);
        cache.store(directory.path(), &xtables).unwrap();
        assert_eq!(
            BackendProbeCache::load(directory.path(), &xtables),
            Some(cache)
        );
        let file = directory.path().join(BackendProbeCache::FILE);
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_cache_is_invalid() {
        let directory = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![]);
        let file = directory.path().join(BackendProbeCache::FILE);
        some_cache().store(directory.path(), &xtables).unwrap();
        let whole = fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            assert_eq!(
                BackendProbeCache::load(directory.path(), &xtables),
                None,
                "{cut}"
            );
        }
        let more = [whole.as_slice(), b"\n"].concat();
        let zeros = vec![0; 70_000];
        for bytes in [more.as_slice(), b"\xff\xfe", b"", &zeros] {
            fs::write(&file, bytes).unwrap();
            assert_eq!(BackendProbeCache::load(directory.path(), &xtables), None);
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(BackendProbeCache::load(directory.path(), &xtables), None);
    }

    #[test]
    fn a_cache_of_another_boot_kernel_or_format_is_invalid() {
        let directory = tempfile::tempdir().unwrap();
        let programs = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![programs.path().into()]);
        let cache = some_cache();
        let file = directory.path().join(BackendProbeCache::FILE);
        cache.store(directory.path(), &xtables).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let heading = heading(&xtables).unwrap();
        for (line, other) in [
            ("boot ", "boot 0"),
            ("kernel ", "kernel 2.4"),
            ("form 1", "form 2"),
        ] {
            assert!(heading.contains(line));
            fs::write(&file, text.replacen(line, other, 1)).unwrap();
            assert_eq!(
                BackendProbeCache::load(directory.path(), &xtables),
                None,
                "{line}"
            );
        }
        fs::write(&file, &text).unwrap();
        assert_eq!(
            BackendProbeCache::load(directory.path(), &xtables),
            Some(cache)
        );
        fs::write(programs.path().join("iptables-nft-restore"), "").unwrap();
        assert_eq!(BackendProbeCache::load(directory.path(), &xtables), None);
    }

    #[test]
    fn a_cache_that_others_can_write_is_invalid() {
        let directory = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![]);
        some_cache().store(directory.path(), &xtables).unwrap();
        let file = directory.path().join(BackendProbeCache::FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
        assert_eq!(BackendProbeCache::load(directory.path(), &xtables), None);
    }
}
