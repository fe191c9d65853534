//! Followers and tags, and how a send addresses them.
//!
//! The followers are numbered and made up: follower `n` has the openid `oSandboxFollower` with `n` in twelve digits, and
//! a tag with `count` followers holds the first `count` of them. Any other well-formed openid is taken for a follower
//! as well, since what WeChat does with strangers in a list is not documented.
//!
//! Sources: [tags](https://developers.weixin.qq.com/doc/subscription/api/usermanage/tag/api_createtag.html),
//! [followers with a tag](https://developers.weixin.qq.com/doc/service/api/usermanage/tag/api_gettagfans),
//! [followers](https://developers.weixin.qq.com/doc/service/User_Management/Getting_a_User_List.html).

use std::collections::HashSet;
use std::ops::Range;

use serde_json::{Value, json};

use super::errcode::{
    AT_LEAST_TWO_OPENIDS, Errcode, INVALID_GROUP_ID, INVALID_MESSAGE_TYPE, INVALID_OPENID, INVALID_OPENID_LIST,
    INVALID_OPENID_LIST_SIZE, INVALID_TAG_ID, INVALID_TAG_NAME, MALFORMED_BODY, Refusal, TAG_NAME_TOO_LONG,
    TOO_MANY_TAGS,
};
use super::exchange::Context;
use super::{Audience, Tag};

/// Openids on a page.
const PAGE: u64 = 10_000;
const MAX_OPENIDS: usize = 10_000;
const MAX_TAGS: usize = 100;
const MAX_TAG_NAME: usize = 30;
/// WeChat keeps the numbers below for itself.
const FIRST_OWN_TAG: u64 = 100;
const OPENID_PREFIX: &str = "oSandboxFollower";
const STARRED: u64 = 2;

/// Whom a request asks for, before it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    All,
    /// A tag, known or not.
    Tag(u64),
    /// A list of openids without duplicates.
    Openids(Vec<String>),
}

/// Whom a send goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    All,
    /// The followers with a tag.
    Tag(Tag),
    /// A list of openids without duplicates.
    Openids(Vec<String>),
}

impl Target {
    /// The public form.
    pub(super) fn audience(&self) -> Audience {
        match self {
            Target::All => Audience::All,
            Target::Tag(tag) => Audience::Tag { id: tag.id, name: tag.name.clone() },
            Target::Openids(openids) => Audience::Openids(openids.clone()),
        }
    }
}

impl Asked {
    /// Reads `filter` of a `sendall`.
    pub(super) fn from_filter(body: &Value) -> Result<Self, Errcode> {
        let Some(filter) = body.get("filter") else {
            return Err(INVALID_GROUP_ID);
        };
        if body.get("touser").is_some() {
            return Err(INVALID_GROUP_ID);
        }
        match filter.get("is_to_all") {
            Some(Value::Bool(true)) => Ok(Asked::All),
            Some(Value::Bool(false)) => match filter.get("tag_id") {
                None => Err(INVALID_GROUP_ID),
                Some(Value::Number(id)) => id.as_u64().map(Asked::Tag).ok_or(INVALID_GROUP_ID),
                Some(Value::String(id)) => id.parse().map(Asked::Tag).map_err(|_| INVALID_GROUP_ID),
                Some(_) => Err(INVALID_MESSAGE_TYPE),
            },
            _ => Err(INVALID_MESSAGE_TYPE),
        }
    }

    /// Reads `touser` of a `send`.
    pub(super) fn from_touser(body: &Value) -> Result<Self, Errcode> {
        let list = match body.get("touser") {
            None => return Err(INVALID_OPENID_LIST_SIZE),
            Some(list) => list.as_array().ok_or(INVALID_OPENID_LIST)?,
        };
        if list.is_empty() {
            return Err(INVALID_OPENID_LIST_SIZE);
        }
        let mut seen = HashSet::with_capacity(list.len());
        let mut openids = Vec::with_capacity(list.len());
        for openid in list {
            let openid = openid.as_str().ok_or(INVALID_OPENID_LIST)?;
            if !is_openid(openid) {
                return Err(INVALID_OPENID);
            }
            if seen.insert(openid) {
                openids.push(openid.to_owned());
            }
        }
        match openids.len() {
            0..2 => Err(AT_LEAST_TWO_OPENIDS),
            2..=MAX_OPENIDS => Ok(Asked::Openids(openids)),
            _ => Err(INVALID_OPENID_LIST_SIZE),
        }
    }

    /// The audience in one text, for the digest of a request.
    pub(super) fn key(&self) -> String {
        match self {
            Asked::All => "all".to_owned(),
            Asked::Tag(id) => format!("tag {id}"),
            Asked::Openids(openids) => format!("openids {}", openids.join(" ")),
        }
    }
}

