//! Booleans as Go's `strconv.ParseBool` reads them, which Istio uses for labels and annotations.

/// `None` if `text` is not one of Go's twelve spellings.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_bool;

    #[test]
    fn accepts_only_the_twelve_spellings_of_go() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text), Some(false), "{text}");
        }
        for text in [
            "", " true", "tRUE", "yes", "no", "on", "off", "2", "disabled",
        ] {
            assert_eq!(parse_bool(text), None, "{text}");
        }
    }
}
