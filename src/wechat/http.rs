//! The HTTP client (ureq) behind [`Transport`]: one kept connection, no redirects, no repetition.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use jiff::Timestamp;
use ureq::{
    Agent,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{self as wire, ConnectionDetails, Connector, DefaultConnector, NextTimeout},
    },
};

use super::transport::{Answer, Body, Failure, Method, Request, Transport};
use crate::{
    content::media::Upload,
    limits,
    locale::{Phrase, say},
    redact::Secret,
};

/// The address of the API: `https`, or `http` to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiBase {
    url: String,
    /// Whether the host is this machine.
    pub(crate) loopback: bool,
}

pub(crate) const WECHAT: &str = "https://api.weixin.qq.com";

impl ApiBase {
    /// Checks an address; a plain-text one is taken only for this machine, because the token is in every URL.
    pub(crate) fn parse(text: &str) -> Result<Self, Phrase> {
        let url = text.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|_| say!("`{text}` is not a URL", text))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) || uri.query().is_some() {
            return Err(say!("the API address cannot contain a user name or query"));
        }
        match uri.scheme_str() {
            Some("https") if !host.is_empty() => {}
            Some("http") if loopback => {}
            Some("http") => {
                return Err(say!("`{url}` is not encrypted; http is allowed only for this machine", url));
            }
            _ => return Err(say!("`{text}` is not an https:// address", text)),
        }
        Ok(Self { url: url.to_owned(), loopback })
    }

    /// The address of a webhook in two: the server, and what is asked of it, which may hold a key. None if it is no `https`
    /// address, nor one of this machine; nothing of it is said.
    pub(crate) fn of_webhook(url: &Secret) -> Option<(Self, Secret)> {
        let uri: Uri = url.expose().parse().ok()?;
        let base = Self::parse(&format!("{}://{}", uri.scheme_str()?, uri.authority()?)).ok()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Some((base, Secret::new(path.to_owned())))
    }

    /// As given, without a slash at its end.
    pub(crate) fn as_str(&self) -> &str {
        &self.url
    }
}

