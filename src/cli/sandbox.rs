//! `qunfa sandbox`: the embedded server by itself; and the one of `run --sandbox`.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::json;

use super::{
    clock::{RealClock, RehearsalClock},
    failure::Failure,
    load,
    options::{BadValue, Common, Format, FormatArg, number},
    session::Address,
    terminal::Terminal,
};
use crate::{
    clock::{Clock, shanghai},
    content::article::Piece,
    locale::{Phrase, list, say},
    payload::{MediaId, Target},
    plan::account::AccountKind,
    platform::Platform,
    problem::{ExitCode, Refusal, reason},
    render::{Content, DraftName, PlannedCall, RenderedPlan},
    resolve::article::{Article, Cover, Shows},
    sandbox::{
        self as server, Audience, Config, Delivery, DeliveryKind, Fault, Push, PushFault, PushMode, Sandbox, Tag,
    },
    slot::{self, Followers},
    wechat::http::ApiBase,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "QUNFA_LISTEN", hide_env_values = true, value_parser = address)]
    listen: SocketAddr,
    /// Account type; determines its quotas
    #[arg(long, value_name = "KIND", default_value = "service", env = "QUNFA_KIND", hide_env_values = true, value_parser = ["service", "subscription"])]
    kind: String,
    /// Accepts only this AppID [default: any valid AppID]
    #[arg(long, value_name = "APPID", env = "QUNFA_APPID", hide_env_values = true)]
    appid: Option<String>,
    /// Accepts only this AppSecret [default: any]
    #[arg(long, value_name = "SECRET", env = "QUNFA_SANDBOX_SECRET", hide_env_values = true)]
    secret: Option<String>,
    #[command(flatten)]
    component: ComponentArgs,
    /// Adds a tag to the account (repeatable); tag 2 always exists
    #[arg(long, value_name = "ID=NAME[:FOLLOWERS]", env = "QUNFA_TAG", hide_env_values = true)]
    tag: Vec<String>,
    /// Adds media to the account: mpnews, image, voice, mpvideo or thumb, or the URL of an article picture (repeatable)
    #[arg(long, value_name = "TYPE=MEDIA_ID", env = "QUNFA_MEDIA", hide_env_values = true)]
    media: Vec<String>,
    /// Adds a draft with this title, as if it had been made in the console (repeatable)
    #[arg(long, value_name = "TITLE", env = "QUNFA_DRAFT", hide_env_values = true)]
    draft: Vec<String>,
    /// How many seconds a mass message is being sent
    #[arg(long, value_name = "SECONDS", default_value_t = 20, env = "QUNFA_SENDING", hide_env_values = true, value_parser = number::<u32>)]
    sending: u32,
    /// Days by which the statistics that `stats` asks for are ahead, so that a rehearsal has readers [default: 0]
    #[arg(long, value_name = "DAYS", default_value_t = 0, hide_default_value = true, env = "QUNFA_STATISTICS_AHEAD", hide_env_values = true, value_parser = super::options::number::<u16>)]
    statistics_ahead: u16,
    /// Adds the tags, media and drafts that this plan uses
    #[arg(long, value_name = "PLAN", env = "QUNFA_PLAN", hide_env_values = true)]
    plan: Option<String>,
    #[command(flatten)]
    push: PushArgs,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// Where a sandbox pushes the events of its jobs, and how.
#[derive(Debug, clap::Args)]
struct PushArgs {
    /// Pushes the event of each job to this URL when the job is over; {appid} stands for the account's AppID
    #[arg(long, value_name = "URL", env = "QUNFA_PUSH", hide_env_values = true)]
    push: Option<String>,
    /// Token that signs the pushes
    #[arg(long, value_name = "TOKEN", env = "QUNFA_PUSH_TOKEN", hide_env_values = true, requires = "push")]
    push_token: Option<String>,
    /// EncodingAESKey (43 characters) that encrypts the pushes: safe mode
    #[arg(long, value_name = "KEY", env = "QUNFA_PUSH_AES_KEY", hide_env_values = true, requires = "push")]
    push_aes_key: Option<String>,
    /// Mode of the pushes [default: safe with --push-aes-key, otherwise plain]
    #[arg(long, value_name = "MODE", env = "QUNFA_PUSH_MODE", hide_env_values = true, requires = "push", value_parser = ["plain", "compatible", "safe"])]
    push_mode: Option<String>,
    /// Format of the pushes
    #[arg(long, value_name = "FORMAT", default_value = "xml", env = "QUNFA_PUSH_FORMAT", hide_env_values = true, requires = "push", value_parser = ["xml", "json"])]
    push_format: String,
    /// Seconds from a send to its event
    #[arg(long, value_name = "SECONDS", default_value_t = 20, env = "QUNFA_PUSH_AFTER", hide_env_values = true, requires = "push", value_parser = number::<u32>)]
    push_after: u32,
    /// Makes a push fail (repeatable): lost, twice, late, signature or key; #3, #2-4, #2- or #30% selects when
    #[arg(long, value_name = "KIND[#WHEN]", env = "QUNFA_PUSH_FAULT", hide_env_values = true, requires = "push")]
    push_fault: Vec<PushFault>,
}

