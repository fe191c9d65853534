"""1,000 accounts on one PostgreSQL, driven by 20 workers of `xargs -P` that run a plan of two sends again until it is done, while runs are
killed at random: every message must arrive exactly once.

    benches/accounts.py QUNFA POSTGRESQL-ADDRESS [ACCOUNTS] [WORKERS] [KILLS]
"""

import asyncio
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

QUNFA, STATE = os.path.abspath(sys.argv[1]), sys.argv[2]
ACCOUNTS, WORKERS, KILLS = (int(text) for text in (sys.argv[3:6] + ["1000", "20", "400"][len(sys.argv[3:6]):]))
PLAN = """version: 1
name: accounts
account: { kind: service, appid: { env: WECHAT_APPID }, secret: { env: QUNFA_BENCH_SECRET } }
defaults: { timeout: 30s, pace: { per_minute: 100000 }, retry: { attempts: 4, backoff: 10ms, max_backoff: 100ms, resend_after: 1ms } }
steps:
  - { id: one, action: send_by_tag, to: { tag_id: 2 }, message: { text: 你好 } }
  - { id: two, action: send_by_tag, to: { tag_id: 3 }, message: { text: 又好 } }
"""
# What an engine does: it starts the run again until it is done. Exit codes are written down.
WORKER = """
try=0
while [ "$try" -lt 100 ]; do
    try=$((try + 1))
    WECHAT_APPID="$1" "$QUNFA" run plan.yaml --yes --quiet >/dev/null 2>>said
    code=$?
    echo "$1 $try $code" >>codes
    if [ "$code" = 0 ]; then exit 0; fi
done
exit 1
"""
delivered, calls, jobs = collections.Counter(), collections.Counter(), {}


async def answer(reader, writer):
    """A WeChat that remembers the name of every send."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
            if b"token" in head.split(b" ")[1].split(b"?")[0]:
                said = {"access_token": "a-token", "expires_in": 7200}
            elif b"/mass/" not in head.split(b" ")[1]:
                # The question for its time, which it does not tell.
                said = {"errcode": 0, "errmsg": "ok"}
            else:
                key = json.loads(body)["clientmsgid"]
                calls[key] += 1
                if key in jobs:
                    said = {"errcode": 45065, "errmsg": "clientmsgid exist", "msg_id": jobs[key]}
                else:
                    jobs[key] = 3147494552 + len(jobs)
                    delivered[key] += 1
                    said = {"errcode": 0, "errmsg": "ok", "msg_id": jobs[key], "msg_data_id": jobs[key]}
            text = json.dumps(said).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve(ready):
    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ready.append(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def kill_some(done, killed):
    chance = random.Random(int(os.environ.get("QUNFA_BENCH_SEED", "1")))
    while not done.is_set() and len(killed) < KILLS:
        time.sleep(chance.random() * 0.06)
        ours = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "exe") == QUNFA and STATE.encode() in (process / "environ").read_bytes():
                    ours.append(int(process.name))
            except OSError:
                pass
        if ours:
            pid = chance.choice(ours)
            try:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            except ProcessLookupError:
                pass


folder = pathlib.Path(tempfile.mkdtemp(prefix="qunfa-bench"))
try:
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "worker").write_text(WORKER)
    ready = []
    threading.Thread(target=serve, args=(ready,), daemon=True).start()
    while not ready:
        time.sleep(0.01)
    environment = {
        **os.environ,
        "QUNFA": QUNFA,
        "QUNFA_STATE": STATE,
        "QUNFA_BENCH_SECRET": "0123456789abcdef0123456789abcdef",
        "QUNFA_API_BASE": f"http://127.0.0.1:{ready[0]}",
    }
    subprocess.run([QUNFA, "state", "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
    accounts = "\n".join(f"wx{number:016x}" for number in range(ACCOUNTS))
    done, killed = threading.Event(), []
    killer = threading.Thread(target=kill_some, args=(done, killed))
    begun = time.perf_counter()
    killer.start()
    ran = subprocess.run(
        ["xargs", f"-P{WORKERS}", "-n1", "sh", "worker"], input=accounts, text=True, cwd=folder, env=environment, check=False,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - begun
    done.set()
    killer.join()
    lines = [line.split() for line in (folder / "codes").read_text().splitlines()]
    codes = collections.Counter(code for _, _, code in lines)
    tries = collections.Counter(collections.Counter(account for account, _, _ in lines).values())
    twice = sum(1 for times in delivered.values() if times > 1)
    print(f"{ACCOUNTS:,} accounts, {WORKERS} workers, {len(killed)} kills: {seconds:.1f} s, {len(lines)} runs")
    print(f"exit codes {dict(sorted(codes.items()))}, runs an account {dict(sorted(tries.items()))}")
    print(f"delivered {len(delivered):,} of {2 * ACCOUNTS:,}, twice {twice}, asked again under the same name {sum(calls.values()) - len(jobs)}")
    if ran.returncode or twice or len(delivered) != 2 * ACCOUNTS:
        sys.exit((folder / "said").read_text()[-4000:])
finally:
    shutil.rmtree(folder)
