//! What `qunfa stats` found, and readers as a part of a report: for people, for programs, and as a table.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::{AccountRef, PlanRef, words};
use crate::{
    locale::{Count, Phrase, list, say, translated},
    stats::model::{Article, Day, Followers, MatchedBy, Readers},
    text,
};

/// Version of the shape.
pub const STATISTICS_SCHEMA: u32 = 1;

/// Readers of the articles of an edition, and what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Statistics {
    /// Version of this format.
    pub(crate) schema: u32,
    /// Exit code of the process.
    pub(crate) exit_code: u8,
    /// The plan.
    pub(crate) plan: PlanRef,
    /// The sending account.
    pub(crate) account: AccountRef,
    /// Edition of the campaign, rendered.
    pub(crate) occurrence: String,
    /// Destination of the calls: `wechat`, `loopback` (a server on this machine) or `sandbox` (embedded).
    pub(crate) platform: String,
    /// Dates for which WeChat was asked in this run.
    #[schemars(with = "Vec<String>")]
    pub(crate) asked: Vec<Date>,
    /// Dates that are not ready: before 08:00 of the next day, or WeChat answered 61503.
    #[schemars(with = "Vec<String>")]
    pub(crate) not_ready: Vec<Date>,
    /// Dates for which WeChat says that its numbers are late (`is_delay`).
    #[schemars(with = "Vec<String>")]
    pub(crate) delayed: Vec<Date>,
    /// Dates whose numbers are final: WeChat counts readers for 30 days.
    #[schemars(with = "Vec<String>")]
    pub(crate) r#final: Vec<Date>,
    /// What to know about the numbers, in words.
    pub(crate) notes: Vec<Phrase>,
    /// Readers, as far as the state store has them.
    pub(crate) readers: Readers,
}

impl Statistics {
    /// Pretty JSON and a newline.
    pub(crate) fn json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("only string keys and no fallible impl");
        json.push('\n');
        json
    }

    /// For a terminal.
    pub(crate) fn human(&self) -> String {
        let (name, occurrence, appid) = (text::one_line(&self.plan.name), &self.occurrence, &self.account.appid);
        let mut out =
            format!("{}\n", say!("{name} (occurrence {occurrence}), account {appid}", name, occurrence, appid));
        out.push_str(&human(&self.readers));
        if !self.notes.is_empty() {
            out.push('\n');
        }
        for note in &self.notes {
            out.push_str(&format!("{}\n", say!("note: {text}", text = note)));
        }
        out
    }

    /// A line an article and day, after one with the names of the columns. UTF-8 without a byte order mark; lines end in CRLF.
    pub(crate) fn csv(&self) -> String {
        let mut out = format!("{}\r\n", COLUMNS.join(","));
        for article in &self.readers.articles {
            for day in &article.days {
                out.push_str(&cells(self, article, day).map(|cell| guarded(&cell)).join(","));
                out.push_str("\r\n");
            }
        }
        out
    }
}

/// Columns of the CSV: their names and order stay; new ones are added at the end.
const COLUMNS: [&str; 22] = [
    "appid",
    "plan",
    "occurrence",
    "steps",
    "msgid",
    "title",
    "url",
    "date",
    "notified",
    "recipients",
    "stat_date",
    "readers",
    "shares",
    "zaikan",
    "likes",
    "comments",
    "favourites",
    "praise_fen",
    "follows",
    "delivery_rate",
    "finish_rate",
    "average_time",
];

fn cells(all: &Statistics, article: &Article, day: &Day) -> [String; 22] {
    let count = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let real = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    [
        all.account.appid.clone(),
        all.plan.name.clone(),
        all.occurrence.clone(),
        article.steps.join(" "),
        article.msgid.clone(),
        article.title.clone(),
        article.url.clone(),
        article.date.to_string(),
        article.notified.to_string(),
        count(article.recipients),
        day.date.to_string(),
        count(day.readers),
        count(day.shares),
        count(day.zaikan),
        count(day.likes),
        count(day.comments),
        count(day.favourites),
        count(day.praise_fen),
        count(day.follows),
        real(day.delivery_rate),
        real(day.finish_rate),
        real(day.average_time),
    ]
}

/// A cell that no spreadsheet takes for a formula.
fn guarded(cell: &str) -> String {
    let guard = if cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    let plain = |c: char| !matches!(c, ',' | '"' | '\n' | '\r' | ';' | '\t');
    if guard.is_empty() && cell.chars().all(plain) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

/// Columns of the tables for people.
pub(super) fn headings() -> [&'static str; 9] {
    [
        translated("day"),
        translated("readers"),
        translated("shares"),
        translated("zaikan"),
        translated("likes"),
        translated("comments"),
        translated("favourites"),
        translated("follows"),
        translated("finished"),
    ]
}

/// A day as cells of such a table.
pub(super) fn row(day: &Day) -> [String; 9] {
    let count = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), text::thousands);
    [
        day.date.to_string(),
        count(day.readers),
        count(day.shares),
        count(day.zaikan),
        count(day.likes),
        count(day.comments),
        count(day.favourites),
        count(day.follows),
        day.finish_rate.map_or_else(|| "–".to_owned(), rate),
    ]
}

