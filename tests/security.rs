//! What `docs/security.md` says of hostile plans, where no plan of `tests/plans/err` says it already.

use serde_json::json;

use crate::support::{Answer, Case, Fake, Got, SECRET, TOKEN, hear, in_each_language, plan, repository, send};

#[test]
fn only_a_real_run_needs_the_secret() {
    let case = Case::new().no_env("WECHAT_SECRET").file(
        "plan.yaml",
        "version: 1
name: stranger
account: { kind: service, appid: wx0123456789abcdef, secret: { command: [touch, taken] } }
steps:
  - { id: a, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: 你好 } }
",
    );
    for args in [
        vec!["validate", "plan.yaml"],
        vec!["render", "plan.yaml", "--out", "rendered"],
        vec!["render", "plan.yaml", "--check", "rendered"],
        vec!["audience", "plan.yaml", "a"],
        vec!["run", "plan.yaml", "--sandbox"],
        vec!["status", "plan.yaml"],
    ] {
        case.run(&args).exits(0);
        assert!(!case.path("taken").exists(), "{args:?} ran the command of the secret");
    }
    // Nobody listens there; the secret was asked for before.
    case.run(&["run", "plan.yaml", "--yes", "--api-base", "http://127.0.0.1:9"]);
    assert!(case.path("taken").exists());
}

/// A step for each field of a plan that names a file, with the path in it.
fn naming(path: &str) -> Vec<(&'static str, String)> {
    let path = format!("'{path}'");
    let send =
        |to: &str, message: &str| format!("  - {{ id: a, action: send_by_tag, to: {to}, message: {message} }}\n");
    let people = |to: &str| format!("  - {{ id: a, action: send_by_openid, to: {to}, message: {{ text: 你好 }} }}\n");
    let draft = |article: &str| format!("  - {{ id: a, action: create_draft, articles: [{article}] }}\n");
    vec![
        ("text", send("{ tag_id: 2 }", &format!("{{ text: {{ file: {path} }} }}"))),
        ("audience", people(&format!("{{ file: {path} }}"))),
        ("one of several audiences", people(&format!("{{ file: [people.txt, {path}] }}"))),
        ("exclude", people(&format!("{{ file: people.txt, exclude: {path} }}"))),
        (
            "rows",
            format!(
                "  - {{ id: a, action: send_by_tag, foreach: {{ file: {path} }}, key: '{{{{ row.k }}}}', to: {{ tag_id: 2 }}, message: {{ text: 你好 }} }}\n"
            ),
        ),
        ("picture", format!("  - {{ id: a, action: upload_image, file: {path} }}\n")),
        ("material", format!("  - {{ id: a, action: upload_material, type: image, file: {path} }}\n")),
        ("article", draft(&format!("{{ title: t, cover: cover.png, file: {path} }}"))),
        ("cover", draft(&format!("{{ title: t, cover: {path}, content: 你好 }}"))),
        ("theme", draft(&format!("{{ title: t, cover: cover.png, content: 你好, theme: {path} }}"))),
    ]
}

