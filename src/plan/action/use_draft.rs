//! `use_draft`: a draft that somebody made in the console, found by its title or named by its `media_id`.
//! <https://developers.weixin.qq.com/doc/subscription/api/draftbox/draftmanage/api_getdraft.html>

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::spec::{Action, Asks, Spec, read};
use crate::{
    content::pin::Pin,
    diag::Code,
    locale::{Phrase, say},
    payload::{self, Effect, Target},
    plan::{
        ask::{Call, Calls, Content, DraftName, Fields, Gives, MediaCall, UsedDraft},
        value::Template,
    },
    slot::{Output, Slot},
};

/// Reads a draft.
pub(crate) const GET: &str = "/cgi-bin/draft/get";
/// The field in which the digest stands.
pub(crate) const DIGEST: &str = "digest";

pub(super) static SPEC: Spec = Spec {
    name: "use_draft",
    summary: "Takes a draft that was made in the console; outputs `media_id`. `qunfa pin` writes its `digest`.",
    path: GET,
    effect: Effect::Media,
    outputs: &[Output::MediaId],
    exactly_one: &["title", "media_id"],
    only: None,
    own_timeout: false,
    schema: UseDraft::json_schema,
    read: read::<UseDraft>,
};

/// Exactly one of `title` and `media_id`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UseDraft {
    /// Title of the draft's first article; exactly one draft of the draft box must have it.
    #[serde(default)]
    title: Option<Template>,
    /// `media_id` of the draft.
    #[serde(default)]
    media_id: Option<Template>,
    /// What the draft holds, as `qunfa pin` writes it: `sha256-` and 64 hexadecimal digits for each article. A draft that holds anything else is refused.
    #[serde(default)]
    #[schemars(extend("examples" = ["sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]))]
    digest: Option<Template>,
}

impl Action for UseDraft {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let (field, name) = match (&self.title, &self.media_id) {
            (Some(title), _) => ("/title", title),
            (None, Some(id)) => ("/media_id", id),
            (None, None) => return None,
        };
        let pinned = match &self.digest {
            Some(digest) => Some(pin(fields, digest)?),
            None => None,
        };
        let name = known(fields, field, name)?;
        if field == "/media_id" && !payload::is_value(&name) {
            let message = say!("`{name}` is not a media_id", name);
            fields.problem(field, Code::BadRendered, message, say!("`qunfa drafts` lists those of the draft box"));
            return None;
        }
        if pinned.is_none() {
            let message = say!("the draft is not pinned: what it holds is not covered by the digest of the plan");
            let help = say!("run `qunfa pin`, and again after each change of the draft");
            fields.problem(field, Code::UnpinnedDraft, message, help);
        }
        let (name, id) = match self.title {
            Some(_) => {
                let id = payload::stand_in(&Slot::Draft(name.clone()));
                (DraftName::Title(name), id)
            }
            None => (DraftName::Id(name.clone()), name),
        };
        let audience = Some(Phrase::verbatim(name.to_string()));
        let gives = Gives { slot: fields.own(Output::MediaId), member: Output::MediaId, known: None };
        let uses = Some(UsedDraft { name, pinned });
        let media = MediaCall { gives: Some(gives), uses, ..MediaCall::default() };
        let call = Call { media: Some((GET, media)), ..Call::new(json!({ "media_id": id }), Target::Nobody) };
        Some(Calls { calls: vec![call], audience, content: Content::Nothing, listed: None })
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Existing
    }
}

/// A text that is there before the run.
fn known(fields: &mut dyn Fields, suffix: &str, template: &Template) -> Option<String> {
    let text = fields.text(suffix, template)?;
    let text = text.trim();
    if payload::has_slot(text) {
        let message = say!("`{name}` must be known before the run", name = &suffix[1..]);
        fields.problem(suffix, Code::RuntimeValue, message, say!("write the text, or a variable"));
        return None;
    }
    if text.is_empty() || text.contains('\n') {
        let message = say!("`{name}` renders to `{text}`, which names no draft", name = &suffix[1..], text);
        fields.problem(suffix, Code::BadRendered, message, say!("check the inserted value"));
        return None;
    }
    Some(text.to_owned())
}

fn pin(fields: &mut dyn Fields, template: &Template) -> Option<Pin> {
    let text = known(fields, "/digest", template)?;
    let pin = Pin::parse(&text);
    if pin.is_none() {
        let message = say!("`{text}` is not the digest of a draft", text);
        fields.problem("/digest", Code::BadRendered, message, say!("`qunfa pin` writes it"));
    }
    pin
}
