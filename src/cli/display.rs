//! Events as they happen, on standard error: a moving line on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::Terminal;
use crate::{
    limits,
    locale::{Phrase, say},
    report::{CallOutcome, CallReport, RunEvent, StepOutcome, StepView},
};

/// Shows a run.
pub(super) struct Display<'a> {
    terminal: &'a Terminal,
    bar: Option<ProgressBar>,
    steps: Vec<StepView>,
    calls_done: usize,
    /// The last wait, and how long it will have gone on without a line.
    waited: Option<(String, Duration)>,
    /// Says what each call carried and what WeChat said.
    verbose: bool,
}

impl<'a> Display<'a> {
    pub(super) fn new(terminal: &'a Terminal, verbose: bool) -> Self {
        let bar = (terminal.interactive && !terminal.quiet).then(|| {
            let style = ProgressStyle::with_template("{spinner} [{pos}/{len}] {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
        });
        Self { terminal, bar, steps: Vec::new(), calls_done: 0, waited: None, verbose }
    }

    fn line(&self, text: &Phrase) {
        let text = crate::text::one_line(&text.to_string());
        match &self.bar {
            Some(bar) => bar.suspend(|| self.terminal.note(&format!("{text}\n"))),
            None => self.terminal.note(&format!("{text}\n")),
        }
    }

    fn message(&self, text: &Phrase) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.calls_done as u64);
            bar.set_message(crate::text::one_line(&text.to_string()));
            bar.tick();
        }
    }

    /// Says why it is waited. What is waited for again and again, such as the end of a job, is one moving line on a terminal, and
    /// a line a minute elsewhere.
    fn wait(&mut self, step: usize, duration: Duration, why: &Phrase) {
        let seconds = format!("{:.0}", duration.as_secs_f64());
        let step = self.name(step);
        let text = say!("{step}: waiting {seconds} s {why}", step = &step, seconds, why);
        self.message(&text);
        if self.is_news(format!("{step} {why}"), duration) {
            self.line(&text);
        }
    }

    fn is_news(&mut self, wait: String, duration: Duration) -> bool {
        let silent = self.waited.take().filter(|(last, _)| *last == wait).map(|(_, silent)| silent);
        let is_news = silent.is_none_or(|silent| self.bar.is_none() && silent >= limits::WAIT_SAY);
        self.waited = Some((wait, silent.filter(|_| !is_news).unwrap_or_default() + duration));
        is_news
    }

    fn name(&self, step: usize) -> String {
        let step = &self.steps[step];
        crate::text::step_name(&step.id, step.key.as_deref())
    }

    pub(super) fn show(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { plan, steps, platform, .. } => {
                self.steps = steps.clone();
                let calls: usize = steps.iter().map(|step| step.calls).sum();
                if let Some(bar) = &self.bar {
                    bar.set_length(calls as u64);
                    bar.enable_steady_tick(Duration::from_millis(100));
                }
                let plan = &plan.name;
                self.line(&match platform.as_str() {
                    "sandbox" => say!("running {plan} against the embedded sandbox", plan),
                    "loopback" => say!("running {plan} against a server on this machine", plan),
                    _ => say!("running {plan} against WeChat", plan),
                });
            }
            RunEvent::StepStarted { step, .. } => {
                self.message(&Phrase::verbatim(self.name(*step)));
            }
            // What is over at once is no wait to tell of.
            RunEvent::Waiting { duration, .. } if duration.as_millis() < 500 => {}
            RunEvent::Waiting { step, duration, why } => self.wait(*step, *duration, why),
            RunEvent::CallFinished { step, call } => {
                self.calls_done += 1;
                let text =
                    say!("{step}: {call}", step = self.name(*step), call = said_of(call, self.steps[*step].calls));
                self.message(&text);
                self.line(&text);
                if self.verbose {
                    self.line(&details(call));
                }
            }
            RunEvent::Note { text } => self.line(&say!("note: {text}", text)),
            RunEvent::StepFinished { step, outcome, error, .. } => {
                let outcome = match outcome {
                    StepOutcome::AlreadyDone => say!("already done, nothing sent"),
                    StepOutcome::Skipped => say!("skipped"),
                    StepOutcome::Failed => say!("failed"),
                    StepOutcome::Unknown => say!("outcome unknown"),
                    StepOutcome::Succeeded | StepOutcome::NotRun => return,
                };
                let step = self.name(*step);
                self.line(&match error {
                    Some(error) => say!("{step}: {outcome}: {why}", step, outcome, why = &error.message),
                    None => say!("{step}: {outcome}", step, outcome),
                });
            }
            RunEvent::Finished { .. } => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

/// What became of one of the `calls` of a step.
fn said_of(call: &CallReport, calls: usize) -> Phrase {
    let outcome = match call.outcome {
        CallOutcome::Accepted => say!("accepted"),
        CallOutcome::Adopted => say!("already sent, adopted"),
        CallOutcome::Refused => say!("refused"),
        CallOutcome::NotSent => say!("not sent"),
        CallOutcome::Unknown => say!("outcome unknown"),
    };
    let outcome = match call.errcode.filter(|code| *code != 0) {
        Some(errcode) => say!("{outcome} ({errcode})", outcome, errcode),
        None => outcome,
    };
    let said = match calls {
        0 | 1 => say!("call {outcome}", outcome),
        _ => say!("call {number}/{calls} {outcome}", number = call.chunk, calls, outcome),
    };
    match call.msg_id {
        Some(id) => say!("{said}, msg_id {id}", said, id),
        None => said,
    }
}

/// What a call carried and what WeChat said.
fn details(call: &CallReport) -> Phrase {
    let said = call.errmsg.as_deref().map_or_else(|| say!("nothing"), Phrase::verbatim);
    let (path, attempts) = (&call.path, call.attempts);
    match &call.clientmsgid {
        Some(key) => {
            say!(
                "  {path} ({attempts} attempt, clientmsgid {key}): {said}"
                    | "  {path} ({attempts} attempts, clientmsgid {key}): {said}",
                attempts,
                path,
                key,
                said
            )
        }
        None => {
            say!(
                "  {path} ({attempts} attempt): {said}" | "  {path} ({attempts} attempts): {said}",
                attempts,
                path,
                said
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_goes_on_is_a_line_a_minute_or_one_that_moves() {
        let terminal = Terminal::new(anstream::ColorChoice::Never, true, false);
        let mut display = Display::new(&terminal, false);
        let mut lines = |wait: &str, seconds| {
            let news = |_| display.is_news(wait.to_owned(), Duration::from_secs(seconds));
            (0..7).map(news).collect::<Vec<_>>()
        };
        assert_eq!(lines("a", 20), [true, false, false, true, false, false, true]);
        assert_eq!(lines("b", 90), [true; 7]);
        assert_eq!(lines("a", 30), [true, false, true, false, true, false, true]);
        display.bar = Some(ProgressBar::hidden());
        assert!(display.is_news("c".into(), Duration::from_secs(90)));
        assert!(!display.is_news("c".into(), Duration::from_secs(90)));
    }
}
