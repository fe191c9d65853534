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
    place, process,
    project::{self, DiskProject},
    secrets::read_secret,
    terminal::Terminal,
};
use crate::{
    clock::{Clock, shanghai},
    ledger::{
        CallRecord, Ledger, LedgerError, Scope, open,
        store::{Owner, Queue, Store, TokenKey, Tokens, WriteError},
    },
    limits,
    locale::{Count, Phrase, say},
    plan::account::{self, AppId, ProxySource, TokenEndpoint},
    platform::Platform,
    problem::{ExitCode, Refusal, reason},
    redact::{Redactor, Secret},
    render::RenderedPlan,
    run,
    wechat::{
        client::Client,
        component::{Component, Ticket},
        http::{ApiBase, Http, Proxy, WECHAT},
        keeper::{Keeper, TokenSource},
        pictures::Pictures,
        token::TokenStore,
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
    /// The time is one that somebody named.
    now_is_given: bool,
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
                let (store, note) = place::of_plan(common, &project, &scope)?;
                if let Some(text) = note {
                    terminal.err(&format!("{}\n", say!("note: {text}", text)));
                }
                store
            }
        };
        let folder = account_folder(&plan, path);
        let now_is_given = common.now.is_some();
        Ok(Self { plan, project, scope, base, store, folder, rehearsal, now_is_given })
    }

    /// The folder that the account's files are relative to.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
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
    pub(super) fn write(&self, clock: &dyn Clock, terminal: &Terminal) -> Result<Box<dyn Ledger>, Refusal> {
        let Scope { platform, appid, .. } = &self.scope;
        let ledger = self.store.write(platform.name(), appid, &self.owner(clock.now()));
        let ledger = ledger.map_err(|error| self.not_written(error))?;
        if *platform != Platform::Sandbox {
            self.follow(&*ledger, clock, terminal)?;
        }
        Ok(ledger)
    }

    /// Goes by the clock of the store, which is that of all machines that share it: what another machine did a second ago is
    /// not in the future of this one.
    fn follow(&self, ledger: &dyn Ledger, clock: &dyn Clock, terminal: &Terminal) -> Result<(), Refusal> {
        let before = clock.now();
        let Some(told) = ledger.time()? else { return Ok(()) };
        let after = clock.now();
        let half = after.duration_since(before) / 2;
        let ahead = told.duration_since(after) + half;
        let seconds = Count(ahead.as_secs().unsigned_abs());
        if ahead.unsigned_abs() > limits::STORE_CLOCK_OFF {
            // A rehearsal may be at any time.
            if self.now_is_given {
                return Ok(());
            }
            return Err(far_off(seconds));
        }
        if ahead.unsigned_abs() > limits::STORE_CLOCK_NOTE {
            let text = say!(
                "this machine's clock differs from the state store's by {seconds} s; the run uses the store's",
                seconds
            );
            terminal.err(&format!("{}\n", say!("note: {text}", text)));
        }
        clock.shift(ahead);
        Ok(())
    }

    /// Why the account cannot be written for; exit code 8 if another run has it.
    pub(super) fn not_written(&self, error: WriteError) -> Refusal {
        let Scope { appid, .. } = &self.scope;
        match error {
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
            WriteError::Moved { ref path, ref to } => {
                let (there, here) = (place::named(to), place::named(path));
                Refusal::new(ExitCode::Conflict, error.words())
                    .help(say!("to use what is used since, write --state {store}", store = there))
                    .help(say!(
                        "to use this one from now on, whatever the other has sent, write --state {store} once",
                        store = here
                    ))
            }
            WriteError::Filled { .. } => Refusal::new(ExitCode::Conflict, error.words()),
            WriteError::Copy { ref path, ref home } => {
                let (original, copy) = (place::named(home), place::named(path));
                Refusal::new(ExitCode::Conflict, error.words())
                    .help(say!("to use the original, write --state {store}", store = original))
                    .help(say!(
                        "to use the copy from now on, whatever the original has sent, write --state {store} once",
                        store = copy
                    ))
            }
            WriteError::Ledger(error) => error.into(),
        }
    }

    /// This process, as others are told that it holds the lock.
    pub(super) fn owner(&self, now: Timestamp) -> Owner {
        let (host, pid) = process::identity();
        Owner { pid, host, since: now, plan: self.plan.path.clone(), command: process::command() }
    }

    /// Where the account's token is kept; who waits for others that fetch one says so on the terminal.
    pub(super) fn tokens<'t>(&self, terminal: &'t Terminal) -> Box<dyn Tokens + 't> {
        let endpoint = match (&self.plan.account.component, self.plan.account.token) {
            (Some(_), _) => "authorizer",
            (None, TokenEndpoint::Stable) => "stable",
            (None, TokenEndpoint::Classic) => "classic",
        };
        self.tokens_of(&self.plan.appid, endpoint, terminal)
    }

    /// Where the token of the account's third-party platform is kept; none if there is no platform, or its AppID is not known.
    pub(super) fn component_tokens<'t>(&self, terminal: &'t Terminal) -> Option<(String, Box<dyn Tokens + 't>)> {
        let appid = component_appid(self.plan.account.component.as_ref()?).ok()?;
        let tokens = self.tokens_of(&appid, "component", terminal);
        Some((appid, tokens))
    }

    fn tokens_of<'t>(&self, appid: &str, endpoint: &str, terminal: &'t Terminal) -> Box<dyn Tokens + 't> {
        let queue = TokenQueue::new(&self.plan.path, terminal);
        let secret = self.store.is_shared().then(|| self.sealing_secret()).flatten();
        let key = TokenKey { appid, base: self.base.as_str(), endpoint, seal: secret.as_ref() };
        self.store.tokens(key, Box::new(queue))
    }

    /// What tokens are got with that machines share; none where it cannot be read, which is said when one is asked for.
    fn sealing_secret(&self) -> Option<Secret> {
        let account = &self.plan.account;
        let source = match (&account.component, account.token) {
            (Some(component), _) => Some(&component.secret),
            (None, TokenEndpoint::Classic) => account.secret.as_ref(),
            (None, TokenEndpoint::Stable) => None,
        };
        source.filter(|_| self.scope.platform != Platform::Sandbox).and_then(|source| self.read(source).ok())
    }

    /// What the account's token is asked for with; an error says what is missing.
    pub(super) fn credential<'t>(&self, terminal: &'t Terminal) -> Result<Credential<'t>, Phrase> {
        let account = &self.plan.account;
        if self.scope.platform == Platform::Sandbox {
            return Ok(self.sandbox_credential(account.token, terminal));
        }
        if let Some(component) = &account.component {
            return self.component(component, terminal);
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
        let source = account
            .secret
            .as_ref()
            .ok_or_else(|| say!("the account has none of `access_token`, `secret` and `component`"))?;
        let secret = read_secret(source, &self.folder)?;
        redactor.learn(&secret);
        Ok(Credential { source: self.endpoint(account.token, secret), redactor })
    }

    /// A secret, from where the account says that it is.
    pub(super) fn read(&self, source: &account::SecretSource) -> Result<Secret, Phrase> {
        read_secret(source, &self.folder)
    }

    /// A secret of the plan itself, which is relative to it.
    pub(super) fn read_of_plan(&self, source: &account::SecretSource) -> Result<Secret, Phrase> {
        read_secret(source, Path::new(&self.plan.path).parent().unwrap_or(Path::new("")))
    }

    /// A third-party platform, with its secrets. Its ticket is read again whenever a token is asked for with it.
    fn component<'t>(&self, component: &account::Component, terminal: &'t Terminal) -> Result<Credential<'t>, Phrase> {
        let mut redactor = Redactor::default();
        let mut read = |source| read_secret(source, &self.folder).inspect(|secret| redactor.learn(secret));
        let secret = read(&component.secret)?;
        let refresh_token = read(&component.refresh_token)?;
        read(&component.ticket)?;
        let appid = component_appid(component)?;
        let (ticket, folder) = (component.ticket.clone(), self.folder.clone());
        let ticket = Box::new(move || read_secret(&ticket, &folder));
        let source = self.by_way_of(appid, (secret, ticket, refresh_token), terminal);
        Ok(Credential { source, redactor })
    }

    fn by_way_of<'t>(
        &self,
        appid: String,
        (secret, ticket, refresh_token): (Secret, Ticket<'t>, Secret),
        terminal: &'t Terminal,
    ) -> TokenSource<'t> {
        let store: Box<dyn TokenStore + 't> = self.tokens_of(&appid, "component", terminal);
        let tell = Box::new(|text: &Phrase| terminal.err(&format!("{}\n", say!("note: {text}", text))));
        let (account, base) = (self.plan.appid.clone(), self.base.as_str().to_owned());
        TokenSource::Component(Box::new(Component { appid, account, base, secret, ticket, refresh_token, store, tell }))
    }

    /// The sandbox takes any secret: the real one is not even read.
    pub(super) fn sandbox_credential<'t>(&self, endpoint: TokenEndpoint, terminal: &'t Terminal) -> Credential<'t> {
        let made_up = |text: &str| Secret::new(text.to_owned());
        let source = match &self.plan.account.component {
            Some(component) => {
                let appid = component_appid(component).unwrap_or_else(|_| "wx0000000000000001".to_owned());
                let ticket = Box::new(move || Ok(made_up("sandbox-ticket")));
                let secrets = (made_up("sandbox-secret"), ticket as Ticket<'_>, made_up("sandbox-refresh-token"));
                self.by_way_of(appid, secrets, terminal)
            }
            None => self.endpoint(endpoint, made_up("sandbox-secret")),
        };
        Credential { source, redactor: Redactor::default() }
    }

    fn endpoint<'t>(&self, endpoint: TokenEndpoint, secret: Secret) -> TokenSource<'t> {
        TokenSource::Endpoint { endpoint, appid: self.plan.appid.clone(), secret }
    }

    /// Refused if the account or the environment names a proxy that cannot be used.
    pub(super) fn connect<'t>(&self, tokens: Box<dyn TokenStore + 't>) -> Result<Connection<'t>, Refusal> {
        let proxy = self.proxy()?;
        let first = self.plan.steps.first();
        Ok(Connection {
            http: Http::new(self.base.clone(), proxy.clone(), is_abandoned),
            proxy,
            tokens,
            timeout: first.map_or(limits::TIMEOUT, |step| step.timeout),
            pause: first.map_or(limits::BACKOFF, |step| step.retry.backoff),
        })
    }

    /// The way to the pictures that WeChat serves.
    pub(super) fn pictures(&self, timeout: Duration) -> Result<Pictures, Refusal> {
        Ok(Pictures::new(self.base.clone(), self.proxy()?, timeout, is_abandoned))
    }

    /// The account's own proxy, or else the one that the environment names. A rehearsal on this machine goes straight.
    fn proxy(&self) -> Result<Option<Proxy>, Refusal> {
        let own = self.plan.account.proxy.as_ref().filter(|_| !self.base.loopback);
        let Some(own) = own else {
            return Proxy::of_environment(&self.base, &process::env).map_err(|why| {
                Refusal::missing_input(why)
                    .help(say!("unset the variable to connect directly; NO_PROXY lists hosts to reach without a proxy"))
            });
        };
        let url = match own {
            ProxySource::Url(url) => Secret::new(url.clone()),
            ProxySource::Secret(source) => {
                read_secret(source, &self.folder).map_err(|why| Refusal::missing_input(say!("no proxy: {why}", why)))?
            }
        };
        Proxy::of_account(&url).map(Some).map_err(Refusal::missing_input)
    }
}

