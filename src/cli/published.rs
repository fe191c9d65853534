//! `qunfa published`: what was published without a notification. Reads only.

use serde_json::{Value, json};

use super::{
    failure::Failure,
    listing::{ListArgs, articles, asking, doubt, head, text, time, updated},
    options::Common,
    table::table,
    terminal::Terminal,
};
use crate::{
    locale::{Phrase, say},
    problem::ExitCode,
    run::asker::{Listed, Paged},
};

/// Lists publications, the latest first; those that were sent are no part of it.
/// <https://developers.weixin.qq.com/doc/subscription/api/public/api_freepublish_batchget.html>
const PATH: &str = "/cgi-bin/freepublish/batchget";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) list: ListArgs,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let session = args.list.open(common, terminal)?;
    let what = say!("cannot list the publications");
    let paged = Paged { path: PATH, with: ("no_content", 1.into()), id: "article_id" };
    let listed = asking(&session, common, terminal, |asker| asker.list(&what, &paged, args.list.limit))?;
    if args.list.wants_json() {
        let published: Vec<Value> = listed.items.iter().map(in_json).collect();
        let members = json!({ "appid": session.plan.appid, "total": listed.total, "partial": listed.partial, "published": published });
        terminal.document(ExitCode::Done, members);
    } else {
        let head = head(&session, &say!("publications"), &listed);
        terminal.out(&format!("{head}{}{}", rows(&listed), doubt(&listed)));
    }
    Ok(ExitCode::Done)
}

fn is_deleted(article: &Value) -> bool {
    match &article["is_deleted"] {
        Value::Bool(deleted) => *deleted,
        number => number.as_u64().is_some_and(|number| number > 0),
    }
}

fn in_json(item: &Value) -> Value {
    let article = |article: &Value| json!({ "title": text(article, "title"), "url": text(article, "url"), "deleted": is_deleted(article) });
    let articles: Vec<Value> = articles(item).iter().map(article).collect();
    json!({ "article_id": text(item, "article_id"), "updated_at": updated(item), "articles": articles })
}

/// A line for each article, and one for its address; the first one has the `article_id`.
fn rows(listed: &Listed) -> String {
    let title = |article: &Value| match is_deleted(article) {
        true => say!("{title} (deleted)", title = text(article, "title")),
        false => Phrase::verbatim(text(article, "title")),
    };
    let mut rows = Vec::new();
    for item in &listed.items {
        let articles = articles(item);
        let first = articles.first().map(|article| title(article).to_string()).unwrap_or_default();
        rows.push(vec![time(updated(item)), first, text(item, "article_id").to_owned()]);
        for (at, article) in articles.iter().enumerate() {
            if at > 0 {
                rows.push(vec![String::new(), title(article).to_string(), String::new()]);
            }
            rows.push(vec![String::new(), text(article, "url").to_owned()]);
        }
    }
    table(&rows)
}
