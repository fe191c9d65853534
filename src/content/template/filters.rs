//! Filters for Chinese copy: dates, numbers, money, shortening, and links that WeChat understands in text messages.

use std::borrow::Cow;

use minijinja::{
    Environment, Error, ErrorKind, State,
    value::{Kwargs, Value, ValueKind},
};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::errors::refused;
use crate::{
    clock::shanghai,
    locale::say,
    text::moment::{Moment::Whole, meant_moment},
};

/// Names of the filters below.
pub(super) const NAMES: &[&str] =
    &["date", "weekday_zh", "number", "money", "truncate_zh", "wechat_link", "miniprogram_link"];

pub(super) fn add(env: &mut Environment<'_>) {
    env.add_filter("date", date);
    env.add_filter("weekday_zh", weekday_zh);
    env.add_filter("number", number);
    env.add_filter("money", money);
    env.add_filter("truncate_zh", truncate_zh);
    env.add_filter("wechat_link", wechat_link);
    env.add_filter("miniprogram_link", miniprogram_link);
    env.add_filter("tojson", tojson);
}

/// minijinja's, which counts its work only when it is done: a list may hold itself a million times over, and an indentation may
/// have a million blanks.
fn tojson(state: &State<'_, '_>, value: &Value, indent: Option<Value>, args: Kwargs) -> Result<Value, Error> {
    const MOST: usize = 16;
    let named: Option<Value> = if indent.is_some() { None } else { args.get("indent")? };
    let indent = indent.or(named);
    args.assert_all_used()?;
    if indent.as_ref().is_some_and(|indent| usize::try_from(indent.clone()).is_ok_and(|indent| indent > MOST)) {
        return Err(refused(say!("JSON can be indented by at most {most} spaces", most = MOST)));
    }
    let mut open = vec![value.clone()];
    while let Some(value) = open.pop() {
        state.consume_fuel(1 + value.as_str().map_or(0, str::len) as u64 / 8)?;
        if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
            for item in value.try_iter()? {
                state.consume_fuel(1)?;
                if value.kind() == ValueKind::Map {
                    open.push(value.get_item(&item)?);
                }
                open.push(item);
            }
        }
    }
    minijinja::filters::tojson(value, indent, std::iter::empty::<(&str, Value)>().collect())
}

/// `2026-03-01`, `2026-03-01 09:00`, or RFC 3339 with an offset (then in Asia/Shanghai).
enum Moment {
    Day(jiff::civil::Date),
    Time(jiff::civil::DateTime),
}

impl Moment {
    fn read(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        // A civil time would be parsed from a text with an offset too, and the offset ignored.
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Moment::Time(shanghai(at).datetime()));
        }
        if text.len() <= "2026-03-01".len() {
            if let Ok(day) = text.parse() {
                return Ok(Moment::Day(day));
            }
        } else if let Ok(time) = text.parse() {
            return Ok(Moment::Time(time));
        }
        if let Some(Whole(meant)) = meant_moment(text) {
            let meant = meant.strip_suffix("T00:00:00+08:00").unwrap_or(&meant);
            return Err(refused(say!("`{text}` is not a date that `date` reads; write `{meant}`", text, meant)));
        }
        Err(refused(say!(
            "`{text}` is not a date such as `2026-03-01`, `2026-03-01T09:00` or `2026-03-01T09:00:00+08:00`",
            text
        )))
    }

    fn day(&self) -> jiff::civil::Date {
        match self {
            Moment::Day(day) => *day,
            Moment::Time(time) => time.date(),
        }
    }
}

