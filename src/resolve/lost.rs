//! Sends whose file of people is gone. Whether that matters is known to whoever knows what was sent: a send that was begun
//! goes on with the people that it began with.

use std::{collections::HashSet, sync::Arc};

use super::{Audience, ResolvedPlan};
use crate::{
    diag::{Code, Diagnostic, Origin, source::Span},
    locale::say,
    openids::Openids,
    plan::model::Step,
};

/// A send whose file of people is gone.
#[derive(Debug)]
pub(super) struct Lost {
    /// `id` of the step.
    pub(super) step: String,
    /// The `foreach` key.
    pub(super) key: Option<String>,
    pub(super) origin: Origin,
    /// The file, and where the plan names it.
    pub(super) path: String,
    pub(super) place: Span,
    /// What is wrong with the files of its people, from this one on, if the people stay lost.
    pub(super) wrong: Vec<Wrong>,
}

impl Lost {
    pub(super) fn new(step: &Step, key: Option<String>, origin: Origin, path: String, place: Span) -> Self {
        Self { step: step.common.id.clone(), key, origin, path, place, wrong: Vec::new() }
    }
}

/// What is wrong with a file of people; said at the first place that names it.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Its path and the column of it.
    pub(super) file: (String, String),
    pub(super) findings: Vec<Diagnostic>,
}

impl ResolvedPlan {
    /// Whether the people of a send are lost.
    pub fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Gives sends whose people are lost those that they began with; `begun` is asked by the step's id and the `foreach` key.
    pub fn recover(&mut self, begun: &dyn Fn(&str, Option<&str>) -> Option<Openids>) {
        for lost in std::mem::take(&mut self.lost) {
            let Some(openids) = begun(&lost.step, lost.key.as_deref()) else {
                self.lost.push(lost);
                continue;
            };
            let Lost { origin, path, place, .. } = lost;
            let message = say!(
                "`{path}` is missing; the send continues with its original {people} person"
                    | "`{path}` is missing; the send continues with its original {people} people",
                people = openids.len(),
                path
            );
            let around = self.diagnostics.about(Some(Origin::step(origin.step)));
            let help = say!("restore the file for the record");
            self.diagnostics.push(Diagnostic::new(Code::AudienceLost, place, message).help(help));
            self.diagnostics.about(around);
            let step = self.steps.iter_mut().find(|step| step.step.index == origin.step);
            let instance = step.and_then(|step| origin.instance.and_then(|instance| step.instances.get_mut(instance)));
            if let Some(instance) = instance {
                instance.audience = Some(Arc::new(Audience { openids: Arc::new(openids), duplicates: 0, excluded: 0 }));
            }
        }
    }

    /// What is still lost is an error.
    pub fn give_up(&mut self) {
        let mut said = HashSet::new();
        for Lost { origin, wrong, .. } in std::mem::take(&mut self.lost) {
            let around = self.diagnostics.about(Some(Origin::step(origin.step)));
            for Wrong { file, findings } in wrong {
                if said.insert(file) {
                    self.diagnostics.extend(findings);
                }
            }
            self.diagnostics.about(around);
        }
    }
}
