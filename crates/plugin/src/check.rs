//! CHECK: whether the rules that stand are the ones that should.

use mesh_cni_netfilter::drift;
use mesh_cni_netns::{Xtables, read};
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_spec::{CheckRequest, CniError};

use crate::call::{Answer, Call};
use crate::error;
use crate::journal::Echo;

pub(crate) fn check(xtables: &Xtables, echo: Echo, request: &CheckRequest) -> Result<(), CniError> {
    let (call, pending) = Call::new("CHECK", echo, request)?;
    if !call.conf.standalone {
        request.conf.required_prev_result()?;
    }
    let netns = call.namespace()?;
    let backend = call.backend();
    let Answer::Redirect(selected) = call.answer(pending)? else {
        return Ok(());
    };
    let rule_sets = call.redirection(selected, &netns, xtables)?.rule_sets;
    let families: Vec<_> = rule_sets.iter().map(|rules| rules.family).collect();
    let found = read(&netns, xtables, backend, &families).map_err(|e| error::not_read(&e))?;
    let mut pairs = rule_sets.iter().zip(&found.rule_sets);
    match pairs.find_map(|(wanted, found)| drift(wanted, found, &OWNERSHIP)) {
        None => Ok(()),
        Some(difference) => {
            let error = error::drift(&difference);
            call.journal.error(error.msg());
            Err(error)
        }
    }
}