/// `2026年3月1日`, or in the format that is given (`strftime`).
fn date(text: Cow<'_, str>, format: Option<&str>) -> Result<String, Error> {
    let format = format.unwrap_or("%Y年%-m月%-d日");
    if !format.contains('%') {
        return Err(refused(say!("the format `{format}` has no date fields; write one such as `%-m月%-d日`", format)));
    }
    let (broken, why) = match Moment::read(&text)? {
        Moment::Day(day) => (
            jiff::fmt::strtime::BrokenDownTime::from(day),
            say!("a day without a time can be shown only with fields such as %Y, %-m and %-d"),
        ),
        Moment::Time(time) => (
            jiff::fmt::strtime::BrokenDownTime::from(time),
            say!("a time can be shown only with fields such as %Y, %-m, %-d, %H and %M"),
        ),
    };
    broken
        .to_string(format)
        .map_err(|_| refused(say!("cannot format `{text}` with `{format}`: {why}", text = &*text, format, why)))
}

/// `星期日`, or with another word for the week, `周`: `周日`.
fn weekday_zh(text: Cow<'_, str>, week: Option<&str>) -> Result<String, Error> {
    const DAYS: [&str; 7] = ["日", "一", "二", "三", "四", "五", "六"];
    let day = Moment::read(&text)?.day().weekday().to_sunday_zero_offset();
    let name = usize::try_from(day).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or_default();
    Ok(format!("{}{name}", week.unwrap_or("星期")))
}

/// A number by its digits, so that nothing is lost on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    fn read(state: &State<'_, '_>, value: &Value) -> Result<Self, Error> {
        state.consume_fuel(value.as_str().map_or(0, str::len) as u64)?;
        let refuse = || refused(say!("`{value}` is not a number such as `1234.5`", value = value.to_string()));
        let text = match value.kind() {
            ValueKind::Undefined => return Err(ErrorKind::UndefinedError.into()),
            // A float's shortest digits, and never an exponent.
            ValueKind::Number if !value.is_integer() => {
                format!("{}", f64::try_from(value.clone()).map_err(|_| refuse())?)
            }
            ValueKind::Number => value.to_string(),
            ValueKind::String => value.as_str().unwrap_or_default().trim().to_owned(),
            _ => return Err(refuse()),
        };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.as_str()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !numeric(whole) || !numeric(fraction) {
            return Err(refuse());
        }
        let whole = whole.trim_start_matches('0');
        Ok(Self {
            negative,
            whole: if whole.is_empty() { "0" } else { whole }.to_owned(),
            fraction: fraction.trim_end_matches('0').to_owned(),
        })
    }

    /// Rounded half away from zero to so many digits after the point.
    fn rounded(mut self, digits: usize) -> Self {
        let up = self.fraction.as_bytes().get(digits).is_some_and(|digit| *digit >= b'5');
        self.fraction.truncate(digits);
        while self.fraction.len() < digits {
            self.fraction.push('0');
        }
        if up {
            let mut all: Vec<u8> = format!("0{}{}", self.whole, self.fraction).into_bytes();
            for digit in all.iter_mut().rev() {
                if *digit == b'9' {
                    *digit = b'0';
                } else {
                    *digit += 1;
                    break;
                }
            }
            let all = String::from_utf8(all).unwrap_or_default();
            let (whole, fraction) = all.split_at(all.len() - digits);
            let trimmed = whole.trim_start_matches('0');
            self.whole = if trimmed.is_empty() { "0" } else { trimmed }.to_owned();
            self.fraction = fraction.to_owned();
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.whole == "0" && self.fraction.bytes().all(|b| b == b'0')
    }

    /// `1,234,567`, without sign and fraction.
    fn grouped(&self) -> String {
        let mut out = String::new();
        for (at, digit) in self.whole.chars().enumerate() {
            if at > 0 && (self.whole.len() - at).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        out
    }

    fn sign(&self) -> &'static str {
        if self.negative && !self.is_zero() { "-" } else { "" }
    }
}

