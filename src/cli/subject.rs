//! What a command is about: a plan, or the plan of a fleet for one of its accounts, or for some of them one after the other.

use super::{
    bounds::Watch,
    failure::Failure,
    load::{self, Loaded},
    options::{BadValue, Common},
    process,
    target::{OpenFleet, Target},
    terminal::Terminal,
};
use crate::{
    diag::source::SourceMap,
    fleet::{self, Fleet, Member, Shard},
    locale::{Count, Phrase, say},
    problem::{ExitCode, Refusal},
    text::nearest,
};

/// Some accounts of a fleet.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ShardArgs {
    /// Takes shard I of N of the fleet's accounts, one after the other (1/1: all of them)
    #[arg(long, value_name = "I/N", env = "QUNFA_SHARD", hide_env_values = true, value_parser = shard)]
    shard: Option<Shard>,
    /// Divides only the accounts of this wave into shards
    #[arg(long, value_name = "WAVE", env = "QUNFA_WAVE", hide_env_values = true, requires = "shard", value_parser = super::options::number::<usize>)]
    wave: Option<usize>,
    /// Divides only the accounts with these labels into shards
    #[arg(
        long,
        value_name = "LABEL",
        value_delimiter = ',',
        env = "QUNFA_LABELS",
        hide_env_values = true,
        requires = "shard"
    )]
    labels: Vec<String>,
}

fn shard(text: &str) -> Result<Shard, BadValue> {
    text.parse().map_err(|()| BadValue(say!("write I/N: which shard of how many")))
}

/// Reads a fleet, whatever is wrong with it.
pub(super) fn read(path: &str, terminal: &Terminal) -> (Loaded, Option<Fleet>) {
    let _watch = Watch::over(path, process::usage().cpu, terminal);
    let (mut loaded, file) = load::open(path, SourceMap::default());
    let folder = process::folder().unwrap_or_default().join(path);
    let folder = folder.parent().map(|folder| folder.join("")).unwrap_or_default().display().to_string();
    let Loaded { sources, diagnostics, project, .. } = &mut loaded;
    let fleet = file.and_then(|file| fleet::read(file, project, folder, sources, diagnostics));
    (loaded, fleet)
}

/// A fleet without errors.
pub(super) fn open(path: &str, terminal: &Terminal) -> Result<OpenFleet, Failure> {
    let (loaded, fleet) = read(path, terminal);
    let fleet = fleet.filter(|_| loaded.diagnostics.errors() == 0);
    let Some(fleet) = fleet else { return Err(loaded.refuse(path, Some(&say!("nothing was sent")))) };
    loaded.print(terminal);
    Ok(OpenFleet::new(path, fleet, loaded.sources, loaded.project))
}

/// The digest of all accounts' plans; none if one of them is wrong.
pub(super) fn digest<'f>(fleet: &'f OpenFleet, common: &Common, terminal: &Terminal) -> Option<&'f str> {
    let digest = || {
        let mut plans = Vec::new();
        for member in &fleet.fleet.members {
            let plan = load::load(fleet.target(member), common, None, terminal).plan?;
            plans.push((member.name.as_str(), plan.digest().to_owned()));
        }
        Some(crate::fleet::digest(plans.iter().map(|(name, digest)| (*name, digest.as_str()))))
    };
    fleet.digest.get_or_init(digest).as_deref()
}

/// What a command is about.
pub(super) enum Subject {
    Plan(String),
    /// Accounts of a fleet, by their place in it; and whether they are a shard.
    Fleet(Box<OpenFleet>, Vec<usize>, bool),
}

impl Subject {
    pub(super) fn of(
        plan: Option<&str>,
        which: &ShardArgs,
        common: &Common,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let Some(path) = &common.fleet else {
            if which.shard.is_some() {
                let refusal = Refusal::usage(say!("--shard works only with --fleet"));
                return Err(refusal.help(say!("name the fleet: --fleet fleet.yaml")).into());
            }
            let plan = plan.expect("it is required unless a fleet is named");
            return Ok(Self::Plan(plan.to_owned()));
        };
        if let Some(plan) = plan {
            let refusal =
                Refusal::usage(say!("a plan ({plan}) and --fleet {path} cannot be used together", plan, path));
            return Err(refusal.help(say!("the fleet names its plan; leave out one of the two")).into());
        }
        let fleet = Box::new(open(path, terminal)?);
        let place = |member: &Member| fleet.fleet.members.iter().position(|known| known.name == member.name);
        let chosen = match (&common.account, which.shard) {
            (Some(name), None) => {
                let members = &fleet.fleet.members;
                let found = members.iter().position(|member| member.name == *name);
                vec![found.ok_or_else(|| unknown(name, &fleet.fleet))?]
            }
            (None, Some(shard)) => {
                let members = chosen(&fleet.fleet, &which.labels, which.wave)?;
                members[shard.range(members.len())].iter().filter_map(|member| place(member)).collect()
            }
            (Some(_), Some(_)) => {
                let refusal = Refusal::usage(say!("--account and --shard cannot be used together"));
                return Err(refusal.help(say!("name one account, or a shard of them")).into());
            }
            (None, None) => {
                let refusal = Refusal::usage(say!("no account of the fleet is named"));
                let help = say!("name one with --account NAME, or some with --shard I/N");
                return Err(refusal.help(help).into());
            }
        };
        Ok(Self::Fleet(fleet, chosen, which.shard.is_some()))
    }

