//! Files that are uploaded: what they are by their bytes, and WeChat's limits for them. Pure.

use std::{fmt, sync::Arc};

use serde_json::{Value, json};

use crate::{
    limits, payload,
    slot::{Output, Slot},
};

mod optimize;
mod sniff;

use optimize::TooMuch;
pub(crate) use sniff::{content_type, dimensions};

/// A file on its way to WeChat.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its path as users know it.
    pub(crate) path: String,
    pub target: MediaTarget,
    /// Content type by its bytes.
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Arc<[u8]>,
    /// SHA-256 of the bytes, named.
    pub sha256: String,
    /// Title and introduction of a video.
    pub(crate) description: Option<(String, String)>,
    /// What was done so that it fits. It is part of what a dry run shows and of its digest, so it is the same in every language.
    pub(crate) optimized: Option<String>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({} to {:?}, {})", self.path, self.target, self.sha256)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaTarget {
    /// A picture of an article's body: gives a URL.
    /// <https://developers.weixin.qq.com/doc/service/api/material/permanent/api_uploadimage>
    BodyImage,
    /// A GIF of an article's body, which `uploadimg` refuses: permanent material, whose URL may stand in articles.
    Animation,
    /// Permanent material: gives a `media_id`.
    /// <https://developers.weixin.qq.com/doc/service/api/material/permanent/api_addmaterial>
    Material(Material),
}

/// Kinds of permanent material, as `type` of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Material {
    /// bmp, png, jpeg, gif up to 10 MiB.
    Image,
    /// mp3, wma, wav, amr up to 2 MiB and 60 seconds.
    Voice,
    /// mp4 up to 10 MiB.
    Video,
    /// jpeg up to 64 KiB.
    Thumb,
}

impl Material {
    /// The word in the plan and in the request.
    pub fn name(self) -> &'static str {
        match self {
            Material::Image => "image",
            Material::Voice => "voice",
            Material::Video => "video",
            Material::Thumb => "thumb",
        }
    }
}

impl MediaTarget {
    pub fn path(self) -> &'static str {
        match self {
            MediaTarget::BodyImage => "/cgi-bin/media/uploadimg",
            MediaTarget::Animation | MediaTarget::Material(_) => "/cgi-bin/material/add_material",
        }
    }

    /// `type` in the query.
    pub fn kind(self) -> Option<&'static str> {
        match self {
            MediaTarget::BodyImage => None,
            MediaTarget::Animation => Some(Material::Image.name()),
            MediaTarget::Material(kind) => Some(kind.name()),
        }
    }

    pub fn gives(self) -> Output {
        match self {
            MediaTarget::BodyImage | MediaTarget::Animation => Output::Url,
            MediaTarget::Material(_) => Output::MediaId,
        }
    }

    /// Content types that are taken, and the most bytes.
    fn takes(self) -> (&'static [&'static str], u64) {
        match self {
            MediaTarget::BodyImage => (&["image/jpeg", "image/png"], limits::BODY_IMAGE_BYTES),
            MediaTarget::Animation => (&["image/gif"], limits::MATERIAL_BYTES),
            MediaTarget::Material(Material::Image) => {
                (&["image/jpeg", "image/png", "image/gif", "image/bmp"], limits::MATERIAL_BYTES)
            }
            MediaTarget::Material(Material::Voice) => {
                (&["audio/mpeg", "audio/x-ms-wma", "audio/wav", "audio/amr"], limits::VOICE_BYTES)
            }
            MediaTarget::Material(Material::Video) => (&["video/mp4"], limits::MATERIAL_BYTES),
            MediaTarget::Material(Material::Thumb) => (&["image/jpeg"], limits::THUMB_BYTES),
        }
    }
}

