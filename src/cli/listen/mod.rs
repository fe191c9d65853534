//! `qunfa listen`: receives what WeChat pushes, and keeps the events of jobs in the ledger.

use std::{
    net::SocketAddr,
    sync::mpsc::{self, Receiver as Queue, RecvTimeoutError, SyncSender},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

mod server;

use self::server::{Came, Paths, Server};
use super::{
    callback::{self, Receiver, Receivers},
    clock::RealClock,
    failure::Failure,
    options::{BadValue, Common, Format, FormatArg},
    process,
    session::wait_for_writer,
    terminal::Terminal,
};
use crate::{
    clock::{Clock as _, shanghai},
    events::{Detail, Event},
    ledger::{Ledger, Observation, open},
    limits,
    locale::{Phrase, say},
    problem::{ExitCode, Problem, Refusal, reason},
    report::Delivery,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A plan of the account [default: the account of --account FILE, or all accounts of --fleet FILE]
    plan: Option<String>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", env = "QUNFA_ADDR", hide_env_values = true, value_parser = address)]
    addr: SocketAddr,
    /// Path of the callback URL; with --fleet, the AppID of each account follows it
    #[arg(long, value_name = "PATH", default_value = "/", env = "QUNFA_PATH", hide_env_values = true, value_parser = path)]
    path: String,
    #[command(flatten)]
    format: FormatArg,
}

fn address(text: &str) -> Result<SocketAddr, BadValue> {
    text.parse().map_err(|_| BadValue(say!("write an IP address and a port, such as 127.0.0.1:8080")))
}

fn path(text: &str) -> Result<String, BadValue> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    match text.starts_with('/') && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(BadValue(say!("write a path that begins with `/`, of letters, digits and `/-._~`"))),
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let receivers = callback::open(args.plan.as_deref(), true, common, terminal)?;
    process::catch_signals();
    open::wait_with(wait_for_writer);
    // What cannot be kept is said before anybody pushes anything.
    let ledger = receivers.store.observe().map_err(callback::not_kept)?;
    let paths = match &common.fleet {
        None => receivers.accounts.iter().map(|account| (args.path.clone(), account.clone())).collect(),
        Some(_) => {
            let path = |appid: &str| format!("{}/{appid}", args.path.trim_end_matches('/'));
            receivers.accounts.iter().map(|account| (path(&account.appid), account.clone())).collect::<Vec<_>>()
        }
    };
    let (came, queue) = mpsc::sync_channel(limits::PUSH_QUEUE);
    let shown: Vec<String> = paths.iter().map(|(path, _)| path.clone()).collect();
    let server = Server::start(args.addr, Paths(paths), came).map_err(|error| {
        let address = args.addr.to_string();
        Refusal::missing_input(say!("cannot listen on {address}: {why}", address, why = reason(&error)))
            .help(say!("choose another address with --addr 127.0.0.1:0"))
    })?;
    let (said, lines) = mpsc::sync_channel(limits::PUSH_LINES);
    let printer = {
        let terminal = terminal.clone();
        std::thread::spawn(move || lines.into_iter().for_each(|line: Line| line.print(&terminal)))
    };
    let keeper = Keeper {
        receivers: &receivers,
        said,
        clock: RealClock::at(common.now),
        json: args.format.format == Format::Json,
        ledger: Some(ledger),
    };
    keeper.greet(server.address, &shown);
    keeper.run(server, &queue);
    // It can only end by a panic, which has been reported on its thread.
    let _ended = printer.join();
    Ok(ExitCode::Done)
}

/// What is printed on a thread of its own: who does not read it keeps no event from the ledger.
enum Line {
    Result(String),
    Json(String),
    Remark(String),
    Warning(String),
    Error(Problem),
}

impl Line {
    fn print(&self, terminal: &Terminal) {
        match self {
            Self::Result(text) => terminal.out(text),
            Self::Json(text) => terminal.out_json(text),
            Self::Remark(text) => terminal.note(text),
            Self::Warning(text) => terminal.err(text),
            Self::Error(problem) => terminal.error(problem),
        }
    }
}

/// Keeps what comes, and says so.
struct Keeper<'a> {
    receivers: &'a Receivers,
    said: SyncSender<Line>,
    clock: RealClock,
    json: bool,
    /// None after it failed: it is opened again with the next event.
    ledger: Option<Box<dyn Ledger>>,
}

