//! A table of medians, with ratios to some of its rows.

use std::fmt::{self, Write as _};

use super::measure::Sample;

/// One line for each candidate. The references are names and indices of the rows that all rows are
/// compared with.
pub(crate) fn table<'name>(
    names: impl Iterator<Item = &'name str>,
    samples: &[Vec<Sample>],
    references: &[(&str, usize)],
) -> String {
    let mut text = format!("{:<38} {:>8}", "", "wall ms");
    let mut add = |part: fmt::Arguments<'_>| {
        text.write_fmt(part)
            .expect("writing to a string cannot fail");
    };
    for (name, _) in references {
        add(format_args!(" {:>8}", format!("/ {name}")));
    }
    add(format_args!(
        " {:>8} {:>8} {:>8} {:>11}\n",
        "min", "max", "CPU ms", "memory KiB"
    ));
    let wall = |samples: &[Sample]| sorted(samples, |sample| sample.wall.as_secs_f64() * 1e3);
    let cpu = |sample: &Sample| sample.cpu.as_secs_f64() * 1e3;
    let memory = |sample: &Sample| u32::try_from(sample.memory).map_or(f64::MAX, f64::from);
    for (name, own) in names.zip(samples) {
        let walls = wall(own);
        add(format_args!("{name:<38} {:>8.2}", median(&walls)));
        for (_, row) in references {
            let reference = median(&wall(&samples[*row]));
            add(format_args!(" {:>8.2}", median(&walls) / reference));
        }
        add(format_args!(
            " {:>8.2} {:>8.2} {:>8.2} {:>11.0}\n",
            walls[0],
            walls[walls.len() - 1],
            median(&sorted(own, cpu)),
            median(&sorted(own, memory)),
        ));
    }
    text
}

fn sorted(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> Vec<f64> {
    let mut values: Vec<_> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}
