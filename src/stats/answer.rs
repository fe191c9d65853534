//! What an answer says. Numbers may be texts, and members may be missing; whatever else is not as documented makes its row
//! unreadable, and that row alone.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::model::{Day, Followers, Stop};
use crate::{
    limits,
    locale::{Phrase, say},
};

/// Most rows of one answer: far more than an account can send in a day.
const ROWS: usize = 2000;
/// Most days, scenes and positions of one row.
const PARTS: usize = 100;
/// WeChat's word for all scenes.
const ALL_SCENES: &str = "全部";

/// A row about an article.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub msgid: Msgid,
    pub date: Date,
    pub notified: bool,
    pub title: String,
    pub url: String,
    /// Each date once, in order.
    pub days: Vec<Day>,
}

/// `<msg_data_id>_<index>`, the index from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Msgid {
    pub data_id: u64,
    pub index: usize,
}

impl Msgid {
    fn parse(text: &str) -> Option<Self> {
        let (data_id, index) = text.split_once('_')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let known = digits(data_id) && digits(index);
        let msgid = known.then_some(Self { data_id: data_id.parse().ok()?, index: index.parse().ok()? })?;
        (msgid.data_id > 0 && msgid.index > 0 && msgid.to_string() == text).then_some(msgid)
    }
}

impl std::fmt::Display for Msgid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.data_id, self.index)
    }
}

/// What one answer gives: the rows that can be read, as they came, and why others cannot.
#[derive(Debug, Default)]
pub struct Answer {
    /// Under what each is kept, and the JSON.
    pub rows: Vec<(String, String)>,
    pub unreadable: Vec<Phrase>,
    /// More is to come.
    pub is_delayed: bool,
}

/// Reads an answer about articles; an error if it has no list at all.
pub fn articles(members: &Map<String, Value>) -> Result<Answer, Phrase> {
    let mut answer = Answer { is_delayed: delayed(members), ..Answer::default() };
    for value in list(members, "list", ROWS)? {
        match row(value) {
            Ok(row) => answer.rows.push((row.msgid.to_string(), value.to_string())),
            Err(why) => answer.unreadable.push(why),
        }
    }
    Ok(answer)
}

/// Reads an answer about the followers of one day: its rows are kept together.
pub fn followers(members: &Map<String, Value>, on: Date) -> Result<Answer, Phrase> {
    let rows = list(members, "list", ROWS)?;
    let mut answer = Answer::default();
    if rows.is_empty() {
        return Ok(answer);
    }
    match followers_of(rows, on) {
        Ok(_) => answer.rows.push((on.to_string(), Value::from(rows.to_vec()).to_string())),
        Err(why) => answer.unreadable.push(why),
    }
    Ok(answer)
}

/// What was kept of an article.
pub fn kept(body: &str) -> Option<Row> {
    row(&serde_json::from_str(body).ok()?).ok()
}

/// What was kept of the followers of a day.
pub fn kept_followers(subject: &str, body: &str) -> Option<Followers> {
    let Ok(Value::Array(rows)) = serde_json::from_str(body) else { return None };
    followers_of(&rows, subject.parse().ok()?).ok()
}

fn delayed(members: &Map<String, Value>) -> bool {
    match members.get("is_delay") {
        Some(Value::Bool(is)) => *is,
        Some(Value::Number(number)) => number.as_i64() != Some(0),
        Some(Value::String(text)) => !matches!(text.as_str(), "" | "0" | "false"),
        _ => false,
    }
}

fn followers_of(rows: &[Value], on: Date) -> Result<Followers, Phrase> {
    let mut sum = Followers { date: on, new: 0, lost: 0 };
    for value in rows {
        let fields = Fields::of(value, &on.to_string())?;
        if fields.date("ref_date")? != on {
            return Err(fields.wrong("ref_date"));
        }
        for (total, name) in [(&mut sum.new, "new_user"), (&mut sum.lost, "cancel_user")] {
            let number = fields.count(name)?.unwrap_or(0);
            *total = total.checked_add(number).ok_or_else(|| fields.wrong(name))?;
        }
    }
    Ok(sum)
}

fn row(value: &Value) -> Result<Row, Phrase> {
    let fields = Fields::of(value, "?")?;
    let name = fields.text("msgid")?;
    let msgid = Msgid::parse(&name).ok_or_else(|| fields.wrong("msgid"))?;
    let fields = Fields { of: name, ..fields };
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    for value in fields.list("detail_list")? {
        let day = day(value, &fields.of)?;
        days.insert(day.date, day);
    }
    Ok(Row {
        msgid,
        date: fields.date("ref_date")?,
        notified: fields.count("publish_type")? != Some(1),
        title: fields.text("title")?,
        url: fields.text("content_url")?,
        days: days.into_values().collect(),
    })
}