/// A proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// `HOST:PORT (VARIABLE)`, or `HOST:PORT (account)`: without its password.
    pub(crate) name: String,
    /// How to reach it; the one that the environment names is found by the client itself.
    own: Option<ureq::Proxy>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Proxy {
    /// The proxy that the environment names for an address: none for this machine, and none where `NO_PROXY` says so. What is
    /// set and cannot be used is an error, for without it calls would leave by another way than was meant.
    pub(crate) fn of_environment(base: &ApiBase, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Phrase> {
        // In the order in which ureq asks them.
        const NAMES: [&str; 6] = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
        let set = NAMES.iter().find_map(|name| Some((name, env(name).filter(|value| !value.is_empty())?)));
        let Some((name, value)) = set.filter(|_| !base.loopback) else { return Ok(None) };
        let Some(proxy) = usable(&value) else {
            return Err(say!(
                "the proxy in `{name}` is not valid; write http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT",
                name = *name
            ));
        };
        let uri: Uri = base.url.parse().map_err(|_| say!("the API address is not valid"))?;
        let skipped = ureq::Proxy::try_from_env().is_some_and(|proxy| proxy.is_no_proxy(&uri));
        let name = format!("{}:{} ({name})", proxy.host(), proxy.port());
        Ok((!skipped).then_some(Self { name, own: None }))
    }

    /// The one that an account names for its calls, whatever the environment says.
    pub(crate) fn of_account(url: &Secret) -> Result<Self, Phrase> {
        let scheme = ["http://", "https://", "socks5h://"].iter().any(|scheme| url.expose().starts_with(scheme));
        let proxy = usable(url.expose()).filter(|_| scheme).ok_or_else(|| {
            say!("the account's `proxy` is not valid; write http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT")
        })?;
        let name = format!("{}:{} ({})", proxy.host(), proxy.port(), say!("account"));
        Ok(Self { name, own: Some(proxy) })
    }
}

fn usable(url: &str) -> Option<ureq::Proxy> {
    ureq::Proxy::new(url).ok().filter(|proxy| !proxy.host().is_empty() && proxy.port() > 0)
}

/// The client of one run. Calls are made on a thread of their own, so that a person who asks twice to stop need not wait
/// for an answer that may never come.
#[derive(Debug)]
pub(crate) struct Http {
    requests: mpsc::Sender<Owned>,
    answers: mpsc::Receiver<Result<Answer, Failure>>,
    abandon: fn() -> bool,
    abandoned: bool,
}

/// A request that outlives its caller.
#[derive(Debug)]
struct Owned {
    method: Method,
    path: String,
    query: Vec<(String, Secret)>,
    headers: Vec<(String, Secret)>,
    body: OwnedBody,
    timeout: Duration,
}

#[derive(Debug)]
enum OwnedBody {
    Json(String),
    File(Arc<Upload>),
}

impl Http {
    /// A client for an address; `abandon` says when nobody waits any longer. For this machine no proxy is asked.
    pub(crate) fn new(base: ApiBase, proxy: Option<Proxy>, abandon: fn() -> bool) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .input_buffer_size(limits::CONNECTION_BUFFER)
            .output_buffer_size(limits::CONNECTION_BUFFER)
            .user_agent(concat!("qunfa/", env!("CARGO_PKG_VERSION")));
        let own = proxy.as_ref().and_then(|proxy| proxy.own.clone());
        let config = if base.loopback || own.is_some() { config.proxy(own) } else { config };
        let unconnected = Unconnected::default();
        let connector = WatchedConnector { inner: DefaultConnector::default(), unconnected: unconnected.clone() };
        let addresses = Addresses { inner: DefaultResolver::default(), unconnected: unconnected.clone() };
        let agent = Agent::with_parts(config.build(), connector, addresses);
        let (requests, incoming) = mpsc::channel::<Owned>();
        let (outgoing, answers) = mpsc::channel();
        // It ends with its channel, or with the process.
        std::thread::spawn(move || {
            for request in incoming {
                let answer = exchange(&agent, &base, &request, &unconnected);
                // What could not be reached is the proxy, or what it should have led to.
                let answer = answer.map_err(|failure| match (failure, &proxy) {
                    (Failure::NotSent(why), Some(Proxy { name, .. })) => {
                        Failure::NotSent(say!("{why}, through the proxy {proxy}", why, proxy = name.as_str()))
                    }
                    (failure, _) => failure,
                });
                if outgoing.send(answer).is_err() {
                    return;
                }
            }
        });
        Self { requests, answers, abandon, abandoned: false }
    }
}

impl Transport for Http {
    fn send(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        if self.abandoned {
            return Err(Failure::NotSent(say!("the run was stopped")));
        }
        let query = request.query.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone()));
        let headers = request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone()));
        let owned = Owned {
            headers: headers.collect(),
            method: request.method,
            path: request.path.to_owned(),
            query: query.collect(),
            body: match request.body {
                Body::Json(text) => OwnedBody::Json(text.to_owned()),
                Body::File(upload) => OwnedBody::File(Arc::clone(upload)),
            },
            timeout: request.timeout,
        };
        self.requests.send(owned).map_err(|_| Failure::NotSent(say!("the HTTP client ended")))?;
        loop {
            match self.answers.recv_timeout(limits::ABANDON_LOOK) {
                Ok(answer) => return answer,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(Failure::MaybeSent(say!("the HTTP client ended")));
                }
                Err(mpsc::RecvTimeoutError::Timeout) if (self.abandon)() => {
                    self.abandoned = true;
                    return Err(Failure::MaybeSent(say!("the run was stopped before the answer arrived")));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Whether the call failed before there was a connection: then, and only then, nothing of it can have left. No kind of
/// error proves that, for a connection that broke later may say "host unreachable" too.
#[derive(Debug, Clone, Default)]
struct Unconnected(Arc<AtomicBool>);

impl Unconnected {
    fn note<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        self.0.store(result.is_err(), Ordering::SeqCst);
        result
    }
}

/// Makes connections, encryption and all, and notes which could not be made.
#[derive(Debug)]
struct WatchedConnector {
    inner: DefaultConnector,
    unconnected: Unconnected,
}

impl Connector for WatchedConnector {
    type Out = Box<dyn wire::Transport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        self.unconnected.note(self.inner.connect(details, chained))
    }
}

