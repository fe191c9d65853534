//! What the integration tests stand on: a case that runs the real program in a folder of its own, and a WeChat on
//! loopback that answers as it is told.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

pub(crate) const SECRET: &str = "s3cret-s3cret-s3cret-s3cret";
pub(crate) const TOKEN: &str = "t0ken-t0ken-t0ken-t0ken-t0ken";

/// A folder, files in it, and an environment.
pub(crate) struct Case {
    folder: tempfile::TempDir,
    env: HashMap<String, String>,
}

/// What the program did.
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// What no two runs have in common, and what stands for it in a snapshot.
const VARIES: [(&str, &str); 17] = [
    // Said only if the call in progress takes long enough to be looked at again after a signal.
    (r"\n(stopping as soon as WeChat|正在停止：)[^\n]*\n", ""),
    // When something last happened to a call, as `status` and messages say it.
    (r"(calls |accepted,|open,|in doubt,|given up,) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "$1 WHEN"),
    // Who did something by hand, and where.
    (r"(\bli|\bunknown user|未知用户)( on |（)[^:）\s]+", "$1${2}HOST"),
    // The last column of the table is as wide as its longest duration.
    ("(?m)^(  step .*?) +time$", "$1  time"),
    (r"(?m)^([✓✗?·–] .*?) +(\d+ms|\d+\.\ds|\d+m \d\ds)$", "$1  TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+08:00, [\dhms. ]+, (loopback|sandbox)", "START, TIME, $1"),
    (r"\brun \d{8}-\d{6}-[0-9a-f]{6}\b", "run ID"),
    (r"process \d+ on \S+ since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "process PID on HOST since START"),
    (r"[^\s：]+ 上的进程 \d+，始于 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "HOST 上的进程 PID，始于 START"),
    (r"127\.0\.0\.1:\d{4,5}\b", "127.0.0.1:PORT"),
    (r"[^\s：，、（]*[/\\]\.tmp\w{6}[/\\]", "FOLDER/"),
    (r"(次调用 |、)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "$1 WHEN"),
    ("(?m)^(  步骤 .*?) +用时$", "$1  用时"),
    (r"(?m)^([✓✗?·–] .*?) +(\d+ 毫秒|\d+\.\d 秒|\d+ 分 \d\d 秒)$", "$1  TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+08:00，[^，]+，(本机|沙箱)", "START，TIME，$1"),
    (r"运行 \d{8}-\d{6}-[0-9a-f]{6}\b", "运行 ID"),
    // When a message was sent under another name.
    (r"(\bat|曾[^于\n]*于) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "$1 WHEN"),
];

impl Ran {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    /// The exit code, or all that was said.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// The exit code and all of both streams, but for what `VARIES`: the snapshot `run-NAME`.
    #[track_caller]
    pub(crate) fn prints(self, name: &str) -> Self {
        let said = format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr);
        insta::with_settings!({ filters => VARIES, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("run-{name}{}", if SPOKEN.get() == "en" { "" } else { "@zh" }), said);
        });
        self
    }

    /// That text is said somewhere, whatever else is. For `run`, rather `prints`.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        if SPOKEN.get() != "en" {
            let is_document = self.stdout.starts_with(['{', '<']);
            hear(&format!("{}{}", self.stderr, if is_document { "" } else { &self.stdout }));
            return self;
        }
        let said = format!("{}\n{}", self.stdout, self.stderr);
        // Lines are wrapped on a terminal's width.
        let unwrapped = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(unwrapped.contains(text), "`{text}` was not said:\n{said}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr));
        if SPOKEN.get() != "en" {
            hear_in(&document);
        }
        document
    }
}

thread_local! {
    /// What cases of this thread speak, where they do not say it themselves.
    static SPOKEN: Cell<&'static str> = const { Cell::new("en") };
    /// Every line that was said in Chinese where a test looks for English words, once.
    static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Does a whole test in each language: exit codes and snapshots are of both, what is looked for in words is of English
/// alone. Of what is said there in Chinese every line is in the snapshot `said-TEST@zh`, once.
pub(crate) fn in_each_language<T: Fn()>(test: T) {
    for language in ["zh", "en"] {
        SPOKEN.set(language);
        test();
    }
    let heard = HEARD.take().join("\n");
    if !heard.is_empty() {
        let test = std::any::type_name::<T>().trim_start_matches("main::").trim_end_matches("::{{closure}}");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("said-{}@zh", test.replace("::", "-")), heard);
        });
    }
}

