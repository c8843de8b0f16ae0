//! Annotations that look like a setting and are none.

use mesh_cni_netfilter::value::excerpt;

use super::{Annotation, PodSettings};
use crate::warning::{Warning, WarningCode};

/// All annotations of these domains are settings of the redirection.
const OF_SETTINGS: [&str; 2] = ["traffic.sidecar.istio.io", "status.sidecar.istio.io"];
/// The domains of similar annotations contain this word.
const ISTIO: &str = "istio";

/// Kubernetes allows no longer name after the domain.
const MAX_NAME: usize = 63;
/// The most annotations that are compared, and that are named in warnings.
const MAX_COMPARED: usize = 64;
const MAX_NAMED: usize = 8;

impl PodSettings<'_> {
    /// A warning for each unknown annotation in a domain of settings, and for those of other domains
    /// of Istio that are spelled almost as a setting.
    pub(super) fn unknown(&self) -> Vec<Warning> {
        let keys = self.annotations.into_iter().flat_map(|all| all.keys());
        keys.filter_map(|key| {
            let (domain, name) = key.split_once('/')?;
            let is_candidate = domain.contains(ISTIO)
                && name.len() <= MAX_NAME
                && !Annotation::ALL.iter().any(|known| known.key() == key);
            is_candidate.then_some((key, domain, name))
        })
        .take(MAX_COMPARED)
        .filter_map(|(key, domain, name)| {
            let nearest = nearest(name);
            (OF_SETTINGS.contains(&domain) || nearest.is_some()).then(|| warning(key, nearest))
        })
        .take(MAX_NAMED)
        .collect()
    }
}

/// The setting whose name differs by the fewest letters, if that is at most one in six. The case of
/// letters does not count.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let distances = Annotation::ALL.iter().filter_map(|annotation| {
        let key = annotation.key();
        let (_, known) = key.split_once('/')?;
        let distance = strsim::osa_distance(&name, &known.to_ascii_lowercase());
        (distance * 6 <= known.len()).then_some((distance, key))
    });
    distances.min().map(|(_, key)| key)
}

fn warning(key: &str, nearest: Option<&str>) -> Warning {
    let key = excerpt(key, 1);
    let nearest = nearest.map(|key| format!(": the nearest setting is `{key}`"));
    let nearest = nearest.unwrap_or_default();
    let message = format!("annotation `{key}` is not a setting and has no effect{nearest}");
    Warning::new(WarningCode::UnknownSetting, message)
}
