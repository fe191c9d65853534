//! Completions: a script asks the program itself what may follow, so that they know the steps of the plan that is named.
//! Nothing of this is touched unless a shell asks.

use std::{ffi::OsString, path::Path};

use clap::{Arg, Command};
use clap_complete::{
    Shell,
    engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter},
    env::Shells,
};

use super::tree;
use crate::{
    cli::{failure::Failure, files, load::load, options::Common, process, terminal::Terminal},
    diag::{Code, Diagnostics, source, source::SourceMap},
    limits,
    locale::{Language, translated},
    plan::yaml,
    problem::ExitCode,
    wechat::errcode,
};

/// Set by the scripts: the shell that asks.
const VARIABLE: &str = "QUNFA_COMPLETE";

/// A list that is longer than this helps nobody.
const ROWS_MAX: usize = 200;

const FORMATS: [&str; 5] = ["human", "json", "junit", "markdown", "html"];
const FAULTS: [&str; 10] =
    ["drop", "lost", "cut", "html", "empty", "stall", "lossy", "lossy:word", "lossy:picture", "lossy:style"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// The script of a shell.
pub(crate) fn script(args: &Args, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell.to_string()).expect("the library knows its shells");
    shell.write_registration(VARIABLE, "qunfa", "qunfa", "qunfa", &mut script).expect("memory can be written");
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == Shell::Zsh {
        // In a folder of `fpath` the file is the function that is called first.
        script
            .push_str("\nif [ \"$funcstack[1]\" = \"_qunfa\" ]; then\n    _clap_dynamic_completer_qunfa \"$@\"\nfi\n");
    }
    terminal.exactly(&script);
    Ok(ExitCode::Done)
}

/// The shell that asks, if one does.
pub(crate) fn asked() -> Option<String> {
    process::env(VARIABLE).filter(|shell| !shell.is_empty())
}

/// What may follow the words after `--`, in the form of the shell.
pub(crate) fn answer(shell: &str, command: Command) -> ExitCode {
    let words: Vec<OsString> = process::args_os().skip_while(|word| word != "--").skip(1).collect();
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(shell).filter(|_| !words.is_empty()) else { return ExitCode::Usage };
    let mut command = completed(tree(command), &words);
    let mut answer = Vec::new();
    let folder = process::folder();
    if shell.write_complete(&mut command, words, folder.as_deref(), &mut answer).is_err() {
        return ExitCode::Usage;
    }
    Terminal::new(anstream::ColorChoice::Never, false, false).exactly(&String::from_utf8_lossy(&answer));
    ExitCode::Done
}

/// A command whose arguments know what they may be.
fn completed(command: Command, words: &[OsString]) -> Command {
    let commands: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    command.mut_subcommands(|below| {
        let name = below.get_name().to_owned();
        completed(below.mut_args(|arg| argument(arg, &name, &commands, words)), words)
    })
}

