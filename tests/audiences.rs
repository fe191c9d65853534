//! Who gets a message: files packed or not, followers that WeChat lists, people who are new, and what guards it.

use std::{io::Write as _, net::Ipv4Addr};

use qunfa::sandbox::{Audience, Config, Delivery, DeliveryKind, Sandbox, Tag};
use serde_json::json;

use crate::support::{Answer, Case, Fake, hear, in_both, in_each_language, plan, send};

fn people(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("o{number:027}\n")).collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).expect("in memory");
    packed.finish().expect("in memory")
}

/// Openids of each mass call, in order.
fn groups(server: &Fake) -> Vec<Vec<String>> {
    let openids = |got: &crate::support::Got| {
        let body = got.json();
        body["touser"].as_array().into_iter().flatten().map(|id| id.as_str().expect("text").to_owned()).collect()
    };
    server.sends().iter().map(openids).collect()
}

#[test]
fn several_files_of_every_kind_packed_or_not() {
    in_each_language(|| {
        let csv = "name,openid\n\"王, 五\",oC\n李四,oA\n";
        let case = Case::new()
        .file("plan.yaml", plan("  - { id: vip, action: send_by_openid, to: { file: [a.txt, b.csv.gz, c.jsonl], exclude: [x.txt.gz, y.txt] }, message: { text: 你好 } }\n"))
        .file("a.txt", "\u{feff}oA\r\n oB \r\n\r\n")
        .file("b.csv.gz", packed(csv))
        .file("c.jsonl", "{\"openid\":\"oD\"}\n{\"openid\":\"oE\"}\n")
        .file("x.txt.gz", packed("oD\n"))
        .file("y.txt", "oZ\n");
        let server = Fake::usual();
        case.against(&server, &[]).exits(0).says("1 openid appears more than once");
        assert_eq!(groups(&server), [["oA", "oB", "oC", "oE"]]);
        case.write("b.csv.gz", &packed(csv)[..20]);
        case.run(&["validate", "plan.yaml"]).exits(3).says("cannot decompress `b.csv.gz`");
    });
}

#[test]
fn what_is_known_of_an_audience() {
    in_each_language(|| {
        let steps =
        "  - { id: vip, action: send_by_openid, to: { file: people.txt, exclude: out.txt }, message: { text: 你好 } }
  - { id: tagged, action: send_by_openid, to: { tag: VIP, exclude: out.txt }, message: { text: 你好 } }\n";
        let case = Case::new()
            .file("plan.yaml", plan(steps))
            .file("people.txt", people(0..10_002) + "o000000000000000000000000001\n")
            .file("out.txt", people(5..7));
        let server = Fake::usual();
        let shown = |args: &[&str], name: &str| {
            in_both(|language, suffix| {
                let said = case.run(&[args, &["--lang", language]].concat()).exits(0).stdout;
                insta::assert_snapshot!(format!("{name}{suffix}"), said);
            });
        };
        shown(&["audience", "plan.yaml", "vip"], "audience-before");
        shown(&["audience", "plan.yaml", "tagged"], "audience-listed");
        case.against(&server, &["--only", "vip"]).exits(0);
        case.write("people.txt", people(2..10_003));
        let args = ["audience", "plan.yaml", "vip", "--api-base", &server.base];
        case.run(&args).exits(0).says("10,000 people in 1 call; 1 new, 2 gone since");
        shown(&args, "audience-after");
        let found = case.run(&[&args[..], &["--format", "json"]].concat()).exits(0).json();
        assert_eq!(found["sends"][0]["sent"], json!({ "people": 10_000, "calls": 1, "new": 1, "gone": 2 }));
        assert_eq!((&found["sends"][0]["people"], &found["sends"][0]["excluded"]), (&json!(9_999), &json!(2)));
        // The fingerprint is that of `sha256sum` over one openid a line.
        case.write("people.txt", "oA\noB\n");
        let found = case.run(&["audience", "plan.yaml", "vip", "--format", "json"]).exits(0).json();
        assert_eq!(
            found["sends"][0]["fingerprint"],
            "sha256:37ab469498aafdc8a0a76cc76d8455732c0f4c5162a074a188ddec277ec7c5b1"
        );
        case.run(&["audience", "plan.yaml", "vpi"]).exits(2).says("did you mean `vip`?");
    });
}

