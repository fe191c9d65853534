//! Every page is there in English and in Chinese, with the same sections in the same order.
//!
//! Titles cannot be compared, what a section holds can: its level, its fenced blocks, the rows of its tables, the items of its lists. So a
//! section, a row or an example that one language lacks is found, and so are two sections that changed places.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::{
    blocks::{blocks, pages},
    docs::links,
    support::repository,
};

/// What stands below a heading, up to the next one.
#[derive(Debug, Default)]
struct Section {
    /// From 1; 0 for what stands before the first heading.
    line: usize,
    title: String,
    shape: Shape,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Shape {
    level: usize,
    /// The languages of the fenced blocks.
    blocks: Vec<String>,
    rows: usize,
    items: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, blocks, rows, items } = self;
        write!(f, "level {level}, blocks [{}], {rows} rows of tables, {items} items of lists", blocks.join(" "))
    }
}

fn is_item(line: &str) -> bool {
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    line.starts_with("- ") || digits > 0 && line[digits..].starts_with(". ")
}

fn sections(page: &str) -> Vec<Section> {
    let fenced = blocks(page);
    let mut sections = vec![Section::default()];
    let mut at = 0;
    for (index, line) in page.split_inclusive('\n').enumerate() {
        let (start, words) = (at, line.trim());
        at += line.len();
        let section = sections.last_mut().expect("one");
        if let Some(block) = fenced.iter().find(|block| block.line == index + 1) {
            section.shape.blocks.push(block.info.split(' ').next().unwrap_or_default().to_owned());
        } else if fenced.iter().any(|block| (block.start..block.start + block.text.len()).contains(&start)) {
        } else if words.starts_with('#') {
            let title = words.trim_start_matches('#');
            let shape = Shape { level: words.len() - title.len(), ..Shape::default() };
            sections.push(Section { line: index + 1, title: title.trim().to_owned(), shape });
        } else if words.starts_with('|') {
            section.shape.rows += 1;
        } else if is_item(words) {
            section.shape.items += 1;
        }
    }
    sections
}

/// The sections in which two texts differ, in words.
fn differences(english: &str, chinese: &str) -> Vec<String> {
    let (english, chinese) = (sections(english), sections(chinese));
    let told = |section: &Section| format!("line {} `{}`: {}", section.line, section.title, section.shape);
    let mut wrong: Vec<String> = english
        .iter()
        .zip(&chinese)
        .filter(|(one, other)| one.shape != other.shape)
        .map(|(one, other)| format!("  English {}\n  Chinese {}", told(one), told(other)))
        .collect();
    // Where a section is missing all later ones differ: the first place is the one to look at.
    if english.len() != chinese.len() {
        wrong.truncate(1);
        wrong.push(format!("  {} sections in English, {} in Chinese", english.len() - 1, chinese.len() - 1));
    }
    wrong
}

/// The pages for users. Contributors work in English, and what `init` writes is of another kind.
fn read_by_users() -> Vec<PathBuf> {
    let mut found = pages();
    found.retain(|page| {
        let name = page.to_string_lossy();
        ["README.", "CHANGELOG.", "docs/", "examples/"].iter().any(|start| name.starts_with(start))
    });
    found
}

/// The Chinese page for each English one.
fn translated() -> BTreeMap<PathBuf, PathBuf> {
    let chinese = |page: &Path| match page.strip_prefix("docs") {
        Ok(page) => Path::new("docs/zh").join(page),
        Err(_) => page.with_extension("zh-CN.md"),
    };
    let english = |page: &PathBuf| !page.starts_with("docs/zh") && !page.to_string_lossy().ends_with(".zh-CN.md");
    read_by_users().into_iter().filter(english).map(|page| (page.clone(), chinese(&page))).collect()
}

fn read(page: &Path) -> String {
    fs::read_to_string(repository().join(page)).unwrap_or_default()
}

#[test]
fn every_page_is_there_in_both_languages() {
    let translated = translated();
    assert!(translated.len() >= 20, "{translated:?}");
    let all = read_by_users();
    for (english, chinese) in &translated {
        assert!(all.contains(chinese), "{} is not there in Chinese: {}", english.display(), chinese.display());
        if english.ends_with("SUMMARY.md") {
            continue;
        }
        // A reader finds the other language from either.
        let relative = |from: &Path, to: &Path| match to.strip_prefix(from.parent().expect("a folder")) {
            Ok(below) => below.display().to_string(),
            Err(_) => format!("../{}", to.file_name().expect("a name").display()),
        };
        for (from, to) in [(english, chinese), (chinese, english)] {
            let link = relative(from, to);
            assert!(links(&read(from)).contains(&link), "{} does not lead to {link}", from.display());
        }
    }
    for page in all {
        let known = translated.iter().any(|(english, chinese)| *english == page || *chinese == page);
        assert!(known, "{} is not there in English", page.display());
    }
}

