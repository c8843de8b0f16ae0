//! Objects of tenants and responses of API servers that are made to harm the agent.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::api_server::{ApiServer, FILLER, Fault};
use crate::objects::pod;

fn start(server: &ApiServer) -> Agent {
    Agent::start(&[], |directory| server.kubeconfig(directory))
}

/// Arrays in arrays.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

/// A pod whose fields that nobody reads, and those that somebody reads, are nested deeply.
fn deep(name: &str, depth: usize) -> Value {
    let mut pod = pod(name, &format!("{name}-1"));
    pod["metadata"]["managedFields"] = json!([{"fieldsV1": nested(depth)}]);
    pod["metadata"]["ownerReferences"] = json!([{"kind": nested(depth)}]);
    pod["metadata"]["resourceVersion"] = json!("20");
    pod
}

fn is_known(agent: &Agent, name: &str) -> bool {
    let path = format!("/v1/pods/shop/{name}?uid={name}-1");
    agent.get(&path).code == 200
}

#[test]
fn deeply_nested_objects_stop_neither_list_nor_watch() {
    let server = ApiServer::new([deep("listed", 1000), pod("cart", "cart-1")]);
    let agent = start(&server);
    agent.wait_for_line("watch: started");
    assert!(is_known(&agent, "listed") && is_known(&agent, "cart"));
    for depth in [100, 130, 500] {
        let name = format!("deep{depth}");
        server.send("ADDED", &deep(&name, depth));
        server.send("MODIFIED", &deep(&name, depth));
        assert!(is_known(&agent, &name), "{depth}");
    }
    server.send("ADDED", &pod("later", "later-1"));
    assert!(is_known(&agent, "later"));
    assert_eq!(agent.get("/readyz").code, 200);
}

#[test]
fn objects_that_cannot_be_read_are_skipped_and_the_version_moves_on() {
    let server = ApiServer::new([
        json!({"metadata": {"name": "no-uid", "namespace": "shop"}}),
        json!("text"),
        json!({"metadata": []}),
        pod("cart", "cart-1"),
    ]);
    let agent = start(&server);
    agent.wait_for_line("watch: started");
    assert!(is_known(&agent, "cart"));
    let version = |version: &str| json!({"metadata": {"resourceVersion": version}});
    server.send("ADDED", &pod("later", "later-1"));
    server.send("ADDED", &version("31"));
    server.send("BOOKMARK", &version(""));
    server.send(
        "DELETED",
        &json!({"metadata": {"uid": 7, "resourceVersion": "32"}}),
    );
    server.send("ADDED", &json!(null));
    server.send("ODD", &version("33"));
    agent.wait_for_line("unknown type");
    assert!(is_known(&agent, "later"));
    let metrics = agent.get("/metrics").body;
    let skipped = "mesh_cni_api_objects_skipped_total 7";
    assert!(metrics.lines().any(|line| line == skipped), "{metrics}");
    server.drop_watches();
    agent.wait_for_line("watch: started");
    let requests = server.requests();
    let resumed = requests
        .iter()
        .any(|path| path.contains("resourceVersion=33"));
    assert!(resumed, "{requests:#?}");
}

#[test]
fn invalid_lines_at_one_version_lead_to_a_list() {
    let server = ApiServer::new([pod("cart", "cart-1")]);
    let agent = start(&server);
    for _ in 0..3 {
        agent.wait_for_line("watch: started");
        server.send_line("{\"type\": ");
    }
    agent.wait_for_line("watch: listed");
    agent.wait_for_line("watch: started");
    server.send("ADDED", &pod("later", "later-1"));
    assert!(is_known(&agent, "later"));
}