/// Why a file cannot be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    Empty,
    /// It is not what it is to be: what it is by its bytes, and what is taken.
    Type(&'static str, Vec<&'static str>),
    /// It is too large: its bytes, and from how many on it is refused.
    Size(usize, u64),
    /// Its beginning says what it is, and the rest is missing.
    Damaged,
    /// It has too many pixels: its width and height.
    Dimensions(u32, u32),
    /// It has too many pixels to be optimized: its width and height.
    Pixels(u32, u32),
    /// With it, optimizing the pictures of the plan is too much work.
    Work,
}

impl From<TooMuch> for Unfit {
    fn from(why: TooMuch) -> Self {
        match why {
            TooMuch::Pixels(width, height) => Unfit::Pixels(width, height),
            TooMuch::Work => Unfit::Work,
        }
    }
}

impl Upload {
    /// Checks a file for where it is to go; a picture that does not fit is made such that it does, as far as that can be.
    /// `work` is what is left of [`limits::OPTIMIZE_WORK_MAX`].
    pub fn optimized(
        path: impl Into<String>,
        bytes: Vec<u8>,
        target: MediaTarget,
        work: &mut u64,
    ) -> Result<Self, Unfit> {
        let path = path.into();
        let (types, most) = target.takes();
        let (new, said) = match Self::new(path.clone(), bytes.clone(), target, None) {
            Err(unfit @ (Unfit::Type(..) | Unfit::Size(..))) => {
                optimize::fit(&bytes, types, most, work).map_err(Unfit::from)?.ok_or(unfit)?
            }
            other => return other,
        };
        Ok(Self { optimized: Some(said), ..Self::new(path, new, target, None)? })
    }

    /// Checks a file for where it is to go.
    pub fn new(
        path: impl Into<String>,
        bytes: Vec<u8>,
        target: MediaTarget,
        description: Option<(String, String)>,
    ) -> Result<Self, Unfit> {
        let (types, most) = target.takes();
        if bytes.is_empty() {
            return Err(Unfit::Empty);
        }
        let content_type = content_type(&bytes).filter(|known| types.contains(known));
        let content_type =
            content_type.ok_or_else(|| Unfit::Type(self::content_type(&bytes).unwrap_or("unknown"), types.to_vec()))?;
        if bytes.len() as u64 >= most {
            return Err(Unfit::Size(bytes.len(), most));
        }
        if content_type.starts_with("image/") {
            let (width, height) = dimensions(&bytes).filter(|_| sniff::is_whole(&bytes)).ok_or(Unfit::Damaged)?;
            let pixels = u64::from(width) * u64::from(height);
            if width.max(height) > limits::IMAGE_SIDE_MAX || pixels > limits::IMAGE_PIXELS_MAX {
                return Err(Unfit::Dimensions(width, height));
            }
        }
        let sha256 = payload::digest(&bytes);
        let path = path.into();
        Ok(Self { path, target, content_type, bytes: bytes.into(), sha256, description, optimized: None })
    }

    /// What a dry run shows in the place of the form.
    pub fn shown(&self) -> Value {
        let mut body = json!({ "media": {
            "file": self.path, "content_type": self.content_type, "bytes": self.bytes.len(), "sha256": self.sha256["sha256:".len()..],
        } });
        if let Some(kind) = self.target.kind() {
            body["type"] = kind.into();
        }
        if let Some(done) = &self.optimized {
            body["media"]["optimized"] = done.clone().into();
        }
        if let Some((title, introduction)) = &self.description {
            body["description"] = json!({ "title": title, "introduction": introduction });
        }
        body
    }

    /// Names the upload: the same bytes to the same place with the same words are the same upload.
    pub fn key(&self) -> String {
        let mut identity =
            json!(["qunfa/upload/1", self.target.path(), self.target.kind(), self.sha256, self.description]);
        // It asks for another value of the answer than a cover of the same bytes.
        if let (MediaTarget::Animation, Some(parts)) = (self.target, identity.as_array_mut()) {
            parts.push(self.target.gives().name().into());
        }
        payload::digest(identity.to_string().as_bytes())["sha256:".len()..][..32].to_owned()
    }

