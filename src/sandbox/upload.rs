//! Files: pictures for articles, permanent and temporary media.
//!
//! What a file is, its first bytes say. Its playtime is checked where it can be told without a decoder (wav, amr).
//! Which of the size codes belongs to which endpoint is not documented; here the type decides.
//!
//! Sources: [uploadimg](https://developers.weixin.qq.com/doc/service/api/material/permanent/api_uploadimage),
//! [add_material](https://developers.weixin.qq.com/doc/service/api/material/permanent/api_addmaterial),
//! [upload](https://developers.weixin.qq.com/doc/service/api/material/temporary/api_uploadtempmedia).

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::errcode::{
    EMPTY_MEDIA, Errcode, INVALID_FILE_TYPE, INVALID_IMAGE_SIZE, INVALID_MEDIA_ID, INVALID_MEDIA_TYPE,
    INVALID_THUMB_SIZE, INVALID_VIDEO_SIZE, INVALID_VOICE_SIZE, MALFORMED_BODY, MISSING_MEDIA, MISSING_MEDIA_ID,
    PLAYTIME_TOO_LONG, Refusal,
};
use super::exchange::{Context, object};
use super::media::File;
use super::multipart::Form;
use super::state::State;

/// Path of pictures for articles.
pub(super) const UPLOADIMG: &str = "/cgi-bin/media/uploadimg";
/// Path of permanent material.
pub(super) const ADD_MATERIAL: &str = "/cgi-bin/material/add_material";

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Longest recording, in milliseconds.
const PLAYTIME: usize = 60_000;

/// What an endpoint takes.
struct Rule {
    /// Endings of the formats.
    formats: &'static [&'static str],
    /// Most bytes.
    most: usize,
    /// Said to more.
    too_large: Errcode,
}

const BODY_IMAGE: Rule = Rule { formats: &["jpg", "png"], most: MIB - 1, too_large: INVALID_IMAGE_SIZE };
const THUMB: Rule = Rule { formats: &["jpg"], most: 64 * KIB, too_large: INVALID_THUMB_SIZE };
const VIDEO: Rule = Rule { formats: &["mp4"], most: 10 * MIB, too_large: INVALID_VIDEO_SIZE };
const MATERIAL: [(&str, Rule); 4] = [
    ("image", Rule { formats: &["bmp", "png", "jpg", "gif"], most: 10 * MIB, too_large: INVALID_IMAGE_SIZE }),
    ("voice", Rule { formats: &["mp3", "wma", "wav", "amr"], most: 2 * MIB, too_large: INVALID_VOICE_SIZE }),
    ("video", VIDEO),
    ("thumb", THUMB),
];
/// The page names 10 MB and 2 MB for an image.
const TEMPORARY: [(&str, Rule); 4] = [
    ("image", Rule { formats: &["png", "jpg", "gif"], most: 2 * MIB, too_large: INVALID_IMAGE_SIZE }),
    ("voice", Rule { formats: &["mp3", "amr"], most: 2 * MIB, too_large: INVALID_VOICE_SIZE }),
    ("video", VIDEO),
    ("thumb", THUMB),
];

/// `POST /cgi-bin/media/uploadimg`: a picture for articles. It is no material, and has no `media_id`.
pub(super) fn uploadimg(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let (bytes, format, _) = file(&context.form, &BODY_IMAGE)?;
    let url = state.media.add_picture(bytes, format);
    Ok(json!({"url": url, "errcode": 0, "errmsg": "ok"}))
}

