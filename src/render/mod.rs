//! A resolved plan to the exact requests: bodies, idempotency keys, digest. Pure.

use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use minijinja::Value as Tpl;
use serde::Serialize;
use serde_json::json;

use crate::{
    content::{pin::Pin, template::Engine},
    diag::{Code, Diagnostic, Diagnostics, Origin, source::SourceMap},
    limits,
    locale::{Count, Phrase, say},
    message::{MessageKind, MessageView, Shown},
    openids::Openids,
    payload::{self, Effect, Payload, Target},
    plan::{
        account::Account,
        action::Spec,
        ask::Poll,
        model::{Guards, Retry},
        notify::Notice,
        value::Length,
    },
    platform::Platform,
    resolve::{Editions, ResolvedPlan, article::Article, audience::Audience},
    slot::{Followers, Output, Slot},
};

mod consumed;
mod fields;
mod overlap;

pub(crate) use crate::plan::ask::{DraftName, Gives, MediaCall, UsedDraft};

use fields::{Known, StepFields};

/// A plan, ready to run: nothing of it is decided later but the slots, and nothing in it is wrong: [`render`] makes it, and
/// only where nothing that was found is an error.
#[derive(Debug)]
pub struct RenderedPlan {
    /// Name of the campaign.
    pub name: String,
    /// Path as given on the command line.
    pub path: String,
    /// The words of a command that name the plan.
    pub(crate) words: Vec<String>,
    /// Options with which the plan was loaded, as they were typed: the same command with them loads the same plan.
    pub(crate) options: Vec<String>,
    pub(crate) account: Account,
    pub appid: String,
    /// The folder that the account's files are relative to: a path relative to the plan's folder, or an absolute one.
    pub(crate) account_folder: String,
    /// The name that it had before, if it says so.
    pub(crate) was: Option<String>,
    pub occurrence: String,
    /// The occurrences of the days around, which differ from it where the plan makes it of the date.
    pub(crate) editions: Editions,
    /// When nothing is sent.
    pub(crate) guards: Guards,
    /// Whom to tell how a run ended.
    pub(crate) notify: Vec<Notice>,
    /// Lines of the guards in the plan.
    pub(crate) guard_lines: HashMap<&'static str, usize>,
    /// Mass calls a minute, as the plan has it.
    pub(crate) per_minute: u32,
    /// See [`RenderedPlan::digest`].
    digest: OnceCell<String>,
    /// The step instances, in order.
    pub steps: Vec<RenderedStep>,
    /// Templates, for conditions that are evaluated while the plan runs.
    pub(crate) engine: Engine,
}

/// One instance of a step.
#[derive(Debug)]
pub struct RenderedStep {
    /// `id` of the step.
    pub id: String,
    /// The `foreach` key.
    pub key: Option<String>,
    /// What is known of its action.
    pub spec: &'static Spec,
    /// Line in the plan.
    pub line: usize,
    /// What the plan says of it.
    pub description: Option<String>,
    pub when: When,
    /// How its calls are repeated.
    pub retry: RetryPolicy,
    /// The longest one request may take.
    pub timeout: Duration,
    /// Whether the run goes on after it failed.
    pub continue_on_error: bool,
    pub poll: Option<Poll>,
    /// Who it is for, in words.
    pub audience: Option<String>,
    /// What it brings, and the digest by which that is known again.
    pub content: Content,
    /// Ids of the steps whose outputs it needs.
    pub needs: BTreeSet<String>,
    /// The people of a send to openids, where they are known before the run.
    pub people: Option<Arc<Audience>>,
    /// Where they come from, where WeChat lists them when the plan runs.
    pub listed: Option<Followers>,
    /// Who is left out of those.
    pub excluded: Arc<Openids>,
    /// The name that it had before, if the plan says so: what was sent under it was sent by this step.
    pub was: Option<String>,
    /// Whether a send that was accepted is sent to people who are new.
    pub sends_new: bool,
    /// Whether it covers a send whose number of calls is known only when the plan runs: its calls then stand for as many.
    pub covers: bool,
    pub calls: Vec<PlannedCall>,
    /// The articles of a draft.
    pub articles: Arc<Vec<Article>>,
    /// What findings say that are about it.
    pub origin: Origin,
}

impl RenderedStep {
    /// `city[北京]`, or the id alone.
    pub fn name(&self) -> String {
        crate::text::step_name(&self.id, self.key.as_deref())
    }

    /// The slot of one of its outputs.
    pub fn slot(&self, output: Output) -> Slot {
        Slot::output(&self.id, self.key.as_deref(), output)
    }

