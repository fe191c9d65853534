//! The draft box.
//!
//! What is stored of an article is what the `editor` leaves of it. Where the page leaves a choice: 20 000 characters are
//! those of the HTML, and eight articles are the limit of the older page.
//!
//! Sources: [add](https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add) and
//! `api_getdraft`, `api_draft_update`, `api_draft_delete`, `api_draft_count` and `api_draft_batchget`
//! [beside it](https://developers.weixin.qq.com/doc/subscription/api/draftbox/draftmanage/api_getdraft.html).

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::editor::{self, Loss};
use super::errcode::{
    CONTENT_TOO_LONG, DIGEST_TOO_LONG, EMPTY_CONTENT, EMPTY_NEWS, EMPTY_TITLE, Errcode, GOODS_NOT_ENABLED,
    INVALID_ARGS, INVALID_AUTHOR, INVALID_CONTENT, INVALID_GOODS, INVALID_IMAGE_COUNT, INVALID_INDEX, INVALID_MEDIA_ID,
    INVALID_SOURCE_URL, MALFORMED_BODY, Refusal, TITLE_TOO_LONG, TOO_MANY_ARTICLES, URL_TOO_LONG,
};
use super::exchange::Context;
use super::media::{Draft, Media};
use super::state::State;
use super::upload::media_id;

/// Path that adds a draft.
pub(super) const ADD: &str = "/cgi-bin/draft/add";
/// Path that changes an article of a draft.
pub(super) const UPDATE: &str = "/cgi-bin/draft/update";

const MAX_ARTICLES: usize = 8;
const MAX_TITLE: usize = 32;
const MAX_AUTHOR: usize = 16;
/// The older copy of the page says 128.
const MAX_DIGEST: usize = 120;
/// Characters of the text that stand for a digest that is missing.
const DEFAULT_DIGEST: usize = 54;
/// Content has to stay below both.
const CONTENT_CHARACTERS: usize = 20_000;
const CONTENT_BYTES: usize = 1024 * 1024;
const MAX_SOURCE_URL: usize = 1024;
const MAX_IMAGES: usize = 20;
/// Most decimals of a crop.
const DECIMALS: usize = 6;
/// Drafts of one `batchget`.
const MAX_BATCH: u64 = 20;

/// `POST /cgi-bin/draft/add`
pub(super) fn add(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let articles = match context.body.get("articles") {
        None => return Err(EMPTY_NEWS.into()),
        Some(articles) => articles.as_array().ok_or(MALFORMED_BODY)?,
    };
    match articles.len() {
        0 => return Err(EMPTY_NEWS.into()),
        1..=MAX_ARTICLES => {}
        _ => return Err(TOO_MANY_ARTICLES.into()),
    }
    let stored = articles.iter().map(|article| stored(article, articles.len() == 1, &state.media));
    let mut stored = stored.collect::<Result<Vec<Value>, Errcode>>()?;
    if let Some(first) = stored.first_mut() {
        lose(first, context.loss);
    }
    let media_id = state.media.add_draft(stored, context.now);
    Ok(json!({"media_id": media_id}))
}

