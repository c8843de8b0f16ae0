//! Numbers of the kernel's user-space API: one module per header, names as in the header.

pub(crate) mod netfilter;
pub(crate) mod netlink;
pub(crate) mod nf_tables;
pub(crate) mod nf_tables_compat;
pub(crate) mod nfnetlink;
pub(crate) mod x_tables;

/// The type of a netlink attribute: its number, and its name for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttributeType {
    pub(crate) number: u16,
    pub(crate) name: &'static str,
}

/// Declares attribute types.
macro_rules! attributes {
    ($($name:ident = $number:literal),+ $(,)?) => {$(
        pub(crate) const $name: $crate::uapi::AttributeType = $crate::uapi::AttributeType {
            number: $number,
            name: stringify!($name),
        };
    )+};
}

/// Declares constants of one type.
macro_rules! constants {
    ($type:ty: $($name:ident = $value:expr),+ $(,)?) => {$(
        pub(crate) const $name: $type = $value;
    )+};
}

pub(crate) use {attributes, constants};
