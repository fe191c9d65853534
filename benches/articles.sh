#!/usr/bin/env bash
# One article through whole processes, beside a Node tool, as a Markdown table.
#
#   benches/articles.sh         needs node, npm and python3; the tool goes into a folder below $TMPDIR that is removed
#
# Figures are the best of several runs, spawn included; compare within one table only.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && echo "{\"type\":\"module\"}" > package.json && npm install --silent --no-audit --no-fund @wenyan-md/core@3.0.10 jsdom@27.4.0 form-data-encoder@4.1.0 formdata-node@6.0.3 > /dev/null)
cat > "$folder/peer.mjs" <<'JS'
import { readFileSync } from "node:fs";
import { renderStyledContent } from "@wenyan-md/core/wrapper";
const result = await renderStyledContent(readFileSync(process.argv[2], "utf8"), { themeId: "default", hlThemeId: "solarized-light", isAddFootnote: true, isMacStyle: false });
process.stdout.write(typeof result === "string" ? result : result.content);
JS
python3 benches/articles.py "${CARGO_TARGET_DIR:-target}/release/qunfa" "$folder"