/// `POST /cgi-bin/draft/update`: one article, in the place of the one that is there.
pub(super) fn update(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let body = &context.body;
    let id = media_id(body)?;
    let count = state.media.draft(id)?.articles.len();
    let index = body.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
    let index = index.filter(|index| *index < count).ok_or(INVALID_INDEX)?;
    let mut stored = stored(body.get("articles").ok_or(EMPTY_NEWS)?, count == 1, &state.media)?;
    lose(&mut stored, context.loss);
    let draft = state.media.draft_mut(id)?;
    draft.articles[index] = stored;
    draft.updated = context.now;
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

/// `POST /cgi-bin/draft/get`
pub(super) fn get(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let id = media_id(&context.body)?;
    let draft = state.media.draft(id)?;
    Ok(shown(id, draft, true, &state.media))
}

/// `POST /cgi-bin/draft/delete`
pub(super) fn delete(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    state.media.remove_draft(media_id(&context.body)?)?;
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

/// `GET /cgi-bin/draft/count`
pub(super) fn count(state: &mut State, _: &Context) -> Result<Value, Refusal> {
    Ok(json!({"total_count": state.media.drafts().len()}))
}

/// `POST /cgi-bin/draft/batchget`
pub(super) fn batchget(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let number = |name: &str| context.body.get(name).and_then(Value::as_u64).ok_or(INVALID_ARGS);
    let (offset, count) = (number("offset")?, number("count")?);
    if !(1..=MAX_BATCH).contains(&count) {
        return Err(INVALID_ARGS.into());
    }
    let with_content = flag(&context.body, "no_content")? == 0;
    let drafts = state.media.drafts();
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let page = drafts.iter().skip(offset).zip(0..count).map(|((id, draft), _)| {
        let content = shown(id, draft, with_content, &state.media);
        json!({"media_id": id, "content": content, "update_time": draft.updated.as_second()})
    });
    let page: Vec<Value> = page.collect();
    Ok(json!({"total_count": drafts.len(), "item_count": page.len(), "item": page}))
}

/// A draft as it is given.
pub(super) fn shown(id: &str, draft: &Draft, with_content: bool, media: &Media) -> Value {
    let articles = draft.articles.iter().enumerate().map(|(index, article)| {
        let mut article = article.clone();
        let digest = Sha256::digest(format!("{id}/{index}"));
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        article["url"] = format!("http://mp.weixin.qq.com/s?tempkey={name}&chksm={}#rd", &name[..8]).into();
        if let Some(cover) = article["thumb_media_id"].as_str() {
            // Gone if the picture was deleted since.
            article["thumb_url"] = media.picture(cover).unwrap_or_default().into();
        }
        if let Some(fields) = article.as_object_mut().filter(|_| !with_content) {
            fields.shift_remove("content");
        }
        article
    });
    json!({
        "news_item": articles.collect::<Vec<Value>>(),
        "create_time": draft.created.as_second(),
        "update_time": draft.updated.as_second(),
    })
}

/// What is stored of an article, if it is one.
fn stored(article: &Value, single: bool, media: &Media) -> Result<Value, Errcode> {
    let fields = article.as_object().ok_or(MALFORMED_BODY)?;
    let kind = match text(fields, "article_type")? {
        "" | "news" => "news",
        "newspic" => "newspic",
        _ => return Err(INVALID_ARGS),
    };
    let is_news = kind == "news";
    let title = limited(fields, "title", MAX_TITLE, TITLE_TOO_LONG)?;
    if title.trim().is_empty() {
        return Err(EMPTY_TITLE);
    }
    let author = limited(fields, "author", MAX_AUTHOR, INVALID_AUTHOR)?;
    let digest = limited(fields, "digest", MAX_DIGEST, DIGEST_TOO_LONG)?;
    let content = content(fields, is_news, media)?;
    let source_url = text(fields, "content_source_url")?;
    if source_url.len() > MAX_SOURCE_URL {
        return Err(URL_TOO_LONG);
    }
    if !source_url.is_empty() && !["http://", "https://"].iter().any(|scheme| source_url.starts_with(scheme)) {
        return Err(INVALID_SOURCE_URL);
    }
    // Only the message of one article shows a digest.
    let digest = match digest {
        _ if !single || !is_news => String::new(),
        "" => editor::text(&content)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(DEFAULT_DIGEST)
            .collect(),
        digest => digest.to_owned(),
    };
    let mut stored = json!({
        "article_type": kind,
        "title": title,
        "author": author,
        "digest": digest,
        "content": content,
        "content_source_url": source_url,
        "show_cover_pic": 0,
        "need_open_comment": flag(article, "need_open_comment")?,
        "only_fans_can_comment": flag(article, "only_fans_can_comment")?,
    });
    if is_news {
        let cover = text(fields, "thumb_media_id")?;
        media.picture(cover)?;
        stored["thumb_media_id"] = cover.into();
    } else {
        let images = images(fields, media)?;
        stored["image_info"] = json!({"image_list": images});
    }
    for name in ["pic_crop_235_1", "pic_crop_1_1"] {
        let crop = text(fields, name)?;
        if !crop.is_empty() {
            corners(&crop.split('_').collect::<Vec<_>>())?;
            stored[name] = crop.into();
        }
    }
    if let Some(cover) = fields.get("cover_info") {
        crops(cover, if is_news { &["2.35_1", "1_1"] } else { &["1_1", "16_9", "2.35_1"] })?;
        stored["cover_info"] = cover.clone();
    }
    if let Some(product) = fields.get("product_info") {
        // The account has no shop.
        let key = product["footer_product_info"]["product_key"].as_str().filter(|key| !key.is_empty());
        return Err(if key.is_some() { GOODS_NOT_ENABLED } else { INVALID_GOODS });
    }
    Ok(stored)
}

fn content(fields: &Map<String, Value>, is_news: bool, media: &Media) -> Result<String, Errcode> {
    let content = text(fields, "content")?;
    if content.is_empty() {
        return Err(EMPTY_CONTENT);
    }
    if content.len() >= CONTENT_BYTES || content.chars().count() >= CONTENT_CHARACTERS {
        return Err(CONTENT_TOO_LONG);
    }
    if !is_news {
        // Plain text; which tags are the special ones that are allowed is not said, but for links.
        return if editor::has_tags_but(content, &["a"]) { Err(INVALID_CONTENT) } else { Ok(content.to_owned()) };
    }
    let kept = editor::kept(content, &|address| media.owns(address) || is_hosted(address));
    if editor::is_empty(&kept) { Err(INVALID_CONTENT) } else { Ok(kept) }
}

/// Whether a picture is one that WeChat has: pictures of other accounts stay too.
fn is_hosted(address: &str) -> bool {
    let host = address.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    matches!(host, "mmbiz.qpic.cn" | "mmbiz.qlogo.cn" | "mmecoa.qpic.cn")
}

fn images(fields: &Map<String, Value>, media: &Media) -> Result<Vec<Value>, Errcode> {
    let list = fields.get("image_info").and_then(|info| info.get("image_list")).ok_or(INVALID_IMAGE_COUNT)?;
    let list = list.as_array().ok_or(MALFORMED_BODY)?;
    if !(1..=MAX_IMAGES).contains(&list.len()) {
        return Err(INVALID_IMAGE_COUNT);
    }
    let image = |image: &Value| {
        let id = image.get("image_media_id").and_then(Value::as_str).ok_or(INVALID_MEDIA_ID)?;
        media.picture(id)?;
        Ok(json!({"image_media_id": id}))
    };
    list.iter().map(image).collect()
}

/// `{"crop_percent_list": [{"ratio": "1_1", "x1": "0", "y1": "0", "x2": "1", "y2": "1"}]}`
fn crops(cover: &Value, ratios: &[&str]) -> Result<(), Errcode> {
    let list = cover.get("crop_percent_list").and_then(Value::as_array).ok_or(INVALID_ARGS)?;
    list.iter().try_for_each(|crop| {
        let value = |name: &str| crop.get(name).and_then(Value::as_str).ok_or(INVALID_ARGS);
        if !ratios.contains(&value("ratio")?) {
            return Err(INVALID_ARGS);
        }
        corners(&[value("x1")?, value("y1")?, value("x2")?, value("y2")?])
    })
}

/// Left, top, right and bottom of a part of a picture, from 0 to 1.
fn corners(numbers: &[&str]) -> Result<(), Errcode> {
    let number = |text: &&str| {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = digits(whole) && digits(decimals) && decimals.len() <= DECIMALS;
        text.parse().ok().filter(|number: &f64| fits && *number <= 1.0)
    };
    match numbers.iter().map(number).collect::<Option<Vec<f64>>>().as_deref() {
        Some([left, top, right, bottom]) if left < right && top < bottom => Ok(()),
        _ => Err(INVALID_ARGS),
    }
}

/// Takes from an article what a fault asks for.
fn lose(article: &mut Value, loss: Option<Loss>) {
    let Some(loss) = loss else { return };
    let content = article["content"].as_str().unwrap_or_default();
    if article["article_type"] == "news" {
        article["content"] = editor::lose(content, loss).into();
        return;
    }
    if loss.word {
        article["content"] = editor::without_last_word(content).into();
    }
    if loss.picture
        && let Some(images) = article["image_info"]["image_list"].as_array_mut()
    {
        images.pop();
    }
}

/// A text of an article; one that is missing is empty.
fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<&'f str, Errcode> {
    match fields.get(name) {
        None => Ok(""),
        Some(value) => value.as_str().ok_or(MALFORMED_BODY),
    }
}

fn limited<'f>(fields: &'f Map<String, Value>, name: &str, most: usize, code: Errcode) -> Result<&'f str, Errcode> {
    let text = text(fields, name)?;
    if text.chars().count() > most { Err(code) } else { Ok(text) }
}

