//! `upload_material`: permanent pictures, recordings, videos and thumbnails.
//! <https://developers.weixin.qq.com/doc/service/api/material/permanent/api_addmaterial>

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::{Action, Asks, Spec, read};
use crate::{
    content::media::{Material, MediaTarget},
    diag::Code,
    locale::say,
    payload::Effect,
    plan::{
        ask::{Calls, Fields, upload},
        value::Template,
    },
    slot::Output,
};

pub(super) static SPEC: Spec = Spec {
    name: "upload_material",
    summary: "Uploads permanent material; outputs `media_id`, and `url` for a picture.",
    path: "/cgi-bin/material/add_material",
    effect: Effect::Media,
    outputs: &[Output::MediaId, Output::Url],
    exactly_one: &[],
    only: None,
    own_timeout: false,
    schema: UploadMaterial::json_schema,
    read: read::<UploadMaterial>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UploadMaterial {
    /// `image` (bmp, png, jpg, gif, 10 MiB), `voice` (mp3, wma, wav, amr, 2 MiB, 60 s), `video` (mp4, 10 MiB) or `thumb` (jpg, 64 KiB).
    #[serde(rename = "type")]
    kind: Material,
    /// File to upload.
    file: Template,
    /// Title of a video.
    #[serde(default)]
    title: Option<Template>,
    /// Description of a video.
    #[serde(default)]
    introduction: Option<Template>,
    /// For `image` or `thumb`: converts webp and shrinks larger pictures instead of refusing them.
    #[serde(default)]
    optimize: bool,
}

impl Action for UploadMaterial {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let mut words = |suffix: &str, template: &Option<Template>| match template {
            Some(template) => fields.text(suffix, template).map(Some),
            None => Some(None),
        };
        let (title, introduction) = (words("/title", &self.title), words("/introduction", &self.introduction));
        let (title, introduction) = (title?, introduction?);
        if self.optimize && matches!(self.kind, Material::Voice | Material::Video) {
            let message = say!("`optimize` has no effect; only pictures are optimized");
            fields.problem("/optimize", Code::IgnoredSetting, message, say!("leave it out"));
        }
        if self.kind != Material::Video {
            for (suffix, given) in [("/title", title.is_some()), ("/introduction", introduction.is_some())] {
                if given {
                    let message = say!("`{name}` has no effect; only videos have one", name = &suffix[1..]);
                    fields.problem(suffix, Code::IgnoredSetting, message, say!("leave it out"));
                }
            }
            return upload(fields, None);
        }
        let Some(title) = title else {
            let message = say!("a video needs a `title`");
            let help = say!("write `title: ...`, and `introduction: ...` if you like");
            fields.problem("", Code::MissingKey, message, help);
            return None;
        };
        upload(fields, Some((title, introduction.unwrap_or_default())))
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Upload { path: &self.file, target: MediaTarget::Material(self.kind), optimize: self.optimize }
    }
}
