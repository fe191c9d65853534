//! The book: pages made from what the program is, every page in the table of contents, no link into nothing.
//!
//! `UPDATE_DOCS=1 cargo test --test main docs` writes the generated pages anew.

use std::{collections::HashSet, fmt::Write as _, fs, path::Path};

use qunfa::{
    diag::{Code, Severity},
    locale::{self, in_language},
    message::MessageKind,
    plan::schema,
    wechat::errcode,
};
use serde_json::{Map, Value};

use crate::{
    blocks::{blocks, pages},
    examples::copied,
    support::repository,
};

#[derive(Clone, Copy, PartialEq)]
enum Language {
    English,
    Chinese,
}

use Language::{Chinese, English};

impl Language {
    /// The words in this language.
    fn of<'t>(self, english: &'t str, chinese: &'t str) -> &'t str {
        if self == English { english } else { chinese }
    }

    /// As the program knows it.
    fn spoken(self) -> locale::Language {
        if self == English { locale::Language::En } else { locale::Language::Zh }
    }

    /// The link to the same page in the other language.
    fn other(self, page: &str) -> String {
        match self {
            English => format!("[中文](zh/{page})"),
            Chinese => format!("[English](../{page})"),
        }
    }
}

fn current(page: &str, write: fn(Language) -> String) {
    for (language, folder) in [(English, "docs"), (Chinese, "docs/zh")] {
        let path = repository().join(folder).join(page);
        let text = write(language);
        let mut shown = fs::read_to_string(&path).unwrap_or_default();
        if shown != text && std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &text).expect("writes the page");
            shown.clone_from(&text);
        }
        assert!(shown == text, "{folder}/{page} is stale: run UPDATE_DOCS=1 cargo test --test main docs");
    }
}

/// In a cell of a table. Angle brackets would be tags.
fn cell(text: &str) -> String {
    let mut code = false;
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '`' => {
                code = !code;
                out.push(c);
            }
            '|' => out.push_str("\\|"),
            '<' if !code => out.push_str("&lt;"),
            '\n' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

// The plan.

/// What may stand there, in words.
fn kind(schema: &Value, language: Language) -> String {
    let l = language;
    if schema["properties"]["appid"].is_object() {
        return l.of("[account](#account), or the path of a file", "[account](#account)，或文件路径").to_owned();
    }
    let code = |value: &Value| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if !schema["const"].is_null() {
        return code(&schema["const"]);
    }
    if let Some(values) = schema["enum"].as_array() {
        let words = |index: usize| {
            schema["markdownEnumDescriptions"][index].as_str().map(|text| text.trim_end_matches(['.', '。']))
        };
        let told = values.iter().enumerate().map(|(index, value)| match words(index) {
            Some(words) if l == English => format!("{} ({words})", code(value)),
            Some(words) => format!("{}（{words}）", code(value)),
            None => code(value),
        });
        return told.collect::<Vec<_>>().join(l.of(", ", "、"));
    }
    if let Some(form) = schema["x-form"].as_str() {
        return form.to_owned();
    }
    let short = schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == "string"));
    let only = schema["properties"].as_object().filter(|keys| short && keys.len() == 1);
    if let Some(key) = only.and_then(|keys| keys.keys().next()) {
        return format!("{}{{ {key} }}", l.of("text, or ", "文本，或 "));
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        other => vec![other.clone()],
    };
    let told = types.iter().filter_map(Value::as_str).map(|one| match one {
        "string" => l.of("text", "文本").to_owned(),
        "integer" => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("{} {least}–{most}", l.of("number", "数字")),
            (Some(least), None) if least > 0 => format!("{} ≥ {least}", l.of("number", "数字")),
            _ => l.of("number", "数字").to_owned(),
        },
        "boolean" => "`true` / `false`".to_owned(),
        "object" => l.of("mapping", "映射").to_owned(),
        "array" => format!("{}{}", l.of("list: ", "列表："), kind(&schema["items"], l)),
        other => other.to_owned(),
    });
    // Chinese has a blank next to what is Latin, and none between its own words.
    told.reduce(|before, next| match before.ends_with('`') && l == Chinese {
        true => format!("{before} 或{next}"),
        false => format!("{before}{}{next}", l.of(" or ", "或")),
    })
    .unwrap_or_default()
}

