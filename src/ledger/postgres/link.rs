//! One connection: how it is made, how long it is waited for, and what ended it.
//!
//! The client is asynchronous so that everything has a time limit: a silent network and a commit that waits for a standby
//! that is down would otherwise be waited for without end. A connection that was waited for too long is dropped and never
//! cancelled: a commit that is cancelled says that it succeeded.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is an adapter: it reads the certificates that it trusts, and waits"
)]

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs,
    future::{Future, poll_fn},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::runtime::Runtime;
use tokio_postgres::{
    AsyncMessage, Client, Config, Row, Statement,
    config::{ChannelBinding, SslMode, TargetSessionAttrs},
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    address::{Address, Host, Tls},
    fault::{self, Fault},
};
use crate::{
    limits,
    locale::{Count, Phrase, say},
    problem::reason,
    redact::Secret,
};

/// Said once to the server after connecting, whatever it or the database is set to. A pooler refuses them as options.
const SETTINGS: &str = "
SET idle_session_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 25000; SET synchronous_commit = on;
SET lock_timeout = '10s'; SET statement_timeout = '60s'; SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed'; SET standard_conforming_strings = on; SET search_path = ";

/// Until when something is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(wait: Duration) -> Self {
        Self(Instant::now() + wait)
    }

    /// How long is left; nothing once it is over.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Lets a moment pass before a server is asked again.
pub(super) fn pause(moment: Duration) {
    std::thread::sleep(moment);
}

pub(super) type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];

pub(super) struct Link {
    runtime: Runtime,
    client: Client,
    news: Arc<Mutex<News>>,
    statements: RefCell<HashMap<String, Statement>>,
    /// How long an answer is waited for.
    patience: Cell<Duration>,
    /// The version of the server, such as 15.
    pub(super) version: u32,
    pub(super) encrypted: bool,
}

/// What the server said without being asked.
#[derive(Debug, Default)]
struct News {
    /// Why there is no connection any more.
    ended: Option<Phrase>,
    /// A commit that is not on the standby although it was to be.
    unreplicated: bool,
}

impl News {
    /// There is no connection any more: the first reason is the one.
    fn end(&mut self, why: &Phrase) -> Fault {
        Fault::Lost(say!("lost its connection: {why}", why = self.ended.get_or_insert(why.clone()).clone()))
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// Connects within a time limit, and says who we are.
    pub(super) fn open(address: &Address, password: Option<&Secret>, within: Duration) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Lost(say!("cannot be reached: {why}", why = reason(&error))))?;
        let config = config(address, password.or(address.password.as_ref()), within);
        let news = Arc::new(Mutex::new(News::default()));
        // Where TLS is disabled, the settings say so: for a client without it everything would be in the program twice.
        let tls = MakeRustlsConnect::new(certificates(address)?);
        let connect = async {
            let (client, connection) = config.connect(tls).await.map_err(|error| fault::of_connect(&error))?;
            Ok(drive(client, connection, &news))
        };
        let (client, version) = runtime.block_on(async {
            tokio::time::timeout(within, connect).await.unwrap_or_else(|_| {
                Err(Fault::Lost(say!("cannot be reached: {why}", why = say!("the connection timed out"))))
            })
        })?;
        if version < fault::OLDEST {
            return Err(fault::too_old(version));
        }
        let encrypted = address.tls != Tls::Disabled;
        let link = Self {
            runtime,
            client,
            news,
            statements: RefCell::default(),
            patience: limits::STORE_ANSWER.into(),
            version,
            encrypted,
        };
        link.wait_until(Deadline::after(within), link.client.batch_execute(&format!("{SETTINGS}{}", address.schema)))?;
        Ok(link)
    }

    /// Asks something whose answers are waited for so long.
    pub(super) fn patiently<T>(&self, patience: Duration, ask: impl FnOnce(&Self) -> T) -> T {
        let before = self.patience.replace(patience);
        let answer = ask(self);
        self.patience.set(before);
        answer
    }

    /// Waits for an answer, as long as answers are waited for.
    fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
        self.wait_until(Deadline::after(self.patience.get()), answer)
    }

    fn wait_until<T>(
        &self,
        until: Deadline,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        let left = until.left();
        // The limit is made inside: it needs the runtime's clock.
        let answered = self.runtime.block_on(async { tokio::time::timeout(left, answer).await });
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match answered {
            Err(_) => {
                let seconds = Count((left + Duration::from_millis(500)).as_secs().max(1));
                Err(news.end(&say!("no answer within {seconds} s", seconds)))
            }
            Ok(_) if std::mem::take(&mut news.unreplicated) => Err(news.end(&fault::unreplicated())),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if self.client.is_closed() || fault::is_lost(&error) => Err(news.end(&fault::ended(&error))),
            Ok(Err(error)) => Err(Fault::Sql(error)),
        }
    }

    /// Whether it ended already: then nothing that is asked now reaches the server.
    pub(super) fn is_gone(&self) -> bool {
        // What arrived meanwhile is looked at: by the runtime, by who drives the connection, and by us.
        self.runtime.block_on(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        });
        self.client.is_closed() || self.news.lock().unwrap_or_else(PoisonError::into_inner).ended.is_some()
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Fault> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(sql))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query(&statement, parameters))
    }

    pub(super) fn query_one(&self, sql: &str, parameters: Parameters<'_>) -> Result<Row, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query_one(&statement, parameters))
    }

    pub(super) fn query_opt(&self, sql: &str, parameters: Parameters<'_>) -> Result<Option<Row>, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query_opt(&statement, parameters))
    }

    pub(super) fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.execute(&statement, parameters))
    }

    /// Statements without parameters.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.wait(self.client.batch_execute(sql))
    }

    /// All of it or nothing.
    pub(super) fn transaction<T>(&self, change: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        self.batch("BEGIN")?;
        match change() {
            Ok(changed) => self.batch("COMMIT").map(|()| changed),
            Err(fault) => {
                if !matches!(fault, Fault::Lost(_)) {
                    self.batch("ROLLBACK")?;
                }
                Err(fault)
            }
        }
    }
}

