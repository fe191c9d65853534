//! `qunfa init`: a small campaign that works as it is.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{
    failure::Failure,
    files, generate,
    load::load,
    options::{BadValue, Common, Format, FormatArg},
    project::DiskProject,
    render,
    terminal::Terminal,
};
use crate::{
    locale::{Language, Phrase, list, say},
    plan::{model::Head, schema},
    problem::{ExitCode, Refusal, unwritten},
    text::quoted,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder to create the campaign in
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Account type: 服务号 or 订阅号
    #[arg(long, default_value = "service", env = "QUNFA_KIND", hide_env_values = true)]
    kind: Kind,
    /// Name of the campaign [default: the folder's name if valid, otherwise `campaign`]
    #[arg(long, env = "QUNFA_NAME", hide_env_values = true, value_parser = name)]
    name: Option<String>,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Can also send to lists of openids
    Service,
    /// Sends to tags or to all followers
    Subscription,
}

impl Kind {
    fn in_words(self) -> Phrase {
        match self {
            Kind::Service => say!("service account"),
            Kind::Subscription => say!("subscription account"),
        }
    }
}

fn name(text: &str) -> Result<String, BadValue> {
    let wanted = || say!("a name has at most 63 lower-case letters, digits and -, and starts with a letter or digit");
    Head::is_name(text).then(|| text.to_owned()).ok_or_else(|| BadValue(wanted()))
}

/// The dry run for review is made by the same pipe as any other.
const RENDERED: &str = "rendered";

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let folder_name = files::folder_name(&args.dir).filter(|name| Head::is_name(name));
    let name = args.name.clone().or(folder_name).unwrap_or_else(|| "campaign".into());
    let contents = contents(args.kind, &name);
    let wanted: Vec<&str> = contents.iter().map(|(path, _)| *path).chain([RENDERED]).collect();
    let taken = files::taken(&args.dir, &wanted);
    if !taken.is_empty() {
        let taken: Vec<String> = taken.iter().map(|path| format!("`{}`", shown(&args.dir, path))).collect();
        let message = match taken.as_slice() {
            [one] => say!("{path} already exists; nothing was written", path = one),
            many => say!("these files already exist, so nothing was written: {paths}", paths = list(many)),
        };
        let help = say!("choose an empty folder: qunfa init DIR");
        return Err(Refusal::new(ExitCode::Refused, message).help(help).into());
    }
    files::write_new_files(&args.dir, &contents).map_err(|(path, error)| {
        let (path, why) = (shown(&args.dir, path), unwritten(&error));
        Refusal::missing_input(say!("cannot write `{path}`: {why}; nothing was written", path, why))
    })?;
    let written: Vec<String> = contents.iter().map(|(path, _)| shown(&args.dir, path)).collect();
    let plan = shown(&args.dir, "plan.yaml");
    let vars = |which: &str| shown(&args.dir, format!("vars/{which}.yaml"));
    let common = Common { var: Vec::new(), vars_file: vec![vars("production")], ..common.clone() };
    let loaded = load(plan.as_str(), &common, None, terminal);
    let Some(rendered) = &loaded.plan else { return Err(loaded.refuse(&plan, None)) };
    loaded.print(terminal);
    let folder = args.dir.join(RENDERED);
    render::write(rendered, &folder, render::RequestFormat::Json)?;
    let written: Vec<String> = written.into_iter().chain([format!("{}/", shown(&args.dir, RENDERED))]).collect();
    if args.format.format == Format::Json {
        terminal.document(ExitCode::Done, serde_json::json!({ "name": name, "plan": plan, "written": written }));
        return Ok(ExitCode::Done);
    }
    written.iter().for_each(|path| terminal.out(&format!("{path}\n")));
    let created = say!("Created the campaign `{name}`. README.md explains how to adapt it. Next:", name);
    let (plan, staging) = (quoted(&plan), vars("staging"));
    let commands =
        [format!("qunfa validate {plan}"), format!("qunfa run {plan} --vars-file {} --sandbox", quoted(&staging))];
    terminal.note(&format!("\n{created}\n  {}\n", commands.join("\n  ")));
    if !files::same_folder(DiskProject::new(&args.dir).root(), &args.dir) {
        let moved = say!(
            "This folder is inside a larger repository, and CI reads workflows only from its root. Move .github or .gitlab-ci.yml\nthere and set the campaign's path in them."
        );
        terminal.note(&format!("\n{moved}\n"));
    }
    Ok(ExitCode::Done)
}