/// Whether a text has the form of an openid.
pub(super) fn is_openid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The openid of a follower.
pub(super) fn openid(index: u64) -> String {
    format!("{OPENID_PREFIX}{index:012}")
}

/// The follower with an openid.
pub(super) fn follower_index(text: &str) -> Option<u64> {
    let index = text.strip_prefix(OPENID_PREFIX)?.parse().ok()?;
    // Only the one spelling: no sign, no other number of zeros.
    (openid(index) == text).then_some(index)
}

/// Tags and followers of the account.
pub(super) struct Directory {
    tags: Vec<Tag>,
    followers: u64,
}

impl Directory {
    /// The default tag and the given ones.
    pub(super) fn new(tags: &[Tag], followers: u64) -> Self {
        let starred = Tag { id: STARRED, name: "星标组".to_owned(), count: 0 };
        let default = (!tags.iter().any(|tag| tag.id == STARRED)).then_some(starred);
        Directory { tags: default.into_iter().chain(tags.iter().cloned()).collect(), followers }
    }

    /// Looks up whom a send goes to.
    pub(super) fn target(&self, asked: Asked) -> Result<Target, Errcode> {
        match asked {
            Asked::All => Ok(Target::All),
            Asked::Tag(id) => self.tag(id).cloned().map(Target::Tag).ok_or(INVALID_GROUP_ID),
            Asked::Openids(openids) => Ok(Target::Openids(openids)),
        }
    }

    /// How many followers the account has.
    pub(super) fn followers(&self) -> u64 {
        self.followers
    }

    /// `GET /cgi-bin/tags/get`
    pub(super) fn tags_get(&self) -> Result<Value, Refusal> {
        let tags = self.tags.iter();
        let tags: Vec<Value> = tags.map(|tag| json!({"id": tag.id, "name": tag.name, "count": tag.count})).collect();
        Ok(json!({ "tags": tags }))
    }

    /// `POST /cgi-bin/tags/create`
    pub(super) fn tags_create(&mut self, context: &Context) -> Result<Value, Refusal> {
        let tags = &mut self.tags;
        let name = context.body.get("tag").and_then(|tag| tag.get("name")).and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty()).ok_or(INVALID_TAG_NAME)?;
        if name.chars().count() > MAX_TAG_NAME {
            return Err(TAG_NAME_TOO_LONG.into());
        }
        if tags.iter().any(|tag| tag.name == name) {
            return Err(INVALID_TAG_NAME.into());
        }
        if tags.iter().filter(|tag| tag.id != STARRED).count() >= MAX_TAGS {
            return Err(TOO_MANY_TAGS.into());
        }
        let id = tags.iter().map(|tag| tag.id + 1).max().unwrap_or_default().max(FIRST_OWN_TAG);
        tags.push(Tag { id, name: name.to_owned(), count: 0 });
        Ok(json!({"tag": {"id": id, "name": name}}))
    }

    /// `GET /cgi-bin/user/get`: the end is told by an empty `next_openid`.
    pub(super) fn user_get(&self, context: &Context) -> Result<Value, Refusal> {
        let total = self.followers;
        let page = page(context.request.parameter("next_openid"), total)?;
        let next = if page.end == total { String::new() } else { openid(page.end - 1) };
        let mut reply = json!({"total": total, "count": page.end - page.start});
        if !page.is_empty() {
            reply["data"] = json!({"openid": page.map(openid).collect::<Vec<_>>()});
        }
        reply["next_openid"] = next.into();
        Ok(reply)
    }

    /// `POST /cgi-bin/user/tag/get`: the last page still names its last openid; the end is a page without any.
    pub(super) fn user_tag_get(&self, context: &Context) -> Result<Value, Refusal> {
        let id = context.body.get("tagid").and_then(Value::as_u64).ok_or(INVALID_TAG_ID)?;
        let total = self.tag(id).ok_or(INVALID_TAG_ID)?.count;
        let after = match context.body.get("next_openid") {
            None => None,
            Some(Value::String(openid)) => Some(openid.as_str()).filter(|openid| !openid.is_empty()),
            Some(_) => return Err(MALFORMED_BODY.into()),
        };
        let page = page(after, total)?;
        if page.is_empty() {
            return Ok(json!({"count": 0, "next_openid": ""}));
        }
        let next = openid(page.end - 1);
        let count = page.end - page.start;
        Ok(json!({"count": count, "data": {"openid": page.map(openid).collect::<Vec<_>>()}, "next_openid": next}))
    }

    fn tag(&self, id: u64) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.id == id)
    }
}

