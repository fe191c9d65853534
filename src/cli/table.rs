//! A table for people.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::text;

/// Widest cell that others stand behind, in columns of a terminal.
const WIDEST: usize = 66;
/// Longest last cell, in bytes: no name and no address is longer.
const LONGEST: usize = 2048;

/// Rows of cells in columns that are as wide as what stands in them; Chinese characters are two wide. The last cell of a row
/// takes what it needs. Cells come from outside: what a terminal could obey in them is made visible.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let last = row.len().saturating_sub(1);
            row.iter().enumerate().map(|(at, cell)| if at < last { cut(cell) } else { end(cell) }).collect()
        })
        .collect();
    let width = |column: usize| {
        let cells = shown.iter().filter(|row| row.len() > column + 1).map(|row| row[column].width());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| text::pad(cell, *width)).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned() + "\n"
    };
    shown.iter().filter(|row| row.iter().any(|cell| !cell.is_empty())).map(line).collect()
}

/// A cell on one line, cut where it is too wide.
fn cut(cell: &str) -> String {
    let cell = text::one_line(cell);
    if cell.width() <= WIDEST {
        return cell;
    }
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width < WIDEST
    };
    let mut kept: String = cell.chars().take_while(fits).collect();
    kept.push('…');
    kept
}

fn end(cell: &str) -> String {
    let cell = text::one_line(cell);
    cell[..cell.floor_char_boundary(LONGEST)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["2026-11-27", "春茶", "a"]), row(&["", "tea and more", "long name"]), row(&["one"])];
        let shown = "  2026-11-27  春茶          a\n              tea and more  long name\n  one\n";
        assert_eq!(table(&rows), shown);
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn cells_are_bounded_and_obeyed_by_nobody() {
        let rows = [vec!["春".repeat(100), "\u{1b}[31m\na".repeat(1000)]];
        let shown = table(&rows);
        assert!(shown.starts_with(&format!("  {}…  \u{fffd}[31m a", "春".repeat(32))), "{shown}");
        assert!(shown.len() < 2400 && shown.lines().count() == 1);
    }
}
