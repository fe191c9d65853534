//! GitHub-flavoured Markdown for a step summary or a chat: the sums, and the accounts that somebody should look at.

use super::{
    super::markdown::{code, line, paragraph, plain},
    FleetReport,
};
use crate::locale::{say, translated};

pub(super) fn render(report: &FleetReport) -> String {
    let mut out = String::new();
    line(&mut out, &format!("## {}", plain(&report.title().to_string())));
    paragraph(&mut out, &format!("**{}**", plain(&report.totals.words().to_string())));
    if report.bad().next().is_none() {
        return out;
    }
    let heads = [translated("account"), translated("wave"), translated("outcome"), translated("next")];
    line(&mut out, "");
    line(&mut out, &format!("| {} |", heads.join(" | ")));
    line(&mut out, "| --- | --- | --- | --- |");
    for account in report.bad() {
        let outcome = say!("{standing}: {what}", standing = account.standing.label(), what = account.words());
        let next = account.commands.iter().map(|command| code(command));
        let next = std::iter::once(plain(&account.again_reason.to_string())).chain(next).collect::<Vec<_>>();
        let (mark, outcome) = (account.standing.mark(), plain(&outcome.to_string()));
        let (name, wave) = (code(&account.name), account.wave);
        line(&mut out, &format!("| {name} | {wave} | {mark} {outcome} | {} |", next.join("<br>")));
    }
    out
}
