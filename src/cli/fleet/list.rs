//! `qunfa fleet list`: the accounts of a fleet, or shards of them, for an engine that starts a job for each. Offline, and the
//! same whatever the order of the file.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::{
    failure::Failure,
    load::load,
    options::{Common, number},
    subject::{self, chosen},
    target::OpenFleet,
    terminal::Terminal,
};
use crate::{
    fleet::{Member, Shard},
    limits,
    locale::say,
    problem::{ExitCode, Refusal},
    text::quoted,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The fleet
    #[arg(value_name = "FLEET")]
    path: String,
    /// Only accounts of this wave
    #[arg(long, value_name = "WAVE", env = "QUNFA_WAVE", hide_env_values = true, value_parser = number::<usize>)]
    wave: Option<usize>,
    /// Only accounts with these labels
    #[arg(long, value_name = "LABEL", value_delimiter = ',', env = "QUNFA_LABELS", hide_env_values = true)]
    labels: Vec<String>,
    /// Lists at most so many shards instead of accounts
    #[arg(long, value_name = "N", env = "QUNFA_SHARDS", hide_env_values = true, value_parser = number::<usize>)]
    shards: Option<usize>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "lines", env = "QUNFA_FORMAT", hide_env_values = true)]
    format: ListFormat,
}

/// How accounts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// One name, or shard, a line
    Lines,
    /// JSON: name, AppID, wave, digest and arguments of each
    Json,
    /// Matrix of GitHub Actions
    Github,
    /// `parallel:matrix` of GitLab
    Gitlab,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        self.format == ListFormat::Json
    }
}

/// What one job does.
struct Job {
    /// The account, or the shard.
    name: String,
    args: Vec<String>,
    accounts: Vec<Member>,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    if args.shards == Some(0) {
        return Err(Refusal::usage(say!("there must be at least one shard")).into());
    }
    let (loaded, fleet) = subject::read(&args.path, terminal);
    let fleet = fleet.filter(|_| loaded.diagnostics.errors() == 0);
    let Some(fleet) = fleet else { return Err(loaded.refuse(&args.path, None)) };
    loaded.print(terminal);
    let fleet = OpenFleet::new(&args.path, fleet, loaded.sources, loaded.project);
    let jobs = jobs(args, &fleet)?;
    match args.format {
        ListFormat::Lines => jobs.iter().for_each(|job| terminal.out(&format!("{}\n", job.name))),
        ListFormat::Json => {
            let listed = jobs.iter().map(|job| in_json(job, args, &fleet, common, terminal));
            let listed = listed.collect::<Result<Vec<Value>, Failure>>()?;
            terminal.out_json(&format!("{:#}\n", Value::from(listed)));
        }
        ListFormat::Github => {
            within(jobs.len(), limits::GITHUB_MATRIX_MAX, "GitHub", args)?;
            let include: Vec<Value> = jobs
                .iter()
                .map(|job| {
                    let words: Vec<_> = job.args.iter().map(|word| quoted(word).into_owned()).collect();
                    let key = if args.shards.is_some() { "shard" } else { "account" };
                    json!({ key: job.name, "args": words.join(" ") })
                })
                .collect();
            terminal.out_json(&format!("{}\n", json!({ "include": include })));
        }
        ListFormat::Gitlab => {
            within(jobs.len(), limits::GITLAB_MATRIX_MAX, "GitLab", args)?;
            let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
            let mut row = json!({ "QUNFA_FLEET": args.path });
            row[if args.shards.is_some() { "QUNFA_SHARD" } else { "QUNFA_ACCOUNT" }] = json!(names);
            if let Some(wave) = args.wave.filter(|_| args.shards.is_some()) {
                row["QUNFA_WAVE"] = wave.to_string().into();
            }
            if args.shards.is_some() && !args.labels.is_empty() {
                row["QUNFA_LABELS"] = args.labels.join(",").into();
            }
            // A hidden job, which others extend. JSON is YAML.
            terminal.out_json(&format!("{:#}\n", json!({ ".qunfa": { "parallel": { "matrix": [row] } } })));
        }
    }
    Ok(ExitCode::Done)
}

/// Refused if an engine does not take so many jobs.
fn within(jobs: usize, most: usize, engine: &str, args: &Args) -> Result<(), Refusal> {
    if jobs <= most {
        return Ok(());
    }
    let message = say!("{engine} runs at most {most} jobs of a matrix, and there are {jobs}", engine, most, jobs);
    let help = say!("divide the accounts: qunfa fleet list {fleet} --shards {most}", fleet = args.path.as_str(), most);
    Err(Refusal::usage(message).help(help))
}

/// In the order in which they send: by wave, then by name. Of shards none is empty.
fn jobs(args: &Args, fleet: &OpenFleet) -> Result<Vec<Job>, Refusal> {
    let members = chosen(&fleet.fleet, &args.labels, args.wave)?;
    let words = |more: &[&str]| {
        let words = ["--fleet", args.path.as_str()].into_iter().chain(more.iter().copied());
        words.map(str::to_owned).collect::<Vec<String>>()
    };
    let Some(shards) = args.shards else {
        let job = |member: &&Member| Job {
            name: member.name.clone(),
            args: words(&["--account", &member.name]),
            accounts: vec![(*member).clone()],
        };
        return Ok(members.iter().map(job).collect());
    };
    let job = |shard: Shard| {
        let mut words = words(&["--shard", &shard.to_string()]);
        words.extend(args.wave.into_iter().flat_map(|wave| ["--wave".to_owned(), wave.to_string()]));
        words.extend(args.labels.iter().flat_map(|label| ["--labels".to_owned(), label.clone()]));
        let accounts = members[shard.range(members.len())].iter().map(|member| (*member).clone()).collect();
        Job { name: shard.to_string(), args: words, accounts }
    };
    Ok(Shard::all(shards.min(members.len())).map(job).collect())
}

/// With the digest of each account's plan.
fn in_json(job: &Job, args: &Args, fleet: &OpenFleet, common: &Common, terminal: &Terminal) -> Result<Value, Failure> {
    if args.shards.is_some() {
        let names: Vec<&str> = job.accounts.iter().map(|member| member.name.as_str()).collect();
        return Ok(json!({ "shard": job.name, "accounts": names, "args": job.args }));
    }
    let member = &job.accounts[0];
    let target = fleet.target(member);
    let loaded = load(target, common, None, terminal);
    let Some(plan) = &loaded.plan else { return Err(loaded.refuse(&target.shown(), None)) };
    Ok(json!({
        "name": member.name, "appid": member.appid, "wave": member.wave, "labels": member.labels, "digest": plan.digest(), "args": job.args,
    }))
}
