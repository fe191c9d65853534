"""The runs of articles.sh: the binary, and the folder where the peer is."""

import json
import pathlib
import shutil
import subprocess
import sys
import time

BINARY = str(pathlib.Path(sys.argv[1]).resolve())
FOLDER = pathlib.Path(sys.argv[2])
RUNS = 7
RICH = pathlib.Path("src/content/article/fixtures/rich.md").read_text()
COVER = pathlib.Path("tests/plans/files/articles/cover.png")
# A little more, to 1,400 characters; without notes, so that it can stand there several times.
NOTES = RICH.replace("[^气象]。", "。").split("[^气象]:")[0]
MORE = "\n\n".join(part for part in NOTES.split("\n\n") if part.startswith(("今年", "即日起", "选茶")))
ONCE = f"{NOTES}\n\n## 再说一遍\n\n{MORE}\n\n{MORE}\n"
PLAIN = "".join(part for at, part in enumerate(ONCE.split("```")) if at % 2 == 0)


def case(name, body):
    """A folder with a plan and its article; the peer reads the same file."""
    folder = FOLDER / name
    (folder / "images").mkdir(parents=True)
    (folder / ".git").mkdir()
    shutil.copy(COVER, folder / "cover.png")
    shutil.copy(COVER, folder / "images" / "dry leaf.jpg")
    body = body.replace("images/dry%20leaf.jpg", "cover.png")
    (folder / "article.md").write_text(f"---\ntitle: 春茶上市\ncover: cover.png\n---\n{body}")
    (folder / "plan.yaml").write_text(
        "version: 1\nname: bench\naccount: { kind: service, appid: wx0123456789abcdef, secret: { env: S } }\n"
        "steps:\n  - { id: a, action: create_draft, articles: [{ file: article.md }] }\n"
    )
    return folder, len(body)


def best(command):
    """Milliseconds of the fastest run, and what it wrote."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        out = subprocess.run(command, cwd=FOLDER, capture_output=True, check=True).stdout
        times.append((time.perf_counter() - begin) * 1000)
    return min(times), out.decode()


def ours(folder):
    took, out = best([BINARY, "render", str(folder / "plan.yaml"), "--quiet"])
    drafts = [r for r in json.loads(out)["requests"] if r["path"] == "/cgi-bin/draft/add"]
    return took, len(drafts[0]["body"]["articles"][0]["content"])


def peer(folder):
    took, out = best(["node", "peer.mjs", str(folder / "article.md")])
    return took, len(out)


print("| article | characters of Markdown | qunfa render, ms | its HTML, characters | @wenyan-md/core 3.0.10, ms | its HTML, characters |")
print("| --- | ---: | ---: | ---: | ---: | ---: |")
for name, body in [
    ("with code and a table", ONCE),
    ("the same without code", PLAIN),
    ("ten times the first", "\n\n".join([ONCE] * 10)),
    ("ten times the second", "\n\n".join([PLAIN] * 10)),
]:
    folder, characters = case(name.replace(" ", "-"), body)
    try:
        (took, html), (their_took, their_html) = ours(folder), peer(folder)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{name}: {error.stderr.decode()}{error.stdout.decode()[:500]}")
    print(f"| {name} | {characters:,} | {took:.0f} | {html:,} | {their_took:,.0f} | {their_html:,} |")
