//! Prints the pods of a list as the API server returns it, on stdin: `kubectl get pods -A -o json | …`.

use std::io::{self, BufRead as _, Write as _};

use mesh_cni_kube::list_body::ListBody;
use mesh_cni_kube::pod::Pod;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut list = ListBody::default();
    let mut written = Ok(());
    let mut on_pod = |pod: Result<Pod, String>| {
        written = match pod {
            Ok(pod) => writeln!(io::stdout(), "{} {}", pod.name, pod.phase),
            Err(reason) => writeln!(io::stderr(), "{reason}"),
        };
    };
    let mut input = io::stdin().lock();
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        list.push(bytes, &mut on_pod)?;
        let length = bytes.len();
        input.consume(length);
    }
    list.end()?;
    Ok(written?)
}
