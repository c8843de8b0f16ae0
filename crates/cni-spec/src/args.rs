//! `CNI_ARGS`, and the pod that Kubernetes runtimes name in it.

/// The pairs of `CNI_ARGS`, `KEY=VALUE;KEY=VALUE`, in order.
///
/// Parsing never fails: empty parts (such as after a trailing `;`) are ignored, a value may contain
/// `=`, and [`CniArgs::malformed`] returns parts without `=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CniArgs {
    pairs: Vec<(String, String)>,
    malformed: Vec<String>,
}

/// The pod of a call, as containerd and CRI-O pass it in `CNI_ARGS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodArgs {
    /// `K8S_POD_NAMESPACE`.
    pub namespace: String,
    /// `K8S_POD_NAME`.
    pub name: String,
    /// `K8S_POD_INFRA_CONTAINER_ID`: the sandbox.
    pub infra_container_id: Option<String>,
    /// `K8S_POD_UID`; older runtimes do not set it.
    pub uid: Option<String>,
}

impl CniArgs {
    /// Parses the value of `CNI_ARGS`.
    pub fn parse(text: &str) -> Self {
        let mut args = Self::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) => args.pairs.push((key.to_owned(), value.to_owned())),
                None => args.malformed.push(part.to_owned()),
            }
        }
        args
    }

    /// The last value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().rev().find(|(known, _)| known == key)?;
        Some(&pair.1)
    }

    /// All pairs in order, including duplicates.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The parts without `=`.
    pub fn malformed(&self) -> &[String] {
        &self.malformed
    }

    /// The pod; `None` if its namespace or name is missing or empty, as from callers other than
    /// Kubernetes runtimes.
    pub fn pod(&self) -> Option<PodArgs> {
        let non_empty = |key| Some(self.get(key)?.to_owned()).filter(|value| !value.is_empty());
        Some(PodArgs {
            namespace: non_empty("K8S_POD_NAMESPACE")?,
            name: non_empty("K8S_POD_NAME")?,
            infra_container_id: non_empty("K8S_POD_INFRA_CONTAINER_ID"),
            uid: non_empty("K8S_POD_UID"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_containerd() {
        let args = CniArgs::parse(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;\
             K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=1-2",
        );
        let pod = args.pod().unwrap();
        assert_eq!(
            (pod.namespace.as_str(), pod.name.as_str()),
            ("default", "web-0")
        );
        assert_eq!(
            (pod.infra_container_id.as_deref(), pod.uid.as_deref()),
            (Some("abc"), Some("1-2"))
        );
    }

    #[test]
    fn unusual_input_is_accepted() {
        let args = CniArgs::parse(";A=1;;flag;B=x=y;A=2;C=;=v;");
        let pairs: Vec<_> = args.iter().collect();
        assert_eq!(
            pairs,
            [("A", "1"), ("B", "x=y"), ("A", "2"), ("C", ""), ("", "v")]
        );
        assert_eq!(args.get("A"), Some("2"), "the last value");
        assert_eq!(args.malformed(), ["flag"]);
        assert_eq!(args.get("D"), None);
    }

    #[test]
    fn a_pod_needs_namespace_and_name() {
        for text in [
            "",
            "K8S_POD_NAME=a",
            "K8S_POD_NAMESPACE=a",
            "K8S_POD_NAMESPACE=;K8S_POD_NAME=a",
        ] {
            assert_eq!(CniArgs::parse(text).pod(), None, "{text}");
        }
    }
}
