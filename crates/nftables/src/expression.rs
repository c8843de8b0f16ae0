//! Expressions: the instructions of an `nf_tables` rule, typed.
//!
//! Each expression of a rule reads or writes registers, or ends the rule. A comparison that fails
//! ends the rule too. The names are those of `linux/netfilter/nf_tables.h`.

mod codec;
mod display;
mod keys;
mod value;
mod verdict;

pub use keys::{Comparison, CtKey, MetaKey, PayloadBase, Register};
pub use verdict::Verdict;

pub(crate) use codec::{decode, decode_list, encode, encode_list};
pub(crate) use value::{decode_value, encode_value};

/// One instruction of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expression {
    /// `meta`: loads metadata of the packet.
    Meta {
        /// Which metadata.
        key: MetaKey,
        /// The destination register.
        to: Register,
    },
    /// `meta`: sets metadata of the packet.
    SetMeta {
        /// Which metadata.
        key: MetaKey,
        /// The source register.
        from: Register,
    },
    /// `payload`: loads bytes of the packet.
    Payload {
        /// The header.
        base: PayloadBase,
        /// The offset in that header, in bytes.
        offset: u32,
        /// The number of bytes.
        length: u32,
        /// The destination register.
        to: Register,
    },
    /// `bitwise`: `to = (from & mask) ^ xor`.
    Bitwise {
        /// The source register.
        from: Register,
        /// The destination register.
        to: Register,
        /// The bits to keep; as long as the value.
        mask: Vec<u8>,
        /// The bits to invert; as long as the value.
        xor: Vec<u8>,
    },
    /// `cmp`: ends the rule unless the comparison holds.
    Compare {
        /// The register.
        register: Register,
        /// The operator.
        comparison: Comparison,
        /// The data, in the byte order of the register.
        data: Vec<u8>,
    },
    /// `byteorder`: changes the byte order of numbers.
    ByteOrder {
        /// The source register.
        from: Register,
        /// The destination register.
        to: Register,
        /// The direction: `NFT_BYTEORDER_*`.
        direction: u32,
        /// The number of bytes.
        length: u32,
        /// The size of each number in bytes.
        size: u32,
    },
    /// `range`: ends the rule unless the register is, or is not, between two values.
    Range {
        /// The register.
        register: Register,
        /// `Equal` for inside, `NotEqual` for outside.
        comparison: Comparison,
        /// The first value inside, in the byte order of the register.
        first: Vec<u8>,
        /// The last value inside.
        last: Vec<u8>,
    },
    /// `lookup`: ends the rule unless the register is, or is not, an element of a set.
    Lookup {
        /// The register with the key.
        key: Register,
        /// The name of the set.
        set: String,
        /// The id of a set that the same batch creates; 0 for an existing one.
        set_id: u32,
        /// The destination register for the value of a map.
        value: Option<Register>,
        /// Whether the register must not be an element (`NFT_LOOKUP_F_INV`).
        inverted: bool,
    },
    /// `immediate`: loads data.
    Immediate {
        /// The destination register.
        to: Register,
        /// The data.
        data: Vec<u8>,
    },
    /// `immediate` into the verdict register: ends the rule.
    Verdict(Verdict),
    /// `counter`: counts the packets that reach it.
    Counter {
        /// Packets.
        packets: u64,
        /// Bytes.
        bytes: u64,
    },
    /// `ct`: loads a property of the connection.
    Ct {
        /// Which property.
        key: CtKey,
        /// The destination register.
        to: Register,
    },
    /// `ct`: sets a property of the connection.
    SetCt {
        /// Which property.
        key: CtKey,
        /// The source register.
        from: Register,
    },
    /// `redir`: changes the destination to this network namespace.
    Redirect {
        /// The register with the port in network byte order; `None` keeps the port.
        port: Option<Register>,
        /// `NF_NAT_RANGE_*` of `linux/netfilter/nf_nat.h`.
        flags: u32,
    },
    /// `nat`: changes an address to one in a register, and no port.
    Nat {
        /// Which address: `NFT_NAT_*`.
        kind: u32,
        /// The family: `NFPROTO_IPV4` or `NFPROTO_IPV6`.
        family: u32,
        /// The register with the address in network byte order.
        address: Register,
        /// `NF_NAT_RANGE_*` of `linux/netfilter/nf_nat.h`.
        flags: u32,
    },
    /// `tproxy`: delivers the packet to a local socket. Ends the rule if none listens.
    Tproxy {
        /// The family: `NFPROTO_IPV4` or `NFPROTO_IPV6`.
        family: u32,
        /// The register with the port in network byte order.
        port: Register,
    },
    /// `log`: writes a line about the packet to the kernel's log.
    Log {
        /// The beginning of the line.
        prefix: Option<String>,
        /// The level of `syslog(2)`.
        level: u32,
    },
    /// `reject`: discards the packet and answers its sender.
    Reject {
        /// The kind of answer: `NFT_REJECT_*`.
        kind: u32,
        /// The code of an ICMP answer; 0 for a TCP reset.
        code: u8,
    },
    /// `match`: a match of `x_tables`, called through `nft_compat`.
    Match(Extension),
    /// `target`: a target of `x_tables`, called through `nft_compat`.
    Target(Extension),
    /// An expression that this crate does not model.
    Other {
        /// Its name.
        name: String,
        /// Its attributes, not decoded.
        data: Vec<u8>,
    },
}

/// A match or target of `x_tables`: its name and the structure that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its revision, which selects the structure.
    pub revision: u32,
    /// The structure, padded to `XT_ALIGN`.
    pub info: Vec<u8>,
}
