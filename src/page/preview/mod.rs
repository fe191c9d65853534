//! One self-contained page that shows each message of a plan as a phone would show it, with what was found beside the
//! place. Pure; `cli/preview_html.rs` and `cli/render.rs` write it.
//!
//! This file decides what is on the page; `page.html` decides how it looks. The template escapes every value
//! but three, which are made here of parts that are safe: the HTML of an article is what our own writer emits, which lets
//! only listed tags, attributes and styles through, and stands in a shadow tree, so that its styles and those of the page
//! do not meet; the rules of pictures hold base64. The page loads nothing and runs nothing, and its policy forbids both.

use std::{collections::HashMap, sync::Arc};

use minijinja::Value as Tpl;
use serde::Serialize;

use crate::{
    content::{
        article::{Article as Body, Budget, Piece as Part},
        media::Upload,
    },
    diag::{Diagnostic, Severity, source::SourceMap},
    limits,
    locale::{Count, Phrase, say},
    message::MessageKind,
    payload::{Effect, MediaId},
    plan::account::AccountKind,
    render::{Content, RenderedPlan, RenderedStep, When},
    resolve::article::{Article, Cover, Shows},
    slot::{Output, Slot},
    text::thousands,
};

mod dark;
mod picture;
mod text;

use super::{Fact, Segment, render, segments};
use picture::{Pictures, Shot};
use text::Piece;

/// Instances of one step that are shown; the others differ by their row alone.
const INSTANCES: usize = 20;

/// The page of a plan without errors, and of what was found in it.
pub(crate) fn page(plan: &RenderedPlan, diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    render(include_str!("page.html"), Builder::new(plan, diagnostics, sources).page())
}

#[derive(Serialize)]
struct Page {
    name: String,
    path: String,
    facts: Vec<Fact>,
    title: Phrase,
    findings: Vec<Finding>,
    steps: Vec<Step>,
    pictures: Tpl,
}

#[derive(Serialize)]
struct Step {
    anchor: String,
    name: String,
    action: &'static str,
    place: String,
    description: Option<String>,
    facts: Vec<Fact>,
    /// It reaches one person, who looks at it before the others get it.
    preview: bool,
    never: bool,
    message: Option<Message>,
    articles: Vec<ArticleView>,
    file: Option<FileView>,
    findings: Vec<Finding>,
    /// The picture of a phone, for those who cannot see it.
    on_a_phone: Phrase,
    /// Instances after it that are not shown.
    more: usize,
    /// That they are not.
    more_in_words: Vec<Segment>,
}

#[derive(Serialize, Default)]
struct Message {
    kind: &'static str,
    text: Vec<Piece>,
    /// The articles of a draft of the plan.
    rows: Vec<Row>,
    pictures: Vec<Shot>,
    id: Option<String>,
    title: Option<String>,
    words: Option<String>,
    /// How many pictures there are.
    pictures_in_words: Phrase,
    note: Option<Phrase>,
    file: Option<FileView>,
}

/// An article in the list card.
#[derive(Serialize)]
struct Row {
    anchor: String,
    title: String,
    digest: Option<String>,
    shot: Shot,
}

/// A file that is uploaded and no picture.
#[derive(Serialize, Clone)]
struct FileView {
    path: String,
    /// What it is, and how large.
    about: Phrase,
    shot: Option<Shot>,
}

#[derive(Serialize)]
struct ArticleView {
    anchor: String,
    /// Its number in the draft, and what it is.
    about: Phrase,
    kind: &'static str,
    title: String,
    author: Option<String>,
    digest: Option<String>,
    /// WeChat makes the digest of the text.
    own_digest: bool,
    source_url: Option<String>,
    comments: Option<Phrase>,
    body: Tpl,
    marks: Vec<Mark>,
    pictures: Vec<Shot>,
    pictures_in_words: Phrase,
    text: Vec<Piece>,
    covers: Option<[Shot; 2]>,
    budget: Vec<Measure>,
    heaviest: Vec<Cause>,
    findings: Vec<Finding>,
}

/// What takes bytes, and how many.
#[derive(Serialize)]
struct Cause {
    label: Vec<Segment>,
    value: Phrase,
}

/// A number of the budget, and how much of the limit it is.
#[derive(Serialize)]
struct Measure {
    label: Phrase,
    value: String,
    limit: Option<Phrase>,
    percent: u64,
}

