//! `qunfa pull`: a draft, whoever made it, into the project as files that a plan can use. Changes nothing at WeChat.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::{
    failure::Failure,
    files::{self, Entry as Found},
    listing::{asking, open_account},
    options::{Common, Format, FormatArg},
    process,
    session::Session,
    subject::plan_and_step,
    terminal::Terminal,
};
use crate::{
    locale::{list, say},
    problem::{ExitCode, Refusal, unwritten},
};

mod article;
mod draft;
mod names;

use article::{Entry, Pulled, Puller, quoted};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan whose account is meant; not needed with --account FILE
    #[arg(required = true)]
    plan: Option<String>,
    /// The draft: its `media_id`, or the title of one of its articles
    draft: Option<String>,
    /// The folder to write to [default: one named after the title, beside the plan]
    #[arg(long, value_name = "FOLDER", env = "QUNFA_INTO", hide_env_values = true)]
    into: Option<PathBuf>,
    /// Overwrites files that exist
    #[arg(long, env = "QUNFA_FORCE", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    force: bool,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (plan, draft) = match (&args.plan, &args.draft) {
        // Of an account without a plan the one word is the draft.
        (Some(word), None) if common.account.is_some() => (None, Some(word.as_str())),
        (plan, draft) => plan_and_step(plan.as_deref(), draft.as_deref(), common),
    };
    let Some(draft) = draft else {
        let refusal = Refusal::usage(say!("no draft is named"));
        return Err(refusal.help(say!("name it by its `media_id` or title; `qunfa drafts` lists them")).into());
    };
    let session = open_account(plan, common, terminal)?;
    let (found, pulled) = asking(&session, common, terminal, |asker| {
        let found = draft::find(asker, draft)?;
        let pictures = session.pictures(asker.timeout)?;
        let pulled = Puller::new(asker, pictures).pull(&found.articles)?;
        Ok((found, pulled))
    })?;
    let beside = plan_folder(&session);
    let into = args.into.clone().unwrap_or_else(|| {
        let title = found.articles.first().and_then(|article| article["title"].as_str());
        beside.join(names::stem(title.unwrap_or_default()))
    });
    write(&into, &pulled, args.force)?;
    let shown = |name: &str| slashes(&into.join(name));
    let from_plan = |name: &str| slashes(&relative(&beside, &into.join(name)));
    if args.format.format == Format::Json {
        let files: Vec<String> = pulled.files.iter().map(|(name, _)| shown(name)).collect();
        let articles: Vec<Value> = pulled.articles.iter().map(|entry| in_json(entry, &from_plan)).collect();
        let members = json!({ "appid": session.plan.appid, "media_id": found.media_id, "files": files, "articles": articles,
                              "notes": pulled.notes, "findings": pulled.findings });
        terminal.document(ExitCode::Done, members);
        return Ok(ExitCode::Done);
    }
    for note in &pulled.notes {
        terminal.err(&format!("{}\n", say!("note: {text}", text = note)));
    }
    if !pulled.findings.is_empty() {
        terminal.err_in_colour(&pulled.findings);
    }
    let mut said = format!("{}\n", say!("pulled the draft {media_id}:", media_id = found.media_id.as_str()));
    pulled.files.iter().for_each(|(name, _)| said.push_str(&format!("  {}\n", shown(name))));
    said.push_str(&format!("\n{}\n    articles:\n", say!("to use it in a plan, write in a `create_draft` step:")));
    pulled.articles.iter().for_each(|entry| said.push_str(&format!("      - {}\n", in_yaml(entry, &from_plan))));
    terminal.out(&said);
    Ok(ExitCode::Done)
}

/// Writes the files, all or none.
fn write(into: &Path, pulled: &Pulled, force: bool) -> Result<(), Refusal> {
    let names: Vec<&str> = pulled.files.iter().map(|(name, _)| name.as_str()).collect();
    let mut taken = files::taken(into, &names);
    if force {
        // A link or a folder in the place of a file may lead elsewhere.
        taken.retain(|path| files::entry(&into.join(path)) != Found::File);
    }
    if !taken.is_empty() {
        let taken: Vec<String> = taken.iter().map(|path| format!("`{}`", slashes(&into.join(path)))).collect();
        let message = match taken.as_slice() {
            [one] => say!("{path} already exists; nothing was written", path = one),
            many => say!("these files already exist, so nothing was written: {paths}", paths = list(many)),
        };
        let help = match force {
            false => say!("choose another folder with --into FOLDER, or overwrite them with --force"),
            true => say!("choose another folder with --into FOLDER: links and folders are not overwritten"),
        };
        return Err(Refusal::new(ExitCode::Refused, message).help(help));
    }
    files::replace_files(into, &pulled.files).map_err(|(name, error)| {
        let (path, why) = (slashes(&into.join(name)), unwritten(&error));
        Refusal::missing_input(say!("cannot write `{path}`: {why}; nothing was written", path, why))
    })
}

fn in_json(entry: &Entry, path: &dyn Fn(&str) -> String) -> Value {
    match &entry.images {
        None => json!({ "file": path(&entry.file) }),
        Some(images) => {
            let images: Vec<String> = images.iter().map(|image| path(image)).collect();
            json!({ "type": "newspic", "file": path(&entry.file), "images": images })
        }
    }
}

fn in_yaml(entry: &Entry, path: &dyn Fn(&str) -> String) -> String {
    let file = quoted(&path(&entry.file));
    match &entry.images {
        None => format!("{{ file: {file} }}"),
        Some(images) => {
            let images: Vec<String> = images.iter().map(|image| quoted(&path(image))).collect();
            format!("{{ type: newspic, file: {file}, images: [{}] }}", images.join(", "))
        }
    }
}

/// Where the plan is, and what its paths are relative to.
fn plan_folder(session: &Session) -> PathBuf {
    Path::new(&session.plan.path).parent().map(Path::to_owned).unwrap_or_default()
}

/// A path as seen from a folder.
fn relative(folder: &Path, path: &Path) -> PathBuf {
    let here = process::folder().unwrap_or_default();
    let parts = |path: &Path| {
        let mut parts: Vec<PathBuf> = Vec::new();
        for part in here.join(path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(parts.pop()),
                part => parts.push(Path::new(&part).to_owned()),
            }
        }
        parts
    };
    let (folder, path) = (parts(folder), parts(path));
    let common = folder.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n(PathBuf::from(".."), folder.len() - common);
    up.chain(path[common..].iter().cloned()).collect()
}

/// A path as plans write it.
fn slashes(path: &Path) -> String {
    path.display().to_string().replace(std::path::MAIN_SEPARATOR, "/")
}
