//! A summary for a terminal: how many stand where, wave by wave, and each account that somebody should look at.

use anstyle::AnsiColor;

use super::{super::human, FleetReport, Standing, Standings};
use crate::{
    locale::say,
    problem::Problem,
    text::{one_line, pad},
};

pub(super) fn render(report: &FleetReport) -> String {
    let mut out = String::new();
    human::paragraph(&mut out, 0, human::BOLD, "", &report.title().to_string());
    human::line(&mut out, "");
    let last = report.accounts.iter().map(|account| account.wave).max().unwrap_or(1);
    for wave in (1..=last).filter(|_| last > 1) {
        let of_wave: Vec<_> = report.accounts.iter().filter(|account| account.wave == wave).cloned().collect();
        let said = say!("wave {wave}: {accounts}", wave, accounts = Standings::of(&of_wave).words());
        human::line(&mut out, &format!("  {said}"));
    }
    let width = report.bad().map(|account| account.name.len()).max().unwrap_or(0);
    let mut begun = false;
    for account in report.bad() {
        if !std::mem::replace(&mut begun, true) && last > 1 {
            human::line(&mut out, "");
        }
        let style = match account.standing {
            Standing::Unknown => AnsiColor::Yellow.on_default(),
            _ => AnsiColor::Red.on_default(),
        };
        let mark = format!("{} {}", account.standing.mark(), pad(&one_line(&account.name), width));
        let said = say!("{standing}: {what}", standing = account.standing.label(), what = account.words());
        human::paragraph(&mut out, 0, style, &mark, &said.to_string());
        let reason = Problem::new(account.again_reason.clone());
        let help = account
            .commands
            .iter()
            .fold(reason.clone(), |problem, command| problem.help(say!("run: {command}", command = command.as_str())));
        let help = Problem { help: [vec![reason.message], help.help].concat(), ..help };
        human::help(&mut out, 4, &help);
    }
    human::line(&mut out, "");
    human::line(&mut out, &report.totals.words().to_string());
    out
}
