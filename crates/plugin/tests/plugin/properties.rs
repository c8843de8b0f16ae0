//! No environment, configuration or manifest makes the plugin panic or print more than one document.

use mesh_cni_netns::Xtables;
use mesh_cni_plugin::MeshCni;
use mesh_cni_spec::{Environment, run};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::Node;

/// Calls the plugin in this process, without the host's programs.
fn call(environment: Vec<(String, String)>, stdin: &str) -> (u8, String) {
    let plugin = MeshCni::new(Xtables::in_directories(Vec::new())).quiet();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = run(
        &plugin,
        &Environment::from_pairs(environment),
        &mut stdin.as_bytes(),
        &mut stdout,
        &mut stderr,
    );
    (code, String::from_utf8(stdout).expect("stdout is UTF-8"))
}

fn environment(node: &Node, command: &str) -> Vec<(String, String)> {
    let pairs = node.call(command).environment.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn check(code: u8, stdout: &str) -> Result<(), TestCaseError> {
    let documents: Vec<Value> = serde_json::Deserializer::from_str(stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| TestCaseError::fail(format!("{error}: {stdout}")))?;
    prop_assert!(documents.len() <= 1);
    let error = documents
        .first()
        .is_some_and(|document| document.get("code").is_some());
    prop_assert_eq!(code != 0, error, "{}", stdout);
    // 999 is a bug of the plugin.
    prop_assert!(!stdout.contains("\"code\":999"), "{}", stdout);
    Ok(())
}

fn command() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_environment(command in command(), name in 0_usize..8, value in "\\PC{0,40}") {
        let node = Node::new();
        let mut environment = environment(&node, command);
        let at = name % environment.len();
        environment[at].1 = value;
        let (code, stdout) = call(environment, &node.conf().to_string());
        check(code, &stdout)?;
    }

    #[test]
    fn any_arguments(args in "(K8S_POD_NAMESPACE|K8S_POD_NAME|[A-Z_]{1,8}|;|=|[a-z./]{1,8}){0,12}") {
        let node = Node::new();
        let mut environment = environment(&node, "ADD");
        environment.retain(|(name, _)| name != "CNI_ARGS");
        environment.push(("CNI_ARGS".to_owned(), args));
        let (code, stdout) = call(environment, &node.conf().to_string());
        check(code, &stdout)?;
    }

    #[test]
    fn any_field(command in command(), field in prop::sample::select(vec![
        "cniVersion", "name", "type", "prevResult", "exclude_namespaces", "include_namespaces",
        "exclude_namespace_selector", "profile", "selection", "ruleset", "backend", "pod_source",
        "pod_dir", "defaults", "standalone", "plugin_log_level", "runtimeConfig", "args",
    ]), text in "\\PC{0,20}", number in any::<i64>()) {
        let node = Node::new();
        for value in [json!(text), json!(number), json!([text]), json!({"a": text}), Value::Null] {
            let mut conf = node.conf();
            conf[field] = value;
            let (code, stdout) = call(environment(&node, command), &conf.to_string());
            check(code, &stdout)?;
        }
    }

    #[test]
    fn any_input(command in command(), stdin in "(?s).{0,200}") {
        let node = Node::new();
        let (code, stdout) = call(environment(&node, command), &stdin);
        check(code, &stdout)?;
    }

    #[test]
    fn any_manifest(manifest in "(?s).{0,200}") {
        let node = Node::new();
        node.write_pod("default_productpage.yaml", &manifest);
        let (code, stdout) = call(environment(&node, "ADD"), &node.conf().to_string());
        check(code, &stdout)?;
        prop_assert_eq!(code, 1);
    }
}