#[test]
fn lists_that_never_end_or_have_no_version_are_errors() {
    for (body, reason) in [
        ("{", "invalid response"),
        ("[]", "without `resourceVersion`"),
        (
            r#"{"metadata": {}, "items": []}"#,
            "without `resourceVersion`",
        ),
        (
            r#"{"metadata": {"resourceVersion": "1"}, "items": {}}"#,
            "`items` is not a list",
        ),
    ] {
        let server = ApiServer::new([pod("cart", "cart-1")]);
        server.fail("/api/v1/pods", Fault::Body(body));
        let agent = start(&server);
        agent.wait_for_line(reason);
        agent.wait_for_line("watch: listed");
        assert!(is_known(&agent, "cart"), "{body}");
    }
    let server = ApiServer::new([]);
    let same = r#"{"metadata": {"resourceVersion": "1", "continue": "7"}}"#;
    server.fail("/api/v1/pods", Fault::Body(same));
    server.fail("/api/v1/pods", Fault::Body(same));
    let agent = start(&server);
    agent.wait_for_line("repeats `continue`");
    agent.wait_for_line("watch: listed");
}

#[test]
fn a_watch_that_opens_without_an_event_is_not_progress() {
    let server = ApiServer::new([]);
    let agent = start(&server);
    let age = || {
        let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
        status["watch_age_seconds"].as_f64().unwrap()
    };
    agent.wait_for_line("watch: started");
    let first = age();
    server.drop_watches();
    agent.wait_for_line("watch: started");
    assert!(age() > first, "opening a watch resets its age");
}

#[test]
fn only_the_settings_of_the_mesh_are_kept() {
    let mut pod = pod("cart", "cart-1");
    pod["metadata"]["annotations"] = json!({"other/large": "x".repeat(200_000)});
    pod["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "x".repeat(1 << 20)}]);
    let server = ApiServer::new([pod]);
    let agent = start(&server);
    agent.wait_for_line("watch: listed");
    let answer = agent.get("/v1/pods/shop/cart?uid=cart-1");
    assert_eq!(answer.code, 200, "{}", answer.body.len());
    assert!(answer.body.len() < 2000, "{}", answer.body.len());
}

#[test]
fn a_pod_with_large_settings_is_requested_when_it_is_needed() {
    let mut pod = pod("cart", "cart-1");
    let key = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
    pod["metadata"]["annotations"] = json!({key: "10.0.0.1/32,".repeat(10_000)});
    let server = ApiServer::new([pod]);
    let agent = start(&server);
    agent.wait_for_line("watch: listed");
    for requests in 1..=2 {
        let answer = agent.get("/v1/pods/shop/cart?uid=cart-1");
        assert_eq!(answer.code, 200, "{}", answer.body.len());
        assert!(answer.body.len() > 100_000);
        let gets = server.requests().into_iter();
        let gets = gets.filter(|path| path.contains("/pods/cart")).count();
        assert_eq!(gets, requests, "it is not kept");
    }
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=other").code, 409);
}

#[test]
fn a_list_that_is_too_large_for_one_response_is_read_in_pages() {
    let of = |number: usize| {
        let mut pod = pod(&format!("p{number}"), &format!("p{number}-1"));
        if number < 5 {
            pod["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": FILLER}]);
        }
        pod
    };
    let server = ApiServer::new((0..60).map(of));
    let agent = start(&server);
    agent.wait_for_line("more than 67108864 bytes");
    agent.wait_for_line("watch: listed");
    for number in [5, 49, 50, 59] {
        assert!(is_known(&agent, &format!("p{number}")), "{number}");
    }
    let lists = server.lists();
    let of = |text: &str| lists.iter().filter(|list| list.contains(text)).count();
    assert_eq!(
        [of("resourceVersion=0"), of("limit=50"), lists.len()],
        [1, 2, 3]
    );
}

#[test]
fn a_pod_with_very_many_small_values_is_known_and_the_others_too() {
    let mut many = pod("many", "many-1");
    many["spec"]["containers"][0]["env"] = json!(vec![json!({"name": "A"}); 50_000]);
    let mut empty = pod("empty", "empty-1");
    empty["spec"]["containers"][1]["args"] = json!(vec![""; 30_000]);
    let server = ApiServer::new([many.clone(), empty, pod("cart", "cart-1")]);
    let agent = start(&server);
    agent.wait_for_line("watch: started");
    assert!(is_known(&agent, "cart") && is_known(&agent, "empty"));
    server.send("MODIFIED", &many);
    let answer = agent.get("/v1/pods/shop/many?uid=many-1");
    assert_eq!(answer.code, 422, "{}", answer.body);
    server.send("ADDED", &pod("later", "later-1"));
    assert!(is_known(&agent, "later"));
}
