//! The articles of a draft: file, front matter, templates, theme, conversion, pictures. What comes out is ready but for
//! the addresses that uploads give.

use std::{cell::Cell, collections::BTreeMap};

use super::{front::KEYS, *};
use crate::{
    content::{
        address,
        article::{self, Finding, Format, Image, Input, Links, Piece, Theme},
        media::{self, Material, Unfit},
        words::{self, Found},
    },
    locale::{Count, Phrase, say},
    payload::MediaId,
    plan::article::{Article as PlanArticle, ArticleKind},
    plan::ask::Part,
    text::one_of,
};

/// An article, ready but for what uploads give.
#[derive(Debug)]
pub struct Article {
    /// The members of the article on the wire that are text, by their names there.
    pub(crate) members: BTreeMap<&'static str, String>,
    /// Whether readers can comment, and whether only followers can.
    pub(crate) comments: [Option<bool>; 2],
    pub(crate) shows: Shows,
    /// The cover of a news.
    pub(crate) cover: Option<Cover>,
    /// Keys of its front matter that have no effect here.
    pub ignored: Vec<String>,
    /// Values of earlier steps that it shows, and where.
    pub(crate) references: Vec<(template::Reference, Span)>,
}

/// What an article shows.
#[derive(Debug)]
pub(crate) enum Shows {
    /// HTML with pictures in it.
    News(Arc<article::Article>, Vec<Arc<Upload>>),
    /// Pictures with a text.
    Pictures(String, Vec<Arc<Upload>>),
}

/// The cover of an article.
#[derive(Debug)]
pub(crate) enum Cover {
    /// A picture that is uploaded.
    File(Arc<Upload>),
    /// A medium that is there, or that an earlier step makes.
    MediaId(MediaId),
}

/// A value of the front matter or of the plan, and how to tell the place of a range of it.
struct Field<'t> {
    template: &'t str,
    /// The file that names it, relative to the plan: paths in it start there.
    folder: String,
    from: TextSource,
}

#[derive(Clone)]
enum TextSource {
    /// At this pointer of the plan.
    Plan(String),
    /// At this pointer of the front matter.
    Front(Rc<Document>, String),
}

/// The text of an article before its templates are rendered.
struct Body {
    text: Rc<str>,
    format: Format,
    /// Where it begins in its file; none for text in the plan, which is at the pointer.
    file: Option<(FileId, usize)>,
    pointer: String,
    folder: String,
}

/// A file of an article: looked at once, wherever it is used.
pub(super) struct Page {
    file: FileId,
    /// Where the text begins, after the front matter.
    begin: usize,
    text: Rc<str>,
    front: Option<Rc<Document>>,
    /// Whether nothing is wrong with the front matter.
    good: bool,
}

/// What a conversion depends on besides the text: where that stands, the theme, and whether pictures are optimized.
pub(super) type Settings = (String, String, bool);

/// A conversion, for whoever has the same text.
pub(super) struct Converted {
    text: String,
    article: Option<Arc<article::Article>>,
    found: Vec<Finding>,
}

/// A file that is uploaded: its name as users know it, and whether it fits.
pub(super) type Checked = (String, Result<Arc<Upload>, Unfit>);

/// What of the limits of a plan is used up, or left.
pub(super) struct Spent {
    /// Bytes of the text and HTML of articles.
    articles: usize,
    /// Bytes of text that was converted.
    converted: usize,
    /// The same of texts of which each is another one of a source that was converted before.
    again: usize,
    /// Bytes of code that may still be coloured.
    colours: Cell<usize>,
    /// Bytes of pictures and other media.
    media: u64,
    /// Work of `optimize`.
    pixels: u64,
}

impl Default for Spent {
    fn default() -> Self {
        Self {
            articles: 0,
            converted: 0,
            again: 0,
            colours: Cell::new(limits::PLAN_CODE_COLOURED),
            media: 0,
            pixels: 0,
        }
    }
}

