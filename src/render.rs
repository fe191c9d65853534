//! A resolved plan to the exact requests: bodies, idempotency keys, digest. Pure.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use minijinja::Value as Tpl;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    action::{Effect, Fields, Poll, Spec},
    diag::{Code, Diagnostic, did_you_mean, one_of},
    limits,
    payload::{self, Payload},
    plan::{
        fields::{Condition, Template},
        later_step,
        model::{Account, Guards, Retry, Step},
        unknown_step,
    },
    report::MessageView,
    resolve::{Instance, ResolvedPlan, failure_at},
    source::{SourceMap, Span},
    template::{self, Engine, Reference},
};

/// A plan, ready to run: nothing of it is decided later but the slots.
#[derive(Debug)]
pub struct RenderedPlan {
    /// Name of the campaign.
    pub name: String,
    /// Path as given on the command line.
    pub path: String,
    /// The account.
    pub account: Account,
    /// The AppID itself.
    pub appid: String,
    /// The account's file, if it has one of its own, relative to the plan.
    pub account_path: Option<String>,
    /// The edition.
    pub occurrence: String,
    /// When nothing is sent.
    pub guards: Guards,
    /// Lines of the guards in the plan.
    pub guard_lines: HashMap<&'static str, usize>,
    /// Mass calls a minute, as the plan has it.
    pub per_minute: u32,
    /// Digest of everything that decides what is sent.
    pub digest: String,
    /// The step instances, in order.
    pub steps: Vec<RenderedStep>,
    /// Templates, for conditions that are evaluated while the plan runs.
    pub engine: Engine,
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
    /// Whether it runs.
    pub when: When,
    /// How its calls are repeated.
    pub retry: RetryPolicy,
    /// The longest one request may take.
    pub timeout: Duration,
    /// Whether the run goes on after it failed.
    pub continue_on_error: bool,
    /// How it polls.
    pub poll: Option<Poll>,
    /// Who it is for, in words.
    pub audience: Option<String>,
    /// The message as people read it.
    pub message: Option<MessageView>,
    /// Digest of the message alone, to compare a send with its preview.
    pub message_digest: Option<String>,
    /// Ids of the steps whose outputs it needs.
    pub needs: BTreeSet<String>,
    /// Its calls.
    pub calls: Vec<PlannedCall>,
}

impl RenderedStep {
    /// `city[北京]`, or the id alone.
    pub fn name(&self) -> String {
        match &self.key {
            Some(key) => format!("{}[{key}]", self.id),
            None => self.id.clone(),
        }
    }

    /// What slots of its outputs begin with.
    pub fn prefix(&self) -> String {
        prefix(&self.id, self.key.as_deref())
    }

    /// False if the plan alone decides that it does not run.
    pub fn may_run(&self) -> bool {
        self.when != When::Never
    }
}

fn prefix(id: &str, key: Option<&str>) -> String {
    let step = template::child_name("steps", id);
    key.map_or(step.clone(), |key| template::child_name(&step, key))
}

/// Whether a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// It does.
    Always,
    /// The plan decides that it does not.
    Never,
    /// An expression over outputs of earlier steps decides, while the plan runs.
    AtRunTime {
        /// The expression.
        expression: String,
        /// What else it sees.
        context: Tpl,
    },
}

/// How calls are repeated, with all defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RetryPolicy {
    /// How often at most, the first time included.
    pub attempts: u32,
    /// The first pause.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// The pause before a send of unknown outcome is repeated.
    pub resend_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new(None, Retry::default())
    }
}

impl RetryPolicy {
    fn new(step: Option<Retry>, defaults: Retry) -> Self {
        let step = step.unwrap_or_default();
        let pick = |own: Option<crate::plan::fields::Span>, shared: Option<crate::plan::fields::Span>, seconds| {
            own.or(shared).map_or(Duration::from_secs(seconds), |span| span.0)
        };
        Self {
            attempts: step.attempts.or(defaults.attempts).unwrap_or(4),
            backoff: pick(step.backoff, defaults.backoff, 1),
            max_backoff: pick(step.max_backoff, defaults.max_backoff, 60),
            resend_after: pick(step.resend_after, defaults.resend_after, 60),
        }
    }
}

