//! Wrong usage, in words of ours: what is wrong, what was probably meant, and where to read on.

use clap::{
    Arg, Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    cli::process,
    locale::{Phrase, list, say},
    problem::Problem,
    text::{did_you_mean, nearest, one_of, quoted},
};

/// Words of other tools, and of the trade, with the command that does it here.
const SYNONYMS: &[(&[&str], &[&str])] = &[
    (
        &["send", "apply", "deploy", "exec", "execute", "start", "go", "mass", "broadcast", "群发", "发送", "运行"],
        &["run"],
    ),
    (&["check", "lint", "verify", "检查", "校验"], &["validate"]),
    (&["plan"], &["validate", "render"]),
    (&["dry-run", "dryrun", "dry_run", "试运行"], &["render", "run --sandbox"]),
    (&["test", "rehearse", "simulate", "try", "演练"], &["run --sandbox", "validate"]),
    (&["diff", "compare"], &["render --check DIR", "audience"]),
    (&["preview", "view", "open", "html", "预览"], &["preview-html"]),
    (&["new", "create", "scaffold", "generate", "新建"], &["init"]),
    (&["format", "格式化"], &["fmt"]),
    (&["log", "logs", "history", "result", "results", "报告"], &["report", "status"]),
    (&["state", "ledger", "list", "ls", "show", "状态"], &["status"]),
    (&["fix", "confirm", "mark"], &["settle"]),
    (&["recipients", "people", "followers", "who", "群发对象"], &["audience"]),
    (&["quota", "ping", "diagnose", "health"], &["doctor"]),
    (&["server", "serve", "mock", "沙箱"], &["sandbox"]),
    (&["error", "errcode", "code", "codes", "解释"], &["explain"]),
    (&["completion", "complete"], &["completions"]),
    (&["manual", "manpage"], &["man"]),
    (&["帮助"], &["help"]),
];

/// What clap found wrong.
pub(crate) fn problem(error: &Error, tree: &Command) -> Problem {
    let command = addressed(tree);
    let (arg, value) = (text(error, ContextKind::InvalidArg), text(error, ContextKind::InvalidValue));
    let (arg, value) = (arg.as_deref().unwrap_or_default(), value.as_deref().unwrap_or_default());
    let problem = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            return unknown_command(&text(error, ContextKind::InvalidSubcommand).unwrap_or_default(), command);
        }
        ErrorKind::UnknownArgument => unknown_argument(error, arg, tree, command),
        ErrorKind::InvalidValue if value.is_empty() => Problem::new(say!("`{arg}` needs a value", arg)),
        ErrorKind::InvalidValue => Problem::new(say!("`{value}` is not a value of `{arg}`", value, arg)),
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            Problem::new(say!("`{value}` is not a value of `{arg}`", value, arg)).help(Phrase::verbatim(why))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = texts(error, ContextKind::InvalidArg);
            let missing = list(missing.iter().map(|arg| format!("`{arg}`")));
            Problem::new(say!("missing: {missing}", missing))
        }
        ErrorKind::ArgumentConflict => match texts(error, ContextKind::PriorArg).as_slice() {
            [] => Problem::new(say!("`{arg}` is given twice", arg)),
            [prior] if *prior == arg => Problem::new(say!("`{arg}` is given twice", arg)),
            others => {
                let others = list(others.iter().map(|other| format!("`{other}`")));
                Problem::new(say!("`{arg}` cannot be used with {others}", arg, others))
            }
        },
        ErrorKind::TooManyValues => Problem::new(say!("`{arg}` takes no value, but `{value}` is given", arg, value)),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
            Problem::new(say!("`{arg}` needs more values", arg))
        }
        ErrorKind::InvalidUtf8 => Problem::new(say!("an argument is not UTF-8")),
        _ => Problem::new(Phrase::verbatim(error.kind().to_string())),
    };
    let problem = match choice(error, value) {
        Some(help) => problem.help(help),
        None => problem,
    };
    let problem = match from_environment(command, arg, value) {
        Some(help) => problem.help(help),
        None => problem,
    };
    read_on(problem, command)
}

/// A command that does not exist: the likely one by its spelling or its meaning.
pub(super) fn unknown_command(word: &str, command: &Command) -> Problem {
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let program = command.get_bin_name().unwrap_or(command.get_name());
    let problem = Problem::new(say!("`{word}` is not a command of `{program}`", word, program));
    let top = names.contains(&"run");
    let is_plan = |ending: &str| word.len() > ending.len() && word.ends_with(ending);
    let help = if top && (is_plan(".yaml") || is_plan(".yml")) {
        say!("to run a plan: qunfa run {plan}", plan = quoted(word))
    } else if let Some(said) = elsewhere(word).filter(|_| top) {
        said
    } else if let Some(near) = near(word, &names, top) {
        let commands: Vec<String> = near.iter().map(|name| format!("{program} {name}")).collect();
        say!("did you mean {commands}?", commands = one_of(&commands))
    } else {
        say!("commands: {names}", names = list(names))
    };
    read_on(problem.help(help), command)
}

