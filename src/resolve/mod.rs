//! A valid plan and the world it names: variables, rows, content and audience files. What is read is read here, through
//! [`Project`], and nowhere below.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Read,
    ops::Range,
    rc::Rc,
    sync::Arc,
};

use jiff::Timestamp;
use minijinja::Value as Tpl;
use serde_json::{Map, Value};

use crate::{
    clock::shanghai,
    content::{
        media::{MediaTarget, Upload},
        template::{
            self, Engine, Failure, Library, Placeholder,
            numbers::{self, Forms},
        },
    },
    diag::{
        Code, Diagnostic, Diagnostics, Origin, hidden,
        source::{self, BadText, FileId, SourceMap, Span},
    },
    limits,
    locale::{Count, Phrase, say},
    openids::Openids,
    payload,
    plan::{
        self, ValidPlan,
        account::Account,
        ask::Holds,
        model::{Foreach, Step},
        notify::{Facts, Notice},
        value::Template,
        yaml::{self, Document},
    },
    text::{characters, did_you_mean, nearest, openid},
};

pub mod account;
pub(crate) mod article;
pub(crate) mod audience;
pub(crate) mod data;
mod encoding;
mod front;
mod json;
mod lost;
mod table;

use account::{Chosen, Found, Layer};
use audience::Audience;
use lost::{Lost, Wrong};

/// The files of a project, below its root.
pub trait Project {
    /// Reads a file that the plan names, relative to the plan: its path as users know it, and its bytes.
    fn read(&self, path: &str, most_bytes: u64) -> Result<(String, Vec<u8>), ReadError>;

    /// Opens a file that may be too large to be held: its path as users know it, and its bytes in order.
    fn open(&self, path: &str) -> Result<(String, Box<dyn Read>), ReadError> {
        let (name, bytes) = self.read(path, limits::AUDIENCE_BYTES_MAX)?;
        Ok((name, Box::new(std::io::Cursor::new(bytes))))
    }

    /// From now on a file that holds a secret is not read for the plan; its path, relative to the plan.
    fn withhold(&self, path: &str) {
        let _ = path;
    }

    /// A file that is there, for the path of one that is not and was probably meant to be it.
    fn near(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }

    /// The files of the folder `templates/` in the root, and of those in it.
    fn templates(&self) -> Vec<TemplateFile> {
        Vec::new()
    }
}

/// A file that templates may include.
#[derive(Debug)]
pub struct TemplateFile {
    /// The name by which it is included: its path below `templates/`, with slashes.
    pub(crate) name: String,
    /// Its path as users know it.
    pub(crate) path: String,
    pub(crate) bytes: Result<Vec<u8>, ReadError>,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// It is not there, is no file, or is not readable; why, in words.
    Unreadable(Phrase),
    /// It lies outside the project.
    Escapes,
    /// It is no content, and no plan may read it; why, in words.
    Private(Phrase),
    /// It is larger than allowed; how large.
    TooLarge(u64),
}

impl ReadError {
    /// What is wrong with the file of that path, of which so many bytes are read at most.
    pub(crate) fn problem(self, path: &str, most: u64) -> (Code, Phrase) {
        match self {
            Self::Unreadable(why) => (Code::FileUnreadable, say!("`{path}` cannot be read: {why}", path, why)),
            Self::Escapes => (Code::PathEscapes, say!("`{path}` is outside the project", path)),
            Self::Private(why) => (Code::PrivateFile, say!("`{path}` is not content: {why}", path, why)),
            Self::TooLarge(bytes) => {
                let (bytes, most) = (Count(bytes), Count(most));
                (Code::FileTooLarge, say!("`{path}` has {bytes} bytes; the limit is {most}", path, bytes, most))
            }
        }
    }
}

/// What comes from outside the plan.
pub struct Inputs<'a> {
    /// The files of the project.
    pub project: &'a dyn Project,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Variables of --vars-file, already read: path and text, in order.
    pub vars_files: &'a [(String, Vec<u8>)],
    /// Variables of --var, `key=value`, in order.
    pub vars: &'a [String],
    /// The account in place of the plan's own.
    pub account: Option<&'a Chosen>,
    /// Now, for `run.date`.
    pub now: Timestamp,
}

/// A plan with everything that it names.
#[derive(Debug)]
pub struct ResolvedPlan {
    /// Its text and places.
    pub(crate) document: Rc<Document>,
    /// All but the steps.
    pub(crate) head: plan::model::Head,
    /// The account, from the plan or a file of its own.
    pub(crate) account: Account,
    pub(crate) appid: String,
    pub(crate) occurrence: String,
    pub(crate) editions: Editions,
    /// The folder that secret files of the account are relative to: a path relative to the plan's folder, or an absolute one.
    pub(crate) account_folder: String,
    /// The steps, with their instances.
    pub(crate) steps: Vec<ResolvedStep>,
    /// Ids of steps that were set aside because of a problem.
    pub(crate) set_aside: HashSet<String>,
    pub(crate) engine: Engine,
    /// vars, env, account, run.
    pub base: BTreeMap<String, Tpl>,
    /// Sends whose file of people is gone.
    lost: Vec<Lost>,
    /// Where the rows of each step with a `foreach` stand, by the step's index.
    row_places: HashMap<usize, Vec<Span>>,
    /// What was found so far.
    pub(crate) diagnostics: Diagnostics,
}

/// What the occurrence is on other days than that of the run, in Asia/Shanghai.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Editions {
    pub(crate) yesterday: String,
    pub(crate) tomorrow: String,
}

/// A step and its instances: one, or one a row.
#[derive(Debug)]
pub struct ResolvedStep {
    pub(crate) step: Step,
    pub(crate) instances: Vec<Instance>,
}

/// One instance of a step.
#[derive(Debug)]
pub struct Instance {
    /// The rendered `key` of a `foreach`.
    pub(crate) key: Option<String>,
    pub(crate) context: Tpl,
    /// Content files by the field that names them.
    pub(crate) files: HashMap<String, (FileId, Rc<str>)>,
    /// The articles of a draft.
    pub(crate) articles: Arc<Vec<article::Article>>,
    /// The file of an upload.
    pub(crate) upload: Option<Arc<Upload>>,
    /// The people of a send to openids.
    pub(crate) audience: Option<Arc<Audience>>,
    /// Who is left out of those whom WeChat lists when the plan runs.
    pub(crate) excluded: Arc<Openids>,
    /// False if something that it names has a problem, which was said.
    pub(crate) good: bool,
}