/// Takes the lines down that this test has not said in Chinese yet.
pub(crate) fn hear(said: &str) {
    if SPOKEN.get() == "en" {
        return;
    }
    let mut said = said.to_owned();
    for (varying, constant) in VARIES {
        said = regex_lite::Regex::new(varying).expect("an expression").replace_all(&said, constant).into_owned();
    }
    // Here no time and no distance from one matters.
    for (varying, constant) in [
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z| \+08:00)?", "WHEN"),
        (r"\d{1,3}(,\d{3}){2,} 秒", "N 秒"),
        (r"\d{8}-\d{6}-[0-9a-f]{6}", "ID"),
        (r"sslrootcert=[^&' ]*/", "sslrootcert=FOLDER/"),
        (r"SQLite 报告：.*", "SQLite 报告：..."),
        (r"\d+(,\d{3})*", "N"),
    ] {
        said = regex_lite::Regex::new(varying).expect("an expression").replace_all(&said, constant).into_owned();
    }
    // Words of ours alone: not the plan, nor what the system says; with the rest of a sentence in the next line.
    let mut ours = false;
    let words = |line: &&str| {
        ours = line.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c))
            || (ours && line.starts_with(&" ".repeat(10)));
        ours
    };
    HEARD.with_borrow_mut(|heard| {
        for line in said.lines().map(str::trim_end).filter(words) {
            if !heard.iter().any(|known| known == line) {
                heard.push(line.to_owned());
            }
        }
    });
}

/// Takes down what a document of the program says: its messages and helps.
pub(crate) fn hear_in(value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(hear_in),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("message" | "help" | "note", Value::String(words)) => hear(words),
                    ("help", Value::Array(words)) => words.iter().filter_map(Value::as_str).for_each(hear),
                    _ => hear_in(value),
                }
            }
        }
        _ => {}
    }
}

/// That words stand in a text that the program wrote; in Chinese its lines are taken down instead.
#[track_caller]
pub(crate) fn told(text: &str, words: &str) {
    hear(text);
    assert!(SPOKEN.get() != "en" || text.contains(words), "`{words}` was not said:\n{text}");
}

/// What cases of this thread speak: `en` or `zh`.
pub(crate) fn spoken() -> &'static str {
    SPOKEN.get()
}

/// Does it in each language, for a snapshot of each: with the language, and what follows the snapshot's name.
pub(crate) fn in_both(mut check: impl FnMut(&str, &str)) {
    check("en", "");
    check("zh", "@zh");
}

impl Case {
    pub(crate) fn new() -> Self {
        let spoken = Some(("QUNFA_LANG", SPOKEN.get())).filter(|(_, language)| *language != "en");
        let env = [("NO_COLOR", "1"), ("WECHAT_SECRET", SECRET)].into_iter().chain(spoken);
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { folder: tempfile::tempdir().expect("a folder"), env }
    }

    pub(crate) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(path, text);
        self
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("makes a folder");
        fs::write(path, text).expect("writes a file");
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// In a language: `en`, `zh`. Without it the environment names none, and the program speaks English.
    pub(crate) fn speaks(self, language: &str) -> Self {
        self.env("QUNFA_LANG", language)
    }

