//! Sends and what was kept of their articles, put together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};

use super::{
    Sent,
    answer::{self, Msgid, Row},
    model::{Article, Day, MatchedBy, Readers},
};
use crate::ledger::Observation;

/// Most articles of a message.
const ARTICLES_MAX: usize = 8;

/// Under what the rows of these sends are kept; none if that is not known of all of them, and every row has to be looked at.
pub fn subjects(sent: &[Sent]) -> Option<Vec<String>> {
    let ids = sent.iter().map(|sent| sent.data_id).collect::<Option<BTreeSet<u64>>>()?;
    Some(ids.into_iter().flat_map(|id| (1..=ARTICLES_MAX).map(move |index| format!("{id}_{index}"))).collect())
}

/// What was kept of an article: the newest of each day.
struct Known {
    row: Row,
    at: Timestamp,
    days: BTreeMap<Date, Day>,
}

/// `articles` and `followers` are as they were kept, in that order. What cannot be read is not there.
pub fn joined(sent: &[Sent], articles: &[Observation], followers: &[Observation]) -> Readers {
    let known = newest(articles);
    let mut found: Vec<Article> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    let ids: BTreeSet<u64> = sent.iter().filter_map(|sent| sent.data_id).collect();
    for sent in sent {
        let (id, matched_by) = match sent.data_id {
            Some(id) => (Some(id), MatchedBy::Id),
            None => (by_title(sent, &known, &ids), MatchedBy::Title),
        };
        let mut rows = id.into_iter().flat_map(|id| of_message(&known, id)).peekable();
        if rows.peek().is_none() && !missing.contains(&sent.step) {
            missing.push(sent.step.clone());
        }
        for known in rows {
            let msgid = known.row.msgid.to_string();
            match found.iter_mut().find(|article| article.msgid == msgid) {
                Some(article) => {
                    if !article.steps.contains(&sent.step) {
                        article.steps.push(sent.step.clone());
                    }
                    let both = article.recipients.zip(sent.recipients);
                    article.recipients = both.and_then(|(one, other)| one.checked_add(other));
                }
                None => found.push(article(known, sent, matched_by)),
            }
        }
    }
    let days: BTreeSet<Date> = sent.iter().flat_map(|sent| sent.days.iter().copied()).collect();
    let mut of_days = BTreeMap::new();
    for seen in followers {
        let day = answer::kept_followers(&seen.subject, &seen.body).filter(|day| days.contains(&day.date));
        of_days.extend(day.map(|day| (day.date, day)));
    }
    Readers { articles: found, followers: of_days.into_values().collect(), missing }
}

/// What was kept last counts, whatever the clocks of the machines said.
fn newest(articles: &[Observation]) -> BTreeMap<Msgid, Known> {
    let mut known: BTreeMap<Msgid, Known> = BTreeMap::new();
    for seen in articles {
        let Some(row) = answer::kept(&seen.body).filter(|row| row.msgid.to_string() == seen.subject) else { continue };
        let days: BTreeMap<Date, Day> = row.days.iter().map(|day| (day.date, day.clone())).collect();
        match known.get_mut(&row.msgid) {
            // An answer that has less takes nothing away.
            Some(known) => {
                known.days.extend(days);
                (known.row, known.at) = (row, seen.at);
            }
            None => {
                known.insert(row.msgid, Known { row, at: seen.at, days });
            }
        }
    }
    known
}

fn of_message(known: &BTreeMap<Msgid, Known>, data_id: u64) -> impl Iterator<Item = &Known> {
    let range = Msgid { data_id, index: 0 }..=Msgid { data_id, index: usize::MAX };
    known.range(range).map(|(_, known)| known)
}

/// The one message that has the titles of a send, on its day; none if there are two.
fn by_title(sent: &Sent, known: &BTreeMap<Msgid, Known>, taken: &BTreeSet<u64>) -> Option<u64> {
    let fits = |known: &&Known| {
        let Row { msgid, date, notified, title, .. } = &known.row;
        sent.days.contains(date)
            && *notified == sent.notified
            && !title.is_empty()
            && sent.titles.get(msgid.index - 1) == Some(title)
            && !taken.contains(&msgid.data_id)
    };
    let ids: BTreeSet<u64> = known.values().filter(fits).map(|known| known.row.msgid.data_id).collect();
    ids.first().copied().filter(|_| ids.len() == 1)
}

