//! Who gets a message: openids from files, each once, in the order of the files.

use std::{collections::HashSet, rc::Rc, sync::Arc};

use serde_json::Value;

use crate::{
    diag::{Code, Diagnostic, did_you_mean, one_of},
    limits,
    source::{SourceMap, Span},
};

/// Openids of one file, in order, duplicates included.
pub type People = Vec<String>;

/// The people of a send: unique, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Their openids.
    pub openids: Arc<Vec<String>>,
    /// How many openids were named again.
    pub duplicates: usize,
    /// How many were left out by `exclude`.
    pub excluded: usize,
}

impl Audience {
    /// Joins the lists, keeps the first mention of each, leaves out who is excluded.
    pub fn build(people: &[Rc<People>], excluded: &[Rc<People>]) -> Self {
        let out: HashSet<&str> = excluded.iter().flat_map(|list| list.iter()).map(String::as_str).collect();
        let mut seen = HashSet::new();
        let (mut duplicates, mut left_out) = (0, 0);
        let mut openids = Vec::new();
        for openid in people.iter().flat_map(|list| list.iter()) {
            if !seen.insert(openid.as_str()) {
                duplicates += 1;
            } else if out.contains(openid.as_str()) {
                left_out += 1;
            } else {
                openids.push(openid.clone());
            }
        }
        Self { openids: Arc::new(openids), duplicates, excluded: left_out }
    }
}

/// Letters, digits, `-` and `_`; at most 64.
pub fn is_openid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Reads a .txt, .csv or .jsonl file of openids.
pub fn read(
    name: &str,
    text: String,
    column: &str,
    place: &Span,
    sources: &mut SourceMap,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<People> {
    // The value and its line; openids are short, and most files are good, so places are made only for bad ones.
    let found = match name.rsplit('.').next() {
        Some("txt") => Ok(text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim().to_owned()))
            .filter(|(_, line)| !line.is_empty())
            .collect()),
        Some("csv") => csv_column(&text, column),
        Some("jsonl") => jsonl_column(&text, column),
        _ => {
            let message = format!("`{name}` is neither a .txt, nor a .csv, nor a .jsonl file");
            diagnostics
                .push(Diagnostic::new(Code::BadData, place.clone(), message).help("name the file by what it holds"));
            return None;
        }
    };
    let rows: Vec<(usize, String)> = match found {
        Ok(rows) => rows,
        Err(Bad { line, code, message, help }) => {
            let file = sources.add(name, text);
            let source = sources.file(file);
            let start = source.line_start(line);
            let end = source.line_start(line + 1).min(source.text.len()).max(start);
            diagnostics.push(Diagnostic::new(code, Span::new(file, start..end), message).help(help));
            return None;
        }
    };
    let bad: Vec<&(usize, String)> = rows.iter().filter(|(_, openid)| !is_openid(openid)).collect();
    if !bad.is_empty() {
        let file = sources.add(name, text);
        let source = sources.file(file);
        for (line, openid) in bad.iter().take(limits::BAD_OPENIDS_SHOWN) {
            let start = source.line_start(*line);
            let line = &source.text[start..source.line_start(line + 1).min(source.text.len()).max(start)];
            let at = line.find(openid.as_str()).filter(|_| !openid.is_empty()).map_or(start, |at| start + at);
            let what = if openid.is_empty() {
                "an openid is missing".to_owned()
            } else {
                format!("`{openid}` is not an openid")
            };
            let diagnostic = Diagnostic::new(Code::BadOpenid, Span::new(file, at..at + openid.len()), what);
            diagnostics.push(diagnostic.help("an openid consists of letters, digits, - and _"));
        }
        if bad.len() > limits::BAD_OPENIDS_SHOWN {
            let more = bad.len() - limits::BAD_OPENIDS_SHOWN;
            diagnostics.push(Diagnostic::new(
                Code::BadOpenid,
                place.clone(),
                format!("`{name}` has {more} more lines that are no openids"),
            ));
        }
        return None;
    }
    Some(rows.into_iter().map(|(_, openid)| openid).collect())
}

struct Bad {
    line: usize,
    code: Code,
    message: String,
    help: String,
}

