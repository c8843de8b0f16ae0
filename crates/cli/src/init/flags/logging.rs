//! Istio's logging options, which all of its commands share.

use super::{Flag, Takes};

/// Injectors pass Istio's logging options to every command.
const ACCEPTED_LOG: &str = "Accepted for compatibility, no effect: there is no log";

pub(super) static LOG_OUTPUT_LEVEL: Flag = Flag {
    long: "log_output_level",
    short: None,
    variable: None,
    takes: Takes::Value("LEVELS"),
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_AS_JSON: Flag = Flag {
    long: "log_as_json",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_TARGET: Flag = Flag {
    long: "log_target",
    short: None,
    variable: None,
    takes: Takes::Value("PATHS"),
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_CALLER: Flag = Flag {
    long: "log_caller",
    short: None,
    variable: None,
    takes: Takes::Value("SCOPES"),
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_STACKTRACE_LEVEL: Flag = Flag {
    long: "log_stacktrace_level",
    short: None,
    variable: None,
    takes: Takes::Value("LEVELS"),
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_ROTATE: Flag = Flag {
    long: "log_rotate",
    short: None,
    variable: None,
    takes: Takes::Value("PATH"),
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_ROTATE_MAX_AGE: Flag = Flag {
    long: "log_rotate_max_age",
    short: None,
    variable: None,
    takes: Takes::Value("DAYS"),
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_ROTATE_MAX_BACKUPS: Flag = Flag {
    long: "log_rotate_max_backups",
    short: None,
    variable: None,
    takes: Takes::Value("COUNT"),
    default: "",
    help: ACCEPTED_LOG,
};

pub(super) static LOG_ROTATE_MAX_SIZE: Flag = Flag {
    long: "log_rotate_max_size",
    short: None,
    variable: None,
    takes: Takes::Value("MEGABYTES"),
    default: "",
    help: ACCEPTED_LOG,
};