/// Where in the article a finding is.
#[derive(Serialize)]
struct Mark {
    anchor: String,
    finding: String,
    number: usize,
    severity: &'static str,
    words: Phrase,
}

#[derive(Serialize)]
struct Finding {
    anchor: String,
    number: usize,
    severity: &'static str,
    /// How bad it is and its code, in words.
    kind: Phrase,
    name: &'static str,
    message: Vec<Segment>,
    help: Vec<Vec<Segment>>,
    place: Option<String>,
    line: Option<String>,
    /// The marker in the article.
    mark: Option<String>,
}

struct Builder<'a> {
    plan: &'a RenderedPlan,
    diagnostics: &'a [Diagnostic],
    sources: &'a SourceMap,
    pictures: Pictures,
    /// Steps that make a draft, by the slot of its `media_id`.
    drafts: HashMap<Slot, usize>,
    /// Files that steps upload, by the slot of their `media_id`.
    files: HashMap<Slot, Arc<Upload>>,
    /// The first instance of each step, and how many it has: they stand together.
    instances: HashMap<&'a str, (usize, usize)>,
    numbers: usize,
}

/// With the block that it is about.
type InArticle<'a> = (&'a Diagnostic, Option<(usize, usize)>);

/// What was found, by the place of the page where it is said; steps by their number in the plan.
#[derive(Default)]
struct Found<'a> {
    articles: HashMap<(usize, usize), Vec<InArticle<'a>>>,
    instances: HashMap<usize, Vec<&'a Diagnostic>>,
    steps: HashMap<usize, Vec<&'a Diagnostic>>,
    /// Of the plan as a whole, and of instances that are not shown.
    rest: Vec<&'a Diagnostic>,
}

impl<'a> Found<'a> {
    fn of(&self, at: usize) -> impl Iterator<Item = &'a Diagnostic> {
        [&self.instances, &self.steps].into_iter().filter_map(move |found| found.get(&at)).flatten().copied()
    }
}

fn is_shown(step: &RenderedStep) -> bool {
    step.origin.instance.is_none_or(|instance| instance < INSTANCES)
}

impl<'a> Builder<'a> {
    fn new(plan: &'a RenderedPlan, diagnostics: &'a [Diagnostic], sources: &'a SourceMap) -> Self {
        let slot = |step: &RenderedStep| step.slot(Output::MediaId);
        let steps = || plan.steps.iter().enumerate();
        let drafts = steps().filter(|(_, step)| !step.articles.is_empty()).map(|(at, step)| (slot(step), at)).collect();
        let files = steps().filter_map(|(_, step)| Some((slot(step), uploaded(step)?))).collect();
        let mut instances: HashMap<&str, (usize, usize)> = HashMap::new();
        for (at, step) in steps() {
            instances.entry(&step.id).or_insert((at, 0)).1 += 1;
        }
        Self { plan, diagnostics, sources, pictures: Pictures::default(), drafts, files, instances, numbers: 0 }
    }

    fn page(mut self) -> Page {
        let plan = self.plan;
        let found = self.distribute();
        let mut steps: Vec<Step> = Vec::new();
        for (at, step) in plan.steps.iter().enumerate() {
            match steps.last_mut() {
                Some(last) if !is_shown(step) => last.more += 1,
                _ => steps.push(self.step(at, step, &found)),
            }
        }
        let findings: Vec<Finding> = found.rest.into_iter().map(|found| self.finding(found, None)).collect();
        let number_of_findings =
            if self.numbers == 0 { say!("none").to_string() } else { thousands(self.numbers as u64) };
        let kind = match plan.account.kind {
            AccountKind::Service => say!("service"),
            AccountKind::Subscription => say!("subscription"),
        };
        for step in steps.iter_mut().filter(|step| step.more > 0) {
            let more = say!(
                "And {rows} more row of `{action}` that differs only in its data; `qunfa render` shows it."
                    | "And {rows} more rows of `{action}` that differ only in their data; `qunfa render` shows all of them.",
                rows = step.more,
                action = step.action
            );
            step.more_in_words = segments(&more.to_string());
        }
        let mut facts = vec![
            Fact::words(say!("Findings"), number_of_findings),
            Fact::code(say!("Account"), say!("{appid} ({kind})", appid = &plan.appid, kind).to_string()),
            Fact::code(say!("Occurrence"), &plan.occurrence),
            Fact::code(say!("Plan"), &plan.path),
            Fact::code(say!("Digest"), plan.digest()),
        ];
        if self.pictures.left_out() > 0 {
            let most = limits::PAGE_PICTURES_BYTES_MAX >> 20;
            let left_out = self.pictures.left_out();
            let said = say!(
                "{left_out} picture is not shown: a page holds at most {most} MiB of them"
                    | "{left_out} pictures are not shown: a page holds at most {most} MiB of them",
                left_out,
                most
            );
            facts.push(Fact::words(say!("Pictures"), said.to_string()));
        }
        Page {
            name: plan.name.clone(),
            path: plan.path.clone(),
            title: say!("{plan}: preview", plan = &plan.name),
            facts,
            findings,
            steps,
            pictures: Tpl::from_safe_string(self.pictures.into_css()),
        }
    }