/// The templates of a plan, and what those of one instance see.
#[derive(Clone, Copy)]
struct Templates<'a> {
    engine: &'a Engine,
    context: &'a Tpl,
}

/// Reads all that a plan names; an error if nothing can be rendered of it.
pub fn resolve(valid: ValidPlan, inputs: &Inputs<'_>, sources: &mut SourceMap) -> Result<ResolvedPlan, Diagnostics> {
    let ValidPlan { document, head, steps, mut set_aside, mut diagnostics } = valid;
    let mut reader = Reader::new(inputs, sources, &mut diagnostics, &document);
    reader.lint = head.lint.clone();
    let Found { account, folder, places } = reader.account(head.account.as_ref());
    reader.withhold(account.as_ref(), &folder);
    let (vars, forms) = reader.vars(&head.vars);
    // The plan's own secrets are relative to it.
    reader.withhold_files(head.notify.iter().flat_map(Notice::sources).map(|(_, source)| source), "");
    let env = reader.env(&head.env, account.as_ref(), &head.notify);
    // A plan without an account is still looked at, with a stand-in.
    let known = account.is_some();
    reader.stands_in = !known;
    let account = account.unwrap_or_else(|| account::stand_in(inputs.account));
    let appid = reader.appid(&account.appid, places.appid);
    let engine = Engine::new(reader.library());
    let of_account = account::seen(&account, &appid);
    let mut base = base([("vars", vars.into()), ("env", serde_json::json!(env)), ("account", of_account)], inputs.now);
    if !forms.is_empty() {
        base.insert(numbers::OF_PLAN.to_owned(), forms.value());
    }
    let occurrence = reader.occurrence(head.occurrence.as_ref(), &engine, &base);
    reader.notices(&head.notify, &engine);
    let editions =
        editions(head.occurrence.as_ref(), occurrence.as_deref().unwrap_or_default(), &engine, &base, inputs.now);

    let mut resolved = Vec::new();
    for step in steps {
        if reader.diagnostics.is_full() || engine.is_spent() {
            break;
        }
        reader.diagnostics.about(Some(Origin::step(step.index)));
        if known && step.action.spec().only.is_some_and(|only| only != account.kind) {
            reader.wrong_account(&step, &account, places.kind.as_ref());
        }
        match reader.step(&step, &account, &engine, &base) {
            Some(instances) => resolved.push(ResolvedStep { step, instances }),
            None => {
                set_aside.insert(step.common.id.clone());
            }
        }
    }
    reader.diagnostics.about(None);
    reader.unused_vars(&head.vars, &engine);
    let (lost, row_places) = (reader.lost, reader.row_places);
    let known = occurrence.is_some();
    let mut resolved = ResolvedPlan {
        account,
        appid,
        occurrence: occurrence.unwrap_or_default(),
        editions,
        account_folder: folder,
        steps: resolved,
        set_aside,
        engine,
        base,
        document: Rc::new(document),
        head,
        lost,
        row_places,
        diagnostics,
    };
    if known {
        return Ok(resolved);
    }
    resolved.give_up();
    let mut diagnostics = std::mem::take(&mut resolved.diagnostics);
    resolved.name_rows(&mut diagnostics);
    Err(diagnostics)
}

/// What the templates of every step see.
fn base(given: [(&str, Value); 3], now: Timestamp) -> BTreeMap<String, Tpl> {
    let given = given.into_iter().map(|(name, value)| (name.to_owned(), Tpl::from(minijinja::value::Serde(&value))));
    let mut base: BTreeMap<String, Tpl> = given.collect();
    base.insert("run".to_owned(), run(shanghai(now).date()));
    base.insert("steps".to_owned(), Placeholder::value("steps"));
    base
}

/// What templates see of a run on a day.
fn run(day: jiff::civil::Date) -> Tpl {
    let later = |name: &str| (name.to_owned(), Placeholder::value(&format!("run.{name}")));
    Tpl::from(BTreeMap::from([("date".to_owned(), Tpl::from(day.to_string())), later("time"), later("id")]))
}

/// The occurrence as it is on the days around; where it cannot be made for them, it is taken to be the same.
fn editions(
    template: Option<&Template>,
    today: &str,
    engine: &Engine,
    base: &BTreeMap<String, Tpl>,
    now: Timestamp,
) -> Editions {
    let day = shanghai(now).date();
    let on = |day: Result<jiff::civil::Date, jiff::Error>| {
        let context = base.iter().map(|(name, value)| (name.clone(), value.clone()));
        let context: BTreeMap<String, Tpl> = context.chain([("run".to_owned(), run(day.ok()?))]).collect();
        engine.render(&template?.0, &Tpl::from(context)).ok()
    };
    let [yesterday, tomorrow] =
        [day.yesterday(), day.tomorrow()].map(|day| on(day).unwrap_or_else(|| today.to_owned()));
    Editions { yesterday, tomorrow }
}

/// What to do about a file that no plan may read.
pub(crate) fn no_content() -> Phrase {
    say!("put the content in a separate file; no part of its path may start with a dot")
}

/// What is wrong with a file that is not text.
fn not_text(name: &str, bad: BadText) -> (Code, Phrase) {
    match bad {
        BadText::NotUtf8(at) => (Code::NotUtf8, say!("`{name}` is not UTF-8 (byte {byte})", name, byte = at + 1)),
        BadText::Control(at, c) => {
            let (character, byte) = (source::code_point(c), at + 1);
            let message =
                say!("`{name}` contains the control character {character} (byte {byte})", name, character, byte);
            (Code::ControlCharacter, message)
        }
    }
}

/// [`not_text`], and what to do about it.
fn undecodable(name: &str, bad: BadText, place: &Span) -> Diagnostic {
    let help = match bad {
        BadText::NotUtf8(_) => say!("convert it, for example: iconv -f GB18030 -t UTF-8"),
        BadText::Control(..) => say!("remove it"),
    };
    let (code, message) = not_text(name, bad);
    Diagnostic::new(code, place.clone(), message).help(help)
}

/// Lists of up to so many people are kept for other steps.
const KEPT: usize = 200_000;

/// A row as templates see it, the forms of its numbers if it has any, and where it stands.
#[derive(Debug)]
struct Row {
    values: Tpl,
    forms: Option<Tpl>,
    place: Span,
}

