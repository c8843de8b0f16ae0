//! Follows symbolic links inside a mounted root, as the host does.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The most links of a path that are followed, as in Linux.
const MAX_LINKS: usize = 40;

/// The path below `root` to which a path of the host leads. Links are followed as if `root` were `/`: an
/// absolute target starts there, and `..` does not leave it. Missing parts are kept.
pub(crate) fn resolve(root: &Path, on_host: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    let mut rest = parts(on_host);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            resolved.pop();
            continue;
        }
        let link = fs::read_link(root.join(&resolved).join(&part));
        match link.ok().filter(|_| links < MAX_LINKS) {
            None => resolved.push(part),
            Some(target) => {
                links += 1;
                if target.is_absolute() {
                    resolved.clear();
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
        }
    }
    root.join(resolved)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside_the_root() {
        let directory = tempfile::TempDir::new().expect("a directory can be created");
        let root = directory.path();
        fs::create_dir_all(root.join("data/abc/bin")).expect("a directory can be created");
        for (target, link) in [
            ("/data/abc", "data/current"),
            ("../../../data/abc", "data/up"),
            ("current/bin", "data/bin"),
            ("/loop", "loop"),
        ] {
            symlink(target, root.join(link)).expect("a link can be created");
        }
        for (on_host, expected) in [
            ("/data/current/bin", "data/abc/bin"),
            ("/data/up/bin", "data/abc/bin"),
            ("/data/bin", "data/abc/bin"),
            ("/data/current/missing/bin", "data/abc/missing/bin"),
            ("/../data/./abc", "data/abc"),
            ("/loop/bin", "loop/bin"),
            ("/", ""),
        ] {
            assert_eq!(
                resolve(root, Path::new(on_host)),
                root.join(expected),
                "{on_host}"
            );
        }
    }
}
