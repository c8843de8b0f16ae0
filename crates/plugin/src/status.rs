//! STATUS: whether an ADD could work now. Runtimes ask every few seconds, so nothing is started
//! and nobody but the kernel is asked.

use mesh_cni_netns::{Xtables, available};
use mesh_cni_spec::{CniError, StatusRequest};

use crate::call::{backend, decode};
use crate::{error, pod_source};

pub(crate) fn status(xtables: &Xtables, request: &StatusRequest) -> Result<(), CniError> {
    let conf = decode(&request.conf)?.conf;
    pod_source::available(&conf).map_err(|e| error::unavailable(&e))?;
    available(xtables, backend(&conf)).map_err(|e| error::no_backend(&e))?;
    Ok(())
}
