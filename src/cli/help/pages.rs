//! What a help says besides the options: examples, exit codes, what to read next, and which common options a command uses.

use crate::{
    locale::{Phrase, list, say, translated},
    problem::ExitCode,
};

/// What is told of one command.
pub(super) struct Page {
    /// Without the program's name: `token show`; empty for the program.
    path: &'static str,
    /// To be pasted.
    pub(super) examples: &'static [&'static str],
    /// Which of [`exit_codes`] it ends with.
    codes: &'static [ExitCode],
    /// Other commands, read next.
    pub(super) related: &'static [&'static str],
}

use ExitCode::{
    Conflict, Done, Failed, Internal, Interrupted, Invalid, MissingInput, PartlyFailed, Refused, Unknown, Usage,
};

const ALL: &[ExitCode] =
    &[Done, Internal, Usage, Invalid, MissingInput, Failed, PartlyFailed, Unknown, Conflict, Refused, Interrupted];
const OF_TEXT: &[ExitCode] = &[Done, Usage];
const OF_FILES: &[ExitCode] = &[Done, Usage, MissingInput];
const OF_PLANS: &[ExitCode] = &[Done, Usage, Invalid, MissingInput];
const WITH_CHECK: &[ExitCode] = &[Done, Usage, Invalid, MissingInput, Refused];
const OF_STATE: &[ExitCode] = &[Done, Usage, Invalid, MissingInput, Failed, Conflict];

const OF_LISTEN: &[ExitCode] = &[Done, Usage, Invalid, MissingInput, Conflict];
const OF_EVENTS: &[ExitCode] = &[Done, Usage, Invalid, MissingInput, Conflict, Refused];
const OF_ACCOUNT: &[ExitCode] = &[Done, Usage, Invalid, MissingInput, Failed, Interrupted];
const OF_PULL: &[ExitCode] = &[Done, Usage, Invalid, MissingInput, Failed, Refused, Interrupted];

const OF_STORES: &[ExitCode] = &[Done, Usage, MissingInput, Conflict];

