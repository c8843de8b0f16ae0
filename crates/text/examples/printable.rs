//! Copies standard input to standard output with control and format characters escaped.
//!
//! `printf 'user\u202enimda' | cargo run --example printable`

use std::io::{self, Read as _, Write as _};

use mesh_cni_text::escaped_lines;

fn main() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    io::stdout().write_all(escaped_lines(&text).as_bytes())
}