/// One call that the plan makes.
#[derive(Debug, Clone)]
pub struct PlannedCall {
    /// Its number in the step, from 1.
    pub chunk: u32,
    /// The idempotency key: 32 hexadecimal digits, sent as `clientmsgid` by mass calls.
    pub key: String,
    /// The body.
    pub payload: Payload,
    /// Openids in it.
    pub recipients: Option<u64>,
}

/// Derives the idempotency key of a call: 128 bits of SHA-256, so at most 32 ASCII characters. Not from the content.
pub fn idempotency_key(appid: &str, plan: &str, occurrence: &str, step: &str, key: Option<&str>, chunk: u32) -> String {
    let identity = json!(["qunfa/1", appid, plan, occurrence, step, key, chunk]);
    payload::digest(identity.to_string().as_bytes())["sha256:".len()..][..limits::CLIENTMSGID_MAX].to_owned()
}

/// Renders all steps. The result is to be used only if there is no error among the diagnostics.
pub fn render(
    resolved: ResolvedPlan,
    path: &str,
    sources: &SourceMap,
    diagnostics: &mut Vec<Diagnostic>,
) -> RenderedPlan {
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
                calls: Vec::new(),
                good: true,
                place,
            },
        );
    }
    let mut steps = Vec::new();
    for resolved_step in &resolved.steps {
        let mut counts = Vec::new();
        let mut good = true;
        for instance in &resolved_step.instances {
            let mut fields = StepFields {
                resolved: &resolved,
                sources,
                diagnostics: &mut *diagnostics,
                known: &known,
                step: &resolved_step.step,
                instance,
                needs: BTreeSet::new(),
            };
            let rendered = fields.render().filter(|_| instance.good);
            good &= rendered.is_some();
            if let Some(rendered) = rendered {
                if rendered.may_run() || instance.key.is_none() {
                    counts.push((instance.key.clone(), rendered.calls.len()));
                }
                steps.push(rendered);
            }
        }
        if let Some(known) = known.get_mut(&resolved_step.step.common.id) {
            known.calls = counts;
            known.good = good;
        }
    }
    warn_limits(&resolved, diagnostics);
    let lines = ["max_recipients", "send_window", "not_before", "not_after", "require_preview"]
        .into_iter()
        .map(|name| (name, sources.position(&resolved.document.key_span(&format!("/guards/{name}"))).line))
        .collect();
    let mut plan = RenderedPlan {
        name: resolved.head.name.clone(),
        path: path.to_owned(),
        appid: resolved.appid,
        account_path: resolved.account_path,
        occurrence: resolved.occurrence,
        guards: resolved.head.guards.clone(),
        guard_lines: lines,
        per_minute: resolved.head.defaults.pace.per_minute.unwrap_or(limits::MASS_CALLS_PER_MINUTE),
        digest: String::new(),
        steps,
        engine: resolved.engine,
        account: resolved.account,
    };
    plan.digest = plan.compute_digest();
    plan
}

