//! Templates: minijinja, strict, with a limit on work; and what a template says of run-time values.
//!
//! Nothing here can read a file, the network or a secret: what templates may include was read before, and the context is
//! built by the caller.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use minijinja::{
    Environment, ErrorKind, UndefinedBehavior,
    value::{Enumerator, Object, ObjectRepr, Value, ValueKind},
};

use crate::{
    diag::{
        Code,
        source::{self, FileId},
    },
    limits,
    locale::{Count, Phrase, say},
    payload, slot,
    text::{did_you_mean, nearest, one_of},
};

mod errors;
mod filters;
pub(crate) mod numbers;
mod syntax;

/// Why a template failed, with the place inside its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) code: Code,
    pub(crate) message: Phrase,
    /// The included file in which it is wrong; none for the template itself.
    pub(crate) file: Option<FileId>,
    /// Bytes of the template, or of the included file.
    pub(crate) range: Option<Range<usize>>,
    /// For an included file: bytes of the template that uses it.
    pub(crate) used: Option<Range<usize>>,
    pub(crate) help: Vec<Phrase>,
}

impl Failure {
    /// A failure of the template itself.
    pub fn new(code: Code, message: impl Into<Phrase>, range: Option<Range<usize>>) -> Self {
        Self { code, message: message.into(), file: None, range, used: None, help: Vec::new() }
    }

    pub fn help(mut self, help: impl Into<Phrase>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// What templates may include or import, by name: a file that was read, or why it cannot be used.
pub type Library = BTreeMap<String, Result<(FileId, String), Phrase>>;

/// The template environment of a plan, with what its templates may do together.
pub struct Engine {
    /// For texts: values are put in as they are.
    texts: Environments,
    /// For articles: values are text and never markup.
    articles: OnceCell<Environments>,
    numbers: numbers::Current,
    budget: Budget,
    library: Arc<Library>,
    /// What is wrong with files of the library, whoever includes them.
    unusable: Arc<BTreeMap<String, Failure>>,
}

/// An environment with little work, in which most templates end, and the same with more. What a template did is known only where
/// it succeeds; so one that fails counts with all that it might have done, which is little for most.
struct Environments {
    first: Environment<'static>,
    more: Environment<'static>,
}

impl Environments {
    fn new(first: Environment<'static>) -> Self {
        let mut more = first.clone();
        more.set_fuel(Some(limits::TEMPLATE_FUEL));
        Self { first, more }
    }
}

/// What all templates of a plan may do together, rows included.
struct Budget {
    /// Work that is left.
    fuel: Cell<u64>,
    /// Bytes of text that are left.
    bytes: Cell<usize>,
    /// It was said that nothing is left.
    said: Cell<bool>,
}

impl Budget {
    fn new(fuel: u64, bytes: usize) -> Self {
        Self { fuel: Cell::new(fuel), bytes: Cell::new(bytes), said: Cell::new(false) }
    }

    fn work(&self, fuel: u64) {
        self.fuel.set(self.fuel.get().saturating_sub(fuel));
    }

    /// That a source is read, twice at most: to parse what stands in tags takes more than to pass over what does not.
    fn read(&self, source: &str) -> Result<(), Vec<Failure>> {
        let Tags { tags, blocks, bytes } = in_tags(source);
        // Blocks may nest, and each may be looked through for those in it.
        self.work(10 + source.len() as u64 / 16 + 10 * tags + blocks * blocks / 8 + 3 * bytes);
        self.check()
    }

    /// What a template did that succeeded. To visit and to compare what lists hold counts less than an instruction, and takes
    /// longer: a template that does much does that.
    fn did(&self, fuel: u64) {
        self.work(fuel + 3 * fuel.saturating_sub(limits::TEMPLATE_FUEL_LIGHT));
    }

    fn text(&self, text: String) -> Result<String, Vec<Failure>> {
        match self.bytes.get().checked_sub(text.len()) {
            Some(left) => self.bytes.set(left),
            None => self.fuel.set(0),
        }
        self.check().map(|()| text)
    }

    /// An error if nothing is left; it is told once.
    fn check(&self) -> Result<(), Vec<Failure>> {
        if self.fuel.get() > 0 {
            return Ok(());
        }
        if self.said.replace(true) {
            return Err(Vec::new());
        }
        let message = say!(
            "the plan's templates, counted once per row, do more than {fuel} units of work or make more than {bytes} bytes of text",
            fuel = Count::from(limits::PLAN_FUEL),
            bytes = Count::from(limits::PLAN_TEXT_BYTES)
        );
        let failure = Failure::new(Code::TemplateFuel, message, None);
        Err(vec![failure.help(say!("shorten their loops and texts, or split the plan"))])
    }
}

/// The tags of a source that do something, those of them that are blocks, and the bytes in them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tags {
    tags: u64,
    blocks: u64,
    bytes: u64,
}

/// About what is in the tags of a source, for a text in a tag may look like its end.
fn in_tags(source: &str) -> Tags {
    let (mut at, mut found) = (0, Tags::default());
    while let Some(open) = memchr::memchr(b'{', &source.as_bytes()[at..]) {
        let body = &source.as_bytes()[at + open + 1..];
        at += open + 1;
        if matches!(body.first(), Some(b'{' | b'%')) {
            let end = memchr::memchr(b'}', body).unwrap_or(body.len());
            at += end;
            found.tags += 1;
            found.blocks += u64::from(body.first() == Some(&b'%'));
            found.bytes += end as u64;
        }
    }
    found
}

/// How often a template began, and ended, to run.
static RUNS: AtomicU64 = AtomicU64::new(0);
/// Work that all templates did, as far as it is counted.
static WORK: AtomicU64 = AtomicU64::new(0);

/// Work of all templates until now, as far as it is counted.
pub(crate) fn counted() -> u64 {
    WORK.load(Ordering::Relaxed)
}

/// The number of the template that is running, if one is. All work of templates is counted but that of comparing values: a list
/// of two lists of two lists and so on is soon made, and never compared.
pub(crate) fn running() -> Option<u64> {
    Some(RUNS.load(Ordering::Relaxed)).filter(|runs| runs % 2 == 1)
}

/// The name of the template that is rendered, in errors; no file of the library can have it.
const ITSELF: &str = "/";
/// Around the number of a line of the source; no text of ours holds such characters.
const LINE: char = '\u{fdd2}';
const LINE_END: char = '\u{fdd3}';
/// Begins the detail of an error that stands for an entry of `unusable`.
const UNUSABLE: char = '\u{fdd0}';

fn environment(
    article: bool,
    library: &Arc<Library>,
    unusable: &Arc<BTreeMap<String, Failure>>,
    numbers: &numbers::Current,
) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(limits::TEMPLATE_FUEL_FIRST));
    env.set_debug(true);
    let syntax = minijinja::syntax::SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .build()
        .expect("the standard delimiters");
    env.set_syntax(syntax);
    // What is included is escaped like what includes it, whatever its name.
    env.set_auto_escape_callback(move |_| match article {
        true => minijinja::AutoEscape::Html,
        false => minijinja::AutoEscape::None,
    });
    let forms = numbers.clone();
    env.set_formatter(move |out, state, value| match value.kind() {
        ValueKind::Number if numbers::is_float(value) => {
            out.write_str(&forms.text(value)?).map_err(minijinja::Error::from)
        }
        ValueKind::String if matches!(state.auto_escape(), minijinja::AutoEscape::Html) && !value.is_safe() => {
            let text = value.as_str().map_or_else(|| value.to_string().into(), Cow::from);
            out.write_str(&source::disguise(&text)).map_err(minijinja::Error::from)
        }
        ValueKind::String | ValueKind::Number | ValueKind::Undefined => minijinja::escape_formatter(out, state, value),
        ValueKind::Plain if value.downcast_object_ref::<Placeholder>().is_some() => {
            minijinja::escape_formatter(out, state, value)
        }
        kind => Err(minijinja::Error::new(ErrorKind::BadSerialization, kind.to_string())),
    });
    filters::add(&mut env);
    numbers::add(&mut env, numbers);
    let (files, bad) = (Arc::clone(library), Arc::clone(unusable));
    env.set_loader(move |name| match files.get(name) {
        None => Ok(None),
        Some(_) if bad.contains_key(name) => {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{UNUSABLE}{name}")))
        }
        // The end of the last line belongs to the file, not to the text.
        Some(file) => {
            Ok(file.as_ref().ok().map(|(_, text)| text.strip_suffix('\n').unwrap_or(text.as_str()).to_owned()))
        }
    });
    env
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(Library::new())
    }
}

