//! Guards: conditions under which nothing is sent. Pure.

use std::collections::HashSet;

use jiff::Timestamp;

use super::work::{Facts, Left, Work, Write};
use crate::{
    clock::shanghai,
    ledger::{Ledger, LedgerError, Scope},
    locale::{Count, Phrase, say},
    payload::Effect,
    plan::model::Guards,
    problem::Problem,
    render::{Content, RenderedPlan, RenderedStep},
};

/// Why a guard refuses what is known, in words. It is asked at two moments: before the account is asked for anything, so that
/// a run that is refused makes no call ([`prepare`](super::prepare())), and when WeChat has said who the people are and
/// how many a tag holds ([`Prepared::complete`](super::Prepared::complete)). What it says of time and previews is true
/// for that moment; the run looks at both again before each send.
pub(super) fn refusal<L>(
    plan: &RenderedPlan,
    work: &[Work<'_, L>],
    facts: &Facts,
    ledger: &dyn Ledger,
    scope: &Scope,
    now: Timestamp,
) -> Result<Option<Problem>, LedgerError> {
    let mut recipients_now = 0;
    // Those of this run come before the sends that they are for.
    let mut coming: HashSet<&str> = HashSet::new();
    let mut any = false;
    for Work { step, left, .. } in work.iter().filter(|work| work.left.is_open()) {
        if step.spec.effect == Effect::Preview {
            coming.extend(step.content.digest());
        }
        if step.spec.effect != Effect::Mass {
            continue;
        }
        any = true;
        recipients_now += left.open_calls().filter_map(|call| call.frozen.recipients).sum::<u64>();
        let seen = |digest: &str| facts.previewed.contains(digest) || coming.contains(digest);
        if let Some(hit) = previewed(plan, step, seen) {
            return Ok(Some(hit.problem(plan)));
        }
    }
    if !any {
        return Ok(None);
    }
    let of_time = if scope.platform.is_rehearsal() { None } else { time(&plan.guards, now) };
    let hit = match of_time.or_else(|| recipients(&plan.guards, recipients_now)) {
        Some(hit) => Some(hit),
        None => changed(plan, work, ledger, scope)?,
    };
    Ok(hit.map(|hit| hit.problem(plan)))
}

/// Why a guard refuses a send that is about to begin: since the run began time has passed, and previews were made or failed.
pub(super) fn before_send(
    plan: &RenderedPlan,
    step: &RenderedStep,
    facts: &Facts,
    scope: &Scope,
    now: Timestamp,
) -> Option<Problem> {
    let of_time = if scope.platform.is_rehearsal() { None } else { time(&plan.guards, now) };
    let hit = of_time.or_else(|| previewed(plan, step, |digest| facts.previewed.contains(digest)))?;
    Some(hit.problem(plan))
}

/// What a rehearsal says of a guard of time that would refuse a run now.
pub(super) fn rehearsed<L>(plan: &RenderedPlan, work: &[Work<'_, L>], scope: &Scope, now: Timestamp) -> Option<Phrase> {
    let sends = work.iter().any(|work| work.left.is_open() && work.step.spec.effect == Effect::Mass);
    let hit = time(&plan.guards, now).filter(|_| sends && scope.platform.is_rehearsal())?;
    Some(say!(
        "a real run would be refused at this time: guard `{guard}` ({place}): {why}",
        guard = hit.guard,
        place = hit.place(plan),
        why = hit.message
    ))
}

/// A guard that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hit {
    /// Its name in the plan.
    guard: &'static str,
    message: Phrase,
    help: Phrase,
}

impl Hit {
    /// The refusal in words, with the guard's line.
    fn problem(self, plan: &RenderedPlan) -> Problem {
        let message = say!(
            "guard `{guard}` ({place}) refused the run: {why}",
            guard = self.guard,
            place = self.place(plan),
            why = self.message
        );
        Problem::new(message).help(self.help)
    }

    /// Where the guard is in the plan.
    fn place(&self, plan: &RenderedPlan) -> String {
        format!("{}:{}", plan.path, plan.guard_lines.get(self.guard).copied().unwrap_or(1))
    }
}

/// `not_before`, `not_after`, `send_window`.
fn time(guards: &Guards, now: Timestamp) -> Option<Hit> {
    let local = shanghai(now);
    let words = |at: Timestamp| shanghai(at).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    let hit = |guard, message, help| Some(Hit { guard, message, help });
    if let Some(from) = guards.not_before.filter(|from| now < *from) {
        return hit(
            "not_before",
            say!("it is {now}, before {from}", now = words(now), from = words(from)),
            say!("run it later"),
        );
    }
    if let Some(to) = guards.not_after.filter(|to| now > *to) {
        return hit(
            "not_after",
            say!("it is {now}, after {to}", now = words(now), to = words(to)),
            say!("if you still want to send it, change `not_after`"),
        );
    }
    let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
    if let Some(window) = guards.send_window.filter(|window| !window.contains(minute)) {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let message = say!(
            "it is {now} in Asia/Shanghai; sending is allowed from {from} to {to}",
            now = local.strftime("%H:%M").to_string(),
            from = clock(window.from),
            to = clock(window.to)
        );
        return hit("send_window", message, say!("run it within the window"));
    }
    None
}

/// `max_recipients`.
fn recipients(guards: &Guards, recipients: u64) -> Option<Hit> {
    let most = guards.max_recipients.filter(|most| recipients > *most)?;
    let message = say!(
        "the run would send to {people} person; the maximum is {most}"
            | "the run would send to {people} people; the maximum is {most}",
        people = recipients,
        most = Count(most)
    );
    Some(Hit {
        guard: "max_recipients",
        message,
        help: say!("check the audience files; if the number is correct, raise the guard"),
    })
}

/// `max_change_percent`: the audience of each send that begins now, against the edition before.
fn changed<L>(
    plan: &RenderedPlan,
    work: &[Work<'_, L>],
    ledger: &dyn Ledger,
    scope: &Scope,
) -> Result<Option<Hit>, LedgerError> {
    let Some(most) = plan.guards.max_change_percent else { return Ok(None) };
    for Work { step, left, .. } in work {
        let Left::Calls { calls, write: Write::All, .. } = left else { continue };
        let counts: Option<Vec<u64>> = calls.iter().map(|call| call.frozen.recipients).collect();
        let Some(now) = counts.filter(|_| step.spec.effect == Effect::Mass).map(|counts| counts.iter().sum::<u64>())
        else {
            continue;
        };
        let Some(before) = ledger.edition_before(scope, &step.id, step.key.as_deref())? else { continue };
        let difference = now.abs_diff(before.recipients);
        // In whole numbers, so that the limit itself is allowed.
        if u128::from(difference) * 100 > u128::from(before.recipients) * u128::from(most) {
            let sign = if now > before.recipients { '+' } else { '−' };
            let percent = (difference * 100).checked_div(before.recipients);
            let percent =
                percent.map_or_else(|| say!("from nobody"), |percent| Phrase::verbatim(format!("{sign}{percent} %")));
            let message = say!(
                "`{step}` would reach {now} people, edition `{occurrence}` reached {before} ({percent}); the maximum change is {most} %",
                step = step.name(),
                now = Count(now),
                occurrence = before.occurrence,
                before = Count(before.recipients),
                percent,
                most
            );
            let help = say!("check the audience; if the number is correct, raise the guard");
            return Ok(Some(Hit { guard: "max_change_percent", message, help }));
        }
    }
    Ok(None)
}

/// `require_preview`: the same message, previewed in this occurrence.
fn previewed(plan: &RenderedPlan, step: &RenderedStep, seen: impl Fn(&str) -> bool) -> Option<Hit> {
    if !plan.guards.require_preview || was_previewed(&step.content, seen) {
        return None;
    }
    let message = say!("the message of `{step}` was not previewed in this occurrence", step = step.name());
    let help = say!("add a `preview` step with the same message before it");
    Some(Hit { guard: "require_preview", message, help })
}

/// What is no message was seen by nobody.
fn was_previewed(content: &Content, seen: impl Fn(&str) -> bool) -> bool {
    match content {
        Content::Message(shown) => seen(&shown.digest),
        Content::Media { .. } | Content::Nothing => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::{MessageKind, MessageView, Shown},
        plan::model::SendWindow,
    };

    #[test]
    fn what_has_no_message_was_not_previewed() {
        let digest = "sha256:0".to_owned();
        let seen = |digest: &str| digest == "sha256:0";
        let view = MessageView { kind: MessageKind::Text, content: "a".into() };
        let message = |digest: &str| {
            let (view, digest) = (view.clone(), digest.to_owned());
            Content::Message(Shown { view, digest, media: Vec::new(), title: None, words: None })
        };
        assert!(was_previewed(&message(&digest), seen));
        assert!(!was_previewed(&message("sha256:1"), seen));
        assert!(!was_previewed(&Content::Media { view: None, digest }, seen));
        assert!(!was_previewed(&Content::Nothing, seen));
    }

    #[test]
    fn times_are_in_shanghai() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let guards = Guards {
            send_window: Some(SendWindow { from: 540, to: 1260 }),
            not_before: Some(at("2026-03-01T09:00:00+08:00")),
            not_after: Some(at("2026-03-07T21:00:00+08:00")),
            ..Guards::default()
        };
        let hit = |text| time(&guards, at(text)).map(|hit| hit.guard);
        assert_eq!(hit("2026-03-01T00:59:59Z"), Some("not_before"));
        assert_eq!(hit("2026-03-01T01:00:00Z"), None);
        assert_eq!(hit("2026-03-02T12:59:00Z"), None);
        assert_eq!(hit("2026-03-02T13:00:00Z"), Some("send_window"));
        assert_eq!(hit("2026-03-07T13:00:01Z"), Some("not_after"));
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let guards = Guards { max_recipients: Some(10), ..Guards::default() };
        assert_eq!(recipients(&guards, 10), None);
        assert_eq!(recipients(&guards, 11).map(|hit| hit.guard), Some("max_recipients"));
    }
}
