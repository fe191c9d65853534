//! Articles as WeChat gives them become files that a plan can use: front matter with HTML or text, and the pictures beside it.

use std::{cell::Cell, collections::HashMap, rc::Rc};

use serde_json::{Value, json};

use super::{
    super::{listing::text, process},
    names::{Names, stem},
};
use crate::{
    content::{
        article::{self, Format, Input, Links, Theme},
        media::{self, Material, MediaTarget, Unfit, Upload},
        words::Lint,
    },
    diag::{
        Diagnostics, Severity, render,
        source::{SourceMap, Span, without_forbidden},
    },
    limits,
    locale::{Count, Phrase, list, say},
    problem::{ExitCode, Refusal},
    run::asker::Asker,
    wechat::pictures::Pictures,
};

/// Gives a medium of the library.
const GET_MATERIAL: &str = "/cgi-bin/material/get_material";

/// A draft as files.
#[derive(Default)]
pub(super) struct Pulled {
    /// Names below the folder, with slashes.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// The articles as a plan names them.
    pub(super) articles: Vec<Entry>,
    /// What is not as it is at WeChat.
    pub(super) notes: Vec<Phrase>,
    /// What `validate` will say against the articles.
    pub(super) findings: String,
}

/// An entry of `articles:` in a plan; paths are below the folder.
pub(super) struct Entry {
    pub(super) file: String,
    /// Pictures of a `newspic`; none for a `news`.
    pub(super) images: Option<Vec<String>>,
}

/// Makes files of articles.
pub(super) struct Puller<'p, 'a, 'c> {
    pub(super) asker: &'p mut Asker<'a, 'c>,
    pub(super) pictures: Pictures,
    pub(super) pulled: Pulled,
    names: Names,
    /// The file of each address that was had, or why it was not.
    had: HashMap<String, Option<String>>,
    bytes: u64,
}

/// What a picture is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Body,
    Cover,
}

impl<'p, 'a, 'c> Puller<'p, 'a, 'c> {
    pub(super) fn new(asker: &'p mut Asker<'a, 'c>, pictures: Pictures) -> Self {
        let (pulled, names, had) = (Pulled::default(), Names::default(), HashMap::new());
        Self { asker, pictures, pulled, names, had, bytes: 0 }
    }

    /// The files of a draft. What cannot be had of it is noted; nothing is written here.
    pub(super) fn pull(mut self, articles: &[Value]) -> Result<Pulled, Refusal> {
        for article in articles {
            match text(article, "article_type") {
                "newspic" => self.newspic(article)?,
                _ => self.news(article, articles.len() == 1)?,
            }
        }
        Ok(self.pulled)
    }

    fn news(&mut self, article: &Value, single: bool) -> Result<(), Refusal> {
        let name = self.names.free(&stem(text(article, "title")), "html");
        let content = text(article, "content");
        let mut addresses: Vec<String> = Vec::new();
        article::kept(content, &mut |address| {
            addresses.push(address.to_owned());
            None
        });
        let mut optimize = false;
        for address in addresses {
            optimize |= self.body_picture(&name, &address)?;
        }
        let kept = article::kept(content, &mut |address| match self.had.get(address) {
            Some(Some(file)) => Some(file.clone()),
            _ => article::is_hosted(address).then(|| https(address)),
        });
        let dropped = kept.dropped.iter().map(|(what, count)| match count {
            1 => format!("`{what}`"),
            count => format!("`{what}` ({count})"),
        });
        let dropped: Vec<String> = dropped.collect();
        if !dropped.is_empty() {
            let more = dropped.len().saturating_sub(limits::PULL_NOTED);
            let what = list(dropped.iter().take(limits::PULL_NOTED).cloned());
            self.pulled.notes.push(match more {
                0 => say!("{name}: left out, because qunfa cannot send it: {what}", name = name.as_str(), what),
                more => say!(
                    "{name}: left out, because qunfa cannot send it: {what} and {more} more",
                    name = name.as_str(),
                    what,
                    more
                ),
            });
        }
        let cover = self.cover(&name, article, &mut optimize)?;
        let mut lines = front_matter(article, single);
        lines.push(match &cover {
            Ok(file) => format!("cover: {}", quoted(file)),
            Err(media_id) => format!("# cover: {}", quoted(media_id)),
        });
        lines.push("theme: none".into());
        if optimize {
            lines.push("optimize: true".into());
        }
        let front = format!("---\n{}\n---\n", lines.join("\n"));
        let file = format!("{front}{}\n", kept.html);
        self.check(&name, &file, front.len(), optimize);
        self.pulled.files.push((name.clone(), file.into_bytes()));
        self.pulled.articles.push(Entry { file: name, images: None });
        Ok(())
    }