#[test]
fn a_plan_cannot_name_what_is_no_content() {
    in_each_language(|| {
        let case = Case::new()
            .file(".git/config", "HIDDEN-WORDS\n")
            .file(".env", "HIDDEN-WORDS\n")
            .file("a/.ssh/config", "HIDDEN-WORDS\n")
            .file("ops/appsecret.txt", format!("{SECRET}\n"))
            .file("ops/deploy.pem", "HIDDEN-WORDS\n")
            .file("a/notes.txt", "\n-----BEGIN OPENSSH PRIVATE KEY-----\nHIDDEN-WORDS\n")
            .file("store/ledger.db", "HIDDEN-WORDS\n")
            .file("store/ledger.db.tokens", "HIDDEN-WORDS\n")
            .file("people.txt", "oA\noB\noC\n")
            .file("cover.png", std::fs::read(repository().join("tests/plans/files/cover.png")).expect("a picture"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(".env", case.path("plain.txt")).expect("a link");
            std::os::unix::fs::symlink(".git", case.path("folder")).expect("a link");
            std::os::unix::fs::symlink("ops/appsecret.txt", case.path("also.txt")).expect("a link");
            std::fs::hard_link(case.path("ops/appsecret.txt"), case.path("hard.txt")).expect("a link");
        }
        let linked: &[&str] = if cfg!(unix) { &["plain.txt", "folder/config", "also.txt", "hard.txt"] } else { &[] };
        let written = [
            ".git/config",
            "./.git/config",
            "a/../.git/config",
            ".GIT/CONFIG",
            ".git./config",
            ".git\\config",
            "a\\.ssh\\config",
            " .git/config",
            "\u{200b}.git/config",
            ".git/not-there",
            ".env",
            "a/.ssh/config",
            ".qunfa/state.db.tokens",
            "ops/appsecret.txt",
            "./ops//../ops/appsecret.txt",
            "ops/deploy.pem",
            "a/notes.txt",
            "store/ledger.db",
            "store/ledger.db.tokens",
            "store/../store/ledger.db",
        ];
        let endings = ["txt", "csv", "md", "css"].map(|ending| [format!(".a/f.{ending}"), format!("store/f.{ending}")]);
        let endings: Vec<String> = endings.into_iter().flatten().collect();
        endings.iter().for_each(|path| case.write(path, "HIDDEN-WORDS\n"));
        let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
        let server = Fake::usual();
        let mut times = std::collections::HashMap::new();
        for path in written.iter().chain(linked).chain(&endings) {
            for (field, steps) in naming(path) {
                case.write("plan.yaml", plan(&steps).replace("{ env: WECHAT_SECRET }", "{ file: ops/appsecret.txt }"));
                let state = ["--state", "sqlite:store/ledger.db"];
                let ran = case.run(&[&["run", "plan.yaml", "--yes", "--api-base", &server.base][..], &state].concat());
                assert_eq!(ran.code, 3, "{field} {path}: {}", ran.stderr);
                hear(&ran.stderr);
                // Some fields take names with certain endings only, and say so first.
                let refused = ran.stderr.contains("[Q608]");
                assert!(
                    refused || ran.stderr.contains("[Q205]") || ran.stderr.contains("[Q204]"),
                    "{field} {path}: {}",
                    ran.stderr
                );
                if refused {
                    *times.entry(field).or_insert(0) += 1;
                }
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert!(!said.contains("HIDDEN") && !said.contains(SECRET), "{field} {path}: {said}");
            }
        }
        assert!(server.got().is_empty());
        let fields = naming("").into_iter().map(|(field, _)| field);
        assert!(fields.clone().all(|field| times.get(field).is_some_and(|times| *times >= 2)), "{times:?}");
    });
}

#[cfg(unix)]
#[test]
fn templates_and_accounts_that_are_no_content_are_not_read() {
    in_each_language(|| {
        let case = Case::new()
            .file(".env", "HIDDEN-WORDS\n")
            .file("secrets/wechat", format!("\u{feff}{SECRET}\r\n"))
            .file("templates/own.txt", "你好")
            .file(
                "accounts/main.yaml",
                "kind: service\nappid: wx0123456789abcdef\nsecret: { file: ../secrets/wechat }\n",
            );
        std::os::unix::fs::symlink("../.env", case.path("templates/env.txt")).expect("a link");
        std::os::unix::fs::symlink("../secrets/wechat", case.path("templates/secret.txt")).expect("a link");
        let with = |text: &str| {
            let send =
                format!("  - {{ id: a, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: \"{text}\" }} }}\n");
            let (head, steps) =
                plan(&send).split_once("account:").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("both");
            case.write(
                "plan.yaml",
                format!("{head}account: accounts/main.yaml\n{}", &steps[steps.find('\n').expect("a line") + 1..]),
            );
        };
        for how in [
            "{% include 'env.txt' %}",
            "{% include 'secret.txt' %}",
            "{% import 'env.txt' as e %}x",
            "{% extends 'secret.txt' %}",
        ] {
            with(how);
            let ran = case.run(&["render", "plan.yaml"]).exits(3).says("is not content");
            assert!(!ran.stderr.contains("HIDDEN") && !ran.stderr.contains(SECRET), "{how}: {}", ran.stderr);
        }
        with("{% include 'own.txt' %}");
        case.run(&["validate", "plan.yaml"]).exits(0);
        // The secret of a file: without the mark at its beginning and the end of its line.
        let server = Fake::usual();
        case.against(&server, &[]).exits(0);
        assert_eq!(server.calls("stable_token")[0].json()["secret"], SECRET);
        case.write(".accounts/main.yaml", case.read("accounts/main.yaml"));
        case.write("plan.yaml", case.read("plan.yaml").replace("accounts/main", ".accounts/main"));
        case.run(&["validate", "plan.yaml"]).exits(3).says("[Q608]");
    });
}

#[test]
fn nothing_is_sent_that_holds_a_secret() {
    in_each_language(|| {
        // In words, escaped, packed, in a file that is uploaded, and in its name.
        let base64 = "czNjcmV0LXMzY3JldC1zM2NyZXQtczNjcmV0";
        let escaped = SECRET.replace('-', "%2D");
        for text in [SECRET, base64, &escaped] {
            let case = Case::new()
                .file("plan.yaml", plan(&send("first")) + &send("second").replace("你好", &format!("密钥 {text}")));
            let server = Fake::usual();
            let ran = case
                .against(&server, &["--report", "json=report.json"])
                .exits(9)
                .says("step `second`")
                .says("contains a secret");
            assert!(server.got().is_empty(), "not even the first step: {:?}", server.got());
            assert!(!ran.stderr.contains(text), "{}", ran.stderr);
        }
        let upload = |name: &str| plan(&format!("  - {{ id: a, action: upload_image, file: {name} }}\n"));
        let mut picture = std::fs::read(repository().join("tests/plans/files/cover.png")).expect("a picture");
        let named =
            Case::new().file("plan.yaml", upload(&format!("{SECRET}.png"))).file(&format!("{SECRET}.png"), &picture);
        let server = Fake::usual();
        named.against(&server, &[]).exits(9);
        // Between the header of a png and its pixels: a comment.
        let comment =
            [&(SECRET.len() as u32 + 2).to_be_bytes()[..], b"tEXt", b"c\0", SECRET.as_bytes(), b"\0\0\0\0"].concat();
        picture.splice(33..33, comment);
        let inside = Case::new().file("plan.yaml", upload("a.png")).file("a.png", picture);
        inside.against(&server, &[]).exits(9);
        assert!(server.got().is_empty(), "{:?}", server.got());
    });
}

#[test]
fn nothing_is_sent_that_holds_the_token() {
    in_each_language(|| {
        let text = send("second").replace("你好", &format!("令牌 {TOKEN}"));
        let case = Case::new().file("plan.yaml", plan(&(send("first") + &text)));
        let server = Fake::usual();
        case.against(&server, &[]).exits(6).says("contains a secret");
        assert_eq!(server.sends().len(), 1, "the token is known only when the first call is to be made");
        for (path, bytes) in case.left_behind().into_iter().filter(|(path, _)| !path.ends_with("plan.yaml")) {
            assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()), "{}", path.display());
        }
        // A token from outside is known from the start.
        let given = plan(&text).replace("secret: { env: WECHAT_SECRET }", "access_token: { env: KEPT }");
        let given = Case::new().env("KEPT", TOKEN).file("plan.yaml", given);
        given.against(&server, &[]).exits(9);
        assert_eq!(server.sends().len(), 1);
    });
}

