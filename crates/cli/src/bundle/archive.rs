//! A compressed archive with limits, and the list of what is in it and what is not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::redact::Secrets;

/// The directory in the archive.
const DIRECTORY: &str = "mesh-cni-bundle";

/// The largest file, in bytes. Of a longer one, the end is kept: logs end with the latest lines.
const MAX_FILE: usize = 1 << 20;

/// The most bytes of all files before compression.
const MAX_TOTAL: usize = 64 << 20;

/// What an archive contains.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Contents {
    /// The version of this program.
    pub(crate) version: &'static str,
    /// The files in the archive.
    pub(crate) taken: Vec<Taken>,
    /// What is not in the archive, and why.
    pub(crate) missing: Vec<Missing>,
    /// What was removed from the files.
    pub(crate) removed: &'static str,
}

/// A file of the archive.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Taken {
    pub(crate) path: String,
    pub(crate) bytes: usize,
    /// Whether only the end of it is in the archive.
    pub(crate) is_cut: bool,
}

/// Something that is not in the archive.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) why: String,
}

const WHAT_IS_REMOVED: &str = "credentials and tokens; the values of environment variables, of labels, of arguments \
     other than the proxy's type, and of annotations that do not set redirection; text in network configurations \
     other than names, types, modes and addresses. Logs of applications and Secrets are never read.";

/// An archive that is being written.
pub(crate) struct Archive<W: Write> {
    tar: tar::Builder<GzEncoder<W>>,
    total: usize,
    secrets: Secrets,
    pub(crate) contents: Contents,
}

impl Archive<File> {
    /// Creates the file, which must not exist; only its owner can read it.
    pub(crate) fn create(path: &Path, secrets: Secrets) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self::new(file, secrets))
    }
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(writer: W, secrets: Secrets) -> Self {
        let contents = Contents {
            version: env!("CARGO_PKG_VERSION"),
            removed: WHAT_IS_REMOVED,
            ..Contents::default()
        };
        Self {
            tar: tar::Builder::new(GzEncoder::new(writer, Compression::default())),
            total: 0,
            secrets,
            contents,
        }
    }

    /// Adds a file, without secrets.
    pub(crate) fn add(&mut self, path: &str, text: &str) -> io::Result<()> {
        let text = self.secrets.remove_from(text);
        let start = text.len().saturating_sub(MAX_FILE);
        let start = (start..=text.len()).find(|at| text.is_char_boundary(*at));
        let kept = &text[start.unwrap_or(text.len())..];
        if self.total + kept.len() > MAX_TOTAL {
            self.missing(path, &format!("the archive has {MAX_TOTAL} bytes already"));
            return Ok(());
        }
        self.total += kept.len();
        self.write(path, kept)?;
        self.contents.taken.push(Taken {
            path: path.to_owned(),
            bytes: kept.len(),
            is_cut: kept.len() < text.len(),
        });
        Ok(())
    }

    /// Adds a JSON document.
    pub(crate) fn add_json(&mut self, path: &str, document: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(document).expect("these types have a JSON form");
        self.add(path, &(text + "\n"))
    }

    /// Notes what is not in the archive.
    pub(crate) fn missing(&mut self, what: &str, why: &str) {
        let why = self.secrets.remove_from(why);
        let what = what.to_owned();
        self.contents.missing.push(Missing { what, why });
    }

    /// Writes the list of contents and the end, and returns the list and the writer.
    pub(crate) fn finish(mut self) -> io::Result<(Contents, W)> {
        let contents = std::mem::take(&mut self.contents);
        let text = serde_json::to_string_pretty(&contents).expect("these types have a JSON form");
        self.write("contents.json", &(text + "\n"))?;
        Ok((contents, self.tar.into_inner()?.finish()?))
    }

    fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        let path = format!("{DIRECTORY}/{path}");
        self.tar.append_data(&mut header, path, text.as_bytes())
    }
}