impl PushArgs {
    fn push(&self) -> Result<Option<Push>, Refusal> {
        let Some(url) = &self.push else { return Ok(None) };
        if !url.starts_with("http://") {
            return Err(Refusal::usage(say!("`--push {url}` is not a URL of this kind", url))
                .help(say!("write --push http://HOST:PORT/PATH")));
        }
        let token = self.push_token.clone().ok_or_else(|| {
            Refusal::usage(say!("--push needs the token that signs the pushes"))
                .help(say!("pass --push-token, with what the account's `callback: token` has"))
        })?;
        if self.push_aes_key.as_deref().is_some_and(|key| !server::is_aes_key(key)) {
            return Err(Refusal::usage(say!("--push-aes-key is not an EncodingAESKey"))
                .help(say!("it has 43 letters and digits")));
        }
        let mode = match (self.push_mode.as_deref(), &self.push_aes_key) {
            (Some("plain"), _) | (None, None) => PushMode::Plain,
            (Some(_), None) => {
                return Err(Refusal::usage(say!("this mode needs a key: --push-aes-key"))
                    .help(say!("it has 43 letters and digits")));
            }
            (Some("compatible"), Some(_)) => PushMode::Compatible,
            (_, Some(_)) => PushMode::Safe,
        };
        Ok(Some(Push {
            url: url.clone(),
            token,
            aes_key: self.push_aes_key.clone(),
            mode,
            json: self.push_format == "json",
            after: self.push_after.into(),
            faults: self.push_fault.clone(),
            on_push: None,
        }))
    }
}

/// The third-party platform that a sandbox accepts.
#[derive(Debug, clap::Args)]
struct ComponentArgs {
    /// Accepts only this third-party platform (component_appid) [default: any valid AppID]
    #[arg(long, value_name = "APPID", env = "QUNFA_COMPONENT_APPID", hide_env_values = true)]
    component_appid: Option<String>,
    /// Accepts only this AppSecret of the platform [default: any]
    #[arg(long, value_name = "SECRET", env = "QUNFA_SANDBOX_COMPONENT_SECRET", hide_env_values = true)]
    component_secret: Option<String>,
    /// Accepts only this component_verify_ticket [default: any]
    #[arg(long, value_name = "TICKET", env = "QUNFA_SANDBOX_COMPONENT_TICKET", hide_env_values = true)]
    component_ticket: Option<String>,
    /// Accepts only this authorizer_refresh_token [default: any]
    #[arg(long, value_name = "TOKEN", env = "QUNFA_SANDBOX_REFRESH_TOKEN", hide_env_values = true)]
    refresh_token: Option<String>,
}

impl ComponentArgs {
    fn component(&self) -> server::Component {
        server::Component {
            appid: self.component_appid.clone(),
            secret: self.component_secret.clone(),
            ticket: self.component_ticket.clone(),
            refresh_token: self.refresh_token.clone(),
        }
    }
}

/// What goes wrong in a sandbox.
#[derive(Debug, clap::Args)]
pub(super) struct FaultArgs {
    /// Makes a request fail (repeatable), such as lost@mass/send#2
    ///
    /// drop, lost, cut, html, empty, stall or an errcode. `:done` performs the request first; `@mass/send` selects requests
    /// by path (default: mass calls); `#3`, `#2-4`, `#2-` or `#30%` selects when (default: the first). `lossy` drops a word,
    /// a picture and a style from a stored draft; `lossy:word`, `lossy:picture` and `lossy:style` drop only one of them. `rotate`
    /// replaces the refresh token of a third-party platform
    #[arg(
        long,
        value_name = "KIND[:done][@PATH][#WHEN]",
        env = "QUNFA_FAULT",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    fault: Vec<Fault>,
    /// Seed for random faults; the same seed produces the same faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1, env = "QUNFA_FAULT_SEED", hide_env_values = true, value_parser = number::<u64>)]
    fault_seed: u64,
}