/// `1,234,567.5`; with `decimals`, rounded to so many digits after the point.
fn number(state: &State<'_, '_>, value: &Value, decimals: Option<usize>) -> Result<String, Error> {
    const MOST: usize = 20;
    let mut decimal = Decimal::read(state, value)?;
    if let Some(decimals) = decimals {
        if decimals > MOST {
            return Err(refused(say!("a number can have at most {most} decimals", most = MOST)));
        }
        decimal = decimal.rounded(decimals);
    }
    let point = if decimal.fraction.is_empty() { "" } else { "." };
    Ok(format!("{}{}{point}{}", decimal.sign(), decimal.grouped(), decimal.fraction))
}

/// `¥1,234` or `¥1,234.50`, never a fen lost; `unit="fen"` for amounts in fen.
fn money(state: &State<'_, '_>, value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let unit: Option<&str> = kwargs.get("unit")?;
    kwargs.assert_all_used()?;
    let mut amount = Decimal::read(state, value)?;
    let lost = || {
        let value = value.to_string();
        refused(say!("`{value}` is not a whole number of fen; round it first, as in `price | round(2) | money`", value))
    };
    match unit.unwrap_or("yuan") {
        "yuan" => {
            if amount.fraction.len() > 2 {
                // 0.1 + 0.2 is 0.30000000000000004: what is nearer to a fen than any price is that fen.
                let float = f64::try_from(value.clone()).ok().filter(|_| value.kind() == ValueKind::Number);
                let near = float.is_some_and(|float| ((float * 100.0).round() - float * 100.0).abs() < 1e-6);
                if !near {
                    return Err(lost());
                }
                amount = amount.rounded(2);
            }
        }
        "fen" => {
            if !amount.fraction.is_empty() {
                return Err(lost());
            }
            let digits = format!("{:0>3}", amount.whole);
            let (whole, fraction) = digits.split_at(digits.len() - 2);
            amount = Decimal { whole: whole.to_owned(), fraction: fraction.to_owned(), ..amount };
        }
        other => return Err(refused(say!("unknown unit `{unit}`; write `yuan` or `fen`", unit = other))),
    }
    let amount = amount.rounded(2);
    let fen = if amount.fraction == "00" { String::new() } else { format!(".{}", amount.fraction) };
    Ok(format!("{}¥{}{fen}", amount.sign(), amount.grouped()))
}

/// At most so many characters, or columns (`width`, a Chinese character is two), the mark of the cut included.
fn truncate_zh(
    state: &State<'_, '_>,
    text: Cow<'_, str>,
    length: Option<usize>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let width: Option<usize> = kwargs.get("width")?;
    let end: Option<&str> = kwargs.get("end")?;
    kwargs.assert_all_used()?;
    let end = end.unwrap_or("…");
    // To find the characters that readers see takes far longer than to copy them.
    state.consume_fuel((text.len() + end.len()) as u64)?;
    type Measure = fn(&str) -> usize;
    let (most, measure): (usize, Measure) = match (length, width) {
        (Some(most), None) => (most, |text| text.graphemes(true).count()),
        (None, Some(most)) => (most, |text| text.width_cjk()),
        _ => return Err(refused(say!("`truncate_zh` needs a number of characters, or `width=` for columns"))),
    };
    if measure(&text) <= most {
        return Ok(text.into_owned());
    }
    let room = most
        .checked_sub(measure(end))
        .ok_or_else(|| refused(say!("`{end}` alone is longer than {most}", end, most)))?;
    let mut used = 0;
    let kept: String = text
        .graphemes(true)
        .take_while(|grapheme| {
            used += measure(grapheme);
            used <= room
        })
        .collect();
    Ok(format!("{}{end}", kept.trim_end()))
}

/// Percent-encodes what would end the attribute or the tag.
fn attribute(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            ' ' => out.push_str("%20"),
            '"' => out.push_str("%22"),
            '\'' => out.push_str("%27"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            c => out.push(c),
        }
        out
    })
}

