//! The store in PostgreSQL: a real server, and what happens to it in the middle of a run.
//!
//! `QUNFA_TEST_POSTGRES` is the address of a server on which each test makes a schema of its own (`.ci/postgres` starts one); CI
//! sets it. Without it these tests look at nothing, and say so.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Barrier, Mutex, MutexGuard, Once, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use qunfa::ledger::{Observation, open, store::Owner};

use crate::support::{Answer, Case, Fake, Ran, in_each_language, plan, repository, send};

/// A schema of its own on a server, which is gone with the value.
pub(crate) struct Schema {
    /// The address of the server.
    server: String,
    pub(crate) name: String,
}

/// The address of the server for tests; without it, that is said once, loudly.
pub(crate) fn server() -> Option<String> {
    static SAID: Once = Once::new();
    let server = std::env::var("QUNFA_TEST_POSTGRES").ok().filter(|address| !address.is_empty());
    if server.is_none() {
        SAID.call_once(|| {
            let said = "\n\n*** QUNFA_TEST_POSTGRES is not set: NOTHING OF POSTGRESQL IS TESTED. Start a server and set it:\n\
                        *** export QUNFA_TEST_POSTGRES=\"$(.ci/postgres start /tmp/qunfa-postgres)\"\n\n";
            // Not through the macros: what they print, the harness keeps to itself.
            let _ = std::io::stderr().write_all(said.as_bytes());
        });
    }
    server
}

/// The address without TLS.
fn plain(server: &str) -> String {
    server
        .split("&sslrootcert")
        .next()
        .unwrap_or(server)
        .replace("verify-full", "disable")
        .replace("localhost", "127.0.0.1")
}

impl Schema {
    pub(crate) fn on(server: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // As long each time: lines are wrapped where they end.
        let name = format!("test_{:05}_{:03}", std::process::id() % 100_000, NEXT.fetch_add(1, Ordering::SeqCst));
        Self { server: server.to_owned(), name }
    }

    /// On the server for tests, if there is one.
    pub(crate) fn new() -> Option<Self> {
        server().map(|server| Self::on(&server))
    }

    /// On the server for tests without TLS: on this machine that is allowed.
    pub(crate) fn plain() -> Option<Self> {
        server().map(|server| Self::on(&plain(&server)))
    }

    /// What `--state` is.
    pub(crate) fn address(&self) -> String {
        format!("{}&schema={}", self.server, self.name)
    }

    /// Does something behind the back of the program; what it gives, one row a line.
    #[track_caller]
    pub(crate) fn sql(&self, statements: &str) -> String {
        let told = self.try_sql(&self.server, statements);
        told.unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// The same as another role, by its address.
    pub(crate) fn try_sql(&self, server: &str, statements: &str) -> Result<String, String> {
        let path = format!("SET search_path = {}", self.name);
        let output = Command::new("psql")
            .args([server, "-v", "ON_ERROR_STOP=1", "-qAtX", "-c", &path, "-c", statements])
            .env("PGOPTIONS", "-c client_min_messages=error -c synchronous_commit=local -c lock_timeout=10s")
            .output()
            .expect("psql comes with the server");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // A server that was stopped has nothing to be removed from.
        let _ = self.try_sql(&self.server, &format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name));
    }
}

/// A server that may crash: one for all tests, which use it one after the other.
pub(crate) struct Crashing {
    pub(crate) address: String,
    folder: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Crashing {
    /// None where nothing of PostgreSQL is tested.
    pub(crate) fn new() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        static STARTED: OnceLock<(String, PathBuf, Child)> = OnceLock::new();
        server()?;
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, folder, _) = STARTED.get_or_init(|| {
            // Of this process alone: another one that tests has a server of its own.
            let folder = std::env::temp_dir().join(format!("qunfa-crashing-{}", std::process::id()));
            let name = folder.display().to_string();
            let said = control(&["start", &name]).expect("it starts");
            (said.trim().to_owned(), folder, ends_with_us(&name))
        });
        Some(Self { address: address.clone(), folder: folder.clone(), _alone: alone })
    }

    /// Ends it at once and starts it with the settings that it has now.
    fn restart(&self) {
        control(&["restart", &self.folder.display().to_string()]).expect("it comes back");
    }

    /// Ends it as a power cut does.
    pub(crate) fn crash(&self) {
        control(&["crash", &self.folder.display().to_string()]).expect("it comes back");
    }
}

