//! What readers wrote about sent articles; the calls are in `comment`.

use std::collections::HashMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What readers write.
const WORDS: [&str; 4] = ["写得真好", "什么时候还有货？", "已下单，期待", "包装可以再简单些"];
/// Comments of an article: more than fit on a page.
const MADE_UP: u64 = 60;
/// When the first comes, in seconds after the article was sent.
const FIRST: i64 = 60;

pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) openid: String,
    pub(super) created: i64,
    pub(super) content: &'static str,
    pub(super) elected: bool,
    pub(super) reply: Option<(String, i64)>,
}

impl Comment {
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "user_comment_id": self.id,
            "openid": self.openid,
            "create_time": self.created,
            "content": self.content,
            "comment_type": u8::from(self.elected),
        });
        if let Some((content, created)) = &self.reply {
            shown["reply"] = json!({ "content": content, "create_time": created });
        }
        shown
    }
}

/// What was sent as one article.
pub(super) struct Article {
    pub(super) open: bool,
    pub(super) comments: Vec<Comment>,
}

/// The comments of all articles, by `msg_data_id` and index.
#[derive(Default)]
pub(super) struct Comments {
    pub(super) articles: HashMap<(u64, u64), Article>,
}

/// Those of an article; readers have commented on it if they could when it was sent.
pub(super) fn made_up(sent: (u64, u64), open: bool, since: i64) -> Article {
    let name = |number: u64| -> String {
        let digest = Sha256::digest(format!("{}/{}/{number}", sent.0, sent.1));
        digest.iter().map(|byte| format!("{byte:02x}")).take(14).collect()
    };
    let comments = (1..=if open { MADE_UP } else { 0 }).zip(WORDS.iter().cycle()).map(|(number, content)| Comment {
        id: number,
        openid: format!("o{}", &name(number)[..27]),
        created: since + FIRST * i64::try_from(number).unwrap_or(0),
        content,
        elected: false,
        reply: None,
    });
    Article { open, comments: comments.collect() }
}
