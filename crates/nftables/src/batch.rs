//! A batch: changes between `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`, one transaction.

use crate::attributes::Writer;
use crate::change::Change;
use crate::message::{Head, nf_tables, protocol_family, write};
use crate::object::{Table, encode_elements};
use crate::uapi::netfilter::NFPROTO_UNSPEC;
use crate::uapi::netlink::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use crate::uapi::nf_tables::{
    NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELSETELEM, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE, NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE, NFTA_RULE_HANDLE,
};
use crate::uapi::nfnetlink::{
    NFNL_BATCH_GENID, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES,
};

/// More than the rules of a pod without long lists take, in bytes.
const TYPICAL_BATCH: usize = 8 * 1024;

/// Changes of which the kernel makes all or none.
#[derive(Clone, Debug)]
pub struct Batch<'changes> {
    changes: &'changes [Change],
    generation: Option<u32>,
}

/// An encoded batch, with the change that each message belongs to.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// For each message between begin and end, the index of its change.
    changes: Vec<usize>,
}

impl<'changes> Batch<'changes> {
    /// A batch that does not depend on the generation of the rules.
    pub fn new(changes: &'changes [Change]) -> Self {
        Self {
            changes,
            generation: None,
        }
    }

    /// The kernel refuses the batch unless the rules are of this generation.
    #[must_use]
    pub fn at_generation(mut self, generation: u32) -> Self {
        self.generation = Some(generation);
        self
    }

    /// The bytes for one datagram. The last message requests an acknowledgement.
    pub fn encode(&self) -> Encoded {
        let messages: Vec<_> = (0..)
            .zip(self.changes)
            .flat_map(|(index, change)| messages(change).into_iter().map(move |it| (index, it)))
            .collect();
        let mut begin = Writer::default();
        if let Some(generation) = self.generation {
            begin.u32(NFNL_BATCH_GENID, generation);
        }
        let mut bytes = Vec::with_capacity(TYPICAL_BATCH);
        write(&mut bytes, edge(NFNL_MSG_BATCH_BEGIN, 0), begin);
        let last = messages.len();
        let mut changes = Vec::with_capacity(last);
        let mut sequence = 0;
        for (index, message) in messages {
            sequence += 1;
            changes.push(index);
            let acknowledge = if changes.len() == last { NLM_F_ACK } else { 0 };
            let head = Head {
                kind: nf_tables(message.kind),
                flags: message.flags | acknowledge,
                sequence,
                family: protocol_family(message.table.family),
                resource: 0,
            };
            write(&mut bytes, head, message.attributes);
        }
        let end = edge(NFNL_MSG_BATCH_END, sequence + 1);
        write(&mut bytes, end, Writer::default());
        Encoded { bytes, changes }
    }
}

impl Encoded {
    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The index of the change that the message with this sequence number belongs to.
    ///
    /// `None` for the begin and end of the batch, which belong to all of it.
    pub fn change(&self, sequence: u32) -> Option<usize> {
        let at = usize::try_from(sequence).ok()?.checked_sub(1)?;
        self.changes.get(at).copied()
    }

    /// The sequence number of the message that the kernel acknowledges after the whole batch.
    pub fn last(&self) -> u32 {
        u32::try_from(self.changes.len()).unwrap_or(u32::MAX)
    }
}

/// The header of a batch's first or last message.
fn edge(kind: u16, sequence: u32) -> Head {
    Head {
        kind,
        flags: 0,
        sequence,
        family: NFPROTO_UNSPEC,
        resource: NFNL_SUBSYS_NFTABLES,
    }
}

/// One message of a batch, before it has a sequence number.
struct Draft<'change> {
    /// An `NFT_MSG_*`.
    kind: u16,
    flags: u16,
    table: &'change Table,
    attributes: Writer,
}

fn messages(change: &Change) -> Vec<Draft<'_>> {
    let draft = |kind, flags, table, attributes| Draft {
        kind,
        flags,
        table,
        attributes,
    };
    vec![match change {
        Change::AddTable(table) => draft(NFT_MSG_NEWTABLE, NLM_F_CREATE, table, table.encode()),
        Change::DeleteTable(table) => draft(NFT_MSG_DELTABLE, 0, table, table.encode_name()),
        Change::AddChain { chain, exclusive } => {
            let exclusive = if *exclusive { NLM_F_EXCL } else { 0 };
            let (table, flags) = (&chain.id.table, NLM_F_CREATE | exclusive);
            draft(NFT_MSG_NEWCHAIN, flags, table, chain.encode())
        }
        Change::DeleteChain(id) => draft(NFT_MSG_DELCHAIN, 0, &id.table, id.encode()),
        Change::FlushChain(id) => draft(NFT_MSG_DELRULE, 0, &id.table, id.encode_for_rule()),
        Change::AddSet(set) => {
            let new = draft(NFT_MSG_NEWSET, NLM_F_CREATE, &set.table, set.encode());
            let elements = set
                .encode_elements()
                .map(|attributes| draft(NFT_MSG_NEWSETELEM, NLM_F_CREATE, &set.table, attributes));
            return std::iter::once(new).chain(elements).collect();
        }
        Change::AddElements {
            table,
            set,
            elements,
        } => {
            let attributes = encode_elements(table, set, false, elements);
            draft(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, attributes)
        }
        Change::DeleteElements {
            table,
            set,
            elements,
        } => {
            let attributes = encode_elements(table, set, false, elements);
            draft(NFT_MSG_DELSETELEM, 0, table, attributes)
        }
        Change::AppendRule(rule) => {
            let flags = NLM_F_CREATE | NLM_F_APPEND;
            draft(NFT_MSG_NEWRULE, flags, &rule.chain.table, rule.encode())
        }
        Change::DeleteRule { chain, handle } => {
            let mut attributes = chain.encode_for_rule();
            attributes.u64(NFTA_RULE_HANDLE, *handle);
            draft(NFT_MSG_DELRULE, 0, &chain.table, attributes)
        }
    }]
}