/// `POST /cgi-bin/material/add_material`
pub(super) fn add_material(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let (kind, rule) = rule(context, &MATERIAL)?;
    let (bytes, format, name) = file(&context.form, rule)?;
    let mut description = Value::Null;
    if kind == "video" {
        description = object(context.form.part("description").ok_or(MISSING_MEDIA)?.bytes)?;
        let text = |name: &str| description.get(name).and_then(Value::as_str);
        if text("title").is_none_or(str::is_empty) || text("introduction").is_none() {
            return Err(MALFORMED_BODY.into());
        }
    }
    let (name, bytes) = (name.to_owned(), Bytes::copy_from_slice(bytes));
    let media_id = state.media.add_material(kind, File { name, bytes, format, uploaded: context.now, description });
    let mut reply = json!({"media_id": media_id});
    if kind == "image" {
        reply["url"] = state.media.picture(&media_id)?.into();
    }
    Ok(reply)
}

/// `POST /cgi-bin/media/upload`: a medium for three days.
pub(super) fn upload(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let (kind, rule) = rule(context, &TEMPORARY)?;
    let (bytes, ..) = file(&context.form, rule)?;
    let media_id = state.media.add_temporary(kind, bytes);
    Ok(json!({"errcode": 0, "errmsg": "ok", "type": kind, "media_id": media_id, "created_at": context.now.as_second()}))
}

/// `POST /cgi-bin/material/del_material`
pub(super) fn del_material(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    state.media.remove_material(media_id(&context.body)?)?;
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

/// `GET /cgi-bin/material/get_materialcount`
pub(super) fn get_materialcount(state: &mut State, _: &Context) -> Result<Value, Refusal> {
    let media = &state.media;
    Ok(json!({
        "voice_count": media.count(&["voice"]),
        "video_count": media.count(&["video", "mpvideo"]),
        "image_count": media.count(&["image", "thumb"]),
        "news_count": 0,
    }))
}

/// The `media_id` of a body.
pub(super) fn media_id(body: &Value) -> Result<&str, Errcode> {
    match body.get("media_id") {
        None => Err(MISSING_MEDIA_ID),
        Some(id) => id.as_str().ok_or(INVALID_MEDIA_ID),
    }
}

fn rule<'r>(context: &Context, rules: &'r [(&'static str, Rule)]) -> Result<(&'static str, &'r Rule), Errcode> {
    let asked = context.request.parameter("type");
    let known = rules.iter().find(|(kind, _)| Some(*kind) == asked);
    known.map(|(kind, rule)| (*kind, rule)).ok_or(INVALID_MEDIA_TYPE)
}

/// The bytes of the file, their format, and the name that it came with.
fn file<'f>(form: &'f Form<'_>, rule: &Rule) -> Result<(&'f [u8], &'static str, &'f str), Errcode> {
    let part = form.part("media").ok_or(MISSING_MEDIA)?;
    let name = part.filename.as_deref().filter(|name| !name.is_empty()).ok_or(MISSING_MEDIA)?;
    if part.content_type.is_none() {
        return Err(MISSING_MEDIA);
    }
    let bytes = part.bytes;
    if bytes.is_empty() {
        return Err(EMPTY_MEDIA);
    }
    let format = format(bytes).filter(|format| rule.formats.contains(format)).ok_or(INVALID_FILE_TYPE)?;
    if bytes.len() > rule.most {
        return Err(rule.too_large);
    }
    if playtime(bytes, format) > PLAYTIME {
        return Err(PLAYTIME_TOO_LONG);
    }
    Ok((bytes, format, name))
}

/// The ending that belongs to the first bytes.
fn format(bytes: &[u8]) -> Option<&'static str> {
    let magic: [(&[u8], usize, &str); 11] = [
        (b"\xff\xd8\xff", 0, "jpg"),
        (b"\x89PNG\r\n\x1a\n", 0, "png"),
        (b"GIF87a", 0, "gif"),
        (b"GIF89a", 0, "gif"),
        (b"BM", 0, "bmp"),
        (b"#!AMR", 0, "amr"),
        (b"ID3", 0, "mp3"),
        (b"WAVE", 8, "wav"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, "wma"),
        (b"ftyp", 4, "mp4"),
        (b"\xff", 0, "mp3"),
    ];
    let found = magic.iter().find(|(magic, at, _)| bytes.get(*at..).is_some_and(|bytes| bytes.starts_with(magic)))?;
    let is_frame = || bytes.get(1).is_some_and(|byte| byte & 0xe0 == 0xe0);
    let is_whole = match found.0 {
        b"\xff" => is_frame(),
        b"WAVE" => bytes.starts_with(b"RIFF"),
        _ => true,
    };
    is_whole.then_some(found.2)
}

