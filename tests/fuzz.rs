//! Whatever comes from outside is answered: an answer or a finding, and never a panic, a stack that is used up, or work without
//! end. Each target has its seeds in `tests/corpus/<target>/`; what was found once stays there as a seed.
//!
//! As a test, the seeds are replayed and a few changes of them are tried, always the same. `.ci/fuzz` tries others for a while.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngSeed, TestError, TestRunner},
};
use qunfa::{
    diag::{
        self, Diagnostics,
        source::{self, SourceMap},
    },
    events::{
        self, Detail, Pushed,
        crypt::{AesKey, Keys, Query},
    },
    fleet,
    ledger::{
        CallId, Event, EventKind, FrozenCall, Ledger, Scope, open,
        store::{Owner, Store},
    },
    limits,
    payload::{Effect, digest},
    plan::fmt,
    platform::Platform,
    redact::Secret,
    report::Delivery,
    wechat,
};

use crate::{
    properties::{Files, pipe},
    support::{Case, repository},
};

/// Largest input that is made of seeds, in bytes.
const LONGEST: usize = 64 << 10;
/// Changes of seeds that the ordinary test tries of each target.
const CASES: u32 = 24;

struct Target {
    name: &'static str,
    /// Has the input read by what reads such inputs.
    read: fn(&[u8]),
    /// What means something there: is put into inputs.
    words: &'static [&'static str],
}

const TARGETS: &[Target] = &[
    Target {
        name: "event",
        read: read_event,
        words: &[
            "<item>",
            "</item>",
            "<![CDATA[",
            "]]>",
            "&amp;",
            "&#",
            "<!DOCTYPE ",
            "<!--",
            "<Encrypt>",
            "</Encrypt>",
            "</xml>",
            "\"item\":[",
            "\"Encrypt\":\"",
            "<MsgID>",
            "err(",
        ],
    },
    Target {
        name: "plan",
        read: read_plan,
        words: &["&a ", "*a", "<<: ", "- ", "[", "{", "? ", "|\n", "steps:", "{{ ", " }}", "!t "],
    },
    Target {
        name: "template",
        read: read_template,
        words: &[
            "{{ ",
            " }}",
            "{% for i in vars.l %}",
            "{% endfor %}",
            "{# ",
            "vars.l",
            "|",
            "~",
            "*",
            "(",
            "[",
            "range(9)",
        ],
    },
    Target {
        name: "markdown",
        read: read_markdown,
        words: &[
            "> ",
            "- ",
            "1. ",
            "**",
            "[",
            "](",
            "![",
            "`",
            "```\n",
            "|",
            "|-|",
            "[^a]",
            "[^a]: ",
            "<b>",
            "</b>",
            "<!-- lint-allow A203 x -->",
            "$",
            "\\(",
            "&",
            "\t",
        ],
    },
    Target {
        name: "html",
        read: read_html,
        words: &[
            "<p>",
            "</p>",
            "<b ",
            "style=\"",
            "\"",
            "'",
            "<!--",
            "-->",
            "<table><tr><td>",
            "<pre>",
            "&#",
            "<math>",
            "$$",
            "\\[",
        ],
    },
    Target {
        name: "css",
        read: read_css,
        words: &[
            ":root{",
            "--a:",
            "var(--a)",
            "var(--b,",
            "}",
            "{",
            ";",
            "/*",
            "*/",
            "\"",
            "calc(",
            "rgb(",
            ",",
            "p",
            ".quote",
            "@media x{",
            "url(",
        ],
    },
    Target {
        name: "csv",
        read: read_csv,
        words: &["\"", ",", "\r\n", "\n", "openid", "oA1", "\"\"", "\u{feff}", "\t", ";"],
    },
    Target {
        name: "fleet",
        read: read_fleet,
        words: &[
            "{{ account.name }}",
            "vars.",
            "secret.env",
            "100%",
            "accounts: ",
            "- { name: ",
            "\"",
            ",",
            "\n",
            "{",
            "file: ",
        ],
    },
    Target {
        name: "jsonl",
        read: read_jsonl,
        words: &["{\"k\":", "[", "{", "\"", "\n", "1e999", "\\u", "\\ud800", "null", ","],
    },
    Target {
        name: "picture",
        read: read_picture,
        words: &["\u{0}\u{0}\u{0}\u{0}", "IHDR", "IDAT", "IEND", "VP8L", "VP8X", "ANMF", "RIFF", "GIF89a", "JFIF"],
    },
    Target {
        name: "reply",
        read: read_reply,
        words: &["\"errcode\":", "\"msg_id\":", "\"errmsg\":", "-1", "0", "[", "{", "\"", "rid: "],
    },
    Target {
        name: "ledger",
        read: read_ledger,
        words: &[
            "\n",
            "accepted",
            "attempted",
            "unknown",
            "mass",
            "-1",
            "9223372036854775807",
            "\u{0}",
            "{}",
            "sha256:",
        ],
    },
];

