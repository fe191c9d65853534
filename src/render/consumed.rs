//! Steps that use a draft which an earlier step of the plan publishes, and so uses up.

use std::collections::HashMap;

use super::{RenderedStep, When};
use crate::{
    diag::{Code, Diagnostic, Diagnostics},
    locale::say,
    payload::Effect,
    plan::yaml::Document,
};

/// Says which of these are in the plan. Steps on which a condition decides at run time are not among them: they may be there
/// for the case that the other is not.
pub(super) fn check(steps: &[RenderedStep], document: &Document, diagnostics: &mut Diagnostics) {
    let mut published: HashMap<String, &RenderedStep> = HashMap::new();
    for step in steps.iter().filter(|step| step.when == When::Always) {
        let Some((draft, field)) = step.draft() else { continue };
        if let Some(before) = published.get(&draft) {
            let place =
                |step: &RenderedStep, field: &str| document.span(&format!("/steps/{}{field}", step.origin.step));
            let (this, that) = (step.name(), &before.name());
            let message =
                say!("`{this}` uses the draft that `{that}` publishes, which uses it up", this, that = that.as_str());
            let help = match step.spec.effect {
                Effect::Publish => say!("publish a draft once: remove one of the two, or create another draft"),
                _ => say!("put this step before `{that}`, or create another draft for it", that = that.as_str()),
            };
            let there = place(before, "/media_id");
            let here = place(step, field);
            diagnostics.about(Some(step.origin));
            let told = Diagnostic::new(Code::DraftConsumed, here.clone(), message).help(help);
            diagnostics.push(if here == there { told } else { told.related(there, say!("published here")) });
        } else if step.spec.effect == Effect::Publish {
            published.insert(draft, step);
        }
    }
    diagnostics.about(None);
}
