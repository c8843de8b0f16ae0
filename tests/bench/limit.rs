//! The limit: a program that applies the documented rules in the network namespace in its argument,
//! at the least cost. Without an argument it does nothing.

use std::io::Write;

use mesh_cni_nftables::{Batch, compat};
use mesh_cni_tests::productpage_rules;

use super::c_program::CProgram;

pub(crate) fn compile() -> CProgram {
    let changes = compat::create(&productpage_rules());
    let changes = changes.expect("the documented rules can be written");
    let mut batch = tempfile::NamedTempFile::new().expect("a temporary file can be created");
    batch
        .write_all(Batch::new(&changes).encode().bytes())
        .expect("a temporary file can be written");
    let batch = format!("-DBATCH=\"{}\"", batch.path().display());
    CProgram::compile("limit", &["-nostdlib", &batch])
}
