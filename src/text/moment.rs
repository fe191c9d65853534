//! Dates and times as people write them, in the form that is wanted.

use super::characters::half_width;

/// A reader of digits and words, one after the other.
struct Words<'t>(&'t str);

impl Words<'_> {
    fn number(&mut self, most: usize) -> Option<u32> {
        self.0 = self.0.trim_start();
        let length = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let number = self.0[..length].parse().ok()?;
        self.0 = &self.0[length..];
        Some(number)
    }

    fn word<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        let rest = self.0.trim_start();
        let word =
            words.iter().find(|word| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)))?;
        self.0 = &rest[word.len()..];
        Some(word)
    }
}

/// A time of day in hours, minutes and seconds: `9点`, `晚上8点半`, `20:00`, `9:00 pm`.
fn time_of_day(words: &mut Words<'_>) -> Option<[u32; 3]> {
    const MORNING: &[&str] = &["上午", "早上", "凌晨", "清晨", "早", "am"];
    const EVENING: &[&str] = &["下午", "晚上", "傍晚", "晚", "pm"];
    let early = words.word(MORNING).is_some();
    let noon = words.word(&["中午"]).is_some();
    let late = words.word(EVENING).is_some();
    let hour = words.number(2)?;
    let mut time = [hour, 0, 0];
    if words.word(&["点半", "时半"]).is_some() {
        time[1] = 30;
    } else if words.word(&["点钟", "点整", ":", "点", "时", "."]).is_some() {
        if words.word(&["一刻"]).is_some() {
            time[1] = 15;
        } else if let Some(minute) = words.number(2) {
            time[1] = minute;
            if words.word(&[":", "分"]).is_some() {
                time[2] = words.number(2).unwrap_or(0);
                words.word(&["秒"]);
            }
        }
    }
    let late = late || (!early && words.word(&["pm", "p.m."]).is_some());
    words.word(&["am", "a.m."]);
    if (late && (1..12).contains(&hour)) || (noon && (1..3).contains(&hour)) {
        time[0] += 12;
    }
    let exists = time[0] < 24 && time[1] < 60 && time[2] < 60 || time == [24, 0, 0];
    exists.then_some(time)
}

/// A date and time in another form, as RFC 3339 in the time of Beijing; and what is missing of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// All of it.
    Whole(String),
    /// A time without a date, such as `20:00:00+08:00`.
    OfDay(String),
    /// A date without a year: `-07-01T09:00:00+08:00`.
    OfYear(String),
}

/// Reads a date and time as people write it.
pub(crate) fn meant_moment(text: &str) -> Option<Moment> {
    let half = half_width(text);
    let half = half.trim().trim_matches(['"', '\'']).trim();
    let end = |words: &Words<'_>| words.0.trim_matches([' ', '。', '.', '前', '起']).is_empty();
    let offset = |words: &mut Words<'_>| -> Option<String> {
        if words.word(&["z"]).is_some() {
            return Some("+00:00".into());
        }
        if words.word(&["北京时间", "cst", "utc+8", "gmt+8"]).is_some() {
            return Some("+08:00".into());
        }
        match words.word(&["+", "-"]) {
            None => Some("+08:00".into()),
            Some(sign) => {
                let hours = words.number(2)?;
                words.word(&[":"]);
                Some(format!("{sign}{hours:02}:{:02}", words.number(2).unwrap_or(0)))
            }
        }
    };
    let rest = |words: &mut Words<'_>| -> Option<String> {
        words.word(&["日", "号"]);
        words.word(&["t", ",", "的"]);
        let [hour, minute, second] = if end(words) { [0, 0, 0] } else { time_of_day(words)? };
        let offset = offset(words)?;
        end(words).then(|| format!("{hour:02}:{minute:02}:{second:02}{offset}"))
    };
    let mut words = Words(half);
    if let Some(time) =
        rest(&mut Words(half)).filter(|_| half.len() < 16 && !half.contains(['/', '月', '年', '日', '号']))
    {
        return Some(Moment::OfDay(time));
    }
    let first = words.number(4)?;
    words.word(&["-", "/", ".", "年", "月"])?;
    let second = words.number(2)?;
    if half.chars().take_while(char::is_ascii_digit).count() < 4 {
        let exists = (1..=12).contains(&first) && (1..=31).contains(&second);
        return rest(&mut words)
            .filter(|_| exists)
            .map(|time| Moment::OfYear(format!("-{first:02}-{second:02}T{time}")));
    }
    words.word(&["-", "/", ".", "月"])?;
    let day = words.number(2)?;
    let time = rest(&mut words)?;
    let moment = format!("{first:04}-{second:02}-{day:02}T{time}");
    moment.parse::<jiff::Timestamp>().is_ok().then_some(Moment::Whole(moment))
}

/// `09:00-21:00` of `9点到晚上9点` and the like.
pub(crate) fn meant_window(text: &str) -> Option<String> {
    let half = half_width(text);
    let mut words = Words(half.trim().trim_matches(['"', '\'']));
    words.word(&["从", "每天"]);
    let from = time_of_day(&mut words)?;
    words.word(&["->", "--", "-", "~", "至", "到", "to", "..", ","])?;
    let to = time_of_day(&mut words)?;
    (words.0.trim().is_empty() && from[0] < 24)
        .then(|| format!("{:02}:{:02}-{:02}:{:02}", from[0], from[1], to[0], to[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_other_forms() {
        let whole = |text: &str| Some(Moment::Whole(text.into()));
        for (text, moment) in [
            ("2026/7/1", whole("2026-07-01T00:00:00+08:00")),
            ("2026-07-01", whole("2026-07-01T00:00:00+08:00")),
            ("2026年7月1日", whole("2026-07-01T00:00:00+08:00")),
            ("2026年7月1日晚上8点半", whole("2026-07-01T20:30:00+08:00")),
            ("2026-07-01 09:00", whole("2026-07-01T09:00:00+08:00")),
            ("2026-07-01T09:00", whole("2026-07-01T09:00:00+08:00")),
            ("2026-07-01T09:00:00", whole("2026-07-01T09:00:00+08:00")),
            ("2026-07-01T09:00:00+0800", whole("2026-07-01T09:00:00+08:00")),
            ("2026.7.1 9：05", whole("2026-07-01T09:05:00+08:00")),
            ("２０２６-07-01 9:00 pm", whole("2026-07-01T21:00:00+08:00")),
            ("20:00", Some(Moment::OfDay("20:00:00+08:00".into()))),
            ("9点", Some(Moment::OfDay("09:00:00+08:00".into()))),
            ("7月1日 9点", Some(Moment::OfYear("-07-01T09:00:00+08:00".into()))),
            ("2026-13-01", None),
            ("2026-02-30", None),
            ("tomorrow", None),
            ("明天", None),
        ] {
            assert_eq!(meant_moment(text), moment, "{text}");
        }
    }
}
