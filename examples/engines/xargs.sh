#!/bin/sh
# A fleet on one machine: wave after wave, eight accounts at a time. Usage: xargs.sh FLEET
# QUNFA_STATE names the ledger that all share: postgresql://..., or sqlite:PATH if everything runs on this machine.
# After any failure run it again: what was sent is not sent again.
set -u
fleet="$1"
mkdir -p logs
failed=0
wave=1
while [ -n "$(qunfa fleet list "$fleet" --wave "$wave")" ]; do
    # `xargs` goes on with the others when an account fails, and ends with 123. Nobody has to stop it: an account refuses (exit
    # code 9) while an earlier wave is not done or `stop` is reached, whoever starts it.
    qunfa fleet list "$fleet" --wave "$wave" |
        xargs -P8 -I{} qunfa run --fleet "$fleet" --account {} --yes --quiet --report "json=logs/{}.json" >/dev/null || failed=1
    wave=$((wave + 1))
done

# Who succeeded, failed or is unknown; its exit code is that of the worst.
qunfa fleet status "$fleet" || failed=$?
exit "$failed"
