//! The net below all limits that count work: whatever a plan makes qunfa do until it is rendered, it ends in time and does not
//! take all memory, and deep recursion meets the end of no stack.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{
    files, findings,
    process::{self, Usage},
    terminal::Terminal,
};
use crate::{
    content::template,
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

/// Does the work on a stack that is large enough for whatever a plan nests; on that of the process if there is none. It is
/// one of this thread, which allocates as the program does: a thread of its own would begin with an empty heap.
pub(super) fn on_large_stack<T>(work: impl FnOnce() -> T) -> T {
    if process::address_space().is_some_and(|most| most < 2 * limits::STACK_BYTES as u64) {
        return work();
    }
    let mut work = Some(work);
    let grown =
        catch_unwind(AssertUnwindSafe(|| stacker::grow(limits::STACK_BYTES, || work.take().map(|work| work()))));
    match (grown, work) {
        (Ok(Some(done)), _) => done,
        // The system had no memory for it.
        (_, Some(work)) => work(),
        (Err(panic), None) => resume_unwind(panic),
        (Ok(None), None) => unreachable!("the work is taken by who does it"),
    }
}

/// Ends the process if it needs too much, until it is dropped.
pub(super) struct Watch {
    /// Nothing is sent through it: it is closed.
    _until: mpsc::Sender<()>,
}

impl Watch {
    /// `before` is what the process had used before it began with the plan.
    pub(super) fn over(plan: &str, before: Duration, terminal: &Terminal) -> Self {
        let (plan, terminal) = (plan.to_owned(), terminal.clone());
        watch(
            before,
            || {
                let templates = Templates { running: template::running(), work: template::counted() };
                Look { used: process::usage(), templates, read: files::bytes_opened() }
            },
            move |what| {
                let (problem, checked) = too_busy(&plan, what);
                terminal.error(&problem);
                if terminal.json {
                    findings::document(vec![checked], ExitCode::Invalid, &terminal);
                }
                process::end(ExitCode::Invalid)
            },
        )
    }
}

/// What is known when it is looked.
#[derive(Debug, Clone, Copy)]
struct Look {
    used: Usage,
    templates: Templates,
    /// Bytes of all that was read.
    read: u64,
}

/// What is known of the templates when it is looked.
#[derive(Debug, Clone, Copy, Default)]
struct Templates {
    /// The number of the one that is running, if one is.
    running: Option<u64>,
    /// The work of all until now that is counted.
    work: u64,
}

/// CPU time of templates.
#[derive(Debug, Clone, Copy, Default)]
struct TemplateCpu {
    /// Of the one that is running.
    running: Duration,
    /// Of all that were running when it was looked.
    all: Duration,
    /// What their work accounts for.
    work: Duration,
}

/// Looks until it is dropped, and does `then` at once when too much was used, by all or by templates.
fn watch(
    before: Duration,
    usage: impl Fn() -> Look + Send + 'static,
    then: impl FnOnce(Phrase) + Send + 'static,
) -> Watch {
    let (until, dropped) = mpsc::channel();
    let Look { used: Usage { cpu: now, .. }, templates: first, .. } = usage();
    let (mut template, mut template_before, mut last) = (first.running, now, now);
    let mut cpu = TemplateCpu::default();
    let look = move || {
        while dropped.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
            let Look { used: now, templates, read } = usage();
            if templates.running != template {
                (template, template_before) = (templates.running, now.cpu);
            }
            cpu.running = Duration::ZERO;
            if templates.running.is_some() {
                cpu.running = now.cpu.saturating_sub(template_before);
                cpu.all += now.cpu.saturating_sub(last);
            }
            last = now.cpu;
            let work = u32::try_from(templates.work.saturating_sub(first.work)).unwrap_or(u32::MAX);
            cpu.work = limits::TEMPLATE_WORK_CPU.saturating_mul(work);
            if let Some(what) = excess(before, now, cpu, read) {
                return then(what);
            }
        }
    };
    // Without it the limits that count work still hold.
    let _unwatched = thread::Builder::new().spawn(look);
    Watch { _until: until }
}

