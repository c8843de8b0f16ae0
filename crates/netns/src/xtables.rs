//! The host's iptables programs: found by name, run on one family's rules.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::parse::{self, InvalidSave};
use mesh_cni_netfilter::ruleset::Family;
use thiserror::Error;

use crate::backend::Backend;
use crate::policy_route;
use crate::program::{Finished, ProgramError, RunLimits, run};
use crate::user_ns::Owner;

/// Where the host's programs are, and how much they may take.
#[derive(Clone, Debug)]
pub struct Xtables {
    directories: Vec<PathBuf>,
    limits: RunLimits,
    /// The user namespace as whose root rules are written, where that is not the caller's; they are
    /// read from outside as well as from inside.
    owner: Option<Owner>,
}

/// A host's program that is missing, or that refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum XtablesError {
    /// The host has no such program.
    #[error("{backend}: no `{program}` in {searched}")]
    NoProgram {
        /// The back end that would need it.
        backend: Backend,
        /// The program.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// The program could not be run to its end.
    #[error("{backend}: the program could not be run")]
    Program {
        /// The back end.
        backend: Backend,
        /// Why.
        #[source]
        source: ProgramError,
    },
    /// The program ended with an error.
    #[error("{backend}: `{program}` refused{}: {stderr}", at(rule.as_deref()))]
    Refused {
        /// The back end.
        backend: Backend,
        /// The program.
        program: String,
        /// The line of the input that it names.
        rule: Option<String>,
        /// What it said, on one line.
        stderr: String,
    },
    /// The policy routing that goes with the rules could not be read or changed.
    #[error("{backend}: the policy routing of TPROXY could not be read or changed")]
    Routing {
        /// The back end.
        backend: Backend,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it printed is no saved rules.
    #[error("{backend}: `{program}` printed what it never should")]
    Unreadable {
        /// The back end.
        backend: Backend,
        /// The program.
        program: String,
        /// What is wrong with it.
        #[source]
        source: InvalidSave,
    },
}

/// What a program of the pair does.
#[derive(Clone, Copy)]
enum Role {
    Restore,
    Save,
}

impl Xtables {
    /// Looks in the directories of a `PATH`, then where distributions put system programs.
    pub fn search(path: Option<&OsStr>) -> Self {
        const USUAL: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        let of_path = path.into_iter().flat_map(std::env::split_paths);
        let mut directories: Vec<_> = of_path.filter(|path| path.is_absolute()).collect();
        directories.extend(USUAL.map(PathBuf::from));
        Self::in_directories(directories)
    }

    /// Looks in these directories alone.
    pub fn in_directories(directories: Vec<PathBuf>) -> Self {
        Self {
            directories,
            limits: RunLimits::default(),
            owner: None,
        }
    }

    /// The same, but rules are written by root of that user namespace.
    pub(crate) fn admitted_by(&self, owner: &Owner) -> Self {
        Self {
            owner: Some(owner.clone()),
            ..self.clone()
        }
    }

    /// Where the programs are looked for.
    pub(crate) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the programs of that back end are there; nothing is started but, where a program's
    /// name does not tell its kind, that program to say its version.
    pub(crate) fn has(&self, backend: Backend) -> Result<(), XtablesError> {
        self.command(backend, Family::V4, Role::Restore).map(|_| ())
    }

    /// Commits the input of `iptables-restore --noflush` in the calling thread's namespace.
    ///
    /// `lock` is a file of this namespace alone: `x_tables` programs lock it, so that they wait
    /// for nobody who works in another namespace.
    pub(crate) fn restore(
        &self,
        backend: Backend,
        family: Family,
        input: &str,
        lock: &Path,
    ) -> Result<(), XtablesError> {
        let mut command = self.command(backend, family, Role::Restore)?;
        command.arg("--noflush");
        if let Some(owner) = &self.owner {
            owner.admit(&mut command);
        }
        if backend == Backend::IptablesLegacy {
            command.args(["--wait", "5"]).env("XTABLES_LOCKFILE", lock);
        }
        self.run(backend, command, input).map(|_| ())
    }

    /// Every rule of the family in the calling thread's namespace, with counters.
    pub(crate) fn save(&self, backend: Backend, family: Family) -> Result<RuleSet, XtablesError> {
        let mut command = self.command(backend, family, Role::Save)?;
        command.arg("--counters");
        let program = name_of(&command);
        let finished = self.run(backend, command, "")?;
        let text = String::from_utf8_lossy(&finished.stdout);
        let unreadable = |source| XtablesError::Unreadable {
            backend,
            program,
            source,
        };
        let mut rules = parse::save(&text, family).map_err(unreadable)?;
        rules.routing = policy_route::standing(&rules)
            .map_err(|source| XtablesError::Routing { backend, source })?;
        Ok(rules)
    }

    fn run(
        &self,
        backend: Backend,
        command: Command,
        input: &str,
    ) -> Result<Finished, XtablesError> {
        let program = name_of(&command);
        let finished = run(command, input, self.limits)
            .map_err(|source| XtablesError::Program { backend, source })?;
        if finished.status.success() {
            return Ok(finished);
        }
        let stderr = String::from_utf8_lossy(&finished.stderr);
        Err(XtablesError::Refused {
            backend,
            program,
            rule: named_line(&stderr, input).map(str::to_owned),
            stderr: one_line(&stderr, finished.status.code()),
        })
    }

    fn command(
        &self,
        backend: Backend,
        family: Family,
        role: Role,
    ) -> Result<Command, XtablesError> {
        let plain = plain_name(family, role);
        let program = suffixed_name(backend, family, role);
        let found = match self.find(&program) {
            Some(found) => Some(found),
            None => self.find(plain).filter(|path| self.is_of(path, backend)),
        };
        let path = found.ok_or_else(|| XtablesError::NoProgram {
            backend,
            program,
            searched: self.searched(),
        })?;
        let mut command = Command::new(path);
        command.env_clear().env("LC_ALL", "C");
        Ok(command)
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        let candidates = self
            .directories
            .iter()
            .map(|directory| directory.join(program));
        candidates.into_iter().find(|path| is_executable(path))
    }

    /// Whether a program without a suffix is of that back end, by what it says of its version.
    fn is_of(&self, path: &Path, backend: Backend) -> bool {
        let mut command = Command::new(path);
        command.env_clear().arg("--version");
        let Ok(finished) = run(command, "", self.limits) else {
            return false;
        };
        let nft = String::from_utf8_lossy(&finished.stdout).contains("nf_tables");
        match backend {
            Backend::IptablesLegacy => !nft && finished.status.success(),
            _ => nft,
        }
    }

    fn searched(&self) -> String {
        let mut named: Vec<String> = Vec::new();
        for directory in &self.directories {
            let name = directory.display().to_string();
            if !named.contains(&name) {
                named.push(name);
            }
        }
        named.join(":")
    }
}

fn plain_name(family: Family, role: Role) -> &'static str {
    match (family, role) {
        (Family::V4, Role::Restore) => "iptables-restore",
        (Family::V4, Role::Save) => "iptables-save",
        (Family::V6, Role::Restore) => "ip6tables-restore",
        (Family::V6, Role::Save) => "ip6tables-save",
    }
}

