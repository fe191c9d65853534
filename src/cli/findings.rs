//! What was found in plans, as it is printed.

use super::{process, terminal::Terminal};
use crate::{
    diag::{
        self,
        finding::{ArticleSize, Checked, DIAGNOSTICS_SCHEMA, Document, Finding},
        github::Annotation,
    },
    limits,
    locale::{Count, say},
    problem::ExitCode,
};

/// A plan that is not taken.
pub(super) struct WrongPlan {
    pub(super) code: ExitCode,
    /// For people.
    pub(super) text: String,
    /// The last line for people: what follows from it. Or nothing.
    pub(super) verdict: String,
    /// For programs.
    pub(super) checked: Checked,
    /// For GitHub Actions, with files as seen from the root of the repository; empty elsewhere.
    pub(super) annotations: Vec<Finding>,
}

impl WrongPlan {
    pub(super) fn say(&self, terminal: &Terminal) {
        terminal.err_in_colour(&self.text);
        annotate(&self.annotations, terminal);
        terminal.err(&self.verdict);
    }
}

/// Under GitHub Actions. Its limit holds for all plans of a command together.
pub(super) fn annotate(findings: &[Finding], terminal: &Terminal) {
    if process::is_github() {
        let annotations: Vec<Annotation> = findings.iter().map(Annotation::from).collect();
        terminal.commands(&diag::github::commands(&annotations));
    }
}

pub(super) fn document(plans: Vec<Checked>, code: ExitCode, terminal: &Terminal) {
    let document = Document { schema: DIAGNOSTICS_SCHEMA, exit_code: code as u8, plans };
    terminal.out_json(&format!("{}\n", serde_json::to_string_pretty(&document).unwrap_or_default()));
}

/// How large an article is, in two lines for people.
pub(super) fn size(article: &ArticleSize) -> String {
    let ArticleSize { step, article: number, title, characters, html_characters, bytes, .. } = article;
    let step = crate::text::step_name(step, article.key.as_deref());
    let pictures = say!("{pictures} picture" | "{pictures} pictures", pictures = article.images);
    let heaviest: Vec<String> =
        article.heaviest.iter().map(|cause| format!("{} {}", cause.cause, cause.bytes)).collect();
    let size = say!(
        "{step}, article {number} `{title}`: {characters} characters, {html_characters} with tags and styles (of {limit}), {bytes} bytes, {pictures}",
        step,
        number = *number,
        title = title.as_str(),
        characters = Count(*characters as u64),
        html_characters = Count(*html_characters as u64),
        limit = Count(limits::ARTICLE_CHARS as u64),
        bytes = Count(*bytes as u64),
        pictures
    );
    let causes = say!("bytes by cause: {causes}", causes = heaviest.join("; "));
    let ignored = match article.ignored.is_empty() {
        true => String::new(),
        false => format!(
            "    {}\n",
            say!("keys of the front matter without effect here: {keys}", keys = article.ignored.join(", "))
        ),
    };
    format!("  {size}\n    {causes}\n{ignored}")
}