    /// The message as people read it.
    pub fn message(&self) -> Option<&MessageView> {
        match &self.content {
            Content::Message(shown) => Some(&shown.view),
            Content::Media { view, .. } => view.as_ref(),
            Content::Nothing => None,
        }
    }

    /// The draft that it sends, previews or publishes, by its id or by the text that stands for it, and the field that names it.
    pub(crate) fn draft(&self) -> Option<(String, &'static str)> {
        let first = self.calls.first()?;
        let field = match self.spec.effect {
            Effect::Publish => "/media_id",
            Effect::Mass | Effect::Preview if self.message()?.kind == MessageKind::Mpnews => "/message/mpnews",
            _ => return None,
        };
        let body = first.payload.head();
        let draft = if field == "/media_id" { &body["media_id"] } else { &body["mpnews"]["media_id"] };
        Some((draft.as_str()?.to_owned(), field))
    }

    /// False if the plan alone decides that it does not run.
    pub fn may_run(&self) -> bool {
        self.when != When::Never
    }
}

/// What a step brings.
#[derive(Debug, Clone)]
pub enum Content {
    /// A message: every send and preview has one.
    Message(Shown),
    /// Uploads and drafts: the digest of all of them names a version.
    Media {
        /// The articles as people read them.
        view: Option<MessageView>,
        /// `sha256:` and the digest.
        digest: String,
    },
    /// A question, a setting, a deletion.
    Nothing,
}

impl Content {
    /// By what it is known again.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Content::Message(shown) => Some(&shown.digest),
            Content::Media { digest, .. } => Some(digest),
            Content::Nothing => None,
        }
    }
}

/// Whether a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    Always,
    /// The plan decides that it does not.
    Never,
    /// An expression over outputs of earlier steps decides, while the plan runs.
    AtRunTime {
        expression: String,
        /// What else it sees.
        context: Tpl,
    },
}

/// How calls are repeated, with all defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RetryPolicy {
    /// How often at most, the first time included.
    pub(crate) attempts: u32,
    pub(crate) backoff: Duration,
    pub(crate) max_backoff: Duration,
    /// The pause before a send of unknown outcome is repeated.
    pub(crate) resend_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new(None, Retry::default())
    }
}

impl RetryPolicy {
    fn new(step: Option<Retry>, defaults: Retry) -> Self {
        let step = step.unwrap_or_default();
        let pick = |own: Option<Length>, shared: Option<Length>, usual| own.or(shared).map_or(usual, |length| length.0);
        Self {
            attempts: step.attempts.or(defaults.attempts).unwrap_or(limits::ATTEMPTS),
            backoff: pick(step.backoff, defaults.backoff, limits::BACKOFF),
            max_backoff: pick(step.max_backoff, defaults.max_backoff, limits::BACKOFF_MAX),
            resend_after: pick(step.resend_after, defaults.resend_after, limits::RESEND_AFTER_MIN),
        }
    }

    /// The pauses between the attempts of one call.
    pub fn retry(&self) -> crate::retry::Retry {
        crate::retry::Retry::new(self.attempts, self.backoff, self.max_backoff)
    }
}

/// One call that the plan makes.
#[derive(Debug, Clone)]
pub struct PlannedCall {
    /// Its number in the step, from 1.
    pub(crate) chunk: u32,
    /// The idempotency key: 32 hexadecimal digits, sent as `clientmsgid` by mass calls.
    pub(crate) key: String,
    pub payload: Payload,
    pub(crate) target: Target,
    /// Path of the API.
    pub(crate) path: &'static str,
    /// What it does to the world.
    pub(crate) effect: Effect,
    /// What it does besides, if it is a call of a step with several.
    pub(crate) media: Option<MediaCall>,
}

impl PlannedCall {
    /// The draft that it takes, if it takes one that somebody made.
    pub(crate) fn uses(&self) -> Option<&UsedDraft> {
        self.media.as_ref()?.uses.as_ref()
    }

    /// What that draft must hold.
    pub(crate) fn pinned(&self) -> Option<&Pin> {
        self.uses()?.pinned.as_ref()
    }
}

/// Derives the idempotency key of a call: 128 bits of SHA-256, so at most 32 ASCII characters. Not from the content.
pub fn idempotency_key(appid: &str, plan: &str, occurrence: &str, step: &str, key: Option<&str>, chunk: u32) -> String {
    let identity = json!(["qunfa/1", appid, plan, occurrence, step, key, chunk]);
    payload::digest(identity.to_string().as_bytes())["sha256:".len()..][..limits::CLIENTMSGID_MAX].to_owned()
}