/// An account with so many followers, of whom the first carry the tag 100.
fn account(tagged: u64, fault: Option<&str>) -> Sandbox {
    let config = Config {
        followers: 30_000,
        tags: vec![Tag { id: 100, name: "VIP".into(), count: tagged }],
        faults: fault.into_iter().map(|fault| fault.parse().expect("a fault")).collect(),
        ..Config::default()
    };
    Sandbox::start((Ipv4Addr::LOCALHOST, 0).into(), config).expect("a free port")
}

fn reached(deliveries: Vec<Delivery>) -> Vec<String> {
    let mass = deliveries.into_iter().filter(|delivery| delivery.kind == DeliveryKind::Mass);
    mass.flat_map(|delivery| match delivery.audience {
        Audience::Openids(openids) => openids,
        other => panic!("{other:?}"),
    })
    .collect()
}

#[test]
fn followers_are_listed_frozen_and_sent_to_once() {
    in_each_language(|| {
        let steps =
            "  - { id: vip, action: send_by_openid, to: { tag: VIP, exclude: out.txt }, message: { text: 你好 } }\n";
        let listed =
            |server: &Sandbox| server.calls().iter().filter(|call| call.path.ends_with("/user/tag/get")).count();
        // Who they are is asked of the account first.
        let first: Vec<String> = {
            let server = account(3, None);
            let case = Case::new().file("plan.yaml", plan(&steps.replace(", exclude: out.txt", "")));
            case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base_url()]).exits(0);
            reached(server.deliveries())
        };
        assert_eq!(first.len(), 3);
        let case = Case::new().file("plan.yaml", plan(steps)).file("out.txt", format!("{}\noNobodyKnows\n", first[1]));
        let before = case.run(&["render", "plan.yaml"]).exits(0);
        hear(&before.stderr);
        assert!(before.stdout.contains("<the followers of tag VIP>"), "{}", before.stdout);
        let server = account(25_000, Some("45009@mass/send#2"));
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base_url()]).exits(6);
        assert!(listed(&server) >= 3, "page by page");
        let begun = reached(server.deliveries());
        assert_eq!(begun.len(), 10_000);
        // Meanwhile more people follow; the send goes on with those it began with, and asks for nobody.
        let later = account(26_000, None);
        let ran =
            case.run(&["run", "plan.yaml", "--yes", "--format", "json", "--api-base", &later.base_url()]).exits(0);
        assert_eq!(listed(&later), 0);
        let rest = reached(later.deliveries());
        let all: std::collections::BTreeSet<&String> = begun.iter().chain(&rest).collect();
        assert_eq!((begun.len() + rest.len(), all.len()), (24_999, 24_999), "everybody once");
        assert!(!all.contains(&first[1]), "who is excluded gets nothing");
        let report = ran.json();
        assert_eq!(report["steps"][0]["outputs"]["msg_ids"].as_array().map(Vec::len), Some(3));
        // Everybody, by another way; done is done.
        let case = Case::new().file(
            "plan.yaml",
            plan("  - { id: all, action: send_by_openid, to: { followers: true }, message: { text: 你好 } }\n"),
        );
        let server = account(3, None);
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base_url()]).exits(0);
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base_url()]).exits(0).says("already done");
        assert_eq!(reached(server.deliveries()).len(), 30_000);
    });
}

