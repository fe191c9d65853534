//! Everything outside the process: it survives a cut. Clock, token store, the medium of the ledger, and a WeChat that
//! counts who got what.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::panic_any,
    rc::Rc,
    time::Duration,
};

use jiff::Timestamp;
use qunfa::{
    clock::Clock,
    ledger::{EventKind, Ledger, LedgerError, Scope, Status},
    locale::Phrase,
    wechat::{
        token::{Token, TokenError, TokenStore},
        transport::{Answer, Body, Failure, Request, Transport},
    },
};
use serde_json::{Value, json};

use super::{
    book::{Hazard, Row, Store},
    twin::Shared,
};

pub(super) const SECRET: &str = "the-secret-that-nobody-may-see";
pub(super) const TOKEN: &str = "the-token-that-nobody-may-see";

/// What can go wrong with an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The power goes before the effect.
    CutBefore,
    /// It goes after it.
    CutAfter,
    /// The process alone dies after it: what it wrote stays.
    KillAfter,
    /// It fails without effect, and says so.
    Refuse,
    /// It takes effect, and fails all the same.
    FailAfter,
    /// A reply that says nothing (cut, HTML), with effect.
    Garbage,
    /// -1, without effect.
    BusyNothing,
    /// -1, although it took effect.
    BusyDone,
    /// A code that nobody knows, without effect.
    StrangeNothing,
    /// A code that nobody knows, although it took effect.
    StrangeDone,
    /// No answer in time, without effect.
    TimeoutNothing,
    /// The token is rejected.
    TokenRejected,
    /// Too fast.
    RateLimited,
    /// The quota is used up.
    QuotaUsedUp,
    /// The run is interrupted (Ctrl-C) at this effect, which is carried out.
    Interrupt,
}

pub(super) const SEND_FAULTS: &[Fault] = &[
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::Refuse,
    Fault::FailAfter,
    Fault::Garbage,
    Fault::BusyNothing,
    Fault::BusyDone,
    Fault::StrangeNothing,
    Fault::StrangeDone,
    Fault::TimeoutNothing,
    Fault::TokenRejected,
    Fault::RateLimited,
    Fault::QuotaUsedUp,
    Fault::Interrupt,
];
const WRITE_FAULTS: &[Fault] =
    &[Fault::CutBefore, Fault::CutAfter, Fault::KillAfter, Fault::Refuse, Fault::FailAfter, Fault::Interrupt];
const SLEEP_FAULTS: &[Fault] = &[Fault::CutBefore, Fault::CutAfter, Fault::Interrupt];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Send,
    Write,
    Sleep,
}

impl Effect {
    pub(super) fn faults(self) -> &'static [Fault] {
        match self {
            Effect::Send => SEND_FAULTS,
            Effect::Write => WRITE_FAULTS,
            Effect::Sleep => SLEEP_FAULTS,
        }
    }
}

/// The process died.
pub(super) struct Cut {
    /// And with it all that was not on disk.
    pub(super) power: bool,
}

/// People by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct People(Vec<u64>);

impl People {
    pub(super) fn add(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        self.0.resize(self.0.len().max(word + 1), 0);
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one & other != 0)
    }
}

impl FromIterator<usize> for People {
    fn from_iter<T: IntoIterator<Item = usize>>(numbers: T) -> Self {
        let mut people = Self::default();
        numbers.into_iter().for_each(|number| {
            people.add(number);
        });
        people
    }
}

/// The number of an openid that the account does not know.
pub(super) const STRANGER: usize = 77_777;

pub(super) fn openid(number: usize) -> String {
    format!("o{number:027}")
}

/// A mass call, as read from its body.
pub(super) struct Mass {
    pub(super) key: String,
    /// All of it but for people and key.
    pub(super) message: String,
    /// To whom, if they are named one by one.
    pub(super) people: Option<People>,
    /// No secret is in it, and nobody is named twice.
    pub(super) sound: bool,
}

impl Mass {
    fn of(text: &str) -> Self {
        let mut body: Value = serde_json::from_str(text).expect("a JSON body");
        let key = body["clientmsgid"].take().as_str().expect("every mass call has one").to_owned();
        let mut sound = !text.contains(SECRET) && !text.contains(TOKEN);
        let people = body["touser"].take().as_array().map(|openids| {
            let mut people = People::default();
            for openid in openids {
                let number = openid.as_str().and_then(|openid| openid.strip_prefix('o')?.parse().ok());
                sound &= people.add(number.expect("a number after an o"));
            }
            people
        });
        Self { key, message: body.to_string(), people, sound }
    }