impl Engine {
    /// Templates that may include what is in the library.
    pub fn new(library: Library) -> Self {
        let unusable = Arc::new(unusable(&library));
        let library = Arc::new(library);
        let numbers = numbers::Current::default();
        let texts = Environments::new(environment(false, &library, &unusable, &numbers));
        let budget = Budget::new(limits::PLAN_FUEL, limits::PLAN_TEXT_BYTES as usize);
        Self { texts, articles: OnceCell::new(), numbers, budget, library, unusable }
    }

    /// The plan is rendered: from now on each condition has a limit of its own alone, so that none stops a run halfway because of
    /// those before it.
    pub fn at_run_time(&mut self) {
        self.budget = Budget::new(u64::MAX, usize::MAX);
    }

    /// Counts what is done around templates for each row as work of theirs.
    pub fn work(&self, fuel: u64) {
        self.budget.work(fuel);
    }

    /// An error if nothing is left of what all templates may do, of which it is the first that is told.
    pub fn may_work(&self) -> Result<(), Vec<Failure>> {
        self.budget.check()
    }

    /// A text that is no template, and that each row has: it counts as one.
    pub fn copy(&self, text: &str) -> Result<String, Vec<Failure>> {
        self.budget.text(text.to_owned())
    }

    /// Whether it was said that nothing is left of what all templates may do: none is rendered any more.
    pub fn is_spent(&self) -> bool {
        self.budget.said.get()
    }

    /// True if a file of the library holds such a word.
    pub fn library_mentions(&self, word: &str) -> bool {
        self.library.values().flatten().any(|(_, text)| text.contains(word))
    }

    /// Renders a text. All undefined names are reported at once.
    pub fn render(&self, source: &str, context: &Value) -> Result<String, Vec<Failure>> {
        if !source.contains(['{']) {
            self.budget.work(10);
            return self.budget.text(source.to_owned());
        }
        self.budget.read(source)?;
        too_deep(source)?;
        let text = self.report(source, context, &self.texts, rendered(source))?;
        let text = match numbers::with_written_sides(source) {
            None => text,
            Some(source) => {
                self.budget.read(&source)?;
                self.report(&source, context, &self.texts, rendered(&source))?
            }
        };
        self.budget.text(text)
    }

    /// Renders an article: values in it are text, whatever they hold ([`source::disguise`]), unless `html` is false. Gives
    /// the text, and for each of its lines the line of the source that it comes from, both from 0.
    pub fn render_lines(
        &self,
        source: &str,
        html: bool,
        context: &Value,
    ) -> Result<(String, Vec<usize>), Vec<Failure>> {
        if !source.contains('{') {
            let text = self.budget.text(source.to_owned())?;
            return Ok((text, (0..source.split('\n').count()).collect()));
        }
        self.budget.read(source)?;
        too_deep(source)?;
        let articles = || Environments::new(environment(true, &self.library, &self.unusable, &self.numbers));
        let envs = if html { self.articles.get_or_init(articles) } else { &self.texts };
        // What is wrong is looked for in the source itself, so that its places are right.
        let text = self.report(source, context, envs, rendered(source))?;
        let written = numbers::with_written_sides(source);
        let (source, text) = match &written {
            None => (source, text),
            Some(written) => {
                self.budget.read(written)?;
                (written.as_str(), self.report(written, context, envs, rendered(written))?)
            }
        };
        let text = self.budget.text(text)?;
        let marked = marked(source);
        self.budget.read(&marked)?;
        let lines = self.attempt(envs, context, &rendered(&marked)).ok().and_then(|marked| numbers(&marked, &text));
        let lines = lines.unwrap_or_else(|| same_lines(source, &text));
        Ok((text, lines))
    }

    /// Whether an expression that is evaluated while the plan runs can be: it is read now.
    pub fn refuse_expression(&self, source: &str) -> Result<(), Vec<Failure>> {
        self.budget.read(source)?;
        // Nothing closes it but its end.
        tag(source, "\0").map(drop).map_err(|(end, message)| vec![deep_tag(source, end, message)])
    }