fn suffixed_name(backend: Backend, family: Family, role: Role) -> String {
    let kind = match backend {
        Backend::IptablesLegacy => "-legacy-",
        _ => "-nft-",
    };
    plain_name(family, role).replacen('-', kind, 1)
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The line of the input that `line 7 failed` or `Error occurred at line: 7` names.
fn named_line<'input>(stderr: &str, input: &'input str) -> Option<&'input str> {
    let (_, behind) = stderr
        .split_once("line ")
        .or_else(|| stderr.split_once("line: "))?;
    let digits: String = behind
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let number: usize = digits.parse().ok()?;
    input.lines().nth(number.checked_sub(1)?)
}

fn at(rule: Option<&str>) -> String {
    rule.map(|rule| format!(" at `{rule}`")).unwrap_or_default()
}

fn one_line(stderr: &str, code: Option<i32>) -> String {
    let lines: Vec<_> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match (lines.is_empty(), code) {
        (false, _) => lines.join("; "),
        (true, Some(code)) => format!("exit code {code} without a word"),
        (true, None) => "ended by a signal".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{named_line, one_line};

    #[test]
    fn the_line_that_was_refused_is_found() {
        let input = "*nat\n-N A\nCOMMIT\n";
        let said = "iptables-nft-restore: line 2 failed: Chain already exists.";
        assert_eq!(named_line(said, input), Some("-N A"));
        assert_eq!(
            named_line("Error occurred at line: 1\n", input),
            Some("*nat")
        );
        assert_eq!(named_line("line 9 failed", input), None);
        assert_eq!(named_line("line 0 failed", input), None);
        assert_eq!(named_line("no number", input), None);
    }

    #[test]
    fn what_was_said_fits_on_one_line() {
        assert_eq!(one_line("a\n\n  b \n", Some(1)), "a; b");
        assert_eq!(one_line("", Some(3)), "exit code 3 without a word");
        assert_eq!(one_line(" \n", None), "ended by a signal");
    }
}