    /// Reads each body once in a thread: a sweep sends the same ones again and again.
    pub(super) fn read(text: &str) -> Rc<Self> {
        thread_local! {
            static KNOWN: RefCell<Vec<(String, Rc<Mass>)>> = const { RefCell::new(Vec::new()) };
        }
        KNOWN.with_borrow_mut(|known| {
            if let Some((_, mass)) = known.iter().find(|(before, _)| before == text) {
                return Rc::clone(mass);
            }
            let mass = Rc::new(Self::of(text));
            known.push((text.to_owned(), Rc::clone(&mass)));
            mass
        })
    }
}

#[derive(Default)]
pub(super) struct World {
    pub(super) ms: Cell<i64>,
    /// Number of the next effect.
    next: Cell<usize>,
    pub(super) seen: RefCell<Vec<Effect>>,
    pub(super) faults: RefCell<Vec<(usize, Fault)>>,
    pub(super) interrupted: Cell<bool>,
    /// How many people follow the account; those with an even number carry the tag 100.
    pub(super) followers: Cell<usize>,
    /// What the platform delivered, each time.
    pub(super) delivered: RefCell<Vec<Rc<Mass>>>,
    pub(super) previews: Cell<u32>,
    pub(super) uploads: Cell<u32>,
    /// What uploads gave.
    media: RefCell<BTreeSet<String>>,
    /// Drafts by their `media_id`.
    pub(super) drafts: RefCell<HashMap<String, Value>>,
    /// Articles as they were when they were sent.
    pub(super) published: RefCell<Vec<Value>>,
    /// Jobs by their key: number, first and last time that they were asked for.
    jobs: RefCell<HashMap<String, (u64, i64, i64)>>,
    /// How often the status of a job was asked for.
    pub(super) asked: RefCell<BTreeMap<u64, u32>>,
    pub(super) deleted: RefCell<BTreeSet<u64>>,
    /// All requests.
    pub(super) sends: Cell<u32>,
    /// Questions about a quota.
    pub(super) quotas: Cell<u32>,
    /// Those that are no reading of lists and no token.
    pub(super) acts: Cell<u32>,
    /// Promises that were seen broken, in words.
    pub(super) broken: RefCell<Vec<String>>,
    pub(super) store: Store,
    /// The same in PostgreSQL, if the ledger is there.
    pub(super) shared: Option<Rc<Shared>>,
    token: RefCell<Option<Token>>,
    /// Processes so far.
    pub(super) runs: Cell<u32>,
    /// The machine sleeps for a day in the next wait.
    pub(super) oversleeps: Cell<bool>,
    /// How far the machine's clock is ahead of the world's, in milliseconds; and how far it was when the process began.
    pub(super) ahead: Cell<i64>,
    pub(super) began_ahead: Cell<i64>,
    /// How far the server's clock is ahead of the world's; and whether it keeps that to itself.
    pub(super) server_ahead: Cell<i64>,
    pub(super) silent: Cell<bool>,
    /// The next send to many is answered by 42001, and the lock of the tokens is then held by others for so long, in
    /// milliseconds.
    pub(super) rejects_for: Cell<Option<i64>>,
    token_takes: Cell<i64>,
    /// The clock is set back by so much while that lock is waited for.
    pub(super) set_back: Cell<i64>,
}