    /// Evaluates a condition: its value must be a boolean, or the word `true` or `false`.
    pub fn condition(&self, source: &str, context: &Value) -> Result<bool, Vec<Failure>> {
        let source = bare_expression(source);
        self.refuse_expression(source)?;
        let run = |env: &Environment<'_>, context: &Value| {
            // What it did is not told.
            Ok((env.compile_expression(source)?.eval(context)?, env.fuel().unwrap_or_default()))
        };
        let value = self.report(source, context, &self.texts, run)?;
        match (value.kind(), value.as_str()) {
            (ValueKind::Bool, _) => Ok(value.is_true()),
            (_, Some("true")) => Ok(true),
            (_, Some("false")) => Ok(false),
            (ValueKind::Undefined, _) => Err(vec![self.undefined(source, &(0..source.len()), context).0]),
            (kind, _) => {
                let value = errors::kind(&kind.to_string());
                let message = say!("a condition must be true or false, but this is {value}", value);
                let failure = Failure::new(Code::BadRendered, message, Some(0..source.len()));
                Err(vec![failure.help(say!("compare it with something, for example `row.active == 'yes'`"))])
            }
        }
    }

    /// Runs a template; after an undefined name it puts something there and goes on, to find the next one.
    fn report<T>(
        &self,
        source: &str,
        context: &Value,
        envs: &Environments,
        run: impl Fn(&Environment<'_>, &Value) -> Result<(T, u64), minijinja::Error>,
    ) -> Result<T, Vec<Failure>> {
        const MOST: usize = 20;
        let mut failures: Vec<Failure> = Vec::new();
        // What a person is told of are the names of the plan, and not those that were made up.
        let given = context;
        let mut context = context.clone();
        self.numbers.of(source, &context);
        loop {
            self.budget.check()?;
            let error = match self.attempt(envs, &context, &run) {
                Ok(value) if failures.is_empty() => return Ok(value),
                Ok(_) => return Err(failures),
                Err(error) => error,
            };
            let (failure, path) = self.failure(source, &error, given);
            let repeated = failures.iter().any(|known| (known.file, &known.range) == (failure.file, &failure.range));
            // What fails after a made-up value may fail because of it.
            if repeated || (!failures.is_empty() && failure.code != Code::UndefinedName) {
                return Err(failures);
            }
            failures.push(failure);
            match path {
                Some(path) if failures.len() < MOST => context = with_value(&context, &path),
                _ => return Err(failures),
            }
        }
    }

    /// Runs a template with the work that most need, and if that is not enough with more.
    fn attempt<T>(
        &self,
        envs: &Environments,
        context: &Value,
        run: &impl Fn(&Environment<'_>, &Value) -> Result<(T, u64), minijinja::Error>,
    ) -> Result<T, minijinja::Error> {
        let run = |env: &Environment<'_>| {
            RUNS.fetch_add(1, Ordering::Relaxed);
            let result = run(env, context);
            RUNS.fetch_add(1, Ordering::Relaxed);
            let fuel = result.as_ref().map_or(env.fuel().unwrap_or_default(), |(_, fuel)| *fuel);
            WORK.fetch_add(fuel, Ordering::Relaxed);
            match &result {
                Ok(_) => self.budget.did(fuel),
                Err(_) => self.budget.work(fuel),
            }
            result.map(|(value, _)| value)
        };
        let spent = |result: &Result<T, minijinja::Error>| {
            result.as_ref().is_err_and(|error| innermost(error).kind() == ErrorKind::OutOfFuel)
        };
        let mut result = run(&envs.first);
        if spent(&result) {
            result = run(&envs.more);
        }
        if spent(&result) {
            // It is not worth much to try it with every row.
            self.budget.work(10 * limits::TEMPLATE_FUEL);
        }
        result
    }

    fn failure(&self, source: &str, error: &minijinja::Error, context: &Value) -> (Failure, Option<Vec<String>>) {
        let inside =
            |error: &minijinja::Error, text: &str| error.range().filter(|range| text.get(range.clone()).is_some());
        let cause = innermost(error);
        if let Some(failure) = cause.detail().and_then(|detail| self.unusable.get(detail.strip_prefix(UNUSABLE)?)) {
            let outer = inside(error, source);
            let failure = failure.clone();
            return match failure.file {
                Some(_) => (Failure { used: outer, ..failure }, None),
                None => (Failure { range: outer, ..failure }, None),
            };
        }
        let library = cause.name().and_then(|name| self.library.get(name)?.as_ref().ok());
        let Some((file, text)) = library else {
            return self.explain(source, cause, inside(cause, source), context);
        };
        let (mut failure, path) = self.explain(text, cause, inside(cause, text), context);
        if failure.code == Code::UndefinedName && path.as_ref().is_some_and(|path| path.len() == 1) {
            failure.help = vec![say!("if it is a macro parameter, the value passed to it is undefined")];
        }
        let used = inside(error, source).filter(|_| error.name() == Some(ITSELF));
        (Failure { file: Some(*file), used, ..failure }, path)
    }

    /// What an error means, whose place is in `source`.
    fn explain(
        &self,
        source: &str,
        error: &minijinja::Error,
        range: Option<Range<usize>>,
        context: &Value,
    ) -> (Failure, Option<Vec<String>>) {
        let detail = error.detail().unwrap_or_default().to_owned();
        let plain = |code, message: Phrase, help: Option<Phrase>| {
            let failure = Failure::new(code, message, range.clone());
            (Failure { help: help.into_iter().collect(), ..failure }, None)
        };
        match error.kind() {
            ErrorKind::UndefinedError => {
                let range = range.unwrap_or(0..source.len());
                let (failure, path) = self.undefined(source, &range, context);
                (failure, Some(path))
            }
            ErrorKind::SyntaxError => {
                // The cause is looked for in all of it, for each row again.
                self.budget.work(10 * source.len() as u64);
                let syntax::Cause { message, range, help } = syntax::explain(source, &detail, range);
                let failure = Failure::new(Code::TemplateSyntax, message, range);
                (help.into_iter().fold(failure, Failure::help), None)
            }
            ErrorKind::TemplateNotFound => {
                self.budget.work(15 * self.library.len() as u64);
                let name = detail.split_once(['"', '\'']).and_then(|(_, rest)| Some(rest.rsplit_once(['"', '\''])?.0));
                let near = nearest(name.unwrap_or_default(), self.library.keys().map(String::as_str));
                let help = near
                    .unwrap_or_else(|| say!("templates can include only files from `templates/` in the project root"));
                let message = say!("template `{name}` not found", name = name.unwrap_or(&detail));
                plain(Code::TemplateFailed, message, Some(help))
            }
            ErrorKind::OutOfFuel => plain(
                Code::TemplateFuel,
                say!(
                    "the template ran too long and was stopped (after {most} units of work)",
                    most = Count::from(limits::TEMPLATE_FUEL)
                ),
                Some(say!("shorten its loops and repetitions")),
            ),
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => {
                let wrong = range.clone().map_or("", |range| &source[range]);
                let names = FILTERS.iter().chain(filters::NAMES).copied();
                plain(Code::TemplateFailed, errors::failed(error), nearest(wrong.trim(), names))
            }
            ErrorKind::BadSerialization if detail.starts_with(numbers::NO_FORM) => {
                let failure = no_form(detail.trim_start_matches(numbers::NO_FORM), range.clone());
                (failure, None)
            }
            ErrorKind::BadSerialization => plain(
                Code::NotText,
                say!("the template inserts a value that is not text: {value}", value = errors::kind(&detail)),
                Some(say!("choose the words with an `if`, or use a filter such as `join` or `length`")),
            ),
            _ => plain(Code::TemplateFailed, errors::failed(error), None),
        }
    }

    /// An undefined name, the names that are there instead, and its path.
    fn undefined(&self, source: &str, range: &Range<usize>, context: &Value) -> (Failure, Vec<String>) {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        // The range of a filter on an undefined value is the filter: what is undefined stands before it.
        let range = &match source[..range.start].trim_end().strip_suffix('|') {
            Some(before) => {
                let end = before.trim_end().len();
                let start = source[..end].rfind(|c: char| !word(c)).map_or(0, |at| at + 1);
                start..end
            }
            None => range.clone(),
        };
        let range =
            if source.is_char_boundary(range.start) && range.start < range.end { range } else { &(0..source.len()) };
        let start = source[..range.start]
            .rfind(|c: char| !word(c))
            .map_or(0, |at| at + source[at..].chars().next().map_or(1, char::len_utf8));
        let path: Vec<String> = source[start..range.end].split('.').map(|part| part.trim().to_owned()).collect();
        let mut at = context.clone();
        let mut walked = 0;
        for part in &path {
            match at.get_attr(part) {
                Ok(next) if !next.is_undefined() => at = next,
                _ => break,
            }
            walked += 1;
        }
        let known: Vec<String> = at
            .try_iter()
            .map(|keys| keys.filter_map(|key| key.as_str().map(str::to_owned)))
            .map(|keys| keys.filter(|key| !key.starts_with(numbers::NO_FORM)).collect())
            .unwrap_or_default();
        // They are looked through for one that is near, and copied to go on: a row may have hundreds, and a plan thousands.
        self.budget.work(15 * known.len() as u64);
        let missing = path.get(walked).map_or("", String::as_str);
        let parent = path[..walked.min(path.len())].join(".");
        let mut help = Vec::new();
        let near = did_you_mean(missing, known.iter().map(String::as_str));
        let full = |name: &str| {
            let plain =
                name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_numeric());
            match parent.is_empty() {
                true => name.to_owned(),
                false if plain => format!("{parent}.{name}"),
                false => format!("{parent}[\"{name}\"]"),
            }
        };
        // The name of a column may have dots.
        let dotted = path.get(walked..).map(|rest| rest.join(".")).filter(|rest| known.contains(rest));
        let owner = ["vars", "row", "env"].into_iter().find(|owner| {
            let map = context.get_attr(owner).and_then(|map| map.get_attr(missing));
            parent.is_empty() && map.is_ok_and(|value| !value.is_undefined())
        });
        if let Some(dotted) = dotted {
            help.push(say!("write `{name}`", name = full(&dotted)));
        } else if let Some(near) = near {
            help.push(say!("did you mean `{near}`?", near = full(near)));
        } else if parent == "env" {
            help.push(say!("to let templates read `{name}`, list it under `env` in the plan", name = missing));
        } else if parent == "account" && missing == "name" {
            help.push(say!("add `name:` to the account"));
        } else if parent.is_empty() && !known.iter().any(|name| name == "row") && missing == "row" {
            help.push(say!("`row` exists only in a step with `foreach`"));
        } else if let Some(owner) = owner {
            help.push(say!("did you mean `{near}`?", near = format!("{owner}.{missing}")));
        } else if known.is_empty() && parent.is_empty() {
            help.push(say!("no values are available here"));
        } else if known.is_empty() {
            help.push(say!("`{parent}` has no values", parent = parent.as_str()));
        } else {
            let names: Vec<String> = known.iter().take(20).map(|name| full(name)).collect();
            help.push(say!("available: {names}", names = one_of(&names)));
        }
        // Code has braces too.
        if parent.is_empty() && near.is_none() && owner.is_none() && missing != "row" {
            help.push(syntax::as_it_is());
        }
        let name = source[start..range.end].to_owned();
        let failure = Failure::new(Code::UndefinedName, say!("`{name}` is not defined", name), Some(start..range.end));
        (Failure { help, ..failure }, path)
    }
}

