//! The media that exist: permanent and temporary ones, pictures of articles, and drafts with how long they live.
//!
//! A draft that was sent leaves the draft box, and is gone, says the [old guide][guide]; in practice further sends of the
//! same draft are accepted on the same day, which is what a send to more than 10 000 openids needs. Both hold here: the
//! same day it can be sent, though no longer read or changed; later it cannot.
//!
//! [guide]: https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Batch_Sends_and_Originality_Checks.html

use std::collections::{HashMap, HashSet};

use hyper::body::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::calendar::day;
use super::errcode::{API_VIDEO, Errcode, INVALID_MEDIA_ID};

const FIRST_DATA_ID: u64 = 2_247_483_650;

struct Medium {
    kind: String,
    /// Tells the younger of two.
    serial: u64,
    /// Where a picture is.
    url: Option<String>,
    /// For three days, and where no permanent one is asked for.
    temporary: bool,
    draft: Option<Draft>,
    sent: Option<Sent>,
    /// It was submitted for publication, and that did not fail.
    submitted: bool,
    /// Its file, if it was uploaded as permanent material.
    file: Option<File>,
}

/// An uploaded file as it came.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    /// The ending that its format has.
    pub(crate) format: &'static str,
    pub(crate) uploaded: Timestamp,
    /// What a video was described with.
    pub(crate) description: Value,
}

/// A permanent medium as the library lists it.
pub(super) struct Listed<'m> {
    pub(crate) id: &'m str,
    pub(crate) kind: &'m str,
    pub(crate) url: Option<&'m str>,
    /// None for one that was there from the start, of which only that is known.
    pub(crate) file: Option<&'m File>,
}

impl Medium {
    /// Whether it is in the draft box, if it is a draft.
    fn is_in_box(&self) -> bool {
        self.sent.is_none() && !self.submitted
    }
}

/// What is in a draft.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Its articles, as `draft/get` gives them but for their addresses.
    pub(crate) articles: Vec<Value>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// The first successful send of a draft.
#[derive(Clone, Copy)]
struct Sent {
    on: Date,
    msg_data_id: u64,
}

/// All media of the account.
pub(super) struct Media {
    by_id: HashMap<String, Medium>,
    /// Addresses of pictures that articles may show, without scheme and query.
    addresses: HashSet<String>,
    /// What is at some of them.
    pictures: HashMap<String, (Bytes, &'static str)>,
    serial: u64,
    next_data_id: u64,
}

impl Media {
    /// Media that exist from the start, as (kind, id), and drafts by their titles.
    pub(super) fn new(seeded: &[(String, String)], drafts: &[String]) -> Self {
        let mut media = Media {
            by_id: HashMap::new(),
            addresses: HashSet::new(),
            pictures: HashMap::new(),
            serial: 0,
            next_data_id: FIRST_DATA_ID,
        };
        for (kind, id) in seeded {
            if kind == "url" {
                media.addresses.extend(plain(id));
                continue;
            }
            let mut medium = media.medium(kind, id.as_bytes(), "jpg");
            // Nothing is known of it but that it is there.
            medium.draft = (kind == "mpnews").then(|| Draft {
                articles: vec![json!({"article_type": "news", "title": id, "content": format!("<p>{id}</p>")})],
                created: Timestamp::UNIX_EPOCH,
                updated: Timestamp::UNIX_EPOCH,
            });
            media.by_id.insert(id.clone(), medium);
        }
        for title in drafts {
            let article = json!({"article_type": "news", "title": title, "content": format!("<p>{title}</p>")});
            media.add_draft(vec![article], Timestamp::UNIX_EPOCH);
        }
        media
    }

    fn medium(&mut self, kind: &str, bytes: &[u8], ending: &str) -> Medium {
        self.serial += 1;
        let url = matches!(kind, "image" | "thumb")
            .then(|| format!("{}?wx_fmt={ending}", address(&self.name("url", bytes), ending)));
        self.addresses.extend(url.as_deref().and_then(plain));
        Medium {
            kind: kind.to_owned(),
            serial: self.serial,
            url,
            temporary: false,
            draft: None,
            sent: None,
            submitted: false,
            file: None,
        }
    }

    /// A name that only this content and this place in the order of things has.
    fn name(&self, kind: &str, bytes: &[u8]) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("{kind}/{}/", self.serial));
        digest.update(bytes);
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn insert(&mut self, bytes: &[u8], medium: Medium) -> String {
        let id = self.name(&medium.kind, bytes);
        self.by_id.insert(id.clone(), medium);
        id
    }