impl World {
    /// A process opens its ledger.
    pub(super) fn open(&self, scope: &Scope) -> Box<dyn Ledger + '_> {
        match &self.shared {
            Some(shared) => Box::new(shared.open(scope, &self.store, self)),
            None => Box::new(self.store.open(self)),
        }
    }

    /// The power goes.
    pub(super) fn cut_power(&self) {
        let lost = self.store.cut_power();
        self.shared.iter().for_each(|shared| shared.cut_power(&lost));
    }

    /// Passes an effect; gives the fault that is planned for it.
    fn pass(&self, effect: Effect) -> Option<Fault> {
        let number = self.next.get();
        self.next.set(number + 1);
        self.seen.borrow_mut().push(effect);
        let fault = self.faults.borrow().iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        let fault = fault.filter(|fault| effect.faults().contains(fault));
        match fault {
            Some(Fault::CutBefore) => panic_any(Cut { power: true }),
            Some(Fault::Interrupt) => self.interrupted.set(true),
            _ => {}
        }
        fault
    }

    fn after(fault: Option<Fault>) {
        match fault {
            Some(Fault::CutAfter) => panic_any(Cut { power: true }),
            Some(Fault::KillAfter) => panic_any(Cut { power: false }),
            _ => {}
        }
    }

    /// The time by a clock that is so far ahead of the world's.
    fn time(&self, ahead: i64) -> Timestamp {
        Timestamp::from_millisecond(1_772_416_800_000 + self.ms.get() + ahead).expect("in range")
    }

    fn breaks(&self, promise: String) {
        self.broken.borrow_mut().push(promise);
    }

    /// WeChat is the same, and what comes has another ledger.
    pub(super) fn forget_ledger(&mut self) {
        self.store = Store::default();
    }

    /// The numbers of the sends in these effects.
    pub(super) fn send_effects(&self) -> Vec<usize> {
        let seen = self.seen.borrow();
        seen.iter().enumerate().filter(|(_, effect)| **effect == Effect::Send).map(|(at, _)| at).collect()
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.time(self.ahead.get())
    }

    fn steady(&self) -> Timestamp {
        self.time(self.began_ahead.get())
    }

    fn sleep(&self, duration: Duration) -> bool {
        let fault = self.pass(Effect::Sleep);
        self.ms.set(self.ms.get() + i64::try_from(duration.as_millis()).expect("short"));
        if self.oversleeps.take() {
            self.ms.set(self.ms.get() + 86_400_000);
        }
        Self::after(fault);
        !self.interrupted.get()
    }
}

impl Hazard for World {
    fn around(&self, write: &mut dyn FnMut() -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let fault = self.pass(Effect::Write);
        let failed = || LedgerError::Store {
            path: "book".into(),
            what: Phrase::verbatim("cannot be written: the disk is full"),
            source: None,
        };
        if fault == Some(Fault::Refuse) {
            return Err(failed());
        }
        write()?;
        Self::after(fault);
        if fault == Some(Fault::FailAfter) { Err(failed()) } else { Ok(()) }
    }
}

impl TokenStore for World {
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        let takes = self.token_takes.take();
        self.ms.set(self.ms.get() + takes);
        if takes > 0 {
            self.ahead.set(self.ahead.get() - self.set_back.take());
        }
        let token = fetch(self.token.borrow().clone())?;
        *self.token.borrow_mut() = Some(token.clone());
        Ok(token)
    }

    fn kept(&self) -> Result<Option<String>, TokenError> {
        Ok(None)
    }

    fn keep(&self, _: &str) -> Result<(), TokenError> {
        unreachable!("no account here is by way of a platform")
    }
}

pub(super) struct Platform<'a>(pub(super) &'a World);