/// Why a number does not come into text: it has no end, or several forms.
fn no_form(why: &str, range: Option<Range<usize>>) -> Failure {
    let (message, help) = match why.split_once(' ') {
        Some((one, other)) => (
            say!(
                "the plan writes this number as `{one}` and as `{other}`, and a template cannot tell which is meant",
                one,
                other
            ),
            say!("put quotes around one of the two, or format it: `| number(2)`, `| money`"),
        ),
        None if why == "infinite" => {
            (say!("the template computes a number that has no end"), say!("check for a division by 0"))
        }
        None => (
            say!("the template puts the computed number `{number}` into text", number = why),
            say!("round it: `| number(2)` or `| money`"),
        ),
    };
    Failure::new(Code::NumberForm, message, range).help(help)
}

/// The names of all variables, columns and environment variables, in full; no more than are looked for.
pub(crate) fn names(context: &Value) -> Vec<String> {
    let of = |owner: &str| -> Vec<String> {
        let map = context.get_attr(owner).unwrap_or_default();
        let keys = map.try_iter().into_iter().flatten().take(limits::NAMES_LOOKED_FOR);
        keys.filter_map(|key| key.as_str().map(str::to_owned)).collect()
    };
    let names = ["vars", "row", "env"].into_iter().flat_map(|owner| {
        let names = of(owner).into_iter().filter(|name| !name.starts_with(numbers::NO_FORM));
        names.map(move |name| format!("{owner}.{name}")).collect::<Vec<_>>()
    });
    names.take(limits::NAMES_LOOKED_FOR).collect()
}

/// What went wrong in an included file is wrapped in where it was included.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let mut cause = error;
    while let Some(deeper) = std::error::Error::source(cause).and_then(|error| error.downcast_ref()) {
        cause = deeper;
    }
    cause
}

/// A text may refer to some run-time values: for each of them all of it is looked through.
pub fn too_many(references: &[Reference]) -> Option<Failure> {
    let range = references.get(limits::REFERENCES_MAX)?.range.clone();
    let message = say!("more than {most} run-time values are inserted here", most = limits::REFERENCES_MAX);
    Some(Failure::new(Code::TemplateFuel, message, Some(range)).help(say!("split the message")))
}

/// Renders a source; gives what that took too.
fn rendered(source: &str) -> impl Fn(&Environment<'_>, &Value) -> Result<(String, u64), minijinja::Error> {
    |env, context| {
        let captured = env.template_from_named_str(ITSELF, source)?.render_captured(context.clone())?;
        let fuel = captured.state().fuel_levels().map_or(0, |(consumed, _)| consumed);
        Ok((captured.into_output(), fuel))
    }
}