impl Reader<'_> {
    /// All articles of a step; none if one has a problem.
    pub(super) fn articles(
        &mut self,
        step: &Step,
        instance: usize,
        account: &Account,
        templates: Templates<'_>,
    ) -> Option<Vec<Article>> {
        let articles = step.action.asks().articles();
        let mut done = Vec::new();
        for (number, article) in articles.iter().enumerate() {
            let pointer = step.pointer(&format!("/articles/{number}"));
            let around = self.diagnostics.about(Some(Origin::article(step.index, instance, number)));
            done.push(self.article(article, &pointer, articles.len(), account, templates));
            self.diagnostics.about(around);
        }
        done.into_iter().collect()
    }

    fn article(
        &mut self,
        plan: &PlanArticle,
        pointer: &str,
        count: usize,
        account: &Account,
        templates: Templates<'_>,
    ) -> Option<Article> {
        let before = self.diagnostics.errors();
        // Its fields are looked at and its members made for each row, however short they are.
        templates.engine.work(limits::ARTICLE_FUEL);
        self.references.clear();
        let (body, page) = self.body(plan, pointer, templates)?;
        let front = page.as_ref().and_then(|page| page.front.clone());
        let articles = count;
        let own = |name: &str| own(plan, name);
        let find = |name: &str| -> Option<Field<'_>> {
            if let Some(template) = own(name) {
                let from = TextSource::Plan(format!("{pointer}/{name}"));
                return Some(Field { template: &template.0, folder: String::new(), from });
            }
            let document = front.as_ref()?;
            let (key, template) = match document.value.get(name) {
                Some(value) => (name, value.as_str()?),
                None if name == "digest" && articles == 1 => blog_digest(&document.value)?,
                None => return None,
            };
            let from = TextSource::Front(Rc::clone(document), format!("/{key}"));
            Some(Field { template, folder: body.folder.clone(), from })
        };
        let flag = |own: Option<bool>, name: &str| own.or_else(|| front.as_ref()?.value.get(name)?.as_bool());
        let comments = [
            flag(plan.need_open_comment, "need_open_comment"),
            flag(plan.only_fans_can_comment, "only_fans_can_comment"),
        ];
        let optimize = flag(plan.optimize, "optimize").unwrap_or(false);
        let whole = self.document.span(pointer);
        let mut members = BTreeMap::new();
        for (name, wire) in [
            ("title", "title"),
            ("author", "author"),
            ("digest", "digest"),
            ("source_url", "content_source_url"),
            ("pic_crop_235_1", "pic_crop_235_1"),
            ("pic_crop_1_1", "pic_crop_1_1"),
        ] {
            match find(name) {
                Some(field) => {
                    let Some(value) = self.field(&field, templates) else { continue };
                    let place = self.field_place(&field.from, None);
                    self.limits(name, &value, count, place);
                    if matches!(name, "title" | "author" | "digest") {
                        self.words(&value, &field, templates);
                    }
                    members.insert(wire, value);
                }
                None if name == "title" => {
                    let message = say!("the article has no title");
                    let diagnostic = Diagnostic::new(Code::ArticleField, whole.clone(), message);
                    self.push(diagnostic.help(say!("write `title:` here, or in the front matter of the file")));
                }
                None => {}
            }
        }
        let cover = match (plan.kind, find("cover")) {
            (ArticleKind::News, Some(field)) => self.cover(&field, optimize, templates),
            (ArticleKind::News, None) => {
                let diagnostic = Diagnostic::new(Code::ArticleField, whole, say!("the article has no cover"));
                self.push(diagnostic.help(say!("write `cover: cover.jpg` here, or in the front matter of the file")));
                None
            }
            (ArticleKind::Newspic, _) => None,
        };
        let theme = self.theme(find("theme").as_ref(), templates);
        let shows = match plan.kind {
            ArticleKind::News => self.news(&body, theme, account.links, optimize, templates),
            ArticleKind::Newspic => self.pictures(plan, pointer, &body, optimize, templates),
        };
        let good = self.diagnostics.errors() == before && page.is_none_or(|page| page.good);
        let references = std::mem::take(&mut self.references);
        let takes_digest = own("digest").is_none() && articles == 1;
        let ignored = front.as_ref().map_or_else(Vec::new, |front| ignored_keys(&front.value, takes_digest));
        shows.filter(|_| good).map(|shows| Article { members, comments, shows, cover, ignored, references })
    }

    /// What a text is compared with.
    fn lint_of(&self, text: &str, templates: Templates<'_>) -> words::Lint {
        let names = if words::may_be_mistyped(text) { template::names(templates.context) } else { Vec::new() };
        templates.engine.work(((self.lint.forbidden.len() + names.len()) * text.len() / 128 + names.len()) as u64);
        self.lint.words(names)
    }

    /// Looks at the words of a field, which followers read.
    fn words(&mut self, value: &str, field: &Field<'_>, templates: Templates<'_>) {
        let lint = words::Lint { braces: true, ..self.lint_of(value, templates) };
        for Found { range, code, message, help } in words::look(value, &lint, false) {
            let written = Part { text: value, range }.place(field.template);
            let place = self.field_place(&field.from, written);
            self.push(Diagnostic::new(code, place, message).help(help));
        }
    }

    /// The text of an article, and its front matter if it has some.
    fn body(
        &mut self,
        plan: &PlanArticle,
        pointer: &str,
        templates: Templates<'_>,
    ) -> Option<(Body, Option<Rc<Page>>)> {
        let Some(path) = &plan.file else {
            let text = plan.content.as_ref().map(|content| content.0.as_str()).unwrap_or_default();
            let pointer = format!("{pointer}/content");
            let body = Body { text: text.into(), format: Format::Markdown, file: None, pointer, folder: String::new() };
            return Some((body, None));
        };
        let pointer = format!("{pointer}/file");
        let place = self.document.span(&pointer);
        let path = self.path(templates, &pointer, path)?;
        let format = match path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("md" | "markdown") => Format::Markdown,
            Some("html" | "htm") => Format::Html,
            Some("txt") if plan.kind == ArticleKind::Newspic => Format::Markdown,
            _ => {
                let message = say!("`{path}` is neither Markdown (.md) nor HTML (.html)", path);
                let help = say!("use the matching file extension");
                self.push(Diagnostic::new(Code::BadFormat, place, message).help(help));
                return None;
            }
        };
        let page = match self.pages.get(&path) {
            Some(known) => known.clone(),
            None => {
                let page = self.page(&path, &place).map(Rc::new);
                self.pages.insert(path.clone(), page.clone());
                page
            }
        }?;
        let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let (text, file) = (Rc::clone(&page.text), Some((page.file, page.begin)));
        Some((Body { text, format, file, pointer: path, folder }, Some(page)))
    }

    /// Reads a file of an article.
    fn page(&mut self, path: &str, place: &Span) -> Option<Page> {
        let before = self.diagnostics.errors();
        let (file, text) = self.text(path, place)?;
        let begin = front::end(&text);
        if begin == 0
            && let Some(front::Unread { code, range, message, help }) = front::unread(&text)
        {
            self.push(Diagnostic::new(code, Span::new(file, range), message).help(help));
            return None;
        }
        let front = match begin {
            0 => None,
            end if end > limits::FRONT_MATTER_BYTES_MAX => {
                let (bytes, most) = (Count(end as u64), Count(limits::FRONT_MATTER_BYTES_MAX as u64));
                let message = say!("the front matter has {bytes} bytes; the limit is {most}", bytes, most);
                let diagnostic = Diagnostic::new(Code::FileTooLarge, Span::new(file, 0..3), message);
                self.push(diagnostic.help(say!("write the text of the article below its closing `---`")));
                return None;
            }
            end => {
                // The same file up to the end of the front matter: the same lines and columns.
                let name = self.sources.file(file).path.clone();
                let before_close = text[..end].trim_end();
                let before_close = &before_close[..before_close.len() - "---".len()];
                let front = self.sources.add(name, before_close.to_owned());
                let before = self.diagnostics.raised();
                let document = yaml::parse(front, self.sources, self.diagnostics);
                if document.is_none() && self.diagnostics.raised() == before { None } else { Some(Rc::new(document?)) }
            }
        };
        if let Some(document) = &front {
            let cut = document.cut_short(self.sources, "", true);
            self.diagnostics.extend(cut);
            self.front_matter(document);
        }
        let good = self.diagnostics.errors() == before;
        let text = article::with_pictures(&text[begin..]).into();
        Some(Page { file, begin, text, front, good })
    }

    /// Checks what a front matter holds; what is right in it counts all the same.
    fn front_matter(&mut self, document: &Document) {
        let Some(members) = document.value.as_object() else {
            let place = document.span("");
            let raw = &self.sources.file(place.file).text[place.start..place.end];
            let diagnostic = match raw.lines().next().and_then(|line| Some((line.find('：')?, line))) {
                Some((at, line)) => {
                    let place = Span::new(place.file, place.start + at..place.start + at + '：'.len_utf8());
                    let line = format!("{}: {}", &line[..at], line[at..].trim_start_matches('：').trim());
                    let message = say!("there is a full-width colon (`：`)");
                    Diagnostic::new(Code::WrongType, place, message).help(say!("write `{line}`", line))
                }
                None => Diagnostic::new(Code::WrongType, place, say!("front matter must be a mapping"))
                    .help(say!("write `title: ...`")),
            };
            self.push(diagnostic);
            return;
        };
        for (name, value) in members {
            if front::is_other(name) && !KEYS.contains(&name.as_str()) {
                // Whoever marked it so did not mean to send it.
                let draft = matches!(
                    (name.as_str(), value),
                    ("draft", Value::Bool(true)) | ("published" | "publish", Value::Bool(false))
                );
                if draft {
                    let place = document.span(&format!("/{}", yaml::escape(name)));
                    let message = say!(
                        "the front matter says that this article is a draft: `{line}`",
                        line = format!("{name}: {value}")
                    );
                    self.push(
                        Diagnostic::new(Code::TestWords, place, message)
                            .help(say!("remove the line when the article is ready")),
                    );
                }
                continue;
            }
            let pointer = format!("/{}", yaml::escape(name));
            let flag = matches!(name.as_str(), "need_open_comment" | "only_fans_can_comment" | "optimize");
            let problem = if !KEYS.contains(&name.as_str()) {
                let diagnostic = Diagnostic::new(
                    Code::UnknownKey,
                    document.key_span(&pointer),
                    say!("unknown key `{key}`", key = name),
                );
                let value = value.as_str().unwrap_or("...");
                let help = match plan::slips::meant_key(name, KEYS) {
                    Some((key, inner)) => {
                        Some(say!("write `{line}`", line = format!("{key}: {}", inner.as_deref().unwrap_or(value))))
                    }
                    None => nearest(name, KEYS.iter().copied()),
                };
                diagnostic.help(help.unwrap_or_else(|| say!("allowed here: {keys}", keys = one_of(KEYS))))
            } else if flag != value.is_boolean() || (!flag && !value.is_string()) {
                let wrong = if flag {
                    say!("`{name}` must be true or false", name)
                } else {
                    say!("`{name}` must be text", name)
                };
                let written = document.written(self.sources, &pointer).map(str::to_owned);
                let written =
                    written.unwrap_or_else(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                let meant = plan::slips::meant_flag(&written).filter(|_| flag);
                let help = match (value, meant) {
                    (Value::Null, _) => say!("give it a value, or remove the key"),
                    (_, Some(meant)) => say!("write `{line}`", line = format!("{name}: {meant}")),
                    (Value::Number(_) | Value::Bool(_), None) => say!("put it in quotes: \"{value}\"", value = written),
                    _ => say!("write one line of text"),
                };
                Diagnostic::new(Code::WrongType, document.span(&pointer), wrong).help(help)
            } else {
                continue;
            };
            self.push(problem);
        }
    }

    fn field_place(&self, from: &TextSource, range: Option<Range<usize>>) -> Span {
        let (document, pointer) = match from {
            TextSource::Plan(pointer) => (self.document, pointer),
            TextSource::Front(document, pointer) => (&**document, pointer),
        };
        match range {
            Some(range) => document.span_in(self.sources, pointer, range),
            None => document.span(pointer),
        }
    }

    /// A field rendered; it must be known before the run.
    fn field(&mut self, field: &Field<'_>, templates: Templates<'_>) -> Option<String> {
        let text = self.field_with_slots(field, templates)?;
        if payload::has_slot(&text) {
            let place = self.field_place(&field.from, None);
            let message = say!("this must be known before the run");
            let help = say!("write the value, or use a variable");
            self.push(Diagnostic::new(Code::RuntimeValue, place, message).help(help));
            return None;
        }
        Some(text)
    }

    fn field_with_slots(&mut self, field: &Field<'_>, templates: Templates<'_>) -> Option<String> {
        match templates.engine.render(field.template, templates.context) {
            Ok(text) => Some(text),
            Err(failures) => {
                for failure in failures {
                    let diagnostic = failure_diagnostic(failure, |range| self.field_place(&field.from, range));
                    self.push(diagnostic);
                }
                None
            }
        }
    }

    fn limits(&mut self, name: &str, value: &str, count: usize, place: Span) {
        let characters = value.chars().count();
        let within = |most: usize| {
            if characters <= most {
                return None;
            }
            let (characters, limit) = (Count(characters as u64), Count(most as u64));
            Some(say!("`{name}` has {characters} characters; the maximum is {limit}", name, characters, limit))
        };
        let problem = match name {
            "title" if value.trim().is_empty() => Some(say!("the title is empty")),
            "title" => within(limits::TITLE_CHARS),
            "author" => within(limits::AUTHOR_CHARS),
            "digest" if count > 1 => Some(say!("a digest is allowed only with a single article")),
            "digest" => within(limits::DIGEST_CHARS),
            "source_url" if value.len() > limits::SOURCE_URL_BYTES => {
                let (bytes, limit) = (Count(value.len() as u64), Count(limits::SOURCE_URL_BYTES as u64));
                Some(say!("`{name}` has {bytes} bytes; the maximum is {limit}", name, bytes, limit))
            }
            "source_url"
                if !(value.starts_with("https://") || value.starts_with("http://"))
                    || value.contains(char::is_whitespace)
                    || address::bad_host(value).is_some() =>
            {
                Some(say!("`{value}` is not a URL", value))
            }
            "pic_crop_235_1" | "pic_crop_1_1" if !is_crop(value) => {
                Some(say!("`{value}` is not a crop such as `0.1945_0_1_0.5236` (X1_Y1_X2_Y2, each from 0 to 1)", value))
            }
            _ if value.contains(['\n', '\r']) => Some(say!("`{name}` has more than one line", name)),
            _ => None,
        };
        if let Some(problem) = problem {
            let help = say!("fix it; see `qunfa explain A406`");
            self.push(Diagnostic::new(Code::ArticleField, place, problem).help(help));
        }
    }

    /// A theme, and the name by which it is known again.
    fn theme(&mut self, field: Option<&Field<'_>>, templates: Templates<'_>) -> Option<(String, Rc<Theme>)> {
        let Some(field) = field else { return Some(("plain".into(), self.builtin("plain")?)) };
        let name = self.field(field, templates)?;
        if let Some(theme) = self.builtin(&name) {
            return Some((name, theme));
        }
        let place = self.field_place(&field.from, None);
        self.can_be_path(&name, &place)?;
        if !name.ends_with(".css") {
            let near = nearest(&name, Theme::BUILTIN.iter().copied());
            let help = near
                .unwrap_or_else(|| say!("write {themes}, or the path of a .css file", themes = one_of(Theme::BUILTIN)));
            self.push(Diagnostic::new(Code::NotAllowed, place, say!("there is no theme `{name}`", name)).help(help));
            return None;
        }
        let path = format!("{}{name}", field.folder);
        let theme = match self.themes.get(&path) {
            Some(known) => known.clone(),
            None => {
                let theme = self.text(&path, &place).and_then(|(file, css)| self.stylesheet(&path, file, &css));
                self.themes.insert(path.clone(), theme.clone());
                theme
            }
        };
        Some((path, theme?))
    }

    fn builtin(&mut self, name: &str) -> Option<Rc<Theme>> {
        if let Some(known) = self.themes.get(name) {
            return known.clone();
        }
        let theme = Rc::new(Theme::builtin(name)?);
        self.themes.insert(name.to_owned(), Some(Rc::clone(&theme)));
        Some(theme)
    }

    fn stylesheet(&mut self, path: &str, file: FileId, css: &str) -> Option<Rc<Theme>> {
        let (bytes, most) = (css.len(), limits::THEME_BYTES_MAX);
        if bytes > most {
            let (bytes, limit) = (Count(bytes as u64), Count(most as u64));
            let message = say!("the theme `{path}` has {bytes} bytes; the limit is {limit}", path, bytes, limit);
            let diagnostic = Diagnostic::new(Code::FileTooLarge, Span::new(file, most..most + 1), message);
            self.push(diagnostic.help(say!("a theme contains only rules for the tags and hooks of an article")));
            return None;
        }
        Some(Rc::new(Theme::parse(css, &|range| Span::new(file, range), self.diagnostics)))
    }

    /// A file, checked for where it is to go. It is named as the plan names it, which is the same from wherever the plan is
    /// looked at, and so is what is made of it.
    pub(super) fn file(
        &mut self,
        path: &str,
        target: MediaTarget,
        optimize: bool,
        place: &Span,
    ) -> Option<Arc<Upload>> {
        self.can_be_path(path, place)?;
        let key = (path.to_owned(), target, optimize);
        let (name, checked) = match self.media.get(&key) {
            Some(known) => known.clone(),
            None => {
                let checked = self.checked(path, target, optimize, place)?;
                self.media.insert(key, checked.clone());
                checked
            }
        };
        match checked {
            Ok(upload) => Some(upload),
            Err(unfit) => {
                self.unfit(&name, unfit, target, optimize, place);
                None
            }
        }
    }

    /// Reads a file that is uploaded.
    fn checked(&mut self, path: &str, target: MediaTarget, optimize: bool, place: &Span) -> Option<Checked> {
        // One byte more than is taken, so that "too large" can be said of the file rather than of the reading.
        let most = if optimize { limits::OPTIMIZE_BYTES_MAX } else { limits::MATERIAL_BYTES + 1 };
        let (name, bytes) = self.bytes(path, place, most)?;
        self.spent.media = self.spent.media.saturating_add(bytes.len() as u64);
        if self.spent.media > limits::MEDIA_BYTES_MAX {
            let most = Count(limits::MEDIA_BYTES_MAX >> 20);
            let message =
                say!("with `{name}`, the plan's pictures and other media have more than {most} MiB", name, most);
            self.push(Diagnostic::new(Code::TooComplex, place.clone(), message).help(say!("split the plan")));
            return None;
        }
        let mut left = limits::OPTIMIZE_WORK_MAX - self.spent.pixels;
        let upload = match optimize {
            true => Upload::optimized(plain_path(path), bytes, target, &mut left),
            false => Upload::new(plain_path(path), bytes, target, None),
        };
        self.spent.pixels = limits::OPTIMIZE_WORK_MAX - left;
        Some((name, upload.map(Arc::new)))
    }

    fn unfit(&mut self, name: &str, unfit: Unfit, target: MediaTarget, optimize: bool, place: &Span) {
        let million = |pixels: u64| Count(pixels / 1_000_000);
        let again = || say!("export it again");
        let resize = || say!("resize it; phones show at most 1,080 pixels of width");
        let (code, message, help) = match unfit {
            Unfit::Empty => (Code::MediaEmpty, say!("`{name}` is empty", name), again()),
            Unfit::Damaged => (Code::MediaDamaged, say!("`{name}` is truncated or damaged", name), again()),
            Unfit::Dimensions(width, height) => (
                Code::MediaDimensions,
                say!("`{name}` is too large: {width} × {height} pixels", name, width, height),
                resize(),
            ),
            Unfit::Pixels(width, height) => (
                Code::MediaDimensions,
                say!(
                    "`{name}` has {width} × {height} pixels; `optimize` accepts at most {most} million (half as many \
                     with 16 bits per channel)",
                    name,
                    width,
                    height,
                    most = million(limits::OPTIMIZE_PIXELS_MAX)
                ),
                resize(),
            ),
            Unfit::Work => (
                Code::TooComplex,
                say!(
                    "with `{name}`, `optimize` reads and writes more than {most} million pixels (a written one counts \
                     as {weight})",
                    name,
                    most = million(limits::OPTIMIZE_WORK_MAX),
                    weight = Count::from(limits::ENCODED_PIXEL)
                ),
                say!("commit pictures that are at most 1,440 pixels wide, or split the plan"),
            ),
            Unfit::Type(is, takes) => (
                Code::MediaType,
                match is {
                    "unknown" => say!("`{name}` is not a known type of file, and WeChat refuses it here", name),
                    is => say!("`{name}` is really {is}, which WeChat refuses here", name, is),
                },
                match is {
                    "image/webp" => say!("convert it to {types}, or write `optimize: true`", types = one_of(&takes)),
                    _ => say!("convert it to {types}", types = one_of(&takes)),
                },
            ),
            Unfit::Size(bytes, most) => (
                Code::MediaSize,
                say!(
                    "`{name}` has {bytes} bytes; it must have fewer than {most} here",
                    name,
                    bytes = Count(bytes as u64),
                    most = Count(most)
                ),
                match target {
                    MediaTarget::BodyImage | MediaTarget::Material(Material::Image | Material::Thumb) if !optimize => {
                        say!("make it smaller (fewer pixels, or more compression), or write `optimize: true`")
                    }
                    _ => say!("make it smaller"),
                },
            ),
        };
        self.push(Diagnostic::new(code, place.clone(), message).help(help));
    }

    fn cover(&mut self, field: &Field<'_>, optimize: bool, templates: Templates<'_>) -> Option<Cover> {
        let text = self.field_with_slots(field, templates)?;
        let place = self.field_place(&field.from, None);
        if payload::has_slot(&text) {
            if matches!(field.from, TextSource::Front(..)) {
                let message = say!("front matter cannot contain run-time values");
                let help = say!("write `cover:` in the plan instead");
                self.push(Diagnostic::new(Code::RuntimeValue, place, message).help(help));
                return None;
            }
            return Some(Cover::MediaId(MediaId::new(text)));
        }
        if let Some(id) = text.strip_prefix("media_id:").map(str::trim) {
            if !payload::is_value(id) {
                let help = say!("write `cover: media_id:ID` with an id of the material library");
                self.push(Diagnostic::new(Code::ArticleField, place, say!("the cover is no `media_id`")).help(help));
                return None;
            }
            return Some(Cover::MediaId(MediaId::new(id.to_owned())));
        }
        let target = MediaTarget::Material(Material::Image);
        let file = self.file(&format!("{}{text}", field.folder), target, optimize, &place)?;
        if let Some((width, height)) =
            media::dimensions(&file.bytes).filter(|(width, height)| is_odd_cover(*width, *height))
        {
            let message = say!("WeChat cannot crop a cover of {width} × {height} pixels (53402)", width, height);
            let help = say!("use a picture of about 900 × 383 pixels");
            self.push(Diagnostic::new(Code::MediaDimensions, place, message).help(help));
            return None;
        }
        Some(Cover::File(file))
    }

    /// Renders the templates of a body; the line of the source for each line of what comes out.
    fn rendered_body(&mut self, body: &Body, html: bool, templates: Templates<'_>) -> Option<(String, Vec<usize>)> {
        for reference in template::references(&body.text) {
            // The address of a picture: where it may stand, the conversion says.
            let is_url = reference.path[0] == "steps"
                && reference.path.len() > 2
                && reference.path.last().is_some_and(|last| last == "url");
            if html && is_url && reference.alone {
                let place = self.body_place(body, reference.range.clone());
                self.references.push((reference, place));
                continue;
            }
            let place = self.body_place(body, reference.range);
            let message = say!("in an article, a run-time value can only be the address of a picture");
            let help = say!("write `![description]({{{{ steps.ID.url }}}})`");
            self.push(Diagnostic::new(Code::RuntimeValue, place, message).help(help));
            return None;
        }
        match templates.engine.render_lines(&body.text, html, templates.context) {
            Ok(rendered) => Some(rendered),
            Err(failures) => {
                for failure in failures {
                    let whole = 0..body.text.len();
                    let diagnostic =
                        failure_diagnostic(failure, |range| self.body_place(body, range.unwrap_or(whole.clone())));
                    self.push(diagnostic);
                }
                None
            }
        }
    }

    /// The place of a range of the body before its templates were rendered.
    fn body_place(&self, body: &Body, range: Range<usize>) -> Span {
        match body.file {
            Some((file, begin)) => Span::new(file, begin + range.start..begin + range.end),
            None => self.document.span_in(self.sources, &body.pointer, range),
        }
    }

    fn news(
        &mut self,
        body: &Body,
        theme: Option<(String, Rc<Theme>)>,
        links: plan::account::LinkPolicy,
        optimize: bool,
        templates: Templates<'_>,
    ) -> Option<Shows> {
        if self.spent.articles > limits::ARTICLES_BYTES_MAX || self.spent.converted > limits::ARTICLES_READ_MAX {
            return None;
        }
        let (text, lines) = self.rendered_body(body, true, templates)?;
        let (theme_name, theme) = theme?;
        let links = match links {
            plan::account::LinkPolicy::Footnote => Links::Footnote,
            plan::account::LinkPolicy::Keep => Links::Keep,
            plan::account::LinkPolicy::Error => Links::Error,
        };
        self.spent.articles += text.len();
        let settings = (body.pointer.clone(), theme_name, optimize);
        let before = self.converted.remove(&settings);
        let other = before.is_some();
        let known = before.filter(|known| known.text == text);
        let braces = !body.text.contains("raw");
        let lint = Rc::new(words::Lint { braces, ..self.lint_of(&text, templates) });
        let again = known.is_some();
        if !again {
            self.converts(body, &text, other.then_some(&*theme))?;
        }
        let known = known.unwrap_or_else(|| {
            let (article, found) = {
                let places = Places::new(&text, &lines, &body.text);
                let place = |range: Range<usize>| self.body_place(body, places.source(range));
                let input = Input {
                    format: body.format,
                    text: &text,
                    place: &place,
                    theme: &theme,
                    links,
                    webp: optimize,
                    lint: Rc::clone(&lint),
                    colours: &self.spent.colours,
                };
                article::convert(&input)
            };
            Converted { text, article: article.map(Arc::new), found }
        });
        // What is wrong in a file is said for each step that uses it, as long as that is of use.
        if !again || self.diagnostics.raised() < limits::RAISED_AGAIN_MAX {
            for Finding { diagnostic, block } in known.found.clone() {
                self.diagnostics.push_in(diagnostic, block);
            }
        }
        let converted = known.article.clone();
        self.converted.insert(settings, known);
        let converted = converted?;
        self.spent.articles += converted.budget.bytes;
        if self.spent.articles > limits::ARTICLES_BYTES_MAX {
            let most = Count((limits::ARTICLES_BYTES_MAX >> 20) as u64);
            let message = say!("with this one, the plan's articles have more than {most} MiB of text and HTML", most);
            self.too_much(body, message);
            return None;
        }
        let mut uploads = Vec::new();
        for Image { path, place, .. } in &converted.images {
            let gif = path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("gif"));
            let target = if gif { MediaTarget::Animation } else { MediaTarget::BodyImage };
            uploads.push(self.file(&format!("{}{path}", body.folder), target, optimize, place));
        }
        let uploads: Option<Vec<Arc<Upload>>> = uploads.into_iter().collect();
        Some(Shows::News(converted, uploads?))
    }

    /// Counts a text that is converted; `theme` if another text of the same source was, as for each row of a small file.
    fn converts(&mut self, body: &Body, text: &str, theme: Option<&Theme>) -> Option<()> {
        let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        self.spent.converted += text.len() + limits::ARTICLE_LINE_BYTES * lines;
        self.spent.again += theme.map_or(0, |theme| text.len() + limits::CONVERSION_BYTES + theme.rules() / 4);
        let (most, of) = (limits::ARTICLES_READ_MAX, limits::ARTICLES_AGAIN_MAX);
        let message = if self.spent.converted > most {
            let most = Count::from(most >> 20);
            say!("with this one, the plan's articles have more than {most} MiB of text", most)
        } else if self.spent.again > of {
            let (of, each) = (Count::from(of), limits::CONVERSION_BYTES);
            say!(
                "with this one, the articles that differ by row have more than {of} bytes of text, each counted with {each} more",
                of,
                each
            )
        } else {
            return Some(());
        };
        // Nothing more is read.
        self.spent.converted = most + 1;
        self.too_much(body, message);
        None
    }

    fn too_much(&mut self, body: &Body, message: Phrase) {
        let place = self.body_place(body, 0..0);
        self.push(Diagnostic::new(Code::TooComplex, place, message).help(say!("split the plan")));
    }

    /// The words under the pictures of a `newspic`.
    fn newspic_text(&mut self, body: &Body, text: &str, templates: Templates<'_>) {
        let (characters, most) = (text.chars().count(), limits::NEWSPIC_CHARS);
        let place = |range: Range<usize>| self.body_place(body, range);
        let mut found = Vec::new();
        if characters > most {
            let message = say!(
                "the text of a `newspic` has {characters} characters; the maximum is {limit}",
                characters = Count::from(characters),
                limit = Count::from(most)
            );
            found.push(
                Diagnostic::new(Code::ArticleField, place(0..0), message).help(say!("shorten it, or write an article")),
            );
        }
        for Found { range, code, message, help } in words::look(text, &self.lint_of(text, templates), false) {
            let at = body.text.find(&text[range.clone()]).map_or(0..0, |at| at..at + range.len());
            found.push(Diagnostic::new(code, place(at), message).help(help));
        }
        self.diagnostics.extend(found);
    }

    fn pictures(
        &mut self,
        plan: &PlanArticle,
        pointer: &str,
        body: &Body,
        optimize: bool,
        templates: Templates<'_>,
    ) -> Option<Shows> {
        let (text, _) = self.rendered_body(body, false, templates)?;
        self.newspic_text(body, text.trim(), templates);
        let Some(images) = &plan.images else {
            let message = say!("this `newspic` has no pictures");
            let help = say!("write `images: [one.jpg, two.jpg]`; the first is the cover");
            self.push(Diagnostic::new(Code::ArticleField, self.document.span(pointer), message).help(help));
            return None;
        };
        let mut uploads = Vec::new();
        for (number, template) in images.iter().enumerate() {
            let pointer = format!("{pointer}/images/{number}");
            let field = Field { template: &template.0, folder: String::new(), from: TextSource::Plan(pointer.clone()) };
            let place = self.document.span(&pointer);
            let target = MediaTarget::Material(Material::Image);
            uploads.push(self.field(&field, templates).and_then(|path| self.file(&path, target, optimize, &place)));
        }
        let uploads: Option<Vec<Arc<Upload>>> = uploads.into_iter().collect();
        Some(Shows::Pictures(text.trim().to_owned(), uploads?))
    }
}