    fn distribute(&self) -> Found<'a> {
        let mut places = HashMap::new();
        for (at, step) in self.plan.steps.iter().enumerate().filter(|(_, step)| is_shown(step)) {
            places.insert((step.origin.step, step.origin.instance), at);
            // What is about the step as a whole is said at the first of its instances.
            places.entry((step.origin.step, None)).or_insert(at);
        }
        let mut all = Found::default();
        let mut hidden = Vec::new();
        for found in self.diagnostics {
            let mut said = false;
            for origin in &found.origins {
                let Some(at) = places.get(&(origin.step, origin.instance)).copied() else { continue };
                said = true;
                match (origin.article, origin.instance) {
                    (Some(number), _) => all.articles.entry((at, number)).or_default().push((found, origin.block)),
                    (None, Some(_)) => all.instances.entry(at).or_default().push(found),
                    (None, None) => {
                        let of_step = all.steps.entry(at).or_default();
                        // Its instances raised it one after the other.
                        if of_step.last().is_none_or(|last| !std::ptr::eq(*last, found)) {
                            of_step.push(found);
                        }
                    }
                }
            }
            if !said {
                if found.origins.is_empty() { &mut all.rest } else { &mut hidden }.push(found);
            }
        }
        all.rest.extend(hidden);
        all
    }

    fn finding(&mut self, found: &Diagnostic, mark: Option<String>) -> Finding {
        self.numbers += 1;
        let info = found.code.info();
        let place = found.primary.as_ref().map(|label| {
            let (file, at) = (self.sources.file(label.span.file), self.sources.position(&label.span));
            let line = around(
                file.shown(file.line_start(at.line)..file.line_start(at.line + 1)).trim_end_matches(['\r', '\n']),
                at.column - 1,
            );
            (format!("{}:{}:{}", file.path, at.line, at.column), line)
        });
        let (place, line) = place.unzip();
        let (severity, kind) = match info.severity {
            Severity::Error => ("error", say!("error {code}", code = info.id)),
            Severity::Warning => ("warning", say!("warning {code}", code = info.id)),
        };
        Finding {
            anchor: format!("finding-{}", self.numbers),
            number: self.numbers,
            severity,
            kind,
            name: info.name,
            message: segments(&found.message.to_string()),
            help: found.help.iter().map(|help| segments(&help.to_string())).collect(),
            place,
            line: line.filter(|line| !line.is_empty()),
            mark,
        }
    }

    fn step(&mut self, at: usize, step: &RenderedStep, found: &Found<'_>) -> Step {
        let plan = self.plan;
        let mut facts = Vec::new();
        let file = uploaded(step);
        let label = match () {
            () if !step.articles.is_empty() => say!("Contents"),
            () if step.message().is_some() => say!("To"),
            () => say!("Action"),
        };
        facts.extend(step.audience.as_ref().filter(|_| file.is_none()).map(|words| Fact::words(label, words)));
        let people: Option<Vec<u64>> = step.calls.iter().map(|call| call.target.recipients()).collect();
        if let Some(people) = people.filter(|people| !people.is_empty()) {
            facts.push(Fact::words(say!("Recipients"), thousands(people.iter().sum())));
        }
        facts.push(Fact::words(say!("Calls"), thousands(step.calls.len() as u64)));
        facts.extend(match &step.when {
            When::Always => None,
            When::Never => Some(Fact::words(say!("Runs"), say!("never (its condition is false)").to_string())),
            When::AtRunTime { expression, .. } => Some(Fact::code(say!("Runs if"), expression)),
        });
        if let Some(key) = &step.key {
            let (first, all) = self.instances[step.id.as_str()];
            let row = say!("{key} ({number} of {all})", key, number = at - first + 1, all);
            facts.push(Fact::words(say!("Row"), row.to_string()));
        }
        let articles = step
            .articles
            .iter()
            .enumerate()
            .map(|(number, article)| self.article(at, number, article, found))
            .collect();
        Step {
            anchor: format!("step-{}", at + 1),
            name: step.name(),
            action: step.spec.name,
            place: format!("{}:{}", plan.path, step.line),
            description: step.description.clone(),
            facts,
            preview: step.spec.effect == Effect::Preview,
            never: !step.may_run(),
            message: self.message(at, step),
            articles,
            file: file.map(|upload| self.file(&upload)),
            findings: found.of(at).map(|found| self.finding(found, None)).collect(),
            on_a_phone: say!("{step} on a phone", step = step.name()),
            more: 0,
            more_in_words: Vec::new(),
        }
    }

    fn file(&mut self, upload: &Upload) -> FileView {
        let is_picture = upload.content_type.starts_with("image/");
        FileView {
            path: upload.path.clone(),
            about: say!("{kind}, {size}", kind = upload.content_type, size = bytes(upload.bytes.len())),
            shot: is_picture.then(|| self.pictures.shot(upload)),
        }
    }

    fn rows(&mut self, at: usize) -> Vec<Row> {
        let articles = Arc::clone(&self.plan.steps[at].articles);
        let single = articles.len() == 1;
        let row = |(number, article): (usize, &Article)| {
            let crop = if number == 0 { "pic_crop_235_1" } else { "pic_crop_1_1" };
            Row {
                anchor: article_anchor(at, number),
                title: member(article, "title").unwrap_or_default(),
                digest: digest(article).map(|(digest, _)| digest).filter(|_| single),
                shot: self.cover(article, crop),
            }
        };
        articles.iter().enumerate().map(row).collect()
    }

    fn cover(&mut self, article: &Article, crop: &str) -> Shot {
        let shot = match (&article.shows, &article.cover) {
            (Shows::Pictures(_, uploads), _) if !uploads.is_empty() => self.pictures.shot(&uploads[0]),
            (_, Some(Cover::File(upload))) => self.pictures.shot(upload),
            (_, Some(Cover::MediaId(id))) => self.medium(id),
            _ => Shot::elsewhere(""),
        };
        shot.cropped(article.members.get(crop).map(String::as_str))
    }

    /// A picture by its id: the file itself if a step of the plan uploads it.
    fn medium(&mut self, id: &MediaId) -> Shot {
        match self.uploaded(id).filter(|file| file.content_type.starts_with("image/")) {
            Some(upload) => self.pictures.shot(&upload),
            None => Shot::elsewhere(&id.to_string()),
        }
    }

    /// The file of a medium that a step of the plan uploads.
    fn uploaded(&self, id: &MediaId) -> Option<Arc<Upload>> {
        match id {
            MediaId::Of(slot) => self.files.get(slot).cloned(),
            MediaId::Known(_) | MediaId::Mixed(_) => None,
        }
    }

    /// The step that makes a draft.
    fn draft(&self, id: &MediaId) -> Option<usize> {
        match id {
            MediaId::Of(slot) => self.drafts.get(slot).copied(),
            MediaId::Known(_) | MediaId::Mixed(_) => None,
        }
    }

    fn message(&mut self, at: usize, step: &RenderedStep) -> Option<Message> {
        let shown = match &step.content {
            Content::Message(shown) => shown,
            // As a message that sends it.
            Content::Media { view: Some(_), .. } => {
                return Some(Message { kind: MessageKind::Mpnews.name(), rows: self.rows(at), ..Message::default() });
            }
            Content::Media { view: None, .. } | Content::Nothing => return None,
        };
        let (view, media) = (&shown.view, &shown.media);
        let mut message = Message { kind: view.kind.name(), id: Some(view.content.clone()), ..Message::default() };
        (message.title, message.words) = (shown.title.clone(), shown.words.clone());
        match view.kind {
            MessageKind::Text => {
                message.id = None;
                message.text = text::pieces(&view.content);
            }
            MessageKind::Mpnews => match media.iter().find_map(|id| self.draft(id)) {
                Some(at) => message.rows = self.rows(at),
                None => {
                    message.title = Some(say!("External draft").to_string());
                    message.note = Some(say!("Its content is unknown, because no step of this plan creates it."));
                }
            },
            MessageKind::Image => {
                message.pictures = media.iter().map(|id| self.medium(id)).collect();
                message.pictures_in_words = pictures_in_words(media.len());
                message.id = None;
            }
            MessageKind::Wxcard => message.note = Some(say!("WeChat has discontinued cards.")),
            MessageKind::Voice | MessageKind::Mpvideo => {
                let file = media.iter().find_map(|id| self.uploaded(id));
                message.file = file.map(|file| self.file(&file));
            }
            MessageKind::Draft => {}
        }
        Some(message)
    }

    fn article(&mut self, at: usize, number: usize, article: &Article, found: &Found<'_>) -> ArticleView {
        let anchor = article_anchor(at, number);
        let digest = digest(article);
        let (mut marks, mut findings) = (Vec::new(), Vec::new());
        let (mut body, mut pictures, mut words) = (String::new(), Vec::new(), Vec::new());
        let (mut budget, mut heaviest) = (Vec::new(), Vec::new());
        match &article.shows {
            Shows::News(news, uploads) => {
                let mut places = Vec::new();
                for (diagnostic, block) in found.articles.get(&(at, number)).into_iter().flatten() {
                    let mark = block.map(|place| (place, format!("mark-{}", self.numbers + 1)));
                    let finding = self.finding(diagnostic, mark.as_ref().map(|(_, mark)| mark.clone()));
                    if let Some((place, mark)) = mark {
                        places.push((place, mark.clone()));
                        marks.push(Mark {
                            anchor: mark,
                            finding: finding.anchor.clone(),
                            number: finding.number,
                            severity: finding.severity,
                            words: diagnostic.message.clone(),
                        });
                    }
                    findings.push(finding);
                }
                body = marked(news, uploads, &places, &mut self.pictures);
                budget = measures(&news.budget);
                let heavy = |(cause, size): &(Phrase, usize)| Cause {
                    label: segments(&cause.to_string()),
                    value: bytes(*size),
                };
                heaviest = news.budget.heaviest.iter().map(heavy).collect();
            }
            Shows::Pictures(content, uploads) => {
                pictures = uploads.iter().map(|upload| self.pictures.shot(upload)).collect();
                words = text::pieces(content);
                let characters = content.chars().count();
                budget.push(Measure::new(say!("Characters"), characters, Some(limits::ARTICLE_CHARS)));
                budget.push(Measure::new(say!("Pictures"), uploads.len(), None));
            }
        }
        let is_news = matches!(article.shows, Shows::News(..));
        let kind = if is_news { "news" } else { "newspic" };
        ArticleView {
            anchor,
            about: say!(
                "{number} of {all}, {kind}",
                number = number + 1,
                all = self.plan.steps[at].articles.len(),
                kind
            ),
            kind,
            title: member(article, "title").unwrap_or_default(),
            author: member(article, "author"),
            own_digest: digest.as_ref().is_some_and(|(_, own)| *own),
            digest: digest.map(|(digest, _)| digest),
            source_url: member(article, "content_source_url"),
            comments: match article.comments {
                [Some(true), Some(true)] => Some(say!("followers only")),
                [Some(true), _] => Some(say!("everyone")),
                [Some(false), _] => Some(say!("closed")),
                [None, _] => None,
            },
            body: Tpl::from_safe_string(body),
            marks,
            pictures_in_words: pictures_in_words(pictures.len()),
            pictures,
            text: words,
            covers: is_news.then(|| [self.cover(article, "pic_crop_235_1"), self.cover(article, "pic_crop_1_1")]),
            budget,
            heaviest,
            findings,
        }
    }
}