/// A process that ends a server when this process has ended, however it did: then its input is at its end.
fn ends_with_us(folder: &str) -> Child {
    let script = "trap '' INT HUP; cat; exec \"$0\" stop \"$1\"";
    Command::new("/bin/sh")
        .args(["-c", script])
        .arg(repository().join(".ci/postgres"))
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

fn control(args: &[&str]) -> Result<String, String> {
    let output = Command::new(repository().join(".ci/postgres")).args(args).output().expect("a shell");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// A plan in a folder, on a schema of its own.
struct Campaign {
    case: Case,
    schema: Schema,
    server: Fake,
}

impl Campaign {
    fn on(schema: Schema, text: String, server: Fake) -> Self {
        Self { case: Case::new().file("plan.yaml", text), schema, server }
    }

    fn args<'a>(&'a self, state: &'a str) -> Vec<&'a str> {
        vec!["run", "plan.yaml", "--yes", "--api-base", &self.server.base, "--state", state]
    }

    fn run(&self) -> Ran {
        self.run_on(&self.schema.address())
    }

    fn run_on(&self, state: &str) -> Ran {
        self.case.run(&self.args(state))
    }
}

/// So many sends, each to a tag.
fn sends(count: usize) -> String {
    plan(&(0..count).map(|number| send(&format!("s{number}"))).collect::<String>())
        .replace("defaults: {", "defaults: { pace: { per_minute: 100000 },")
}

fn one() -> String {
    plan(&send("one"))
}

#[test]
fn what_was_sent_is_known_to_every_machine() {
    let Some(schema) = Schema::new() else { return };
    let here = Campaign::on(schema, plan(&(send("one") + &send("two"))), Fake::usual());
    here.run().exits(0);
    // Another folder is another machine.
    let there = Case::new().file("plan.yaml", plan(&(send("one") + &send("two"))));
    let state = here.schema.address();
    let again = there.run(&here.args(&state)).exits(0);
    again.says("already done");
    here.server.delivered_once(2);
    for command in ["status", "report", "audience"] {
        let mut args = vec![command, "plan.yaml"];
        args.extend(if command == "audience" { vec!["one"] } else { Vec::new() });
        args.extend(["--api-base", &here.server.base, "--state", &state]);
        assert!(matches!(there.run(&args).code, 0 | 2), "{command}");
    }
    assert!(!there.path(".qunfa").exists(), "nothing is kept here");
}

#[test]
fn of_four_at_once_one_sends_and_the_others_say_who() {
    in_each_language(|| {
        let Some(schema) = Schema::new() else { return };
        let (reached, gate) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (there, opens) = (Arc::clone(&reached), Arc::clone(&gate));
        let mut first = true;
        let server = Fake::new(move |_, got| {
            if got.path.ends_with("/sendall") && std::mem::take(&mut first) {
                there.wait();
                opens.wait();
            }
            Answer::Usual
        });
        let campaign = Campaign::on(schema, one(), server);
        let state = campaign.schema.address();
        let child = campaign.case.spawn(&campaign.args(&state));
        reached.wait();
        for _ in 0..3 {
            campaign.run().exits(8).says("another run of the account wx0123456789abcdef is in progress: process");
        }
        let doctor =
            campaign.case.run(&["doctor", "plan.yaml", "--api-base", &campaign.server.base, "--state", &state]);
        doctor.exits(8).says("another run of this account is in progress: process");
        gate.wait();
        Case::finish(child).exits(0);
        campaign.server.delivered_once(1);
    });
}

#[test]
fn an_address_that_is_not_one_is_refused_without_its_password() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", one());
        for (address, why) in [
            ("postgresql:u:SECRETPW@db", "it does not start with postgresql://"),
            ("postgresql://u:SECRETPW@d b/d", "it contains whitespace or a control character"),
            ("postgresql://u:SECRETPW#@db/d", "it contains a `#`; write `%23`"),
            ("postgresql://u:SECRET/PW@db/d", "must be written as `%2F`, `%40` or `%3A`"),
            ("postgresql://u:SECRETPW@db/d?sslmode", "a parameter without `=`"),
            ("postgresql://u:SECRETPW@db/d?options=x", "`options` is not a parameter that it knows"),
            ("postgresql:///d", "it has no host"),
            ("postgresql://db/d", "it has no user"),
            ("postgresql://u@db/d?schema=Pg", "a schema has lower-case letters"),
            ("postgresql://u:SECRETPW@db/d?sslmode=disable", "sslmode=disable is allowed only for this machine"),
            ("postgresql://u:SECRETPW@db/d?sslmode=prefer", "sslmode=prefer is not safe"),
            ("postgresql://u@[x]/d", "its host is not valid"),
            ("postgresql://u@::1/d", "an IPv6 address stands in brackets"),
            ("postgresql://u@db:0/d", "its port is not a number from 1 to 65535"),
            ("postgresql://u:SECRETPW%@db/d", "`%` must be followed by two hexadecimal digits"),
            ("mysql://u:x@db/d", "is not a state store"),
        ] {
            let ran = case.run(&["status", "plan.yaml", "--state", address]).exits(2);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("SECRET"), "{}", ran.stderr);
            ran.says(why);
        }
    });
}

