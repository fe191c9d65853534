//! Man pages, in the language of the reader: one for each command, in the macros of man(7).

use clap::{Arg, Command, builder::StyledStr};

use super::pages;
use crate::locale::{say, translated};

/// The name and the text of each page.
pub(crate) fn manual(tree: &Command) -> Vec<(String, String)> {
    fn below(command: &Command, path: &str, pages: &mut Vec<(String, String)>) {
        pages.push((name(path), page(command, path)));
        for command in command.get_subcommands() {
            below(command, format!("{path} {}", command.get_name()).trim_start(), pages);
        }
    }
    let mut pages = Vec::new();
    below(tree, "", &mut pages);
    pages
}

/// `qunfa-token-show`.
fn name(path: &str) -> String {
    format!("qunfa {path}").trim_end().replace(' ', "-")
}

/// Variables that are not an option's.
fn more_environment() -> [(&'static str, String); 3] {
    [
        ("LC_ALL, LC_MESSAGES, LANG", say!("the language, if neither --lang nor QUNFA_LANG is given").to_string()),
        ("NO_COLOR", say!("if set, nothing is coloured").to_string()),
        ("HTTPS_PROXY, ALL_PROXY, NO_PROXY", say!("the proxy for calls to WeChat").to_string()),
    ]
}

fn page(command: &Command, path: &str) -> String {
    let about = command.get_about().map(StyledStr::to_string).unwrap_or_default();
    let mut out = Page::default();
    let title = name(path).to_uppercase();
    out.line(&format!(
        ".TH \"{}\" \"1\" \"\" \"qunfa {}\" \"{}\"",
        roff(&title),
        roff(env!("CARGO_PKG_VERSION")),
        roff(translated("qunfa manual"))
    ));
    out.section(translated("NAME"));
    out.line(&format!("{} \\- {}", roff(&name(path)), roff(&about)));
    out.section(translated("SYNOPSIS"));
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let program = format!("qunfa {path}");
    let program = program.trim_end();
    out.line(&format!(".B {}", roff(program)));
    out.text(usage.strip_prefix(program).unwrap_or(usage).trim_start());
    out.section(translated("DESCRIPTION"));
    out.text(&command.get_long_about().map_or(about, StyledStr::to_string));
    if command.has_subcommands() {
        out.section(translated("COMMANDS"));
        for below in command.get_subcommands() {
            let full = format!("{path} {}", below.get_name());
            let about = below.get_about().map(StyledStr::to_string).unwrap_or_default();
            out.entry(&format!("\\fB{}\\fR(1)", roff(&name(full.trim_start()))), &about);
        }
    }
    options(&mut out, command);
    environment(&mut out, command, path);
    out.section(translated("EXIT STATUS"));
    for (code, means) in pages::exit_codes(path) {
        out.entry(&format!("\\fB{}\\fR", code as u8), &means.to_string());
    }
    out.section(translated("EXAMPLES"));
    for example in pages::page(path).examples {
        out.line(".PP\n.nf\n.RS 4");
        out.text(example);
        out.line(".RE\n.fi");
    }
    out.section(translated("SEE ALSO"));
    let parents = (!path.is_empty()).then_some("").into_iter().chain(path.rsplit_once(' ').map(|(parent, _)| parent));
    let related = parents.chain(pages::page(path).related.iter().copied());
    let related: Vec<String> = related.map(|path| format!("\\fB{}\\fR(1)", roff(&name(path)))).collect();
    out.line(&related.join(", "));
    out.0
}

/// Arguments and options, under the headings of the help.
fn options(out: &mut Page, command: &Command) {
    let shown: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    let mut headings: Vec<&str> = Vec::new();
    for heading in shown.iter().filter_map(|arg| arg.get_help_heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    // Arguments come first, as they do in the help.
    headings.sort_by_key(|heading| *heading != translated("Arguments"));
    for heading in headings {
        out.section(&heading.to_uppercase());
        for arg in shown.iter().filter(|arg| arg.get_help_heading() == Some(heading)) {
            let help = arg.get_long_help().or(arg.get_help()).map(StyledStr::to_string).unwrap_or_default();
            let short = arg.get_short().map(|short| format!("\\fB\\-{short}\\fR, ")).unwrap_or_default();
            out.entry(&format!("{short}\\fB{}\\fR", roff(&arg.to_string())), &help);
        }
    }
}

/// Each variable that stands for an option.
fn environment(out: &mut Page, command: &Command, path: &str) {
    let mut entries = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        if let (Some(name), Some(long)) = (arg.get_env(), arg.get_long()) {
            let means = say!("the same as --{option}", option = long).to_string();
            entries.push((name.to_string_lossy().into_owned(), means));
        }
    }
    if path.is_empty() {
        entries.extend(more_environment().map(|(name, means)| (name.to_owned(), means)));
    }
    if !entries.is_empty() {
        out.section(translated("ENVIRONMENT"));
        for (name, means) in entries {
            out.entry(&format!("\\fB{}\\fR", roff(&name)), &means);
        }
    }
}

/// A page as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A line that is roff already.
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.line(&format!(".SH \"{}\"", roff(title)));
    }

    /// What a name (roff already) stands for.
    fn entry(&mut self, name: &str, text: &str) {
        self.line(&format!(".TP\n{name}"));
        self.text(text);
    }

    /// Words, in paragraphs and lines.
    fn text(&mut self, text: &str) {
        for (at, line) in text.lines().enumerate() {
            match line.trim_end() {
                "" => self.line(".sp"),
                line if at > 0 => self.line(&format!(".br\n{}", roff(line))),
                line => self.line(&roff(line)),
            }
        }
    }
}

/// Words as roff takes them: no escapes, no line that is a request, and every sign stays one that can be pasted.
fn roff(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '"' => escaped.push_str("\\(dq"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            '~' => escaped.push_str("\\(ti"),
            '^' => escaped.push_str("\\(ha"),
            c => escaped.push(c),
        }
    }
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}
