//! Readers on a page: the numbers as a table, and the same drawn as static SVG, which needs no script and takes the page's colours.

use serde::Serialize;

use super::{
    readers::{self, facts, headings, row, scene, scenes},
    words,
};
use crate::{
    locale::{Count, Phrase, list, say},
    stats::model::{Article, Readers},
    text,
};

/// Size of a chart in its own units; the page scales it.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 120;
/// Colours of scenes; those that are more share the last.
const TINTS: usize = 7;

#[derive(Serialize)]
pub(super) struct Section {
    total: Phrase,
    headings: [&'static str; 9],
    articles: Vec<View>,
    rest: Vec<Phrase>,
}

#[derive(Serialize)]
struct View {
    number: usize,
    title: String,
    msgid: String,
    url: String,
    facts: Phrase,
    rows: Vec<[String; 9]>,
    chart: Option<Chart>,
    scenes: Option<Scenes>,
}

/// Readers by day.
#[derive(Serialize)]
struct Chart {
    title: Phrase,
    /// The same in words.
    told: Phrase,
    bars: Vec<Bar>,
    most: String,
    first: String,
    last: String,
}

#[derive(Serialize)]
struct Bar {
    x: String,
    y: String,
    width: String,
    height: String,
    /// Seen when somebody points at it.
    told: String,
}

/// Where readers opened the article: one bar in parts, and its legend.
#[derive(Serialize)]
struct Scenes {
    title: Phrase,
    told: Phrase,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    tint: usize,
    x: String,
    width: String,
    told: String,
}

impl Section {
    pub(super) fn new(all: &Readers) -> Self {
        let rest = all.followers.iter().map(readers::followers).chain(readers::missing(all));
        Self {
            total: readers::total(all),
            headings: headings(),
            articles: all.articles.iter().enumerate().map(|(at, article)| View::new(at + 1, article)).collect(),
            rest: rest.collect(),
        }
    }
}

impl View {
    fn new(number: usize, article: &Article) -> Self {
        Self {
            number,
            title: text::one_line(&article.title),
            msgid: article.msgid.clone(),
            url: text::one_line(&article.url),
            facts: words::in_a_row(facts(article)),
            rows: article.days.iter().map(row).collect(),
            chart: chart(article),
            scenes: parts(article),
        }
    }
}

fn chart(article: &Article) -> Option<Chart> {
    let days: Vec<(String, u64)> =
        article.days.iter().filter_map(|day| Some((day.date.to_string(), day.readers?))).collect();
    let ((first, _), (last, readers)) = (days.first()?, days.last()?);
    let most = days.iter().map(|(_, readers)| *readers).max()?;
    let slots = days.len() as u64;
    let bar = |(at, (date, readers)): (usize, &(String, u64))| {
        let height = of(*readers, HEIGHT, most);
        Bar {
            x: units(of(at as u64 * 10 + 1, WIDTH, slots * 10)),
            y: units(HEIGHT * 100 - height),
            width: units(of(8, WIDTH, slots * 10)),
            height: units(height),
            told: format!("{date}: {}", text::thousands(*readers)),
        }
    };
    Some(Chart {
        title: say!("Readers by day"),
        told: say!("{readers} readers by {date}", readers = Count(*readers), date = last),
        bars: days.iter().enumerate().map(bar).collect(),
        most: text::thousands(most),
        first: first.clone(),
        last: last.clone(),
    })
}

fn parts(article: &Article) -> Option<Scenes> {
    let scenes = article.last().map(scenes).filter(|scenes| !scenes.is_empty())?;
    let sum = scenes.iter().fold(0_u64, |sum, (_, users, _)| sum.saturating_add(*users));
    let mut before = 0_u64;
    let mut parts = Vec::new();
    for (at, one) in scenes.iter().enumerate() {
        let (x, to) = (of(before, WIDTH, sum), of(before.saturating_add(one.1), WIDTH, sum));
        before = before.saturating_add(one.1);
        parts.push(Part { tint: at.min(TINTS - 1), x: units(x), width: units(to.saturating_sub(x)), told: scene(one) });
    }
    let told = say!("opened from: {scenes}", scenes = list(scenes.iter().map(scene)));
    Some(Scenes { title: say!("Where readers opened it"), told, parts })
}

/// So much of a length, in hundredths of its units.
fn of(part: u64, length: u64, whole: u64) -> u64 {
    let part = u128::from(part.min(whole)) * u128::from(length) * 100 / u128::from(whole.max(1));
    u64::try_from(part).unwrap_or(0)
}

fn units(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stays_within_its_whole() {
        assert_eq!((of(0, 600, 0), of(1, 600, 2), of(u64::MAX, 600, 1)), (0, 30_000, 60_000));
        assert_eq!(of(u64::MAX, 120, u64::MAX), 12_000);
        assert_eq!(units(12_345), "123.45");
    }
}