const HEAD: &str =
    "version: 1\nname: test\naccount: { kind: service, appid: wx0123456789abcdef, secret: { env: S } }\n";
const DRAFT: &str = "steps:\n  - { id: a, action: create_draft, articles: [{ file: FILE, title: t, cover: cover.png, theme: THEME, optimize: true }] }\n";

/// What a plan with files gives, shown in every way.
fn shown(plan: String, files: Vec<(&'static str, Vec<u8>)>) {
    let cover = fs::read(repository().join("tests/pictures/jade-4x2.png")).expect("is there");
    let files: HashMap<_, _> = files.into_iter().chain([("cover.png", cover)]).collect();
    let (plan, diagnostics, sources) = pipe(plan.into_bytes(), &Files(files));
    let text = diag::render::human(&diagnostics, &sources);
    assert!(plan.is_some() || !text.is_empty(), "no plan, and no word why");
    diag::finding::findings(&diagnostics, &sources);
    if let Some(plan) = plan {
        assert!(plan.to_json().collect::<String>().contains("sha256:"));
    }
}

fn drafted(file: &'static str, theme: &'static str, bytes: &[u8], files: Vec<(&'static str, Vec<u8>)>) {
    let plan = format!("{HEAD}{}", DRAFT.replace("FILE", file).replace("THEME", theme));
    let named = if theme == "t.css" { "t.css" } else { file };
    shown(plan, files.into_iter().chain([(named, bytes.to_vec())]).collect());
}

fn read_plan(bytes: &[u8]) {
    let Ok(text) = source::decode(bytes.to_vec()) else { return };
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let file = sources.add("plan.yaml", text.clone());
    let _ = fmt::format(file, &mut sources, &mut diagnostics);
    let (plan, diagnostics, sources) = pipe(text.into_bytes(), &Files(HashMap::new()));
    assert!(plan.is_some() || !diag::render::human(&diagnostics, &sources).is_empty());
}

/// Through the program itself: a template may take more time than there is, and only the program ends that.
fn read_template(bytes: &[u8]) {
    let steps = "vars: { l: [1, 2, 3], t: text }\nsteps:\n  - { id: a, action: send_by_tag, to: all, message: { text: { file: a.txt } } }\n";
    let case = Case::new().file("plan.yaml", format!("{HEAD}{steps}")).file("a.txt", bytes);
    let ran = case.run(&["validate", "plan.yaml"]);
    assert!(matches!(ran.code, 0 | 3), "{}: {}", ran.code, ran.stderr);
    assert!(ran.code == 0 || ran.stderr.contains("error"), "no plan, and no word why");
}

fn read_markdown(bytes: &[u8]) {
    drafted("a.md", "jade", bytes, Vec::new());
}

fn read_html(bytes: &[u8]) {
    drafted("a.html", "plain", bytes, Vec::new());
}

fn read_css(bytes: &[u8]) {
    let article = "# a\n\n> *b* `c` [d](https://e.f/g)\n\n- h\n  1. i\n\n|j|\n|-|\n|k|\n\n```rust\nfn l() {}\n```\n";
    drafted("a.md", "t.css", bytes, vec![("a.md", article.into())]);
}

fn read_csv(bytes: &[u8]) {
    let steps = "steps:\n  - { id: a, action: send_by_openid, to: { file: a.csv }, message: { text: a } }\n  - { id: b, action: send_by_tag, foreach: { file: a.csv }, key: '{{ row.openid }}', to: all, message: { text: '{{ row.name }}' } }\n";
    shown(format!("{HEAD}{steps}"), vec![("a.csv", bytes.to_vec())]);
}

/// A fleet, or the table of its accounts.
fn read_fleet(bytes: &[u8]) {
    let Ok(text) = source::decode(bytes.to_vec()) else { return };
    let is_fleet = text.contains("version");
    let table = "version: 1\nplan: plan.yaml\ndefaults: { kind: service, secret: { env: \"S_{{ account.name }}\" } }\naccounts: { file: accounts.csv }\n";
    let files = Files(HashMap::from([("accounts.csv", bytes.to_vec()), ("vars.yaml", b"a: 1\n".to_vec())]));
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let file = sources.add("fleet.yaml", if is_fleet { text } else { table.to_owned() });
    let fleet = fleet::read(file, &files, "/".to_owned(), &mut sources, &mut diagnostics);
    for member in fleet.iter().flat_map(|fleet| fleet.chosen(&[], None)).take(50) {
        let _ = fleet.as_ref().map(|fleet| fleet.account(member, &files, &mut sources, &mut diagnostics));
    }
    assert!(fleet.is_some() || !diag::render::human(&diagnostics, &sources).is_empty(), "no fleet, and no word why");
    diag::finding::findings(&diagnostics, &sources);
}

fn read_jsonl(bytes: &[u8]) {
    let steps = "steps:\n  - { id: b, action: send_by_tag, foreach: { file: a.jsonl }, key: '{{ row.k }}', to: all, message: { text: '{{ row.name }}' } }\n";
    shown(format!("{HEAD}{steps}"), vec![("a.jsonl", bytes.to_vec())]);
}

fn read_picture(bytes: &[u8]) {
    let article = b"![a](a.webp)\n\nb\n".to_vec();
    drafted("a.md", "plain", &article, vec![("a.webp", bytes.to_vec())]);
    let steps = "steps:\n  - { id: a, action: upload_material, type: image, file: a.png }\n  - { id: b, action: upload_material, type: thumb, file: a.png, optimize: true }\n";
    shown(format!("{HEAD}{steps}"), vec![("a.png", bytes.to_vec())]);
}

fn read_reply(bytes: &[u8]) {
    for status in [200, 204, 403, 502] {
        let Ok(reply) = wechat::decode(status, bytes) else { continue };
        let _ = (reply.rid(), reply.msg_id(), reply.msg_data_id(), reply.is_explicit());
        let kept = [reply.msg_status(), reply.text("media_id")];
        assert!(kept.iter().flatten().all(|text| text.len() <= 4 << 10));
    }
}

/// A store with one call that was attempted, in which each input stands in turn.
struct Book {
    _folder: tempfile::TempDir,
    path: PathBuf,
    store: Box<dyn Store>,
    scope: Scope,
}

impl Book {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let store = open::named(&format!("sqlite:{}", path.display()), std::rc::Rc::new(|| Ok(None))).expect("a name");
        let scope =
            Scope { platform: Platform::Wechat, appid: "wx1".into(), plan: "p".into(), occurrence: "once".into() };
        let owner = Owner {
            pid: 7,
            host: "here".into(),
            since: Timestamp::UNIX_EPOCH,
            plan: "p".into(),
            command: "run".into(),
        };
        let call = FrozenCall {
            id: CallId { step: "a".into(), key: None, chunk: 1 },
            action: "send_by_openid".into(),
            path: "/cgi-bin/message/mass/send".into(),
            idempotency_key: "k".into(),
            digest: digest(b"{}"),
            payload: "{}".into(),
            message_digest: None,
            recipients: Some(2),
            effect: Effect::Mass,
        };
        let attempt =
            Event { body: Some("{}".into()), ..Event::new(EventKind::Attempted, Timestamp::UNIX_EPOCH, "run") };
        let mut ledger = store.write(Platform::Wechat.name(), "wx1", &owner).expect("opens");
        ledger.freeze(&scope, &[], std::slice::from_ref(&call), &call.id, &attempt).expect("writes");
        ledger.sync().expect("writes");
        Self { _folder: folder, path, store, scope }
    }

    fn read(&self, bytes: &[u8]) {
        // One column a line, of the call and of an event after its attempt.
        const CALL: &[&str] = &[
            "step",
            "key",
            "chunk",
            "action",
            "path",
            "idempotency_key",
            "digest",
            "payload",
            "message_digest",
            "recipients",
            "mass",
            "effect",
        ];
        const EVENT: &[&str] =
            &["kind", "at", "run_id", "errcode", "note", "msg_id", "msg_data_id", "result", "body", "body_digest"];
        let connection = rusqlite::Connection::open(&self.path).expect("opens");
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split('\n');
        let mut put = |table: &str, columns: &[&str], only: &str| {
            for (column, value) in columns.iter().zip(&mut lines) {
                let number = value.parse::<i64>().ok();
                let value: &dyn rusqlite::ToSql = match &number {
                    Some(number) => number,
                    None => &value,
                };
                // What the tables themselves refuse is no row.
                let _ = connection.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE {only}"), [value]);
            }
        };
        connection.execute_batch("DELETE FROM events WHERE number > 1; INSERT INTO events (call, number, kind, at, run_id) SELECT id, 2, 'unknown', 1, 'r' FROM calls").expect("writes");
        put("calls", CALL, "1");
        put("events", EVENT, "number = 2");
        drop(connection);
        if let Ok(Some(ledger)) = self.store.read() {
            self.look(&*ledger);
        }
        let _ = self.store.examine();
        let connection = rusqlite::Connection::open(&self.path).expect("opens");
        connection
            .execute(
                "UPDATE calls SET step = 'a', key = '', chunk = 1, action = 'send_by_openid', path = '/cgi-bin/message/mass/send', \
                 idempotency_key = 'k', digest = ?1, payload = '{}', message_digest = NULL, recipients = 2, mass = 1, effect = 'mass'",
                [digest(b"{}")],
            )
            .expect("writes");
    }

    fn look(&self, ledger: &dyn Ledger) {
        let from = Timestamp::UNIX_EPOCH;
        for call in ledger.calls(&self.scope).into_iter().flatten() {
            let _ =
                (call.first_attempt(), call.in_doubt_since(), call.sent_body().map(str::len), call.frozen.id.name());
        }
        let _ = (ledger.mass_attempts("wechat", "wx1", from), ledger.usage("wechat", "wx1", from));
        let _ = (ledger.runs("wx1", "p"), ledger.uploaded("wechat", "wx1", "k"));
        let _ = ledger.edition_before(&Scope { occurrence: "next".into(), ..self.scope.clone() }, "a", None);
    }
}

thread_local! {
    static BOOK: RefCell<Option<Book>> = const { RefCell::new(None) };
}

fn read_ledger(bytes: &[u8]) {
    BOOK.with_borrow_mut(|book| book.get_or_insert_with(Book::new).read(bytes));
}

fn read_event(bytes: &[u8]) {
    let secret = |text: &str| Secret::new(text.to_owned());
    let key = AesKey::parse(&secret("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")).expect("a key");
    let keys = Keys { tokens: vec![secret("the-token")], aes: vec![key] };
    // What is behind the `?` of a push comes from outside too.
    let query = Query::parse(&String::from_utf8_lossy(bytes));
    let _ = (keys.signed(&query), events::receive(bytes, &query, &keys, "wx0123456789abcdef"));
    for keys in [&keys, &Keys { tokens: Vec::new(), aes: Vec::new() }] {
        if let Ok(Pushed::Event(event)) = events::handed_on(bytes, None, keys, "wx0123456789abcdef") {
            assert!(event.body.len() <= limits::EVENT_BYTES_MAX && event.subject.len() < 256);
            assert_eq!(events::kept(&event.body).as_ref(), Some(&event.detail), "what is kept is read again");
            if let Detail::Mass(mass) = &event.detail {
                let _ = serde_json::to_string(&Delivery::new(mass, Timestamp::UNIX_EPOCH)).expect("JSON");
            }
        }
    }
}

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    /// A byte becomes another.
    Byte(Index, u8),
    /// A word is put in.
    Word(Index, Index),
    /// Bytes are taken out.
    Cut(Index, Index),
    /// A part comes many times.
    Repeat(Index, usize, usize),
    /// The end becomes that of another seed.
    Cross(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (at(), at()).prop_map(|(at, word)| Change::Word(at, word)),
        (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        (at(), 1_usize..40, prop_oneof![2_usize..10, 100_usize..3000])
            .prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (at(), at()).prop_map(|(at, seed)| Change::Cross(at, seed)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change], seeds: &[(PathBuf, Vec<u8>)], words: &[&str]) -> Vec<u8> {
    for change in changes {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match change {
            Change::Byte(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Byte(..) => {}
            Change::Word(at, word) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, word.get(words).bytes());
            }
            Change::Cut(from, to) => {
                let (from, to) = (place(from, &bytes), place(to, &bytes));
                bytes.drain(from.min(to)..from.max(to));
            }
            Change::Repeat(at, length, times) => {
                let at = place(at, &bytes);
                let part = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, part.repeat(*times));
            }
            Change::Cross(at, seed) => {
                let (at, other) = (place(at, &bytes), &seed.get(seeds).1);
                bytes.truncate(at);
                bytes.extend(&other[at.min(other.len())..]);
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

fn seeds(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = repository().join("tests/corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .map(|path| (path.clone(), fs::read(path).expect("readable")))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{}", target.name);
    seeds
}

/// Where what was found is written.
fn folder(target: &Target) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target.name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Does the work on the stack that the program has for its input, `limits::STACK_BYTES`: that of a test is 2 MiB.
fn on_the_stack_of_the_program(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(limits::STACK_BYTES).spawn_scoped(scope, work);
        if let Err(panic) = thread.expect("a thread").join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Tries changes of the seeds; what fails is written down in its shortest form.
fn explore(target: &Target, cases: u32, seed: u64, read: impl Fn(&[u8])) {
    let seeds = seeds(target);
    let strategy = (any::<Index>(), proptest::collection::vec(change(), 1..6))
        .prop_map(|(which, changes)| changed(which.get(&seeds).1.clone(), &changes, &seeds, target.words));
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 200,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&strategy, |bytes| {
        read(&bytes);
        Ok(())
    });
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(why, bytes)) => {
            let path = folder(target).join("failed");
            fs::write(&path, &bytes).expect("writes");
            panic!("{} fails, seed {seed}: {why}\nthe input is in {}", target.name, path.display());
        }
        Err(TestError::Abort(why)) => panic!("{}: {why}", target.name),
    }
}

#[test]
fn every_seed_and_what_is_near_it_is_answered() {
    on_the_stack_of_the_program(replay);
}

fn replay() {
    for target in TARGETS {
        for (path, bytes) in seeds(target) {
            let read = std::panic::catch_unwind(|| (target.read)(&bytes));
            assert!(read.is_ok(), "{} panics", path.display());
        }
        explore(target, CASES, 1, target.read);
    }
}

/// For `.ci/fuzz`: `QUNFA_FUZZ_SECONDS` in equal shares, from `QUNFA_FUZZ_SEED`. Without them it does nothing.
#[test]
fn a_sweep_over_every_target() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (Some(seconds), Some(first)) = (number("QUNFA_FUZZ_SECONDS"), number("QUNFA_FUZZ_SEED")) else { return };
    let only = std::env::var("QUNFA_FUZZ_TARGET").ok();
    let targets: Vec<&Target> =
        TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)).collect();
    assert!(!targets.is_empty(), "there is no target {only:?}");
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len()).expect("few");
    on_the_stack_of_the_program(|| sweep(&targets, first, share));
}

fn sweep(targets: &[&Target], first: u64, share: Duration) {
    for target in targets {
        let (mut seed, begun) = (first, Instant::now());
        let executions = RefCell::new((0_u64, Duration::ZERO));
        let running = folder(target).join("running");
        while begun.elapsed() < share {
            explore(target, 20, seed, |bytes| {
                // One case may take long: no other one begins when the time is over.
                if begun.elapsed() >= share {
                    return;
                }
                // If the process ends here, this is why.
                fs::write(&running, bytes).expect("writes");
                let start = Instant::now();
                (target.read)(bytes);
                let took = start.elapsed();
                let (count, slowest) = &mut *executions.borrow_mut();
                *count += 1;
                if took > *slowest {
                    *slowest = took;
                    fs::write(running.with_file_name("slowest"), bytes).expect("writes");
                }
            });
            seed += 1;
        }
        let (count, slowest) = executions.into_inner();
        let line = format!(
            "{:10} {count:>8} executions, seeds {first} to {}, the slowest {} ms\n",
            target.name,
            seed - 1,
            slowest.as_millis()
        );
        std::io::stdout().write_all(line.as_bytes()).expect("writes");
        let _ = fs::remove_file(&running);
    }
}