impl Platform<'_> {
    /// Before anything is changed, the ledger has on disk that it will be.
    fn was_written(&self, path: &str, body: Option<&str>) {
        let intended = |row: &Row| {
            let last = row.events.last().filter(|event| event.kind == EventKind::Attempted);
            // A file is no text: its intent says what is uploaded, and how.
            row.frozen.path == path && last.is_some_and(|event| body.is_none() || event.body.as_deref() == body)
        };
        if !self.0.store.look(|rows| rows.iter().any(intended)) || !self.0.store.is_synced() {
            self.0.breaks(format!("{path} was called before it was written that it would be"));
        }
    }

    /// A page of followers: about half of them, so that there are two, and an empty one.
    fn page(&self, tag: bool, from: &str) -> Value {
        let step = if tag { 2 } else { 1 };
        let all = self.0.followers.get();
        let start = if from.is_empty() { 0 } else { from[1..].parse::<usize>().expect("one of ours") + step };
        let end = all.min(start + (all / 2 + 1).next_multiple_of(2));
        let openids: Vec<String> = (start..end).step_by(step).map(openid).collect();
        let next = openids.last().cloned().unwrap_or_default();
        json!({ "total": all, "count": openids.len(), "data": { "openid": openids }, "next_openid": next })
    }

    fn list(&self, path: &str, body: &str) -> Option<Value> {
        Some(match path.split_once('?').unwrap_or((path, "")) {
            ("/cgi-bin/user/get", query) => self.page(false, query.strip_prefix("next_openid=").unwrap_or_default()),
            ("/cgi-bin/user/tag/get", _) => {
                let body: Value = serde_json::from_str(body).expect("a JSON body");
                assert_eq!(body["tagid"], 100);
                self.page(true, body["next_openid"].as_str().expect("a text"))
            }
            ("/cgi-bin/tags/get", _) => {
                let count = self.0.followers.get().div_ceil(2);
                json!({ "tags": [{ "id": 2, "name": "星标组", "count": 0 }, { "id": 100, "name": "VIP", "count": count }] })
            }
            _ => return None,
        })
    }

    /// What WeChat does.
    fn effect(&self, path: &str, text: &str) -> Value {
        let world = self.0;
        if matches!(path, "/cgi-bin/message/mass/send" | "/cgi-bin/message/mass/sendall") {
            return self.send_to_many(text);
        }
        let body: Value = serde_json::from_str(text).expect("a JSON body");
        let id = || body["media_id"].as_str().expect("a text").to_owned();
        match path {
            "/cgi-bin/draft/add" => {
                let id = format!("draft-{}", world.drafts.borrow().len() + 1);
                world.drafts.borrow_mut().insert(id.clone(), body["articles"].clone());
                json!({ "media_id": id })
            }
            "/cgi-bin/draft/update" => {
                let index = usize::try_from(body["index"].as_u64().expect("a number")).expect("small");
                let mut drafts = world.drafts.borrow_mut();
                drafts.get_mut(&id()).expect("it was added")[index] = body["articles"].clone();
                json!({ "errcode": 0, "errmsg": "ok" })
            }
            "/cgi-bin/draft/get" => json!({ "news_item": world.drafts.borrow()[&id()] }),
            "/cgi-bin/message/mass/get" => {
                let id = body["msg_id"].as_str().and_then(|id| id.parse().ok()).expect("a number in a text");
                self.job(id, "asked for");
                let times = *world.asked.borrow_mut().entry(id).and_modify(|times| *times += 1).or_insert(1);
                let gone = world.deleted.borrow().contains(&id);
                let status = if gone {
                    "DELETE"
                } else if times == 1 {
                    "SENDING"
                } else {
                    "SEND_SUCCESS"
                };
                json!({ "msg_id": id, "msg_status": status })
            }
            "/cgi-bin/message/mass/delete" => {
                let id = body["msg_id"].as_u64().expect("a number");
                self.job(id, "deleted");
                world.deleted.borrow_mut().insert(id);
                json!({ "errcode": 0, "errmsg": "ok" })
            }
            "/cgi-bin/openapi/quota/get" => {
                world.quotas.set(world.quotas.get() + 1);
                json!({ "errcode": 0, "errmsg": "ok", "quota": {} })
            }
            "/cgi-bin/message/mass/preview" => {
                self.material(&body);
                world.previews.set(world.previews.get() + 1);
                json!({ "errcode": 0, "errmsg": "preview success" })
            }
            other => panic!("nobody answers {other}"),
        }
    }

    /// A job is asked for, or deleted, only if the ledger has it as accepted.
    fn job(&self, id: u64, what: &str) {
        let accepted = |row: &Row| {
            let taken = |kind| matches!(kind, EventKind::Accepted | EventKind::Adopted);
            row.frozen.is_mass()
                && row.status().is_ok_and(|status| status == Status::Accepted)
                && row.events.iter().any(|event| taken(event.kind) && event.msg_id == Some(id))
        };
        if !self.0.store.look(|rows| rows.iter().any(accepted)) {
            self.0.breaks(format!("the job {id}, which is not accepted, was {what}"));
        }
    }

    /// What a message shows is there.
    fn material(&self, body: &Value) {
        let world = self.0;
        let draft = body["mpnews"]["media_id"].as_str();
        if let Some(draft) = draft.filter(|draft| !world.drafts.borrow().contains_key(*draft)) {
            world.breaks(format!("there is no draft {draft}"));
        }
        let images = body["images"]["media_ids"].as_array().into_iter().flatten().chain([&body["image"]["media_id"]]);
        for image in images.filter_map(Value::as_str).filter(|image| !world.media.borrow().contains(*image)) {
            world.breaks(format!("there is no material {image}"));
        }
    }

    /// Sends are remembered for 24 hours by their key.
    fn send_to_many(&self, text: &str) -> Value {
        let world = self.0;
        let mass = Mass::read(text);
        let now = world.ms.get();
        if let Some(takes) = world.rejects_for.take() {
            world.token_takes.set(takes);
            return json!({ "errcode": 42001, "errmsg": "expired" });
        }
        if mass.people.as_ref().is_some_and(|people| people.meets(&People::from_iter([STRANGER]))) {
            return json!({ "errcode": 40003, "errmsg": "invalid openid" });
        }
        let mut jobs = world.jobs.borrow_mut();
        if let Some((id, first, last)) = jobs.get_mut(&mass.key).filter(|(_, first, _)| now - *first < 86_400_000) {
            let fast = now - *last < 60_000;
            *last = now;
            assert!(*first >= 0);
            return if fast {
                json!({ "errcode": 45066, "errmsg": "fast" })
            } else {
                json!({ "errcode": 45065, "errmsg": "exist", "msg_id": *id })
            };
        }
        let id = 1000 + jobs.len() as u64;
        jobs.insert(mass.key.clone(), (id, now, now));
        for before in world.delivered.borrow().iter() {
            if before.key == mass.key {
                world.breaks(format!("{} was delivered twice", mass.key));
            }
            let both = before.people.as_ref().zip(mass.people.as_ref());
            if before.message == mass.message && both.is_some_and(|(before, now)| before.meets(now)) {
                world.breaks(format!("{} and {} reached the same person with one message", before.key, mass.key));
            }
        }
        if !mass.sound {
            world.breaks(format!("{} names somebody twice, or a secret", mass.key));
        }
        let message: Value = serde_json::from_str(&mass.message).expect("it was made of JSON");
        self.material(&message);
        let draft = message["mpnews"]["media_id"].as_str().and_then(|id| world.drafts.borrow().get(id).cloned());
        world.published.borrow_mut().extend(draft);
        world.delivered.borrow_mut().push(mass);
        json!({ "errcode": 0, "errmsg": "ok", "msg_id": id, "msg_data_id": id + 1000 })
    }
}