/// Settings that hold only for the sandbox are said to be so.
fn warn_limits(resolved: &ResolvedPlan, diagnostics: &mut Vec<Diagnostic>) {
    let head = &resolved.head;
    let mut places = Vec::new();
    if head.defaults.retry.resend_after.is_some_and(|span| span.0 < limits::RESEND_AFTER_MIN) {
        places.push((
            "/defaults/retry/resend_after".to_owned(),
            "`resend_after` below 60s holds for the sandbox and loopback addresses only",
        ));
    }
    for step in &resolved.steps {
        if step
            .step
            .common
            .retry
            .is_some_and(|retry| retry.resend_after.is_some_and(|span| span.0 < limits::RESEND_AFTER_MIN))
        {
            places.push((
                step.step.pointer("/retry/resend_after"),
                "`resend_after` below 60s holds for the sandbox and loopback addresses only",
            ));
        }
    }
    if head.defaults.pace.per_minute.is_some_and(|pace| pace > limits::MASS_CALLS_PER_MINUTE) {
        places.push((
            "/defaults/pace/per_minute".to_owned(),
            "more than 60 mass calls a minute hold for the sandbox and loopback addresses only",
        ));
    }
    for (pointer, message) in places {
        let diagnostic = Diagnostic::new(Code::IgnoredSetting, resolved.document.span(&pointer), message);
        diagnostics.push(diagnostic.help("against WeChat 60s and 60 a minute are kept whatever the plan says"));
    }
}

impl RenderedPlan {
    /// Everything that decides what is sent, to whom, and whether: canonical JSON, hashed. Comments, key order,
    /// descriptions and pacing do not belong to it.
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
        for step in self.steps.iter().filter(|step| step.may_run()) {
            let when = match &step.when {
                When::AtRunTime { expression, .. } => Some(expression),
                _ => None,
            };
            let poll = step.poll.map(|poll| json!([poll.until, poll.timeout.as_millis().to_string()]));
            all.push('\n');
            all.push_str(&json!([step.id, step.key, step.spec.name, when, step.continue_on_error, poll]).to_string());
            for call in &step.calls {
                all.push('\n');
                all.push_str(&json!([call.chunk, call.key, call.payload.digest()]).to_string());
            }
        }
        payload::digest(all.as_bytes())
    }

    /// Mass calls a minute: as the plan has it, and never more than WeChat allows where it is the real one.
    pub fn pace(&self, real: bool) -> u32 {
        if real { self.per_minute.min(limits::MASS_CALLS_PER_MINUTE) } else { self.per_minute }
    }

    /// All calls that the plan may make.
    pub fn calls(&self) -> impl Iterator<Item = (&RenderedStep, &PlannedCall)> {
        self.steps.iter().filter(|step| step.may_run()).flat_map(|step| step.calls.iter().map(move |call| (step, call)))
    }

    /// The dry run as one JSON document.
    pub fn to_json(&self) -> Value {
        let requests: Vec<Value> = self.calls().map(|(step, call)| request_json(step, call)).collect();
        json!({ "plan": self.name, "digest": self.digest, "requests": requests })
    }

    /// The dry run as HTTP.
    pub fn to_http(&self) -> String {
        self.calls().map(|(step, call)| self.to_http_request(step, call)).collect::<Vec<_>>().join("\n")
    }

    /// One request as HTTP, with the body on one line, byte for byte as it is sent.
    pub fn to_http_request(&self, step: &RenderedStep, call: &PlannedCall) -> String {
        let (name, chunk, path, body) = (step.name(), call.chunk, step.spec.path, call.payload.shown());
        format!(
            "### {name} call {chunk}\nPOST {path}?access_token=<token> HTTP/1.1\nContent-Type: application/json; charset=utf-8\n\n{body}\n"
        )
    }
}

/// One request of the dry run.
pub fn request_json(step: &RenderedStep, call: &PlannedCall) -> Value {
    let shown = call.payload.shown();
    let body: Value = serde_json::from_str(&shown).unwrap_or_else(|_| shown.clone().into());
    json!({ "step": step.id, "key": step.key, "action": step.spec.name, "chunk": call.chunk, "method": "POST", "path": step.spec.path, "body": body })
}

/// What is known of a step by those after it.
struct Known {
    index: usize,
    spec: &'static Spec,
    foreach: bool,
    /// Instances that were rendered, and how many calls they make.
    calls: Vec<(Option<String>, usize)>,
    /// False if it has a problem, which was said: nothing more is said of what refers to it.
    good: bool,
    place: Span,
}

