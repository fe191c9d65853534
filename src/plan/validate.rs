//! What a schema cannot say: ids, and what refers to them.

use std::collections::{HashMap, HashSet};

use crate::{
    diag::{Code, Diagnostic, Diagnostics, source::Span},
    locale::{list, say},
    payload::Effect,
    text::{nearest, one_of},
};

use super::{
    model::{Head, Step},
    parse::ParsedPlan,
    yaml::Document,
};

/// A plan that makes sense in itself; what it says of the world is not looked at yet.
#[derive(Debug)]
pub struct ValidPlan {
    /// Its text and places.
    pub(crate) document: Document,
    /// All but the steps.
    pub(crate) head: Head,
    /// The steps that make sense.
    pub(crate) steps: Vec<Step>,
    /// Ids of steps that were set aside because of a problem.
    pub(crate) set_aside: HashSet<String>,
    /// What was found so far.
    pub(crate) diagnostics: Diagnostics,
}

/// Checks what a schema cannot: ids and what refers to them.
pub fn validate(parsed: ParsedPlan) -> ValidPlan {
    let ParsedPlan { document, head, steps, ids, mut diagnostics } = parsed;
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (id, index) in &ids {
        if diagnostics.is_full() {
            break;
        }
        if let Some(earlier) = first.get(id.as_str()) {
            let place = |index: usize| document.span(&format!("/steps/{index}/id"));
            let diagnostic =
                Diagnostic::new(Code::DuplicateId, place(*index), say!("the id `{id}` is already used", id));
            let help = say!("give this step a different id");
            diagnostics.push(diagnostic.related(place(*earlier), say!("first here")).help(help));
        } else {
            first.insert(id, *index);
        }
    }
    if let (Some(from), Some(to)) = (head.guards.not_before, head.guards.not_after)
        && to < from
    {
        let place = |name: &str| document.span(&format!("/guards/{name}"));
        let message = say!("`not_after` is before `not_before`");
        let diagnostic = Diagnostic::new(Code::OutOfRange, place("not_after"), message);
        let diagnostic = diagnostic.related(place("not_before"), say!("later than `not_after`"));
        diagnostics.push(diagnostic.help(say!("nothing can ever be sent; move one of the two")));
    }
    let mut good: Vec<Step> = Vec::new();
    let mut set_aside: HashSet<String> = ids.iter().map(|(id, _)| id.clone()).collect();
    for step in steps {
        if diagnostics.is_full() {
            break;
        }
        let problem = step.action.asks().of().and_then(|of| check_target(&document, &step, of, &first, &ids, &good));
        match problem {
            Some(problem) => diagnostics.push(problem),
            None => {
                set_aside.remove(&step.common.id);
                good.push(step);
            }
        }
    }
    ValidPlan { document, head, steps: good, set_aside, diagnostics }
}

fn check_target(
    document: &Document,
    step: &Step,
    of: &str,
    first: &HashMap<&str, usize>,
    ids: &[(String, usize)],
    good: &[Step],
) -> Option<Diagnostic> {
    let place = document.span(&step.pointer("/of"));
    let Some(target) = first.get(of) else {
        return Some(unknown_step(
            place,
            of,
            ids.iter().filter(|(_, index)| *index < step.index).map(|(id, _)| id.as_str()),
        ));
    };
    if *target >= step.index {
        return Some(later_step(place, of, document.span(&format!("/steps/{target}/id"))));
    }
    let target = good.iter().find(|good| good.index == *target)?;
    let action = target.action.spec();
    let fits = |effect: Effect| match step.action.spec().effect {
        Effect::Unpublish => effect == Effect::Publish,
        Effect::Read => effect.is_once(),
        _ => effect == Effect::Mass,
    };
    if !fits(action.effect) {
        let unpublishes = step.action.spec().effect == Effect::Unpublish;
        let message = match unpublishes {
            true => say!("`{of}` is a `{action}` step, not a publication", of, action = action.name),
            false => say!("`{of}` is a `{action}` step, not a send", of, action = action.name),
        };
        let fitting = good.iter().filter(|step| fits(step.action.spec().effect));
        let fitting: Vec<&str> = fitting.map(|step| step.common.id.as_str()).collect();
        let help = match (fitting.is_empty(), unpublishes) {
            (true, true) => say!("there is no publish step before this one"),
            (true, false) => say!("there is no send step before this one"),
            (false, true) => say!("use a publish step: {steps}", steps = one_of(&fitting)),
            (false, false) => say!("use a send step: {steps}", steps = one_of(&fitting)),
        };
        return Some(Diagnostic::new(Code::WrongStep, place, message).help(help));
    }
    let message = target.action.asks().message()?;
    if step.action.spec().effect == Effect::Delete && !message.of.can_be_deleted {
        let text = say!("`{of}` sends `{kind}`, which cannot be deleted", of, kind = message.of.kind.name());
        let diagnostic = Diagnostic::new(Code::CannotDelete, place, text);
        let there = document.key_span(&target.pointer(&format!("/message/{}", message.of.kind.name())));
        return Some(
            diagnostic
                .related(there, say!("sent here"))
                .help(say!("WeChat deletes only articles (`mpnews`) and videos (`mpvideo`)")),
        );
    }
    None
}

/// "No step has that id", with the nearest of those before.
pub fn unknown_step<'a>(place: Span, of: &str, before: impl Iterator<Item = &'a str>) -> Diagnostic {
    let before: Vec<&str> = before.collect();
    let diagnostic = Diagnostic::new(Code::UnknownStep, place, say!("no step has the id `{of}`", of));
    diagnostic.help(match nearest(of, before.iter().copied()) {
        Some(near) => near,
        None if before.is_empty() => say!("there is no step before this one"),
        None => {
            say!("steps before this one: {steps}", steps = list(before.iter().take(20).map(|id| format!("`{id}`"))))
        }
    })
}

/// "That step comes later".
pub fn later_step(place: Span, of: &str, there: Span) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::LaterStep, place, say!("the step `{of}` comes later", of));
    diagnostic.related(there, say!("defined here")).help(say!("move it up: steps run in the order of the file"))
}
