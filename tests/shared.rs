//! What several do at once over one PostgreSQL, and what stands between it and them: first runs, copies, poolers.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Barrier},
};

use qunfa::ledger::postgres::FORMAT;

use crate::{
    postgres::Schema,
    support::{Answer, Case, Fake, in_each_language, plan, send},
};

fn one() -> String {
    plan(&send("one"))
}

#[test]
fn two_first_runs_at_once_make_the_tables_once() {
    for round in 0..20 {
        let Some(schema) = Schema::plain() else { return };
        let other = one().replace("wx0123456789abcdef", "wxfedcba9876543210");
        let (case, fake) = (Case::new().file("plan.yaml", one()).file("other.yaml", other), Fake::usual());
        let state = schema.address();
        let run = |plan| case.spawn(&["run", plan, "--yes", "--quiet", "--api-base", &fake.base, "--state", &state]);
        let doctor = case.spawn(&["state", "migrate", "--state", &state]);
        let both = [run("plan.yaml"), run("other.yaml"), doctor];
        for ran in both.map(Case::finish) {
            assert_eq!((ran.code, ran.stderr.contains("error")), (0, false), "round {round}: {}", ran.stderr);
        }
        assert_eq!(
            schema.sql("SELECT count(*), max(version) FROM format"),
            format!("{FORMAT}|{FORMAT}"),
            "round {round}"
        );
        fake.delivered_once(2);
    }
}

/// A server that holds a send until it is told to go on: who waits there, and who lets it go.
fn holding() -> (Fake, Arc<Barrier>, Arc<Barrier>) {
    let (reached, gate) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (there, opens) = (Arc::clone(&reached), Arc::clone(&gate));
    let mut first = true;
    let fake = Fake::new(move |_, got| {
        if got.path.ends_with("/sendall") && std::mem::take(&mut first) {
            there.wait();
            opens.wait();
        }
        Answer::Usual
    });
    (fake, reached, gate)
}

#[test]
fn a_ledger_is_not_copied_while_a_run_writes_it() {
    in_each_language(|| {
        for to_server in [true, false] {
            let Some(schema) = Schema::plain() else { return };
            let (file, server) = ("sqlite:.qunfa/state.db".to_owned(), schema.address());
            let (from, to) = if to_server { (file, server) } else { (server, "sqlite:copy.db".to_owned()) };
            let (fake, reached, gate) = holding();
            let case = Case::new().file("plan.yaml", one().replace("timeout: 1500ms", "timeout: 60s"));
            let args = ["run", "plan.yaml", "--yes", "--api-base", &fake.base, "--state", &from];
            let child = case.spawn(&args);
            reached.wait();
            case.run(&["state", "copy", &from, &to]).exits(8).says("is in use: process");
            gate.wait();
            Case::finish(child).exits(0);
            case.run(&["state", "copy", &from, &to]).exits(0).says("copied 1 run, 1 call, 2 events");
            case.run(&["run", "plan.yaml", "--yes", "--api-base", &fake.base, "--state", &to]).exits(0);
            fake.delivered_once(1);
        }
    });
}

#[test]
fn a_copy_that_is_killed_leaves_nothing() {
    let Some(schema) = Schema::plain() else { return };
    let rows: String = (0..400).map(|number| format!("{number}\n")).collect();
    let text = plan(
        "  - { id: a, action: send_by_tag, foreach: { file: rows.csv }, key: '{{ row.n }}', to: { tag_id: 2 }, message: { text: '第 {{ row.n }} 条' } }\n",
    )
    .replace("defaults: {", "defaults: { pace: { per_minute: 100000 },");
    let case = Case::new().file("plan.yaml", text).file("rows.csv", format!("n\n{rows}"));
    let fake = Fake::usual();
    case.against(&fake, &["--quiet"]).exits(0);
    let to = schema.address();
    let copy = ["state", "copy", "sqlite:.qunfa/state.db", &to];
    case.run(&["state", "migrate", "--state", &to]).exits(0);
    let is_copying =
        "SELECT count(*) FROM pg_locks WHERE relation = 'calls'::regclass AND mode = 'ShareRowExclusiveLock'";
    let mut killed = 0;
    for _ in 0..5 {
        let mut child = case.spawn(&copy);
        while schema.sql(is_copying) == "0" && child.try_wait().expect("a child").is_none() {}
        let in_the_middle = child.try_wait().expect("a child").is_none() && child.kill().is_ok();
        child.wait().expect("it is gone");
        if in_the_middle {
            killed += 1;
            while schema.sql(is_copying) != "0" {}
            let left = schema.sql("SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM runs)");
            assert_eq!(left, "0", "something is left of a copy that was killed");
        } else {
            schema.sql("DELETE FROM events; DELETE FROM calls; DELETE FROM runs");
        }
    }
    assert!(killed > 0, "no copy was killed in the middle");
    // The ledger that was to be copied is as it was, or says that it was copied.
    let ran = case.against(&fake, &[]);
    assert!(matches!(ran.code, 0 | 8), "{}", ran.stderr);
    if ran.code == 0 {
        case.run(&copy).exits(0);
        assert_eq!(schema.sql("SELECT count(*) FROM calls"), "400");
    }
    assert_eq!(fake.sends().len(), 400, "nothing was sent again");
}