fn article(known: &Known, sent: &Sent, matched_by: MatchedBy) -> Article {
    let Row { msgid, date, notified, title, url, .. } = known.row.clone();
    Article {
        msgid: msgid.to_string(),
        steps: vec![sent.step.clone()],
        title,
        url,
        date,
        notified,
        matched_by,
        recipients: sent.recipients,
        received_at: known.at,
        days: known.days.values().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stats::{ARTICLES, FOLLOWERS};

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn send(step: &str, data_id: Option<u64>, titles: &[&str]) -> Sent {
        let titles = titles.iter().map(|&title| title.to_owned()).collect();
        Sent { step: step.into(), data_id, titles, recipients: Some(10), ..Sent::of_day(date("2026-03-01")) }
    }

    fn seen(at: i64, msgid: &str, title: &str, days: &[(&str, u64)]) -> Observation {
        let days: Vec<_> =
            days.iter().map(|(date, readers)| json!({"stat_date": date, "read_user": readers})).collect();
        let body =
            json!({"ref_date": "2026-03-01", "msgid": msgid, "publish_type": 0, "title": title, "detail_list": days});
        let at = Timestamp::from_second(at).expect("in range");
        Observation { kind: ARTICLES.into(), subject: msgid.into(), at, body: body.to_string() }
    }

    fn told(readers: &Readers) -> Vec<(String, String, Vec<u64>)> {
        let days = |article: &Article| article.days.iter().filter_map(|day| day.readers).collect();
        readers.articles.iter().map(|one| (one.msgid.clone(), one.steps.join(","), days(one))).collect()
    }

    #[test]
    fn calls_of_one_message_are_one_article() {
        let sent = [send("a", Some(7), &[]), send("a", Some(7), &[]), send("b", Some(8), &[])];
        assert_eq!(subjects(&sent).map(|subjects| subjects.len()), Some(16));
        let rows = [seen(1, "7_1", "x", &[("2026-03-01", 5)]), seen(1, "7_2", "y", &[]), seen(1, "9_1", "z", &[])];
        let readers = joined(&sent, &rows, &[]);
        assert_eq!(told(&readers), [("7_1".into(), "a".into(), vec![5]), ("7_2".into(), "a".into(), vec![])]);
        assert_eq!((readers.articles[0].recipients, &readers.missing), (Some(20), &vec!["b".to_owned()]));
    }

    #[test]
    fn the_newest_counts_and_takes_nothing_away() {
        let sent = [send("a", Some(7), &[])];
        let (first, second) = ("2026-03-01", "2026-03-02");
        let rows = [
            seen(1, "7_1", "old", &[(first, 5), (second, 6)]),
            seen(3, "7_1", "new", &[(second, 9)]),
            seen(4, "7_1", "new", &[]),
        ];
        let readers = joined(&sent, &rows, &[]);
        assert_eq!(told(&readers), [("7_1".into(), "a".into(), vec![5, 9])]);
        assert_eq!((readers.articles[0].title.as_str(), readers.articles[0].received_at.as_second()), ("new", 4));
        let mut damaged = rows.to_vec();
        damaged.push(Observation { body: "{".into(), ..rows[1].clone() });
        damaged.push(Observation { subject: "8_1".into(), ..rows[0].clone() });
        assert_eq!(joined(&sent, &damaged, &[]), readers);
    }

    #[test]
    fn a_send_without_an_id_is_found_by_day_and_title() {
        let sent = [send("a", None, &["春", "夏"]), send("b", Some(8), &["春"])];
        assert_eq!(subjects(&sent), None);
        let mut rows = vec![
            seen(1, "7_1", "春", &[]),
            seen(1, "7_2", "other", &[]),
            seen(1, "8_1", "春", &[]),
            seen(1, "6_2", "春", &[]),
        ];
        let readers = joined(&sent, &rows, &[]);
        assert_eq!(
            told(&readers).iter().map(|one| (one.0.as_str(), one.1.as_str())).collect::<Vec<_>>(),
            [("7_1", "a"), ("7_2", "a"), ("8_1", "b")]
        );
        assert_eq!((readers.articles[0].matched_by, readers.articles[2].matched_by), (MatchedBy::Title, MatchedBy::Id));
        // Two that look alike: nobody knows which.
        rows.push(seen(1, "5_2", "夏", &[]));
        assert_eq!(joined(&sent, &rows, &[]).missing, ["a"]);
    }

    #[test]
    fn followers_are_those_of_the_days_of_sends() {
        let of = |day: &str, lost: u64| Observation {
            kind: FOLLOWERS.into(),
            subject: day.into(),
            at: Timestamp::UNIX_EPOCH,
            body: json!([{"ref_date": day, "new_user": 1, "cancel_user": lost}]).to_string(),
        };
        let readers =
            joined(&[send("a", Some(7), &[])], &[], &[of("2026-03-01", 2), of("2026-03-02", 3), of("2026-03-01", 4)]);
        assert_eq!(
            readers.followers.iter().map(|day| (day.date, day.lost)).collect::<Vec<_>>(),
            [(date("2026-03-01"), 4)]
        );
    }
}