/// What is too much, in words. All work of templates is counted but that of comparing lists of lists: what their work does not
/// account for is that.
fn excess(before: Duration, now: Usage, templates: TemplateCpu, read: u64) -> Option<Phrase> {
    let seconds = limits::TEMPLATE_CPU.as_secs();
    if templates.running > limits::TEMPLATE_CPU {
        return Some(say!(
            "{seconds} second of CPU time in one template, which may compare lists of lists of lists,"
                | "{seconds} seconds of CPU time in one template, which may compare lists of lists of lists,",
            seconds
        ));
    }
    if templates.all.saturating_sub(templates.work) > limits::TEMPLATE_CPU {
        return Some(say!(
            "{seconds} second of CPU time in templates for work that is not counted: they may compare lists of lists of lists"
                | "{seconds} seconds of CPU time in templates for work that is not counted: they may compare lists of lists of lists",
            seconds
        ));
    }
    let (cpu, memory) = match read < limits::SMALL_BYTES {
        true => (limits::SMALL_CPU, limits::SMALL_MEMORY),
        false => (limits::PLAN_CPU, limits::PLAN_MEMORY),
    };
    if now.cpu.saturating_sub(before) > cpu {
        return Some(say!("{seconds} seconds of CPU time", seconds = cpu.as_secs_f64().to_string()));
    }
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
        let _heard = crate::locale::tests::heard("cli-bounds-what_takes_too_long_or_too_much_is_stopped");
        let of = |seconds: u64, memory: u64| Usage { cpu: Duration::from_secs(seconds), memory };
        let excess = |before, now| excess(before, now, TemplateCpu::default(), limits::SMALL_BYTES);
        let second = Duration::from_secs(1);
        let most = limits::PLAN_CPU.as_secs();
        assert_eq!(excess(second, of(1 + most, limits::PLAN_MEMORY)), None, "what was used before does not count");
        assert_eq!(excess(second, of(2 + most, 0)).expect("too long"), format!("{most} seconds of CPU time"));
        assert_eq!(excess(second, of(1, limits::PLAN_MEMORY + 1)).expect("too much"), "1,073,741,824 bytes of memory");
        let small = |used| super::excess(Duration::ZERO, used, TemplateCpu::default(), limits::SMALL_BYTES - 1);
        let used = |cpu, memory| Usage { cpu, memory };
        assert_eq!(small(used(limits::SMALL_CPU, limits::SMALL_MEMORY)), None);
        let said = format!("{} seconds of CPU time", limits::SMALL_CPU.as_secs_f64());
        assert_eq!(small(used(limits::SMALL_CPU + second, 0)).expect("too long"), said);
        let said = say!("{bytes} bytes of memory", bytes = Count(limits::SMALL_MEMORY)).to_string();
        assert_eq!(small(used(second, limits::SMALL_MEMORY + 1)).expect("too much"), said);
        let (tell, told) = mpsc::channel();
        let watch = watch(
            second,
            move || Look { used: of(0, u64::MAX), templates: Templates::default(), read: limits::SMALL_BYTES },
            move |what| tell.send(what).expect("somebody waits"),
        );
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
    fn one_template_that_takes_long_is_stopped_and_many_that_do_not_are_none() {
        let _heard = crate::locale::tests::heard(
            "cli-bounds-one_template_that_takes_long_is_stopped_and_many_that_do_not_are_none",
        );
        let most = limits::TEMPLATE_CPU;
        let of = |cpu| Usage { cpu, memory: 0 };
        let cpu = |running| TemplateCpu { running, ..TemplateCpu::default() };
        assert_eq!(excess(Duration::ZERO, of(most), cpu(most), u64::MAX), None);
        let said = excess(Duration::ZERO, of(most), cpu(most * 2), u64::MAX).expect("too much");
        assert!(said.to_string().contains("of CPU time in one template"), "{said}");
        // Each look finds another one, until one stays; what they take is counted.
        let work = u64::try_from(most.as_nanos() / limits::TEMPLATE_WORK_CPU.as_nanos()).expect("small");
        assert_eq!(stopped(move |look| Templates { running: Some(look.min(3)), work: look * work }), said);
    }

    #[test]
    fn templates_whose_work_does_not_account_for_their_time_are_stopped() {
        let _heard =
            crate::locale::tests::heard("cli-bounds-templates_whose_work_does_not_account_for_their_time_are_stopped");
        let most = limits::TEMPLATE_CPU;
        let of = |cpu| Usage { cpu, memory: 0 };
        let cpu = |all, work| TemplateCpu { all, work, ..TemplateCpu::default() };
        assert_eq!(excess(Duration::ZERO, of(most), cpu(most * 3, most * 2), u64::MAX), None);
        let said = excess(Duration::ZERO, of(most), cpu(most * 4, most * 2), u64::MAX).expect("too much");
        assert!(said.to_string().contains("of CPU time in templates for work that is not counted"), "{said}");
        assert_eq!(stopped(|look| Templates { running: Some(look), work: 1 }), said);
    }

    /// Why a process is stopped that takes a third of what one template may between two looks.
    fn stopped(templates: impl Fn(u64) -> Templates + Send + 'static) -> Phrase {
        let looks = std::sync::atomic::AtomicU64::new(0);
        let usage = move || {
            let look = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let cpu = limits::TEMPLATE_CPU * u32::try_from(look).unwrap_or(u32::MAX) / 3;
            Look { used: Usage { cpu, memory: 0 }, templates: templates(look), read: 0 }
        };
        let (tell, told) = mpsc::channel();
        let watch = watch(Duration::ZERO, usage, move |what| tell.send(what).expect("somebody waits"));
        let said = told.recv().expect("it is stopped");
        drop(watch);
        said
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