fn day(value: &Value, of: &str) -> Result<Day, Phrase> {
    let fields = Fields::of(value, of)?;
    let mut scenes: BTreeMap<String, u64> = BTreeMap::new();
    let mut all = None;
    for value in fields.list("read_user_source")? {
        let scene = Fields::of(value, of)?;
        let (name, users) = (scene.text("scene_desc")?, scene.count("user_count")?.unwrap_or(0));
        if name == ALL_SCENES {
            all = Some(users);
        } else {
            let sum = scenes.entry(name).or_default();
            *sum = sum.checked_add(users).ok_or_else(|| scene.wrong("user_count"))?;
        }
    }
    let stop = |value| {
        let fields = Fields::of(value, of)?;
        Ok(fields.real("position")?.zip(fields.real("rate")?).map(|(position, rate)| Stop { position, rate }))
    };
    let stops = fields.list("read_jump_position")?.iter().map(stop).collect::<Result<Vec<_>, Phrase>>()?;
    Ok(Day {
        date: fields.date("stat_date")?,
        readers: fields.count("read_user")?.or(all),
        scenes,
        shares: fields.count("share_user")?,
        zaikan: fields.count("zaikan_user")?,
        likes: fields.count("like_user")?,
        comments: fields.count("comment_count")?,
        favourites: fields.count("collection_user")?,
        praise_fen: fields.count("praise_money")?,
        follows: fields.count("read_subscribe_user")?,
        delivery_rate: fields.real("read_delivery_rate")?,
        finish_rate: fields.real("read_finish_rate")?,
        average_time: fields.real("read_avg_activetime")?,
        stops: stops.into_iter().flatten().collect(),
    })
}

fn list<'v>(members: &'v Map<String, Value>, name: &str, most: usize) -> Result<&'v [Value], Phrase> {
    match members.get(name) {
        Some(Value::Array(list)) if list.len() <= most => Ok(list),
        _ => Err(say!("the answer has no readable `{name}`", name)),
    }
}

/// The members of a part of an answer.
struct Fields<'v> {
    members: &'v Map<String, Value>,
    /// What it is about, for people.
    of: String,
}

impl<'v> Fields<'v> {
    fn of(value: &'v Value, of: &str) -> Result<Self, Phrase> {
        match value {
            Value::Object(members) => Ok(Self { members, of: of.to_owned() }),
            _ => Err(say!("a row of {what} is not an object", what = of)),
        }
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str) -> Phrase {
        let value = self.members.get(name).map_or_else(|| "null".to_owned(), Value::to_string);
        let shown: String = value.chars().take(40).collect();
        say!("the row {what} has an invalid `{name}`: {value}", what = &self.of, name, value = shown)
    }

