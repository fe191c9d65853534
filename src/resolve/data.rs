//! Rows of a `foreach` and variables: CSV, JSONL, YAML.

use std::{collections::HashSet, ops::Range};

use serde_json::{Map, Number, Value};

use super::{
    Project, json, not_text,
    table::{self, Dialect, Fed, Quote, Table, Told},
    table_text, unreadable,
};
use crate::{
    content::template::numbers::Forms,
    diag::{
        Code, Diagnostic, Diagnostics, hidden,
        source::{self, FileId, SourceMap, Span},
    },
    limits,
    locale::{Count, Phrase, say},
    plan::yaml::{self, Document},
    text::openid::looks,
};

/// A row, and how the numbers in it are written.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) values: Map<String, Value>,
    pub(crate) forms: Forms,
    /// Where it stands in its file.
    pub(crate) place: Span,
}

/// The accounts of a fleet: the rows of a .csv or .jsonl file that is named at a place.
pub(crate) fn file(
    path: &str,
    place: &Span,
    project: &dyn Project,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Row>> {
    let (name, bytes) = match project.read(path, limits::DATA_BYTES_MAX) {
        Ok(read) => read,
        Err(error) => {
            let near = project.near(path).filter(|near| near != path);
            let help = near.map(|near| say!("did you mean `{near}`?", near));
            let problem = unreadable(path, place, limits::DATA_BYTES_MAX, error);
            diagnostics.push(help.into_iter().fold(problem, Diagnostic::help));
            return None;
        }
    };
    let text = table_text(&name, bytes, place, sources, diagnostics)?;
    rows(&name, text, (limits::FLEET_MAX, place), sources, diagnostics)
}

/// How the cells of a .csv file are written.
fn dialect(text: &str) -> Dialect {
    const LOOKED_AT: usize = 64 << 10;
    Dialect::of(&text[..text.floor_char_boundary(text.len().min(LOOKED_AT))], None)
}

/// Where the cells of a row of a .csv file stand, which is there in the text.
pub(crate) fn cells(text: &str) -> impl Fn(Range<usize>) -> Vec<Range<usize>> + '_ {
    let dialect = dialect(text);
    move |row| match Table::new(dialect).feed(1, row.start, &text.as_bytes()[row]) {
        Ok(Fed::Row(row)) => {
            row.cells.iter().map(|cell| row.start + cell.range().start..row.start + cell.range().end).collect()
        }
        _ => Vec::new(),
    }
}

/// The columns of a .csv file, and where they are named.
pub(crate) fn columns(text: &str) -> Vec<(String, Range<usize>)> {
    let first = lines(text).skip(usize::from(dialect(text).says)).find(|(.., line)| !line.trim().is_empty());
    let Some((_, start, line)) = first else { return Vec::new() };
    let cells = cells(text)(start..start + line.trim_end().len());
    cells.into_iter().map(|cell| (text[cell.clone()].trim().to_owned(), cell)).collect()
}

/// The rows of a .csv or .jsonl file. All values of a CSV file are text.
pub(crate) fn rows(
    name: &str,
    text: String,
    (most, place): (usize, &Span),
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Row>> {
    let file = sources.add(name, text);
    hidden::look(file, hidden::Text::Data, sources, diagnostics);
    let before = diagnostics.errors();
    let text = &sources.file(file).text;
    let rows = match name.ends_with(".jsonl") {
        true => objects(text, file, diagnostics)?,
        false => Cells::read(text, file, diagnostics)?,
    };
    if diagnostics.errors() > before {
        return None;
    }
    if rows.is_empty() || rows.len() > most {
        let message = say!(
            "`{name}` has {rows} row; it must have 1 to {most}" | "`{name}` has {rows} rows; it must have 1 to {most}",
            rows = rows.len(),
            name,
            most = Count(most as u64)
        );
        diagnostics.push(Diagnostic::new(Code::BadData, place.clone(), message));
        return None;
    }
    Some(rows)
}

/// Lines with their numbers, from 1, and where they begin.
fn lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let mut start = 0;
    text.split('\n').enumerate().map(move |(at, line)| {
        let from = start;
        start += line.len() + 1;
        (at + 1, from, line)
    })
}

