//! The draft that is meant: by its `media_id`, or by the title of one of its articles.

use serde_json::{Value, json};

use super::super::{
    drafts,
    listing::{articles, text, time, updated},
};
use crate::{
    limits,
    locale::{Phrase, say},
    problem::{ExitCode, Refusal},
    run::asker::{Asker, failed},
    text::nearest,
    wechat::transport::Method,
};

/// Reads a draft.
/// <https://developers.weixin.qq.com/doc/subscription/api/draftbox/draftmanage/api_getdraft.html>
const GET: &str = "/cgi-bin/draft/get";
/// Longest `media_id`. <https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add>
const ID_BYTES: usize = 128;
/// Drafts of one title that an error lists.
const LISTED: usize = 10;

/// A draft as WeChat gives it.
pub(super) struct Draft {
    pub(super) media_id: String,
    /// Objects, at least one.
    pub(super) articles: Vec<Value>,
}

/// Finds the draft that a person names.
pub(super) fn find(asker: &mut Asker<'_, '_>, named: &str) -> Result<Draft, Refusal> {
    let is_id = (1..=ID_BYTES).contains(&named.len())
        && named.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_id {
        match get(asker, named) {
            Err(Refusal { problem, .. }) if problem.errcode == Some(40007) => {}
            other => return other,
        }
    }
    let media_id = titled(asker, named)?;
    get(asker, &media_id)
}

fn get(asker: &mut Asker<'_, '_>, media_id: &str) -> Result<Draft, Refusal> {
    let what = say!("cannot read the draft `{media_id}`", media_id);
    let mut reply = asker.ask(&what, Method::Post, GET, &json!({ "media_id": media_id }).to_string())?;
    let articles = match reply.members.remove("news_item") {
        Some(Value::Array(articles)) if articles.iter().all(Value::is_object) => articles,
        _ => Vec::new(),
    };
    let too_long = articles.iter().any(|article| text(article, "content").len() > 4 * limits::ARTICLE_BYTES);
    if articles.is_empty() || articles.len() > limits::ARTICLES_MAX || too_long {
        return Err(failed(&what, crate::problem::Problem::new(say!("WeChat's answer is not a draft"))));
    }
    Ok(Draft { media_id: media_id.to_owned(), articles })
}

/// The `media_id` of the one draft that has an article of a title.
fn titled(asker: &mut Asker<'_, '_>, title: &str) -> Result<String, Refusal> {
    let what = say!("cannot list the drafts");
    let listed = asker.list(&what, &drafts::paged(), limits::LIST_ITEMS_MAX)?;
    let has = |item: &&Value| articles(item).iter().any(|article| text(article, "title").trim() == title.trim());
    let found: Vec<&Value> = listed.items.iter().filter(has).collect();
    match found.as_slice() {
        [one] => Ok(text(one, "media_id").to_owned()),
        [] => {
            let refusal = Refusal::missing_input(say!("no draft has this `media_id` or title: `{title}`", title));
            let titles = listed.items.iter().flat_map(articles).map(|article| text(article, "title"));
            let near: Option<Phrase> = nearest(title, titles.filter(|title| title.len() <= limits::KEPT_BYTES));
            Err(refusal.help(near.unwrap_or_else(|| say!("`qunfa drafts` lists the drafts"))))
        }
        many => {
            let mut refusal = Refusal::new(
                ExitCode::Usage,
                say!("{count} drafts have the title `{title}`", count = many.len(), title),
            );
            for item in many.iter().take(LISTED) {
                let (media_id, at) = (text(item, "media_id"), time(updated(item)));
                refusal = refusal.help(say!("name one of them: {media_id} ({at})", media_id, at));
            }
            Err(refusal)
        }
    }
}