fn row(out: &mut String, language: Language, owner: &Value, key: &str, schema: &Value) {
    let required = owner["required"].as_array().is_some_and(|keys| keys.iter().any(|one| one == key));
    let mut what = schema["description"].as_str().unwrap_or_default().to_owned();
    if let Some(example) = schema["examples"][0].as_object() {
        let written =
            serde_json::to_string(example).expect("JSON").replace('"', "").replace(':', ": ").replace(',', ", ");
        if !what.contains('{') {
            let _ = write!(what, "{}`{written}`", language.of(" Example: ", "例如："));
        }
    }
    let default = match &schema["default"] {
        Value::Null if required => format!("**{}**", language.of("required", "必填")),
        Value::Null => String::new(),
        Value::String(text) => format!("`{text}`"),
        Value::Object(_) | Value::Array(_) => language.of("none", "无").to_owned(),
        other => format!("`{other}`"),
    };
    writeln!(out, "| `{key}` | {} | {} | {} |", cell(&kind(schema, language)), cell(&default), cell(&what))
        .expect("text");
}

fn table(out: &mut String, language: Language, owner: &Value, but: &[&str]) {
    let empty = Map::new();
    let keys = owner["properties"].as_object().unwrap_or(&empty);
    let rows: Vec<_> = keys.iter().filter(|(key, _)| !but.contains(&key.as_str())).collect();
    if rows.is_empty() {
        return;
    }
    out.push_str(language.of("| key | form | default | what |\n", "| 键 | 写法 | 默认 | 含义 |\n"));
    out.push_str("| --- | --- | --- | --- |\n");
    for (key, schema) in rows {
        row(out, language, owner, key, schema);
        // A mapping that has no section of its own.
        let below = schema["properties"].as_object().filter(|keys| keys.len() > 1 && key != "account");
        for (name, schema_below) in below.into_iter().flatten() {
            row(out, language, schema, &format!("{key}.{name}"), schema_below);
        }
    }
    out.push('\n');
    if let Some(one) = owner["x-exactly-one"].as_array() {
        let names: Vec<String> = one.iter().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
        let words = language.of("Give exactly one of: ", "以下几项必须且只能写一个：");
        writeln!(out, "{words}{}{}\n", names.join(language.of(", ", "、")), language.of(".", "。")).expect("text");
    }
}

