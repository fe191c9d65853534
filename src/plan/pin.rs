//! Writes the digests of drafts into the text of a plan, and leaves all else as it is.

use serde_json::Value;

use super::{
    action::use_draft::DIGEST,
    yaml::{self, Document},
};
use crate::{
    diag::{Diagnostics, source::SourceMap},
    locale::{Phrase, say},
};

/// The text of a plan with digests of its steps, as (`id`, digest); an error names the step into which none can be put, and why.
/// What comes out differs from what went in by nothing but these digests: it is read again before it is given.
pub(crate) fn write(text: &str, pins: &[(String, String)]) -> Result<String, (String, Phrase)> {
    let mut text = text.to_owned();
    for (id, digest) in pins {
        text = one(&text, id, digest).map_err(|why| (id.clone(), why))?;
    }
    Ok(text)
}

fn read(text: &str) -> Option<(SourceMap, Document)> {
    let mut sources = SourceMap::default();
    let file = sources.add("plan", text.to_owned());
    let document = yaml::parse(file, &sources, &mut Diagnostics::default())?;
    Some((sources, document))
}

fn one(text: &str, id: &str, digest: &str) -> Result<String, Phrase> {
    let by_hand = || say!("its place in the file is not clear; write `digest: {digest}` yourself", digest);
    let (_, document) = read(text).ok_or_else(by_hand)?;
    let steps = document.value["steps"].as_array().ok_or_else(by_hand)?;
    let index = steps.iter().position(|step| step["id"] == id).ok_or_else(by_hand)?;
    let step = format!("/steps/{index}");
    let (range, new) = match document.value.pointer(&format!("{step}/{DIGEST}")) {
        Some(Value::String(old)) if old.contains("{{") => {
            return Err(say!("its `digest` is a template; write {digest} where that takes it from", digest));
        }
        Some(_) => {
            let span = document.span(&format!("{step}/{DIGEST}"));
            (span.start..span.end, format!("\"{digest}\""))
        }
        None => {
            let name = if steps[index].get("title").is_some() { "title" } else { "media_id" };
            let (key, value) = (document.key_span(&format!("{step}/{name}")), document.span(&format!("{step}/{name}")));
            let line = text[..key.start].rfind('\n').map_or(0, |newline| newline + 1);
            let before = &text[line..key.start];
            let new = format!("{DIGEST}: \"{digest}\"");
            if before.contains(['{', ',']) {
                (value.end..value.end, format!(", {new}"))
            } else {
                let end = text[value.end..].find('\n').map_or(text.len(), |newline| value.end + newline);
                let (end, newline) = match text[..end].ends_with('\r') {
                    true => (end - 1, "\r\n"),
                    false => (end, "\n"),
                };
                (end..end, format!("{newline}{}{new}", " ".repeat(before.chars().count())))
            }
        }
    };
    let written = format!("{}{new}{}", &text[..range.start], &text[range.end..]);
    let mut wanted = document.value.clone();
    if let Some(step) = wanted.pointer_mut(&step).and_then(Value::as_object_mut) {
        step.insert(DIGEST.to_owned(), digest.into());
    }
    match read(&written) {
        Some((_, document)) if document.value == wanted => Ok(written),
        _ => Err(by_hand()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "sha256-11";

    fn pinned(text: &str) -> Result<String, String> {
        write(text, &[("b".to_owned(), NEW.to_owned())]).map_err(|(_, why)| why.to_string())
    }

    #[test]
    fn all_but_the_digest_stays_as_it_is() {
        for (before, after) in [
            (
                "# plan\nsteps:\n  - id: a\n    action: x\n\n  - id: b   # b\n    action: use_draft\n    title:  春茶 # by hand\n    retry: { attempts: 2 }\n",
                "# plan\nsteps:\n  - id: a\n    action: x\n\n  - id: b   # b\n    action: use_draft\n    title:  春茶 # by hand\n    digest: \"sha256-11\"\n    retry: { attempts: 2 }\n",
            ),
            (
                "steps:\r\n  - media_id: m\r\n    id: b\r\n    action: use_draft",
                "steps:\r\n  - media_id: m\r\n    digest: \"sha256-11\"\r\n    id: b\r\n    action: use_draft",
            ),
            (
                "steps:\n  - { id: b, action: use_draft, title: 'a, b' } # c\n",
                "steps:\n  - { id: b, action: use_draft, title: 'a, b', digest: \"sha256-11\" } # c\n",
            ),
            ("steps:\n- id: b\n  title: \"a\"", "steps:\n- id: b\n  title: \"a\"\n  digest: \"sha256-11\""),
            (
                "steps:\n  - id: b\n    digest: sha256-00 # old\n    title: a\n",
                "steps:\n  - id: b\n    digest: \"sha256-11\" # old\n    title: a\n",
            ),
            (
                "steps: [{ id: b, title: a, digest: 'sha256-00' }]\n",
                "steps: [{ id: b, title: a, digest: \"sha256-11\" }]\n",
            ),
        ] {
            assert_eq!(pinned(before).as_deref(), Ok(after), "{before}");
            assert_eq!(pinned(after).as_deref(), Ok(after), "twice is once: {before}");
        }
    }

    #[test]
    fn where_its_place_is_not_clear_nothing_is_written() {
        let _heard = crate::locale::tests::heard("plan-pin-where_its_place_is_not_clear_nothing_is_written");
        for text in [
            "",
            "steps: 1\n",
            "steps:\n  - id: a\n",
            "x: &s { id: b, title: a }\nsteps:\n  - *s\n",
            "steps:\n  - id: b\n    title: a\n    digest: '{{ vars.d }}'\n",
        ] {
            assert!(pinned(text).is_err(), "{text}");
        }
    }
}
