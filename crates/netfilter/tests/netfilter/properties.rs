//! Properties of the parsers.

use mesh_cni_netfilter::{Family, Listing, parse};
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_text_panics_the_parsers(text in "(?s)[*:\\[\\]A-Za-z0-9 \"\\\\!./-]*(\n[*:\\[\\]A-Z0-9 -]*){0,8}") {
        let _saved = parse::save(&text, Family::V4);
        let _listing = Listing::parse(&text);
    }
}
