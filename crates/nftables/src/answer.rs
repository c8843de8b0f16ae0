//! What the kernel answers to a batch or a query, one datagram at a time.

use mesh_cni_netfilter::ruleset::Family;

use crate::attributes::{Attributes, Malformed};
use crate::message::{self, COMPAT_GET, Message, Messages, nf_tables};
use crate::object::{
    Chain, Element, Rule, Set, Table, decode_chain, decode_elements, decode_rule, decode_set,
    decode_table,
};
use crate::uapi::netlink::{
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_ALIGNTO, NLMSG_DONE, NLMSG_ERROR,
    NLMSG_HDRLEN, NLMSGERR_ATTR_MSG,
};
use crate::uapi::nf_tables::{
    NFT_MSG_NEWCHAIN, NFT_MSG_NEWGEN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM,
    NFT_MSG_NEWTABLE, NFTA_GEN_ID,
};

/// One message from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The sequence number of the message that it answers.
    pub sequence: u32,
    /// Whether the rules changed during the dump, which is then inconsistent (`NLM_F_DUMP_INTR`).
    pub interrupted: bool,
    /// Its content.
    pub content: Content,
}

/// The content of a message from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A table.
    Table(Table),
    /// A chain.
    Chain(Chain),
    /// A rule.
    Rule(Rule),
    /// A set, without its elements.
    Set(Set),
    /// Elements of a set.
    Elements {
        /// The table of the set.
        table: Table,
        /// The name of the set.
        set: String,
        /// The elements.
        elements: Vec<Element>,
    },
    /// The generation of the rules, which each batch increments.
    Generation(u32),
    /// `nft_compat` has the requested extension.
    Extension,
    /// The kernel carried the message out.
    Acknowledged,
    /// The kernel refused the message.
    Refused(Refusal),
    /// The end of a dump.
    Done,
    /// A message of another kind.
    Other,
}

/// Why the kernel refused a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number, positive (`errno`).
    pub errno: i32,
    /// The kernel's text, if it sent one (`NLMSGERR_ATTR_MSG`).
    pub text: Option<String>,
}

/// Decodes the messages of a datagram.
pub fn answers(datagram: &[u8]) -> impl Iterator<Item = Result<Answer, Malformed>> {
    Messages(datagram).map(|message| answer(message?))
}

fn answer(message: Message<'_>) -> Result<Answer, Malformed> {
    let content = match message.kind {
        NLMSG_ERROR => error(message)?,
        NLMSG_DONE => done(message)?,
        COMPAT_GET => Content::Extension,
        kind if kind & 0xff00 == nf_tables(0) => object(message)?,
        _ => Content::Other,
    };
    Ok(Answer {
        sequence: message.sequence,
        interrupted: message.flags & NLM_F_DUMP_INTR != 0,
        content,
    })
}

/// `struct nlmsgerr`: the error number, the refused message, and attributes if a flag is set.
fn error(message: Message<'_>) -> Result<Content, Malformed> {
    let errno = errno(message.body)?;
    if errno == 0 {
        return Ok(Content::Acknowledged);
    }
    let attributes = match message.flags & NLM_F_ACK_TLVS {
        0 => &[],
        _ => after_refused_message(message),
    };
    let text = Attributes::new(attributes)?.text(NLMSGERR_ATTR_MSG)?;
    let text = text.map(str::to_owned);
    Ok(Content::Refused(Refusal { errno, text }))
}

/// The end of a dump carries an error number too.
fn done(message: Message<'_>) -> Result<Content, Malformed> {
    if message.body.is_empty() {
        return Ok(Content::Done);
    }
    Ok(match errno(message.body)? {
        0 => Content::Done,
        errno => Content::Refused(Refusal { errno, text: None }),
    })
}

fn errno(body: &[u8]) -> Result<i32, Malformed> {
    let what = "struct nlmsgerr";
    let number = body.first_chunk().ok_or(Malformed::Missing { what })?;
    Ok(i32::from_ne_bytes(*number).saturating_neg())
}

/// The kernel repeats the refused message, or with `NLM_F_CAPPED` only its header.
fn after_refused_message(message: Message<'_>) -> &[u8] {
    let refused = message.body.get(4..).unwrap_or_default();
    let length = match (message.flags & NLM_F_CAPPED, refused.first_chunk()) {
        (0, Some(length)) => usize::try_from(u32::from_ne_bytes(*length)).unwrap_or(usize::MAX),
        _ => NLMSG_HDRLEN,
    };
    length
        .max(NLMSG_HDRLEN)
        .checked_next_multiple_of(NLMSG_ALIGNTO)
        .and_then(|end| refused.get(end..))
        .unwrap_or_default()
}

/// Objects of other families than IP are `Other`.
fn object(message: Message<'_>) -> Result<Content, Malformed> {
    let (family, attributes) = message.content()?;
    let kind = message.kind & 0xff;
    match message::family(family) {
        _ if kind == NFT_MSG_NEWGEN => generation(attributes),
        Some(family) => object_of(family, kind, attributes),
        None => Ok(Content::Other),
    }
}

fn object_of(family: Family, kind: u16, attributes: Attributes<'_>) -> Result<Content, Malformed> {
    Ok(match kind {
        NFT_MSG_NEWTABLE => Content::Table(decode_table(family, attributes)?),
        NFT_MSG_NEWCHAIN => Content::Chain(decode_chain(family, attributes)?),
        NFT_MSG_NEWRULE => Content::Rule(decode_rule(family, attributes)?),
        NFT_MSG_NEWSET => Content::Set(decode_set(family, attributes)?),
        NFT_MSG_NEWSETELEM => {
            let (table, set, elements) = decode_elements(family, attributes)?;
            Content::Elements {
                table,
                set,
                elements,
            }
        }
        _ => Content::Other,
    })
}

fn generation(attributes: Attributes<'_>) -> Result<Content, Malformed> {
    let what = NFTA_GEN_ID.name;
    let generation = attributes.u32(NFTA_GEN_ID)?;
    generation
        .map(Content::Generation)
        .ok_or(Malformed::Missing { what })
}
