//! The fields of one instance of a step: templates rendered, references checked, problems noted at their places.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{Content, PlannedCall, RenderedStep, RetryPolicy, When, idempotency_key};
use crate::{
    content::{
        media::Upload,
        template::{self, Reference},
        words::{self, Lint},
    },
    diag::{
        Code, Diagnostic, Diagnostics, Origin,
        source::{SourceMap, Span, code_point},
    },
    limits,
    locale::{Count, Phrase, list, say},
    message::{MessageView, Shown},
    openids::Openids,
    payload::{self, Effect, Payload, Target},
    plan::{
        action::Spec,
        ask::{self, Call, Draft, Fields, Job, Part},
        later_step,
        model::Step,
        unknown_step,
        value::{Condition, Template},
    },
    resolve::{Instance, ResolvedPlan, failure_at, failure_diagnostic},
    slot::{self, Output, Slot},
    text::nearest,
};

/// What is known of a step by those after it.
pub(super) struct Known {
    pub(super) index: usize,
    pub(super) spec: &'static Spec,
    pub(super) foreach: bool,
    /// How many calls it makes is known only when the plan runs.
    pub(super) open_ended: bool,
    /// Instances that were rendered, and how many calls they make.
    pub(super) calls: Vec<(Option<String>, usize)>,
    /// The keys of these.
    pub(super) keys: HashSet<String>,
    /// False if it has a problem, which was said: nothing more is said of what refers to it.
    pub(super) good: bool,
    pub(super) place: Span,
}

pub(super) struct StepFields<'a> {
    pub(super) resolved: &'a ResolvedPlan,
    pub(super) sources: &'a SourceMap,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) known: &'a HashMap<String, Known>,
    /// Outputs of media steps before it, by their slots, and the digest of what is made: a message that holds one is
    /// another message when that is another thing.
    pub(super) made: &'a HashMap<Slot, String>,
    pub(super) step: &'a Step,
    pub(super) instance: &'a Instance,
    pub(super) origin: Origin,
    pub(super) needs: BTreeSet<String>,
    /// It covers a send that is open-ended.
    pub(super) covers: bool,
}

