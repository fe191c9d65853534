//! What commands about one plan share: where its calls go, its state, its ledger, the way to WeChat.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::Once,
    time::Duration,
};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{
    clock::RealClock,
    options::Common,
    process,
    project::{self, DiskProject},
    secrets::read_secret,
    state,
    terminal::Terminal,
};
use crate::{
    clock::{Clock, shanghai},
    ledger::{
        CallRecord, Ledger, LedgerError, Scope, open,
        store::{Owner, Queue, Store, TokenKey, Tokens, WriteError},
    },
    limits,
    locale::{Phrase, say},
    plan::account::TokenEndpoint,
    platform::Platform,
    problem::{ExitCode, Refusal, reason},
    redact::{Redactor, Secret},
    render::RenderedPlan,
    run,
    wechat::{
        client::Client,
        http::{self, ApiBase, Http, ProxyName, WECHAT},
        token::{Keeper, TokenSource, TokenStore},
    },
};

#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) base: ApiBase,
    pub(super) platform: Platform,
}

impl Address {
    /// None for a rehearsal on the embedded server; who names a server beside that may mean either.
    pub(super) fn unless(sandbox: bool, common: &Common) -> Result<Option<Self>, Refusal> {
        match common.api_base.as_deref().filter(|text| !text.is_empty()) {
            Some(base) if sandbox => {
                Err(Refusal::usage(say!("--sandbox and --api-base {base} cannot be used together", base)).help(say!(
                    "leave out --api-base (and unset QUNFA_API_BASE) to rehearse on the embedded server; leave out --sandbox to use the server at {base}",
                    base
                )))
            }
            _ if sandbox => Ok(None),
            _ => Self::of(common).map(Some),
        }
    }

    /// As the common options say.
    pub(super) fn of(common: &Common) -> Result<Self, Refusal> {
        let text = common.api_base.as_deref().filter(|text| !text.is_empty()).unwrap_or(WECHAT);
        let base = ApiBase::parse(text).map_err(|message| {
            Refusal::usage(message).help(say!("write --api-base https://..., or http://127.0.0.1:PORT"))
        })?;
        if common.now.is_some() && !base.loopback {
            return Err(Refusal::usage(say!("--now works only for rehearsals, not against WeChat"))
                .help(say!("use --sandbox, or --api-base http://127.0.0.1:PORT")));
        }
        // A rehearsal on this machine never counts as the real thing.
        let platform = if base.loopback { Platform::Loopback } else { Platform::Wechat };
        Ok(Self { base, platform })
    }
}

