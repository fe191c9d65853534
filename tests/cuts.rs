//! Between qunfa and PostgreSQL: a connection that ends at the worst of moments, each of them, and servers that are none.

use std::{
    io::{Read, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    kills::number,
    postgres::Schema,
    storm::holds,
    support::{Case, Fake, in_each_language, plan, send},
};

/// Where a connection ends: before the server gets the question of this number, or before its answer comes back. Counted
/// over all connections, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Question(usize),
    Answer(usize),
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Both sides hear of it.
    Both,
    /// The server hears nothing, and keeps the session.
    HalfOpen,
}

#[derive(Default)]
struct Inner {
    cut: Option<(Point, End)>,
    questions: usize,
    answers: usize,
    /// Server sides of which the server does not know that nobody is there any more.
    kept: Vec<TcpStream>,
}

/// A way to the server that ends when it is told to.
struct Proxy {
    address: String,
    inner: Arc<Mutex<Inner>>,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    fn to(schema: &Schema) -> Self {
        let address = schema.address();
        let (before, rest) = address.split_once("@127.0.0.1:").expect("without TLS");
        let (port, after) = rest.split_once('/').expect("a database");
        let target: u16 = port.parse().expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("bound").port();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                client.set_nodelay(true).expect("a socket");
                server.set_nodelay(true).expect("a socket");
                let (back, forth) = (Arc::clone(&shared), Arc::clone(&shared));
                let (from, to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                std::thread::spawn(move || pass(from, to, true, &forth));
                std::thread::spawn(move || pass(server, client, false, &back));
            }
        });
        Self { address: format!("{before}@127.0.0.1:{own}/{after}"), inner }
    }

    /// The server hears of what it did not hear.
    fn let_go(&self) {
        for kept in std::mem::take(&mut lock(&self.inner).kept) {
            let _ = kept.shutdown(Shutdown::Both);
        }
    }
}

/// Hands messages on until the connection ends.
fn pass(mut from: TcpStream, mut to: TcpStream, asks: bool, inner: &Mutex<Inner>) -> Option<()> {
    let mut first = asks;
    loop {
        let Some((kind, message)) = message(&mut from, first) else {
            let _ = to.shutdown(Shutdown::Both);
            return None;
        };
        first = false;
        let mut inner = lock(inner);
        let point = match (asks, kind) {
            // The start, a query, the end of a series.
            (true, 0 | b'Q' | b'S') => {
                inner.questions += 1;
                Some(Point::Question(inner.questions - 1))
            }
            // It is ready for the next one.
            (false, b'Z') => {
                inner.answers += 1;
                Some(Point::Answer(inner.answers - 1))
            }
            _ => None,
        };
        if let Some((at, end)) = inner.cut
            && point == Some(at)
        {
            inner.cut = None;
            let (client, server) = if asks { (&from, &to) } else { (&to, &from) };
            if end == End::HalfOpen {
                inner.kept.push(server.try_clone().expect("a socket"));
                let _ = client.shutdown(Shutdown::Both);
                // Its own end of the client is no end for the server.
                std::mem::forget(if asks { to } else { from });
            } else {
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            }
            return None;
        }
        let is_half_open = inner.kept.iter().any(|kept| kept.local_addr().ok() == to.local_addr().ok());
        drop(inner);
        if is_half_open {
            return None;
        }
        if to.write_all(&message).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            return None;
        }
    }
}

/// One message and its kind; the first of a client has none.
fn message(from: &mut TcpStream, first: bool) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    let head = if first { &mut head[1..] } else { &mut head[..] };
    from.read_exact(head).ok()?;
    let kind = if first { 0 } else { head[0] };
    let length = u32::from_be_bytes(head[head.len() - 4..].try_into().expect("four bytes"));
    let mut message = head.to_vec();
    let all = head.len() + usize::try_from(length).ok()?.checked_sub(4)?;
    message.resize(all, 0);
    from.read_exact(&mut message[head.len()..]).ok()?;
    Some((kind, message))
}

/// Three sends and a check.
fn three() -> String {
    let steps: String = (0..3).map(|number| send(&format!("s{number}"))).collect();
    plan(&format!("{steps}  - {{ id: arrived, action: check, of: s2 }}\n"))
        .replace("defaults: {", "defaults: { pace: { per_minute: 100000 },")
}