struct StepFields<'a> {
    resolved: &'a ResolvedPlan,
    sources: &'a SourceMap,
    diagnostics: &'a mut Vec<Diagnostic>,
    known: &'a HashMap<String, Known>,
    step: &'a Step,
    instance: &'a Instance,
    needs: BTreeSet<String>,
}

impl StepFields<'_> {
    fn render(&mut self) -> Option<RenderedStep> {
        let when = self.when();
        let calls = self.step.action.calls(self);
        let (when, rendered) = (when?, calls?);
        let common = &self.step.common;
        let defaults = &self.resolved.head.defaults;
        let spec = self.step.action.spec();
        let mut message_digest = None;
        let mut calls = Vec::new();
        for (number, call) in rendered.calls.into_iter().enumerate() {
            let chunk = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let key = idempotency_key(
                &self.resolved.appid,
                &self.resolved.head.name,
                &self.resolved.occurrence,
                &common.id,
                self.instance.key.as_deref(),
                chunk,
            );
            let mut body = call.body;
            if message_digest.is_none() {
                message_digest = message_of(&body).map(|message| payload::digest(message.to_string().as_bytes()));
            }
            if spec.effect == Effect::Mass {
                body["clientmsgid"] = key.clone().into();
            }
            calls.push(PlannedCall { chunk, key, payload: Payload::new(&body), recipients: call.recipients });
        }
        let line = self.sources.position(&self.resolved.document.span(&self.step.pointer(""))).line;
        Some(RenderedStep {
            id: common.id.clone(),
            key: self.instance.key.clone(),
            spec,
            line,
            description: common.description.clone(),
            when,
            retry: RetryPolicy::new(common.retry, defaults.retry),
            timeout: common.timeout.or(defaults.timeout).map_or(Duration::from_secs(30), |span| span.0),
            continue_on_error: common.continue_on_error,
            poll: self.step.action.poll(),
            audience: rendered.audience.as_deref().map(payload::shown),
            message: rendered.message.map(|view| MessageView { content: payload::shown(&view.content), ..view }),
            message_digest,
            needs: std::mem::take(&mut self.needs),
            calls,
        })
    }

    fn when(&mut self) -> Option<When> {
        let expression = match &self.step.common.when {
            None | Some(Condition::Literal(true)) => return Some(When::Always),
            Some(Condition::Literal(false)) => return Some(When::Never),
            Some(Condition::Expression(expression)) => expression,
        };
        let references = run_time(template::references_in(expression));
        if !references.is_empty() {
            let fine = references.iter().all(|reference| self.reference("/when", reference, true));
            let expression = template::bare_expression(expression).to_owned();
            return fine.then(|| When::AtRunTime { expression, context: self.instance.context.clone() });
        }
        match self.resolved.engine.condition(expression, &self.instance.context) {
            Ok(true) => Some(When::Always),
            Ok(false) => Some(When::Never),
            Err(failures) => {
                self.failures(&self.step.pointer("/when"), failures);
                None
            }
        }
    }

    fn failures(&mut self, pointer: &str, failures: Vec<template::Failure>) {
        for failure in failures {
            self.diagnostics.push(failure_at(&self.resolved.document, self.sources, pointer, failure));
        }
    }

    /// Checks a reference to a run-time value and notes what the step needs. `computed` may be anything but a plain
    /// insertion.
    fn reference(&mut self, suffix: &str, reference: &Reference, computed: bool) -> bool {
        let pointer = self.step.pointer(suffix);
        let place = self.resolved.document.span_in(self.sources, &pointer, reference.range.clone());
        match self.check_reference(reference, computed, place) {
            Ok(Some(step)) => {
                self.needs.insert(step);
                true
            }
            Ok(None) => true,
            Err(diagnostic) => {
                self.diagnostics.extend(*diagnostic);
                false
            }
        }
    }

    fn check_reference(
        &self,
        reference: &Reference,
        computed: bool,
        place: Span,
    ) -> Result<Option<String>, Box<Option<Diagnostic>>> {
        let fail = |diagnostic: Diagnostic| Err(Box::new(Some(diagnostic)));
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        let insert = "a run-time value can be put in, and not computed with";
        if path[0] == "run" {
            return if reference.alone && path.len() == 2 {
                Ok(None)
            } else {
                fail(
                    Diagnostic::new(Code::RuntimeValue, place, insert)
                        .help(format!("write {{{{ {} }}}}", path[..path.len().min(2)].join("."))),
                )
            };
        }
        let Some(id) = path.get(1) else {
            return fail(
                Diagnostic::new(Code::RuntimeValue, place, "`steps` alone is no value")
                    .help("write {{ steps.ID.OUTPUT }}"),
            );
        };
        let before = || {
            self.resolved
                .steps
                .iter()
                .filter(|step| step.step.index < self.step.index)
                .map(|step| step.step.common.id.as_str())
        };
        let Some(known) = self.known.get(*id) else {
            if self.resolved.set_aside.contains(*id) {
                return Err(Box::new(None));
            }
            let diagnostic = unknown_step(place, id, before());
            let dashed = before().find(|known| known.starts_with(&format!("{id}-")));
            return fail(match dashed {
                Some(dashed) => diagnostic.help(format!("an id with a dash is written steps[\"{dashed}\"]")),
                None => diagnostic,
            });
        };
        if known.index >= self.step.index {
            return fail(later_step(place, id, known.place.clone()));
        }
        if !known.good {
            return Err(Box::new(None));
        }
        let (output, example) = if known.foreach {
            let keys: Vec<&str> = known.calls.iter().filter_map(|(key, _)| key.as_deref()).collect();
            let example = format!("steps.{id}[\"{}\"]", keys.first().unwrap_or(&"KEY"));
            match path.get(2) {
                Some(key) if keys.contains(key) => {}
                Some(key) => {
                    let near = did_you_mean(key, keys.iter().copied())
                        .map_or_else(|| format!("write {example}.OUTPUT"), |near| format!("did you mean `{near}`?"));
                    return fail(
                        Diagnostic::new(Code::UnknownOutput, place, format!("`{id}` has no instance `{key}`"))
                            .help(near),
                    );
                }
                None => {
                    return fail(
                        Diagnostic::new(Code::UnknownOutput, place, format!("`{id}` runs once a row"))
                            .help(format!("write {example}.OUTPUT")),
                    );
                }
            }
            (path.get(3), example)
        } else {
            (path.get(2), format!("steps.{id}"))
        };
        let outputs = known.spec.outputs;
        let Some(output) = output else {
            let help = if outputs.is_empty() {
                format!("`{}` has no outputs", known.spec.name)
            } else {
                format!("write {{{{ {example}.{} }}}}", outputs[0])
            };
            return fail(
                Diagnostic::new(Code::UnknownOutput, place, format!("`{}` names no output", path.join("."))).help(help),
            );
        };
        if !outputs.contains(output) {
            let help = did_you_mean(output, outputs.iter().copied())
                .map_or_else(|| format!("it has {}", one_of(outputs)), |near| format!("did you mean `{near}`?"));
            return fail(
                Diagnostic::new(
                    Code::UnknownOutput,
                    place,
                    format!("`{id}` (`{}`) has no output `{output}`", known.spec.name),
                )
                .help(help),
            );
        }
        let index = path.last().filter(|_| *output == "msg_ids").map(|last| last.parse::<usize>().is_ok());
        let extra = path.len() - path.iter().rposition(|part| part == output).unwrap_or(0) - 1;
        if !computed && (index == Some(false) || extra > usize::from(*output == "msg_ids")) {
            let help = format!("write {{{{ {example}.msg_id }}}}, or one of several: {{{{ {example}.msg_ids[0] }}}}");
            return fail(
                Diagnostic::new(Code::UnknownOutput, place, format!("`{}` is no single value", path.join(".")))
                    .help(help),
            );
        }
        if !computed && !reference.alone {
            return fail(
                Diagnostic::new(Code::RuntimeValue, place, insert)
                    .help(format!("write {{{{ {example}.{output} }}}} and nothing else in the braces")),
            );
        }
        Ok(Some((*id).to_owned()))
    }

    fn render_text(&mut self, suffix: &str, text: &str) -> Option<String> {
        let references = run_time(template::references(text));
        // Every reference is looked at, so that all problems are reported.
        let good = references.iter().filter(|reference| self.reference(suffix, reference, false)).count();
        let fine = good == references.len();
        if !fine {
            return None;
        }
        if let Some(problem) = captures(text, &references) {
            self.failures(&self.step.pointer(suffix), vec![problem]);
            return None;
        }
        match self.resolved.engine.render(text, &self.instance.context) {
            Ok(rendered) => match unclean(&rendered, &references) {
                None => Some(rendered),
                Some(problem) => {
                    self.failures(&self.step.pointer(suffix), vec![problem]);
                    None
                }
            },
            Err(failures) => {
                self.failures(&self.step.pointer(suffix), failures);
                None
            }
        }
    }
}

