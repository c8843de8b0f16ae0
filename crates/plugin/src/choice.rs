//! The back end of an ADD: the configured one, or what `auto` found out about this machine.

use mesh_cni_netns::{Applied, BackendChoice, BackendProbeCache, Change, Xtables};

use crate::call::Call;

/// Which back ends an ADD may use, and which comes first.
pub(crate) struct Choice<'call> {
    call: &'call Call<'call>,
    xtables: &'call Xtables,
    /// What is known of this machine; nothing where a back end is configured by name.
    survey: Option<BackendProbeCache>,
}

impl<'call> Choice<'call> {
    /// `auto` asks the back ends at the first ADD since the machine started, and remembers what they
    /// said in the run directory.
    pub(crate) fn new(call: &'call Call<'call>, xtables: &'call Xtables) -> Self {
        let mut choice = Self {
            call,
            xtables,
            survey: None,
        };
        if call.backend() == BackendChoice::Auto {
            let recalled = BackendProbeCache::load(&call.conf.cni_agent_run_dir, xtables);
            choice.survey = Some(recalled.unwrap_or_else(|| choice.find_out()));
        }
        choice
    }

    pub(crate) fn backend(&self) -> BackendChoice {
        let survey = self.survey.as_ref();
        survey.map_or_else(|| self.call.backend(), BackendProbeCache::choice)
    }

    /// Asks again where another back end did the work than the memory promised.
    pub(crate) fn learn_from(&self, applied: Applied) {
        let promised = self.survey.as_ref().map(BackendProbeCache::first);
        let surprise = promised.is_some_and(|promised| promised != Some(applied.backend));
        if surprise && applied.change == Change::Created {
            self.find_out();
        }
    }

    fn find_out(&self) -> BackendProbeCache {
        let survey = BackendProbeCache::probe(self.xtables);
        let said: Vec<_> = survey
            .results
            .iter()
            .map(|(backend, verdict)| match verdict {
                Ok(()) => format!("{backend} works"),
                Err(reason) => format!("{backend} does not: {reason}"),
            })
            .collect();
        let directory = &self.call.conf.cni_agent_run_dir;
        let remembered = survey.store(directory, self.xtables);
        let fate = match remembered {
            Ok(()) => "remembered".to_owned(),
            Err(error) => format!("not remembered in `{}`: {error}", directory.display()),
        };
        let journal = &self.call.journal;
        journal.info(&format!("back ends: {} ({fate})", said.join("; ")));
        survey
    }
}