#[test]
fn a_list_that_cannot_be_had_sends_nothing() {
    in_each_language(|| {
        let steps = "  - { id: vip, action: send_by_openid, to: { tag_id: 100 }, message: { text: 你好 } }\n";
        let case = Case::new().file("plan.yaml", plan(steps));
        let server = account(25_000, Some("html@user/tag/get#2-"));
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base_url()])
            .exits(5)
            .says("cannot list the people of `vip`");
        assert!(reached(server.deliveries()).is_empty());
        let server = account(1, None);
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base_url()])
            .exits(5)
            .says("fewer than two people");
        let endless = Fake::new(|_, got| {
            let page = json!({ "count": 1, "data": { "openid": ["oA"] }, "next_openid": "oA" });
            if got.path.ends_with("/user/tag/get") { Answer::Json(page) } else { Answer::Usual }
        });
        case.against(&endless, &[]).exits(5).says("an invalid next page");
        assert!(endless.sends().is_empty());
        // The guard counts who was listed.
        let guarded = plan(steps).replace("steps:", "guards: { max_recipients: 20000 }\nsteps:");
        let (case, server) = (Case::new().file("plan.yaml", guarded), account(25_000, None));
        let args = ["run", "plan.yaml", "--yes", "--api-base", &server.base_url()];
        case.run(&args).exits(9).prints("guard-on-listed-people");
        assert!(reached(server.deliveries()).is_empty());
    });
}

#[test]
fn new_people_alone_get_what_was_sent() {
    in_each_language(|| {
        let steps = "  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 }, on_audience_change: send_new }
  - { id: look, action: check, of: vip }\n";
        let (case, server) =
            (Case::new().file("plan.yaml", plan(steps)).file("people.txt", people(0..5)), Fake::usual());
        case.against(&server, &[]).exits(0);
        case.against(&server, &[]).exits(0);
        assert_eq!(server.sends().len(), 1);
        // One new person is waited for; one that is gone changes nothing.
        case.write("people.txt", people(1..6));
        case.against(&server, &[]).exits(0).prints("one-is-new");
        assert_eq!(server.sends().len(), 1);
        case.write("people.txt", people(1..9));
        case.against(&server, &[]).exits(0).prints("new-people");
        let names = |range: std::ops::Range<u32>| people(range).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(groups(&server), [names(0..5), names(5..9)]);
        assert_eq!(server.calls("/mass/get").len(), 2, "the check covers the new call too");
        let keys: std::collections::BTreeSet<_> = server.delivered().into_keys().collect();
        assert_eq!(keys.len(), 2, "a call of its own has a name of its own");
        case.against(&server, &[]).exits(0);
        assert_eq!(server.sends().len(), 2);
        // The order of the file is no news, and who was sent to once is never new again.
        case.write("people.txt", people(3..9) + &people(0..3));
        case.against(&server, &[]).exits(0);
        assert_eq!(server.sends().len(), 2);
        // A message that changed is a conflict all the same.
        case.write("plan.yaml", plan(&steps.replace("你好", "再见")));
        case.against(&server, &[]).exits(8).says("text: `你好` before, `再见` now");
    });
}

#[test]
fn new_people_are_frozen_too() {
    let steps = "  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 }, on_audience_change: send_new }\n";
    let case = Case::new().file("plan.yaml", plan(steps)).file("people.txt", people(0..5));
    let answers = vec![Answer::Usual, Answer::DoneThen(Box::new(Answer::Close)), Answer::Close, Answer::Close];
    let server = Fake::scripted("/mass/send", answers);
    case.against(&server, &[]).exits(0);
    case.write("people.txt", people(0..8));
    case.against(&server, &[]).exits(7);
    // The file changes again while the second call is in doubt.
    case.write("people.txt", people(0..12));
    case.against(&server, &[]).exits(0);
    case.against(&server, &[]).exits(0);
    let names = |range: std::ops::Range<u32>| people(range).lines().map(str::to_owned).collect::<Vec<_>>();
    let sent = groups(&server);
    assert_eq!((&sent[0], &sent[1], sent.last()), (&names(0..5), &names(5..8), Some(&names(8..12))));
    server.delivered_once(3);
}

