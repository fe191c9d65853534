//! `upload_image`: a picture for the body of an article.
//! <https://developers.weixin.qq.com/doc/service/api/material/permanent/api_uploadimage>

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::{Action, Asks, Spec, read};
use crate::{
    content::media::MediaTarget,
    payload::Effect,
    plan::{
        ask::{Calls, Fields, upload},
        value::Template,
    },
    slot::Output,
};

pub(super) static SPEC: Spec = Spec {
    name: "upload_image",
    summary: "Uploads a picture for the body of an article; outputs `url`.",
    path: "/cgi-bin/media/uploadimg",
    effect: Effect::Media,
    outputs: &[Output::Url],
    exactly_one: &[],
    only: None,
    own_timeout: false,
    schema: UploadImage::json_schema,
    read: read::<UploadImage>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UploadImage {
    /// The picture: jpg or png, smaller than 1 MiB.
    file: Template,
    /// Converts webp and shrinks larger pictures instead of refusing them.
    #[serde(default)]
    optimize: bool,
}

impl Action for UploadImage {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        upload(fields, None)
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Upload { path: &self.file, target: MediaTarget::BodyImage, optimize: self.optimize }
    }
}
