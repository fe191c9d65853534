//! Rows of a `foreach` and variables: CSV, JSONL, YAML.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::not_text;
use crate::{
    content::template::numbers::Forms,
    diag::{
        Code, Diagnostic, Diagnostics, hidden,
        source::{self, SourceMap, Span},
    },
    limits,
    locale::{Count, Phrase, say},
    plan::yaml::{self, Document},
};

/// A row, and how the numbers in it are written.
pub(crate) type Row = (Map<String, Value>, Forms);

/// The rows of a .csv or .jsonl file. All values of a CSV file are text.
pub(crate) fn rows(
    name: &str,
    text: String,
    place: &Span,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Row>> {
    let file = sources.add(name, text);
    hidden::look(file, hidden::Text::Data, sources, diagnostics);
    let before = diagnostics.raised();
    let text = &sources.file(file).text;
    let line_span = |line: usize| {
        let source = sources.file(file);
        Span::new(file, source.line_start(line)..source.line_start(line + 1).min(source.text.len()))
    };
    let mut rows = Vec::new();
    let mut cells = 0;
    if name.ends_with(".jsonl") {
        rows = objects(text, &line_span, diagnostics)?;
    } else {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
        let header: Vec<String> =
            reader.headers().map(|header| header.iter().map(str::to_owned).collect()).unwrap_or_default();
        let mut seen = HashSet::new();
        for name in header.iter().filter(|name| !seen.insert(*name)) {
            let message = say!("the column `{name}` appears twice", name);
            diagnostics.push(Diagnostic::new(Code::BadData, line_span(1), message));
        }
        for record in reader.records() {
            if diagnostics.is_full() {
                return None;
            }
            cells += header.len();
            if cells > limits::DATA_CELLS_MAX {
                let at = record.as_ref().ok().and_then(|record| record.position()).map_or(0, |at| at.byte() as usize);
                let start = record_start(text, at);
                diagnostics.push(too_many_cells(Span::new(file, start..start)));
                return None;
            }
            match record {
                Ok(record) => {
                    let cells = record.iter().map(|cell| Value::from(cell.trim_end_matches('\r')));
                    rows.push((header.iter().cloned().zip(cells).collect(), Forms::default()));
                }
                Err(error) => {
                    let start = record_start(text, error.position().map_or(0, |position| position.byte() as usize));
                    let end = text[start..].find('\n').map_or(text.len(), |length| start + length + 1);
                    let message = match error.kind() {
                        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => say!(
                            "this row has {cells} cell, but the header has {columns}"
                                | "this row has {cells} cells, but the header has {columns}",
                            cells = *len,
                            columns = *expected_len
                        ),
                        _ => say!("invalid row"),
                    };
                    diagnostics.push(
                        Diagnostic::new(Code::BadData, Span::new(file, start..end), message)
                            .help(say!("quote cells that contain a comma")),
                    );
                }
            }
        }
    }
    if diagnostics.raised() > before {
        return None;
    }
    if rows.is_empty() || rows.len() > limits::FOREACH_MAX {
        let message = say!(
            "`{name}` has {rows} row; it must have 1 to {most}" | "`{name}` has {rows} rows; it must have 1 to {most}",
            rows = rows.len(),
            name,
            most = Count(limits::FOREACH_MAX as u64)
        );
        diagnostics.push(Diagnostic::new(Code::BadData, place.clone(), message));
        return None;
    }
    Some(rows)
}

/// The rows of a .jsonl file, those that are good; none if it is not read to its end.
fn objects(text: &str, line_span: &dyn Fn(usize) -> Span, diagnostics: &mut Diagnostics) -> Option<Vec<Row>> {
    let (mut rows, mut cells) = (Vec::new(), 0);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if diagnostics.is_full() {
            return None;
        }
        if line.len() > limits::DATA_LINE_BYTES_MAX {
            let message =
                say!("this line has more than {most} bytes", most = Count(limits::DATA_LINE_BYTES_MAX as u64));
            diagnostics.push(Diagnostic::new(Code::FileTooLarge, line_span(number + 1), message));
            return None;
        }
        // Each value ends with one of these, or the line does: those in texts make it a little more.
        cells += 1 + line.bytes().filter(|byte| matches!(byte, b',' | b':')).count();
        if cells > limits::DATA_CELLS_MAX {
            diagnostics.push(too_many_cells(line_span(number + 1)));
            return None;
        }
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(row)) => {
                let mut forms = Forms::default();
                forms.note_json(line);
                rows.push((row, forms));
            }
            Ok(_) => {
                let message = say!("each line must be a JSON object");
                diagnostics.push(Diagnostic::new(Code::BadData, line_span(number + 1), message));
            }
            Err(error) => diagnostics.push(Diagnostic::new(
                Code::BadData,
                line_span(number + 1),
                say!("this line is not JSON (column {column})", column = error.column()),
            )),
        }
    }
    Some(rows)
}