#[test]
fn what_a_server_says_is_kept_up_to_a_bound() {
    in_each_language(|| {
        let told = |words: String| {
            move |_: usize, got: &Got| match got.path.ends_with("/sendall") {
                true => Answer::Json(json!({ "errcode": 40003, "errmsg": words })),
                false => Answer::Usual,
            }
        };
        // The secret stands across the bound: it is taken out before the rest is.
        let words = format!("{}{SECRET}{}", "春".repeat(1361), "x".repeat(1 << 20));
        let server = Fake::new(told(words));
        let case = Case::new().file("plan.yaml", plan(&send("one")));
        let ran = case.against(&server, &["--format", "json"]).exits(5).says("more bytes)");
        let said = ran.json()["steps"][0]["calls"][0]["errmsg"].as_str().expect("words").to_owned();
        assert!(said.len() < 4200 && said.contains("***"), "{} {said}", said.len());
        assert!(!said.contains(&SECRET[..4]), "{said}");
        assert!(ran.stderr.len() < 20_000, "{}", ran.stderr.len());
        let kept: u64 = case.left_behind().iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert!(kept < 600_000, "{kept} bytes are kept");
        let token = Fake::new(|_, got| match got.path.ends_with("token") {
            true => Answer::Json(json!({ "access_token": "t".repeat(5000), "expires_in": 7200 })),
            false => Answer::Usual,
        });
        Case::new()
            .file("plan.yaml", plan(&send("one")))
            .against(&token, &[])
            .exits(5)
            .says("the answer contains no token");
    });
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    const LOST: &str = "fedcba9876543210fedcba9876543210";
    let account = |members: &str| format!("{{ kind: service, appid: wx0123456789abcdef, {members} }}");
    let fine = "secret: { env: A }";
    for (members, code) in [
        (format!("token: {LOST}, {fine}"), "Q204"),
        (format!("token: [{LOST}], {fine}"), "Q203"),
        (format!("token: {{ env: {LOST} }}, {fine}"), "Q203"),
        (format!("secret: {LOST}"), "Q801"),
        (format!("secret: {{ env: {} }}", LOST.replace('0', "a")), "Q801"),
        (format!("secret: {{ file: {LOST} }}"), "Q801"),
        (format!("access_token: {{ env: {} }}", "aB_-".repeat(30)), "Q801"),
        (format!("key: {LOST}, {fine}"), "Q201"),
        (format!("refresh_token: {LOST}, {fine}"), "Q201"),
        (format!("component: {LOST}, {fine}"), "Q203"),
        (format!("component: {{ appid: wx0123456789abcdef, secret: {LOST}, ticket: [{LOST}] }}"), "Q801"),
        (format!("component: {{ refresh_token: {{ env: {LOST} }}, ticket: {{ file: {LOST} }} }}"), "Q801"),
        (format!("component: {{ verify_ticket: {LOST} }}"), "Q201"),
        (format!("proxy: http://u:{LOST}@proxy.example.com:1, {fine}"), "Q801"),
        (format!("encodingAESKey: {LOST}, {fine}"), "Q201"),
        (format!("appid: {LOST}, {fine}").replace("appid", "app_id"), "Q201"),
    ] {
        let own = Case::new().file("plan.yaml", plan(&send("one"))).file("a.yaml", account(&members));
        let text = own.read("plan.yaml");
        let line = text.lines().find(|line| line.starts_with("account:")).expect("it has one");
        own.write("plan.yaml", text.replace(line, "account: a.yaml"));
        own.write("inline.yaml", text.replace(line, &format!("account: {}", account(&members))));
        for (file, args) in [
            ("plan.yaml", vec!["validate"]),
            ("inline.yaml", vec!["validate"]),
            ("inline.yaml", vec!["validate", "--format", "json"]),
            ("inline.yaml", vec!["run", "--sandbox"]),
            ("inline.yaml", vec!["fmt", "--check"]),
        ] {
            if args[0] == "fmt" && ["key:", "app_id:"].iter().any(|key| members.starts_with(key)) {
                continue; // its own lines, of a key that says nothing of a secret
            }
            let ran = own.run(&[&args[..], &[file]].concat());
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(args[0] == "fmt" || said.contains(code), "{members} {file}: {said}");
            for part in [LOST, &LOST.replace('0', "a"), "aB_-aB_-"] {
                assert!(!said.contains(&part[..8]), "{members} {file} {args:?}: {said}");
            }
        }
    }
}