#[test]
fn a_server_that_cannot_be_trusted_or_reached_is_told_with_the_remedy() {
    in_each_language(|| {
        let Some(server) = server() else { return };
        let case = Case::new().file("plan.yaml", one());
        let ca = server.split("sslrootcert=").nth(1).expect("named").to_owned();
        let authority = case.path("other.crt");
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                "/CN=x",
            ])
            .args(["-keyout", "/dev/null", "-out"])
            .arg(&authority)
            .output();
        assert!(made.expect("openssl").status.success());
        case.write("empty.crt", "nothing");
        let other = authority.display().to_string();
        let cases = [
            (server.replace(&ca, &other), "its certificate is not signed by a known authority"),
            (
                server.split("&sslrootcert").next().expect("a part").to_owned(),
                "its certificate is not signed by a known authority",
            ),
            (server.replace(&ca, "empty.crt"), "empty.crt holds no certificate"),
            (server.replace(&ca, "missing.crt"), "cannot read missing.crt: no such file"),
            (server.replace("@localhost", "@127.0.0.1"), "its certificate is for another host name"),
            (server.replace("/postgres?", "/nowhere?"), "the server has no such database"),
            (server.replace("postgres@", "secret:SECRETPW@"), "the server does not accept the password"),
            (server.replace("postgres@", "secret@"), "the server asks for a password"),
            ("postgresql://u@localhost:1/d".to_owned(), "nothing listens at this address"),
            ("postgresql://u@%2Fnowhere/d".to_owned(), "there is no such socket"),
            ("postgresql://u@nowhere.invalid/d".to_owned(), "cannot be reached"),
        ];
        for (address, why) in cases {
            let ran = case.run(&["run", "plan.yaml", "--yes", "--api-base", "http://127.0.0.1:1", "--state", &address]);
            let ran = ran.exits(4);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("SECRETPW"), "{}", ran.stderr);
            ran.says(why);
        }
    });
}

#[test]
fn a_server_without_tls_or_with_the_certificate_of_an_authority_is_refused() {
    in_each_language(|| {
        let Some(server) = Crashing::new() else { return };
        let case = Case::new().file("plan.yaml", one());
        let schema = Schema::on(&server.address);
        let folder = server.folder.display().to_string();
        let open = Schema::on(&server.address.replace("verify-full", "disable"));
        let refused = |why: &str| {
            let args = ["status", "plan.yaml", "--api-base", "http://127.0.0.1:1", "--state", &schema.address()];
            case.run(&args).exits(4).says(why);
        };
        open.sql(&format!("ALTER SYSTEM SET ssl_cert_file = '{folder}/ca.crt'"));
        open.sql(&format!("ALTER SYSTEM SET ssl_key_file = '{folder}/ca.key'"));
        server.restart();
        refused("its certificate is that of an authority (self-signed)");
        open.sql("ALTER SYSTEM SET ssl = off");
        server.restart();
        refused("the server has no TLS");
        open.sql("ALTER SYSTEM RESET ALL");
        server.restart();
    });
}

