//! The back end of an ADD: the configured one, or the first that works on this machine.

use mesh_cni_netns::{Applied, Backend, BackendChoice, BackendProbeCache, Change, Xtables};
use mesh_cni_plan::{BackendName, MeshConf};

use crate::invocation::Invocation;

/// Selects the back end, and probes all of them for `auto`.
pub(crate) struct BackendSelector<'a> {
    invocation: &'a Invocation<'a>,
    xtables: &'a Xtables,
    /// The probed back ends; `None` if one is configured by name.
    probes: Option<BackendProbeCache>,
}

impl<'a> BackendSelector<'a> {
    /// With `auto` the first ADD since the machine started probes the back ends and stores the
    /// results in the run directory.
    pub(crate) fn new(invocation: &'a Invocation<'a>, xtables: &'a Xtables) -> Self {
        let mut selector = Self {
            invocation,
            xtables,
            probes: None,
        };
        let conf = &invocation.conf;
        if conf.backend == BackendName::Auto {
            let stored = BackendProbeCache::load(&conf.cni_agent_run_dir, xtables);
            selector.probes = Some(stored.unwrap_or_else(|| selector.probe()));
        }
        selector
    }

    /// Which back ends may be used, and which comes first.
    pub(crate) fn choice(&self) -> BackendChoice {
        match &self.probes {
            Some(probes) => probes.choice(),
            None => configured(&self.invocation.conf),
        }
    }

    /// Probes again if another back end than the stored one programmed the rules.
    pub(crate) fn update(&self, applied: Applied) {
        let outdated = self
            .probes
            .as_ref()
            .is_some_and(|probes| probes.first() != Some(applied.backend));
        if outdated && applied.change == Change::Created {
            self.probe();
        }
    }

    fn probe(&self) -> BackendProbeCache {
        let probes = BackendProbeCache::probe(self.xtables);
        let results: Vec<_> = probes
            .results
            .iter()
            .map(|(backend, result)| match result {
                Ok(()) => format!("{backend} works"),
                Err(reason) => format!("{backend} does not: {reason}"),
            })
            .collect();
        let directory = &self.invocation.conf.cni_agent_run_dir;
        let stored = match probes.store(directory, self.xtables) {
            Ok(()) => "stored".to_owned(),
            Err(error) => format!("not stored in `{}`: {error}", directory.display()),
        };
        let log = &self.invocation.log;
        log.info(&format!("back ends: {} ({stored})", results.join("; ")));
        probes
    }
}

/// The back ends that the configuration allows.
pub(crate) fn configured(conf: &MeshConf) -> BackendChoice {
    match conf.backend {
        BackendName::Auto => BackendChoice::Auto,
        BackendName::Netlink => BackendChoice::Only(Backend::Netlink),
        BackendName::NftNative => BackendChoice::Only(Backend::NftNative),
        BackendName::IptablesNft => BackendChoice::Only(Backend::IptablesNft),
        BackendName::IptablesLegacy => BackendChoice::Only(Backend::IptablesLegacy),
    }
}