#[test]
fn an_audience_is_held_against_the_edition_before() {
    in_each_language(|| {
        let text = plan("  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n")
            .replace(
                "steps:",
                "occurrence: '{{ vars.edition }}'\nvars: { edition: one }\nguards:\n  max_change_percent: 20\nsteps:",
            );
        let (case, server) = (Case::new().file("plan.yaml", &text).file("people.txt", people(0..10)), Fake::usual());
        case.against(&server, &[]).exits(0);
        for (count, exit) in [(13, 9), (7, 9), (12, 0)] {
            case.write("people.txt", people(0..count));
            let ran = case.against(&server, &["--var", "edition=two"]).exits(exit);
            if exit == 9 {
                ran.says("guard `max_change_percent` (plan.yaml:8) refused the run").says("edition `one` reached 10");
            }
        }
        assert_eq!(server.sends().len(), 2);
        // Twelve are the measure from now on; what goes on within an edition is not measured.
        case.write("people.txt", people(0..14));
        case.against(&server, &["--var", "edition=three"]).exits(0);
        // A tag counts with the size that WeChat tells.
        let text = text
            .replace("action: send_by_openid, to: { file: people.txt }", "action: send_by_tag, to: { tag_id: 134 }");
        let (case, mut size) = (Case::new().file("plan.yaml", text), 1000);
        let server = Fake::new(move |_, got| {
            if got.path.ends_with("/tags/get") {
                size += 300;
                return Answer::Json(json!({ "tags": [{ "id": 134, "name": "VIP", "count": size }] }));
            }
            Answer::Usual
        });
        case.against(&server, &[]).exits(0);
        case.against(&server, &["--var", "edition=two"]).exits(9).says("would reach 1,600 people").says("(+23 %)");
        assert_eq!(server.sends().len(), 1);
    });
}

#[test]
fn committed_renderings_are_compared() {
    in_each_language(|| {
        let text = plan(
            &(send("one")
                + "  - { id: vip, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: 你好 } }\n"),
        );
        let case = Case::new().file("plan.yaml", &text);
        case.run(&["render", "plan.yaml", "--check", "out"]).exits(4).says("qunfa render plan.yaml --out out");
        for format in ["json", "http"] {
            case.run(&["render", "plan.yaml", "--out", "out", "--format", format]).exits(0);
            // Layout, comments and the order of keys are no difference.
            case.write(
                "plan.yaml",
                format!(
                    "# a comment\n{}",
                    text.replace("id: one, action: send_by_tag,", "action: send_by_tag, id: one,")
                ),
            );
            case.run(&["render", "plan.yaml", "--check", "out"]).exits(0).says("2 requests, unchanged, sha256:");
            case.write("plan.yaml", text.replace("openids: [oA, oB]", "openids: [oA, oC, oB]"));
            in_both(|language, suffix| {
                let ran = case.run(&["render", "plan.yaml", "--check", "out", "--lang", language]).exits(9);
                let said = format!("{}--- stderr\n{}", ran.stdout, ran.stderr);
                insta::assert_snapshot!(format!("check-{format}{suffix}"), said);
            });
            case.write("plan.yaml", plan(&send("one")));
            case.run(&["render", "plan.yaml", "--check", "out"]).exits(9).says("no longer makes this request");
            case.write("plan.yaml", &text);
        }
    });
}

#[test]
fn the_digest_is_that_of_what_is_sent() {
    let base = plan("  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n");
    let case = Case::new().file("plan.yaml", &base).file("people.txt", "oA\noB\n");
    let digest = || case.run(&["render", "plan.yaml"]).exits(0).json()["digest"].as_str().expect("text").to_owned();
    let first = digest();
    let same = [
        format!("# 注释\n{base}\n# end\n"),
        base.replace("id: vip, action: send_by_openid,", "action: send_by_openid, description: 给 VIP, id: vip,"),
        base.replace("message: { text: 你好 }", "message: {\n      text: \"你好\" }"),
    ];
    for text in same {
        case.write("plan.yaml", &text);
        assert_eq!(digest(), first, "{text}");
    }
    for (from, to) in [
        ("你好", "你好。"),
        ("id: vip", "id: all"),
        ("wx0123456789abcdef", "wx0123456789abcdee"),
        ("text: 你好 }", "text: 你好 }, on_audience_change: send_new"),
    ] {
        case.write("plan.yaml", base.replace(from, to));
        assert_ne!(digest(), first, "{to}");
    }
    case.write("plan.yaml", &base);
    for people in ["oB\noA\n", "oA\noB\noC\n"] {
        case.write("people.txt", people);
        assert_ne!(digest(), first, "{people:?}");
    }
    let server = Fake::usual();
    case.write("people.txt", "oA\noB\n");
    case.against(&server, &["--expect", &first]).exits(0);
    server.delivered_once(1);
}