#[test]
fn a_password_comes_from_a_variable_a_file_or_a_command_and_is_shown_nowhere() {
    in_each_language(|| {
        let Some(schema) = Schema::new() else { return };
        // One of several tests that use the role.
        let made = "DO $$ BEGIN CREATE ROLE secret LOGIN SUPERUSER PASSWORD 'SECRETPW-9f31'; EXCEPTION WHEN duplicate_object THEN NULL; END $$";
        schema.sql(made);
        let campaign = Campaign::on(schema, one(), Fake::usual());
        let plain = campaign.schema.address().replace("postgres@", "secret@");
        let with = plain.replace("secret@", "secret:SECRETPW-9f31@");
        campaign.case.write("password", "SECRETPW-9f31\n");
        let mut left = Vec::new();
        let mut check = |case: &Case, state: &str, code: i32| {
            for command in ["run", "doctor", "status", "report"] {
                let mut args = vec![command, "plan.yaml", "--api-base", &campaign.server.base, "--state", state];
                args.extend(if command == "run" { &["--yes", "--verbose"][..] } else { &[] });
                let ran = case.run(&args);
                assert!(command == "doctor" || ran.code == code, "{command}: {}", ran.stderr);
                left.push(ran.stdout + &ran.stderr);
            }
            left.extend(
                case.left_behind()
                    .into_iter()
                    .filter(|(path, _)| !path.ends_with("password"))
                    .map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()),
            );
        };
        let case = || Case::new().file("plan.yaml", one());
        check(&campaign.case, &with, 0);
        check(&case().env("QUNFA_STATE_PASSWORD", "SECRETPW-9f31"), &plain, 0);
        check(&case().file("password", "SECRETPW-9f31\n").env("QUNFA_STATE_PASSWORD_FILE", "password"), &plain, 0);
        let command = format!("/bin/cat {}", campaign.case.path("password").display());
        check(&case().env("QUNFA_STATE_PASSWORD_COMMAND", &command), &plain, 0);
        check(&case().env("QUNFA_STATE_PASSWORD", "SECRETPW-9f31x"), &plain, 4);
        let failing = case().env("QUNFA_STATE_PASSWORD_FILE", "missing");
        failing
            .run(&["status", "plan.yaml", "--state", &plain])
            .exits(4)
            .says("no password: cannot read the secret file");
        assert!(left.iter().all(|said| !said.contains("SECRETPW")), "{left:#?}");
        campaign.server.delivered_once(1);
    });
}

/// The address for a role of its own that may not create anything; the role is gone with the value.
struct Role {
    name: String,
    address: String,
    schema: Schema,
}

impl Role {
    fn new() -> Option<Self> {
        let schema = Schema::new()?;
        let name = format!("{}_role", schema.name);
        schema.sql(&format!("REVOKE CREATE ON DATABASE postgres FROM PUBLIC; CREATE ROLE {name} LOGIN"));
        let address = schema.address().replace("postgres@", &format!("{name}@"));
        Some(Self { name, address, schema })
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let (schema, role) = (&self.schema.name, &self.name);
        let _ = self.schema.try_sql(
            &self.schema.server,
            &format!("DROP SCHEMA IF EXISTS {schema} CASCADE; DROP OWNED BY {role}; DROP ROLE {role}"),
        );
    }
}

