//! The HTTP server that takes pushes: one thread, no rule of what an event means. What is read is handed to whoever keeps it, and
//! answered when that is done, in any case before WeChat stops waiting.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, mpsc::SyncSender},
    thread::JoinHandle,
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use crate::{
    events::{self, Event, Pushed, Unreadable, crypt::Query},
    limits,
};

use super::super::callback::Receiver;

/// Which account has which path.
pub(super) struct Paths(pub(super) Vec<(String, Receiver)>);

/// What came; each with the number of its account among the paths.
#[derive(Debug)]
pub(super) enum Came {
    /// To be kept, and then answered: whether it is.
    Event(usize, Box<Event>, oneshot::Sender<bool>),
    /// Genuine, and not kept: what it was.
    Other(usize, String),
    /// Genuine, and of no use.
    Useless(usize, Unreadable),
    /// The address was checked with the right token.
    Checked(usize),
    /// Refused.
    Refused(usize, Unreadable),
}

/// A running server; dropping it stops it at once.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Sent or dropped, it takes no more connections.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    paths: Paths,
    came: SyncSender<Came>,
}

impl Server {
    /// Starts on an address; port 0 takes a free one. It is ready for connections when this returns. What it hands on ends when it
    /// is through with what it was asked.
    pub(super) fn start(listen: SocketAddr, paths: Paths, came: SyncSender<Came>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared { paths, came });
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, shared, stopped);
        let thread = std::thread::Builder::new().name("qunfa-listen".to_owned()).spawn(move || {
            runtime.block_on(serving);
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Takes no more connections; those that are there are answered.
    pub(super) fn close(&mut self) {
        drop(self.stop.take());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take() {
            // It can only end by a panic, which has been reported on its thread.
            let _ended = thread.join();
        }
    }
}

/// Serves until it is stopped; then waits for the connections that are there.
async fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let room = Arc::new(Semaphore::new(limits::PUSH_CONNECTIONS));
    let accepting = tokio::spawn(accept(listener, shared, Arc::clone(&room)));
    // Both a message and a dropped sender mean the end.
    let _ended = stopped.await;
    accepting.abort();
    let _aborted = accepting.await;
    let all = u32::try_from(limits::PUSH_CONNECTIONS).unwrap_or(u32::MAX);
    let _through = timeout(limits::PUSH_ANSWER, room.acquire_many(all)).await;
}

/// Accepts connections, so many at a time.
async fn accept(listener: TcpListener, shared: Arc<Shared>, room: Arc<Semaphore>) {
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        match (permit, listener.accept().await) {
            (Ok(permit), Ok((stream, _))) => drop(tokio::spawn(connection(stream, Arc::clone(&shared), permit))),
            // Out of file descriptors, or a peer that gave up: neither is a reason to stop, nor to spin.
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One request a connection: one that is kept open would take the place of another.
async fn connection(stream: TcpStream, shared: Arc<Shared>, _permit: OwnedSemaphorePermit) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(limits::PUSH_HEAD_BYTES)
        .max_headers(limits::PUSH_HEADERS)
        .header_read_timeout(limits::PUSH_ARRIVE)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever sends or reads byte by byte is not waited for. A broken connection is the client's affair.
    let _ended = timeout(limits::PUSH_ARRIVE * 2 + limits::PUSH_ANSWER, serving).await;
}

/// What is sent back; never more than words of ours, or the text of a check that was signed.
fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// One answer whatever is wrong: nobody learns which part it is.
fn refused() -> Response<Full<Bytes>> {
    say(StatusCode::FORBIDDEN, "refused\n")
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let Some(at) = shared.paths.0.iter().position(|(known, _)| known == path) else {
        return say(StatusCode::NOT_FOUND, "not found\n");
    };
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match *request.method() {
        Method::GET => check(shared, at, &query),
        Method::POST => push(shared, at, &query, request.into_body()).await,
        _ => {
            let mut response = say(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
            response
        }
    }
}

/// WeChat checks that the address is ours.
fn check(shared: &Shared, at: usize, query: &Query) -> Response<Full<Bytes>> {
    let echo = query.echostr.as_deref().filter(|echo| echo.len() <= limits::ECHO_BYTES_MAX);
    match echo.filter(|_| shared.paths.0[at].1.keys.signed(query)) {
        Some(echo) => {
            shared.tell(Came::Checked(at));
            say(StatusCode::OK, echo)
        }
        None => {
            shared.tell(Came::Refused(at, Unreadable::NotGenuine));
            refused()
        }
    }
}

async fn push(shared: &Shared, at: usize, query: &Query, body: Incoming) -> Response<Full<Bytes>> {
    // An announced length is refused before anything of it is read.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limits::EVENT_BYTES_MAX {
        return say(StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
    }
    let body = match timeout(limits::PUSH_ARRIVE, Limited::new(body, limits::EVENT_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return say(StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
        }
        Ok(Err(_)) => return say(StatusCode::BAD_REQUEST, "incomplete\n"),
        Err(_) => return say(StatusCode::REQUEST_TIMEOUT, "too slow\n"),
    };
    let receiver = &shared.paths.0[at].1;
    match events::receive(&body, query, &receiver.keys, &receiver.appid) {
        Ok(Pushed::Event(event)) => shared.keep(at, event).await,
        Ok(Pushed::Other(name)) => {
            shared.tell(Came::Other(at, name));
            say(StatusCode::OK, "success")
        }
        // It is WeChat's, and would be the same when it is repeated.
        Err(why @ (Unreadable::NoEvent | Unreadable::NoJob)) => {
            shared.tell(Came::Useless(at, why));
            say(StatusCode::OK, "success")
        }
        Err(why) => {
            shared.tell(Came::Refused(at, why));
            refused()
        }
    }
}

impl Shared {
    /// Hands an event on, and answers when it is kept; if it is not in time, WeChat is to push it again.
    async fn keep(&self, at: usize, event: Box<Event>) -> Response<Full<Bytes>> {
        let (kept, answer) = oneshot::channel();
        let handed = self.came.try_send(Came::Event(at, event, kept));
        if handed.is_ok() && matches!(timeout(limits::PUSH_RECORD, answer).await, Ok(Ok(true))) {
            return say(StatusCode::OK, "success");
        }
        say(StatusCode::INTERNAL_SERVER_ERROR, "not recorded\n")
    }

    /// Tells of something that is not kept; if nobody has the time to hear it, nobody does.
    fn tell(&self, came: Came) {
        let _unheard = self.came.try_send(came);
    }
}
