//! What people write instead of what a plan takes, and what they meant: Chinese keyboards, other units and forms of dates,
//! words in Chinese. Nothing here decides whether a plan is right; it makes the help of what is wrong.

use crate::text::characters::half_width;
#[cfg(test)]
use crate::text::moment::meant_window;

/// What the key of a plan is in Chinese.
const KEYS: &[(&str, &str)] = &[
    ("版本", "version"),
    ("名称", "name"),
    ("名字", "name"),
    ("描述", "description"),
    ("说明", "description"),
    ("账号", "account"),
    ("帐号", "account"),
    ("公众号", "account"),
    ("变量", "vars"),
    ("环境变量", "env"),
    ("步骤", "steps"),
    ("动作", "action"),
    ("操作", "action"),
    ("期次", "occurrence"),
    ("类型", "kind"),
    ("密钥", "secret"),
    ("消息", "message"),
    ("文本", "text"),
    ("文字", "text"),
    ("图文", "mpnews"),
    ("图片", "image"),
    ("语音", "voice"),
    ("视频", "mpvideo"),
    ("卡券", "wxcard"),
    ("标签", "tag"),
    ("对象", "to"),
    ("标题", "title"),
    ("作者", "author"),
    ("摘要", "digest"),
    ("封面", "cover"),
    ("正文", "content"),
    ("内容", "content"),
    ("主题", "theme"),
    ("文件", "file"),
];

/// The key that was meant, and the value if it was taken for a part of the key: of `tag_id：2` or `ｔｏ`.
pub(crate) fn meant_key<'k>(key: &str, known: &[&'k str]) -> Option<(&'k str, Option<String>)> {
    let half = half_width(key);
    let (name, value) = match half.split_once(':') {
        Some((name, value)) => (
            name.trim(),
            Some(value.trim().to_owned()).filter(|value| !value.is_empty() && !value.contains(['{', '[', '"', '\''])),
        ),
        None => (half.trim(), None),
    };
    let name = name.trim_matches(['"', '\'', ' ']);
    let name = KEYS.iter().find(|(chinese, key)| *chinese == name && known.contains(key)).map_or(name, |(_, key)| key);
    known.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (*known, value))
}

/// What the words of a plan are in Chinese, and in the words of the API.
const WORDS: &[(&[&str], &[&str])] = &[
    (&["服务号", "认证服务号", "service account", "服务"], &["service"]),
    (&["订阅号", "公众号", "认证订阅号", "subscription account", "订阅", "subscribe"], &["subscription"]),
    (
        &["群发", "按标签群发", "标签群发", "发送", "群发消息", "send", "sendall", "mass", "mass_send", "send_all"],
        &["send_by_tag"],
    ),
    (
        &["按openid群发", "名单群发", "按名单群发", "按列表群发", "openid群发", "send_by_list", "send_to_openids"],
        &["send_by_openid"],
    ),
    (&["预览", "预览消息", "发送预览"], &["preview"]),
    (&["删除", "撤回", "删除群发", "recall"], &["delete"]),
    (&["查询", "检查", "查询状态", "状态", "status", "get"], &["check"]),
    (&["速度", "设置速度", "群发速度", "speed"], &["set_speed"]),
    (&["上传图片", "上传图文图片", "uploadimg", "upload_img"], &["upload_image"]),
    (&["上传素材", "新增素材", "add_material", "upload"], &["upload_material"]),
    (&["草稿", "新建草稿", "创建草稿", "新增草稿", "图文草稿", "draft", "draft_add", "add_draft"], &["create_draft"]),
    (&["已有草稿", "后台草稿", "使用草稿", "existing_draft", "draft_get"], &["use_draft"]),
    (&["发送成功", "成功", "success"], &["SEND_SUCCESS"]),
    (&["图片", "image"], &["image", "newspic"]),
    (&["图文", "图文消息", "article"], &["news"]),
    (&["贴图", "图片消息"], &["newspic"]),
    (&["语音", "音频", "audio"], &["voice"]),
    (&["视频"], &["video"]),
    (&["缩略图"], &["thumb"]),
    (&["脚注", "参考文献"], &["footnote"]),
    (&["保留"], &["keep"]),
    (&["报错", "错误"], &["error"]),
    (&["稳定", "稳定版", "stable_token"], &["stable"]),
    (&["普通", "经典"], &["classic"]),
    (&["拒绝", "中止"], &["refuse"]),
    (&["所有人", "全部", "全体", "全部用户", "所有粉丝", "全部粉丝", "everyone", "everybody", "*"], &["all"]),
];

