//! `qunfa drafts`: what is in the draft box. Reads only.

use serde_json::{Value, json};

use super::{
    failure::Failure,
    listing::{ListArgs, articles, asking, doubt, head, text, time, updated},
    options::Common,
    table::table,
    terminal::Terminal,
};
use crate::{
    locale::say,
    problem::ExitCode,
    run::asker::{Listed, Paged},
};

/// Lists drafts.
/// <https://developers.weixin.qq.com/doc/subscription/api/draftbox/draftmanage/api_draft_batchget.html>
const PATH: &str = "/cgi-bin/draft/batchget";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) list: ListArgs,
}

/// How drafts are asked for.
pub(super) fn paged() -> Paged<'static> {
    Paged { path: PATH, with: ("no_content", 1.into()), id: "media_id" }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let session = args.list.open(common, terminal)?;
    let what = say!("cannot list the drafts");
    let listed = asking(&session, common, terminal, |asker| asker.list(&what, &paged(), args.list.limit))?;
    if args.list.wants_json() {
        let drafts: Vec<Value> = listed.items.iter().map(in_json).collect();
        let members =
            json!({ "appid": session.plan.appid, "total": listed.total, "partial": listed.partial, "drafts": drafts });
        terminal.document(ExitCode::Done, members);
    } else {
        terminal.out(&format!("{}{}{}", head(&session, &say!("drafts"), &listed), rows(&listed), doubt(&listed)));
    }
    Ok(ExitCode::Done)
}

fn in_json(item: &Value) -> Value {
    let article = |article: &Value| {
        let kind = if text(article, "article_type") == "newspic" { "newspic" } else { "news" };
        json!({ "type": kind, "title": text(article, "title"), "author": text(article, "author"),
                "digest": text(article, "digest"), "preview_url": text(article, "url") })
    };
    let articles: Vec<Value> = articles(item).iter().map(article).collect();
    json!({ "media_id": text(item, "media_id"), "updated_at": updated(item), "articles": articles })
}

/// A line for each article; the first one has the `media_id`.
fn rows(listed: &Listed) -> String {
    let mut rows = Vec::new();
    for item in &listed.items {
        let mut titles = articles(item).iter().map(|article| text(article, "title").to_owned());
        let (first, id) = (titles.next().unwrap_or_default(), text(item, "media_id").to_owned());
        rows.push(vec![time(updated(item)), first, id]);
        rows.extend(titles.map(|title| vec![String::new(), title, String::new()]));
    }
    table(&rows)
}