impl FaultArgs {
    /// Wrong usage where there is no embedded sandbox for them.
    pub(super) fn only_of(&self, sandbox: bool) -> Result<(), Refusal> {
        if sandbox || self.fault.is_empty() {
            return Ok(());
        }
        Err(Refusal::usage(say!("--fault works only with the sandbox"))
            .help(say!("add --sandbox, or start `qunfa sandbox --fault ...` and pass --api-base")))
    }

    fn give(&self, config: &mut Config) {
        config.faults.clone_from(&self.fault);
        config.fault_seed = self.fault_seed;
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut config = Config { appid: args.appid.clone(), secret: args.secret.clone(), ..Config::default() };
    config.sending = args.sending.into();
    config.statistics_days = args.statistics_ahead.into();
    config.component = args.component.component();
    config.kind =
        if args.kind == "subscription" { server::AccountKind::Subscription } else { server::AccountKind::Service };
    if let Some(path) = &args.plan {
        let loaded = load::load(path.as_str(), common, None, terminal);
        let Some(plan) = &loaded.plan else { return Err(loaded.refuse(path, None)) };
        loaded.print(terminal);
        seed(&mut config, plan);
    }
    for text in &args.tag {
        let tag = parse_tag(text).ok_or_else(|| {
            Refusal::usage(say!("`--tag {text}` is not a tag", text))
                .help(say!("write --tag 100=VIP or --tag 100=VIP:1200"))
        })?;
        config.tags.push(tag);
    }
    for text in &args.media {
        let medium = parse_medium(text).ok_or_else(|| {
            Refusal::usage(say!("`--media {text}` is not valid", text)).help(say!("write --media mpnews=MEDIA_ID"))
        })?;
        config.media.push(medium);
    }
    config.drafts.extend(args.draft.iter().cloned());
    args.faults.give(&mut config);
    let log = Terminal::new(anstream::ColorChoice::Auto, common.quiet, false);
    let as_json = args.format.format == Format::Json;
    config.on_call =
        Some(Arc::new(move |call: &server::Call| if as_json { print_json(&log, call) } else { print(&log, call) }));
    let log = Terminal::new(anstream::ColorChoice::Auto, common.quiet, false);
    config.push = args.push.push()?.map(|push| Push {
        on_push: Some(Arc::new(move |push: &server::Attempt| print_push(&log, push, as_json))),
        ..push
    });
    let running = Sandbox::start(args.listen, config).map_err(|error| {
        let address = args.listen.to_string();
        Refusal::missing_input(say!("cannot listen on {address}: {why}", address, why = reason(&error)))
            .help(say!("choose another address with --listen 127.0.0.1:0"))
    })?;
    if as_json {
        terminal.out_json(&format!("{}\n", json!({ "schema": 1, "event": "listening", "url": running.base_url() })));
    } else {
        terminal.out(&format!("{}\n", say!("listening on {url}", url = running.base_url())));
    }
    let how = say!(
        "in another terminal, run: qunfa run PLAN --api-base {url} (Ctrl-C stops the server)",
        url = running.base_url()
    );
    terminal.note(&format!("{how}\n"));
    running.join();
    Ok(ExitCode::Done)
}

fn address(text: &str) -> Result<SocketAddr, BadValue> {
    text.parse().map_err(|_| BadValue(say!("write an IP address and a port, such as 127.0.0.1:8080")))
}

/// `100=VIP` or `100=VIP:1200`.
fn parse_tag(text: &str) -> Option<Tag> {
    let (id, rest) = text.split_once('=')?;
    let (name, count) = match rest.rsplit_once(':') {
        Some((name, count)) => (name, count.parse().ok()?),
        None => (rest, 100),
    };
    (!name.is_empty()).then_some(Tag { id: id.parse().ok()?, name: name.to_owned(), count })
}

fn parse_medium(text: &str) -> Option<(String, String)> {
    const KINDS: [&str; 6] = ["mpnews", "image", "voice", "mpvideo", "thumb", "url"];
    let (kind, id) = text.split_once('=').filter(|(kind, id)| KINDS.contains(kind) && !id.is_empty())?;
    Some((kind.to_owned(), id.to_owned()))
}

/// One line a call.
fn print(terminal: &Terminal, call: &server::Call) {
    let time = shanghai(call.at).strftime("%H:%M:%S");
    let body: String = String::from_utf8_lossy(&call.body).chars().take(300).collect();
    let words = if call.errcode == 0 { "ok".to_owned() } else { call.reply.chars().take(200).collect() };
    let line = format!("{time} {} {} {body} -> {words}", call.method, call.path);
    let line = match &call.fault {
        Some(fault) => say!("{line} (fault: {fault})", line, fault = fault.to_string()),
        None => Phrase::verbatim(line),
    };
    terminal.out(&format!("{}\n", crate::text::one_line(&line.to_string())));
}

/// One line an attempt to push an event.
fn print_push(terminal: &Terminal, push: &server::Attempt, as_json: bool) {
    let server::Attempt { at, event, subject, attempt, status, fault } = push;
    if as_json {
        let line = json!({
            "schema": 1, "event": "push", "at": at, "kind": event, "subject": subject, "attempt": attempt, "status": status, "fault": fault,
        });
        return terminal.out_json(&format!("{line}\n"));
    }
    let answer = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let line = format!("{} push {event} {subject} -> {answer}", shanghai(*at).strftime("%H:%M:%S"));
    let line = match fault {
        Some(fault) => say!("{line} (fault: {fault})", line, fault = *fault),
        None => Phrase::verbatim(line),
    };
    terminal.out(&format!("{line}\n"));
}

/// An id that is written in the plan.
fn known(id: &MediaId) -> Option<String> {
    match id {
        MediaId::Known(id) => Some(id.clone()),
        MediaId::Of(_) | MediaId::Mixed(_) => None,
    }
}

/// Addresses of WeChat's pictures in an article.
fn pictures(article: &Article) -> impl Iterator<Item = String> {
    let texts: Vec<&str> = match &article.shows {
        Shows::News(news, _) => {
            let html = news.pieces.iter().filter_map(|piece| match piece {
                Piece::Html(html) => Some(html.as_str()),
                Piece::Image(_) => None,
            });
            html.collect()
        }
        Shows::Pictures(text, _) => vec![text],
    };
    texts.into_iter().flat_map(|text| text.split("//mmbiz.qpic.cn/").skip(1)).map(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "\"'<>?#)&".contains(c)).unwrap_or(rest.len());
        format!("https://mmbiz.qpic.cn/{}", &rest[..end])
    })
}

