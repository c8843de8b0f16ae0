//! A table of medians, with ratios to the first row.

use std::fmt::Write as _;

use super::measure::Sample;

/// One line for each candidate.
pub(crate) fn table<'name>(
    names: impl Iterator<Item = &'name str>,
    samples: &[Vec<Sample>],
) -> String {
    let mut text = format!(
        "{:<38} {:>9} {:>7} {:>9} {:>9} {:>9} {:>7} {:>10}\n",
        "", "wall ms", "ratio", "min", "max", "CPU ms", "ratio", "memory KiB"
    );
    let wall = |samples: &[Sample]| sorted(samples, |sample| sample.wall.as_secs_f64() * 1e3);
    let cpu = |samples: &[Sample]| sorted(samples, |sample| sample.cpu.as_secs_f64() * 1e3);
    let memory = |sample: &Sample| u32::try_from(sample.memory).map_or(f64::MAX, f64::from);
    let floor = samples
        .first()
        .map(|floor| (median(&wall(floor)), median(&cpu(floor))));
    let Some((wall_floor, cpu_floor)) = floor else {
        return text;
    };
    for (name, samples) in names.zip(samples) {
        let (walls, cpus) = (wall(samples), cpu(samples));
        let (low, high) = (walls[0], walls[walls.len() - 1]);
        writeln!(
            text,
            "{name:<38} {:>9.2} {:>7.2} {low:>9.2} {high:>9.2} {:>9.2} {:>7.2} {:>10.0}",
            median(&walls),
            median(&walls) / wall_floor,
            median(&cpus),
            median(&cpus) / cpu_floor,
            median(&sorted(samples, memory)),
        )
        .expect("writing to a string cannot fail");
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
