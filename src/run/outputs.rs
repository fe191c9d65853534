//! What steps give to those after them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::frozen;
use crate::{
    ledger::Event,
    render::RenderedStep,
    slot::{Output, Slot},
};

/// What later steps can refer to, from the facts of acceptance of all calls.
pub(super) fn outputs<'e>(step: &RenderedStep, facts: impl Iterator<Item = &'e Event>) -> BTreeMap<Output, Value> {
    let facts: Vec<&Event> = facts.collect();
    let value = |output: Output| match output {
        Output::MsgId => facts.first().and_then(|fact| fact.msg_id).map(|id| json!(id)),
        Output::MsgIds => Some(json!(facts.iter().map(|fact| fact.msg_id).collect::<Vec<_>>())),
        Output::MsgDataId => facts.iter().find_map(|fact| fact.msg_data_id).map(|id| json!(id)),
        Output::Status => facts.last().and_then(|fact| frozen::status(fact)).map(Value::from),
        Output::Urls => {
            let mut all: Vec<String> = Vec::new();
            for url in facts.iter().flat_map(|fact| frozen::urls(fact)) {
                if !all.contains(&url) {
                    all.push(url);
                }
            }
            (!all.is_empty()).then(|| json!(all))
        }
        Output::MediaId | Output::Url | Output::PublishId | Output::ArticleId => {
            facts.iter().rev().find_map(|fact| given(fact, output)).map(Value::from)
        }
    };
    step.spec.outputs.iter().filter_map(|output| Some((*output, value(*output)?))).collect()
}

/// Outputs as reports name them.
pub(super) fn named(outputs: &BTreeMap<Output, Value>) -> BTreeMap<String, Value> {
    outputs.iter().map(|(output, value)| (output.name().to_owned(), value.clone())).collect()
}

/// The slots that the outputs of a step fill.
pub(super) fn slots_of(step: &RenderedStep, outputs: &BTreeMap<Output, Value>) -> Vec<(Slot, Value)> {
    let mut slots = Vec::new();
    for (output, value) in outputs {
        let slot = step.slot(*output);
        let several = value.as_array().into_iter().flatten().enumerate().filter(|(_, item)| !item.is_null());
        slots.extend(several.map(|(at, item)| (slot.clone().at(at), item.clone())));
        slots.push((slot, value.clone()));
    }
    slots
}

/// Outputs as templates see them: `steps.a.msg_id` is a member of a member.
pub(super) fn nested(slots: &HashMap<Slot, Value>) -> Value {
    let mut root = json!({});
    for (slot, value) in slots {
        let Slot::Output { step, key, output, index: None } = slot else { continue };
        let step = &mut root[step.as_str()];
        let instance = match key {
            Some(key) => &mut step[key.as_str()],
            None => step,
        };
        instance[output.name()] = value.clone();
    }
    root
}

/// What a fact gives. What cannot be read was refused before the run ([`frozen::check_given`]); of an upload of another
/// plan it is a value that is not known, with which nothing is sent.
pub(super) fn given(fact: &Event, output: Output) -> Option<String> {
    frozen::given(fact, output).ok().flatten()
}