/// One document a call, on a line of its own.
fn print_json(terminal: &Terminal, call: &server::Call) {
    let line = json!({
        "schema": 1, "event": "call", "at": call.at, "method": call.method, "path": call.path,
        "body": String::from_utf8_lossy(&call.body), "errcode": call.errcode, "reply": call.reply,
        "fault": call.fault.as_ref().map(ToString::to_string),
    });
    terminal.out_json(&format!("{line}\n"));
}

/// An account of the plan's kind that has what the plan names.
fn seed(config: &mut Config, plan: &RenderedPlan) {
    config.kind = match plan.account.kind {
        AccountKind::Service => server::AccountKind::Service,
        AccountKind::Subscription => server::AccountKind::Subscription,
    };
    let mut tags: BTreeMap<u64, String> = BTreeMap::new();
    let mut names: Vec<&String> = Vec::new();
    let listed = plan.steps.iter().filter_map(|step| match step.listed.as_ref()? {
        Followers::Of(tag) => Some(tag),
        Followers::All => None,
    });
    let sent = plan.calls().filter_map(|(_, call)| match &call.target {
        Target::Tag(tag) => Some(tag),
        Target::Everyone | Target::People(_) | Target::Followers(_) | Target::Person | Target::Nobody => None,
    });
    for tag in listed.chain(sent) {
        match tag {
            slot::Tag::Id(id) => drop(tags.insert(*id, tag.to_string())),
            slot::Tag::Name(name) => names.push(name),
        }
    }
    // What the plan makes itself is not there yet.
    for step in plan.steps.iter().filter(|step| step.may_run()) {
        if let Content::Message(message) = &step.content {
            config
                .media
                .extend(message.media.iter().filter_map(|id| Some((message.view.kind.name().to_owned(), known(id)?))));
        }
        for uses in step.calls.iter().filter_map(PlannedCall::uses) {
            match &uses.name {
                DraftName::Title(title) => config.drafts.push(title.clone()),
                DraftName::Id(id) => config.media.push(("mpnews".to_owned(), id.clone())),
            }
        }
        for article in step.articles.iter() {
            config.media.extend(pictures(article).map(|address| ("url".to_owned(), address)));
            if let Some(Cover::MediaId(id)) = &article.cover {
                config.media.extend(known(id).map(|id| ("image".to_owned(), id)));
            }
        }
    }
    config.media.sort();
    config.media.dedup();
    config.drafts.sort();
    config.drafts.dedup();
    // Every account has this one; somebody should follow it, or a rehearsal reaches nobody.
    config.tags.push(Tag { id: 2, name: "星标组".into(), count: 100 });
    // Made-up ids of named tags begin where the console's do.
    let mut next = 100;
    for name in names {
        if config.tags.iter().any(|tag| tag.name == *name)
            || name == "星标组"
            || tags.values().any(|known| known == name)
        {
            continue;
        }
        while tags.contains_key(&next) {
            next += 1;
        }
        tags.insert(next, name.clone());
    }
    config.tags.extend(tags.into_iter().filter(|(id, _)| *id != 2).map(|(id, name)| Tag { id, name, count: 100 }));
}