impl Article {
    /// The article on the wire, with slots for what uploads give.
    pub fn body(&self) -> Value {
        let mut body = serde_json::json!({ "article_type": if matches!(self.shows, Shows::News(..)) { "news" } else { "newspic" } });
        for name in ["title", "author", "digest"] {
            body[name] = self.members.get(name).cloned().into();
        }
        body["content"] = match &self.shows {
            Shows::News(article, uploads) => {
                let slot =
                    |at: usize| uploads.get(at).map(|upload| payload::stand_in(&upload.slot())).unwrap_or_default();
                let pieces = article.pieces.iter().map(|piece| match piece {
                    Piece::Html(html) => html.clone(),
                    Piece::Image(at) => slot(*at),
                });
                pieces.collect::<String>().into()
            }
            Shows::Pictures(text, _) => text.clone().into(),
        };
        body["content_source_url"] = self.members.get("content_source_url").cloned().into();
        body["thumb_media_id"] = match &self.cover {
            Some(Cover::File(upload)) => payload::stand_in(&upload.slot()).into(),
            Some(Cover::MediaId(id)) => id.text().into(),
            None => Value::Null,
        };
        for (name, flag) in ["need_open_comment", "only_fans_can_comment"].into_iter().zip(self.comments) {
            body[name] = flag.map(u8::from).into();
        }
        for name in ["pic_crop_235_1", "pic_crop_1_1"] {
            body[name] = self.members.get(name).cloned().into();
        }
        if let Shows::Pictures(_, uploads) = &self.shows {
            let ids =
                uploads.iter().map(|upload| serde_json::json!({ "image_media_id": payload::stand_in(&upload.slot()) }));
            body["image_info"] = serde_json::json!({ "image_list": ids.collect::<Vec<_>>() });
        }
        if let Some(members) = body.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        body
    }