#[test]
fn what_wechat_says_with_a_nul_in_it_is_recorded() {
    let Some(schema) = Schema::plain() else { return };
    let refused = || Answer::Json(serde_json::json!({ "errcode": 40003, "errmsg": "bad\u{0}openid rid: 1-2-3" }));
    let taken = serde_json::json!({ "errcode": 0, "errmsg": "ok\u{0}ok", "msg_id": 7, "msg_data_id": 8 });
    let fake = Fake::scripted("sendall", vec![refused(), Answer::Json(taken)]);
    let case = Case::new().file("plan.yaml", one());
    let state = schema.address();
    let args = ["run", "plan.yaml", "--yes", "--api-base", &fake.base, "--state", &state];
    case.run(&args).exits(5);
    case.run(&args).exits(0);
    case.run(&args).exits(0).says("already done");
    let said = schema.sql("SELECT string_agg(kind || ':' || coalesce(note, ''), ',' ORDER BY number) FROM events");
    assert_eq!(said, "attempted:,refused:badopenid rid: 1-2-3,attempted:,accepted:okok");
    assert_eq!(fake.sends().len(), 2);
}

#[test]
fn no_name_of_a_role_or_a_schema_is_a_statement() {
    let Some(schema) = Schema::plain() else { return };
    let case = Case::new().file("plan.yaml", one());
    let state = schema.address();
    case.run(&["state", "migrate", "--state", &state]).exits(0);
    let role = format!("x\"; DROP SCHEMA {} CASCADE; -- \\ $$ '", schema.name);
    schema.sql(&format!("CREATE ROLE \"{}\"", role.replace('"', "\"\"")));
    let grants = case.run(&["state", "grants", "--role", &role, "--state", &state]).exits(0);
    schema.sql(&grants.stdout);
    assert_eq!(schema.sql("SELECT count(*) FROM format"), FORMAT.to_string());
    let quoted = role.replace('"', "\"\"");
    schema.sql(&format!("DROP OWNED BY \"{quoted}\"; DROP ROLE \"{quoted}\""));
    let server = state.split("&schema=").next().expect("an address");
    for hostile in
        ["a%3BDROP", "a%22b", "a%00b", "a b", "A", "a-b", "%E7%BE%A4", "pg_catalog", "", "1a", &"a".repeat(64)]
    {
        let state = format!("{server}&schema={hostile}");
        let ran = case.run(&["state", "migrate", "--state", &state]).exits(2);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

/// A pgbouncer in front of the server for tests.
struct Pooler {
    child: Child,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Pooler {
    /// None where there is no such program, which is said loudly.
    fn new(schema: &Schema, mode: &str) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program else {
            let said = "\n\n*** pgbouncer is not installed: POOLERS ARE NOT TESTED (Debian: pgbouncer)\n\n";
            let _ = std::io::stderr().write_all(said.as_bytes());
            return None;
        };
        let address = schema.address();
        let target = address.split("@127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).expect("a port");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let users = folder.path().join("users.txt");
        std::fs::write(&users, "\"postgres\" \"\"\n").expect("writes");
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={target} dbname=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\nunix_socket_dir =\n",
            users.display()
        );
        std::fs::write(&settings, text).expect("writes");
        // It does not run as root.
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|us| std::os::unix::fs::MetadataExt::uid(&us) == 0);
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
            command
        } else {
            Command::new(program)
        };
        let child = command.arg(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut pooler = Self { child, _folder: folder, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(pooler.child.try_wait().expect("a child").is_none(), "pgbouncer ended");
        }
        Some(pooler)
    }

    /// The way to a schema through it.
    fn address(&self, schema: &Schema) -> String {
        let address = schema.address();
        let (before, rest) = address.split_once("@127.0.0.1:").expect("without TLS");
        format!("{before}@127.0.0.1:{}/{}", self.port, rest.split_once('/').expect("a database").1)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_pooler_of_transactions_is_refused_and_one_of_sessions_is_not() {
    in_each_language(|| {
        for (mode, code) in [("transaction", 4), ("session", 0)] {
            let Some(schema) = Schema::plain() else { return };
            let Some(pooler) = Pooler::new(&schema, mode) else { return };
            let (case, fake) = (Case::new().file("plan.yaml", one()), Fake::usual());
            let state = pooler.address(&schema);
            let run = || case.run(&["run", "plan.yaml", "--yes", "--api-base", &fake.base, "--state", &state]);
            let doctor = || case.run(&["doctor", "plan.yaml", "--api-base", &fake.base, "--state", &state]);
            // Over an empty database, and over one that has the tables.
            for round in 0..2 {
                let (ran, looked) = (run().exits(code), doctor().exits(code));
                if code == 4 {
                    ran.says("a pooler gives each transaction another session");
                    looked.says("a pooler gives each transaction another session");
                    if round == 0 {
                        case.run(&["state", "migrate", "--state", &schema.address()]).exits(0);
                    }
                }
            }
            assert_eq!(fake.sends().len(), usize::from(code == 0), "{mode}");
        }
    });
}
