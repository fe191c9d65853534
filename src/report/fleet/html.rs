//! One self-contained page: the sums, and a table of all accounts, those first that somebody should look at.

use serde::Serialize;

use super::{FleetReport, Standing};
use crate::{
    locale::Phrase,
    page::{self, Segment},
    text::one_line,
};

pub(super) fn render(report: &FleetReport) -> String {
    page::render(include_str!("html.template.html"), Page::new(report))
}

#[derive(Serialize)]
struct Page {
    name: String,
    title: Phrase,
    gist: Phrase,
    accounts: Vec<Account>,
}

#[derive(Serialize)]
struct Account {
    key: &'static str,
    mark: &'static str,
    label: Phrase,
    name: String,
    appid: String,
    wave: usize,
    what: Phrase,
    reason: Vec<Segment>,
    commands: Vec<String>,
}

impl Page {
    fn new(report: &FleetReport) -> Self {
        let of = |standing| report.accounts.iter().filter(move |account| account.standing == standing);
        let accounts = Standing::ALL.into_iter().flat_map(of).map(|account| Account {
            key: account.standing.word(),
            mark: account.standing.mark(),
            label: account.standing.label(),
            name: one_line(&account.name),
            appid: one_line(&account.appid),
            wave: account.wave,
            what: account.words(),
            reason: page::segments(&account.again_reason.to_string()),
            commands: account.commands.clone(),
        });
        Self {
            name: report.plan.clone(),
            title: report.title(),
            gist: report.totals.words(),
            accounts: accounts.collect(),
        }
    }
}
