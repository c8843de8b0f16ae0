//! The plugin's binary: its size, and whether it is static.

use std::fs;
use std::path::Path;

/// Whether a 64-bit ELF file names a loader (`PT_INTERP`).
fn needs_a_loader(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, size: usize| {
        let bytes = elf.get(at..at + size).unwrap_or_default();
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|index| {
        let kind = number(table + index * size, 4);
        u32::try_from(kind) == Ok(INTERPRETER)
    })
}

/// Describes it in a line.
pub(crate) fn binary(path: &Path) -> String {
    let bytes = fs::read(path).expect("the plugin was built");
    let kind = if needs_a_loader(&bytes) {
        "needs shared libraries"
    } else {
        "static"
    };
    let size = u32::try_from(bytes.len()).map_or(f64::MAX, f64::from);
    format!(
        "the plugin's binary: {:.2} MiB, {kind}\n",
        size / 1024.0 / 1024.0
    )
}
