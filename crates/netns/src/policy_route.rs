//! Policy routing: packets with a mark are delivered locally, whatever their address.
//!
//! The same as `ip rule add fwmark MARK lookup TABLE` and `ip route add local default dev lo table TABLE`.

use std::io;

use mesh_cni_netfilter::ruleset::{Family, Mark, PolicyRouting};
use mesh_cni_netfilter::{Ownership, RuleSet, routing_mark};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};
use nix::errno::Errno;

use crate::routing_message::{Answer, LinkUp, Request};
use crate::rtnetlink::Rtnetlink;

/// The loopback interface is the first of every network namespace (`LOOPBACK_IFINDEX`,
/// `net/net_namespace.h`).
pub(crate) const LOOPBACK: u32 = 1;

/// Adds the routing in the calling thread's namespace, unless it exists.
///
/// A route needs an interface that is up, and a runtime may set the loopback interface up only
/// later.
pub(crate) fn add(family: Family, routing: PolicyRouting) -> io::Result<()> {
    let mut netlink = Rtnetlink::open()?;
    netlink.change(Request::SetLinkUp(LinkUp(LOOPBACK)), 0)?;
    let new = NLM_F_CREATE | NLM_F_EXCL;
    // The route first, so that no rule leads to an empty table.
    let mut route = route(family, routing);
    route.header.protocol = RouteProtocol::Boot;
    unless(Errno::EEXIST, netlink.change(Request::NewRoute(route), new))?;
    let mut rule = rule(family, routing);
    let protocol = RuleAttribute::Protocol(RouteProtocol::Boot);
    rule.attributes.push(protocol);
    unless(Errno::EEXIST, netlink.change(Request::NewRule(rule), new))
}

/// Removes the routing that was found, unless it is the wanted one. A wanted one in the same table keeps
/// the route there.
pub(crate) fn remove_stale(
    family: Family,
    found: Option<PolicyRouting>,
    wanted: Option<PolicyRouting>,
) -> io::Result<()> {
    let Some(stale) = found.filter(|_| !PolicyRouting::is_found(wanted, found)) else {
        return Ok(());
    };
    let mut netlink = Rtnetlink::open()?;
    let rule = Request::DeleteRule(rule(family, stale));
    unless(Errno::ENOENT, netlink.change(rule, 0))?;
    if wanted.is_some_and(|wanted| wanted.table == stale.table) {
        return Ok(());
    }
    let route = Request::DeleteRoute(route(family, stale));
    unless(Errno::ESRCH, netlink.change(route, 0))
}

/// The existing routing for packets with that mark.
fn find(family: Family, mark: Mark) -> io::Result<Option<PolicyRouting>> {
    let mut all = RuleMessage::default();
    all.header.family = address_family(family);
    let rules = Rtnetlink::open()?.dump(Request::GetRules(all))?;
    Ok(rules.iter().find_map(|rule| match rule {
        Answer::Rule(rule) => routing_of(rule, mark),
        Answer::Other => None,
    }))
}

/// The existing policy routing for the mark that our rules among these set.
pub(crate) fn existing(
    rules: &RuleSet,
    ownership: &Ownership,
) -> io::Result<Option<PolicyRouting>> {
    match routing_mark(rules, ownership) {
        Some(mark) => find(rules.family, mark),
        None => Ok(None),
    }
}

/// The routing of a rule that selects a table for all packets with that mark.
fn routing_of(rule: &RuleMessage, mark: Mark) -> Option<PolicyRouting> {
    let (mut marked, mut table, mut priority) = ((None, None), None, None);
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::FwMark(found) => marked.0 = Some(*found),
            RuleAttribute::FwMask(found) => marked.1 = Some(*found),
            RuleAttribute::Table(found) => table = Some(*found),
            RuleAttribute::Priority(found) => priority = Some(*found),
            _ => {}
        }
    }
    let is_marked = marked == (Some(mark.value), Some(mark.mask));
    (is_marked && rule.header.action == RuleAction::ToTable).then_some(PolicyRouting {
        mark,
        table: table?,
        priority,
    })
}

/// Without a protocol, which names who added it: to remove a rule, whoever that was.
fn rule(family: Family, routing: PolicyRouting) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header = RuleHeader {
        family: address_family(family),
        action: RuleAction::ToTable,
        ..RuleHeader::default()
    };
    rule.attributes = vec![
        RuleAttribute::FwMark(routing.mark.value),
        RuleAttribute::FwMask(routing.mark.mask),
        RuleAttribute::Table(routing.table),
    ];
    rule.attributes
        .extend(routing.priority.map(RuleAttribute::Priority));
    rule
}

/// Without a protocol, like [`rule`].
fn route(family: Family, routing: PolicyRouting) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header = RouteHeader {
        address_family: address_family(family),
        scope: match family {
            Family::V4 => RouteScope::Host,
            // Routes of IPv6 have no scope.
            Family::V6 => RouteScope::Universe,
        },
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    route.attributes = vec![
        RouteAttribute::Table(routing.table),
        RouteAttribute::Oif(LOOPBACK),
    ];
    route
}

fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// Ignores the error that reports that there is nothing to do.
pub(crate) fn unless(nothing_to_do: Errno, outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.raw_os_error() == Some(nothing_to_do as i32) => Ok(()),
        outcome => outcome,
    }
}
