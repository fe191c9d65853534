//! Who is told how a run ended: after everything is recorded, and whatever becomes of it, the run ended as it did.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use minijinja::value::Serde;

use super::{clock::RealClock, findings::WrongPlan, process, secrets::read_secret, terminal::Terminal};
use crate::{
    clock::Clock as _,
    diag::Severity,
    limits,
    locale::{Phrase, list, say},
    notice::{
        self, Ending,
        robot::{self, Kind},
    },
    plan::{
        account::SecretSource,
        notify::{Facts, Notice, On, Robot, SignedRobot, StepFacts, Webhook},
    },
    problem::Refusal,
    redact::{Redactor, Secret},
    render::RenderedPlan,
    report::Report,
    text::quoted,
    wechat::{
        http::{ApiBase, Http, Proxy},
        transport::{Body, Failure, Method, Request, Transport as _},
    },
};

#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct NotifyArgs {
    /// Also tells this robot or webhook how the run ended, such as wecom=env:WECOM_ROBOT (repeatable)
    ///
    /// KIND is wecom, dingtalk, feishu or webhook; its address is read from env:NAME or file:PATH. The secret of a signature
    /// follows after a comma: dingtalk=env:DINGTALK_ROBOT,env:DINGTALK_SECRET.
    #[arg(long, value_name = "KIND=SOURCE", env = "QUNFA_NOTIFY", hide_env_values = true)]
    notify: Vec<String>,
}

/// One who is told, and what messages call him.
#[derive(Debug, Clone)]
struct Address {
    /// `notify[0] (wecom)`, `--notify wecom`.
    name: String,
    notice: Notice,
    /// What the files of its secrets are relative to.
    folder: PathBuf,
}

/// All who are told.
#[derive(Debug, Clone, Default)]
pub(super) struct Notices {
    addresses: Vec<Address>,
    /// A rehearsal leaves out those of the plan.
    rehearsal: bool,
}

impl NotifyArgs {
    /// Those that the command names.
    pub(super) fn notices(&self, rehearsal: bool) -> Result<Notices, Refusal> {
        let address = |option: &String| {
            let notice = parse(option).ok_or_else(|| {
                // What is not understood may be the address itself.
                let kinds = list(Kind::ALL.map(Kind::name));
                Refusal::usage(say!("the value of --notify is not KIND=SOURCE"))
                    .help(say!("write KIND=env:NAME or KIND=file:PATH; kinds are {kinds}", kinds))
                    .help(say!("the secret of a signature follows after a comma: dingtalk=env:NAME,env:SECRET"))
            })?;
            let name = option.split('=').next().unwrap_or_default();
            Ok(Address { name: format!("--notify {name}"), notice, folder: PathBuf::new() })
        };
        let addresses = self.notify.iter().map(address).collect::<Result<Vec<_>, Refusal>>()?;
        Ok(Notices { addresses, rehearsal })
    }
}

/// `KIND=SOURCE`, `KIND=SOURCE,SOURCE`.
fn parse(option: &str) -> Option<Notice> {
    let (kind, sources) = option.split_once('=')?;
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
    let mut sources = sources.split(',').map(source);
    let url = sources.next()??;
    let secret = sources.next().map_or(Some(None), |secret| secret.map(Some))?;
    if sources.next().is_some() || (secret.is_some() && !kind.is_signed()) {
        return None;
    }
    let mut notice = Notice { on: On::usual(), wecom: None, dingtalk: None, feishu: None, webhook: None };
    match kind {
        Kind::Wecom => notice.wecom = Some(Robot { url }),
        Kind::Dingtalk => notice.dingtalk = Some(SignedRobot { url, secret }),
        Kind::Feishu => notice.feishu = Some(SignedRobot { url, secret }),
        Kind::Webhook => notice.webhook = Some(Webhook { url, body: None, headers: Vec::new() }),
    }
    // Who asks for it by hand wants to hear of every run.
    notice.on = On::ALL.to_vec();
    Some(notice)
}

fn source(text: &str) -> Option<SecretSource> {
    let none = SecretSource { env: None, file: None, command: None };
    let (form, name) = text.split_once(':').filter(|(_, name)| !name.is_empty())?;
    let variable = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match form {
        "env" if name.chars().all(variable) => Some(SecretSource { env: Some(name.to_owned()), ..none }),
        "file" => Some(SecretSource { file: Some(name.to_owned()), ..none }),
        _ => None,
    }
}

