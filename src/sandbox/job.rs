//! What became of a send: status, deletion, and the speed of sending.
//!
//! Sources: [get](https://developers.weixin.qq.com/doc/service/api/notify/message/api_massmsgget),
//! [delete](https://developers.weixin.qq.com/doc/service/api/notify/message/api_deletemassmsg),
//! [speed/get](https://developers.weixin.qq.com/doc/service/api/notify/message/api_getspeed.md),
//! [speed/set](https://developers.weixin.qq.com/doc/subscription/api/notify/message/api_setspeed).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::calendar::{day, within};
use super::errcode::{
    INVALID_ARTICLE_IDX, INVALID_MESSAGE_TYPE, INVALID_MSG_ID, INVALID_MSG_STATUS, MISSING_SPEED, Refusal,
    SPEED_OUT_OF_RANGE,
};
use super::exchange::Context;
use super::issue::Issue;
use super::{Delivery, DeliveryKind};

/// Beyond what fits in 32 bits with a sign, as real ids are.
const FIRST_MSG_ID: u64 = 3_147_483_649;
/// Recipients a minute by speed, in units of 10 000.
const REAL_SPEED: [u64; 5] = [80, 60, 45, 30, 10];

/// How a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Sent,
    Failed,
    /// It was withdrawn, or nobody was left to send it to.
    Deleted,
}

pub(super) struct Job {
    accepted: Timestamp,
    msg_id: u64,
    /// The article: jobs that share it are deleted together.
    msg_data_id: Option<u64>,
    outcome: Outcome,
    /// Articles that were deleted, from 1.
    gone: BTreeSet<usize>,
    /// What readers saw.
    pub(crate) delivery: Delivery,
}

impl Job {
    /// A job that has just been accepted; its links are added to `delivery`.
    pub(super) fn new(
        accepted: Timestamp,
        msg_id: u64,
        msg_data_id: Option<u64>,
        outcome: Outcome,
        mut delivery: Delivery,
    ) -> Self {
        if is_page(&delivery.msgtype) {
            // A video has one page and no title.
            let pages = delivery.titles.len().max(1);
            delivery.urls = (1..=pages).map(|index| url(msg_data_id.unwrap_or(msg_id), index)).collect();
        }
        Job { accepted, msg_id, msg_data_id, outcome, gone: BTreeSet::new(), delivery }
    }

    fn status(&self, now: Timestamp, sending: i64) -> &'static str {
        if within(sending, self.accepted, now) {
            return "SENDING";
        }
        match self.outcome {
            Outcome::Sent => "SEND_SUCCESS",
            Outcome::Failed => "SEND_FAIL",
            Outcome::Deleted => "DELETE",
        }
    }

    fn is_same_page(&self, other: &Job) -> bool {
        self.msg_id == other.msg_id || (self.msg_data_id.is_some() && self.msg_data_id == other.msg_data_id)
    }
}

/// Articles and videos have a page of their own, which can be withdrawn. The rest is in the readers' hands.
fn is_page(msgtype: &str) -> bool {
    matches!(msgtype, "mpnews" | "mpvideo")
}

fn url(page: u64, index: usize) -> String {
    let digest = Sha256::digest(format!("{page}/{index}"));
    let name: String = digest.iter().take(11).map(|byte| format!("{byte:02x}")).collect();
    format!("http://mp.weixin.qq.com/s/{name}")
}

/// All jobs of the account.
pub(super) struct Jobs {
    list: Vec<Job>,
    next_id: u64,
    speed: usize,
    /// How many seconds a job is on its way.
    sending: i64,
}

impl Jobs {
    pub(super) fn new(sending: i64) -> Self {
        Jobs { list: Vec::new(), next_id: FIRST_MSG_ID, speed: 0, sending }
    }

    /// A fresh `msg_id`.
    pub(super) fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(super) fn push(&mut self, job: Job) {
        self.list.push(job);
    }

    /// `POST /cgi-bin/message/mass/get`
    pub(super) fn get(&self, context: &Context) -> Result<Value, Refusal> {
        let id = match context.body.get("msg_id") {
            Some(Value::Number(id)) => id.as_u64(),
            Some(Value::String(id)) => id.parse().ok(),
            _ => None,
        };
        let job = self.find(|job| Some(job.msg_id) == id)?;
        Ok(json!({"msg_id": job.msg_id, "msg_status": job.status(context.now, self.sending)}))
    }