    /// What it needs to be uploaded, in order.
    pub fn uploads(&self) -> impl Iterator<Item = &Arc<Upload>> {
        let (Shows::News(_, shown) | Shows::Pictures(_, shown)) = &self.shows;
        let cover = match &self.cover {
            Some(Cover::File(upload)) => Some(upload),
            _ => None,
        };
        shown.iter().chain(cover)
    }
}

/// The value of a plan for a member of its article.
fn own<'p>(plan: &'p PlanArticle, name: &str) -> Option<&'p Template> {
    match name {
        "title" => plan.title.as_ref(),
        "author" => plan.author.as_ref(),
        "digest" => plan.digest.as_ref(),
        "cover" => plan.cover.as_ref(),
        "theme" => plan.theme.as_ref(),
        "source_url" => plan.source_url.as_ref(),
        "pic_crop_235_1" => plan.pic_crop_235_1.as_ref(),
        "pic_crop_1_1" => plan.pic_crop_1_1.as_ref(),
        _ => None,
    }
}

/// Keys of other programs that have no effect here.
fn ignored_keys(front: &Value, takes_digest: bool) -> Vec<String> {
    let digest = (takes_digest && front.get("digest").is_none()).then(|| blog_digest(front)).flatten();
    let keys = front.as_object().into_iter().flat_map(|keys| keys.keys());
    let others = keys.filter(|key| front::is_other(key) && !KEYS.contains(&key.as_str()));
    others.filter(|key| digest.is_none_or(|(taken, _)| taken != key.as_str())).cloned().collect()
}

