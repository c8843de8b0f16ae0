//! Expressions: the instructions of an `nf_tables` rule, typed.
//!
//! A rule is a list of them. Each reads or writes registers, or ends the rule; a comparison that
//! fails ends it too. The names are those of `linux/netfilter/nf_tables.h`.

mod decode;
mod display;
mod encode;
mod keys;
mod verdict;

pub use keys::{Comparison, CtKey, MetaKey, PayloadBase, Register};
pub use verdict::Verdict;

pub(crate) use decode::{decode as decode_single, decode_list, decode_value, decode_verdict};
pub(crate) use encode::{encode as encode_single, encode_list, encode_value, encode_verdict};

/// One instruction of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expression {
    /// `meta`: loads something about the packet that is not in it.
    Meta {
        /// What.
        key: MetaKey,
        /// Where to.
        to: Register,
    },
    /// `meta`: writes something about the packet.
    SetMeta {
        /// What.
        key: MetaKey,
        /// Where from.
        from: Register,
    },
    /// `payload`: loads bytes of the packet.
    Payload {
        /// Which header.
        base: PayloadBase,
        /// The first byte, from the beginning of that header.
        offset: u32,
        /// How many bytes.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// `bitwise`: `to = (from & mask) ^ xor`.
    Bitwise {
        /// Where from.
        from: Register,
        /// Where to.
        to: Register,
        /// The bits that stay; as long as the value.
        mask: Vec<u8>,
        /// The bits that are turned; as long as the value.
        xor: Vec<u8>,
    },
    /// `cmp`: goes on only if the register compares so with the data.
    Compare {
        /// The register.
        register: Register,
        /// How.
        comparison: Comparison,
        /// With what, in the order of bytes in which the register was loaded.
        data: Vec<u8>,
    },
    /// `lookup`: goes on only if the register is, or is not, an element of a set.
    ///
    /// With a map, the value of the element goes to another register; a verdict map thereby ends
    /// the rule.
    Lookup {
        /// The register with the key.
        key: Register,
        /// The name of the set.
        set: String,
        /// The number of a set that is made in the same batch; 0 for one that stands.
        set_id: u32,
        /// Where the value of a map goes.
        value: Option<Register>,
        /// Whether to go on only without such an element.
        inverted: bool,
    },
    /// `immediate` into a register for data.
    Immediate {
        /// Where to.
        to: Register,
        /// The data.
        data: Vec<u8>,
    },
    /// `immediate` into the register of verdicts: the end of the rule.
    Verdict(Verdict),
    /// `counter`: counts who comes here.
    Counter {
        /// Packets.
        packets: u64,
        /// Bytes.
        bytes: u64,
    },
    /// `ct`: loads something about the packet's connection.
    Ct {
        /// What.
        key: CtKey,
        /// Where to.
        to: Register,
    },
    /// `ct`: writes something about the packet's connection.
    SetCt {
        /// What.
        key: CtKey,
        /// Where from.
        from: Register,
    },
    /// `redir`: rewrites the destination to this namespace.
    Redirect {
        /// The register with the port in network order; without one the port stays.
        port: Option<Register>,
        /// `NF_NAT_RANGE_*` of `linux/netfilter/nf_nat.h`.
        flags: u32,
    },
    /// `tproxy`: hands the packet to a local socket. Ends the rule where nobody listens.
    Tproxy {
        /// The family: `NFPROTO_IPV4` (2) or `NFPROTO_IPV6` (10).
        family: u32,
        /// The register with the port in network order.
        port: Register,
    },
    /// `match`: a match of `x_tables`, through `nft_compat`.
    Match(Extension),
    /// `target`: a target of `x_tables`, through `nft_compat`.
    Target(Extension),
    /// One that this crate does not know.
    Other {
        /// Its name.
        name: String,
        /// Its attributes, as they came.
        data: Vec<u8>,
    },
}

/// A match or target of `x_tables`: its name and the structure that its module reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Which of its structures.
    pub revision: u32,
    /// The structure, padded as `XT_ALIGN` asks.
    pub info: Vec<u8>,
}