/// Cuts a first run there, and runs again; the exit code of the first.
fn cut(cut: Option<(Point, End)>) -> Option<(i32, usize, usize)> {
    let schema = Schema::plain()?;
    let proxy = Proxy::to(&schema);
    lock(&proxy.inner).cut = cut;
    let (case, fake) = (Case::new().file("plan.yaml", three()), Fake::usual());
    let run =
        |state: &str| case.run(&["run", "plan.yaml", "--yes", "--quiet", "--api-base", &fake.base, "--state", state]);
    let story = format!("{cut:?}");
    let ran = run(&proxy.address);
    let (questions, answers) = {
        let inner = lock(&proxy.inner);
        (inner.questions, inner.answers)
    };
    let said = format!("{story}: exit {}\n{}{}", ran.code, ran.stdout, ran.stderr);
    let sent = fake.sends().len();
    assert!(!said.contains("panicked"), "{said}");
    assert!(fake.sends().len() <= 3, "something was asked twice: {said}");
    match ran.code {
        0 => assert_eq!(sent, 3, "{said}"),
        // Nothing was sent.
        4 => assert_eq!(sent, 0, "{said}"),
        // Everything is known that was sent.
        6 => assert!(sent < 4, "{said}"),
        7 => assert!(said.contains("in doubt") || said.contains("unknown") || sent > 0, "{said}"),
        _ => panic!("{said}"),
    }
    assert!(ran.code == 0 || said.contains("state store"), "it does not say that it is the store: {said}");
    proxy.let_go();
    // The server hears of a session that is over by and by.
    let ended = (0..400).map(|_| run(&schema.address())).find(|ran| ran.code != 8);
    let ended = ended.unwrap_or_else(|| panic!("{story}: the account is never free"));
    ended.exits(0);
    holds(&fake, &schema, 3, &said);
    // What the run went on after is known in full.
    let adopted = schema.sql("SELECT count(*) FROM events WHERE kind = 'adopted'");
    assert!(ran.code != 0 || adopted == "0", "{said}");
    Some((ran.code, questions, answers))
}

#[test]
fn a_connection_may_end_at_any_message() {
    let Some((0, questions, answers)) = cut(None) else {
        assert!(crate::postgres::server().is_none(), "a run without a cut");
        return;
    };
    assert!(questions > 30 && answers > 25, "{questions} questions, {answers} answers");
    // A sample, another one with another seed; everything in the long sweep.
    let (every, seed) = (number("QUNFA_CUT_EVERY", 9), number("QUNFA_CUT_SEED", 4));
    let points = (0..questions).map(Point::Question).chain((0..answers).map(Point::Answer));
    let ends = [End::Both, End::HalfOpen];
    let all: Vec<_> = points.flat_map(|point| ends.map(|end| (point, end))).collect();
    let mut codes = std::collections::BTreeMap::<i32, usize>::new();
    for (_, at) in (seed..).zip(all).filter(|(number, _)| number % every == 0) {
        let (code, ..) = cut(Some(at)).expect("the server is there");
        *codes.entry(code).or_default() += 1;
    }
    let _ = writeln!(std::io::stderr(), "cuts by exit code: {codes:?}");
    assert!(codes.get(&0).is_some_and(|runs| *runs > 0), "no run went on over another connection: {codes:?}");
    assert!(codes.keys().any(|code| *code != 0), "a run that loses an intent stops: {codes:?}");
}

/// What a server does that is none.
#[derive(Debug, Clone, Copy)]
enum Sham {
    /// It says nothing at all.
    Silent,
    /// It agrees to TLS, and says nothing more.
    SilentInTls,
    /// It lets everybody in, and then says nothing.
    SilentAfterLogin,
    /// Something else entirely.
    Garbage,
    /// A message that would be two gigabytes.
    Endless,
    /// Another protocol.
    Http,
    Closes,
}

fn sham(what: Sham) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut rest = [0; 4096];
                let ok: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0015.1\0\0\0Z\0\0\0\x05I";
                let said: &[u8] = match what {
                    Sham::Silent => b"",
                    Sham::SilentInTls => b"S",
                    Sham::SilentAfterLogin => ok,
                    Sham::Garbage => &[0xa5; 600],
                    Sham::Endless => b"R\x7f\xff\xff\xff\0\0\0\0",
                    Sham::Http => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                    Sham::Closes => {
                        let _ = client.read(&mut rest);
                        return;
                    }
                };
                let _ = client.read(&mut rest);
                let _ = client.write_all(said);
                while matches!(client.read(&mut rest), Ok(read) if read > 0) {}
            });
        }
    });
    port
}

#[test]
fn a_server_that_is_none_is_given_up_in_time_and_hears_no_password() {
    in_each_language(|| {
        let mut running = Vec::new();
        let case = Case::new().file("plan.yaml", plan(&send("one"))).env("QUNFA_STATE_PASSWORD", "SECRETPW-7d10");
        for (what, mode) in [
            (Sham::Silent, "disable"),
            (Sham::Silent, "verify-full"),
            (Sham::SilentInTls, "verify-full"),
            (Sham::SilentAfterLogin, "disable"),
            (Sham::Garbage, "disable"),
            (Sham::Garbage, "verify-full"),
            (Sham::Endless, "disable"),
            (Sham::Http, "disable"),
            (Sham::Http, "verify-full"),
            (Sham::Closes, "disable"),
            (Sham::Closes, "verify-full"),
        ] {
            let state = format!("postgresql://u@127.0.0.1:{}/d?sslmode={mode}", sham(what));
            for args in [
                &["run", "plan.yaml", "--yes", "--verbose", "--api-base", "http://127.0.0.1:1", "--state"][..],
                &["status", "plan.yaml", "--api-base", "http://127.0.0.1:1", "--state"],
                &["state", "migrate", "--state"],
                &["state", "check", "--state"],
            ] {
                running.push((what, mode, case.spawn(&[args, &[state.as_str()]].concat())));
            }
        }
        for (what, mode, child) in running {
            let ran = Case::finish(child);
            let said = format!("{what:?} {mode}: exit {}\n{}{}", ran.code, ran.stdout, ran.stderr);
            assert_eq!(ran.code, 4, "{said}");
            assert!(!said.contains("SECRETPW") && !said.contains("panicked"), "{said}");
            ran.says("state store");
        }
    });
}