/// A switch, which WeChat writes as 0 or 1.
pub(super) fn flag(fields: &Value, name: &str) -> Result<u64, Errcode> {
    match fields.get(name).map(Value::as_u64) {
        None => Ok(0),
        Some(Some(value @ (0 | 1))) => Ok(value),
        Some(_) => Err(INVALID_ARGS),
    }
}

#[cfg(test)]
mod tests {
    use super::super::DeliveryKind;
    use super::super::testkit::{Bench, PREVIEW, SENDALL, bytes_of, form, to_tag, with};
    use super::*;

    const GET: &str = "/cgi-bin/draft/get";
    const DELETE: &str = "/cgi-bin/draft/delete";
    const BATCHGET: &str = "/cgi-bin/draft/batchget";

    /// A valid article, to which a test makes one change.
    fn news() -> Value {
        json!({"title": "春茶", "content": "<p>好茶</p>", "thumb_media_id": "I"})
    }

    fn newspic() -> Value {
        json!({
            "article_type": "newspic", "title": "图", "content": "春茶 1 < 2",
            "image_info": {"image_list": [{"image_media_id": "I"}, {"image_media_id": "J"}]},
        })
    }

    fn code_of(article: &Value) -> i64 {
        Bench::service().code(ADD, &json!({"articles": [article]}))
    }