#[test]
fn a_rehearsal_has_the_tags_of_lists() {
    in_each_language(|| {
        let steps = "  - { id: name, action: send_by_openid, to: { tag: VIP }, message: { text: 你好 } }
  - { id: number, action: send_by_openid, to: { tag_id: 134 }, message: { text: 又好 } }\n";
        let case = Case::new().no_env("WECHAT_SECRET").file("plan.yaml", plan(steps));
        case.run(&["run", "plan.yaml", "--sandbox"]).exits(0).says("200 recipients").says("sent to 100 openids");
    });
}

#[test]
fn tables_as_excel_writes_them_reach_the_same_people() {
    let steps = "  - { id: vip, action: send_by_openid, to: { file: people.csv }, message: { text: 你好 } }
  - { id: city, foreach: { file: rows.csv }, key: '{{ row.城市 }}', action: send_by_tag, to: { tag_id: '{{ row.标签 }}' }, message: { text: '{{ row.城市 }}：{{ row.文案 }}' } }\n";
    let people = "姓名,openid\r\n\"王, 小明\",oFakeOpenId_AAAAAAAAAAAAAA01\r\n镕喆,oFakeOpenId_AAAAAAAAAAAAAA02\r\n";
    let rows = "城市,标签,文案\r\n北京,101,\"到店, 有礼\"\r\n上海,102,满减\r\n";
    let wide = |text: &str| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let other =
        |text: &str, separator: &str| text.replace(", ", "\u{1}").replace(',', separator).replace('\u{1}', ", ");
    let case = Case::new().file("plan.yaml", plan(steps)).file("people.csv", people).file("rows.csv", rows);
    let digest = || {
        let ran = case.run(&["render", "plan.yaml"]).exits(0);
        assert!(!ran.stderr.contains(".csv"), "{}", ran.stderr);
        ran.json()["digest"].as_str().expect("text").to_owned()
    };
    let first = digest();
    let mut forms: Vec<(&str, [Vec<u8>; 2])> = vec![
        ("with a mark", [people, rows].map(|text| format!("\u{feff}{text}").into_bytes())),
        ("semicolons", [people, rows].map(|text| other(text, ";").into_bytes())),
        ("sep=", [people, rows].map(|text| format!("sep=;\r\n{}", other(text, ";")).into_bytes())),
        ("tabs", [people, rows].map(|text| other(text, "\t").into_bytes())),
        ("full-width commas", [people, rows].map(|text| other(text, "，").into_bytes())),
        ("UTF-16", [people, rows].map(|text| wide(&other(text, "\t")))),
        ("empty rows", [people, rows].map(|text| format!("{text},,\r\n\r\n").into_bytes())),
    ];
    // As GBK: what iconv makes of the two.
    let gbk: [&[u8]; 2] = [
        b"\xd0\xd5\xc3\xfb,openid\r\n\"\xcd\xf5, \xd0\xa1\xc3\xf7\",oFakeOpenId_AAAAAAAAAAAAAA01\r\n\xe9F\x86\xb4,oFakeOpenId_AAAAAAAAAAAAAA02\r\n",
        b"\xb3\xc7\xca\xd0,\xb1\xea\xc7\xa9,\xce\xc4\xb0\xb8\r\n\xb1\xb1\xbe\xa9,101,\"\xb5\xbd\xb5\xea, \xd3\xd0\xc0\xf1\"\r\n\xc9\xcf\xba\xa3,102,\xc2\xfa\xbc\xf5\r\n",
    ];
    forms.push(("GBK", gbk.map(<[u8]>::to_vec)));
    for (form, [people, rows]) in forms {
        case.write("people.csv", people);
        case.write("rows.csv", rows);
        assert_eq!(digest(), first, "{form}");
    }
}