fn article_anchor(step: usize, number: usize) -> String {
    format!("article-{}-{}", step + 1, number + 1)
}

fn member(article: &Article, name: &str) -> Option<String> {
    article.members.get(name).cloned()
}

/// The digest, and whether it is the article's own; without one, WeChat takes the beginning of the text.
fn digest(article: &Article) -> Option<(String, bool)> {
    if let Some(digest) = member(article, "digest").filter(|digest| !digest.trim().is_empty()) {
        return Some((digest, true));
    }
    let Shows::News(body, _) = &article.shows else { return None };
    let text: String = body.text.split('\n').collect::<Vec<_>>().join(" ");
    Some((text.chars().take(limits::DIGEST_MADE_CHARS).collect(), false))
}

/// The file of a step that uploads one and does nothing else.
fn uploaded(step: &RenderedStep) -> Option<Arc<Upload>> {
    match step.calls.as_slice() {
        [call] => call.media.as_ref()?.upload.clone(),
        _ => None,
    }
}

/// The HTML of an article that is sent, with its pictures in it, its colours twice, and a slot for each marker.
fn marked(
    body: &Body,
    uploads: &[Arc<Upload>],
    places: &[((usize, usize), String)],
    pictures: &mut Pictures,
) -> String {
    let mut out = String::new();
    for (number, part) in body.pieces.iter().enumerate() {
        match part {
            Part::Image(at) => {
                out.push_str(&uploads.get(*at).map(|upload| pictures.inside(upload)).unwrap_or_default());
            }
            Part::Html(html) => {
                let mut with = String::with_capacity(html.len());
                let mut here: Vec<_> = places.iter().filter(|((piece, _), _)| *piece == number).collect();
                here.sort_by_key(|((_, at), _)| *at);
                let mut from = 0;
                for ((_, at), name) in here {
                    with.push_str(&html[from..*at]);
                    with.push_str(&format!("<slot name=\"{name}\"></slot>"));
                    from = *at;
                }
                with.push_str(&html[from..]);
                out.push_str(&dark::both(&with));
            }
        }
    }
    out
}