impl StepFields<'_> {
    pub(super) fn render(&mut self) -> Option<RenderedStep> {
        let when = self.when();
        let calls = self.step.action.calls(self);
        let (when, rendered) = (when?, calls?);
        let common = &self.step.common;
        let defaults = &self.resolved.head.defaults;
        let spec = self.step.action.spec();
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
            let Call { body, target, media, effect } = call;
            let effect = effect.unwrap_or(spec.effect);
            let people = match &target {
                Target::People(people) => Some(people),
                _ => None,
            };
            let payload = match Payload::new(&body, people) {
                Ok(payload) if spec.effect == Effect::Mass => payload.keyed(&key),
                Ok(payload) => payload,
                Err(unknown) => {
                    let help = say!("write {{{{ steps.ID.OUTPUT }}}}");
                    self.problem("", Code::UnknownOutput, unknown.message(), help);
                    return None;
                }
            };
            let (path, media) = media.map_or((spec.path, None), |(path, media)| (path, Some(media)));
            let key = media.as_ref().and_then(|media| media.upload.as_ref()).map_or(key, |upload| upload.key());
            calls.push(PlannedCall { chunk, key, path, effect, payload, target, media });
        }
        let was = self.former_name()?;
        let content = self.content(spec, rendered.content, &calls);
        let description = match &common.description {
            None => None,
            Some(description) => Some(self.copy("/description", description)?),
        };
        let place = self.resolved.document.span(&self.step.pointer(""));
        let line = self.sources.file(place.file).line(place.start);
        Some(RenderedStep {
            id: common.id.clone(),
            key: self.instance.key.clone(),
            spec,
            line,
            description,
            when,
            retry: RetryPolicy::new(common.retry, defaults.retry),
            timeout: common.timeout.or(defaults.timeout).map_or(limits::TIMEOUT, |span| span.0),
            continue_on_error: common.continue_on_error,
            poll: self.step.action.asks().poll(),
            audience: rendered.audience.map(|words| payload::shown(&words.to_string())),
            content,
            needs: std::mem::take(&mut self.needs),
            people: self.instance.audience.clone(),
            listed: rendered.listed,
            excluded: Arc::clone(&self.instance.excluded),
            was,
            sends_new: self.step.action.asks().sends_new(),
            covers: self.covers,
            calls,
            articles: Arc::clone(&self.instance.articles),
            origin: self.origin,
        })
    }

    /// What the step brings, known by its digest.
    fn content(&self, spec: &Spec, content: ask::Content, calls: &[PlannedCall]) -> Content {
        // What it shows is another thing when an earlier step makes another thing for it.
        let made: BTreeMap<String, &String> = calls
            .iter()
            .flat_map(|call| call.payload.slots())
            .filter_map(|slot| self.made.get(slot).map(|made| (slot.to_string(), made)))
            .collect();
        let with_made = |digest: String| {
            made.values().fold(digest, |digest, made| payload::digest(format!("{digest} {made}").as_bytes()))
        };
        let version = || {
            let mut all: Vec<String> = calls.iter().map(|call| call.payload.raw()).collect();
            all.extend(calls.iter().filter_map(PlannedCall::pinned).map(ToString::to_string));
            with_made(payload::digest(all.join("\n").as_bytes()))
        };
        match (spec.effect, content) {
            (Effect::Mass | Effect::Preview, ask::Content::Message(shown)) => {
                Content::Message(Shown { digest: with_made(shown.digest), ..shown })
            }
            (Effect::Media, ask::Content::Draft(view)) => {
                let view = MessageView { content: payload::shown(&view.content), ..view };
                Content::Media { view: Some(view), digest: version() }
            }
            (Effect::Media | Effect::Publish, ask::Content::Nothing) => {
                Content::Media { view: None, digest: version() }
            }
            (Effect::Delete | Effect::Unpublish | Effect::Setting | Effect::Read, ask::Content::Nothing) => {
                Content::Nothing
            }
            // A send without a message would pass `require_preview` unseen.
            (effect, content) => unreachable!("`{}` is {effect:?} and brings {content:?}", spec.name),
        }
    }

    /// `was`, if it is given; `None` if something is wrong with it, which is told.
    fn former_name(&mut self) -> Option<Option<String>> {
        let Some(template) = self.step.action.was() else { return Some(None) };
        let name = self.render_text("/was", &template.0)?;
        if payload::has_slot(&name) {
            let message = say!("`{name}` must be known before the run", name = "was");
            self.problem("/was", Code::RuntimeValue, message, say!("write the id that this step had before"));
            return None;
        }
        Some(Some(name))
    }

    fn when(&mut self) -> Option<When> {
        let expression = match &self.step.common.when {
            None | Some(Condition::Literal(true)) => return Some(When::Always),
            Some(Condition::Literal(false)) => return Some(When::Never),
            Some(Condition::Expression(expression)) => expression,
        };
        let references = template::references_in(expression);
        if !references.is_empty() {
            let bare = template::bare_expression(expression);
            let deep = template::too_many(&references).map(|many| vec![many]);
            if let Some(failures) = deep.or_else(|| self.resolved.engine.refuse_expression(bare).err()) {
                self.failures(&self.step.pointer("/when"), failures);
                return None;
            }
            let fine = references.iter().all(|reference| self.reference("/when", reference, true));
            let expression = self.copy("/when", bare)?;
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

    /// A text of the plan that each row has.
    fn copy(&mut self, suffix: &str, text: &str) -> Option<String> {
        let copied = self.resolved.engine.copy(text);
        copied.map_err(|failures| self.failures(&self.step.pointer(suffix), failures)).ok()
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
        if let Err(failures) = self.resolved.engine.may_work() {
            self.failures(&pointer, failures);
            return false;
        }
        let place = self.resolved.document.span_in(self.sources, &pointer, reference.range.clone());
        let checked = self.check_reference(reference, computed, place);
        let work = if checked.is_ok() { limits::REFERENCE_FUEL } else { limits::WRONG_REFERENCE_FUEL };
        self.resolved.engine.work(work);
        match checked {
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
        let insert = || say!("a run-time value can be inserted but not computed with");
        if path[0] == "run" {
            return if reference.alone && path.len() == 2 {
                Ok(None)
            } else {
                let value = path[..path.len().min(2)].join(".");
                fail(Diagnostic::new(Code::RuntimeValue, place, insert()).help(say!("write {{{{ {value} }}}}", value)))
            };
        }
        let Some(id) = path.get(1) else {
            return fail(
                Diagnostic::new(Code::RuntimeValue, place, say!("`steps` alone is not a value"))
                    .help(say!("write {{{{ steps.ID.OUTPUT }}}}")),
            );
        };
        let known = self.earlier(id, &place)?;
        let said = |message: &Phrase| self.diagnostics.knows(Code::UnknownOutput, &place, message);
        let (output, example) = output_of(known, &path, &place, said)?;
        let outputs: Vec<&str> = known.spec.outputs.iter().map(|output| output.name()).collect();
        let Some(name) = output else {
            let help = match outputs.first() {
                None => say!("`{action}` has no outputs", action = known.spec.name),
                Some(first) => say!("write {{{{ {value} }}}}", value = format!("{example}.{first}")),
            };
            let message = say!("`{value}` does not name an output", value = path.join("."));
            return fail(Diagnostic::new(Code::UnknownOutput, place, message).help(help));
        };
        let Some(output) = known.spec.outputs.iter().find(|output| output.name() == name) else {
            let help = nearest(name, outputs.iter().copied()).unwrap_or_else(|| match outputs.is_empty() {
                true => say!("`{action}` has no outputs", action = known.spec.name),
                false => say!("its outputs: {outputs}", outputs = list(outputs.iter().map(|name| format!("`{name}`")))),
            });
            let message =
                say!("`{step}` (`{action}`) has no output `{name}`", step = *id, action = known.spec.name, name);
            return fail(Diagnostic::new(Code::UnknownOutput, place, message).help(help));
        };
        let single = match (output, &path[if known.foreach { 4 } else { 3 }..]) {
            (Output::MsgIds | Output::Urls, [index]) => slot::index(index).is_some(),
            (Output::MsgIds | Output::Urls, _) => false,
            (_, rest) => rest.is_empty(),
        };
        if !computed && !single {
            let help = match output {
                Output::Urls => {
                    say!("write {{{{ {step}.url }}}}, or one of several: {{{{ {step}.urls[0] }}}}", step = example)
                }
                _ => say!(
                    "write {{{{ {step}.msg_id }}}}, or one of several: {{{{ {step}.msg_ids[0] }}}}",
                    step = example
                ),
            };
            let message = match output {
                Output::MsgIds | Output::Urls => {
                    say!("`{value}` is a list, not a single value", value = path.join("."))
                }
                _ => say!("`{value}` is not a value", value = path.join(".")),
            };
            return fail(Diagnostic::new(Code::UnknownOutput, place, message).help(help));
        }
        if !computed && !reference.alone {
            let help = say!("write only {{{{ {value} }}}} in the braces", value = format!("{example}.{name}"));
            return fail(Diagnostic::new(Code::RuntimeValue, place, insert()).help(help));
        }
        Ok(Some((*id).to_owned()))
    }

    /// The step that a reference names; it stands before this one.
    fn earlier(&self, id: &str, place: &Span) -> Result<&Known, Box<Option<Diagnostic>>> {
        let fail = |diagnostic: Diagnostic| Err(Box::new(Some(diagnostic)));
        let before = || {
            self.resolved
                .steps
                .iter()
                .filter(|step| step.step.index < self.step.index)
                .map(|step| step.step.common.id.as_str())
        };
        let Some(known) = self.known.get(id) else {
            if self.resolved.set_aside.contains(id) {
                return Err(Box::new(None));
            }
            let diagnostic = unknown_step(place.clone(), id, before());
            let dashed = before().find(|known| known.strip_prefix(id).is_some_and(|rest| rest.starts_with('-')));
            return fail(match dashed {
                Some(dashed) => diagnostic.help(say!("an id with a dash is written steps[\"{id}\"]", id = dashed)),
                None => diagnostic,
            });
        };
        if known.index >= self.step.index {
            return fail(later_step(place.clone(), id, known.place.clone()));
        }
        if !known.good {
            return Err(Box::new(None));
        }
        Ok(known)
    }

    fn render_text(&mut self, suffix: &str, text: &str) -> Option<String> {
        let references = template::references(text);
        if let Some(many) = template::too_many(&references) {
            self.failures(&self.step.pointer(suffix), vec![many]);
            return None;
        }
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
        let rendered = self.resolved.engine.render(text, &self.instance.context);
        match rendered.and_then(|rendered| sendable(suffix, rendered, &references)) {
            Ok(rendered) => Some(rendered),
            Err(failures) => {
                self.failures(&self.step.pointer(suffix), failures);
                None
            }
        }
    }

    /// A whole number that is known before the run.
    fn known_number(&mut self, suffix: &str, text: &str, min: u64, max: u64) -> Option<u64> {
        let name = suffix.rsplit('/').next().unwrap_or_default();
        if payload::only_slot(text.trim()).is_some() {
            let message = say!("`{name}` must be known before the run", name);
            self.problem(suffix, Code::RuntimeValue, message, say!("write the number, or a variable"));
            return None;
        }
        match text.trim().parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                let value = payload::shown(text);
                let message = match max {
                    u64::MAX => {
                        say!("`{name}` renders to `{value}`, which is not a whole number from {min}", name, value, min)
                    }
                    _ => say!(
                        "`{name}` renders to `{value}`, which is not a whole number from {min} to {max}",
                        name,
                        value,
                        min,
                        max
                    ),
                };
                self.problem(suffix, Code::BadRendered, message, say!("check the inserted value"));
                None
            }
        }
    }
}