const PAGES: &[Page] = &[
    Page {
        path: "",
        examples: &[
            "qunfa init spring-tea",
            "qunfa validate spring-tea/plan.yaml",
            "qunfa run spring-tea/plan.yaml --sandbox",
        ],
        codes: ALL,
        related: &["init", "validate", "render", "run", "status"],
    },
    Page {
        path: "init",
        examples: &["qunfa init spring-tea", "qunfa init spring-tea --kind subscription"],
        codes: OF_FILES,
        related: &["validate", "run"],
    },
    Page {
        path: "validate",
        examples: &["qunfa validate campaigns/*.yaml", "qunfa validate campaigns/*.yaml --format sarif > qunfa.sarif"],
        codes: OF_PLANS,
        related: &["fmt", "render", "explain"],
    },
    Page {
        path: "fmt",
        examples: &["qunfa fmt campaigns/*.yaml", "qunfa fmt --check campaigns/*.yaml"],
        codes: WITH_CHECK,
        related: &["validate"],
    },
    Page {
        path: "render",
        examples: &["qunfa render plan.yaml --out rendered/", "qunfa render plan.yaml --check rendered/"],
        codes: WITH_CHECK,
        related: &["preview-html", "run"],
    },
    Page {
        path: "preview-html",
        examples: &["qunfa preview-html plan.yaml --open", "qunfa preview-html plan.yaml > preview.html"],
        codes: OF_PLANS,
        related: &["render", "run"],
    },
    Page {
        path: "audience",
        examples: &["qunfa audience plan.yaml vip", "qunfa audience plan.yaml 'city[北京]' --format json"],
        codes: OF_STATE,
        related: &["render", "status"],
    },
    Page {
        path: "run",
        examples: &[
            "qunfa run plan.yaml --sandbox",
            "qunfa run plan.yaml --yes --report junit=report.xml --report html=report.html",
            "qunfa run plan.yaml --only announce 'city[北京]'",
        ],
        codes: ALL,
        related: &["render", "doctor", "status", "report", "settle"],
    },
    Page {
        path: "status",
        examples: &["qunfa status plan.yaml", "qunfa status plan.yaml --refresh"],
        codes: OF_STATE,
        related: &["report", "run", "settle"],
    },
    Page {
        path: "stats",
        examples: &["qunfa stats plan.yaml", "qunfa stats plan.yaml --offline --format csv > readers.csv"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Conflict],
        related: &["report", "status"],
    },
    Page {
        path: "report",
        examples: &["qunfa report plan.yaml --format html > report.html"],
        codes: OF_STATE,
        related: &["run", "status"],
    },
    Page {
        path: "listen",
        examples: &[
            "qunfa listen --account account.yaml --addr 127.0.0.1:8080",
            "qunfa listen --fleet fleet.yaml --path /wechat --format json",
        ],
        codes: OF_LISTEN,
        related: &["event", "report", "status"],
    },
    Page {
        path: "event",
        examples: &[
            "qunfa event pushed.xml --account account.yaml",
            "qunfa event --plan plan.yaml --query 'msg_signature=...&timestamp=...&nonce=...' < pushed.xml",
        ],
        codes: OF_EVENTS,
        related: &["listen", "report", "status"],
    },
    Page {
        path: "settle",
        examples: &[
            "qunfa settle plan.yaml announce --sent 3147494552 --reason 'seen in the console'",
            "qunfa settle plan.yaml announce --not-sent",
            "qunfa settle plan.yaml --give-up --occurrence 2026-03-01",
        ],
        codes: OF_STATE,
        related: &["run", "status"],
    },
    Page {
        path: "comments",
        examples: &["qunfa comments list plan.yaml announce"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list", "delete"],
    },
    Page {
        path: "comments list",
        examples: &["qunfa comments list plan.yaml announce --type selected"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Interrupted],
        related: &["comments reply", "comments elect"],
    },
    Page {
        path: "comments open",
        examples: &["qunfa comments open plan.yaml announce --article 2"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list"],
    },
    Page {
        path: "comments close",
        examples: &["qunfa comments close plan.yaml announce --article 2"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list"],
    },
    Page {
        path: "comments elect",
        examples: &["qunfa comments elect plan.yaml announce --comment 7"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list"],
    },
    Page {
        path: "comments unelect",
        examples: &["qunfa comments unelect plan.yaml announce --comment 7"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list"],
    },
    Page {
        path: "comments unreply",
        examples: &["qunfa comments unreply plan.yaml announce --comment 7"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list"],
    },
    Page {
        path: "comments delete",
        examples: &["qunfa comments delete plan.yaml announce --comment 7"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list"],
    },
    Page {
        path: "comments reply",
        examples: &["qunfa comments reply plan.yaml announce --comment 7 --text 谢谢"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Unknown, Conflict, Interrupted],
        related: &["comments list"],
    },
    Page {
        path: "pin",
        examples: &["qunfa pin plan.yaml --check"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Conflict, Interrupted],
        related: &["validate", "run"],
    },
    Page {
        path: "delete",
        examples: &[
            "qunfa delete plan.yaml announce",
            "qunfa delete plan.yaml announce --article 2 --yes --reason 'wrong price'",
        ],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Conflict, Refused, Interrupted],
        related: &["status", "settle", "run"],
    },
    Page {
        path: "fleet",
        examples: &["qunfa fleet check fleet.yaml"],
        codes: WITH_CHECK,
        related: &["run", "validate"],
    },
    Page {
        path: "fleet check",
        examples: &["qunfa fleet check fleet.yaml --out rendered/", "qunfa fleet check fleet.yaml --check rendered/"],
        codes: WITH_CHECK,
        related: &["fleet list", "run"],
    },
    Page {
        path: "fleet list",
        examples: &[
            "qunfa fleet list fleet.yaml --format json",
            "qunfa fleet list fleet.yaml --shards 100 --format github",
        ],
        codes: OF_PLANS,
        related: &["fleet check", "run"],
    },
    Page {
        path: "fleet status",
        examples: &["qunfa fleet status fleet.yaml", "qunfa fleet status fleet.yaml --format html > fleet.html"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, PartlyFailed, Unknown],
        related: &["run", "status", "settle"],
    },
    Page {
        path: "drafts",
        examples: &["qunfa drafts plan.yaml", "qunfa drafts --account account.yaml --format json"],
        codes: OF_ACCOUNT,
        related: &["pull", "published", "material"],
    },
    Page {
        path: "published",
        examples: &["qunfa published plan.yaml"],
        codes: OF_ACCOUNT,
        related: &["drafts", "material"],
    },
    Page {
        path: "material",
        examples: &["qunfa material plan.yaml", "qunfa material --account account.yaml --type image --limit 500"],
        codes: OF_ACCOUNT,
        related: &["drafts", "published"],
    },
    Page {
        path: "pull",
        examples: &[
            "qunfa pull plan.yaml 春茶上新",
            "qunfa pull plan.yaml 2zSgzSrrgeZEdUYvDe7EJe --into content/spring",
        ],
        codes: OF_PULL,
        related: &["drafts", "validate"],
    },
    Page {
        path: "doctor",
        examples: &["qunfa doctor plan.yaml", "qunfa doctor plan.yaml --sandbox --format json"],
        codes: &[Done, Usage, Invalid, MissingInput, Failed, Conflict, Refused],
        related: &["run", "token"],
    },
    Page { path: "token", examples: &["qunfa token show"], codes: OF_STATE, related: &["doctor"] },
    Page { path: "token show", examples: &["qunfa token show plan.yaml"], codes: OF_STATE, related: &["doctor"] },
    Page { path: "token refresh", examples: &["qunfa token refresh plan.yaml"], codes: OF_STATE, related: &["doctor"] },
    Page { path: "token clear", examples: &["qunfa token clear plan.yaml"], codes: OF_STATE, related: &["doctor"] },
    Page {
        path: "state",
        examples: &["qunfa state check", "qunfa state migrate --state postgresql://owner@db.example.com/qunfa"],
        codes: OF_STORES,
        related: &["doctor", "status"],
    },
    Page {
        path: "state migrate",
        examples: &["qunfa state migrate --state postgresql://owner@db.example.com/qunfa"],
        codes: OF_STORES,
        related: &["state grants", "doctor"],
    },
    Page {
        path: "state grants",
        examples: &["qunfa state grants --role sender --state postgresql://owner@db.example.com/qunfa | psql"],
        codes: OF_TEXT,
        related: &["state migrate"],
    },
    Page {
        path: "state copy",
        examples: &["qunfa state copy sqlite:.qunfa/state.db postgresql://owner@db.example.com/qunfa"],
        codes: OF_STORES,
        related: &["state check"],
    },
    Page { path: "state check", examples: &["qunfa state check"], codes: OF_STORES, related: &["doctor"] },
    Page {
        path: "sandbox",
        examples: &["qunfa sandbox --listen 127.0.0.1:8080", "qunfa sandbox --fault 'lost@mass/send#2'"],
        codes: OF_PLANS,
        related: &["run", "doctor"],
    },
    Page {
        path: "schema",
        examples: &["qunfa schema plan > plan.schema.json"],
        codes: OF_TEXT,
        related: &["validate"],
    },
    Page {
        path: "explain",
        examples: &["qunfa explain 45028", "qunfa explain Q201", "qunfa explain --list"],
        codes: OF_TEXT,
        related: &["validate"],
    },
    Page {
        path: "completions",
        examples: &[
            "qunfa completions bash > /etc/bash_completion.d/qunfa",
            "qunfa completions zsh > ~/.zfunc/_qunfa",
            "qunfa completions fish > ~/.config/fish/completions/qunfa.fish",
        ],
        codes: OF_TEXT,
        related: &["help"],
    },
    Page { path: "man", examples: &["qunfa man /usr/local/share/man/man1"], codes: OF_FILES, related: &["help"] },
    Page { path: "help", examples: &["qunfa help run", "qunfa help token refresh"], codes: OF_TEXT, related: &["man"] },
    Page { path: "version", examples: &["qunfa version"], codes: OF_TEXT, related: &["help"] },
];

pub(super) fn page(path: &str) -> &'static Page {
    PAGES.iter().find(|page| page.path == path).expect("every command has its page")
}

/// The common options that a command uses, by their ids.
pub(super) fn common_options(path: &str) -> &'static [&'static str] {
    match path {
        "validate" | "render" => &["account", "fleet", "var", "vars_file", "now"],
        "preview-html" | "sandbox" => &["account", "var", "vars_file", "now"],
        "fleet status" => &["state", "api_base", "var", "vars_file", "now"],
        "fleet check" | "fleet list" => &["var", "vars_file", "now"],
        "run" => &["state", "api_base", "account", "fleet", "var", "vars_file", "now", "verbose"],
        "listen" | "event" | "audience" | "status" | "stats" | "report" | "settle" | "delete" | "doctor" | "drafts"
        | "published" | "material" | "pull" | "token show" | "token refresh" | "token clear" | "pin"
        | "comments list" | "comments open" | "comments close" | "comments elect" | "comments unelect"
        | "comments reply" | "comments unreply" | "comments delete" => {
            &["state", "api_base", "account", "fleet", "var", "vars_file", "now"]
        }
        "state migrate" | "state grants" | "state check" => &["state"],
        _ => &[],
    }
}

/// The first commands of somebody who has nothing yet.
pub(super) fn get_started() -> String {
    format!(
        "{}\n  qunfa init spring-tea\n  cd spring-tea\n  qunfa run plan.yaml --sandbox\n",
        translated("Get started:")
    )
}

/// Examples, exit codes, and where the other options are.
pub(super) fn after_help(path: &str) -> String {
    let lines = |lines: Vec<String>| lines.into_iter().map(|line| format!("\n  {line}")).collect::<String>();
    let examples = page(path).examples.iter().map(|example| (*example).to_owned()).collect();
    let mut parts = vec![format!("{}{}", translated("Examples:"), lines(examples))];
    if matches!(path, "" | "doctor") {
        let codes = exit_codes(path).into_iter().map(|(code, means)| format!("{:>3}  {means}", code as u8)).collect();
        parts.push(format!("{}{}", translated("Exit codes:"), lines(codes)));
    }
    parts.push(match path {
        "" => translated("Every option can also be set with its environment variable.").to_owned(),
        _ => say!(
            "Global options ({options}): {command}",
            options = list(["--color", "--lang", "--quiet"]),
            command = "qunfa --help"
        )
        .to_string(),
    });
    parts.join("\n\n")
}

/// The exit codes of a command, and what each means there.
pub(super) fn exit_codes(path: &str) -> Vec<(ExitCode, Phrase)> {
    page(path).codes.iter().map(|code| (*code, meaning(path, *code))).collect()
}

fn meaning(path: &str, code: ExitCode) -> Phrase {
    match (path, code) {
        ("doctor", Done) => say!("no errors (there may be warnings)"),
        ("doctor", MissingInput) => say!("a problem with the secret or the state store"),
        ("doctor", Failed) => say!("a problem with the token, the IP allow-list, permissions or the account"),
        ("doctor", Conflict) => say!("another run holds the lock, or the plan changed after it was sent"),
        ("doctor", Refused) => say!("the quota is not sufficient"),
        ("fmt" | "render" | "fleet" | "fleet check", Refused) => say!("--check found differences"),
        ("listen", Done) => say!("stopped by Ctrl-C or SIGTERM"),
        ("listen", Invalid) => say!("the account, the plan or the fleet is invalid"),
        ("event", Invalid) => say!("a body is not an event, or the account is invalid; nothing was recorded"),
        ("listen" | "event", MissingInput) => say!("an input, a secret or the state store is missing or unreadable"),
        ("listen" | "event", Conflict) => say!("the state store is not the one in use"),
        ("event", Refused) => say!("a signature, an encryption or an AppID is wrong; nothing was recorded"),
        ("pin", Conflict) => say!("a draft is not what was pinned, or the plan was changed meanwhile"),
        (_, Done) => say!("success"),
        (_, Internal) => say!("a bug in qunfa, or a result that could not be written (a full disk)"),
        (_, Usage) => say!("wrong usage"),
        (_, Invalid) => say!("the plan is invalid; nothing was sent"),
        (_, MissingInput) => say!("an input is missing or unreadable; nothing was sent"),
        ("fleet status", Failed) => say!("an account failed; nothing was sent for it"),
        ("fleet status", PartlyFailed) => say!("an account failed after something was sent"),
        ("fleet status", Unknown) => say!("the outcome of an account's send is unknown"),
        ("pull", Refused) => say!("files exist already; nothing was written"),
        ("drafts" | "published" | "material" | "pull" | "pin", Failed) => say!("WeChat refuses or cannot be reached"),
        (path, Failed) if path.starts_with("comments") => say!("WeChat refuses or cannot be reached"),
        (path, Unknown) if path.starts_with("comments") => say!("it is not known whether it was done"),
        (_, Failed) => say!("a step failed; nothing was sent in this run"),
        (_, PartlyFailed) => say!("a step failed after something was sent in this run"),
        (_, Unknown) => say!("the outcome of a send is unknown"),
        (_, Conflict) => {
            say!(
                "another run holds the lock, the plan no longer matches what was sent, or another edition is half sent"
            )
        }
        (_, Refused) => say!("refused by a guard, the quota forecast, the confirmation or --expect; nothing was sent"),
        (_, Interrupted) => say!("interrupted"),
    }
}
