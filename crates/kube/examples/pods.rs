//! Prints the pods of a list as the API server returns it, on stdin: `kubectl get pods -A -o json | …`.

use std::io::{self, Read as _, Write as _};

use mesh_cni_kube::object::Page;
use mesh_cni_kube::pod::Pod;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut list = Vec::new();
    io::stdin().read_to_end(&mut list)?;
    let (page, _is_cut) = Page::<Pod>::from_body(&list)?;
    for item in page.items {
        match item {
            Ok(pod) => writeln!(io::stdout(), "{} {}", pod.name, pod.phase)?,
            Err(reason) => writeln!(io::stderr(), "{reason}")?,
        }
    }
    Ok(())
}