impl Transport for Platform<'_> {
    fn send(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        let world = self.0;
        let token = request.path.ends_with("token");
        let reads = ["/cgi-bin/user/", "/cgi-bin/tags/", "/cgi-bin/openapi/"];
        let reads = reads.iter().any(|path| request.path.starts_with(path));
        if !token && !reads {
            world.acts.set(world.acts.get() + 1);
            match request.body {
                Body::Json(_) if request.path.ends_with("/mass/get") => {}
                // It only reads, also before the run.
                Body::Json(_) if request.path == "/cgi-bin/draft/get" => {}
                Body::Json(text) => self.was_written(request.path, Some(text)),
                Body::File(upload) => self.was_written(upload.target.path(), None),
            }
        }
        world.sends.set(world.sends.get() + 1);
        let fault = world.pass(Effect::Send);
        let answered = |body: Vec<u8>| {
            let date = (!world.silent.get()).then(|| world.time(world.server_ahead.get()));
            Ok(Answer { status: 200, body, date })
        };
        let reply = |value: &Value| answered(value.to_string().into_bytes());
        // A server may echo what it was sent.
        let sent = if token { SECRET } else { TOKEN };
        let code = |code: i64| reply(&json!({ "errcode": code, "errmsg": format!("echo {sent}") }));
        match fault {
            Some(Fault::Refuse) => return Err(Failure::NotSent(Phrase::verbatim("connection refused"))),
            Some(Fault::TimeoutNothing) => return Err(Failure::MaybeSent(Phrase::verbatim("no answer in time"))),
            Some(Fault::BusyNothing) => return code(-1),
            Some(Fault::StrangeNothing) => return code(502),
            Some(Fault::TokenRejected) => return code(42001),
            Some(Fault::RateLimited) => return code(45011),
            Some(Fault::QuotaUsedUp) => return code(45028),
            _ => {}
        }
        let answer = if token {
            json!({ "access_token": TOKEN, "expires_in": 7200 })
        } else {
            assert_eq!(request.query[0].1.expose(), TOKEN);
            match request.body {
                Body::Json(text) => match self.list(request.path, text) {
                    Some(list) => list,
                    None => self.effect(request.path, text),
                },
                Body::File(upload) => {
                    world.uploads.set(world.uploads.get() + 1);
                    let id = format!("media-{}", &upload.sha256[7..]);
                    world.media.borrow_mut().insert(id.clone());
                    let url = format!("http://mmbiz.qpic.cn/{}", upload.sha256);
                    if upload.target.gives() == qunfa::slot::Output::Url {
                        json!({ "url": url })
                    } else {
                        json!({ "media_id": id, "url": url })
                    }
                }
            }
        };
        World::after(fault);
        match fault {
            Some(Fault::FailAfter) => Err(Failure::MaybeSent(Phrase::verbatim("the connection was reset"))),
            Some(Fault::Garbage) => answered(answer.to_string().into_bytes()[..5].to_vec()),
            Some(Fault::BusyDone) => code(-1),
            Some(Fault::StrangeDone) => code(43104),
            _ => reply(&answer),
        }
    }
}