/// What people may have meant by a filter that does not exist.
const FILTERS: &[&str] = &[
    "abs",
    "batch",
    "bool",
    "capitalize",
    "count",
    "default",
    "dictsort",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
];

/// What is wrong with files of a library before anything is rendered: one that could not be read, one that nests too
/// deeply, and one that names a run-time value (what includes it could not be shown in a dry run).
fn unusable(library: &Library) -> BTreeMap<String, Failure> {
    let problem = |file: &Result<(FileId, String), Phrase>| match file {
        Err(why) => Some(Failure::new(Code::TemplateFailed, why.clone(), None)),
        Ok((file, text)) => {
            let deep = too_deep(text).err().map(|mut failures| failures.remove(0));
            let runtime = || {
                let reference = references(text).into_iter().next()?;
                let message = say!(
                    "an included template cannot use the run-time value `{value}`",
                    value = reference.path.join(".")
                );
                let help = say!("insert it in the message itself; run-time values can only be inserted, not passed on");
                Some(Failure::new(Code::RuntimeValue, message, Some(reference.range)).help(help))
            };
            deep.or_else(runtime).map(|failure| Failure { file: Some(*file), ..failure })
        }
    };
    library.iter().filter_map(|(name, file)| Some((name.clone(), problem(file)?))).collect()
}

/// Parsers recurse, and so does what they make: what nests too deeply is refused before one sees it. Brackets nest, and each
/// operator, filter or dot of a chain. Texts in a tag are passed over, as is what stands outside of tags.
fn too_deep(source: &str) -> Result<(), Vec<Failure>> {
    let refused =
        |message: Phrase| Err(vec![Failure::new(Code::TemplateFuel, message, None).help(say!("split the message"))]);
    if source.len() > limits::TEMPLATE_BYTES_MAX {
        return refused(say!(
            "the template has more than {most} bytes",
            most = Count::from(limits::TEMPLATE_BYTES_MAX)
        ));
    }
    let (mut at, mut blocks) = (0, 0);
    while let Some(open) = source[at..].find('{') {
        at += open + 1;
        let body = source[at..].get(1..).unwrap_or_default();
        let begins = |word: &str| {
            let rest = body.trim_start_matches(['-', '+']).trim_start().strip_prefix(word);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        let passed = |end: &str| body.find(end).map_or(body.len(), |found| found + end.len());
        at += match source[at..].chars().next() {
            Some('#') => 1 + passed("#}"),
            Some('%') if begins("raw") => 1 + passed("endraw"),
            Some(kind @ ('%' | '{')) => {
                blocks += usize::from(kind == '%');
                let end = tag(body, if kind == '%' { "%}" } else { "}}" });
                1 + end.map_err(|(end, message)| vec![deep_tag(source, at + 1 + end, message)])?
            }
            _ => 0,
        };
        if blocks > limits::TEMPLATE_BLOCKS_MAX {
            return refused(say!(
                "the template has more than {most} blocks",
                most = Count::from(limits::TEMPLATE_BLOCKS_MAX)
            ));
        }
    }
    Ok(())
}

fn deep_tag(source: &str, at: usize, message: Phrase) -> Failure {
    let range = at..source.ceil_char_boundary((at + 1).min(source.len()));
    Failure::new(Code::TemplateSyntax, message, Some(range)).help(say!("split the tag, for example with `set`"))
}

/// Where a tag ends, or where it is too deep and why. `body` is what follows its opening.
fn tag(body: &str, close: &str) -> Result<usize, (usize, Phrase)> {
    let (mut depth, mut parts, mut quote, mut word) = (0_usize, 0, None, false);
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        if let Some(open) = quote {
            if c == '\\' {
                chars.next();
            } else if c == open {
                quote = None;
            }
            continue;
        }
        if depth == 0 && body[at..].starts_with(close) {
            return Ok(at + close.len());
        }
        let of_word = c.is_alphanumeric() || c == '_';
        parts += usize::from(if of_word { !word } else { !c.is_whitespace() });
        word = of_word;
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::TEMPLATE_DEPTH_MAX {
            let most = limits::TEMPLATE_DEPTH_MAX;
            return Err((at, say!("the template has more than {most} nested brackets", most)));
        }
        if parts > limits::TEMPLATE_TAG_PARTS_MAX {
            let most = Count::from(limits::TEMPLATE_TAG_PARTS_MAX);
            return Err((at, say!("a template tag has more than {most} words and symbols", most)));
        }
    }
    Ok(body.len())
}

/// The context with some value at a path that had none.
fn with_value(context: &Value, path: &[String]) -> Value {
    fn insert(at: &Value, path: &[String]) -> Value {
        let Some((first, rest)) = path.split_first() else { return Value::from("?") };
        let mut map: BTreeMap<String, Value> = BTreeMap::new();
        for key in at.try_iter().into_iter().flatten() {
            map.insert(key.to_string(), at.get_item(&key).unwrap_or_default());
        }
        let inner = at.get_attr(first).unwrap_or_default();
        map.insert(first.clone(), insert(&inner, rest));
        Value::from(map)
    }
    insert(context, path)
}

/// The source with the number of each line that has something outside of a tag before the first of it. Where a tag eats
/// the blanks around it, the number stands behind them.
fn marked(source: &str) -> String {
    let mut out = String::with_capacity(source.len() * 2);
    let mut inside: Option<&str> = None;
    let mut eaten = false;
    for (number, line) in source.split_inclusive('\n').enumerate() {
        let mut due = Some(format!("{LINE}{number}{LINE_END}"));
        let mut rest = line;
        while !rest.is_empty() {
            if let Some(close) = inside {
                let Some((within, after)) = rest.split_once(close) else { break };
                eaten = within.ends_with('-');
                out.push_str(&rest[..rest.len() - after.len()]);
                (inside, rest) = (None, after);
                continue;
            }
            let mut braces = rest.match_indices('{').map(|(at, _)| at);
            let open = braces.find(|at| rest[at + 1..].starts_with(['{', '%', '#'])).map(|at| (at, &rest[at..at + 2]));
            let (text, after) = rest.split_at(open.map_or(rest.len(), |(at, _)| at));
            let eats = after.get(2..).is_some_and(|tag| tag.starts_with('-'));
            let blanks = text.len() - text.trim_start().len();
            let at = match (blanks == text.len(), eaten, eats) {
                // Nothing may stand between the blanks and a tag that eats them.
                (true, true, _) | (true, _, true) => None,
                (false, true, _) => Some(blanks),
                _ => Some(0),
            };
            eaten &= blanks == text.len();
            match at.and_then(|at| Some((at, due.take()?))) {
                Some((at, mark)) => out.extend([&text[..at], &mark, &text[at..]]),
                None => out.push_str(text),
            }
            rest = after;
            if let Some((_, tag)) = open {
                out.push_str(tag);
                inside = Some(match tag {
                    "{{" => "}}",
                    "{%" => "%}",
                    _ => "#}",
                });
                rest = &after[2..];
            }
        }
        out.push_str(rest);
    }
    out
}