/// The digest that another program takes from a front matter, if it can be one here.
fn blog_digest(front: &Value) -> Option<(&'static str, &str)> {
    let fits = |text: &&str| {
        (1..=limits::DIGEST_CHARS).contains(&text.chars().count())
            && !text.trim().is_empty()
            && !text.trim().contains('\n')
    };
    ["description", "summary", "excerpt"]
        .into_iter()
        .find_map(|key| Some((key, front.get(key)?.as_str().filter(fits)?)))
}

/// Whether a cover is so small or long that WeChat fails to crop it.
fn is_odd_cover(width: u32, height: u32) -> bool {
    let (short, long) = (width.min(height), width.max(height));
    short < limits::COVER_SIDE_MIN || long > short.saturating_mul(limits::COVER_RATIO_MAX)
}

/// A path without `.`, and without folders that it leaves again.
pub(super) fn plain_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// From what was rendered back to its source.
struct Places<'t> {
    text: &'t str,
    source: &'t str,
    /// The line of the source for each line of the text.
    lines: &'t [usize],
    /// Where each line of the text and of the source begins.
    starts: [Vec<usize>; 2],
    /// For each line of the text whether it stands in the source as it is, once that was asked.
    same: Vec<Cell<Option<bool>>>,
}

impl<'t> Places<'t> {
    fn new(text: &'t str, lines: &'t [usize], source: &'t str) -> Self {
        let starts = |text: &str| -> Vec<usize> {
            std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect()
        };
        let starts = [starts(text), starts(source)];
        let same = vec![Cell::new(None); starts[0].len()];
        Self { text, source, lines, starts, same }
    }

