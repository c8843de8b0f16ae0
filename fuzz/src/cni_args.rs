//! `CNI_ARGS`: every part is kept, and a pod has a whole name.

use mesh_cni_spec::CniArgs;

use crate::property::assert_bounded_error;

pub(crate) fn run(input: &[u8]) {
    let text = &String::from_utf8_lossy(input);
    let args = CniArgs::parse(text);
    let pairs: Vec<_> = args
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let parts = pairs.iter().chain(args.malformed());
    assert_eq!(
        parts.clone().count(),
        text.split(';').filter(|part| !part.is_empty()).count()
    );
    let joined: Vec<_> = parts.map(String::as_str).collect();
    assert_eq!(CniArgs::parse(&joined.join(";")), args);

    let last = |wanted: &str| args.iter().filter(|(key, _)| *key == wanted).last();
    for (key, _) in args.iter() {
        assert_eq!(args.get(key), last(key).map(|(_, value)| value));
    }
    match args.pod() {
        Ok(Some(pod)) => {
            assert!(!pod.namespace.is_empty() && !pod.name.is_empty());
            assert_eq!(args.get("K8S_POD_NAMESPACE"), Some(&*pod.namespace));
            assert_eq!(args.get("K8S_POD_NAME"), Some(&*pod.name));
            assert_ne!(pod.uid.as_deref(), Some(""));
        }
        Ok(None) => {
            assert_eq!(args.get("K8S_POD_NAMESPACE"), None);
            assert_eq!(args.get("K8S_POD_NAME"), None);
        }
        Err(error) => assert_bounded_error(&error),
    }
}