/// An address that is written as one needs no lookup; ureq would start a thread for it before every call.
#[derive(Debug)]
struct Addresses {
    inner: DefaultResolver,
    unconnected: Unconnected,
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        match (literal, uri.port_u16()) {
            (Some(address), Some(port)) => {
                let mut found = self.empty();
                found.push(SocketAddr::new(address, port));
                Ok(found)
            }
            _ => self.unconnected.note(self.inner.resolve(uri, config, timeout)),
        }
    }
}

/// One request and its answer.
fn exchange(agent: &Agent, base: &ApiBase, request: &Owned, unconnected: &Unconnected) -> Result<Answer, Failure> {
    unconnected.0.store(false, Ordering::SeqCst);
    let url = format!("{}{}", base.url, request.path);
    let query = request.query.iter().map(|(name, value)| (name.as_str(), value.expose()));
    let timeout = Some(request.timeout);
    let sent = match request.method {
        Method::Get => agent.get(url).query_pairs(query).config().timeout_global(timeout).build().call(),
        Method::Post => {
            let post = agent.post(url).query_pairs(query).config().timeout_global(timeout).build();
            let headers = request.headers.iter();
            let post = headers.fold(post, |post, (name, value)| post.header(name, value.expose()));
            match &request.body {
                OwnedBody::Json(text) => post.content_type("application/json; charset=utf-8").send(text),
                OwnedBody::File(upload) => {
                    let (boundary, form) = upload.form();
                    let post = post.query_pairs(upload.target.kind().map(|kind| ("type", kind)));
                    post.content_type(format!("multipart/form-data; boundary={boundary}")).send(&form[..])
                }
            }
        }
    };
    let mut response = sent.map_err(|error| classify(&error, request.timeout, unconnected.0.load(Ordering::SeqCst)))?;
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    // An answer that a cache kept tells when it was made (`Age` is how long ago, as the cache believes), and not what time it is.
    let date = header("date").filter(|_| header("age").is_none()).and_then(http_date);
    let body = response.body_mut().with_config().limit(limits::REPLY_BYTES_MAX).read_to_vec();
    // The reply had begun: whatever goes wrong now, the request was there.
    let body = body.map_err(|error| classify(&error, request.timeout, false))?;
    Ok(Answer { status, body, date })
}

/// A time in one of the forms of HTTP (`Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`,
/// `Sun Nov  6 08:49:37 1994`; <https://www.rfc-editor.org/rfc/rfc9110#name-date-time-formats>), or of RFC 3339. All but those
/// that say otherwise are in UTC.
fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let old = |format: &str| {
        let time = jiff::civil::DateTime::strptime(format, text).ok()?;
        time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp())
    };
    let usual = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    usual
        .or_else(|| old("%A, %d-%b-%y %H:%M:%S GMT"))
        .or_else(|| old("%a %b %e %H:%M:%S %Y"))
        .or_else(|| text.parse().ok())
}

/// Only what provably comes before the first byte of the request counts as not sent. The words are ours: the error's
/// own may hold the URL, and with it the token.
fn classify(error: &ureq::Error, timeout: Duration, unconnected: bool) -> Failure {
    use ureq::{Error, Timeout};
    let surely = unconnected
        || matches!(
            error,
            Error::BadUri(_) | Error::RequireHttpsOnly(_) | Error::InvalidProxyUrl | Error::HostNotFound
        );
    let words = match error {
        Error::HostNotFound => say!("cannot resolve the host name"),
        Error::Timeout(Timeout::Resolve) => say!("resolving the host name timed out"),
        Error::Timeout(_) if unconnected => say!("the connection timed out"),
        Error::Timeout(_) => say!("no answer within {seconds} s", seconds = timeout.as_secs_f64().to_string()),
        Error::ConnectionFailed => say!("cannot connect"),
        Error::ConnectProxyFailed(_) => say!("the proxy refused the connection"),
        Error::InvalidProxyUrl => say!("the proxy's address is not valid"),
        Error::Tls(_) | Error::TlsRequired | Error::Pem(_) => say!("cannot establish an encrypted connection"),
        Error::Rustls(error) if error.to_string().contains("certificate") => untrusted(),
        Error::Rustls(_) if unconnected => say!("cannot establish an encrypted connection"),
        Error::Rustls(_) => say!("the encrypted connection was lost"),
        Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_) => say!("the API address is not valid"),
        Error::Io(error) => io_words(error, unconnected),
        Error::Protocol(_) => say!("the answer is not HTTP"),
        Error::LargeResponseHeader(..) => say!("the header of the answer is too large"),
        Error::BodyExceedsLimit(_) => say!("the answer is too large"),
        _ => say!("the connection was lost"),
    };
    if surely { Failure::NotSent(words) } else { Failure::MaybeSent(words) }
}

