//! The policy routing of TPROXY: packets with a mark are delivered locally, whatever their address.
//!
//! The same as `ip rule add fwmark MARK lookup TABLE` and `ip route add local default dev lo table TABLE`.

use std::io;

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting};
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
    let route = Request::NewRoute(route(family, routing));
    unless(Errno::EEXIST, netlink.change(route, new))?;
    let rule = Request::NewRule(rule(family, routing));
    unless(Errno::EEXIST, netlink.change(rule, new))
}

/// Removes the routing, if it exists.
pub(crate) fn remove(family: Family, routing: PolicyRouting) -> io::Result<()> {
    let mut netlink = Rtnetlink::open()?;
    let rule = Request::DeleteRule(rule(family, routing));
    unless(Errno::ENOENT, netlink.change(rule, 0))?;
    let route = Request::DeleteRoute(route(family, routing));
    unless(Errno::ESRCH, netlink.change(route, 0))
}

/// The existing routing for packets with that mark.
fn find(family: Family, mark: u32) -> io::Result<Option<PolicyRouting>> {
    let mut all = RuleMessage::default();
    all.header.family = address_family(family);
    let rules = Rtnetlink::open()?.dump(Request::GetRules(all))?;
    let table = rules.iter().find_map(|rule| match rule {
        Answer::Rule(rule) => table_of(rule, mark),
        Answer::Other => None,
    });
    Ok(table.map(|table| PolicyRouting { mark, table }))
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

/// The table that a routing rule selects for all packets with that mark.
fn table_of(rule: &RuleMessage, mark: u32) -> Option<u32> {
    let has = |wanted: &RuleAttribute| rule.attributes.contains(wanted);
    let marked = has(&RuleAttribute::FwMark(mark)) && has(&RuleAttribute::FwMask(u32::MAX));
    let to_table = marked && rule.header.action == RuleAction::ToTable;
    let table = |attribute: &RuleAttribute| match attribute {
        RuleAttribute::Table(table) => Some(*table),
        _ => None,
    };
    rule.attributes.iter().find_map(table).filter(|_| to_table)
}

fn rule(family: Family, routing: PolicyRouting) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header = RuleHeader {
        family: address_family(family),
        action: RuleAction::ToTable,
        ..RuleHeader::default()
    };
    rule.attributes = vec![
        RuleAttribute::FwMark(routing.mark),
        RuleAttribute::FwMask(u32::MAX),
        RuleAttribute::Table(routing.table),
        RuleAttribute::Protocol(RouteProtocol::Boot),
    ];
    rule
}

fn route(family: Family, routing: PolicyRouting) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header = RouteHeader {
        address_family: address_family(family),
        protocol: RouteProtocol::Boot,
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