    fn line(text: &str, starts: &[usize], number: usize) -> Range<usize> {
        let start = starts.get(number).copied().unwrap_or(text.len());
        let end = starts.get(number + 1).copied().unwrap_or(text.len());
        start..start + text[start..end].trim_end_matches(['\n', '\r']).len()
    }

    /// The range of the source for a range of what was rendered: exact where the line was not changed, else the same words
    /// in its line, else the line.
    fn source(&self, range: Range<usize>) -> Range<usize> {
        let (text, source) = (self.text, self.source);
        let start = text.floor_char_boundary(range.start.min(text.len()));
        let number = self.starts[0].partition_point(|begin| *begin <= start).saturating_sub(1);
        let rendered = Self::line(text, &self.starts[0], number);
        let written = Self::line(source, &self.starts[1], self.lines.get(number).copied().unwrap_or(number));
        let end = text.ceil_char_boundary(range.end.clamp(start, rendered.end.max(start)));
        let same = self.same.get(number).is_some_and(|same| {
            same.get().unwrap_or_else(|| {
                let found = text[rendered.clone()] == source[written.clone()];
                same.set(Some(found));
                found
            })
        });
        if same {
            return written.start + (start - rendered.start)..written.start + (end - rendered.start);
        }
        let words = &text[start..end];
        let next =
            self.lines.get(number + 1).map_or(written.end, |next| Self::line(source, &self.starts[1], *next).start);
        // A tag of several lines ends on another one than it begins.
        let around = [written.clone(), written.start..next.max(written.end)];
        let find =
            |part: &Range<usize>| Some(part.start + source[part.clone()].find(words).filter(|_| !words.is_empty())?);
        around.iter().find_map(find).map_or(written, |at| at..at + words.len())
    }
}

