//! `CNI_ARGS`, and the pod that Kubernetes runtimes name in it.

use thiserror::Error;

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

/// Only a part of a pod's name is in `CNI_ARGS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("`{}` in CNI_ARGS {}", .key, if *.is_empty { "is empty" } else { "is missing" })]
pub struct PodArgsError {
    /// `K8S_POD_NAMESPACE` or `K8S_POD_NAME`.
    pub key: &'static str,
    /// The key has no value; else the key itself is missing, and the other one exists.
    pub is_empty: bool,
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

    /// The pod; `None` if neither its namespace nor its name is there, as from callers other than
    /// Kubernetes runtimes. One without the other, or without a value, is an error: such a call is
    /// about a pod, and which one is not known.
    pub fn pod(&self) -> Result<Option<PodArgs>, PodArgsError> {
        const NAMESPACE: &str = "K8S_POD_NAMESPACE";
        const NAME: &str = "K8S_POD_NAME";
        if !self.has(NAMESPACE) && !self.has(NAME) {
            return Ok(None);
        }
        let required = |key| {
            let is_empty = self.has(key);
            self.non_empty(key).ok_or(PodArgsError { key, is_empty })
        };
        Ok(Some(PodArgs {
            namespace: required(NAMESPACE)?,
            name: required(NAME)?,
            infra_container_id: self.non_empty("K8S_POD_INFRA_CONTAINER_ID"),
            uid: self.non_empty("K8S_POD_UID"),
        }))
    }

    /// Whether the key is there, also without `=`.
    fn has(&self, key: &str) -> bool {
        self.get(key).is_some() || self.malformed.iter().any(|part| part == key)
    }

    fn non_empty(&self, key: &str) -> Option<String> {
        let value = self.get(key).filter(|value| !value.is_empty())?;
        Some(value.to_owned())
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
        let pod = args.pod().unwrap().unwrap();
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
    fn a_call_without_namespace_and_name_is_about_no_pod() {
        for text in [
            "",
            "IgnoreUnknown=1",
            "K8S_POD_UID=1;K8S_POD_INFRA_CONTAINER_ID=2",
        ] {
            assert_eq!(CniArgs::parse(text).pod(), Ok(None), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_an_error() {
        for (text, error) in [
            (
                "K8S_POD_NAME=a",
                "`K8S_POD_NAMESPACE` in CNI_ARGS is missing",
            ),
            (
                "K8S_POD_NAMESPACE=a",
                "`K8S_POD_NAME` in CNI_ARGS is missing",
            ),
            (
                "K8S_POD_NAMESPACE=;K8S_POD_NAME=a",
                "`K8S_POD_NAMESPACE` in CNI_ARGS is empty",
            ),
            (
                "K8S_POD_NAMESPACE=a;K8S_POD_NAME=",
                "`K8S_POD_NAME` in CNI_ARGS is empty",
            ),
            (
                "K8S_POD_NAMESPACE=a;K8S_POD_NAME",
                "`K8S_POD_NAME` in CNI_ARGS is empty",
            ),
            (
                "K8S_POD_NAMESPACE=;K8S_POD_NAME=",
                "`K8S_POD_NAMESPACE` in CNI_ARGS is empty",
            ),
            (
                "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_NAME=",
                "`K8S_POD_NAME` in CNI_ARGS is empty",
            ),
            (
                "K8S_POD_NAME=",
                "`K8S_POD_NAMESPACE` in CNI_ARGS is missing",
            ),
        ] {
            let found = CniArgs::parse(text).pod().unwrap_err();
            assert_eq!(found.to_string(), error, "{text}");
        }
    }
}
