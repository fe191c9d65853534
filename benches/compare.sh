#!/usr/bin/env bash
# Whole processes beside a peer: time, memory, and their ratio, as Markdown tables.
#
#   benches/compare.sh              everything (needs 3 GB below $TMPDIR, about 5 minutes)
#   benches/compare.sh start steps  only these: start, steps, people, millions, sends, run, states (which needs QUNFA_BENCH_POSTGRES)
#
# Needs python3, curl and sort; and GNU time (/usr/bin/time) for the memory. Figures are the best of several runs, spawn included; compare within one table only.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
exec python3 benches/compare.py "${CARGO_TARGET_DIR:-target}/release/qunfa" "$@"