    /// Of a command that is about one plan.
    pub(super) fn one(plan: Option<&str>, common: &Common, terminal: &Terminal) -> Result<Self, Failure> {
        Self::of(plan, &ShardArgs::default(), common, terminal)
    }

    /// The one that it is about; of several the first.
    pub(super) fn target(&self) -> Target<'_> {
        match self {
            Self::Plan(path) => path.as_str().into(),
            Self::Fleet(fleet, chosen, _) => fleet.target(&fleet.fleet.members[chosen[0]]),
        }
    }

    pub(super) fn targets(&self) -> Vec<Target<'_>> {
        match self {
            Self::Plan(path) => vec![path.as_str().into()],
            Self::Fleet(fleet, chosen, _) => {
                chosen.iter().map(|place| fleet.target(&fleet.fleet.members[*place])).collect()
            }
        }
    }

    pub(super) fn is_shard(&self) -> bool {
        matches!(self, Self::Fleet(_, _, true))
    }

    /// Does it for each, one after the other, and gives the worst of all codes. What fails for one does not keep the others
    /// from theirs.
    pub(super) fn each(
        &self,
        terminal: &Terminal,
        mut one: impl FnMut(Target<'_>) -> Result<ExitCode, Failure>,
    ) -> Result<ExitCode, Failure> {
        if !self.is_shard() {
            return one(self.target());
        }
        let targets = self.targets();
        if targets.is_empty() {
            terminal.note(&format!("{}\n", say!("the shard has no account")));
        }
        let mut worst = ExitCode::Done;
        for (at, target) in targets.iter().enumerate() {
            if process::interrupted() {
                return Ok(worst.or_worse(ExitCode::Interrupted));
            }
            let name = target.member.map_or("", |(_, member)| member.name.as_str());
            let said = say!("account {name} ({number} of {all})", name, number = at + 1, all = targets.len());
            terminal.note(&format!("{said}\n"));
            worst = worst.or_worse(one(*target).unwrap_or_else(|failure| failure.say(terminal)));
        }
        Ok(worst)
    }
}

/// The accounts of a wave that have all of some labels. What the fleet does not have at all was not meant: a matrix of nothing
/// would send nothing, and nobody would notice.
pub(super) fn chosen<'f>(fleet: &'f Fleet, labels: &[String], wave: Option<usize>) -> Result<Vec<&'f Member>, Refusal> {
    if let Some(wave) = wave.filter(|wave| !(1..=fleet.waves).contains(wave)) {
        let count = Count::from(fleet.waves);
        let message = say!(
            "there is no wave {wave}: the fleet has {count} wave"
                | "there is no wave {wave}: the fleet has {count} waves",
            wave,
            count
        );
        return Err(Refusal::usage(message));
    }
    let all = || fleet.members.iter().flat_map(|member| &member.labels).map(String::as_str);
    if let Some(label) = labels.iter().find(|label| all().all(|known| known != label.as_str())) {
        let refusal = Refusal::usage(say!("no account of the fleet has the label `{label}`", label = label.as_str()));
        let near: Option<Phrase> = nearest(label, all());
        return Err(refusal.help(near.unwrap_or_else(|| say!("`qunfa fleet list` lists its accounts"))));
    }
    Ok(fleet.chosen(labels, wave))
}

/// That a fleet has no account of a name.
pub(super) fn unknown(name: &str, fleet: &Fleet) -> Refusal {
    let refusal = Refusal::usage(say!("the fleet has no account `{name}`", name));
    let near: Option<Phrase> = nearest(name, fleet.members.iter().map(|member| member.name.as_str()));
    refusal.help(near.unwrap_or_else(|| say!("`qunfa fleet list` lists its accounts")))
}

/// The plan and the step of a command that takes both: of a fleet the plan is not named, so that the first word is the step.
pub(super) fn plan_and_step<'a>(
    plan: Option<&'a str>,
    step: Option<&'a str>,
    common: &Common,
) -> (Option<&'a str>, Option<&'a str>) {
    if common.fleet.is_some() && step.is_none() { (None, plan) } else { (plan, step) }
}
