//! What `docs/security.md` says of hostile plans, where no plan of `tests/plans/err` says it already.

use crate::support::Case;

#[test]
fn only_a_real_run_needs_the_secret() {
    let case = Case::new().no_env("WECHAT_SECRET").file(
        "plan.yaml",
        "version: 1
name: stranger
account: { kind: service, appid: wx0123456789abcdef, secret: { command: [touch, taken] } }
steps:
  - { id: a, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: 你好 } }
",
    );
    for args in [
        vec!["validate", "plan.yaml"],
        vec!["render", "plan.yaml", "--out", "rendered"],
        vec!["render", "plan.yaml", "--check", "rendered"],
        vec!["audience", "plan.yaml", "a"],
        vec!["run", "plan.yaml", "--sandbox"],
        vec!["status", "plan.yaml"],
    ] {
        case.run(&args).exits(0);
        assert!(!case.path("taken").exists(), "{args:?} ran the command of the secret");
    }
    // Nobody listens there; the secret was asked for before.
    case.run(&["run", "plan.yaml", "--yes", "--api-base", "http://127.0.0.1:9"]);
    assert!(case.path("taken").exists());
}
