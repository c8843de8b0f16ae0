//! A node's state and its ailments in words.

use std::fmt;

use super::{Ailment, Installation};

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installed => "installed",
            Self::NotInstalled => "not installed",
            Self::Partly => "partly installed",
        })
    }
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BinaryMissing(path) => write!(f, "{} is missing", path.display()),
            Self::BinaryDiffers(path) => {
                write!(
                    f,
                    "{} is not the plugin that this agent carries",
                    path.display()
                )
            }
            Self::BinaryMode(path, mode) => {
                write!(f, "{} has mode {mode:04o} and not 0755", path.display())
            }
            Self::ConfMissing(problem) => f.write_str(problem),
            Self::ConfUnreadable(path, problem) => {
                write!(f, "{} cannot be loaded: {problem}", path.display())
            }
            Self::EntryMissing(path) => write!(f, "{} does not name mesh-cni", path.display()),
            Self::EntryTwice(path) => {
                write!(f, "{} names mesh-cni more than once", path.display())
            }
            Self::EntryFirst(path) => {
                write!(
                    f,
                    "{} names mesh-cni before every other plugin",
                    path.display()
                )
            }
            Self::EntryAndDropIn(path, drop_in) => write!(
                f,
                "{} names mesh-cni, and {} appends it again",
                path.display(),
                drop_in.display()
            ),
            Self::CopyStale(copy, of) => {
                write!(f, "{} is not in step with {}", copy.display(), of.display())
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
                    "{} has an entry that mesh-cni refuses: {problem}",
                    path.display()
                )
            }
        }
    }
}