/// The word of a plan that a Chinese word, another spelling or full-width letters stand for.
pub(crate) fn meant_word<'w>(word: &str, allowed: &[&'w str]) -> Option<&'w str> {
    let half = half_width(word);
    let half = half.trim().trim_matches(['"', '\'']);
    let same = allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(half));
    let of = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(half));
    let by_name = || {
        let words = WORDS.iter().filter(|(names, _)| of(names)).flat_map(|(_, words)| *words);
        words.into_iter().find_map(|word| allowed.iter().find(|allowed| *allowed == word))
    };
    same.or_else(by_name).copied()
}

/// `true` or `false` in other words.
pub(crate) fn meant_flag(word: &str) -> Option<bool> {
    let half = half_width(word).to_lowercase();
    let half = half.trim().trim_matches(['"', '\'']);
    match half {
        "是" | "对" | "真" | "开" | "开启" | "打开" | "启用" | "有" | "允许" | "yes" | "y" | "on" | "true" | "1"
        | "t" => Some(true),
        "否" | "不" | "假" | "关" | "关闭" | "禁用" | "无" | "不允许" | "no" | "n" | "off" | "false" | "0" | "f" => {
            Some(false)
        }
        _ => None,
    }
}

/// A whole number that is written with separators, units or in full-width digits.
pub(crate) fn meant_number(text: &str) -> Option<u64> {
    let half = half_width(text).to_lowercase();
    let half = half.trim().trim_matches(['"', '\'']).trim();
    let digits: String =
        half.chars().take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '_' | ' ' | '.' | '\'')).collect();
    let unit = half[digits.len()..].trim();
    let (chinese, unit) = match unit.chars().next().filter(|_| digits.trim().is_empty()) {
        Some(first) => (
            "一二三四五六七八九".chars().position(|digit| digit == first).or((first == '两').then_some(1)),
            &unit[first.len_utf8()..],
        ),
        None => (None, unit),
    };
    let number: String = digits.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let number = match chinese {
        Some(digit) => (digit + 1).to_string(),
        None => number,
    };
    let unit = unit.trim_end_matches(['人', '个', '次', '条', '篇', '位', '名', '%']).trim();
    let times: u64 = match unit {
        "" | "+" => 1,
        "百" => 100,
        "千" | "k" => 1_000,
        "万" | "w" => 10_000,
        "十万" => 100_000,
        "百万" | "m" => 1_000_000,
        "千万" => 10_000_000,
        "亿" => 100_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 8 {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let all = whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part)?.checked_mul(times)?;
    all.is_multiple_of(scale).then_some(all / scale)
}

/// `1h30m` of `1.5小时`, `90分钟`, `30 sec` or `30`, which are seconds.
pub(crate) fn meant_length(text: &str) -> Option<String> {
    let half = half_width(text).to_lowercase();
    let mut rest = half.trim().trim_matches(['"', '\'']).trim();
    let mut milliseconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = match rest.strip_prefix('半') {
            Some(after) => ("0.5", after.trim_start_matches('个')),
            None => (&rest[..digits], rest[digits..].trim_start()),
        };
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let unit = after[..letters].trim_start_matches('个');
        let times: u64 = match unit {
            "" | "s" | "sec" | "secs" | "second" | "seconds" | "秒" | "秒钟" => 1_000,
            "ms" | "毫秒" | "milliseconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" | "分" | "分钟" => 60_000,
            "h" | "hr" | "hour" | "hours" | "时" | "小时" | "钟头" => 3_600_000,
            "d" | "day" | "days" | "天" | "日" => 86_400_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let scale = 10_u64.pow(u32::try_from(fraction.len()).ok().filter(|digits| *digits < 5)?);
        let number: u64 = format!("{whole}{fraction}").parse().ok()?;
        milliseconds = milliseconds.checked_add(number.checked_mul(times)? / scale)?;
        rest = after[letters..].trim_start();
    }
    let parts = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut out = String::new();
    for (unit, times) in parts {
        if milliseconds >= times {
            out.push_str(&format!("{}{unit}", milliseconds / times));
            milliseconds %= times;
        }
    }
    super::value::Length::parse(&out).map(|_| out)
}