/// Renders all steps, and gives the warnings beside the plan. An error if anything that was found from the parser on is one:
/// then all of it is given.
pub fn render(
    mut resolved: ResolvedPlan,
    path: &str,
    sources: &SourceMap,
) -> Result<(RenderedPlan, Diagnostics), Diagnostics> {
    resolved.give_up();
    let mut diagnostics = std::mem::take(&mut resolved.diagnostics);
    let steps = steps(&resolved, sources, &mut diagnostics);
    former_names(&resolved, &steps, &mut diagnostics);
    warn_limits(&resolved, &mut diagnostics);
    overlap::warn(&steps, &resolved.document, &mut diagnostics);
    consumed::check(&steps, &resolved.document, &mut diagnostics);
    resolved.name_rows(&mut diagnostics);
    if diagnostics.errors() > 0 {
        return Err(diagnostics);
    }
    resolved.engine.at_run_time();
    let lines = ["max_recipients", "max_change_percent", "send_window", "not_before", "not_after", "require_preview"]
        .into_iter()
        .map(|name| (name, sources.position(&resolved.document.key_span(&format!("/guards/{name}"))).line))
        .collect();
    let plan = RenderedPlan {
        name: resolved.head.name,
        path: path.to_owned(),
        words: vec![path.to_owned()],
        options: Vec::new(),
        appid: resolved.appid,
        account_folder: resolved.account_folder,
        was: resolved.head.was,
        occurrence: resolved.occurrence,
        editions: resolved.editions,
        guards: resolved.head.guards,
        notify: resolved.head.notify,
        guard_lines: lines,
        per_minute: resolved.head.defaults.pace.per_minute.unwrap_or(limits::MASS_CALLS_PER_MINUTE),
        digest: OnceCell::new(),
        steps,
        engine: resolved.engine,
        account: resolved.account,
    };
    Ok((plan, diagnostics))
}

/// The instances that could be rendered.
fn steps(resolved: &ResolvedPlan, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Vec<RenderedStep> {
    let mut known: HashMap<String, Known> = HashMap::new();
    for step in &resolved.steps {
        let place = resolved.document.span(&step.step.pointer("/id"));
        let foreach = step.step.common.foreach.is_some();
        known.insert(
            step.step.common.id.clone(),
            Known {
                index: step.step.index,
                spec: step.step.action.spec(),
                foreach,
                open_ended: step.step.action.asks().is_open_ended(),
                calls: Vec::new(),
                keys: HashSet::new(),
                good: true,
                place,
            },
        );
    }
    let mut steps = Vec::new();
    let mut made: HashMap<Slot, String> = HashMap::new();
    let mut calls = 0;
    'steps: for resolved_step in &resolved.steps {
        let mut counts = Vec::new();
        let mut good = true;
        if diagnostics.is_full() {
            break;
        }
        for (number, instance) in resolved_step.instances.iter().enumerate() {
            // None of the others can be rendered, and to look at them takes time.
            if resolved.engine.is_spent() {
                break 'steps;
            }
            let origin = Origin::instance(resolved_step.step.index, number);
            diagnostics.about(Some(origin));
            let mut fields = StepFields {
                resolved,
                sources,
                diagnostics: &mut *diagnostics,
                known: &known,
                made: &made,
                step: &resolved_step.step,
                instance,
                origin,
                needs: BTreeSet::new(),
                covers: false,
            };
            let rendered = fields.render().filter(|_| instance.good);
            good &= rendered.is_some();
            if let Some(rendered) = rendered {
                calls += rendered.calls.len();
                if calls > limits::CALLS_MAX {
                    let most = Count::from(limits::CALLS_MAX);
                    let message = say!("with this step, the plan makes more than {most} calls", most);
                    let place = resolved.document.span(&resolved_step.step.pointer(""));
                    diagnostics.push(Diagnostic::new(Code::TooComplex, place, message).help(say!("split the plan")));
                    break 'steps;
                }
                if rendered.may_run() || instance.key.is_none() {
                    counts.push((instance.key.clone(), rendered.calls.len()));
                }
                if let (Effect::Media, Some(digest)) = (rendered.spec.effect, rendered.content.digest()) {
                    let outputs = rendered.spec.outputs.iter();
                    made.extend(outputs.map(|output| (rendered.slot(*output), digest.to_owned())));
                }
                steps.push(rendered);
            }
        }
        if let Some(known) = known.get_mut(&resolved_step.step.common.id) {
            known.keys = counts.iter().filter_map(|(key, _)| key.clone()).collect();
            known.calls = counts;
            known.good = good;
        }
    }
    diagnostics.about(None);
    steps
}

