//! Expressions in the format of `nft --debug=netlink`, so that both outputs can be compared.

use std::fmt;

use super::{Expression, Extension};
use crate::uapi::netfilter::NFPROTO_IPV6;
use crate::uapi::nf_tables::{NFT_BYTEORDER_HTON, NFT_NAT_SNAT};

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[ {} ", self.name())?;
        match self {
            Self::Meta { key, to } => write!(f, "load {key} => {to}"),
            Self::SetMeta { key, from } => write!(f, "set {key} with {from}"),
            Self::Payload {
                base,
                offset,
                length,
                to,
            } => write!(f, "load {length}b @ {base} header + {offset} => {to}"),
            Self::Bitwise {
                from,
                to,
                mask,
                xor,
            } => {
                let (mask, xor) = (words(mask), words(xor));
                write!(f, "{to} = ( {from} & {mask} ) ^ {xor}")
            }
            Self::Compare {
                register,
                comparison,
                data,
            } => write!(f, "{comparison} {register} {}", words(data)),
            Self::ByteOrder {
                from,
                to,
                direction,
                length,
                size,
            } => {
                let operation = operation(*direction);
                write!(f, "{to} = {operation}({from}, {size}, {length})")
            }
            Self::Range {
                register,
                comparison,
                first,
                last,
            } => {
                let (first, last) = (words(first), words(last));
                write!(f, "{comparison} {register} {first} {last}")
            }
            Self::Lookup { .. } => self.fmt_lookup(f),
            Self::Immediate { to, data } => write!(f, "{to} {}", words(data)),
            Self::Verdict(verdict) => write!(f, "reg 0 {verdict}"),
            Self::Counter { packets, bytes } => write!(f, "pkts {packets} bytes {bytes}"),
            Self::Ct { key, to } => write!(f, "load {key} => {to}"),
            Self::SetCt { key, from } => write!(f, "set {key} with {from}"),
            Self::Redirect { port, flags } => {
                let port = port.map(|port| format!("proto_min {port} "));
                write!(f, "{}flags {flags:#x}", port.unwrap_or_default())
            }
            Self::Nat {
                kind,
                family,
                address,
                flags,
            } => {
                let (kind, family) = (nat_name(*kind), family_name(*family));
                write!(f, "{kind} {family} addr_min {address} flags {flags:#x}")
            }
            Self::Tproxy { family, port } => write!(f, "{} port {port}", family_name(*family)),
            Self::Log { prefix, level } => {
                let prefix = prefix.iter().map(|prefix| format!("prefix {prefix} "));
                write!(f, "{}level {level}", prefix.collect::<String>())
            }
            Self::Reject { kind, code } => write!(f, "type {kind} code {code}"),
            Self::Match(extension) | Self::Target(extension) => extension.fmt(f),
            Self::Other { data, .. } => write!(f, "{} bytes", data.len()),
        }?;
        f.write_str(" ]")
    }
}

impl Expression {
    fn fmt_lookup(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Lookup {
            key,
            set,
            value,
            inverted,
            ..
        } = self
        else {
            return Ok(());
        };
        write!(f, "{key} set {set}")?;
        if let Some(value) = value {
            write!(f, " d{value}")?;
        }
        f.write_str(if *inverted { " 0x1" } else { "" })
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name {} rev {}", self.name, self.revision)
    }
}

fn nat_name(kind: u32) -> &'static str {
    match kind {
        NFT_NAT_SNAT => "snat",
        _ => "dnat",
    }
}

fn family_name(family: u32) -> &'static str {
    if family == u32::from(NFPROTO_IPV6) {
        "ip6"
    } else {
        "ip"
    }
}

/// What a `byteorder` does to the numbers.
fn operation(direction: u32) -> &'static str {
    match direction {
        NFT_BYTEORDER_HTON => "hton",
        _ => "ntoh",
    }
}

/// Data as `nft` prints it: little-endian 32-bit words, the last one padded with zeros.
fn words(data: &[u8]) -> String {
    data.chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            format!("{:#010x}", u32::from_le_bytes(word))
        })
        .collect::<Vec<_>>()
        .join(" ")
}