/// The lists of people of one instance, and the files in which they stand if that is all.
#[derive(Default)]
struct Lists {
    of: Vec<(Holds, String, String)>,
    people: Vec<Rc<Openids>>,
    excluded: Vec<Rc<Openids>>,
}

struct Reader<'a> {
    inputs: &'a Inputs<'a>,
    sources: &'a mut SourceMap,
    diagnostics: &'a mut Diagnostics,
    document: &'a Document,
    /// Content files by path; none if there was a problem, which is said at the first place only.
    texts: HashMap<String, Option<(FileId, Rc<str>)>>,
    /// Rows of data files by path.
    rows: HashMap<String, Option<Rc<Vec<Row>>>>,
    /// Where the rows of each step with a `foreach` stand.
    row_places: HashMap<usize, Vec<Span>>,
    /// Audience files by path and column.
    people: HashMap<(String, String), Option<Rc<Openids>>>,
    /// Audiences by the files of which they are made: many rows may share one.
    audiences: HashMap<Vec<(Holds, String, String)>, Arc<Audience>>,
    /// The same of those who are left out of a list that WeChat has.
    left_out: HashMap<Vec<(Holds, String, String)>, Arc<Openids>>,
    /// Files of people that were read.
    opened: HashSet<String>,
    used: Used,
    /// The account is not known: a path with a name of what stands for it is none that was meant.
    stands_in: bool,
    themes: HashMap<String, Option<Rc<crate::content::article::Theme>>>,
    /// Files of articles by path; none if there was a problem, which is said at the first place only.
    pages: HashMap<String, Option<Rc<article::Page>>>,
    /// The latest conversion of each text with its settings.
    converted: HashMap<article::Settings, article::Converted>,
    /// Pictures and other media by path.
    media: HashMap<(String, MediaTarget, bool), article::Checked>,
    spent: article::Spent,
    /// What words of articles are compared with.
    lint: plan::model::Lint,
    /// Run-time values of the article that is read.
    references: Vec<(template::Reference, Span)>,
    lost: Vec<Lost>,
}

/// What was used of what all steps of a plan may use together; what is too much is said once.
#[derive(Debug, Default)]
struct Used {
    instances: usize,
    recipients: usize,
    /// Bytes of texts.
    texts: u64,
    people: audience::Amount,
    /// Bytes of files of people that were read once, and again.
    once: u64,
    again: u64,
    /// Names near to wrong paths that were looked for.
    nears: usize,
}

impl Used {
    /// Bytes of files of people that may be read again.
    fn most_again(&self) -> u64 {
        limits::READ_AGAIN_BYTES.max(self.once.saturating_mul(limits::READ_AGAIN_TIMES))
    }

    /// Adds to a sum. Whether it is still within its limit; and if not, whether it was before.
    fn add(sum: &mut usize, more: usize, most: usize) -> Result<(), bool> {
        let before = *sum;
        *sum = sum.saturating_add(more);
        if *sum <= most { Ok(()) } else { Err(before <= most) }
    }
}

impl ResolvedPlan {
    /// Says of what is wrong with some rows of a `foreach` which ones these are.
    pub(crate) fn name_rows(&self, diagnostics: &mut Diagnostics) {
        let key = |origin: Origin| {
            let step = self.steps.iter().find(|step| step.step.index == origin.step)?;
            step.instances.get(origin.instance?)?.key.clone()
        };
        let place = |origin: Origin| {
            let number = origin.instance?;
            let span = self.row_places.get(&origin.step)?.get(number)?.clone();
            let row = number + 1;
            let words = match key(origin) {
                Some(key) => say!("row {row}, `{key}`", row, key = payload::shown(&key)),
                None => say!("row {row}", row),
            };
            Some((span, words))
        };
        diagnostics.name_rows(&|step| self.row_places.get(&step).map_or(0, Vec::len), &place);
    }
}

impl<'a> Reader<'a> {
    fn new(
        inputs: &'a Inputs<'a>,
        sources: &'a mut SourceMap,
        diagnostics: &'a mut Diagnostics,
        document: &'a Document,
    ) -> Self {
        Self {
            inputs,
            sources,
            diagnostics,
            document,
            texts: HashMap::new(),
            rows: HashMap::new(),
            row_places: HashMap::new(),
            people: HashMap::new(),
            audiences: HashMap::new(),
            left_out: HashMap::new(),
            opened: HashSet::new(),
            used: Used::default(),
            stands_in: false,
            themes: HashMap::new(),
            pages: HashMap::new(),
            converted: HashMap::new(),
            media: HashMap::new(),
            spent: article::Spent::default(),
            lint: plan::model::Lint::default(),
            references: Vec::new(),
            lost: Vec::new(),
        }
    }
}

