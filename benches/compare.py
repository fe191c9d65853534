"""See compare.sh."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

QUNFA = os.path.abspath(sys.argv[1])
HERE = pathlib.Path(__file__).parent
HEAD = "version: 1\nname: bench\naccount: { kind: service, appid: wx0123456789abcdef, secret: { env: QUNFA_BENCH_SECRET } }\n"

# What a user would write: unique openids in order, people left out, bodies of 10,000.
PYTHON = """
import json, sys
out = set()
for name in sys.argv[2:]:
    with open(name) as lines:
        out.update(line.strip() for line in lines)
seen, people = set(), []
with open(sys.argv[1]) as lines:
    for line in lines:
        openid = line.strip()
        if openid and openid not in seen and openid not in out:
            seen.add(openid)
            people.append(openid)
for at in range(0, len(people), 10000):
    body = {"touser": people[at:at + 10000], "msgtype": "text", "text": {"content": "你好"}}
    print(json.dumps(body, ensure_ascii=False))
"""


def measure(command, rounds=5, memory=True, **options):
    """Best seconds of a process, and its memory (MB) in a run of its own: GNU time's child is small before it begins,
    one of Python's would count Python."""
    best, most = float("inf"), 0
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run(command, check=True, **quiet)
        best = min(best, time.perf_counter() - begun)
    if memory and os.path.exists("/usr/bin/time"):
        with tempfile.NamedTemporaryFile("r") as said:
            subprocess.run(["/usr/bin/time", "-f", "%M", "-o", said.name, *command], check=True, **quiet)
            most = int(said.read()) / 1024
    return best, most


def table(title, rows, peer):
    """Rows of (what, seconds, megabytes); the ratio is to the row named `peer`."""
    base = next(seconds for what, seconds, _ in rows if what == peer)
    print(f"\n{title}\n\n| what | time | memory | ratio |\n| --- | --- | --- | --- |")
    for what, seconds, megabytes in rows:
        time_shown = f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
        memory = f"{megabytes:.0f} MB" if megabytes else ""
        print(f"| {what} | {time_shown} | {memory} | {seconds / base:.2f} |")
    sys.stdout.flush()


def steps(folder, count):
    plan = folder / f"steps{count}.yaml"
    step = '  - id: s{0}\n    action: send_by_tag\n    to: {{ tag_id: {1} }}\n    message: {{ text: "{{{{ vars.product }}}} 第 {0} 条" }}\n'
    plan.write_text(HEAD + "vars: { product: 龙井 }\nsteps:\n" + "".join(step.format(n, n + 2) for n in range(count)))
    return str(plan)


def start(folder):
    rows = [("`curl --version`", *measure(["curl", "--version"], 30))]
    rows.append(("`qunfa --version`", *measure([QUNFA, "--version"], 30)))
    rows.append(("`qunfa validate`, 20 steps", *measure([QUNFA, "validate", steps(folder, 20)], 30)))
    table("Starting", rows, "`curl --version`")


def many_steps(folder):
    rows = []
    for count, rounds in [(100, 20), (1000, 20), (10000, 7)]:
        rows.append((f"`qunfa validate`, {count:,} steps", *measure([QUNFA, "validate", steps(folder, count)], rounds)))
    table("Many steps", rows, "`qunfa validate`, 1,000 steps")


def openids(path, count, unique):
    """A file of `count` openids of 28 characters, of about `unique` people, in no order."""
    chance = random.Random(1)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    with open(path, "w") as file:
        for begun in range(0, count, 100000):
            numbers = [chance.randrange(unique) for _ in range(min(100000, count - begun))]
            names = []
            for number in numbers:
                tail = ""
                for _ in range(5):
                    number, digit = divmod(number, 64)
                    tail += letters[digit]
                names.append(f"oXsAbCdEfGhIjKlMnOpQrSt{tail}\n")
            file.writelines(names)


