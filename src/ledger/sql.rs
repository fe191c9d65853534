//! Questions that every SQL store is asked in the same words. Parameters are `?1`, `?2`, ...; SQLite and PostgreSQL both take
//! the rest as it stands. What is written, and in which order it is locked, differs and is beside each store.

/// The columns of a call.
macro_rules! call {
    () => {
        "id, step, key, chunk, action, path, idempotency_key, digest, payload, message_digest, recipients, mass, effect"
    };
}

/// The kinds of an event that says that WeChat took a call.
macro_rules! taken {
    () => {
        "('accepted', 'adopted', 'resolved_sent')"
    };
}

/// The calls of a scope: platform, appid, plan, occurrence.
pub(super) const CALLS: &str = concat!(
    "SELECT ",
    call!(),
    " FROM calls c WHERE platform = ?1 AND appid = ?2 AND plan = ?3 AND occurrence = ?4 ORDER BY id"
);

/// The newest call with a key that is no mass call and gave something: key, platform, appid.
pub(super) const UPLOADED: &str = concat!(
    "SELECT ",
    call!(),
    " FROM calls c WHERE idempotency_key = ?1 AND NOT mass AND platform = ?2 AND appid = ?3 AND EXISTS
     (SELECT 1 FROM events e WHERE e.call = c.id AND e.kind = 'accepted' AND e.result IS NOT NULL)
     ORDER BY id DESC LIMIT 1"
);

/// The columns of an event.
pub(super) const EVENT: &str = "kind, at, run_id, errcode, note, msg_id, msg_data_id, result, body, body_digest";

/// Mass calls that were attempted, with their steps: since (ms), platform, appid.
pub(super) const MASS_ATTEMPTS: &str =
    "SELECT e.at, c.step FROM events e JOIN calls c ON c.id = e.call WHERE e.kind = 'attempted' AND e.at >= ?1
     AND c.mass AND c.platform = ?2 AND c.appid = ?3 ORDER BY e.at";

/// Calls that WeChat took: since (ms), platform, appid.
pub(super) const USAGE: &str = concat!(
    "SELECT c.step, c.effect, c.mass, c.payload, e.at FROM events e JOIN calls c ON c.id = e.call WHERE e.kind IN ",
    taken!(),
    " AND e.at >= ?1 AND c.platform = ?2 AND c.appid = ?3"
);

/// The last other edition of a step: platform, appid, plan, occurrence, step, key.
pub(super) const EDITION_BEFORE: &str = concat!(
    "SELECT c.occurrence, CAST(sum(c.recipients) AS BIGINT), max(c.id) AS last FROM calls c
     JOIN events e ON e.call = c.id AND e.kind IN ",
    taken!(),
    " WHERE c.platform = ?1 AND c.appid = ?2 AND c.plan = ?3 AND c.occurrence <> ?4 AND c.step = ?5 AND c.key = ?6
     AND c.recipients IS NOT NULL GROUP BY c.occurrence ORDER BY last DESC LIMIT 1"
);

/// The mass calls of other editions with their events: platform, appid, plan, occurrence.
pub(super) const OTHER_EDITIONS: &str =
    "SELECT c.id, c.occurrence, c.step, c.key, c.chunk, e.kind, e.at FROM calls c LEFT JOIN events e ON e.call = c.id
     WHERE c.platform = ?1 AND c.appid = ?2 AND c.plan = ?3 AND c.occurrence <> ?4 AND c.mass ORDER BY c.id, e.number";

/// The plans and occurrences with a message: digests (`among` says how a store looks for one in a list), platform, appid.
pub(super) fn with_messages(among: &str) -> String {
    format!(
        "SELECT DISTINCT message_digest, plan, occurrence FROM calls c WHERE message_digest {among} AND mass
         AND platform = ?2 AND appid = ?3 ORDER BY message_digest, plan, occurrence"
    )
}

/// The calls of an edition of all accounts with their events: platform, plan, occurrence. What a person did beside the plan
/// (`@`) says nothing of where it stands.
pub(super) const ACCOUNTS: &str =
    "SELECT c.id, c.appid, c.step, c.key, c.chunk, e.kind, e.at FROM calls c LEFT JOIN events e ON e.call = c.id
     WHERE c.platform = ?1 AND c.plan = ?2 AND c.occurrence = ?3 AND c.step NOT LIKE '@%' ORDER BY c.id, e.number";

/// What was observed, with its number: platform, appid, kind. `among` says how a store looks for a subject in a list.
pub(super) fn observations(among: &str) -> String {
    format!(
        "SELECT kind, subject, at, body FROM observations WHERE platform = ?1 AND appid = ?2 AND kind = ?3 {among} ORDER BY number"
    )
}

/// What is new of what was observed: platform, appid, kind, subject, at (ms), body, digest of the body.
pub(super) const OBSERVE: &str = "INSERT INTO observations (platform, appid, kind, subject, at, body, digest)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
