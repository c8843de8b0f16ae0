//! Answers: what the kernel says to a batch or a query, one datagram at a time.

use mesh_cni_netfilter::ruleset::Family;

use crate::attributes::{Attributes, Malformed};
use crate::message::{
    self, COMPAT_GET, HEADER, Kind, Message, Messages, NLMSG_DONE, NLMSG_ERROR, flag,
};
use crate::object::{
    Chain, Element, Rule, Set, Table, decode_chain, decode_elements, decode_rule, decode_set,
    decode_table,
};

/// One message of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The message that it answers.
    pub sequence: u32,
    /// Whether the rules changed while they were being told: what came is no whole.
    pub interrupted: bool,
    /// What it says.
    pub content: Content,
}

/// What a message of the kernel's says.
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
        /// Its table.
        table: Table,
        /// Its name.
        set: String,
        /// The elements.
        elements: Vec<Element>,
    },
    /// The generation of the rules: each batch makes a new one.
    Generation(u32),
    /// `nft_compat` has the extension that was asked for.
    Extension,
    /// The message was carried out.
    Acknowledged,
    /// The message was refused.
    Refused(Refusal),
    /// There is no more.
    Done,
    /// Something that nobody here asked for.
    Other,
}

/// Why the kernel did not do what a message asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The number of the error, positive (`errno`).
    pub errno: i32,
    /// What the kernel says to it, where it says something (`NLMSGERR_ATTR_MSG`).
    pub text: Option<String>,
}

/// The messages of a datagram.
pub fn answers(datagram: &[u8]) -> impl Iterator<Item = Result<Answer, Malformed>> {
    Messages(datagram).map(|message| answer(message?))
}

fn answer(message: Message<'_>) -> Result<Answer, Malformed> {
    let content = match message.kind {
        NLMSG_ERROR => error(message)?,
        NLMSG_DONE => done(message)?,
        COMPAT_GET => Content::Extension,
        kind if kind >> 8 == Kind::NewTable.number() >> 8 => object(message)?,
        _ => Content::Other,
    };
    Ok(Answer {
        sequence: message.sequence,
        interrupted: message.flags & flag::DUMP_INTERRUPTED != 0,
        content,
    })
}

/// `struct nlmsgerr`: the number, the message that it is about, and attributes where a flag says so.
fn error(message: Message<'_>) -> Result<Content, Malformed> {
    let errno = errno(message.body)?;
    if errno == 0 {
        return Ok(Content::Acknowledged);
    }
    let attributes = match message.flags & flag::ACK_ATTRIBUTES {
        0 => &[],
        _ => behind_the_original(message),
    };
    let text = text(Attributes(attributes))?;
    Ok(Content::Refused(Refusal { errno, text }))
}

/// The end of a dump carries a number too.
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
    let what = "the number of an error";
    let number = body.first_chunk::<4>().ok_or(Malformed::Missing { what })?;
    Ok(i32::from_ne_bytes(*number).saturating_neg())
}

fn behind_the_original(message: Message<'_>) -> &[u8] {
    let original = message.body.get(4..).unwrap_or_default();
    let whole = original.first_chunk::<4>().map_or(HEADER, |length| {
        usize::try_from(u32::from_ne_bytes(*length)).unwrap_or(usize::MAX)
    });
    let told = match message.flags & flag::CAPPED {
        0 => whole.max(HEADER),
        _ => HEADER,
    };
    let next = told.checked_next_multiple_of(4);
    next.and_then(|next| original.get(next..))
        .unwrap_or_default()
}

fn text(attributes: Attributes<'_>) -> Result<Option<String>, Malformed> {
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind == 1 {
            let text = attribute.text("the text of an error")?;
            return Ok(Some(text.to_owned()));
        }
    }
    Ok(None)
}

/// A table, chain, rule or set; those of families that are not ours are passed over.
fn object(message: Message<'_>) -> Result<Content, Malformed> {
    let (family, attributes) = message.content()?;
    if message.kind == Kind::NewGeneration.number() {
        return generation(attributes);
    }
    let Some(family) = message::family(family) else {
        return Ok(Content::Other);
    };
    object_of(family, message.kind, attributes)
}

fn object_of(family: Family, kind: u16, attributes: Attributes<'_>) -> Result<Content, Malformed> {
    let is = |known: Kind| kind == known.number();
    Ok(if is(Kind::NewTable) {
        Content::Table(decode_table(family, attributes)?)
    } else if is(Kind::NewChain) {
        Content::Chain(decode_chain(family, attributes)?)
    } else if is(Kind::NewRule) {
        Content::Rule(decode_rule(family, attributes)?)
    } else if is(Kind::NewSet) {
        Content::Set(decode_set(family, attributes)?)
    } else if is(Kind::NewSetElement) {
        let (table, set, elements) = decode_elements(family, attributes)?;
        Content::Elements {
            table,
            set,
            elements,
        }
    } else {
        Content::Other
    })
}

fn generation(attributes: Attributes<'_>) -> Result<Content, Malformed> {
    let what = "the generation of the rules";
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind == 1 {
            return Ok(Content::Generation(attribute.u32(what)?));
        }
    }
    Err(Malformed::Missing { what })
}