/// A block that captures text could compute with the stand-in of a run-time value.
fn captures(text: &str, references: &[Reference]) -> Option<template::Failure> {
    let reference = references.first()?;
    let tags = text.match_indices("{%").map(|(at, _)| text[at + 2..].trim_start_matches(['-', '+']).trim_start());
    let word = tags.filter_map(|tag| tag.split(|c: char| !c.is_alphanumeric()).next());
    let word = word.into_iter().find(|word| matches!(*word, "set" | "filter" | "macro" | "call" | "with"))?;
    Some(template::Failure {
        code: Code::RuntimeValue,
        message: format!("a run-time value cannot be put into a text with a `{word}` block"),
        range: Some(reference.range.clone()),
        help: vec!["put it in outside of blocks that capture or change text".into()],
    })
}

/// What a template made must hold no control character, and no slot but those it refers to.
fn unclean(rendered: &str, references: &[Reference]) -> Option<template::Failure> {
    let names: Vec<String> = references.iter().map(|reference| template::slot_name(&reference.path)).collect();
    let bare = names.iter().fold(rendered.to_owned(), |text, name| text.replace(&payload::slot(name), ""));
    let (_, c) = crate::source::find_control(&bare)?;
    Some(template::Failure {
        code: Code::ControlCharacter,
        message: format!("the rendered text holds the control character U+{:04X}", c as u32),
        range: None,
        help: vec!["remove it from the template, or from the value that it puts in".into()],
    })
}