/// The commands that a word probably means.
fn near<'a>(word: &str, names: &[&'a str], top: bool) -> Option<Vec<&'a str>> {
    let word = word.to_lowercase();
    let synonym = |word: &str| {
        SYNONYMS.iter().filter(|_| top).find(|(words, _)| words.contains(&word)).map(|(_, names)| names.to_vec())
    };
    synonym(&word).or_else(|| did_you_mean(&word, names.iter().copied()).map(|near| vec![near])).or_else(|| {
        let words = SYNONYMS.iter().flat_map(|(words, _)| words.iter().copied()).filter(|word| word.len() > 3);
        did_you_mean(&word, words).and_then(synonym)
    })
}

/// What is done in another way than by a command.
fn elsewhere(word: &str) -> Option<Phrase> {
    match word {
        "publish" | "freepublish" | "发布" => {
            Some(say!("qunfa sends mass messages and does not publish without sending; to send: qunfa run PLAN"))
        }
        "login" | "auth" | "logout" => {
            Some(say!("there is no login: the plan names where its AppSecret is; to check it: qunfa doctor PLAN"))
        }
        "undo" | "delete" | "revoke" | "recall" | "rollback" | "withdraw" | "撤回" | "删除" | "删除群发" => {
            Some(say!(
                "add a step with `action: delete` to the plan; the message card stays with those who got it, only the body can \
             no longer be opened"
            ))
        }
        "stop" | "cancel" | "abort" => Some(say!(
            "press Ctrl-C where it runs: the current call is finished and recorded; to continue: qunfa run PLAN"
        )),
        _ => None,
    }
}

fn unknown_argument(error: &Error, arg: &str, tree: &Command, command: &Command) -> Problem {
    if !arg.starts_with('-') {
        return Problem::new(say!("unexpected argument `{arg}`", arg));
    }
    let problem = Problem::new(say!("unknown option `{arg}`", arg));
    let name = arg.trim_start_matches('-');
    let owners: Vec<String> = tree
        .get_subcommands()
        .filter(|owner| owner.get_arguments().any(|known| known.get_long() == Some(name) && !known.is_hide_set()))
        .map(|owner| format!("qunfa {}", owner.get_name()))
        .collect();
    if !owners.is_empty() {
        return problem.help(say!("it is an option of {commands}", commands = one_of(&owners)));
    }
    let near = text(error, ContextKind::SuggestedArg).or_else(|| {
        let names = command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long);
        did_you_mean(name, names).map(|near| format!("--{near}"))
    });
    match near {
        Some(near) => problem.help(say!("did you mean `{near}`?", near)),
        None if command.get_positionals().next().is_some() && name.parse::<f64>().is_err() => {
            problem.help(say!("if it is not an option, write `--` before it: -- {arg}", arg = quoted(arg)))
        }
        None => problem,
    }
}

/// The values that are possible, the nearest first.
fn choice(error: &Error, value: &str) -> Option<Phrase> {
    let values = texts(error, ContextKind::ValidValue);
    if values.is_empty() {
        return None;
    }
    let near = nearest(value, values.iter().map(String::as_str)).filter(|_| !value.is_empty());
    Some(near.unwrap_or_else(|| say!("write {values}", values = one_of(&values))))
}

/// Where a value comes from that nobody wrote on the command line.
fn from_environment(command: &Command, arg: &str, value: &str) -> Option<Phrase> {
    let arg = command.get_arguments().find(|known| known.to_string() == arg)?;
    let name = arg.get_env()?.to_str()?;
    let written = arg.get_long().map(|long| format!("--{long}"))?;
    let is_written = process::args().any(|word| word.split('=').next() == Some(&written));
    let set = process::env(name).filter(|set| !value.is_empty() && set.contains(value))?;
    (!is_written).then(|| say!("it comes from the environment: {name}={set}", name, set = quoted(&set)))
}

/// How the command is used, and which help says more.
fn read_on(problem: Problem, command: &Command) -> Problem {
    let program = command.get_bin_name().unwrap_or(command.get_name());
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    problem
        .help(say!("usage: {usage}", usage))
        .help(say!("all options and examples: {command} --help", command = program))
}

/// The command that the arguments name, as far as it exists.
pub(crate) fn addressed(tree: &Command) -> &Command {
    let mut command = tree;
    for word in process::args().take_while(|word| word != "--") {
        command = command.find_subcommand(word).unwrap_or(command);
    }
    command
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn texts(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    }
}
