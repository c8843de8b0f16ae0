//! Shows a network configuration before and after an install, without writing anything.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use mesh_cni_installer::{
    ConfFile, ConfName, Entry, NodePaths, NodeState, Settings, Step, plan_install,
};

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1);
    let path = path.ok_or("usage: chain FILE, a .conflist, .conf or .json")?;
    let path = Path::new(&path);
    let name = path.file_name().and_then(|name| name.to_str());
    let conf = ConfFile {
        name: ConfName::new(name.unwrap_or_default())?,
        text: fs::read(path)?,
    };
    println!(
        "before, {}:\n{}",
        conf.name,
        String::from_utf8_lossy(&conf.text)
    );

    let state = NodeState {
        confs: vec![conf],
        ..NodeState::default()
    };
    let settings = Settings::new(NodePaths::default(), Entry::default());
    for step in plan_install(&settings, &state)?.steps {
        println!("step: {step}");
        if let Step::WriteList { text, .. } = step {
            println!("after:\n{}", String::from_utf8_lossy(&text));
        }
    }
    Ok(())
}