/// The output that a reference names of a step, and how its instance is written.
fn output_of<'p>(
    known: &Known,
    path: &[&'p str],
    place: &Span,
    said: impl Fn(&Phrase) -> bool,
) -> Result<(Option<&'p str>, String), Box<Option<Diagnostic>>> {
    let fail = |diagnostic: Diagnostic| Err(Box::new(Some(diagnostic)));
    let id = path[1];
    if !known.foreach {
        return Ok((path.get(2).copied(), format!("steps.{id}")));
    }
    let keys = || known.calls.iter().filter_map(|(key, _)| key.as_deref());
    let example = format!("steps.{id}[\"{}\"]", keys().next().unwrap_or("KEY"));
    let write = |step: &str| say!("write {step}.OUTPUT", step);
    match path.get(2) {
        Some(key) if known.keys.contains(*key) => {}
        Some(key) => {
            let message = say!("`{step}` has no instance `{key}`", step = id, key = *key);
            // Each row says the same, and a name that is near is looked for once.
            let near = if said(&message) { None } else { nearest(key, keys()) };
            let help = near.unwrap_or_else(|| write(&example));
            return fail(Diagnostic::new(Code::UnknownOutput, place.clone(), message).help(help));
        }
        None => {
            let message = say!("`{step}` runs once per row", step = id);
            return fail(Diagnostic::new(Code::UnknownOutput, place.clone(), message).help(write(&example)));
        }
    }
    Ok((path.get(3).copied(), example))
}

