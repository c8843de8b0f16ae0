//! What the error output of a program says: the refused line, and a message on one line.

/// The line of the input whose number is in `line 7 failed` or `Error occurred at line: 7`.
pub(super) fn named_line<'input>(stderr: &str, input: &'input str) -> Option<&'input str> {
    input.lines().nth(named_position(stderr)?)
}

/// The same line, or all lines of the table that this line commits.
pub(super) fn request(stderr: &str, input: &str) -> String {
    let Some(last) = named_position(stderr) else {
        return String::new();
    };
    let lines: Vec<_> = input.lines().take(last + 1).collect();
    let first = match lines.get(last) {
        Some(&"COMMIT") => lines.iter().rposition(|line| line.starts_with('*')),
        _ => Some(last),
    };
    let requested = lines.get(first.unwrap_or(last)..);
    requested.unwrap_or_default().join("\n")
}

fn named_position(stderr: &str) -> Option<usize> {
    let (_, behind) = stderr
        .split_once("line ")
        .or_else(|| stderr.split_once("line: "))?;
    let digits: String = behind
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse::<usize>().ok()?.checked_sub(1)
}

/// The lines without repetition, joined; how the program ended if it printed nothing.
pub(super) fn one_line(stderr: &str, code: Option<i32>) -> String {
    let mut lines = Vec::new();
    for line in stderr.lines().map(str::trim) {
        // Programs repeat a warning for each rule.
        if !line.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    match (lines.is_empty(), code) {
        (false, _) => lines.join("; "),
        (true, Some(code)) => format!("exited with code {code} and no output"),
        (true, None) => "killed by a signal".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{named_line, one_line, request};

    #[test]
    fn the_refused_line_is_found() {
        let input = "*nat\n-N A\nCOMMIT\n";
        let stderr = "iptables-nft-restore: line 2 failed: Chain already exists.";
        assert_eq!(named_line(stderr, input), Some("-N A"));
        assert_eq!(
            named_line("Error occurred at line: 1\n", input),
            Some("*nat")
        );
        assert_eq!(request("line 2 failed", input), "-N A");
        assert_eq!(request("line 3 failed", input), "*nat\n-N A\nCOMMIT");
        assert_eq!(request("line 9 failed", input), "");
        assert_eq!(named_line("line 9 failed", input), None);
        assert_eq!(named_line("line 0 failed", input), None);
        assert_eq!(named_line("no number", input), None);
    }

    #[test]
    fn error_output_is_joined_to_one_line() {
        assert_eq!(one_line("a\n\n  b \n", Some(1)), "a; b");
        assert_eq!(one_line("a\nb\na\na\n", Some(1)), "a; b");
        assert_eq!(one_line("", Some(3)), "exited with code 3 and no output");
        assert_eq!(one_line(" \n", None), "killed by a signal");
    }
}