fn measures(budget: &Budget) -> Vec<Measure> {
    vec![
        Measure::new(say!("Characters"), budget.characters, Some(limits::ARTICLE_CHARS)),
        Measure::new(say!("HTML characters"), budget.html_characters, Some(limits::ARTICLE_CHARS)),
        Measure::new(say!("Bytes"), budget.bytes, Some(limits::ARTICLE_BYTES)),
        Measure::new(say!("Pictures"), budget.images, None),
    ]
}

impl Measure {
    fn new(label: Phrase, value: usize, limit: Option<usize>) -> Self {
        let percent = limit.map_or(0, |limit| (value * 100).div_ceil(limit.max(1)).min(100));
        let limit = limit.map(|limit| say!("of {limit}", limit = Count(limit as u64)));
        Self { label, value: thousands(value as u64), limit, percent: percent as u64 }
    }
}

fn bytes(count: usize) -> Phrase {
    match count {
        0..1024 => say!("{bytes} byte" | "{bytes} bytes", bytes = count),
        1024..1_048_576 => Phrase::verbatim(format!("{}.{} KiB", count >> 10, ((count & 0x3ff) * 10) >> 10)),
        _ => Phrase::verbatim(format!("{}.{} MiB", count >> 20, ((count & 0xf_ffff) * 10) >> 20)),
    }
}