/// `X1_Y1_X2_Y2`, each from 0 to 1 with at most six decimals, the second point right of and below the first.
fn is_crop(text: &str) -> bool {
    let parts: Vec<Option<f64>> = text
        .split('_')
        .map(|part| {
            let decimals = part.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            part.parse().ok().filter(|value| (0.0..=1.0).contains(value) && decimals <= 6)
        })
        .collect();
    matches!(parts[..], [Some(x1), Some(y1), Some(x2), Some(y2)] if x1 < x2 && y1 < y2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_the_source() {
        let source = "# {{ vars.t }}\nsame\nx {{ vars.p }} word\n";
        let text = "# 春茶\nsame\nx 1\n2 word\n";
        let lines = [0, 1, 2, 2];
        let places = Places::new(text, &lines, source);
        let place = |words: &str| {
            let at = text.find(words).expect("there");
            &source[places.source(at..at + words.len())]
        };
        assert_eq!(place("same"), "same");
        assert_eq!(place("word"), "word");
        assert_eq!(place("春茶"), "# {{ vars.t }}");
    }

    #[test]
    fn paths_are_plain() {
        for (path, plain) in [
            ("a/./b.png", "a/b.png"),
            ("a/../b.png", "b.png"),
            ("../a//b.png", "../a/b.png"),
            ("../../a/../b", "../../b"),
        ] {
            assert_eq!(plain_path(path), plain);
        }
    }

    #[test]
    fn crops() {
        assert!(is_crop("0.1945_0_1_0.5236"));
        for bad in ["", "0_0_1", "0_0_2_1", "0.5_0_0.5_1", "0_0_1_0.1234567", "a_0_1_1"] {
            assert!(!is_crop(bad), "{bad}");
        }
    }
}
