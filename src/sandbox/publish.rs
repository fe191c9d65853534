//! Publishing a draft: a page with a lasting link, of which nobody is told.
//!
//! A draft leaves the draft box when it is submitted, and comes back if the publication fails; the documents say only that
//! a published draft is used up. Of the names of a draft (`media_id`), of a publication (`publish_id`) and of what was published
//! (`article_id`) none is taken for another. All three are texts.
//!
//! Sources: `api_freepublish_submit`, `api_freepublish_get`, `api_freepublishdelete`, `api_freepublishgetarticle`,
//! `api_freepublish_batchget` beside the [guide](https://developers.weixin.qq.com/doc/subscription/guide/product/publish.md).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::calendar::{day, within};
use super::draft::{flag, shown};
use super::errcode::{INVALID_ARGS, INVALID_ARTICLE_ID, INVALID_INDEX, INVALID_PUBLISH_ID, MALFORMED_BODY, Refusal};
use super::exchange::Context;
use super::issue::Issue;
use super::media::{Draft, Media};
use super::state::State;
use super::upload::media_id;
use super::{Audience, Delivery, DeliveryKind};

/// Path that publishes.
pub(super) const SUBMIT: &str = "/cgi-bin/freepublish/submit";
pub(super) const GET: &str = "/cgi-bin/freepublish/get";
pub(super) const DELETE: &str = "/cgi-bin/freepublish/delete";
pub(super) const GETARTICLE: &str = "/cgi-bin/freepublish/getarticle";
pub(super) const BATCHGET: &str = "/cgi-bin/freepublish/batchget";

/// How long a publication takes.
const PUBLISHING: i64 = 10;
const FIRST_PUBLISH_ID: u64 = 100_000_001;
/// Added to a `publish_id` it is the `msg_data_id`, beyond those of drafts that are sent.
const FIRST_DATA_ID: u64 = 2_300_000_000;
/// Publications of one `batchget`.
const MAX_BATCH: u64 = 20;

const PUBLISHED: u64 = 0;
const RUNNING: u64 = 1;
const DELETED: u64 = 5;

/// Words of an article by which its publication fails, and the status of that.
const FAILURES: [(&str, u64); 3] = [("[[sandbox:original]]", 2), ("[[sandbox:fail]]", 3), ("[[sandbox:review]]", 4)];

struct Publication {
    publish_id: String,
    article_id: String,
    /// The draft that it was.
    draft: String,
    submitted: Timestamp,
    /// 0, or how it fails.
    outcome: u64,
    /// Articles by which it fails, from 1.
    failed: Vec<usize>,
    /// Its articles, as they were submitted.
    articles: Draft,
    /// Articles that were deleted, from 1.
    gone: BTreeSet<usize>,
    /// Its end was looked at: a failure has given the draft back.
    ended: bool,
}

impl Publication {
    fn status(&self, now: Timestamp) -> u64 {
        match self.outcome {
            _ if within(PUBLISHING, self.submitted, now) => RUNNING,
            PUBLISHED if self.gone.len() == self.articles.articles.len() => DELETED,
            outcome => outcome,
        }
    }

    /// The link of an article, by its number from 1.
    fn url(&self, index: usize) -> String {
        let digest = Sha256::digest(format!("{}/{index}", self.article_id));
        let name: String = digest.iter().take(11).map(|byte| format!("{byte:02x}")).collect();
        format!("http://mp.weixin.qq.com/s/{name}")
    }

    fn urls(&self) -> Vec<String> {
        (1..=self.articles.articles.len()).map(|index| self.url(index)).collect()
    }

    /// Its articles as they are given.
    fn content(&self, with_content: bool, media: &Media) -> Value {
        let mut content = shown(&self.draft, &self.articles, with_content, media);
        for (number, article) in content["news_item"].as_array_mut().into_iter().flatten().enumerate() {
            article["url"] = self.url(number + 1).into();
            article["is_deleted"] = self.gone.contains(&(number + 1)).into();
        }
        content
    }

    fn delivery(&self, at: Timestamp, kind: DeliveryKind, numbers: &BTreeSet<usize>) -> Delivery {
        let title =
            |number: &usize| self.articles.articles[number - 1]["title"].as_str().unwrap_or_default().to_owned();
        Delivery {
            at,
            kind,
            msg_id: None,
            audience: Audience::Openids(Vec::new()),
            recipients: 0,
            msgtype: "mpnews".to_owned(),
            content: self.draft.clone(),
            titles: numbers.iter().map(title).collect(),
            clientmsgid: None,
            urls: numbers.iter().map(|number| self.url(*number)).collect(),
        }
    }
}

/// All publications of the account, in the order in which they were submitted.
#[derive(Default)]
pub(super) struct Publications(Vec<Publication>);

