//! `upload_image`: a picture for the body of an article.
//! <https://developers.weixin.qq.com/doc/service/api/material/permanent/api_uploadimage>

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Calls, Fields, FileUse, Holds, Kind, Spec, upload};
use crate::payload::Effect;
use crate::{content::media::Target, plan::value::Template, slot::Output};

/// Fields of the action.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadImage {
    /// The picture: jpg or png, smaller than 1 MiB.
    file: Template,
    /// Converts webp and makes a larger picture smaller, instead of refusing it.
    #[serde(default)]
    optimize: bool,
}

impl Kind for UploadImage {
    const SPEC: Spec = Spec {
        name: "upload_image",
        summary: "Uploads a picture for the body of an article; gives its url.",
        path: "/cgi-bin/media/uploadimg",
        effect: Effect::Media,
        outputs: &[Output::Url],
        exactly_one: &[],
        only: None,
    };

    fn files(&self) -> Vec<FileUse> {
        let holds = Holds::Media(Target::BodyImage, self.optimize);
        vec![FileUse { suffix: "/file".into(), path: self.file.clone(), holds }]
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        upload(fields, None)
    }
}
