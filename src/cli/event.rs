//! `qunfa event`: bodies that another receiver hands on, since an account has one callback URL.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    callback::{self, Receiver, Receivers},
    clock::RealClock,
    failure::Failure,
    files,
    listen::{described, observation, told},
    options::{Common, Format, FormatArg},
    process,
    session::wait_for_writer,
    terminal::Terminal,
};
use crate::{
    clock::Clock as _,
    events::{self, Event, Pushed, Unreadable, crypt::Query},
    ledger::open,
    limits,
    locale::{Phrase, say},
    problem::{ExitCode, Refusal},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files with one pushed body each, XML or JSON, decrypted or not; `-` reads standard input [default: -]
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// A plan of the account [default: the account of --account FILE]
    #[arg(long, value_name = "PLAN", env = "QUNFA_PLAN", hide_env_values = true)]
    plan: Option<String>,
    /// Query string with which WeChat pushed the body: checks its signature. Without it, whoever hands on the body is trusted
    #[arg(long, value_name = "QUERY", env = "QUNFA_QUERY", hide_env_values = true)]
    query: Option<String>,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let standard = ["-".to_owned()];
    let names: &[String] = if args.files.is_empty() { &standard } else { &args.files };
    let query = args.query.as_deref().map(Query::parse);
    if query.is_some() && names.len() > 1 {
        return Err(Refusal::usage(say!(
            "--query belongs to one body, but there are {files} files",
            files = names.len()
        ))
        .help(say!("hand on one body at a time, or leave out --query"))
        .into());
    }
    let receivers = callback::open(args.plan.as_deref(), query.is_some(), common, terminal)?;
    let account = one(&receivers)?;
    // All are read before one is kept: a wrong file changes nothing.
    let read = names.iter().map(|name| Ok((name.as_str(), body(name, query.as_ref(), account)?)));
    let read = read.collect::<Result<Vec<_>, Refusal>>()?;
    process::catch_signals();
    open::wait_with(wait_for_writer);
    let mut ledger = receivers.store.observe().map_err(callback::not_kept)?;
    let (now, appid) = (RealClock::at(common.now).now(), account.appid.as_str());
    let (mut lines, mut text) = (Vec::new(), String::new());
    for (name, pushed) in read {
        let (line, said): (Value, Phrase) = match pushed {
            Pushed::Event(event) => {
                let seen = observation(&event, now);
                let new = ledger.observe(receivers.platform.name(), appid, &[seen])? > 0;
                (of_event(name, appid, &event, now, new), told(appid, &event, now, new))
            }
            Pushed::Other(kind) => (
                json!({ "file": name, "appid": appid, "kind": kind, "recorded": false }),
                say!("{appid}: `{name}` is not recorded", appid, name = kind.as_str()),
            ),
        };
        lines.push(line);
        text.push_str(&format!("{said}\n"));
    }
    match args.format.format {
        Format::Json => terminal.document(ExitCode::Done, json!({ "store": receivers.store.name(), "events": lines })),
        Format::Human => terminal.out(&text),
    }
    Ok(ExitCode::Done)
}

fn of_event(name: &str, appid: &str, event: &Event, now: jiff::Timestamp, new: bool) -> Value {
    let mut line = described(appid, event, now, new);
    (line["file"], line["recorded"]) = (name.into(), true.into());
    line
}

/// The account whose events they are.
fn one(receivers: &Receivers) -> Result<&Receiver, Refusal> {
    match receivers.accounts.as_slice() {
        [account] => Ok(account),
        _ => Err(Refusal::usage(say!("no account of the fleet is named"))
            .help(say!("name the account whose events they are: --account NAME"))),
    }
}

/// What a file has.
fn body(name: &str, query: Option<&Query>, account: &Receiver) -> Result<Pushed, Refusal> {
    let most = limits::EVENT_BYTES_MAX as u64;
    let bytes = match name {
        "-" => files::read_stdin(most),
        path => files::read_regular(Path::new(path), most),
    };
    let shown = if name == "-" { "<stdin>" } else { name };
    let bytes = bytes.map_err(|error| Refusal::missing_input(error.problem(shown, most).1))?;
    events::handed_on(&bytes, query, &account.keys, &account.appid).map_err(|why| {
        let message = say!("`{path}` is no event: {why}; nothing was recorded", path = shown, why = why.words());
        let refusal = match why {
            Unreadable::NotGenuine | Unreadable::NotEncrypted => Refusal::new(ExitCode::Refused, message),
            _ => Refusal::new(ExitCode::Invalid, message),
        };
        refusal.help(say!("hand on the body as WeChat pushed it, or decrypted, unchanged"))
    })
}
