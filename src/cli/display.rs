//! Events as they happen, on standard error: a moving line on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::Terminal;
use crate::report::{CallOutcome, RunEvent, StepOutcome, StepView};

/// Shows a run.
pub(super) struct Display<'a> {
    terminal: &'a Terminal,
    bar: Option<ProgressBar>,
    steps: Vec<StepView>,
    calls_done: usize,
    current: String,
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
        Self { terminal, bar, steps: Vec::new(), calls_done: 0, current: String::new(), verbose }
    }

    fn line(&self, text: &str) {
        let text = crate::text::one_line(text);
        match &self.bar {
            Some(bar) => bar.suspend(|| self.terminal.note(&format!("{text}\n"))),
            None => self.terminal.note(&format!("{text}\n")),
        }
    }

    fn message(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.calls_done as u64);
            bar.set_message(crate::text::one_line(text));
            bar.tick();
        }
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
                let place = match platform.as_str() {
                    "sandbox" => "the embedded sandbox",
                    "loopback" => "a server on this machine",
                    _ => "WeChat",
                };
                self.line(&format!("running {} against {place}", plan.name));
            }
            RunEvent::StepStarted { step, .. } => {
                self.current = self.name(*step);
                self.message(&self.current.clone());
            }
            // What is over at once is no wait to tell of.
            RunEvent::Waiting { duration, .. } if duration.as_millis() < 500 => {}
            RunEvent::Waiting { step, duration, why } => {
                let seconds = duration.as_secs_f64();
                let text = format!("{}: waiting {seconds:.0} s {why}", self.name(*step));
                self.message(&text);
                self.line(&text);
            }
            RunEvent::CallFinished { step, call } => {
                self.calls_done += 1;
                let word = match call.outcome {
                    CallOutcome::Accepted => "accepted",
                    CallOutcome::Adopted => "already there, adopted",
                    CallOutcome::Refused => "refused",
                    CallOutcome::NotSent => "not sent",
                    CallOutcome::Unknown => "outcome unknown",
                };
                let of = self.steps[*step].calls;
                let number = if of > 1 { format!(" {}/{of}", call.chunk) } else { String::new() };
                let id = call.msg_id.map_or_else(String::new, |id| format!(", msg_id {id}"));
                let code = call.errcode.filter(|code| *code != 0).map_or_else(String::new, |code| format!(" ({code})"));
                let text = format!("{}: call{number} {word}{code}{id}", self.name(*step));
                self.message(&text);
                self.line(&text);
                if self.verbose {
                    let key = call.clientmsgid.as_ref().map_or_else(String::new, |key| format!(", clientmsgid {key}"));
                    let said = call.errmsg.as_deref().unwrap_or("nothing");
                    self.line(&format!("  {}, attempts {}{key}, WeChat said: {said}", call.path, call.attempts));
                }
            }
            RunEvent::Note { text } => self.line(&format!("note: {text}")),
            RunEvent::StepFinished { step, outcome, error, .. } => {
                let word = match outcome {
                    StepOutcome::AlreadyDone => "already done, nothing sent",
                    StepOutcome::Skipped => "skipped",
                    StepOutcome::Failed => "failed",
                    StepOutcome::Unknown => "outcome unknown",
                    StepOutcome::Succeeded | StepOutcome::NotRun => return,
                };
                let why = error.as_ref().map_or_else(String::new, |error| format!(": {}", error.message));
                self.line(&format!("{}: {word}{why}", self.name(*step)));
            }
            RunEvent::Finished { .. } => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
        }
    }
}