    fn text(&self, name: &str) -> Result<String, Phrase> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) if text.len() <= limits::KEPT_BYTES => Ok(text.clone()),
            Some(_) => Err(self.wrong(name)),
        }
    }

    fn date(&self, name: &str) -> Result<Date, Phrase> {
        let text = self.text(name)?;
        let date: Option<Date> = text.parse().ok();
        date.filter(|date| date.to_string() == text).ok_or_else(|| self.wrong(name))
    }

    /// A whole number that fits into what JSON readers can hold exactly.
    fn count(&self, name: &str) -> Result<Option<u64>, Phrase> {
        const MOST: u64 = 1 << 53;
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        number.filter(|number| *number <= MOST).map(Some).ok_or_else(|| self.wrong(name))
    }

    fn real(&self, name: &str) -> Result<Option<f64>, Phrase> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        let number: Option<f64> = number.filter(|number| (0.0..1e12).contains(number));
        number.map(Some).ok_or_else(|| self.wrong(name))
    }

    fn list(&self, name: &str) -> Result<&'v [Value], Phrase> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) if list.len() <= PARTS => Ok(list),
            Some(_) => Err(self.wrong(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Row, String> {
        row(value).map_err(|why| why.to_string())
    }

    #[test]
    fn numbers_may_be_texts_and_members_missing() {
        let row = read(&json!({"ref_date": "2026-03-01", "msgid": "12003_3", "publish_type": "1", "detail_list": [
            {"stat_date": "2026-03-02", "read_user": "12", "read_finish_rate": "0.5"},
            {"stat_date": "2026-03-01", "read_user_source": [{"user_count": 7, "scene_desc": "全部"}, {"user_count": "3", "scene_desc": "推荐"}]},
        ]}))
        .expect("readable");
        assert_eq!((row.msgid, row.notified), (Msgid { data_id: 12003, index: 3 }, false));
        let seen: Vec<_> = row.days.iter().map(|day| (day.date.to_string(), day.readers, day.finish_rate)).collect();
        assert_eq!(seen, [("2026-03-01".into(), Some(7), None), ("2026-03-02".into(), Some(12), Some(0.5))]);
        assert_eq!(row.days[0].scenes, BTreeMap::from([("推荐".to_owned(), 3)]));
    }

    #[test]
    fn a_row_that_is_not_as_documented_is_not_read() {
        let _heard = crate::locale::tests::heard("stats-answer-a_row_that_is_not_as_documented_is_not_read");
        let with = |name: &str, value: Value| {
            let mut row =
                json!({"ref_date": "2026-03-01", "msgid": "1_1", "detail_list": [{"stat_date": "2026-03-01"}]});
            match row.get(name) {
                Some(_) => row[name] = value,
                None => row["detail_list"][0][name] = value,
            }
            read(&row)
        };
        for msgid in ["", "1", "1_", "_1", "0_1", "1_0", "1_1_1", "+1_1", "01_1", "99999999999999999999_1", "x_1"] {
            assert!(with("msgid", json!(msgid)).is_err(), "{msgid}");
        }
        for wrong in [json!(-1), json!(1.5), json!(u64::MAX), json!("x"), json!([]), json!({}), json!(true)] {
            assert!(with("read_user", wrong.clone()).is_err(), "{wrong}");
        }
        for wrong in [json!(-0.5), json!("NaN"), json!("inf"), json!(1e300), json!([])] {
            assert!(with("read_finish_rate", wrong.clone()).is_err(), "{wrong}");
        }
        for wrong in [json!("2026-3-1"), json!(20_260_301), json!("2026-02-30")] {
            assert!(with("ref_date", wrong.clone()).is_err() && with("stat_date", wrong.clone()).is_err(), "{wrong}");
        }
        assert!(with("read_user_source", json!([1])).is_err() && with("read_user_source", json!("x")).is_err());
        assert!(with("detail_list", Value::Array(vec![json!({"stat_date": "2026-03-01"}); PARTS + 1])).is_err());
        assert_eq!(with("read_user", json!(-1)).expect_err("wrong"), "the row 1_1 has an invalid `read_user`: -1");
        assert_eq!(read(&json!(1)).expect_err("wrong"), "a row of ? is not an object");
    }

    #[test]
    fn what_is_wrong_is_wrong_alone() {
        let good = json!({"ref_date": "2026-03-01", "msgid": "1_1"});
        let answer = json!({"list": [good, 7, {"msgid": "x"}, good], "is_delay": "true"});
        let read = articles(answer.as_object().expect("an object")).expect("a list");
        assert_eq!((read.rows.len(), read.unreadable.len(), read.is_delayed), (2, 2, true));
        assert_eq!(kept(&read.rows[0].1).map(|row| row.date.to_string()).as_deref(), Some("2026-03-01"));
        for wrong in [json!({}), json!({"list": {}}), json!({"list": null})] {
            assert!(articles(wrong.as_object().expect("an object")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn followers_of_all_channels_are_added_up() {
        let on: Date = "2026-03-01".parse().expect("a date");
        let row = |new: Value, lost: Value| json!({"ref_date": "2026-03-01", "user_source": 0, "new_user": new, "cancel_user": lost});
        let answer = json!({"list": [row(json!(3), json!("2")), row(json!(1), json!(0))]});
        let read = followers(answer.as_object().expect("an object"), on).expect("a list");
        let (subject, body) = &read.rows[0];
        assert_eq!(kept_followers(subject, body), Some(Followers { date: on, new: 4, lost: 2 }));
        let other = json!({"list": [{"ref_date": "2026-03-02"}]});
        assert_eq!(followers(other.as_object().expect("an object"), on).expect("a list").unreadable.len(), 1);
        let huge = json!({"list": [row(json!(1u64 << 54), json!(0))]});
        assert_eq!(followers(huge.as_object().expect("an object"), on).expect("a list").unreadable.len(), 1);
    }
}
