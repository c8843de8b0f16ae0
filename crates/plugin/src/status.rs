//! STATUS: whether an ADD could work now. Runtimes ask every few seconds, so nothing is started
//! and nobody is asked: files are looked at, no more.

use mesh_cni_netns::Xtables;
use mesh_cni_spec::{CniError, StatusRequest};

use crate::call::{backend, decode};
use crate::{error, pod_source};

pub(crate) fn status(xtables: &Xtables, request: &StatusRequest) -> Result<(), CniError> {
    let conf = decode(&request.conf)?.conf;
    let backend = backend(&conf)?;
    pod_source::available(&conf).map_err(|e| error::unavailable(&e))?;
    xtables
        .available(backend)
        .map_err(|e| error::no_program(&e))?;
    Ok(())
}
