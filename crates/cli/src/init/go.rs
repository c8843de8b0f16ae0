//! Parses values as Istio's programs do, which are written in Go.

use std::time::Duration;

/// A whole number that consists of digits only.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A duration in the format of Go's `time.ParseDuration`, without a sign.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = 0_u64;
    loop {
        let number = leading(rest, is_of_number);
        let unit = leading(&rest[number.len()..], |c| !is_of_number(c));
        let nanoseconds = nanoseconds(number, nanoseconds_of(unit)?)?;
        sum = sum.checked_add(nanoseconds)?;
        rest = &rest[number.len() + unit.len()..];
        if rest.is_empty() {
            return Some(Duration::from_nanos(sum));
        }
    }
}

fn leading(text: &str, wanted: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    &text[..end]
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// A number of units, with an optional fraction, in whole nanoseconds.
fn nanoseconds(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut sum = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        sum = sum.checked_add(u64::from(digit - b'0') * place)?;
    }
    Some(sum)
}

fn nanoseconds_of(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        "us" | "µs" | "μs" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_parse_as_in_go() {
        for (text, milliseconds) in [
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("0s", 0),
            ("2000us", 2),
            ("3000µs", 3),
            (".25s", 250),
            ("1.s", 1_000),
            ("4262589293ms", 4_262_589_293),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "", "5", "s", "5 s", "5x", "5s1", "1..5s", "-5s", ".s", "1.2.3s", "1e9s", "9e99h",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
        let huge = format!("{}h", "9".repeat(400));
        assert_eq!(duration(&huge), None);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_rejected(text in "[0-9.a-zµ+-]{0,12}") {
            let (_duration, number) = (duration(&text), decimal(&text));
            let wanted = text.parse::<u32>().is_ok() && !text.starts_with('+');
            prop_assert_eq!(number.is_some(), wanted);
        }

        #[test]
        fn milliseconds_round_trip(milliseconds: u32) {
            let wanted = Duration::from_millis(milliseconds.into());
            prop_assert_eq!(duration(&format!("{milliseconds}ms")), Some(wanted));
        }
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(decimal("4294967295"), Some(u32::MAX));
        for text in ["", "+1", "-1", "0x1", "4294967296", "1 "] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
