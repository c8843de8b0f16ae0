//! `linux/netfilter/nf_tables.h`: tables, chains, rules, sets and expressions.

use super::{attributes, constants};

// `enum nft_registers`
constants! { u32: NFT_REG_VERDICT = 0, NFT_REG_1 = 1, NFT_REG_2 = 2 }

// `enum nft_verdicts`
constants! { i32: NFT_CONTINUE = -1, NFT_JUMP = -3, NFT_GOTO = -4, NFT_RETURN = -5 }

// `enum nf_tables_msg_types`
constants! {
    u16:
    NFT_MSG_NEWTABLE = 0, NFT_MSG_GETTABLE = 1, NFT_MSG_DELTABLE = 2,
    NFT_MSG_NEWCHAIN = 3, NFT_MSG_GETCHAIN = 4, NFT_MSG_DELCHAIN = 5,
    NFT_MSG_NEWRULE = 6, NFT_MSG_GETRULE = 7, NFT_MSG_DELRULE = 8,
    NFT_MSG_NEWSET = 9, NFT_MSG_GETSET = 10,
    NFT_MSG_NEWSETELEM = 12, NFT_MSG_GETSETELEM = 13,
    NFT_MSG_NEWGEN = 15, NFT_MSG_GETGEN = 16,
}

attributes! { NFTA_LIST_ELEM = 1 }
attributes! { NFTA_HOOK_HOOKNUM = 1, NFTA_HOOK_PRIORITY = 2 }
attributes! { NFTA_TABLE_NAME = 1, NFTA_TABLE_FLAGS = 2 }

attributes! {
    NFTA_CHAIN_TABLE = 1, NFTA_CHAIN_NAME = 3, NFTA_CHAIN_HOOK = 4, NFTA_CHAIN_POLICY = 5,
    NFTA_CHAIN_TYPE = 7,
}

attributes! {
    NFTA_RULE_TABLE = 1, NFTA_RULE_CHAIN = 2, NFTA_RULE_HANDLE = 3, NFTA_RULE_EXPRESSIONS = 4,
    NFTA_RULE_COMPAT = 5,
}
attributes! { NFTA_RULE_COMPAT_PROTO = 1, NFTA_RULE_COMPAT_FLAGS = 2 }
constants! { u32: NFT_RULE_COMPAT_F_INV = 1 << 1 }

// `enum nft_set_flags`
constants! { u32: NFT_SET_ANONYMOUS = 0x1, NFT_SET_CONSTANT = 0x2, NFT_SET_INTERVAL = 0x4 }
attributes! { NFTA_SET_DESC_SIZE = 1 }
attributes! {
    NFTA_SET_TABLE = 1, NFTA_SET_NAME = 2, NFTA_SET_FLAGS = 3, NFTA_SET_KEY_TYPE = 4,
    NFTA_SET_KEY_LEN = 5, NFTA_SET_DESC = 9, NFTA_SET_ID = 10, NFTA_SET_USERDATA = 13,
    NFTA_SET_EXPR = 17, NFTA_SET_EXPRESSIONS = 18,
}

constants! { u32: NFT_SET_ELEM_INTERVAL_END = 0x1 }
attributes! {
    NFTA_SET_ELEM_KEY = 1, NFTA_SET_ELEM_FLAGS = 3, NFTA_SET_ELEM_USERDATA = 6,
    NFTA_SET_ELEM_EXPR = 7, NFTA_SET_ELEM_EXPRESSIONS = 11,
}
attributes! {
    NFTA_SET_ELEM_LIST_TABLE = 1, NFTA_SET_ELEM_LIST_SET = 2, NFTA_SET_ELEM_LIST_ELEMENTS = 3,
    NFTA_SET_ELEM_LIST_SET_ID = 4,
}

attributes! { NFTA_DATA_VALUE = 1, NFTA_DATA_VERDICT = 2 }
attributes! { NFTA_VERDICT_CODE = 1, NFTA_VERDICT_CHAIN = 2 }
attributes! { NFTA_EXPR_NAME = 1, NFTA_EXPR_DATA = 2 }
attributes! { NFTA_IMMEDIATE_DREG = 1, NFTA_IMMEDIATE_DATA = 2 }

