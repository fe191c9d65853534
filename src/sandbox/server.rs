//! The HTTP server around the state machine: one thread, one lock, no rule of the API.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::exchange::{Reply, Request, parse_query, record};
use super::fault::{Faults, Kind, Planned};
use super::push::Push;
use super::routes::takes_form;
use super::state::State;
use super::{Call, Clock, Config, Delivery, OnCall};

/// No request of the API but uploads is larger, and a sandbox should not be a way to fill a machine's memory.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// No medium is larger than 10 MiB. Some more, so that one that is gets its error code.
const MAX_UPLOAD: usize = 16 * 1024 * 1024;

/// How often it is looked for events that are due.
const PUSH_LOOK: Duration = Duration::from_millis(20);

/// A running sandbox server; dropping it stops the server.
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Sent or dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Pushes events; dropped, the sender ends it.
    pusher: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

struct Shared {
    account: Mutex<Account>,
    connections: AtomicU64,
    now: Clock,
    on_call: Option<OnCall>,
}

struct Account {
    state: State,
    faults: Faults,
    calls: Vec<Call>,
}

/// What becomes of a request.
enum Answer {
    Whole(Reply),
    /// The answer breaks off in the middle.
    Half(Reply),
    /// The connection is closed.
    Closed,
    /// There is no answer ever.
    Never,
}

impl Sandbox {
    /// Starts a server on an address; port 0 takes a free one. It is ready for connections when this returns.
    pub fn start(listen: SocketAddr, config: Config) -> io::Result<Sandbox> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener)?
        };
        // Nothing but the tokens depends on it: they have to be foreign to every other sandbox.
        let seed = RandomState::new().build_hasher().finish();
        let shared = Arc::new(Shared {
            account: Mutex::new(Account {
                state: State::new(&config, seed),
                faults: Faults::new(&config.faults, config.fault_seed),
                calls: Vec::new(),
            }),
            connections: AtomicU64::new(0),
            now: config.now,
            on_call: config.on_call,
        });
        let (stop, stopped) = oneshot::channel();
        let accepting = accept(listener, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("qunfa-sandbox".to_owned()).spawn(move || {
            runtime.spawn(accepting);
            // Both a message and a dropped sender mean the end; the runtime takes the connections with it.
            let _ended = runtime.block_on(stopped);
        })?;
        let pusher = config.push.map(|push| push_events(push, Arc::clone(&shared))).transpose()?;
        Ok(Sandbox { address, shared, stop: Some(stop), thread: Some(thread), pusher })
    }

    /// Where the server is, without a slash at the end: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("http://{address}")
    }

    /// What readers saw so far, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.account().state.deliveries.clone()
    }

    /// Every request answered so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.account().calls.clone()
    }

    /// How many TCP connections were accepted so far.
    #[cfg(test)]
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Serves until the process ends.
    pub fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            // It can only end by a panic, which has been reported on its thread.
            let _ended = thread.join();
        }
    }
}

/// Pushes events when they are due, until the sender is dropped.
fn push_events(push: Push, shared: Arc<Shared>) -> io::Result<(mpsc::Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = mpsc::channel();
    let thread = std::thread::Builder::new().name("qunfa-sandbox-push".to_owned()).spawn(move || {
        while stopped.recv_timeout(PUSH_LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
            let due = shared.account().state.outbox.due((shared.now)());
            due.iter().for_each(|letter| push.deliver(letter, &*shared.now));
        }
    })?;
    Ok((stop, thread))
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.pusher.take() {
            drop(stop);
            let _ended = thread.join();
        }
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        // A panic in a handler is a bug that shows elsewhere; what was recorded is still worth reading.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers and records a request. The body of one that is too large was not read.
    fn answer(&self, request: &Request, too_large: bool) -> Answer {
        let (answer, call) = {
            let mut account = self.account();
            // Under the lock, so that the times of the calls follow their order.
            let now = (self.now)();
            let fault = account.faults.next(&request.path);
            let reply = match &fault {
                Some(fault) if !fault.done => faulty(fault.kind),
                _ if too_large => Reply::http(413, "request entity too large\n"),
                _ => {
                    account.state.loss = fault.as_ref().and_then(Planned::loss);
                    account.state.components.rotate = fault.as_ref().is_some_and(|fault| fault.kind == Kind::Rotate);
                    account.state.handle(now, request)
                }
            };
            let recorded = record(now, request, &reply, takes_form(&request.path));
            let call = Call { fault: fault.as_ref().map(|fault| fault.name.clone()), ..recorded };
            account.calls.push(call.clone());
            let answer = match fault.map(|fault| fault.kind) {
                None | Some(Kind::Lossy(_) | Kind::Rotate) => Answer::Whole(reply),
                Some(Kind::Drop) => Answer::Closed,
                Some(Kind::Stall) => Answer::Never,
                Some(Kind::Cut) => Answer::Half(reply),
                Some(kind @ (Kind::Html | Kind::Empty | Kind::Code(_))) => Answer::Whole(faulty(kind)),
            };
            (answer, call)
        };
        if let Some(on_call) = &self.on_call {
            on_call(&call);
        }
        answer
    }
}