#[test]
fn nobody_in_a_file_of_people_is_named() {
    // Each of these is in the files, and none may stand in what is printed or written beside the bodies.
    let private = ["oFakeOpenId_", "1380013", "王小明", "王二", "tea-fan"];
    let id = |number: u32| format!("oFakeOpenId_{number:016}");
    let good: String =
        std::iter::once("姓名,openid\n".to_owned()).chain((0..3).map(|n| format!("王小明,{}\n", id(n)))).collect();
    let bad = [
        ("a.csv", format!("姓名,openid\n王小明,{}\n王二,13800138000\n\"王二\",tea-fan\n", id(1))),
        ("a.csv", format!("姓名,openid\n王小明,{}\n\"王二,{}\n", id(1), id(2))),
        ("a.csv", format!("姓名,openid\n王小明,{},1\n王二\n", id(1))),
        ("a.csv", format!("王小明,{}\n王二,{}\n", id(1), id(2))),
        ("a.csv", "王小明,13800138000\n王二,13800138001\n".to_owned()),
        ("a.csv", "王小明,王二\n王二,王小明\n".to_owned()),
        ("a.txt", format!("{}\n王小明\n13800138000\ntea-fan\n{}\u{200b}\n{}x\n", id(1), id(2), id(3))),
        (
            "a.jsonl",
            format!(
                "{{\"openid\":\"{}\",\"openid\":\"{}\"}}\n{{\"openid\":13800138000,\"n\":\"王二\"}}\n",
                id(1),
                id(2)
            ),
        ),
        ("a.jsonl", format!("{{\"openid\":\"{}\",\"n\":\"王小明\"", id(1))),
    ];
    let check = |what: &str, said: &str| {
        for words in private {
            assert!(!said.contains(words), "{what} names `{words}`: {said}");
        }
    };
    for (name, text) in bad {
        let steps =
            format!("  - {{ id: vip, action: send_by_openid, to: {{ file: {name} }}, message: {{ text: 你好 }} }}\n");
        let case = Case::new().file("plan.yaml", plan(&steps)).file(name, &text);
        let commands: [&[&str]; 7] = [
            &["validate", "plan.yaml"],
            &["validate", "plan.yaml", "--format", "json"],
            &["validate", "plan.yaml", "--format", "sarif"],
            &["validate", "plan.yaml", "--lang", "zh"],
            &["audience", "plan.yaml", "vip"],
            &["run", "plan.yaml", "--sandbox"],
            &["render", "plan.yaml"],
        ];
        for command in commands {
            let ran = case.run(command).exits(3);
            check(&format!("{command:?} of {text}"), &format!("{}{}", ran.stdout, ran.stderr));
        }
        let ran = Case::new().env("GITHUB_ACTIONS", "true").file("plan.yaml", plan(&steps)).file(name, &text);
        let ran = ran.run(&["validate", "plan.yaml"]).exits(3);
        check("annotations", &format!("{}{}", ran.stdout, ran.stderr));
    }
    // A list in the plan, too.
    let inline = format!(
        "  - {{ id: vip, action: send_by_openid, to: {{ openids: [{0}, {1}, {1}] }}, message: {{ text: 你好 }} }}\n",
        id(1),
        id(2)
    );
    let people = "  - { id: vip, action: send_by_openid, to: { file: people.csv, exclude: out.txt }, message: { text: 你好 } }\n";
    for steps in [people.to_owned(), inline] {
        let case = Case::new().file("plan.yaml", plan(&steps)).file("people.csv", &good).file("out.txt", id(9));
        let server = Fake::usual();
        let run = ["json", "junit", "markdown", "html"].map(|form| format!("{form}=report.{form}"));
        let reports: Vec<&str> = run.iter().flat_map(|report| ["--report", report]).collect();
        for command in [
            &["validate", "plan.yaml"][..],
            &["audience", "plan.yaml", "vip"],
            &["audience", "plan.yaml", "vip", "--format", "json"],
        ] {
            let ran = case.run(command).exits(0).says("warning");
            check(&format!("{command:?}"), &format!("{}{}", ran.stdout, ran.stderr));
        }
        let ran = case.against(&server, &reports).exits(0);
        check("run", &format!("{}{}", ran.stdout, ran.stderr));
        for form in ["json", "junit", "markdown", "html"] {
            let report = std::fs::read_to_string(case.path(&format!("report.{form}"))).expect("was written");
            check(form, &report);
        }
        let ran = case.run(&["status", "plan.yaml"]);
        check("status", &format!("{}{}", ran.stdout, ran.stderr));
        server.delivered_once(1);
    }
}