    /// `POST /cgi-bin/message/mass/delete`
    pub(super) fn delete(&mut self, context: &Context, deliveries: &mut Vec<Delivery>) -> Result<Value, Refusal> {
        let body = &context.body;
        let (job, article) = match (body.get("msg_id"), body.get("url")) {
            (Some(id), _) => {
                let id = id.as_u64().ok_or(INVALID_MESSAGE_TYPE)?;
                (self.find(|job| job.msg_id == id)?, body.get("article_idx").map(Value::as_u64))
            }
            // With a link, the article is given by the link.
            (None, Some(Value::String(url))) => {
                let job = self.find(|job| job.delivery.urls.contains(url))?;
                (job, Some(job.delivery.urls.iter().position(|known| known == url).map(|at| at as u64 + 1)))
            }
            (None, Some(_)) => return Err(INVALID_MESSAGE_TYPE.into()),
            (None, None) => return Err(INVALID_MSG_ID.into()),
        };
        if !is_page(&job.delivery.msgtype) || job.status(context.now, self.sending) != "SEND_SUCCESS" {
            return Err(INVALID_MSG_STATUS.into());
        }
        // From 1; no number, and 0, mean all that are left.
        let pages = job.delivery.urls.len();
        let wanted = match article.map(|index| index.and_then(|index| usize::try_from(index).ok())) {
            None | Some(Some(0)) => (1..=pages).filter(|index| !job.gone.contains(index)).collect::<Vec<_>>(),
            Some(Some(index)) if job.gone.contains(&index) => return Err(INVALID_MSG_STATUS.into()),
            Some(Some(index)) if index <= pages => vec![index],
            Some(_) => return Err(INVALID_ARTICLE_IDX.into()),
        };
        // Deleting one send of an article kills them all, the ones still on their way included.
        let doomed: Vec<bool> = self.list.iter().map(|other| other.is_same_page(job)).collect();
        let doomed = self.list.iter_mut().zip(doomed).filter(|(_, doomed)| *doomed);
        for (job, _) in doomed.filter(|(job, _)| job.outcome == Outcome::Sent) {
            job.gone.extend(&wanted);
            if job.gone.len() == pages {
                job.outcome = Outcome::Deleted;
            }
            let only = |all: &[String]| wanted.iter().filter_map(|index| all.get(index - 1).cloned()).collect();
            let (titles, urls) = (only(&job.delivery.titles), only(&job.delivery.urls));
            let delivery = job.delivery.clone();
            deliveries.push(Delivery { at: context.now, kind: DeliveryKind::Deleted, titles, urls, ..delivery });
        }
        Ok(json!({"errcode": 0, "errmsg": "ok"}))
    }

    /// `POST /cgi-bin/message/mass/speed/get`
    pub(super) fn speed_get(&self) -> Result<Value, Refusal> {
        let speed = self.speed;
        Ok(json!({"speed": speed, "realspeed": REAL_SPEED[speed]}))
    }

    /// `POST /cgi-bin/message/mass/speed/set`
    pub(super) fn speed_set(&mut self, context: &Context) -> Result<Value, Refusal> {
        let speed = context.body.get("speed").ok_or(MISSING_SPEED)?;
        let speed = speed.as_u64().and_then(|speed| usize::try_from(speed).ok());
        self.speed = speed.filter(|speed| *speed < REAL_SPEED.len()).ok_or(SPEED_OUT_OF_RANGE)?;
        Ok(json!({"errcode": 0, "errmsg": ""}))
    }

    /// The articles that were sent on a day and reached somebody, whatever became of them later.
    pub(super) fn issues(&self, on: Date) -> impl Iterator<Item = Issue> {
        let sent = move |job: &&Job| {
            job.delivery.msgtype == "mpnews" && job.delivery.recipients > 0 && day(job.accepted) == on
        };
        self.list.iter().filter(sent).filter_map(|job| {
            let Delivery { recipients, titles, urls, .. } = job.delivery.clone();
            Some(Issue { data_id: job.msg_data_id?, recipients, is_pushed: true, titles, urls })
        })
    }