/// What is in a folder.
fn names(case: &Case, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(case.path(folder)).expect("a folder");
    let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}

#[test]
fn a_rendering_touches_nothing_but_an_earlier_one() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(&(send("one") + &send("two")))).file("out/README.md", "mine");
        case.run(&["render", "plan.yaml", "--out", "out"]).exits(0);
        case.write("out/009-mine.1.json", "mine");
        case.write("plan.yaml", plan(&send("other")));
        case.run(&["render", "plan.yaml", "--out", "out"]).exits(0);
        assert_eq!(names(&case, "out"), ["001-other.1.json", "009-mine.1.json", "README.md", "manifest.json"]);
        // A file of somebody else where one is to be written.
        case.write("plan.yaml", plan(&send("third")));
        case.write("out/001-third.1.json", "mine");
        let before = names(&case, "out");
        case.run(&["render", "plan.yaml", "--out", "out"]).exits(9).says("001-third.1.json");
        case.write(
            "elsewhere/manifest.json",
            "{\"name\": \"an extension of a browser\", \"requests\": [{\"file\": \"001-a.1.json\"}]}",
        );
        case.write("elsewhere/001-a.1.json", "mine");
        case.run(&["render", "plan.yaml", "--out", "elsewhere"]).exits(9).says("manifest.json");
        assert_eq!((names(&case, "out"), case.read("out/001-third.1.json").as_str()), (before, "mine"));
        assert_eq!(names(&case, "elsewhere"), ["001-a.1.json", "manifest.json"]);
    });
}