/// The numbers of lines in what was rendered with them; none if the text is not the same without them.
fn numbers(marked: &str, text: &str) -> Option<Vec<usize>> {
    let (mut lines, mut line, mut seen) = (Vec::new(), 0, 0);
    // A line that several were joined to is where its first words are.
    let mut begun: Option<usize> = None;
    let mut rest = marked;
    loop {
        let end = rest.find(['\n', LINE]).unwrap_or(rest.len());
        if text.get(seen..seen + end) != Some(&rest[..end]) {
            return None;
        }
        if begun.is_none() && !rest[..end].trim().is_empty() {
            begun = Some(line);
        }
        seen += end;
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix(LINE) {
            let (number, after) = after.split_once(LINE_END)?;
            line = number.parse().ok()?;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('\n') {
            seen += 1;
            lines.push(begun.take().unwrap_or(line));
            rest = after;
        } else {
            lines.push(begun.unwrap_or(line));
            return (seen == text.len()).then_some(lines);
        }
    }
}

/// For each line of what was rendered the next same one of the source, or the one before.
fn same_lines(source: &str, text: &str) -> Vec<usize> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, line) in source.split('\n').enumerate() {
        places.entry(line).or_default().push(number);
    }
    let mut last = 0;
    let find = |line: &str| {
        let known = places.get(line).filter(|_| !line.trim().is_empty());
        last = known.and_then(|known| known.iter().copied().find(|number| *number >= last)).unwrap_or(last);
        last
    };
    text.split('\n').map(find).collect()
}

/// The members of a value that a template names: those of `row` in `{{ row.city }}`.
pub(crate) fn members(source: &str, root: &str) -> Vec<String> {
    let member = |(start, _): (usize, &str)| {
        let before = source[..start].chars().next_back();
        let whole = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '\'' | '"'));
        path_part(&source[start + root.len()..]).filter(|_| whole).map(|(part, _)| part)
    };
    source.match_indices(root).filter_map(member).collect()
}

/// A condition may be written with braces, which say nothing there.
pub fn bare_expression(source: &str) -> &str {
    let trimmed = source.trim();
    trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map_or(source, str::trim)
}

/// What a template says of a value that is known only at run time: `steps.a.msg_id`, `run.id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `steps` or `run`, and the parts after it, unquoted.
    pub(crate) path: Vec<String>,
    pub(crate) range: Range<usize>,
    /// True if a `{{ }}` holds it and nothing else, so that a slot can stand for it.
    pub(crate) alone: bool,
}

impl Reference {
    /// `run.date` is known before the run, and a bare `run` is nothing special.
    fn is_at_run_time(&self) -> bool {
        self.path[0] != "run" || matches!(self.path.get(1).map(String::as_str), Some("id" | "time"))
    }
}

/// All references to run-time values in a text with `{{ }}` and `{% %}`; no more than one too many.
pub fn references(source: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut from = 0;
    // Each byte is looked at once, however many tags there are.
    let tag = |from: usize| {
        let mut braces = source[from..].match_indices('{').map(|(at, _)| from + at);
        braces.find(|at| source[at + 1..].starts_with(['{', '%']))
    };
    while let Some(open) = tag(from).filter(|_| found.len() <= limits::REFERENCES_MAX) {
        let close = if source[open..].starts_with("{{") { "}}" } else { "%}" };
        let end = source[open + 2..].find(close).map_or(source.len(), |at| open + 2 + at);
        let inside = open + 2..end;
        for mut reference in references_in(&source[inside.clone()]) {
            let range = reference.range.start + inside.start..reference.range.end + inside.start;
            let around = (
                source[inside.start..range.start].trim_matches(['-', '+']),
                source[range.end..end].trim_matches(['-', '+']),
            );
            reference.alone = close == "}}" && around.0.trim().is_empty() && around.1.trim().is_empty();
            reference.range = range;
            found.push(reference);
        }
        from = end;
    }
    found
}

/// All references to run-time values in an expression; no more than one too many.
pub fn references_in(expression: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    for root in ["steps", "run"] {
        for (start, _) in expression.match_indices(root) {
            let before = expression[..start].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '\'' | '"')) {
                continue;
            }
            let mut at = start + root.len();
            if expression[at..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let mut path = vec![root.to_owned()];
            while let Some((part, used)) = path_part(&expression[at..]) {
                path.push(part);
                at += used;
            }
            let reference = Reference { path, range: start..at, alone: false };
            if reference.is_at_run_time() {
                found.push(reference);
            }
            if found.len() > limits::REFERENCES_MAX {
                break;
            }
        }
    }
    found.sort_by_key(|reference| reference.range.start);
    found
}

/// `.name`, `["name"]` or `[0]` at the beginning of a text, and how long it is.
fn path_part(text: &str) -> Option<(String, usize)> {
    // No id, key or output is longer; what never ends is looked for no further.
    let text = &text[..text.floor_char_boundary(text.len().min(limits::LINE_SHOWN))];
    if let Some(rest) = text.strip_prefix('.') {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        return (length > 0).then(|| (rest[..length].to_owned(), 1 + length));
    }
    let rest = text.strip_prefix('[')?;
    let close = match rest.chars().next()? {
        quote @ ('"' | '\'') => 1 + rest[1..].find(quote)? + 1,
        _ => rest.find(']')?,
    };
    let part = rest[..close].trim_matches(['"', '\'']).to_owned();
    rest[close..].starts_with(']').then(|| (part, 1 + close + 1))
}

/// What stands for the value of a reference in a rendered text, as [`Placeholder`] makes it.
pub fn stand_in(path: &[String]) -> String {
    let members: String = path[1..].iter().map(|part| slot::member(part)).collect();
    payload::stand_in(&format!("{}{members}", path[0]))
}

/// Stands for everything under `steps` in a dry run: any path gives a slot of that name.
#[derive(Debug)]
pub struct Placeholder {
    name: String,
}

impl Placeholder {
    /// The root, usually `steps`.
    pub fn value(name: &str) -> Value {
        Value::from_object(Self { name: name.to_owned() })
    }

    fn child(&self, key: &Value) -> String {
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        format!("{}{}", self.name, slot::member(&key))
    }
}