#[test]
fn who_runs_plans_can_neither_create_nor_change_what_happened() {
    in_each_language(|| {
        let Some(role) = Role::new() else { return };
        let (case, server) = (Case::new().file("plan.yaml", one()), Fake::usual());
        let owner = role.schema.address();
        let run = || case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base, "--state", &role.address]);
        let doctor = || case.run(&["doctor", "plan.yaml", "--api-base", &server.base, "--state", &role.address]);
        run().exits(4).says("run once, as the owner of the schema: qunfa state migrate");
        doctor().exits(4).says("qunfa state migrate");
        case.run(&["state", "migrate", "--state", &owner]).exits(0).says("has the format of this version now");
        case.run(&["state", "migrate", "--state", &owner]).exits(0).says("had the format of this version already");
        run().exits(4).says("qunfa state grants --role ROLE");
        let grants = case.run(&["state", "grants", "--role", &role.name, "--state", &owner]).exits(0);
        role.schema.sql(&grants.stdout);
        run().exits(0);
        doctor().exits(0);
        server.delivered_once(1);
        let plain = role.schema.server.replace("postgres@", &format!("{}@", role.name));
        for forbidden in [
            "UPDATE events SET kind = 'refused'",
            "DELETE FROM events",
            "DELETE FROM calls",
            "UPDATE calls SET idempotency_key = 'x'",
            "UPDATE calls SET appid = 'x'",
            "DELETE FROM runs",
            "TRUNCATE events",
            "UPDATE observations SET body = 'x'",
            "DELETE FROM observations",
            "DROP TABLE events",
            "UPDATE format SET version = 9",
        ] {
            let refused = role.schema.try_sql(&plain, forbidden).expect_err(forbidden);
            assert!(
                refused.contains("permission denied") || refused.contains("must be owner"),
                "{forbidden}: {refused}"
            );
        }
        // Rights that are missing are named.
        role.schema.sql(&format!("REVOKE INSERT ON events FROM {}", role.name));
        doctor().exits(4).says("missing: INSERT ON");
        role.schema.sql(&format!("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {}", role.schema.name, role.name));
        let read = case.run(&["state", "grants", "--role", &role.name, "--read-only", "--state", &owner]).exits(0);
        role.schema.sql(&read.stdout);
        let plain = role.schema.address().replace("verify-full", "disable");
        let doctor = case.run(&["doctor", "plan.yaml", "--api-base", &server.base, "--state", &plain]);
        doctor.says("not encrypted, on this machine").says("clock state store: in sync with the server (within 60 s)");
        let status = case.run(&["status", "plan.yaml", "--api-base", &server.base, "--state", &role.address]);
        status.exits(0);
    });
}

#[test]
fn who_could_run_plans_can_after_the_tables_were_brought_up_to_date() {
    let Some(role) = Role::new() else { return };
    let (case, server) = (Case::new().file("plan.yaml", one()), Fake::usual());
    let owner = role.schema.address();
    case.run(&["state", "migrate", "--state", &owner]).exits(0);
    let grants = case.run(&["state", "grants", "--role", &role.name, "--state", &owner]).exits(0);
    role.schema.sql(&grants.stdout);
    // The tables as format 1 had them.
    role.schema.sql("DROP TABLE observations; DELETE FROM format WHERE version > 1");
    let run = || case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base, "--state", &role.address]);
    run().exits(4).says("qunfa state migrate");
    case.run(&["state", "migrate", "--state", &owner]).exits(0).says("has the format of this version now");
    run().exits(0);
    case.run(&["doctor", "plan.yaml", "--api-base", &server.base, "--state", &role.address]).exits(0);
    let plain = role.schema.server.replace("postgres@", &format!("{}@", role.name));
    let insert = "INSERT INTO observations (platform, appid, kind, subject, at, body, digest) VALUES ('', '', '', '', 1, '', '')";
    role.schema.try_sql(&plain, insert).expect("as it may add events");
    server.delivered_once(1);
}

