//! Statistics of articles and followers: made up, the same for the same sends, and growing over the days.
//!
//! A day is ready at 08:00 of the next day in China. An article has rows for 30 days from the day on which it was sent or
//! published; a day before the statistics began has none.
//!
//! Sources: [getarticletotaldetail](https://developers.weixin.qq.com/doc/service/api/wedata/news/api_getarticletotaldetail.html),
//! [getusersummary](https://developers.weixin.qq.com/doc/service/api/wedata/user/api_getusersummary.html).

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::calendar::day;
use super::errcode::{DATA_NOT_READY, DATE_FORMAT, DATE_RANGE, Refusal};
use super::exchange::Context;
use super::issue::Issue;
use super::state::State;

pub(super) const ARTICLES: &str = "/datacube/getarticletotaldetail";
pub(super) const FOLLOWERS: &str = "/datacube/getusersummary";

/// How many days an article has rows for, the first included.
const ARTICLE_DAYS: i64 = 30;
/// The first day of the statistics of articles.
const FIRST_DAY: Date = jiff::civil::date(2025, 11, 1);
/// From midnight until the day before is ready.
const READY_AFTER: SignedDuration = SignedDuration::from_hours(8);
/// Days that one question about followers may span.
const FOLLOWER_DAYS: i32 = 7;

/// What time it is for the statistics.
fn time(state: &State, context: &Context) -> Timestamp {
    let ahead = SignedDuration::from_hours(24 * i64::from(state.statistics_days));
    context.now.saturating_add(ahead).unwrap_or(context.now)
}

/// The last day whose data is ready.
fn last_ready(now: Timestamp) -> Date {
    let since = now.checked_sub(READY_AFTER).unwrap_or(Timestamp::MIN);
    day(since).yesterday().unwrap_or(Date::MIN)
}

fn date(body: &Value, name: &str) -> Result<Date, Refusal> {
    let text = body.get(name).and_then(Value::as_str).ok_or(DATE_FORMAT)?;
    let date: Date = text.parse().map_err(|_| DATE_FORMAT)?;
    // A date of ISO 8601 has other forms too.
    if date.to_string() == text { Ok(date) } else { Err(DATE_FORMAT.into()) }
}

/// First and last day that are asked for.
fn days(context: &Context, now: Timestamp, most: i32) -> Result<(Date, Date), Refusal> {
    let (begin, end) = (date(&context.body, "begin_date")?, date(&context.body, "end_date")?);
    let span = (end - begin).get_days();
    if !(0..most).contains(&span) || end >= day(now) {
        return Err(DATE_RANGE.into());
    }
    if end > last_ready(now) { Err(DATA_NOT_READY.into()) } else { Ok((begin, end)) }
}

/// A number that only this text has.
fn chance(text: &str, below: u64) -> u64 {
    let digest = Sha256::digest(text);
    digest.iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte)) % below
}

/// What is there of a total after so many days: more than half on the first, then ever less.
fn grown(total: u64, days: i64) -> u64 {
    total - (total * 2 / 5).checked_shr(u32::try_from(days).unwrap_or(u32::MAX)).unwrap_or(0)
}

/// `POST /datacube/getarticletotaldetail`
pub(super) fn articles(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let now = time(state, context);
    let (on, _) = days(context, now, 1)?;
    let ready = last_ready(now);
    let mut issues: BTreeMap<u64, Issue> = BTreeMap::new();
    if on >= FIRST_DAY {
        for issue in state.jobs.issues(on).chain(state.publications.issues(on)) {
            // A draft that was sent in several calls is one page.
            issues.entry(issue.data_id).and_modify(|one| one.recipients += issue.recipients).or_insert(issue);
        }
    }
    let rows = issues.values().flat_map(|issue| (0..issue.titles.len()).map(|at| row(issue, at, on, ready)));
    Ok(json!({"list": rows.collect::<Vec<_>>(), "is_delay": false}))
}

fn row(issue: &Issue, at: usize, on: Date, ready: Date) -> Value {
    let msgid = format!("{}_{}", issue.data_id, at + 1);
    // Of several articles the later ones are read less.
    let share = (8 + chance(&msgid, 12)) / (at as u64 + 1);
    let readers = if issue.is_pushed { (issue.recipients * share).div_ceil(100) } else { 20 + chance(&msgid, 60) };
    let stat = |past: i64| -> Option<Value> {
        let stat_date = on.checked_add(past.days()).ok().filter(|date| *date <= ready)?;
        Some(detail(issue, &msgid, stat_date, grown(readers, past)))
    };
    let url = issue.urls.get(at).map_or("", String::as_str);
    json!({
        "ref_date": on.to_string(),
        "msgid": msgid,
        "publish_type": u8::from(!issue.is_pushed),
        "title": issue.titles[at],
        "content_url": url,
        "detail_list": (0..ARTICLE_DAYS).map_while(stat).collect::<Vec<_>>(),
    })
}