/// Where the calls of `run` and `doctor` go, and the time in which they do.
pub(super) struct Stage {
    pub(super) address: Address,
    pub(super) clock: Box<dyn Clock>,
    /// Of a rehearsal: an account that has what the plan names.
    pub(super) server: Option<Sandbox>,
}

impl Stage {
    /// At `address`, or without one in an embedded sandbox. There time passes only when the run waits, and then at once.
    pub(super) fn set(
        address: Option<Address>,
        plan: &RenderedPlan,
        faults: &FaultArgs,
        now: Option<Timestamp>,
    ) -> Result<Self, Refusal> {
        let real = RealClock::at(now);
        if let Some(address) = address {
            return Ok(Self { address, clock: Box::new(real), server: None });
        }
        let internal = |message: Phrase| Refusal::new(ExitCode::Internal, message);
        let clock = RehearsalClock::new(real.now());
        let mut config = Config { now: clock.reader(), ..Config::default() };
        faults.give(&mut config);
        seed(&mut config, plan);
        let server = Sandbox::start((Ipv4Addr::LOCALHOST, 0).into(), config)
            .map_err(|error| internal(say!("the sandbox cannot be started: {why}", why = reason(&error))))?;
        let base = ApiBase::parse(&server.base_url()).map_err(internal)?;
        let address = Address { base, platform: Platform::Sandbox };
        Ok(Self { address, clock: Box::new(clock), server: Some(server) })
    }
}

/// What the sandbox handed out, for people.
pub(super) fn delivered(deliveries: &[Delivery]) -> String {
    if deliveries.is_empty() {
        return format!("\n{}\n", say!("The sandbox delivered nothing."));
    }
    let mut text = format!("\n{}\n", say!("What the sandbox delivered:"));
    for delivery in deliveries {
        let what = match delivery.kind {
            DeliveryKind::Mass => say!("sent to {people}", people = reached(delivery)),
            DeliveryKind::Preview => say!("previewed to {people}", people = reached(delivery)),
            DeliveryKind::Deleted => say!("deleted, sent before to {people}", people = reached(delivery)),
            DeliveryKind::Published => say!("published, nobody was notified"),
            DeliveryKind::Unpublished => say!("publication deleted"),
        };
        let titles = delivery.titles.join("\n");
        let mut lines = if titles.is_empty() { delivery.content.lines() } else { titles.lines() };
        text.push_str(&format!("  {what}\n    {}: {}\n", delivery.msgtype, lines.next().unwrap_or_default()));
        for line in lines {
            text.push_str(format!("    {}  {line}", " ".repeat(delivery.msgtype.len())).trim_end());
            text.push('\n');
        }
    }
    text
}

fn reached(delivery: &Delivery) -> Phrase {
    match &delivery.audience {
        Audience::All => {
            say!("all {followers} follower" | "all {followers} followers", followers = delivery.recipients)
        }
        Audience::Tag { name, .. } => {
            let followers = say!("{followers} follower" | "{followers} followers", followers = delivery.recipients);
            say!("{tag} ({followers})", tag = name, followers)
        }
        Audience::Openids(openids) => match openids.as_slice() {
            [one] => Phrase::verbatim(one),
            [first, second, _, ..] => say!(
                "{openids} openid: {first}, {second}, ..." | "{openids} openids: {first}, {second}, ...",
                openids = delivery.recipients,
                first,
                second
            ),
            few => say!(
                "{openids} openid: {few}" | "{openids} openids: {few}",
                openids = delivery.recipients,
                few = list(few)
            ),
        },
        Audience::Wxname(name) => Phrase::verbatim(name),
    }
}
