//! Which language the process speaks. It is known before the arguments are parsed: help and wrong usage are said in it too.

use clap::ValueEnum as _;

use super::process;
use crate::locale::Language;

/// The variables of POSIX that say it, the strongest first.
const LOCALE: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// `--lang`, else `QUNFA_LANG`, else the locale of the environment, else English. A language that we do not have is wrong
/// usage, which clap finds; until then the locale counts.
pub(super) fn choose() -> Language {
    let set = |name: &str| process::env(name).filter(|value| !value.is_empty());
    let asked = option(process::args()).or_else(|| set("QUNFA_LANG"));
    let asked = asked.and_then(|word| Language::from_str(&word, false).ok());
    asked.or_else(|| LOCALE.into_iter().find_map(set).map(|locale| Language::of_locale(&locale))).unwrap_or_default()
}

/// What `--lang` asks for, the last one first, as clap takes it.
fn option(args: impl Iterator<Item = String>) -> Option<String> {
    let mut args = args.take_while(|arg| arg != "--");
    let mut asked = None;
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--lang") {
            Some("") => asked = args.next(),
            Some(rest) => asked = rest.strip_prefix('=').map(str::to_owned).or(asked),
            None => {}
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_found_wherever_it_stands() {
        let of = |line: &str| option(line.split(' ').map(str::to_owned));
        assert_eq!(of("--lang zh run plan.yaml").as_deref(), Some("zh"));
        assert_eq!(of("run plan.yaml --lang=en").as_deref(), Some("en"));
        assert_eq!(of("run --language=zh --lang").as_deref(), None);
        assert_eq!(of("run -- --lang zh"), None, "what follows `--` is no option");
    }
}