#[test]
fn the_sections_are_the_same_in_both_languages() {
    let wrong: Vec<String> = translated()
        .iter()
        .flat_map(|(english, chinese)| {
            let found = differences(&read(english), &read(chinese));
            found.into_iter().map(move |words| format!("{}, {}\n{words}", english.display(), chinese.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "the languages tell different things:\n{}", wrong.join("\n"));
}

#[test]
fn both_books_have_the_same_chapters() {
    let chapters = |folder: &str| links(&read(&Path::new(folder).join("SUMMARY.md")));
    assert!(chapters("docs").len() > 10);
    assert_eq!(chapters("docs"), chapters("docs/zh"));
}

#[test]
fn both_languages_show_the_same_figures() {
    let figures = |page: &Path| {
        let page = read(page);
        let (_, rest) = page.split_once("<!-- figures").expect("where they begin");
        let rows = rest.split_once("<!-- ").expect("where they end").0.lines().filter(|line| line.starts_with('|'));
        let number = |cell: &str| cell.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect::<String>();
        rows.map(|row| row.split('|').map(number).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    for page in ["articles.md", "performance.md"] {
        let (english, chinese) = (figures(&Path::new("docs").join(page)), figures(&Path::new("docs/zh").join(page)));
        assert!(english.len() > 5, "{page}");
        assert_eq!(english, chinese, "{page}");
    }
}

#[test]
fn chinese_pages_use_the_words_of_wechat() {
    // What followers and the console call otherwise, and what was only carried over from English.
    let odd = [
        ("撤回", "删除群发"),
        ("受众", "群发对象"),
        ("护栏", "发送前检查"),
        ("存活", "保留"),
        ("机器格式", "机器可读格式"),
        ("额度预测", "群发次数预估"),
        ("限额预测", "群发次数预估"),
        ("被杀", "被强制终止"),
        ("托付", "信任"),
        ("已采用", "沿用已有任务"),
    ];
    let mut wrong = Vec::new();
    for page in translated().values() {
        for (index, line) in read(page).lines().enumerate() {
            for (word, better) in odd.iter().filter(|(word, _)| line.contains(word)) {
                wrong.push(format!("{}:{}: {word}: write {better}", page.display(), index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn generated_chinese_pages_are_in_chinese() {
    for page in ["plan.md", "diagnostics.md", "errcodes.md"] {
        let text = read(&Path::new("docs/zh").join(page));
        let rows: Vec<&str> =
            text.lines().filter(|line| line.starts_with('|') && !line.starts_with("| --- ")).collect();
        assert!(rows.len() > 50, "{page}");
        for row in rows {
            let last = row.trim_end_matches([' ', '|']).rsplit("| ").next().unwrap_or_default();
            assert!(last.contains(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{page}: {row}");
        }
    }
}

#[test]
fn what_one_language_lacks_is_found() {
    let english =
        "# A\n\nx\n\n## B\n\n- x\n  y\n- z\n\n```console\n$ a\n# b\n```\n\n## C\n\n| a |\n| - |\n| b |\n1. x\n";
    assert!(differences(english, english).is_empty());
    let chinese = "# 甲\n\n## 乙\n\n- 子 y\n- 丑\n```console\n$ 甲\n```\n## 丙\n| 子 |\n| - |\n| 丑 |\n\n10. 寅\n";
    assert!(differences(english, chinese).is_empty(), "{:?}", differences(english, chinese));
    let swapped = "# 甲\n## 丙\n| 子 |\n| - |\n| 丑 |\n1. 寅\n## 乙\n- 子\n- 丑\n```console\n$ a\n```\n";
    let lacking = [
        ("", "nothing"),
        (swapped, "another order"),
        (&chinese.replace("## 丙\n", ""), "a section"),
        (&chinese.replace("## 丙", "### 丙"), "a level"),
        (&chinese.replace("- 丑\n", ""), "an item"),
        (&chinese.replace("| 丑 |\n", ""), "a row"),
        (&chinese.replace("```console\n$ 甲\n```\n", ""), "a block"),
        (&format!("{chinese}## 丁\n"), "a section too much"),
    ];
    for (text, what) in lacking {
        assert!(!differences(english, text).is_empty(), "{what}");
    }
}