impl Reader<'_> {
    /// Says once that there is too much of something.
    fn within(&mut self, added: Result<(), bool>, problem: impl FnOnce(&Document) -> Diagnostic) -> Option<()> {
        if added == Err(true) {
            let problem = problem(self.document);
            self.push(problem);
        }
        added.ok()
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn bytes(&mut self, path: &str, place: &Span, most: u64) -> Option<(String, Vec<u8>)> {
        match self.inputs.project.read(path, most) {
            Ok(read) => Some(read),
            Err(error) => {
                self.unreadable(path, place, most, error);
                None
            }
        }
    }

    /// [`Self::bytes`] of a text, which counts: pictures have limits of their own.
    fn text_bytes(&mut self, path: &str, place: &Span, most: u64) -> Option<(String, Vec<u8>)> {
        let (name, bytes) = self.bytes(path, place, most)?;
        let before = self.used.texts;
        self.used.texts += bytes.len() as u64;
        let most = limits::READ_BYTES_MAX;
        let added = if self.used.texts <= most { Ok(()) } else { Err(before <= most) };
        self.within(added, |_| {
            let message =
                say!("the plan's text and data files have more than {bytes} bytes in total", bytes = Count(most));
            Diagnostic::new(Code::FileTooLarge, place.clone(), message).help(say!("split the plan"))
        })?;
        Some((name, bytes))
    }

    fn unreadable(&mut self, path: &str, place: &Span, most: u64, error: ReadError) {
        let near = match &error {
            ReadError::Unreadable(_) => self.right_path(path),
            _ => None,
        };
        let problem = near.into_iter().fold(unreadable(path, place, most, error), Diagnostic::help);
        self.push(problem);
    }

    /// What to write in place of a path that leads nowhere.
    fn right_path(&mut self, path: &str) -> Option<Phrase> {
        if let Some(c) = path.chars().find(|c| c.is_control()) {
            let escape = c.escape_default().to_string();
            return Some(say!("in double quotes `{escape}` is one character; write `/` between folders", escape));
        }
        if let Some((_, c, name)) = characters::hidden(path) {
            return Some(say!(
                "there is a {name} ({code}) in the path; delete it",
                name,
                code = characters::code_of(c)
            ));
        }
        if path.contains('\\') {
            return Some(say!("write `/` between folders: `{path}`", path = path.replace('\\', "/")));
        }
        // Not by what was raised: of lost files nothing is raised yet.
        self.used.nears += 1;
        let asks = self.used.nears <= limits::NEAR_RAISED_MAX;
        match asks.then(|| self.inputs.project.near(path)).flatten() {
            // It is there, and cannot be read for another reason.
            Some(near) if near == path => None,
            Some(near) => Some(say!("did you mean `{near}`?", near)),
            None => Some(say!("paths are relative to the file that names them")),
        }
    }

    /// [`decode`] of what the plan names.
    fn decode(&mut self, name: &str, bytes: Vec<u8>, place: &Span) -> Option<String> {
        decode(name, bytes, place, self.sources, self.diagnostics)
    }

    /// [`table_text`] of what the plan names.
    fn table(&mut self, name: &str, bytes: Vec<u8>, place: &Span) -> Option<String> {
        table_text(name, bytes, place, self.sources, self.diagnostics)
    }

    /// What templates may include. What is wrong with a file matters only where it is included.
    fn library(&mut self) -> Library {
        let mut library = Library::new();
        for TemplateFile { name, path, bytes } in self.inputs.project.templates() {
            let text = match bytes {
                Ok(bytes) => source::decode(bytes).map_err(|bad| not_text(&path, bad).1),
                Err(error) => Err(error.problem(&path, limits::CONTENT_BYTES_MAX).1),
            };
            let file = text.map(|text| {
                let text = text.replace("\r\n", "\n");
                (self.sources.add(path, text.clone()), text)
            });
            library.insert(name, file);
        }
        library
    }

    /// The plan's variables, overridden by the fleet's, overridden by the files, overridden by the options.
    fn vars(&mut self, plan: &Map<String, Value>) -> (Map<String, Value>, Forms) {
        let mut vars = plan.clone();
        let mut forms = Forms::default();
        data::note_numbers(self.document, "/vars", &mut forms, self.sources, self.diagnostics);
        let layers = match self.inputs.account {
            Some(Chosen::Member { layers, .. }) => layers.as_slice(),
            _ => &[],
        };
        for layer in layers {
            match layer {
                Layer::File(path, bytes) => {
                    let more = data::mapping(path, bytes.clone(), &mut forms, self.sources, self.diagnostics);
                    vars.extend(more.into_iter().flatten());
                }
                Layer::Values(more, numbers) => {
                    numbers.iter().for_each(|written| forms.note(written));
                    vars.extend(more.clone());
                }
            }
        }
        for (path, bytes) in self.inputs.vars_files {
            match data::mapping(path, bytes.clone(), &mut forms, self.sources, self.diagnostics) {
                Some(more) => vars.extend(more),
                None => continue,
            }
        }
        for option in self.inputs.vars {
            match data::assignment(option, &mut forms) {
                Ok((name, value)) => {
                    hidden::look_at(&name, value.as_str().unwrap_or_default(), self.diagnostics);
                    vars.insert(name, value);
                }
                Err(problem) => self.push(problem),
            }
        }
        (vars, forms)
    }

    fn env(&mut self, names: &[String], account: Option<&Account>, notices: &[Notice]) -> BTreeMap<String, String> {
        let secrets = account.into_iter().flat_map(Account::sources);
        let secrets: Vec<&str> = secrets.filter_map(|(_, source)| source.env.as_deref()).collect();
        let of_notices = notices.iter().flat_map(Notice::sources);
        let of_notices: Vec<&str> = of_notices.filter_map(|(_, source)| source.env.as_deref()).collect();
        let mut env = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let place = self.document.span(&format!("/env/{index}"));
            let of_account = secrets.contains(&name.as_str());
            if of_account || of_notices.contains(&name.as_str()) {
                env.insert(name.clone(), "?".into());
                let what = if of_account {
                    say!("the variable `{name}` contains the account's secret, and templates could reveal it", name)
                } else {
                    say!("the variable `{name}` contains a secret of `notify`, and templates could reveal it", name)
                };
                self.push(
                    Diagnostic::new(Code::SecretAsVariable, place, what).help(say!("remove `{name}` from `env`", name)),
                );
                continue;
            }
            match (self.inputs.env)(name) {
                Some(value) if source::find_control(&value).is_some() => {
                    let message = say!("the variable `{name}` contains a control character", name);
                    self.push(Diagnostic::new(Code::ControlCharacter, place, message));
                }
                Some(value) => {
                    hidden::look_at(name, &value, self.diagnostics);
                    env.insert(name.clone(), value);
                }
                None => {
                    // Said once, here; templates that read it are looked at as if it were there.
                    env.insert(name.clone(), "?".into());
                    let message = say!("the environment variable `{name}` is not set", name);
                    let help = say!("set it (export {name}=...), or remove it from `env`", name);
                    self.push(Diagnostic::new(Code::EnvMissing, place, message).help(help));
                }
            }
        }
        env
    }

    fn occurrence(
        &mut self,
        template: Option<&Template>,
        engine: &Engine,
        base: &BTreeMap<String, Tpl>,
    ) -> Option<String> {
        const LONGEST: usize = 128;
        let Some(template) = template else { return Some("once".into()) };
        let text = self.render(Templates { engine, context: &Tpl::from(base.clone()) }, "/occurrence", template)?;
        let place = self.document.span("/occurrence");
        let diagnostic = if payload::has_slot(&text) {
            Diagnostic::new(Code::RuntimeValue, place, say!("`occurrence` must be known before the run"))
                .help(say!("use `run.date` or a variable"))
        } else if text.trim().is_empty() || text.len() > LONGEST || text.contains('\n') {
            Diagnostic::new(Code::BadRendered, place, say!("`occurrence` renders to `{text}`", text = text.trim()))
                .help(say!("it must be one line of 1 to {most} bytes", most = LONGEST))
        } else {
            return Some(text);
        };
        self.push(diagnostic);
        None
    }

    /// Tries the bodies of notices with what they will be told: what fails after a send is told to nobody.
    fn notices(&mut self, notices: &[Notice], engine: &Engine) {
        let context = Tpl::from(minijinja::value::Serde(Facts::sample()));
        for (index, notice) in notices.iter().enumerate() {
            let Some(body) = notice.webhook.as_ref().and_then(|hook| hook.body.as_ref()) else { continue };
            let pointer = format!("/notify/{index}/webhook/body");
            let Some(text) = self.render(Templates { engine, context: &context }, &pointer, body) else { continue };
            if serde_json::from_str::<serde_json::Value>(&text).is_err() {
                let message = say!("the body of the webhook does not render to JSON");
                let diagnostic = Diagnostic::new(Code::BadRendered, self.document.span(&pointer), message);
                self.push(diagnostic.help(say!(
                    "put values in with `tojson`, without quotes: `{line}`",
                    line = "{\"msg\": {{ text | tojson }}}"
                )));
            }
        }
    }

    fn render(&mut self, templates: Templates<'_>, pointer: &str, template: &Template) -> Option<String> {
        templates
            .engine
            .render(&template.0, templates.context)
            .map_err(|failures| self.failures(pointer, failures))
            .ok()
    }

    /// The path of a file.
    fn path(&mut self, templates: Templates<'_>, pointer: &str, template: &Template) -> Option<String> {
        let path = self.render(templates, pointer, template)?;
        if payload::has_slot(&path) {
            let message = say!("a file path must be known before the run");
            self.push(Diagnostic::new(Code::RuntimeValue, self.document.span(pointer), message));
            return None;
        }
        if self.stands_in && account::is_stand_in(&path) {
            return None;
        }
        let place = self.document.span(pointer);
        self.can_be_path(&path, &place)?;
        Some(path)
    }

    /// No file has a path that is longer than any system takes; it is not looked for again and again.
    fn can_be_path(&mut self, path: &str, place: &Span) -> Option<()> {
        if path.len() <= limits::PATH_BYTES_MAX {
            return Some(());
        }
        let (bytes, most) = (Count::from(path.len()), Count::from(limits::PATH_BYTES_MAX));
        let message = say!("the path has {bytes} bytes; at most {most} are allowed", bytes, most);
        self.push(Diagnostic::new(Code::BadRendered, place.clone(), message).help(say!("shorten it")));
        None
    }

    fn failures(&mut self, pointer: &str, failures: Vec<Failure>) {
        for failure in failures {
            let diagnostic = failure_at(self.document, self.sources, pointer, failure);
            self.push(diagnostic);
        }
    }

    fn step(
        &mut self,
        step: &Step,
        account: &Account,
        engine: &Engine,
        base: &BTreeMap<String, Tpl>,
    ) -> Option<Vec<Instance>> {
        let rows = match &step.common.foreach {
            None => None,
            Some(foreach) => Some(self.rows(step, foreach)?),
        };
        if let (Some(rows), Some(key)) = (&rows, &step.common.key) {
            self.headed(step, key, rows)?;
        }
        if let Some(rows) = &rows {
            self.row_places.insert(step.index, rows.iter().map(|row| row.place.clone()).collect());
        }
        let count = rows.as_ref().map_or(1, |rows| rows.len());
        let added = Used::add(&mut self.used.instances, count, limits::INSTANCES_MAX);
        self.within(added, |document| {
            let most = Count(limits::INSTANCES_MAX as u64);
            let place = document.span(&step.pointer(if rows.is_some() { "/foreach" } else { "" }));
            let message = say!("the plan has more than {most} steps, counted for each row", most);
            Diagnostic::new(Code::TooComplex, place, message).help(say!("split the plan"))
        })?;
        let mut instances = Vec::new();
        let mut keys: HashMap<String, usize> = HashMap::new();
        let mut good = true;
        for number in 0..count {
            if self.diagnostics.is_full() || engine.is_spent() {
                return None;
            }
            let row = rows.as_ref().and_then(|rows| rows.get(number));
            let mut context = base.clone();
            if let Some(Row { values, forms, .. }) = row {
                context.insert("row".to_owned(), values.clone());
                context.extend(forms.clone().map(|forms| (numbers::OF_ROW.to_owned(), forms)));
                self.diagnostics.about(Some(Origin::instance(step.index, number)));
            }
            let context = Tpl::from(context);
            let key = match (row, &step.common.key) {
                (Some(_), Some(template)) => {
                    match self.key(step, template, Templates { engine, context: &context }, number, &mut keys) {
                        Some(key) => Some(key),
                        None => {
                            good = false;
                            continue;
                        }
                    }
                }
                _ => None,
            };
            let instance = self.instance(step, number, key, account, Templates { engine, context: &context });
            instances.push(instance);
        }
        good.then_some(instances)
    }

    /// A CSV file whose first line names no column that `key` uses begins with data: its cells are not told as names. Where
    /// they look like names, the template is told what there is.
    fn headed(&mut self, step: &Step, key: &Template, rows: &[Row]) -> Option<()> {
        let Some(Foreach::File(path)) = &step.common.foreach else { return Some(()) };
        let used = template::members(&key.0, "row");
        let first = rows.first().and_then(|row| row.values.try_iter().ok());
        let names: Vec<String> =
            first.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let known =
            |name: &String| names.contains(name) || did_you_mean(name, names.iter().map(String::as_str)).is_some();
        let plain = |name: &String| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
        };
        let Some(missing) = used.first().filter(|_| path.ends_with(".csv") && !used.iter().any(known)) else {
            return Some(());
        };
        if names.iter().all(plain) {
            return Some(());
        }
        let message = say!(
            "the first line of `{path}` does not name the column `{name}`, which `key` uses",
            path,
            name = missing
        );
        let help = say!("write the names of the columns in the first line of the file");
        self.push(Diagnostic::new(Code::BadData, self.document.span(&step.pointer("/key")), message).help(help));
        None
    }

    fn key(
        &mut self,
        step: &Step,
        template: &Template,
        templates: Templates<'_>,
        number: usize,
        keys: &mut HashMap<String, usize>,
    ) -> Option<String> {
        const LONGEST: usize = 200;
        let pointer = step.pointer("/key");
        let key = self.render(templates, &pointer, template)?;
        let place = self.document.span(&pointer);
        if key.trim().is_empty() || key.len() > LONGEST || key.contains(['\n', ']', '"']) || payload::has_slot(&key) {
            let (key, row) = (payload::shown(key.trim()), number + 1);
            let diagnostic =
                Diagnostic::new(Code::BadRendered, place, say!("`key` renders to `{key}` for row {row}", key, row));
            self.push(diagnostic.help(say!(
                "a key must be one line of 1 to {most} bytes, without quotes and brackets, known before the run",
                most = LONGEST
            )));
            return None;
        }
        if let Some(first) = keys.insert(key.clone(), number) {
            let (first, second) = (first + 1, number + 1);
            let message = say!("rows {first} and {second} both have the key `{key}`", first, second, key);
            let help = say!("make the key different for each row");
            self.push(Diagnostic::new(Code::DuplicateInstance, place, message).help(help));
            return None;
        }
        Some(key)
    }

    fn rows(&mut self, step: &Step, foreach: &Foreach) -> Option<Rc<Vec<Row>>> {
        let values = |rows: Vec<data::Row>| {
            let row = |data::Row { values, forms, place }: data::Row| Row {
                values: Tpl::from(minijinja::value::Serde(values)),
                forms: Some(forms).filter(|forms| !forms.is_empty()).map(Forms::value),
                place,
            };
            Rc::new(rows.into_iter().map(row).collect::<Vec<_>>())
        };
        match foreach {
            Foreach::Rows(rows) => {
                let mut noted = Vec::new();
                for (number, row) in rows.iter().enumerate() {
                    let mut forms = Forms::default();
                    let pointer = step.pointer(&format!("/foreach/{number}"));
                    data::note_numbers(self.document, &pointer, &mut forms, self.sources, self.diagnostics);
                    noted.push(data::Row { values: row.clone(), forms, place: self.document.span(&pointer) });
                }
                Some(values(noted))
            }
            Foreach::File(path) => {
                if let Some(known) = self.rows.get(path) {
                    return known.clone();
                }
                let place = self.document.span(&step.pointer("/foreach/file"));
                let read = self.text_bytes(path, &place, limits::DATA_BYTES_MAX);
                let rows = read.and_then(|(name, bytes)| {
                    let text = self.table(&name, bytes, &place)?;
                    data::rows(&name, text, (limits::FOREACH_MAX, &place), self.sources, self.diagnostics)
                });
                let rows = rows.map(values);
                self.rows.insert(path.clone(), rows.clone());
                rows
            }
        }
    }

    /// What one instance names. One with a problem is kept, so that its message is looked at all the same.
    fn instance(
        &mut self,
        step: &Step,
        number: usize,
        key: Option<String>,
        account: &Account,
        templates: Templates<'_>,
    ) -> Instance {
        let mut upload = None;
        let mut files = HashMap::new();
        let mut lists = Lists::default();
        let mut lost: Option<Lost> = None;
        let mut good = true;
        let listed = step.action.asks().people().is_some_and(|to| to.is_listed());
        let column = self.column(step);
        good &= column.is_some();
        for file in step.action.asks().files() {
            // A list may be long, and is gone through for each row.
            templates.engine.work(100);
            let pointer = step.pointer(&file.suffix);
            let place = self.document.span(&pointer);
            let Some(path) = self.path(templates, &pointer, &file.path) else {
                good = false;
                continue;
            };
            match file.holds {
                Holds::Text => match self.text(&path, &place) {
                    Some(text) => {
                        files.insert(file.suffix, text);
                    }
                    None => good = false,
                },
                Holds::Media(target, optimize) => {
                    // Its words are not known yet.
                    upload = self.file(&path, target, optimize, &place);
                    good &= upload.is_some();
                }
                Holds::Openids | Holds::Exclude if lost.is_some() || (!listed && self.is_gone(&path)) => {
                    let wrong = self.wrong(&path, column.unwrap_or_default(), file.holds, &place);
                    let origin = Origin::instance(step.index, number);
                    let lost = lost.get_or_insert_with(|| Lost::new(step, key.clone(), origin, path, place));
                    lost.wrong.push(wrong);
                }
                Holds::Openids | Holds::Exclude => {
                    let Some(column) = column else { continue };
                    match self.people(&path, column, file.holds, &place) {
                        Some(list) if file.holds == Holds::Openids => lists.people.push(list),
                        Some(list) => lists.excluded.push(list),
                        None => good = false,
                    }
                    lists.of.push((file.holds, path, column.to_owned()));
                }
            }
        }
        let mut left_out = Arc::default();
        let mut audience = None;
        match step.action.asks().people() {
            Some(_) if listed => match self.left_out(step, lists) {
                Some(list) => left_out = list,
                None => good = false,
            },
            Some(to) if good && lost.is_none() => {
                if let Some(openids) = &to.openids {
                    lists.people.extend(self.inline(step, openids, templates).map(Rc::new));
                    // What stands in the plan may be another for each row.
                    lists.of.clear();
                }
                audience = if lists.people.is_empty() { None } else { self.audience(step, lists) };
                good = audience.is_some();
            }
            _ => {}
        }
        self.lost.extend(lost);
        let articles = self.articles(step, number, account, templates);
        good &= articles.is_some();
        let articles = Arc::new(articles.unwrap_or_default());
        let context = templates.context.clone();
        Instance { key, context, files, articles, upload, audience, excluded: left_out, good }
    }

    /// The column that holds the openids; none if no file has such a one.
    fn column<'s>(&mut self, step: &'s Step) -> Option<&'s str> {
        let column = step.action.asks().people().and_then(|to| to.column.as_deref()).unwrap_or("openid");
        if column.len() <= limits::COLUMN_BYTES_MAX {
            return Some(column);
        }
        let (bytes, most) = (Count::from(column.len()), Count::from(limits::COLUMN_BYTES_MAX));
        let message = say!("the name of the column has {bytes} bytes; at most {most} are allowed", bytes, most);
        let place = self.document.span(&step.pointer("/to/column"));
        self.push(Diagnostic::new(Code::BadFormat, place, message).help(say!("shorten it")));
        None
    }

    /// Whether a file is not there any more (rather than unreadable in some other way).
    fn is_gone(&self, path: &str) -> bool {
        matches!(self.inputs.project.read(path, 0), Err(ReadError::Unreadable(_)))
    }

    /// What is wrong with a file of people, if anything. It is not said yet, and so is found again wherever the file is named.
    fn wrong(&mut self, path: &str, column: &str, holds: Holds, place: &Span) -> Wrong {
        let said = std::mem::take(self.diagnostics);
        self.people(path, column, holds, place);
        let findings = std::mem::replace(self.diagnostics, said).into_vec();
        let file = (path.to_owned(), column.to_owned());
        if !findings.is_empty() {
            self.people.remove(&file);
        }
        Wrong { file, findings }
    }

    fn text(&mut self, path: &str, place: &Span) -> Option<(FileId, Rc<str>)> {
        if let Some(known) = self.texts.get(path) {
            return known.clone();
        }
        let read = self.text_bytes(path, place, limits::CONTENT_BYTES_MAX).and_then(|(name, bytes)| {
            let text = self.decode(&name, bytes, place)?;
            // The end of the last line belongs to the file, not to the message.
            let content = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
            let content: Rc<str> = content.replace("\r\n", "\n").into();
            // The source is what is rendered, so that places in it are right.
            let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
            let article = matches!(ending.as_deref(), Some("md" | "markdown" | "html" | "htm"));
            let file = self.sources.add(name, content.to_string());
            let holds = if article { hidden::Text::Article } else { hidden::Text::Prose };
            hidden::look(file, holds, self.sources, self.diagnostics);
            Some((file, content))
        });
        self.texts.insert(path.to_owned(), read.clone());
        read
    }

    fn people(&mut self, path: &str, column: &str, holds: Holds, place: &Span) -> Option<Rc<Openids>> {
        // It was said that there are too many: no more are read.
        if self.used.recipients > limits::RECIPIENTS_MAX || self.used.again > self.used.most_again() {
            return None;
        }
        let id = (path.to_owned(), column.to_owned());
        if let Some(known) = self.people.get(&id) {
            return known.clone();
        }
        let (before, opened) = (self.used.people.unpacked(), !self.opened.insert(path.to_owned()));
        let read = match self.inputs.project.open(path) {
            Ok((name, first)) => {
                // The file that was opened to see that it is there is read; a second reading opens it again.
                let first = std::cell::Cell::new(Some(first));
                let project = self.inputs.project;
                let open = || first.take().map_or_else(|| project.open(path).map(|(_, reader)| reader), Ok);
                let read = &self.used.people;
                let excludes = holds == Holds::Exclude;
                let file = audience::File { name: &name, open: &open, column, excludes, place, read };
                audience::read(&file, self.sources, self.diagnostics).map(Rc::new)
            }
            Err(error) => {
                self.unreadable(path, place, limits::AUDIENCE_BYTES_MAX, error);
                None
            }
        };
        self.read_again(opened, self.used.people.unpacked() - before, place)?;
        // A long list is most likely used once: it is read again rather than held twice.
        if read.as_ref().is_none_or(|list| list.len() <= KEPT) {
            self.people.insert(id, read.clone());
        }
        read
    }

    /// Counts what was read of a file of people: one that is small may be read thousands of times, for a column each.
    fn read_again(&mut self, again: bool, bytes: u64, place: &Span) -> Option<()> {
        let sum = if again { &mut self.used.again } else { &mut self.used.once };
        *sum += bytes;
        let most = self.used.most_again();
        let added = if self.used.again <= most { Ok(()) } else { Err(true) };
        self.within(added, |_| {
            let message = say!(
                "the plan's audience files are read again, for other columns or steps, and have more than {bytes} bytes in total when they are",
                bytes = Count(most)
            );
            Diagnostic::new(Code::FileTooLarge, place.clone(), message).help(say!("split the plan"))
        })
    }

    fn inline(&mut self, step: &Step, openids: &[Template], templates: Templates<'_>) -> Option<Openids> {
        let mut people = Openids::default();
        let mut good = true;
        let mut odd: Vec<(Span, usize)> = Vec::new();
        let mut real = false;
        for (index, template) in openids.iter().enumerate() {
            let pointer = step.pointer(&format!("/to/openids/{index}"));
            let Some(openid) = self.render(templates, &pointer, template) else {
                good = false;
                continue;
            };
            let openid = openid.trim();
            if openid::may_be(openid.as_bytes()) {
                good &= people.push(openid).is_ok();
                let place = self.document.span(&pointer);
                // It is nobody's business but the plan's.
                self.sources.mask(&place);
                match openid.len() {
                    limits::OPENID_CHARS => real = true,
                    length => odd.push((place, length)),
                }
            } else {
                let (message, help) = openid::wrong(openid);
                self.push(Diagnostic::new(Code::BadOpenid, self.document.span(&pointer), message).help(help));
                good = false;
            }
        }
        for (place, length) in odd.into_iter().filter(|_| real) {
            let (message, help) = openid::wrong_length(length);
            self.push(Diagnostic::new(Code::BadOpenid, place, message).help(help));
            good = false;
        }
        good.then_some(people)
    }

    /// Counts openids that a send names.
    fn named(&mut self, step: &Step, count: usize) -> Option<()> {
        let added = Used::add(&mut self.used.recipients, count, limits::RECIPIENTS_MAX);
        self.within(added, |document| {
            let most = Count(limits::RECIPIENTS_MAX as u64);
            let message = say!("the plan's sends name more than {most} openids, counted for each row", most);
            Diagnostic::new(Code::FileTooLarge, document.span(&step.pointer("/to")), message)
                .help(say!("split the plan"))
        })
    }

    /// Those who are left out of a list that WeChat has; `of` names the files, which many rows may share.
    fn left_out(&mut self, step: &Step, Lists { of, excluded, .. }: Lists) -> Option<Arc<Openids>> {
        if let Some(known) = self.left_out.get(&of) {
            let known = Arc::clone(known);
            self.named(step, known.len())?;
            return Some(known);
        }
        let list = Arc::new(self.joined(step, excluded)?);
        self.left_out.insert(of, Arc::clone(&list));
        Some(list)
    }

    /// Lists as one. A long list is nobody else's, and is not copied.
    fn joined(&mut self, step: &Step, lists: Vec<Rc<Openids>>) -> Option<Openids> {
        self.named(step, lists.iter().map(|list| list.len()).sum())?;
        let mut lists = lists.into_iter();
        let mut all = lists.next().map(Rc::unwrap_or_clone).unwrap_or_default();
        let joined = lists.try_for_each(|list| all.append(&list));
        debug_assert!(joined.is_ok(), "so many openids have less than 4 GiB");
        joined.ok().map(|()| all)
    }

    /// The people of a send, made of lists; `of` names the files if these are all, and is empty if not.
    fn audience(&mut self, step: &Step, Lists { of, people, excluded }: Lists) -> Option<Arc<Audience>> {
        let excludes = !excluded.is_empty();
        let place = self.document.span(&step.pointer("/to"));
        let audience = match self.audiences.get(&of) {
            // Its calls are made anew for each row.
            Some(known) => {
                let known = Arc::clone(known);
                self.named(step, known.openids.len())?;
                known
            }
            None => {
                let audience = Audience::build(self.joined(step, people)?, &self.joined(step, excluded)?);
                let audience = Arc::new(audience);
                if !of.is_empty() {
                    self.audiences.insert(of, Arc::clone(&audience));
                }
                audience
            }
        };
        if audience.duplicates > 0 {
            let message = say!(
                "{openids} openid appears more than once; each person gets the message once"
                    | "{openids} openids appear more than once; each person gets the message once",
                openids = audience.duplicates
            );
            self.push(Diagnostic::new(Code::DuplicateOpenids, place.clone(), message));
        }
        if excludes && audience.excluded == 0 {
            let place = self.document.span(&step.pointer("/to/exclude"));
            let message = say!("`exclude` leaves out nobody: none of its people are in the audience");
            let help = say!("check that it names the right files, and that their openids are of this account");
            self.push(Diagnostic::new(Code::ExcludesNobody, place, message).help(help));
        }
        if audience.openids.len() < limits::OPENIDS_MIN {
            let people = audience.openids.len();
            let message = match excludes {
                false => say!(
                    "the audience has {people} person; WeChat requires at least 2 (40130)"
                        | "the audience has {people} people; WeChat requires at least 2 (40130)",
                    people
                ),
                true => say!(
                    "the audience has {people} person after `exclude`; WeChat requires at least 2 (40130)"
                        | "the audience has {people} people after `exclude`; WeChat requires at least 2 (40130)",
                    people
                ),
            };
            self.push(
                Diagnostic::new(Code::AudienceTooSmall, place, message)
                    .help(say!("add a second openid, or use a `preview` step for one person")),
            );
            return None;
        }
        Some(audience)
    }

    /// A variable from outside that nothing uses is a slip of the pen, which would send something else than was meant.
    fn unused_vars(&mut self, declared: &Map<String, Value>, engine: &Engine) {
        let outside: Vec<String> = self
            .inputs
            .vars
            .iter()
            .filter_map(|option| data::assignment(option, &mut Forms::default()).ok())
            .map(|(name, _)| name)
            .collect();
        for name in outside {
            let plan = &self.sources.file(self.document.file).text;
            let used = declared.contains_key(&name)
                || plan.contains(name.as_str())
                || engine.library_mentions(&name)
                || self.texts.values().flatten().any(|(_, text)| text.contains(name.as_str()));
            if !used {
                let diagnostic = Diagnostic::nowhere(
                    Code::BadVar,
                    say!("the plan does not use the variable `{name}` from --var", name = &name),
                );
                let near = nearest(&name, declared.keys().map(String::as_str));
                let help = near.unwrap_or_else(|| say!("remove it, or use it as {{{{ vars.{name} }}}}", name));
                self.diagnostics.push(diagnostic.help(help));
            }
        }
    }
}