def audience(folder, title, count, excluded, command, rounds, python=True):
    people, out = folder / "people.txt", folder / "out.txt"
    openids(people, count, count * 5)
    to = "{ file: people.txt }"
    python_command = ["python3", "-c", PYTHON, str(people)]
    if excluded:
        openids(out, excluded, count * 5)
        to = "{ file: people.txt, exclude: out.txt }"
        python_command.append(str(out))
    plan = folder / "audience.yaml"
    plan.write_text(HEAD + f"steps:\n  - {{ id: a, action: send_by_openid, to: {to}, message: {{ text: 你好 }} }}\n")
    peer = "`LC_ALL=C sort -u`"
    rows = [(peer, *measure(["sort", "-u", str(people)], rounds, env={**os.environ, "LC_ALL": "C"}))]
    rows.append((f"`qunfa {command}`", *measure([QUNFA, command, str(plan)], rounds)))
    if python:
        rows.append(("Python with a set", *measure(python_command, max(1, rounds // 3))))
    table(title, rows, peer)


def people(folder):
    audience(folder, "1,000,000 openids", 1_000_000, 0, "render", 5)


def millions(folder):
    audience(folder, "10,000,000 openids", 10_000_000, 0, "validate", 3)
    audience(folder, "10,000,000 openids, 5,000,000 left out", 10_000_000, 5_000_000, "validate", 3)


def sends(folder, count=500):
    """500 sends over loopback, beside curl with the same bodies on one connection and one synced write a send."""
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().strip()
    base = f"http://127.0.0.1:{port}"
    asked = lambda: json.load(urllib.request.urlopen(f"{base}/connections"))
    try:
        rows = "\n".join(f"{n:027}" for n in range(count))
        (folder / "rows.csv").write_text("n\n" + rows + "\n")
        plan = folder / "sends.yaml"
        plan.write_text(
            HEAD + "defaults: { pace: { per_minute: 100000 } }\nsteps:\n"
            '  - { id: a, action: send_by_openid, foreach: { file: rows.csv }, key: "{{ row.n }}",\n'
            '      to: { openids: ["a{{ row.n }}", "b{{ row.n }}"] }, message: { text: "你好 {{ row.n }}" } }\n'
        )
        environment = {**os.environ, "QUNFA_BENCH_SECRET": "0123456789abcdef0123456789abcdef", "QUNFA_API_BASE": base}
        best, connections = float("inf"), 0
        for round in range(7):
            state = folder / f"state{round}.db"
            before = asked()
            seconds, _ = measure([QUNFA, "run", str(plan), "--yes", "--quiet", "--state", f"sqlite:{state}"], 1, memory=False, env=environment)
            after = asked()
            assert after["sends"] - before["sends"] == count, after
            # One for the question before, one for the question after.
            connections = after["connections"] - before["connections"] - 1
            best = min(best, seconds)
        requests = json.loads(subprocess.run([QUNFA, "render", str(plan)], capture_output=True, check=True).stdout)["requests"]
        config = []
        for number, request in enumerate(requests):
            body = folder / f"body{number}.json"
            body.write_text(json.dumps(request["body"], ensure_ascii=False, separators=(",", ":")))
            config.append(f'url = "{base}/cgi-bin/message/mass/send?access_token=x"\ndata-binary = "@{body}"\noutput = "/dev/null"\n')
        (folder / "curl.cfg").write_text("next\n".join(config))
        curl, _ = measure(["curl", "--silent", "--config", str(folder / "curl.cfg")], 7, memory=False)
        synced = float("inf")
        for _ in range(7):
            with open(folder / "synced", "wb") as file:
                begun = time.perf_counter()
                for _ in range(count):
                    file.write(b"x" * 200)
                    file.flush()
                    os.fsync(file.fileno())
                synced = min(synced, time.perf_counter() - begun)
        peer = "curl and the writes together"
        table(
            f"{count} sends over loopback, {connections} connection",
            [("curl, one connection", curl, 0), (f"{count} synced writes", synced, 0), (peer, curl + synced, 0), ("`qunfa run`", best, 0)],
            peer,
        )
    finally:
        server.kill()
        server.wait()


def run_people(folder):
    """A whole run of a million people against a server on loopback: what is frozen in the ledger is in this figure."""
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    try:
        openids(folder / "people.txt", 1_000_000, 5_000_000)
        plan = folder / "run.yaml"
        plan.write_text(
            HEAD + "defaults: { pace: { per_minute: 100000 } }\nsteps:\n"
            "  - { id: a, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n"
        )
        environment = {**os.environ, "QUNFA_BENCH_SECRET": "0123456789abcdef0123456789abcdef", "QUNFA_API_BASE": base}
        command = [QUNFA, "run", str(plan), "--yes", "--quiet", "--state"]
        first, _ = measure([*command, f"sqlite:{folder}/first.db"], 1, memory=False, env=environment)
        # The memory is that of a run with a state of its own; the next one finds everything sent.
        _, first_most = measure([*command, f"sqlite:{folder}/second.db"], 0, env=environment)
        again, again_most = measure([*command, f"sqlite:{folder}/first.db"], 1, env=environment)
        table(
            "1,000,000 openids sent over loopback",
            [("`qunfa run`", first, first_most), ("`qunfa run` once more: nothing is sent", again, again_most)],
            "`qunfa run`",
        )
    finally:
        server.kill()
        server.wait()


def states(folder, count=500):
    """The same runs with their state in a file and in PostgreSQL (QUNFA_BENCH_POSTGRES, as .ci/postgres prints it), without TLS and with it."""
    tls = os.environ.get("QUNFA_BENCH_POSTGRES")
    if not tls:
        print("QUNFA_BENCH_POSTGRES is not set: PostgreSQL is not measured", file=sys.stderr)
        return
    plain = tls.split("?")[0].replace("localhost", "127.0.0.1") + "?sslmode=disable"
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    environment = {**os.environ, "QUNFA_BENCH_SECRET": "0123456789abcdef0123456789abcdef", "QUNFA_API_BASE": base}
    sql = lambda state, text: subprocess.run(["psql", state.split("&schema")[0], "-qc", text], check=True, capture_output=True)
    number = 0
    try:
        head = HEAD + "defaults: { pace: { per_minute: 100000 } }\nsteps:\n"
        step = "  - {{ id: s{0}, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: 你好 }} }}\n"
        (folder / "one.yaml").write_text(head + step.format(0))
        (folder / "many.yaml").write_text(head + "".join(step.format(n) for n in range(count)))
        openids(folder / "people.txt", 1_000_000, 5_000_000)
        (folder / "million.yaml").write_text(head + "  - { id: a, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n")
        kinds = [("SQLite", None), ("PostgreSQL", plain), ("PostgreSQL, TLS verify-full", tls)]
        for title, plan, rounds in [("one send", "one", 15), (f"{count} sends", "many", 7), ("1,000,000 openids", "million", 3)]:
            first, again = [(float("inf")) for _ in kinds], [(float("inf")) for _ in kinds]
            # In turns: what else the machine does falls on all of them.
            for _ in range(rounds):
                for at, (kind, server_address) in enumerate(kinds):
                    number += 1
                    schema = f"bench_{os.getpid()}_{number}"
                    state = f"{server_address}&schema={schema}" if server_address else f"sqlite:{folder}/states{number}.db"
                    command = [QUNFA, "run", str(folder / f"{plan}.yaml"), "--yes", "--quiet", "--state", state]
                    # The tables are there already: they are made once in a lifetime.
                    if server_address:
                        subprocess.run([QUNFA, "state", "migrate", "--state", state], check=True, capture_output=True)
                    first[at] = min(first[at], measure(command, 1, memory=False, env=environment)[0])
                    again[at] = min(again[at], measure(command, 3, memory=False, env=environment)[0])
                    if server_address:
                        sql(server_address, f"SET client_min_messages = error; DROP SCHEMA {schema} CASCADE")
            table(f"{title}, by where the state is", [(kind, seconds, 0) for (kind, _), seconds in zip(kinds, first)], "SQLite")
            table(f"{title} once more: nothing is sent", [(kind, seconds, 0) for (kind, _), seconds in zip(kinds, again)], "SQLite")
    finally:
        server.kill()
        server.wait()


ALL = {"start": start, "steps": many_steps, "people": people, "millions": millions, "sends": sends, "run": run_people, "states": states}
folder = pathlib.Path(tempfile.mkdtemp(prefix="qunfa-bench"))
try:
    for name in sys.argv[2:] or ALL:
        ALL[name](folder)
finally:
    shutil.rmtree(folder)
