//! Asks for a token until there is an answer, some times at most.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Reply, decode, errcode,
    token::{Layer, Token, TokenError},
    transport::{Failure, Request, Transport},
};
use crate::{
    clock::Clock,
    limits,
    locale::{Phrase, say},
    redact::Secret,
    retry::Retry,
};

/// What it takes to ask. `pause` is the one before a second try; before the third it is twice as long.
pub(super) struct Asking<'a> {
    pub(super) transport: &'a mut dyn Transport,
    pub(super) clock: &'a dyn Clock,
    pub(super) timeout: Duration,
    pub(super) pause: Duration,
}

/// The token that an answer has in a member, and the answer.
pub(super) fn fetch(
    request: &Request<'_>,
    layer: Layer,
    member: &str,
    asking: &mut Asking<'_>,
) -> Result<(Token, Reply), TokenError> {
    let mut retry = Retry::new(limits::TOKEN_TRIES, asking.pause, Duration::MAX);
    loop {
        let why = match ask(request, layer, asking)? {
            Ok(reply) => match token(&reply, member, asking.clock.now()) {
                Some(token) => return Ok((token, reply)),
                None => say!("the answer contains no token"),
            },
            Err(why) => why,
        };
        let Some(pause) = retry.next() else {
            return Err(TokenError::Unreachable(say!("{why} (tried {tries} times)", why, tries = limits::TOKEN_TRIES)));
        };
        if !asking.clock.sleep(pause) {
            return Err(TokenError::Interrupted);
        }
    }
}

/// One try: an answer that says no is an error; the inner error is why it may be tried again.
fn ask(request: &Request<'_>, layer: Layer, asking: &mut Asking<'_>) -> Result<Result<Reply, Phrase>, TokenError> {
    let reply = match asking.transport.send(request) {
        Ok(answer) => decode(answer.status, &answer.body).map_err(|error| error.0),
        Err(Failure::NotSent(why) | Failure::MaybeSent(why)) => Err(why),
    };
    match reply {
        Ok(reply) if reply.errcode == 0 => Ok(Ok(reply)),
        Ok(reply) if errcode::disposition(reply.errcode) == errcode::Disposition::Retry => {
            Ok(Err(Phrase::verbatim(format!("{} {}", reply.errcode, errcode::strip(&reply.errmsg)))))
        }
        Ok(reply) => Err(TokenError::Refused { layer, errcode: reply.errcode, errmsg: reply.errmsg }),
        Err(why) => Ok(Err(why)),
    }
}

/// The token of an answer, if it holds one that ends in a time that makes sense.
fn token(reply: &Reply, member: &str, now: Timestamp) -> Option<Token> {
    let value = reply.text(member).filter(|value| !value.is_empty())?;
    let seconds = reply.members.get("expires_in")?.as_u64().filter(|seconds| (1..=7 * 86_400).contains(seconds))?;
    let margin = limits::TOKEN_MARGIN.as_secs().min(seconds / 2);
    let lasts = jiff::SignedDuration::from_secs(i64::try_from(seconds - margin).unwrap_or(0));
    Some(Token { value: Secret::new(value.to_owned()), good_until: now + lasts })
}