fn untrusted() -> Phrase {
    say!("the server's certificate is not trusted")
}

fn io_words(error: &io::Error, unconnected: bool) -> Phrase {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => say!("connection refused"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => say!("the network is unreachable"),
        io::ErrorKind::AddrNotAvailable => say!("no local address for the connection"),
        io::ErrorKind::ConnectionReset => say!("the connection was reset"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock if unconnected => say!("the connection timed out"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => say!("the answer timed out"),
        _ if error.to_string().contains("certificate") => untrusted(),
        _ if error.to_string().contains("failed to lookup address") => say!("cannot resolve the host name"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted if !unconnected => {
            say!("the connection was closed before the answer was complete")
        }
        _ if unconnected => say!("cannot connect"),
        _ => say!("the connection was lost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_answers_are_read() {
        let time = http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        assert_eq!(time.to_string(), "1994-11-06T08:49:37Z");
        for other in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", " 1994-11-06T08:49:37Z "] {
            assert_eq!(http_date(other), Some(time), "{other}");
        }
        for garbled in ["yesterday", "", "0", "Sun, 36 Nov 1994 08:49:37 GMT", "06/11/1994", "\u{fffd}"] {
            assert_eq!(http_date(garbled), None, "{garbled}");
        }
    }

    #[test]
    fn what_was_not_sent_is_decided_by_when_and_not_by_the_words() {
        let _heard =
            crate::locale::tests::heard("wechat-http-what_was_not_sent_is_decided_by_when_and_not_by_the_words");
        let error = |kind| ureq::Error::Io(io::Error::from(kind));
        let judged = |error: &ureq::Error, unconnected| classify(error, Duration::from_secs(1), unconnected);
        for kind in [io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable, io::ErrorKind::TimedOut] {
            assert!(matches!(judged(&error(kind), true), Failure::NotSent(_)), "{kind}");
            assert!(matches!(judged(&error(kind), false), Failure::MaybeSent(_)), "{kind}: a connection broke");
        }
        let late = ureq::Error::Timeout(ureq::Timeout::Global);
        assert!(matches!(judged(&late, true), Failure::NotSent(_)), "there never was a connection");
        assert!(matches!(judged(&late, false), Failure::MaybeSent(_)));
    }

    /// Every failure that has words: before there is a connection, and after.
    #[test]
    fn each_failure_of_a_call_has_words_of_ours() {
        let _heard = crate::locale::tests::heard("wechat-http-each_failure_of_a_call_has_words_of_ours");
        use ureq::{Error, Timeout};
        let errors = [
            Error::HostNotFound,
            Error::Timeout(Timeout::Resolve),
            Error::Timeout(Timeout::Global),
            Error::ConnectionFailed,
            Error::ConnectProxyFailed("407".into()),
            Error::InvalidProxyUrl,
            Error::TlsRequired,
            Error::BadUri("x".into()),
            Error::LargeResponseHeader(1, 2),
            Error::BodyExceedsLimit(1),
            Error::TooManyRedirects,
        ];
        for error in errors {
            for unconnected in [true, false] {
                let (Failure::NotSent(words) | Failure::MaybeSent(words)) =
                    classify(&error, Duration::from_millis(1500), unconnected);
                assert!(!words.to_string().contains("ureq"), "{words}");
            }
        }
        use io::ErrorKind as Kind;
        let kinds = [
            Kind::ConnectionRefused,
            Kind::HostUnreachable,
            Kind::AddrNotAvailable,
            Kind::ConnectionReset,
            Kind::TimedOut,
            Kind::UnexpectedEof,
            Kind::Other,
        ];
        let told = ["failed to lookup address", "invalid peer certificate: UnknownIssuer"].map(io::Error::other);
        for error in kinds.map(io::Error::from).into_iter().chain(told) {
            for unconnected in [true, false] {
                assert!(!io_words(&error, unconnected).is_empty(), "{error}");
            }
        }
    }

    /// The answers of a client to calls that were made one after another.
    fn told(base: &str, timeout: Duration, times: usize) -> Vec<Result<Answer, Failure>> {
        let mut http = Http::new(ApiBase::parse(base).expect("valid"), None, || false);
        let request =
            Request { method: Method::Post, path: "/x", query: &[], headers: &[], body: Body::Json("{}"), timeout };
        (0..times).map(|_| http.send(&request)).collect()
    }

    #[test]
    fn who_gives_up_is_told_whether_the_call_left() {
        let _heard = crate::locale::tests::heard("wechat-http-who_gives_up_is_told_whether_the_call_left");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("has one"));
        let timeout = Duration::from_secs(60);
        let request =
            Request { method: Method::Post, path: "/x", query: &[], headers: &[], body: Body::Json("{}"), timeout };
        // Nobody answers, and nobody waits.
        let mut http = Http::new(ApiBase::parse(&base).expect("valid"), None, || true);
        assert!(matches!(http.send(&request), Err(Failure::MaybeSent(_))));
        assert!(matches!(http.send(&request), Err(Failure::NotSent(_))));
        let (requests, ended) = mpsc::channel();
        let (answering, answers) = mpsc::channel();
        drop((ended, answering));
        let mut http = Http { requests, answers, abandon: || false, abandoned: false };
        assert!(matches!(http.send(&request), Err(Failure::NotSent(_))));
    }

    #[test]
    fn a_connection_that_cannot_be_encrypted_was_never_one() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("has one").port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a client");
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
        });
        let plain = told(&format!("https://127.0.0.1:{port}"), Duration::from_secs(5), 1);
        assert!(matches!(plain[..], [Err(Failure::NotSent(_))]), "{plain:?}");
    }

    #[test]
    fn a_kept_connection_that_breaks_may_have_carried_the_call() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("has one").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            // Nobody else is let in.
            drop(listener);
            let mut request = || {
                let mut got = Vec::new();
                while !got.ends_with(b"{}") {
                    let mut more = [0; 2048];
                    let read = stream.read(&mut more).expect("a request");
                    got.extend_from_slice(&more[..read]);
                }
                stream.try_clone().expect("a socket")
            };
            let _ = request().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            drop(request());
        });
        let kept = told(&format!("http://127.0.0.1:{port}"), Duration::from_secs(5), 3);
        // The third finds nobody: whoever listened is gone.
        assert!(matches!(kept[..], [Ok(_), Err(Failure::MaybeSent(_)), Err(Failure::NotSent(_))]), "{kept:?}");
    }

    /// A server that takes one connection, as a proxy of any kind or as the API itself: what it was asked for first, and the call.
    fn proxy_or_server() -> (u16, std::thread::JoinHandle<(String, String)>) {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("has one").port();
        let serve = move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut until = |whole: &dyn Fn(&[u8]) -> bool, answer: &[u8]| {
                let (mut got, mut byte) = (Vec::new(), [0]);
                while !whole(&got) && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                    got.push(byte[0]);
                }
                stream.write_all(answer).expect("takes it");
                got
            };
            let first = until(&|got| !got.is_empty(), b"");
            let asked = if first == [5] {
                until(&|got| got.len() == 1 + usize::from(got.first().copied().unwrap_or_default()), b"\x05\x00");
                let length = |got: &[u8]| match got.get(3)? {
                    1 => Some(10),
                    3 => Some(7 + usize::from(*got.get(4)?)),
                    _ => Some(22),
                };
                let target = until(&|got| length(got) == Some(got.len()), b"\x05\x00\x00\x01\0\0\0\0\0\0");
                match target[3] {
                    3 => format!("name {}", String::from_utf8_lossy(&target[5..target.len() - 2])),
                    _ => format!("address of {} bytes", target.len() - 6),
                }
            } else {
                let head = until(&|got| got.ends_with(b"\r\n\r\n"), b"");
                let head = String::from_utf8_lossy(&head).into_owned();
                if let Some(target) = head.strip_prefix("ONNECT ") {
                    until(&|_| true, b"HTTP/1.1 200 Connected\r\n\r\n");
                    format!("tunnel {}", target.split(' ').next().unwrap_or_default())
                } else {
                    until(&|got| got == b"{}", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
                    return ("nothing".to_owned(), format!("P{head}"));
                }
            };
            let call = until(&|got| got.ends_with(b"{}"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            (asked, String::from_utf8_lossy(&call).into_owned())
        };
        (port, std::thread::spawn(serve))
    }

    /// The variables are those of a process, so the call is made by [`a_call_of_a_process_of_its_own`].
    #[test]
    #[expect(clippy::disallowed_methods, reason = "this test is run again in a process of its own")]
    fn calls_go_through_the_proxy_that_the_environment_names() {
        let closed = "http://127.0.0.1:9";
        for (variables, base, asked) in [
            (
                &[("ALL_PROXY", "http://PORT"), ("HTTPS_PROXY", closed)][..],
                "http://api.example.com",
                "tunnel api.example.com:80",
            ),
            (&[("all_proxy", "http://PORT")], "http://api.example.com", "tunnel api.example.com:80"),
            (&[("ALL_PROXY", ""), ("HTTPS_PROXY", "socks5h://PORT")], "http://api.example.com", "name api.example.com"),
            (&[("ALL_PROXY", "socks5://PORT")], "http://127.0.0.1:7", "address of 4 bytes"),
            (&[("ALL_PROXY", closed), ("NO_PROXY", "x.example.com,127.0.0.1")], "http://PORT", "nothing"),
            (&[("HTTPS_PROXY", closed), ("no_proxy", "*")], "http://PORT", "nothing"),
            (
                &[("ALL_PROXY", "http://PORT"), ("NO_PROXY", "other.example.com")],
                "http://api.example.com",
                "tunnel api.example.com:80",
            ),
        ] {
            let (port, served) = proxy_or_server();
            let here = |text: &str| text.replace("PORT", &format!("127.0.0.1:{port}"));
            let mut child = std::process::Command::new(std::env::current_exe().expect("this test"));
            child.args(["--exact", "wechat::http::tests::a_call_of_a_process_of_its_own"]).env_clear();
            child.envs(variables.iter().map(|(name, value)| (name, here(value)))).env("QUNFA_TEST_BASE", here(base));
            let ran = child.output().expect("starts");
            assert!(ran.status.success(), "{variables:?}: {}", String::from_utf8_lossy(&ran.stdout));
            let (first, call) = served.join().expect("served");
            assert_eq!(first, asked, "{variables:?}");
            let (line, host) = call.split_once("\r\n").expect("a request");
            assert!(line.starts_with("POST ") && line.ends_with("/x HTTP/1.1"), "{call}");
            assert!(host.to_ascii_lowercase().contains(&format!("host: {}", &here(base)["http://".len()..])), "{call}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the variables of this process are what is tried")]
    fn a_call_of_a_process_of_its_own() {
        let Ok(url) = std::env::var("QUNFA_TEST_BASE") else { return };
        // Not of this machine, as far as it knows: else no proxy is asked.
        let base = ApiBase { url, loopback: false };
        let named = Proxy::of_environment(&base, &|name| std::env::var(name).ok()).expect("can be used");
        let skipped = ["NO_PROXY", "no_proxy"].iter().filter_map(|name| std::env::var(name).ok());
        let skipped = skipped.into_iter().any(|hosts| hosts != "other.example.com");
        assert_eq!(named.is_none(), skipped, "{named:?}");
        let mut http = Http::new(base, named, || false);
        let timeout = Duration::from_secs(5);
        let request =
            Request { method: Method::Post, path: "/x", query: &[], headers: &[], body: Body::Json("{}"), timeout };
        assert_eq!(http.send(&request).expect("an answer").body, b"{}");
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let _heard = crate::locale::tests::heard("wechat-http-plain_http_is_for_this_machine_only");
        for good in [
            "https://api.weixin.qq.com",
            "http://127.0.0.1:8080/",
            "http://localhost:1",
            "http://[::1]:80",
            "https://relay.example.com/wechat",
        ] {
            assert!(ApiBase::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.weixin.qq.com",
            "ftp://x",
            "api.weixin.qq.com",
            "",
            "http://127.0.0.1.evil.com",
            "https://user:pw@host",
            "https://h/?a=1",
        ] {
            assert!(ApiBase::parse(bad).is_err(), "{bad}");
        }
        assert!(ApiBase::parse("http://127.0.0.1:1").expect("valid").loopback);
        assert!(!ApiBase::parse(WECHAT).expect("valid").loopback);
    }
}