/// The client, and the version of the server; the connection is driven whenever the runtime runs.
fn drive<S, T>(
    client: Client,
    mut connection: tokio_postgres::Connection<S, T>,
    news: &Arc<Mutex<News>>,
) -> (Client, u32)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let version = connection.parameter("server_version").unwrap_or_default();
    let version = version.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse().ok()).unwrap_or(0);
    let news = Arc::clone(news);
    tokio::spawn(async move {
        loop {
            let message = poll_fn(|context| connection.poll_message(context)).await;
            let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
            match message {
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    news.unreplicated |= notice.message().contains("synchronous replication");
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    news.end(&fault::ended(&error));
                    return;
                }
                None => return,
            }
        }
    });
    (client, version)
}

fn config(address: &Address, password: Option<&Secret>, within: Duration) -> Config {
    let mut config = Config::new();
    for host in &address.hosts {
        match host {
            Host::Tcp(host, port) => config.host(host).port(*port),
            #[cfg(unix)]
            Host::Unix(folder, port) => config.host_path(folder).port(*port),
            #[cfg(not(unix))]
            Host::Unix(folder, port) => config.host(folder.display().to_string()).port(*port),
        };
    }
    config
        .user(&address.user)
        .dbname(&address.database)
        .application_name("qunfa")
        .connect_timeout(within)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(10))
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    match address.tls {
        Tls::Disabled => config.ssl_mode(SslMode::Disable).channel_binding(ChannelBinding::Disable),
        Tls::VerifyFull { .. } => config.ssl_mode(SslMode::Require),
    };
    if let Some(password) = password {
        config.password(password.expose());
    }
    config
}

/// What a server's certificate is held against.
fn certificates(address: &Address) -> Result<ClientConfig, Fault> {
    let mut roots = RootCertStore::empty();
    match &address.tls {
        Tls::VerifyFull { roots: Some(path) } => {
            let name = path.display().to_string();
            let help = || say!("name a file of certificates in PEM form: &sslrootcert=PATH");
            let bytes = fs::metadata(path).and_then(|meta| {
                if !meta.is_file() || meta.len() > limits::CERTIFICATES_BYTES_MAX {
                    return Err(std::io::ErrorKind::InvalidData.into());
                }
                fs::read(path)
            });
            let bytes = bytes.map_err(|error| {
                let why = reason(&error);
                Fault::Unusable(say!("cannot be trusted: cannot read {path}: {why}", path = &name, why), help())
            })?;
            let found: Vec<CertificateDer<'_>> =
                CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect();
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(Fault::Unusable(
                    say!("cannot be trusted: {path} holds no certificate", path = &name),
                    help(),
                ));
            }
        }
        Tls::VerifyFull { roots: None } => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Tls::Disabled => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|_| Fault::Lost(say!("cannot establish an encrypted connection")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
