//! What happens to packets that arrive: excluded and rerouted interfaces, and the inbound chain.

use super::shorthand::{comes_in, goes_out, tcp, to_port};
use super::tproxy;
use crate::chains::{DROP, IN_REDIRECT, INBOUND, OUTPUT, PREROUTING, REDIRECT};
use crate::interception::{InboundCapture, Interception, Mode};
use mesh_cni_netfilter::ruleset::{ConntrackState, Match, Rule, RuleSet, Sense, TableName, Target};

const NAT: TableName = TableName::Nat;

/// Steps 1 to 5 of the contract.
pub(super) fn compile(interception: &Interception, rules: &mut RuleSet) {
    leave_interfaces_alone(interception, rules);
    if interception.drop_invalid {
        drop_invalid(rules);
    }
    send_to_proxy(interception, rules);
    capture(interception, rules);
}

fn leave_interfaces_alone(interception: &Interception, rules: &mut RuleSet) {
    for interface in &interception.exclude_interfaces {
        let tables: &[_] = match interception.mode {
            Mode::Redirect => &[NAT],
            Mode::Tproxy(_) => &[NAT, TableName::Mangle],
        };
        for table in tables {
            let comes_in = Rule::new([comes_in(interface)], Target::Return);
            let goes_out = Rule::new([goes_out(interface)], Target::Return);
            rules.append(*table, PREROUTING, comes_in);
            rules.append(*table, OUTPUT, goes_out);
        }
    }
    for interface in &interception.reroute_interfaces {
        let rule = Rule::new([comes_in(interface)], Target::Return);
        rules.insert(NAT, PREROUTING, 1, rule);
    }
}

fn drop_invalid(rules: &mut RuleSet) {
    let invalid = Match::ConntrackState(Sense::Is, vec![ConntrackState::Invalid]);
    let jump = Rule::new([invalid], Target::Jump(DROP));
    rules.append(TableName::Mangle, PREROUTING, jump);
    rules.append(TableName::Mangle, DROP, Rule::new([], Target::Drop));
}

/// The tunnel port is the proxy's own; the two chains that redirect stand in every rule set.
fn send_to_proxy(interception: &Interception, rules: &mut RuleSet) {
    let tunnel = Rule::new([tcp(), to_port(interception.tunnel_port)], Target::Return);
    let outbound = Target::Redirect(interception.outbound_capture_port);
    let inbound = Target::Redirect(interception.inbound_capture_port);
    rules.append(NAT, INBOUND, tunnel);
    rules.append(NAT, REDIRECT, Rule::new([tcp()], outbound));
    rules.append(NAT, IN_REDIRECT, Rule::new([tcp()], inbound));
}

/// Captured connections go to the proxy: by NAT, or handed over by TPROXY.
fn capture(interception: &Interception, rules: &mut RuleSet) {
    let (excluded, captured) = match &interception.inbound {
        InboundCapture::None => return,
        InboundCapture::AllExcept(excluded) => (excluded.as_slice(), vec![vec![tcp()]]),
        InboundCapture::Only(ports) => {
            let ports = ports.iter().map(|port| vec![tcp(), to_port(*port)]);
            (&[][..], ports.collect())
        }
    };
    let (table, ways) = match interception.mode {
        Mode::Redirect => (NAT, vec![(None, Target::Jump(IN_REDIRECT))]),
        Mode::Tproxy(routing) => {
            tproxy::hand_over(interception, routing, rules);
            (TableName::Mangle, tproxy::ways_in())
        }
    };
    rules.append(table, PREROUTING, Rule::new([tcp()], Target::Jump(INBOUND)));
    for port in excluded {
        let rule = Rule::new([tcp(), to_port(*port)], Target::Return);
        rules.append(table, INBOUND, rule);
    }
    for connection in captured {
        for (state, target) in &ways {
            let matches: Vec<_> = connection.iter().chain(state).cloned().collect();
            rules.append(table, INBOUND, Rule::new(matches, target.clone()));
        }
    }
}