fn argument(arg: Arg, command: &str, commands: &[String], words: &[OsString]) -> Arg {
    let fixed = |arg: Arg, values: Vec<String>| {
        arg.add(ArgValueCandidates::new(move || values.iter().map(CompletionCandidate::new).collect()))
    };
    match (command, arg.get_id().as_str()) {
        (_, "account") if words.iter().any(|word| word == "--fleet") => {
            let words = words.to_vec();
            arg.add(ArgValueCandidates::new(move || accounts(&words)))
        }
        (_, "plan" | "plans" | "vars_file" | "account" | "fleet" | "path") => {
            arg.add(ArgValueCompleter::new(PathCompleter::any().filter(is_yaml)))
        }
        (_, "step" | "only" | "from") => {
            let words = words.to_vec();
            arg.add(ArgValueCandidates::new(move || steps(&words)))
        }
        ("run", "report") => fixed(arg, FORMATS.map(|format| format!("{format}=")).to_vec()),
        ("explain", "code") => arg.add(ArgValueCandidates::new(codes)),
        (_, "fault") => fixed(arg, FAULTS.map(str::to_owned).to_vec()),
        ("help", "command") => fixed(arg, commands.to_vec()),
        ("preview-html", "out") => arg.add(ArgValueCompleter::new(PathCompleter::file())),
        (_, "out" | "check" | "html" | "dir") => arg.add(ArgValueCompleter::new(PathCompleter::dir())),
        _ => arg,
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The steps of the first plan among the words that can be read, and the rows of those that have some.
fn steps(words: &[OsString]) -> Vec<CompletionCandidate> {
    let plans = words
        .windows(2)
        .filter(|pair| !["--vars-file", "--account", "--fleet"].iter().any(|option| pair[0] == *option));
    let plans = plans.map(|pair| Path::new(&pair[1]));
    let Some((path, steps)) = plans.filter(|path| is_yaml(path)).find_map(|path| Some((path, steps_of(path)?))) else {
        return Vec::new();
    };
    let has_rows = steps.iter().any(|step| !step["foreach"].is_null());
    let rows = if has_rows { rows(path, words) } else { Vec::new() };
    let candidate = |name: String, action: &str| CompletionCandidate::new(name).help(Some(action.to_owned().into()));
    let mut candidates = Vec::new();
    for step in &steps {
        let (Some(id), action) = (step["id"].as_str(), step["action"].as_str().unwrap_or_default()) else { continue };
        candidates.push(candidate(id.to_owned(), action));
        let of_step = rows.iter().filter(|(step, _)| step == id);
        candidates.extend(of_step.map(|(_, name)| candidate(name.clone(), action)));
    }
    candidates
}

/// The accounts of the fleet among the words, if they stand in its file.
fn accounts(words: &[OsString]) -> Vec<CompletionCandidate> {
    let fleet = words.windows(2).find(|pair| pair[0] == "--fleet").map(|pair| Path::new(&pair[1]));
    let value = fleet.and_then(value_of).unwrap_or_default();
    let names = value["accounts"].as_array().into_iter().flatten().filter_map(|account| account["name"].as_str());
    names.map(CompletionCandidate::new).collect()
}

fn steps_of(path: &Path) -> Option<Vec<serde_json::Value>> {
    value_of(path)?["steps"].as_array().cloned()
}

fn value_of(path: &Path) -> Option<serde_json::Value> {
    let bytes = files::read_regular(path, limits::PLAN_BYTES_MAX).ok()?;
    let mut sources = SourceMap::default();
    let file = sources.add("plan", source::decode(bytes).ok()?);
    yaml::parse(file, &sources, &mut Diagnostics::default()).map(|document| document.value)
}

/// The id and the whole name, such as `city[广州]`, of each row, which only the whole plan knows; none of a plan that is wrong.
fn rows(path: &Path, words: &[OsString]) -> Vec<(String, String)> {
    let values = |option: &str| -> Vec<String> {
        let pairs = words.windows(2).filter(|pair| pair[0] == option);
        pairs.filter_map(|pair| pair[1].to_str().map(str::to_owned)).collect()
    };
    let account = values("--account").pop();
    let common = Common { var: values("--var"), vars_file: values("--vars-file"), account, ..Common::default() };
    let terminal = Terminal::new(anstream::ColorChoice::Never, true, false);
    let Some(plan) = path.to_str().and_then(|path| load(path, &common, None, &terminal).plan) else {
        return Vec::new();
    };
    let rows = plan.steps.iter().filter(|step| step.key.is_some()).take(ROWS_MAX);
    rows.map(|step| (step.id.clone(), step.name())).collect()
}

/// What `explain` knows.
fn codes() -> Vec<CompletionCandidate> {
    let of_ours = Code::ALL.iter().map(|code| {
        let info = code.info();
        CompletionCandidate::new(info.id).help(Some(translated(info.explanation).into()))
    });
    let of_wechat = errcode::TABLE.iter().map(|row| {
        let meaning = if Language::current() == Language::Zh { row.meaning_zh } else { row.meaning_en };
        CompletionCandidate::new(row.code.to_string()).help(Some(meaning.into()))
    });
    of_ours.chain(of_wechat).collect()
}
