//! Real connections through the documented rules: each arrives where the specification says.

use std::net::{Ipv4Addr, SocketAddr};

use mesh_cni_netns::{Backend, BackendChoice, Xtables, apply};
use mesh_cni_rules::Mesh;
use mesh_cni_tests::{
    PodNet, Resolver, Sender, productpage_rules, rules_with_annotation, rules_with_proxy_env,
};

pub(crate) const ON_POD: [u16; 7] = [15001, 15006, 15008, 15020, 15021, 9080, 22];
pub(crate) const ON_PEER: [u16; 2] = [9080, 15020];

pub(crate) fn xtables() -> Xtables {
    Xtables::search(std::env::var_os("PATH").as_deref())
}

pub(crate) struct Connection {
    pub(crate) story: &'static str,
    pub(crate) from_pod: bool,
    pub(crate) sender: Sender,
    pub(crate) to: (Ipv4Addr, u16),
    pub(crate) arrives: (&'static str, u16),
}

fn inbound(story: &'static str, port: u16, arrives: u16) -> Connection {
    Connection {
        story,
        from_pod: false,
        sender: Sender::APP,
        to: (PodNet::POD, port),
        arrives: ("pod", arrives),
    }
}

fn outbound(
    story: &'static str,
    sender: Sender,
    to: (Ipv4Addr, u16),
    arrives: (&'static str, u16),
) -> Connection {
    Connection {
        story,
        from_pod: true,
        sender,
        to,
        arrives,
    }
}

pub(crate) fn connections() -> Vec<Connection> {
    use Sender as S;
    let (pod, peer, excluded) = (PodNet::POD, PodNet::PEER, PodNet::EXCLUDED);
    let local = Ipv4Addr::LOCALHOST;
    vec![
        inbound("in to a captured port", 9080, 15006),
        inbound("in to a port without a listener", 7, 15006),
        inbound("in to the tunnel port", 15008, 15008),
        inbound("in to an excluded port", 22, 22),
        inbound("in to the proxy agent's health port", 15021, 15021),
        outbound("application out", S::APP, (peer, 9080), ("pod", 15001)),
        outbound(
            "application out to an excluded port",
            S::APP,
            (peer, 15020),
            ("peer", 15020),
        ),
        outbound(
            "application out to an excluded range",
            S::APP,
            (excluded, 9080),
            ("peer", 9080),
        ),
        outbound(
            "application to 127.0.0.1",
            S::APP,
            (local, 9080),
            ("pod", 9080),
        ),
        outbound(
            "application to the pod's own address",
            S::APP,
            (pod, 9080),
            ("pod", 9080),
        ),
        outbound("proxy out", S::PROXY, (peer, 9080), ("peer", 9080)),
        outbound(
            "proxy's group out",
            S::PROXY_GROUP,
            (peer, 9080),
            ("peer", 9080),
        ),
        outbound(
            "proxy to the pod's own address",
            S::PROXY,
            (pod, 9080),
            ("pod", 15006),
        ),
        outbound("proxy to 127.0.0.1", S::PROXY, (local, 9080), ("pod", 9080)),
    ]
}

/// Compares where each connection arrived with where it should arrive.
fn follow(net: &PodNet, connections: Vec<Connection>, what: &str) {
    for connection in connections {
        let from = if connection.from_pod {
            &net.pod
        } else {
            &net.peer
        };
        let arrival = net.connect(from, connection.sender, connection.to);
        let arrival = arrival.map(|arrival| (arrival.side, arrival.port, arrival.original));
        let (side, port) = connection.arrives;
        let expected = (side.to_owned(), port, SocketAddr::from(connection.to));
        assert_eq!(arrival, Some(expected), "{what}: {}", connection.story);
    }
}

#[test]
fn every_connection_arrives_where_the_specification_says_with_both_back_ends() {
    for backend in Backend::ALL {
        let net = PodNet::new();
        net.listen(&ON_POD, &ON_PEER);
        let choice = BackendChoice::Only(backend);
        apply(
            &net.pod,
            &xtables(),
            choice,
            Mesh::Istio,
            &[productpage_rules()],
        )
        .unwrap();
        follow(&net, connections(), backend.as_str());
    }
}

#[test]
fn tproxy_keeps_source_and_destination() {
    for backend in Backend::ALL {
        let net = PodNet::new();
        net.listen(&[15001, 15020, 15021, 9080, 22], &ON_PEER);
        net.listen_transparently(15006);
        let choice = BackendChoice::Only(backend);
        let mode = ("sidecar.istio.io/interceptionMode", "TPROXY");
        apply(
            &net.pod,
            &xtables(),
            choice,
            Mesh::Istio,
            &[rules_with_annotation(mode)],
        )
        .unwrap();

        let to = (PodNet::POD, 9080);
        let arrival = net.connect(&net.peer, Sender::APP, to).unwrap();
        assert_eq!(
            (arrival.side.as_str(), arrival.port),
            ("pod", 15006),
            "{backend}"
        );
        assert_eq!(
            arrival.local,
            SocketAddr::from(to),
            "{backend}: destination unchanged"
        );
        assert_eq!(arrival.from, PodNet::PEER, "{backend}: source unchanged");

        // The exception for the tunnel port is in nat, which TPROXY bypasses.
        let mut others = connections();
        others.retain(|connection| connection.to.1 != 15008);
        follow(&net, others, backend.as_str());
    }
}

#[test]
fn queries_go_to_the_proxy_and_its_own_go_out() {
    for backend in Backend::ALL {
        let net = PodNet::new();
        net.listen(&[15053], &[53]);
        let _proxy = Resolver::start(
            &net.pod,
            Sender::PROXY,
            (Ipv4Addr::LOCALHOST, 15053),
            "proxy",
        );
        let _server = Resolver::start(
            &net.peer,
            Sender::ROOT,
            (Ipv4Addr::UNSPECIFIED, 53),
            "server",
        );
        let rules = rules_with_proxy_env(&[("ISTIO_META_DNS_CAPTURE", "true")]);
        apply(
            &net.pod,
            &xtables(),
            BackendChoice::Only(backend),
            Mesh::Istio,
            &[rules],
        )
        .unwrap();

        let ask = |sender, server| Resolver::ask(&net.pod, sender, (server, 53));
        assert_eq!(
            ask(Sender::APP, PodNet::PEER).as_deref(),
            Some("proxy"),
            "{backend}"
        );
        assert_eq!(
            ask(Sender::APP, PodNet::EXCLUDED).as_deref(),
            Some("proxy"),
            "{backend}"
        );
        assert_eq!(
            ask(Sender::PROXY, PodNet::PEER).as_deref(),
            Some("server"),
            "{backend}"
        );
        assert_eq!(
            ask(Sender::PROXY_GROUP, PodNet::PEER).as_deref(),
            Some("server"),
            "{backend}"
        );

        let port = |sender| {
            net.connect(&net.pod, sender, (PodNet::PEER, 53))
                .unwrap()
                .port
        };
        assert_eq!(
            (port(Sender::APP), port(Sender::PROXY)),
            (15053, 53),
            "{backend}"
        );
    }
}

#[test]
fn without_rules_nothing_is_redirected() {
    let net = PodNet::new();
    net.listen(&ON_POD, &ON_PEER);
    let to_pod = net
        .connect(&net.peer, Sender::APP, (PodNet::POD, 9080))
        .unwrap();
    let to_peer = net
        .connect(&net.pod, Sender::APP, (PodNet::PEER, 9080))
        .unwrap();
    assert_eq!((to_pod.port, to_peer.port), (9080, 9080));
    assert_eq!(net.connect(&net.peer, Sender::APP, (PodNet::POD, 7)), None);
}
