//! Texts of a node's state and problems.

use std::fmt;

use super::{Installation, Problem};

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installed => "installed",
            Self::NotInstalled => "not installed",
            Self::Partly => "partly installed",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BinaryMissing(path) => write!(f, "{} is missing", path.display()),
            Self::BinaryDiffers(path) => {
                write!(f, "{} differs from this agent's plugin", path.display())
            }
            Self::BinaryMode(path, mode) => {
                write!(f, "{} has mode {mode:04o} instead of 0755", path.display())
            }
            Self::ConfMissing(problem) => f.write_str(problem),
            Self::ConfUnreadable(path, problem) => {
                write!(f, "{} cannot be loaded: {problem}", path.display())
            }
            Self::EntryMissing(path) => write!(f, "{} has no mesh-cni entry", path.display()),
            Self::EntryTwice(path) => {
                write!(f, "{} has more than one mesh-cni entry", path.display())
            }
            Self::EntryFirst(path) => {
                write!(
                    f,
                    "{} has the mesh-cni entry before every other plugin",
                    path.display()
                )
            }
            Self::EntryAndDropIn(path, drop_in) => write!(
                f,
                "{} has a mesh-cni entry, and {} appends another one",
                path.display(),
                drop_in.display()
            ),
            Self::CopyStale(copy, of) => {
                write!(
                    f,
                    "{} is out of date: it differs from {}",
                    copy.display(),
                    of.display()
                )
            }
            Self::IstioCni(path) => {
                write!(
                    f,
                    "{} names istio-cni, which redirects the same pods",
                    path.display()
                )
            }
            Self::EntryRefused(path, problem) => {
                write!(
                    f,
                    "{} has an entry that mesh-cni rejects: {problem}",
                    path.display()
                )
            }
        }
    }
}
