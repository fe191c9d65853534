//! Sends and previews.
//!
//! The order of the checks of a send: the account's right to the call, the form of the request, `clientmsgid`, then what
//! depends on the state of the account (tag, media, quotas). So the repetition of an accepted request is told about its
//! job even when its draft is used up by now.
//!
//! Sources: [sendall](https://developers.weixin.qq.com/doc/service/api/notify/message/api_sendall),
//! [send](https://developers.weixin.qq.com/doc/service/api/notify/message/api_masssend.html),
//! [preview](https://developers.weixin.qq.com/doc/service/api/notify/message/api_preview).

use serde_json::{Value, json};

use super::audience::{Asked, Target, is_openid};
use super::errcode::{
    INVALID_MESSAGE_TYPE, INVALID_OPENID, INVALID_USERNAME, MISSING_OPENID, Refusal, UNAUTHORIZED_API,
};
use super::exchange::Context;
use super::idempotency::ClientId;
use super::job::{Job, Outcome};
use super::message::{Message, Purpose};
use super::push::Ended;
use super::state::State;
use super::{AccountKind, Audience, Delivery, DeliveryKind};

/// `POST /cgi-bin/message/mass/sendall`
pub(super) fn sendall(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let asked = Asked::from_filter(&context.body)?;
    submit(state, context, asked)
}

/// `POST /cgi-bin/message/mass/send`
pub(super) fn send(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    if state.kind == AccountKind::Subscription {
        return Err(UNAUTHORIZED_API.into());
    }
    let asked = Asked::from_touser(&context.body)?;
    submit(state, context, asked)
}

fn submit(state: &mut State, context: &Context, asked: Asked) -> Result<Value, Refusal> {
    let now = context.now;
    let message = Message::parse(&context.body, Purpose::Send)?;
    let client_id = ClientId::of(&context.body, &asked.key(), &message.msgtype, &message.content())?;
    state.client_ids.check(&client_id, now)?;
    let target = state.directory.target(asked)?;
    message.check_media(&state.media, now)?;
    let kind = state.kind;
    state.quotas().check_mass(kind, &target, now)?;

    state.quotas().count_mass(&target, now);
    let msg_id = state.jobs.next_id();
    let failure = message.failure(&state.media);
    let fails = failure.is_some();
    let titles = message.draft().map_or_else(Vec::new, |draft| state.media.titles(draft));
    let msg_data_id = message.draft().map(|draft| state.media.data_id(draft, now, !fails));
    let (recipients, outcome) = if fails { (0, Outcome::Failed) } else { deliver(state, context, &target) };
    let job = Job::new(
        now,
        msg_id,
        msg_data_id,
        outcome,
        Delivery {
            at: now,
            kind: DeliveryKind::Mass,
            msg_id: Some(msg_id),
            audience: target.audience(),
            recipients,
            content: message.content(),
            titles,
            clientmsgid: client_id.given(),
            urls: Vec::new(),
            msgtype: message.msgtype,
        },
    );
    state.client_ids.register(client_id, msg_id, now);
    if !fails {
        state.deliveries.push(job.delivery.clone());
    }
    let total = match &target {
        Target::All => state.directory.followers(),
        Target::Tag(tag) => tag.count,
        Target::Openids(openids) => u64::try_from(openids.len()).unwrap_or(u64::MAX),
    };
    let ended = Ended {
        msg_id,
        status: failure.unwrap_or("send success"),
        total: if fails { 0 } else { total },
        left: recipients,
        is_article: job.delivery.msgtype == "mpnews",
        urls: if fails { &[] } else { &job.delivery.urls },
    };
    state.outbox.appid.clone_from(&state.caller);
    state.outbox.ended(now, &ended);
    state.jobs.push(job);

    let mut reply = json!({"errcode": 0, "errmsg": "send job submission success", "msg_id": msg_id});
    if let Some(msg_data_id) = msg_data_id {
        reply["msg_data_id"] = msg_data_id.into();
    }
    Ok(reply)
}

/// Counts who gets a message, and what becomes of the job.
fn deliver(state: &mut State, context: &Context, target: &Target) -> (u64, Outcome) {
    let now = context.now;
    match target {
        Target::All => {
            state.quotas().count_received(target, now);
            (state.directory.followers(), Outcome::Sent)
        }
        Target::Tag(tag) => {
            state.quotas().count_received(target, now);
            (tag.count, Outcome::Sent)
        }
        Target::Openids(openids) => {
            let left: Vec<String> = state.quotas().reachable(openids, now).into_iter().cloned().collect();
            let recipients = u64::try_from(left.len()).unwrap_or(u64::MAX);
            state.quotas().count_received(&Target::Openids(left), now);
            // Seen in practice: a job whose readers were all filtered out shows as deleted.
            (recipients, if recipients == 0 { Outcome::Deleted } else { Outcome::Sent })
        }
    }
}