    pub(crate) fn no_env(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qunfa"));
        command.args(args).current_dir(self.folder.path()).env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().expect("the program starts"))
    }

    /// Runs plan.yaml against a server.
    pub(crate) fn against(&self, server: &Fake, more: &[&str]) -> Ran {
        let mut args = vec!["run", "plan.yaml", "--yes", "--api-base", &server.base];
        args.extend(more);
        self.run(&args)
    }

    pub(crate) fn with_stdin(&self, args: &[&str], text: &str) -> Ran {
        let mut child = self.spawn_with(args, Stdio::piped());
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("takes it");
        Ran::new(child.wait_with_output().expect("ends"))
    }

    fn spawn_with(&self, args: &[&str], stdin: Stdio) -> Child {
        let mut command = self.command(args);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.spawn_with(args, Stdio::null())
    }

    pub(crate) fn finish(child: Child) -> Ran {
        Ran::new(child.wait_with_output().expect("ends"))
    }

    /// Every byte that the program left behind, but for the one file that may hold the token.
    pub(crate) fn left_behind(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("readable").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.to_string_lossy().ends_with(".tokens") {
                    found.push((path.clone(), fs::read(&path).expect("readable")));
                }
            }
        }
        found
    }
}

/// How the fake answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A JSON body, HTTP 200.
    Json(Value),
    /// A JSON body with a `Date`.
    Dated(String, Value),
    /// Any status, content type and body.
    Raw(u16, &'static str, String),
    /// Any status, more lines of the header, and any bytes.
    Bytes(u16, String, Vec<u8>),
    /// The connection is closed before a byte of the answer.
    Close,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// Nothing is ever answered; the connection stays open.
    Stall,
    /// What WeChat would answer.
    Usual,
    /// WeChat does it, and then this happens.
    DoneThen(Box<Answer>),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    /// All of them, with their names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    pub(crate) connection: usize,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

type Script = dyn FnMut(usize, &Got) -> Answer + Send;

#[derive(Default)]
struct Inner {
    got: Vec<Got>,
    jobs: HashMap<String, u64>,
    delivered: HashMap<String, u32>,
    tokens: u32,
    connections: usize,
    uploads: usize,
    /// Articles of each draft.
    drafts: HashMap<String, Vec<Value>>,
}

/// A WeChat on loopback.
pub(crate) struct Fake {
    pub(crate) base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Fake {
    /// A server whose calls (tokens are given as usual) are answered by `script`: number of the call, from 0, and the call.
    pub(crate) fn new(script: impl FnMut(usize, &Got) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let inner = Arc::new(Mutex::new(Inner::default()));
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (inner, script) = (Arc::clone(&shared), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &inner, &script));
            }
        });
        Self { base, inner }
    }

    pub(crate) fn usual() -> Self {
        Self::new(|_, _| Answer::Usual)
    }

    /// A server that answers the first calls to a path as listed, and then as usual.
    pub(crate) fn scripted(path: &'static str, answers: Vec<Answer>) -> Self {
        let mut answers = answers.into_iter();
        Self::new(
            move |_, got| {
                if got.path.ends_with(path) { answers.next().unwrap_or(Answer::Usual) } else { Answer::Usual }
            },
        )
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.lock().expect("no panic while locked").got.clone()
    }

    /// Calls to a path.
    pub(crate) fn calls(&self, path: &str) -> Vec<Got> {
        self.got().into_iter().filter(|got| got.path.ends_with(path)).collect()
    }

    /// Mass calls, whatever became of them.
    pub(crate) fn sends(&self) -> Vec<Got> {
        self.got()
            .into_iter()
            .filter(|got| got.path.ends_with("/mass/send") || got.path.ends_with("/mass/sendall"))
            .collect()
    }

    /// How often each idempotency key was delivered.
    pub(crate) fn delivered(&self) -> HashMap<String, u32> {
        self.inner.lock().expect("no panic while locked").delivered.clone()
    }

    #[track_caller]
    pub(crate) fn delivered_once(&self, keys: usize) {
        let delivered = self.delivered();
        assert_eq!(delivered.len(), keys, "{delivered:?}");
        assert!(delivered.values().all(|times| *times == 1), "{delivered:?}");
    }

    /// Somebody makes a draft, or changes one.
    pub(crate) fn make_draft(&self, id: &str, articles: Value) {
        let articles = articles.as_array().expect("articles").clone();
        self.inner.lock().expect("no panic while locked").drafts.insert(id.to_owned(), articles);
    }

    /// Somebody deletes all drafts.
    pub(crate) fn lose_drafts(&self) {
        self.inner.lock().expect("no panic while locked").drafts.clear();
    }

    /// The drafts that are there.
    pub(crate) fn drafts(&self) -> HashMap<String, Vec<Value>> {
        self.inner.lock().expect("no panic while locked").drafts.clone()
    }

    pub(crate) fn tokens(&self) -> u32 {
        self.inner.lock().expect("no panic while locked").tokens
    }

    /// Waits until so many calls have come.
    pub(crate) fn wait_for(&self, calls: usize) {
        while self.got().len() < calls {
            std::thread::yield_now();
        }
    }
}

