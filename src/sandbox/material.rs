//! The library of permanent material: what is in it, and the files themselves.
//!
//! Where the page leaves a choice: what was uploaded last comes first, and thumbnails are listed with the images, as they
//! are counted with them. A medium that is there from the start has no file: its `media_id` stands for the bytes.
//!
//! Sources: [batchget_material](https://developers.weixin.qq.com/doc/subscription/api/material/permanent/api_batchgetmaterial.html)
//! and `api_getmaterial` beside it.

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::errcode::{INVALID_ARGS, INVALID_MEDIA_TYPE, Refusal};
use super::exchange::Context;
use super::media::Listed;
use super::state::State;
use super::upload::media_id;

/// Media of one `batchget_material`.
const MAX_BATCH: u64 = 20;

/// `POST /cgi-bin/material/batchget_material`
pub(super) fn batchget(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let kinds: &[&str] = match context.body.get("type").and_then(Value::as_str) {
        Some("image") => &["image", "thumb"],
        Some("voice") => &["voice"],
        Some("video") => &["video", "mpvideo"],
        // Articles are drafts by now: none is ever in the library.
        Some("news") => &[],
        _ => return Err(INVALID_MEDIA_TYPE.into()),
    };
    let number = |name: &str| context.body.get(name).and_then(Value::as_u64).ok_or(INVALID_ARGS);
    let (offset, count) = (number("offset")?, number("count")?);
    if !(1..=MAX_BATCH).contains(&count) {
        return Err(INVALID_ARGS.into());
    }
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let all = state.media.listed(kinds);
    let page: Vec<Value> = all.iter().skip(offset).zip(0..count).map(|(medium, _)| shown(medium)).collect();
    Ok(json!({"total_count": all.len(), "item_count": page.len(), "item": page}))
}

fn shown(medium: &Listed) -> Value {
    let mut item = json!({
        "media_id": medium.id,
        "name": medium.file.map_or(medium.id, |file| &file.name),
        "update_time": medium.file.map_or(0, |file| file.uploaded.as_second()),
    });
    if let Some(url) = medium.url {
        item["url"] = url.into();
    }
    item
}