    /// The slot of what the upload gives.
    pub fn slot(&self) -> Slot {
        Slot::Upload { gives: self.target.gives(), path: self.path.clone() }
    }

    /// The name under which it is uploaded: its ending is what its bytes are, whatever the file is called, and it is ASCII (40005,
    /// 40113).
    fn name(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let stem: String = stem.chars().filter(plain).take(64).collect();
        let stem = if stem.is_empty() { self.key()[..8].to_owned() } else { stem };
        let ending = match self.content_type {
            "image/jpeg" => "jpg",
            "image/png" => "png",
            "image/gif" => "gif",
            "image/bmp" => "bmp",
            "audio/mpeg" => "mp3",
            "audio/x-ms-wma" => "wma",
            "audio/wav" => "wav",
            "audio/amr" => "amr",
            _ => "mp4",
        };
        format!("{stem}.{ending}")
    }

    /// The form, and its boundary: nothing in it depends on chance.
    pub fn form(&self) -> (String, Vec<u8>) {
        let boundary = format!("qunfa-{}", self.key());
        let name = self.name();
        let mut form = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"{name}\"\r\nContent-Type: {}\r\n\r\n",
            self.content_type
        )
        .into_bytes();
        form.extend_from_slice(&self.bytes);
        if let Some((title, introduction)) = &self.description {
            let description = json!({ "title": title, "introduction": introduction });
            let field = "Content-Disposition: form-data; name=\"description\"";
            form.extend_from_slice(format!("\r\n--{boundary}\r\n{field}\r\n\r\n{description}").as_bytes());
        }
        form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        (boundary, form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame of a png of so many pixels.
    fn png_of(width: u32, height: u32, length: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        bytes.extend(b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IEND\xaeB\x60\x82");
        bytes.resize(length, 0);
        bytes
    }

    fn png(length: usize) -> Vec<u8> {
        png_of(3, 2, length)
    }

    #[test]
    fn files_are_what_their_bytes_say() {
        let new = |bytes: &[u8], target| Upload::new("a.png", bytes.to_vec(), target, None).map(|u| u.content_type);
        let webp = b"RIFF\x10\0\0\0WEBPVP8 ";
        assert_eq!(new(&png(60), MediaTarget::BodyImage), Ok("image/png"));
        assert_eq!(new(b"", MediaTarget::BodyImage), Err(Unfit::Empty));
        assert_eq!(new(webp, MediaTarget::BodyImage), Err(Unfit::Type("image/webp", vec!["image/jpeg", "image/png"])));
        assert!(new(b"GIF89a\x03\0\x02\0;", MediaTarget::BodyImage).is_err());
        assert_eq!(new(b"GIF89a\x03\0\x02\0;", MediaTarget::Material(Material::Image)), Ok("image/gif"));
        assert_eq!(new(b"GIF89a\x03\0\x02\0", MediaTarget::Material(Material::Image)), Err(Unfit::Damaged));
        assert_eq!(new(&png(10), MediaTarget::BodyImage), Err(Unfit::Damaged));
        assert_eq!(new(&png(44), MediaTarget::BodyImage), Err(Unfit::Damaged));
        assert_eq!(new(&png_of(32_767, 3051, 60), MediaTarget::BodyImage), Ok("image/png"));
        assert_eq!(new(&png_of(32_767, 3052, 60), MediaTarget::BodyImage), Err(Unfit::Dimensions(32_767, 3052)));
        assert_eq!(new(&png_of(32_768, 1, 60), MediaTarget::BodyImage), Err(Unfit::Dimensions(32_768, 1)));
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x04\xff\xd9\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0\xff\xda\0\x02ab\xff\xd9";
        assert_eq!(new(jpeg, MediaTarget::BodyImage), Ok("image/jpeg"));
        assert_eq!(new(&jpeg[..jpeg.len() - 1], MediaTarget::BodyImage), Err(Unfit::Damaged));
        assert_eq!(new(&png((1 << 20) - 1), MediaTarget::BodyImage), Ok("image/png"));
        assert_eq!(new(&png(1 << 20), MediaTarget::BodyImage), Err(Unfit::Size(1 << 20, 1 << 20)));
        assert_eq!(
            new(&png(60), MediaTarget::Material(Material::Thumb)),
            Err(Unfit::Type("image/png", vec!["image/jpeg"]))
        );
        assert_eq!(new(b"\0\0\0\x20ftypisom", MediaTarget::Material(Material::Video)), Ok("video/mp4"));
        assert_eq!(new(b"#!AMR\n", MediaTarget::Material(Material::Voice)), Ok("audio/amr"));
    }

    #[test]
    fn dimensions_are_read() {
        assert_eq!(dimensions(&png(60)), Some((3, 2)));
        assert_eq!(dimensions(b"GIF89a\x03\0\x02\0"), Some((3, 2)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0";
        assert_eq!(dimensions(jpeg), Some((3, 2)));
        assert_eq!(dimensions(b"\xff\xd8\xff\xe0\xff\xff"), None);
        assert_eq!(dimensions(b"BM"), None);
        let webp = |kind: &[u8], rest: &[u8]| dimensions(&[b"RIFF\0\0\0\0WEBP", kind, rest].concat());
        assert_eq!(webp(b"VP8L", b"\0\0\0\0\x2f\xff\xff\xff\x0f"), Some((16_384, 16_384)));
        assert_eq!(webp(b"VP8X", b"\x0a\0\0\0\x02\0\0\0\xff\xff\xff\x01\0\0"), Some((1 << 24, 2)));
        assert_eq!(webp(b"VP8 ", b"\0\0\0\0\x10\0\0\x9d\x01\x2a\x03\0\x02\0"), Some((3, 2)));
        assert_eq!(webp(b"VP8 ", b""), None);
    }

    #[test]
    fn uploads_are_named_as_their_bytes_say() {
        let name = |path: &str, target| Upload::new(path, png(60), target, None).expect("fits").name();
        assert_eq!(name("图/a b.JPG", MediaTarget::BodyImage), "ab.png");
        assert_eq!(name("cover.gif", MediaTarget::Material(Material::Image)), "cover.png");
        let chinese = name("干茶.png", MediaTarget::BodyImage);
        assert!(chinese.is_ascii() && chinese.len() == 12 && chinese.ends_with(".png"), "{chinese}");
        let gif = Upload::new("a.gif", b"GIF89a\x03\0\x02\0;".to_vec(), MediaTarget::Animation, None).expect("fits");
        let cover = Upload { target: MediaTarget::Material(Material::Image), ..gif.clone() };
        assert_eq!(
            (gif.name().as_str(), gif.target.path(), gif.target.kind()),
            ("a.gif", "/cgi-bin/material/add_material", Some("image"))
        );
        assert_ne!(gif.key(), cover.key());
    }

    #[test]
    fn the_form_is_the_same_every_time() {
        let upload = Upload::new("图/a\".png", png(60), MediaTarget::BodyImage, None).expect("fits");
        let (boundary, form) = upload.form();
        let text = String::from_utf8_lossy(&form);
        assert!(text.starts_with(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\u{fffd}PNG")));
        assert!(text.ends_with(&format!("\r\n--{boundary}--\r\n")));
        assert_eq!(upload.form(), (boundary, form));
        let described = ("标题".to_owned(), "介绍".to_owned());
        let video = Upload::new(
            "v.mp4",
            b"\0\0\0\x20ftypisom".to_vec(),
            MediaTarget::Material(Material::Video),
            Some(described),
        );
        let (_, form) = video.expect("fits").form();
        assert!(
            String::from_utf8_lossy(&form)
                .contains("name=\"description\"\r\n\r\n{\"title\":\"标题\",\"introduction\":\"介绍\"}\r\n")
        );
    }
}