fn detail(issue: &Issue, msgid: &str, stat_date: Date, readers: u64) -> Value {
    let of = |percent: u64| readers * percent / 100;
    let pushed = if issue.is_pushed { of(60) } else { 0 };
    let known = [
        ("公众号消息", pushed),
        ("聊天会话", of(12)),
        ("朋友圈", of(14)),
        ("公众号主页", of(4)),
        ("推荐", of(5)),
        ("搜一搜", of(2)),
    ];
    let rest = readers - known.iter().map(|(_, count)| count).sum::<u64>();
    let scenes = [("全部", readers)].into_iter().chain(known).chain([("其他", rest)]);
    let scenes: Vec<Value> = scenes.map(|(scene, count)| json!({"user_count": count, "scene_desc": scene})).collect();
    let finish = 40 + chance(msgid, 40);
    json!({
        "stat_date": stat_date.to_string(),
        "read_user": readers,
        "read_user_source": scenes,
        "share_user": of(6),
        "zaikan_user": of(3),
        "like_user": of(4),
        "comment_count": of(1),
        "collection_user": of(2),
        "praise_money": of(1) * 100,
        "read_subscribe_user": of(2),
        "read_delivery_rate": ratio(pushed, issue.recipients),
        "read_finish_rate": ratio(finish, 100),
        "read_avg_activetime": 20 + chance(msgid, 70),
        "read_jump_position": [
            {"position": 1, "rate": ratio((100 - finish) / 2, 100)},
            {"position": 2, "rate": ratio((100 - finish).div_ceil(2), 100)},
        ],
    })
}

/// A share of a whole with four places.
#[expect(clippy::cast_precision_loss, reason = "at most 10 000")]
fn ratio(part: u64, whole: u64) -> f64 {
    (part * 10_000).checked_div(whole).unwrap_or(0) as f64 / 10_000.0
}