#[test]
fn a_manifest_that_somebody_wrote_leads_nowhere() {
    in_each_language(|| {
        let case = Case::new()
            .file("plan.yaml", plan(&send("one")))
            .file("001-kept.1.json", "mine")
            .file("out/.env.json", "mine");
        case.write("out/notes.json", "mine");
        let absolute = case.path("001-kept.1.json").display().to_string();
        let entries = [
            "../001-kept.1.json",
            &absolute,
            "./../001-kept.1.json",
            "..\\001-kept.1.json",
            ".env.json",
            "notes.json",
            "",
            "..",
            "001-/../../001-kept.1.json",
        ];
        let entries: Vec<_> = entries.iter().map(|name| json!({ "file": name })).collect();
        case.write("out/manifest.json", json!({ "digest": "sha256:0", "requests": entries }).to_string());
        case.run(&["render", "plan.yaml", "--out", "out"]).exits(0);
        assert_eq!(case.read("001-kept.1.json"), "mine");
        assert_eq!(names(&case, "out"), [".env.json", "001-one.1.json", "manifest.json", "notes.json"]);
        #[cfg(unix)]
        for linked in ["001-one.1.json", "manifest.json", "002-old.1.json"] {
            let entries = json!([{ "file": "001-one.1.json" }, { "file": "002-old.1.json" }]);
            case.write("out/manifest.json", json!({ "digest": "sha256:0", "requests": entries }).to_string());
            let _ = std::fs::remove_file(case.path(&format!("out/{linked}")));
            case.write("target.json", json!({ "digest": "sha256:0", "requests": entries }).to_string());
            let target = case.read("target.json");
            std::os::unix::fs::symlink("../target.json", case.path(&format!("out/{linked}"))).expect("a link");
            case.run(&["render", "plan.yaml", "--out", "out"]).exits(9).says(linked);
            assert_eq!(case.read("target.json"), target, "{linked}");
            std::fs::remove_file(case.path(&format!("out/{linked}"))).expect("ours");
        }
    });
}

/// A plan against WeChat's own address, which is asked for through a proxy on this machine alone.
fn through(proxy: &str, args: &[&str]) -> crate::support::Ran {
    let text = plan(&send("one"));
    let case = Case::new().file("plan.yaml", text.replace("attempts: 3", "attempts: 1"));
    case.env("HTTPS_PROXY", proxy).run(args)
}

#[test]
fn a_proxy_that_cannot_be_used_is_an_error() {
    in_each_language(|| {
        for bad in ["ftp://127.0.0.1:1", "http://", "socks9://127.0.0.1:1", "http://user:hunter2-hunter2@:80"] {
            let ran =
                through(bad, &["run", "plan.yaml", "--yes"]).exits(4).says("the proxy in `HTTPS_PROXY` is not valid");
            assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        }
        // Nobody listens there: it is the proxy that is not reached. Its password is not shown.
        let closed = "http://user:hunter2-hunter2@127.0.0.1:9";
        for args in [&["run", "plan.yaml", "--yes"][..], &["doctor", "plan.yaml"]] {
            let ran = through(closed, args).exits(5).says("proxy 127.0.0.1:9 (HTTPS_PROXY)");
            assert!(!ran.stderr.contains("hunter2") && !ran.stdout.contains("hunter2"), "{}{}", ran.stdout, ran.stderr);
        }
    });
}

