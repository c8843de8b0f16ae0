//! What every back end said of itself, asked once and remembered until the machine starts anew.
//!
//! The memory is a file that a person can read. It counts only if every line is as it was written,
//! on this boot, by this kernel, with the host's programs where they were; else it is as if there
//! were none. And it only says which back end is tried first: where that one fails, the others
//! follow as without it.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::geteuid;

use crate::backend::{Backend, BackendChoice};
use crate::probe::{Probe, probe};
use crate::words::chain;
use crate::xtables::Xtables;

/// No memory of ours is as long.
const LONGEST: u64 = 64 * 1024;
/// The first line; another form gets another number.
const FORM: &str = "what the back ends of mesh-cni said, form 1";
/// The last line: nothing is missing.
const END: &str = "end";

/// What every back end said of itself, in the order in which `auto` tries them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survey {
    /// Each back end, and why it cannot work, if it cannot.
    pub verdicts: Vec<(Backend, Result<(), String>)>,
}

impl Survey {
    /// The name of its file in the run directory.
    pub const FILE: &str = "backends";

    /// Asks every back end; nothing is changed and no program started but, where its name does not
    /// tell its kind, one to say its version.
    pub fn take(xtables: &Xtables) -> Self {
        let verdicts = probe(xtables).into_iter().map(|probe| {
            let Probe { backend, verdict } = probe;
            (backend, verdict.map_err(|error| one_line(&chain(&error))))
        });
        Self {
            verdicts: verdicts.collect(),
        }
    }

    /// What was remembered in that directory, on this boot of the machine and with these programs.
    pub fn recall(directory: &Path, xtables: &Xtables) -> Option<Self> {
        let file = File::open(directory.join(Self::FILE)).ok()?;
        // Who else may write there has no say.
        let metadata = file.metadata().ok()?;
        if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            return None;
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        let verdicts = text.strip_prefix(&heading(xtables).ok()?)?;
        Self::parse(verdicts)
    }

    /// Remembers it in that directory. Who reads at the same time reads the old or the new.
    pub fn remember(&self, directory: &Path, xtables: &Xtables) -> io::Result<()> {
        let text = heading(xtables)? + &self.verdict_lines();
        // The ending is that of every file of ours which a crash may leave.
        let (process, thread) = (std::process::id(), nix::unistd::gettid());
        let new = directory.join(format!(".mesh-cni-{}-{process}-{thread}.tmp", Self::FILE));
        let written = write_new(&new, &text).and_then(|()| {
            let place = directory.join(Self::FILE);
            fs::rename(&new, place)
        });
        written.inspect_err(|_| {
            // Nothing is left of what failed.
            let _outcome = fs::remove_file(&new);
        })
    }

    /// The first that works.
    pub fn first(&self) -> Option<Backend> {
        let mut working = self.verdicts.iter().filter(|(_, verdict)| verdict.is_ok());
        working.next().map(|(backend, _)| *backend)
    }

    /// The choice of `auto`: the first that works before all others.
    pub fn choice(&self) -> BackendChoice {
        self.first()
            .map_or(BackendChoice::Auto, BackendChoice::Preferring)
    }

    fn verdict_lines(&self) -> String {
        let mut text = String::new();
        for (backend, verdict) in &self.verdicts {
            let verdict = match verdict {
                Ok(()) => "works",
                Err(reason) => &format!("refused: {reason}"),
            };
            writeln!(text, "{backend} {verdict}").expect("a string takes every write");
        }
        text + END + "\n"
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let verdict = |backend: Backend, line: &str| {
            let words = line.strip_prefix(backend.as_str())?.strip_prefix(' ')?;
            let verdict = match words.strip_prefix("refused: ") {
                Some(reason) => Err(reason.to_owned()),
                None => (words == "works").then_some(Ok(()))?,
            };
            Some((backend, verdict))
        };
        let verdicts = Backend::ALL
            .into_iter()
            .map(|backend| verdict(backend, lines.next()?));
        let verdicts = verdicts.collect::<Option<_>>()?;
        let whole = lines.next() == Some(END) && lines.next().is_none();
        whole.then_some(Self { verdicts })
    }
}

/// What must be as it was: the boot, the kernel, and the directories of the host's programs.
fn heading(xtables: &Xtables) -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let (boot, kernel) = (boot.trim(), kernel.trim());
    let mut text = format!("{FORM}\nboot {boot}\nkernel {kernel}\nprograms");
    for directory in xtables.directories() {
        // A program that comes or goes changes its directory.
        let changed = fs::metadata(directory)
            .map_or((0, 0), |metadata| (metadata.mtime(), metadata.mtime_nsec()));
        let name = one_line(&directory.display().to_string());
        let (seconds, nanoseconds) = changed;
        write!(text, " {name}@{seconds}.{nanoseconds:09}").expect("a string takes every write");
    }
    Ok(text + "\n")
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::{Backend, Survey, heading};
    use crate::xtables::Xtables;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn some_survey() -> Survey {
        let refused = |reason: &str| Err(reason.to_owned());
        Survey {
            verdicts: vec![
                (Backend::Netlink, refused("the kernel has no match `owner`")),
                (Backend::NftNative, Ok(())),
                (Backend::IptablesNft, refused("works: no")),
                (Backend::IptablesLegacy, Ok(())),
            ],
        }
    }

    #[test]
    fn what_was_remembered_is_recalled() {
        let directory = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![directory.path().join("bin")]);
        let survey = some_survey();
        assert_eq!(Survey::recall(directory.path(), &xtables), None);
        survey.remember(directory.path(), &xtables).unwrap();
        assert_eq!(Survey::recall(directory.path(), &xtables), Some(survey));
        let file = directory.path().join(Survey::FILE);
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_memory_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![]);
        let file = directory.path().join(Survey::FILE);
        some_survey().remember(directory.path(), &xtables).unwrap();
        let whole = fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            assert_eq!(Survey::recall(directory.path(), &xtables), None, "{cut}");
        }
        let more = [whole.as_slice(), b"\n"].concat();
        let zeros = vec![0; 70_000];
        for bytes in [more.as_slice(), b"\xff\xfe", b"", &zeros] {
            fs::write(&file, bytes).unwrap();
            assert_eq!(Survey::recall(directory.path(), &xtables), None);
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(Survey::recall(directory.path(), &xtables), None);
    }

    #[test]
    fn a_memory_of_another_time_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let programs = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![programs.path().into()]);
        let survey = some_survey();
        let file = directory.path().join(Survey::FILE);
        survey.remember(directory.path(), &xtables).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let heading = heading(&xtables).unwrap();
        for (line, other) in [
            ("boot ", "boot 0"),
            ("kernel ", "kernel 2.4"),
            ("form 1", "form 2"),
        ] {
            assert!(heading.contains(line));
            fs::write(&file, text.replacen(line, other, 1)).unwrap();
            assert_eq!(Survey::recall(directory.path(), &xtables), None, "{line}");
        }
        fs::write(&file, &text).unwrap();
        assert_eq!(Survey::recall(directory.path(), &xtables), Some(survey));
        fs::write(programs.path().join("iptables-nft-restore"), "").unwrap();
        assert_eq!(Survey::recall(directory.path(), &xtables), None);
    }

    #[test]
    fn a_memory_that_others_can_write_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let xtables = Xtables::in_directories(vec![]);
        some_survey().remember(directory.path(), &xtables).unwrap();
        let file = directory.path().join(Survey::FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
        assert_eq!(Survey::recall(directory.path(), &xtables), None);
    }
}
