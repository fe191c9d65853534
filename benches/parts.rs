//! Parts of the pipe by themselves: `cargo bench`. Whole processes beside their peers: `benches/compare.sh`.

use std::{cell::Cell, collections::HashMap, hint::black_box};

use divan::{Bencher, counter::BytesCount, counter::ItemsCount};
use jiff::Timestamp;
use minijinja::context;
use qunfa::{
    content::template::Engine,
    diag::{self, Diagnostics, source::SourceMap},
    ledger::{CallId, Event, EventKind, FrozenCall, Scope, open, store::Owner},
    locale::Phrase,
    payload::{self, Effect},
    plan,
    render::{self, RenderedPlan},
    resolve::{self, Inputs, Project, ReadError},
};

fn main() {
    divan::main();
}

const HEAD: &str =
    "version: 1\nname: bench\naccount: { kind: service, appid: wx0123456789abcdef, secret: { env: S } }\n";

struct Files(HashMap<&'static str, Vec<u8>>);

impl Project for Files {
    fn read(&self, path: &str, _: u64) -> Result<(String, Vec<u8>), ReadError> {
        let bytes = self.0.get(path).ok_or_else(|| ReadError::Unreadable(Phrase::verbatim("no such file")))?;
        Ok((path.to_owned(), bytes.clone()))
    }
}

/// The whole pipe, as the program runs it.
fn pipe(text: &str, files: &Files) -> RenderedPlan {
    let mut sources = SourceMap::default();
    let file = sources.add("plan.yaml", text.to_owned());
    let parsed = plan::parse(file, &mut sources).expect("a plan");
    let valid = plan::validate(parsed);
    let inputs = Inputs {
        project: files,
        env: &|_| None,
        vars_files: &[],
        vars: &[],
        account: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let resolved = resolve::resolve(valid, &inputs, &mut sources).expect("resolves");
    let rendered = render::render(resolved, "plan.yaml", &sources);
    let wrong = |found: Diagnostics| -> RenderedPlan { panic!("{}", diag::render::human(&found, &sources)) };
    rendered.map_or_else(wrong, |(plan, _)| plan)
}

fn steps(count: usize) -> String {
    let step = |n: usize| {
        format!(
            "  - {{ id: s{n}, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: \"{{{{ vars.product }}}} {n}\" }} }}\n"
        )
    };
    format!("{HEAD}vars: {{ product: 龙井 }}\nsteps:\n{}", (0..count).map(step).collect::<String>())
}

#[divan::bench(args = [20, 200, 2000])]
fn plan_to_requests(bencher: Bencher<'_, '_>, count: usize) {
    let (text, files) = (steps(count), Files(HashMap::new()));
    bencher.counter(ItemsCount::new(count)).bench(|| pipe(black_box(&text), &files));
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn openids_to_requests(bencher: Bencher<'_, '_>, count: usize) {
    let people: String = (0..count).map(|n| format!("o{:027}\n", n * 7919 % count)).collect();
    let files = Files(HashMap::from([("people.txt", people.into_bytes())]));
    let text = format!(
        "{HEAD}steps:\n  - {{ id: a, action: send_by_openid, to: {{ file: people.txt }}, message: {{ text: 你好 }} }}\n"
    );
    bencher
        .counter(ItemsCount::new(count))
        .bench(|| pipe(&text, &files).calls().map(|(_, call)| call.payload.raw().len()).sum::<usize>());
}

#[divan::bench]
fn template(bencher: Bencher<'_, '_>) {
    let engine = Engine::default();
    let context = context! { vars => context! { product => "明前龙井", price => 1980, day => "2026-03-01" } };
    let source =
        "{{ vars.product }}上新,{{ vars.price | money }},{{ vars.day | date }}({{ vars.day | weekday_zh('周') }})";
    bencher.bench_local(|| engine.render(black_box(source), &context));
}

#[divan::bench]
fn digest_of_a_megabyte(bencher: Bencher<'_, '_>) {
    let bytes = vec![b'x'; 1 << 20];
    bencher.counter(BytesCount::new(bytes.len())).bench(|| payload::digest(black_box(&bytes)));
}

/// What one send costs in the ledger: the intent and the outcome, each on disk when it returns.
#[divan::bench(sample_count = 50)]
fn intent_and_outcome_synced(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Owner {
        pid: 1,
        host: "here".into(),
        since: Timestamp::UNIX_EPOCH,
        plan: "plan.yaml".into(),
        command: "qunfa run".into(),
    };
    let mut ledger = open::of_rehearsal(folder.path()).write("loopback", "wx0123456789abcdef", &owner).expect("opens");
    let scope = Scope {
        platform: qunfa::platform::Platform::Loopback,
        appid: "wx0123456789abcdef".into(),
        plan: "bench".into(),
        occurrence: "once".into(),
    };
    let number = Cell::new(0_u32);
    bencher.bench_local(|| {
        number.set(number.get() + 1);
        let id = CallId { step: format!("s{}", number.get()), key: None, chunk: 1 };
        let body = "{\"touser\":[],\"msgtype\":\"text\"}".to_owned();
        let call = FrozenCall {
            id: id.clone(),
            action: "send_by_tag".into(),
            path: "/cgi-bin/message/mass/sendall".into(),
            idempotency_key: format!("{:032}", number.get()),
            digest: payload::digest(body.as_bytes()),
            payload: body,
            message_digest: None,
            effect: Effect::Mass,
            recipients: None,
        };
        ledger
            .freeze(&scope, &[], &[call], &id, &Event::new(EventKind::Attempted, Timestamp::UNIX_EPOCH, "run"))
            .expect("written");
        ledger.append(&scope, &id, &Event::new(EventKind::Accepted, Timestamp::UNIX_EPOCH, "run")).expect("written");
    });
}
