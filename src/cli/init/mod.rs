//! `qunfa init`: a small campaign that works as it is.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{
    failure::Failure,
    files,
    load::load,
    options::{Common, Format, FormatArg},
    project::DiskProject,
    render,
    terminal::Terminal,
};
use crate::{
    plan::{model::Head, schema},
    problem::{ExitCode, Refusal},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that it is written into
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The kind of the account: 服务号 or 订阅号
    #[arg(long, default_value = "service", env = "QUNFA_KIND", hide_env_values = true)]
    kind: Kind,
    /// The campaign's name [default: that of the folder if it can be one, else `campaign`]
    #[arg(long, env = "QUNFA_NAME", hide_env_values = true, value_parser = name)]
    name: Option<String>,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// May also send to lists of openids
    Service,
    /// Sends to tags and to all
    Subscription,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Subscription => "subscription",
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    if Head::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name is lower-case letters, digits and -, at most 63, beginning with a letter or digit".into())
    }
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
            [one] => format!("{one} is there already; nothing was written"),
            many => format!("these are there already, so nothing was written:\n  {}", many.join("\n  ")),
        };
        return Err(Refusal::new(ExitCode::Refused, message).help("name an empty folder: qunfa init DIR").into());
    }
    files::write_new_files(&args.dir, &contents).map_err(|(path, error)| {
        let (path, why) = (shown(&args.dir, path), crate::text::chain(&error));
        Refusal::missing_input(format!("`{path}` cannot be written: {why}; nothing was written"))
    })?;
    let written: Vec<String> = contents.iter().map(|(path, _)| shown(&args.dir, path)).collect();
    let plan = shown(&args.dir, "plan.yaml");
    let vars = |which: &str| shown(&args.dir, format!("vars/{which}.yaml"));
    let common = Common { var: Vec::new(), vars_file: vec![vars("production")], ..common.clone() };
    let loaded = load(&plan, &common, None);
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
    let next = format!(
        "\nThe campaign `{name}` is ready to be tried; README.md says how to make it yours. Next:\n  qunfa validate {plan}\n  qunfa run {plan} --vars-file {} --sandbox\n",
        vars("staging")
    );
    terminal.note(&next);
    if !files::same_folder(DiskProject::new(&args.dir).root(), &args.dir) {
        terminal.note(
            "\nThis is a folder of a larger repository: workflows are found at its root alone. Move .github or .gitlab-ci.yml there,\nand say in them where the campaign is.\n",
        );
    }
    Ok(ExitCode::Done)
}

/// A path as users write it.
fn shown(folder: &Path, path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    if folder == Path::new(".") { path.display().to_string() } else { folder.join(path).display().to_string() }
}

/// What is written, by paths below the folder.
fn contents(kind: Kind, name: &str) -> Vec<(&'static str, Cow<'static, [u8]>)> {
    let filled = |template: &'static str| -> Cow<'static, [u8]> {
        let text = template.replace("@name@", name).replace("@kind@", kind.name());
        text.replace("@version@", env!("CARGO_PKG_VERSION")).into_bytes().into()
    };
    let plan = match kind {
        Kind::Service => include_str!("plan.service.yaml"),
        Kind::Subscription => include_str!("plan.subscription.yaml"),
    };
    let mut files: Vec<(&'static str, Cow<'static, [u8]>)> = vec![
        ("plan.yaml", filled(plan)),
        ("README.md", filled(include_str!("README.md"))),
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
        ("vars/staging.yaml", include_bytes!("vars/staging.yaml").into()),
        ("schemas/plan.schema.json", schema::PLAN.as_bytes().into()),
        (".vscode/settings.json", include_bytes!("vscode.json").into()),
        (".gitignore", include_bytes!("gitignore").into()),
        (".github/workflows/qunfa.yml", filled(include_str!("github.yml"))),
        (".gitlab-ci.yml", filled(include_str!("gitlab.yml"))),
    ]);
    files
}