/// `POST /cgi-bin/message/mass/preview`: one reader, no mass quota, and the draft stays.
pub(super) fn preview(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let body = &context.body;
    let audience = match (body.get("towxname"), body.get("touser")) {
        (Some(Value::String(name)), _) if !name.is_empty() => Audience::Wxname(name.clone()),
        (Some(_), _) => return Err(INVALID_USERNAME.into()),
        (None, Some(Value::String(openid))) if is_openid(openid) => Audience::Openids(vec![openid.clone()]),
        (None, Some(_)) => return Err(INVALID_OPENID.into()),
        (None, None) => return Err(MISSING_OPENID.into()),
    };
    if body.get("filter").is_some() {
        return Err(INVALID_MESSAGE_TYPE.into());
    }
    let message = Message::parse(body, Purpose::Preview)?;
    message.check_media(&state.media, context.now)?;
    let msg_id = state.jobs.next_id();
    state.deliveries.push(Delivery {
        at: context.now,
        kind: DeliveryKind::Preview,
        msg_id: Some(msg_id),
        audience,
        recipients: 1,
        content: message.content(),
        titles: message.draft().map_or_else(Vec::new, |draft| state.media.titles(draft)),
        clientmsgid: None,
        urls: Vec::new(),
        msgtype: message.msgtype,
    });
    Ok(json!({"errcode": 0, "errmsg": "preview success", "msg_id": msg_id}))
}

#[cfg(test)]
mod tests {
    use super::super::quota::{SEND, SENDALL};
    use super::super::testkit::{Bench, PREVIEW, to_all, to_openids, to_tag, with};
    use super::*;

    const READERS: [&str; 2] = ["oSandboxFollower000000000001", "oSandboxFollower000000000002"];

    fn article() -> Value {
        with(to_tag(), &json!({"msgtype": "mpnews", "text": null, "mpnews": {"media_id": "D"}}))
    }

    #[test]
    fn an_accepted_send_is_delivered() {
        let mut bench = Bench::service();
        let reply = bench.post(SENDALL, &with(to_tag(), &json!({"clientmsgid": "a"})));
        assert_eq!((&reply["errcode"], &reply["errmsg"]), (&json!(0), &json!("send job submission success")));
        assert!(reply["msg_id"].as_u64() > Some(1 << 31));
        assert!(reply.get("msg_data_id").is_none());
        let delivery = bench.state.deliveries.first().expect("a delivery");
        assert_eq!((delivery.kind, delivery.at), (DeliveryKind::Mass, bench.now));
        assert_eq!(delivery.audience, Audience::Tag { id: 100, name: "会员".into() });
        assert_eq!((delivery.recipients, delivery.content.as_str()), (30, "你好"));
        assert_eq!((delivery.msg_id, delivery.clientmsgid.as_deref()), (reply["msg_id"].as_u64(), Some("a")));
    }

    #[test]
    fn every_form_of_audience_is_delivered_to() {
        let mut bench = Bench::service();
        assert_eq!(bench.code(SENDALL, &to_all()), 0);
        assert_eq!(bench.code(SEND, &to_openids(&[READERS[0], READERS[1], READERS[0]])), 0);
        let [all, list] = &bench.state.deliveries[..] else { panic!("two deliveries") };
        assert_eq!((&all.audience, all.recipients), (&Audience::All, 1000));
        let readers = READERS.map(str::to_owned).to_vec();
        assert_eq!((&list.audience, list.recipients), (&Audience::Openids(readers), 2));
    }

    #[test]
    fn job_numbers_grow_and_articles_have_a_second_one() {
        let mut bench = Bench::service();
        let first = bench.post(SENDALL, &with(article(), &json!({"clientmsgid": "a"})));
        let second = bench.post(SENDALL, &with(article(), &json!({"clientmsgid": "b"})));
        assert!(first["msg_id"].as_u64() < second["msg_id"].as_u64());
        assert!(first["msg_data_id"].is_u64());
        assert_eq!(first["msg_data_id"], second["msg_data_id"]);
        assert_eq!(bench.state.deliveries[0].urls, bench.state.deliveries[1].urls);
    }

