//! The media that exist, and how long a draft lives.
//!
//! A draft that was sent is gone, says the [old guide][guide]; in practice further sends of the same draft are accepted
//! on the same day, which is what a send to more than 10 000 openids needs. Both hold here: same day yes, later no.
//!
//! [guide]: https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Batch_Sends_and_Originality_Checks.html

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::calendar::day;
use super::errcode::{Errcode, INVALID_MEDIA_ID};

const FIRST_DATA_ID: u64 = 2_247_483_650;

struct Medium {
    kind: String,
    sent: Option<Sent>,
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
    next_data_id: u64,
}

impl Media {
    /// Media that exist from the start, as (kind, id).
    pub(super) fn new(seeded: &[(String, String)]) -> Self {
        let by_id = seeded.iter().map(|(kind, id)| (id.clone(), Medium { kind: kind.clone(), sent: None }));
        Media { by_id: by_id.collect(), next_data_id: FIRST_DATA_ID }
    }

    /// Whether a medium exists, is of this kind and still usable.
    pub(super) fn check(&self, kind: &str, id: &str, now: Timestamp) -> Result<(), Errcode> {
        let medium = self.by_id.get(id).filter(|medium| medium.kind == kind).ok_or(INVALID_MEDIA_ID)?;
        match medium.sent {
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
