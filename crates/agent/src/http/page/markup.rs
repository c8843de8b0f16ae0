//! HTML, with every text escaped.

/// What a browser may do with the page: nothing but show it and send its form back to us.
pub(crate) const SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Readable on a phone, in both colour schemes, without colour too.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:0 auto;padding:1rem}\
table{border-collapse:collapse;display:block;overflow-x:auto}\
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8886}\
pre{overflow-x:auto;padding:.75rem;border:1px solid #8886;border-radius:.25rem}\
input,select,button{font:inherit;padding:.25rem .5rem;max-width:100%}\
form input{width:34rem}\
label{display:block;margin:.5rem 0}\
.state{border-left:.4rem solid;padding-left:.75rem}\
.running{border-color:#2a7}\
.running,tr.redirect td:nth-child(4){color:light-dark(#064,#6da)}\
.updating,.error{border-color:#c60;color:light-dark(#930,#fb7)}\
";

/// A page that grows.
pub(super) struct Document(String);

impl Document {
    /// A page with that title, which is its first heading too.
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        Self(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>"
        ))
    }

    /// Markup as it is: texts of this program alone, and what [`escape`] has seen.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
        self.0.push('\n');
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        self.0.push_str(&escape(text));
    }

    /// A text in a paragraph of its own.
    pub(super) fn paragraph(&mut self, text: &str) {
        self.raw(&format!("<p>{}</p>", escape(text)));
    }

    /// A text whose blanks and line ends count.
    pub(super) fn preformatted(&mut self, text: &str) {
        self.raw(&format!("<pre>{}</pre>", escape(text)));
    }

    /// A row of a table.
    pub(super) fn row(&mut self, cells: &[&str]) {
        let cells = cells
            .iter()
            .map(|cell| format!("<td>{}</td>", escape(cell)));
        self.raw(&format!("<tr>{}</tr>", cells.collect::<String>()));
    }

    /// The whole page.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("</main></body></html>\n");
        self.0
    }
}

/// The text as HTML, between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