fn serve(stream: TcpStream, inner: &Mutex<Inner>, script: &Mutex<Box<Script>>) {
    stream.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let connection = {
        let mut inner = inner.lock().expect("no panic while locked");
        inner.connections += 1;
        inner.connections
    };
    while let Some(got) = read_request(&mut reader, connection) {
        let token = got.path.ends_with("token");
        let number = {
            let mut inner = inner.lock().expect("no panic while locked");
            inner.tokens += u32::from(token);
            inner.got.push(got.clone());
            inner.got.len() - 1
        };
        let answer = (script.lock().expect("no panic while locked"))(number, &got);
        if !write_answer(&stream, answer, &got, inner) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>, connection: usize) -> Option<Got> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').map_or((target.as_str(), ""), |parts| parts);
    let (mut length, mut content_type, mut headers) = (0, String::new(), HashMap::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "content-type" => content_type = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = match String::from_utf8(body) {
        Ok(body) => body,
        Err(error) if content_type.starts_with("multipart/") => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        Err(error) => panic!("bodies are UTF-8: {error}"),
    };
    Some(Got { method, path: path.to_owned(), query: query.to_owned(), content_type, headers, body, connection })
}

/// False if the connection ends.
fn write_answer(stream: &TcpStream, answer: Answer, got: &Got, inner: &Mutex<Inner>) -> bool {
    let mut out = stream;
    let date = match &answer {
        Answer::Dated(date, _) => format!("Date: {date}\r\n"),
        _ => String::new(),
    };
    let mut write = |status: u16, kind: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{date}Content-Length: {length}\r\n\r\n");
        out.write_all(format!("{head}{body}").as_bytes()).is_ok()
    };
    match answer {
        Answer::Json(value) | Answer::Dated(_, value) => {
            write(200, "application/json; encoding=utf-8", &value.to_string())
        }
        Answer::Raw(status, kind, body) => write(status, kind, &body),
        Answer::Bytes(status, lines, body) => {
            let head = format!("HTTP/1.1 {status} X\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
            out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body)).is_ok()
        }
        Answer::Usual => {
            let value = usual(got, &mut inner.lock().expect("no panic while locked"));
            write(200, "application/json; encoding=utf-8", &value.to_string())
        }
        Answer::DoneThen(then) => {
            usual(got, &mut inner.lock().expect("no panic while locked"));
            write_answer(stream, *then, got, inner)
        }
        Answer::Close => false,
        Answer::Cut => {
            let _ = out.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"errcode\":0,",
            );
            false
        }
        Answer::Stall => {
            // Until the other side gives up.
            let mut rest = [0; 64];
            while matches!(out.read(&mut rest), Ok(read) if read > 0) {}
            false
        }
    }
}