impl Notices {
    /// With those of a plan; a rehearsal tells only those that its command names.
    pub(super) fn of_plan(mut self, plan: &RenderedPlan, terminal: &Terminal) -> Self {
        if self.rehearsal {
            if !plan.notify.is_empty() && self.addresses.is_empty() {
                let text = say!("a rehearsal does not use the plan's `notify`; --notify tells somebody all the same");
                terminal.note(&format!("{}\n", say!("note: {text}", text)));
            }
            return self;
        }
        let folder =
            if plan.path == "-" { Path::new("") } else { Path::new(&plan.path).parent().unwrap_or(Path::new("")) };
        self.addresses.extend(plan.notify.iter().enumerate().map(|(index, notice)| Address {
            name: format!("notify[{index}] ({})", kind(notice).name()),
            notice: notice.clone(),
            folder: folder.to_owned(),
        }));
        self
    }

    /// Tells how a run ended.
    pub(super) fn tell(&self, report: &Report, ending: Ending, plan: &RenderedPlan, terminal: &Terminal) {
        let Some(on) = notice::event(report, ending) else { return };
        let kept = ending.ran && report.platform != "sandbox";
        let look = match kept {
            true => plan.command("report", &["--run", &report.run_id]),
            false => plan.command("status", &[]),
        };
        self.send(on, plan, terminal, || notice::facts(report, on, look));
    }

    /// Tells that a plan is wrong, which was to be run; those that the plan names are not known then.
    pub(super) fn tell_of_plan(&self, path: &str, platform: &str, wrong: &WrongPlan, terminal: &Terminal) {
        let errors = wrong.checked.diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
        let problems = errors.map(|finding| StepFacts {
            step: finding.place.as_ref().map_or_else(String::new, |place| format!("{}:{}", place.file, place.line)),
            message: finding.message.to_string(),
            help: finding.help.iter().map(Phrase::to_string).collect(),
            errcode: None,
        });
        let look = format!("qunfa validate {}", quoted(path));
        let facts = notice::facts_of_plan(path, platform, wrong.code, problems.collect(), look);
        self.deliver(On::Refused, terminal, &facts, &|_| None);
    }

    fn send(&self, on: On, plan: &RenderedPlan, terminal: &Terminal, facts: impl FnOnce() -> Facts) {
        if !self.addresses.iter().any(|address| address.notice.on.contains(&on)) {
            return;
        }
        let facts = facts();
        // What a template makes of it is made here: its engine knows the plan.
        self.deliver(on, terminal, &facts, &|template| {
            let context = minijinja::Value::from(Serde(serde_json::to_value(&facts).unwrap_or_default()));
            Some(
                plan.engine
                    .render(template, &context)
                    .ok()
                    .filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok()),
            )
        });
    }

    /// Tells all of them at once, for so long as a notice may take; who was not told is said.
    fn deliver(&self, on: On, terminal: &Terminal, facts: &Facts, body: &dyn Fn(&str) -> Option<Option<String>>) {
        let wanted: Vec<&Address> = self.addresses.iter().filter(|address| address.notice.on.contains(&on)).collect();
        let (outgoing, answers) = mpsc::channel();
        let mut told: Vec<Option<Result<(), String>>> = vec![None; wanted.len()];
        for (index, address) in wanted.iter().enumerate() {
            let template = address.notice.webhook.as_ref().and_then(|hook| hook.body.as_ref());
            let body = match template.and_then(|template| body(&template.0)) {
                Some(None) => {
                    let _ = outgoing.send((index, Err(say!("its body does not render to JSON").to_string())));
                    continue;
                }
                Some(text) => text,
                None => None,
            };
            let (outgoing, address, facts) = (outgoing.clone(), (*address).clone(), facts.clone());
            std::thread::spawn(move || outgoing.send((index, tell(&address, &facts, body))));
        }
        drop(outgoing);
        let clock = RealClock::default();
        let began = clock.steady();
        loop {
            let passed = clock.steady().duration_since(began).unsigned_abs();
            let left = limits::NOTICE_TIMEOUT.saturating_sub(passed).max(Duration::from_millis(1));
            let Ok((index, answer)) = answers.recv_timeout(left) else { break };
            told[index] = Some(answer);
        }
        // In the order of the plan, whoever answered first.
        for (address, told) in wanted.iter().zip(told) {
            let name = address.name.as_str();
            let seconds = limits::NOTICE_TIMEOUT.as_secs().to_string();
            match told {
                Some(Ok(())) => terminal.note(&format!("{}\n", say!("told {address} how it ended", address = name))),
                Some(Err(why)) => undelivered(name, &why, terminal),
                None => undelivered(name, &say!("no answer within {seconds} s", seconds).to_string(), terminal),
            }
        }
    }
}

