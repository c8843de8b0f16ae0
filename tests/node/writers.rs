//! Another program that writes the same list.
