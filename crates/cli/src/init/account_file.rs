//! Looks up names of users and groups in `/etc/passwd` and `/etc/group`, without a name service.

use std::str::FromStr;

pub(super) const GROUPS: &str = "/etc/group";
pub(super) const USERS: &str = "/etc/passwd";

/// The ID of the first account of that name; malformed lines are skipped. It is the third field of
/// both files (passwd(5), group(5)).
pub(super) fn id_of<Id: FromStr>(file: &str, name: &str) -> Option<Id> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_wanted = !name.is_empty() && fields.next()? == name;
        let (_password, id) = (fields.next()?, fields.next()?);
        is_wanted.then(|| id.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use mesh_cni_netfilter::value::Gid;
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "root:x:0:\n# a note\nbroken\nmesh:x:many:\nmesh:x:1337:root,bin\n\
                        mesh:x:7:\n::5:\n+:::\nlast:x:4294967295:";

    #[test]
    fn names_become_ids() {
        assert_eq!(id_of(FILE, "root"), Some(Gid(0)));
        assert_eq!(id_of(FILE, "mesh"), Some(Gid(1337)));
    }

    proptest! {
        #[test]
        fn every_name_is_found(name in "[a-z_][a-z0-9_-]{0,31}", number in 0..u32::MAX) {
            let file = format!("root:x:0:\nx{name}:x:7:\n{name}:x:{number}:a,b\n");
            let wanted = if name == "root" { 0 } else { number };
            prop_assert_eq!(id_of(&file, &name), Some(Gid(wanted)));
        }

        #[test]
        fn any_file_can_be_searched(file in "(?s)[a:0\n]{0,40}", name in "[a:0]{0,3}") {
            let found = id_of::<Gid>(&file, &name);
            prop_assert!(found.is_none() || file.contains(&name));
        }
    }

    #[test]
    fn an_unknown_name_has_no_id() {
        for name in ["", "x", "mes", "broken", "# a note", "+", "last", "bin"] {
            assert_eq!(id_of::<Gid>(FILE, name), None, "{name}");
        }
        assert_eq!(id_of::<Gid>("", "root"), None);
    }
}