fn plan(language: Language) -> String {
    let l = language;
    let schema = schema::in_words(schema::generate_plan(), l.spoken());
    let mut out = format!(
        "# {}\n\n{}\n\n{}\n\n<!-- made by tests/docs.rs from the schema -->\n\n",
        l.of("The plan", "计划文件参考"),
        l.other("plan.md"),
        l.of(
            "A plan is a YAML file. Unknown and missing keys are errors with a suggestion; qunfa never guesses. This page is generated from the schema (`qunfa schema plan`), which editors can use too: start a plan with `# yaml-language-server: $schema=PATH/plan.schema.json`. Every text can be a [template](templates.md).",
            "计划是一个 YAML 文件。多写、错写、漏写键都会报错并给出建议，绝不猜测。本页由 schema（`qunfa schema plan --lang zh`）生成，编辑器也可以用同一份 schema：在计划第一行写 `# yaml-language-server: $schema=PATH/plan.schema.json` 即可。所有文本都可以是[模板](templates.md)。"
        )
    );
    let definitions = &schema["$defs"];
    let section = |out: &mut String, level: &str, title: &str, schema: &Value| {
        write!(out, "{level} {title}\n\n").expect("text");
        if let Some(what) = schema["description"].as_str() {
            write!(out, "{}\n\n", cell(what)).expect("text");
        }
    };
    section(&mut out, "##", l.of("Top level", "顶层"), &schema);
    table(&mut out, l, &schema, &[]);
    for name in [
        "account",
        "Component",
        "Callback",
        "SecretSource",
        "Defaults",
        "Retry",
        "Pace",
        "Guards",
        "Lint",
        "Notice",
        "Robot",
        "SignedRobot",
        "Webhook",
        "Header",
        "Foreach",
    ] {
        section(&mut out, "##", name, &definitions[name]);
        table(&mut out, l, &definitions[name], &[]);
    }
    let step = &definitions["step"];
    section(&mut out, "##", "step", step);
    out.push_str(l.of("All actions accept these keys:\n\n", "所有动作共有的键：\n\n"));
    table(&mut out, l, step, &[]);
    let shared: Vec<&str> = step["properties"].as_object().expect("keys").keys().map(String::as_str).collect();
    for spec in qunfa::plan::action::ACTIONS {
        let action = &definitions[spec.name];
        assert!(action.is_object(), "{}", spec.name);
        section(&mut out, "##", spec.name, action);
        // A shared key that means something else here is shown.
        let but: Vec<&str> = shared
            .iter()
            .copied()
            .filter(|key| {
                *key == "action" || action["properties"][key]["default"] == step["properties"][key]["default"]
            })
            .collect();
        table(&mut out, l, action, &but);
    }
    section(&mut out, "##", "message", &definitions["message"]);
    for kind_of in qunfa::plan::message::kinds().map(MessageKind::name) {
        let message = &definitions["message"]["properties"][kind_of];
        assert!(message.is_object(), "{kind_of}");
        section(&mut out, "###", kind_of, message);
        table(&mut out, l, message, &[]);
    }
    section(&mut out, "##", "Article", &definitions["Article"]);
    table(&mut out, l, &definitions["Article"], &[]);
    let example = fs::read_to_string(repository().join("tests/plans/ok/every-action.yaml")).expect("is there");
    let title = l.of("A plan with many actions", "一份用到多种动作的计划");
    write!(out, "## {title}\n\n```yaml\n{}\n```\n", example.trim_end()).expect("text");
    out
}

// The commands.