    fn find(&self, wanted: impl Fn(&Job) -> bool) -> Result<&Job, Refusal> {
        self.list.iter().find(|job| wanted(job)).ok_or(INVALID_MSG_ID.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, PREVIEW, SENDALL, to_tag, with};
    use super::*;

    const GET: &str = "/cgi-bin/message/mass/get";
    const DELETE: &str = "/cgi-bin/message/mass/delete";
    const SPEED_GET: &str = "/cgi-bin/message/mass/speed/get";
    const SPEED_SET: &str = "/cgi-bin/message/mass/speed/set";

    fn send(bench: &mut Bench, msgtype: &str, media_id: &str, clientmsgid: &str) -> Value {
        let message = json!({
            "text": null, "msgtype": msgtype, msgtype: {"media_id": media_id}, "clientmsgid": clientmsgid,
        });
        let reply = bench.post(SENDALL, &with(to_tag(), &message));
        assert_eq!(reply["errcode"], 0);
        reply
    }

    #[test]
    fn articles_are_deleted_one_by_one() {
        let mut bench = Bench::service();
        let article = |title: &str| json!({"title": title, "content": "x", "thumb_media_id": "I"});
        let articles = ["a", "b", "c"].map(article);
        let draft = bench.post("/cgi-bin/draft/add", &json!({"articles": articles}));
        let sent = send(&mut bench, "mpnews", draft["media_id"].as_str().expect("a draft"), "a");
        bench.wait(20);
        let mut delete = |index: u64| {
            let code = bench.code(DELETE, &json!({"msg_id": sent["msg_id"], "article_idx": index}));
            (
                code,
                bench.status(&sent),
                bench.state.deliveries.last().map(|last| last.titles.join(",")).unwrap_or_default(),
            )
        };
        assert_eq!(delete(4), (40060, "SEND_SUCCESS".into(), "a,b,c".into()));
        assert_eq!(delete(2), (0, "SEND_SUCCESS".into(), "b".into()));
        assert_eq!(delete(2), (40065, "SEND_SUCCESS".into(), "b".into()));
        assert_eq!(delete(0), (0, "DELETE".into(), "a,c".into()));
        assert_eq!(delete(1), (40065, "DELETE".into(), "a,c".into()));
    }

    #[test]
    fn a_job_takes_twenty_seconds() {
        let mut bench = Bench::service();
        let sent = bench.send_text("x", "a");
        let fails = bench.send_text("x [[sandbox:fail]]", "b");
        bench.wait(19);
        assert_eq!((bench.status(&sent), bench.status(&fails)), ("SENDING".into(), "SENDING".into()));
        bench.wait(1);
        assert_eq!((bench.status(&sent), bench.status(&fails)), ("SEND_SUCCESS".into(), "SEND_FAIL".into()));
        assert_eq!(bench.state.deliveries.len(), 1);
    }

    #[test]
    fn jobs_are_found_by_number_or_text() {
        let mut bench = Bench::service();
        let id = bench.send_text("x", "a")["msg_id"].as_u64().expect("a number");
        let expected = json!({"msg_id": id, "msg_status": "SENDING"});
        assert_eq!(bench.post(GET, &json!({"msg_id": id})), expected);
        assert_eq!(bench.post(GET, &json!({"msg_id": id.to_string()})), expected);
        let preview = json!({"touser": "oSandboxFollower", "msgtype": "text", "text": {"content": "x"}});
        let previewed = bench.post(PREVIEW, &preview)["msg_id"].clone();
        for unknown in [json!(1), json!("x"), json!([id]), previewed] {
            assert_eq!(bench.code(GET, &json!({"msg_id": unknown})), 40059);
        }
        assert_eq!(bench.code(GET, &json!({})), 40059);
    }

    #[test]
    fn articles_and_videos_can_be_deleted_once_sent() {
        let mut bench = Bench::service();
        let article = send(&mut bench, "mpnews", "D", "a");
        let video = send(&mut bench, "mpvideo", "M", "b");
        assert_eq!(bench.code(DELETE, &json!({"msg_id": article["msg_id"]})), 40065);
        bench.wait(20);
        assert_eq!(bench.code(DELETE, &json!({"msg_id": article["msg_id"], "article_idx": 1})), 0);
        assert_eq!(bench.code(DELETE, &json!({"msg_id": video["msg_id"], "article_idx": 0})), 0);
        assert_eq!((bench.status(&article), bench.status(&video)), ("DELETE".into(), "DELETE".into()));
        assert_eq!(bench.code(DELETE, &json!({"msg_id": video["msg_id"]})), 40065);
        let deleted = bench.state.deliveries.iter().filter(|delivery| delivery.kind == DeliveryKind::Deleted);
        let ids: Vec<_> = deleted.map(|delivery| delivery.msg_id).collect();
        assert_eq!(ids, [article["msg_id"].as_u64(), video["msg_id"].as_u64()]);
    }

    #[test]
    fn what_is_no_page_stays() {
        let mut bench = Bench::service();
        let text = bench.send_text("x", "a");
        let image = send(&mut bench, "image", "I", "b");
        let voice = send(&mut bench, "voice", "V", "c");
        bench.wait(20);
        for job in [text, image, voice] {
            assert_eq!(bench.code(DELETE, &json!({"msg_id": job["msg_id"]})), 40065);
        }
    }

    #[test]
    fn deletions_are_checked() {
        let mut bench = Bench::service();
        let id = send(&mut bench, "mpnews", "D", "a")["msg_id"].clone();
        bench.wait(20);
        assert_eq!(bench.code(DELETE, &json!({})), 40059);
        assert_eq!(bench.code(DELETE, &json!({"msg_id": 1})), 40059);
        assert_eq!(bench.code(DELETE, &json!({"msg_id": id.to_string()})), 40008);
        assert_eq!(bench.code(DELETE, &json!({"url": 1})), 40008);
        assert_eq!(bench.code(DELETE, &json!({"url": "http://mp.weixin.qq.com/s/x"})), 40059);
        for index in [json!(2), json!(-1), json!("1")] {
            assert_eq!(bench.code(DELETE, &json!({"msg_id": id, "article_idx": index})), 40060);
        }
        // The number counts where both are given.
        let url = bench.state.deliveries[0].urls[0].clone();
        assert_eq!(bench.code(DELETE, &json!({"msg_id": 1, "url": url})), 40059);
        assert_eq!(bench.code(DELETE, &json!({"url": url})), 0);
    }

    #[test]
    fn an_article_sent_twice_dies_at_once() {
        let mut bench = Bench::service();
        let first = send(&mut bench, "mpnews", "D", "a");
        let second = send(&mut bench, "mpnews", "D", "b");
        bench.wait(20);
        assert_eq!(bench.code(DELETE, &json!({"msg_id": second["msg_id"]})), 0);
        assert_eq!((bench.status(&first), bench.status(&second)), ("DELETE".into(), "DELETE".into()));
    }

    #[test]
    fn ten_deletions_a_day() {
        let mut bench = Bench::service();
        let mut delete = |name: &str| {
            let job = send(&mut bench, "mpvideo", "M", name);
            bench.wait(20);
            bench.code(DELETE, &json!({"msg_id": job["msg_id"]}))
        };
        for index in 0..10 {
            assert_eq!(delete(&index.to_string()), 0);
        }
        assert_eq!(delete("last"), 45009);
    }

    #[test]
    fn speed_has_five_steps() {
        let mut bench = Bench::service();
        assert_eq!(bench.call("POST", SPEED_GET, b""), json!({"speed": 0, "realspeed": 80}));
        assert_eq!(bench.post(SPEED_SET, &json!({"speed": 4})), json!({"errcode": 0, "errmsg": ""}));
        assert_eq!(bench.post(SPEED_GET, &json!({"speed": 1})), json!({"speed": 4, "realspeed": 10}));
        for wrong in [json!(5), json!(-1), json!("1"), json!(1.5)] {
            assert_eq!(bench.code(SPEED_SET, &json!({"speed": wrong})), 45083);
        }
        assert_eq!(bench.code(SPEED_SET, &json!({})), 45084);
        assert_eq!(bench.call("POST", SPEED_GET, b"{")["errcode"], 47001);
    }
}