impl Publications {
    /// What time alone brings about: a draft whose publication failed is in the draft box again.
    pub(super) fn ripen(&mut self, now: Timestamp, media: &mut Media) {
        for one in self.0.iter_mut().filter(|one| !one.ended && one.status(now) != RUNNING) {
            one.ended = true;
            if one.outcome != PUBLISHED {
                media.give_back(&one.draft);
            }
        }
    }

    /// What can be read of: it succeeded, and something of it is left.
    fn public(&self, now: Timestamp) -> impl Iterator<Item = &Publication> {
        self.0.iter().rev().filter(move |one| one.status(now) == PUBLISHED)
    }

    /// What was published on a day, whatever became of it later.
    pub(super) fn issues(&self, on: Date) -> impl Iterator<Item = Issue> {
        let published = move |one: &&Publication| one.outcome == PUBLISHED && day(one.submitted) == on;
        self.0.iter().filter(published).map(|one| {
            let title = |article: &Value| article["title"].as_str().unwrap_or_default().to_owned();
            Issue {
                data_id: one.publish_id.parse::<u64>().unwrap_or_default() + FIRST_DATA_ID,
                recipients: 0,
                is_pushed: false,
                titles: one.articles.articles.iter().map(title).collect(),
                urls: one.urls(),
            }
        })
    }
}

/// A name in a body; a number is none.
fn name<'b>(body: &'b Value, member: &str) -> Result<&'b str, Refusal> {
    match body.get(member) {
        None => Err(INVALID_ARGS.into()),
        Some(value) => value.as_str().ok_or(MALFORMED_BODY.into()),
    }
}

/// `POST /cgi-bin/freepublish/submit`
pub(super) fn submit(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let id = media_id(&context.body)?;
    let articles = state.media.draft(id)?.clone();
    let failing = |mark: &str| -> Vec<usize> {
        let holds = |article: &Value| {
            ["title", "content"].iter().any(|name| article[*name].as_str().is_some_and(|text| text.contains(mark)))
        };
        (1..).zip(&articles.articles).filter(|(_, article)| holds(article)).map(|(number, _)| number).collect()
    };
    let failure = FAILURES.iter().map(|(mark, status)| (*status, failing(mark))).find(|(_, failed)| !failed.is_empty());
    let (outcome, failed) = failure.unwrap_or_default();
    let number = FIRST_PUBLISH_ID + u64::try_from(state.publications.0.len()).unwrap_or_default();
    let publish_id = number.to_string();
    let digest = Sha256::digest(format!("article/{publish_id}/{id}"));
    let publication = Publication {
        article_id: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        publish_id: publish_id.clone(),
        draft: id.to_owned(),
        submitted: context.now,
        outcome,
        failed,
        articles,
        gone: BTreeSet::new(),
        ended: false,
    };
    state.media.take_out(id);
    if outcome == PUBLISHED {
        let all = (1..=publication.articles.articles.len()).collect();
        state.deliveries.push(publication.delivery(context.now, DeliveryKind::Published, &all));
    }
    state.publications.0.push(publication);
    Ok(json!({"errcode": 0, "errmsg": "ok", "publish_id": publish_id}))
}

/// `POST /cgi-bin/freepublish/get`
pub(super) fn get(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let id = name(&context.body, "publish_id").map_err(|_| INVALID_PUBLISH_ID)?;
    let publication = state.publications.0.iter().find(|one| one.publish_id == id).ok_or(INVALID_PUBLISH_ID)?;
    let status = publication.status(context.now);
    let mut reply = json!({"publish_id": id, "publish_status": status, "fail_idx": []});
    if status == PUBLISHED {
        let item = (1..).zip(publication.urls()).map(|(idx, url): (u64, _)| json!({"idx": idx, "article_url": url}));
        let item: Vec<Value> = item.collect();
        reply["article_id"] = publication.article_id.as_str().into();
        reply["article_detail"] = json!({"count": item.len(), "item": item});
    } else if status == publication.outcome {
        reply["fail_idx"] = json!(publication.failed);
    }
    Ok(reply)
}