fn undelivered(name: &str, why: &str, terminal: &Terminal) {
    let message = say!("{address} was not told how it ended: {why}", address = name, why);
    terminal.err(&format!("{}\n", say!("warning: {message}", message)));
}

fn kind(notice: &Notice) -> Kind {
    match notice {
        Notice { wecom: Some(_), .. } => Kind::Wecom,
        Notice { dingtalk: Some(_), .. } => Kind::Dingtalk,
        Notice { feishu: Some(_), .. } => Kind::Feishu,
        _ => Kind::Webhook,
    }
}

/// What is shorter is no key of a robot, but a word of its path.
const KEY_CHARS: usize = 16;

/// The secrets of an address: where it is, that of its signature, and those of its headers.
struct Secrets {
    url: Secret,
    sign: Option<Secret>,
    headers: Vec<(String, Secret)>,
}

fn secrets(address: &Address) -> Result<Secrets, Phrase> {
    let read = |source: &SecretSource| read_secret(source, &address.folder);
    let Notice { wecom, dingtalk, feishu, webhook, .. } = &address.notice;
    let signed = dingtalk.as_ref().or(feishu.as_ref());
    let url = wecom.as_ref().map(|robot| &robot.url).or(signed.map(|robot| &robot.url));
    let url = url.or(webhook.as_ref().map(|hook| &hook.url)).expect("the schema asks for exactly one of them");
    let headers = webhook.iter().flat_map(|hook| &hook.headers);
    Ok(Secrets {
        url: read(url)?,
        sign: signed.and_then(|robot| robot.secret.as_ref()).map(read).transpose()?,
        headers: headers
            .map(|header| Ok((header.name.clone(), read(&header.value)?)))
            .collect::<Result<_, Phrase>>()?,
    })
}

/// Tells one of them; the error says why not, without anything secret.
fn tell(address: &Address, facts: &Facts, body: Option<String>) -> Result<(), String> {
    let Secrets { url, sign, headers } = secrets(address).map_err(|why| why.to_string())?;
    let mut redactor = Redactor::default();
    [Some(&url), sign.as_ref()].into_iter().flatten().for_each(|secret| redactor.learn(secret));
    headers.iter().for_each(|(_, value)| redactor.learn(value));
    let Some((base, path)) = ApiBase::of_webhook(&url) else {
        return Err(say!("its address is not an https:// address (http only for this machine)").to_string());
    };
    redactor.learn(&path);
    // A robot may name the key alone.
    let pieces = path.expose().split(['/', '?', '&', '=']).filter(|piece| piece.len() >= KEY_CHARS);
    pieces.for_each(|piece| redactor.learn(&Secret::new(piece.to_owned())));
    let kind = kind(&address.notice);
    let post = robot::post(kind, facts, sign.as_ref(), RealClock::default().now().as_millisecond());
    // Nobody wrote a secret into a plan's texts on purpose.
    let body = redactor.clean(&body.unwrap_or(post.body));
    let proxy = Proxy::of_environment(&base, &process::env).map_err(|why| why.to_string())?;
    let query: Vec<(&str, &Secret)> = post.query.iter().map(|(name, value)| (*name, value)).collect();
    let headers: Vec<(&str, &Secret)> = headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let request = Request {
        method: Method::Post,
        path: path.expose(),
        query: &query,
        headers: &headers,
        body: Body::Json(&body),
        timeout: limits::NOTICE_TIMEOUT,
    };
    let said = match Http::new(base, proxy, process::abandoned).send(&request) {
        Ok(answer) => robot::taken(kind, answer.status, &answer.body),
        Err(Failure::NotSent(why) | Failure::MaybeSent(why)) => Err(why),
    };
    said.map_err(|why| redactor.clean(&why.to_string()))
}