/// A block that captures text could compute with the stand-in of a run-time value.
fn captures(text: &str, references: &[Reference]) -> Option<template::Failure> {
    let reference = references.first()?;
    let tags = text.match_indices("{%").map(|(at, _)| text[at + 2..].trim_start_matches(['-', '+']).trim_start());
    let word = tags.filter_map(|tag| tag.split(|c: char| !c.is_alphanumeric()).next());
    let word = word.into_iter().find(|word| matches!(*word, "set" | "filter" | "macro" | "call" | "with"))?;
    let message = say!("a run-time value cannot be inserted in a text with a `{word}` block", word);
    let failure = template::Failure::new(Code::RuntimeValue, message, Some(reference.range.clone()));
    Some(failure.help(say!("insert it outside blocks that capture or change text")))
}

/// What a template made can be sent: nothing that is longer than any text is looked at further.
fn sendable(suffix: &str, rendered: String, references: &[Reference]) -> Result<String, Vec<template::Failure>> {
    if rendered.len() > limits::TEXT_BYTES_MAX {
        let message = say!(
            "the rendered text has {bytes} byte; the maximum is {limit}"
                | "the rendered text has {bytes} bytes; the maximum is {limit}",
            bytes = rendered.len(),
            limit = Count::from(limits::TEXT_BYTES_MAX)
        );
        let help = match suffix.starts_with("/message/text") {
            true => say!("shorten it, or send an article (`mpnews`)"),
            false => say!("shorten it"),
        };
        return Err(vec![template::Failure::new(Code::TextTooLong, message, None).help(help)]);
    }
    unclean(&rendered, references).map_or(Ok(rendered), |problem| Err(vec![problem]))
}