fn pictures_in_words(number: usize) -> Phrase {
    say!("{pictures} picture" | "{pictures} pictures", pictures = number)
}

/// A line of a source without the blanks around it; of a long one, what is near a column (from 0).
fn around(line: &str, column: usize) -> String {
    const BEFORE: usize = 40;
    const SHOWN: usize = 140;
    let column = column.saturating_sub(line.chars().take_while(|c| c.is_whitespace()).count());
    let line = line.trim();
    let from = if line.chars().count() <= SHOWN { 0 } else { column.saturating_sub(BEFORE) };
    let mut rest = line.chars().skip(from);
    let shown: String = rest.by_ref().take(SHOWN).collect();
    let before = if from > 0 { "…" } else { "" };
    format!("{before}{shown}{}", if rest.next().is_some() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_around_the_place() {
        assert_eq!(around("  - 春茶 ", 4), "- 春茶");
        assert_eq!(around(&format!("{}here", "a".repeat(100)), 100), format!("{}here", "a".repeat(100)));
        assert_eq!(around("", 0), "");
        let long = format!("{}here{}", "a".repeat(100), "b".repeat(200));
        let shown = around(&long, 100);
        assert!(shown.starts_with(&format!("…{}here", "a".repeat(40))) && shown.ends_with("b…"), "{shown}");
        assert_eq!(shown.chars().count(), 142);
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(
            [0, 1, 1023, 1024, 1536, 1_572_864].map(|count| bytes(count).to_string()),
            ["0 bytes", "1 byte", "1,023 bytes", "1.0 KiB", "1.5 KiB", "1.5 MiB"]
        );
    }

    #[test]
    fn a_limit_is_seen_before_it_is_reached() {
        let percent = |value| Measure::new(say!("Characters"), value, Some(20_000)).percent;
        assert_eq!([0, 1, 10_000, 19_999, 40_000].map(percent), [0, 1, 50, 100, 100]);
    }
}