    fn newspic(&mut self, article: &Value) -> Result<(), Refusal> {
        let name = self.names.free(&stem(text(article, "title")), "txt");
        let mut images = Vec::new();
        let listed = article["image_info"]["image_list"].as_array().map_or(&[][..], Vec::as_slice);
        for image in listed.iter().take(limits::IMAGES_MAX) {
            let media_id = text(image, "image_media_id");
            match self.library(media_id)? {
                Ok(bytes) => match self.keep(bytes, Use::Cover) {
                    Ok((file, _)) => images.push(file),
                    Err(why) => self.not_had(&name, media_id, why),
                },
                Err(why) => self.not_had(&name, media_id, why),
            }
        }
        let words = escaped(&without_forbidden(text(article, "content")));
        let file = format!("---\n{}\n---\n{}\n", front_matter(article, false).join("\n"), words.trim());
        self.pulled.files.push((name.clone(), file.into_bytes()));
        self.pulled.articles.push(Entry { file: name, images: Some(images) });
        Ok(())
    }

    /// Fetches a picture of a body, once; whether it has to be optimized to be sent again. One that cannot be had stays at its
    /// address.
    fn body_picture(&mut self, name: &str, address: &str) -> Result<bool, Refusal> {
        if self.had.contains_key(address) {
            return Ok(false);
        }
        if process::interrupted() {
            return Err(Refusal::new(ExitCode::Interrupted, say!("interrupted; nothing was written")));
        }
        let kept = match self.had.len() >= limits::PULL_PICTURES_MAX {
            true => Err(say!("the draft has more than {most} pictures", most = limits::PULL_PICTURES_MAX)),
            false => self.pictures.get(address).and_then(|bytes| self.keep(bytes, Use::Body)),
        };
        let (file, optimize) = match kept {
            Ok((file, optimize)) => (Some(file), optimize),
            Err(why) => {
                let address: String = address.chars().take(limits::PULL_SHOWN).collect();
                let note = match article::is_hosted(&address) {
                    true => say!("{name}: the picture {address} stays where it is: {why}", name, address, why),
                    false => say!("{name}: the picture `{address}` is left out: {why}", name, address, why),
                };
                self.pulled.notes.push(note);
                (None, false)
            }
        };
        self.had.insert(address.to_owned(), file);
        Ok(optimize)
    }

    /// The file of the cover, from the library or from where it is shown; else its `media_id`.
    fn cover(&mut self, name: &str, article: &Value, optimize: &mut bool) -> Result<Result<String, String>, Refusal> {
        let media_id = text(article, "thumb_media_id");
        let bytes = match self.library(media_id)? {
            Ok(bytes) => Ok(bytes),
            Err(why) => match text(article, "thumb_url") {
                "" => Err(why),
                address => self.pictures.get(address).map_err(|_| why),
            },
        };
        match bytes.and_then(|bytes| self.keep(bytes, Use::Cover)) {
            Ok((file, must)) => {
                *optimize |= must;
                Ok(Ok(file))
            }
            Err(why) => {
                self.not_had(name, media_id, why);
                Ok(Err(media_id.chars().take(limits::PULL_SHOWN).collect()))
            }
        }
    }

    /// The bytes of a picture of the library; the inner error says why there are none.
    fn library(&mut self, media_id: &str) -> Result<Result<Vec<u8>, Phrase>, Refusal> {
        if media_id.is_empty() {
            return Ok(Err(say!("the draft names none")));
        }
        let what = say!("cannot read the library");
        match self.asker.file(&what, GET_MATERIAL, &json!({ "media_id": media_id }).to_string()) {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(refusal) if refusal.code == ExitCode::Interrupted => Err(refusal),
            Err(refusal) => Ok(Err(refusal.problem.message)),
        }
    }

    fn not_had(&mut self, name: &str, media_id: &str, why: Phrase) {
        let media_id: String = media_id.chars().take(limits::PULL_SHOWN).collect();
        self.pulled.notes.push(say!(
            "{name}: the picture with media_id `{media_id}` is missing: {why}; put one in its place",
            name,
            media_id,
            why
        ));
    }

