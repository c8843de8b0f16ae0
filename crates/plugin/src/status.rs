//! STATUS: whether an ADD could work now. Runtimes call it every few seconds, so it starts no program
//! and waits for nothing but the agent's answer, briefly.

use mesh_cni_netns::{Xtables, available};
use mesh_cni_spec::{CniError, StatusRequest};

use crate::backend::configured;
use crate::invocation::decode;
use crate::{error, pod_source};

pub(crate) fn status(xtables: &Xtables, request: &StatusRequest) -> Result<(), CniError> {
    let conf = decode(&request.conf)?.conf;
    pod_source::available(&conf).map_err(|e| error::unavailable(&e))?;
    available(xtables, configured(&conf)).map_err(|e| error::no_backend(&e))?;
    Ok(())
}
