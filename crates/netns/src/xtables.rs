//! The host's iptables programs: finds and runs them.

mod error_output;

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use mesh_cni_netfilter::parse::{self, InvalidSave};
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{Ownership, RuleSet};
use thiserror::Error;

use crate::backend::Backend;
use crate::policy_route;
use crate::program::{Finished, ProgramError, RunLimits, Stdin, run};
use crate::user_ns::UserNs;
use error_output::{named_line, one_line, request};

/// Where the host's programs are, and their limits.
#[derive(Clone, Debug)]
pub struct Xtables {
    directories: Vec<PathBuf>,
    limits: RunLimits,
    /// The user namespace whose root writes rules, if it is not the caller's. Reading needs no
    /// change of the user namespace.
    user_ns: Option<UserNs>,
}

/// Why a host's program failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum XtablesError {
    /// The host has no such program.
    #[error("{backend}: no `{program}` in {searched}")]
    NoProgram {
        /// The back end that needs it.
        backend: Backend,
        /// The program.
        program: String,
        /// The searched directories, separated by `:`.
        searched: String,
    },
    /// The kernel has no such modules.
    #[error("{backend}: the kernel has no module {}", modules.join(", "))]
    NoKernel {
        /// The back end that needs them.
        backend: Backend,
        /// The modules.
        modules: Vec<String>,
    },
    /// The program did not run to its end.
    #[error("{backend}")]
    Program {
        /// The back end.
        backend: Backend,
        /// The cause.
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
        /// The refused line of the input, if the program reported its number.
        rule: Option<String>,
        /// Its error output, on one line.
        stderr: String,
        /// What the program asked the kernel for: the refused line, or all lines of a refused table.
        request: String,
    },
    /// The policy routing of the rules.
    #[error("{backend}: cannot read or change the policy routing of TPROXY")]
    Routing {
        /// The back end.
        backend: Backend,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Its output cannot be parsed.
    #[error("{backend}: `{program}` printed invalid rules")]
    Unreadable {
        /// The back end.
        backend: Backend,
        /// The program.
        program: String,
        /// The cause.
        #[source]
        source: InvalidSave,
    },
}

impl XtablesError {
    /// The back end that failed.
    pub fn backend(&self) -> Backend {
        match self {
            Self::NoProgram { backend, .. }
            | Self::NoKernel { backend, .. }
            | Self::Program { backend, .. }
            | Self::Refused { backend, .. }
            | Self::Routing { backend, .. }
            | Self::Unreadable { backend, .. } => *backend,
        }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Restore,
    Save,
}

impl Xtables {
    /// Searches the directories of a `PATH`, then those where distributions put system programs.
    pub fn search(path: Option<&OsStr>) -> Self {
        const USUAL: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        let of_path = path.into_iter().flat_map(std::env::split_paths);
        let mut directories: Vec<_> = of_path.filter(|path| path.is_absolute()).collect();
        directories.extend(USUAL.map(PathBuf::from));
        Self::in_directories(directories)
    }

    /// Searches only these directories.
    pub fn in_directories(directories: Vec<PathBuf>) -> Self {
        Self {
            directories,
            limits: RunLimits::default(),
            user_ns: None,
        }
    }

    /// Writes rules as root of that user namespace.
    pub(crate) fn inside(&self, user_ns: &UserNs) -> Self {
        Self {
            user_ns: Some(user_ns.clone()),
            ..self.clone()
        }
    }

    /// The searched directories.
    pub(crate) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Sets the limits of each program.
    #[must_use]
    pub fn with_limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the host has the programs of that back end. It starts none, except one whose name
    /// does not contain its kind, to print its version.
    pub(crate) fn has(&self, backend: Backend) -> Result<(), XtablesError> {
        self.command(backend, Family::V4, Role::Restore).map(|_| ())
    }

    /// Commits the input of `iptables-restore --noflush` in the calling thread's namespace.
    ///
    /// `lock` is a file that only this namespace has. `x_tables` programs lock it, so that they do
    /// not wait for programs in other namespaces.
    pub(crate) fn restore(
        &self,
        backend: Backend,
        family: Family,
        input: &str,
        lock: &Path,
    ) -> Result<(), XtablesError> {
        let mut command = self.command(backend, family, Role::Restore)?;
        command.arg("--noflush");
        if let Some(user_ns) = &self.user_ns {
            if backend == Backend::IptablesLegacy && !has_ip_tables(family) {
                self.load_ip_tables(family)?;
            }
            user_ns.enter_before_exec(&mut command);
        }
        if backend == Backend::IptablesLegacy {
            command.args(["--wait", "5"]).env("XTABLES_LOCKFILE", lock);
        }
        self.run(backend, command, input).map(|_| ())
    }

    /// Reads a table as root of the node, so that the program loads `ip_tables`: the kernel does not
    /// load it by itself, and root of the pod's user namespace may not.
    fn load_ip_tables(&self, family: Family) -> Result<(), XtablesError> {
        let backend = Backend::IptablesLegacy;
        let mut command = self.command(backend, family, Role::Save)?;
        command.args(["--table", "nat"]);
        self.run(backend, command, "").map(|_| ())
    }

    /// Every rule of the family in the calling thread's namespace, with counters, and the policy
    /// routing of ours.
    pub(crate) fn save(
        &self,
        backend: Backend,
        family: Family,
        ownership: &Ownership,
    ) -> Result<RuleSet, XtablesError> {
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
        rules.routing = policy_route::existing(&rules, ownership)
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
        let finished = run(command, Stdin::Text(input), self.limits, || false)
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
            request: request(&stderr, input),
        })
    }

    fn command(
        &self,
        backend: Backend,
        family: Family,
        role: Role,
    ) -> Result<Command, XtablesError> {
        let kind = match backend {
            Backend::IptablesLegacy => "-legacy",
            _ => "-nft",
        };
        let program = name_of_program(family, kind, role);
        let found = self.find(&program).or_else(|| {
            self.find(&name_of_program(family, "", role))
                .filter(|path| self.is_of(path, backend))
        });
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
        let mut paths = self
            .directories
            .iter()
            .map(|directory| directory.join(program));
        paths.find(|path| is_executable(path))
    }

    /// Whether a program without a suffix belongs to that back end, according to its version.
    fn is_of(&self, path: &Path, backend: Backend) -> bool {
        let mut command = Command::new(path);
        command.env_clear().arg("--version");
        let Ok(finished) = run(command, Stdin::Text(""), self.limits, || false) else {
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

/// Whether `x_tables` has any table of that family in the calling thread's namespace. Running the
/// programs to find out would create the tables.
pub(crate) fn has_legacy_tables(family: Family) -> bool {
    fs::read_to_string(table_names(family)).is_ok_and(|names| !names.trim().is_empty())
}

/// Whether the kernel has loaded `ip_tables`, or `ip6_tables`.
fn has_ip_tables(family: Family) -> bool {
    Path::new(table_names(family)).exists()
}

/// The file with the names of the tables of the calling thread's namespace.
fn table_names(family: Family) -> &'static str {
    match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    }
}

/// The name of a program; `kind` is empty, `-nft` or `-legacy`.
fn name_of_program(family: Family, kind: &str, role: Role) -> String {
    let family = match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    let role = match role {
        Role::Restore => "restore",
        Role::Save => "save",
    };
    format!("{family}tables{kind}-{role}")
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn at(rule: Option<&str>) -> String {
    rule.map(|rule| format!(" at `{rule}`")).unwrap_or_default()
}
