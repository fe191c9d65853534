//! Comments of sent articles, made up: an article that readers may comment on has the same ones each time.
//!
//! Sources: [open](https://developers.weixin.qq.com/doc/subscription/api/leaving/api_openarticlecomment.html) and its siblings.
//! What they do not say is not refused: how many comments can be selected (88003) and how long an answer may be (88007).
//! 88000, 88002 and 88004 come with `--fault`.

use serde_json::{Value, json};

use super::comments::{Article, Comment, made_up};
use super::draft::flag;
use super::errcode::{
    ALREADY_REPLIED, Errcode, INVALID_ARGS, NO_SUCH_ARTICLE, NO_SUCH_COMMENT, REPLY_LENGTH, Refusal, WRONG_COUNT,
};
use super::exchange::Context;
use super::state::State;

/// One request lists fewer than this.
const PAGE: u64 = 50;
fn number(body: &Value, name: &str) -> Result<u64, Errcode> {
    body.get(name).and_then(Value::as_u64).ok_or(INVALID_ARGS)
}

fn article<'s>(state: &'s mut State, body: &Value) -> Result<&'s mut Article, Refusal> {
    let index = match body.get("index") {
        None => 0,
        Some(_) => number(body, "index")?,
    };
    let sent = (number(body, "msg_data_id")?, index);
    let State { media, comments, .. } = state;
    let (articles, since) = media.sent_articles(sent.0).ok_or(NO_SUCH_ARTICLE)?;
    let draft = usize::try_from(index).ok().and_then(|index| articles.get(index)).ok_or(NO_SUCH_ARTICLE)?;
    let open = flag(draft, "need_open_comment")? == 1;
    Ok(comments.articles.entry(sent).or_insert_with(|| made_up(sent, open, since)))
}

fn comment<'s>(state: &'s mut State, body: &Value) -> Result<&'s mut Comment, Refusal> {
    let id = number(body, "user_comment_id")?;
    let article = article(state, body)?;
    Ok(article.comments.iter_mut().find(|comment| comment.id == id).ok_or(NO_SUCH_COMMENT)?)
}

