//! Looks up group names in `/etc/group`, without a name service.

use mesh_cni_netfilter::value::Gid;

pub(super) const PATH: &str = "/etc/group";

/// The ID of the first group of that name (group(5)); malformed lines are skipped.
pub(super) fn gid_of(file: &str, name: &str) -> Option<Gid> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_wanted = !name.is_empty() && fields.next()? == name;
        let (_password, gid) = (fields.next()?, fields.next()?);
        is_wanted.then(|| gid.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "root:x:0:\n# a note\nbroken\nmesh:x:many:\nmesh:x:1337:root,bin\n\
                        mesh:x:7:\n::5:\n+:::\nlast:x:4294967295:";

    #[test]
    fn names_become_ids() {
        assert_eq!(gid_of(FILE, "root"), Some(Gid(0)));
        assert_eq!(gid_of(FILE, "mesh"), Some(Gid(1337)));
    }

    proptest! {
        #[test]
        fn every_name_is_found(name in "[a-z_][a-z0-9_-]{0,31}", number in 0..u32::MAX) {
            let file = format!("root:x:0:\nx{name}:x:7:\n{name}:x:{number}:a,b\n");
            let wanted = if name == "root" { 0 } else { number };
            prop_assert_eq!(gid_of(&file, &name), Some(Gid(wanted)));
        }

        #[test]
        fn any_file_can_be_searched(file in "(?s)[a:0\n]{0,40}", name in "[a:0]{0,3}") {
            let found = gid_of(&file, &name);
            prop_assert!(found.is_none() || file.contains(&name));
        }
    }

    #[test]
    fn an_unknown_name_has_no_id() {
        for name in ["", "x", "mes", "broken", "# a note", "+", "last", "bin"] {
            assert_eq!(gid_of(FILE, name), None, "{name}");
        }
        assert_eq!(gid_of("", "root"), None);
    }
}