/// What the ledger has of a scope.
pub(super) fn records(store: &dyn Store, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError> {
    store.read()?.map_or_else(|| Ok(Vec::new()), |ledger| ledger.calls(scope))
}

/// A plan that is right, where its calls go, and where its state is.
pub(super) struct Session {
    pub(super) plan: RenderedPlan,
    pub(super) project: DiskProject,
    pub(super) scope: Scope,
    pub(super) base: ApiBase,
    pub(super) store: Box<dyn Store>,
    /// The folder of the account's files, which the plan's are relative to.
    folder: PathBuf,
    /// Of a rehearsal: it ends with the session.
    rehearsal: Option<TempDir>,
}

impl Session {
    /// A rehearsal has a state of its own, unless one is named.
    pub(super) fn new(
        path: &str,
        plan: RenderedPlan,
        project: DiskProject,
        address: Address,
        common: &Common,
        terminal: &Terminal,
    ) -> Result<Self, Refusal> {
        let Address { base, platform } = address;
        let own_state = platform == Platform::Sandbox && common.state.is_none();
        let rehearsal = own_state.then(temporary_folder).transpose()?;
        let scope =
            Scope { platform, appid: plan.appid.clone(), plan: plan.name.clone(), occurrence: plan.occurrence.clone() };
        let store = match &rehearsal {
            Some(folder) => open::of_rehearsal(folder.path()),
            None => {
                let (store, note) = state::of_plan(common, &project, &scope)?;
                if let Some(text) = note {
                    terminal.err(&format!("{}\n", say!("note: {text}", text)));
                }
                store
            }
        };
        let folder = account_folder(&plan, path);
        Ok(Self { plan, project, scope, base, store, folder, rehearsal })
    }

    /// Whether the state outlives the session.
    pub(super) fn is_kept(&self) -> bool {
        self.rehearsal.is_none()
    }

    pub(super) fn records(&self) -> Result<Vec<CallRecord>, LedgerError> {
        let Some(ledger) = self.store.read()? else { return Ok(Vec::new()) };
        run::history(&self.plan, &*ledger, &self.scope)
    }

    /// What a comparison with the ledger asks of the world.
    pub(super) fn outside(&self, now: Timestamp) -> run::Outside<'_> {
        run::Outside { now, is_there: &|path, name| project::is_plan(Path::new(path), name) }
    }

    /// The ledger, to be written, with the lock of the account; exit code 8 if another run has that.
    pub(super) fn write(&self, now: Timestamp) -> Result<Box<dyn Ledger>, Refusal> {
        let Scope { platform, appid, .. } = &self.scope;
        self.store.write(platform.name(), appid, &self.owner(now)).map_err(|error| match error {
            WriteError::Held(owner) => {
                let message = match owner.as_ref().map(holder) {
                    Some(who) => say!("another run of the account {appid} is in progress: {who}", appid, who),
                    None => say!("another run of the account {appid} is in progress", appid),
                };
                Refusal::new(ExitCode::Conflict, message)
                    .help(say!("wait until it ends; the lock is released with its process"))
            }
            WriteError::Lock(message) => {
                Refusal::missing_input(message).help(say!("choose another place with --state sqlite:PATH"))
            }
            WriteError::Copy { ref path, ref home } => {
                let (original, copy) = (state::named(home), state::named(path));
                Refusal::new(ExitCode::Conflict, error.words())
                    .help(say!("to use the original, write --state {store}", store = original))
                    .help(say!(
                        "to use the copy from now on, whatever the original has sent, write --state {store} once",
                        store = copy
                    ))
            }
            WriteError::Ledger(error) => error.into(),
        })
    }

    /// This process, as others are told that it holds the lock.
    pub(super) fn owner(&self, now: Timestamp) -> Owner {
        let (host, pid) = process::identity();
        Owner { pid, host, since: now, plan: self.plan.path.clone(), command: process::command() }
    }

    /// Where the account's token is kept; who waits for others that fetch one says so on the terminal.
    pub(super) fn tokens<'t>(&self, terminal: &'t Terminal) -> Box<dyn Tokens + 't> {
        let endpoint = match self.plan.account.token {
            TokenEndpoint::Stable => "stable",
            TokenEndpoint::Classic => "classic",
        };
        let queue = TokenQueue::new(&self.plan.path, terminal);
        self.store.tokens(TokenKey { appid: &self.plan.appid, base: self.base.as_str(), endpoint }, Box::new(queue))
    }

    /// What the account's token is asked for with; an error says what is missing.
    pub(super) fn credential(&self) -> Result<Credential, Phrase> {
        let account = &self.plan.account;
        if self.scope.platform == Platform::Sandbox {
            return Ok(self.sandbox_credential(account.token));
        }
        let mut redactor = Redactor::default();
        if let Some(source) = account.access_token.clone() {
            let folder = self.folder.clone();
            redactor.learn(&read_secret(&source, &folder)?);
            return Ok(Credential {
                source: TokenSource::Given(Box::new(move || read_secret(&source, &folder))),
                redactor,
            });
        }
        let source =
            account.secret.as_ref().ok_or_else(|| say!("the account has neither `secret` nor `access_token`"))?;
        let secret = read_secret(source, &self.folder)?;
        redactor.learn(&secret);
        Ok(Credential { source: self.endpoint(account.token, secret), redactor })
    }

    /// The sandbox takes any secret: the real one is not even read.
    pub(super) fn sandbox_credential(&self, endpoint: TokenEndpoint) -> Credential {
        let secret = Secret::new("sandbox-secret".into());
        Credential { source: self.endpoint(endpoint, secret), redactor: Redactor::default() }
    }

    fn endpoint(&self, endpoint: TokenEndpoint, secret: Secret) -> TokenSource {
        TokenSource::Endpoint { endpoint, appid: self.plan.appid.clone(), secret }
    }

    /// Refused if the environment names a proxy that cannot be used.
    pub(super) fn connect<'t>(&self, tokens: Box<dyn TokenStore + 't>) -> Result<Connection<'t>, Refusal> {
        let proxy = http::proxy(&self.base, &process::env).map_err(|why| {
            Refusal::missing_input(why)
                .help(say!("unset the variable to connect directly; NO_PROXY lists hosts to reach without a proxy"))
        })?;
        let first = self.plan.steps.first();
        Ok(Connection {
            http: Http::new(self.base.clone(), proxy.clone(), is_abandoned),
            proxy,
            tokens,
            timeout: first.map_or(limits::TIMEOUT, |step| step.timeout),
            pause: first.map_or(limits::BACKOFF, |step| step.retry.backoff),
        })
    }
}