    #[test]
    fn a_sent_draft_lives_until_midnight() {
        let mut bench = Bench::service();
        assert_eq!(bench.code(PREVIEW, &with(article(), &json!({"filter": null, "touser": READERS[0]}))), 0);
        bench.wait_days(1);
        let send = |bench: &mut Bench, id: &str| bench.code(SENDALL, &with(article(), &json!({"clientmsgid": id})));
        assert_eq!(send(&mut bench, "a"), 0);
        bench.wait(12 * 60 * 60 - 1);
        assert_eq!(send(&mut bench, "b"), 0);
        bench.wait(1);
        assert_eq!(send(&mut bench, "c"), 40007);
        // Known ids still find their job.
        assert_eq!(send(&mut bench, "a"), 45065);
    }

    #[test]
    fn filters_are_checked() {
        let mut bench = Bench::service();
        for (filter, code) in [
            (json!({"is_to_all": false, "tag_id": 2}), 0),
            (json!({"is_to_all": false, "tag_id": "100"}), 0),
            (json!({"is_to_all": false, "tag_id": 101}), 40152),
            (json!({"is_to_all": false, "tag_id": "x"}), 40152),
            (json!({"is_to_all": false, "tag_id": [100]}), 40008),
            (json!({"is_to_all": false}), 40152),
            (json!({"is_to_all": false, "group_id": 100}), 40152),
            (json!({"is_to_all": "false", "tag_id": 100}), 40008),
            (json!({"is_to_all": "true"}), 40008),
            (json!({"is_to_all": 1}), 40008),
            (json!({"tag_id": 100}), 40008),
            (json!({}), 40008),
            (json!("all"), 40008),
            (json!(null), 40152),
        ] {
            assert_eq!(bench.code(SENDALL, &with(to_tag(), &json!({"filter": filter}))), code, "{filter}");
        }
        assert_eq!(bench.code(SENDALL, &to_openids(&READERS)), 40152);
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &json!({"touser": READERS}))), 40152);
    }

    #[test]
    fn lists_are_checked() {
        let mut bench = Bench::service();
        let many = |count: u64| (0..count).map(super::super::audience::openid).collect::<Vec<_>>();
        for (touser, code) in [
            (json!(many(10_000)), 0),
            (json!(many(10_001)), 40032),
            (json!([]), 40032),
            (json!(null), 40032),
            (json!([READERS[0]]), 40130),
            (json!([READERS[0], READERS[0]]), 40130),
            (json!(READERS[0]), 40031),
            (json!([READERS[0], 1]), 40031),
            (json!([READERS[0], "\roSandboxFollower"]), 40003),
            (json!([READERS[0], "oSandboxFollower "]), 40003),
            (json!([READERS[0], "bad openid"]), 40003),
            (json!([READERS[0], "o".repeat(65)]), 40003),
            (json!([READERS[0], "o-other_account"]), 0),
        ] {
            let code_of = bench.code(SEND, &with(to_openids(&READERS), &json!({"touser": touser})));
            assert_eq!(code_of, code, "{:.60}", touser.to_string());
        }
        assert_eq!(bench.code(SEND, &to_tag()), 40032);
    }

    #[test]
    fn subscription_accounts_cannot_send_to_lists() {
        let mut bench = Bench::new(AccountKind::Subscription);
        assert_eq!(bench.code(SEND, &to_openids(&READERS)), 48001);
        assert_eq!(bench.code(SENDALL, &to_tag()), 0);
    }

    #[test]
    fn previews_reach_one_reader() {
        let mut bench = Bench::service();
        let text = json!({"msgtype": "text", "text": {"content": "x"}});
        for (changes, code) in [
            (json!({"touser": READERS[0]}), 0),
            (json!({"towxname": "wei_xin"}), 0),
            (json!({"towxname": "wei_xin", "touser": [READERS[0]]}), 0),
            (json!({"touser": [READERS[0]]}), 40003),
            (json!({"touser": "bad openid"}), 40003),
            (json!({"towxname": "", "touser": READERS[0]}), 40132),
            (json!({"towxname": 1}), 40132),
            (json!({}), 41009),
            (json!({"touser": READERS[0], "filter": {"is_to_all": true}}), 40008),
        ] {
            let reply = bench.post(PREVIEW, &with(text.clone(), &changes));
            assert_eq!(reply["errcode"], code, "{changes}");
            assert_eq!(reply["msg_id"].is_u64(), code == 0);
        }
        let audiences: Vec<&Audience> = bench.state.deliveries.iter().map(|delivery| &delivery.audience).collect();
        let (openid, name) = (Audience::Openids(vec![READERS[0].into()]), Audience::Wxname("wei_xin".into()));
        assert_eq!(audiences, [&openid, &name, &name]);
        assert!(bench.state.deliveries.iter().all(|delivery| delivery.kind == DeliveryKind::Preview));
    }
}