fn web_address(url: &str) -> Result<String, Error> {
    let url = url.trim();
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        url.get(..scheme.len()).filter(|begin| begin.eq_ignore_ascii_case(scheme)).map(|_| &url[scheme.len()..])
    });
    match rest {
        Some(rest)
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '[') && !url.contains(['\n', '\r', '\t']) =>
        {
            Ok(attribute(url))
        }
        _ => Err(refused(say!("`{url}` is not a URL; start it with https://", url))),
    }
}

/// The words of a link: a tag in them, or a line end, would break it.
fn words(text: &str) -> Result<&str, Error> {
    if text.trim().is_empty() || text.contains(['<', '>', '\n', '\r']) {
        return Err(refused(say!("`{text}` cannot be a link text; write one line without < and >", text)));
    }
    Ok(text)
}

/// `{{ "https://…" | wechat_link("words") }}`
fn wechat_link(url: Cow<'_, str>, text: Cow<'_, str>) -> Result<Value, Error> {
    Ok(Value::from_safe_string(format!("<a href=\"{}\">{}</a>", web_address(&url)?, words(&text)?)))
}

/// `{{ "words" | miniprogram_link(appid="wx…", path="pages/index", href="https://…") }}`; `href` is for clients that
/// cannot open mini programs.
fn miniprogram_link(text: Cow<'_, str>, kwargs: Kwargs) -> Result<Value, Error> {
    let appid: &str = kwargs.get("appid")?;
    let path: &str = kwargs.get("path")?;
    let href: Option<&str> = kwargs.get("href")?;
    kwargs.assert_all_used()?;
    let digits = appid.strip_prefix("wx").unwrap_or_default();
    if digits.len() != 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(refused(say!(
            "`{appid}` is not the AppID of a mini program (`wx` and 16 hexadecimal digits)",
            appid
        )));
    }
    if path.trim().is_empty() || path.contains(['\n', '\r', '\t']) || path.contains("://") {
        return Err(refused(say!("`{path}` is not a mini program page such as `pages/index/index?id=1`", path)));
    }
    let href = href.map(web_address).transpose()?.map(|url| format!(" href=\"{url}\"")).unwrap_or_default();
    Ok(Value::from_safe_string(format!(
        "<a data-miniprogram-appid=\"{appid}\" data-miniprogram-path=\"{}\"{href}>{}</a>",
        attribute(path.trim()),
        words(&text)?
    )))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::super::Engine;

    fn rendered(expression: &str) -> String {
        let source = format!("{{{{ {expression} }}}}");
        match Engine::default().render(&source, &context! { small => 0.1 + 0.2, none => () }) {
            Ok(text) => text,
            Err(failures) => format!("! {}", failures[0].message),
        }
    }

    #[test]
    fn dates() {
        assert_eq!(rendered("'2026-03-01' | date"), "2026年3月1日");
        assert_eq!(rendered("'2026-03-01T23:30:00Z' | date('%-m月%-d日 %H:%M')"), "3月2日 07:30");
        assert_eq!(rendered("'2026-03-01 09:05' | date('%H点%M分')"), "09点05分");
        assert!(rendered("'2026-02-30' | date").starts_with("! "));
        assert!(rendered("'2026-03-01' | date('%H')").starts_with("! "), "a day has no hour");
        assert!(rendered("'tomorrow' | date").contains("is not a date"));
        assert!(rendered("'2026-03-01' | date('%Q')").starts_with("! "));
        assert!(rendered("'2026-03-01' | date('long')").contains("has no date fields"));
        assert_eq!(rendered("'2026-03-01' | weekday_zh"), "星期日");
        assert_eq!(rendered("'2026-03-04' | weekday_zh('周')"), "周三");
    }

    #[test]
    fn numbers() {
        for (from, to) in [
            ("1234567.5", "1,234,567.5"),
            ("-1234", "-1,234"),
            ("999", "999"),
            ("'0012'", "12"),
            ("'12345678901234567890123'", "12,345,678,901,234,567,890,123"),
            ("1e3", "1,000"),
        ] {
            assert_eq!(rendered(&format!("{from} | number")), to);
        }
        assert_eq!(rendered("(-1234.5) | number"), "-1,234.5");
        assert_eq!(rendered("'9.995' | number(2)"), "10.00");
        assert_eq!(rendered("'0.004' | number(2)"), "0.00");
        assert_eq!(rendered("'-0.004' | number(2)"), "0.00");
        assert_eq!(rendered("1234.5 | number(0)"), "1,235");
        assert!(rendered("'12元' | number").contains("is not a number"));
        assert!(rendered("true | number").contains("is not a number"));
        assert!(rendered("none | number").contains("is not a number"));
    }

    #[test]
    fn money_loses_no_fen() {
        for (from, to) in [
            ("198", "¥198"),
            ("198.5", "¥198.50"),
            ("'1234.05'", "¥1,234.05"),
            ("small", "¥0.30"),
            ("-5", "-¥5"),
            ("0", "¥0"),
        ] {
            assert_eq!(rendered(&format!("({from}) | money")), to);
        }
        assert_eq!(rendered("19805 | money(unit='fen')"), "¥198.05");
        assert_eq!(rendered("5 | money(unit='fen')"), "¥0.05");
        assert!(rendered("198.005 | money").contains("fen"));
        assert!(rendered("'0.001' | money").contains("fen"));
        assert!(rendered("1.5 | money(unit='fen')").contains("fen"));
        assert!(rendered("1 | money(unit='dollar')").contains("unknown unit"));
        assert!(rendered("1 | money(sign='$')").starts_with("! "));
    }

    #[test]
    fn shortening_cuts_between_characters() {
        assert_eq!(rendered("'明前龙井上新' | truncate_zh(4)"), "明前龙…");
        assert_eq!(rendered("'明前龙井' | truncate_zh(4)"), "明前龙井");
        assert_eq!(rendered("'明前longjing' | truncate_zh(width=8)"), "明前lo…");
        assert_eq!(rendered("'👨‍👩‍👧‍👦家人们' | truncate_zh(2)"), "👨‍👩‍👧‍👦…");
        assert_eq!(rendered("'明前龙井' | truncate_zh(3, end='')"), "明前龙");
        assert!(rendered("'明前' | truncate_zh(1, end='全文')").contains("longer"));
        assert!(rendered("'明前' | truncate_zh").contains("needs a number"));
        assert!(rendered("'明前' | truncate_zh(1, width=2)").contains("needs a number"));
    }

    #[test]
    fn links_cannot_be_broken_out_of() {
        assert_eq!(
            rendered(r#"'https://a.example/?q="><b>&x=1 2' | wechat_link("看看")"#),
            r#"<a href="https://a.example/?q=%22%3E%3Cb%3E&x=1%202">看看</a>"#
        );
        assert!(rendered("'javascript:alert(1)' | wechat_link('x')").contains("is not a URL"));
        assert!(rendered("'https://' | wechat_link('x')").contains("is not a URL"));
        assert!(rendered("'https://a.example' | wechat_link('<b>')").contains("cannot be a link text"));
        assert_eq!(
            rendered(
                "'下单' | miniprogram_link(appid='wx0123456789abcdef', path='pages/a?b=1', href='https://a.example')"
            ),
            r#"<a data-miniprogram-appid="wx0123456789abcdef" data-miniprogram-path="pages/a?b=1" href="https://a.example">下单</a>"#
        );
        assert!(rendered("'下单' | miniprogram_link(appid='x', path='p')").contains("is not the AppID"));
        assert!(
            rendered("'下单' | miniprogram_link(appid='wx0123456789abcdef', path='')")
                .contains("is not a mini program page")
        );
        assert!(rendered("'下单' | miniprogram_link(appid='wx0123456789abcdef')").starts_with("! "));
    }

    #[test]
    fn undefined_values_are_undefined() {
        for filter in super::NAMES {
            assert!(rendered(&format!("nope | {filter}")).contains("`nope` is not defined"), "{filter}");
        }
    }
}