/// Milliseconds of a recording; 0 where a decoder would be needed to tell.
fn playtime(bytes: &[u8], format: &str) -> usize {
    match format {
        "wav" => {
            let rate = bytes.get(28..32).and_then(|rate| rate.try_into().ok()).map_or(0, u32::from_le_bytes);
            let samples = bytes.len().saturating_sub(44) * 1000;
            samples.checked_div(usize::try_from(rate).unwrap_or(0)).unwrap_or(0)
        }
        "amr" => {
            // A frame holds 20 milliseconds; the first byte of each tells its size.
            const SIZES: [usize; 9] = [13, 14, 16, 18, 20, 21, 27, 32, 6];
            let (mut at, mut frames) = (6, 0);
            while let Some(byte) = bytes.get(at) {
                at += SIZES.get(usize::from(byte >> 3 & 15)).copied().unwrap_or(1);
                frames += 1;
            }
            frames * 20
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, PREVIEW, SENDALL, bytes_of, form, to_tag, with};
    use super::*;

    const UPLOAD: &str = "/cgi-bin/media/upload";
    const DELETE: &str = "/cgi-bin/material/del_material";

    /// The code of an upload of a file of this format and size.
    fn code(target: &str, format: &str, size: usize) -> i64 {
        let mut bench = Bench::service();
        let description = r#"{"title":"茶","introduction":""}"#;
        let reply = bench.upload(target, &form(&bytes_of(format, size), Some(description)));
        reply.get("errcode").map_or(0, |code| code.as_i64().expect("a number"))
    }

    #[test]
    fn pictures_of_articles_get_an_address() {
        let mut bench = Bench::service();
        let reply = bench.upload(UPLOADIMG, &form(&bytes_of("png", 100), None));
        let url = reply["url"].as_str().expect("a text");
        assert!(url.starts_with("http://mmbiz.qpic.cn/mmbiz_png/"), "{url}");
        assert_eq!(reply, json!({"url": url, "errcode": 0, "errmsg": "ok"}));
        let again = bench.upload(UPLOADIMG, &form(&bytes_of("png", 100), None));
        assert_ne!(again["url"], url);
        assert_eq!(bench.get("/cgi-bin/material/get_materialcount")["image_count"], 3);
    }

    #[test]
    fn files_have_their_formats() {
        const ALL: [&str; 10] = ["jpg", "png", "gif", "bmp", "webp", "mp3", "wma", "wav", "amr", "mp4"];
        for (target, taken) in [
            (UPLOADIMG.to_owned(), &["jpg", "png"][..]),
            (format!("{ADD_MATERIAL}?type=image"), &["jpg", "png", "gif", "bmp"]),
            (format!("{ADD_MATERIAL}?type=voice"), &["mp3", "wma", "wav", "amr"]),
            (format!("{ADD_MATERIAL}?type=video"), &["mp4"]),
            (format!("{ADD_MATERIAL}?type=thumb"), &["jpg"]),
            (format!("{UPLOAD}?type=image"), &["jpg", "png", "gif"]),
            (format!("{UPLOAD}?type=voice"), &["mp3", "amr"]),
            (format!("{UPLOAD}?type=video"), &["mp4"]),
            (format!("{UPLOAD}?type=thumb"), &["jpg"]),
        ] {
            for format in ALL {
                let expected = if taken.contains(&format) { 0 } else { 40005 };
                assert_eq!(code(&target, format, 100), expected, "{format} to {target}");
            }
        }
        let mut bench = Bench::service();
        for bytes in [&b"text"[..], b"\xff\x00", b"RIFF\0\0\0\0WAV", b"\0\0\0\0ftyq"] {
            assert_eq!(bench.upload(UPLOADIMG, &form(bytes, None))["errcode"], 40005);
            assert_eq!(bench.upload("/cgi-bin/media/upload?type=voice", &form(bytes, None))["errcode"], 40005);
        }
        assert_eq!(format(b"\xff\xfb\x90"), Some("mp3"));
    }

    #[test]
    fn files_have_their_sizes() {
        for (target, format, most, too_large) in [
            (UPLOADIMG.to_owned(), "png", MIB - 1, 40009),
            (format!("{ADD_MATERIAL}?type=image"), "png", 10 * MIB, 40009),
            (format!("{ADD_MATERIAL}?type=voice"), "mp3", 2 * MIB, 40010),
            (format!("{ADD_MATERIAL}?type=video"), "mp4", 10 * MIB, 40011),
            (format!("{ADD_MATERIAL}?type=thumb"), "jpg", 64 * KIB, 40012),
            (format!("{UPLOAD}?type=image"), "png", 2 * MIB, 40009),
            (format!("{UPLOAD}?type=voice"), "mp3", 2 * MIB, 40010),
            (format!("{UPLOAD}?type=video"), "mp4", 10 * MIB, 40011),
            (format!("{UPLOAD}?type=thumb"), "jpg", 64 * KIB, 40012),
        ] {
            assert_eq!(code(&target, format, most), 0, "{target}");
            assert_eq!(code(&target, format, most + 1), too_large, "{target}");
        }
    }

    #[test]
    fn recordings_last_a_minute() {
        let voice = format!("{ADD_MATERIAL}?type=voice");
        // 8000 bytes a second.
        assert_eq!(code(&voice, "wav", 44 + 480_000), 0);
        assert_eq!(code(&voice, "wav", 44 + 480_008), 45007);
        // 50 frames of 13 bytes a second.
        assert_eq!(code(&voice, "amr", 6 + 13 * 3000), 0);
        assert_eq!(code(&voice, "amr", 6 + 13 * 3001), 45007);
    }

    #[test]
    fn a_form_holds_a_file_with_name_and_type() {
        let mut bench = Bench::service();
        let png = bytes_of("png", 100);
        let right = form(&png, None);
        for (from, to, code) in [
            ("name=\"media\"", "name=\"file\"", 41005),
            ("; filename=\"file\"", "", 41005),
            ("; filename=\"file\"", "; filename=\"\"", 41005),
            ("\r\nContent-Type: application/octet-stream", "", 41005),
            ("--B--", "", 41005),
            ("filename=\"file\"", "filename=\"茶.png\"", 0),
        ] {
            let at =
                |text: &[u8], wanted: &str| text.windows(wanted.len()).position(|found| found == wanted.as_bytes());
            let at = at(&right, from).expect("there");
            let changed = [&right[..at], to.as_bytes(), &right[at + from.len()..]].concat();
            assert_eq!(bench.upload(UPLOADIMG, &changed)["errcode"], code, "{from} -> {to}");
        }
        assert_eq!(bench.upload(UPLOADIMG, b"--B--")["errcode"], 41005);
        assert_eq!(bench.upload(UPLOADIMG, &form(b"", None))["errcode"], 44001);
    }

    #[test]
    fn types_are_named_in_the_query() {
        for target in [ADD_MATERIAL, UPLOAD] {
            for query in ["", "?type=", "?type=news", "?type=Image"] {
                assert_eq!(code(&format!("{target}{query}"), "png", 100), 40004, "{target}{query}");
            }
        }
    }

    #[test]
    fn videos_are_described() {
        let mut bench = Bench::service();
        let mut code = |description: Option<&str>| {
            let reply = bench.upload(&format!("{ADD_MATERIAL}?type=video"), &form(&bytes_of("mp4", 100), description));
            reply.get("errcode").map_or(0, |code| code.as_i64().expect("a number"))
        };
        assert_eq!(code(Some(r#"{"title":"茶","introduction":"x"}"#)), 0);
        assert_eq!(code(None), 41005);
        assert_eq!(code(Some(r#"{"title":"\u8336","introduction":"x"}"#)), 40033);
        for wrong in
            ["", "x", "[]", r#"{"title":"茶"}"#, r#"{"introduction":"x"}"#, r#"{"title":"","introduction":"x"}"#]
        {
            assert_eq!(code(Some(wrong)), 47001, "{wrong}");
        }
    }

    #[test]
    fn material_can_be_sent_until_it_is_deleted() {
        let mut bench = Bench::service();
        for (kind, format, msgtype, code) in
            [("image", "png", "image", 0), ("voice", "mp3", "voice", 0), ("video", "mp4", "mpvideo", 48022)]
        {
            let target = format!("{ADD_MATERIAL}?type={kind}");
            let reply =
                bench.upload(&target, &form(&bytes_of(format, 100), Some(r#"{"title":"t","introduction":""}"#)));
            let id = &reply["media_id"];
            assert_eq!(reply.get("url").is_some(), kind == "image");
            let message = json!({"msgtype": msgtype, msgtype: {"media_id": id}, "text": null});
            assert_eq!(bench.code(SENDALL, &with(to_tag(), &message)), code, "{kind}");
            let preview = with(message, &json!({"text": null, "touser": "oSandboxFollower000000000001"}));
            assert_eq!(bench.code(PREVIEW, &preview), code, "{kind}");
            assert_eq!(bench.code(DELETE, &json!({"media_id": id})), 0);
            assert_eq!(bench.code(PREVIEW, &preview), 40007, "{kind}");
            assert_eq!(bench.code(DELETE, &json!({"media_id": id})), 40007);
        }
        let one = bench.upload(&format!("{ADD_MATERIAL}?type=image"), &form(&bytes_of("gif", 100), None));
        let images = json!({"msgtype": "image", "images": {"media_ids": [one["media_id"], "I"]}, "text": null});
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &images)), 0);
        assert_eq!(bench.code(DELETE, &json!({"media_id": "D"})), 40007);
        assert_eq!(bench.code(DELETE, &json!({"media_id": 1})), 40007);
        assert_eq!(bench.code(DELETE, &json!({})), 41006);
    }

    #[test]
    fn temporary_media_are_no_material() {
        let mut bench = Bench::service();
        let reply = bench.upload(&format!("{UPLOAD}?type=image"), &form(&bytes_of("png", 100), None));
        assert_eq!((&reply["errcode"], &reply["type"]), (&json!(0), &json!("image")));
        assert_eq!(reply["created_at"], bench.now.as_second());
        let message = json!({"msgtype": "image", "image": {"media_id": reply["media_id"]}, "text": null});
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &message)), 40007);
        assert_eq!(bench.code(DELETE, &json!({"media_id": reply["media_id"]})), 40007);
    }

    #[test]
    fn material_is_counted() {
        let mut bench = Bench::service();
        let expected = json!({"voice_count": 1, "video_count": 1, "image_count": 3, "news_count": 0});
        assert_eq!(bench.get("/cgi-bin/material/get_materialcount"), expected);
        bench.upload(&format!("{ADD_MATERIAL}?type=voice"), &form(&bytes_of("mp3", 100), None));
        bench.upload(&format!("{ADD_MATERIAL}?type=thumb"), &form(&bytes_of("jpg", 100), None));
        let expected = json!({"voice_count": 2, "video_count": 1, "image_count": 4, "news_count": 0});
        assert_eq!(bench.get("/cgi-bin/material/get_materialcount"), expected);
    }
}