fn csv_column(text: &str, column: &str) -> Result<Vec<(usize, String)>, Bad> {
    let bad = |line: usize, code, message: String, help: &str| Bad { line, code, message, help: help.into() };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| {
        bad(1, Code::BadData, "the header line cannot be read".into(), "the first line names the columns")
    })?;
    let names: Vec<&str> = header.iter().collect();
    let Some(at) = names.iter().position(|name| *name == column) else {
        let near = did_you_mean(column, names.iter().copied());
        let help = near.map_or_else(
            || format!("the columns are {}", one_of(&names)),
            |near| format!("did you mean `column: {near}`?"),
        );
        return Err(bad(1, Code::UnknownColumn, format!("there is no column `{column}`"), &help));
    };
    if names.iter().filter(|name| **name == column).count() > 1 {
        return Err(bad(1, Code::BadData, format!("the column `{column}` stands there twice"), "rename or remove one"));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(1, |position| position.line() as usize);
            bad(
                line,
                Code::BadData,
                "this row cannot be read, or has another number of cells than the header".into(),
                "put quotes around a cell that holds a comma",
            )
        })?;
        let line = record.position().map_or(1, |position| position.line() as usize);
        rows.push((line, record.get(at).unwrap_or_default().to_owned()));
    }
    Ok(rows)
}

fn jsonl_column(text: &str, column: &str) -> Result<Vec<(usize, String)>, Bad> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |code, message: String| Bad {
            line: number + 1,
            code,
            message,
            help: format!("write {{\"{column}\": \"...\"}}"),
        };
        let value: Value =
            serde_json::from_str(line).map_err(|_| bad(Code::BadData, "this line is not JSON".into()))?;
        match value.get(column) {
            Some(Value::String(openid)) => rows.push((number + 1, openid.trim().to_owned())),
            Some(_) => return Err(bad(Code::BadData, format!("`{column}` is not text here"))),
            None => return Err(bad(Code::UnknownColumn, format!("there is no `{column}` here"))),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceMap;

    fn people(name: &str, text: &str) -> Result<People, Vec<(Code, usize, usize)>> {
        let mut sources = SourceMap::default();
        let plan = sources.add("plan.yaml", "file".into());
        let mut diagnostics = Vec::new();
        read(name, text.into(), "openid", &Span::new(plan, 0..4), &mut sources, &mut diagnostics).ok_or_else(|| {
            let place = |d: &Diagnostic| sources.position(&d.primary.as_ref().expect("has a place").span);
            diagnostics.iter().map(|d| (d.code, place(d).line, place(d).column)).collect()
        })
    }

    #[test]
    fn every_kind_of_file_gives_the_same_people() {
        let expected = Ok(vec!["oA-1".to_owned(), "oB_2".to_owned()]);
        assert_eq!(people("a.txt", "oA-1\r\n\r\n  oB_2 \n"), expected);
        assert_eq!(people("a.csv", "name,openid\r\n\"张, 三\",oA-1\r\n李四, oB_2\r\n"), expected);
        assert_eq!(people("a.jsonl", "{\"openid\":\"oA-1\"}\n\n{\"openid\":\" oB_2\\r\",\"x\":1}\n"), expected);
    }

    #[test]
    fn every_bad_line_has_its_place() {
        assert_eq!(people("a.txt", "oA\n张三\noB\no B\n"), Err(vec![(Code::BadOpenid, 2, 1), (Code::BadOpenid, 4, 1)]));
        assert_eq!(people("a.csv", "名,openid\n张三,o!\n"), Err(vec![(Code::BadOpenid, 2, 4)]));
        assert_eq!(people("a.csv", "openId\noA\n"), Err(vec![(Code::UnknownColumn, 1, 1)]));
        assert_eq!(people("a.csv", "openid,b\noA\n"), Err(vec![(Code::BadData, 2, 1)]));
        assert_eq!(people("a.jsonl", "{\"openid\":1}\n"), Err(vec![(Code::BadData, 1, 1)]));
        let many = "张\n".repeat(30);
        let found = people("a.txt", &many).expect_err("bad");
        assert_eq!((found.len(), found[20]), (21, (Code::BadOpenid, 1, 1)));
    }

    #[test]
    fn duplicates_and_excluded_people_are_counted() {
        let list = |names: &[&str]| Rc::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        let audience = Audience::build(&[list(&["c", "a", "b"]), list(&["a", "d"])], &[list(&["b", "x"])]);
        assert_eq!(*audience.openids, ["c", "a", "d"]);
        assert_eq!((audience.duplicates, audience.excluded), (1, 1));
    }
}