#[test]
fn a_ledger_is_copied_once_and_nothing_is_sent_again() {
    in_each_language(|| {
        let Some(schema) = Schema::new() else { return };
        let mut closed = 0;
        // One send is in doubt.
        let server = Fake::new(move |_, got| {
            closed += u32::from(got.path.ends_with("/sendall"));
            if got.path.ends_with("/sendall") && (3..6).contains(&closed) { Answer::Close } else { Answer::Usual }
        });
        let text = plan(&(send("one") + &send("two") + &send("three")));
        let case = Case::new().file("plan.yaml", &text);
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base]).exits(7);
        let (from, to) = ("sqlite:.qunfa/state.db", schema.address());
        case.run(&["state", "check"]).exits(0).says("3 calls");
        case.run(&["state", "copy", "sqlite:missing.db", &to]).exits(4).says("there is no state store missing.db");
        case.run(&["state", "copy", from, from]).exits(2).says("both are the state store");
        {
            let old = open::named(
                &format!("sqlite:{}", case.path(".qunfa/state.db").display()),
                std::rc::Rc::new(|| Ok(None)),
            );
            let owner = Owner {
                pid: 7,
                host: "here".into(),
                since: jiff::Timestamp::now(),
                plan: "plan.yaml".into(),
                command: "qunfa run".into(),
            };
            let _running = old
                .expect("a name")
                .write("wechat", "wx0123456789abcdef", &owner)
                .map_err(|error| error.words())
                .expect("free");
            case.run(&["state", "copy", from, &to]).exits(8).says("is in use: process 7 on here");
        }
        let opened = |name: &str| open::named(name, std::rc::Rc::new(|| Ok(None))).expect("a name");
        let seen = |name: &str| {
            let ledger = opened(name).read().expect("opens").expect("is there");
            ledger.observations("wechat", "wx1", "EVENT", None).expect("reads")
        };
        let said = Observation {
            kind: "EVENT".into(),
            subject: "7".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            body: "群发".into(),
        };
        let here = format!("sqlite:{}", case.path(".qunfa/state.db").display());
        let mut listener = opened(&here).observe().map_err(|error| error.words()).expect("opens");
        listener.observe("wechat", "wx1", std::slice::from_ref(&said)).expect("writes");
        drop(listener);
        case.run(&["state", "copy", from, &to]).exits(0).says("copied 1 run, 3 calls, ");
        assert_eq!(seen(&to), std::slice::from_ref(&said));
        case.run(&["state", "copy", from, &to]).exits(8).says("is not empty");
        case.run(&["state", "check", "--state", &to]).exits(0).says("3 calls");
        // Whoever forgets --state is not left to the old one.
        let args = ["run", "plan.yaml", "--yes", "--api-base", server.base.as_str()];
        case.run(&args).exits(8).says("was copied to");
        case.run(&[&args[..], &["--state", &to]].concat()).exits(0);
        server.delivered_once(3);
        // And back.
        case.run(&["state", "copy", &to, "sqlite:back.db"]).exits(0);
        assert_eq!(seen(&format!("sqlite:{}", case.path("back.db").display())), [said]);
        let sends = server.sends().len();
        case.run(&[&args[..], &["--state", "sqlite:back.db"]].concat()).exits(0).says("already done");
        assert_eq!(server.sends().len(), sends);
        case.run(&["state", "grants", "--role", "x"]).exits(2).says("is a file");
    });
}

#[test]
fn the_time_is_the_one_of_the_server() {
    in_each_language(|| {
        let Some(schema) = Schema::new() else { return };
        let mut closed = false;
        let server = Fake::new(move |_, got| {
            let first =
                got.path.ends_with("/sendall") && !std::mem::replace(&mut closed, got.path.ends_with("/sendall"));
            if first { Answer::DoneThen(Box::new(Answer::Stall)) } else { Answer::Usual }
        });
        let campaign = Campaign::on(schema, one(), server);
        let state = campaign.schema.address();
        let mut child = campaign.case.spawn(&campaign.args(&state));
        while campaign.server.sends().is_empty() {
            std::thread::yield_now();
        }
        child.kill().expect("ours");
        child.wait().expect("ours");
        // A machine that is behind takes over: for its own clock the attempt is in the future.
        let behind = jiff::Timestamp::now().saturating_sub(jiff::SignedDuration::from_secs(10)).expect("a time");
        let behind = behind.to_string();
        let args = [&campaign.args(&state)[..], &["--now", &behind]].concat();
        campaign.case.run(&args).exits(0).says("differs from the state store's by");
        campaign.server.delivered_once(1);
    });
}