    /// Keeps a picture as a file; whether it has to be optimized to be sent again.
    fn keep(&mut self, bytes: Vec<u8>, for_what: Use) -> Result<(String, bool), Phrase> {
        let ending = match media::content_type(&bytes) {
            Some("image/png") => "png",
            Some("image/jpeg") => "jpg",
            Some("image/gif") => "gif",
            Some("image/webp") => "webp",
            Some("image/bmp") => "bmp",
            _ => return Err(say!("what WeChat gave is not a picture")),
        };
        self.bytes += bytes.len() as u64;
        has_room(self.bytes)?;
        let target = match (for_what, ending) {
            (Use::Cover, _) => MediaTarget::Material(Material::Image),
            (Use::Body, "gif") => MediaTarget::Animation,
            (Use::Body, _) => MediaTarget::BodyImage,
        };
        let optimize = match Upload::new("", bytes.clone(), target, None) {
            Ok(_) => false,
            Err(Unfit::Type("image/webp", _) | Unfit::Size(..)) => true,
            Err(Unfit::Type(..) | Unfit::Damaged | Unfit::Empty) => return Err(say!("what WeChat gave is damaged")),
            Err(Unfit::Dimensions(..) | Unfit::Pixels(..) | Unfit::Work) => {
                return Err(say!("it has too many pixels"));
            }
        };
        let stem = if for_what == Use::Cover { "cover" } else { "picture" };
        let file = format!("images/{}", self.names.free(stem, ending));
        self.pulled.files.push((file.clone(), bytes));
        Ok((file, optimize))
    }

    /// What the plan will say against an article whose text begins after so many bytes of its file.
    fn check(&mut self, name: &str, whole: &str, begin: usize, optimize: bool) {
        let Some(theme) = Theme::builtin("none") else { return };
        let mut sources = SourceMap::default();
        let file = sources.add(name, whole.to_owned());
        let input = Input {
            format: Format::Html,
            text: &whole[begin..],
            place: &|range| Span::new(file, begin + range.start..begin + range.end),
            theme: &theme,
            links: Links::Footnote,
            webp: optimize,
            lint: Rc::new(Lint::default()),
            colours: &Cell::new(limits::PLAN_CODE_COLOURED),
        };
        let mut errors = Diagnostics::default();
        for found in article::convert(&input).1 {
            if found.diagnostic.severity() == Severity::Error {
                errors.push(found.diagnostic);
            }
        }
        if !errors.is_empty() {
            self.pulled.findings.push_str(&render::human(&errors, &sources));
        }
    }
}

/// Whether so many bytes of pictures are not too many.
fn has_room(bytes: u64) -> Result<(), Phrase> {
    let most = Count(limits::PULL_BYTES_MAX >> 20);
    match bytes <= limits::PULL_BYTES_MAX {
        true => Ok(()),
        false => Err(say!("the pictures of the draft have more than {most} MiB", most)),
    }
}

/// As articles write it.
fn https(address: &str) -> String {
    let rest = address.trim().split_once("//").map_or("", |(_, rest)| rest);
    format!("https://{rest}")
}

/// The lines of the front matter that the draft decides.
fn front_matter(article: &Value, single: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, wire) in [
        ("title", "title"),
        ("author", "author"),
        ("digest", "digest"),
        ("source_url", "content_source_url"),
        ("pic_crop_235_1", "pic_crop_235_1"),
        ("pic_crop_1_1", "pic_crop_1_1"),
    ] {
        let value = without_forbidden(text(article, wire)).replace(['\n', '\t'], " ");
        if value.trim().is_empty() || (name == "digest" && !single) {
            continue;
        }
        lines.push(format!("{name}: {}", quoted(&value)));
    }
    for name in ["need_open_comment", "only_fans_can_comment"] {
        if article[name] == 1 || article[name] == true {
            lines.push(format!("{name}: true"));
        }
    }
    lines
}

/// A text as YAML writes it in double quotes, in which nothing is a template.
pub(super) fn quoted(text: &str) -> String {
    Value::from(escaped(text)).to_string()
}

/// A text in which nothing is a template.
fn escaped(text: &str) -> String {
    match ["{{", "{%", "{#"].iter().any(|opening| text.contains(opening)) {
        true => text.replace('{', "{{ '{' }}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_of_a_draft_are_bounded() {
        let _heard = crate::locale::tests::heard("cli-pull-article-the_pictures_of_a_draft_are_bounded");
        assert!(has_room(limits::PULL_BYTES_MAX).is_ok());
        let said = has_room(limits::PULL_BYTES_MAX + 1).expect_err("too many");
        assert_eq!(said, "the pictures of the draft have more than 128 MiB");
    }
}