#[test]
fn the_same_message_twice_is_warned_of_with_the_people_in_both() {
    let list = |id: &str, file: &str, text: &str| {
        format!("  - {{ id: {id}, action: send_by_openid, to: {{ file: {file} }}, message: {{ text: {text} }} }}\n")
    };
    let tag = |id: &str, to: &str, text: &str| {
        format!("  - {{ id: {id}, action: send_by_tag, to: {to}, message: {{ text: {text} }} }}\n")
    };
    let warned = |steps: &str| {
        let case = Case::new()
            .file("plan.yaml", plan(steps))
            .file("a.txt", people(0..3_000))
            .file("b.txt", people(2_900..4_000))
            .file("c.txt", people(5_000..5_003));
        let found = case.run(&["validate", "plan.yaml", "--format", "json"]).exits(0).json();
        let found = found["plans"][0]["diagnostics"].as_array().expect("a list").clone();
        let twice = found.iter().filter(|found| found["code"] == "Q922");
        twice.map(|found| found["message"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let lists =
        list("a", "a.txt", "茶") + &list("b", "b.txt", "茶") + &list("c", "c.txt", "茶") + &list("d", "b.txt", "酒");
    assert_eq!(warned(&lists), ["`b` and `a` send the same message to 100 people in both"]);
    let again = list("a", "c.txt", "茶") + &list("b", "c.txt", "茶");
    assert_eq!(warned(&again), ["`b` and `a` send the same message to 3 people in both"]);
    let all = tag("a", "all", "茶") + &list("b", "c.txt", "茶") + &tag("c", "{ tag: VIP }", "茶");
    assert_eq!(warned(&all).len(), 2);
    for right in [
        tag("a", "{ tag_id: 2 }", "茶") + &tag("b", "{ tag_id: 3 }", "茶") + &tag("c", "{ tag_id: 2 }", "酒"),
        list("a", "a.txt", "茶") + &list("b", "c.txt", "茶"),
        tag("a", "all", "茶").replace(" }\n", ", when: false }\n") + &tag("b", "all", "茶"),
        "  - { id: a, action: preview, to: { wxname: tea-editor }, message: { text: 茶 } }\n".to_owned()
            + &tag("b", "all", "茶"),
    ] {
        assert_eq!(warned(&right), Vec::<String>::new(), "{right}");
    }
    // Ten thousand rows, compared once.
    let rows: String = (0..10_000).map(|row| format!("{row},x\n")).collect();
    let step = "  - { id: a, foreach: { file: rows.csv }, key: '{{ row.id }}', action: send_by_tag, to: { tag_id: 2 }, message: { text: 茶 } }\n";
    let case = Case::new().file("plan.yaml", plan(step)).file("rows.csv", format!("id,text\n{rows}"));
    case.run(&["validate", "plan.yaml"]).exits(0).says("`a[1]` and `a[0]` send the same message to the same people");
}