#[test]
fn an_outcome_is_recorded_over_another_connection() {
    for end in ["terminate", "crash"] {
        let crashing = if end == "crash" { Crashing::new() } else { None };
        let Some(schema) = crashing.as_ref().map(|server| Schema::on(&server.address)).or_else(Schema::new) else {
            return;
        };
        let address = schema.server.clone();
        let name = schema.name.clone();
        let folder = crashing.as_ref().map(|server| server.folder.clone());
        let server = Fake::new(move |_, got| {
            if got.path.ends_with("/sendall") {
                match &folder {
                    Some(folder) => drop(control(&["crash", &folder.display().to_string()]).expect("it comes back")),
                    None => {
                        let schema =
                            std::mem::ManuallyDrop::new(Schema { server: address.clone(), name: name.clone() });
                        schema.sql("SELECT pg_terminate_backend((holder::json ->> 'backend')::int) FROM accounts");
                    }
                }
            }
            Answer::Usual
        });
        // A server that comes back takes its time.
        let campaign = Campaign::on(schema, sends(3).replace("timeout: 1500ms", "timeout: 60s"), server);
        campaign.run().exits(0);
        campaign.server.delivered_once(3);
        assert_eq!(campaign.server.sends().len(), 3, "{end}: nothing was asked twice");
        let known =
            campaign.schema.sql("SELECT count(*) FROM events WHERE kind = 'accepted' AND msg_data_id IS NOT NULL");
        assert_eq!(known, "3", "{end}");
    }
}

#[test]
fn who_was_followed_by_another_writes_nothing_any_more() {
    in_each_language(|| {
        let Some(schema) = Schema::new() else { return };
        let (address, name) = (schema.server.clone(), schema.name.clone());
        let server = Fake::new(move |_, got| {
            if got.path.ends_with("/sendall") {
                let schema = std::mem::ManuallyDrop::new(Schema { server: address.clone(), name: name.clone() });
                schema.sql("UPDATE accounts SET epoch = epoch + 1");
            }
            Answer::Usual
        });
        let campaign = Campaign::on(schema, sends(2), server);
        let ran = campaign.run();
        assert!(matches!(ran.code, 6..=8), "{}", ran.stderr);
        ran.says("another run has taken over the account");
        assert_eq!(campaign.server.sends().len(), 1);
        assert_eq!(campaign.schema.sql("SELECT string_agg(kind, ',' ORDER BY number) FROM events"), "attempted");
        // The next run asks under the same name.
        let campaign = Campaign { server: Fake::usual(), ..campaign };
        campaign.run().exits(0);
    });
}

#[test]
fn a_server_that_loses_what_it_says_to_have_is_refused() {
    in_each_language(|| {
        let Some(server) = Crashing::new() else { return };
        let campaign = Campaign::on(Schema::on(&server.address), one(), Fake::usual());
        let set = |setting: &str| {
            campaign.schema.sql(&format!("ALTER SYSTEM SET {setting}"));
            server.restart();
        };
        set("fsync = off");
        campaign.run().exits(4).says("`fsync` is off on the server");
        set("fsync = on");
        set("full_page_writes = off");
        campaign.run().exits(4).says("`full_page_writes` is off on the server");
        campaign.schema.sql("ALTER SYSTEM RESET ALL");
        server.restart();
        assert!(campaign.server.sends().is_empty());
        let latin = "DROP DATABASE IF EXISTS latin";
        campaign.schema.sql(latin);
        campaign.schema.sql("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        let address = campaign.schema.address().replace("/postgres?", "/latin?");
        campaign.run_on(&address).exits(4).says("the encoding of the database is LATIN1");
        campaign.schema.sql(latin);
        campaign.run().exits(0);
    });
}

#[test]
fn a_commit_that_waits_for_a_standby_is_waited_for_half_a_minute() {
    let Some(server) = Crashing::new() else { return };
    let campaign = Campaign::on(Schema::on(&server.address), one(), Fake::usual());
    campaign.case.run(&["state", "migrate", "--state", &campaign.schema.address()]).exits(0);
    campaign.schema.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.restart();
    campaign.run().exits(4).says("no answer within 30 s");
    assert!(campaign.server.sends().is_empty());
    campaign.schema.sql("ALTER SYSTEM RESET ALL");
    server.restart();
    campaign.run().exits(0);
}