fn ok() -> Result<Value, Refusal> {
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

/// `POST /cgi-bin/comment/open`
pub(super) fn open(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    article(state, &context.body)?.open = true;
    ok()
}

/// `POST /cgi-bin/comment/close`
pub(super) fn close(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    article(state, &context.body)?.open = false;
    ok()
}

/// `POST /cgi-bin/comment/list`
pub(super) fn list(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let body = &context.body;
    let (begin, count, kind) = (number(body, "begin")?, number(body, "count")?, number(body, "type")?);
    if !(1..PAGE).contains(&count) {
        return Err(WRONG_COUNT.into());
    }
    if kind > 2 {
        return Err(INVALID_ARGS.into());
    }
    let article = article(state, body)?;
    let wanted: Vec<&Comment> =
        article.comments.iter().filter(|comment| kind == 0 || comment.elected == (kind == 2)).collect();
    let begin = usize::try_from(begin).unwrap_or(usize::MAX);
    let page: Vec<Value> = wanted.iter().skip(begin).zip(0..count).map(|(comment, _)| comment.shown()).collect();
    Ok(json!({"errcode": 0, "errmsg": "ok", "total": wanted.len(), "comment": page}))
}

/// `POST /cgi-bin/comment/markelect`
pub(super) fn elect(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    comment(state, &context.body)?.elected = true;
    ok()
}

/// `POST /cgi-bin/comment/unmarkelect`
pub(super) fn unelect(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    comment(state, &context.body)?.elected = false;
    ok()
}

/// `POST /cgi-bin/comment/delete`
pub(super) fn delete(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let id = comment(state, &context.body)?.id;
    article(state, &context.body)?.comments.retain(|comment| comment.id != id);
    ok()
}

/// `POST /cgi-bin/comment/reply/add`
pub(super) fn reply(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let text = context.body.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
    let comment = comment(state, &context.body)?;
    if text.is_empty() {
        return Err(REPLY_LENGTH.into());
    }
    if comment.reply.is_some() {
        return Err(ALREADY_REPLIED.into());
    }
    comment.reply = Some((text, context.now.as_second()));
    ok()
}

/// `POST /cgi-bin/comment/reply/delete`
pub(super) fn unreply(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    comment(state, &context.body)?.reply = None;
    ok()
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, to_tag, with};
    use super::*;

    fn path(name: &str) -> String {
        format!("/cgi-bin/comment/{name}")
    }

    /// A sent draft of two articles, of which readers can comment on the first; its `msg_data_id`.
    fn sent(bench: &mut Bench) -> u64 {
        let article = |open: u64| json!({"title": "春茶", "content": "<p>好茶</p>", "thumb_media_id": "I", "need_open_comment": open});
        let draft = bench.post("/cgi-bin/draft/add", &json!({"articles": [article(1), article(0)]}));
        let message = json!({"msgtype": "mpnews", "mpnews": {"media_id": draft["media_id"]}, "text": null});
        let sent = bench.post("/cgi-bin/message/mass/sendall", &with(to_tag(), &message));
        sent["msg_data_id"].as_u64().expect("a number")
    }

    fn listed(bench: &mut Bench, id: u64, index: u64, kind: u64) -> Value {
        let body = json!({"msg_data_id": id, "index": index, "begin": 0, "count": 49, "type": kind});
        bench.post(&path("list"), &body)
    }

    #[test]
    fn comments_are_listed_in_pages() {
        let mut bench = Bench::service();
        let id = sent(&mut bench);
        let first = listed(&mut bench, id, 0, 0);
        assert_eq!((first["total"].as_u64(), first["comment"].as_array().map(Vec::len)), (Some(60), Some(49)));
        assert_eq!(first["comment"], listed(&mut bench, id, 0, 0)["comment"], "always the same");
        let rest = json!({"msg_data_id": id, "begin": 49, "count": 49, "type": 1});
        assert_eq!(bench.post(&path("list"), &rest)["comment"].as_array().map(Vec::len), Some(11));
        assert_eq!(listed(&mut bench, id, 1, 0)["total"], 0, "nobody could comment");
        for (name, value, code) in [
            ("count", json!(50), 88010),
            ("count", json!(0), 88010),
            ("index", json!(2), 88001),
            ("msg_data_id", json!(1), 88001),
            ("type", json!(3), 40035),
            ("begin", json!("0"), 40035),
        ] {
            let mut body = rest.clone();
            body[name] = value;
            assert_eq!(bench.code(&path("list"), &body), code, "{name}");
        }
    }

    #[test]
    fn comments_are_selected_answered_and_deleted() {
        let mut bench = Bench::service();
        let id = sent(&mut bench);
        let one = json!({"msg_data_id": id, "index": 0, "user_comment_id": 3});
        let answer = |text: &str| with(one.clone(), &json!({"content": text}));
        assert_eq!(bench.code(&path("markelect"), &one), 0);
        assert_eq!(
            (&listed(&mut bench, id, 0, 2)["total"], &listed(&mut bench, id, 0, 1)["total"]),
            (&json!(1), &json!(59))
        );
        assert_eq!(bench.code(&path("unmarkelect"), &one), 0);
        assert_eq!(bench.code(&path("reply/add"), &answer("")), 88007);
        assert_eq!(bench.code(&path("reply/add"), &answer("谢谢")), 0);
        assert_eq!(bench.code(&path("reply/add"), &answer("谢谢")), 88005);
        assert_eq!(listed(&mut bench, id, 0, 0)["comment"][2]["reply"]["content"], "谢谢");
        assert_eq!(bench.code(&path("reply/delete"), &one), 0);
        assert_eq!(listed(&mut bench, id, 0, 0)["comment"][2].get("reply"), None);
        assert_eq!(bench.code(&path("delete"), &one), 0);
        for name in ["delete", "markelect", "unmarkelect", "reply/delete"] {
            assert_eq!(bench.code(&path(name), &one), 88008, "{name}");
        }
        assert_eq!(bench.code(&path("reply/add"), &answer("谢谢")), 88008);
        for name in ["open", "close"] {
            assert_eq!(bench.code(&path(name), &json!({"msg_data_id": id, "index": 1})), 0);
            assert_eq!(bench.code(&path(name), &json!({"msg_data_id": id, "index": 2})), 88001);
        }
    }
}