/// A path as users write it.
fn shown(folder: &Path, path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    if folder == Path::new(".") { path.display().to_string() } else { folder.join(path).display().to_string() }
}

/// What is written with words for people, in each language.
struct Templates {
    service: &'static str,
    subscription: &'static str,
    readme: &'static str,
    staging: &'static str,
    gitignore: &'static str,
    github: &'static str,
    gitlab: &'static str,
}

const ENGLISH: Templates = Templates {
    service: include_str!("en/plan.service.yaml"),
    subscription: include_str!("en/plan.subscription.yaml"),
    readme: include_str!("en/README.md"),
    staging: include_str!("en/staging.yaml"),
    gitignore: include_str!("en/gitignore"),
    github: include_str!("en/github.yml"),
    gitlab: include_str!("en/gitlab.yml"),
};

const CHINESE: Templates = Templates {
    service: include_str!("zh/plan.service.yaml"),
    subscription: include_str!("zh/plan.subscription.yaml"),
    readme: include_str!("zh/README.md"),
    staging: include_str!("zh/staging.yaml"),
    gitignore: include_str!("zh/gitignore"),
    github: include_str!("zh/github.yml"),
    gitlab: include_str!("zh/gitlab.yml"),
};

/// What is written, by paths below the folder.
fn contents(kind: Kind, name: &str) -> Vec<(&'static str, Cow<'static, [u8]>)> {
    let templates = match Language::current() {
        Language::En => ENGLISH,
        Language::Zh => CHINESE,
    };
    let filled = |template: &'static str| -> Cow<'static, [u8]> {
        let text = template.replace("@name@", name).replace("@kind@", &kind.in_words().to_string());
        text.replace("@version@", env!("CARGO_PKG_VERSION")).into_bytes().into()
    };
    let plan = match kind {
        Kind::Service => templates.service,
        Kind::Subscription => templates.subscription,
    };
    let mut files: Vec<(&'static str, Cow<'static, [u8]>)> = vec![
        ("plan.yaml", filled(plan)),
        ("README.md", filled(templates.readme)),
        ("content/article.md", include_bytes!("content/article.md").into()),
        ("content/cover.png", include_bytes!("content/cover.png").into()),
        ("content/leaf.png", include_bytes!("content/leaf.png").into()),
    ];
    match kind {
        Kind::Service => files.extend::<[(&'static str, Cow<'static, [u8]>); 3]>([
            ("content/vip.txt", include_bytes!("content/vip.txt").into()),
            ("audience/vip.csv", include_bytes!("audience/vip.csv").into()),
            ("audience/unsubscribed.txt", include_bytes!("audience/unsubscribed.txt").into()),
        ]),
        Kind::Subscription => {
            files.push(("audience/editors.csv", include_bytes!("audience/editors.csv").into()));
        }
    }
    files.extend::<[(&'static str, Cow<'static, [u8]>); 7]>([
        ("vars/production.yaml", include_bytes!("vars/production.yaml").into()),
        ("vars/staging.yaml", templates.staging.as_bytes().into()),
        ("schemas/plan.schema.json", generate::in_words(schema::PLAN).into_owned().into_bytes().into()),
        (".vscode/settings.json", include_bytes!("vscode.json").into()),
        (".gitignore", templates.gitignore.as_bytes().into()),
        (".github/workflows/qunfa.yml", filled(templates.github)),
        (".gitlab-ci.yml", filled(templates.gitlab)),
    ]);
    files
}