/// A plan whose account has a proxy of its own, which the environment's would lead nowhere.
fn through_own(proxy: &str, args: &[&str]) -> crate::support::Ran {
    let text =
        plan(&send("one")).replace("attempts: 3", "attempts: 1").replace("resend_after: 1ms", "resend_after: 60s");
    let text = text.replace("secret: {", &format!("proxy: {proxy}, secret: {{"));
    let case = Case::new().file("plan.yaml", text).file("proxy", "socks5h://user:hunter2-hunter2@127.0.0.1:9\n");
    let case =
        case.env("OWN_PROXY", "http://user:hunter2-hunter2@127.0.0.1:9").env("BAD_PROXY", "ftp://hunter2-hunter2");
    case.env("HTTPS_PROXY", "http://127.0.0.1:7").env("NO_PROXY", "*").run(args)
}

#[test]
fn an_accounts_own_proxy_counts_before_the_environments() {
    in_each_language(|| {
        for proxy in ["{ env: OWN_PROXY }", "{ file: proxy }", "http://127.0.0.1:9", "socks5h://127.0.0.1:9"] {
            for args in
                [&["run", "plan.yaml", "--yes"][..], &["doctor", "plan.yaml"], &["token", "refresh", "plan.yaml"]]
            {
                let ran = through_own(proxy, args).exits(5).says("proxy 127.0.0.1:9 (account)");
                assert!(
                    !ran.stderr.contains("hunter2") && !ran.stdout.contains("hunter2"),
                    "{}{}",
                    ran.stdout,
                    ran.stderr
                );
            }
        }
        for (proxy, words) in [
            ("{ env: BAD_PROXY }", "the account's `proxy` is not valid"),
            ("{ env: NO_SUCH_PROXY }", "no proxy: the environment variable `NO_SUCH_PROXY` is not set"),
        ] {
            let ran = through_own(proxy, &["run", "plan.yaml", "--yes"]).exits(4).says(words);
            assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
            ran.prints(&format!("proxy-{}", &proxy[7..9].to_lowercase()));
            // A rehearsal goes straight.
            through_own(proxy, &["run", "plan.yaml", "--sandbox"]).exits(0);
        }
        let ran =
            through_own("http://user:hunter2-hunter2@127.0.0.1:9", &["validate", "plan.yaml"]).exits(3).says("[Q801]");
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        let (port, served) = listener(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            [|bytes| bytes.ends_with(b"\r\n\r\n"), |_| false],
        );
        through_own(&format!("http://127.0.0.1:{port}"), &["token", "refresh", "plan.yaml"]).exits(5).says("proxy");
        let asked = served.join().expect("served");
        assert!(asked[0].starts_with(b"CONNECT api.weixin.qq.com:443 HTTP/1.1\r\n"), "{asked:?}");
    });
}

/// Reads on a port until the first bytes are whole, answers, and reads until the second are, or until the other side ends.
fn listener(answer: &'static [u8], whole: [fn(&[u8]) -> bool; 2]) -> (u16, std::thread::JoinHandle<[Vec<u8>; 2]>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        whole.map(|whole| {
            let (mut bytes, mut byte) = (Vec::new(), [0]);
            while !whole(&bytes) && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                bytes.push(byte[0]);
            }
            let _ = stream.write_all(answer);
            bytes
        })
    });
    (port, served)
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_and_told_no_secret() {
    in_each_language(|| {
        let (port, served) = listener(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            [|bytes| bytes.ends_with(b"\r\n\r\n"), |_| false],
        );
        through(&format!("http://127.0.0.1:{port}"), &["token", "refresh", "plan.yaml"]).exits(5).says("proxy");
        let asked = served.join().expect("served");
        assert!(asked[0].starts_with(b"CONNECT api.weixin.qq.com:443 HTTP/1.1\r\n"), "{asked:?}");
        assert!(!asked.concat().windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
        // SOCKS 5: a greeting without a password; then the name, which the proxy is to look up.
        let (port, served) = listener(
            b"\x05\x00",
            [
                |bytes| bytes.len() >= 2 && bytes.len() == 2 + usize::from(bytes[1]),
                |bytes| bytes.ends_with(b"api.weixin.qq.com"),
            ],
        );
        through(&format!("socks5h://127.0.0.1:{port}"), &["token", "refresh", "plan.yaml"]).exits(5).says("proxy");
        let asked = served.join().expect("served");
        assert_eq!(asked[0].first(), Some(&5), "{asked:?}");
        assert!(asked[1].windows(17).any(|part| part == b"api.weixin.qq.com"), "{asked:?}");
        assert!(!asked.concat().windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    });
}
