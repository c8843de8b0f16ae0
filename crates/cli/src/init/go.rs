//! Values as the programs that are replaced read them, which are written in Go.

/// A boolean as Go's `strconv.ParseBool` reads it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Whether the text is a duration as Go's `time.ParseDuration` reads it, sign aside.
pub(super) fn duration(text: &str) -> Option<()> {
    let mut rest = text;
    if rest == "0" {
        return Some(());
    }
    loop {
        let unit_and_rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        rest[..rest.len() - unit_and_rest.len()]
            .parse::<f64>()
            .ok()?;
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let unit_end = unit_and_rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(unit_and_rest.len());
        let (unit, behind) = unit_and_rest.split_at(unit_end);
        units.contains(&unit).then_some(())?;
        if behind.is_empty() {
            return Some(());
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_those_of_go() {
        for text in ["5s", "1m30s", "500ms", "1.5h", "0", "2us"] {
            assert!(duration(text).is_some(), "{text}");
        }
        for text in ["", "5", "s", "5 s", "5x", "5s1", "1..5s", "-5s"] {
            assert!(duration(text).is_none(), "{text}");
        }
    }
}