/// A name that a step had before is none that a step has now.
fn former_names(resolved: &ResolvedPlan, steps: &[RenderedStep], diagnostics: &mut Diagnostics) {
    if steps.iter().all(|step| step.was.is_none()) {
        return;
    }
    let mut taken: HashSet<String> = steps.iter().map(RenderedStep::name).collect();
    for step in steps {
        let Some(was) = step.was.as_ref().filter(|was| !taken.insert((*was).clone())) else { continue };
        let mut known = resolved.steps.iter().map(|known| &known.step);
        let Some(known) = known.find(|known| known.common.id == step.id) else { continue };
        let place = resolved.document.span(&known.pointer("/was"));
        let message = say!("`was: {step}` names another step of this plan, or the former id of one", step = was);
        diagnostics.about(Some(step.origin));
        diagnostics.push(
            Diagnostic::new(Code::DuplicateId, place, message).help(say!("write the id that this step had before")),
        );
    }
    diagnostics.about(None);
}

/// Settings that hold only for the sandbox are said to be so.
fn warn_limits(resolved: &ResolvedPlan, diagnostics: &mut Diagnostics) {
    let head = &resolved.head;
    let mut places: Vec<(Option<Origin>, String, Phrase)> = Vec::new();
    let short = || say!("`resend_after` below 60s works only with the sandbox and loopback addresses");
    if head.defaults.retry.resend_after.is_some_and(|span| span.0 < limits::RESEND_AFTER_MIN) {
        places.push((None, "/defaults/retry/resend_after".to_owned(), short()));
    }
    for step in &resolved.steps {
        if step
            .step
            .common
            .retry
            .is_some_and(|retry| retry.resend_after.is_some_and(|span| span.0 < limits::RESEND_AFTER_MIN))
        {
            let origin = Some(Origin::step(step.step.index));
            places.push((origin, step.step.pointer("/retry/resend_after"), short()));
        }
    }
    if head.defaults.pace.per_minute.is_some_and(|pace| pace > limits::MASS_CALLS_PER_MINUTE) {
        let fast = say!("more than 60 mass calls per minute work only with the sandbox and loopback addresses");
        places.push((None, "/defaults/pace/per_minute".to_owned(), fast));
    }
    for (origin, pointer, message) in places {
        diagnostics.about(origin);
        let diagnostic = Diagnostic::new(Code::IgnoredSetting, resolved.document.span(&pointer), message);
        let help = say!("against WeChat, qunfa always waits at least 60s and makes at most 60 mass calls per minute");
        diagnostics.push(diagnostic.help(help));
    }
}

impl RenderedPlan {
    /// A command about this plan, to be pasted into a shell.
    pub(crate) fn command(&self, name: &str, rest: &[&str]) -> String {
        self.command_with(name, rest, &self.options)
    }

    /// The command that rehearses it. It goes to no server that the user named, which `--sandbox` excludes.
    pub(crate) fn rehearsal(&self) -> String {
        let others = self.options.chunks(2).filter(|option| option[0] != "--api-base").flatten();
        self.command_with("run", &["--sandbox"], others)
    }

    fn command_with<'a>(
        &'a self,
        name: &str,
        rest: &[&'a str],
        options: impl IntoIterator<Item = &'a String>,
    ) -> String {
        let named = self.words.iter().map(String::as_str);
        let words = named.chain(rest.iter().copied()).chain(options.into_iter().map(String::as_str));
        words.fold(format!("qunfa {name}"), |line, word| line + " " + &crate::text::quoted(word))
    }