/// Whether the call in flight is no longer waited for. Who asks to stop is told once what is waited for.
fn is_abandoned() -> bool {
    static SAID: Once = Once::new();
    if process::interrupted() {
        SAID.call_once(|| {
            let said = say!(
                "stopping as soon as WeChat has answered the call in progress; press Ctrl-C again to stop now (it is then unknown whether the call was carried out)"
            );
            Terminal::new(anstream::ColorChoice::Auto, false, false).err(&format!("\n{said}\n"));
        });
    }
    process::abandoned()
}

/// It is gone with its value.
pub(super) fn temporary_folder() -> Result<TempDir, Refusal> {
    tempfile::tempdir()
        .map_err(|error| Refusal::missing_input(say!("cannot create a temporary folder: {why}", why = reason(&error))))
}

/// Who holds a lock: `process 1 on host since ... (qunfa run plan.yaml)`.
pub(super) fn holder(owner: &Owner) -> Phrase {
    let since = shanghai(owner.since).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let command = format!("{} {}", owner.command, owner.plan);
    say!(
        "process {pid} on {host} since {since} ({command})",
        pid = owner.pid,
        host = owner.host.as_str(),
        since,
        command = command.trim()
    )
}

/// Waits for the lock of the tokens, and says for whom.
pub(super) struct TokenQueue<'t> {
    plan: String,
    terminal: &'t Terminal,
    waited: Cell<Duration>,
}

impl<'t> TokenQueue<'t> {
    /// `plan` is the path of the plan whose token is asked for; empty for those of all.
    pub(super) fn new(plan: &str, terminal: &'t Terminal) -> Self {
        Self { plan: plan.to_owned(), terminal, waited: Cell::default() }
    }
}

impl Queue for TokenQueue<'_> {
    fn owner(&self) -> Owner {
        let (host, pid) = process::identity();
        let since = RealClock::default().now();
        Owner { pid, host, since, plan: self.plan.clone(), command: process::command() }
    }

    fn wait(&self, holder: Option<&Owner>) -> bool {
        let waited = self.waited.get() + limits::LOCK_LOOK;
        if self.waited.get() < limits::LOCK_SAY && waited >= limits::LOCK_SAY {
            let who = holder.map_or_else(|| say!("an unidentified process"), self::holder);
            let waiting = say!("waiting for the lock of the access tokens, held by {who}; Ctrl-C ends the wait", who);
            self.terminal.err(&format!("{waiting}\n"));
        }
        self.waited.set(waited);
        RealClock::default().sleep(limits::LOCK_LOOK)
    }
}

/// Waits for another process that writes to the state store, and says so after a while; false once somebody asks to stop.
pub(super) fn wait_for_writer(waited: Duration, pause: Duration) -> bool {
    if waited < limits::LOCK_SAY && waited + pause >= limits::LOCK_SAY {
        let waiting = say!("waiting for another process that is writing to the state store; Ctrl-C ends the wait");
        Terminal::new(anstream::ColorChoice::Auto, false, false).err(&format!("{waiting}\n"));
    }
    RealClock::default().sleep(pause)
}

/// Secrets are relative to the file that names them: the account's own file, the plan, or the fleet.
fn account_folder(plan: &RenderedPlan, path: &str) -> PathBuf {
    let base = if path == "-" { Path::new("") } else { Path::new(path).parent().unwrap_or(Path::new("")) };
    base.join(&plan.account_folder)
}

/// What a token is asked for with, and the secrets that are known with it.
pub(super) struct Credential {
    pub(super) source: TokenSource,
    pub(super) redactor: Redactor,
}

/// The way to WeChat, and where its token is kept.
pub(super) struct Connection<'t> {
    http: Http,
    /// The way to it, if it is not the straight one.
    pub(super) proxy: Option<ProxyName>,
    tokens: Box<dyn TokenStore + 't>,
    /// How long an answer is waited for.
    pub(super) timeout: Duration,
    /// Before a token is asked for again.
    pause: Duration,
}

impl Connection<'_> {
    pub(super) fn client<'c>(&'c mut self, credential: Credential, clock: &'c dyn Clock) -> Client<'c> {
        let Credential { source, redactor } = credential;
        let keeper = Keeper::new(source, &*self.tokens, self.timeout, self.pause);
        Client::new(&mut self.http, keeper, clock, redactor)
    }
}