/// `run.date` is known before the run, and a bare `run` is nothing special.
fn run_time(references: Vec<Reference>) -> Vec<Reference> {
    let known = |reference: &Reference| {
        reference.path[0] == "run" && !matches!(reference.path.get(1).map(String::as_str), Some("id" | "time"))
    };
    references.into_iter().filter(|reference| !known(reference)).collect()
}

/// The part of a body that people see: everything but who gets it.
fn message_of(body: &Value) -> Option<Value> {
    let kind = body.get("msgtype")?;
    let object = ["text", "mpnews", "voice", "mpvideo", "wxcard", "image", "images"]
        .into_iter()
        .find_map(|key| body.get(key))?;
    // A preview of one picture is `image`, its send is `images`.
    let picture = object.get("media_id").filter(|_| kind == "image").map(|id| json!({ "media_ids": [id] }));
    Some(json!([kind, picture.unwrap_or_else(|| object.clone())]))
}

impl Fields for StepFields<'_> {
    fn text(&mut self, suffix: &str, template: &Template) -> Option<String> {
        self.render_text(suffix, &template.0)
    }

    fn number(&mut self, suffix: &str, template: &Template, min: u64, max: u64) -> Option<Value> {
        let text = self.render_text(suffix, &template.0)?;
        if let Some(slot) = payload::only_slot(text.trim()) {
            let job = suffix == "/msg_id" && (slot.ends_with(".msg_id") || slot.ends_with(']'));
            if job {
                return Some(payload::number_slot(slot).into());
            }
            let name = suffix.rsplit('/').next().unwrap_or_default();
            self.problem(
                suffix,
                Code::RuntimeValue,
                format!("`{name}` must be known before the run"),
                "write the number, or a variable",
            );
            return None;
        }
        match text.trim().parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Some(number.into()),
            _ => {
                let name = suffix.rsplit('/').next().unwrap_or_default();
                let range = if max == u64::MAX { format!("from {min}") } else { format!("from {min} to {max}") };
                let message =
                    format!("`{name}` renders to `{}`, which is not a whole number {range}", payload::shown(&text));
                self.problem(suffix, Code::BadRendered, message, "check the value that the template puts in");
                None
            }
        }
    }

    fn file(&mut self, suffix: &str) -> Option<String> {
        let (file, text) = self.instance.files.get(suffix)?.clone();
        let place = |range: std::ops::Range<usize>| Span::new(file, range);
        for reference in run_time(template::references(&text)) {
            match self.check_reference(&reference, false, place(reference.range.clone())) {
                Ok(step) => self.needs.extend(step),
                Err(diagnostic) => {
                    self.diagnostics.extend(*diagnostic);
                    return None;
                }
            }
        }
        let references = run_time(template::references(&text));
        let rendered = match captures(&text, &references) {
            Some(problem) => Err(vec![problem]),
            None => self.resolved.engine.render(&text, &self.instance.context),
        };
        let rendered = rendered.and_then(|rendered| match unclean(&rendered, &references) {
            None => Ok(rendered),
            Some(problem) => Err(vec![problem]),
        });
        match rendered {
            Ok(rendered) => Some(rendered),
            Err(failures) => {
                for failure in failures {
                    let range = failure.range.unwrap_or(0..text.len());
                    let diagnostic = Diagnostic::new(failure.code, place(range), failure.message);
                    self.diagnostics.push(failure.help.into_iter().fold(diagnostic, Diagnostic::help));
                }
                None
            }
        }
    }

    fn openids(&mut self) -> Option<Arc<Vec<String>>> {
        self.instance.audience.as_ref().map(|audience| Arc::clone(&audience.openids))
    }

    fn jobs(&mut self, of: &str) -> Option<Vec<String>> {
        let known = self.known.get(of)?;
        let mut slots = Vec::new();
        for (key, calls) in &known.calls {
            let prefix = prefix(of, key.as_deref());
            match calls {
                1 => slots.push(format!("{prefix}.msg_id")),
                calls => slots.extend((0..*calls).map(|call| format!("{prefix}.msg_ids[{call}]"))),
            }
        }
        self.needs.insert(of.to_owned());
        (!slots.is_empty()).then_some(slots)
    }

    fn problem(&mut self, suffix: &str, code: Code, message: String, help: &str) {
        let place = self.resolved.document.span(&self.step.pointer(suffix));
        self.diagnostics.push(Diagnostic::new(code, place, message).help(help));
    }
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

    #[test]
    fn a_preview_and_its_send_have_the_same_message() {
        let send = json!({ "touser": ["a", "b"], "msgtype": "image", "images": { "media_ids": ["m"] } });
        let preview = json!({ "towxname": "x", "msgtype": "image", "image": { "media_id": "m" } });
        assert_eq!(message_of(&send), message_of(&preview));
        assert_eq!(message_of(&json!({ "speed": 1 })), None);
    }
}