/// What WeChat answers: a send is remembered by its key.
fn usual(got: &Got, inner: &mut Inner) -> Value {
    if got.path.ends_with("token") {
        return json!({ "access_token": TOKEN, "expires_in": 7200 });
    }
    if got.path.ends_with("/tags/get") {
        return json!({ "tags": [{ "id": 2, "name": "星标组", "count": 45 }, { "id": 134, "name": "VIP", "count": 1200 }] });
    }
    if got.path.ends_with("/mass/get") {
        return json!({ "msg_id": 1, "msg_status": "SEND_SUCCESS" });
    }
    if let Some(answer) = media(got, inner) {
        return answer;
    }
    let Some(key) = got.json()["clientmsgid"].as_str().map(str::to_owned) else {
        return json!({ "errcode": 0, "errmsg": "ok" });
    };
    if let Some(id) = inner.jobs.get(&key) {
        return json!({ "errcode": 45065, "errmsg": "clientmsgid exist", "msg_id": id });
    }
    let id = 3_147_483_648 + inner.jobs.len() as u64;
    inner.jobs.insert(key.clone(), id);
    *inner.delivered.entry(key).or_default() += 1;
    json!({ "errcode": 0, "errmsg": "send job submission success", "msg_id": id, "msg_data_id": 206_227_730_u64 + id })
}

/// Uploads and drafts; a draft is kept as it comes.
fn media(got: &Got, inner: &mut Inner) -> Option<Value> {
    let body = got.json();
    let id = body["media_id"].as_str().unwrap_or_default().to_owned();
    let unknown = json!({ "errcode": 40007, "errmsg": "invalid media_id" });
    Some(match got.path.strip_prefix("/cgi-bin/")? {
        "media/uploadimg" => {
            inner.uploads += 1;
            json!({ "errcode": 0, "errmsg": "ok", "url": format!("http://mmbiz.qpic.cn/mmbiz_png/{}/0", inner.uploads) })
        }
        "material/add_material" => {
            inner.uploads += 1;
            json!({ "media_id": format!("material-{}", inner.uploads), "url": format!("http://mmbiz.qpic.cn/{}", inner.uploads) })
        }
        "draft/add" => {
            let id = format!("draft-{}", inner.drafts.len() + 1);
            inner.drafts.insert(id.clone(), body["articles"].as_array()?.clone());
            json!({ "media_id": id })
        }
        "draft/get" => inner.drafts.get(&id).map_or(unknown, |articles| json!({ "news_item": articles })),
        "draft/batchget" => {
            let (offset, count) = (body["offset"].as_u64()? as usize, body["count"].as_u64()? as usize);
            let mut ids: Vec<&String> = inner.drafts.keys().collect();
            ids.sort();
            let titles = |articles: &[Value]| -> Vec<Value> {
                articles.iter().map(|article| json!({ "title": article["title"] })).collect()
            };
            let page = ids.iter().skip(offset).take(count);
            let page: Vec<Value> = page
                .map(|id| json!({ "media_id": id, "content": { "news_item": titles(&inner.drafts[*id]) }, "update_time": 1 }))
                .collect();
            json!({ "total_count": ids.len(), "item_count": page.len(), "item": page })
        }
        "draft/update" => match (inner.drafts.get_mut(&id), body["index"].as_u64()) {
            (Some(articles), Some(index)) => {
                articles[index as usize] = body["articles"].clone();
                json!({ "errcode": 0, "errmsg": "ok" })
            }
            _ => unknown,
        },
        _ => return None,
    })
}

/// Repetitions without pauses.
pub(crate) const QUICK: &str =
    "defaults: { timeout: 1500ms, retry: { attempts: 3, backoff: 1ms, max_backoff: 2ms, resend_after: 1ms } }\n";

/// A plan with these steps.
pub(crate) fn plan(steps: &str) -> String {
    format!(
        "version: 1\nname: test\naccount: {{ kind: service, appid: wx0123456789abcdef, secret: {{ env: WECHAT_SECRET }} }}\n{QUICK}steps:\n{steps}"
    )
}

/// A send to a tag.
pub(crate) fn send(id: &str) -> String {
    format!("  - {{ id: {id}, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: 你好 }} }}\n")
}

/// A JSON answer with a code.
pub(crate) fn code(code: i64) -> Answer {
    Answer::Json(json!({ "errcode": code, "errmsg": "as told rid: 65f3a1b2-0a1b2c3d-4e5f6a7b" }))
}

/// The folder of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