/// The bytes as text; a problem is said at the place that names the file, for a file that is no text has no lines.
fn decode(
    name: &str,
    bytes: Vec<u8>,
    place: &Span,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let problem = match source::decode(bytes.clone()) {
        Ok(text) => return Some(text),
        Err(bad @ BadText::Control(at, c)) => {
            // Shown as blanks, so that the line can be.
            let file = sources.add(name, source::without_controls(&bytes));
            plan::mask_secrets(file, sources);
            let here = Span::new(file, at..at + c.len_utf8());
            undecodable(name, bad, &here).related(place.clone(), say!("named here"))
        }
        Err(bad) => undecodable(name, bad, place),
    };
    diagnostics.push(problem);
    None
}

/// [`decode`] of a table, which Excel writes in several encodings.
fn table_text(
    name: &str,
    bytes: Vec<u8>,
    place: &Span,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    if let Some((message, help)) = encoding::other_kind(name, &bytes) {
        diagnostics.push(Diagnostic::new(Code::BadData, place.clone(), message).help(help));
        return None;
    }
    match encoding::text(&bytes) {
        Ok(text) => decode(name, text.into_bytes(), place, sources, diagnostics),
        Err(unread) => {
            let (message, help) = unread.words(name);
            let here = match unread {
                encoding::Unread::Line(line) => {
                    let file = sources.add(name, source::without_controls(&bytes));
                    let start = sources.file(file).line_start(line);
                    Span::new(file, start..start)
                }
                encoding::Unread::Utf16 => place.clone(),
            };
            let problem = Diagnostic::new(Code::NotUtf8, here, message).related(place.clone(), say!("named here"));
            diagnostics.push(problem.help(help));
            None
        }
    }
}

