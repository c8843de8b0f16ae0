//! The manual: a page for each program, and one for each command.

use std::fs;
use std::process::Command;

use mesh_cni_tests::{finish, mesh_cni_agent, mesh_cnictl};

#[test]
fn each_command_has_a_page_of_its_own() {
    let programs = [
        // `init` has other flags for Linkerd.
        (mesh_cnictl(), "mesh-cnictl", "verify", Some("init-linkerd")),
        (mesh_cni_agent(), "mesh-cni-agent", "uninstall", None),
    ];
    for (program, name, command, further) in programs {
        let folder = tempfile::tempdir().unwrap();
        let mut man = Command::new(&program);
        let written = finish(man.arg("man").arg("--dir").arg(folder.path()), "");
        assert_eq!(written.code, 0, "{}", written.stderr);
        let help = finish(Command::new(&program).arg("--help"), "").stdout;
        let commands = help.split_once("Commands:\n").unwrap().1;
        let commands = commands.lines().map_while(|line| line.strip_prefix("  "));
        // Further lines of a description start with more spaces.
        let commands = commands.filter_map(|line| line.split(' ').next());
        let mut expected: Vec<_> = commands
            .filter(|command| !["", "help"].contains(command))
            .chain(further)
            .map(|command| format!("{name}-{command}.1"))
            .collect();
        expected.push(format!("{name}.1"));
        let mut pages: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|page| page.unwrap().file_name().into_string().unwrap())
            .collect();
        expected.sort();
        pages.sort();
        assert_eq!(pages, expected);

        let read = |page: String| fs::read_to_string(folder.path().join(page)).unwrap();
        let escaped = name.replace('-', "\\-");
        let page = read(format!("{name}-{command}.1"));
        assert!(page.contains(&format!("{escaped}\\-{command}")), "{page}");
        let printed = finish(Command::new(&program).arg("man"), "");
        assert_eq!(printed.stdout, read(format!("{name}.1")));
    }
}

#[test]
fn a_directory_that_does_not_exist_is_named() {
    for program in [mesh_cnictl(), mesh_cni_agent()] {
        let refused = finish(
            Command::new(program).args(["man", "--dir", "/nonexistent"]),
            "",
        );
        assert_eq!(refused.code, 3);
        let named = "cannot write to `/nonexistent`";
        assert!(refused.stderr.contains(named), "{}", refused.stderr);
    }
}