/// A share in percent; what is no share is shown as it is.
fn rate(share: f64) -> String {
    if share <= 1.0 { format!("{:.1}%", share * 100.0) } else { format!("{share}") }
}

/// What is to be known of an article beside its numbers.
pub(super) fn facts(article: &Article) -> Vec<Phrase> {
    let date = article.date.to_string();
    let mut facts = vec![match article.notified {
        true => say!("sent on {date}", date),
        false => say!("published on {date} without notification", date),
    }];
    facts.extend(article.recipients.map(words::recipients));
    facts.push(say!("step {steps}", steps = list(article.steps.iter().map(|step| text::one_line(step)))));
    if article.matched_by == MatchedBy::Title {
        facts.push(say!("recognised by date and title"));
    }
    facts
}

/// Scenes of a day, the most frequent first: name, readers and their share of all scenes in tenths of a percent.
pub(super) fn scenes(day: &Day) -> Vec<(String, u64, u64)> {
    let sum: u128 = day.scenes.values().copied().map(u128::from).sum();
    let mut scenes: Vec<_> = day.scenes.iter().filter(|(_, users)| **users > 0).collect();
    scenes.sort_by_key(|(_, users)| std::cmp::Reverse(**users));
    let share = |users: u64| u64::try_from(u128::from(users) * 1000 / sum.max(1)).unwrap_or(0);
    scenes.into_iter().map(|(name, users)| (text::one_line(name), *users, share(*users))).collect()
}

/// `公众号消息 480 (60.0%)`
pub(super) fn scene((name, users, share): &(String, u64, u64)) -> String {
    format!("{name} {} ({}.{}%)", text::thousands(*users), share / 10, share % 10)
}

pub(super) fn followers(day: &Followers) -> Phrase {
    say!(
        "followers on {date}: {new} new, {lost} lost",
        date = day.date.to_string(),
        new = Count(day.new),
        lost = Count(day.lost)
    )
}

pub(super) fn missing(readers: &Readers) -> Option<Phrase> {
    let steps = list(readers.missing.iter().map(|step| text::one_line(step)));
    (!readers.missing.is_empty()).then(|| say!("no statistics yet of: {steps}", steps))
}

/// Readers of all articles; who read two of them counts twice.
pub(super) fn total(readers: &Readers) -> Phrase {
    let sum = readers.articles.iter().filter_map(|article| article.last()?.readers).fold(0, u64::saturating_add);
    let articles = Count::from(readers.articles.len());
    say!("{articles} article, {sum} readers" | "{articles} articles, {sum} readers in sum", articles, sum = Count(sum))
}

/// A table an article.
pub(super) fn human(readers: &Readers) -> String {
    let mut out = String::new();
    for article in &readers.articles {
        let title = text::one_line(&article.title);
        let facts = words::in_a_row(facts(article));
        out.push_str(&format!("\n{title}  {}\n  {facts}\n", article.msgid));
        let rows: Vec<[String; 9]> =
            std::iter::once(headings().map(str::to_owned)).chain(article.days.iter().map(row)).collect();
        for row in &rows {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
                let filled = text::pad("", width - cell.width());
                if column == 0 { format!("{cell}{filled}") } else { format!("{filled}{cell}") }
            });
            out.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
        }
        let scenes: Vec<String> = article.last().map(scenes).unwrap_or_default().iter().map(scene).collect();
        if !scenes.is_empty() {
            out.push_str(&format!("  {}\n", say!("opened from: {scenes}", scenes = list(scenes))));
        }
        if !article.url.is_empty() {
            out.push_str(&format!("  {}\n", text::one_line(&article.url)));
        }
    }
    out.push('\n');
    if !readers.articles.is_empty() {
        out.push_str(&format!("{}\n", total(readers)));
    }
    readers.followers.iter().for_each(|day| out.push_str(&format!("{}\n", followers(day))));
    missing(readers).iter().for_each(|missing| out.push_str(&format!("{missing}\n")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_told() {
        let _heard = crate::locale::tests::heard("report-readers-a_publication_is_told");
        let article = Article {
            msgid: "12003_1".into(),
            steps: vec!["out".into()],
            title: "春茶".into(),
            url: String::new(),
            date: "2026-03-01".parse().expect("a date"),
            notified: false,
            matched_by: MatchedBy::Title,
            recipients: None,
            received_at: jiff::Timestamp::UNIX_EPOCH,
            days: Vec::new(),
        };
        let told = human(&Readers { articles: vec![article], ..Readers::default() });
        assert!(told.contains("published on 2026-03-01 without notification"), "{told}");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("春茶", "春茶"),
            ("=1+1", "\"'=1+1\""),
            (" @x", "\"' @x\""),
            ("-1", "\"'-1\""),
            ("\t=1", "\"'\t=1\""),
            ("a,\"b\"\n", "\"a,\"\"b\"\"\n\""),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), written, "{cell:?}");
        }
    }
}
