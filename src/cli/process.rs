//! This process: its signals, its environment, its name.
#![expect(clippy::disallowed_methods, reason = "this module owns the signals and the environment of the process")]

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::ExitStatus,
    sync::{
        Once, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    locale::{Phrase, say},
    problem::ExitCode,
};

/// How often somebody asked to stop.
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
/// A person is being asked: there is nothing to finish.
static ASKING: AtomicBool = AtomicBool::new(false);

/// How a program ended that did not do well.
pub(super) fn ended(status: ExitStatus) -> Phrase {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return say!("signal {signal}", signal);
    }
    say!("exit code {code}", code = status.code().unwrap_or_default())
}

/// Remembers Ctrl-C, SIGTERM and SIGHUP. Who asks to stop during a question ends the process, and so does the third one.
pub(super) fn catch_signals() {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(catch);
}

fn catch() {
    #[cfg(unix)]
    {
        use signal_hook::{
            consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
            iterator::Signals,
        };
        // `nohup` and `cmd &` of a shell ignore a signal for what they start: that stays so.
        let ignored = ignored_signals();
        if let Ok(mut signals) =
            Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0))
        {
            std::thread::spawn(move || signals.forever().for_each(|_| asked_to_stop()));
        }
        // A file that grows past the limit of the process is a full disk: the write fails, and that is recorded and reported.
        let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    }
    #[cfg(not(unix))]
    let _ = ctrlc::set_handler(asked_to_stop);
}

/// The signals that this process was started to ignore, the first one in the lowest bit; none where the system does not say.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn asked_to_stop() {
    if INTERRUPTS.fetch_add(1, Ordering::SeqCst) >= 2 || ASKING.load(Ordering::SeqCst) {
        end(ExitCode::Interrupted);
    }
}

/// Waits for what a person answers; who asks to stop instead ends the process.
pub(super) fn asking<T>(answer: impl FnOnce() -> T) -> T {
    ASKING.store(true, Ordering::SeqCst);
    if interrupted() {
        end(ExitCode::Interrupted);
    }
    let answer = answer();
    ASKING.store(false, Ordering::SeqCst);
    answer
}

/// True once somebody asked to stop.
pub(super) fn interrupted() -> bool {
    INTERRUPTS.load(Ordering::SeqCst) > 0
}

/// True once somebody asked twice: the call in flight is not waited for.
pub(super) fn abandoned() -> bool {
    INTERRUPTS.load(Ordering::SeqCst) > 1
}

pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The arguments of the process without its name; one that is not Unicode is not one of ours.
pub(super) fn args() -> impl Iterator<Item = String> {
    args_os().map(|arg| arg.to_string_lossy().into_owned())
}

/// The arguments of the process without its name, as they are.
pub(super) fn args_os() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// Whether a program of that name is found where programs are looked for.
pub(super) fn finds(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = [program.to_owned(), format!("{program}{}", std::env::consts::EXE_SUFFIX)];
    std::env::split_paths(&folders).any(|folder| names.iter().any(|name| folder.join(name).is_file()))
}

/// The folder that the process works in.
pub(super) fn folder() -> Option<PathBuf> {
    std::env::current_dir().ok()
}

/// Whether this is a step of GitHub Actions.
pub(super) fn is_github() -> bool {
    env("GITHUB_ACTIONS").as_deref() == Some("true")
}

/// What this process was started as.
static COMMAND: OnceLock<String> = OnceLock::new();

/// Remembers what this process was started as, such as `qunfa token refresh`.
pub(super) fn is_started_as(mut matches: &clap::ArgMatches) {
    let mut command = "qunfa".to_owned();
    while let Some((name, inner)) = matches.subcommand() {
        command.push_str(&format!(" {name}"));
        matches = inner;
    }
    COMMAND.get_or_init(|| command);
}

/// See [`is_started_as`].
pub(super) fn command() -> String {
    COMMAND.get().cloned().unwrap_or_default()
}

/// The name of this machine and the number of this process, for the lock.
pub(super) fn identity() -> (String, u32) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| env("HOSTNAME"))
        .or_else(|| env("COMPUTERNAME"));
    (host.map_or_else(|| "unknown".into(), |host| host.trim().to_owned()), std::process::id())
}

/// What this process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Time of all its threads on processors.
    pub(super) cpu: Duration,
    /// Memory that it holds now, in bytes; 0 where the system does not say.
    pub(super) memory: u64,
}

/// What this process has used so far; nothing where the system does not say.
pub(super) fn usage() -> Usage {
    #[cfg(unix)]
    {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).unwrap_or_default();
        let cpu = Duration::new(seconds, u32::try_from(cpu.tv_nsec).unwrap_or_default());
        // Linux: pages, of which the second number are in memory.
        let pages = fs::read_to_string("/proc/self/statm").ok();
        let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or_default();
        Usage { cpu, memory: pages.saturating_mul(rustix::param::page_size() as u64) }
    }
    #[cfg(not(unix))]
    Usage::default()
}

/// The most bytes that this process may map, if there is a limit.
pub(super) fn address_space() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::As).current;
    #[cfg(not(unix))]
    None
}

/// Ends this process, whatever it is doing.
pub(super) fn end(code: ExitCode) -> ! {
    std::process::exit(code as i32)
}

/// A new name for a run: time and chance.
pub(super) fn new_run_id(now: Timestamp) -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{}-{:06x}", crate::clock::shanghai(now).strftime("%Y%m%d-%H%M%S"), hasher.finish() & 0xff_ffff)
}
