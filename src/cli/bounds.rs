//! The net below all limits that count work: whatever a plan makes qunfa do until it is rendered, it ends in time and does not
//! take all memory, and deep recursion meets the end of no stack.

use std::{sync::mpsc, thread, time::Duration};

use super::{
    findings,
    process::{self, Usage},
    terminal::Terminal,
};
use crate::{
    diag::{
        Code, Diagnostic,
        finding::{self, Checked},
        source::{SourceMap, Span},
    },
    limits,
    locale::{Count, Phrase, say},
    problem::{ExitCode, Problem},
};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// Does the work on a stack that is large enough for whatever a plan nests; on that of the process if there is none.
pub(super) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let work = std::sync::Mutex::new(Some(work));
    let take = || work.lock().ok().and_then(|mut work| work.take()).expect("it is done once");
    thread::scope(|scope| {
        match thread::Builder::new().stack_size(limits::STACK_BYTES).spawn_scoped(scope, || take()()) {
            Ok(worker) => worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => take()(),
        }
    })
}

/// Ends the process if it needs too much, until it is dropped.
pub(super) struct Watch {
    /// Nothing is sent through it: it is closed.
    _until: mpsc::Sender<()>,
}

impl Watch {
    pub(super) fn over(plan: &str, terminal: &Terminal) -> Self {
        let (plan, terminal) = (plan.to_owned(), terminal.clone());
        watch(process::usage, move |what| {
            let (problem, checked) = too_busy(&plan, what);
            terminal.error(&problem);
            if terminal.json {
                findings::document(vec![checked], ExitCode::Invalid, &terminal);
            }
            process::end(ExitCode::Invalid)
        })
    }
}

/// Looks until it is dropped, and does `then` at once when too much was used.
fn watch(usage: impl Fn() -> Usage + Send + 'static, then: impl FnOnce(Phrase) + Send + 'static) -> Watch {
    let (until, dropped) = mpsc::channel();
    let before = usage().cpu;
    let look = move || {
        while dropped.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
            if let Some(what) = excess(before, usage()) {
                return then(what);
            }
        }
    };
    // Without it the limits that count work still hold.
    let _unwatched = thread::Builder::new().spawn(look);
    Watch { _until: until }
}

/// What is too much, in words.
fn excess(before: Duration, now: Usage) -> Option<Phrase> {
    if now.cpu.saturating_sub(before) > limits::PLAN_CPU {
        return Some(say!("{seconds} seconds of CPU time", seconds = limits::PLAN_CPU.as_secs()));
    }
    let memory = limits::PLAN_MEMORY;
    (now.memory > memory).then(|| say!("{bytes} bytes of memory", bytes = Count(memory)))
}

fn too_busy(plan: &str, what: Phrase) -> (Problem, Checked) {
    let message = say!("reading and rendering `{plan}` was stopped because it needs more than {what}", plan, what);
    let help = say!("split the plan, its data or its audiences");
    let problem =
        Problem::new(say!("{message} ({code})", message = &message, code = Code::TooBusy.info().id)).help(help.clone());
    let mut sources = SourceMap::default();
    let place = Span::new(sources.add(plan, String::new()), 0..0);
    let found = Diagnostic::new(Code::TooBusy, place, message).help(help);
    let diagnostics = finding::findings(&[found], &sources);
    (problem, Checked { plan: plan.to_owned(), valid: false, digest: None, diagnostics, articles: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_or_too_much_is_stopped() {
        let of = |seconds: u64, memory: u64| Usage { cpu: Duration::from_secs(seconds), memory };
        let second = Duration::from_secs(1);
        let most = limits::PLAN_CPU.as_secs();
        assert_eq!(excess(second, of(1 + most, limits::PLAN_MEMORY)), None, "what was used before does not count");
        assert_eq!(excess(second, of(2 + most, 0)).expect("too long"), format!("{most} seconds of CPU time"));
        assert_eq!(excess(second, of(1, limits::PLAN_MEMORY + 1)).expect("too much"), "1,073,741,824 bytes of memory");
        let (tell, told) = mpsc::channel();
        let watch = watch(move || of(0, u64::MAX), move |what| tell.send(what).expect("somebody waits"));
        assert_eq!(told.recv().expect("it is told"), "1,073,741,824 bytes of memory");
        drop(watch);
        let (problem, checked) = too_busy("plan.yaml", Phrase::verbatim("it"));
        assert_eq!(
            problem.message,
            "reading and rendering `plan.yaml` was stopped because it needs more than it (Q108)"
        );
        assert_eq!((checked.plan.as_str(), checked.diagnostics.len()), ("plan.yaml", 1));
    }

    #[test]
    fn the_stack_is_large() {
        fn deep(left: usize) -> usize {
            let here = std::hint::black_box([left; 128]);
            if left == 0 { 0 } else { 1 + deep(left - 1) + here[0] - left }
        }
        // A kilobyte each: 32 MiB, four times a usual stack.
        assert_eq!(on_large_stack(|| deep(32 << 10)), 32 << 10);
    }
}