/// `POST /cgi-bin/freepublish/delete`: without a number, and with 0, all articles.
pub(super) fn delete(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let id = name(&context.body, "article_id")?;
    let index = match context.body.get("index") {
        None => 0,
        Some(index) => index.as_u64().and_then(|index| usize::try_from(index).ok()).ok_or(INVALID_INDEX)?,
    };
    let now = context.now;
    let found = state.publications.0.iter_mut().find(|one| one.article_id == id && one.status(now) == PUBLISHED);
    let publication = found.ok_or(INVALID_ARTICLE_ID)?;
    let wanted: BTreeSet<usize> = match index {
        0 => (1..=publication.articles.articles.len()).filter(|number| !publication.gone.contains(number)).collect(),
        index if index <= publication.articles.articles.len() && !publication.gone.contains(&index) => [index].into(),
        _ => return Err(INVALID_INDEX.into()),
    };
    state.deliveries.push(publication.delivery(now, DeliveryKind::Unpublished, &wanted));
    publication.gone.extend(wanted);
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

/// `POST /cgi-bin/freepublish/getarticle`
pub(super) fn getarticle(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let id = name(&context.body, "article_id")?;
    let publication = state.publications.public(context.now).find(|one| one.article_id == id);
    Ok(publication.ok_or(INVALID_ARTICLE_ID)?.content(true, &state.media))
}

/// `POST /cgi-bin/freepublish/batchget`: what was published last comes first.
pub(super) fn batchget(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let number = |name: &str| context.body.get(name).and_then(Value::as_u64).ok_or(INVALID_ARGS);
    let (offset, count) = (number("offset")?, number("count")?);
    if !(1..=MAX_BATCH).contains(&count) {
        return Err(INVALID_ARGS.into());
    }
    let with_content = flag(&context.body, "no_content")? == 0;
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let all: Vec<&Publication> = state.publications.public(context.now).collect();
    let page = all.iter().skip(offset).zip(0..count).map(|(one, _)| {
        json!({
            "article_id": one.article_id,
            "content": one.content(with_content, &state.media),
            "update_time": one.submitted.as_second() + PUBLISHING,
        })
    });
    let page: Vec<Value> = page.collect();
    Ok(json!({"total_count": all.len(), "item_count": page.len(), "item": page}))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, PREVIEW, SENDALL, to_tag, with};
    use super::*;

    fn added(bench: &mut Bench, titles: &[&str]) -> String {
        let article =
            |title: &&str| json!({"title": title, "content": format!("<p>{title}</p>"), "thumb_media_id": "I"});
        let articles: Vec<Value> = titles.iter().map(article).collect();
        let reply = bench.post("/cgi-bin/draft/add", &json!({"articles": articles}));
        reply["media_id"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    fn submitted(bench: &mut Bench, draft: &str) -> Value {
        let reply = bench.post(SUBMIT, &json!({"media_id": draft}));
        assert_eq!(reply["errcode"], 0, "{reply}");
        reply["publish_id"].clone()
    }

    #[test]
    fn a_draft_is_published_and_gone() {
        let mut bench = Bench::service();
        let draft = added(&mut bench, &["春茶", "夏茶"]);
        let id = submitted(&mut bench, &draft);
        assert_eq!(id, "100000001");
        let ask = json!({"publish_id": id});
        assert_eq!(bench.post(GET, &ask), json!({"publish_id": id, "publish_status": 1, "fail_idx": []}));
        assert_eq!(bench.post(BATCHGET, &json!({"offset": 0, "count": 1}))["total_count"], 0);
        bench.wait(10);
        let done = bench.post(GET, &ask);
        assert_eq!((&done["publish_status"], &done["fail_idx"]), (&json!(0), &json!([])));
        assert_eq!(done["article_detail"]["count"], 2);
        let urls: Vec<&str> = done["article_detail"]["item"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|item| item["article_url"].as_str())
            .collect();
        assert!(urls.len() == 2 && urls.iter().all(|url| url.starts_with("http://mp.weixin.qq.com/s/")), "{urls:?}");
        // The draft is used up, for everything.
        assert_eq!(bench.code("/cgi-bin/draft/get", &json!({"media_id": draft})), 40007);
        assert_eq!(bench.code(SUBMIT, &json!({"media_id": draft})), 40007);
        let message = json!({"msgtype": "mpnews", "mpnews": {"media_id": draft}, "text": null, "clientmsgid": "a"});
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &message)), 40007);
        let person = json!({"filter": null, "touser": "oSandboxFollower000000000001"});
        assert_eq!(bench.code(PREVIEW, &with(with(to_tag(), &message), &person)), 40007);
        // What was published is read, newest first.
        let other = added(&mut bench, &["秋茶"]);
        submitted(&mut bench, &other);
        bench.wait(10);
        let list = bench.post(BATCHGET, &json!({"offset": 0, "count": 20, "no_content": 1}));
        assert_eq!(
            (&list["total_count"], &list["item"][0]["content"]["news_item"][0]["title"]),
            (&json!(2), &json!("秋茶"))
        );
        assert!(list["item"][0]["content"]["news_item"][0].get("content").is_none());
        let article = json!({"article_id": done["article_id"]});
        let news = &bench.post(GETARTICLE, &article)["news_item"];
        assert_eq!(
            (&news[1]["url"], &news[1]["is_deleted"], &news[1]["content"]),
            (&json!(urls[1]), &json!(false), &json!("<p>夏茶</p>"))
        );
        assert_eq!(
            bench.post(BATCHGET, &json!({"offset": 1, "count": 1}))["item"][0]["article_id"],
            done["article_id"]
        );
        // Nobody was told.
        assert!(bench.state.deliveries.iter().all(|one| one.kind == DeliveryKind::Published && one.recipients == 0));
    }

    #[test]
    fn no_name_is_taken_for_another() {
        let mut bench = Bench::service();
        let draft = added(&mut bench, &["春茶"]);
        let id = submitted(&mut bench, &draft);
        bench.wait(10);
        let article = bench.post(GET, &json!({"publish_id": id}))["article_id"].clone();
        for wrong in [article.clone(), json!(draft), json!("1"), json!(100_000_001), json!(null)] {
            assert_eq!(bench.code(GET, &json!({"publish_id": wrong})), 40002, "{wrong}");
        }
        assert_eq!(bench.code(GET, &json!({})), 40002);
        for wrong in [id.clone(), json!(draft), json!("")] {
            assert_eq!(bench.code(DELETE, &json!({"article_id": wrong})), 53600, "{wrong}");
            assert_eq!(bench.code(GETARTICLE, &json!({"article_id": wrong})), 53600, "{wrong}");
        }
        for path in [DELETE, GETARTICLE] {
            assert_eq!((bench.code(path, &json!({"article_id": 1})), bench.code(path, &json!({}))), (47001, 40035));
        }
        for wrong in [article, id, json!("I")] {
            assert_eq!(bench.code(SUBMIT, &json!({"media_id": wrong})), 40007, "{wrong}");
        }
        assert_eq!((bench.code(SUBMIT, &json!({"media_id": 1})), bench.code(SUBMIT, &json!({}))), (40007, 41006));
        for wrong in [json!({"offset": 0, "count": 21}), json!({"offset": 0, "count": 0}), json!({"count": 1})] {
            assert_eq!(bench.code(BATCHGET, &wrong), 40035, "{wrong}");
        }
    }

    #[test]
    fn articles_are_taken_back() {
        let mut bench = Bench::service();
        let draft = added(&mut bench, &["a", "b", "c"]);
        let id = submitted(&mut bench, &draft);
        bench.wait(10);
        let article = bench.post(GET, &json!({"publish_id": id}))["article_id"].clone();
        let mut delete = |body: Value| bench.code(DELETE, &with(json!({"article_id": article}), &body));
        assert_eq!(delete(json!({"index": 4})), 40114);
        assert_eq!(delete(json!({"index": "1"})), 40114);
        assert_eq!(delete(json!({"index": 2})), 0);
        assert_eq!(delete(json!({"index": 2})), 40114);
        assert_eq!(bench.post(GETARTICLE, &json!({"article_id": article}))["news_item"][1]["is_deleted"], true);
        assert_eq!(bench.post(GET, &json!({"publish_id": id}))["publish_status"], 0);
        // Without a number all that are left.
        assert_eq!(bench.code(DELETE, &json!({"article_id": article})), 0);
        assert_eq!(bench.state.deliveries.last().map(|last| last.titles.join(",")).as_deref(), Some("a,c"));
        assert_eq!(bench.post(GET, &json!({"publish_id": id}))["publish_status"], 5);
        assert_eq!(bench.code(GETARTICLE, &json!({"article_id": article})), 53600);
        assert_eq!(bench.code(DELETE, &json!({"article_id": article})), 53600);
    }

    #[test]
    fn a_publication_can_be_made_to_fail() {
        for (mark, status) in FAILURES {
            let mut bench = Bench::service();
            let draft = added(&mut bench, &["春茶", mark]);
            let id = submitted(&mut bench, &draft);
            assert_eq!(bench.code("/cgi-bin/draft/get", &json!({"media_id": draft})), 40007);
            bench.wait(10);
            let reply = bench.post(GET, &json!({"publish_id": id}));
            assert_eq!(reply, json!({"publish_id": id, "publish_status": status, "fail_idx": [2]}));
            assert_eq!(bench.code("/cgi-bin/draft/get", &json!({"media_id": draft})), 0);
            assert_eq!(bench.post(BATCHGET, &json!({"offset": 0, "count": 1}))["total_count"], 0);
        }
    }

    #[test]
    fn publishing_has_limits_of_a_day() {
        let mut bench = Bench::service();
        for path in [SUBMIT, GET, GETARTICLE, BATCHGET, DELETE] {
            let quota = bench.post("/cgi-bin/openapi/quota/get", &json!({"cgi_path": path}));
            assert_eq!(quota["quota"]["daily_limit"], if path == DELETE { 10 } else { 100 }, "{path}");
        }
        for number in 0..100 {
            let draft = added(&mut bench, &[&number.to_string()]);
            submitted(&mut bench, &draft);
        }
        let draft = added(&mut bench, &["x"]);
        assert_eq!(bench.code(SUBMIT, &json!({"media_id": draft})), 45009);
        bench.wait_days(1);
        submitted(&mut bench, &draft);
    }
}