/// `POST /cgi-bin/material/get_material`: the bytes of the file; of a video where it can be had.
pub(super) fn get(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let medium = state.media.material(media_id(&context.body)?)?;
    if matches!(medium.kind, "video" | "mpvideo") {
        let text = |name: &str| medium.file.map_or("", |file| file.description[name].as_str().unwrap_or_default());
        let url = format!("http://mp.weixin.qq.com/mp/mp/video?__biz=sandbox&mid={}", medium.id);
        return Ok(json!({"title": text("title"), "description": text("introduction"), "down_url": url}));
    }
    let file = match medium.file {
        Some(file) => (file.bytes.clone(), file.format),
        None => (Bytes::copy_from_slice(medium.id.as_bytes()), "jpg"),
    };
    state.file = Some(file);
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, bytes_of, form};
    use super::*;

    const BATCHGET: &str = "/cgi-bin/material/batchget_material";
    const GET: &str = "/cgi-bin/material/get_material";
    const ADD: &str = "/cgi-bin/material/add_material";

    fn list(bench: &mut Bench, kind: &str, offset: u64, count: u64) -> Value {
        bench.post(BATCHGET, &json!({"type": kind, "offset": offset, "count": count}))
    }

    #[test]
    fn the_library_is_listed_in_pages() {
        let mut bench = Bench::service();
        let added = bench.upload(&format!("{ADD}?type=image"), &form(&bytes_of("png", 100), None));
        bench.wait(60);
        let thumb = bench.upload(&format!("{ADD}?type=thumb"), &form(&bytes_of("jpg", 100), None));
        let first = list(&mut bench, "image", 0, 2);
        assert_eq!((&first["total_count"], &first["item_count"]), (&json!(5), &json!(2)));
        let item = json!({"media_id": added["media_id"], "name": "file", "url": added["url"],
                          "update_time": bench.now.as_second() - 60});
        assert_eq!(first["item"][0]["media_id"], thumb["media_id"]);
        assert_eq!(first["item"][1], item);
        let last = list(&mut bench, "image", 4, 20);
        assert_eq!((&last["total_count"], &last["item_count"]), (&json!(5), &json!(1)));
        assert_eq!(list(&mut bench, "image", 5, 20)["item"], json!([]));
        let voice = list(&mut bench, "voice", 0, 20);
        assert_eq!(voice["item"], json!([{"media_id": "V", "name": "V", "update_time": 0}]));
        assert_eq!(list(&mut bench, "video", 0, 1)["item"][0]["media_id"], "M");
        assert_eq!(list(&mut bench, "news", 0, 1)["total_count"], 0);
    }

    #[test]
    fn pages_have_1_to_20_media() {
        let mut bench = Bench::service();
        for body in [
            json!({"type": "image", "offset": 0, "count": 0}),
            json!({"type": "image", "offset": 0, "count": 21}),
            json!({"type": "image", "offset": -1, "count": 1}),
            json!({"type": "image", "count": 1}),
            json!({"type": "image", "offset": 0}),
        ] {
            assert_eq!(bench.code(BATCHGET, &body), 40035, "{body}");
        }
        for kind in [json!("thumb"), json!(""), json!(1), Value::Null] {
            assert_eq!(bench.code(BATCHGET, &json!({"type": kind, "offset": 0, "count": 1})), 40004, "{kind}");
        }
    }

    #[test]
    fn files_are_given_back_as_they_came() {
        let mut bench = Bench::service();
        let token = bench.token();
        let get = |bench: &mut Bench, id: &Value| {
            let body = json!({"media_id": id}).to_string();
            bench.raw("POST", &format!("{GET}?access_token={token}"), body.as_bytes())
        };
        for (kind, format, content_type) in
            [("image", "png", "image/png"), ("thumb", "jpg", "image/jpeg"), ("voice", "mp3", "audio/mpeg")]
        {
            let bytes = bytes_of(format, 100);
            let added = bench.upload(&format!("{ADD}?type={kind}"), &form(&bytes, None));
            let reply = get(&mut bench, &added["media_id"]);
            assert_eq!((reply.status, reply.content_type, reply.errcode), (200, content_type, 0));
            assert_eq!(reply.file.as_deref(), Some(&bytes[..]), "{kind}");
        }
        let described = Some(r#"{"title":"茶","introduction":"春"}"#);
        let video = bench.upload(&format!("{ADD}?type=video"), &form(&bytes_of("mp4", 100), described));
        let video = bench.post(GET, &json!({"media_id": video["media_id"]}));
        assert_eq!((&video["title"], &video["description"]), (&json!("茶"), &json!("春")));
        assert!(video["down_url"].is_string());
        assert_eq!(get(&mut bench, &json!("I")).file.as_deref(), Some(&b"I"[..]));
        for id in ["D", "nothing"] {
            assert_eq!(bench.code(GET, &json!({"media_id": id})), 40007, "{id}");
        }
        assert_eq!(bench.code(GET, &json!({})), 41006);
    }

    #[test]
    fn pictures_are_served_at_their_path() {
        let mut bench = Bench::service();
        let png = bytes_of("png", 100);
        for target in ["/cgi-bin/media/uploadimg".to_owned(), format!("{ADD}?type=image")] {
            let added = bench.upload(&target, &form(&png, None));
            let url = added["url"].as_str().expect("an address");
            let path = url.strip_prefix("http://mmbiz.qpic.cn").expect("where pictures are");
            let reply = bench.raw("GET", path, b"");
            assert_eq!((reply.status, reply.content_type), (200, "image/png"));
            assert_eq!(reply.file.as_deref(), Some(&png[..]));
            assert_eq!(bench.raw("POST", path, b"").status, 404);
            if let Some(id) = added.get("media_id") {
                assert_eq!(bench.code("/cgi-bin/material/del_material", &json!({"media_id": id})), 0);
                assert_eq!(bench.raw("GET", path, b"").status, 404);
            }
        }
        assert_eq!(bench.raw("GET", "/mmbiz_png/x/0", b"").status, 404);
    }
}