/// A CSV file on its way to its rows.
struct Cells<'a> {
    file: FileId,
    dialect: Dialect,
    /// The header, and where it stands.
    header: Option<(Vec<String>, Span)>,
    rows: Vec<Row>,
    /// Cells so far.
    count: usize,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Cells<'a> {
    /// The rows that are good; none if it is not read to its end.
    fn read(text: &str, file: FileId, diagnostics: &'a mut Diagnostics) -> Option<Vec<Row>> {
        let dialect = dialect(text);
        let mut table = Table::new(dialect);
        let mut cells = Cells { file, dialect, header: None, rows: Vec::new(), count: 0, diagnostics };
        for (number, start, line) in lines(text).skip(usize::from(dialect.says)) {
            match table.feed(number, start, line.as_bytes()) {
                Ok(Fed::Row(row)) => cells.row(&row)?,
                Ok(Fed::Nothing) => {}
                Err(quote) => return cells.quote(quote),
            }
        }
        if let Err(quote) = table.end() {
            return cells.quote(quote);
        }
        Some(cells.rows)
    }

    fn push(&mut self, place: Span, (message, help): (Phrase, Phrase)) {
        self.diagnostics.push(Diagnostic::new(Code::BadData, place, message).help(help));
    }

    fn quote(&mut self, quote: Quote) -> Option<Vec<Row>> {
        let Told { at, message, help, closed } = table::quote(quote);
        let told = Diagnostic::new(Code::BadData, Span::new(self.file, at..at + 1), message).help(help);
        let told =
            closed.into_iter().fold(told, |told, (at, words)| told.related(Span::new(self.file, at..at + 1), words));
        self.diagnostics.push(told);
        None
    }

    /// None if no more are to be read.
    fn row(&mut self, row: &table::Row<'_>) -> Option<()> {
        let place = Span::new(self.file, row.range());
        let texts: Vec<String> =
            (0..row.cells.len()).map(|at| String::from_utf8_lossy(&row.text(at)).into_owned()).collect();
        let Some((header, first)) = &self.header else {
            self.header(texts, place);
            return Some(());
        };
        if self.diagnostics.is_full() {
            return None;
        }
        self.count += header.len();
        if self.count > limits::DATA_CELLS_MAX {
            self.diagnostics.push(too_many_cells(Span::new(self.file, row.start..row.start)));
            return None;
        }
        if self.rows.is_empty()
            && let Some((number, looks)) = table::no_header(header, Some(&texts))
        {
            let first = first.clone();
            self.push(first, table::without_header(number, looks));
            return None;
        }
        if texts.len() != header.len() {
            let told = table::unequal(texts.len(), header.len(), self.dialect);
            self.push(place, told);
            return Some(());
        }
        // What begins with a number as this row does is a row.
        let number = |cell: &[u8]| str::from_utf8(cell).is_ok_and(|cell| looks(cell).is_some());
        if row.swallows(self.dialect.separator, |cells| cells.first().is_some_and(|cell| number(cell))) {
            let quote = row.quote();
            self.push(Span::new(self.file, quote..quote + 1), table::swallowed());
            return Some(());
        }
        let values = header.iter().cloned().zip(texts.into_iter().map(Value::from));
        let values = values.filter(|(name, _)| !name.is_empty()).collect();
        self.rows.push(Row { values, forms: Forms::default(), place });
        Some(())
    }

    fn header(&mut self, names: Vec<String>, place: Span) {
        let names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
        let mut seen = HashSet::new();
        // Excel leaves columns without a name at the right.
        for name in names.iter().filter(|name| !name.is_empty() && !seen.insert(*name)) {
            let message = say!("the column `{name}` appears twice", name);
            self.diagnostics.push(Diagnostic::new(Code::BadData, place.clone(), message));
        }
        if let Some((number, looks)) = table::no_header(&names, None) {
            self.push(place.clone(), table::without_header(number, looks));
        }
        self.header = Some((names, place));
    }
}

/// The rows of a .jsonl file, those that are good; none if it is not read to its end.
fn objects(text: &str, file: FileId, diagnostics: &mut Diagnostics) -> Option<Vec<Row>> {
    let (mut rows, mut cells) = (Vec::new(), 0);
    for (number, start, line) in lines(text).filter(|(.., line)| !line.trim().is_empty()) {
        if diagnostics.is_full() {
            return None;
        }
        let place = Span::new(file, start..start + line.len());
        if line.len() > limits::DATA_LINE_BYTES_MAX {
            let message =
                say!("this line has more than {most} bytes", most = Count(limits::DATA_LINE_BYTES_MAX as u64));
            diagnostics.push(Diagnostic::new(Code::FileTooLarge, place, message));
            return None;
        }
        // Each value ends with one of these, or the line does: those in texts make it a little more.
        cells += 1 + line.bytes().filter(|byte| matches!(byte, b',' | b':')).count();
        if cells > limits::DATA_CELLS_MAX {
            diagnostics.push(too_many_cells(place));
            return None;
        }
        match json::value(line) {
            Ok((Value::Object(_), Some(key))) => {
                let message = say!("this line has `{key}` twice", key);
                diagnostics.push(Diagnostic::new(Code::BadData, place, message).help(say!("remove one of them")));
            }
            Ok((Value::Object(values), None)) => {
                let mut forms = Forms::default();
                forms.note_json(line);
                rows.push(Row { values, forms, place });
            }
            Ok(_) => {
                let message = say!("each line must be a JSON object");
                diagnostics.push(Diagnostic::new(Code::BadData, place, message));
            }
            Err(error) => {
                let usual = say!("write each object on one line: {{\"key\": \"value\"}}");
                let (message, help) = json::wrong(line, number, &error, usual);
                diagnostics.push(Diagnostic::new(Code::BadData, place, message).help(help));
                // Of an object over many lines the first one says it.
                if error.is_eof() {
                    return None;
                }
            }
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
