//! One report with every standing, drawn in every format.

use super::*;
use crate::{
    locale::{
        say,
        tests::{BOTH, speaking},
    },
    problem::ExitCode,
    report::Again,
};

fn account(name: &str, wave: usize, standing: Standing) -> AccountReport {
    let bad = standing.is_bad();
    AccountReport {
        name: name.to_owned(),
        appid: "wx0123456789abcdef".to_owned(),
        wave,
        standing,
        run_id: (standing != Standing::NotBegun).then(|| "20260301-090000-0a1b2c".to_owned()),
        started_at: (standing != Standing::NotBegun).then(|| "2026-03-01T09:00:00+08:00".parse().expect("a time")),
        exit_code: match standing {
            Standing::Succeeded => Some(0),
            Standing::Failed => Some(6),
            Standing::Unknown => Some(7),
            Standing::Running | Standing::NotBegun => None,
        },
        accepted: u64::from(bad) * 1_200,
        in_doubt: u64::from(standing == Standing::Unknown),
        open: 2,
        again: Again::Later,
        again_reason: say!("the run is still in progress"),
        commands: if bad { vec![format!("qunfa run --fleet fleet.yaml --account {name} --yes")] } else { Vec::new() },
    }
}

fn fixture() -> FleetReport {
    let accounts = vec![
        account("harbin", 1, Standing::Succeeded),
        account("beijing", 2, Standing::Failed),
        account("chengdu", 2, Standing::Running),
        account("kunming|<b>", 2, Standing::Unknown),
        account("shanghai", 2, Standing::NotBegun),
    ];
    FleetReport {
        schema: FLEET_SCHEMA,
        exit_code: FleetReport::code(&accounts) as u8,
        fleet: "fleet.yaml".to_owned(),
        plan: "spring".to_owned(),
        occurrence: "once".to_owned(),
        platform: "wechat".to_owned(),
        totals: Standings::of(&accounts),
        accounts,
    }
}

#[test]
fn every_format() {
    for (language, suffix) in BOTH {
        for format in Format::ALL {
            let shown = speaking(language, || render(&fixture(), format));
            let shown = anstream::adapter::strip_str(&shown).to_string();
            insta::assert_snapshot!(format!("fleet-{format}{suffix}"), shown);
        }
    }
}

#[test]
fn the_worst_account_decides_the_code_and_the_sums_add_up() {
    let report = fixture();
    assert_eq!(report.exit_code, ExitCode::Unknown as u8);
    let Standings { accounts, succeeded, failed, unknown, running, not_begun } = report.totals;
    assert_eq!(accounts, succeeded + failed + unknown + running + not_begun);
    let all = |standing| FleetReport::code(&[account("a", 1, standing)]);
    assert_eq!((all(Standing::Failed), all(Standing::NotBegun)), (ExitCode::PartlyFailed, ExitCode::Done));
}