    /// The code of a valid article with a change.
    fn changed(changes: &Value) -> i64 {
        code_of(&with(news(), changes))
    }

    fn added(bench: &mut Bench, articles: &[Value]) -> String {
        let reply = bench.post(ADD, &json!({"articles": articles}));
        reply["media_id"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    fn read(bench: &mut Bench, id: &str) -> Value {
        bench.post(GET, &json!({"media_id": id}))
    }

    #[test]
    fn a_draft_is_read_as_it_was_added() {
        let mut bench = Bench::service();
        let article = json!({
            "article_type": "news", "title": "春茶", "author": "茶园", "digest": "上新", "content": "<p>好 茶</p>",
            "content_source_url": "https://x.cn/?a=b", "thumb_media_id": "T", "need_open_comment": 1,
            "only_fans_can_comment": 0, "pic_crop_235_1": "0.1945_0_1_0.5236", "pic_crop_1_1": "0.1_0_1_0.9",
            "cover_info": {"crop_percent_list": [{"ratio": "1_1", "x1": "0.1", "y1": "0", "x2": "1", "y2": "0.9"}]},
        });
        let id = added(&mut bench, std::slice::from_ref(&article));
        let draft = read(&mut bench, &id);
        let item = &draft["news_item"][0];
        for (name, value) in article.as_object().expect("an object") {
            assert_eq!(item[name], *value, "{name}");
        }
        assert!(item["url"].as_str().expect("a link").starts_with("http://mp.weixin.qq.com/s?"));
        assert!(item["thumb_url"].as_str().expect("a picture").starts_with("http://mmbiz.qpic.cn/"));
        assert_eq!(
            (&draft["create_time"], &draft["update_time"]),
            (&json!(bench.now.as_second()), &draft["create_time"])
        );

        let id = added(&mut bench, &[newspic()]);
        let item = &read(&mut bench, &id)["news_item"][0];
        assert_eq!((&item["image_info"], &item["content"]), (&newspic()["image_info"], &newspic()["content"]));
        assert!(item.get("thumb_url").is_none());
        assert_ne!(added(&mut bench, &[news()]), added(&mut bench, &[news()]));
    }

    #[test]
    fn one_to_eight_articles() {
        let mut bench = Bench::service();
        let mut code = |articles: Value| bench.code(ADD, &json!({"articles": articles}));
        assert_eq!(code(json!([])), 44003);
        assert_eq!(code(json!(vec![news(); 8])), 0);
        assert_eq!(code(json!(vec![news(); 9])), 45008);
        assert_eq!(code(json!([news(), newspic()])), 0);
        assert_eq!(code(news()), 47001);
        assert_eq!(code(json!(["x"])), 47001);
        assert_eq!(bench.code(ADD, &json!({})), 44003);
    }

    #[test]
    fn texts_have_limits() {
        for (name, character, most, code) in [
            ("title", "字", 32, 45003),
            ("author", "字", 16, 40192),
            ("digest", "字", 120, 45004),
            ("content", "字", 19_999, 45002),
        ] {
            assert_eq!(changed(&json!({name: character.repeat(most)})), 0, "{name}");
            assert_eq!(changed(&json!({name: character.repeat(most + 1)})), code, "{name}");
            assert_eq!(changed(&json!({name: 1})), 47001, "{name}");
        }
        let url = |length: usize| json!({"content_source_url": format!("https://x.cn/{}", "a".repeat(length - 13))});
        assert_eq!((changed(&url(1024)), changed(&url(1025))), (0, 45005));
        assert_eq!(changed(&json!({"content_source_url": "x.cn"})), 41039);
        assert_eq!(changed(&json!({"content_source_url": "javascript:x"})), 41039);
        assert_eq!(changed(&json!({"content_source_url": 1})), 47001);
        for title in [json!(null), json!(""), json!(" ")] {
            assert_eq!(changed(&json!({"title": title})), 40227);
        }
        for content in [json!(null), json!("")] {
            assert_eq!(changed(&json!({"content": content})), 44004);
        }
        for content in ["<p> &nbsp;</p>", "<script>x</script>", "<img src=\"https://x.cn/a.png\">"] {
            assert_eq!(changed(&json!({"content": content})), 45166, "{content}");
        }
        let escaped = br#"{"articles":[{"title":"\u8336","content":"x","thumb_media_id":"I"}]}"#;
        assert_eq!(Bench::service().call("POST", ADD, escaped)["errcode"], 40033);
    }

    #[test]
    fn covers_are_permanent_pictures() {
        let mut bench = Bench::service();
        for (id, code) in [
            (json!("I"), 0),
            (json!("T"), 0),
            (json!("V"), 40007),
            (json!("D"), 40007),
            (json!("nothing"), 40007),
            (json!(""), 40007),
            (json!(null), 40007),
            (json!(1), 47001),
        ] {
            assert_eq!(changed(&json!({"thumb_media_id": id})), code, "{id}");
        }
        let file = form(&bytes_of("jpg", 100), None);
        for (target, code) in [
            ("/cgi-bin/media/upload?type=image", 40007),
            ("/cgi-bin/media/upload?type=thumb", 40007),
            ("/cgi-bin/material/add_material?type=image", 0),
            ("/cgi-bin/material/add_material?type=thumb", 0),
        ] {
            let id = bench.upload(target, &file)["media_id"].clone();
            let article = with(news(), &json!({"thumb_media_id": id}));
            assert_eq!(bench.code(ADD, &json!({"articles": [article]})), code, "{target}");
        }
    }

    #[test]
    fn switches_crops_and_types_are_checked() {
        for (changes, code) in [
            (json!({"article_type": "news"}), 0),
            (json!({"article_type": "video"}), 40035),
            (json!({"need_open_comment": 1, "only_fans_can_comment": 1}), 0),
            (json!({"need_open_comment": 2}), 40035),
            (json!({"only_fans_can_comment": true}), 40035),
            (json!({"pic_crop_235_1": "0_0_1_1"}), 0),
            (json!({"pic_crop_235_1": "0.123456_0_1_1"}), 0),
            (json!({"pic_crop_235_1": "0.1234567_0_1_1"}), 40035),
            (json!({"pic_crop_235_1": "0_0_1"}), 40035),
            (json!({"pic_crop_235_1": "0_0_1_1.1"}), 40035),
            (json!({"pic_crop_1_1": "0.5_0_0.5_1"}), 40035),
            (json!({"pic_crop_1_1": "-0.5_0_1_1"}), 40035),
            (json!({"pic_crop_1_1": "a_0_1_1"}), 40035),
            (json!({"pic_crop_1_1": [0, 0, 1, 1]}), 47001),
            (json!({"cover_info": {"crop_percent_list": []}}), 0),
            (json!({"cover_info": {}}), 40035),
            (
                json!({"cover_info": {"crop_percent_list": [{"ratio": "16_9", "x1": "0", "y1": "0", "x2": "1", "y2": "1"}]}}),
                40035,
            ),
            (
                json!({"cover_info": {"crop_percent_list": [{"ratio": "1_1", "x1": 0, "y1": "0", "x2": "1", "y2": "1"}]}}),
                40035,
            ),
            (json!({"product_info": {"footer_product_info": {"product_key": "K"}}}), 53406),
            (json!({"product_info": {}}), 53405),
        ] {
            assert_eq!(changed(&changes), code, "{changes}");
        }
    }

    #[test]
    fn picture_messages_have_one_to_twenty_pictures() {
        let images = |list: Value| code_of(&with(newspic(), &json!({"image_info": {"image_list": list}})));
        let image = |id: &str| json!({"image_media_id": id});
        assert_eq!(code_of(&newspic()), 0);
        assert_eq!(images(json!(vec![image("I"); 20])), 0);
        assert_eq!(images(json!(vec![image("I"); 21])), 40215);
        assert_eq!(images(json!([])), 40215);
        assert_eq!(images(json!("I")), 47001);
        assert_eq!(images(json!([image("V")])), 40007);
        assert_eq!(images(json!([image("nothing")])), 40007);
        assert_eq!(images(json!(["I"])), 40007);
        assert_eq!(code_of(&with(newspic(), &json!({"image_info": null}))), 40215);
        assert_eq!(code_of(&with(newspic(), &json!({"content": "<p>x</p>"}))), 45166);
        assert_eq!(code_of(&with(newspic(), &json!({"content": null}))), 44004);
        let wide = json!({"crop_percent_list": [{"ratio": "16_9", "x1": "0", "y1": "0", "x2": "1", "y2": "1"}]});
        assert_eq!(code_of(&with(newspic(), &json!({"cover_info": wide}))), 0);
    }

    #[test]
    fn a_draft_loses_what_the_editor_does_not_keep() {
        let mut bench = Bench::service();
        let picture = form(&bytes_of("png", 100), None);
        let body = bench.upload("/cgi-bin/media/uploadimg", &picture)["url"].as_str().expect("a text").to_owned();
        let material = bench.upload("/cgi-bin/material/add_material?type=image", &picture);
        let material = material["url"].as_str().expect("a text").to_owned();
        let secure = body.replace("http:", "https:");
        let html = format!(
            "<section id=\"a\" style=\"color:red\"><img src=\"{secure}\"><img src=\"{material}\">\
             <img src=\"https://pictures.example/foreign/0\"><img src=\"https://mmbiz.qpic.cn/other/0\"><a href=\"https://x.cn\">x</a></section>"
        );
        let id = added(&mut bench, &[with(news(), &json!({"content": html}))]);
        assert_eq!(
            read(&mut bench, &id)["news_item"][0]["content"],
            format!(
                "<section style=\"color:red\"><img data-src=\"{secure}\"><img data-src=\"{material}\"><img data-src=\"https://mmbiz.qpic.cn/other/0\"><a>x</a></section>"
            )
        );
    }

    #[test]
    fn digests_belong_to_single_articles() {
        let mut bench = Bench::service();
        let mut digest = |articles: &[Value]| {
            let id = added(&mut bench, articles);
            read(&mut bench, &id)["news_item"][0]["digest"].clone()
        };
        let long = with(news(), &json!({"content": format!("<p>a &amp;\n b</p>{}", "茶".repeat(60))}));
        assert_eq!(digest(std::slice::from_ref(&long)), format!("a & b{}", "茶".repeat(49)));
        let own = with(long, &json!({"digest": "上新"}));
        assert_eq!(digest(std::slice::from_ref(&own)), "上新");
        assert_eq!(digest(&[own, news()]), "");
    }

    #[test]
    fn one_article_is_updated() {
        let mut bench = Bench::service();
        let id = added(&mut bench, &[news(), news()]);
        let update =
            |index: Value| json!({"media_id": id, "index": index, "articles": with(news(), &json!({"title": "新"}))});
        for index in [json!(2), json!(-1), json!("1"), json!(1.5), json!(null)] {
            assert_eq!(bench.code(UPDATE, &update(index.clone())), 40114, "{index}");
        }
        assert_eq!(bench.code(UPDATE, &with(update(json!(1)), &json!({"index": null}))), 40114);
        assert_eq!(bench.code(UPDATE, &with(update(json!(1)), &json!({"media_id": "nothing"}))), 40007);
        assert_eq!(bench.code(UPDATE, &with(update(json!(1)), &json!({"media_id": null}))), 41006);
        assert_eq!(bench.code(UPDATE, &with(update(json!(1)), &json!({"articles": null}))), 44003);
        assert_eq!(bench.code(UPDATE, &with(update(json!(1)), &json!({"articles": [news()]}))), 47001);
        for (changes, code) in [
            (json!({"title": "字".repeat(33)}), 45003),
            (json!({"content_source_url": "x"}), 41039),
            (json!({"content": "<script></script>"}), 45166),
            (json!({"thumb_media_id": "V"}), 40007),
        ] {
            let body = with(update(json!(1)), &json!({"articles": with(news(), &changes)}));
            assert_eq!(bench.code(UPDATE, &body), code, "{changes}");
        }
        let before = read(&mut bench, &id);
        bench.wait(5);
        assert_eq!(bench.code(UPDATE, &update(json!(1))), 0);
        let after = read(&mut bench, &id);
        assert_eq!(after["news_item"][0], before["news_item"][0]);
        assert_eq!((&after["news_item"][1]["title"], &after["create_time"]), (&json!("新"), &before["create_time"]));
        assert_eq!(after["update_time"], bench.now.as_second());
    }

    #[test]
    fn drafts_are_listed_and_deleted() {
        let mut bench = Bench::service();
        let first = added(&mut bench, &[news()]);
        let second = added(&mut bench, &[newspic()]);
        bench.wait(1);
        bench.post(UPDATE, &json!({"media_id": first, "index": 0, "articles": news()}));
        // The draft that was there from the start is the third.
        assert_eq!(bench.get("/cgi-bin/draft/count"), json!({"total_count": 3}));
        let list = bench.post(BATCHGET, &json!({"offset": 0, "count": 2, "no_content": 1}));
        assert_eq!((&list["total_count"], &list["item_count"]), (&json!(3), &json!(2)));
        assert_eq!((&list["item"][0]["media_id"], &list["item"][1]["media_id"]), (&json!(first), &json!(second)));
        assert_eq!(list["item"][0]["update_time"], bench.now.as_second());
        assert_eq!(list["item"][0]["content"]["news_item"][0]["title"], "春茶");
        assert!(list["item"][0]["content"]["news_item"][0].get("content").is_none());
        let rest = bench.post(BATCHGET, &json!({"offset": 2, "count": 20}));
        assert_eq!(rest["item"][0]["content"]["news_item"][0]["content"], "<p>D</p>");
        assert_eq!(bench.post(BATCHGET, &json!({"offset": 3, "count": 1}))["item"], json!([]));
        for wrong in [
            json!({"offset": 0, "count": 0}),
            json!({"offset": 0, "count": 21}),
            json!({"offset": -1, "count": 1}),
            json!({"count": 1}),
            json!({"offset": 0, "count": 1, "no_content": 2}),
        ] {
            assert_eq!(bench.code(BATCHGET, &wrong), 40035, "{wrong}");
        }
        assert_eq!(bench.code(DELETE, &json!({"media_id": first})), 0);
        assert_eq!(bench.code(DELETE, &json!({"media_id": first})), 40007);
        assert_eq!(bench.code(DELETE, &json!({"media_id": "I"})), 40007);
        assert_eq!(bench.code(GET, &json!({"media_id": first})), 40007);
        assert_eq!(bench.code(GET, &json!({})), 41006);
        assert_eq!(bench.get("/cgi-bin/draft/count"), json!({"total_count": 2}));
    }

    #[test]
    fn a_draft_is_previewed_sent_and_gone() {
        let mut bench = Bench::service();
        let id = added(&mut bench, &[news(), with(news(), &json!({"title": "第二"}))]);
        let send = |id: &str, own: &str| {
            let message = json!({"msgtype": "mpnews", "mpnews": {"media_id": id}, "text": null, "clientmsgid": own});
            with(to_tag(), &message)
        };
        let preview =
            |id: &str| with(send(id, "x"), &json!({"filter": null, "touser": "oSandboxFollower000000000001"}));
        assert_eq!(bench.code(PREVIEW, &preview(&id)), 0);
        assert_eq!(read(&mut bench, &id)["news_item"].as_array().map(Vec::len), Some(2));
        assert_eq!(bench.code(SENDALL, &send(&id, "a")), 0);
        // It left the box, and more readers can still get it today.
        assert_eq!(bench.code(GET, &json!({"media_id": id})), 40007);
        assert_eq!(bench.code(DELETE, &json!({"media_id": id})), 40007);
        assert_eq!(bench.code(UPDATE, &json!({"media_id": id, "index": 0, "articles": news()})), 40007);
        assert_eq!(bench.code(SENDALL, &send(&id, "b")), 0);
        let kinds: Vec<_> = bench.state.deliveries.iter().map(|delivery| delivery.kind).collect();
        assert_eq!(kinds, [DeliveryKind::Preview, DeliveryKind::Mass, DeliveryKind::Mass]);
        for delivery in &bench.state.deliveries {
            assert_eq!((&delivery.content, &delivery.titles[..]), (&id, &["春茶".to_owned(), "第二".to_owned()][..]));
        }
        assert_eq!(bench.state.deliveries[1].urls.len(), 2);
        bench.wait_days(1);
        assert_eq!(bench.code(SENDALL, &send(&id, "c")), 40007);
        assert_eq!(bench.code(PREVIEW, &preview(&id)), 40007);
        let deleted = added(&mut bench, &[news()]);
        bench.post(DELETE, &json!({"media_id": deleted}));
        assert_eq!(bench.code(SENDALL, &send(&deleted, "d")), 40007);
    }

    #[test]
    fn an_article_can_be_made_to_fail() {
        let mut bench = Bench::service();
        let id = added(&mut bench, &[with(news(), &json!({"content": "<p>[[sandbox:fail]]</p>"}))]);
        let message = json!({"msgtype": "mpnews", "mpnews": {"media_id": id}, "text": null});
        let sent = bench.post(SENDALL, &with(to_tag(), &message));
        bench.wait(20);
        assert_eq!(bench.status(&sent), "SEND_FAIL");
        assert_eq!(bench.code(GET, &json!({"media_id": id})), 0);
    }

    #[test]
    fn a_draft_loses_what_a_fault_asks_for() {
        let mut bench = Bench::service();
        let html = "<p style=\"color:red\">好 茶</p>";
        let id = added(&mut bench, &[with(news(), &json!({"content": html}))]);
        assert_eq!(read(&mut bench, &id)["news_item"][0]["content"], html);
        let lossy = |bench: &mut Bench, path: &str, body: &Value| {
            let token = bench.token();
            bench.state.loss = Some(Loss { word: true, picture: true, style: true });
            let reply = bench.raw("POST", &format!("{path}?access_token={token}"), body.to_string().as_bytes());
            assert_eq!(reply.errcode, 0);
        };
        let update = json!({"media_id": id, "index": 0, "articles": with(news(), &json!({"content": html}))});
        lossy(&mut bench, UPDATE, &update);
        assert_eq!(read(&mut bench, &id)["news_item"][0]["content"], "<p>好 </p>");
        lossy(&mut bench, ADD, &json!({"articles": [newspic(), newspic()]}));
        let list = bench.post(BATCHGET, &json!({"offset": 0, "count": 1}));
        let items = &list["item"][0]["content"]["news_item"];
        assert_eq!(items[0]["content"], "春茶 1 < ");
        assert_eq!(items[0]["image_info"]["image_list"], json!([{"image_media_id": "I"}]));
        assert_eq!(items[1]["image_info"], newspic()["image_info"]);
    }

    #[test]
    fn the_box_has_limits_of_a_day() {
        let mut bench = Bench::service();
        for _ in 0..500 {
            assert_eq!(bench.code(GET, &json!({"media_id": "D"})), 0);
        }
        assert_eq!(bench.code(GET, &json!({"media_id": "D"})), 45009);
        let quota = bench.post("/cgi-bin/openapi/quota/get", &json!({"cgi_path": ADD}));
        assert_eq!(quota["quota"]["daily_limit"], 1000);
        for _ in 0..1000 {
            bench.get("/cgi-bin/draft/count");
        }
        assert_eq!(bench.get("/cgi-bin/draft/count")["errcode"], 45009);
        bench.wait_days(1);
        assert_eq!(bench.code(GET, &json!({"media_id": "D"})), 0);
    }
}