constants! { u32: NFT_BITWISE_BOOL = 0 }
attributes! {
    NFTA_BITWISE_SREG = 1, NFTA_BITWISE_DREG = 2, NFTA_BITWISE_LEN = 3, NFTA_BITWISE_MASK = 4,
    NFTA_BITWISE_XOR = 5, NFTA_BITWISE_OP = 6,
}

constants! { u32: NFT_CMP_EQ = 0, NFT_CMP_NEQ = 1, NFT_CMP_LTE = 3, NFT_CMP_GT = 4 }
attributes! { NFTA_CMP_SREG = 1, NFTA_CMP_OP = 2, NFTA_CMP_DATA = 3 }

// `enum nft_range_ops`: as NFT_CMP_EQ and NFT_CMP_NEQ
attributes! {
    NFTA_RANGE_SREG = 1, NFTA_RANGE_OP = 2, NFTA_RANGE_FROM_DATA = 3, NFTA_RANGE_TO_DATA = 4,
}

constants! { u32: NFT_BYTEORDER_HTON = 1 }
attributes! {
    NFTA_BYTEORDER_SREG = 1, NFTA_BYTEORDER_DREG = 2, NFTA_BYTEORDER_OP = 3,
    NFTA_BYTEORDER_LEN = 4, NFTA_BYTEORDER_SIZE = 5,
}

constants! { u32: NFT_LOOKUP_F_INV = 1 << 0 }
attributes! {
    NFTA_LOOKUP_SET = 1, NFTA_LOOKUP_SREG = 2, NFTA_LOOKUP_DREG = 3, NFTA_LOOKUP_SET_ID = 4,
    NFTA_LOOKUP_FLAGS = 5,
}

// `enum nft_payload_bases`
constants! {
    u32:
    NFT_PAYLOAD_LL_HEADER = 0, NFT_PAYLOAD_NETWORK_HEADER = 1, NFT_PAYLOAD_TRANSPORT_HEADER = 2,
}
attributes! {
    NFTA_PAYLOAD_DREG = 1, NFTA_PAYLOAD_BASE = 2, NFTA_PAYLOAD_OFFSET = 3, NFTA_PAYLOAD_LEN = 4,
}

// `enum nft_meta_keys`
constants! {
    u32:
    NFT_META_PROTOCOL = 1, NFT_META_MARK = 3, NFT_META_IIF = 4, NFT_META_OIF = 5,
    NFT_META_IIFNAME = 6, NFT_META_OIFNAME = 7, NFT_META_SKUID = 10, NFT_META_SKGID = 11,
    NFT_META_NFPROTO = 15, NFT_META_L4PROTO = 16,
}
attributes! { NFTA_META_DREG = 1, NFTA_META_KEY = 2, NFTA_META_SREG = 3 }

// `enum nft_ct_keys`
constants! { u32: NFT_CT_STATE = 0, NFT_CT_MARK = 3, NFT_CT_ZONE = 17 }
attributes! { NFTA_CT_DREG = 1, NFTA_CT_KEY = 2, NFTA_CT_DIRECTION = 3, NFTA_CT_SREG = 4 }

attributes! { NFTA_COUNTER_BYTES = 1, NFTA_COUNTER_PACKETS = 2 }
attributes! {
    NFTA_REDIR_REG_PROTO_MIN = 1, NFTA_REDIR_REG_PROTO_MAX = 2, NFTA_REDIR_FLAGS = 3,
}
attributes! {
    NFTA_LOG_GROUP = 1, NFTA_LOG_PREFIX = 2, NFTA_LOG_LEVEL = 5, NFTA_LOG_FLAGS = 6,
}
attributes! { NFTA_TPROXY_FAMILY = 1, NFTA_TPROXY_REG_ADDR = 2, NFTA_TPROXY_REG_PORT = 3 }
// `enum nft_reject_types`
constants! { u32: NFT_REJECT_ICMP_UNREACH = 0, NFT_REJECT_TCP_RST = 1 }
attributes! { NFTA_REJECT_TYPE = 1, NFTA_REJECT_ICMP_CODE = 2 }
attributes! { NFTA_GEN_ID = 1 }