fn commands(language: Language) -> String {
    let l = language;
    let case = copied().speaks(l.of("en", "zh"));
    let help = |command: &[&str]| {
        let args = [&["--lang", l.of("en", "zh")], command, &["--help"]].concat();
        let text = case.run(&args).exits(0).stdout;
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    };
    let listed = |help: &str| -> Vec<String> {
        let list = help.split_once(l.of("\nCommands:\n", "\n命令:\n")).map_or("", |(_, rest)| rest);
        let list = list.split("\n\n").next().unwrap_or_default();
        // The words about a command may go on in the next line, further to the right.
        let lines = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    let top = help(&[]);
    let mut out = format!(
        "# {}\n\n{}\n\n{}\n\n<!-- made by tests/docs.rs from the help texts -->\n\n```text\n{top}\n```\n\n",
        l.of("Commands", "命令参考"),
        l.other("commands.md"),
        l.of(
            "The `--help` output of each command; `qunfa help COMMAND` prints it too. Results go to standard output, everything else to standard error. You can set every option with the environment variable shown next to it.",
            "以下是各命令 `--help` 的输出，`qunfa help 命令` 输出的内容相同。结果写到标准输出，其余一律写到标准错误。每个选项都可以改用旁边列出的环境变量设置。"
        ),
    );
    for command in listed(&top) {
        let text = help(&[&command]);
        write!(out, "## qunfa {command}\n\n```text\n{text}\n```\n\n").expect("text");
        for below in listed(&text) {
            let text = help(&[&command, &below]);
            write!(out, "### qunfa {command} {below}\n\n```text\n{text}\n```\n\n").expect("text");
        }
    }
    format!("{}\n", out.trim_end())
}

// WeChat's codes.

fn errcodes(language: Language) -> String {
    let l = language;
    let case = copied().speaks(l.of("en", "zh"));
    // From the best to the worst.
    let order = ["done", "retry", "refresh-token", "wait-quota", "fix-plan", "duplicate", "fatal"];
    let classes = order.map(|class| {
        let of_class = |row: &&errcode::Errcode| errcode::class_name(row.class) == class;
        let row = errcode::TABLE.iter().find(of_class).expect("every class has a code");
        let said = case.run(&["explain", &row.code.to_string()]).exits(0).stdout;
        let (open, close) = (l.of(" (", "（"), l.of(")", "）"));
        let what = said.trim_end().strip_suffix(close).and_then(|said| said.rsplit_once(open));
        (class, what.expect("what a run does").1.to_owned())
    });
    let mut out = format!(
        "# {}\n\n{}\n\n{}\n\n<!-- made by tests/docs.rs from src/wechat/errcode/table.rs -->\n\n",
        l.of("WeChat's error codes", "微信错误码"),
        l.other("errcodes.md"),
        l.of(
            &format!("What the codes mean for a campaign, and what to do. `qunfa explain 45028` prints the same text, and `qunfa explain --list` all codes. HTTP 200 does not mean success; `errcode` decides. An unlisted code stops the run. WeChat's own list is [here]({}).", errcode::SOURCE),
            &format!("每个错误码对群发意味着什么、该怎么办；`qunfa explain 45028` 打印的就是这里的内容，`qunfa explain --list` 列出全部代码。HTTP 200 不等于成功，一切以 `errcode` 为准。表里没有的错误码会让运行停下：宁可停下，也不猜。微信官方的列表见[全局返回码]({})。", errcode::SOURCE)
        )
    );
    write!(
        out,
        "## {}\n\n| {} | {} |\n| --- | --- |\n",
        l.of("How a run reacts", "运行如何应对"),
        l.of("class", "类别"),
        l.of("what a run does", "运行的做法")
    )
    .expect("text");
    for (class, what) in &classes {
        writeln!(out, "| `{class}` | {what} |").expect("text");
    }
    write!(
        out,
        "\n## {}\n\n| {} | {} | {} |\n| --- | --- | --- |\n",
        l.of("All codes", "全部错误码"),
        l.of("code", "错误码"),
        l.of("meaning", "含义"),
        l.of("what to do", "怎么办")
    )
    .expect("text");
    for row in errcode::TABLE {
        let (meaning, todo) = row.words(l.spoken());
        let own = if row.errmsg.is_empty() {
            String::new()
        } else {
            format!("<br>*{}*", cell(row.errmsg).replace('*', "\\*").replace('_', "\\_"))
        };
        writeln!(
            out,
            "| **{}**<br>`{}` | {}{own} | {} |",
            row.code,
            errcode::class_name(row.class),
            cell(meaning),
            cell(todo)
        )
        .expect("text");
    }
    out
}

// Our own codes.

/// What the groups of codes are about.
const GROUPS: &[(&str, &str, &str)] = &[
    ("Q1", "Reading a plan", "读取计划"),
    ("Q2", "Keys and values", "键与值"),
    ("Q3", "References between steps", "步骤之间的引用"),
    ("Q4", "Limits and contents", "限额与内容"),
    ("Q5", "Templates", "模板"),
    ("Q6", "Files and variables", "文件与变量"),
    ("Q7", "Audiences", "群发对象"),
    ("Q8", "Accounts and secrets", "账号与密钥"),
    ("Q9", "Warnings", "警告"),
    ("A1", "Article themes", "图文主题"),
    ("A2", "Article markup", "图文标记"),
    ("A3", "Article pictures", "图文里的图片"),
    ("A4", "Article size", "图文的大小"),
];

fn diagnostics(language: Language) -> String {
    let l = language;
    let mut out = format!(
        "# {}\n\n{}\n\n{}\n\n<!-- made by tests/docs.rs from src/diag/code.rs -->\n\n",
        l.of("Diagnostics", "诊断代码"),
        l.other("diagnostics.md"),
        l.of(
            "Problems in a plan, content file, data file or article. Codes never change their meaning. `qunfa explain Q201` prints one; names work too (`qunfa explain unknown-key`), and `qunfa explain --list` prints them all. After an error nothing is sent: the exit code is 3, or 4 if an input is missing. Warnings never stop a run.",
            "计划、内容文件、数据文件和图文里的问题。代码的含义不会改变；`qunfa explain Q201` 打印单条说明（也可以写名字：`qunfa explain unknown-key`），`qunfa explain --list` 列出全部。只要有一个错误就什么都不发：退出码为 3，缺少输入时为 4。警告不会阻止运行。"
        )
    );
    let mut told: HashSet<&str> = HashSet::new();
    for (prefix, english, chinese) in GROUPS {
        let codes: Vec<_> =
            Code::ALL.iter().map(|code| code.info()).filter(|info| info.id.starts_with(prefix)).collect();
        if codes.is_empty() {
            continue;
        }
        write!(
            out,
            "## {}\n\n| {} | {} | {} |\n| --- | --- | --- |\n",
            l.of(english, chinese),
            l.of("code", "代码"),
            l.of("severity", "级别"),
            l.of("meaning and fix", "含义与处理办法")
        )
        .expect("text");
        for info in codes {
            let severity = match (info.severity, info.missing_input) {
                (Severity::Error, false) => l.of("error (3)", "错误（3）"),
                (Severity::Error, true) => l.of("error (4)", "错误（4）"),
                _ => l.of("warning", "警告"),
            };
            writeln!(
                out,
                "| **{}** `{}` | {severity} | {} |",
                info.id,
                info.name,
                cell(in_language(l.spoken(), info.explanation))
            )
            .expect("text");
            told.insert(info.id);
        }
        out.push('\n');
    }
    for code in Code::ALL {
        assert!(told.contains(code.info().id), "{} belongs to no group", code.info().id);
    }
    format!("{}\n", out.trim_end())
}

#[test]
fn generated_pages_are_current() {
    current("plan.md", plan);
    current("commands.md", commands);
    current("errcodes.md", errcodes);
    current("diagnostics.md", diagnostics);
}

// The book as a whole.

/// The text of a page without its blocks of code and its code in lines.
fn prose(page: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    for block in blocks(page) {
        out.push_str(&page[at..block.start]);
        at = block.start + block.text.len();
    }
    out.push_str(&page[at..]);
    let mut text = String::new();
    for line in out.lines() {
        let mut code = false;
        for part in line.split('`') {
            if !code {
                text.push_str(part);
            }
            code = !code;
        }
        text.push('\n');
    }
    text
}

/// The targets of the links of a page.
pub(crate) fn links(page: &str) -> Vec<String> {
    let text = prose(page);
    text.match_indices("](").filter_map(|(at, _)| text[at + 2..].split([')', ' ']).next()).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as both GitHub and mdBook make them.
fn anchors(page: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut at = 0;
    let mut text = String::new();
    for block in blocks(page) {
        text.push_str(&page[at..block.start]);
        at = block.start + block.text.len();
    }
    text.push_str(&page[at..]);
    for heading in text.lines().filter(|line| line.starts_with('#')) {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let slug: String = words
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c),
                _ => None,
            })
            .collect();
        let mut number = 0;
        let mut name = slug.clone();
        while !found.insert(name.clone()) {
            number += 1;
            name = format!("{slug}-{number}");
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let root = repository().canonicalize().expect("is there");
    let mut wrong = Vec::new();
    let mut count = 0;
    for name in pages() {
        let page = fs::read_to_string(root.join(&name)).expect("readable");
        for link in links(&page) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { name.clone() } else { name.parent().unwrap_or(Path::new("")).join(path) };
            let there = root.join(&target).canonicalize().ok().filter(|there| there.starts_with(&root));
            let right = there.is_some_and(|there| {
                anchor.is_empty() || fs::read_to_string(there).is_ok_and(|text| anchors(&text).contains(anchor))
            });
            if !right {
                wrong.push(format!("{}: {link}", name.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
    assert!(count >= 50, "{count}");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    for folder in ["docs", "docs/zh"] {
        let folder = repository().join(folder);
        let contents = fs::read_to_string(folder.join("SUMMARY.md")).expect("is there");
        for entry in fs::read_dir(&folder).expect("readable").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") && name != "SUMMARY.md" {
                assert!(contents.contains(&format!("]({name})")), "{}/SUMMARY.md has no {name}", folder.display());
            }
        }
    }
}
