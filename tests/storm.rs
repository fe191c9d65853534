//! A storm over a store that is shared: two contestants for one account, who are killed, whose sessions are ended, and whose
//! server crashes, until everything is delivered. Whatever happens, nobody gets a message twice.

use std::{
    io::Write as _,
    process::Child,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    kills::{Chance, forty, number},
    postgres::{Crashing, Schema},
    support::{Case, Fake, Ran},
};

/// One who runs the plan again and again.
#[derive(Default)]
struct Contestant {
    running: Mutex<Option<Child>>,
}

impl Contestant {
    /// Runs until a run says that all is done; how the runs ended.
    fn goes_on(&self, case: &Case, args: &[&str]) -> Vec<i32> {
        let mut codes = Vec::new();
        while codes.last() != Some(&0) {
            assert!(codes.len() < 2000, "it never ends: {codes:?}");
            *self.lock() = Some(case.spawn(args));
            let ran = self.wait();
            assert!(matches!(ran.code, 0 | 4 | 6 | 7 | 8 | -1), "exit {}\n{}{}", ran.code, ran.stdout, ran.stderr);
            assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
            codes.push(ran.code);
        }
        codes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its process, which may be killed meanwhile.
    fn wait(&self) -> Ran {
        loop {
            let mut running = self.lock();
            let ended = running.as_mut().expect("it was started").try_wait().expect("a child").is_some();
            if ended {
                return Case::finish(running.take().expect("it was started"));
            }
            drop(running);
            std::thread::yield_now();
        }
    }

    fn kill(&self) -> bool {
        self.lock().as_mut().is_some_and(|child| child.kill().is_ok())
    }
}

/// What was done to them.
#[derive(Debug, Default)]
struct Done {
    kills: u32,
    ended: u32,
    crashes: u32,
}

/// So many blows, each at an instant of its own.
fn blows(chance: &mut Chance, server: &Crashing, schema: &Schema, contestants: &[Contestant; 2]) -> Done {
    let mut done = Done::default();
    let mut crashes_left = 1 + chance.below(2);
    for _ in 0..8 + chance.below(8) {
        let until = Instant::now() + Duration::from_micros(chance.below(120_000));
        while Instant::now() < until {
            std::thread::yield_now();
        }
        match chance.below(12) {
            0..=5 => done.kills += u32::from(contestants[usize::from(chance.below(2) == 1)].kill()),
            6..=9 => {
                // One of the sessions, or all of them.
                let limit = if chance.below(4) == 0 { "ALL" } else { "1" };
                let ended = schema.sql(&format!(
                    "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
                     WHERE application_name = 'qunfa' ORDER BY random() LIMIT {limit}) AS chosen"
                ));
                done.ended += ended.parse::<u32>().expect("a number");
            }
            _ if crashes_left > 0 => {
                crashes_left -= 1;
                done.crashes += 1;
                server.crash();
            }
            _ => {}
        }
    }
    done
}

/// What must hold when the storm is over.
pub(crate) fn holds(fake: &Fake, schema: &Schema, sends: usize, story: &str) {
    let delivered = fake.delivered();
    assert_eq!(delivered.len(), sends, "{story}: somebody was left out");
    assert!(delivered.values().all(|times| *times == 1), "{story}: delivered twice");
    let none = |what: &str, rows: &str| {
        let found = schema.sql(rows);
        assert!(found.is_empty(), "{story}: {what}:\n{found}");
    };
    none(
        "an event after an acceptance",
        "SELECT a.call, a.number, b.kind FROM events a JOIN events b ON b.call = a.call AND b.number > a.number
         WHERE a.kind IN ('accepted', 'adopted') AND b.kind <> 'named'",
    );
    none(
        "an epoch that went back in a call",
        "SELECT a.call, a.number FROM events a JOIN events b ON b.call = a.call AND b.number > a.number WHERE b.epoch < a.epoch",
    );
    none(
        "a run that wrote under more than one epoch, or two runs under one",
        "SELECT run_id FROM events GROUP BY run_id HAVING count(DISTINCT epoch) > 1
         UNION ALL SELECT epoch::text FROM events GROUP BY epoch HAVING count(DISTINCT run_id) > 1",
    );
    none(
        "an epoch that the account does not have yet",
        "SELECT e.epoch FROM events e WHERE e.epoch > (SELECT epoch FROM accounts)",
    );
    none(
        "an acceptance without the msg_data_id that came with it",
        "SELECT c.step FROM events e JOIN calls c ON c.id = e.call
         WHERE c.mass AND e.kind = 'accepted' AND (e.msg_data_id IS NULL OR e.msg_id IS NULL)",
    );
    none(
        "a send that is not settled",
        "SELECT c.step FROM live_calls c WHERE c.mass
         AND NOT EXISTS (SELECT 1 FROM events e WHERE e.call = c.id AND e.kind IN ('accepted', 'adopted'))",
    );
    // Each call that was made has an intent of its own.
    let intents = schema.sql(
        "SELECT c.idempotency_key, count(*) FROM calls c JOIN events e ON e.call = c.id
         WHERE c.mass AND e.kind = 'attempted' GROUP BY 1",
    );
    for (key, count) in intents.lines().filter_map(|line| line.split_once('|')) {
        let made = fake.sends().iter().filter(|got| got.json()["clientmsgid"] == key).count();
        assert!(made <= count.parse().expect("a number"), "{story}: {made} calls for {count} intents of {key}");
    }
    assert_eq!(intents.lines().count(), sends, "{story}: {intents}");
}

#[test]
fn a_storm_of_kills_ended_sessions_and_crashes_sends_nothing_twice() {
    let Some(server) = Crashing::new() else { return };
    let (rounds, seed) = (number("QUNFA_STORM_ROUNDS", 1), number("QUNFA_STORM_SEED", 20_261_127));
    let mut all = Done::default();
    let mut runs = 0;
    for round in 0..rounds {
        // A round can be repeated alone: QUNFA_STORM_ROUNDS=1 with its own seed.
        let seed = seed + round;
        let story = format!("QUNFA_STORM_SEED={seed}, round {round}");
        let mut chance = Chance::new(seed);
        let schema = Schema::on(&server.address);
        let (case, fake) = (Case::new().file("plan.yaml", forty()), Fake::usual());
        let state = schema.address();
        let args = ["run", "plan.yaml", "--yes", "--quiet", "--api-base", &fake.base, "--state", &state];
        let contestants = <[Contestant; 2]>::default();
        let codes = std::thread::scope(|scope| {
            let threads = [0, 1].map(|at| {
                let (contestant, case) = (&contestants[at], &case);
                scope.spawn(move || contestant.goes_on(case, &args))
            });
            let done = blows(&mut chance, &server, &schema, &contestants);
            all.kills += done.kills;
            all.ended += done.ended;
            all.crashes += done.crashes;
            threads.map(|thread| thread.join().unwrap_or_else(|_| panic!("{story}: see above")))
        });
        runs += codes.iter().map(Vec::len).sum::<usize>();
        holds(&fake, &schema, 40, &format!("{story}, {codes:?}"));
        let sends = fake.sends().len();
        case.run(&args).exits(0);
        assert_eq!(fake.sends().len(), sends, "{story}: one more run sends nothing");
    }
    // Not through the macros: what they print, the harness keeps to itself.
    let _ =
        writeln!(std::io::stderr(), "storm of {rounds} rounds from seed {seed}: {runs} runs, {all:?}, 0 bad rounds");
    assert!(all.kills > 0 && all.ended + all.crashes > 0, "there was no storm: {all:?}");
}