impl Keeper<'_> {
    /// Says where it listens, and what to enter in the console.
    fn greet(&self, address: SocketAddr, paths: &[String]) {
        for (path, account) in paths.iter().zip(&self.receivers.accounts) {
            let url = format!("http://{address}{path}");
            if self.json {
                self.line(json!({ "event": "listening", "url": url, "appid": account.appid, "encrypted": !account.keys.aes.is_empty() }));
                continue;
            }
            let appid = account.appid.as_str();
            self.say(Line::Result(format!("{}\n", say!("listening for account {appid} on {url}", appid, url))));
        }
        let how = say!(
            "in the console (消息与事件推送), enter the public HTTPS URL that leads here, with the Token and EncodingAESKey of `callback` (Ctrl-C stops)"
        );
        self.say(Line::Remark(format!("{how}\n")));
        let mode = |account: &Receiver| match account.keys.aes.is_empty() {
            true => say!(
                "{appid}: choose plain mode (明文模式); add `aes_key` for safe mode",
                appid = account.appid.as_str()
            ),
            false => {
                say!("{appid}: choose safe or compatible mode (安全模式, 兼容模式)", appid = account.appid.as_str())
            }
        };
        self.receivers.accounts.iter().for_each(|account| self.say(Line::Remark(format!("{}\n", mode(account)))));
    }

    /// Until somebody asks to stop; what has come by then is kept and answered.
    fn run(mut self, mut server: Server, queue: &Queue<Came>) {
        loop {
            if process::interrupted() {
                server.close();
            }
            match queue.recv_timeout(limits::LISTEN_LOOK) {
                Ok(came) => self.take(came),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.say(Line::Remark(format!("{}\n", say!("stopped; every recorded event is in the state store"))));
    }

    fn take(&mut self, came: Came) {
        match came {
            Came::Event(at, event, told) => self.keep(at, &event, told),
            Came::Other(at, name) => self.other(at, &name),
            Came::Checked(at) => self.checked(at),
            Came::Useless(at, why) => self.useless(at, why.words()),
            Came::Refused(at, why) => self.refused(at, why.words()),
        }
    }

    /// Keeps an event, and has it answered.
    fn keep(&mut self, at: usize, event: &Event, told: oneshot::Sender<bool>) {
        let (appid, now) = (self.receivers.accounts[at].appid.clone(), self.clock.now());
        let kept = self.observe(&appid, &observation(event, now));
        // Whoever pushed it may have gone.
        let _gone = told.send(kept.is_ok());
        match kept {
            Ok(new) => self.kept(&appid, event, now, new),
            Err(Refusal { problem, .. }) => {
                self.ledger = None;
                let why = problem.message.clone();
                let message = say!("an event was not recorded; WeChat pushes it again: {why}", why);
                self.say(Line::Error(Problem { message, ..problem }));
            }
        }
    }

    /// Whether it was new. A connection that idled may have been lost: with another one it is tried once more.
    fn observe(&mut self, appid: &str, seen: &Observation) -> Result<bool, Refusal> {
        let idled = self.ledger.is_some();
        match self.observe_once(appid, seen) {
            Err(_) if idled => {
                self.ledger = None;
                self.observe_once(appid, seen)
            }
            told => told,
        }
    }

    fn observe_once(&mut self, appid: &str, seen: &Observation) -> Result<bool, Refusal> {
        let ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => self.receivers.store.observe().map_err(callback::not_kept)?,
        };
        let ledger = self.ledger.insert(ledger);
        let new = ledger.observe(self.receivers.platform.name(), appid, std::slice::from_ref(seen))?;
        Ok(new > 0)
    }

    fn kept(&self, appid: &str, event: &Event, now: Timestamp, new: bool) {
        if self.json {
            let mut line = described(appid, event, now, new);
            line["event"] = "received".into();
            return self.line(line);
        }
        let told = told(appid, event, now, new);
        self.say(Line::Result(format!("{} {}\n", shanghai(now).strftime("%H:%M:%S"), told)));
    }

    fn other(&self, at: usize, name: &str) {
        let appid = &self.receivers.accounts[at].appid;
        if self.json {
            return self.line(json!({ "event": "ignored", "at": self.clock.now(), "appid": appid, "kind": name }));
        }
        let told = say!("{appid}: `{name}` is not recorded", appid = appid.as_str(), name);
        self.say(Line::Remark(format!("{told}\n")));
    }

    fn checked(&self, at: usize) {
        let appid = &self.receivers.accounts[at].appid;
        if self.json {
            return self.line(json!({ "event": "checked", "at": self.clock.now(), "appid": appid }));
        }
        let told = say!("{appid}: the URL was checked with the right token", appid = appid.as_str());
        self.say(Line::Result(format!("{told}\n")));
    }

    fn useless(&self, at: usize, why: Phrase) {
        let appid = self.receivers.accounts[at].appid.as_str();
        let warning = say!("{appid}: a push cannot be used: {why}", appid, why);
        self.say(Line::Warning(format!("{}\n", say!("warning: {message}", message = warning))));
    }

    fn refused(&self, at: usize, why: Phrase) {
        let appid = self.receivers.accounts[at].appid.as_str();
        let warning = say!("{appid}: refused a request: {why}", appid, why);
        self.say(Line::Warning(format!("{}\n", say!("warning: {message}", message = warning))));
    }

    /// Has it printed; if too much of it waits for its reader, nobody reads it, and what it is about is in the ledger.
    fn say(&self, line: Line) {
        let _unread = self.said.try_send(line);
    }

    fn line(&self, mut members: Value) {
        members["schema"] = 1.into();
        self.say(Line::Json(format!("{members}\n")));
    }
}

/// As the ledger keeps it.
pub(super) fn observation(event: &Event, now: Timestamp) -> Observation {
    Observation { kind: event.kind.to_owned(), subject: event.subject.clone(), at: now, body: event.body.clone() }
}

/// An event as data.
pub(super) fn described(appid: &str, event: &Event, now: Timestamp, new: bool) -> Value {
    let delivery = match &event.detail {
        Detail::Mass(mass) => Some(Delivery::new(mass, now)),
        Detail::Publish(_) | Detail::Raw => None,
    };
    json!({ "at": now, "appid": appid, "kind": event.kind, "subject": event.subject, "happened_at": event.at, "new": new, "delivery": delivery })
}

/// An event in a line.
pub(super) fn told(appid: &str, event: &Event, now: Timestamp, new: bool) -> Phrase {
    let (kind, subject) = (event.kind, event.subject.as_str());
    let what = match &event.detail {
        Detail::Mass(mass) => Delivery::new(mass, now).summary(),
        Detail::Publish(publish) => match publish.status {
            Some(0) => say!("publication {id} succeeded", id = subject),
            Some(status) => {
                say!("publication {id}: publish_status {status}", id = subject, status = status.to_string())
            }
            None => say!("publication {id}", id = subject),
        },
        Detail::Raw => Phrase::verbatim(subject),
    };
    match new {
        true => say!("{appid}: {kind}, {what}", appid, kind, what),
        false => say!("{appid}: {kind}, {what} (already recorded)", appid, kind, what),
    }
}