impl Object for Placeholder {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Self::value(&self.child(key)))
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&payload::stand_in(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn render(source: &str, context: Value) -> Result<String, Vec<Failure>> {
        Engine::default().render(source, &context)
    }

    #[test]
    fn templates_have_one_budget_together() {
        let of = |fuel, bytes| Engine { budget: Budget::new(fuel, bytes), ..Engine::default() };
        let until_refused = |engine: &Engine, source: &str| {
            let context = context! { a => "a" };
            let end = (0..1_000).find_map(|number| match engine.render(source, &context) {
                Err(failures)
                    if failures
                        .iter()
                        .all(|failure| failure.message.to_string().starts_with("the plan's templates")) =>
                {
                    Some((number, failures.len()))
                }
                _ => None,
            });
            assert_eq!(engine.render("x", &context), Err(Vec::new()), "it is said once");
            end
        };
        // Ten loops of a thousand steps each take ten times the budget of one, and so do those that fail.
        let round = "{% for i in range(1000) %}{% endfor %}";
        let once = {
            let engine = of(1_000_000, 1_000);
            engine.render(round, &context! {}).expect("renders");
            1_000_000 - engine.budget.fuel.get()
        };
        assert_eq!(until_refused(&of(once * 10, 1_000), round), Some((9, 1)));
        let failing = format!("{round}{{{{ a | money }}}}");
        let failed = until_refused(&of(10 * limits::TEMPLATE_FUEL, 1_000), &failing).expect("refused");
        assert!(failed.0 <= 10, "what fails counts with all that it may have done: {failed:?}");
        assert_eq!(until_refused(&of(1_000_000, 100), "{{ a }}23456789"), Some((11, 1)));
        assert_eq!(until_refused(&of(1_000_000, 100), "123456789"), Some((11, 1)));
        let mut engine = of(1, 1);
        engine.at_run_time();
        assert_eq!(engine.condition("1 == 1", &context! {}), Ok(true));
    }

    #[test]
    fn what_takes_long_counts_for_more_than_what_does_not() {
        let left = |engine: &Engine| engine.budget.fuel.get();
        let used = |source: &str| {
            let engine = Engine { budget: Budget::new(limits::PLAN_FUEL, 1_000_000), ..Engine::default() };
            let _ = engine.render(source, &context! { list => (0..20_000).collect::<Vec<_>>(), a => "a" });
            limits::PLAN_FUEL - left(&engine)
        };
        // Visited items count as half an instruction each, four times over; and so do parts of a tag, before they are run.
        assert!(used("{{ 'a' if -1 in list else 'b' }}") > 4 * 10_000);
        assert!(used(&format!("{{{{ a{} }}}}", " | string".repeat(500))) > 500 * 9 * 3);
        // What is ordinary counts for little: text outside of tags hardly, and a value of a row some dozens.
        assert!(used(&("{".to_owned() + &"x".repeat(16_000))) < 1_500);
        assert!(used("{{ a }}") < 60, "{}", used("{{ a }}"));
        assert_eq!(in_tags("a {{ b }} { {% c %}{# {{ #} {{ d"), Tags { tags: 4, blocks: 1, bytes: 15 });
        // What never ends is not tried with many rows.
        let engine = Engine::default();
        let endless = "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}";
        let tried = (0..1_000).take_while(|_| engine.render(endless, &context! {}).is_err() && !engine.is_spent());
        assert_eq!(tried.count(), 8);
    }

    #[test]
    fn text_is_kept_to_the_letter() {
        let context = context! { vars => context! { a => "<b>&\"" , n => 198 } };
        assert_eq!(render("你好 {{ vars.a }} {{ vars.n }}\n", context).expect("renders"), "你好 <b>&\" 198\n");
    }

    #[test]
    fn all_undefined_names_are_reported_with_their_place() {
        let source = "{{ vars.prodcut }} {{ nope }} {{ row.x }} {{ product }}";
        let failures = render(source, context! { vars => context! { product => "x" } }).expect_err("undefined");
        let names: Vec<&str> = failures.iter().map(|f| &source[f.range.clone().expect("has a place")]).collect();
        assert_eq!(names, ["vars.prodcut", "nope", "row.x", "product"]);
        assert_eq!(failures[0].help, ["did you mean `vars.product`?"]);
        assert_eq!(failures[3].help, ["did you mean `vars.product`?"]);
    }

    /// An engine with these files, and what they hold.
    fn with_library(files: &[(&str, &str)]) -> Engine {
        let mut sources = crate::diag::source::SourceMap::default();
        let file = |(name, text): &(&str, &str)| {
            ((*name).to_owned(), Ok((sources.add(*name, (*text).to_owned()), (*text).to_owned())))
        };
        Engine::new(files.iter().map(file).collect())
    }

    #[test]
    fn templates_are_included_and_macros_imported() {
        let engine = with_library(&[
            ("footer.txt", "— {{ vars.shop }}\n"),
            ("tea/price.txt", "{% macro price(n, unit='元') %}{{ n | number }}{{ unit }}{% endmacro %}\n"),
            ("letter.txt", "您好\n{% block body %}{% endblock %}\n{% include 'footer.txt' %}\n"),
        ]);
        let context = context! { vars => context! { shop => "茶铺", price => 1980 } };
        let render = |source: &str| engine.render(source, &context).expect("renders");
        assert_eq!(render("茶\n{% include 'footer.txt' %}"), "茶\n— 茶铺");
        assert_eq!(render("{% from 'tea/price.txt' import price %}{{ price(vars.price) }}"), "1,980元");
        assert_eq!(render("{% import 'tea/price.txt' as tea %}{{ tea.price(5, unit='两') }}"), "5两");
        assert_eq!(render("{% extends 'letter.txt' %}{% block body %}龙井{% endblock %}"), "您好\n龙井\n— 茶铺");
    }

    #[test]
    fn failures_in_templates_are_placed_there() {
        let _heard = crate::locale::tests::heard("content-template-failures_in_templates_are_placed_there");
        let files = [
            ("undefined.txt", "a\n{{ vars.prodcut }}"),
            ("macro.txt", "{% macro m(x) %}{{ x }}{{ nope }}{% endmacro %}"),
            ("syntax.txt", "a {% if %}"),
            ("deep.txt", "{% include 'undefined.txt' %}"),
            ("itself.txt", "{% include 'itself.txt' %}"),
            ("runtime.txt", "x {{ steps.a.msg_id }}"),
            ("bool.txt", "{{ true }}"),
        ];
        let engine = with_library(&files);
        let context = context! { vars => context! { product => "x" }, steps => Placeholder::value("steps") };
        let fail = |source: &str| {
            let failure = engine.render(source, &context).expect_err("fails").remove(0);
            let text = match failure.file {
                None => source,
                Some(file) => {
                    let (_, text) = files
                        .iter()
                        .find(|(name, _)| matches!(engine.library.get(*name), Some(Ok((id, _))) if *id == file))
                        .expect("a file");
                    text
                }
            };
            let place = failure.range.map(|range| text[range].to_owned()).unwrap_or_default();
            let used = failure.used.map(|range| source[range].to_owned()).unwrap_or_default();
            (failure.file.is_some(), failure.code, place, used)
        };
        let there = true;
        let undefined = Code::UndefinedName;
        assert_eq!(
            fail("茶 {% include 'undefined.txt' %}"),
            (there, undefined, "vars.prodcut".into(), "include 'undefined.txt'".into())
        );
        assert_eq!(
            fail("茶 {% include 'deep.txt' %}"),
            (there, undefined, "vars.prodcut".into(), "include 'deep.txt'".into())
        );
        assert_eq!(fail("{% from 'macro.txt' import m %}{{ m(1) }}"), (there, undefined, "nope".into(), String::new()));
        // What is undefined is found where it is put in.
        assert_eq!(
            fail("{% from 'macro.txt' import m %}{{ m(vars.no) }}"),
            (there, undefined, "x".into(), String::new())
        );
        assert_eq!(fail("x{% include 'syntax.txt' %}").1, Code::TemplateSyntax);
        assert!(fail("x{% include 'syntax.txt' %}").0, "in the file");
        assert_eq!(fail("{% include 'itself.txt' %}").1, Code::TemplateFailed);
        assert_eq!(
            fail("{% include 'runtime.txt' %}"),
            (there, Code::RuntimeValue, "steps.a.msg_id".into(), "include 'runtime.txt'".into())
        );
        assert_eq!(fail("{% include 'bool.txt' %}").1, Code::NotText);
        let missing = engine.render("{% include 'undefind.txt' %}", &context).expect_err("missing").remove(0);
        assert_eq!(
            (missing.message.to_string().as_str(), missing.range),
            ("template `undefind.txt` not found", Some(3..25))
        );
        assert_eq!(missing.help, ["did you mean `undefined.txt`?"]);
        for source in
            ["{% extends 'undefind.txt' %}", "{% from 'undefind.txt' import x %}", "{% import 'undefind.txt' as x %}"]
        {
            let missing = engine.render(source, &context).expect_err("missing").remove(0);
            assert_eq!(missing.message, "template `undefind.txt` not found", "{source}");
        }
    }

    #[test]
    fn values_that_are_no_text_are_refused() {
        let context = || context! { yes => true, none => Value::from(()), map => context! { a => 1 }, list => vec![1] };
        for (source, word) in
            [("{{ yes }}", "true or false"), ("{{ none }}", "none"), ("{{ map }}", "mapping"), ("{{ list }}", "list")]
        {
            let failure = render(source, context()).expect_err("refused").remove(0);
            assert_eq!(failure.code, Code::NotText);
            assert!(failure.message.to_string().contains(word), "{}", failure.message);
        }
    }

    /// What is wrong with templates, and the help for it, in both languages.
    #[test]
    fn errors_are_in_our_own_words_in_both_languages() {
        let mut all = String::new();
        let context = || context! { n => 1, s => "a", l => vec![1], m => context! { k => 1 }, none => Value::from(()) };
        for source in include_str!("errors.txt").lines() {
            all.push_str(&format!("{source}\n"));
            let failures = render(source, context()).err().unwrap_or_default();
            assert!(!failures.is_empty(), "{source}");
            for phrase in failures.iter().flat_map(|failure| std::iter::once(&failure.message).chain(&failure.help)) {
                for (language, _) in crate::locale::tests::BOTH {
                    all.push_str(&format!("    {}\n", phrase.in_language(language)));
                }
            }
        }
        let nothing = render("{{ nope }}", context! {}).expect_err("not there");
        all.push_str(&format!("nothing at all\n    {}\n", nothing[0].help[0].in_language(crate::locale::Language::Zh)));
        insta::assert_snapshot!("errors@zh", all);
        for leaked in [
            "unexpected",
            "invalid operation",
            "statement",
            "identifier",
            "unable to",
            "cannot convert",
            "iterable",
            "sequence",
            "block end",
        ] {
            let said: Vec<&str> =
                all.lines().filter(|line| line.starts_with("    ") && line.contains(leaked)).collect();
            assert_eq!(said, Vec::<&str>::new(), "{leaked}");
        }
    }

    #[test]
    fn endless_work_is_stopped() {
        let _heard = crate::locale::tests::heard("content-template-endless_work_is_stopped");
        let failures =
            render("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}", context! {})
                .expect_err("stopped");
        assert_eq!(failures[0].code, Code::TemplateFuel);
        assert_eq!(
            render(&("{{ ".to_owned() + &"(".repeat(100_000)), context! {}).expect_err("deep")[0].code,
            Code::TemplateSyntax
        );
        assert!(render(&("{{ ".to_owned() + &"-".repeat(100_000) + "1 }}"), context! {}).is_err());
        assert!(render(&("{{ ".to_owned() + &"not ".repeat(100_000) + "1 }}"), context! {}).is_err());
        assert!(render(&"{% if 1 %}".repeat(100_000), context! {}).is_err());
    }

    #[test]
    fn conditions_must_be_boolean() {
        let engine = Engine::default();
        let context = context! { a => true, t => "false", n => 0 };
        assert_eq!(engine.condition("a", &context), Ok(true));
        assert_eq!(engine.condition("{{ not a }}", &context), Ok(false));
        assert_eq!(engine.condition("t", &context), Ok(false));
        assert_eq!(engine.condition("n", &context).expect_err("a number")[0].code, Code::BadRendered);
        assert_eq!(engine.condition("b", &context).expect_err("undefined")[0].code, Code::UndefinedName);
    }

    #[test]
    fn references_are_found_inside_tags_only() {
        let found = references(
            "steps.x {{ steps.a.msg_id }} {% if steps['b-c'].msg_ids[0] %}{{ steps.d.x|upper }} {{- run.id -}}",
        );
        let shown: Vec<(String, bool)> = found.into_iter().map(|r| (r.path.join("/"), r.alone)).collect();
        let expected =
            [("steps/a/msg_id", true), ("steps/b-c/msg_ids/0", false), ("steps/d/x", false), ("run/id", true)];
        assert_eq!(shown, expected.map(|(path, alone)| (path.to_owned(), alone)));
    }

    #[test]
    fn placeholders_become_slots() {
        let context = context! { steps => Placeholder::value("steps") };
        let text = render("{{ steps.a.msg_id }} {{ steps['b-c'].ids[0] }}", context).expect("renders");
        assert_eq!(payload::shown(&text), "<steps.a.msg_id> <steps[\"b-c\"].ids[0]>");
    }
}