/// The name of an environment variable, where it is written as shells or templates do: `{{ env.X }}`, `${X}`, `$X`, `%X%`.
pub(crate) fn meant_variable(text: &str) -> Option<&str> {
    let text = text.trim();
    let inside = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close).map(str::trim);
    let name = inside("{{", "}}")
        .or_else(|| inside("${{", "}}"))
        .or_else(|| inside("${", "}"))
        .or_else(|| inside("%", "%"))
        .or_else(|| text.strip_prefix("env:"))
        .or_else(|| text.strip_prefix("env."))
        .or_else(|| text.strip_prefix('$'))?
        .trim();
    let name = ["env.", "vars.", "secrets.", "ENV."].iter().find_map(|of| name.strip_prefix(of)).unwrap_or(name);
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty()
        && name.len() < 64
        && name.chars().all(of_name)
        && !name.starts_with(|c: char| c.is_ascii_digit()))
    .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_separators_and_units() {
        for (text, number) in [
            ("10,000", Some(10_000)),
            ("10，000", Some(10_000)),
            ("1万", Some(10_000)),
            ("1.5 万人", Some(15_000)),
            ("一万", Some(10_000)),
            ("两千", Some(2_000)),
            ("20%", Some(20)),
            ("２０％", Some(20)),
            ("10_000", Some(10_000)),
            ("3k", Some(3_000)),
            ("100.0", Some(100)),
            ("100人", Some(100)),
            ("1.5", None),
            ("十", None),
            ("VIP", None),
            ("", None),
        ] {
            assert_eq!(meant_number(text), number, "{text}");
        }
    }

    #[test]
    fn windows_and_lengths_in_other_forms() {
        for (text, window) in [
            ("9:00-21:00", Some("09:00-21:00")),
            ("09：00～21：00", Some("09:00-21:00")),
            ("9点到晚上9点", Some("09:00-21:00")),
            ("9-21", Some("09:00-21:00")),
            ("上午9点半至下午6点", Some("09:30-18:00")),
            ("09:00 — 24:00", Some("09:00-24:00")),
            ("25:00-26:00", None),
            ("全天", None),
        ] {
            assert_eq!(meant_window(text).as_deref(), window, "{text}");
        }
        for (text, length) in [
            ("30", Some("30s")),
            ("30秒", Some("30s")),
            ("5分钟", Some("5m")),
            ("1.5小时", Some("1h30m")),
            ("半小时", Some("30m")),
            ("1小时30分", Some("1h30m")),
            ("30 sec", Some("30s")),
            ("1d", Some("24h")),
            ("2天", None),
            ("很久", None),
        ] {
            assert_eq!(meant_length(text).as_deref(), length, "{text}");
        }
    }

    #[test]
    fn words_and_keys() {
        assert_eq!(meant_word("服务号", &["service", "subscription"]), Some("service"));
        assert_eq!(meant_word("Ｓervice", &["service", "subscription"]), Some("service"));
        assert_eq!(meant_word("预览", &["preview", "check"]), Some("preview"));
        assert_eq!(meant_word("“preview”", &["preview", "check"]), Some("preview"));
        assert_eq!(meant_word("别的", &["preview"]), None);
        assert_eq!(meant_key("tag_id：2", &["tag_id", "tag"]), Some(("tag_id", Some("2".into()))));
        assert_eq!(meant_key("\u{200b}name", &["name"]), Some(("name", None)));
        assert_eq!(meant_key("名称", &["name"]), Some(("name", None)));
        assert_eq!([meant_flag("是"), meant_flag("No"), meant_flag("maybe")], [Some(true), Some(false), None]);
        for text in ["{{ env.X_1 }}", "${X_1}", "$X_1", "%X_1%", "${{ secrets.X_1 }}"] {
            assert_eq!(meant_variable(text), Some("X_1"), "{text}");
        }
        assert_eq!(meant_variable("0123456789abcdef"), None);
    }
}