/// The answer that a fault puts in the place of the proper one.
fn faulty(kind: Kind) -> Reply {
    match kind {
        Kind::Code(code) => {
            let body = format!(r#"{{"errcode":{code},"errmsg":"as --fault asks rid: 69200000-00000000-00000000"}}"#);
            Reply { status: 200, content_type: "text/plain", body, file: None, errcode: code }
        }
        Kind::Empty => Reply::http(200, ""),
        Kind::Drop | Kind::Stall | Kind::Cut | Kind::Html | Kind::Lossy(_) | Kind::Rotate => Reply {
            content_type: "text/html",
            ..Reply::http(502, "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>\n")
        },
    }
}

/// The body of an answer; `left` is less than `length` where it breaks off.
struct Written {
    length: u64,
    left: Option<Bytes>,
    breaks: bool,
}

impl Body for Written {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(match self.left.take() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.breaks => Some(Err(io::Error::other("as --fault asks"))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.left.is_some() { self.length } else { 0 })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
            // Out of file descriptors, or a peer that gave up: neither is a reason to stop, nor to spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without it a reply may wait for the peer's delayed acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    });
    let connection = http1::Builder::new()
        // A kept connection may idle for as long as the client likes.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    // A broken connection is the client's affair.
    let _ended = connection.await;
}

/// Fails if the request does not arrive whole: it is then neither answered nor recorded.
async fn answer(shared: &Shared, request: hyper::Request<Incoming>) -> Result<Response<Written>, io::Error> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE);
    let mut request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: parse_query(head.uri.query().unwrap_or_default()),
        content_type: content_type.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        body: Vec::new(),
    };
    // An announced length is refused before anything of it is read.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let most = if takes_form(&request.path) { MAX_UPLOAD } else { MAX_BODY };
    let mut too_large = announced > most;
    if !too_large {
        match Limited::new(body, most).collect().await {
            Ok(collected) => request.body = collected.to_bytes().to_vec(),
            Err(error) if error.is::<LengthLimitError>() => too_large = true,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    let (reply, breaks) = match shared.answer(&request, too_large) {
        Answer::Whole(reply) => (reply, false),
        Answer::Half(reply) => (reply, true),
        Answer::Closed => return Err(io::Error::other("as --fault asks")),
        Answer::Never => std::future::pending().await,
    };
    let mut body = reply.file.unwrap_or_else(|| Bytes::from(reply.body));
    let length = body.len() as u64;
    if breaks {
        body.truncate(body.len() / 2);
    }
    let mut response = Response::new(Written { length, left: Some(body), breaks });
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;

    use serde_json::{Value, json};

    use super::super::testkit::{APPID, SENDALL, bytes_of, form, to_all};
    use super::*;

    fn start(config: Config) -> Sandbox {
        Sandbox::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), config).expect("a free port")
    }

    fn connect(sandbox: &Sandbox) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(sandbox.address).expect("a connection"))
    }

    /// Status line, headers and body of one reply on a kept connection.
    fn exchange(connection: &mut BufReader<TcpStream>, request: &str) -> (String, String, String) {
        connection.get_mut().write_all(request.as_bytes()).expect("written");
        let (mut status, mut headers) = (String::new(), String::new());
        connection.read_line(&mut status).expect("a status line");
        let mut length = 0;
        loop {
            let mut line = String::new();
            connection.read_line(&mut line).expect("a header");
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            headers.push_str(&line);
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).expect("a body");
        (status, headers, String::from_utf8(body).expect("UTF-8"))
    }

    fn post(target: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    #[test]
    fn a_send_over_a_kept_connection() {
        let seen = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&seen);
        let on_call: OnCall = Arc::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let sandbox = start(Config { on_call: Some(on_call), ..Config::default() });
        assert_eq!(sandbox.base_url(), format!("http://127.0.0.1:{}", sandbox.address.port()));
        let mut connection = connect(&sandbox);

        let login = json!({"grant_type": "client_credential", "appid": APPID, "secret": "SECRET"}).to_string();
        let (status, headers, body) = exchange(&mut connection, &post("/cgi-bin/stable_token", &login));
        assert_eq!(status, "HTTP/1.1 200 OK\r\n");
        assert!(headers.contains("application/json; encoding=utf-8"));
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let token = body["access_token"].as_str().expect("a token");
        let target = format!("{SENDALL}?access_token={token}");
        let (_, _, body) = exchange(&mut connection, &post(&target, &to_all().to_string()));
        assert!(body.contains("send job submission success"), "{body}");
        let (status, headers, body) = exchange(&mut connection, &post(&target, "{"));
        assert_eq!(status, "HTTP/1.1 200 OK\r\n");
        assert!(headers.contains("text/plain") && body.contains("47001"));
        let (status, ..) = exchange(&mut connection, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(status, "HTTP/1.1 404 Not Found\r\n");

        assert_eq!((sandbox.connections(), seen.load(Ordering::Relaxed)), (1, 4));
        assert_eq!(sandbox.deliveries().len(), 1);
        let calls = sandbox.calls();
        let codes: Vec<i64> = calls.iter().map(|call| call.errcode).collect();
        assert_eq!(codes, [0, 0, 47001, 404]);
        assert_eq!((calls[1].path.as_str(), calls[1].method.as_str()), (SENDALL, "POST"));
        assert_eq!(calls[1].body, to_all().to_string().into_bytes());
        assert_eq!(calls[1].content_type.as_deref(), Some("application/json"));
        assert!(!format!("{calls:?}").contains("SECRET") && !format!("{calls:?}").contains(token));
    }

    #[test]
    fn large_bodies_are_refused() {
        let sandbox = start(Config::default());
        let head = format!("POST {SENDALL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
        let (status, ..) = exchange(&mut connect(&sandbox), &head);
        assert_eq!(status, "HTTP/1.1 413 Payload Too Large\r\n");
        assert_eq!(sandbox.calls()[0].errcode, 413);
    }

    /// An upload, as it goes over the wire; none if the connection ends without an answer.
    fn upload(sandbox: &Sandbox, target: &str, file: &[u8]) -> Option<String> {
        let body = form(file, None);
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut connection = connect(sandbox).into_inner();
        connection.write_all(head.as_bytes()).expect("written");
        connection.write_all(&body).expect("written");
        let mut reply = Vec::new();
        // A reset is no answer either.
        let _ended = connection.read_to_end(&mut reply);
        Some(String::from_utf8_lossy(&reply).into_owned()).filter(|reply| !reply.is_empty())
    }

    fn token(sandbox: &Sandbox) -> String {
        let login = json!({"grant_type": "client_credential", "appid": APPID, "secret": "SECRET"}).to_string();
        let (_, _, body) = exchange(&mut connect(sandbox), &post("/cgi-bin/stable_token", &login));
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["access_token"].as_str().expect("a token").to_owned()
    }

    #[test]
    fn faults_hit_uploads() {
        let faults = ["drop", "lost", "cut", "html", "empty", "-1", "45009:done"];
        let list = faults.iter().zip(1..).map(|(kind, number)| format!("{kind}@media/uploadimg#{number}"));
        let faults = list.map(|text| text.parse().expect("a fault")).collect();
        let sandbox = start(Config { faults, ..Config::default() });
        let target = format!("/cgi-bin/media/uploadimg?access_token={}", token(&sandbox));
        let png = bytes_of("png", 100_000);
        let mut answers = (0..8).map(|_| upload(&sandbox, &target, &png));
        let mut next = || answers.next().expect("eight");
        assert_eq!((next(), next()), (None, None));
        // How much of a short answer gets out before it breaks off is the transport's affair.
        assert!(next().is_none_or(|half| !half.contains("errmsg")));
        assert!(next().is_some_and(|reply| reply.starts_with("HTTP/1.1 502 ")));
        assert!(next().is_some_and(|reply| reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("\r\n\r\n")));
        assert!(next().is_some_and(|reply| reply.contains("\"errcode\":-1")));
        assert!(next().is_some_and(|reply| reply.contains("\"errcode\":45009")));
        assert!(next().is_some_and(|reply| reply.contains("text/plain") && reply.contains("mmbiz.qpic.cn")));
        let calls = sandbox.calls();
        let hit: Vec<_> = calls.iter().skip(1).map(|call| call.fault.as_deref().unwrap_or("none")).collect();
        assert_eq!(hit, ["drop", "drop:done", "cut", "html", "empty", "-1", "45009:done", "none"]);
        let body = String::from_utf8_lossy(&calls[1].body);
        assert!(
            body.starts_with(
                r#"{"media":{"filename":"file","content_type":"application/octet-stream","bytes":100000,"#
            ),
            "{body}"
        );
    }

    #[test]
    fn a_lossy_draft_is_answered_as_if_nothing_were() {
        let media = vec![("image".to_owned(), "I".to_owned())];
        let faults = vec!["lossy:style@draft/add#2".parse().expect("a fault")];
        let sandbox = start(Config { media, faults, ..Config::default() });
        let token = token(&sandbox);
        let call = |path: &str, body: &Value| {
            let request = post(&format!("/cgi-bin/draft/{path}?access_token={token}"), &body.to_string());
            serde_json::from_str::<Value>(&exchange(&mut connect(&sandbox), &request).2).expect("JSON")
        };
        let html = "<p style=\"color:red\">茶</p>";
        let article = json!({"title": "茶", "content": html, "thumb_media_id": "I"});
        for left in [html, "<p>茶</p>"] {
            let added = call("add", &json!({"articles": [article]}));
            let draft = call("get", &json!({"media_id": added["media_id"]}));
            assert_eq!(draft["news_item"][0]["content"], left);
        }
        assert_eq!(sandbox.calls()[3].fault.as_deref(), Some("lossy:style"));
    }

    #[test]
    fn uploads_may_be_larger() {
        let sandbox = start(Config::default());
        let target = format!("/cgi-bin/material/add_material?type=image&access_token={}", token(&sandbox));
        let reply = upload(&sandbox, &target, &bytes_of("png", 10 * 1024 * 1024 + 1)).expect("an answer");
        assert!(reply.contains("40009"), "{reply}");
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", MAX_UPLOAD + 1);
        let (status, ..) = exchange(&mut connect(&sandbox), &head);
        assert_eq!(status, "HTTP/1.1 413 Payload Too Large\r\n");
    }

    #[test]
    fn half_a_request_is_not_recorded() {
        let sandbox = start(Config::default());
        let mut connection = connect(&sandbox).into_inner();
        let request = post(SENDALL, "{}").replace("Content-Length: 2", "Content-Length: 3");
        connection.write_all(request.as_bytes()).expect("written");
        connection.shutdown(std::net::Shutdown::Write).expect("closed");
        let mut rest = Vec::new();
        // Reset or closed: either way the server is through with it.
        let _ended = connection.read_to_end(&mut rest);
        assert!(sandbox.calls().is_empty());
    }

    #[test]
    fn dropping_stops_the_server() {
        let sandbox = start(Config::default());
        let address = sandbox.address;
        let mut idle = connect(&sandbox);
        drop(sandbox);
        assert!(TcpStream::connect(address).is_err());
        let mut rest = Vec::new();
        assert_eq!(idle.read_to_end(&mut rest).unwrap_or_default(), 0);
    }
}