/// The followers on the page after an openid.
fn page(after: Option<&str>, total: u64) -> Result<Range<u64>, Errcode> {
    let start = match after {
        None => 0,
        Some(openid) => follower_index(openid).filter(|index| *index < total).ok_or(INVALID_OPENID)? + 1,
    };
    Ok(start..total.min(start.saturating_add(PAGE)))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::testkit::Bench;
    use super::*;

    const CREATE: &str = "/cgi-bin/tags/create";
    const TAG_USERS: &str = "/cgi-bin/user/tag/get";

    fn bench(followers: u64, count: u64) -> Bench {
        let tags = vec![Tag { id: 134, name: "广东".into(), count }];
        Bench::with(Config { followers, tags, ..Config::default() })
    }

    #[test]
    fn openids_look_real_and_count_up() {
        assert!(is_openid(&openid(0)));
        assert_eq!(openid(7).len(), 28);
        assert_eq!(follower_index(&openid(7)), Some(7));
        assert_eq!(follower_index("oSandboxFollower7"), None);
    }

    #[test]
    fn tags_are_listed_and_created() {
        let mut bench = bench(10, 3);
        let starred = json!({"id": 2, "name": "星标组", "count": 0});
        let own = json!({"id": 134, "name": "广东", "count": 3});
        assert_eq!(bench.get("/cgi-bin/tags/get"), json!({"tags": [starred, own]}));
        let name = "字".repeat(30);
        assert_eq!(bench.post(CREATE, &json!({"tag": {"name": name}})), json!({"tag": {"id": 135, "name": name}}));
        assert_eq!(bench.code(CREATE, &json!({"tag": {"name": name}})), 45157);
        assert_eq!(bench.code(CREATE, &json!({"tag": {"name": ""}})), 45157);
        assert_eq!(bench.code(CREATE, &json!({"name": "x"})), 45157);
        assert_eq!(bench.code(CREATE, &json!({"tag": {"name": "字".repeat(31)}})), 45158);
        for index in 0..98 {
            assert_eq!(bench.code(CREATE, &json!({"tag": {"name": index.to_string()}})), 0);
        }
        assert_eq!(bench.code(CREATE, &json!({"tag": {"name": "one more"}})), 45056);
    }

    #[test]
    fn followers_come_in_pages_until_next_openid_is_empty() {
        let mut bench = bench(23_000, 0);
        let (mut next, mut counts) = (String::new(), Vec::new());
        loop {
            let page = bench.get(&format!("/cgi-bin/user/get?next_openid={next}"));
            let openids = page["data"]["openid"].as_array().expect("openids");
            assert_eq!((page["total"].as_u64(), page["count"].as_u64()), (Some(23_000), Some(openids.len() as u64)));
            counts.push(openids.len());
            next = page["next_openid"].as_str().expect("a text").to_owned();
            if next.is_empty() {
                break;
            }
            assert_eq!(openids.last(), Some(&json!(next)));
        }
        assert_eq!(counts, [10_000, 10_000, 3000]);
        assert_eq!(bench.get("/cgi-bin/user/get?next_openid=nobody")["errcode"], 40003);
    }

    #[test]
    fn followers_of_a_tag_come_in_pages_until_one_is_empty() {
        let mut bench = bench(23_000, 10_001);
        let (mut next, mut counts) = (String::new(), Vec::new());
        loop {
            let page = bench.post(TAG_USERS, &json!({"tagid": 134, "next_openid": next}));
            let Some(openids) = page.get("data").map(|data| &data["openid"]) else {
                assert_eq!(page, json!({"count": 0, "next_openid": ""}));
                break;
            };
            counts.push(page["count"].as_u64().expect("a number"));
            assert_eq!(openids.as_array().and_then(|openids| openids.last()), Some(&page["next_openid"]));
            next = page["next_openid"].as_str().expect("a text").to_owned();
        }
        assert_eq!(counts, [10_000, 1]);
        assert_eq!(bench.code(TAG_USERS, &json!({"tagid": 7})), 45159);
        assert_eq!(bench.code(TAG_USERS, &json!({})), 45159);
        assert_eq!(bench.code(TAG_USERS, &json!({"tagid": 134, "next_openid": "nobody"})), 40003);
        assert_eq!(bench.code(TAG_USERS, &json!({"tagid": 134, "next_openid": 1})), 47001);
    }

    #[test]
    fn an_account_without_followers_answers_without_data() {
        let expected = json!({"total": 0, "count": 0, "next_openid": ""});
        assert_eq!(bench(0, 0).get("/cgi-bin/user/get"), expected);
        assert_eq!(bench(0, 0).code(TAG_USERS, &json!({"tagid": 134})), 0);
    }

    #[test]
    fn the_list_of_followers_is_read_500_times_a_day() {
        let mut bench = bench(1, 0);
        for _ in 0..500 {
            assert_eq!(bench.get("/cgi-bin/user/get")["count"], 1);
        }
        assert_eq!(bench.get("/cgi-bin/user/get")["errcode"], 45009);
    }
}