    /// Digest of everything that decides what is sent, to whom, and whether: canonical JSON, hashed. Comments, key order,
    /// descriptions and pacing do not belong to it. Made when it is first asked for.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| self.compute_digest())
    }

    fn compute_digest(&self) -> String {
        let guards = &self.guards;
        let window = guards.send_window.map(|window| [window.from, window.to]);
        let head = json!([
            "qunfa/1",
            self.name,
            self.appid,
            self.account.kind.name(),
            self.occurrence,
            [
                guards.max_recipients.map(|n| n.to_string()),
                window,
                guards.not_before,
                guards.not_after,
                guards.require_preview
            ],
        ]);
        let mut all = head.to_string();
        if let Some(percent) = guards.max_change_percent {
            all.push_str(&format!("\nmax_change_percent {percent}"));
        }
        for step in self.steps.iter().filter(|step| step.may_run()) {
            let when = match &step.when {
                When::AtRunTime { expression, .. } => Some(expression),
                _ => None,
            };
            let poll = step.poll.map(|poll| json!([poll.until, poll.timeout.as_millis().to_string()]));
            all.push('\n');
            all.push_str(&json!([step.id, step.key, step.spec.name, when, step.continue_on_error, poll]).to_string());
            if step.listed.is_some() {
                let excluded: Vec<&str> = step.excluded.iter().collect();
                all.push_str(&json!(["listed", payload::digest(excluded.join("\n").as_bytes())]).to_string());
            }
            if step.sends_new {
                all.push_str(",\"send_new\"");
            }
            for call in &step.calls {
                all.push('\n');
                all.push_str(&json!([call.chunk, call.key, call.payload.digest()]).to_string());
                if let Some(pin) = call.pinned() {
                    all.push_str(&format!(" pinned {pin}"));
                }
            }
        }
        payload::digest(all.as_bytes())
    }

    /// Mass calls a minute: as the plan has it, and never more than WeChat allows where it is the real one.
    pub fn pace(&self, platform: Platform) -> u32 {
        if platform.is_real() { self.per_minute.min(limits::MASS_CALLS_PER_MINUTE) } else { self.per_minute }
    }

    /// All calls that the plan may make.
    pub fn calls(&self) -> impl Iterator<Item = (&RenderedStep, &PlannedCall)> {
        self.steps.iter().filter(|step| step.may_run()).flat_map(|step| step.calls.iter().map(move |call| (step, call)))
    }

    /// The dry run as one JSON document, in parts.
    pub fn to_json(&self) -> impl Iterator<Item = String> {
        let head = format!(
            "{{\n  \"plan\": {},\n  \"digest\": {},\n  \"requests\": [",
            json!(self.name),
            json!(self.digest())
        );
        let requests = self.calls().enumerate().map(|(number, (step, call))| {
            let separator = if number == 0 { "" } else { "," };
            format!("{separator}\n    {}", request_json(step, call, 4))
        });
        let tail = if self.calls().next().is_none() { "]\n}\n" } else { "\n  ]\n}\n" };
        std::iter::once(head).chain(requests).chain([tail.to_owned()])
    }

    /// The dry run as HTTP, in parts.
    pub fn to_http(&self) -> impl Iterator<Item = String> {
        let requests = self.calls().enumerate();
        requests.map(|(number, (step, call))| {
            format!("{}{}", if number == 0 { "" } else { "\n" }, self.to_http_request(step, call))
        })
    }

    /// One request as HTTP, with the body on one line, byte for byte as it is sent.
    pub fn to_http_request(&self, step: &RenderedStep, call: &PlannedCall) -> String {
        let (name, chunk, path, body) = (step.name(), call.chunk, call.path, call.payload.shown());
        let upload = call.media.as_ref().and_then(|media| media.upload.as_ref());
        let kind =
            upload.and_then(|upload| upload.target.kind()).map(|kind| format!("&type={kind}")).unwrap_or_default();
        let form = if upload.is_some() { "multipart/form-data" } else { "application/json; charset=utf-8" };
        format!(
            "### {name} call {chunk}\nPOST {path}?access_token=<token>{kind} HTTP/1.1\nContent-Type: {form}\n\n{body}\n"
        )
    }
}

/// One request of the dry run; each line but the first is indented by so many spaces.
pub fn request_json(step: &RenderedStep, call: &PlannedCall, indent: usize) -> String {
    let head = json!({ "step": step.id, "key": step.key, "action": step.spec.name, "chunk": call.chunk, "method": "POST", "path": call.path, "body": null });
    let margin = format!("\n{:indent$}", "");
    let head = format!("{head:#}").replace('\n', &margin);
    // `body` is the last member.
    let open = head.rfind("null").unwrap_or(head.len());
    format!("{}{}{margin}}}", &head[..open], call.payload.pretty(indent + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_differ_in_every_part() {
        let base = ("wx1", "plan", "once", "step", None, 1);
        let key = |(a, p, o, s, k, c): (&str, &str, &str, &str, Option<&str>, u32)| idempotency_key(a, p, o, s, k, c);
        let keys = [
            key(base),
            key(("wx2", "plan", "once", "step", None, 1)),
            key(("wx1", "plan2", "once", "step", None, 1)),
            key(("wx1", "plan", "twice", "step", None, 1)),
            key(("wx1", "plan", "once", "step2", None, 1)),
            key(("wx1", "plan", "once", "step", Some(""), 1)),
            key(("wx1", "plan", "once", "step", None, 2)),
        ];
        assert!(keys.iter().all(|key| key.len() == 32 && key.is_ascii()));
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
        // The key is stored and sent: it may never change between versions.
        assert_eq!(keys[0], "e358f8767112e16a748aefaf42e61e4a");
    }
}