    /// Adds a picture for articles; gives its address.
    pub(super) fn add_picture(&mut self, bytes: &[u8], ending: &'static str) -> String {
        self.serial += 1;
        let url = address(&self.name("url", bytes), ending);
        self.addresses.extend(plain(&url));
        self.pictures.extend(plain(&url).map(|address| (address, (Bytes::copy_from_slice(bytes), ending))));
        url
    }

    /// Adds permanent material; gives its `media_id`.
    pub(super) fn add_material(&mut self, kind: &str, file: File) -> String {
        let mut medium = self.medium(kind, &file.bytes, file.format);
        let shown = medium.url.as_deref().and_then(plain).map(|address| (address, (file.bytes.clone(), file.format)));
        self.pictures.extend(shown);
        let bytes = file.bytes.clone();
        medium.file = Some(file);
        self.insert(&bytes, medium)
    }

    /// The picture that is served at a path, as its host serves it, and its format.
    pub(super) fn picture_at(&self, path: &str) -> Option<&(Bytes, &'static str)> {
        self.pictures.get(&format!("{HOST}{path}"))
    }

    /// The permanent media of some kinds, the youngest first.
    pub(super) fn listed(&self, kinds: &[&str]) -> Vec<Listed<'_>> {
        let of_kind =
            self.by_id.iter().filter(|(_, medium)| kinds.contains(&medium.kind.as_str()) && !medium.temporary);
        let mut found: Vec<_> = of_kind.collect();
        found.sort_by_key(|(_, medium)| std::cmp::Reverse(medium.serial));
        found.into_iter().map(|(id, medium)| listed(id, medium)).collect()
    }

    /// A permanent medium that is no draft.
    pub(super) fn material(&self, id: &str) -> Result<Listed<'_>, Errcode> {
        let found = self.by_id.get_key_value(id).filter(|(_, medium)| !medium.temporary && medium.draft.is_none());
        found.map(|(id, medium)| listed(id, medium)).ok_or(INVALID_MEDIA_ID)
    }

    /// Adds a temporary medium; gives its `media_id`, which nothing here takes: all of it asks for permanent ones.
    pub(super) fn add_temporary(&mut self, kind: &str, bytes: &[u8]) -> String {
        self.serial += 1;
        let medium = Medium {
            kind: kind.to_owned(),
            serial: self.serial,
            url: None,
            temporary: true,
            draft: None,
            sent: None,
            submitted: false,
            file: None,
        };
        self.insert(bytes, medium)
    }

    /// Adds a draft; gives its `media_id`.
    pub(super) fn add_draft(&mut self, articles: Vec<Value>, now: Timestamp) -> String {
        let bytes = Value::from(articles.clone()).to_string();
        let mut medium = self.medium("mpnews", bytes.as_bytes(), "");
        medium.draft = Some(Draft { articles, created: now, updated: now });
        self.insert(bytes.as_bytes(), medium)
    }

    /// Whether articles may show the picture at an address.
    pub(super) fn owns(&self, address: &str) -> bool {
        plain(address).is_some_and(|address| self.addresses.contains(&address))
    }

    /// The address of a permanent picture.
    pub(super) fn picture(&self, id: &str) -> Result<&str, Errcode> {
        let medium = self.by_id.get(id).filter(|medium| !medium.temporary).ok_or(INVALID_MEDIA_ID)?;
        medium.url.as_deref().ok_or(INVALID_MEDIA_ID)
    }

    /// How many permanent media there are of some kinds.
    pub(super) fn count(&self, kinds: &[&str]) -> usize {
        self.by_id.values().filter(|medium| !medium.temporary && kinds.contains(&medium.kind.as_str())).count()
    }

    pub(super) fn remove_material(&mut self, id: &str) -> Result<(), Errcode> {
        let medium = self.by_id.get(id).filter(|medium| !medium.temporary && medium.draft.is_none());
        let url = medium.ok_or(INVALID_MEDIA_ID)?.url.clone();
        if let Some(address) = url.as_deref().and_then(plain) {
            self.addresses.remove(&address);
            self.pictures.remove(&address);
        }
        self.by_id.remove(id);
        Ok(())
    }

    /// The articles that were sent under a `msg_data_id`, and the second in which their draft was changed last.
    pub(super) fn sent_articles(&self, msg_data_id: u64) -> Option<(&[Value], i64)> {
        let sent = |medium: &&Medium| medium.sent.is_some_and(|sent| sent.msg_data_id == msg_data_id);
        let draft = self.by_id.values().find(sent)?.draft.as_ref()?;
        Some((&draft.articles, draft.updated.as_second()))
    }

    /// A draft of the draft box.
    pub(super) fn draft(&self, id: &str) -> Result<&Draft, Errcode> {
        let medium = self.by_id.get(id).filter(|medium| medium.is_in_box());
        medium.and_then(|medium| medium.draft.as_ref()).ok_or(INVALID_MEDIA_ID)
    }

    /// A draft of the draft box, to be changed.
    pub(super) fn draft_mut(&mut self, id: &str) -> Result<&mut Draft, Errcode> {
        let medium = self.by_id.get_mut(id).filter(|medium| medium.is_in_box());
        medium.and_then(|medium| medium.draft.as_mut()).ok_or(INVALID_MEDIA_ID)
    }

    /// Removes a draft of the draft box.
    pub(super) fn remove_draft(&mut self, id: &str) -> Result<(), Errcode> {
        self.draft(id)?;
        self.by_id.remove(id);
        Ok(())
    }

    /// A draft leaves the draft box to be published.
    pub(super) fn take_out(&mut self, id: &str) {
        if let Some(medium) = self.by_id.get_mut(id) {
            medium.submitted = true;
        }
    }

    /// A draft whose publication failed is in the draft box again.
    pub(super) fn give_back(&mut self, id: &str) {
        if let Some(medium) = self.by_id.get_mut(id) {
            medium.submitted = false;
        }
    }

    /// The draft box, what was changed last first.
    pub(super) fn drafts(&self) -> Vec<(&str, &Draft)> {
        let unsent = self.by_id.iter().filter(|(_, medium)| medium.is_in_box());
        let mut drafts: Vec<_> = unsent
            .filter_map(|(id, medium)| medium.draft.as_ref().map(|draft| (medium.serial, id.as_str(), draft)))
            .collect();
        drafts.sort_by_key(|(serial, _, draft)| std::cmp::Reverse((draft.updated, *serial)));
        drafts.into_iter().map(|(_, id, draft)| (id, draft)).collect()
    }

    /// The titles of a draft, sent or not.
    pub(super) fn titles(&self, id: &str) -> Vec<String> {
        let draft = self.by_id.get(id).and_then(|medium| medium.draft.as_ref());
        let articles = draft.map_or(&[][..], |draft| &draft.articles);
        articles.iter().map(|article| article["title"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether a draft has something in its words.
    pub(super) fn draft_holds(&self, id: &str, words: &str) -> bool {
        let draft = self.by_id.get(id).and_then(|medium| medium.draft.as_ref());
        let holds = |value: &Value| value.as_str().is_some_and(|text| text.contains(words));
        draft.is_some_and(|draft| draft.articles.iter().any(|all| holds(&all["title"]) || holds(&all["content"])))
    }

    /// Whether a medium exists, is of this kind and still usable in a message.
    pub(super) fn check(&self, kind: &str, id: &str, now: Timestamp) -> Result<(), Errcode> {
        let medium = self.by_id.get(id).filter(|medium| !medium.temporary).ok_or(INVALID_MEDIA_ID)?;
        match (kind, medium.kind.as_str()) {
            ("mpvideo", "video") => return Err(API_VIDEO),
            (wanted, kind) if wanted != kind => return Err(INVALID_MEDIA_ID),
            _ => {}
        }
        match medium.sent {
            _ if medium.submitted => Err(INVALID_MEDIA_ID),
            Some(sent) if sent.on != day(now) => Err(INVALID_MEDIA_ID),
            _ => Ok(()),
        }
    }

    /// The `msg_data_id` for a send of a draft: the same for all sends of a day. `consume` starts the end of its life.
    pub(super) fn data_id(&mut self, draft: &str, now: Timestamp, consume: bool) -> u64 {
        let medium = self.by_id.get_mut(draft);
        if let Some(sent) = medium.as_ref().and_then(|medium| medium.sent) {
            return sent.msg_data_id;
        }
        let msg_data_id = self.next_data_id;
        self.next_data_id += 1;
        if let Some(medium) = medium.filter(|_| consume) {
            medium.sent = Some(Sent { on: day(now), msg_data_id });
        }
        msg_data_id
    }
}

fn listed<'m>(id: &'m str, medium: &'m Medium) -> Listed<'m> {
    Listed { id, kind: &medium.kind, url: medium.url.as_deref(), file: medium.file.as_ref() }
}

/// Where pictures are.
const HOST: &str = "mmbiz.qpic.cn";

/// As WeChat gives it: with http, though it is served with https as well.
fn address(name: &str, ending: &str) -> String {
    format!("http://{HOST}/mmbiz_{ending}/{name}/0")
}

/// An address of WeChat's pictures without scheme and query.
fn plain(address: &str) -> Option<String> {
    let (scheme, rest) = address.trim().split_once("//")?;
    let plain = rest.split(['?', '#']).next().unwrap_or_default();
    (["http:", "https:", ""].contains(&scheme) && plain.starts_with("mmbiz.qpic.cn/")).then(|| plain.to_owned())
}