/// What a template made must hold no control character, and no slot but those it refers to.
fn unclean(rendered: &str, references: &[Reference]) -> Option<template::Failure> {
    let known: HashSet<String> = references.iter().map(|reference| template::stand_in(&reference.path)).collect();
    let mut rest = rendered;
    let c = loop {
        let (at, c) = crate::diag::source::find_control(rest)?;
        rest = &rest[at..];
        match payload::first_stand_in(rest).filter(|stand_in| known.contains(*stand_in)) {
            Some(stand_in) => rest = &rest[stand_in.len()..],
            None => break c,
        }
    };
    let message = say!("the rendered text contains the control character {character}", character = code_point(c));
    let failure = template::Failure::new(Code::ControlCharacter, message, None);
    Some(failure.help(say!("remove it from the template, or from the inserted value")))
}

impl Fields for StepFields<'_> {
    fn text(&mut self, suffix: &str, template: &Template) -> Option<String> {
        self.render_text(suffix, &template.0)
    }

    fn number(&mut self, suffix: &str, template: &Template, min: u64, max: u64) -> Option<u64> {
        let text = self.render_text(suffix, &template.0)?;
        self.known_number(suffix, &text, min, max)
    }

    fn job(&mut self, suffix: &str, template: &Template) -> Option<Job> {
        let text = self.render_text(suffix, &template.0)?;
        match payload::only_slot(text.trim()) {
            Some(slot) if slot.is_job() => Some(Job::Of(slot)),
            _ => self.known_number(suffix, &text, 1, u64::MAX).map(Job::Id),
        }
    }

    fn file(&mut self, suffix: &str) -> Option<String> {
        let (file, text) = self.instance.files.get(suffix)?.clone();
        let place = |range: std::ops::Range<usize>| Span::new(file, range);
        let references = template::references(&text);
        for reference in &references {
            match self.check_reference(reference, false, place(reference.range.clone())) {
                Ok(step) => self.needs.extend(step),
                Err(diagnostic) => {
                    self.diagnostics.extend(*diagnostic);
                    return None;
                }
            }
        }
        let rendered = match template::too_many(&references).or_else(|| captures(&text, &references)) {
            Some(problem) => Err(vec![problem]),
            None => self.resolved.engine.render(&text, &self.instance.context),
        };
        match rendered.and_then(|rendered| sendable(suffix, rendered, &references)) {
            Ok(rendered) => Some(rendered),
            Err(failures) => {
                let whole = 0..text.len();
                let place = |range: Option<std::ops::Range<usize>>| place(range.unwrap_or(whole.clone()));
                self.diagnostics.extend(failures.into_iter().map(|failure| failure_diagnostic(failure, place)));
                None
            }
        }
    }

    fn upload(&mut self, description: Option<(String, String)>) -> Option<Arc<Upload>> {
        let upload = Upload::clone(self.instance.upload.as_deref()?);
        Some(Arc::new(Upload { description, ..upload }))
    }

    fn own(&self, output: Output) -> Slot {
        Slot::output(&self.step.common.id, self.instance.key.as_deref(), output)
    }

    fn draft(&mut self) -> Option<Draft> {
        let step = self.step;
        // Only a cover may be a value of an earlier step.
        for (number, article) in step.action.asks().articles().iter().enumerate() {
            let Some(cover) = &article.cover else { continue };
            for reference in &template::references(&cover.0) {
                if !self.reference(&format!("/articles/{number}/cover"), reference, false) {
                    return None;
                }
            }
        }
        let articles = Arc::clone(&self.instance.articles);
        for (reference, place) in articles.iter().flat_map(|article| &article.references) {
            match self.check_reference(reference, false, place.clone()) {
                Ok(step) => self.needs.extend(step),
                Err(diagnostic) => {
                    self.diagnostics.extend(*diagnostic);
                    return None;
                }
            }
        }
        let mut uploads: Vec<Arc<Upload>> = Vec::new();
        for upload in articles.iter().flat_map(|article| article.uploads()) {
            // The same bytes under two names are one upload, and each name is a slot.
            if !uploads.iter().any(|known| known.slot() == upload.slot()) {
                uploads.push(Arc::clone(upload));
            }
        }
        let slot = self.own(Output::MediaId);
        let good = self.instance.good && !articles.is_empty();
        good.then(|| Draft { articles: articles.iter().map(|article| article.body()).collect(), uploads, slot })
    }

    fn openids(&mut self) -> Option<Arc<Openids>> {
        self.instance.audience.as_ref().map(|audience| Arc::clone(&audience.openids))
    }

    fn effect_of(&self, step: &str) -> Option<Effect> {
        self.known.get(step).map(|known| known.spec.effect)
    }

    fn outputs_of(&mut self, step: &str, output: Output) -> Option<Vec<Slot>> {
        let known = self.known.get(step)?;
        let slots: Vec<Slot> = known.calls.iter().map(|(key, _)| Slot::output(step, key.as_deref(), output)).collect();
        self.needs.insert(step.to_owned());
        (!slots.is_empty()).then_some(slots)
    }

    fn jobs(&mut self, of: &str) -> Option<Vec<Job>> {
        let known = self.known.get(of)?;
        let mut jobs = Vec::new();
        for (key, calls) in &known.calls {
            let slot = |output| Slot::output(of, key.as_deref(), output);
            match calls {
                // It stands for all of them.
                _ if known.open_ended => jobs.push(Job::Of(slot(Output::MsgIds).at(0))),
                1 => jobs.push(Job::Of(slot(Output::MsgId))),
                calls => jobs.extend((0..*calls).map(|call| Job::Of(slot(Output::MsgIds).at(call)))),
            }
        }
        self.needs.insert(of.to_owned());
        self.covers |= known.open_ended;
        (!jobs.is_empty()).then_some(jobs)
    }

    fn problem(&mut self, suffix: &str, code: Code, message: Phrase, help: Phrase) {
        self.resolved.engine.work(limits::PROBLEM_FUEL);
        let place = self.resolved.document.span(&self.step.pointer(suffix));
        self.diagnostics.push(Diagnostic::new(code, place, message).help(help));
    }

    fn problem_in(&mut self, suffix: &str, words: Part<'_>, code: Code, message: Phrase, help: Phrase) {
        self.resolved.engine.work(limits::PROBLEM_FUEL);
        let pointer = self.step.pointer(suffix);
        let document = &self.resolved.document;
        let found = |text: &str| words.place(text);
        let place = match self.instance.files.get(suffix) {
            Some((file, text)) => Span::new(*file, found(text).unwrap_or(0..text.len())),
            None => match document.value.pointer(&pointer).and_then(Value::as_str).and_then(found) {
                Some(range) => document.span_in(self.sources, &pointer, range),
                None => document.span(&pointer),
            },
        };
        self.diagnostics.push(Diagnostic::new(code, place, message).help(help));
    }

    fn staging_hosts<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let hosts = &self.resolved.head.lint.staging_hosts;
        self.resolved.engine.work((hosts.rounds() * text.len() / 64) as u64);
        hosts.mentioned_in(text)
    }

    fn words(&self, text: &str) -> Lint {
        let lint = &self.resolved.head.lint;
        let names = if words::may_be_mistyped(text) { template::names(&self.instance.context) } else { Vec::new() };
        self.resolved.engine.work(((lint.forbidden.len() + names.len()) * text.len() / 128 + names.len()) as u64);
        lint.words(names)
    }
}
