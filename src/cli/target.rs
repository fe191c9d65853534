//! What one run is about: a plan, or the plan of a fleet for one of its accounts.

use std::{cell::OnceCell, path::Path};

use super::project::DiskProject;
use crate::{
    diag::source::SourceMap,
    fleet::{Fleet, Member},
};

/// A fleet that is right in itself; what its accounts send is not looked at yet.
pub(super) struct OpenFleet {
    /// As given.
    pub(super) path: String,
    /// The path of the plan, as users know it.
    pub(super) plan: String,
    pub(super) fleet: Fleet,
    pub(super) sources: SourceMap,
    pub(super) project: DiskProject,
    /// The digest of all accounts' plans, once it is asked for; none if one of them is wrong.
    pub(super) digest: OnceCell<Option<String>>,
}

/// What one run is about.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// The path of the plan.
    pub(super) path: &'a str,
    pub(super) member: Option<(&'a OpenFleet, &'a Member)>,
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(path: &'a str) -> Self {
        Self { path, member: None }
    }
}

impl Target<'_> {
    /// As messages name it.
    pub(super) fn shown(&self) -> String {
        match self.member {
            Some((_, member)) => format!("{} ({})", self.path, member.name),
            None => self.path.to_owned(),
        }
    }

    /// The words of a command that name it.
    pub(super) fn words(&self) -> Vec<String> {
        match self.member {
            Some((fleet, member)) => ["--fleet", &fleet.path, "--account", &member.name].map(str::to_owned).to_vec(),
            None => vec![self.path.to_owned()],
        }
    }
}

impl OpenFleet {
    pub(super) fn new(path: &str, fleet: Fleet, sources: SourceMap, project: DiskProject) -> Self {
        let plan = fleet.plan.as_ref().map_or("", |(plan, _)| plan);
        let plan = Path::new(path).parent().unwrap_or(Path::new("")).join(plan).display().to_string();
        Self { path: path.to_owned(), plan, fleet, sources, project, digest: OnceCell::new() }
    }

    pub(super) fn target<'a>(&'a self, member: &'a Member) -> Target<'a> {
        Target { path: &self.plan, member: Some((self, member)) }
    }
}