/// The AppID of a third-party platform.
fn component_appid(component: &account::Component) -> Result<String, Phrase> {
    appid_of(&component.appid)
}

/// An AppID, from where the account says that it is.
pub(super) fn appid_of(appid: &AppId) -> Result<String, Phrase> {
    let name = match appid {
        AppId::Literal(appid) => return Ok(appid.clone()),
        AppId::Env(name) => name,
    };
    let value = process::env(name).ok_or_else(|| say!("the environment variable `{name}` is not set", name))?;
    let appid = Some(value.trim()).filter(|appid| AppId::is_well_formed(appid));
    appid.map(str::to_owned).ok_or_else(|| say!("the variable `{name}` does not contain an AppID", name))
}

/// One of two clocks is wrong, and nobody knows which.
fn far_off(seconds: Count) -> Refusal {
    let message = say!("this machine's clock differs from the state store's by {seconds} s", seconds);
    Refusal::missing_input(message).help(say!("set the clocks (NTP); nothing was sent"))
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
pub(super) struct Credential<'t> {
    pub(super) source: TokenSource<'t>,
    pub(super) redactor: Redactor,
}

/// The way to WeChat, and where its token is kept.
pub(super) struct Connection<'t> {
    http: Http,
    /// The way to it, if it is not the straight one.
    pub(super) proxy: Option<Proxy>,
    tokens: Box<dyn TokenStore + 't>,
    /// How long an answer is waited for.
    pub(super) timeout: Duration,
    /// Before a token is asked for again.
    pause: Duration,
}

impl Connection<'_> {
    pub(super) fn client<'c>(&'c mut self, credential: Credential<'c>, clock: &'c dyn Clock) -> Client<'c> {
        let Credential { source, redactor } = credential;
        let keeper = Keeper::new(source, &*self.tokens, self.timeout, self.pause);
        Client::new(&mut self.http, keeper, clock, redactor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_refused() {
        let _heard = crate::locale::tests::heard("cli-session-a_clock_that_is_far_off_is_refused");
        let refusal = far_off(Count(301));
        assert_eq!(refusal.code, ExitCode::MissingInput);
        assert!(refusal.problem.message.to_string().ends_with("by 301 s"));
    }
}