fn unreadable(path: &str, place: &Span, most: u64, error: ReadError) -> Diagnostic {
    let help = match &error {
        ReadError::Unreadable(_) => None,
        ReadError::Escapes => Some(say!(
            "keep the file inside the project (the nearest parent folder with .git), not behind a link that leaves it"
        )),
        ReadError::Private(_) => Some(no_content()),
        ReadError::TooLarge(_) => None,
    };
    let (code, message) = error.problem(path, most);
    help.into_iter().fold(Diagnostic::new(code, place.clone(), message), Diagnostic::help)
}

/// A failure of a template as a diagnostic at its place in the plan.
pub fn failure_at(document: &Document, sources: &SourceMap, pointer: &str, failure: Failure) -> Diagnostic {
    failure_diagnostic(failure, |range| match range {
        Some(range) => document.span_in(sources, pointer, range),
        None => document.span(pointer),
    })
}

/// A failure of a template as a diagnostic; `place` tells where a range of the template is, or the whole of it.
pub fn failure_diagnostic(failure: Failure, place: impl Fn(Option<Range<usize>>) -> Span) -> Diagnostic {
    let Failure { code, message, file, range, used, help } = failure;
    let diagnostic = match file {
        Some(file) => Diagnostic::new(code, Span::new(file, range.unwrap_or(0..0)), message)
            .related(place(used), say!("used here")),
        None => Diagnostic::new(code, place(range), message),
    };
    help.into_iter().fold(diagnostic, Diagnostic::help)
}
