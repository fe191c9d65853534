//! Steps as reports show them.

use crate::{
    render::{RenderedPlan, RenderedStep},
    report::StepView,
};

/// The steps of a plan as reports show them.
pub fn views(plan: &RenderedPlan) -> Vec<StepView> {
    let view = |step: &RenderedStep| StepView {
        id: step.id.clone(),
        key: step.key.clone(),
        action: step.spec.name.to_owned(),
        description: step.description.clone(),
        line: u32::try_from(step.line).unwrap_or(u32::MAX),
        audience: step.audience.clone(),
        message: step.message().cloned(),
        calls: step.calls.len(),
    };
    plan.steps.iter().map(view).collect()
}
