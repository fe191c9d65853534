//! `qunfa validate`.

use clap::ValueEnum;

use super::{
    failure::Failure,
    findings::{self, annotate, size},
    load::{Strict, load},
    options::Common,
    subject::{ShardArgs, Subject},
    target::Target,
    terminal::Terminal,
};
use crate::{
    diag::{self, github::Annotation},
    locale::say,
    problem::ExitCode,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Plans to check; `-` reads standard input
    #[arg(required_unless_present = "fleet", value_name = "PLAN")]
    plans: Vec<String>,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    strict: Strict,
    /// Output format of findings
    #[arg(long, value_name = "FORMAT", default_value = "human", env = "QUNFA_FORMAT", hide_env_values = true)]
    format: Findings,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Findings {
    /// Human-readable text
    Human,
    /// JSON (see `qunfa schema diagnostics`)
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitLab code quality report
    Gitlab,
    /// GitHub Actions annotations
    Github,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        self.format == Findings::Json
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let fleet = match (&common.fleet, args.plans.as_slice()) {
        (None, _) => None,
        (Some(_), plans) => {
            let plan = plans.first().map(String::as_str);
            Some(Subject::of(plan, &args.shard, common, terminal)?)
        }
    };
    let targets: Vec<Target<'_>> = match &fleet {
        Some(fleet) => fleet.targets(),
        None => args.plans.iter().map(|path| path.as_str().into()).collect(),
    };
    let mut worst = ExitCode::Done;
    // Programs of this machine know files as users do, other systems from the root of the repository.
    let from_root = args.format != Findings::Json;
    let (mut plans, mut found) = (Vec::new(), Vec::new());
    for target in &targets {
        let path = target.path;
        let loaded = load(*target, common, None, terminal).held_to(args.strict);
        let code = loaded.exit_code();
        if worst == ExitCode::Done || code == ExitCode::Invalid {
            worst = code;
        }
        found.extend(loaded.annotations());
        if args.format != Findings::Human {
            plans.push(loaded.checked(path, from_root));
            continue;
        }
        loaded.say(terminal);
        let verdict = loaded.plan.as_ref().map_or_else(|| loaded.verdict(), |plan| loaded.valid(plan));
        terminal.out(&format!("{}\n", say!("{path}: {verdict}", path = target.shown(), verdict)));
        if !terminal.quiet {
            loaded.sizes.iter().for_each(|article| terminal.out(&size(article)));
        }
        if targets.len() == 1 {
            // The process ends here: taking a large plan apart piece by piece would be time for nothing.
            std::mem::forget(loaded);
        }
    }
    match args.format {
        Findings::Human => {}
        Findings::Json => findings::document(plans, worst, terminal),
        Findings::Sarif => terminal.out_json(&format!("{:#}\n", diag::sarif::document(&plans, worst as u8))),
        Findings::Gitlab => terminal.out_json(&format!("{:#}\n", diag::gitlab::document(&plans))),
        Findings::Github => {
            let annotations: Vec<Annotation> =
                plans.iter().flat_map(|checked| &checked.diagnostics).map(Annotation::from).collect();
            terminal.out(&diag::github::commands(&annotations));
            return Ok(worst);
        }
    }
    annotate(&found, terminal);
    Ok(worst)
}