fn too_many_cells(place: Span) -> Diagnostic {
    let most = Count(limits::DATA_CELLS_MAX as u64);
    let message = say!("the file has more than {most} values up to here (columns times rows)", most);
    Diagnostic::new(Code::FileTooLarge, place, message)
        .help(say!("remove columns that the plan does not use, or split the plan"))
}

/// Where a CSV record begins: the reader's own position stands before line ends that it has not passed yet, which makes
/// the number of its line wrong where lines end with CR LF or are blank.
pub(super) fn record_start(text: &str, position: usize) -> usize {
    let rest = text.as_bytes().get(position..).unwrap_or_default();
    position.min(text.len()) + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// The mapping of a variables file (YAML, so JSON too).
pub(crate) fn mapping(
    path: &str,
    bytes: Vec<u8>,
    forms: &mut Forms,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Map<String, Value>> {
    let text = match source::decode(bytes) {
        Ok(text) => text,
        Err(bad) => {
            diagnostics.push(Diagnostic::nowhere(Code::BadVar, not_text(path, bad).1));
            return None;
        }
    };
    let file = sources.add(path, text);
    let before = diagnostics.raised();
    let document = yaml::parse(file, sources, diagnostics);
    if let Some(document) = &document {
        note_numbers(document, "", forms, sources, diagnostics);
        diagnostics.extend(document.cut_short(sources, "", true));
        hidden::look(file, hidden::Text::Data, sources, diagnostics);
    }
    match document.map(|document| document.value) {
        Some(Value::Object(map)) => Some(map),
        _ if diagnostics.raised() > before => None,
        _ => {
            let message = say!("a variables file must map names to values");
            let help = say!("write `product: 明前龙井`");
            diagnostics.push(Diagnostic::new(Code::BadVar, Span::new(file, 0..0), message).help(help));
            None
        }
    }
}

/// Takes the forms of the numbers at a pointer. Of a whole number in another form than with digits alone, nothing is left.
pub(crate) fn note_numbers(
    document: &Document,
    pointer: &str,
    forms: &mut Forms,
    sources: &SourceMap,
    diagnostics: &mut Diagnostics,
) {
    for (number, written, place) in document.numbers(sources, pointer) {
        match other_number(number, written) {
            Some((message, help)) => diagnostics.push(Diagnostic::new(Code::NumberForm, place, message).help(help)),
            None => forms.note(written),
        }
    }
}

/// Says that a whole number is not the one that is written, for who sees digits: `0x1F`, `+5`.
fn other_number(number: &Number, written: &str) -> Option<(Phrase, Phrase)> {
    let read = number.to_string();
    let other = !number.is_f64() && read != written;
    let message = || say!("YAML reads `{written}` as the number {number}", written, number = read.as_str());
    let help = || say!("write {number}, or put quotes around it: \"{written}\"", number = read.as_str(), written);
    other.then(|| (message(), help()))
}

/// `key=value`; the value is typed as in YAML: `198` is a number, `true` a boolean, everything else text.
pub(crate) fn assignment(option: &str, forms: &mut Forms) -> Result<(String, Value), Diagnostic> {
    let Some((name, value)) = option.split_once('=') else {
        let message = say!("`--var {option}` has no `=`", option);
        return Err(Diagnostic::nowhere(Code::BadVar, message).help(say!("write --var key=value")));
    };
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(Diagnostic::nowhere(Code::BadVar, say!("`{name}` is not a variable name", name))
            .help(say!("use letters, digits and `_`")));
    }
    if source::find_control(value).is_some() {
        let message = say!("the value of `{name}` contains a control character", name);
        return Err(Diagnostic::nowhere(Code::BadVar, message));
    }
    let typed = yaml::plain(value);
    if let Value::Number(number) = &typed {
        if let Some((message, help)) = other_number(number, value) {
            return Err(Diagnostic::nowhere(Code::NumberForm, message).help(help));
        }
        forms.note(value);
    }
    Ok((name.to_owned(), typed))
}