/// `POST /datacube/getusersummary`: a row a day.
pub(super) fn followers(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let (begin, end) = days(context, time(state, context), FOLLOWER_DAYS)?;
    let all = state.directory.followers();
    let rows = begin.series(1.day()).take_while(|date| *date <= end).map(|date| {
        // Who was sent something may leave.
        let pushed: u64 = state.jobs.issues(date).map(|issue| issue.recipients).sum();
        let (came, gone) =
            (chance(&format!("new {date}"), 2 + all / 200), chance(&format!("gone {date}"), 1 + all / 500));
        json!({"ref_date": date.to_string(), "user_source": 0, "new_user": came, "cancel_user": gone + pushed / 400})
    });
    Ok(json!({"list": rows.collect::<Vec<_>>()}))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, SENDALL, to_all, to_tag, with};
    use super::*;

    fn ask(begin: &str, end: &str) -> Value {
        json!({"begin_date": begin, "end_date": end})
    }

    fn send(bench: &mut Bench, target: Value, draft: &str, name: &str) -> Value {
        let message = json!({"msgtype": "mpnews", "mpnews": {"media_id": draft}, "text": null, "clientmsgid": name, "send_ignore_reprint": 0});
        let reply = bench.post(SENDALL, &with(target, &message));
        assert_eq!(reply["errcode"], 0, "{reply}");
        reply
    }

    #[test]
    fn days_are_checked() {
        let mut bench = Bench::service();
        for path in [ARTICLES, FOLLOWERS] {
            for wrong in [
                json!({}),
                json!({"begin_date": "2026-11-09"}),
                ask("20261109", "20261109"),
                ask("2026-11-31", "2026-11-31"),
            ] {
                assert_eq!(bench.code(path, &wrong), 61500, "{path} {wrong}");
            }
            assert_eq!(bench.code(path, &json!({"begin_date": 1, "end_date": "2026-11-09"})), 61500);
            assert_eq!(bench.code(path, &ask("2026-11-10", "2026-11-10")), 61501, "today");
            assert_eq!(bench.code(path, &ask("2026-11-09", "2026-11-08")), 61501, "backwards");
            assert_eq!(bench.code(path, &ask("2026-11-09", "2026-11-09")), 0);
        }
        assert_eq!(bench.code(ARTICLES, &ask("2026-11-08", "2026-11-09")), 61501, "one day");
        assert_eq!(bench.code(FOLLOWERS, &ask("2026-11-03", "2026-11-09")), 0);
        assert_eq!(bench.code(FOLLOWERS, &ask("2026-11-02", "2026-11-09")), 61501, "a week");
    }

    #[test]
    fn a_day_is_ready_at_eight_of_the_next() {
        let mut bench = Bench::service();
        bench.now = "2026-11-10T07:59:59+08:00".parse().expect("a time stamp");
        for path in [ARTICLES, FOLLOWERS] {
            assert_eq!(bench.code(path, &ask("2026-11-09", "2026-11-09")), 61503, "{path}");
            assert_eq!(bench.code(path, &ask("2026-11-08", "2026-11-08")), 0, "{path}");
        }
        bench.wait(1);
        assert_eq!(bench.code(ARTICLES, &ask("2026-11-09", "2026-11-09")), 0);
    }

    #[test]
    fn readers_grow_and_fit_the_sends() {
        let mut bench = Bench::service();
        let sent = send(&mut bench, to_all(), "D", "a");
        send(&mut bench, to_tag(), "D", "b");
        bench.send_text("no page", "c");
        let fails = bench.post(
            "/cgi-bin/draft/add",
            &json!({"articles": [{"title": "[[sandbox:fail]]", "content": "x", "thumb_media_id": "I"}]}),
        );
        send(&mut bench, to_tag(), fails["media_id"].as_str().expect("a draft"), "d");
        bench.wait_days(3);
        let reply = bench.post(ARTICLES, &ask("2026-11-10", "2026-11-10"));
        let rows = reply["list"].as_array().expect("a list");
        assert_eq!((rows.len(), &reply["is_delay"]), (1, &json!(false)), "{reply}");
        let (row, days) = (&rows[0], rows[0]["detail_list"].as_array().expect("a list"));
        assert_eq!(row["msgid"], format!("{}_1", sent["msg_data_id"]));
        assert_eq!((&row["publish_type"], &row["title"], days.len()), (&json!(0), &json!("D"), 3));
        let readers: Vec<u64> = days.iter().filter_map(|day| day["read_user"].as_u64()).collect();
        assert!(readers.is_sorted() && readers[0] < readers[2] && readers[2] <= 1030, "{readers:?}");
        let scenes = days[2]["read_user_source"].as_array().expect("a list");
        let counts: Vec<u64> = scenes.iter().filter_map(|scene| scene["user_count"].as_u64()).collect();
        assert_eq!((counts[0], counts[0]), (readers[2], counts[1..].iter().sum()));
        assert_eq!(reply, bench.post(ARTICLES, &ask("2026-11-10", "2026-11-10")), "the same again");
        assert_eq!(bench.post(ARTICLES, &ask("2026-11-11", "2026-11-11"))["list"], json!([]));
        bench.wait_days(60);
        let reply = bench.post(ARTICLES, &ask("2026-11-10", "2026-11-10"));
        assert_eq!(reply["list"][0]["detail_list"].as_array().map(Vec::len), Some(30));
    }

    #[test]
    fn statistics_may_be_ahead_of_the_time() {
        let mut bench = Bench::with(super::super::Config { statistics_days: 2, ..super::super::Config::default() });
        bench.now = "2026-11-10T12:00:00+08:00".parse().expect("a time stamp");
        assert_eq!(bench.code(ARTICLES, &ask("2026-11-11", "2026-11-11")), 0);
        assert_eq!(bench.code(ARTICLES, &ask("2026-11-12", "2026-11-12")), 61501);
    }

    #[test]
    fn what_was_published_is_marked() {
        let mut bench = Bench::service();
        assert_eq!(bench.code("/cgi-bin/freepublish/submit", &json!({"media_id": "D"})), 0);
        bench.wait_days(1);
        let row = bench.post(ARTICLES, &ask("2026-11-10", "2026-11-10"))["list"][0].clone();
        assert_eq!((&row["publish_type"], &row["title"]), (&json!(1), &json!("D")));
        assert!(row["content_url"].as_str().is_some_and(|url| url.starts_with("http://mp.weixin.qq.com/s/")), "{row}");
        assert_eq!(row["detail_list"][0]["read_user_source"][1], json!({"user_count": 0, "scene_desc": "公众号消息"}));
    }

    #[test]
    fn followers_have_a_row_a_day() {
        let mut bench = Bench::service();
        let reply = bench.post(FOLLOWERS, &ask("2026-11-03", "2026-11-09"));
        let dates: Vec<&str> =
            reply["list"].as_array().expect("a list").iter().filter_map(|row| row["ref_date"].as_str()).collect();
        assert_eq!((dates.len(), dates[0], dates[6]), (7, "2026-11-03", "2026-11-09"));
    }
}
